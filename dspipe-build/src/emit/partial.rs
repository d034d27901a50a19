//! What has come of a step's output while it is streamed: structs in which every field is optional.
//!
//! Only for steps that ask for it, so that the others cost rustc nothing. All of a step's partial types
//! stand in its module, also those of types that stand elsewhere.

use std::collections::HashSet;

use super::printer::{Printer, string};
use super::{Emitter, Scope, doc, types};
use crate::check::another;
use crate::ir::{Field, Home, Step, Type, TypeDefKind, TypeKind, TypeRef};

/// The partial types of a step, and the function that streams it.
pub(super) fn stream(emitter: &Emitter<'_>, index: usize, step: &Step, out: &mut Printer) {
    let runtime = &emitter.options.runtime;
    let names = Names::new(emitter, index, step);
    let (name, output) = (&step.name.text, &names.output);
    out.blank();
    out.open(format_args!("impl {runtime}::Streaming for Step {{"));
    out.line(format_args!("type Partial = {output};"));
    out.close("}");

    out.blank();
    out.doc(format_args!(
        "Runs step `{name}`, with its output while it comes. An error is the last item."
    ));
    out.open("pub fn stream(");
    out.line(format_args!("runner: &{runtime}::LocalRunner,"));
    out.line(format_args!("input: &{},", emitter.type_name("Input")));
    out.close(format_args!(
        ") -> {runtime}::stream::OutputStream<Step> {{"
    ));
    out.indent();
    out.line("runner.stream::<Step>(input)");
    out.close("}");

    names.record(output, step.outputs.iter(), out);
    for (reference, name) in &names.structs {
        if let TypeDefKind::Struct(fields) = &emitter.workflow.type_def(*reference).kind {
            names.record(name, fields.iter(), out);
        }
    }
}

/// The structs that are there in parts, and what they are called.
struct Names<'e> {
    emitter: &'e Emitter<'e>,
    scope: Scope,
    output: String,
    structs: Vec<(TypeRef, String)>,
}

impl<'e> Names<'e> {
    fn new(emitter: &'e Emitter<'e>, index: usize, step: &Step) -> Self {
        let here = emitter.types.get(&Home::Step(index)).into_iter().flatten();
        let mut taken: HashSet<String> = here.map(|def| emitter.type_name(&def.ident)).collect();
        let mut name = |ident: &str| {
            let wanted = format!(
                "Partial{}",
                emitter.type_name(ident).trim_start_matches("r#")
            );
            let name = if taken.contains(&wanted) {
                another(&wanted, |name| taken.contains(name))
            } else {
                wanted
            };
            taken.insert(name.clone());
            name
        };
        let output = name("Output");
        let mut structs = Vec::new();
        for field in &step.outputs {
            add(emitter, &field.ty, &mut structs);
        }
        let mut done = 0;
        while let Some(reference) = structs.get(done).copied() {
            if let TypeDefKind::Struct(fields) = &emitter.workflow.type_def(reference).kind {
                for field in fields {
                    add(emitter, &field.ty, &mut structs);
                }
            }
            done += 1;
        }
        let named = |reference: TypeRef| {
            let ident = &emitter.workflow.type_def(reference).ident;
            (reference, name(ident))
        };
        Self {
            emitter,
            scope: Scope::Step(index),
            output,
            structs: structs.into_iter().map(named).collect(),
        }
    }

    /// The name of a struct that is there in parts.
    fn name(&self, reference: TypeRef) -> Option<&str> {
        let mut structs = self.structs.iter();
        structs
            .find(|(known, _)| *known == reference)
            .map(|(_, name)| name.as_str())
    }

