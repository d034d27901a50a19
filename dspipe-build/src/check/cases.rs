//! Cases of suites: records whose outputs may be known in part, or not at all.

use serde_json::{Map, Value};

use super::types::StepTypes;
use super::values::Values;
use super::{blocks, cells, names, types};
use crate::data::{DataFile, Part};
use crate::diag::{Code, Diagnostics, list};
use crate::ir::{Case, Field, Name, TypeDef, TypeKind};
use crate::library::Library;
use crate::nested::Nested;
use crate::source::{Sources, Span, Spanned};
use crate::spec::{BlockKind, Workflow};
use crate::yaml::{Key, Kind, Node};

/// As many problems of one file are shown; of the others, the number.
const SHOWN: usize = 20;

/// What a suite sees of a workflow: its steps with the types of their fields, and what its loops and calls give.
pub(crate) struct Signatures {
    /// The module that is generated for the workflow.
    pub(crate) module: String,
    pub(crate) steps: Vec<Name>,
    /// By step, its fields. Behind them stand the inputs that the workflow declares, and behind those, as outputs,
    /// what each loop and each call gives that is in no other.
    pub(crate) fields: Vec<StepTypes>,
    pub(crate) types: Vec<TypeDef>,
    /// By step, which of its inputs come from the workflow's caller.
    given: Vec<Vec<bool>>,
    /// By step in a loop, where in the outputs of the workflow one output of it is, as in `review[0].check`.
    places: Vec<Option<String>>,
}

/// Values with the step and the field that each belongs to.
type Placed = Vec<(usize, usize, Node)>;

impl Signatures {
    pub(crate) fn of(
        workflow: &Workflow,
        library: &Library,
        nested: &Nested,
        sources: &Sources,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let module = names::workflow(&workflow.name, diagnostics).ident;
        let mut steps = names::nodes(workflow, diagnostics);
        let types::Lowered {
            steps: mut fields,
            inputs,
            mut types,
        } = types::lower(workflow, library, sources, diagnostics);
        let results = blocks::results(workflow, nested, &steps, &fields, &mut types, sources);
        let given = workflow.steps().iter().zip(&fields);
        let given = given.map(|(step, fields)| {
            let inputs = fields.inputs.iter();
            inputs.map(|field| is_given(step, field)).collect()
        });
        let mut given: Vec<Vec<bool>> = given.collect();
        given.push(vec![true; inputs.len()]);
        given.push(Vec::new());
        fields.push(StepTypes {
            inputs,
            outputs: Vec::new(),
            reasons: false,
        });
        let block_names = steps.split_off(workflow.steps().len());
        let blocks = workflow.blocks().iter().zip(block_names).zip(results);
        let blocks = blocks.filter(|((block, _), _)| block.within.is_none());
        fields.push(StepTypes {
            inputs: Vec::new(),
            outputs: blocks
                .map(|((block, name), result)| {
                    blocks::member(name, result.ty, block.condition.is_some())
                })
                .collect(),
            reasons: false,
        });
        let places = (0..steps.len()).map(|step| place(workflow, step));
        Self {
            module,
            places: places.collect(),
            steps,
            given,
            fields,
            types,
        }
    }

    /// A step that has one output in each run of the workflow.
    pub(crate) fn top_step(&self, name: &str) -> Option<usize> {
        self.step(name).filter(|step| self.places[*step].is_none())
    }

    /// Where in the outputs of the workflow one output of a step in a loop is; `None` for other names.
    pub(crate) fn place_in_loop(&self, name: &str) -> Option<&str> {
        self.places[self.step(name)?].as_deref()
    }

    /// What the loops and calls give that are in no other.
    pub(crate) fn blocks(&self) -> &[Field] {
        &self.fields[self.of_blocks()].outputs
    }

    /// The place of [`blocks`](Self::blocks) among the fields.
    fn of_blocks(&self) -> usize {
        self.steps.len() + 1
    }

    /// The names that outputs of the workflow are by.
    pub(crate) fn output_names(&self) -> impl Iterator<Item = &str> {
        let steps = self.steps.iter().zip(&self.places);
        let steps = steps.filter(|(_, place)| place.is_none());
        let steps = steps.map(|(step, _)| step.text.as_str());
        steps.chain(self.blocks().iter().map(|it| it.name.text.as_str()))
    }

