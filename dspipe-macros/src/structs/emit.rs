//! The signature as Rust. Cannot fail.

use heck::ToSnakeCase;
use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;

use super::{Field, Settings, Signature, attributes};

pub(super) fn signature(signature: &Signature, settings: &Settings) -> TokenStream {
    let Signature {
        ident,
        visibility,
        docs,
        ..
    } = signature;
    let (input, output) = (name(ident, "Input"), name(ident, "Output"));
    let runtime = &settings.runtime;
    let generated = quote!(#runtime::generated);
    let definition = definition(signature, settings);
    let inputs = record(signature, settings, &input, "takes", &signature.inputs);
    let outputs = record(signature, settings, &output, "gives", &signature.outputs);
    quote! {
        #(#docs)*
        #[allow(dead_code)]
        #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
        #visibility struct #ident;

        #[allow(dead_code, clippy::needless_pass_by_value)]
        impl #ident {
            /// Runs it.
            ///
            /// # Errors
            ///
            /// If there is no reply, or none that is the output.
            #visibility async fn run(input: #input) -> ::core::result::Result<#output, #runtime::Error> {
                Self::run_with(#runtime::default_runner(), input).await
            }

            /// Like [`run`](Self::run), on a runner of the caller's.
            ///
            /// # Errors
            ///
            /// If there is no reply, or none that is the output.
            #visibility async fn run_with<__R: #runtime::Runner>(
                runner: &__R,
                input: #input,
            ) -> ::core::result::Result<#output, #runtime::Error> {
                #runtime::Runner::step::<Self>(runner, &input).await
            }
        }

        impl #runtime::Signature for #ident {
            type Input = #input;
            type Output = #output;
            const DEF: &'static #runtime::SignatureDef = &#definition;

            fn def() -> &'static #runtime::SignatureDef {
                static DEF: ::std::sync::LazyLock<#runtime::SignatureDef> =
                    ::std::sync::LazyLock::new(|| {
                        #generated::structs::define::<#input, #output>(
                            <#ident as #runtime::Signature>::DEF,
                        )
                    });
                &DEF
            }
        }

        #inputs
        #outputs
    }
}

fn name(ident: &Ident, end: &str) -> Ident {
    format_ident!("{}{end}", ident.unraw(), span = ident.span())
}

