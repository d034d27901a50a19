//! OpenAI's strict mode.

use serde_json::{Map, Value, json};

/// What strict mode takes at most in one schema.
const MAX_PROPERTIES: usize = 5000;
const MAX_DEPTH: usize = 10;
const MAX_CHOICES: usize = 1000;
/// Characters of names and choices.
const MAX_TEXT: usize = 120_000;

/// The schema in strict mode, and whether it is one that strict mode takes.
pub(in crate::lm) fn strict_or_as_is(schema: Value) -> (bool, Value) {
    match strict(&schema).filter(is_small) {
        Some(strict) => (true, strict),
        None => (false, schema),
    }
}

fn is_small(schema: &Value) -> bool {
    let mut size = Size::default();
    size.add(schema, 0);
    size.properties <= MAX_PROPERTIES
        && size.depth <= MAX_DEPTH
        && size.choices <= MAX_CHOICES
        && size.text <= MAX_TEXT
}

/// How much there is in a schema.
#[derive(Default)]
struct Size {
    properties: usize,
    /// Objects in each other.
    depth: usize,
    choices: usize,
    text: usize,
}

impl Size {
    /// Adds a schema that is inside so many objects.
    fn add(&mut self, schema: &Value, outer: usize) {
        let Some(node) = schema.as_object() else {
            return;
        };
        for (key, value) in node {
            match (key.as_str(), value) {
                ("properties", Value::Object(properties)) => {
                    self.depth = self.depth.max(outer + 1);
                    self.properties += properties.len();
                    self.named(properties, outer + 1);
                }
                ("$defs", Value::Object(definitions)) => self.named(definitions, 0),
                ("anyOf", Value::Array(choices)) => {
                    for choice in choices {
                        self.add(choice, outer);
                    }
                }
                ("items", items) => self.add(items, outer),
                ("enum", Value::Array(choices)) => {
                    self.choices += choices.len();
                    for choice in choices {
                        self.said(choice);
                    }
                }
                ("const", choice) => self.said(choice),
                _ => {}
            }
        }
    }

    fn named(&mut self, schemas: &Map<String, Value>, outer: usize) {
        for (name, schema) in schemas {
            self.text += name.len();
            self.add(schema, outer);
        }
    }

    fn said(&mut self, choice: &Value) {
        self.text += choice.as_str().map_or(0, str::len);
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
    fn what_is_too_large_cannot_be_strict() {
        let is_strict = |schema: Value| strict_or_as_is(schema).0;
        let many = |count: usize| {
            let properties: Map<String, Value> = (0..count)
                .map(|index| (format!("p{index}"), json!({"type": "null"})))
                .collect();
            object(&properties.into())
        };
        assert!(is_strict(many(5000)));
        assert!(!is_strict(many(5001)));
        let deep = |depth: usize| {
            (0..depth).fold(json!({"type": "null"}), |inner, _| {
                object(&json!({"a": {"type": "array", "items": inner}}))
            })
        };
        assert!(is_strict(deep(10)));
        assert!(!is_strict(deep(11)));
        let choices = |count: usize, length: usize| {
            let values: Vec<String> = (0..count)
                .map(|index| format!("{index:0length$}"))
                .collect();
            object(&json!({"a": {"type": "string", "enum": values}}))
        };
        assert!(is_strict(choices(1000, 4)));
        assert!(!is_strict(choices(1001, 4)));
        assert!(!is_strict(choices(100, 1200)));
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
