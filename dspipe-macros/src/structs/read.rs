//! From the struct as it is written to the signature as it is meant. Every mistake is recorded.

use std::collections::HashSet;

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{ConstParam, Data, DeriveInput, Fields, FieldsNamed, GenericParam, Type, TypeParam};

use super::{Field, Signature, attributes};
use crate::mistake::Mistake;

/// `None`: there is nothing that a signature could be made of.
pub(super) fn signature(item: &DeriveInput, mistakes: &mut Vec<Mistake>) -> Option<Signature> {
    let fields = fields(item, mistakes)?;
    let before = mistakes.len();
    generics(item, mistakes);
    container(item, mistakes);
    if mistakes.len() > before {
        return None;
    }
    let mut signature = Signature {
        ident: item.ident.clone(),
        visibility: item.vis.clone(),
        docs: Vec::new(),
        attributes: Vec::new(),
        instructions: attributes::doc(&item.attrs).join("\n").trim().to_owned(),
        inputs: Vec::new(),
        outputs: Vec::new(),
    };
    for attribute in &item.attrs {
        if attribute.path().is_ident("doc") {
            signature.docs.push(attribute.clone());
        } else {
            signature.attributes.extend(attributes::derive(attribute));
        }
    }
    let mut names = HashSet::new();
    let mut outputs = 0;
    let mut borrows = false;
    for written in &fields.named {
        let (field, name_span) = field(written, mistakes)?;
        let marked = |name: &str| written.attrs.iter().find(|a| a.path().is_ident(name));
        outputs += usize::from(marked("output").is_some());
        if let Type::Reference(reference) = &field.ty {
            borrows = true;
            mistakes.push(borrowed(reference.span()));
        }
        if !names.insert(field.name.clone()) {
            let message = format!("another field is called `{}`", field.name);
            mistakes.push(
                Mistake::new(name_span, message).help(
                    "an LM knows fields by their names: inputs and outputs need different ones",
                ),
            );
            continue;
        }
        match (marked("input"), marked("output")) {
            (Some(_), None) => signature.inputs.push(field),
            (None, Some(_)) => signature.outputs.push(field),
            (None, None) => mistakes.push(
                Mistake::new(
                    field.ident.span(),
                    format!("field `{}` is neither input nor output", field.ident),
                )
                .help("put `#[input]` or `#[output]` in front of it"),
            ),
            (Some(_), Some(second)) => mistakes.push(
                Mistake::new(
                    second.path().span(),
                    format!("field `{}` is both input and output", field.ident),
                )
                .help("for a value that the LM changes, write two fields with different names"),
            ),
        }
    }
    if outputs == 0 {
        mistakes.push(
            Mistake::new(item.ident.span(), "a signature without an output")
                .help("mark what the LM is to answer with `#[output]`"),
        );
    }
    (!borrows).then_some(signature)
}

fn fields<'a>(item: &'a DeriveInput, mistakes: &mut Vec<Mistake>) -> Option<&'a FieldsNamed> {
    let mistake = match &item.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => return Some(fields),
            Fields::Unnamed(fields) => {
                Mistake::new(fields.span(), "the fields of a signature need names")
                    .help("`struct Name { #[input] text: String, #[output] answer: String }`")
            }
            Fields::Unit => Mistake::new(item.ident.span(), "a signature needs fields")
                .help("`struct Name { #[input] text: String, #[output] answer: String }`"),
        },
        Data::Enum(data) => Mistake::new(data.enum_token.span(), "an enum is not a signature")
            .help(
                "to let an LM choose, make the enum the type of an `#[output]` field of a struct",
            ),
        Data::Union(data) => Mistake::new(data.union_token.span(), "a union is not a signature")
            .help("write a struct with `#[input]` and `#[output]` fields"),
    };
    mistakes.push(mistake);
    None
}

fn generics(item: &DeriveInput, mistakes: &mut Vec<Mistake>) {
    match item.generics.params.first() {
        None => {}
        Some(GenericParam::Lifetime(lifetime)) => mistakes.push(borrowed(lifetime.span())),
        Some(
            GenericParam::Type(TypeParam { ident, .. })
            | GenericParam::Const(ConstParam { ident, .. }),
        ) => mistakes.push(
            Mistake::new(ident.span(), "a signature cannot be generic").help(
                "an LM is sent one schema and one description of each field, which only types that are \
                 known here have: write a struct for each type that you need",
            ),
        ),
    }
}

fn borrowed(span: Span) -> Mistake {
    Mistake::new(span, "a signature cannot borrow")
        .help("what an LM answers has no other owner: use `String` for `&str`, `Vec<T>` for `&[T]`")
}

/// Attributes of the struct that would change what its fields are called.
fn container(item: &DeriveInput, mistakes: &mut Vec<Mistake>) {
    for attribute in &item.attrs {
        let path = attribute.path();
        if path.is_ident("serde") || path.is_ident("schemars") {
            mistakes.push(
                Mistake::new(
                    path.span(),
                    "attributes of serde and schemars cannot be on a signature, only on its fields",
                )
                .help("to rename a field, put `#[serde(rename = \"…\")]` on it"),
            );
        }
    }
}

/// A field and where its name is written. `None`: rustc will not have it either.
fn field(written: &syn::Field, mistakes: &mut Vec<Mistake>) -> Option<(Field, Span)> {
    let ident = written.ident.clone()?;
    let mut sensitive = false;
    for attribute in &written.attrs {
        let path = attribute.path();
        if attributes::is_mark(attribute) {
            match attributes::is_sensitive(attribute) {
                Ok(yes) => sensitive |= yes,
                Err(mistake) => mistakes.push(mistake),
            }
        }
        if path.is_ident("cfg") || path.is_ident("cfg_attr") {
            mistakes.push(
                Mistake::new(path.span(), "a field of a signature cannot be conditional")
                    .help("write a struct for each case, each with a `#[cfg(…)]` of its own"),
            );
        }
    }
    attributes::schemars(&written.attrs, mistakes);
    let renamed = attributes::rename(&written.attrs, mistakes);
    let (name, span) = match &renamed {
        Some(name) => (name.value(), name.span()),
        None => (ident.unraw().to_string(), ident.span()),
    };
    let kept = written.attrs.iter().filter(|attribute| {
        let path = attribute.path();
        !attributes::is_mark(attribute) && !path.is_ident("cfg") && !path.is_ident("cfg_attr")
    });
    let field = Field {
        ident,
        visibility: written.vis.clone(),
        ty: written.ty.clone(),
        attributes: kept.cloned().collect(),
        name,
        description: attributes::doc(&written.attrs).join(" ").trim().to_owned(),
        sensitive,
    };
    Some((field, span))
}
