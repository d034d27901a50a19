//! Objects with properties as structs, and fields that may be absent.

use super::names;
use super::types::{Default, Lowering, Place, optional};
use crate::diag::Code;
use crate::ir::{Field, Home, Name, Type, TypeDefKind, TypeKind, TypeRef};
use crate::source::{Span, Spanned};
use crate::spec::{self, Additional, Schema};
use crate::ty::TypeExpr;

impl<'a> Lowering<'a> {
    pub(super) fn fields(
        &mut self,
        fields: &'a [spec::Field],
        place: impl Fn(usize) -> Place,
    ) -> Vec<Field> {
        let spanned: Vec<&Spanned<String>> = fields.iter().map(|field| &field.name).collect();
        let names = names::words("field", &spanned, self.diagnostics);
        fields
            .iter()
            .zip(names)
            .enumerate()
            .map(|(at, (field, name))| {
                let path = &mut vec![field.name.value.as_str()];
                self.shows = matches!(place(at), Place::Input(..)) && is_media(&field.schema);
                let ty = self.schema(&field.schema, path, field.name.span);
                self.shows = false;
                let description = super::text(
                    field
                        .description
                        .as_ref()
                        .or(field.schema.description.as_ref()),
                );
                if let TypeKind::Struct(own) | TypeKind::Enum(own) | TypeKind::Union(own) = &ty.kind
                    && self.types[own.0].home != Home::Workflow
                {
                    self.types[own.0].description.clone_from(&description);
                }
                if let (Some(default), Some(template)) = (&field.schema.default, &field.template) {
                    self.diagnostics
                        .error(
                            Code::InvalidDefault,
                            default.span,
                            format!("`{}` has a default and a template", field.name),
                        )
                        .label("nothing would use it")
                        .also(template.span, "the value comes from here")
                        .help("say it in the template: `{{ path | default(…) }}`");
                }
                let ty = self.with_default(&field.schema, ty, !field.optional, place(at));
                Field {
                    ty,
                    description,
                    name,
                    default: None,
                    boxed: false,
                    sensitive: field.sensitive,
                }
            })
            .collect()
    }

    /// The type of a field or property that may be absent. Where a default stands for it, it never is.
    fn with_default(&mut self, schema: &'a Schema, ty: Type, required: bool, place: Place) -> Type {
        let Some(default) = &schema.default else {
            return if required { ty } else { optional(ty) };
        };
        if default.is_null() {
            // That is what absent means.
            return optional(ty);
        }
        if let TypeKind::Optional(_) = ty.kind {
            self.diagnostics
                .error(
                    Code::InvalidDefault,
                    default.span,
                    "a default for a value that may be null",
                )
                .label("absent, null or this?")
                .help("a value with a default is always there: take the `?` or `nullable` away");
            return ty;
        }
        self.defaults.push(Default {
            node: default,
            ty: ty.clone(),
            place,
        });
        ty
    }

    pub(super) fn object(
        &mut self,
        schema: &'a Schema,
        path: &mut Vec<&'a str>,
        name: Span,
    ) -> TypeKind {
        let properties = schema.properties.as_deref().unwrap_or_default();
        self.check_required(schema, properties);
        if properties.is_empty() {
            if let Some(additional) = &schema.additional
                && let Additional::Allowed(false) = additional.value
            {
                self.diagnostics
                    .error(
                        Code::InvalidType,
                        additional.span,
                        "an object without any properties",
                    )
                    .label("there is no key that it could have")
                    .help("list its `properties`, or take this away for a map of anything");
            }
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
        let spanned: Vec<&Spanned<String>> = properties.iter().map(|p| &p.name).collect();
        let names = names::properties(&spanned, self.diagnostics);
        // Claimed before its fields, so that outer types come first.
        let reference = self.claim(schema, path, name);
        self.fill(reference, schema, properties, names, path);
        TypeKind::Struct(reference)
    }

    pub(super) fn fill(
        &mut self,
        reference: TypeRef,
        schema: &'a Schema,
        properties: &'a [spec::Property],
        names: Vec<Name>,
        path: &mut Vec<&'a str>,
    ) {
        let mut fields = Vec::with_capacity(properties.len());
        for (at, (property, name)) in properties.iter().zip(names).enumerate() {
            path.push(&property.name.value);
            let ty = self.schema(&property.schema, path, property.name.span);
            path.pop();
            // Without a `required` list every property is: a model asked for fewer
            // fields than the prompt names is a model told two things.
            let required = schema
                .required
                .as_ref()
                .is_none_or(|list| list.iter().any(|r| r.value == property.name.value));
            let place = Place::Property(reference, at);
            fields.push(Field {
                name,
                ty: self.with_default(&property.schema, ty, required, place),
                description: super::text(property.schema.description.as_ref()),
                default: None,
                boxed: false,
                sensitive: false,
            });
        }
        self.types[reference.0].kind = TypeDefKind::Struct(fields);
    }

    pub(super) fn check_required(&mut self, schema: &Schema, properties: &[spec::Property]) {
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
}

/// Whether a field is an image or a document by itself.
fn is_media(schema: &Schema) -> bool {
    match schema.ty.as_ref().map(|ty| &ty.value) {
        Some(TypeExpr::Media(_)) => true,
        Some(TypeExpr::Optional(inner)) => matches!(**inner, TypeExpr::Media(_)),
        _ => false,
    }
}
