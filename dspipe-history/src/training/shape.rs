//! What examples of a step must look like.

use dspipe_runtime::SignatureDef;
use jsonschema::Validator;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Example;

/// How deep schemas are looked into for labels.
const DEPTH: usize = 8;

/// The signature of a step as data: JSON Schemas of its inputs and outputs.
#[derive(Debug)]
pub struct Shape {
    instructions: String,
    inputs: Side,
    outputs: Side,
    labels: Vec<Label>,
}

#[derive(Debug)]
struct Side {
    schema: Value,
    validator: Validator,
}

/// An output field with a fixed set of values: an enum or a boolean.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// The keys that lead to it.
    pub path: Vec<String>,
    /// Its values.
    pub values: Vec<Value>,
}

impl Label {
    /// Its name, as in `report.urgency`.
    pub fn name(&self) -> String {
        self.path.join(".")
    }

    /// Its value in an example.
    pub fn of<'a>(&self, example: &'a Example) -> Option<&'a Value> {
        value_at(&example.outputs, &self.path)
    }
}

pub(super) fn value_at<'a>(object: &'a Map<String, Value>, path: &[String]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter()
        .try_fold(object.get(first)?, |value, key| value.get(key))
}

/// Why a text does not describe a signature.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// It is not the JSON that it should be.
    #[error(
        "not a signature: {0}; write {{\"inputs\": JSON Schema, \"outputs\": JSON Schema, \"instructions\": \"…\"}}"
    )]
    Json(#[from] serde_json::Error),
    /// One of the schemas is none.
    #[error("the schema of the {side} is not valid at `{path}`: {reason}")]
    Schema {
        /// `inputs` or `outputs`.
        side: &'static str,
        /// Where in the schema.
        path: String,
        /// What is wrong.
        reason: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    inputs: Value,
    outputs: Value,
    #[serde(default)]
    instructions: String,
}

impl Shape {
    /// From the schemas of two objects.
    ///
    /// # Errors
    /// [`ShapeError::Schema`] if one is not a JSON Schema.
    pub fn new(inputs: Value, outputs: Value, instructions: &str) -> Result<Self, ShapeError> {
        let mut labels = Vec::new();
        find_labels(&outputs, &outputs, &mut Vec::new(), &mut labels);
        Ok(Self {
            instructions: instructions.to_owned(),
            inputs: Side::new("inputs", inputs)?,
            outputs: Side::new("outputs", outputs)?,
            labels,
        })
    }

    /// From a JSON text with the keys `inputs`, `outputs` and perhaps `instructions`.
    ///
    /// # Errors
    /// [`ShapeError`] if it is something else.
    pub fn parse(text: &str) -> Result<Self, ShapeError> {
        let Text {
            inputs,
            outputs,
            instructions,
        } = serde_json::from_str(text)?;
        Self::new(inputs, outputs, &instructions)
    }

    /// From a compiled step. It knows the schema of its outputs; of its inputs it knows the names.
    ///
    /// # Errors
    /// [`ShapeError`]. Compiled steps have none.
    pub fn of(def: &SignatureDef) -> Result<Self, ShapeError> {
        let names: Vec<&str> = def.inputs.iter().map(|field| field.name).collect();
        let properties: Map<String, Value> = def
            .inputs
            .iter()
            .map(|field| {
                (
                    field.name.to_owned(),
                    json!({"description": field.description}),
                )
            })
            .collect();
        let inputs = json!({
            "type": "object",
            "properties": properties,
            "required": names,
            "additionalProperties": false,
        });
        Self::new(
            inputs,
            serde_json::from_str(def.output_schema)?,
            def.instructions,
        )
    }

    /// As [`parse`](Self::parse) takes it: what the command line's `--signature` is.
    pub fn to_json(&self) -> Value {
        json!({
            "inputs": self.inputs.schema,
            "outputs": self.outputs.schema,
            "instructions": self.instructions,
        })
    }

    /// What the LM is told to do; may be empty.
    pub fn instructions(&self) -> &str {
        &self.instructions
    }

    /// The schema of the inputs.
    pub fn inputs(&self) -> &Value {
        &self.inputs.schema
    }

    /// The schema of the outputs.
    pub fn outputs(&self) -> &Value {
        &self.outputs.schema
    }

    /// The output fields with a fixed set of values.
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// What is wrong with an example: the field and the reason, for each.
    pub fn misfits(&self, example: &Example) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for (name, side, fields) in [
            ("inputs", &self.inputs, &example.inputs),
            ("outputs", &self.outputs, &example.outputs),
        ] {
            let value = Value::Object(fields.clone());
            for error in side.validator.iter_errors(&value) {
                let path = dotted(name, error.instance_path().as_str());
                // The value itself may be long, and stands in the file.
                let reason = error.masked_with("the value").to_string();
                found.push((path, reason));
            }
        }
        found
    }

    /// The names of the required fields of both sides that an example leaves empty.
    pub(super) fn empty_fields(&self, example: &Example) -> Vec<String> {
        let mut empty = Vec::new();
        for (name, side, fields) in [
            ("inputs", &self.inputs, &example.inputs),
            ("outputs", &self.outputs, &example.outputs),
        ] {
            for field in side.properties() {
                if fields.get(field).is_none_or(is_empty) {
                    empty.push(format!("{name}.{field}"));
                }
            }
        }
        empty
    }

    /// How many fields both sides have.
    pub(super) fn field_count(&self) -> usize {
        self.inputs.properties().count() + self.outputs.properties().count()
    }
}

