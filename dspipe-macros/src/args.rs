//! The arguments of the attribute.

use proc_macro2::{Literal, Span, TokenStream, TokenTree};

/// `workflow = "…", runtime = "…"`.
#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) workflow: Text,
    pub(crate) runtime: Option<Text>,
}

/// A string and where it was written.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) value: String,
    pub(crate) span: Span,
}

/// A mistake in the Rust part, at a Rust token.
#[derive(Debug)]
pub(crate) struct Mistake {
    pub(crate) span: Span,
    pub(crate) message: String,
}

impl Mistake {
    pub(crate) fn new(span: Span, message: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
        }
    }
}

impl Args {
    pub(crate) fn parse(tokens: TokenStream) -> Result<Self, Mistake> {
        let mut workflow = None;
        let mut runtime = None;
        let mut tokens = tokens.into_iter();
        while let Some(token) = tokens.next() {
            let TokenTree::Ident(name) = &token else {
                return Err(Mistake::new(token.span(), "expected `workflow = \"…\"`"));
            };
            let slot = match name.to_string().as_str() {
                "workflow" => &mut workflow,
                "runtime" => &mut runtime,
                other => {
                    let message =
                        format!("unknown argument `{other}`; known are `workflow` and `runtime`");
                    return Err(Mistake::new(name.span(), message));
                }
            };
            if slot.is_some() {
                return Err(Mistake::new(
                    name.span(),
                    format!("`{name}` is there twice"),
                ));
            }
            *slot = Some(value(name, &mut tokens)?);
            match tokens.next() {
                None => break,
                Some(TokenTree::Punct(comma)) if comma.as_char() == ',' => {}
                Some(other) => return Err(Mistake::new(other.span(), "expected `,`")),
            }
        }
        let workflow = workflow.ok_or_else(|| {
            let message = "name the file: #[dspy_signature(workflow = \"workflows/x.yaml\")]";
            Mistake::new(Span::call_site(), message)
        })?;
        Ok(Self { workflow, runtime })
    }
}

fn value(
    name: &proc_macro2::Ident,
    tokens: &mut impl Iterator<Item = TokenTree>,
) -> Result<Text, Mistake> {
    match (tokens.next(), tokens.next()) {
        (Some(TokenTree::Punct(equals)), Some(TokenTree::Literal(literal)))
            if equals.as_char() == '=' =>
        {
            string(&literal)
        }
        _ => Err(Mistake::new(
            name.span(),
            format!("expected `{name} = \"…\"`"),
        )),
    }
}

/// A path needs no escapes, so only strings without any are taken.
fn string(literal: &Literal) -> Result<Text, Mistake> {
    let written = literal.to_string();
    let value = written
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .filter(|value| !value.contains('\\'));
    match value {
        Some(value) => Ok(Text {
            value: value.to_owned(),
            span: literal.span(),
        }),
        None => Err(Mistake::new(
            literal.span(),
            "expected a plain string, such as \"workflows/x.yaml\"",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Args, String> {
        Args::parse(text.parse().unwrap()).map_err(|mistake| mistake.message)
    }

    #[test]
    fn arguments() {
        let args = parse(r#"workflow = "a.yaml", runtime = "::r","#).unwrap();
        assert_eq!(args.workflow.value, "a.yaml");
        assert_eq!(args.runtime.unwrap().value, "::r");
    }

    #[test]
    fn mistakes() {
        for (text, wanted) in [
            ("", "name the file"),
            ("workflw = \"a\"", "unknown argument `workflw`"),
            ("workflow", "expected `workflow = "),
            ("workflow = a", "expected `workflow = "),
            ("workflow = 1", "expected a plain string"),
            ("workflow = \"a\" runtime = \"b\"", "expected `,`"),
            ("workflow = \"a\", workflow = \"b\"", "is there twice"),
            ("\"a.yaml\"", "expected `workflow"),
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.contains(wanted), "{text}: {message}");
        }
    }
}
