//! Where every input field's value comes from.

use std::collections::{BTreeSet, HashMap};

use super::blocks::{BlockResult, BoundBlock};
use super::checks::Seen;
use super::conditions;
use super::exprs::Here;
use super::paths;
use super::types::StepTypes;
use crate::diag::{Code, Diagnostics};
use crate::ir::{
    Binding, BoundField, Check, Expr, ExprKind, Field, Guard, Hop, Input, Module, Path, Piece,
    Root, Type, TypeDef, TypeDefKind, TypeKind,
};
use crate::nested::Nested;
use crate::source::{Sources, Span, Spanned};
use crate::spec;
use crate::template::{Segment, Template, TemplateErrorKind};
use crate::yaml::locate_placeholder;

/// The inputs of all steps, and what follows from them.
pub(super) struct Bound {
    pub(super) workflow_inputs: Vec<Input>,
    /// Per step, the bound fields.
    pub(super) step_inputs: Vec<Vec<BoundField>>,
    /// Per step, when it runs.
    pub(super) guards: Vec<Option<Guard>>,
    pub(super) blocks: Vec<BoundBlock>,
    /// Per step, what should hold for its output.
    pub(super) checks: Vec<Vec<Check>>,
    /// Per step, how it comes to its output.
    pub(super) modules: Vec<Module>,
    /// Per node, the nodes beside it that it needs.
    pub(super) dependencies: Vec<BTreeSet<usize>>,
    /// Where node `.0` refers to node `.1`.
    pub(super) places: HashMap<(usize, usize), Span>,
}

/// Binds every input field of every step.
#[expect(clippy::too_many_arguments, reason = "all that is known before")]
pub(super) fn bind(
    workflow: &spec::Workflow,
    steps: &mut [StepTypes],
    inputs: &[Field],
    types: &[TypeDef],
    results: &[BlockResult],
    nested: &Nested,
    sources: &Sources,
    diagnostics: &mut Diagnostics,
) -> Bound {
    let mut binder = Binder {
        workflow,
        steps,
        types,
        sources,
        diagnostics,
        inputs: Vec::new(),
        input_places: Vec::new(),
        results,
        items: Vec::new(),
        dependencies: vec![BTreeSet::new(); workflow.nodes()],
        outer: vec![BTreeSet::new(); workflow.nodes()],
        places: HashMap::new(),
        present: Vec::new(),
        seen: None,
        inside: None,
        whole: false,
    };
    binder.collect_inputs(inputs);
    binder.check_constants();
    let facts = conditions::facts(workflow);
    binder.present = binder.presence(&facts);
    binder.check_iterators();
    binder.bind_items();
    let mut step_inputs = Vec::with_capacity(workflow.steps().len());
    let mut guards = Vec::with_capacity(workflow.steps().len());
    let mut checks = Vec::with_capacity(workflow.steps().len());
    let mut modules = Vec::with_capacity(workflow.steps().len());
    let (of_steps, of_blocks) = facts.split_at(workflow.steps().len());
    for (index, facts) in of_steps.iter().enumerate() {
        binder.depends_on(index);
        let inputs = binder.step(index);
        checks.push(binder.checks(index, &inputs));
        modules.push(binder.module(index, &inputs));
        step_inputs.push(inputs);
        // Last: it names those of the present steps that the step uses.
        guards.push(binder.guard(index, facts));
    }
    // From the inside: a loop needs what its body needs.
    let blocks = of_blocks.iter().enumerate().rev();
    let mut blocks: Vec<BoundBlock> = blocks
        .map(|(at, facts)| binder.block(at, nested, facts))
        .collect();
    blocks.reverse();
    binder.keep_shared_inputs();
    Bound {
        workflow_inputs: binder.inputs,
        step_inputs,
        guards,
        blocks,
        checks,
        modules,
        dependencies: binder.dependencies,
        places: binder.places,
    }
}

