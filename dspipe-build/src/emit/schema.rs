//! JSON Schema of a reply, and types as people read them.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::ir::{Bounds, Field, Home, Type, TypeDef, TypeDefKind, TypeKind, TypeRef, Workflow};

/// The schema of the object that holds these fields, on one line.
pub(super) fn of_fields<'f>(
    workflow: &Workflow,
    fields: impl Iterator<Item = &'f Field> + Clone,
) -> String {
    let mut writer = Writer::new(workflow);
    let mut json = String::with_capacity(500);
    writer.object(fields, &mut json);
    writer.finish(json)
}

/// The schema of a named type, on one line.
pub(super) fn of_definition(workflow: &Workflow, def: &TypeDef) -> String {
    let mut writer = Writer::new(workflow);
    let mut json = String::new();
    let meaning = writer.definition(def, &mut json);
    if !meaning.is_empty() {
        key("description", &mut json);
        quoted(&meaning, &mut json);
    }
    writer.finish(json)
}

/// Types are written where they are used, but for those that contain themselves.
///
/// A schema is text from the start, and open at its end while there may be more to say of it.
struct Writer<'a> {
    workflow: &'a Workflow,
    definitions: Vec<(&'a str, String)>,
    /// Recursive types that are being defined.
    open: Vec<TypeRef>,
}

impl<'a> Writer<'a> {
    fn new(workflow: &'a Workflow) -> Self {
        Self {
            workflow,
            definitions: Vec::new(),
            open: Vec::new(),
        }
    }

    /// Closes the schema, with the definitions that it refers to.
    fn finish(self, mut json: String) -> String {
        if !self.definitions.is_empty() {
            key("$defs", &mut json);
            json.push('{');
            for (name, definition) in &self.definitions {
                key(name, &mut json);
                json.push_str(definition);
            }
            json.push('}');
        }
        json.push('}');
        json
    }

    fn object<'f>(&mut self, fields: impl Iterator<Item = &'f Field> + Clone, json: &mut String) {
        json.push_str("{\"type\":\"object\",\"properties\":{");
        for field in fields.clone() {
            key(&field.name.text, json);
            self.of_type(&field.ty, &field.description, json);
            if let Some(default) = &field.default {
                key("default", json);
                // Writing to a string does not fail.
                let _ = write!(json, "{default}");
            }
            json.push('}');
        }
        json.push('}');
        key("required", json);
        let required = fields.filter(|field| {
            field.default.is_none() && !matches!(field.ty.kind, TypeKind::Optional(_))
        });
        list(required, json, |field, json| quoted(&field.name.text, json));
        key("additionalProperties", json);
        json.push_str("false");
    }

    fn of_type(&mut self, ty: &Type, description: &str, json: &mut String) {
        let mut meaning = String::new();
        match &ty.kind {
            TypeKind::String => json.push_str("{\"type\":\"string\""),
            TypeKind::Integer => json.push_str("{\"type\":\"integer\""),
            TypeKind::Number => json.push_str("{\"type\":\"number\""),
            TypeKind::Boolean => json.push_str("{\"type\":\"boolean\""),
            // A URL as text, or an object with it.
            TypeKind::Any | TypeKind::Broken | TypeKind::Media(_) => json.push('{'),
            TypeKind::Object => json.push_str("{\"type\":\"object\""),
            TypeKind::List(item) => {
                json.push_str("{\"type\":\"array\",\"items\":");
                self.of_type(item, "", json);
                json.push('}');
            }
            TypeKind::Map(value) => {
                json.push_str("{\"type\":\"object\",\"additionalProperties\":");
                self.of_type(value, "", json);
                json.push('}');
            }
            TypeKind::Optional(inner) => {
                json.push_str("{\"anyOf\":[");
                self.of_type(inner, "", json);
                json.push_str("},{\"type\":\"null\"}]");
            }
            TypeKind::Struct(reference)
            | TypeKind::Enum(reference)
            | TypeKind::Union(reference) => meaning = self.named(*reference, json),
        }
        limit(ty.bounds(), json);
        let description = match (description, meaning.as_str()) {
            (text, "") | ("", text) => text.to_owned(),
            (text, meaning) if text == meaning => text.to_owned(),
            (text, meaning) => format!("{text}. {meaning}"),
        };
        if !description.is_empty() {
            key("description", json);
            quoted(&description, json);
        }
    }

    /// Writes a named type; what there is to say of it besides.
    fn named(&mut self, reference: TypeRef, json: &mut String) -> String {
        let def = self.workflow.type_def(reference);
        if !def.recursive {
            return self.definition(def, json);
        }
        let name = super::unmarked(&def.ident);
        let known = self.definitions.iter().any(|(known, _)| *known == name);
        if !known && !self.open.contains(&reference) {
            self.open.push(reference);
            let mut definition = String::new();
            let meaning = self.definition(def, &mut definition);
            self.open.pop();
            if !meaning.is_empty() {
                key("description", &mut definition);
                quoted(&meaning, &mut definition);
            }
            definition.push('}');
            self.definitions.push((name, definition));
        }
        json.push_str("{\"$ref\":");
        quoted(&format!("#/$defs/{name}"), json);
        String::new()
    }

    fn definition(&mut self, def: &TypeDef, json: &mut String) -> String {
        match &def.kind {
            TypeDefKind::Struct(fields) => self.object(fields.iter(), json),
            TypeDefKind::Enum(values) => {
                json.push_str("{\"type\":\"string\",\"enum\":");
                list(values.iter(), json, |value, json| {
                    quoted(&value.name.text, json);
                });
                let meanings: Vec<String> = values
                    .iter()
                    .filter(|value| !value.description.is_empty())
                    .map(|value| format!("{}: {}", value.name.text, value.description))
                    .collect();
                return meanings.join("; ");
            }
            TypeDefKind::Union(all) => {
                json.push_str("{\"anyOf\":");
                list(all.iter(), json, |one, json| {
                    self.of_type(&one.ty, &one.description, json);
                    json.push('}');
                });
            }
        }
        match def.home {
            Home::Workflow => def.description.clone(),
            Home::Step(_) => String::new(),
        }
    }
}

