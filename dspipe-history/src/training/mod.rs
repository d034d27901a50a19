//! Training data: examples of a step's work, from executions or from files.
//!
//! An example is a line of JSON:
//!
//! ```json
//! {"inputs": {"ticket": "It burns"}, "outputs": {"urgency": "high"}, "source": "execution 42"}
//! ```
//!
//! `source`, `weight` (1) and `synthetic` (false) may be left out.

mod collect;
mod dedup;
mod jsonl;
mod select;
mod shape;
mod split;
mod stats;
mod synthesize;
mod tokens;
mod validate;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use collect::{CollectOptions, Collector, Left, Skipped, collect};
pub use dedup::{Deduplicator, Kept};
pub use jsonl::{DataError, Overwrite, read, read_all, replace, write};
pub use select::{VectorsError, select, select_by_vectors};
pub use shape::{Label, Shape, ShapeError};
pub use split::{NO_VALUE, Part, Shares, SharesError, Split, Stratum, split};
pub use stats::{DataStats, FieldStats, LabelStats};
pub use synthesize::{SynthesisOptions, Synthesized, synthesize};
pub use tokens::Tokens;
pub use validate::{
    Checked, Issue, IssueKind, Parts, Report, ValidateOptions, Validator, validate,
};

/// An example of a step's work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// What goes in, one key per input field.
    #[serde(alias = "input")]
    pub inputs: Map<String, Value>,
    /// What should come out, one key per output field.
    #[serde(alias = "output")]
    pub outputs: Map<String, Value>,
    /// Where it comes from, in words; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// How much it counts against others.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub weight: f64,
    /// Whether an LM made it up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub synthetic: bool,
}

impl Example {
    /// An example with a weight of 1.
    pub fn new(inputs: Map<String, Value>, outputs: Map<String, Value>) -> Self {
        Self {
            inputs,
            outputs,
            source: String::new(),
            weight: one(),
            synthetic: false,
        }
    }

    /// Its inputs as a text to be embedded: the one text that they are, or all of them, a field a line.
    pub fn text(&self) -> String {
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let mut inputs = self.inputs.iter();
        match (inputs.next(), inputs.next()) {
            (Some((_, only)), None) => text(only),
            _ => {
                let inputs = self.inputs.iter();
                let lines: Vec<String> = inputs
                    .map(|(name, value)| format!("{name}: {}", text(value)))
                    .collect();
                lines.join("\n")
            }
        }
    }
}

fn one() -> f64 {
    1.0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    clippy::float_cmp,
    reason = "serde passes references; only the default itself is left out"
)]
fn is_one(weight: &f64) -> bool {
    *weight == one()
}
