//! Structs and enums with their readers and writers.
//!
//! The impls are written out instead of derived: they cost rustc about a quarter of
//! serde's derives, and the reader reports every bad field of a reply, not the first.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;

use super::{Emitter, Scope, doc, ident};
use crate::ir::{Alternative, Bounds, Field, Name, Type, TypeDef, TypeDefKind, TypeKind, Variant};

/// What is derived for every struct and every enum, and need not be asked for.
const STRUCT_DERIVES: [&str; 3] = ["Clone", "Debug", "PartialEq"];
const ENUM_DERIVES: [&str; 6] = ["Clone", "Copy", "Debug", "PartialEq", "Eq", "Hash"];

/// `Inputs`: what the workflow takes.
pub(super) fn inputs(emitter: &Emitter<'_>) -> TokenStream {
    let fields: Vec<&Field> = emitter
        .workflow
        .inputs
        .iter()
        .map(|input| &input.field)
        .collect();
    let docs = doc::lines(&["What the workflow takes."]);
    record(
        emitter,
        Scope::Workflow,
        &emitter.type_name("Inputs"),
        &docs,
        &fields,
    )
}

/// `Outputs`: what each step gave.
pub(super) fn outputs(emitter: &Emitter<'_>) -> TokenStream {
    let docs = doc::lines(&["What each step gave."]);
    let members: Vec<Member> = emitter
        .workflow
        .steps
        .iter()
        .map(|step| {
            let module = ident(&step.name.ident);
            let output = emitter.type_name("Output");
            Member {
                name: &step.name,
                ident: module.clone(),
                docs: doc::output(step),
                ty: quote!(#module::#output),
                optional: step.guard.is_some(),
                default: None,
                checks: None,
            }
        })
        .collect();
    structure(
        emitter,
        Scope::Workflow,
        &emitter.type_name("Outputs"),
        &docs,
        &members,
    )
}

/// A type of a step, or one with a name of its own.
pub(super) fn definition(emitter: &Emitter<'_>, scope: Scope, def: &TypeDef) -> TokenStream {
    if emitter.replacement(def).is_some() {
        return TokenStream::new();
    }
    let name = emitter.type_name(&def.ident);
    let docs = |fallback| doc::item(fallback, &def.description, &def.source);
    match &def.kind {
        TypeDefKind::Struct(fields) => {
            let fields: Vec<&Field> = fields.iter().collect();
            record(emitter, scope, &name, &docs("An object."), &fields)
        }
        TypeDefKind::Enum(values) => {
            let docs = docs("One of a fixed set of values.");
            enumeration(emitter, scope, &name, &docs, values)
        }
        TypeDefKind::Union(all) => {
            union(emitter, scope, &name, &docs("One of several types."), all)
        }
    }
}

/// A struct of fields.
pub(super) fn record(
    emitter: &Emitter<'_>,
    scope: Scope,
    name: &Ident,
    docs: &TokenStream,
    fields: &[&Field],
) -> TokenStream {
    let members: Vec<Member> = fields
        .iter()
        .map(|field| {
            let (ty, optional) = match &field.ty.kind {
                TypeKind::Optional(inner) => (&**inner, true),
                _ => (&field.ty, false),
            };
            let written = emitter.ty(ty, scope);
            let default = field.default.as_ref();
            Member {
                name: &field.name,
                ident: ident(&field.name.ident),
                docs: doc::field(&field.name.text, &field.description),
                ty: if field.boxed {
                    quote!(Box<#written>)
                } else {
                    written
                },
                optional,
                default: default.map(|value| super::string(&value.to_string())),
                checks: checks(ty),
            }
        })
        .collect();
    structure(emitter, scope, name, docs, &members)
}

/// A field of a struct, ready to be written.
struct Member<'a> {
    name: &'a Name,
    ident: Ident,
    docs: TokenStream,
    /// Without the `Option` of an optional field.
    ty: TokenStream,
    optional: bool,
    /// JSON that stands for it where it is absent.
    default: Option<TokenStream>,
    /// What to do with a value that was read, as statements on `at` and `value`.
    checks: Option<TokenStream>,
}

fn structure(
    emitter: &Emitter<'_>,
    scope: Scope,
    name: &Ident,
    docs: &TokenStream,
    members: &[Member<'_>],
) -> TokenStream {
    let text = name.to_string();
    let count = Literal::usize_unsuffixed(members.len());
    let declared = members.iter().map(|member| {
        let Member {
            ident, docs, ty, ..
        } = member;
        let ty = if member.optional {
            quote!(Option<#ty>)
        } else {
            quote!(#ty)
        };
        quote!(#docs pub #ident: #ty)
    });
    let reads = members.iter().map(|member| {
        let (ident, key) = (&member.ident, &member.name.text);
        let method = if member.optional {
            quote!(optional)
        } else {
            quote!(required)
        };
        // The checks that follow do not say which type they are for.
        let ty = member.checks.is_some().then_some(&member.ty);
        let ty = ty.map(|ty| quote!(::<#ty>));
        if let Some(default) = &member.default {
            return quote!(let #ident = __object.or_default #ty (#key, #default););
        }
        quote!(let #ident = __object.#method #ty (#key);)
    });
    let checked = members.iter().filter_map(|member| {
        let (ident, key) = (&member.ident, &member.name.text);
        let checks = member.checks.as_ref()?;
        let checks = if member.optional {
            quote!(at.some(value, |at, value| { #checks });)
        } else {
            quote!(#checks)
        };
        Some(quote!(__object.check(#key, &#ident, |at, value| { #checks });))
    });
    let built = members.iter().map(|member| {
        let ident = &member.ident;
        quote!(#ident: #ident?)
    });
    let writes = members.iter().map(|member| {
        let (ident, key) = (&member.ident, &member.name.text);
        quote!(object.serialize_field(#key, &self.#ident)?;)
    });
    let mutable = (!members.is_empty()).then(|| quote!(mut));
    // Named like this, no field can hide the reader itself.
    let object = match members {
        [] => quote!(from.object()?;),
        _ => quote!(let mut __object = from.object()?;),
    };
    let deserialize = deserialize(emitter, name);
    let attributes = emitter.attributes(scope, name, &STRUCT_DERIVES);
    quote! {
        #docs
        #[derive(Clone, Debug, PartialEq)]
        #attributes
        pub struct #name {
            #(#declared,)*
        }

        impl Read for #name {
            fn read(from: Reader<'_>) -> Option<Self> {
                #object
                #(#reads)*
                #(#checked)*
                Some(Self { #(#built,)* })
            }
        }

        impl Serialize for #name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let #mutable object = serializer.serialize_struct(#text, #count)?;
                #(#writes)*
                object.end()
            }
        }

        #deserialize
    }
}

fn enumeration(
    emitter: &Emitter<'_>,
    scope: Scope,
    name: &Ident,
    docs: &TokenStream,
    values: &[Variant],
) -> TokenStream {
    let variants: Vec<Ident> = values
        .iter()
        .map(|value| ident(&value.name.ident))
        .collect();
    let texts: Vec<&str> = values.iter().map(|value| &*value.name.text).collect();
    let variant_docs = values.iter().map(|value| {
        let text = format!("`{}`", value.name.text.replace('`', "'"));
        doc::variant(&text, &value.description)
    });
    let count = Literal::usize_unsuffixed(values.len());
    let deserialize = deserialize(emitter, name);
    let attributes = emitter.attributes(scope, name, &ENUM_DERIVES);
    quote! {
        #docs
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #attributes
        pub enum #name {
            #(#variant_docs #variants,)*
        }

        impl #name {
            /// Every value, in the order of the workflow file.
            pub const ALL: [Self; #count] = [#(Self::#variants,)*];

            /// The value as it is written in the workflow file and in JSON.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    #(Self::#variants => #texts,)*
                }
            }
        }

        impl Display for #name {
            fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
                f.write_str(self.as_str())
            }
        }

        impl Read for #name {
            fn read(from: Reader<'_>) -> Option<Self> {
                from.one_of(&[#((#texts, Self::#variants),)*])
            }
        }

        impl Serialize for #name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        #deserialize
    }
}

fn union(
    emitter: &Emitter<'_>,
    scope: Scope,
    name: &Ident,
    docs: &TokenStream,
    all: &[Alternative],
) -> TokenStream {
    let deserialize = deserialize(emitter, name);
    let attributes = emitter.attributes(scope, name, &STRUCT_DERIVES);
    let variants = all.iter().map(|one| {
        let (ident, ty) = (ident(&one.ident), emitter.ty(&one.ty, scope));
        let ty = if one.boxed { quote!(Box<#ty>) } else { ty };
        let docs = doc::variant("", &one.description);
        quote!(#docs #ident(#ty))
    });
    let reads = all.iter().map(|one| {
        let (text, ident) = (&one.ident, ident(&one.ident));
        let ty = emitter.ty(&one.ty, scope);
        let ty = if one.boxed { quote!(Box<#ty>) } else { ty };
        let read = match checks(&one.ty) {
            Some(checks) => quote!(from.checked::<#ty>(|at, value| { #checks })),
            None => quote!(<#ty as Read>::read(from)),
        };
        quote!((#text, |from| #read.map(Self::#ident)))
    });
    let writes = all.iter().map(|one| {
        let ident = ident(&one.ident);
        quote!(Self::#ident(value) => value.serialize(serializer))
    });
    quote! {
        #docs
        #[derive(Clone, Debug, PartialEq)]
        #attributes
        pub enum #name {
            #(#variants,)*
        }

        impl Read for #name {
            fn read(from: Reader<'_>) -> Option<Self> {
                from.alternatives(&[#(#reads,)*])
            }
        }

        impl Serialize for #name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    #(#writes,)*
                }
            }
        }

        #deserialize
    }
}

/// `Deserialize` through the reader: the same errors, all of them.
fn deserialize(emitter: &Emitter<'_>, name: &Ident) -> TokenStream {
    let runtime = &emitter.options.runtime;
    quote! {
        impl<'de> Deserialize<'de> for #name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #runtime::generated::deserialize(deserializer)
            }
        }
    }
}

/// Statements that hold `value` against the limits of its type, reporting to `at`.
fn checks(ty: &Type) -> Option<TokenStream> {
    let Bounds {
        minimum,
        maximum,
        exclusive_minimum,
        exclusive_maximum,
        multiple_of,
        numbers: choices,
        boolean,
        min_length,
        max_length,
        min_items,
        max_items,
        unique_items,
        pattern,
    } = ty.bounds();
    let numbers = [
        ("minimum", minimum),
        ("maximum", maximum),
        ("exclusive_minimum", exclusive_minimum),
        ("exclusive_maximum", exclusive_maximum),
        ("multiple_of", multiple_of),
    ]
    .into_iter()
    .filter_map(|(method, limit)| Some((method, Literal::f64_unsuffixed((*limit)?))));
    let sizes = [
        ("min_length", min_length),
        ("max_length", max_length),
        ("min_items", min_items),
        ("max_items", max_items),
    ]
    .into_iter()
    .filter_map(|(method, limit)| Some((method, Literal::u32_unsuffixed((*limit)?))));
    let mut statements: Vec<TokenStream> = numbers
        .chain(sizes)
        .map(|(method, limit)| {
            let method = ident(method);
            quote!(at.#method(value, #limit);)
        })
        .collect();
    if !choices.is_empty() {
        let choices = choices
            .iter()
            .map(|number| Literal::f64_unsuffixed(*number));
        statements.push(quote!(at.numbers(value, &[#(#choices),*]);));
    }
    if let Some(boolean) = boolean {
        statements.push(quote!(at.boolean(value, #boolean);));
    }
    if *unique_items {
        statements.push(quote!(at.unique_items(value);));
    }
    if let Some(pattern) = pattern {
        let pattern = super::string(pattern);
        statements.push(quote! {
            {
                static PATTERN: expr::Pattern = expr::Pattern::new(#pattern);
                at.pattern(value, &PATTERN);
            }
        });
    }
    let nested = match &ty.kind {
        TypeKind::List(item) => checks(item).map(|inner| (quote!(each), inner)),
        TypeKind::Map(value) => checks(value).map(|inner| (quote!(each_entry), inner)),
        TypeKind::Optional(inner) => checks(inner).map(|inner| (quote!(some), inner)),
        _ => None,
    };
    if let Some((method, inner)) = nested {
        statements.push(quote!(at.#method(value, |at, value| { #inner });));
    }
    (!statements.is_empty()).then(|| quote!(#(#statements)*))
}
