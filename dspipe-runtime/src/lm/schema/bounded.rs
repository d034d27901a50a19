//! Schemas that a very small model can fill.

use serde_json::{Map, Value, json};

/// The longest text that the embedded model is let write: as a field, and inside a list or a map.
const TEXT: u64 = 400;
const INNER_TEXT: u64 = 80;
/// A grammar grows with the lengths in it; beyond this the server refuses it.
const MAX_TEXT: u64 = 1000;
/// The longest list that the embedded model is let write, where the schema sets no limit, and where it
/// sets one.
const ITEMS: u64 = 5;
const MAX_ITEMS: u64 = 20;
/// Between the limits of a number that has two.
const GRID: u32 = 20;

/// A schema that a very small model can fill. Without limits it goes on until its context is full, so
/// every text and list gets one; what is untyped becomes text, and numbers are taken from a grid,
/// because llama.cpp's grammars hold integers to their limits but not other numbers. Every reply to it
/// is also one to the original.
#[cfg_attr(not(feature = "local"), allow(dead_code))]
pub(in crate::lm) fn bounded(schema: &Value) -> Value {
    bound(schema, TEXT)
}

fn bound(schema: &Value, text: u64) -> Value {
    let Some(node) = schema.as_object() else {
        return schema.clone();
    };
    if ["enum", "const", "$ref"]
        .iter()
        .any(|key| node.contains_key(*key))
    {
        return schema.clone();
    }
    let mut bounded = node.clone();
    if let Some(Value::Object(definitions)) = bounded.get_mut("$defs") {
        for definition in definitions.values_mut() {
            *definition = bound(definition, INNER_TEXT);
        }
    }
    if let Some(Value::Array(choices)) = bounded.get_mut("anyOf") {
        for choice in choices {
            *choice = bound(choice, text);
        }
        return bounded.into();
    }
    match node.get("type").and_then(Value::as_str) {
        Some("string") => {
            // Its grammars take whole patterns only.
            let is_whole = |pattern: &str| pattern.starts_with('^') && pattern.ends_with('$');
            let pattern = node.get("pattern").and_then(Value::as_str);
            if pattern.is_some_and(|pattern| !is_whole(pattern)) {
                bounded.shift_remove("pattern");
            }
            limit(&mut bounded, "minLength", "maxLength", text, MAX_TEXT);
        }
        Some("number") => return number(bounded),
        Some("array") => {
            let items = node.get("items").unwrap_or(&Value::Null);
            bounded.insert("items".to_owned(), bound_or_text(items));
            limit(&mut bounded, "minItems", "maxItems", ITEMS, MAX_ITEMS);
        }
        Some("object") => match bounded.get_mut("properties") {
            Some(Value::Object(properties)) => {
                for property in properties.values_mut() {
                    *property = bound(property, text);
                }
            }
            _ => {
                let values = node.get("additionalProperties").unwrap_or(&Value::Null);
                bounded.insert("additionalProperties".to_owned(), bound_or_text(values));
            }
        },
        Some(_) => {}
        None => {
            bounded.insert("type".to_owned(), json!("string"));
            bounded.insert("maxLength".to_owned(), json!(text));
        }
    }
    bounded.into()
}

/// What a list or a map holds: text, if the schema leaves it open.
fn bound_or_text(schema: &Value) -> Value {
    match schema {
        Value::Object(_) => bound(schema, INNER_TEXT),
        _ => json!({"type": "string", "maxLength": INNER_TEXT}),
    }
}

/// Sets the upper limit of a length: `usual` if there is none, never more than `most`, unless
/// the lower limit asks for it.
fn limit(node: &mut Map<String, Value>, lower: &str, upper: &str, usual: u64, most: u64) {
    let at_least = node.get(lower).and_then(Value::as_u64).unwrap_or(0);
    let at_most = node
        .get(upper)
        .and_then(Value::as_u64)
        .unwrap_or(usual.max(at_least))
        .min(most.max(at_least));
    node.insert(upper.to_owned(), json!(at_most));
}

