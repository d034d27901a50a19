//! Labelled examples: what optimizers learn from, what they compare candidates by, and what they never see.

use std::collections::BTreeMap;
use std::path::Path;

use dspipe_build::Record;
use dspipe_history::training::{self, Part, Shares, Split};
use dspipe_runtime::{Map, Value, WorkflowDef};
use sha2::{Digest as _, Sha256};

use crate::error::OptimizeError;

/// A labelled example of a workflow.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// Names it within its set, as in `train-12`.
    pub id: String,
    /// Where it comes from, as in `data/train.jsonl:12`.
    pub source: String,
    /// The inputs of the workflow, by field.
    pub inputs: Map<String, Value>,
    /// By step and field, what should come out, as far as it is known.
    pub labels: BTreeMap<String, Map<String, Value>>,
}

impl Example {
    /// What should come out, in the form of the workflow's outputs: by step, then by field.
    pub fn expected(&self) -> Value {
        let steps = self.labels.iter();
        Value::Object(
            steps
                .map(|(step, fields)| (step.clone(), Value::Object(fields.clone())))
                .collect(),
        )
    }
}

/// Examples in three sets that have nothing in common.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Data {
    /// What optimizers learn from.
    pub train: Vec<Example>,
    /// What they compare candidates by. If it is empty, each takes its share of `train`, as in DSPy.
    pub validation: Vec<Example>,
    /// What no optimizer sees; it decides whether its prompts are adopted.
    pub held_out: Vec<Example>,
}

/// How many examples of each set there may be at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) train: Option<usize>,
    pub(crate) validation: Option<usize>,
}

impl Data {
    /// Sets that were kept apart by the user. Held-out examples with the inputs of a training example are
    /// left out of training.
    pub(crate) fn given(
        train: Vec<Record>,
        validation: Vec<Record>,
        held_out: Vec<Record>,
    ) -> Self {
        let held_out = examples("test", held_out);
        let unseen = |record: &Record| {
            !held_out
                .iter()
                .any(|example| example.inputs == record.inputs)
        };
        Self {
            train: examples("train", train.into_iter().filter(&unseen)),
            validation: examples("val", validation.into_iter().filter(&unseen)),
            held_out,
        }
    }

    /// Splits by a hash of the inputs, so that examples stay where they are when others are added.
    pub(crate) fn split(records: Vec<Record>, shares: Shares, seed: u64) -> Self {
        let split = Split {
            shares,
            seed,
            stratify: None,
            group: None,
        };
        let mut parts: BTreeMap<Part, Vec<Record>> = BTreeMap::new();
        for record in records {
            let part = split.part(&training::Example::new(record.inputs.clone(), Map::new()));
            parts.entry(part).or_default().push(record);
        }
        let mut take = |part: Part, name| examples(name, parts.remove(&part).unwrap_or_default());
        Self {
            train: take(Part::Train, "train"),
            validation: take(Part::Validation, "val"),
            held_out: take(Part::Test, "test"),
        }
    }

    pub(crate) fn limit(&mut self, sizes: Sizes) {
        self.train.truncate(sizes.train.unwrap_or(usize::MAX));
        self.validation
            .truncate(sizes.validation.unwrap_or(usize::MAX));
    }

