//! The attribute on a module: a workflow file becomes its content.

use std::path::{Path, PathBuf};

use dspipe_build::{Compilation, Config, Error, Workflow};
use proc_macro2::{Literal, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};

use crate::args::{Args, Text};
use crate::item::Module;
use crate::mistake::Mistake;

pub(crate) fn expand(arguments: TokenStream, module: Module) -> Result<TokenStream, Mistake> {
    let args = Args::parse(
        arguments,
        &["workflow", "step", "derive", "runtime"],
        |name| {
            ["lm", "temperature", "max_tokens", "name"]
                .contains(&name)
                .then_some("the workflow file says this for a module; here it belongs on a struct")
        },
    )?;
    let workflow = args.text("workflow")?.ok_or_else(|| {
        Mistake::new(Span::call_site(), "which workflow?")
            .help("name the file: `#[dspy_signature(workflow = \"workflows/x.yaml\")]`")
    })?;
    let step = args.text("step")?;
    let derive = args.text("derive")?;
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
    if let Some(derive) = &derive {
        config.derive("**", &derive.value);
    }
    if let Some(step) = &step {
        config.only_step(&step.value);
    }
    let compilation = config.load(&package).map_err(|error| {
        let culprit = match &error {
            Error::RuntimePath { .. } => runtime.as_ref(),
            Error::Override { .. } => derive.as_ref(),
            _ => None,
        };
        let span = culprit.map_or(span, |text| text.span);
        Mistake::new(span, error.to_string())
    })?;
    let Module { head, items } = module;
    let generated: TokenStream = compilation
        .workflows()
        .iter()
        .filter_map(Workflow::items)
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
            let path = if Path::new(path).is_absolute() {
                quote!(#path)
            } else {
                let path = format!("/{path}");
                quote!(::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), #path))
            };
            quote!(
                const _: &[u8] = ::core::include_bytes!(#path);
            )
        });
    let shortcuts = match &step {
        None => TokenStream::new(),
        Some(step) => shortcuts(step, &compilation, runtime.as_ref()),
    };
    Ok(quote! {
        #(#errors)*
        #[allow(dead_code, unreachable_pub, clippy::all, clippy::pedantic)]
        #head {
            #(#tracked)*
            #items
            #generated
            #shortcuts
        }
    })
}

/// What the module of one step has besides that step's own module: all that is in it, and how to run it.
fn shortcuts(step: &Text, compilation: &Compilation, runtime: Option<&Text>) -> TokenStream {
    let steps: Vec<(&str, &str)> = compilation
        .workflows()
        .iter()
        .flat_map(Workflow::steps)
        .collect();
    let Some((_, module)) = steps.iter().find(|(name, _)| *name == step.value) else {
        return no_such_step(step, &steps).to_token_stream();
    };
    let runtime = runtime.map_or("::dspipe_runtime", |runtime| &runtime.value);
    let code = format!(
        "pub use self::{module}::*;

        /// Runs the step.
        ///
        /// # Errors
        ///
        /// If there is no reply, or none that is an `Output`.
        pub async fn run(input: Input) -> Result<Output, Error> {{
            {module}({runtime}::default_runner(), &input).await
        }}

        /// Like [`run`], on a runner of the caller's.
        ///
        /// # Errors
        ///
        /// If there is no reply, or none that is an `Output`.
        pub async fn run_with<R: Runner>(runner: &R, input: Input) -> Result<Output, Error> {{
            {module}(runner, &input).await
        }}"
    );
    // As above: rustc says what is missing.
    code.parse().unwrap_or_default()
}

/// `None`: the file has no steps that could be read, and its report says why.
fn no_such_step(step: &Text, steps: &[(&str, &str)]) -> Option<TokenStream> {
    let names: Vec<&str> = steps.iter().map(|(name, _)| *name).collect();
    let help = match dspipe_build::shared::nearest(&step.value, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if names.is_empty() => return None,
        None => format!("the steps are `{}`", names.join("`, `")),
    };
    let message = format!("there is no step `{}`", step.value);
    Some(
        Mistake::new(step.span, message)
            .help(help)
            .to_compile_error(),
    )
}
