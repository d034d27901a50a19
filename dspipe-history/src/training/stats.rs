//! What is in a set of examples.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;
use serde_json::{Map, Value};

use super::tokens::content_hash;
use super::{Example, Shape};

/// What is in a set of examples.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DataStats {
    /// How many.
    pub examples: usize,
    /// How many an LM made up.
    pub synthetic: usize,
    /// How many have inputs that no earlier one has.
    pub distinct_inputs: usize,
    /// The sum of the weights.
    pub weight: f64,
    /// By field, as in `inputs.ticket`.
    pub fields: BTreeMap<String, FieldStats>,
    /// By label, as in `report.urgency`.
    pub labels: BTreeMap<String, LabelStats>,
    #[serde(skip)]
    inputs: HashSet<u64>,
}

/// What is in a field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FieldStats {
    /// How many examples have it.
    pub present: usize,
    /// How many of each JSON type.
    pub types: BTreeMap<&'static str, usize>,
    /// Characters of its shortest value, as text.
    pub shortest: usize,
    /// Characters of its longest value, as text.
    pub longest: usize,
    /// Characters of all its values.
    pub characters: usize,
}

/// The values of a label, as JSON, and how often they occur; those that never do included.
pub type LabelStats = BTreeMap<String, usize>;

impl DataStats {
    /// Counts an example.
    pub fn push(&mut self, example: &Example, shape: Option<&Shape>) {
        self.examples += 1;
        self.synthetic += usize::from(example.synthetic);
        self.weight += example.weight;
        if self.inputs.insert(content_hash(&example.inputs)) {
            self.distinct_inputs += 1;
        }
        self.fields("inputs", &example.inputs);
        self.fields("outputs", &example.outputs);
        for label in shape.map_or(&[][..], Shape::labels) {
            let counts = self.labels.entry(label.name()).or_insert_with(|| {
                let values = label.values.iter().map(|value| (value.to_string(), 0));
                values.collect()
            });
            if let Some(value) = label.of(example) {
                *counts.entry(value.to_string()).or_default() += 1;
            }
        }
    }

    fn fields(&mut self, side: &str, fields: &Map<String, Value>) {
        for (name, value) in fields {
            let stats = self.fields.entry(format!("{side}.{name}")).or_default();
            let characters = match value {
                Value::String(text) => text.chars().count(),
                other => other.to_string().chars().count(),
            };
            stats.shortest = if stats.present == 0 {
                characters
            } else {
                stats.shortest.min(characters)
            };
            stats.longest = stats.longest.max(characters);
            stats.characters += characters;
            stats.present += 1;
            *stats.types.entry(type_of(value)).or_default() += 1;
        }
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::test_support::example;

    #[test]
    fn fields_and_labels_are_counted() {
        let shape = Shape::new(
            json!({}),
            json!({"properties": {"kind": {"enum": ["a", "b"]}}}),
            "",
        )
        .unwrap();
        let mut stats = DataStats::default();
        stats.push(
            &example(json!({"text": "äöü"}), json!({"kind": "a"})),
            Some(&shape),
        );
        stats.push(
            &example(json!({"text": [1, 2]}), json!({"kind": "a"})),
            Some(&shape),
        );
        let mut made_up = example(json!({"text": "äöü"}), json!({}));
        made_up.synthetic = true;
        stats.push(&made_up, Some(&shape));
        assert_eq!(
            (stats.examples, stats.synthetic, stats.distinct_inputs),
            (3, 1, 2)
        );
        let text = &stats.fields["inputs.text"];
        assert_eq!(
            (text.present, text.shortest, text.longest, text.characters),
            (3, 3, 5, 11)
        );
        assert_eq!(text.types, BTreeMap::from([("array", 1), ("string", 2)]));
        assert_eq!(stats.fields["outputs.kind"].present, 2);
        let kinds = BTreeMap::from([("\"a\"".to_owned(), 2), ("\"b\"".to_owned(), 0)]);
        assert_eq!(stats.labels["kind"], kinds);
    }
}
