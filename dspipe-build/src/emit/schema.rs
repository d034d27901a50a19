//! JSON Schema of a reply, and types as people read them.

use serde_json::{Map, Value, json};

use crate::ir::{Field, Type, TypeDefKind, TypeKind, Workflow};

/// The schema of the object that holds these fields, on one line.
pub(super) fn of_fields<'a>(
    workflow: &Workflow,
    fields: impl IntoIterator<Item = &'a Field>,
) -> String {
    object(workflow, fields).to_string()
}

fn object<'a>(workflow: &Workflow, fields: impl IntoIterator<Item = &'a Field>) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in fields {
        let mut schema = of_type(workflow, &field.ty);
        if let (Value::Object(schema), false) = (&mut schema, field.description.is_empty()) {
            schema.insert("description".to_owned(), json!(field.description));
        }
        properties.insert(field.name.text.clone(), schema);
        if !matches!(field.ty.kind, TypeKind::Optional(_)) {
            required.push(json!(field.name.text));
        }
    }
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn of_type(workflow: &Workflow, ty: &Type) -> Value {
    let mut schema = match &ty.kind {
        TypeKind::String => json!({"type": "string"}),
        TypeKind::Integer => json!({"type": "integer"}),
        TypeKind::Number => json!({"type": "number"}),
        TypeKind::Boolean => json!({"type": "boolean"}),
        TypeKind::Any | TypeKind::Broken => json!({}),
        TypeKind::Object => json!({"type": "object"}),
        TypeKind::List(item) => json!({"type": "array", "items": of_type(workflow, item)}),
        TypeKind::Map(value) => {
            json!({"type": "object", "additionalProperties": of_type(workflow, value)})
        }
        TypeKind::Optional(inner) => {
            json!({"anyOf": [of_type(workflow, inner), {"type": "null"}]})
        }
        TypeKind::Struct(reference) | TypeKind::Enum(reference) => {
            match &workflow.type_def(*reference).kind {
                TypeDefKind::Struct(fields) => object(workflow, fields),
                TypeDefKind::Enum(values) => {
                    let values: Vec<&str> = values.iter().map(|v| v.text.as_str()).collect();
                    json!({"type": "string", "enum": values})
                }
            }
        }
    };
    if let Value::Object(schema) = &mut schema {
        let bounds = &ty.bounds;
        let mut limit = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                schema.insert(key.to_owned(), value);
            }
        };
        limit("minimum", bounds.minimum.map(number));
        limit("maximum", bounds.maximum.map(number));
        limit("minLength", bounds.min_length.map(Value::from));
        limit("maxLength", bounds.max_length.map(Value::from));
        limit("minItems", bounds.min_items.map(Value::from));
        limit("maxItems", bounds.max_items.map(Value::from));
        limit("pattern", bounds.pattern.clone().map(Value::from));
    }
    schema
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

/// A type in words, for prompts: `list of string`, `"low" | "high"`.
pub(super) fn describe(workflow: &Workflow, ty: &Type) -> String {
    match &ty.kind {
        TypeKind::String => "string".to_owned(),
        TypeKind::Integer => "integer".to_owned(),
        TypeKind::Number => "number".to_owned(),
        TypeKind::Boolean => "boolean".to_owned(),
        TypeKind::Any | TypeKind::Broken => "any JSON value".to_owned(),
        TypeKind::Object => "object".to_owned(),
        TypeKind::List(item) if item.kind == TypeKind::Any => "list".to_owned(),
        TypeKind::List(item) => format!("list of {}", part(workflow, item)),
        TypeKind::Map(value) => format!("map of names to {}", part(workflow, value)),
        TypeKind::Optional(inner) => format!("{} or null", part(workflow, inner)),
        TypeKind::Struct(reference) | TypeKind::Enum(reference) => {
            match &workflow.type_def(*reference).kind {
                TypeDefKind::Struct(fields) => {
                    let fields: Vec<String> = fields
                        .iter()
                        .map(|field| {
                            format!("\"{}\": {}", field.name.text, describe(workflow, &field.ty))
                        })
                        .collect();
                    format!("{{{}}}", fields.join(", "))
                }
                TypeDefKind::Enum(values) => {
                    let values: Vec<String> = values
                        .iter()
                        .map(|value| format!("{:?}", value.text))
                        .collect();
                    values.join(" | ")
                }
            }
        }
    }
}

/// A type inside another: in parentheses, if it could be taken apart wrongly.
fn part(workflow: &Workflow, ty: &Type) -> String {
    let text = describe(workflow, ty);
    if text.contains(' ') && !text.starts_with('{') {
        format!("({text})")
    } else {
        text
    }
}
