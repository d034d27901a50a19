//! The checked workflow as Rust. Cannot fail.

mod doc;
mod expr;
mod metadata;
mod run;
mod schema;
mod types;

use std::cell::Cell;
use std::collections::HashMap;

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{format_ident, quote};

use crate::ir::{Field, Home, Step, Type, TypeDef, TypeKind, TypeRef, Workflow};
use crate::overrides::{Change, Override};

/// What the emitter needs to know besides the workflow.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Where the runtime is found, such as `::dspipe_runtime`.
    pub(crate) runtime: TokenStream,
    /// The workflow has errors: emit everything that others may name, and no bodies.
    pub(crate) skeleton: bool,
    /// In front of the names of all types.
    pub(crate) type_prefix: String,
    pub(crate) overrides: Vec<Override>,
}

/// The items of a workflow's module.
pub(crate) fn workflow(workflow: &Workflow, options: &Options) -> TokenStream {
    let emitter = Emitter {
        workflow,
        options,
        types: by_home(workflow),
        calls_helpers: Cell::new(false),
    };
    let prelude = emitter.prelude();
    let metadata = metadata::workflow(&emitter);
    let inputs = types::inputs(&emitter);
    let outputs = types::outputs(&emitter);
    let run = run::run(&emitter);
    let types = emitter.definitions(Scope::Workflow);
    let steps = workflow
        .steps
        .iter()
        .enumerate()
        .map(|(index, step)| emitter.step(index, step));
    quote! {
        #prelude
        #metadata
        #inputs
        #outputs
        #run
        #(#types)*
        #(#steps)*
    }
}

/// The types of each module, in their order.
fn by_home(workflow: &Workflow) -> HashMap<Home, Vec<&TypeDef>> {
    let mut types: HashMap<Home, Vec<&TypeDef>> = HashMap::new();
    for def in &workflow.types {
        types.entry(def.home).or_default().push(def);
    }
    types
}

/// The paths of all types of a workflow, as overrides name them.
pub(crate) fn type_paths(workflow: &Workflow, type_prefix: &str) -> Vec<String> {
    let path = |scope, name: &str| {
        let name = format!("{type_prefix}{}", name.trim_start_matches("r#"));
        type_path(workflow, scope, &name)
    };
    let mut paths = vec![
        path(Scope::Workflow, "Inputs"),
        path(Scope::Workflow, "Outputs"),
    ];
    let types = by_home(workflow);
    let mut of = |scope: Scope| {
        let types = types.get(&scope.home()).into_iter().flatten();
        paths.extend(types.map(|def| path(scope, &def.ident)));
    };
    of(Scope::Workflow);
    for index in 0..workflow.steps.len() {
        of(Scope::Step(index));
    }
    for index in 0..workflow.steps.len() {
        let scope = Scope::Step(index);
        paths.extend([path(scope, "Input"), path(scope, "Output")]);
    }
    paths
}

/// `workflow::step::Type`, without the marks of raw identifiers.
fn type_path(workflow: &Workflow, scope: Scope, name: &str) -> String {
    let module = workflow.name.ident.trim_start_matches("r#");
    let name = name.trim_start_matches("r#");
    match scope {
        Scope::Workflow => format!("{module}::{name}"),
        Scope::Step(step) => {
            let step = workflow.steps[step].name.ident.trim_start_matches("r#");
            format!("{module}::{step}::{name}")
        }
    }
}

struct Emitter<'a> {
    workflow: &'a Workflow,
    options: &'a Options,
    types: HashMap<Home, Vec<&'a TypeDef>>,
    /// Whether `run` needs the functions of expressions.
    calls_helpers: Cell<bool>,
}

