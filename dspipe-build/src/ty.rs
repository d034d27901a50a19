//! Type names: `string`, `list[string]`, `dict[string, int]`, `string?`.

mod foreign;

use std::fmt;

use crate::diag::{Code, Diagnostics};
use crate::ir::MediaKind;
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
    /// A type of the user's, under `types:`.
    Named(String),
    /// Only as an input of a step, by itself.
    Media(MediaKind),
    /// One of several; written as a list.
    OneOf(Vec<TypeExpr>),
    /// Nothing: an alternative beside others.
    Null,
}

pub(crate) const NAMES: [&str; 15] = [
    "string", "integer", "number", "boolean", "array", "object", "any", "list", "dict", "int",
    "float", "bool", "enum", "image", "document",
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
            Self::Named(name) => f.write_str(name),
            Self::Null => f.write_str("null"),
            Self::Media(kind) => f.write_str(kind.name()),
            Self::OneOf(all) => {
                for (index, ty) in all.iter().enumerate() {
                    write!(f, "{}{ty}", if index == 0 { "" } else { " or " })?;
                }
                Ok(())
            }
        }
    }
}

/// Reads a type name. A word that is no type of ours may be one of the user's, which shows later. What is
/// wrong with the form is recorded.
pub(crate) fn parse(
    text: &Spanned<String>,
    diagnostics: &mut Diagnostics,
) -> Option<Spanned<TypeExpr>> {
    match expression(text.value.trim(), 0, false) {
        Ok(ty) => Some(Spanned::new(ty, text.span)),
        Err(problem) => {
            let help = foreign::help(&text.value).unwrap_or_else(|| HELP.to_owned());
            diagnostics
                .error(
                    Code::InvalidType,
                    text.span,
                    format!("`{text}` is not a type"),
                )
                .label(problem)
                .help(help);
            None
        }
    }
}

/// The type of ours that has this name; for words that were probably meant.
pub(crate) fn builtin(name: &str) -> Option<TypeExpr> {
    match expression(name, 0, false) {
        Ok(TypeExpr::Named(_)) | Err(_) => None,
        Ok(ty) => Some(ty),
    }
}

pub(crate) const HELP: &str = "types are `string`, `integer`, `number`, `boolean`, `array`, `object`, \
    `any`, `list[T]`, `dict[string, T]`, and `T?` for a value that may be absent; \
    an enum is a `string`, or `enum`, with `enum: [a, b]`";

/// Deeper shorthands than this are not written by people.
const MAX_DEPTH: usize = 16;

/// What is wrong with a text that is not a type.
fn expression(text: &str, depth: usize, nested: bool) -> Result<TypeExpr, &'static str> {
    if depth > MAX_DEPTH {
        return Err("nested too deeply");
    }
    if let Some(inner) = text.strip_suffix('?') {
        return match expression(inner.trim(), depth + 1, nested)? {
            TypeExpr::Optional(_) => Err("one `?` is enough"),
            inner => Ok(TypeExpr::Optional(Box::new(inner))),
        };
    }
    let (head, argument) = match text.split_once('[') {
        None => (text, None),
        Some((head, rest)) => {
            let argument = rest.strip_suffix(']').ok_or("the bracket is not closed")?;
            (head.trim(), Some(argument.trim()))
        }
    };
    match (head, argument) {
        ("string" | "str", None) => Ok(TypeExpr::String),
        ("integer" | "int", None) => Ok(TypeExpr::Integer),
        ("number" | "float", None) => Ok(TypeExpr::Number),
        ("boolean" | "bool", None) => Ok(TypeExpr::Boolean),
        ("any", None) => Ok(TypeExpr::Any),
        ("null", None) if !nested => Ok(TypeExpr::Null),
        // Its values stand beside the type, so it has no place inside a list or a dict.
        ("enum", None) if !nested => Ok(TypeExpr::Enum),
        ("image", None) if !nested => Ok(TypeExpr::Media(MediaKind::Image)),
        ("document", None) if !nested => Ok(TypeExpr::Media(MediaKind::Document)),
        ("image" | "document", None) => Err("it stands alone, in an input field of a step"),
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
                .ok_or("a dict is `dict[string, T]`")?;
            let value = expression(value, depth + 1, true)?;
            Ok(TypeExpr::Object(Some(Box::new(value))))
        }
        (
            "string" | "str" | "integer" | "int" | "number" | "float" | "boolean" | "bool" | "any"
            | "image" | "document",
            Some(_),
        ) => Err("this type takes no argument"),
        ("enum", None) => Err("an enum has its values beside it, so it stands alone"),
        ("null", None) => Err("`null` holds nothing; `T?` is a `T` that may be absent"),
        (name, None) if is_name(name) => Ok(TypeExpr::Named(name.to_owned())),
        (name, Some(_)) if is_name(name) => Err("only `list` and `dict` take an argument"),
        _ => Err("this is no name"),
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
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
            "image",
            "document?",
            "array",
            "object",
            "list[string]",
            "dict[string, list[integer]]",
            "string?",
            "list[number?]?",
            "Address",
            "dict[string, list[Address?]]",
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
            "9lives",
            "Address[string]",
            "a b",
            "string[int]",
            "string??",
            "list[]",
            "list[list[enum]]",
            "list[image]",
            "image[string]",
            "][",
        ] {
            assert!(expression(text, 0, false).is_err(), "{text}");
        }
        assert!(expression(&"list[".repeat(100_000), 0, false).is_err());
    }
}
