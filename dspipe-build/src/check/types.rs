//! Written types and schemas to types that exist.

use std::collections::HashMap;

use super::choices::scalar_type;
use super::limits;
use super::names;
use super::recursion;
use super::report_duplicate;
use super::values;
use crate::diag::{Code, Diagnostics};
use crate::ir::{Bounds, Field, Home, Type, TypeDef, TypeDefKind, TypeKind, TypeRef};
use crate::library::Library;
use crate::source::{Sources, Span, Spanned};
use crate::spec::{self, Schema};
use crate::ty::TypeExpr;
use crate::yaml::Node;

/// The fields of a step.
#[derive(Debug, Clone)]
pub(crate) struct StepTypes {
    /// As declared; a template may make a type more precise later.
    pub(crate) inputs: Vec<Field>,
    pub(crate) outputs: Vec<Field>,
    /// The first output is the reasoning, which examples need not have.
    pub(crate) reasons: bool,
}

/// All types of a workflow.
pub(super) struct Lowered {
    pub(super) steps: Vec<StepTypes>,
    /// The inputs that the workflow declares.
    pub(super) inputs: Vec<Field>,
    pub(super) types: Vec<TypeDef>,
}

/// Lowers the fields of all steps and all named types.
pub(super) fn lower(
    workflow: &spec::Workflow,
    library: &Library,
    sources: &Sources,
    diagnostics: &mut Diagnostics,
) -> Lowered {
    let mut lowering = Lowering {
        library,
        named: vec![Named::Untouched; library.types().len()],
        used: vec![false; library.types().len()],
        home: Home::Workflow,
        sources,
        diagnostics,
        types: Vec::new(),
        idents: HashMap::new(),
        numbers: HashMap::new(),
        defaults: Vec::new(),
        shows: false,
    };
    let mut steps: Vec<StepTypes> = workflow
        .steps()
        .iter()
        .enumerate()
        .map(|(index, step)| lowering.step(index, step))
        .collect();
    lowering.home = Home::Workflow;
    let mut inputs = lowering.fields(&workflow.inputs, Place::Workflow);
    // What nothing refers to is checked all the same.
    for index in 0..library.types().len() {
        lowering.named(index, 0);
    }
    lowering.report_unused();
    let Lowering {
        mut types,
        defaults,
        diagnostics,
        ..
    } = lowering;
    recursion::resolve(&mut types, library, diagnostics);
    for Default { node, ty, place } in defaults {
        let mut reader = values::Values {
            types: &types,
            code: Code::InvalidDefault,
            partial: false,
            diagnostics: &mut *diagnostics,
        };
        let value = reader.value(node, &ty, "default");
        let field = match place {
            Place::Property(TypeRef(index), at) => match &mut types[index].kind {
                TypeDefKind::Struct(fields) => fields.get_mut(at),
                _ => None,
            },
            Place::Workflow(at) => inputs.get_mut(at),
            Place::Input(step, at) => steps[step].inputs.get_mut(at),
            Place::Output(step, at) => steps[step].outputs.get_mut(at),
        };
        if let Some(field) = field {
            field.default = value;
        }
    }
    Lowered {
        steps,
        inputs,
        types,
    }
}

/// How far a named type has got.
#[derive(Debug, Clone)]
pub(super) enum Named {
    Untouched,
    /// It stands for what its schema says, which is being found out.
    Open,
    Known(Type),
}

/// A default whose type may not be complete yet.
pub(super) struct Default<'a> {
    pub(super) node: &'a Node,
    pub(super) ty: Type,
    pub(super) place: Place,
}

/// The field that a default belongs to.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Property(TypeRef, usize),
    /// A declared input of the workflow.
    Workflow(usize),
    Input(usize, usize),
    Output(usize, usize),
}

