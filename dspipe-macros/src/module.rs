//! The attribute on a module: a workflow file becomes its content.

use std::path::PathBuf;

use dspipe_build::{Config, Error};
use proc_macro2::{Literal, Span, TokenStream, TokenTree};
use quote::{quote, quote_spanned};

use crate::args::Args;
use crate::item::Module;
use crate::mistake::Mistake;

pub(crate) fn expand(arguments: TokenStream, module: Module) -> Result<TokenStream, Mistake> {
    let args = Args::parse(arguments, &["workflow", "runtime"], |name| {
        ["lm", "temperature", "max_tokens", "name"]
            .contains(&name)
            .then_some("the workflow file says this for a module; here it belongs on a struct")
    })?;
    let workflow = args.text("workflow")?.ok_or_else(|| {
        Mistake::new(Span::call_site(), "which workflow?")
            .help("name the file: `#[dspy_signature(workflow = \"workflows/x.yaml\")]`")
    })?;
    let runtime = args.text("runtime")?;
    let span = workflow.span;
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map(PathBuf::from)
        .ok_or_else(|| Mistake::new(span, "CARGO_MANIFEST_DIR is not set: build with Cargo"))?;
    let mut config = Config::new();
    config.workflow(&workflow.value);
    if let Some(runtime) = &runtime {
        config.runtime_path(&runtime.value);
    }
    let compilation = config.load(&package).map_err(|error| {
        let span = match (&error, &runtime) {
            (Error::RuntimePath { .. }, Some(runtime)) => runtime.span,
            _ => span,
        };
        Mistake::new(span, error.to_string())
    })?;
    let Module { head, items } = module;
    let generated: TokenStream = compilation
        .workflows()
        .iter()
        .filter_map(dspipe_build::Workflow::items)
        // What does not lex would be a mistake in the generator; rustc then says what is missing.
        .filter_map(|items| items.parse::<TokenStream>().ok())
        .collect();
    let errors = compilation
        .workflows()
        .iter()
        .filter(|workflow| workflow.errors() > 0)
        .map(|workflow| {
            let mut report = Literal::string(&format!("\n{}", compilation.report(workflow)));
            report.set_span(span);
            let report = TokenTree::Literal(report);
            quote_spanned!(span=> ::core::compile_error!(#report);)
        });
    // Cargo builds the crate again when a file that it includes changes.
    let tracked = compilation
        .watched()
        .iter()
        .filter(|path| package.join(path).is_file())
        .map(|path| {
            let path = format!("/{path}");
            quote! {
                const _: &[u8] = ::core::include_bytes!(
                    ::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), #path)
                );
            }
        });
    Ok(quote! {
        #(#errors)*
        #[allow(dead_code, unreachable_pub, clippy::all, clippy::pedantic)]
        #head {
            #(#tracked)*
            #items
            #generated
        }
    })
}
