//! Written types and schemas to types that exist.

use super::names;
use super::report_duplicate;
use crate::diag::{Code, Diagnostics};
use crate::ir::{Bounds, Field, Type, TypeDef, TypeDefKind, TypeKind, TypeRef};
use crate::source::{Sources, Span, Spanned};
use crate::spec::{self, Additional, Schema};
use crate::ty::TypeExpr;

/// The fields of a step, with the types they need.
#[derive(Debug)]
pub(crate) struct StepTypes {
    /// As declared; a template may make a type more precise later.
    pub(crate) inputs: Vec<Field>,
    pub(crate) outputs: Vec<Field>,
    pub(crate) types: Vec<TypeDef>,
}

/// Lowers the fields of step number `index`.
pub(super) fn step(
    index: usize,
    step: &spec::Step,
    sources: &Sources,
    diagnostics: &mut Diagnostics,
) -> StepTypes {
    let mut lowering = Lowering {
        step: index,
        sources,
        diagnostics,
        types: Vec::new(),
        places: Vec::new(),
    };
    let (inputs, outputs) = match &step.signature {
        None => (Vec::new(), Vec::new()),
        Some(signature) => {
            // Outputs first: their types get the plain names where both sides ask.
            let outputs = lowering.fields(&signature.outputs);
            (lowering.fields(&signature.inputs), outputs)
        }
    };
    StepTypes {
        inputs,
        outputs,
        types: lowering.types,
    }
}

struct Lowering<'a> {
    step: usize,
    sources: &'a Sources,
    diagnostics: &'a mut Diagnostics,
    types: Vec<TypeDef>,
    /// What each of `types` was made from.
    places: Vec<Spanned<String>>,
}

