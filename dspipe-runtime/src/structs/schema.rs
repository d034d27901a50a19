//! The schemas that schemars makes, in the words that the compiler uses for the types of workflows: what
//! talks to LMs knows those.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// The schema of a type.
pub(super) fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let schema = settings.into_generator().into_root_schema_for::<T>();
    let mut schema = plain(schema.to_value());
    // The type's own text is about the signature, which the LM is told elsewhere.
    if let Some(schema) = schema.as_object_mut() {
        schema.shift_remove("description");
    }
    schema
}

/// What schemas say for people, and what servers do not take.
const DROPPED: [&str; 7] = [
    "$schema",
    "default",
    "deprecated",
    "examples",
    "readOnly",
    "title",
    "writeOnly",
];

/// The formats of texts that servers with a strict mode know. Those of numbers say nothing that the limits
/// do not say.
const FORMATS: [&str; 9] = [
    "date",
    "date-time",
    "duration",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "time",
    "uuid",
];

fn plain(schema: Value) -> Value {
    let Value::Object(mut node) = schema else {
        // `true`: any value.
        return json!({});
    };
    let mut plain = Map::new();
    if let Some(description) = node.shift_remove("description") {
        plain.insert("description".to_owned(), description);
    }
    for (key, value) in node {
        match (key.as_str(), value) {
            (dropped, _) if DROPPED.contains(&dropped) => {}
            ("format", format) if !is_known_format(&format) => {}
            ("properties" | "$defs", Value::Object(parts)) => {
                let parts: Map<_, _> = parts
                    .into_iter()
                    .map(|(name, part)| (name, self::plain(part)))
                    .collect();
                plain.insert(key, parts.into());
            }
            ("items" | "additionalProperties", part @ Value::Object(_)) => {
                plain.insert(key, self::plain(part));
            }
            ("items" | "additionalProperties", Value::Bool(true)) => {
                plain.insert(key, json!({}));
            }
            ("oneOf" | "anyOf", Value::Array(parts)) => alternatives(parts, &mut plain),
            ("allOf" | "prefixItems", Value::Array(parts)) => {
                let parts: Vec<Value> = parts.into_iter().map(self::plain).collect();
                plain.insert(key, parts.into());
            }
            ("const", value) => {
                plain.insert("enum".to_owned(), json!([value]));
            }
            (_, value) => {
                plain.insert(key, value);
            }
        }
    }
    closed(&mut plain);
    nullable(plain).into()
}

/// No other properties than those that are named, and all of them: what serde has a default for may be left
/// out, but may not be null, and a server with a strict mode has nothing between the two.
fn closed(node: &mut Map<String, Value>) {
    let Some(Value::Object(properties)) = node.get("properties") else {
        return;
    };
    let was_required = |name: &String| {
        let required = node.get("required").and_then(Value::as_array);
        required.is_some_and(|required| required.iter().any(|known| known == name))
    };
    let required: Vec<Value> = properties
        .iter()
        .filter(|(name, property)| was_required(name) || !takes_null(property))
        .map(|(name, _)| json!(name))
        .collect();
    node.insert("required".to_owned(), required.into());
    if !node.contains_key("additionalProperties") {
        node.insert("additionalProperties".to_owned(), json!(false));
    }
}

fn takes_null(schema: &Value) -> bool {
    let any_of = schema.get("anyOf").and_then(Value::as_array);
    let values = schema.get("enum").and_then(Value::as_array);
    schema["type"] == "null"
        || any_of.is_some_and(|choices| choices.iter().any(takes_null))
        || values.is_some_and(|values| values.contains(&Value::Null))
}

fn is_known_format(format: &Value) -> bool {
    format
        .as_str()
        .is_some_and(|format| FORMATS.contains(&format))
}

/// One of several schemas. Those that only list values become one list, with what is said of each value in
/// the description.
fn alternatives(parts: Vec<Value>, into: &mut Map<String, Value>) {
    let parts: Vec<Value> = parts.into_iter().map(plain).collect();
    let values: Option<Vec<&Vec<Value>>> = parts
        .iter()
        .map(|part| part.get("enum")?.as_array())
        .collect();
    let Some(values) = values.filter(|values| !values.is_empty()) else {
        into.insert("anyOf".to_owned(), parts.into());
        return;
    };
    let values: Vec<Value> = values.into_iter().flatten().cloned().collect();
    let said: Vec<String> = parts
        .iter()
        .filter_map(|part| {
            let description = part.get("description")?.as_str()?;
            let value = part.get("enum")?.get(0)?;
            Some(format!("{value}: {description}"))
        })
        .collect();
    if values.iter().all(Value::is_string) {
        into.insert("type".to_owned(), json!("string"));
    }
    into.insert("enum".to_owned(), values.into());
    if !said.is_empty() {
        let own = into.get("description").and_then(Value::as_str);
        let lines: Vec<&str> = own
            .into_iter()
            .chain(said.iter().map(String::as_str))
            .collect();
        into.insert("description".to_owned(), json!(lines.join("\n")));
    }
}

