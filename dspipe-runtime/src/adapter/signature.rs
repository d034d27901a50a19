//! A signature as DSPy's adapters see it.

use serde_json::Value;

use super::description;
use super::from_schema::{limits_of, type_of};
use super::json;
use super::print;
use super::types::PyType;
use super::value::{PyDict, PyValue};
use crate::prompt::DemoView;
use crate::signature::{FieldDef, SignatureDef};
use crate::task::{Asked, AskedKind, Instead};

/// A signature: what is asked, with which fields.
///
/// It is made from a compiled step with [`DspySignature::of`], or read from JSON:
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use dspipe_runtime::adapter::DspySignature;
///
/// let signature: DspySignature = serde_json::from_str(
///     r#"{
///         "instructions": "Rate the ticket.",
///         "fields": [
///             {"name": "ticket", "io": "input", "desc": "What the customer wrote"},
///             {"name": "urgency", "io": "output", "type": "Literal['low', 'high']"},
///             {"name": "parts", "io": "output", "type": "list[Part]"}
///         ],
///         "types": {"Part": {"model": [{"name": "number", "type": "int", "limits": {"ge": 1}}]}}
///     }"#,
/// )?;
/// assert_eq!(signature.outputs[1].ty.name(), "list[Part]");
/// # Ok(())
/// # }
/// ```
///
/// `type` is a Python annotation (default `str`) or a JSON Schema. `types` describes the classes that
/// annotations name: `{"model": [fields], "doc": "…"}`, `{"enum": {"NAME": value}}` or
/// `{"schema": JSON Schema}`. A field may also have `desc`, `prefix`, `constraints` (pydantic's words with
/// their values, or DSPy's text for them) and `default`.
#[derive(Clone, Debug, PartialEq)]
pub struct DspySignature {
    /// What the LM is told to do; `None` is DSPy's sentence that names the fields.
    pub instructions: Option<String>,
    /// The input fields, in order.
    pub inputs: Vec<DspyField>,
    /// The output fields, in order.
    pub outputs: Vec<DspyField>,
}

/// An input or output field.
#[derive(Clone, Debug, PartialEq)]
pub struct DspyField {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: PyType,
    /// What it holds. `None` is DSPy's `${name}`, which prompts leave out.
    pub desc: Option<String>,
    /// DSPy's old name for prompts, which today's adapters do not show; `None` is made from the name.
    pub prefix: Option<String>,
    /// Its limits in DSPy's words; may be empty.
    pub constraints: String,
    /// The value of an output field that a reply leaves out.
    pub default: Option<PyValue>,
}

impl DspySignature {
    /// The signature of a compiled step.
    ///
    /// # Errors
    /// [`SchemaError`] if a schema of the step is not JSON, which the compiler does not write.
    pub fn of(def: &SignatureDef) -> Result<Self, SchemaError> {
        let mut classes = Vec::new();
        let mut fields = |defs: &[FieldDef], schema: &str| {
            let schema: Value = serde_json::from_str(schema).map_err(|source| SchemaError {
                step: def.step.to_owned(),
                source,
            })?;
            let properties = schema.get("properties");
            let field = |field: &FieldDef| {
                let property = properties.and_then(|all| all.get(field.name));
                let property = property.unwrap_or(&Value::Null);
                let ty = type_of(property, &schema, field.name, &mut classes);
                DspyField::of(field, ty, property)
            };
            Ok(defs.iter().map(field).collect())
        };
        Ok(Self {
            instructions: Some(def.instructions.to_owned()).filter(|text| !text.is_empty()),
            inputs: fields(def.inputs, def.input_schema)?,
            outputs: fields(def.outputs, def.output_schema)?,
        })
    }

    /// Demos of a compiled step, whose signature this is.
    pub(super) fn demos(&self, demos: &[DemoView<'_>]) -> Vec<PyDict> {
        let demo = |demo: &DemoView<'_>| {
            let inputs = demo.inputs.iter().map(|(name, text)| {
                let field = self.inputs.iter().find(|field| field.name == *name);
                let value = match field {
                    Some(field) if field.ty.is_text() => None,
                    _ => json::read(text).ok(),
                };
                (
                    (*name).to_owned(),
                    value.unwrap_or_else(|| PyValue::from(*text)),
                )
            });
            let mut fields: PyDict = inputs.collect();
            if let Ok(PyValue::Dict(output)) = json::read(demo.output) {
                fields.extend(output);
            }
            fields
        };
        demos.iter().map(demo).collect()
    }

