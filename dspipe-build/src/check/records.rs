//! Which step a record of training data belongs to.

use crate::diag::{Code, Diagnostics, list, nearest};
use crate::ir::{Field, TypeKind};
use crate::source::Span;
use crate::yaml::{Key, Kind, Node};

/// A step as records see it.
pub(super) struct Shape<'a> {
    pub(super) step: &'a str,
    pub(super) inputs: &'a [Field],
    pub(super) outputs: &'a [Field],
    /// Which of the inputs come from the workflow's caller.
    pub(super) given: Vec<bool>,
    /// It may run many times in a run of the workflow, which then has no one output of it.
    pub(super) in_loop: bool,
    /// `false`: the inputs that the workflow declares.
    pub(super) is_step: bool,
}

/// A record with its place found.
pub(super) enum Placed {
    /// An example of each of these steps.
    Steps {
        steps: Vec<usize>,
        input: Node,
        output: Node,
    },
    /// Inputs of the workflow and outputs of some of its steps: each value with the step
    /// and the field that it belongs to.
    Workflow {
        inputs: Vec<(usize, usize, Node)>,
        outputs: Vec<(usize, usize, Node)>,
    },
}

type Entries = Vec<(Key, Node)>;

/// A record once it is known which names are inputs and which are outputs.
struct Sides {
    span: Span,
    input: Node,
    output: Node,
}