pub(super) struct Binder<'a> {
    pub(super) workflow: &'a spec::Workflow,
    pub(super) steps: &'a mut [StepTypes],
    pub(super) types: &'a [TypeDef],
    pub(super) sources: &'a Sources,
    pub(super) diagnostics: &'a mut Diagnostics,
    pub(super) inputs: Vec<Input>,
    /// The field that declared each of `inputs`.
    input_places: Vec<Span>,
    /// By block, the type of what it gives.
    pub(super) results: &'a [BlockResult],
    /// By block, the list that it goes over and the type of its items.
    pub(super) items: Vec<Option<(Expr, Type)>>,
    pub(super) dependencies: Vec<BTreeSet<usize>>,
    /// Per node, the nodes that it refers to around the block that it is in.
    pub(super) outer: Vec<BTreeSet<usize>>,
    pub(super) places: HashMap<(usize, usize), Span>,
    /// Per node, the conditional nodes that have run whenever it runs.
    pub(super) present: Vec<BTreeSet<usize>>,
    /// While the checks of a step are read: what they see.
    pub(super) seen: Option<Seen>,
    /// While what stands at the end of a round is read: the block.
    pub(super) inside: Option<usize>,
    /// A path that is being read is all that there is of a template, so that it may lead to an image.
    pub(super) whole: bool,
}

/// Where a field says its type.
fn place(written: &spec::Field) -> Span {
    let ty = written.schema.ty.as_ref();
    ty.map_or(written.name.span, |ty| ty.span)
}

/// The steps with readable signatures, and their written input fields.
fn written_inputs(step: &spec::Step) -> &[spec::Field] {
    step.signature
        .as_ref()
        .map(|signature| signature.inputs.as_slice())
        .unwrap_or_default()
}

