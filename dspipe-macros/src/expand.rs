//! The attribute: arguments and item in, module out.

use std::path::PathBuf;

use dspipe_build::{Config, Error};
use proc_macro2::{Literal, TokenStream, TokenTree};
use quote::{quote, quote_spanned};

use crate::args::{Args, Mistake};
use crate::module::Module;

pub(crate) fn expand(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    match try_expand(arguments, item.clone()) {
        Ok(tokens) => tokens,
        Err(Mistake { span, message }) => {
            // With the item itself kept, the mistake is the only error.
            quote_spanned!(span=> ::core::compile_error!(#message); #item)
        }
    }
}

fn try_expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream, Mistake> {
    let args = Args::parse(arguments)?;
    let module = Module::parse(item)?;
    let span = args.workflow.span;
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map(PathBuf::from)
        .ok_or_else(|| Mistake::new(span, "CARGO_MANIFEST_DIR is not set: build with Cargo"))?;
    let mut config = Config::new();
    config.workflow(&args.workflow.value);
    if let Some(runtime) = &args.runtime {
        config.runtime_path(&runtime.value);
    }
    let compilation = config.load(&package).map_err(|error| {
        let span = match (&error, &args.runtime) {
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