    /// A step by its name.
    pub(crate) fn step(&self, name: &str) -> Option<usize> {
        self.steps.iter().position(|step| step.text == name)
    }

    /// Hands over the cases of a file, one by one; `only` is the step that they are for, otherwise it is the workflow.
    pub(crate) fn of_file(
        &self,
        only: Option<usize>,
        file: DataFile,
        sources: &Sources,
        take: &mut dyn FnMut(Case),
        diagnostics: &mut Diagnostics,
    ) {
        let (mut room, mut more, mut next) = (SHOWN, 0_usize, None);
        let mut unplaced = false;
        file.read(sources, &mut |part| {
            let mut problems = Diagnostics::default();
            match part {
                Ok(Part::Header(columns)) => {
                    unplaced = !self.header(only, columns, &mut problems);
                }
                Ok(Part::Record(node)) if !unplaced => {
                    let case = self.case(only, node, file.is_table(), &mut problems);
                    if let Some(case) = case {
                        take(case);
                    }
                }
                Ok(Part::Record(_)) => {}
                Err(problem) => problem.report(&mut problems),
            }
            let shown = problems.len().min(room);
            let left = diagnostics.append_up_to(room, problems);
            room -= shown;
            more += left.len();
            next = next.or(left.first().copied());
        });
        if let Some(span) = next {
            let s = if more == 1 { "" } else { "s" };
            diagnostics
                .error(
                    Code::InvalidData,
                    span,
                    format!("… and {more} more problem{s} with the records of this file"),
                )
                .label("the next one");
        }
    }

    /// Columns that no case can use are one mistake, not one a row.
    fn header(&self, only: Option<usize>, columns: &[Key], problems: &mut Diagnostics) -> bool {
        let before = problems.len();
        for (at, name) in columns.iter().enumerate() {
            if let Some(first) = columns[..at].iter().find(|first| first.text == name.text) {
                problems
                    .error(
                        Code::Duplicate,
                        name.span,
                        format!("the column `{}` is there twice", name.text),
                    )
                    .label("again here")
                    .also(first.span, "first here");
            } else if !["id", "tags"].contains(&name.text.as_str())
                && !self.names(only).any(|known| known == name.text)
            {
                problems
                    .error(
                        Code::InvalidExample,
                        name.span,
                        format!("no field is called `{}`", name.text),
                    )
                    .label("unknown column")
                    .meant(name.span, &name.text, self.names(only));
            }
        }
        problems.len() == before
    }

    /// A record as a case.
    pub(crate) fn case(
        &self,
        only: Option<usize>,
        mut record: Node,
        is_table: bool,
        problems: &mut Diagnostics,
    ) -> Option<Case> {
        if is_table {
            cells::drop_empty(&mut record);
        }
        let span = record.span;
        let described = record.describe();
        let Kind::Map(mut entries) = record.kind else {
            problems
                .error(
                    Code::WrongKind,
                    span,
                    format!("a case must be a mapping (`key: value`), not {described}"),
                )
                .label("expected a mapping");
            return None;
        };
        let before = problems.len();
        let id = self
            .take(only, "id", &mut entries)
            .and_then(|node| id(&node, problems));
        let tags = self
            .take(only, "tags", &mut entries)
            .map_or_else(Vec::new, |node| tags(&node, problems));
        let is_nested = entries
            .iter()
            .any(|(key, _)| side(&key.text).is_some() && !self.has(only, &key.text));
        let (inputs, outputs) = if is_nested {
            self.nested(only, entries, problems)
        } else {
            self.flat(only, entries, problems)
        };
        // A name with a slip in it has been reported, and is not missing besides.
        if problems.len() == before {
            self.missing(only, span, &inputs, problems);
        }
        let inputs = self.values(inputs, true, is_table, problems);
        let outputs = self.values(outputs, false, is_table, problems);
        (problems.len() == before).then(|| Case {
            span,
            id,
            tags,
            inputs: inputs.into_iter().flat_map(|(_, values)| values).collect(),
            outputs: self.by_node(outputs),
        })
    }

