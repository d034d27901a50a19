//! Types as other languages write them, for help: `Optional[str]`, `Vec<String>`, `string | null`.

use super::{MAX_DEPTH, TypeExpr};

/// What to write in place of a text that is not a type here, if it is one elsewhere.
pub(super) fn help(text: &str) -> Option<String> {
    if text.len() > 200 {
        return None;
    }
    if let Some(ty) = read(text, 0) {
        return Some(format!("did you mean `{ty}`?"));
    }
    if text.starts_with("Literal[") {
        return Some("an enum is a `string` with `enum: [a, b]`".to_owned());
    }
    let parts: Option<Vec<String>> = text
        .split('|')
        .map(|part| read(part, 0).map(|ty| ty.to_string()))
        .collect();
    match parts.as_deref() {
        None | Some([_]) => None,
        Some(parts) => Some(format!(
            "one of several types is a list: `type: [{}]`",
            parts.join(", ")
        )),
    }
}

fn read(text: &str, depth: usize) -> Option<TypeExpr> {
    if depth > MAX_DEPTH {
        return None;
    }
    let inner = |text: &str| read(text, depth + 1);
    let text = text.trim();
    if let Some(item) = text.strip_suffix("[]") {
        return Some(TypeExpr::Array(Some(Box::new(inner(item)?))));
    }
    if let Some((left, right)) = text.split_once('|') {
        let is_null = |text: &str| matches!(text.trim(), "null" | "None" | "undefined" | "nil");
        let ty = match (is_null(left), is_null(right)) {
            (true, false) => right,
            (false, true) => left,
            _ => return None,
        };
        return Some(TypeExpr::Optional(Box::new(inner(ty)?)));
    }
    let (head, argument) = match text.find(['[', '<']) {
        Some(at) => {
            let argument = text[at + 1..].strip_suffix([']', '>'])?;
            (&text[..at], Some(argument))
        }
        None => (text, None),
    };
    let head = head.rsplit(['.', ':']).next()?.to_ascii_lowercase();
    Some(match (head.as_str(), argument) {
        ("string" | "str" | "text", None) => TypeExpr::String,
        (
            "integer" | "int" | "long" | "i8" | "i16" | "i32" | "i64" | "u8" | "u16" | "u32"
            | "u64" | "usize",
            None,
        ) => TypeExpr::Integer,
        ("number" | "float" | "double" | "f32" | "f64", None) => TypeExpr::Number,
        ("boolean" | "bool", None) => TypeExpr::Boolean,
        ("any" | "value" | "unknown", None) => TypeExpr::Any,
        ("list" | "array" | "sequence", None) => TypeExpr::Array(None),
        ("dict" | "object" | "map", None) => TypeExpr::Object(None),
        ("list" | "array" | "vec" | "sequence" | "set", Some(item)) => {
            TypeExpr::Array(Some(Box::new(inner(item)?)))
        }
        ("dict" | "object" | "map" | "hashmap" | "btreemap" | "record" | "mapping", Some(pair)) => {
            let (key, value) = pair.split_once(',')?;
            if inner(key)? != TypeExpr::String {
                return None;
            }
            TypeExpr::Object(Some(Box::new(inner(value)?)))
        }
        ("optional" | "option", Some(ty)) => TypeExpr::Optional(Box::new(inner(ty)?)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::help;

    #[test]
    fn types_of_other_languages() {
        for (text, wanted) in [
            ("Optional[str]", "string?"),
            ("List[Dict[str, int]]", "list[dict[string, integer]]"),
            ("Vec<Option<f64>>", "list[number?]"),
            (
                "std::collections::HashMap<String, bool>",
                "dict[string, boolean]",
            ),
            ("string[]", "list[string]"),
            ("string | null", "string?"),
            ("typing.List[str]", "list[string]"),
        ] {
            assert_eq!(help(text), Some(format!("did you mean `{wanted}`?")));
        }
        for (text, part) in [
            ("string | int", "`type: [string, integer]`"),
            ("Literal['a', 'b']", "enum: [a, b]"),
        ] {
            assert!(help(text).unwrap().contains(part), "{text}");
        }
        for text in ["", "|", "Foo[str]", "[[[[", "Dict[int, str]", "a | b | c"] {
            assert_eq!(help(text), None, "{text}");
        }
        assert_eq!(help(&"[]".repeat(1_000_000)), None);
        assert_eq!(help(&"[]".repeat(90)), None);
    }
}
