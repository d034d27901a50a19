//! The arguments of the attribute.

use proc_macro2::{Ident, Literal, Span, TokenStream, TokenTree};

use crate::mistake::Mistake;

/// `name = literal, …`, in this order; names that are known, each there once.
#[derive(Debug)]
pub(crate) struct Args(Vec<Arg>);

/// `name = literal`.
#[derive(Debug)]
pub(crate) struct Arg {
    pub(crate) name: Ident,
    value: Literal,
    is_negative: bool,
}

/// A string and where it was written.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) value: String,
    pub(crate) span: Span,
}

impl Args {
    /// `elsewhere` gives the help for names that belong on another kind of item.
    pub(crate) fn parse(
        tokens: TokenStream,
        known: &[&str],
        elsewhere: impl Fn(&str) -> Option<&'static str>,
    ) -> Result<Self, Mistake> {
        let mut args: Vec<Arg> = Vec::new();
        let mut tokens = tokens.into_iter();
        while let Some(token) = tokens.next() {
            let TokenTree::Ident(name) = token else {
                let message = format!("expected `{} = …`", known.first().unwrap_or(&"name"));
                return Err(Mistake::new(token.span(), message));
            };
            let text = name.to_string();
            if !known.contains(&text.as_str()) {
                return Err(match elsewhere(&text) {
                    Some(help) => {
                        let message = format!("`{name}` cannot be said here");
                        Mistake::new(name.span(), message).help(help)
                    }
                    None => unknown(&name, known),
                });
            }
            if args.iter().any(|arg| arg.name == name) {
                return Err(Mistake::new(
                    name.span(),
                    format!("`{name}` is there twice"),
                ));
            }
            args.push(Arg::parse(name, &mut tokens)?);
            match tokens.next() {
                None => break,
                Some(TokenTree::Punct(comma)) if comma.as_char() == ',' => {}
                Some(other) => return Err(Mistake::new(other.span(), "expected `,`")),
            }
        }
        Ok(Self(args))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Arg> {
        self.0.iter().find(|arg| arg.name == name)
    }

    /// The string that is given for a name.
    pub(crate) fn text(&self, name: &str) -> Result<Option<Text>, Mistake> {
        self.get(name).map(Arg::text).transpose()
    }
}

fn unknown(name: &Ident, known: &[&str]) -> Mistake {
    let help = match dspipe_build::shared::nearest(&name.to_string(), known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
            format!("known are {}", known.join(", "))
        }
    };
    Mistake::new(name.span(), format!("unknown argument `{name}`")).help(help)
}

impl Arg {
    fn parse(name: Ident, tokens: &mut impl Iterator<Item = TokenTree>) -> Result<Self, Mistake> {
        let expected = |name: &Ident| {
            let value = if name == "temperature" || name == "max_tokens" {
                "a number"
            } else {
                "\"…\""
            };
            Mistake::new(name.span(), format!("expected `{name} = {value}`"))
        };
        match tokens.next() {
            Some(TokenTree::Punct(equals)) if equals.as_char() == '=' => {}
            _ => return Err(expected(&name)),
        }
        let mut value = tokens.next();
        let is_negative = matches!(&value, Some(TokenTree::Punct(minus)) if minus.as_char() == '-');
        if is_negative {
            value = tokens.next();
        }
        match value {
            Some(TokenTree::Literal(value)) => Ok(Self {
                name,
                value,
                is_negative,
            }),
            _ => Err(expected(&name)),
        }
    }

    /// The value as a string. None that is wanted here needs escapes, so only those without are taken.
    pub(crate) fn text(&self) -> Result<Text, Mistake> {
        let written = self.value.to_string();
        let value = written
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .filter(|value| !value.contains('\\') && !self.is_negative);
        match value {
            Some(value) => Ok(Text {
                value: value.to_owned(),
                span: self.value.span(),
            }),
            None => {
                let message = format!("expected a plain string: `{} = \"…\"`", self.name);
                Err(Mistake::new(self.value.span(), message))
            }
        }
    }

    /// The value as a number that lies in a range.
    #[cfg(feature = "structs")]
    pub(crate) fn number<N: std::str::FromStr + PartialOrd>(
        &self,
        range: std::ops::RangeInclusive<N>,
        expected: &str,
    ) -> Result<N, Mistake> {
        let written = self.value.to_string().replace('_', "");
        let number = written
            .parse()
            .ok()
            .filter(|number| range.contains(number) && !self.is_negative);
        number.ok_or_else(|| {
            let sign = if self.is_negative { "-" } else { "" };
            let message = format!("`{}` cannot be {sign}{written}", self.name);
            Mistake::new(self.value.span(), message).help(format!("expected {expected}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Args, String> {
        Args::parse(text.parse().unwrap(), &["workflow", "runtime"], |_| None)
            .map_err(|mistake| mistake.text())
    }

    #[test]
    fn arguments() {
        let args = parse(r#"workflow = "a.yaml", runtime = "::r","#).unwrap();
        assert_eq!(args.text("workflow").unwrap().unwrap().value, "a.yaml");
        assert_eq!(args.text("runtime").unwrap().unwrap().value, "::r");
        assert!(args.get("name").is_none());
    }

    #[test]
    fn mistakes() {
        for (text, wanted) in [
            (
                "workflw = \"a\"",
                "unknown argument `workflw`\nhelp: did you mean `workflow`?",
            ),
            ("x = \"a\"", "known are `workflow`, `runtime`"),
            ("workflow", "expected `workflow = "),
            ("workflow = a", "expected `workflow = "),
            ("workflow = \"a\" runtime = \"b\"", "expected `,`"),
            ("workflow = \"a\", workflow = \"b\"", "is there twice"),
            ("\"a.yaml\"", "expected `workflow"),
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.contains(wanted), "{text}: {message}");
        }
        let number = parse("workflow = 1").unwrap().text("workflow");
        assert!(
            number
                .unwrap_err()
                .text()
                .contains("expected a plain string")
        );
    }
}