    /// Outputs by what gives them.
    fn by_node(&self, outputs: Vec<(usize, Map<String, Value>)>) -> Map<String, Value> {
        let mut by_node = Map::new();
        for (step, values) in outputs {
            let Some(name) = self.steps.get(step) else {
                // Loops and calls have names of their own.
                by_node.extend(values);
                continue;
            };
            let of_step = by_node.entry(name.text.clone());
            if let Value::Object(fields) = of_step.or_insert_with(|| Map::new().into()) {
                fields.extend(values);
            }
        }
        by_node
    }

    /// What a record says of itself, unless a field has that name.
    fn take(
        &self,
        only: Option<usize>,
        name: &str,
        entries: &mut Vec<(Key, Node)>,
    ) -> Option<Node> {
        let at = entries.iter().position(|(key, _)| key.text == name)?;
        (!self.has(only, name)).then(|| entries.remove(at).1)
    }

    fn flat(
        &self,
        only: Option<usize>,
        entries: Vec<(Key, Node)>,
        problems: &mut Diagnostics,
    ) -> (Placed, Placed) {
        let (mut inputs, mut outputs) = (Placed::new(), Placed::new());
        for (key, node) in entries {
            let input = self.input(only, &key.text);
            let is_output = !self.outputs(only, &key.text).is_empty();
            match input {
                Some(_) if is_output => {
                    problems
                        .error(
                            Code::UnplacedRecord,
                            key.span,
                            format!("`{}` is an input and an output", key.text),
                        )
                        .label("which of the two?")
                        .help("write the case as `input: {…}` and `output: {…}`");
                }
                Some((step, at)) => inputs.push((step, at, pair(key, node))),
                None => self.output(only, key, node, &mut outputs, problems),
            }
        }
        (inputs, outputs)
    }

    fn nested(
        &self,
        only: Option<usize>,
        entries: Vec<(Key, Node)>,
        problems: &mut Diagnostics,
    ) -> (Placed, Placed) {
        let (mut inputs, mut outputs) = (Placed::new(), Placed::new());
        let is_collected = entries
            .iter()
            .any(|(key, _)| ["inputs", "outputs"].contains(&key.text.as_str()));
        for (key, node) in entries {
            let Some(side) = side(&key.text) else {
                // What `data collect` says of an example.
                let says = ["source", "weight", "synthetic"].contains(&key.text.as_str());
                if !(says && is_collected) {
                    problems
                        .error(
                            Code::UnknownKey,
                            key.span,
                            format!("unknown key `{}` in a case", key.text),
                        )
                        .label("unknown key")
                        .help("a case has an `input` and an `output`, or just fields, and perhaps `id` and `tags`");
                }
                continue;
            };
            let described = node.describe();
            let Kind::Map(fields) = node.kind else {
                problems
                    .error(
                        Code::WrongKind,
                        node.span,
                        format!("`{}` must be a mapping, not {described}", key.text),
                    )
                    .label("expected a mapping");
                continue;
            };
            for (key, node) in fields {
                match (side, self.input(only, &key.text)) {
                    (Side::Output, _) => self.output(only, key, node, &mut outputs, problems),
                    (Side::Input, Some((step, at))) => inputs.push((step, at, pair(key, node))),
                    (Side::Input, None) => {
                        let what = self.what(only);
                        problems
                            .error(
                                Code::InvalidExample,
                                key.span,
                                format!("{what} has no input `{}`", key.text),
                            )
                            .label("unknown input")
                            .meant(key.span, &key.text, self.inputs(only));
                    }
                }
            }
        }
        (inputs, outputs)
    }