    /// Identifies the examples of a set: a hash of inputs and labels.
    pub(crate) fn fingerprint(examples: &[Example]) -> String {
        let mut hash = Sha256::new();
        for example in examples {
            let text = format!(
                "{}\n{}\n",
                Value::Object(example.inputs.clone()),
                example.expected()
            );
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        hex(&hash.finalize()[..8])
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut digits, byte| {
        // Writing to a string does not fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

/// Without the examples in the workflow file that are in a file of data, too: such as demos that were written back,
/// with more than their labels. So they neither count twice nor change what an optimization is known by.
pub(crate) fn without_copies(records: Vec<Record>, workflow_file: &Path) -> Vec<Record> {
    let own = format!("{}:", workflow_file.to_string_lossy().replace('\\', "/"));
    let (inline, in_files): (Vec<Record>, Vec<Record>) = records
        .into_iter()
        .partition(|record| record.source.starts_with(&own));
    let is_copy = |record: &Record| {
        let mut others = in_files.iter();
        others.any(|other| {
            (other.step.is_none() || other.step == record.step) && other.inputs == record.inputs
        })
    };
    let mut kept: Vec<Record> = inline.into_iter().filter(|it| !is_copy(it)).collect();
    kept.extend(in_files);
    kept
}

/// The records that are examples of the whole workflow; an example of one step is, where the step takes
/// nothing but inputs of the workflow and these are all.
///
/// # Errors
/// [`OptimizeError::Data`] if none is.
pub(crate) fn of_workflow(
    records: Vec<Record>,
    def: &WorkflowDef,
) -> Result<Vec<Record>, OptimizeError> {
    let all = records.len();
    let is_whole = |record: &Record| {
        let known = |name: &str| record.inputs.contains_key(name);
        let optional = optional_inputs(def);
        def.inputs
            .iter()
            .all(|field| known(field.name) || optional.contains(&field.name.to_owned()))
            && record
                .inputs
                .keys()
                .all(|name| def.inputs.iter().any(|field| field.name == name))
    };
    let first = records.first().cloned();
    let whole: Vec<Record> = records.into_iter().filter(is_whole).collect();
    match first {
        Some(first) if whole.is_empty() => Err(OptimizeError::Data(format!(
            "none of the {all} examples has all inputs of the workflow ({}); the first is at {}",
            names(def),
            first.source
        ))),
        _ => Ok(whole),
    }
}

fn names(def: &WorkflowDef) -> String {
    let names: Vec<&str> = def.inputs.iter().map(|field| field.name).collect();
    names.join(", ")
}

/// The inputs that the schema does not require.
fn optional_inputs(def: &WorkflowDef) -> Vec<String> {
    let schema: Value = serde_json::from_str(def.input_schema).unwrap_or_default();
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    def.inputs
        .iter()
        .filter(|field| !required.contains(&field.name))
        .map(|field| field.name.to_owned())
        .collect()
}

fn examples(name: &str, records: impl IntoIterator<Item = Record>) -> Vec<Example> {
    let numbered = records.into_iter().enumerate();
    numbered
        .map(|(at, record)| Example {
            id: format!("{name}-{at}"),
            source: record.source,
            inputs: record.inputs,
            labels: record.outputs,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(number: usize) -> Record {
        let inputs = json!({"text": format!("text {number}")});
        Record {
            source: format!("data.jsonl:{number}"),
            step: None,
            inputs: inputs.as_object().cloned().unwrap_or_default(),
            outputs: BTreeMap::new(),
        }
    }

    #[test]
    fn a_split_is_stable_when_examples_are_added() {
        let shares = Shares::new(0.5, 0.2, 0.3).unwrap_or_else(|error| panic!("{error}"));
        let of = |count: usize| Data::split((0..count).map(record).collect(), shares, 0);
        let (few, many) = (of(50), of(100));
        let sources = |examples: &[Example]| -> Vec<String> {
            examples.iter().map(|it| it.source.clone()).collect()
        };
        assert_eq!(
            few.train.len() + few.validation.len() + few.held_out.len(),
            50
        );
        for source in sources(&few.held_out) {
            assert!(sources(&many.held_out).contains(&source));
        }
        assert!(!few.held_out.is_empty() && !few.validation.is_empty());
    }

    #[test]
    fn demos_that_were_written_back_count_once() {
        let written = |number: usize, line: usize| Record {
            source: format!("flows/triage.yaml:{line}"),
            step: Some("sort".to_owned()),
            ..record(number)
        };
        let kept = |own: Vec<Record>| {
            let records = own.into_iter().chain([record(1), record(2)]).collect();
            without_copies(records, Path::new("flows/triage.yaml"))
        };
        assert_eq!(kept(vec![written(2, 7), written(1, 9)]), kept(Vec::new()));
        assert_eq!(kept(vec![written(3, 7)]).len(), 3);
        // Without a file of data, all are the user's own.
        let own = vec![written(1, 7), written(1, 9)];
        assert_eq!(
            without_copies(own.clone(), Path::new("flows/triage.yaml")),
            own
        );
    }

    #[test]
    fn what_is_held_out_is_not_trained_on() {
        let data = Data::given(
            vec![record(1), record(2)],
            vec![record(3)],
            vec![record(2), record(3)],
        );
        assert_eq!(data.train.len(), 1);
        assert_eq!(data.train[0].source, "data.jsonl:1");
        assert!(data.validation.is_empty());
        assert_eq!(data.held_out.len(), 2);
    }
}
