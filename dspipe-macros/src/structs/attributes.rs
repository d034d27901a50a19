//! What attributes of structs and fields say.

use syn::meta::ParseNestedMeta;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Expr, ExprLit, Lit, LitStr, Meta, Path, Token};

use crate::mistake::Mistake;

/// The lines of a doc comment, each without the space in front.
pub(super) fn doc(attributes: &[Attribute]) -> Vec<String> {
    let lines = attributes.iter().filter_map(|attribute| {
        let Meta::NameValue(meta) = &attribute.meta else {
            return None;
        };
        match &meta.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) if meta.path.is_ident("doc") => Some(text.value()),
            _ => None,
        }
    });
    lines
        .flat_map(|text| {
            let lines: Vec<String> = text
                .lines()
                .map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end().to_owned())
                .collect();
            // An empty `///` is an empty line.
            if lines.is_empty() {
                vec![String::new()]
            } else {
                lines
            }
        })
        .collect()
}

/// The attribute without the traits that the structs have anyway; `None` if nothing is left of it.
pub(super) fn derive(attribute: &Attribute) -> Option<Attribute> {
    const ANYWAY: [&str; 3] = ["Serialize", "Deserialize", "JsonSchema"];
    if !attribute.path().is_ident("derive") {
        return Some(attribute.clone());
    }
    let Ok(traits) = attribute.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated)
    else {
        return Some(attribute.clone());
    };
    let kept: Vec<Path> = traits
        .into_iter()
        .filter(|path| {
            path.segments
                .last()
                .is_none_or(|last| !ANYWAY.contains(&last.ident.to_string().as_str()))
        })
        .collect();
    (!kept.is_empty()).then(|| syn::parse_quote!(#[derive(#(#kept),*)]))
}

/// The name that `#[serde(rename = "…")]` gives a field, if it does.
pub(super) fn rename(attributes: &[Attribute], mistakes: &mut Vec<Mistake>) -> Option<LitStr> {
    let mut name = None;
    for attribute in attributes.iter().filter(|a| a.path().is_ident("serde")) {
        let read = attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("rename") && meta.input.peek(Token![=]) {
                name = Some(meta.value()?.parse()?);
            } else {
                mistakes.push(unusable(&meta));
                skip(&meta)?;
            }
            Ok(())
        });
        if let Err(error) = read {
            mistakes.push(Mistake::new(error.span(), error.to_string()));
        }
    }
    name
}

/// Refuses what would make the schema one of other fields.
pub(super) fn schemars(attributes: &[Attribute], mistakes: &mut Vec<Mistake>) {
    const OTHERS: [&str; 6] = [
        "default",
        "flatten",
        "rename",
        "skip",
        "skip_deserializing",
        "skip_serializing",
    ];
    for attribute in attributes.iter().filter(|a| a.path().is_ident("schemars")) {
        // What cannot be read, the derive of schemars reports.
        let _ = attribute.parse_nested_meta(|meta| {
            if let Some(key) = OTHERS.iter().find(|key| meta.path.is_ident(key)) {
                let message = format!("`#[schemars({key})]` cannot be on a field of a signature");
                mistakes.push(Mistake::new(meta.path.span(), message).help(
                    "the schema has the fields that are read; `#[serde(rename = \"…\")]` renames both",
                ));
            }
            skip(&meta)
        });
    }
}

fn unusable(meta: &ParseNestedMeta<'_>) -> Mistake {
    let key = meta
        .path
        .get_ident()
        .map_or_else(|| "…".to_owned(), ToString::to_string);
    let mistake = Mistake::new(
        meta.path.span(),
        format!("`#[serde({key})]` cannot be on a field of a signature"),
    );
    match key.as_str() {
        "flatten" => mistake.help(
            "an LM is asked for one value by field, under the field's name: remove `flatten`, or write \
             the inner fields here",
        ),
        "rename" => mistake.help("a field has one name: `#[serde(rename = \"…\")]`"),
        _ => mistake.help(
            "`rename = \"…\"` is what can be here; the rest goes on a type of your own that the field \
             then has",
        ),
    }
}

/// Goes on behind what is not read.
fn skip(meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
    if meta.input.peek(Token![=]) {
        meta.value()?.parse::<Expr>()?;
    } else if meta.input.peek(syn::token::Paren) {
        let content;
        syn::parenthesized!(content in meta.input);
        content.parse::<proc_macro2::TokenStream>()?;
    }
    Ok(())
}

pub(super) fn is_mark(attribute: &Attribute) -> bool {
    attribute.path().is_ident("input") || attribute.path().is_ident("output")
}

/// Whether a mark says so: `#[input(sensitive)]`.
pub(super) fn is_sensitive(mark: &Attribute) -> Result<bool, Mistake> {
    match &mark.meta {
        Meta::Path(_) => Ok(false),
        Meta::List(list) if list.tokens.to_string() == "sensitive" => Ok(true),
        _ => {
            let message = "only `sensitive` can be said of a field here";
            Err(Mistake::new(mark.path().span(), message)
                .help("`#[input(sensitive)]` keeps its values out of recordings of executions"))
        }
    }
}

/// Whether only the derive of schemars knows the attribute.
pub(super) fn is_of_schema(attribute: &Attribute) -> bool {
    attribute.path().is_ident("serde") || attribute.path().is_ident("schemars")
}

/// The item as rustc can take it when nothing can be made of it.
pub(super) fn without_marks(mut item: DeriveInput) -> DeriveInput {
    let strip = |attributes: &mut Vec<Attribute>| {
        attributes.retain(|attribute| !is_mark(attribute) && !is_of_schema(attribute));
    };
    strip(&mut item.attrs);
    match &mut item.data {
        Data::Struct(data) => data.fields.iter_mut().for_each(|f| strip(&mut f.attrs)),
        Data::Enum(data) => {
            let fields = data.variants.iter_mut().flat_map(|v| v.fields.iter_mut());
            fields.for_each(|f| strip(&mut f.attrs));
        }
        Data::Union(data) => data
            .fields
            .named
            .iter_mut()
            .for_each(|f| strip(&mut f.attrs)),
    }
    item
}
