//! What is wrong with the Rust part.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;

/// A mistake, at a Rust token.
#[derive(Debug)]
pub(crate) struct Mistake {
    pub(crate) span: Span,
    message: String,
    help: Option<String>,
}

impl Mistake {
    pub(crate) fn new(span: Span, message: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            help: None,
        }
    }

    /// What to do about it.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn text(&self) -> String {
        match &self.help {
            Some(help) => format!("{}\nhelp: {help}", self.message),
            None => self.message.clone(),
        }
    }

    pub(crate) fn to_compile_error(&self) -> TokenStream {
        let text = self.text();
        quote_spanned!(self.span=> ::core::compile_error! { #text })
    }
}
