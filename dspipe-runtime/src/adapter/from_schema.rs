//! From a JSON Schema to the Python type that one would write for it in DSPy.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::types::{PyModel, PyModelField, PyType};
use super::value::{PyDict, PyValue};

/// Deeper schemas become `Any`, so that reading may recurse; this also ends circles of references.
const MAX_DEPTH: usize = 32;

/// The limits that pydantic and DSPy know, by the keyword of JSON Schema.
const LIMITS: [(&str, &str); 10] = [
    ("minimum", "ge"),
    ("exclusiveMinimum", "gt"),
    ("maximum", "le"),
    ("exclusiveMaximum", "lt"),
    ("minLength", "min_length"),
    ("maxLength", "max_length"),
    ("minItems", "min_length"),
    ("maxItems", "max_length"),
    ("multipleOf", "multiple_of"),
    ("pattern", "pattern"),
];

/// The type for a field of this name.
///
/// `string`, `integer`, `number` and `boolean` are `str`, `int`, `float` and `bool`; `enum` and `const` are
/// `Literal`; `array` is `list`, a map `dict`; an object with properties is a model, named by its `title`
/// or after the field; `anyOf`, `oneOf` and lists of types are unions. What says nothing is `Any`.
///
/// `classes` are the models made before: a name that one of them has for something else gets a number.
pub(super) fn type_of(
    schema: &Value,
    root: &Value,
    field: &str,
    classes: &mut Vec<Arc<PyModel>>,
) -> PyType {
    Reader { root, classes }.read(schema, field, 0)
}

/// What a schema limits, in pydantic's words, in the order of the schema. Where null is allowed too, that
/// is what the other member limits.
pub(super) fn limits_of(schema: &Value) -> PyDict {
    let members = schema.get("anyOf").and_then(Value::as_array);
    let schema = members
        .and_then(|members| members.first())
        .unwrap_or(schema);
    let Some(schema) = schema.as_object() else {
        return PyDict::new();
    };
    schema
        .iter()
        .filter_map(|(key, value)| {
            let (_, name) = LIMITS.iter().find(|(keyword, _)| keyword == key)?;
            Some(((*name).to_owned(), PyValue::from(value)))
        })
        .collect()
}

struct Reader<'a> {
    root: &'a Value,
    classes: &'a mut Vec<Arc<PyModel>>,
}

impl Reader<'_> {
    /// The model, named as no other.
    fn class(&mut self, mut model: PyModel) -> Arc<PyModel> {
        let name = model.name.clone();
        let mut number = 1;
        while let Some(other) = self.classes.iter().find(|class| class.name == model.name) {
            if **other == model {
                return Arc::clone(other);
            }
            number += 1;
            model.name = format!("{name}{number}");
        }
        let class = Arc::new(model);
        self.classes.push(Arc::clone(&class));
        class
    }

    fn read(&mut self, schema: &Value, name: &str, depth: usize) -> PyType {
        let Some(schema) = schema.as_object().filter(|_| depth < MAX_DEPTH) else {
            return PyType::Any;
        };
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let pointer = target.strip_prefix('#').unwrap_or(target);
            let name = pointer.rsplit('/').next().unwrap_or(name);
            return self
                .root
                .pointer(pointer)
                .map_or(PyType::Any, |schema| self.read(schema, name, depth + 1));
        }
        if let Some(value) = schema.get("const") {
            return PyType::Literal(vec![value.into()]);
        }
        if let Some(Value::Array(values)) = schema.get("enum") {
            return PyType::Literal(values.iter().map(PyValue::from).collect());
        }
        if let Some(Value::Array(members)) = schema.get("anyOf").or_else(|| schema.get("oneOf")) {
            let members = members
                .iter()
                .map(|member| self.read(member, name, depth + 1));
            return PyType::union(members.collect());
        }
        match schema.get("type") {
            Some(Value::String(kind)) => self.kind(kind, schema, name, depth),
            Some(Value::Array(kinds)) => PyType::union(
                kinds
                    .iter()
                    .filter_map(Value::as_str)
                    .map(|kind| self.kind(kind, schema, name, depth))
                    .collect(),
            ),
            _ if schema.contains_key("properties") => self.kind("object", schema, name, depth),
            _ => PyType::Any,
        }
    }

    fn kind(
        &mut self,
        kind: &str,
        schema: &Map<String, Value>,
        name: &str,
        depth: usize,
    ) -> PyType {
        match kind {
            "string" => PyType::Str,
            "integer" => PyType::Int,
            "number" => PyType::Float,
            "boolean" => PyType::Bool,
            "null" => PyType::None,
            "array" => match schema
                .get("items")
                .map(|items| self.read(items, name, depth + 1))
            {
                None | Some(PyType::Any) => PyType::AnyList,
                Some(item) => PyType::List(Box::new(item)),
            },
            "object" => match (schema.get("properties"), schema.get("additionalProperties")) {
                (Some(Value::Object(properties)), _) if !properties.is_empty() => {
                    let model = self.model(properties, schema, name, depth);
                    PyType::Model(self.class(model))
                }
                (_, Some(value @ (Value::Object(_) | Value::Bool(true)))) => PyType::Dict(
                    Box::new(PyType::Str),
                    Box::new(self.read(value, name, depth + 1)),
                ),
                _ => PyType::AnyDict,
            },
            _ => PyType::Any,
        }
    }

    fn model(
        &mut self,
        properties: &Map<String, Value>,
        schema: &Map<String, Value>,
        name: &str,
        depth: usize,
    ) -> PyModel {
        let is_required = |name: &str| {
            schema
                .get("required")
                .and_then(Value::as_array)
                .is_some_and(|required| required.iter().any(|key| key == name))
        };
        let text = |of: &Map<String, Value>, key: &str| {
            of.get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let title = text(schema, "title");
        PyModel {
            name: class_name(if title.is_empty() { name } else { &title }),
            doc: text(schema, "description"),
            fields: properties
                .iter()
                .map(|(name, property)| {
                    let ty = self.read(property, name, depth + 1);
                    let default = property.get("default").map(PyValue::from).or_else(|| {
                        // What may be absent is `None` then.
                        (!is_required(name)).then_some(PyValue::None)
                    });
                    PyModelField {
                        ty: match default {
                            Some(PyValue::None) if !ty.allows_none() => ty.optional(),
                            _ => ty,
                        },
                        name: name.clone(),
                        description: property
                            .as_object()
                            .map_or_else(String::new, |of| text(of, "description")),
                        default,
                        has_factory: false,
                        limits: limits_of(property),
                    }
                })
                .collect(),
        }
    }
}

