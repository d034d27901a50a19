//! OpenAI's strict mode.

use serde_json::{Map, Value, json};

/// The schema in strict mode, and whether it is one that strict mode takes.
pub(in crate::lm) fn strict_or_as_is(schema: Value) -> (bool, Value) {
    match strict(&schema) {
        Some(strict) => (true, strict),
        None => (false, schema),
    }
}

/// A schema as strict mode takes it: all properties required, those that were not may be null, no others,
/// no defaults, nothing beside a reference, and no limits on the length of texts. `None` if it cannot be said
/// that way.
fn strict(schema: &Value) -> Option<Value> {
    let node = schema.as_object()?;
    if let Some(reference) = node.get("$ref") {
        return Some(json!({"$ref": reference}));
    }
    let mut strict = Map::new();
    for (key, value) in node {
        match key.as_str() {
            "minLength"
            | "maxLength"
            | "uniqueItems"
            | "default"
            | "required"
            | "additionalProperties" => {}
            "$defs" => {
                let definitions = value
                    .as_object()?
                    .iter()
                    .map(|(name, definition)| Some((name.clone(), self::strict(definition)?)))
                    .collect::<Option<Map<_, _>>>()?;
                strict.insert(key.clone(), Value::Object(definitions));
            }
            "properties" => {
                let properties = value
                    .as_object()?
                    .iter()
                    .map(|(name, property)| {
                        let property = self::strict(property)?;
                        let property = if super::is_required(node, name) {
                            property
                        } else {
                            super::or_null(property)
                        };
                        Some((name.clone(), property))
                    })
                    .collect::<Option<Map<_, _>>>()?;
                let names: Vec<&String> = properties.keys().collect();
                strict.insert("required".to_owned(), json!(names));
                strict.insert("additionalProperties".to_owned(), json!(false));
                strict.insert(key.clone(), Value::Object(properties));
            }
            "items" => {
                strict.insert(key.clone(), self::strict(value)?);
            }
            "anyOf" => {
                let choices: Option<Vec<_>> = value.as_array()?.iter().map(self::strict).collect();
                strict.insert(key.clone(), json!(choices?));
            }
            "oneOf" | "allOf" | "not" | "patternProperties" => return None,
            _ => {
                strict.insert(key.clone(), value.clone());
            }
        }
    }
    (!super::is_open(node)).then_some(strict.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(properties: &Value) -> Value {
        let required: Vec<&String> = properties.as_object().unwrap().keys().collect();
        json!({
            "type": "object", "properties": properties, "required": required,
            "additionalProperties": false,
        })
    }

    #[test]
    fn strict_mode_requires_every_property_and_drops_lengths() {
        let schema = json!({
            "type": "object",
            "properties": {
                "a": {"type": "string", "maxLength": 5, "description": "d"},
                "b": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]},
                "c": {"type": "array", "items": {"type": "string", "minLength": 1}, "maxItems": 3},
            },
            "required": ["a", "c"],
            "additionalProperties": false,
        });
        let expected = object(&json!({
            "a": {"type": "string", "description": "d"},
            "b": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]},
            "c": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
        }));
        assert_eq!(strict(&schema), Some(expected));
    }

    #[test]
    fn what_is_left_out_is_null_and_references_stand_alone() {
        let schema = json!({
            "type": "object",
            "properties": {
                "a": {"$ref": "#/$defs/A", "description": "d"},
                "b": {"type": "boolean", "default": false},
                "c": {"type": "array", "items": {"$ref": "#/$defs/A"}, "uniqueItems": true},
            },
            "required": ["a"],
            "$defs": {"A": {
                "type": "object",
                "properties": {"n": {"type": "number", "exclusiveMinimum": 0, "multipleOf": 2}},
                "required": ["n"],
            }},
        });
        let reference = json!({"$ref": "#/$defs/A"});
        let or_null = |schema: Value| json!({"anyOf": [schema, {"type": "null"}]});
        let mut expected = object(&json!({
            "a": reference,
            "b": or_null(json!({"type": "boolean"})),
            "c": or_null(json!({"type": "array", "items": reference})),
        }));
        expected["$defs"] = json!({"A": object(
            &json!({"n": {"type": "number", "exclusiveMinimum": 0, "multipleOf": 2}})
        )});
        assert_eq!(strict(&schema), Some(expected));
    }

    #[test]
    fn what_is_open_cannot_be_strict() {
        for open in [
            json!({}),
            json!({"type": "object"}),
            json!({"type": "object", "additionalProperties": {"type": "string"}}),
            json!({"type": "array", "items": {}}),
            json!({"type": "array"}),
            object(&json!({"a": {}})),
        ] {
            assert_eq!(strict(&open), None, "{open}");
        }
    }
}
