//! The item that the attribute stands on.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::args::Mistake;

/// `#[attributes] pub mod name { items }`, in two pieces around what is generated.
#[derive(Debug)]
pub(crate) struct Module {
    /// Everything up to the name.
    pub(crate) head: TokenStream,
    /// What the user wrote into the module.
    pub(crate) items: TokenStream,
}

impl Module {
    pub(crate) fn parse(item: TokenStream) -> Result<Self, Mistake> {
        let tokens: Vec<TokenTree> = item.into_iter().collect();
        let keyword = tokens.iter().position(|token| {
            matches!(token, TokenTree::Ident(ident)
                if ["mod", "struct", "enum", "fn", "trait", "impl", "const", "static", "union"]
                    .contains(&ident.to_string().as_str()))
        });
        let Some(keyword) = keyword else {
            return Err(mistake(tokens.first()));
        };
        let is_module = matches!(&tokens[keyword], TokenTree::Ident(ident) if *ident == "mod");
        match &tokens[keyword..] {
            [_, TokenTree::Ident(_), TokenTree::Group(body)]
                if is_module && body.delimiter() == Delimiter::Brace =>
            {
                Ok(Self {
                    head: tokens[..keyword + 2].iter().cloned().collect(),
                    items: body.stream(),
                })
            }
            _ => Err(mistake(tokens.get(keyword))),
        }
    }
}

fn mistake(at: Option<&TokenTree>) -> Mistake {
    let span = at.map_or_else(proc_macro2::Span::call_site, TokenTree::span);
    Mistake::new(
        span,
        "put this attribute on a module with a body: `pub mod triage {}`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_only() {
        for text in [
            "mod a {}",
            "pub(crate) mod a { use x::y; }",
            "#[allow(x)] pub mod r#type {}",
        ] {
            assert!(Module::parse(text.parse().unwrap()).is_ok(), "{text}");
        }
        for text in ["", "mod a;", "struct A { b: u8 }", "fn a() {}", "impl A {}"] {
            assert!(Module::parse(text.parse().unwrap()).is_err(), "{text}");
        }
    }
}