pub(super) struct Lowering<'a> {
    pub(super) library: &'a Library,
    pub(super) named: Vec<Named>,
    /// Which of the named types something refers to.
    pub(super) used: Vec<bool>,
    /// Where the types that are being made stand.
    pub(super) home: Home,
    pub(super) sources: &'a Sources,
    pub(super) diagnostics: &'a mut Diagnostics,
    pub(super) types: Vec<TypeDef>,
    /// Which type has a name in a module, and what it was made from.
    idents: HashMap<(Home, String), Spanned<String>>,
    /// Where the numbers of the others of a name go on.
    numbers: HashMap<(Home, String), usize>,
    pub(super) defaults: Vec<Default<'a>>,
    /// What is being lowered is an input field that holds an image or a document by itself.
    pub(super) shows: bool,
}

impl<'a> Lowering<'a> {
    fn step(&mut self, index: usize, step: &'a spec::Step) -> StepTypes {
        self.home = Home::Step(index);
        let Some(signature) = &step.signature else {
            return StepTypes {
                inputs: Vec::new(),
                outputs: Vec::new(),
                reasons: false,
            };
        };
        // Outputs first: their types get the plain names where both sides ask.
        let first = usize::from(step.reasons());
        let mut outputs = self.fields(&signature.outputs, |at| Place::Output(index, at + first));
        let inputs = self.fields(&signature.inputs, |at| Place::Input(index, at));
        if step.reasons() {
            self.no_reasoning_yet(signature);
            outputs.insert(0, reasoning());
        }
        StepTypes {
            inputs,
            outputs,
            reasons: step.reasons(),
        }
    }

    fn no_reasoning_yet(&mut self, signature: &spec::Signature) {
        let fields = signature.inputs.iter().chain(&signature.outputs);
        for field in fields.filter(|field| field.name.value == REASONING) {
            self.diagnostics
                .error(
                    Code::Duplicate,
                    field.name.span,
                    "a module that reasons has a field `reasoning` of its own",
                )
                .label("rename this one, or leave it out");
        }
    }

    /// `path`: the names that lead here, which name a generated type.
    pub(super) fn schema(
        &mut self,
        schema: &'a Schema,
        path: &mut Vec<&'a str>,
        name: Span,
    ) -> Type {
        let ty = self.required_schema(schema, path, name);
        if schema.nullable { optional(ty) } else { ty }
    }

    fn required_schema(&mut self, schema: &'a Schema, path: &mut Vec<&'a str>, name: Span) -> Type {
        if let Some(reference) = &schema.reference {
            self.nothing_beside(schema, "`$ref`");
            return match self.library.target(reference.span, &reference.value) {
                Some(target) => self.refer(target, path.len()),
                None => Type::broken(),
            };
        }
        if let Some(written) = &schema.alternatives {
            return self.alternatives(schema, written, path, name);
        }
        let Some(expr) = self.type_of(schema) else {
            return Type::broken();
        };
        let (expr, is_optional) = match expr {
            TypeExpr::Optional(inner) => (*inner, true),
            other => (other, false),
        };
        let ty = match &expr {
            TypeExpr::OneOf(all) => self.one_of(schema, all, path, name),
            _ => self.plain(schema, &expr, path, name),
        };
        if is_optional { optional(ty) } else { ty }
    }

    /// A type with a name of its own, and the keys that stand beside it.
    pub(super) fn plain(
        &mut self,
        schema: &'a Schema,
        expr: &TypeExpr,
        path: &mut Vec<&'a str>,
        name: Span,
    ) -> Type {
        let span = schema.ty.as_ref().map_or(schema.span, |ty| ty.span);
        let made = self.types.len();
        let kind = match expr {
            TypeExpr::String | TypeExpr::Enum => match &schema.choices {
                Some(choices) => self.enumeration(schema, &choices.value, path, name),
                None => TypeKind::String,
            },
            TypeExpr::Array(None) => match &schema.items {
                Some(items) => {
                    path.push("item");
                    let item = self.schema(items, path, name);
                    path.pop();
                    TypeKind::List(Box::new(item))
                }
                None => TypeKind::List(Box::new(Type::new(TypeKind::Any))),
            },
            TypeExpr::Object(None) => self.object(schema, path, name),
            TypeExpr::Named(_) => {
                self.nothing_beside(schema, "a named type");
                return self.shorthand(expr, span);
            }
            TypeExpr::Null => {
                self.diagnostics
                    .error(Code::InvalidType, span, "a value that is always null")
                    .label("add a type")
                    .help("`T?` is a `T` that may be absent");
                return Type::broken();
            }
            other => self.shorthand(other, span).kind,
        };
        self.rust_type(schema, &kind, made);
        let bounds = match &schema.choices {
            Some(choices) => self.scalar_choices(choices, &kind),
            None => Bounds::default(),
        };
        let bounds = limits::check(
            &schema.bounds,
            bounds,
            schema,
            &kind,
            &self.types,
            self.diagnostics,
        );
        Type::bounded(kind, bounds)
    }

