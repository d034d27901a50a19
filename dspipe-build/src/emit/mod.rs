//! The checked workflow as Rust. Cannot fail.

mod blocks;
mod checks;
mod doc;
mod expr;
mod lms;
mod media;
mod metadata;
mod module;
mod one_step;
mod partial;
mod printer;
mod run;
mod schema;
mod types;

use std::cell::Cell;
use std::collections::HashMap;

pub(crate) use expr::each_root;
pub(crate) use one_step::step;
pub(crate) use printer::{Printer, is_balanced};

use crate::ir::{Block, BlockKind, Home, Step, Type, TypeDef, TypeKind, TypeRef, Workflow};
use crate::overrides::{Change, Override};

/// The trait that is written out where it is to be derived.
const SCHEMA_TRAIT: &str = "JsonSchema";

/// What the emitter needs to know besides the workflow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options<'a> {
    /// Where the runtime is found, such as `::dspipe_runtime`.
    pub(crate) runtime: &'a str,
    /// The workflow has errors: emit everything that others may name, and no bodies.
    pub(crate) skeleton: bool,
    /// In front of the names of all types.
    pub(crate) type_prefix: &'a str,
    pub(crate) overrides: &'a [Override],
}

/// The items of a workflow's module.
pub(crate) fn workflow(workflow: &Workflow, options: Options<'_>) -> String {
    let emitter = Emitter::new(workflow, options);
    // What a step takes as a rule.
    let mut out = Printer::with_capacity((workflow.steps.len() + 1) * 10_000);
    emitter.prelude(&mut out);
    metadata::workflow(&emitter, &mut out);
    types::inputs(&emitter, &mut out);
    types::outputs(&emitter, &mut out);
    run::run(&emitter, &mut out);
    metadata::implementation(&emitter, &mut out);
    emitter.definitions(Scope::Workflow, &mut out);
    for (index, step) in workflow.steps.iter().enumerate() {
        emitter.step(index, step, &mut out);
    }
    for (index, block) in workflow.blocks.iter().enumerate() {
        emitter.block(workflow.steps.len() + index, block, &mut out);
    }
    out.into_text()
}

/// The types of each module, in their order.
fn by_home(workflow: &Workflow) -> HashMap<Home, Vec<&TypeDef>> {
    let mut types: HashMap<Home, Vec<&TypeDef>> = HashMap::new();
    for def in workflow.types.iter().filter(|def| def.elsewhere.is_none()) {
        types.entry(def.home).or_default().push(def);
    }
    types
}

/// The paths of all types of a workflow, as overrides name them.
pub(crate) fn type_paths(workflow: &Workflow, type_prefix: &str) -> Vec<String> {
    let path = |scope, name: &str| {
        let name = [type_prefix, unmarked(name)].concat();
        type_path(workflow, scope, &name)
    };
    let mut paths = vec![
        path(Scope::Workflow, "Inputs"),
        path(Scope::Workflow, "Outputs"),
    ];
    for index in 0..workflow.steps.len() {
        let scope = Scope::Step(index);
        paths.extend([path(scope, "Input"), path(scope, "Output")]);
    }
    let types = workflow.types.iter().filter(|def| def.elsewhere.is_none());
    paths.extend(types.map(|def| path(Scope::of(def.home), &def.ident)));
    paths
}

/// An identifier without the mark of raw ones.
fn unmarked(ident: &str) -> &str {
    ident.strip_prefix("r#").unwrap_or(ident)
}

/// `workflow::step::Type`, without the marks of raw identifiers.
fn type_path(workflow: &Workflow, scope: Scope, name: &str) -> String {
    let module = unmarked(&workflow.name.ident);
    let name = unmarked(name);
    match scope {
        Scope::Workflow => [module, "::", name].concat(),
        Scope::Step(step) => {
            let step = unmarked(&workflow.name_of(step).ident);
            [module, "::", step, "::", name].concat()
        }
    }
}

struct Emitter<'a> {
    workflow: &'a Workflow,
    options: Options<'a>,
    types: HashMap<Home, Vec<&'a TypeDef>>,
    /// Whether `run` needs the functions of expressions.
    calls_helpers: Cell<bool>,
    /// The module that expressions are written in.
    scope: Cell<Scope>,
}

