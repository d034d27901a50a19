//! The item that the attribute stands on.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::mistake::Mistake;

/// What can carry the attribute.
#[derive(Debug)]
pub(crate) enum Item {
    Module(Module),
    /// A struct, or what is like one; whether it can be a signature is seen later.
    Struct,
}

/// `#[attributes] pub mod name { items }`, in two pieces around what is generated.
#[derive(Debug)]
pub(crate) struct Module {
    /// Everything up to the name.
    pub(crate) head: TokenStream,
    /// What the user wrote into the module.
    pub(crate) items: TokenStream,
}

impl Item {
    pub(crate) fn parse(item: &TokenStream) -> Result<Self, Mistake> {
        let tokens: Vec<TokenTree> = item.clone().into_iter().collect();
        let keyword = tokens.iter().position(|token| {
            matches!(token, TokenTree::Ident(ident)
                if ["mod", "struct", "enum", "fn", "trait", "impl", "const", "static", "union"]
                    .contains(&ident.to_string().as_str()))
        });
        let Some(keyword) = keyword else {
            return Err(mistake(tokens.first()));
        };
        let is = |name: &str| matches!(&tokens[keyword], TokenTree::Ident(ident) if *ident == name);
        if ["struct", "enum", "union"].into_iter().any(is) {
            return Ok(Self::Struct);
        }
        match &tokens[keyword..] {
            [_, TokenTree::Ident(_), TokenTree::Group(body)]
                if is("mod") && body.delimiter() == Delimiter::Brace =>
            {
                Ok(Self::Module(Module {
                    head: tokens[..keyword + 2].iter().cloned().collect(),
                    items: body.stream(),
                }))
            }
            _ => Err(mistake(tokens.get(keyword))),
        }
    }
}

fn mistake(at: Option<&TokenTree>) -> Mistake {
    let span = at.map_or_else(proc_macro2::Span::call_site, TokenTree::span);
    Mistake::new(
        span,
        "put this attribute on a module with a body, or on a struct",
    )
    .help("`#[dspy_signature(workflow = \"workflows/triage.yaml\")] pub mod triage {}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_and_structs_only() {
        for text in [
            "mod a {}",
            "pub(crate) mod a { use x::y; }",
            "#[allow(x)] pub mod r#type {}",
        ] {
            let item = Item::parse(&text.parse().unwrap());
            assert!(matches!(item, Ok(Item::Module(_))), "{text}");
        }
        for text in ["struct A { b: u8 }", "pub enum A {}"] {
            let item = Item::parse(&text.parse().unwrap());
            assert!(matches!(item, Ok(Item::Struct)), "{text}");
        }
        for text in ["", "mod a;", "fn a() {}", "impl A {}"] {
            assert!(Item::parse(&text.parse().unwrap()).is_err(), "{text}");
        }
    }
}