    /// `x-rust-type` stands in place of a type that would be generated here.
    pub(super) fn rust_type(&mut self, schema: &Schema, kind: &TypeKind, made: usize) {
        let Some(rust_type) = &schema.rust_type else {
            return;
        };
        match kind {
            TypeKind::Struct(TypeRef(at))
            | TypeKind::Enum(TypeRef(at))
            | TypeKind::Union(TypeRef(at))
                if *at >= made =>
            {
                if is_path(&rust_type.value) {
                    self.types[*at].replacement = Some(rust_type.value.clone());
                } else {
                    self.diagnostics
                        .error(
                            Code::InvalidType,
                            rust_type.span,
                            format!("`{rust_type}` is no path of a Rust type"),
                        )
                        .label("expected one such as `crate::Money`");
                }
            }
            TypeKind::Broken => {}
            _ => {
                self.diagnostics
                    .error(
                        Code::Unsupported,
                        rust_type.span,
                        "`x-rust-type` where no type is generated",
                    )
                    .label("this is a type of Rust already")
                    .help("it is for objects with `properties`, enums and `anyOf`");
            }
        }
    }

    /// The written type, or the one that the other keys imply. Keys that do not go
    /// with the type are reported.
    fn type_of(&mut self, schema: &Schema) -> Option<TypeExpr> {
        let implied = if schema.properties.is_some() || schema.additional.is_some() {
            Some((TypeExpr::Object(None), "properties"))
        } else if schema.items.is_some() {
            Some((TypeExpr::Array(None), "items"))
        } else {
            let choices = schema.choices.as_ref();
            choices.map(|choices| (scalar_type(&choices.value), "enum"))
        };
        let Some(written) = &schema.ty else {
            if implied.is_none() && !schema.reported {
                self.diagnostics
                    .error(Code::InvalidType, schema.span, "a schema without a type")
                    .label("add `type: …`");
            }
            return implied.map(|(expr, _)| expr);
        };
        let bare = match &written.value {
            TypeExpr::Optional(inner) => inner,
            other => other,
        };
        if *bare == TypeExpr::Enum && schema.choices.is_none() {
            self.diagnostics
                .error(Code::InvalidType, written.span, "an enum without values")
                .label("add `enum: [a, b]`");
            return None;
        }
        if let Some((expr, key)) = implied
            && !goes_with(bare, &expr, key)
        {
            let wanted = match key {
                "enum" => "texts, numbers and booleans".to_owned(),
                _ => format!("`{expr}`"),
            };
            self.diagnostics
                .error(
                    Code::InvalidType,
                    written.span,
                    format!("`{written}` does not go with `{key}`"),
                )
                .label(format!("`{key}` is for {wanted}"));
            return None;
        }
        Some(written.value.clone())
    }

