//! `anyOf` and `oneOf`, and lists of types: one of several.

use std::collections::HashSet;

use super::names;
use super::types::{Lowering, optional};
use crate::diag::Code;
use crate::ir::{Alternative, Field, Type, TypeDef, TypeDefKind, TypeKind, TypeRef};
use crate::source::{Span, Spanned};
use crate::spec::Schema;
use crate::ty::TypeExpr;

impl<'a> Lowering<'a> {
    /// `anyOf`: an enum of Rust, unless it is only one type, or only texts.
    pub(super) fn alternatives(
        &mut self,
        schema: &'a Schema,
        written: &'a Spanned<Vec<Schema>>,
        path: &mut Vec<&'a str>,
        name: Span,
    ) -> Type {
        let is_nullable = has_null(schema);
        let others: Vec<&Schema> = written.value.iter().filter(|one| !is_null(one)).collect();
        let ty = match others.as_slice() {
            [] => {
                self.diagnostics
                    .error(Code::InvalidType, written.span, "no alternative but `null`")
                    .label("add a schema");
                return Type::broken();
            }
            [only] => self.schema(only, path, name),
            all if is_enum(all) => {
                let values: Vec<(&Spanned<String>, &str)> = all
                    .iter()
                    .flat_map(|one| {
                        let texts = one.choices.iter().flat_map(|choices| &choices.value);
                        let description = one.description.as_ref();
                        texts.map(move |choice| {
                            (
                                &choice.text,
                                description.map_or("", |text| text.value.trim()),
                            )
                        })
                    })
                    .collect();
                Type::new(TypeKind::Enum(self.enum_of(schema, &values, path, name)))
            }
            _ => {
                let reference = self.claim(schema, path, name);
                self.union(schema, reference, path, name);
                Type::new(TypeKind::Union(reference))
            }
        };
        if is_nullable { optional(ty) } else { ty }
    }

    /// Fills a union that has its place.
    pub(super) fn union(
        &mut self,
        schema: &'a Schema,
        reference: TypeRef,
        path: &mut Vec<&'a str>,
        name: Span,
    ) {
        let Some(written) = &schema.alternatives else {
            return;
        };
        let mut found = Vec::new();
        for one in written.value.iter().filter(|one| !is_null(one)) {
            let made = self.types.len();
            let label = label(one);
            let word = label.unwrap_or(if one.choices.is_some() {
                "value"
            } else {
                "object"
            });
            path.push(word);
            let ty = self.schema(one, path, name);
            path.pop();
            // A type that was made here is called by its place; the variant need not repeat that.
            let own = one.reference.is_none()
                && !matches!(
                    one.ty.as_ref().map(|ty| &ty.value),
                    Some(TypeExpr::Named(_))
                )
                && matches!(&ty.kind, TypeKind::Struct(at) | TypeKind::Enum(at) if at.0 >= made);
            found.push(Found {
                ident: (label.is_some() || own).then(|| names::variant_ident(word)),
                description: super::text(one.description.as_ref()),
                span: one.span,
                ty,
            });
        }
        self.finish(reference, found);
    }

    /// A list of types: `[string, integer]`.
    pub(super) fn one_of(
        &mut self,
        schema: &'a Schema,
        all: &[TypeExpr],
        path: &mut Vec<&'a str>,
        name: Span,
    ) -> Type {
        let reference = self.claim(schema, path, name);
        let span = schema.ty.as_ref().map_or(schema.span, |ty| ty.span);
        let mut found = Vec::new();
        for expr in all {
            // The other keys are for those of the types that have items or properties.
            let ty = match expr {
                TypeExpr::Array(None) | TypeExpr::Object(None) => {
                    self.plain(schema, expr, path, name)
                }
                other => self.shorthand(other, span),
            };
            found.push(Found {
                ident: None,
                description: String::new(),
                span,
                ty,
            });
        }
        self.finish(reference, found);
        Type::new(TypeKind::Union(reference))
    }

