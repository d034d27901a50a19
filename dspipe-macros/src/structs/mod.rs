//! The attribute on a struct: its fields become the inputs and outputs of a signature.

mod attributes;
mod emit;
mod read;

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{Attribute, Type, Visibility};

use crate::args::Args;
use crate::mistake::Mistake;

/// A struct as it is meant.
struct Signature {
    ident: Ident,
    visibility: Visibility,
    docs: Vec<Attribute>,
    /// What the structs of the inputs and the outputs both get.
    attributes: Vec<Attribute>,
    /// The doc comment's text.
    instructions: String,
    inputs: Vec<Field>,
    outputs: Vec<Field>,
}

struct Field {
    ident: Ident,
    visibility: Visibility,
    ty: Type,
    /// Its attributes, without those that mark it.
    attributes: Vec<Attribute>,
    /// Its name in JSON.
    name: String,
    /// The doc comment's text.
    description: String,
    /// `#[input(sensitive)]`.
    sensitive: bool,
}

/// What the arguments say.
#[derive(Debug)]
struct Settings {
    runtime: TokenStream,
    name: Option<String>,
    lm: Option<String>,
    temperature: Option<f64>,
    max_tokens: Option<u32>,
}

pub(crate) fn expand(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let mut mistakes = Vec::new();
    let settings = settings(arguments).unwrap_or_else(|mistake| {
        mistakes.push(mistake);
        Settings {
            runtime: quote!(::dspipe_runtime),
            name: None,
            lm: None,
            temperature: None,
            max_tokens: None,
        }
    });
    // Broken Rust is for rustc to report: it sees the item as it is.
    let Ok(parsed) = syn::parse2::<syn::DeriveInput>(item.clone()) else {
        return item.clone();
    };
    let expanded = match read::signature(&parsed, &mut mistakes) {
        Some(signature) => emit::signature(&signature, &settings),
        None => {
            let bare = attributes::without_marks(parsed);
            quote!(#[allow(dead_code)] #bare)
        }
    };
    let errors = mistakes.iter().map(Mistake::to_compile_error);
    quote!(#(#errors)* #expanded)
}

fn settings(arguments: TokenStream) -> Result<Settings, Mistake> {
    const KNOWN: [&str; 5] = ["lm", "temperature", "max_tokens", "name", "runtime"];
    let args = Args::parse(arguments, &KNOWN, |name| {
        ["workflow", "step"].contains(&name).then_some(
            "a workflow becomes a module: `#[dspy_signature(workflow = \"…\")] pub mod triage {}`",
        )
    })?;
    let name = args.text("name")?;
    if let Some(name) = name.as_ref().filter(|name| name.value.trim().is_empty()) {
        return Err(Mistake::new(
            name.span,
            "a signature's name cannot be empty",
        ));
    }
    let lm = args.text("lm")?;
    if let Some(lm) = &lm
        && !dspipe_build::shared::is_lm_name(&lm.value)
    {
        let message = format!("`{}` does not name an LM", lm.value);
        return Err(Mistake::new(lm.span, message).help(
            "expected `provider/model`, such as `openai/gpt-5-mini` or `local/smollm2-135m-instruct`",
        ));
    }
    let runtime = match args.text("runtime")? {
        None => quote!(::dspipe_runtime),
        Some(text) => match syn::parse_str::<syn::Path>(&text.value) {
            Ok(path) => quote!(#path),
            Err(_) => {
                let message = format!("`{}` is not a Rust path", text.value);
                return Err(Mistake::new(text.span, message)
                    .help("the runtime path looks like `::dspipe_runtime`"));
            }
        },
    };
    let temperature = args.get("temperature");
    let max_tokens = args.get("max_tokens");
    Ok(Settings {
        runtime,
        name: name.map(|name| name.value),
        lm: lm.map(|lm| lm.value),
        temperature: temperature
            .map(|given| given.number(0.0..=2.0, "0 to 2"))
            .transpose()?,
        max_tokens: max_tokens
            .map(|given| given.number(1..=u32::MAX, "a whole number, 1 or more"))
            .transpose()?,
    })
}