    fn record<'f>(&self, name: &str, fields: impl Iterator<Item = &'f Field>, out: &mut Printer) {
        let runtime = &self.emitter.options.runtime;
        let fields: Vec<(&Field, Target)> = fields
            .map(|field| {
                let ty = match &field.ty.kind {
                    TypeKind::Optional(inner) => inner,
                    _ => &field.ty,
                };
                let mut target = self.target(ty);
                if field.boxed {
                    target = Target {
                        ty: format!("Box<{}>", target.ty),
                        ..target.inside("boxed")
                    };
                }
                (field, target)
            })
            .collect();
        out.blank();
        out.doc("What has come so far.");
        out.line("#[derive(Clone, Debug, Default, PartialEq)]");
        out.open(format_args!("pub struct {name} {{"));
        for (field, target) in &fields {
            out.docs(&doc::field(&field.name.text, &field.description));
            out.line(format_args!(
                "pub {}: Option<{}>,",
                field.name.ident, target.ty
            ));
        }
        out.close("}");

        out.blank();
        out.open(format_args!(
            "impl {runtime}::stream::Partial for {name} {{"
        ));
        out.open(format_args!(
            "fn field(&mut self, key: &str, part: {runtime}::stream::Part<'_>) -> bool {{"
        ));
        out.open("match key {");
        for (field, target) in &fields {
            let (key, ident) = (string(&field.name.text), &field.name.ident);
            let call = target.call("part", &format!("&mut self.{ident}"), runtime);
            out.flow(format_args!("{key} => {call},"));
        }
        out.line("_ => false,");
        out.close("}");
        out.close("}");
        out.close("}");

        let members: Vec<_> = fields.iter().map(|(field, _)| &field.name).collect();
        types::serialize(name, &members, out);
    }

    fn whole(&self, ty: &Type) -> Target {
        Target::new(self.emitter.ty(ty, self.scope), "whole")
    }

    fn target(&self, ty: &Type) -> Target {
        match &ty.kind {
            TypeKind::String => Target::new("String".to_owned(), "text"),
            TypeKind::List(item) => {
                let item = self.target(item);
                let ty = format!("Vec<{}>", item.ty);
                Target {
                    ty,
                    ..item.inside("list")
                }
            }
            TypeKind::Map(value) => {
                let value = self.target(value);
                let ty = format!("BTreeMap<String, {}>", value.ty);
                Target {
                    ty,
                    ..value.inside("map")
                }
            }
            TypeKind::Optional(inner) => {
                let inner = self.target(inner);
                let ty = format!("Option<{}>", inner.ty);
                Target {
                    ty,
                    ..inner.inside("optional")
                }
            }
            TypeKind::Struct(reference) => match self.name(*reference) {
                Some(name) => Target::new(name.to_owned(), "object"),
                None => self.whole(ty),
            },
            _ => self.whole(ty),
        }
    }
}

/// The structs in a type, also inside lists and maps.
fn add(emitter: &Emitter<'_>, ty: &Type, structs: &mut Vec<TypeRef>) {
    match &ty.kind {
        TypeKind::List(inner) | TypeKind::Map(inner) | TypeKind::Optional(inner) => {
            add(emitter, inner, structs);
        }
        TypeKind::Struct(reference) => {
            let def = emitter.workflow.type_def(*reference);
            if emitter.replacement(def).is_none() && !structs.contains(reference) {
                structs.push(*reference);
            }
        }
        _ => {}
    }
}

/// A type in parts, and the methods of `Part` that lead into it, the outermost first.
struct Target {
    ty: String,
    methods: Vec<&'static str>,
}

impl Target {
    fn new(ty: String, method: &'static str) -> Self {
        Self {
            ty,
            methods: vec![method],
        }
    }

    fn inside(mut self, method: &'static str) -> Self {
        self.methods.insert(0, method);
        self
    }

    /// The call that takes a part in.
    fn call(&self, part: &str, to: &str, runtime: &str) -> String {
        call(&self.methods, part, to, runtime)
    }
}

fn call(methods: &[&str], part: &str, to: &str, runtime: &str) -> String {
    match methods {
        [] => "false".to_owned(),
        [method] => format!("{part}.{method}({to})"),
        [method, inner] => format!("{part}.{method}({to}, {runtime}::stream::Part::{inner})"),
        [method, inner @ ..] => {
            let inner = call(inner, "part", "to", runtime);
            format!("{part}.{method}({to}, |part, to| {inner})")
        }
    }
}