fn number(mut node: Map<String, Value>) -> Value {
    let get = |key: &str| node.get(key).and_then(Value::as_f64);
    let (minimum, maximum) = (get("minimum"), get("maximum"));
    match (minimum, maximum) {
        (None, None) => {}
        (Some(low), Some(high)) if high - low < f64::from(GRID) => {
            let step = (high - low) / f64::from(GRID);
            let points: Vec<f64> = (0..=GRID)
                .map(|index| ((low + step * f64::from(index)) * 1e6).round() / 1e6)
                .filter(|point| (low..=high).contains(point))
                .collect();
            if !points.is_empty() {
                return json!({"enum": points});
            }
        }
        _ => {
            node.insert("type".to_owned(), json!("integer"));
            #[expect(
                clippy::cast_possible_truncation,
                reason = "saturates, which is as good"
            )]
            for (key, value) in [
                ("minimum", minimum.map(f64::ceil)),
                ("maximum", maximum.map(f64::floor)),
            ] {
                if let Some(value) = value {
                    node.insert(key.to_owned(), json!(value as i64));
                }
            }
        }
    }
    node.into()
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
    fn everything_gets_an_end() {
        let schema = object(&json!({
            "text": {"type": "string"},
            "long": {"type": "string", "maxLength": 100_000},
            "forced": {"type": "string", "minLength": 1200},
            "list": {"type": "array"},
            "texts": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
            "many": {"type": "array", "items": {"type": "integer"}, "minItems": 30},
            "any": {},
            "tree": {"$ref": "#/$defs/Tree"},
            "map": {"type": "object"},
            "maybe": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "kind": {"type": "string", "enum": ["a", "b"]},
            "part": {"type": "string", "pattern": "[a-z]"},
            "whole": {"type": "string", "pattern": "^[a-z]+$"},
        }));
        let expected = object(&json!({
            "text": {"type": "string", "maxLength": 400},
            "long": {"type": "string", "maxLength": 1000},
            "forced": {"type": "string", "minLength": 1200, "maxLength": 1200},
            "list": {"type": "array", "items": {"type": "string", "maxLength": 80}, "maxItems": 5},
            "texts": {"type": "array", "items": {"type": "string", "maxLength": 80}, "maxItems": 3},
            "many": {"type": "array", "items": {"type": "integer"}, "minItems": 30, "maxItems": 30},
            "any": {"type": "string", "maxLength": 400},
            "tree": {"$ref": "#/$defs/Tree"},
            "map": {"type": "object", "additionalProperties": {"type": "string", "maxLength": 80}},
            "maybe": {"anyOf": [{"type": "string", "maxLength": 400}, {"type": "null"}]},
            "kind": {"type": "string", "enum": ["a", "b"]},
            "part": {"type": "string", "maxLength": 400},
            "whole": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 400},
        }));
        assert_eq!(bounded(&schema), expected);
    }

    #[test]
    fn recursive_types_get_an_end_where_they_are_defined() {
        let mut schema = object(&json!({"a": {"$ref": "#/$defs/A", "description": "d"}}));
        schema["$defs"] = json!({"A": object(&json!({
            "text": {"type": "string"},
            "next": {"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}]},
        }))});
        let mut expected = schema.clone();
        expected["$defs"]["A"]["properties"]["text"]["maxLength"] = json!(80);
        assert_eq!(bounded(&schema), expected);
    }

    #[test]
    fn numbers_stay_within_their_limits() {
        let bounded = |schema: Value| bounded(&schema);
        let unit = bounded(json!({"type": "number", "minimum": 0, "maximum": 1}));
        let points: Vec<f64> = serde_json::from_value(unit["enum"].clone()).unwrap();
        assert_eq!(points.len(), 21);
        assert!(points.iter().all(|point| (0.0..=1.0).contains(point)));
        assert_eq!(
            bounded(json!({"type": "number", "minimum": 0.5, "maximum": 99.5})),
            json!({"type": "integer", "minimum": 1, "maximum": 99})
        );
        assert_eq!(
            bounded(json!({"type": "number", "minimum": -2.5})),
            json!({"type": "integer", "minimum": -2})
        );
        assert_eq!(
            bounded(json!({"type": "number"})),
            json!({"type": "number"})
        );
    }
}