/// The constant part of `SignatureDef`. The types in words are still those of Rust.
fn definition(signature: &Signature, settings: &Settings) -> TokenStream {
    let runtime = &settings.runtime;
    let step = settings
        .name
        .clone()
        .unwrap_or_else(|| signature.ident.unraw().to_string().to_snake_case());
    let instructions = &signature.instructions;
    let fields = |fields: &[Field]| -> TokenStream {
        let fields = fields.iter().map(|field| {
            let (name, ty, description) = (&field.name, &field.ty, &field.description);
            let sensitive = field.sensitive;
            quote! {
                #runtime::FieldDef {
                    name: #name,
                    ty: ::core::stringify!(#ty),
                    description: #description,
                    sensitive: #sensitive,
                }
            }
        });
        quote!(&[#(#fields),*])
    };
    let (inputs, outputs) = (fields(&signature.inputs), fields(&signature.outputs));
    let lm = optional(settings.lm.as_deref().map(Literal::string));
    let temperature = optional(settings.temperature.map(Literal::f64_unsuffixed));
    let max_tokens = optional(settings.max_tokens.map(Literal::u32_unsuffixed));
    quote! {
        #runtime::SignatureDef {
            workflow: ::core::module_path!(),
            step: #step,
            source: ::core::concat!(::core::file!(), ":", ::core::line!()),
            description: "",
            instructions: #instructions,
            inputs: #inputs,
            outputs: #outputs,
            input_schema: "{}",
            output_schema: "{}",
            demos: &[],
            optimized: &[],
                adapter: ::core::option::Option::None,
            lm: #lm,
            temperature: #temperature,
            max_tokens: #max_tokens,
            lms: &[],
            checks: &[],
            module: #runtime::module::ModuleDef::Predict,
        }
    }
}

fn optional(literal: Option<Literal>) -> TokenStream {
    match literal {
        Some(literal) => quote!(::core::option::Option::Some(#literal)),
        None => quote!(::core::option::Option::None),
    }
}

/// The struct of the inputs or of the outputs, and what takes it to JSON and back.
fn record(
    signature: &Signature,
    settings: &Settings,
    ident: &Ident,
    verb: &str,
    fields: &[Field],
) -> TokenStream {
    let (visibility, attributes) = (&signature.visibility, &signature.attributes);
    let runtime = &settings.runtime;
    let generated = quote!(#runtime::generated);
    let docs = format!(" What [`{}`] {verb}.", signature.ident);
    let text = ident.to_string();
    let count = fields.len();
    let definitions = fields.iter().map(|field| {
        let Field {
            ident,
            visibility,
            ty,
            attributes,
            ..
        } = field;
        let attributes = attributes.iter().filter(|a| !attributes::is_of_schema(a));
        quote!(#(#attributes)* #visibility #ident: #ty)
    });
    let writes = fields.iter().map(|field| {
        let (ident, name, ty) = (&field.ident, &field.name, &field.ty);
        quote_spanned!(ty.span()=> #generated::SerializeStruct::serialize_field(&mut __object, #name, &self.#ident)?;)
    });
    let reads = fields.iter().map(|field| {
        let (ident, name, ty) = (&field.ident, &field.name, &field.ty);
        quote_spanned!(ty.span()=> let #ident = (&#generated::structs::Field::<#ty>::NEW).read_field(&mut __object, #name);)
    });
    let schema = schema(settings, ident, fields);
    let idents: Vec<&Ident> = fields.iter().map(|field| &field.ident).collect();
    quote! {
        #[doc = #docs]
        #(#attributes)*
        #visibility struct #ident {
            #(#definitions,)*
        }

        #schema

        impl #generated::Read for #ident {
            #[allow(clippy::needless_borrow)]
            fn read(from: #generated::Reader<'_>) -> ::core::option::Option<Self> {
                #[allow(unused_imports)]
                use #generated::structs::{ByReader as _, BySerde as _};
                #[allow(unused_mut, unused_variables)]
                let mut __object = #generated::structs::object(from)?;
                #(#reads)*
                ::core::option::Option::Some(Self { #(#idents: #idents?,)* })
            }
        }

        impl #generated::Serialize for #ident {
            fn serialize<__S: #generated::Serializer>(
                &self,
                serializer: __S,
            ) -> ::core::result::Result<__S::Ok, __S::Error> {
                #[allow(unused_mut)]
                let mut __object = #generated::Serializer::serialize_struct(serializer, #text, #count)?;
                #(#writes)*
                #generated::SerializeStruct::end(__object)
            }
        }

        impl<'de> #generated::Deserialize<'de> for #ident {
            fn deserialize<__D: #generated::Deserializer<'de>>(
                deserializer: __D,
            ) -> ::core::result::Result<Self, __D::Error> {
                #generated::deserialize(deserializer)
            }
        }
    }
}

/// `JsonSchema` as schemars derives it, for a copy of the struct in a scope that has what the derived code
/// takes from the prelude.
fn schema(settings: &Settings, ident: &Ident, fields: &[Field]) -> TokenStream {
    let runtime = &settings.runtime;
    let schemars = quote!(#runtime::generated::structs::schemars);
    let path = schemars.to_string().replace(' ', "");
    let text = ident.to_string();
    let fields = fields.iter().map(|field| {
        let (ident, ty) = (&field.ident, &field.ty);
        let attributes = field
            .attributes
            .iter()
            .filter(|a| attributes::is_of_schema(a) || a.path().is_ident("doc"));
        quote!(#(#attributes)* #ident: #ty)
    });
    quote! {
        const _: () = {
            #[allow(unused_imports)]
            use ::core::convert::Into as _;

            #[allow(dead_code)]
            #[derive(#schemars::JsonSchema)]
            #[schemars(crate = #path)]
            struct __Fields {
                #(#fields,)*
            }

            impl #schemars::JsonSchema for #ident {
                fn schema_name() -> ::std::borrow::Cow<'static, str> {
                    ::std::borrow::Cow::Borrowed(#text)
                }

                fn schema_id() -> ::std::borrow::Cow<'static, str> {
                    ::std::borrow::Cow::Borrowed(::core::concat!(::core::module_path!(), "::", #text))
                }

                fn json_schema(generator: &mut #schemars::SchemaGenerator) -> #schemars::Schema {
                    <__Fields as #schemars::JsonSchema>::json_schema(generator)
                }
            }
        };
    }
}