impl Lowering<'_> {
    fn fields(&mut self, fields: &[spec::Field]) -> Vec<Field> {
        let spanned: Vec<&Spanned<String>> = fields.iter().map(|field| &field.name).collect();
        let names = names::words("field", &spanned, self.diagnostics);
        fields
            .iter()
            .zip(names)
            .map(|(field, name)| {
                let ty = self.schema(&field.schema, &mut vec![&field.name.value], field.name.span);
                let description = super::text(
                    field
                        .description
                        .as_ref()
                        .or(field.schema.description.as_ref()),
                );
                if let TypeKind::Struct(reference) | TypeKind::Enum(reference) = &ty.kind {
                    self.types[reference.index]
                        .description
                        .clone_from(&description);
                }
                Field {
                    ty: if field.optional { optional(ty) } else { ty },
                    description,
                    name,
                }
            })
            .collect()
    }

    /// `path`: the names that lead here, which name a generated type.
    fn schema<'s>(&mut self, schema: &'s Schema, path: &mut Vec<&'s str>, name: Span) -> Type {
        let ty = self.required_schema(schema, path, name);
        if schema.nullable { optional(ty) } else { ty }
    }

    fn required_schema<'s>(
        &mut self,
        schema: &'s Schema,
        path: &mut Vec<&'s str>,
        name: Span,
    ) -> Type {
        let Some(expr) = self.type_of(schema) else {
            return Type::broken();
        };
        let (expr, is_optional) = match expr {
            TypeExpr::Optional(inner) => (*inner, true),
            other => (other, false),
        };
        let kind = match expr {
            TypeExpr::String | TypeExpr::Enum => match &schema.choices {
                Some(choices) => self.enumeration(schema, choices, path, name),
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
            other => shorthand(&other).kind,
        };
        let ty = Type {
            bounds: self.bounds(&schema.bounds, &kind),
            kind,
        };
        if is_optional { optional(ty) } else { ty }
    }

    /// The written type, or the one that the other keys imply. Keys that do not go
    /// with the type are reported.
    fn type_of(&mut self, schema: &Schema) -> Option<TypeExpr> {
        let implied = if schema.properties.is_some() || schema.additional.is_some() {
            Some((TypeExpr::Object(None), "properties"))
        } else if schema.items.is_some() {
            Some((TypeExpr::Array(None), "items"))
        } else if schema.choices.is_some() {
            Some((TypeExpr::String, "enum"))
        } else {
            None
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
            && *bare != expr
            && (&expr, bare) != (&TypeExpr::String, &TypeExpr::Enum)
        {
            self.diagnostics
                .error(
                    Code::InvalidType,
                    written.span,
                    format!("`{written}` does not go with `{key}`"),
                )
                .label(format!("`{key}` is for `{expr}`"));
            return None;
        }
        Some(written.value.clone())
    }

    fn object<'s>(&mut self, schema: &'s Schema, path: &mut Vec<&'s str>, name: Span) -> TypeKind {
        let properties = schema.properties.as_deref().unwrap_or_default();
        if properties.is_empty() {
            if let Some(Additional::Typed(value)) = schema.additional.as_ref().map(|a| &a.value) {
                path.push("value");
                let value = self.schema(value, path, name);
                path.pop();
                return TypeKind::Map(Box::new(value));
            }
            return TypeKind::Object;
        }
        if let Some(additional) = &schema.additional
            && !matches!(additional.value, Additional::Allowed(false))
        {
            self.diagnostics
                .error(
                    Code::Unsupported,
                    additional.span,
                    "an object with properties and others besides",
                )
                .label("a struct has no room for more")
                .help("list every property, or none and let this be a map");
        }
        self.check_required(schema, properties);
        let spanned: Vec<&Spanned<String>> = properties.iter().map(|p| &p.name).collect();
        let names = names::properties(&spanned, self.diagnostics);
        // Claimed before its fields, so that outer types come first.
        let reference = self.claim(schema, path, name);
        let mut fields = Vec::with_capacity(properties.len());
        for (property, name) in properties.iter().zip(names) {
            path.push(&property.name.value);
            let ty = self.schema(&property.schema, path, property.name.span);
            path.pop();
            // Without a `required` list every property is: a model asked for fewer
            // fields than the prompt names is a model told two things.
            let required = schema
                .required
                .as_ref()
                .is_none_or(|list| list.iter().any(|r| r.value == property.name.value));
            fields.push(Field {
                name,
                ty: if required { ty } else { optional(ty) },
                description: super::text(property.schema.description.as_ref()),
            });
        }
        self.types[reference.index].kind = TypeDefKind::Struct(fields);
        TypeKind::Struct(reference)
    }

    fn check_required(&mut self, schema: &Schema, properties: &[spec::Property]) {
        for required in schema.required.iter().flatten() {
            if !properties.iter().any(|p| p.name.value == required.value) {
                self.diagnostics
                    .error(
                        Code::InvalidType,
                        required.span,
                        format!("`{required}` is required, but there is no such property"),
                    )
                    .label("unknown property")
                    .meant(
                        required.span,
                        &required.value,
                        properties.iter().map(|p| p.name.value.as_str()),
                    );
            }
        }
    }

    fn enumeration(
        &mut self,
        schema: &Schema,
        choices: &Spanned<Vec<Spanned<String>>>,
        path: &[&str],
        name: Span,
    ) -> TypeKind {
        let variants = names::variants(&choices.value, self.diagnostics);
        let reference = self.claim(schema, path, name);
        self.types[reference.index].kind = TypeDefKind::Enum(variants);
        TypeKind::Enum(reference)
    }

    /// A place and a name for a generated type.
    fn claim(&mut self, schema: &Schema, path: &[&str], name: Span) -> TypeRef {
        let mut ident = names::type_name(path);
        let place = Spanned::new(path.join("."), name);
        if let Some(first) = self.types.iter().position(|def| def.ident == ident) {
            report_duplicate(
                "type",
                &self.places[first],
                &place,
                &ident,
                self.diagnostics,
            );
            ident = names::another(&ident, |ident| {
                self.types.iter().any(|def| def.ident == ident)
            });
        }
        self.places.push(place);
        self.types.push(TypeDef {
            ident,
            description: super::text(schema.description.as_ref()),
            source: self.sources.location(name),
            kind: TypeDefKind::Enum(Vec::new()),
        });
        TypeRef {
            step: self.step,
            index: self.types.len() - 1,
        }
    }

    fn bounds(&mut self, bounds: &spec::Bounds, kind: &TypeKind) -> Bounds {
        let numeric = matches!(kind, TypeKind::Integer | TypeKind::Number);
        let textual = matches!(kind, TypeKind::String);
        let list = matches!(kind, TypeKind::List(_));
        for (span, key, fits, on) in [
            (span(bounds.minimum.as_ref()), "minimum", numeric, "numbers"),
            (span(bounds.maximum.as_ref()), "maximum", numeric, "numbers"),
            (
                span(bounds.min_length.as_ref()),
                "minLength",
                textual,
                "strings",
            ),
            (
                span(bounds.max_length.as_ref()),
                "maxLength",
                textual,
                "strings",
            ),
            (span(bounds.pattern.as_ref()), "pattern", textual, "strings"),
            (span(bounds.min_items.as_ref()), "minItems", list, "lists"),
            (span(bounds.max_items.as_ref()), "maxItems", list, "lists"),
        ] {
            if let Some(span) = span.filter(|_| !fits && *kind != TypeKind::Broken) {
                self.diagnostics
                    .error(Code::InvalidType, span, format!("`{key}` is for {on}"))
                    .label("this value is of another type");
            }
        }
        self.ordered(bounds.minimum.as_ref(), bounds.maximum.as_ref());
        self.ordered(bounds.min_length.as_ref(), bounds.max_length.as_ref());
        self.ordered(bounds.min_items.as_ref(), bounds.max_items.as_ref());
        // One that does not fit would be a type error in the skeleton.
        Bounds {
            minimum: value(bounds.minimum.as_ref()).filter(|_| numeric),
            maximum: value(bounds.maximum.as_ref()).filter(|_| numeric),
            min_length: value(bounds.min_length.as_ref()).filter(|_| textual),
            max_length: value(bounds.max_length.as_ref()).filter(|_| textual),
            min_items: value(bounds.min_items.as_ref()).filter(|_| list),
            max_items: value(bounds.max_items.as_ref()).filter(|_| list),
            pattern: self.pattern(bounds.pattern.as_ref()).filter(|_| textual),
        }
    }

    fn pattern(&mut self, written: Option<&Spanned<String>>) -> Option<String> {
        let written = written?;
        match regex_lite::Regex::new(&written.value) {
            Ok(_) => Some(written.value.clone()),
            Err(error) => {
                self.diagnostics
                    .error(
                        Code::InvalidType,
                        written.span,
                        format!("the pattern is not a regular expression: {error}"),
                    )
                    .label("this does not compile");
                None
            }
        }
    }

    fn ordered<T: PartialOrd + std::fmt::Display>(
        &mut self,
        low: Option<&Spanned<T>>,
        high: Option<&Spanned<T>>,
    ) {
        if let (Some(low), Some(high)) = (low, high)
            && low.value > high.value
        {
            self.diagnostics
                .error(
                    Code::InvalidType,
                    low.span,
                    format!("at least {low} and at most {high}: no value is both"),
                )
                .also(high.span, "the other limit");
        }
    }
}

