//! Signatures as JSON.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::annotation;
use super::from_schema;
use super::signature::{DspyField, DspySignature, constraints};
use super::types::{PyEnum, PyModel, PyModelField, PySchema, PyType};
use super::value::{PyDict, PyValue};

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Signature {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instructions: Option<String>,
    fields: Vec<Field>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    types: Map<String, Value>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Field {
    name: String,
    io: Io,
    #[serde(rename = "type", default = "text")]
    ty: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    desc: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    constraints: Option<Constraints>,
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    default: Option<PyValue>,
}

#[derive(Clone, Copy, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Io {
    Input,
    Output,
}

#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Constraints {
    Text(String),
    Limits(Map<String, Value>),
}

/// A class: exactly one of `model`, `enum` and `schema`.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Class {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<Vec<ModelField>>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    doc: String,
    #[serde(rename = "enum", default, skip_serializing_if = "Option::is_none")]
    members: Option<Map<String, Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schema: Option<Value>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ModelField {
    name: String,
    #[serde(rename = "type", default = "text")]
    ty: Value,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    desc: String,
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    default: Option<PyValue>,
    /// What a `default_factory` gives, which the schema does not show.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    default_factory: Option<PyValue>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    limits: Map<String, Value>,
}

fn text() -> Value {
    Value::from("str")
}

/// A `null` that is there is a value.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PyValue>, D::Error> {
    PyValue::deserialize(deserializer).map(Some)
}

fn limits(map: &Map<String, Value>) -> PyDict {
    map.iter()
        .map(|(key, value)| (key.clone(), PyValue::from(value)))
        .collect()
}

impl Signature {
    /// With annotations and classes put together.
    pub(super) fn resolve(self) -> Result<DspySignature, String> {
        let mut classes = Classes {
            described: &self.types,
            open: Vec::new(),
            read: PyTypes::new(),
            made: Vec::new(),
        };
        let mut signature = DspySignature {
            // As in DSPy's constructor.
            instructions: self.instructions.filter(|text| !text.is_empty()),
            inputs: Vec::new(),
            outputs: Vec::new(),
        };
        for field in self.fields {
            if signature.fields().any(|other| other.name == field.name) {
                return Err(format!("there are two fields `{}`", field.name));
            }
            let ty = classes
                .type_of(&field.ty, &field.name)
                .map_err(|message| format!("field `{}`: {message}", field.name))?;
            let fields = match field.io {
                Io::Input => &mut signature.inputs,
                Io::Output => &mut signature.outputs,
            };
            fields.push(DspyField {
                name: field.name,
                ty,
                desc: field.desc,
                prefix: field.prefix,
                constraints: match field.constraints {
                    None => String::new(),
                    Some(Constraints::Text(text)) => text,
                    Some(Constraints::Limits(map)) => constraints(&limits(&map)),
                },
                default: field.default,
            });
        }
        Ok(signature)
    }

    /// The description of a signature.
    pub(super) fn of(signature: &DspySignature) -> Self {
        let mut types = Map::new();
        let mut field = |io, field: &DspyField| {
            describe_classes(&field.ty, &mut types);
            Field {
                name: field.name.clone(),
                io,
                ty: field.ty.annotation().into(),
                desc: field.desc.clone(),
                prefix: field.prefix.clone(),
                constraints: (!field.constraints.is_empty())
                    .then(|| Constraints::Text(field.constraints.clone())),
                default: field.default.clone(),
            }
        };
        let inputs = signature.inputs.iter().map(|input| (Io::Input, input));
        let outputs = signature.outputs.iter().map(|output| (Io::Output, output));
        let fields = inputs
            .chain(outputs)
            .map(|(io, described)| field(io, described))
            .collect();
        Self {
            instructions: signature.instructions.clone(),
            fields,
            types,
        }
    }
}

type PyTypes = indexmap::IndexMap<String, PyType>;

/// The classes that annotations may name.
struct Classes<'a> {
    described: &'a Map<String, Value>,
    /// What is being read, to notice circles.
    open: Vec<String>,
    read: PyTypes,
    /// Models from JSON Schemas.
    made: Vec<Arc<PyModel>>,
}

