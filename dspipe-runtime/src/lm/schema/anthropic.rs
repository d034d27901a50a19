//! Anthropic's structured outputs.

use std::fmt::Write;

use serde_json::{Map, Value, json};

/// What the API refuses, limits mostly. The model reads them in the description instead.
const REFUSED: &[&str] = &[
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "maxItems",
    "minItems",
    "uniqueItems",
    "default",
];

/// The API takes no more than these in one schema.
const MAX_OPTIONAL: usize = 24;
const MAX_CHOICES: usize = 16;

/// A schema as structured outputs take it: no properties besides those that are named, no limits.
/// `None` if it cannot be said that way: keys of any name, values of any type, references (which may be
/// recursive), too much that is optional.
pub(in crate::lm) fn anthropic(schema: &Value) -> Option<Value> {
    let mut counts = Counts::default();
    let closed = counts.close(schema)?;
    (counts.optional <= MAX_OPTIONAL && counts.choices <= MAX_CHOICES).then_some(closed)
}

/// What there is in a schema so far.
#[derive(Default)]
struct Counts {
    /// Properties that may be left out.
    optional: usize,
    /// `anyOf`s.
    choices: usize,
}

impl Counts {
    fn close(&mut self, schema: &Value) -> Option<Value> {
        let node = schema.as_object()?;
        let mut closed = Map::new();
        let mut limits = String::new();
        for (key, value) in node {
            match key.as_str() {
                // Of the limits of lists the API knows these two.
                "minItems" if matches!(value.as_u64(), Some(0 | 1)) => {
                    closed.insert(key.clone(), value.clone());
                }
                key if REFUSED.contains(&key) => {
                    let comma = if limits.is_empty() { "" } else { ", " };
                    // Writing to a string does not fail.
                    let _ = write!(limits, "{comma}{key}: {value}");
                }
                "properties" => {
                    let properties = value
                        .as_object()?
                        .iter()
                        .map(|(name, property)| {
                            self.optional += usize::from(!super::is_required(node, name));
                            Some((name.clone(), self.close(property)?))
                        })
                        .collect::<Option<Map<_, _>>>()?;
                    closed.insert(key.clone(), Value::Object(properties));
                    closed.insert("additionalProperties".to_owned(), json!(false));
                }
                "additionalProperties" => {}
                "items" => {
                    closed.insert(key.clone(), self.close(value)?);
                }
                "anyOf" => {
                    self.choices += 1;
                    let choices: Option<Vec<_>> = value
                        .as_array()?
                        .iter()
                        .map(|choice| self.close(choice))
                        .collect();
                    closed.insert(key.clone(), json!(choices?));
                }
                "$ref" | "$defs" | "oneOf" | "allOf" | "not" | "patternProperties" => return None,
                _ => {
                    closed.insert(key.clone(), value.clone());
                }
            }
        }
        if !limits.is_empty() {
            let description = match closed.get("description").and_then(Value::as_str) {
                Some(text) => format!("{text} ({limits})"),
                None => limits,
            };
            closed.insert("description".to_owned(), json!(description));
        }
        (!super::is_open(node)).then_some(closed.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_become_words_and_objects_are_closed() {
        let schema = json!({
            "type": "object",
            "properties": {
                "a": {"type": "string", "maxLength": 5, "pattern": "^a", "description": "d"},
                "b": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]},
                "c": {
                    "type": "array", "items": {"type": "object", "properties": {}},
                    "minItems": 1, "maxItems": 3,
                },
                "d": {"enum": ["x", null]},
                "e": {"type": "array", "items": {"type": "string"}, "minItems": 2},
                "f": {"type": "boolean", "default": false},
            },
            "required": ["a"],
        });
        let expected = json!({
            "type": "object",
            "properties": {
                "a": {"type": "string", "description": "d (maxLength: 5, pattern: \"^a\")"},
                "b": {"anyOf": [{"type": "integer", "description": "minimum: 0"}, {"type": "null"}]},
                "c": {
                    "type": "array",
                    "items": {"type": "object", "properties": {}, "additionalProperties": false},
                    "minItems": 1,
                    "description": "maxItems: 3",
                },
                "d": {"enum": ["x", null]},
                "e": {"type": "array", "items": {"type": "string"}, "description": "minItems: 2"},
                "f": {"type": "boolean", "description": "default: false"},
            },
            "additionalProperties": false,
            "required": ["a"],
        });
        assert_eq!(anthropic(&schema), Some(expected));
    }

    #[test]
    fn what_is_open_cannot_be_said() {
        for open in [
            json!({}),
            json!({"type": "object", "additionalProperties": {"type": "string"}}),
            json!({"type": "array", "items": {}}),
            json!({"anyOf": [{}, {"type": "null"}]}),
            json!({"$ref": "#"}),
        ] {
            assert_eq!(anthropic(&open), None, "{open}");
        }
    }

    #[test]
    fn too_much_that_is_optional_cannot_be_said() {
        let object = |count: usize, required: bool, property: Value| {
            let properties: Map<String, Value> = (0..count)
                .map(|index| (format!("p{index}"), property.clone()))
                .collect();
            let names: Vec<&String> = properties.keys().filter(|_| required).collect();
            json!({"type": "object", "required": names, "properties": properties})
        };
        let text = json!({"type": "string"});
        assert!(anthropic(&object(24, false, text.clone())).is_some());
        assert!(anthropic(&object(25, true, text.clone())).is_some());
        assert!(anthropic(&object(25, false, text)).is_none());
        let choice = json!({"anyOf": [{"type": "string"}, {"type": "null"}]});
        assert!(anthropic(&object(16, true, choice.clone())).is_some());
        assert!(anthropic(&object(17, true, choice)).is_none());
    }
}