    /// Asks for something else than the step's output.
    pub(super) fn become_task(&mut self, instead: &Instead<'_>) {
        self.instructions = Some(instead.instructions.to_owned());
        if !instead.takes_inputs {
            self.inputs.clear();
        }
        let output = |asked: &Asked<'_>| {
            let ty = match asked.kind {
                AskedKind::Text => PyType::Str,
                AskedKind::Choice(values) => {
                    PyType::Literal(values.iter().map(|value| PyValue::from(*value)).collect())
                }
                AskedKind::Object => PyType::AnyDict,
            };
            DspyField {
                desc: Some(asked.description.to_owned()).filter(|text| !text.is_empty()),
                ..DspyField::new(asked.name, ty)
            }
        };
        self.outputs = instead.outputs.iter().map(output).collect();
    }

    /// Adds a text to the inputs.
    pub(super) fn add_input(&mut self, name: &str, description: &str) {
        self.inputs.push(DspyField {
            desc: Some(description.to_owned()).filter(|text| !text.is_empty()),
            ..DspyField::new(name, PyType::Str)
        });
    }

    /// The instructions, or DSPy's sentence.
    pub(super) fn instructions(&self) -> String {
        if let Some(instructions) = &self.instructions {
            return super::text::clean_doc(instructions);
        }
        let names = |fields: &[DspyField]| {
            let names: Vec<String> = fields
                .iter()
                .map(|field| format!("`{}`", field.name))
                .collect();
            names.join(", ")
        };
        format!(
            "Given the fields {}, produce the fields {}.",
            names(&self.inputs),
            names(&self.outputs)
        )
    }

    /// All fields, inputs first.
    pub(super) fn fields(&self) -> impl Iterator<Item = &DspyField> {
        self.inputs.iter().chain(&self.outputs)
    }
}

impl DspyField {
    /// A text field without a description.
    pub fn new(name: impl Into<String>, ty: PyType) -> Self {
        Self {
            name: name.into(),
            ty,
            desc: None,
            prefix: None,
            constraints: String::new(),
            default: None,
        }
    }

    fn of(def: &FieldDef, ty: PyType, schema: &Value) -> Self {
        let description = def.description.trim();
        Self {
            desc: (!description.is_empty()).then(|| description.to_owned()),
            constraints: constraints(&limits_of(schema)),
            ..Self::new(def.name, ty)
        }
    }

    /// The description that prompts show.
    pub(super) fn shown_desc(&self) -> &str {
        let desc = self.desc.as_deref().unwrap_or_default();
        let is_default = desc
            .strip_prefix("${")
            .and_then(|rest| rest.strip_suffix('}'))
            .is_some_and(|name| name == self.name);
        if is_default { "" } else { desc }
    }
}

/// Limits in DSPy's words. It has none for `pattern`.
pub(super) fn constraints(limits: &PyDict) -> String {
    let words: Vec<String> = limits
        .iter()
        .filter_map(|(name, value)| {
            let words = match name.as_str() {
                "gt" => "greater than",
                "ge" => "greater than or equal to",
                "lt" => "less than",
                "le" => "less than or equal to",
                "min_length" => "minimum length",
                "max_length" => "maximum length",
                "multiple_of" => "a multiple of the given number",
                "allow_inf_nan" => "allow 'inf', '-inf', 'nan' values",
                _ => return None,
            };
            Some(format!("{words}: {}", print::text_of(value)))
        })
        .collect();
    words.join(", ")
}

/// A schema of a step is not JSON.
#[derive(Debug, thiserror::Error)]
#[error("the JSON Schema of the step `{step}` is not JSON: {source}")]
pub struct SchemaError {
    step: String,
    source: serde_json::Error,
}

impl<'de> serde::Deserialize<'de> for DspySignature {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let described = description::Signature::deserialize(deserializer)?;
        described.resolve().map_err(serde::de::Error::custom)
    }
}

impl serde::Serialize for DspySignature {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        description::Signature::of(self).serialize(serializer)
    }
}