    fn finish(&mut self, reference: TypeRef, found: Vec<Found>) {
        let mut taken: HashSet<String> = HashSet::new();
        let mut alternatives: Vec<Alternative> = Vec::with_capacity(found.len());
        let mut places: Vec<Span> = Vec::with_capacity(found.len());
        for Found {
            ident,
            description,
            span,
            ty,
        } in found
        {
            if let TypeKind::Optional(_) = ty.kind {
                self.diagnostics
                    .error(Code::InvalidType, span, "an alternative that may be null")
                    .label("`null` is an alternative of its own")
                    .help("add `{type: \"null\"}` to the alternatives, or `nullable: true` beside them");
                continue;
            }
            let mut ident = ident.unwrap_or_else(|| self.kind_ident(&ty));
            if taken.contains(&ident) {
                ident = names::another(&ident, |ident| taken.contains(ident));
            }
            taken.insert(ident.clone());
            alternatives.push(Alternative {
                ident,
                description,
                ty,
                boxed: false,
            });
            places.push(span);
        }
        for (later, alternative) in alternatives.iter().enumerate() {
            let before = alternatives[..later].iter();
            let clash = before.enumerate().find_map(|(earlier, other)| {
                let reason = alike(&self.types, &other.ty, &alternative.ty)?;
                Some((earlier, reason))
            });
            if let Some((earlier, reason)) = clash {
                let diagnostic = self.diagnostics.error(
                    Code::AmbiguousAlternatives,
                    places[later],
                    "two alternatives cannot be told apart",
                );
                diagnostic.label(reason);
                if places[earlier] != places[later] {
                    diagnostic.also(places[earlier], "the other one");
                }
                diagnostic.help(
                    "objects are told apart by a property with a `const`, or by one that only one of them requires",
                );
            }
        }
        self.types[reference.0].kind = TypeDefKind::Union(alternatives);
    }

    /// The name of a variant by what it holds.
    fn kind_ident(&self, ty: &Type) -> String {
        match &ty.kind {
            TypeKind::String => "Text".to_owned(),
            TypeKind::Integer => "Integer".to_owned(),
            TypeKind::Number => "Number".to_owned(),
            TypeKind::Boolean => "Boolean".to_owned(),
            TypeKind::Any | TypeKind::Broken => "Any".to_owned(),
            TypeKind::Object => "Object".to_owned(),
            TypeKind::Media(_) => "Media".to_owned(),
            TypeKind::List(item) if item.kind == TypeKind::Any => "List".to_owned(),
            TypeKind::List(item) => format!("{}List", self.kind_ident(item)),
            TypeKind::Map(value) => format!("{}Map", self.kind_ident(value)),
            TypeKind::Optional(inner) => self.kind_ident(inner),
            TypeKind::Struct(named) | TypeKind::Enum(named) | TypeKind::Union(named) => {
                self.types[named.0].ident.clone()
            }
        }
    }
}

struct Found {
    ident: Option<String>,
    description: String,
    span: Span,
    ty: Type,
}

/// Whether the alternatives of a schema become an enum with values of several types.
pub(super) fn is_union(schema: &Schema) -> bool {
    let others: Vec<&Schema> = others(schema).collect();
    others.len() > 1 && !is_enum(&others)
}

/// Whether `null` is among the alternatives.
pub(super) fn has_null(schema: &Schema) -> bool {
    let mut all = schema.alternatives.iter().flat_map(|all| &all.value);
    all.any(is_null)
}

fn others(schema: &Schema) -> impl Iterator<Item = &Schema> {
    let all = schema.alternatives.iter().flat_map(|all| &all.value);
    all.filter(|one| !is_null(one))
}

fn is_null(schema: &Schema) -> bool {
    schema
        .ty
        .as_ref()
        .is_some_and(|ty| ty.value == TypeExpr::Null)
}

/// Texts that are all written out are one enum, each part with its description.
fn is_enum(all: &[&Schema]) -> bool {
    all.iter().all(|one| {
        let is_text = match one.ty.as_ref().map(|ty| &ty.value) {
            Some(ty) => matches!(ty, TypeExpr::String | TypeExpr::Enum),
            None => one
                .choices
                .iter()
                .flat_map(|choices| &choices.value)
                .all(|choice| {
                    !choice.plain || crate::yaml::core_float(&choice.text.value).is_none()
                }),
        };
        is_text && one.choices.is_some() && one.bounds.is_empty() && !one.nullable
    })
}

