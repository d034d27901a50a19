//! Gemini's `responseJsonSchema`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

/// A schema of the keywords that the API knows; it refuses others. Every reply to the original is one to it.
pub(in crate::lm) fn gemini(schema: &Value) -> Value {
    Rewriter {
        reach: reach(schema),
    }
    .node(schema, None)
}

struct Rewriter<'s> {
    reach: BTreeMap<&'s str, BTreeSet<&'s str>>,
}

impl Rewriter<'_> {
    /// Rewrites a schema, which is part of the definition of this name.
    fn node(&self, schema: &Value, within: Option<&str>) -> Value {
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
                        .map(|(name, schema)| {
                            let within = if key == "$defs" {
                                Some(&**name)
                            } else {
                                within
                            };
                            (name.clone(), self.node(schema, within))
                        })
                        .collect(),
                    None => continue,
                },
                "items" | "additionalProperties" => self.node(value, within),
                "anyOf" | "oneOf" | "prefixItems" => match value.as_array() {
                    Some(schemas) => schemas
                        .iter()
                        .map(|schema| self.node(schema, within))
                        .collect(),
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
                "required" => self.required(node, value, within),
                "type" | "format" | "title" | "description" | "minItems" | "maxItems"
                | "minimum" | "maximum" | "$id" | "$anchor" => value.clone(),
                _ => continue,
            };
            known.insert(key.clone(), value);
        }
        known.into()
    }

    /// Without the properties by which a definition contains itself: the API unrolls those, and lets them be
    /// required nowhere.
    fn required(&self, node: &Map<String, Value>, names: &Value, within: Option<&str>) -> Value {
        let (Some(names), Some(within)) = (names.as_array(), within) else {
            return names.clone();
        };
        let leads_back = |name: &&Value| {
            let property = name
                .as_str()
                .and_then(|name| node.get("properties")?.get(name));
            let mut to = BTreeSet::new();
            references(property.unwrap_or(&Value::Null), &mut to);
            to.iter().any(|to| {
                *to == within
                    || self
                        .reach
                        .get(to)
                        .is_some_and(|reach| reach.contains(within))
            })
        };
        names
            .iter()
            .filter(|name| !leads_back(name))
            .cloned()
            .collect()
    }
}

/// What each definition leads to, in any number of steps.
fn reach(schema: &Value) -> BTreeMap<&str, BTreeSet<&str>> {
    let definitions = schema.get("$defs").and_then(Value::as_object);
    let definitions = definitions.into_iter().flatten();
    let mut reach: BTreeMap<&str, BTreeSet<&str>> = definitions
        .map(|(name, definition)| {
            let mut to = BTreeSet::new();
            references(definition, &mut to);
            (&**name, to)
        })
        .collect();
    let names: Vec<&str> = reach.keys().copied().collect();
    // By Warshall: one more definition to go through in each round.
    for through in &names {
        let further = reach.get(through).cloned().unwrap_or_default();
        for name in &names {
            if let Some(to) = reach.get_mut(name)
                && to.contains(through)
            {
                to.extend(&further);
            }
        }
    }
    reach
}

/// The definitions that a schema refers to.
fn references<'s>(schema: &'s Value, found: &mut BTreeSet<&'s str>) {
    match schema {
        Value::Object(node) => {
            for (key, value) in node {
                match value.as_str() {
                    Some(reference) if key == "$ref" => {
                        found.extend(reference.strip_prefix("#/$defs/"));
                    }
                    _ => references(value, found),
                }
            }
        }
        Value::Array(all) => all.iter().for_each(|one| references(one, found)),
        _ => {}
    }
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

    #[test]
    fn what_leads_back_is_required_nowhere() {
        let object = |properties: Value, required: Value| json!({"type": "object", "properties": properties, "required": required});
        let to = |name: &str| json!({"$ref": format!("#/$defs/{name}")});
        let all = json!(["name", "one", "many"]);
        let tree = |required: &Value, other: &str| {
            let properties = json!({
                "name": {"type": "string"},
                "one": {"anyOf": [to(other), {"type": "null"}]},
                "many": {"type": "array", "items": to(other)},
            });
            object(properties, required.clone())
        };
        let schema = |required: &Value| {
            let mut schema = object(
                json!({"root": to("A"), "leaf": to("C")}),
                json!(["root", "leaf"]),
            );
            schema["$defs"] = json!({
                "A": tree(required, "B"),
                "B": tree(required, "A"),
                // It leads to others, not back.
                "C": tree(&all, "A"),
            });
            schema
        };
        assert_eq!(gemini(&schema(&all)), schema(&json!(["name"])));
    }
}