/// `order_items` as the name of a class: `OrderItems`.
fn class_name(name: &str) -> String {
    name.split(|c: char| !c.is_alphanumeric())
        .flat_map(|word| {
            let mut chars = word.chars();
            let first = chars.next().map(char::to_uppercase);
            first.into_iter().flatten().chain(chars).collect::<Vec<_>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::adapter::{Case, json_schema};

    #[test]
    fn schemas_become_the_types_that_one_would_write() {
        for (schema, name) in [
            (json!({"type": "string"}), "str"),
            (json!({"type": "integer", "minimum": 0}), "int"),
            (json!({"type": "number"}), "float"),
            (json!({"type": "boolean"}), "bool"),
            (
                json!({"type": "array", "items": {"type": "string"}}),
                "list[str]",
            ),
            (json!({"type": "array", "items": {}}), "list"),
            (json!({"type": "object"}), "dict"),
            (
                json!({"type": "object", "additionalProperties": {"type": "integer"}}),
                "dict[str, int]",
            ),
            (
                json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
                "Union[str, NoneType]",
            ),
            (
                json!({"type": "string", "enum": ["a", "it's"]}),
                "Literal['a', \"it's\"]",
            ),
            (
                json!({"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer"}}}}),
                "list[OrderLine]",
            ),
            (json!({"type": ["integer", "null"]}), "Union[int, NoneType]"),
            (json!({}), "Any"),
        ] {
            let ty = type_of(&schema, &schema, "order_line", &mut Vec::new());
            assert_eq!(ty.name(), name, "{schema}");
        }
    }

    #[test]
    fn two_classes_do_not_share_a_name() {
        let mut classes = Vec::new();
        let mut name = |property: &str| {
            let schema = json!({"type": "object", "properties": {property: {"type": "string"}}});
            type_of(&schema, &schema, "part", &mut classes).name()
        };
        assert_eq!([name("a"), name("b"), name("a")], ["Part", "Part2", "Part"]);
    }

    /// DSPy sorts properties, and with them the order of fields is gone.
    fn sort_required(schema: &mut Value) {
        match schema {
            Value::Object(map) => {
                for (key, value) in map {
                    if let (true, Value::Array(names)) = (key == "required", &mut *value) {
                        names.sort_by_key(ToString::to_string);
                    }
                    sort_required(value);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(sort_required),
            _ => {}
        }
    }

    /// The schemas that our vectors hold are pydantic's, byte for byte.
    #[test]
    fn the_schema_of_a_type_gives_the_type_back() {
        let vectors = include_str!("../../tests/dspy_vectors/render.jsonl");
        let mut count = 0;
        for line in vectors.split_terminator('\n').skip(1) {
            for field in &Case::from_json(line).unwrap().signature.outputs {
                let text = json_schema::text(&field.ty);
                // What a schema does not tell: classes of the user's own, factories, and the types of keys.
                let annotation = field.ty.annotation();
                if line.contains("default_factory")
                    || text.contains("propertyNames")
                    || line.contains("\"enum\": {")
                    || line.contains("\"Shape\"")
                {
                    continue;
                }
                let schema: Value = serde_json::from_str(&text).unwrap();
                let ty = type_of(&schema, &schema, &field.name, &mut Vec::new());
                let mut back = serde_json::from_str(&json_schema::text(&ty)).unwrap();
                let mut there = schema;
                sort_required(&mut there);
                sort_required(&mut back);
                assert_eq!(back, there, "{annotation}");
                count += 1;
            }
        }
        assert!(count > 200, "only {count} types");
    }
}