/// What an alternative is called: by its title, or by the property that tells it from others.
fn label(schema: &Schema) -> Option<&str> {
    if let Some(title) = &schema.title {
        return Some(&title.value);
    }
    let properties = schema.properties.iter().flatten();
    properties
        .filter_map(|property| property.schema.choices.as_ref())
        .find_map(|choices| match choices.value.as_slice() {
            [only] => Some(only.text.value.as_str()),
            _ => None,
        })
}

/// Why a value of one type may also be one of the other.
fn alike(types: &[TypeDef], a: &Type, b: &Type) -> Option<&'static str> {
    match (&a.kind, &b.kind) {
        (TypeKind::Broken, _) | (_, TypeKind::Broken) => None,
        (TypeKind::Any, _) => Some("the one before takes anything"),
        (TypeKind::String, TypeKind::String) => Some("both are texts"),
        (TypeKind::String, TypeKind::Enum(_)) => Some("the one before takes any text"),
        (TypeKind::Number, TypeKind::Integer) => Some("the one before takes any number"),
        (TypeKind::Integer, TypeKind::Integer) | (TypeKind::Number, TypeKind::Number) => {
            Some("both are numbers")
        }
        (TypeKind::Boolean, TypeKind::Boolean) => Some("both are booleans"),
        (TypeKind::Object, TypeKind::Object | TypeKind::Map(_) | TypeKind::Struct(_)) => {
            Some("the one before takes any object")
        }
        (TypeKind::List(a), TypeKind::List(b)) => {
            // Empty lists are told by nothing at all; the first one takes them.
            alike(types, a, b)
        }
        (TypeKind::Map(a), TypeKind::Map(b)) => alike(types, a, b),
        (TypeKind::Enum(a), TypeKind::Enum(b)) => match (&types[a.0].kind, &types[b.0].kind) {
            (TypeDefKind::Enum(a), TypeDefKind::Enum(b)) => {
                let shared = |text: &str| a.iter().any(|variant| variant.name.text == text);
                let mut b = b.iter();
                b.any(|variant| shared(&variant.name.text))
                    .then_some("both have a value")
            }
            _ => None,
        },
        (TypeKind::Struct(a), TypeKind::Struct(b)) if a == b => Some("both are the same type"),
        (TypeKind::Struct(a), TypeKind::Struct(b)) => match (&types[a.0].kind, &types[b.0].kind) {
            (TypeDefKind::Struct(a), TypeDefKind::Struct(b)) => {
                (!told_apart(types, a, b)).then_some("an object may be both")
            }
            _ => None,
        },
        _ => None,
    }
}

/// Whether no object, taken with what it has, is both of these.
fn told_apart(types: &[TypeDef], a: &[Field], b: &[Field]) -> bool {
    let only = |one: &[Field], other: &[Field]| {
        one.iter().any(|field| {
            is_required(field) && !other.iter().any(|known| known.name.text == field.name.text)
        })
    };
    let differ = a.iter().any(|field| {
        let other = b.iter().find(|known| known.name.text == field.name.text);
        other.is_some_and(|other| {
            is_required(field) && is_required(other) && disjoint(types, &field.ty, &other.ty)
        })
    });
    differ || only(a, b) || only(b, a)
}

fn is_required(field: &Field) -> bool {
    field.default.is_none() && !matches!(field.ty.kind, TypeKind::Optional(_))
}

fn disjoint(types: &[TypeDef], a: &Type, b: &Type) -> bool {
    let scalar = |ty: &Type| match ty.kind {
        TypeKind::String | TypeKind::Enum(_) => 1,
        TypeKind::Integer | TypeKind::Number => 2,
        TypeKind::Boolean => 3,
        TypeKind::List(_) => 4,
        TypeKind::Object | TypeKind::Map(_) | TypeKind::Struct(_) => 5,
        _ => 0,
    };
    let (kind_a, kind_b) = (scalar(a), scalar(b));
    if kind_a == 0 || kind_b == 0 {
        return false;
    }
    if kind_a == 2 && !a.bounds().numbers.is_empty() && !b.bounds().numbers.is_empty() {
        return !a
            .bounds()
            .numbers
            .iter()
            .any(|number| b.bounds().numbers.contains(number));
    }
    kind_a != kind_b || alike(types, a, b).is_none() && alike(types, b, a).is_none()
}