impl Binder<'_> {
    /// Variables are texts, numbers and booleans.
    fn check_constants(&mut self) {
        for (name, node) in &self.workflow.global_vars {
            if paths::constant(node).is_none() {
                self.diagnostics
                    .error(
                        Code::WrongKind,
                        node.span,
                        format!(
                            "the variable `{name}` must be a text, a number or a boolean, not {}",
                            node.describe()
                        ),
                    )
                    .label("expected one value");
            }
        }
    }

    /// The steps that a step waits for without needing their outputs.
    pub(super) fn depends_on(&mut self, node: usize) {
        let workflow = self.workflow;
        let names = match workflow.block_at(node) {
            Some(block) => &block.depends_on,
            None => &workflow.steps()[node].depends_on,
        };
        for name in names {
            match workflow.node_named(&name.value) {
                Some(target) if self.sees(node, target) => self.depend(node, target, name.span),
                Some(target) => self.report_unseen(target, &[], name.span),
                None => {
                    let known = workflow.names();
                    self.diagnostics
                        .error(
                            Code::UnresolvedPath,
                            name.span,
                            format!("there is no step `{name}`"),
                        )
                        .label("unknown step")
                        .meant(name.span, &name.value, known);
                }
            }
        }
    }

    /// Counts a use of an input; in a loop it is used more than once.
    pub(super) fn uses(&mut self, step: usize, input: usize) {
        let in_loop = self.around(step).next().is_some();
        self.inputs[input].uses += if in_loop { 2 } else { 1 };
    }

    /// Rounds that run at the same time share all inputs: none of them is moved.
    fn keep_shared_inputs(&mut self) {
        let mut blocks = self.workflow.blocks().iter();
        let shared = |kind: &spec::BlockKind| kind.as_for().is_some_and(|it| it.at_once > 1);
        if blocks.any(|block| shared(&block.kind)) {
            for input in &mut self.inputs {
                input.uses = input.uses.max(2);
            }
        }
    }

    /// A field without a template is an input of the workflow; fields of one name
    /// are one input.
    fn collect_inputs(&mut self, declared: &[Field]) {
        for (field, written) in declared.iter().zip(&self.workflow.inputs) {
            self.inputs.push(Input {
                field: field.clone(),
                uses: 0,
            });
            self.input_places.push(written.name.span);
        }
        for (step, written) in self.workflow.steps().iter().enumerate() {
            for (index, field) in written_inputs(written).iter().enumerate() {
                if field.template.is_some() {
                    continue;
                }
                let declared = self.steps[step].inputs[index].clone();
                match self.input(&declared.name.text) {
                    None => {
                        self.inputs.push(Input {
                            field: declared,
                            uses: 0,
                        });
                        self.input_places.push(field.name.span);
                    }
                    Some(known) => self.share_input(known, declared, field),
                }
            }
        }
    }

    fn share_input(&mut self, known: usize, declared: Field, written: &spec::Field) {
        let first = &self.inputs[known].field;
        if !self.same(&first.ty, &declared.ty) {
            let (one, other) = (self.describe(&first.ty), self.describe(&declared.ty));
            self.diagnostics
                .error(
                    Code::TypeMismatch,
                    written.name.span,
                    format!(
                        "two steps want the input `{}` with different types: {one} and {other}",
                        declared.name.text,
                    ),
                )
                .label(format!("here it is {other}"))
                .also(self.input_places[known], format!("here it is {one}"))
                .help("give one of the fields another name, or a `template`");
        }
        let input = &mut self.inputs[known].field;
        input.sensitive |= declared.sensitive;
        if input.description.is_empty() {
            input.description = declared.description;
        }
    }

    pub(super) fn input(&self, name: &str) -> Option<usize> {
        self.inputs
            .iter()
            .position(|input| input.field.name.text == name)
    }

    fn step(&mut self, step: usize) -> Vec<BoundField> {
        let workflow = self.workflow;
        let written = written_inputs(&workflow.steps()[step]);
        written
            .iter()
            .enumerate()
            .map(|(index, field)| {
                let declared = self.steps[step].inputs[index].clone();
                self.field(step, field, declared)
            })
            .collect()
    }

    fn field(&mut self, step: usize, written: &spec::Field, declared: Field) -> BoundField {
        let Some(template) = &written.template else {
            // Every such field was collected; a missing one cannot be.
            let root = self.input(&declared.name.text).unwrap_or_default();
            self.uses(step, root);
            let ty = self.inputs[root].field.ty.clone();
            let path = Path {
                root: Root::Input(root),
                root_optional: false,
                hops: vec![Hop {
                    field: self.inputs[root].field.name.ident.clone(),
                    optional: matches!(ty.kind, TypeKind::Optional(_)),
                    boxed: false,
                }],
            };
            let value = Expr {
                ty: ty.clone(),
                kind: ExprKind::Path(path),
            };
            return BoundField {
                field: Field { ty, ..declared },
                binding: Binding::Value(value),
            };
        };
        match self.template(step, template, &declared.ty) {
            None => BoundField {
                field: declared,
                binding: Binding::Text(Vec::new()),
            },
            Some(Binding::Value(value)) => {
                self.expect(
                    &declared.ty,
                    &value.ty,
                    &written.name,
                    Some(place(written)),
                    template,
                );
                BoundField {
                    // The value keeps its type, which is at least as precise.
                    field: Field {
                        ty: value.ty.clone(),
                        ..declared
                    },
                    binding: Binding::Value(value),
                }
            }
            Some(text) => {
                let string = Type::new(TypeKind::String);
                self.expect(
                    &declared.ty,
                    &string,
                    &written.name,
                    Some(place(written)),
                    template,
                );
                BoundField {
                    field: Field {
                        ty: string,
                        ..declared
                    },
                    binding: text,
                }
            }
        }
    }

    /// `None`: something in it is wrong, and reported.
    pub(super) fn template(
        &mut self,
        step: usize,
        written: &Spanned<String>,
        declared: &Type,
    ) -> Option<Binding> {
        let template = match Template::parse(&written.value) {
            Ok(template) => template,
            Err(errors) => {
                for error in errors {
                    let span = locate_placeholder(self.sources, written.span, error.placeholder);
                    report_syntax(span, &error.kind, self.diagnostics);
                }
                return None;
            }
        };
        let sources = self.sources;
        let here = |placeholder, text| Here {
            step,
            text,
            around: locate_placeholder(sources, written.span, placeholder),
        };
        if let [Segment::Value(placeholder, text)] = template.segments.as_slice() {
            let here = here(*placeholder, text);
            let node = self.parse(&here)?;
            self.whole = matches!(node.kind, crate::expr::Kind::Path(_));
            let expected = match &declared.kind {
                TypeKind::Optional(inner) => inner,
                _ => declared,
            };
            let value = self.expr(&here, &node, Some(expected));
            self.whole = false;
            return value.map(Binding::Value);
        }
        let mut pieces = Vec::new();
        let mut complete = true;
        for segment in &template.segments {
            match segment {
                Segment::Text(text) => pieces.push(Piece::Literal((*text).to_owned())),
                Segment::Value(placeholder, text) => {
                    let here = here(*placeholder, text);
                    let value = self.parse(&here);
                    match value.and_then(|node| self.operand(&here, &node, None)) {
                        Some(value) => pieces.push(Piece::Value(value)),
                        None => complete = false,
                    }
                }
            }
        }
        complete.then_some(Binding::Text(pieces))
    }

    /// A step's output field; the dependency is noted.
    pub(super) fn output(
        &mut self,
        step: usize,
        name: &str,
        field: &str,
        span: Span,
    ) -> Option<(usize, Field)> {
        let steps = self.workflow.steps();
        let target = steps.iter().position(|step| step.name.value == name);
        let Some(target) = target else {
            self.diagnostics
                .error(
                    Code::UnresolvedPath,
                    span,
                    format!("there is no step `{name}`"),
                )
                .label("unknown step")
                .meant_in(self.sources, span, name, self.workflow.names());
            return None;
        };
        self.depend(step, target, span);
        let outputs = &self.steps[target].outputs;
        if let Some(found) = outputs.iter().find(|output| output.name.text == field) {
            return Some((target, found.clone()));
        }
        // A step whose signature could not be read has been reported itself.
        if !outputs.is_empty() {
            self.diagnostics
                .error(
                    Code::UnresolvedPath,
                    span,
                    format!("step `{name}` has no output `{field}`"),
                )
                .label("unknown output")
                .also(steps[target].name.span, "the step")
                .meant_in(
                    self.sources,
                    span,
                    field,
                    outputs.iter().map(|output| output.name.text.as_str()),
                );
        }
        None
    }

    /// Holds a template's value against the type that its field declares.
    pub(super) fn expect(
        &mut self,
        declared: &Type,
        found: &Type,
        name: &Spanned<String>,
        place: Option<Span>,
        template: &Spanned<String>,
    ) {
        if self.fits(declared, found) {
            return;
        }
        let (wanted, given) = (self.describe(declared), self.describe(found));
        let optional = matches!(found.kind, TypeKind::Optional(_));
        let help = if optional {
            format!(
                "the value may be absent: declare `{name}` with `required: false`, or say what stands for it \
                 (`| default(…)`)"
            )
        } else if declared.kind == TypeKind::String && found.media().is_none() {
            "put text around the path to make it a string, or change the field's type".to_owned()
        } else {
            "change the field's type or its template".to_owned()
        };
        let diagnostic = self.diagnostics.error(
            Code::TypeMismatch,
            template.span,
            format!("field `{name}` is {wanted}, its template gives {given}"),
        );
        diagnostic.label(format!("this is {given}"));
        if let Some(place) = place {
            diagnostic.also(place, format!("expected {wanted}"));
        }
        diagnostic.help(help);
    }

    /// Whether a value of type `found` may stand where `declared` is asked for.
    fn fits(&self, declared: &Type, found: &Type) -> bool {
        if found.media().is_some() && declared.media().is_none() {
            return declared.is_broken();
        }
        match (&declared.kind, &found.kind) {
            (TypeKind::Any | TypeKind::Broken, _)
            | (_, TypeKind::Broken)
            | (TypeKind::Number, TypeKind::Integer)
            | (TypeKind::String, TypeKind::Enum(_))
            | (TypeKind::Object, TypeKind::Struct(_) | TypeKind::Map(_)) => true,
            (TypeKind::Optional(declared), TypeKind::Optional(found))
            | (TypeKind::List(declared), TypeKind::List(found))
            | (TypeKind::Map(declared), TypeKind::Map(found)) => self.fits(declared, found),
            (TypeKind::Optional(declared), _) => self.fits(declared, found),
            _ => self.same(declared, found),
        }
    }

    /// Whether two types hold the same values and read alike in Rust. Limits are for
    /// replies and do not matter between steps.
    pub(super) fn same(&self, a: &Type, b: &Type) -> bool {
        match (&a.kind, &b.kind) {
            (TypeKind::Broken, _) | (_, TypeKind::Broken) => true,
            (TypeKind::List(a), TypeKind::List(b))
            | (TypeKind::Map(a), TypeKind::Map(b))
            | (TypeKind::Optional(a), TypeKind::Optional(b)) => self.same(a, b),
            (TypeKind::Union(a), TypeKind::Union(b)) => a == b,
            (TypeKind::Struct(a), TypeKind::Struct(b)) | (TypeKind::Enum(a), TypeKind::Enum(b)) => {
                let (a_def, b_def) = (&self.types[a.0], &self.types[b.0]);
                // Types that contain themselves have names; those tell.
                if a == b || a_def.recursive || b_def.recursive {
                    return a == b;
                }
                match (&a_def.kind, &b_def.kind) {
                    (TypeDefKind::Struct(a), TypeDefKind::Struct(b)) => {
                        a.len() == b.len()
                            && a.iter()
                                .zip(b)
                                .all(|(a, b)| a.name == b.name && self.same(&a.ty, &b.ty))
                    }
                    (TypeDefKind::Enum(a), TypeDefKind::Enum(b)) => {
                        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.name == b.name)
                    }
                    _ => false,
                }
            }
            (a, b) => a == b,
        }
    }

    /// A type as a message calls it.
    pub(super) fn describe(&self, ty: &Type) -> String {
        match &ty.kind {
            TypeKind::String => "a string".to_owned(),
            TypeKind::Integer => "an integer".to_owned(),
            TypeKind::Number => "a number".to_owned(),
            TypeKind::Boolean => "a boolean".to_owned(),
            TypeKind::Any => "any value".to_owned(),
            TypeKind::Media(kind) => kind.words().to_owned(),
            TypeKind::Object => "an object without a schema".to_owned(),
            TypeKind::List(item) if item.kind == TypeKind::Any => "a list".to_owned(),
            TypeKind::List(item) => format!("a list, each item {}", self.describe(item)),
            TypeKind::Map(value) => format!("a map, each value {}", self.describe(value)),
            TypeKind::Optional(inner) => format!("{} or nothing", self.describe(inner)),
            TypeKind::Struct(reference) => {
                let def = &self.types[reference.0];
                match &def.kind {
                    TypeDefKind::Struct(fields) => {
                        let names: Vec<&str> =
                            fields.iter().map(|f| f.name.text.as_str()).collect();
                        format!("an object of {}", crate::diag::list(&names))
                    }
                    _ => "an object".to_owned(),
                }
            }
            TypeKind::Enum(reference) => {
                let def = &self.types[reference.0];
                match &def.kind {
                    TypeDefKind::Enum(values) => {
                        let names: Vec<&str> =
                            values.iter().map(|v| v.name.text.as_str()).collect();
                        format!("one of {}", crate::diag::list(&names))
                    }
                    _ => "an enum".to_owned(),
                }
            }
            TypeKind::Union(reference) => match &self.types[reference.0].kind {
                TypeDefKind::Union(all) => {
                    let names: Vec<&str> = all.iter().map(|one| one.ident.as_str()).collect();
                    format!("one of the types {}", crate::diag::list(&names))
                }
                _ => "one of several types".to_owned(),
            },
            TypeKind::Broken => "unknown".to_owned(),
        }
    }
}

fn report_syntax(span: Span, kind: &TemplateErrorKind, diagnostics: &mut Diagnostics) {
    match kind {
        TemplateErrorKind::NotClosed => diagnostics
            .error(Code::InvalidTemplate, span, "a `{{` without its `}}`")
            .label("this is never closed"),
        TemplateErrorKind::Empty => diagnostics
            .error(Code::InvalidTemplate, span, "a template without a value")
            .label("expected a path such as `inputs.name` or `steps.step.field`"),
    };
}
