//! Calls of other workflows: their types among those of the caller, and what they are given.

use std::collections::HashMap;
use std::path::Path;

use super::exprs::Here;
use super::functions::float;
use super::templates::Binder;
use crate::diag::Code;
use crate::ir::{
    self, Binding, CallInput, Field, Home, Passed, Type, TypeDef, TypeDefKind, TypeKind, TypeRef,
};
use crate::nested::Called;
use crate::source::{Span, Spanned};
use crate::spec;

/// The types of a workflow that is called.
#[derive(Debug, Clone)]
pub(super) struct Imported {
    /// The node in whose module they are.
    pub(super) owner: usize,
    /// How many types stand before its own.
    before: usize,
    pub(super) outputs: Type,
}

/// The types of all workflows that are called, each once.
#[derive(Debug, Default)]
pub(super) struct Imports<'a>(HashMap<&'a Path, Imported>);

impl<'a> Imports<'a> {
    /// Those of one workflow, as a node calls it.
    pub(super) fn of(
        &mut self,
        called: &'a Called,
        node: usize,
        types: &mut Vec<TypeDef>,
    ) -> Imported {
        let import = || import(&called.workflow, node, types);
        self.0.entry(&called.path).or_insert_with(import).clone()
    }
}

fn import(workflow: &ir::Workflow, owner: usize, types: &mut Vec<TypeDef>) -> Imported {
    let before = types.len();
    let module = |node: usize| [&workflow.name_of(node).ident, "::"].concat();
    for def in &workflow.types {
        let home = match def.home {
            Home::Workflow => String::new(),
            Home::Step(node) => module(node),
        };
        let elsewhere = home + def.elsewhere.as_deref().unwrap_or_default();
        types.push(TypeDef {
            ident: def.ident.clone(),
            home: Home::Step(owner),
            description: def.description.clone(),
            source: def.source.clone(),
            kind: shifted(&def.kind, before),
            replacement: def.replacement.clone(),
            recursive: def.recursive,
            elsewhere: Some(elsewhere),
        });
    }
    let mut structure = |ident: &str, module: String, description: String, fields| {
        types.push(TypeDef {
            ident: ident.to_owned(),
            home: Home::Step(owner),
            description,
            source: String::new(),
            kind: TypeDefKind::Struct(fields),
            replacement: None,
            recursive: false,
            elsewhere: Some(module),
        });
        Type::new(TypeKind::Struct(TypeRef(types.len() - 1)))
    };
    let mut fields = Vec::with_capacity(workflow.members.len());
    for &node in &workflow.members {
        let name = workflow.name_of(node).clone();
        let ty = match workflow.block_at(node) {
            Some(block) => block.ty.shifted(before),
            None => {
                let outputs = workflow.steps[node].outputs.iter();
                let outputs = outputs.map(|field| moved(field, before)).collect();
                let description = format!("What `{}` gives.", name.text);
                structure("Output", module(node), description, outputs)
            }
        };
        let guarded = workflow.guard_of(node).is_some();
        fields.push(super::blocks::member(name, ty, guarded));
    }
    let description = format!("What each step of `{}` gave.", workflow.name.text);
    let outputs = structure("Outputs", String::new(), description, fields);
    Imported {
        owner,
        before,
        outputs,
    }
}

fn moved(field: &Field, by: usize) -> Field {
    Field {
        ty: field.ty.shifted(by),
        ..field.clone()
    }
}

fn shifted(kind: &TypeDefKind, by: usize) -> TypeDefKind {
    match kind {
        TypeDefKind::Struct(fields) => {
            TypeDefKind::Struct(fields.iter().map(|field| moved(field, by)).collect())
        }
        TypeDefKind::Enum(values) => TypeDefKind::Enum(values.clone()),
        TypeDefKind::Union(all) => {
            let all = all.iter().map(|one| ir::Alternative {
                ty: one.ty.shifted(by),
                ..one.clone()
            });
            TypeDefKind::Union(all.collect())
        }
    }
}

