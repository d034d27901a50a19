//! The JSON Schema that DSPy's prompts show for a type: pydantic's, with `type` first and all other keys in
//! alphabetical order.

use super::print;
use super::text::title;
use super::types::{PyModel, PyModelField, PyType};
use super::value::{PyDict, PyValue};

/// The schema's text.
pub(super) fn text(ty: &PyType) -> String {
    print::json(&sorted(&of(ty)))
}

fn of(ty: &PyType) -> PyValue {
    let mut defs = PyDict::new();
    let mut schema = match ty {
        PyType::Model(model) => {
            // Not a reference at the root.
            model_schema(model, &mut defs)
        }
        PyType::Enum(_) => {
            let _ = schema(ty, &mut defs);
            defs.drain(..)
                .next()
                .map_or_else(PyDict::new, |(_, def)| dict(def))
        }
        other => schema(other, &mut defs),
    };
    if !defs.is_empty() {
        schema.insert("$defs".to_owned(), PyValue::Dict(defs));
    }
    PyValue::Dict(schema)
}

fn dict(value: PyValue) -> PyDict {
    match value {
        PyValue::Dict(dict) => dict,
        _ => PyDict::new(),
    }
}

fn schema(ty: &PyType, defs: &mut PyDict) -> PyDict {
    let mut schema = PyDict::new();
    let mut set = |key: &str, value: PyValue| {
        schema.insert(key.to_owned(), value);
    };
    match ty {
        PyType::Any => {}
        PyType::Str => set("type", "string".into()),
        PyType::Int => set("type", "integer".into()),
        PyType::Float => set("type", "number".into()),
        PyType::Bool => set("type", "boolean".into()),
        PyType::None => set("type", "null".into()),
        PyType::AnyList => {
            set("type", "array".into());
            set("items", PyValue::Dict(PyDict::new()));
        }
        PyType::AnyDict => {
            set("type", "object".into());
            set("additionalProperties", true.into());
        }
        PyType::List(item) => {
            set("type", "array".into());
            set("items", PyValue::Dict(self::schema(item, defs)));
        }
        PyType::Dict(key, value) => {
            set("type", "object".into());
            set(
                "additionalProperties",
                match &**value {
                    PyType::Any => true.into(),
                    value => PyValue::Dict(self::schema(value, defs)),
                },
            );
            match &**key {
                PyType::Literal(values) => {
                    // The keys are texts whatever the schema says.
                    let mut names = literal(values);
                    names.shift_remove("type");
                    set("propertyNames", PyValue::Dict(names));
                }
                PyType::Enum(_) => {
                    set("propertyNames", PyValue::Dict(self::schema(key, defs)));
                }
                _ => {}
            }
        }
        PyType::Union(members) => {
            // Null stands last, and what two members have in common once.
            let (nulls, others): (Vec<_>, Vec<_>) =
                members.iter().partition(|member| **member == PyType::None);
            let mut schemas: Vec<PyValue> = Vec::new();
            for member in others.into_iter().chain(nulls) {
                let schema = PyValue::Dict(self::schema(member, defs));
                if !schemas.contains(&schema) {
                    schemas.push(schema);
                }
            }
            match schemas.as_slice() {
                [PyValue::Dict(only)] => return only.clone(),
                _ => set("anyOf", PyValue::List(schemas)),
            }
        }
        PyType::Literal(values) => return literal(values),
        PyType::Enum(class) => {
            let values: Vec<PyValue> = class
                .members
                .iter()
                .map(|(_, value)| value.clone())
                .collect();
            let mut def = PyDict::from([("title".to_owned(), class.name.as_str().into())]);
            if let Some(name) = shared_type(&values) {
                def.insert("type".to_owned(), name.into());
            }
            def.insert("enum".to_owned(), PyValue::List(values));
            set("$ref", reference(&class.name));
            defs.insert(key(&class.name), PyValue::Dict(def));
        }
        PyType::Model(model) => {
            set("$ref", reference(&model.name));
            let key = key(&model.name);
            if !defs.contains_key(&key) {
                let def = model_schema(model, defs);
                defs.insert(key, PyValue::Dict(def));
            }
        }
        PyType::Schema(class) => return dict(class.schema.clone()),
        PyType::History => {
            let message = PyType::Dict(Box::new(PyType::Str), Box::new(PyType::Any));
            return self::schema(&PyType::List(Box::new(message)), defs);
        }
    }
    schema
}