fn span<T>(bound: Option<&Spanned<T>>) -> Option<Span> {
    bound.map(|bound| bound.span)
}

fn value<T: Copy>(bound: Option<&Spanned<T>>) -> Option<T> {
    bound.map(|bound| bound.value)
}

fn optional(ty: Type) -> Type {
    match ty.kind {
        TypeKind::Optional(_) | TypeKind::Broken => ty,
        _ => Type::new(TypeKind::Optional(Box::new(ty))),
    }
}

/// A type written in one word.
fn shorthand(expr: &TypeExpr) -> Type {
    let kind = match expr {
        // An enum inside a shorthand is refused when it is read.
        TypeExpr::String | TypeExpr::Enum => TypeKind::String,
        TypeExpr::Integer => TypeKind::Integer,
        TypeExpr::Number => TypeKind::Number,
        TypeExpr::Boolean => TypeKind::Boolean,
        TypeExpr::Any => TypeKind::Any,
        TypeExpr::Array(None) => TypeKind::List(Box::new(Type::new(TypeKind::Any))),
        TypeExpr::Array(Some(item)) => TypeKind::List(Box::new(shorthand(item))),
        TypeExpr::Object(None) => TypeKind::Object,
        TypeExpr::Object(Some(value)) => TypeKind::Map(Box::new(shorthand(value))),
        TypeExpr::Optional(inner) => return optional(shorthand(inner)),
    };
    Type::new(kind)
}