    /// Finds the step of an output: a field of one step, or the fields of the step of this name.
    fn output(
        &self,
        only: Option<usize>,
        key: Key,
        node: Node,
        outputs: &mut Placed,
        problems: &mut Diagnostics,
    ) {
        match self.outputs(only, &key.text)[..] {
            [(step, at)] => outputs.push((step, at, pair(key, node))),
            [] => {
                if let (None, Some(step), Kind::Map(_)) =
                    (only, self.top_step(&key.text), &node.kind)
                    && let Kind::Map(fields) = node.kind
                {
                    for (key, node) in fields {
                        self.output(Some(step), key, node, outputs, problems);
                    }
                    return;
                }
                let what = self.what(only);
                let place = self.place_in_loop(&key.text).filter(|_| only.is_none());
                let problem = problems.error(
                    Code::InvalidExample,
                    key.span,
                    format!("{what} has no field `{}`", key.text),
                );
                match place {
                    Some(place) => problem
                        .label("a step in a loop")
                        .help(format!("one output of it is `{place}`")),
                    None => problem.label("neither an input nor an output").meant(
                        key.span,
                        &key.text,
                        self.names(only),
                    ),
                };
            }
            ref several => {
                let steps: Vec<&str> = several
                    .iter()
                    .map(|(step, _)| self.steps[*step].text.as_str())
                    .collect();
                problems
                    .error(
                        Code::UnplacedRecord,
                        key.span,
                        format!("`{}` is an output of the steps {}", key.text, list(&steps)),
                    )
                    .label("which of them is meant?")
                    .help(format!(
                        "write it as `{}: {{{}: …}}`",
                        steps.first().unwrap_or(&"step"),
                        key.text
                    ));
            }
        }
    }

    fn missing(
        &self,
        only: Option<usize>,
        span: Span,
        inputs: &Placed,
        problems: &mut Diagnostics,
    ) {
        let known: Vec<&str> = inputs
            .iter()
            .map(|(step, at, _)| self.fields[*step].inputs[*at].name.text.as_str())
            .collect();
        let mut missing: Vec<&str> = self
            .input_fields(only)
            .filter(|(_, _, field)| is_required(field))
            .map(|(_, _, field)| field.name.text.as_str())
            .filter(|name| !known.contains(name))
            .collect();
        missing.sort_unstable();
        missing.dedup();
        if !missing.is_empty() {
            let start = Span {
                end: span.start + 1,
                ..span
            };
            problems
                .error(
                    Code::MissingKey,
                    start,
                    format!("the case has no {}", list(&missing)),
                )
                .label("this case")
                .help(format!("{} needs it as an input", self.what(only)));
        }
    }

    /// Holds values against the types of their fields. Of what loops and calls give, all may be missing of which
    /// nothing is known.
    fn values(
        &self,
        values: Placed,
        is_input: bool,
        is_table: bool,
        problems: &mut Diagnostics,
    ) -> Vec<(usize, Map<String, Value>)> {
        let read = values.into_iter().filter_map(|(step, at, mut node)| {
            let fields = &self.fields[step];
            let (fields, what) = if is_input {
                (&fields.inputs, "the case's input")
            } else {
                (&fields.outputs, "the case's output")
            };
            let field = fields.get(at..=at)?;
            if is_table {
                cells::of_types(&mut node, field);
            }
            let mut reader = Values {
                types: &self.types,
                code: Code::InvalidExample,
                partial: !is_input && step == self.of_blocks(),
                diagnostics: problems,
            };
            Some((step, reader.object(&node, field, what)?))
        });
        read.collect()
    }

    fn what(&self, only: Option<usize>) -> String {
        match only {
            Some(step) => format!("step `{}`", self.steps[step].text),
            None => "the workflow".to_owned(),
        }
    }

    fn input_fields(&self, only: Option<usize>) -> impl Iterator<Item = (usize, usize, &Field)> {
        let steps = self.fields.iter().enumerate();
        let steps = steps.filter(move |(step, _)| only.is_none_or(|only| only == *step));
        steps.flat_map(move |(step, fields)| {
            let inputs = fields.inputs.iter().enumerate();
            inputs
                .filter(move |(at, _)| only.is_some() || self.given[step][*at])
                .map(move |(at, field)| (step, at, field))
        })
    }

    fn inputs(&self, only: Option<usize>) -> impl Iterator<Item = &str> {
        self.input_fields(only)
            .map(|(_, _, field)| field.name.text.as_str())
    }

    fn input(&self, only: Option<usize>, name: &str) -> Option<(usize, usize)> {
        let mut fields = self.input_fields(only);
        let found = fields.find(|(_, _, field)| field.name.text == name)?;
        Some((found.0, found.1))
    }