impl Binder<'_> {
    /// What a call gives to the workflow that it calls.
    pub(super) fn call_inputs(
        &mut self,
        node: usize,
        written: &spec::Call,
        called: &Called,
        imported: &Imported,
    ) -> Vec<CallInput> {
        let inputs = &called.workflow.inputs;
        for (index, (name, _)) in written.inputs.iter().enumerate() {
            let mut before = written.inputs[..index].iter();
            if before.any(|(known, _)| known.value == name.value) {
                // Reported as a key that is there twice.
                continue;
            }
            if !inputs
                .iter()
                .any(|input| input.field.name.text == name.value)
            {
                let known = inputs.iter().map(|input| input.field.name.text.as_str());
                self.diagnostics
                    .error(
                        Code::UnknownKey,
                        name.span,
                        format!(
                            "the workflow `{}` has no input `{name}`",
                            called.workflow.name.text
                        ),
                    )
                    .label("unknown input")
                    .meant(name.span, &name.value, known);
            }
        }
        let place = self.workflow.name_of(node).span;
        inputs
            .iter()
            .map(|input| {
                let declared = moved(&input.field, imported.before);
                let mut given = written.inputs.iter();
                let given = given.find(|(name, _)| name.value == declared.name.text);
                match given {
                    Some((name, text)) => self.call_input(node, &declared, name, text),
                    None => self.not_given(&declared, called, place),
                }
            })
            .collect()
    }

    fn not_given(&mut self, declared: &Field, called: &Called, place: Span) -> CallInput {
        let value = match &declared.default {
            Some(default) => Passed::Default(default.clone()),
            None => Passed::Nothing,
        };
        let optional = matches!(declared.ty.kind, TypeKind::Optional(_));
        if declared.default.is_none() && !optional {
            let wanted = self.describe(&declared.ty);
            let name = &declared.name.text;
            self.diagnostics
                .error(
                    Code::MissingKey,
                    place,
                    format!(
                        "the workflow `{}` needs the input `{name}`",
                        called.workflow.name.text
                    ),
                )
                .label(format!("`inputs` has no `{name}`, which is {wanted}"));
        }
        CallInput {
            name: declared.name.clone(),
            wrapped: false,
            value,
        }
    }

    fn call_input(
        &mut self,
        node: usize,
        declared: &Field,
        name: &Spanned<String>,
        text: &Spanned<String>,
    ) -> CallInput {
        let binding = self.given(node, declared, text);
        let found = match &binding {
            Some(Binding::Value(value)) => value.ty.clone(),
            Some(Binding::Text(_)) => Type::new(TypeKind::String),
            None => Type::broken(),
        };
        self.expect(&declared.ty, &found, name, None, text);
        let (wanted, wrapped) = match &declared.ty.kind {
            TypeKind::Optional(inner) if !matches!(found.kind, TypeKind::Optional(_)) => {
                (&**inner, true)
            }
            _ => (&declared.ty, false),
        };
        let value = match binding {
            None => Passed::Nothing,
            Some(binding) if is_same(wanted, &found) => Passed::Same(binding),
            Some(Binding::Value(value)) if is_number(wanted, &found) => {
                Passed::Same(Binding::Value(float(value)))
            }
            Some(binding) => Passed::Read(binding),
        };
        CallInput {
            name: declared.name.clone(),
            wrapped,
            value,
        }
    }

    /// A template; a number, a boolean and a value of an enum may stand by itself.
    fn given(&mut self, node: usize, declared: &Field, text: &Spanned<String>) -> Option<Binding> {
        let inner = match &declared.ty.kind {
            TypeKind::Optional(inner) => inner,
            _ => &declared.ty,
        };
        let is_literal = !text.value.contains("{{");
        let is_scalar = matches!(
            inner.kind,
            TypeKind::Integer | TypeKind::Number | TypeKind::Boolean
        );
        let here = Here {
            step: node,
            text: &text.value,
            around: text.span,
        };
        if is_literal && is_scalar {
            let parsed = self.parse(&here)?;
            return self.expr(&here, &parsed, Some(inner)).map(Binding::Value);
        }
        if is_literal && let TypeKind::Enum(_) = inner.kind {
            let whole = crate::expr::Node {
                range: 0..text.value.len(),
                kind: crate::expr::Kind::Text(text.value.clone()),
            };
            return self.expr(&here, &whole, Some(inner)).map(Binding::Value);
        }
        self.template(node, text, &declared.ty)
    }
}

/// Whether two types are one in Rust.
fn is_same(a: &Type, b: &Type) -> bool {
    match (&a.kind, &b.kind) {
        (TypeKind::List(a), TypeKind::List(b))
        | (TypeKind::Map(a), TypeKind::Map(b))
        | (TypeKind::Optional(a), TypeKind::Optional(b)) => is_same(a, b),
        (a, b) => a == b,
    }
}

fn is_number(wanted: &Type, found: &Type) -> bool {
    wanted.kind == TypeKind::Number && found.kind == TypeKind::Integer
}
