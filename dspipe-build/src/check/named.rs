//! Named types: each lowered once, when something first refers to it.

use super::alternatives;
use super::limits;
use super::names;
use super::types::{Lowering, Named, optional};
use crate::diag::{Code, nearest};
use crate::ir::{Bounds, Home, Type, TypeKind};
use crate::source::{Span, Spanned};
use crate::spec::{self, Schema};
use crate::ty::{self, TypeExpr};

/// References through more names than this are not written by people.
const MAX_NAMES: usize = 64;

impl<'a> Lowering<'a> {
    /// A use of a named type. `depth`: how many names led here.
    pub(super) fn refer(&mut self, target: usize, depth: usize) -> Type {
        self.used[target] = true;
        self.named(target, depth)
    }

    pub(super) fn named(&mut self, index: usize, depth: usize) -> Type {
        let library = self.library;
        let named = &library.types()[index];
        match &self.named[index] {
            Named::Known(ty) => return ty.clone(),
            Named::Untouched if depth <= MAX_NAMES => {}
            Named::Untouched | Named::Open => {
                self.diagnostics
                    .error(
                        Code::InfiniteType,
                        named.name.span,
                        format!("the type `{}` is made of itself only", named.name),
                    )
                    .label("no value could ever be complete")
                    .help("give it a property, or an alternative, that ends it");
                self.named[index] = Named::Known(Type::broken());
                return Type::broken();
            }
        }
        self.named[index] = Named::Open;
        let home = std::mem::replace(&mut self.home, Home::Workflow);
        let ty = self.define(index, named);
        self.home = home;
        // Something on the way may have found that it never ends.
        if let Named::Open = self.named[index] {
            self.named[index] = Named::Known(ty.clone());
        }
        ty
    }

    fn define(&mut self, index: usize, named: &'a spec::NamedSchema) -> Type {
        let schema = &named.schema;
        let (name, span) = (named.name.value.as_str(), named.name.span);
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            self.diagnostics
                .error(
                    Code::InvalidName,
                    span,
                    format!("`{name}` cannot be the name of a type"),
                )
                .label("names start with a letter");
        }
        let properties = schema.properties.as_deref().unwrap_or_default();
        let is_struct = !properties.is_empty()
            && schema.reference.is_none()
            && schema.alternatives.is_none()
            && matches!(
                schema.ty.as_ref().map(|ty| &ty.value),
                None | Some(TypeExpr::Object(None))
            );
        if is_struct {
            // Known before its properties are: they may lead back to it.
            self.check_required(schema, properties);
            let spanned: Vec<&Spanned<String>> = properties.iter().map(|p| &p.name).collect();
            let idents = names::properties(&spanned, self.diagnostics);
            let made = self.types.len();
            let reference = self.claim(schema, &[name], span);
            let kind = TypeKind::Struct(reference);
            self.rust_type(schema, &kind, made);
            let ty = Type::new(kind);
            let ty = if schema.nullable { optional(ty) } else { ty };
            self.named[index] = Named::Known(ty.clone());
            self.fill(reference, schema, properties, idents, &mut vec![name]);
            limits::check(
                &schema.bounds,
                Bounds::default(),
                schema,
                &ty.kind,
                &self.types,
                self.diagnostics,
            );
            return ty;
        }
        if schema.alternatives.is_some() && alternatives::is_union(schema) {
            let made = self.types.len();
            let reference = self.claim(schema, &[name], span);
            let kind = TypeKind::Union(reference);
            self.rust_type(schema, &kind, made);
            let ty = Type::new(kind);
            let ty = if alternatives::has_null(schema) || schema.nullable {
                optional(ty)
            } else {
                ty
            };
            self.named[index] = Named::Known(ty.clone());
            self.union(schema, reference, &mut vec![name], span);
            return ty;
        }
        self.schema(schema, &mut vec![name], span)
    }

    /// Keys that would say something else about a type that is defined elsewhere.
    pub(super) fn nothing_beside(&mut self, schema: &Schema, what: &str) {
        let keys = [
            (schema.properties.is_some(), "properties"),
            (schema.items.is_some(), "items"),
            (schema.choices.is_some(), "enum"),
            (schema.additional.is_some(), "additionalProperties"),
            (schema.alternatives.is_some(), "anyOf"),
            (schema.rust_type.is_some(), "x-rust-type"),
            (!schema.bounds.is_empty(), "limits"),
            (schema.reference.is_some() && schema.ty.is_some(), "type"),
        ];
        for (_, key) in keys.iter().filter(|(there, _)| *there) {
            self.diagnostics
                .error(
                    Code::InvalidType,
                    schema.span,
                    format!("{what} and {key} in one schema"),
                )
                .label("the type is defined elsewhere")
                .help("say it where the type is defined");
        }
    }

    pub(super) fn report_unused(&mut self) {
        for (index, named) in self.library.types().iter().enumerate() {
            if self.library.is_own(index) && !self.used[index] {
                self.diagnostics
                    .warning(
                        Code::UnusedType,
                        named.name.span,
                        format!("nothing refers to the type `{}`", named.name),
                    )
                    .label("never used");
            }
        }
    }

    /// Reports a word that is no type. The type is then the one that was probably meant, so that code
    /// which uses it still type-checks.
    pub(super) fn unknown(&mut self, name: &str, span: Span) -> Type {
        let own: Vec<&str> = self.library.names(span.file).collect();
        let near = nearest(name, own.iter().copied().chain(ty::NAMES)).map(str::to_owned);
        let diagnostic = self.diagnostics.error(
            Code::InvalidType,
            span,
            format!(
                "`{}` is not a type",
                self.sources.slice(span).trim_matches(['"', '\''])
            ),
        );
        diagnostic.label(format!("there is no type `{name}`"));
        let Some(near) = near else {
            let help = match own.as_slice() {
                [] => format!("{}; types of your own stand under `types:`", ty::HELP),
                own => format!("{}; and {}", ty::HELP, crate::diag::list(own)),
            };
            diagnostic.help(help);
            return Type::broken();
        };
        diagnostic.help(format!("did you mean `{near}`?"));
        match ty::builtin(&near) {
            Some(TypeExpr::Enum) | None => Type::broken(),
            Some(meant) => self.shorthand(&meant, span),
        }
    }
}
