//! Type names: `string`, `list[string]`, `dict[string, int]`, `string?`.

use std::fmt;

use crate::diag::{Code, Diagnostics};
use crate::source::Spanned;

/// A type as it can be written in one word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TypeExpr {
    String,
    Integer,
    Number,
    Boolean,
    Any,
    /// A string with `enum`, said outright.
    Enum,
    Array(Option<Box<TypeExpr>>),
    Object(Option<Box<TypeExpr>>),
    Optional(Box<TypeExpr>),
}

const NAMES: [&str; 13] = [
    "string", "integer", "number", "boolean", "array", "object", "any", "list", "dict", "int",
    "float", "bool", "enum",
];

impl TypeExpr {
    /// Whether a schema of type `inner` may stand under a field of this type.
    pub(crate) fn admits(&self, inner: &Self) -> bool {
        match (self, inner) {
            (Self::Any, _)
            | (Self::Array(None), Self::Array(_))
            | (Self::Object(None), Self::Object(_))
            | (Self::Number, Self::Integer) => true,
            (Self::Optional(own), Self::Optional(inner)) => own.admits(inner),
            (Self::Optional(own), _) => own.admits(inner),
            (own, inner) => own == inner,
        }
    }
}

impl fmt::Display for TypeExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String => f.write_str("string"),
            Self::Integer => f.write_str("integer"),
            Self::Number => f.write_str("number"),
            Self::Boolean => f.write_str("boolean"),
            Self::Any => f.write_str("any"),
            Self::Enum => f.write_str("enum"),
            Self::Array(None) => f.write_str("array"),
            Self::Array(Some(item)) => write!(f, "list[{item}]"),
            Self::Object(None) => f.write_str("object"),
            Self::Object(Some(value)) => write!(f, "dict[string, {value}]"),
            Self::Optional(inner) => write!(f, "{inner}?"),
        }
    }
}

/// Reads a type name. What is wrong with it is recorded; the type is then the one that was probably
/// meant, so that code which uses it still type-checks, or `None`.
pub(crate) fn parse(
    text: &Spanned<String>,
    diagnostics: &mut Diagnostics,
) -> Option<Spanned<TypeExpr>> {
    let written = text.value.trim();
    let problem = match expression(written, 0, false) {
        Ok(ty) => return Some(Spanned::new(ty, text.span)),
        Err(problem) => problem,
    };
    let diagnostic = diagnostics.error(
        Code::InvalidType,
        text.span,
        format!("`{text}` is not a type"),
    );
    match problem {
        Problem::Shape(shape) => {
            diagnostic.label(shape).help(HELP);
            None
        }
        Problem::Name(name) => {
            diagnostic.label(format!("there is no type `{name}`"));
            let Some(near) = crate::diag::nearest(&name, NAMES) else {
                diagnostic.help(HELP);
                return None;
            };
            diagnostic.help(format!("did you mean `{near}`?"));
            let meant = expression(&written.replacen(&name, near, 1), 0, false).ok()?;
            Some(Spanned::new(meant, text.span))
        }
    }
}

const HELP: &str = "types are `string`, `integer`, `number`, `boolean`, `array`, `object`, \
    `any`, `list[T]`, `dict[string, T]`, and `T?` for a value that may be absent; \
    an enum is a `string`, or `enum`, with `enum: [a, b]`";

/// Deeper shorthands than this are not written by people.
const MAX_DEPTH: usize = 16;

enum Problem {
    Name(String),
    Shape(&'static str),
}

fn expression(text: &str, depth: usize, nested: bool) -> Result<TypeExpr, Problem> {
    if depth > MAX_DEPTH {
        return Err(Problem::Shape("nested too deeply"));
    }
    if let Some(inner) = text.strip_suffix('?') {
        return match expression(inner.trim(), depth + 1, nested)? {
            TypeExpr::Optional(_) => Err(Problem::Shape("one `?` is enough")),
            inner => Ok(TypeExpr::Optional(Box::new(inner))),
        };
    }
    let (head, argument) = match text.split_once('[') {
        None => (text, None),
        Some((head, rest)) => {
            let argument = rest
                .strip_suffix(']')
                .ok_or(Problem::Shape("the bracket is not closed"))?;
            (head.trim(), Some(argument.trim()))
        }
    };
    match (head, argument) {
        ("string" | "str", None) => Ok(TypeExpr::String),
        ("integer" | "int", None) => Ok(TypeExpr::Integer),
        ("number" | "float", None) => Ok(TypeExpr::Number),
        ("boolean" | "bool", None) => Ok(TypeExpr::Boolean),
        ("any", None) => Ok(TypeExpr::Any),
        // Its values stand beside the type, so it has no place inside a list or a dict.
        ("enum", None) if !nested => Ok(TypeExpr::Enum),
        ("array" | "list", None) => Ok(TypeExpr::Array(None)),
        ("object" | "dict", None) => Ok(TypeExpr::Object(None)),
        ("array" | "list", Some(item)) => Ok(TypeExpr::Array(Some(Box::new(expression(
            item,
            depth + 1,
            true,
        )?)))),
        ("object" | "dict", Some(arguments)) => {
            let value = arguments
                .split_once(',')
                .filter(|(key, _)| matches!(key.trim(), "string" | "str"))
                .map(|(_, value)| value.trim())
                .ok_or(Problem::Shape("a dict is `dict[string, T]`"))?;
            let value = expression(value, depth + 1, true)?;
            Ok(TypeExpr::Object(Some(Box::new(value))))
        }
        (
            "string" | "str" | "integer" | "int" | "number" | "float" | "boolean" | "bool" | "any",
            Some(_),
        ) => Err(Problem::Shape("this type takes no argument")),
        (name, _) => Err(Problem::Name(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for text in [
            "string",
            "integer",
            "number",
            "boolean",
            "any",
            "enum?",
            "array",
            "object",
            "list[string]",
            "dict[string, list[integer]]",
            "string?",
            "list[number?]?",
        ] {
            let ty = expression(text, 0, false).ok().unwrap();
            assert_eq!(ty.to_string(), text);
        }
        assert!(matches!(
            expression(" int ".trim(), 0, false),
            Ok(TypeExpr::Integer)
        ));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "?",
            "list[",
            "list[string",
            "dict[int, string]",
            "strin",
            "string[int]",
            "string??",
            "list[]",
            "list[list[enum]]",
            "][",
        ] {
            assert!(expression(text, 0, false).is_err(), "{text}");
        }
        assert!(expression(&"list[".repeat(100_000), 0, false).is_err());
    }
}