impl Classes<'_> {
    /// `described` is an annotation or a JSON Schema.
    fn type_of(&mut self, described: &Value, field: &str) -> Result<PyType, String> {
        match described {
            Value::String(text) => annotation::parse(text, &mut |name| self.class(name))
                .map_err(|error| error.to_string()),
            Value::Object(_) => Ok(from_schema::type_of(
                described,
                described,
                field,
                &mut self.made,
            )),
            _ => Err("`type` must be an annotation or a JSON Schema".to_owned()),
        }
    }

    fn class(&mut self, name: &str) -> Result<Option<PyType>, String> {
        if let Some(known) = self.read.get(name) {
            return Ok(Some(known.clone()));
        }
        let Some(described) = self.described.get(name) else {
            return Ok(None);
        };
        if self.open.iter().any(|open| open == name) {
            return Err(format!("`{name}` contains itself, which is not supported"));
        }
        let class: Class = serde_json::from_value(described.clone())
            .map_err(|error| format!("the class `{name}`: {error}"))?;
        self.open.push(name.to_owned());
        let ty = self.read_class(name, class)?;
        self.open.pop();
        self.read.insert(name.to_owned(), ty.clone());
        Ok(Some(ty))
    }

    fn read_class(&mut self, name: &str, class: Class) -> Result<PyType, String> {
        let name = name.to_owned();
        Ok(match (class.model, class.members, class.schema) {
            (Some(fields), None, None) => {
                let mut read = Vec::new();
                for field in fields {
                    read.push(PyModelField {
                        ty: self
                            .type_of(&field.ty, &field.name)
                            .map_err(|message| format!("`{name}.{}`: {message}", field.name))?,
                        name: field.name,
                        description: field.desc,
                        has_factory: field.default_factory.is_some(),
                        default: field.default_factory.or(field.default),
                        limits: limits(&field.limits),
                    });
                }
                PyType::Model(Arc::new(PyModel {
                    name,
                    doc: class.doc,
                    fields: read,
                }))
            }
            (None, Some(members), None) => PyType::Enum(Arc::new(PyEnum {
                name,
                members: members
                    .iter()
                    .map(|(key, value)| (key.clone(), PyValue::from(value)))
                    .collect(),
            })),
            (None, None, Some(schema)) => PyType::Schema(Arc::new(PySchema {
                name,
                schema: PyValue::from(&schema),
            })),
            _ => {
                return Err(format!(
                    "the class `{name}` must have one of `model`, `enum` and `schema`"
                ));
            }
        })
    }
}

/// Adds the classes that a type names.
fn describe_classes(ty: &PyType, types: &mut Map<String, Value>) {
    let json = |limits: &PyDict| -> Map<String, Value> {
        limits
            .iter()
            .map(|(key, value)| (key.clone(), value.to_json()))
            .collect()
    };
    let mut class = Class {
        model: None,
        doc: String::new(),
        members: None,
        schema: None,
    };
    let name = match ty {
        PyType::List(item) => return describe_classes(item, types),
        PyType::Dict(key, value) => {
            describe_classes(key, types);
            return describe_classes(value, types);
        }
        PyType::Union(members) => {
            for member in members {
                describe_classes(member, types);
            }
            return;
        }
        PyType::Enum(described) => {
            class.members = Some(
                described
                    .members
                    .iter()
                    .map(|(key, value)| (key.clone(), value.to_json()))
                    .collect(),
            );
            &described.name
        }
        PyType::Model(model) => {
            let fields = model.fields.iter().map(|field| {
                describe_classes(&field.ty, types);
                ModelField {
                    name: field.name.clone(),
                    ty: field.ty.annotation().into(),
                    desc: field.description.clone(),
                    default: field.default.clone().filter(|_| !field.has_factory),
                    default_factory: field.default.clone().filter(|_| field.has_factory),
                    limits: json(&field.limits),
                }
            });
            class.model = Some(fields.collect());
            class.doc.clone_from(&model.doc);
            &model.name
        }
        PyType::Schema(described) => {
            class.schema = Some(described.schema.to_json());
            &described.name
        }
        _ => return,
    };
    // The parts are plain data, which always has a form in JSON.
    types.insert(
        name.clone(),
        serde_json::to_value(class).unwrap_or_default(),
    );
}