    /// A place and a name for a generated type.
    pub(super) fn claim(&mut self, schema: &Schema, path: &[&str], name: Span) -> TypeRef {
        let home = self.home;
        let mut ident = names::type_name(path, home);
        let place = Spanned::new(path.join("."), name);
        if let Some(first) = self.idents.get(&(home, ident.clone())) {
            // Alternatives without a name of their own are at one place.
            if first.value != place.value || home == Home::Workflow && path.len() == 1 {
                report_duplicate("type", first, &place, &ident, self.diagnostics);
            }
            let number = self.numbers.entry((home, ident.clone())).or_insert(2);
            ident = names::numbered(&ident, number, |ident| {
                self.idents.contains_key(&(home, ident.to_owned()))
            });
        }
        self.idents.insert((home, ident.clone()), place);
        self.types.push(TypeDef {
            ident,
            home,
            description: super::text(schema.description.as_ref()),
            source: self.sources.location(name),
            kind: TypeDefKind::Enum(Vec::new()),
            replacement: None,
            recursive: false,
            elsewhere: None,
        });
        TypeRef(self.types.len() - 1)
    }

    /// A type written in one word.
    pub(super) fn shorthand(&mut self, expr: &TypeExpr, span: Span) -> Type {
        let kind = match expr {
            // An enum inside a shorthand is refused when it is read, a list of types stands alone.
            TypeExpr::String | TypeExpr::Enum => TypeKind::String,
            TypeExpr::Integer => TypeKind::Integer,
            TypeExpr::Number => TypeKind::Number,
            TypeExpr::Boolean => TypeKind::Boolean,
            TypeExpr::Any | TypeExpr::OneOf(_) | TypeExpr::Null => TypeKind::Any,
            TypeExpr::Media(kind) => {
                if !self.shows {
                    self.diagnostics
                        .error(
                            Code::MisplacedMedia,
                            span,
                            format!("{} where there can be none", kind.words()),
                        )
                        .label("only input fields of steps hold one, by itself")
                        .help("give each its own input field");
                    return Type::broken();
                }
                TypeKind::Media(*kind)
            }
            TypeExpr::Array(None) => TypeKind::List(Box::new(Type::new(TypeKind::Any))),
            TypeExpr::Array(Some(item)) => TypeKind::List(Box::new(self.shorthand(item, span))),
            TypeExpr::Object(None) => TypeKind::Object,
            TypeExpr::Object(Some(value)) => TypeKind::Map(Box::new(self.shorthand(value, span))),
            TypeExpr::Optional(inner) => return optional(self.shorthand(inner, span)),
            TypeExpr::Named(name) => {
                return match self.library.target(span, name) {
                    Some(target) => self.refer(target, 0),
                    None => self.unknown(name, span),
                };
            }
        };
        Type::new(kind)
    }
}

/// The field that a chain of thought has before all others, called as in DSPy.
fn reasoning() -> Field {
    Field {
        name: crate::ir::Name {
            text: REASONING.to_owned(),
            ident: REASONING.to_owned(),
        },
        ty: Type::new(TypeKind::String),
        description: "Step by step, what leads to the answer".to_owned(),
        default: None,
        boxed: false,
        sensitive: false,
    }
}

const REASONING: &str = "reasoning";

fn goes_with(written: &TypeExpr, implied: &TypeExpr, key: &str) -> bool {
    match written {
        TypeExpr::OneOf(all) => all.iter().any(|ty| goes_with(ty, implied, key)),
        TypeExpr::String
        | TypeExpr::Enum
        | TypeExpr::Integer
        | TypeExpr::Number
        | TypeExpr::Boolean => key == "enum",
        // Reported as what stands beside a type that is defined elsewhere.
        TypeExpr::Named(_) => true,
        written => written == implied,
    }
}

pub(super) fn optional(ty: Type) -> Type {
    match ty.kind {
        TypeKind::Optional(_) | TypeKind::Broken => ty,
        _ => Type::new(TypeKind::Optional(Box::new(ty))),
    }
}

/// Whether a text can be a path of a type in Rust, such as `crate::Money`.
fn is_path(text: &str) -> bool {
    let text = text.strip_prefix("::").unwrap_or(text);
    text.split("::").all(|part| {
        let part = part.strip_prefix("r#").unwrap_or(part);
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}
