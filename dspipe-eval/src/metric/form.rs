//! The options of metrics as YAML has them.

use serde::Deserialize;
use serde_json::Value;

use super::LengthUnit;
use crate::path::Path;
use crate::unit::{Amount, Unit, Weight};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NumericOptions {
    #[serde(default)]
    pub(super) abs: Amount,
    #[serde(default)]
    pub(super) rel: Amount,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ContainsOptions {
    pub(super) any: Option<Vec<String>>,
    pub(super) all: Option<Vec<String>>,
    #[serde(default = "yes")]
    pub(super) case: bool,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OneOfOptions {
    pub(super) values: Option<Vec<Value>>,
    pub(super) metric: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListOptions {
    pub(super) key: Option<Path>,
    #[serde(default)]
    pub(super) normalize: bool,
    pub(super) ordered: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LengthOptions {
    pub(super) min: Option<u32>,
    pub(super) max: Option<u32>,
    #[serde(default)]
    pub(super) unit: LengthUnit,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RampOptions {
    #[serde(default)]
    pub(super) good: Amount,
    pub(super) max: Amount,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JudgeOptions {
    pub(super) rubric: String,
    pub(super) lm: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AtOptions {
    pub(super) path: Path,
    pub(super) metric: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ThresholdOptions {
    pub(super) metric: Value,
    pub(super) at_least: Unit,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WeightedOptions {
    pub(super) metric: Value,
    #[serde(default)]
    pub(super) weight: Weight,
}