/// Finds the steps of a record; `only` is the step whose file it is in.
pub(super) fn place(
    record: Node,
    shapes: &[Shape<'_>],
    only: Option<usize>,
    diagnostics: &mut Diagnostics,
) -> Option<Placed> {
    let span = record.span;
    let described = record.describe();
    let Kind::Map(mut entries) = record.kind else {
        diagnostics
            .error(
                Code::WrongKind,
                span,
                format!("a record must be a mapping (`key: value`), not {described}"),
            )
            .label("expected a mapping");
        return None;
    };
    let only = match only {
        Some(step) => Some(step),
        None => named_step(&mut entries, shapes, diagnostics)?,
    };
    let candidates = match only {
        Some(step) => shapes.get(step..=step).unwrap_or_default(),
        None => shapes,
    };
    if is_nested(&entries, candidates) {
        let sides = nested(span, entries, diagnostics)?;
        return match only {
            Some(step) => Some(sides.of(vec![step])),
            None => by_names(sides, shapes, diagnostics),
        };
    }
    match only {
        Some(step) => {
            let shape = shapes.get(step)?;
            let sides = split(span, entries, shape, diagnostics)?;
            Some(sides.of(vec![step]))
        }
        None => flat(span, entries, shapes, diagnostics),
    }
}

impl Sides {
    fn of(self, steps: Vec<usize>) -> Placed {
        Placed::Steps {
            steps,
            input: self.input,
            output: self.output,
        }
    }
}

/// The step that a record names with `step:`, the key taken out. `None`: an unknown one.
#[expect(
    clippy::option_option,
    reason = "an unknown step is not the same as none"
)]
fn named_step(
    entries: &mut Entries,
    shapes: &[Shape<'_>],
    diagnostics: &mut Diagnostics,
) -> Option<Option<usize>> {
    let taken = shapes.iter().any(|shape| shape.has("step"));
    let Some(at) = entries
        .iter()
        .position(|(key, _)| key.text == "step" && !taken)
    else {
        return Some(None);
    };
    let (_, node) = entries.remove(at);
    if node.is_null() {
        return Some(None);
    }
    let name = match &node.kind {
        Kind::Scalar { text, .. } => text.as_str(),
        _ => "",
    };
    let is_named = |shape: &Shape<'_>| shape.is_step && shape.step == name;
    if let Some(step) = shapes.iter().position(is_named) {
        return Some(Some(step));
    }
    let steps = shapes.iter().filter(|shape| shape.is_step);
    let steps: Vec<&str> = steps.map(|shape| shape.step).collect();
    diagnostics
        .error(
            Code::UnplacedRecord,
            node.span,
            format!("no step is called {}", node.describe()),
        )
        .label("unknown step")
        .help(match nearest(name, steps.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the steps are {}", list(&steps)),
        });
    None
}

/// `{input: …, output: …}`, or the same in the plural as `cargo dspipe data` writes it, rather than fields, of
/// which some may have these names.
fn is_nested(entries: &Entries, shapes: &[Shape<'_>]) -> bool {
    ["input", "output", "inputs", "outputs"].iter().any(|side| {
        let value = entries.iter().find(|(key, _)| key.text == *side);
        value.is_some_and(|(_, node)| {
            matches!(node.kind, Kind::Map(_)) || !shapes.iter().any(|shape| shape.has(side))
        })
    })
}

fn nested(span: Span, entries: Entries, diagnostics: &mut Diagnostics) -> Option<Sides> {
    let (mut input, mut output) = (None, None);
    let is_collected = entries
        .iter()
        .any(|(key, _)| ["inputs", "outputs"].contains(&key.text.as_str()));
    for (key, node) in entries {
        match key.text.as_str() {
            "input" | "inputs" => input = Some(node),
            "output" | "outputs" => output = Some(node),
            // What `cargo dspipe data` says of an example.
            "source" | "weight" | "synthetic" if is_collected => {}
            _ => {
                diagnostics
                    .error(
                        Code::UnknownKey,
                        key.span,
                        format!("unknown key `{}` in a record", key.text),
                    )
                    .label("unknown key")
                    .help("a record has an `input` and an `output`, or just fields");
            }
        }
    }
    for (side, node) in [("input", &input), ("output", &output)] {
        if node.is_none() {
            diagnostics
                .error(
                    Code::MissingKey,
                    first(span),
                    format!("the record has no `{side}`"),
                )
                .label(format!("`{side}` is missing here"));
        }
    }
    Some(Sides {
        span,
        input: input?,
        output: output?,
    })
}

/// The fields of a flat record of a known step, inputs and outputs apart.
fn split(
    span: Span,
    entries: Entries,
    shape: &Shape<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Sides> {
    let (mut input, mut output) = (Vec::new(), Vec::new());
    let mut good = true;
    for (key, node) in entries {
        match (
            field(shape.inputs, &key.text),
            field(shape.outputs, &key.text),
        ) {
            (Some(_), None) => input.push((key, node)),
            (None, Some(_)) => output.push((key, node)),
            (Some(_), Some(_)) => {
                good = false;
                diagnostics
                    .error(
                        Code::UnplacedRecord,
                        key.span,
                        format!(
                            "`{}` is an input and an output of step `{}`",
                            key.text, shape.step
                        ),
                    )
                    .label("which of the two?")
                    .help("write the record as `input: {…}` and `output: {…}`");
            }
            (None, None) => {
                good = false;
                diagnostics
                    .error(
                        Code::InvalidExample,
                        key.span,
                        format!("step `{}` has no field `{}`", shape.step, key.text),
                    )
                    .label("neither an input nor an output")
                    .meant(key.span, &key.text, shape.names());
            }
        }
    }
    good.then(|| sides(span, input, output))
}

fn sides(span: Span, input: Entries, output: Entries) -> Sides {
    let node = |entries| Node {
        span,
        kind: Kind::Map(entries),
    };
    Sides {
        span,
        input: node(input),
        output: node(output),
    }
}

/// A flat record of some step, or of the workflow as a whole.
fn flat(
    span: Span,
    entries: Entries,
    shapes: &[Shape<'_>],
    diagnostics: &mut Diagnostics,
) -> Option<Placed> {
    let keys: Vec<&str> = entries.iter().map(|(key, _)| key.text.as_str()).collect();
    let steps: Vec<usize> = (0..shapes.len())
        .filter(|step| shapes[*step].is_step && shapes[*step].fits_flat(&keys))
        .collect();
    // Two steps may take one name from different sides.
    let is_input = |name: &str| match steps.first() {
        Some(step) => field(shapes[*step].inputs, name).is_some(),
        None => given(shapes, name).is_some(),
    };
    let agreed = steps.iter().all(|step| {
        keys.iter()
            .all(|key| field(shapes[*step].inputs, key).is_some() == is_input(key))
    });
    if !agreed {
        let names: Vec<&str> = steps.iter().map(|step| shapes[*step].step).collect();
        diagnostics
            .error(
                Code::UnplacedRecord,
                first(span),
                format!(
                    "the record fits the steps {} in different ways",
                    list(&names)
                ),
            )
            .label("which fields are inputs?")
            .help("write it as `input: {…}` and `output: {…}`, or add `step: …`");
        return None;
    }
    let inputs: Vec<bool> = keys.iter().map(|key| is_input(key)).collect();
    let (mut input, mut output) = (Vec::new(), Vec::new());
    for (entry, is_input) in entries.into_iter().zip(inputs) {
        if is_input { &mut input } else { &mut output }.push(entry);
    }
    let sides = sides(span, input, output);
    if steps.is_empty() {
        return whole(sides, shapes, diagnostics);
    }
    Some(sides.of(steps))
}

/// A record whose sides are known: of the steps with these names, or of the workflow.
fn by_names(sides: Sides, shapes: &[Shape<'_>], diagnostics: &mut Diagnostics) -> Option<Placed> {
    let (input, output) = (keys(&sides.input), keys(&sides.output));
    let steps: Vec<usize> = (0..shapes.len())
        .filter(|step| {
            let shape = &shapes[*step];
            shape.is_step && matches(shape.inputs, &input) && matches(shape.outputs, &output)
        })
        .collect();
    if steps.is_empty() {
        return whole(sides, shapes, diagnostics);
    }
    Some(sides.of(steps))
}

/// A record of the workflow: its inputs, and outputs of any of its steps.
fn whole(sides: Sides, shapes: &[Shape<'_>], diagnostics: &mut Diagnostics) -> Option<Placed> {
    let (input, output) = (keys(&sides.input), keys(&sides.output));
    let lacks = shapes.iter().any(|shape| {
        shape
            .inputs
            .iter()
            .zip(&shape.given)
            .any(|(field, given)| *given && required(field) && !input.contains(&text(field)))
    });
    let known = input.iter().all(|name| given(shapes, name).is_some())
        && output.iter().all(|name| giver(shapes, name).is_some());
    if lacks || !known || output.is_empty() {
        unplaced(sides.span, &input, &output, shapes, diagnostics);
        return None;
    }
    for name in &output {
        let givers: Vec<&str> = shapes
            .iter()
            .filter(|shape| field(shape.labels(), name).is_some())
            .map(|shape| shape.step)
            .collect();
        if givers.len() > 1 {
            diagnostics
                .error(
                    Code::UnplacedRecord,
                    first(sides.span),
                    format!("`{name}` is an output of the steps {}", list(&givers)),
                )
                .label("which of them is meant?")
                .help("add `step: …` to the record");
            return None;
        }
    }
    let find = |node: Node, place: &dyn Fn(&str) -> Option<(usize, usize)>| match node.kind {
        Kind::Map(entries) => entries
            .into_iter()
            .filter_map(|(key, value)| {
                let (step, field) = place(&key.text)?;
                let span = value.span;
                let kind = Kind::Map(vec![(key, value)]);
                Some((step, field, Node { span, kind }))
            })
            .collect(),
        _ => Vec::new(),
    };
    Some(Placed::Workflow {
        inputs: find(sides.input, &|name| given(shapes, name)),
        outputs: find(sides.output, &|name| giver(shapes, name)),
    })
}

fn unplaced(
    span: Span,
    input: &[&str],
    output: &[&str],
    shapes: &[Shape<'_>],
    diagnostics: &mut Diagnostics,
) {
    let keys: Vec<&str> = input.iter().chain(output).copied().collect();
    let closest = shapes
        .iter()
        .filter(|shape| shape.is_step)
        .max_by_key(|shape| {
            let known = keys.iter().filter(|key| shape.has(key)).count();
            (known, std::cmp::Reverse(shape.missing(&keys).len()))
        });
    let diagnostic = diagnostics.error(
        Code::UnplacedRecord,
        first(span),
        "the record belongs to no step, and not to the workflow as a whole",
    );
    diagnostic.label("this record");
    if let Some(shape) = closest {
        let missing = shape.missing(&keys);
        let unknown: Vec<&str> = keys.iter().copied().filter(|key| !shape.has(key)).collect();
        let mut reasons = Vec::new();
        if !missing.is_empty() {
            reasons.push(format!("the record lacks {}", list(&missing)));
        }
        if !unknown.is_empty() {
            reasons.push(format!("the step has no {}", list(&unknown)));
        }
        if reasons.is_empty() {
            reasons.push("inputs and outputs are mixed up".to_owned());
        }
        diagnostic.help(format!(
            "closest is step `{}`, but {}",
            shape.step,
            reasons.join(", and ")
        ));
    }
}

impl<'a> Shape<'a> {
    /// What the workflow's caller gives besides what steps take.
    pub(super) fn of_inputs(inputs: &'a [Field]) -> Self {
        Self {
            step: "",
            inputs,
            outputs: &[],
            given: vec![true; inputs.len()],
            in_loop: false,
            is_step: false,
        }
    }
}

impl Shape<'_> {
    /// The outputs that a record of the workflow may have.
    fn labels(&self) -> &[Field] {
        if self.in_loop { &[] } else { self.outputs }
    }

    fn has(&self, name: &str) -> bool {
        field(self.inputs, name).is_some() || field(self.outputs, name).is_some()
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.inputs.iter().chain(self.outputs).map(text)
    }

    fn missing(&self, keys: &[&str]) -> Vec<&str> {
        self.inputs
            .iter()
            .chain(self.outputs)
            .filter(|field| required(field) && !keys.contains(&text(field)))
            .map(text)
            .collect()
    }

    fn fits_flat(&self, keys: &[&str]) -> bool {
        let one_side =
            |key: &&str| field(self.inputs, key).is_some() != field(self.outputs, key).is_some();
        keys.iter().all(one_side) && self.missing(keys).is_empty()
    }
}

/// Whether a column of a table can be a field of any step.
pub(super) fn known(shapes: &[Shape<'_>], only: Option<usize>, name: &str) -> bool {
    match only {
        Some(step) => shapes.get(step).is_some_and(|shape| shape.has(name)),
        None => name == "step" || shapes.iter().any(|shape| shape.has(name)),
    }
}

/// The names of all fields that a column may have.
pub(super) fn names<'a>(shapes: &'a [Shape<'_>], only: Option<usize>) -> Vec<&'a str> {
    let all = match only {
        Some(step) => shapes.get(step..=step).unwrap_or_default(),
        None => shapes,
    };
    all.iter().flat_map(Shape::names).collect()
}

fn matches(fields: &[Field], keys: &[&str]) -> bool {
    keys.iter().all(|key| field(fields, key).is_some())
        && fields
            .iter()
            .all(|field| !required(field) || keys.contains(&text(field)))
}

fn required(field: &Field) -> bool {
    field.default.is_none() && !matches!(field.ty.kind, TypeKind::Optional(_))
}

fn text(field: &Field) -> &str {
    &field.name.text
}

fn field<'f>(fields: &'f [Field], name: &str) -> Option<&'f Field> {
    fields.iter().find(|field| text(field) == name)
}

/// A step and its input of this name that the workflow's caller gives.
fn given(shapes: &[Shape<'_>], name: &str) -> Option<(usize, usize)> {
    shapes.iter().enumerate().find_map(|(step, shape)| {
        let at = shape
            .inputs
            .iter()
            .zip(&shape.given)
            .position(|(field, given)| *given && text(field) == name)?;
        Some((step, at))
    })
}

/// The first step with an output of this name.
fn giver(shapes: &[Shape<'_>], name: &str) -> Option<(usize, usize)> {
    shapes.iter().enumerate().find_map(|(step, shape)| {
        let at = shape.labels().iter().position(|f| text(f) == name)?;
        Some((step, at))
    })
}

fn keys(node: &Node) -> Vec<&str> {
    match &node.kind {
        Kind::Map(entries) => entries.iter().map(|(key, _)| key.text.as_str()).collect(),
        _ => Vec::new(),
    }
}

fn first(span: Span) -> Span {
    Span {
        end: span.start + 1,
        ..span
    }
}