    /// The fields of this name, otherwise the loop or call.
    fn outputs(&self, only: Option<usize>, name: &str) -> Vec<(usize, usize)> {
        let of = |step: usize| {
            let outputs = self.fields.get(step)?.outputs.iter();
            Some((step, outputs.clone().position(|f| f.name.text == name)?))
        };
        let Some(only) = only else {
            let steps = (0..self.steps.len()).filter(|step| self.places[*step].is_none());
            let found: Vec<_> = steps.filter_map(of).collect();
            return if found.is_empty() {
                of(self.of_blocks()).into_iter().collect()
            } else {
                found
            };
        };
        of(only).into_iter().collect()
    }

    fn has(&self, only: Option<usize>, name: &str) -> bool {
        self.input(only, name).is_some() || !self.outputs(only, name).is_empty()
    }

    /// All names that a flat record may have.
    fn names(&self, only: Option<usize>) -> impl Iterator<Item = &str> {
        let steps = self.fields.iter().enumerate();
        let steps = steps.filter(move |(step, _)| match only {
            Some(only) => only == *step,
            None => !matches!(self.places.get(*step), Some(Some(_))),
        });
        let outputs = steps.flat_map(|(_, fields)| &fields.outputs);
        self.inputs(only)
            .chain(outputs.map(|field| field.name.text.as_str()))
    }
}

/// Where in the outputs of the workflow one output of a step is, if it is in a loop.
fn place(workflow: &Workflow, step: usize) -> Option<String> {
    let mut place = workflow.name_of(step).value.clone();
    let mut within = workflow.within(step)?;
    loop {
        let block = workflow.blocks().get(within)?;
        let round = match block.kind {
            BlockKind::While(_) => ".last.",
            _ => "[0].",
        };
        place = [&block.name.value, round, &place].concat();
        match block.within {
            Some(outer) => within = outer,
            None => return Some(place),
        }
    }
}

#[derive(Clone, Copy)]
enum Side {
    Input,
    Output,
}

/// Which side a key stands for; the plural is that of `cargo dspipe data`.
fn side(key: &str) -> Option<Side> {
    match key {
        "input" | "inputs" => Some(Side::Input),
        "output" | "outputs" | "expected" => Some(Side::Output),
        _ => None,
    }
}

fn pair(key: Key, node: Node) -> Node {
    Node {
        span: node.span,
        kind: Kind::Map(vec![(key, node)]),
    }
}

fn is_given(step: &crate::spec::Step, field: &Field) -> bool {
    let inputs = step.signature.iter().flat_map(|it| &it.inputs);
    let mut own = inputs.filter(|input| input.name.value == field.name.text);
    own.any(|input| input.template.is_none())
}

fn is_required(field: &Field) -> bool {
    field.default.is_none() && !matches!(field.ty.kind, TypeKind::Optional(_))
}

fn id(node: &Node, problems: &mut Diagnostics) -> Option<Spanned<String>> {
    let text = match &node.kind {
        Kind::Scalar { text, .. } => text.as_str(),
        _ => "",
    };
    if text.is_empty() || text.trim() != text || text.chars().any(char::is_control) {
        problems
            .error(
                Code::InvalidName,
                node.span,
                format!("{} cannot name a case", node.describe()),
            )
            .label("a name is one line, not empty, without white space at its ends");
        return None;
    }
    Some(Spanned::new(text.to_owned(), node.span))
}

/// A list of words; in a cell of a table, words with spaces or commas between them.
pub(crate) fn tags(node: &Node, problems: &mut Diagnostics) -> Vec<String> {
    let words = |text: &str| -> Vec<String> {
        let words = text.split([' ', ',']).filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    };
    let items = match &node.kind {
        Kind::Scalar { .. } if node.is_null() => return Vec::new(),
        Kind::Scalar { text, .. } => return words(text),
        Kind::List(items) => items.as_slice(),
        Kind::Map(_) => &[],
    };
    let mut found = Vec::new();
    let mut good = matches!(node.kind, Kind::List(_));
    for item in items {
        match &item.kind {
            Kind::Scalar { text, .. } if words(text).len() == 1 => found.push(text.clone()),
            _ => good = false,
        }
    }
    if !good {
        problems
            .error(Code::WrongKind, node.span, "tags are a list of words")
            .label("expected words, as in `[smoke, billing]`");
    }
    found
}
