//! Gemini's `responseJsonSchema`.

use serde_json::{Map, Value, json};

/// A schema of the keywords that the API knows; it refuses others. Every reply to the original is one to it.
pub(in crate::lm) fn gemini(schema: &Value) -> Value {
    let Some(node) = schema.as_object() else {
        return schema.clone();
    };
    // The API takes nothing beside a reference.
    if let Some(reference) = node.get("$ref") {
        return json!({"$ref": reference});
    }
    let mut known = Map::new();
    for (key, value) in node {
        let value = match key.as_str() {
            "properties" | "$defs" => match value.as_object() {
                Some(schemas) => schemas
                    .iter()
                    .map(|(name, schema)| (name.clone(), gemini(schema)))
                    .collect(),
                None => continue,
            },
            "items" | "additionalProperties" => gemini(value),
            "anyOf" | "oneOf" | "prefixItems" => match value.as_array() {
                Some(schemas) => schemas.iter().map(gemini).collect(),
                None => continue,
            },
            "enum" => match choices(value) {
                Some(choices) => choices,
                None => continue,
            },
            "const" => match choices(&json!([value])) {
                Some(choices) => {
                    known.insert("enum".to_owned(), choices);
                    continue;
                }
                None => continue,
            },
            "type" | "format" | "title" | "description" | "minItems" | "maxItems" | "minimum"
            | "maximum" | "required" | "$id" | "$anchor" => value.clone(),
            _ => continue,
        };
        known.insert(key.clone(), value);
    }
    known.into()
}

/// Only texts and numbers can be chosen from.
fn choices(values: &Value) -> Option<Value> {
    let all_plain = values
        .as_array()?
        .iter()
        .all(|value| value.is_string() || value.is_number());
    all_plain.then(|| values.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_keywords_are_sent() {
        let schema = json!({
            "type": "object",
            "properties": {
                "a": {"type": "string", "maxLength": 5, "pattern": "^a", "description": "d"},
                "b": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]},
                "c": {"type": "array", "items": {"type": "string", "minLength": 1}, "maxItems": 3},
                "d": {"const": "x"},
                "e": {"type": "boolean", "enum": [true]},
                "f": {"type": "object", "additionalProperties": {"type": "string", "minLength": 2}},
                "pattern": {},
                "g": {"$ref": "#/$defs/G", "description": "d"},
                "h": {"type": "integer", "enum": [1, 2], "multipleOf": 1, "default": 1},
            },
            "required": ["a"],
            "additionalProperties": false,
            "$defs": {"G": {"type": "string", "minLength": 1}},
        });
        let expected = json!({
            "type": "object",
            "properties": {
                "a": {"type": "string", "description": "d"},
                "b": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]},
                "c": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
                "d": {"enum": ["x"]},
                "e": {"type": "boolean"},
                "f": {"type": "object", "additionalProperties": {"type": "string"}},
                "pattern": {},
                "g": {"$ref": "#/$defs/G"},
                "h": {"type": "integer", "enum": [1, 2]},
            },
            "required": ["a"],
            "additionalProperties": false,
            "$defs": {"G": {"type": "string"}},
        });
        assert_eq!(gemini(&schema), expected);
    }
}