fn reference(name: &str) -> PyValue {
    PyValue::Str(format!("#/$defs/{}", key(name)))
}

/// The name of a definition.
fn key(class: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    class
        .chars()
        .map(|c| if allowed(c) { c } else { '_' })
        .collect()
}

fn literal(values: &[PyValue]) -> PyDict {
    let mut schema = PyDict::new();
    if let Some(name) = shared_type(values) {
        schema.insert("type".to_owned(), name.into());
    }
    match values {
        [only] => schema.insert("const".to_owned(), only.clone()),
        values => schema.insert("enum".to_owned(), PyValue::List(values.to_vec())),
    };
    schema
}

/// The type that all values have, if there is one.
fn shared_type(values: &[PyValue]) -> Option<&'static str> {
    let mut types = values.iter().map(|value| match value {
        PyValue::None => "null",
        PyValue::Bool(_) => "boolean",
        PyValue::Int(_) => "integer",
        PyValue::Float(_) => "number",
        PyValue::Str(_) => "string",
        PyValue::List(_) => "array",
        PyValue::Dict(_) => "object",
    });
    let first = types.next()?;
    types.all(|other| other == first).then_some(first)
}

fn model_schema(model: &PyModel, defs: &mut PyDict) -> PyDict {
    let mut out = PyDict::from([
        ("type".to_owned(), "object".into()),
        ("title".to_owned(), model.name.as_str().into()),
    ]);
    if !model.doc.is_empty() {
        out.insert("description".to_owned(), model.doc.as_str().into());
    }
    let mut properties = PyDict::new();
    let mut required = Vec::new();
    for field in &model.fields {
        let mut property = schema(&field.ty, defs);
        limit(&mut property, field);
        match &field.default {
            Some(_) if field.has_factory => {}
            Some(default) => {
                property.insert("default".to_owned(), default.clone());
            }
            None => required.push(field.name.as_str().into()),
        }
        if !field.description.is_empty() {
            property.insert("description".to_owned(), field.description.as_str().into());
        }
        if has_title(&field.ty) {
            let name = title(&field.name).replace('_', " ");
            property.insert("title".to_owned(), name.trim().into());
        }
        properties.insert(field.name.clone(), PyValue::Dict(property));
    }
    out.insert("properties".to_owned(), PyValue::Dict(properties));
    if !required.is_empty() {
        out.insert("required".to_owned(), PyValue::List(required));
    }
    out
}

/// Fields that refer to a class do not get a title.
fn has_title(ty: &PyType) -> bool {
    match ty {
        PyType::Model(_) | PyType::Enum(_) => false,
        PyType::Union(members) => {
            let mut others = members.iter().filter(|member| **member != PyType::None);
            match (others.next(), others.next()) {
                (Some(only), None) => has_title(only),
                _ => true,
            }
        }
        _ => true,
    }
}

/// Adds a field's limits to its schema, or to the first part of it that is not null.
fn limit(schema: &mut PyDict, field: &PyModelField) {
    if field.limits.is_empty() {
        return;
    }
    let schema = if schema.contains_key("anyOf") {
        match schema.get_mut("anyOf") {
            Some(PyValue::List(members)) => match members.first_mut() {
                Some(PyValue::Dict(member)) => member,
                _ => return,
            },
            _ => return,
        }
    } else {
        schema
    };
    let lengths = match schema.get("type").and_then(PyValue::as_str) {
        Some("array") => ["minItems", "maxItems"],
        Some("object") => ["minProperties", "maxProperties"],
        _ => ["minLength", "maxLength"],
    };
    for (name, value) in &field.limits {
        let key = match name.as_str() {
            "ge" => "minimum",
            "gt" => "exclusiveMinimum",
            "le" => "maximum",
            "lt" => "exclusiveMaximum",
            "multiple_of" => "multipleOf",
            "min_length" => lengths[0],
            "max_length" => lengths[1],
            other => other,
        };
        schema.insert(key.to_owned(), value.clone());
    }
}

/// DSPy sorts names of properties like keywords.
fn sorted(value: &PyValue) -> PyValue {
    match value {
        PyValue::Dict(dict) => {
            let mut entries: Vec<_> = dict.iter().collect();
            entries.sort_by(|(a, _), (b, _)| (*a != "type", a).cmp(&(*b != "type", b)));
            PyValue::Dict(
                entries
                    .into_iter()
                    .map(|(key, value)| (key.clone(), sorted(value)))
                    .collect(),
            )
        }
        PyValue::List(items) => PyValue::List(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}