impl Emitter<'_> {
    /// One import: everything else in a module is then named by one word. The names
    /// are reserved in `check`, so no generated type can hide one.
    fn prelude(&self) -> TokenStream {
        let runtime = &self.options.runtime;
        quote! {
            #[allow(unused_imports, clippy::wildcard_imports)]
            use #runtime::generated::*;
        }
    }

    fn step(&self, index: usize, step: &Step) -> TokenStream {
        let function = run::step_function(self, step);
        let module = ident(&step.name.ident);
        let docs = doc::step_module(step);
        let prelude = self.prelude();
        let signature = metadata::signature(self, step);
        let input_fields: Vec<&Field> = step.inputs.iter().map(|input| &input.field).collect();
        let output_fields: Vec<&Field> = step.outputs.iter().collect();
        let input_docs = doc::lines(&[&format!("What `{}` takes.", step.name.text)]);
        let output_docs = doc::lines(&[&format!("What `{}` gives.", step.name.text)]);
        let scope = Scope::Step(index);
        let input = types::record(
            self,
            scope,
            &self.type_name("Input"),
            &input_docs,
            &input_fields,
        );
        let output = types::record(
            self,
            scope,
            &self.type_name("Output"),
            &output_docs,
            &output_fields,
        );
        let definitions = self.definitions(scope);
        quote! {
            #function

            #docs
            pub mod #module {
                #prelude
                #signature
                #input
                #output
                #(#definitions)*
            }
        }
    }

    fn definitions(&self, scope: Scope) -> Vec<TokenStream> {
        let types = self.types.get(&scope.home()).into_iter().flatten();
        types
            .map(|def| types::definition(self, scope, def))
            .collect()
    }

    /// A type as it is written in `scope`.
    fn ty(&self, ty: &Type, scope: Scope) -> TokenStream {
        match &ty.kind {
            TypeKind::String => quote!(String),
            TypeKind::Integer => quote!(i64),
            TypeKind::Number => quote!(f64),
            TypeKind::Boolean => quote!(bool),
            TypeKind::Any | TypeKind::Broken => quote!(Value),
            TypeKind::Object => quote!(Map<String, Value>),
            TypeKind::List(item) => {
                let item = self.ty(item, scope);
                quote!(Vec<#item>)
            }
            TypeKind::Map(value) => {
                let value = self.ty(value, scope);
                quote!(BTreeMap<String, #value>)
            }
            TypeKind::Optional(inner) => {
                let inner = self.ty(inner, scope);
                quote!(Option<#inner>)
            }
            TypeKind::Struct(reference)
            | TypeKind::Enum(reference)
            | TypeKind::Union(reference) => self.type_path(*reference, scope),
        }
    }

    fn type_path(&self, reference: TypeRef, scope: Scope) -> TokenStream {
        let def = self.workflow.type_def(reference);
        if let Some(replacement) = self.replacement(def) {
            return replacement;
        }
        let name = self.type_name(&def.ident);
        match (scope, def.home) {
            (Scope::Workflow, Home::Workflow) => quote!(#name),
            (Scope::Step(_), Home::Workflow) => quote!(super::#name),
            (Scope::Step(step), Home::Step(home)) if step == home => quote!(#name),
            (scope, Home::Step(home)) => {
                let module = ident(&self.workflow.steps[home].name.ident);
                match scope {
                    Scope::Workflow => quote!(#module::#name),
                    Scope::Step(_) => quote!(super::#module::#name),
                }
            }
        }
    }

    /// The name of a type as it is generated.
    fn type_name(&self, name: &str) -> Ident {
        match self.options.type_prefix.as_str() {
            "" => ident(name),
            prefix => format_ident!("{prefix}{}", name.trim_start_matches("r#")),
        }
    }

    /// The user's type that takes the place of a generated one.
    fn replacement(&self, def: &TypeDef) -> Option<TokenStream> {
        let name = self.type_name(&def.ident).to_string();
        let path = type_path(self.workflow, Scope::of(def.home), &name);
        let changes = &self.options.overrides;
        changes
            .iter()
            .rev()
            .find_map(|change| match &change.change {
                Change::Replace(ty) if change.is_for(&path) => ty.parse().ok(),
                _ => None,
            })
            .or_else(|| def.replacement.as_ref()?.parse().ok())
    }

    /// The attributes that a type gets on top, without derives that it has anyway.
    fn attributes(&self, scope: Scope, name: &Ident, derived: &[&str]) -> TokenStream {
        if self.options.overrides.is_empty() {
            return TokenStream::new();
        }
        let path = type_path(self.workflow, scope, &name.to_string());
        let mut seen: Vec<String> = derived.iter().map(|&name| name.to_owned()).collect();
        let mut traits = Vec::new();
        let mut attributes = TokenStream::new();
        for change in self.options.overrides.iter().filter(|c| c.is_for(&path)) {
            match &change.change {
                Change::Derive(wanted) => {
                    for name in wanted {
                        let last = name.rsplit("::").next().unwrap_or(name).trim();
                        if !seen.iter().any(|known| known == last) {
                            seen.push(last.to_owned());
                            traits.extend(name.parse::<TokenStream>().ok());
                        }
                    }
                }
                Change::Attribute(text) => attributes.extend(text.parse::<TokenStream>().ok()),
                Change::Replace(_) => {}
            }
        }
        let derive = (!traits.is_empty()).then(|| quote!(#[derive(#(#traits),*)]));
        quote!(#derive #attributes)
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

/// A string literal, raw where quotes would otherwise have to be escaped.
fn string(text: &str) -> TokenStream {
    let plain = Literal::string(text);
    let readable = text.contains('"') && !text.contains(['\n', '\r']);
    let mut marks = "#".to_owned();
    while text.contains(&format!("\"{marks}")) {
        marks.push('#');
    }
    let raw = readable.then(|| format!("r{marks}\"{text}\"{marks}").parse().ok());
    raw.flatten().unwrap_or_else(|| quote!(#plain))
}

/// An identifier of the IR, which may be raw.
fn ident(name: &str) -> Ident {
    match name.strip_prefix("r#") {
        Some(raw) => Ident::new_raw(raw, Span::call_site()),
        None => format_ident!("{name}"),
    }
}