impl Side {
    fn new(side: &'static str, schema: Value) -> Result<Self, ShapeError> {
        let wrong = |path: String, reason: String| ShapeError::Schema { side, path, reason };
        if !schema.is_object() {
            return Err(wrong(String::new(), "it must be an object".to_owned()));
        }
        let validator = jsonschema::validator_for(&schema)
            .map_err(|error| wrong(error.instance_path().to_string(), error.to_string()))?;
        Ok(Self { schema, validator })
    }

    fn properties(&self) -> impl Iterator<Item = &String> {
        let properties = self.schema.get("properties").and_then(Value::as_object);
        properties.into_iter().flat_map(Map::keys)
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// `outputs` and `/report/tags/0` as `outputs.report.tags[0]`.
fn dotted(side: &str, pointer: &str) -> String {
    let mut path = side.to_owned();
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        if part.parse::<usize>().is_ok() {
            path.push('[');
            path.push_str(&part);
            path.push(']');
        } else {
            path.push('.');
            path.push_str(&part);
        }
    }
    path
}

fn find_labels(root: &Value, schema: &Value, path: &mut Vec<String>, labels: &mut Vec<Label>) {
    if path.len() > DEPTH {
        return;
    }
    let reference = schema.get("$ref").and_then(Value::as_str);
    let target = reference
        .and_then(|reference| reference.strip_prefix('#'))
        .and_then(|pointer| root.pointer(pointer));
    let schema = target.unwrap_or(schema);
    if let Some(Value::Array(values)) = schema.get("enum") {
        labels.push(Label {
            path: path.clone(),
            values: values.clone(),
        });
    } else if schema.get("type").and_then(Value::as_str) == Some("boolean") {
        labels.push(Label {
            path: path.clone(),
            values: vec![Value::Bool(false), Value::Bool(true)],
        });
    } else if let Some(Value::Object(properties)) = schema.get("properties") {
        for (name, property) in properties {
            path.push(name.clone());
            find_labels(root, property, path, labels);
            path.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{DEF, example};

    fn shape() -> Shape {
        Shape::parse(
            r##"{
                "inputs": {"properties": {"ticket": {"type": "string"}}, "required": ["ticket"]},
                "outputs": {
                    "properties": {
                        "report": {"$ref": "#/$defs/Report"},
                        "done": {"type": "boolean"}
                    },
                    "required": ["report"],
                    "$defs": {"Report": {"properties": {
                        "urgency": {"enum": ["low", "high"]},
                        "tags": {"items": {"type": "string"}},
                        "again": {"$ref": "#/$defs/Report"}
                    }}}
                }
            }"##,
        )
        .unwrap()
    }

    #[test]
    fn labels_are_found_through_references_and_recursion_ends() {
        let names: Vec<String> = shape().labels().iter().map(Label::name).collect();
        assert_eq!(names[0], "report.urgency");
        assert_eq!(names[1], "report.again.urgency");
        assert_eq!(names.last().unwrap(), "done");
    }

    #[test]
    fn every_misfit_has_its_field() {
        let example = example(
            json!({"ticket": 3}),
            json!({"report": {"urgency": "secret text", "tags": ["a", 1]}}),
        );
        let misfits = shape().misfits(&example);
        let fields: Vec<&str> = misfits.iter().map(|(field, _)| &**field).collect();
        assert_eq!(
            fields,
            [
                "inputs.ticket",
                "outputs.report.urgency",
                "outputs.report.tags[1]"
            ]
        );
        assert!(!misfits[1].1.contains("secret text"), "{misfits:?}");
        let empty = super::Example::new(Map::new(), Map::new());
        assert_eq!(shape().misfits(&empty).len(), 2);
    }

    #[test]
    fn a_wrong_schema_is_refused_with_its_place() {
        let error = Shape::parse(r#"{"inputs": {"type": 3}, "outputs": {}}"#).unwrap_err();
        assert!(error.to_string().contains("inputs"), "{error}");
        assert!(Shape::parse(r#"{"inputs": [], "outputs": {}}"#).is_err());
        assert!(Shape::parse(r#"{"inputs": {}}"#).is_err());
    }

    #[test]
    fn a_compiled_step_has_a_shape() {
        let shape = Shape::of(&DEF).unwrap();
        let shape = Shape::parse(&shape.to_json().to_string()).unwrap();
        assert_eq!(shape.instructions(), DEF.instructions);
        assert!(
            shape
                .misfits(&example(json!({"ticket": "x"}), json!({})))
                .is_empty()
        );
        assert_eq!(
            shape
                .misfits(&example(json!({"tickt": "x"}), json!({})))
                .len(),
            2
        );
    }
}
