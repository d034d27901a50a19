//! Schemas with what they refer to and all parts of `allOf` in one.

use serde_json::{Map, Value};

use super::SchemaError;
use super::build::{ANNOTATIONS, Builder, MAX_DEPTH};

/// Under this key, what is held against a value when it was read is set apart from what is needed to read it.
pub(super) const APART: &str = "$apart";

/// The keywords that are set apart.
const CHECKS: [&str; 10] = [
    "not",
    "if",
    "then",
    "else",
    "dependentRequired",
    "dependentSchemas",
    "dependencies",
    "contains",
    "minContains",
    "maxContains",
];

impl Builder<'_> {
    /// The schema with what it refers to and `allOf` taken in.
    pub(super) fn merged(
        &self,
        map: &Map<String, Value>,
        depth: usize,
    ) -> Result<Map<String, Value>, SchemaError> {
        if depth > MAX_DEPTH {
            return Err(self.invalid("it refers to itself and to nothing else"));
        }
        let mut whole = map.clone();
        set_apart(&mut whole);
        if let Some(reference) = whole.remove("$ref") {
            let Value::String(reference) = reference else {
                return Err(self.invalid("`$ref` is a text"));
            };
            let pointer = self.resolve(&reference)?;
            match self.document.pointer(&pointer) {
                Some(Value::Object(target)) => {
                    let target = self.merged(target, depth + 1)?;
                    self.merge(&mut whole, target)?;
                }
                Some(Value::Bool(true)) => {}
                _ => return Err(self.invalid(format!("there is no schema at `{reference}`"))),
            }
        }
        match whole.remove("allOf") {
            None => {}
            Some(Value::Array(parts)) => {
                for part in parts {
                    match part {
                        Value::Object(part) => {
                            let part = self.merged(&part, depth + 1)?;
                            self.merge(&mut whole, part)?;
                        }
                        Value::Bool(true) => {}
                        _ => return Err(self.invalid("`allOf` holds schemas")),
                    }
                }
            }
            Some(_) => return Err(self.invalid("`allOf` is a list")),
        }
        Ok(whole)
    }

    /// Adds what another schema demands. What both say must be the same, but for what can be combined.
    fn merge(
        &self,
        whole: &mut Map<String, Value>,
        other: Map<String, Value>,
    ) -> Result<(), SchemaError> {
        for (key, value) in other {
            let Some(known) = whole.get_mut(&key) else {
                whole.insert(key, value);
                continue;
            };
            match (key.as_str(), known, value) {
                ("properties", Value::Object(known), Value::Object(value)) => {
                    for (name, schema) in value {
                        match known.get_mut(&name) {
                            None => {
                                known.insert(name, schema);
                            }
                            Some(here) if *here == schema => {}
                            Some(here) => {
                                *here = serde_json::json!({ "allOf": [here.take(), schema] });
                            }
                        }
                    }
                }
                ("required", Value::Array(known), Value::Array(value)) => {
                    for name in value {
                        if !known.contains(&name) {
                            known.push(name);
                        }
                    }
                }
                ("enum", Value::Array(known), Value::Array(value)) => {
                    known.retain(|choice| value.contains(choice));
                }
                ("minimum" | "exclusiveMinimum" | "minLength" | "minItems", known, value)
                    if known.is_number() && value.is_number() =>
                {
                    if value.as_f64() > known.as_f64() {
                        *known = value;
                    }
                }
                ("maximum" | "exclusiveMaximum" | "maxLength" | "maxItems", known, value)
                    if known.is_number() && value.is_number() =>
                {
                    if value.as_f64() < known.as_f64() {
                        *known = value;
                    }
                }
                (APART, Value::Array(known), Value::Array(value)) => known.extend(value),
                ("type", known, value) => match intersection(known, &value) {
                    Some(both) => *known = both,
                    None => return Err(self.invalid("no value has both types")),
                },
                // Theirs is of no use here.
                (annotation, _, _) if ANNOTATIONS.contains(&annotation) => {}
                (_, known, value) if *known == value => {}
                (keyword, _, _) => {
                    return Err(self.unsupported(&format!("{keyword} twice in allOf")));
                }
            }
        }
        Ok(())
    }
}

/// Sets apart what is held against values that were read. Properties that are named only there are properties.
fn set_apart(whole: &mut Map<String, Value>) {
    let mut checks = Map::new();
    for key in CHECKS {
        if let Some(value) = whole.remove(key) {
            checks.insert(key.to_owned(), value);
        }
    }
    if checks.is_empty() {
        return;
    }
    let branches = ["then", "else"].iter().filter_map(|key| checks.get(*key));
    let dependents = checks.get("dependentSchemas").and_then(Value::as_object);
    let parts = branches.chain(dependents.into_iter().flat_map(Map::values));
    let is_closed = whole.get("additionalProperties") == Some(&Value::Bool(false));
    let mut named: Map<String, Value> = Map::new();
    for (name, schema) in parts
        .filter_map(|part| part.get("properties")?.as_object())
        .flatten()
        .filter(|_| !is_closed)
    {
        match named.get(name) {
            None => named.insert(name.clone(), schema.clone()),
            Some(known) if known == schema => None,
            // Which of them holds is seen when the value is read.
            Some(_) => named.insert(name.clone(), Value::Bool(true)),
        };
    }
    if !named.is_empty()
        && let Value::Object(properties) = whole
            .entry("properties")
            .or_insert_with(|| Value::Object(Map::new()))
    {
        for (name, schema) in named {
            properties.entry(name).or_insert(schema);
        }
    }
    if let Value::Array(all) = whole
        .entry(APART)
        .or_insert_with(|| Value::Array(Vec::new()))
    {
        all.push(Value::Object(checks));
    }
}

fn intersection(one: &Value, other: &Value) -> Option<Value> {
    let list = |value: &Value| match value {
        Value::Array(names) => names.clone(),
        one => vec![one.clone()],
    };
    let (one, other) = (list(one), list(other));
    let mut both: Vec<Value> = Vec::new();
    for name in &one {
        if other.contains(name) || (name == "integer" && other.contains(&Value::from("number"))) {
            both.push(name.clone());
        } else if name == "number" && other.contains(&Value::from("integer")) {
            both.push(Value::from("integer"));
        }
    }
    match both.len() {
        0 => None,
        1 => both.pop(),
        _ => Some(Value::Array(both)),
    }
}