impl<'a> Emitter<'a> {
    fn new(workflow: &'a Workflow, options: Options<'a>) -> Self {
        Self {
            workflow,
            options,
            types: by_home(workflow),
            calls_helpers: Cell::new(false),
            scope: Cell::new(Scope::Workflow),
        }
    }
}

impl Emitter<'_> {
    /// One import: everything else in a module is then named by one word. The names
    /// are reserved in `check`, so no generated type can hide one.
    fn prelude(&self, out: &mut Printer) {
        out.line("#[allow(unused_imports, clippy::wildcard_imports)]");
        out.line(["use ", self.options.runtime, "::generated::*;"]);
    }

    fn step(&self, index: usize, step: &Step, out: &mut Printer) {
        run::step_function(self, step, out);
        let name = &step.name.text;
        out.blank();
        out.doc(["The types of step `", name, "`."]);
        out.open(["pub mod ", &step.name.ident, " {"]);
        self.prelude(out);
        let scope = Scope::Step(index);
        self.scope.set(scope);
        metadata::signature(self, step, out);
        self.scope.set(Scope::Workflow);
        let head = |ident: &str, text: String| types::Head {
            scope,
            name: self.type_name(ident),
            docs: vec![text],
        };
        let takes = head("Input", ["What `", name, "` takes."].concat());
        let inputs = step.inputs.iter().map(|input| &input.field);
        types::record(self, &takes, inputs, out);
        let gives = head("Output", ["What `", name, "` gives."].concat());
        types::record(self, &gives, step.outputs.iter(), out);
        if self.has_schema(scope, &gives.name) {
            let schema = schema::of_fields(self.workflow, step.outputs.iter());
            types::json_schema(self, &gives.name, &schema, out);
        }
        self.definitions(scope, out);
        if step.streams {
            partial::stream(self, index, step, out);
        }
        out.close("}");
    }

    /// The types of a block.
    fn block(&self, node: usize, block: &Block, out: &mut Printer) {
        let fallback = match &block.kind {
            BlockKind::Call(call) => match &call.workflow {
                Some(workflow) if call.owner == node => {
                    return self.called(block, workflow, out);
                }
                _ => return,
            },
            BlockKind::For(_) | BlockKind::While(_) => {
                ["The types of loop `", &block.name.text, "`."].concat()
            }
        };
        out.blank();
        out.docs(&doc::item(&fallback, &block.description, &block.source));
        out.open(["pub mod ", &block.name.ident, " {"]);
        self.prelude(out);
        self.definitions(Scope::Step(node), out);
        out.close("}");
    }

    /// A workflow that is called.
    fn called(&self, block: &Block, called: &Workflow, out: &mut Printer) {
        let name = &called.name.text;
        let fallback = ["The workflow `", name, "`, which is called here."].concat();
        out.blank();
        out.docs(&doc::item(&fallback, &block.description, &called.source));
        out.open(["pub mod ", &block.name.ident, " {"]);
        for line in workflow(called, self.options).lines() {
            match line {
                "" => out.blank(),
                line => out.line(line),
            }
        }
        out.close("}");
    }

    fn definitions(&self, scope: Scope, out: &mut Printer) {
        for def in self.types.get(&scope.home()).into_iter().flatten() {
            types::definition(self, scope, def, out);
        }
    }

    /// A type as it is written in `scope`.
    fn ty(&self, ty: &Type, scope: Scope) -> String {
        match &ty.kind {
            TypeKind::String => "String".to_owned(),
            TypeKind::Integer => "i64".to_owned(),
            TypeKind::Number => "f64".to_owned(),
            TypeKind::Boolean => "bool".to_owned(),
            TypeKind::Any | TypeKind::Broken => "Value".to_owned(),
            TypeKind::Object => "Map<String, Value>".to_owned(),
            TypeKind::Media(_) => [self.options.runtime, "::media::Media"].concat(),
            TypeKind::List(item) => ["Vec<", &self.ty(item, scope), ">"].concat(),
            TypeKind::Map(value) => format!("BTreeMap<String, {}>", self.ty(value, scope)),
            TypeKind::Optional(inner) => ["Option<", &self.ty(inner, scope), ">"].concat(),
            TypeKind::Struct(reference)
            | TypeKind::Enum(reference)
            | TypeKind::Union(reference) => self.type_path(*reference, scope),
        }
    }

    fn type_path(&self, reference: TypeRef, scope: Scope) -> String {
        let def = self.workflow.type_def(reference);
        if let Some(replacement) = self.replacement(def) {
            return replacement.to_owned();
        }
        let mut name = self.type_name(&def.ident);
        if let Some(module) = &def.elsewhere {
            name.insert_str(0, module);
        }
        match (scope, def.home) {
            (Scope::Workflow, Home::Workflow) => name,
            (Scope::Step(_), Home::Workflow) => format!("super::{name}"),
            (Scope::Step(step), Home::Step(home)) if step == home => name,
            (scope, Home::Step(home)) => {
                let module = &self.workflow.name_of(home).ident;
                match scope {
                    Scope::Workflow => format!("{module}::{name}"),
                    Scope::Step(_) => format!("super::{module}::{name}"),
                }
            }
        }
    }

    /// The name of a type as it is generated.
    fn type_name(&self, name: &str) -> String {
        match self.options.type_prefix {
            "" => name.to_owned(),
            prefix => format!("{prefix}{}", unmarked(name)),
        }
    }

    /// The user's type that takes the place of a generated one.
    fn replacement<'a>(&'a self, def: &'a TypeDef) -> Option<&'a str> {
        if self.options.overrides.is_empty() {
            return def.replacement.as_deref();
        }
        let name = self.type_name(&def.ident);
        let path = type_path(self.workflow, Scope::of(def.home), &name);
        let mut changes = self.options.overrides.iter().rev();
        changes
            .find_map(|change| match &change.change {
                Change::Replace(ty) if change.is_for(&path) => Some(ty.as_str()),
                _ => None,
            })
            .or(def.replacement.as_deref())
    }

    /// The attributes that a type gets on top, without derives that it has anyway.
    fn attributes(&self, scope: Scope, name: &str, derived: &str) -> Vec<String> {
        if self.options.overrides.is_empty() {
            return Vec::new();
        }
        let path = type_path(self.workflow, scope, name);
        let mut seen: Vec<String> = derived.split(", ").map(str::to_owned).collect();
        seen.push(SCHEMA_TRAIT.to_owned());
        let mut traits: Vec<&str> = Vec::new();
        let mut attributes = Vec::new();
        for change in self.options.overrides.iter().filter(|c| c.is_for(&path)) {
            match &change.change {
                Change::Derive(wanted) => {
                    for name in wanted {
                        let last = name.rsplit("::").next().unwrap_or(name).trim();
                        if !seen.iter().any(|known| known == last) {
                            seen.push(last.to_owned());
                            traits.push(name);
                        }
                    }
                }
                Change::Attribute(text) => attributes.push(text.clone()),
                Change::Replace(_) => {}
            }
        }
        if !traits.is_empty() {
            attributes.insert(0, format!("#[derive({})]", traits.join(", ")));
        }
        attributes
    }

    /// Whether a type is asked to have a schema of its own.
    fn has_schema(&self, scope: Scope, name: &str) -> bool {
        let path = || type_path(self.workflow, scope, name);
        let mut changes = self.options.overrides.iter();
        changes.any(|change| match &change.change {
            Change::Derive(wanted) => {
                let mut traits = wanted.iter().map(|name| name.rsplit("::").next());
                traits.any(|name| name == Some(SCHEMA_TRAIT)) && change.is_for(&path())
            }
            _ => false,
        })
    }

    /// Whether values of a type are copied rather than cloned.
    fn is_copy(ty: &Type) -> bool {
        match &ty.kind {
            TypeKind::Integer | TypeKind::Number | TypeKind::Boolean | TypeKind::Enum(_) => true,
            TypeKind::Optional(inner) => Self::is_copy(inner),
            _ => false,
        }
    }
}

/// The module that code is written in.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Scope {
    Workflow,
    Step(usize),
}

impl Scope {
    fn of(home: Home) -> Self {
        match home {
            Home::Workflow => Self::Workflow,
            Home::Step(step) => Self::Step(step),
        }
    }

    fn home(self) -> Home {
        match self {
            Self::Workflow => Home::Workflow,
            Self::Step(step) => Home::Step(step),
        }
    }
}