/// `"type": ["string", "null"]` as `anyOf`.
fn nullable(mut node: Map<String, Value>) -> Map<String, Value> {
    let Some(Value::Array(types)) = node.get("type") else {
        return node;
    };
    let mut types: Vec<Value> = types.clone();
    let before = types.len();
    types.retain(|ty| ty != "null");
    let takes_null = types.len() < before;
    let mut whole = Map::new();
    if let Some(description) = node.shift_remove("description") {
        whole.insert("description".to_owned(), description);
    }
    if let Some(Value::Array(values)) = node.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    let mut choices: Vec<Value> = types
        .into_iter()
        .map(|ty| {
            let mut choice = node.clone();
            choice.insert("type".to_owned(), ty);
            choice.into()
        })
        .collect();
    if takes_null {
        choices.push(json!({"type": "null"}));
    }
    whole.insert("anyOf".to_owned(), choices.into());
    whole
}

/// A type in words, for prompts: `list of string`, `"low" | "high"`.
pub(super) fn words(schema: &Value) -> String {
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return joined(values.iter().map(Value::to_string));
    }
    if let Some(choices) = schema.get("anyOf").and_then(Value::as_array) {
        let is_null = |choice: &&Value| choice["type"] == "null";
        let mut texts: Vec<String> = choices
            .iter()
            .filter(|choice| !is_null(choice))
            .map(part)
            .collect();
        if choices.iter().any(|choice| is_null(&choice)) {
            texts.push("null".to_owned());
        }
        return texts.join(" or ");
    }
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        return name.rsplit('/').next().unwrap_or(name).to_owned();
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("array") => match schema.get("items") {
            Some(items) if items.as_object().is_some_and(|items| !items.is_empty()) => {
                format!("list of {}", part(items))
            }
            _ => "list".to_owned(),
        },
        Some("object") => object(schema),
        Some(ty) => match schema.get("format").and_then(Value::as_str) {
            Some(format) => format!("{ty}, a {format}"),
            None => ty.to_owned(),
        },
        None => "any JSON value".to_owned(),
    }
}

fn object(schema: &Value) -> String {
    match (schema.get("properties"), schema.get("additionalProperties")) {
        (Some(Value::Object(properties)), _) => {
            let fields: Vec<String> = properties
                .iter()
                .map(|(name, property)| format!("\"{name}\": {}", words(property)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        (_, Some(values @ Value::Object(_))) => format!("map of names to {}", part(values)),
        _ => "object".to_owned(),
    }
}

/// A type inside another: in parentheses, if it could be taken apart wrongly.
fn part(schema: &Value) -> String {
    let text = words(schema);
    if text.contains(' ') && !text.starts_with('{') {
        format!("({text})")
    } else {
        text
    }
}

fn joined(values: impl Iterator<Item = String>) -> String {
    values.collect::<Vec<String>>().join(" | ")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use super::*;

    #[derive(JsonSchema)]
    #[schemars(rename_all = "lowercase")]
    #[allow(dead_code, reason = "only the schema counts")]
    enum Kind {
        /// Wants to know something.
        Question,
        Praise,
    }

    #[derive(JsonSchema)]
    #[allow(dead_code, reason = "only the schema counts")]
    struct Node {
        /// What it is called.
        #[schemars(length(min = 1, max = 9))]
        name: String,
        below: Vec<Node>,
    }

    #[derive(JsonSchema)]
    #[allow(dead_code, reason = "only the schema counts")]
    enum Shape {
        Circle { radius: f64 },
        Point,
    }

    #[derive(JsonSchema)]
    #[allow(dead_code, reason = "only the schema counts")]
    struct All {
        #[schemars(range(min = 1, max = 5))]
        urgency: u8,
        /// What it is.
        kind: Kind,
        maybe: Option<Kind>,
        hint: Option<String>,
        tree: Node,
        shape: Shape,
        any: Value,
        pair: (bool, i32),
        counts: BTreeMap<String, u32>,
        open: HashMap<String, Value>,
        list: Vec<Option<f32>>,
        /// Serde has a value for it.
        #[serde(default)]
        count: u16,
    }

    #[test]
    fn schemas_are_like_those_of_the_compiler() {
        insta::assert_json_snapshot!(of::<All>());
    }

    #[test]
    fn types_in_words() {
        let schema = of::<All>();
        let properties = schema["properties"].as_object().unwrap();
        let lines: Vec<String> = properties
            .iter()
            .map(|(name, property)| format!("{name}: {}", words(property)))
            .collect();
        insta::assert_snapshot!(lines.join("\n"));
    }
}