/// A key of an object, after those that are there.
fn key(name: &str, json: &mut String) {
    if !json.ends_with('{') {
        json.push(',');
    }
    quoted(name, json);
    json.push(':');
}

fn list<T>(
    items: impl Iterator<Item = T>,
    json: &mut String,
    mut write: impl FnMut(T, &mut String),
) {
    json.push('[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            json.push(',');
        }
        write(item, json);
    }
    json.push(']');
}

/// A text as JSON.
fn quoted(text: &str, json: &mut String) {
    if text
        .bytes()
        .all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\'))
    {
        json.push('"');
        json.push_str(text);
        json.push('"');
    } else {
        let _ = write!(json, "{}", Value::from(text));
    }
}

fn limit(bounds: &Bounds, json: &mut String) {
    let mut limit = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            key(name, json);
            let _ = write!(json, "{value}");
        }
    };
    if !bounds.numbers.is_empty() {
        let numbers = bounds.numbers.iter().copied().map(number).collect();
        limit("enum", Some(Value::Array(numbers)));
    }
    limit("const", bounds.boolean.map(Value::from));
    limit("minimum", bounds.minimum.map(number));
    limit("maximum", bounds.maximum.map(number));
    limit("exclusiveMinimum", bounds.exclusive_minimum.map(number));
    limit("exclusiveMaximum", bounds.exclusive_maximum.map(number));
    limit("multipleOf", bounds.multiple_of.map(number));
    limit("minLength", bounds.min_length.map(Value::from));
    limit("maxLength", bounds.max_length.map(Value::from));
    limit("minItems", bounds.min_items.map(Value::from));
    limit("maxItems", bounds.max_items.map(Value::from));
    limit("uniqueItems", bounds.unique_items.then_some(true.into()));
    limit("pattern", bounds.pattern.clone().map(Value::from));
}

/// `5` rather than `5.0`: some servers take only whole numbers for integers.
fn number(limit: f64) -> Value {
    const WHOLE: f64 = 9_007_199_254_740_992.0;
    if limit.fract() == 0.0 && limit.abs() < WHOLE {
        #[expect(clippy::cast_possible_truncation, reason = "whole and small enough")]
        return json!(limit as i64);
    }
    json!(limit)
}
