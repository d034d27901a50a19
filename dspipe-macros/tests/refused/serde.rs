//! Attributes that a signature cannot honour.

use dspipe_runtime::dspy_signature;

#[dspy_signature]
struct Names {
    #[input]
    text: String,
    #[output]
    #[serde(rename = "text")]
    answer: String,
}

#[dspy_signature]
struct Flattened {
    #[output]
    #[serde(flatten)]
    inner: std::collections::BTreeMap<String, String>,
    #[output]
    #[serde(default, rename = "other")]
    answer: String,
    #[output]
    #[schemars(skip)]
    left_out: String,
}

#[dspy_signature]
#[serde(rename_all = "camelCase")]
struct Renamed {
    #[output]
    answer: String,
}

#[dspy_signature]
struct Conditional {
    #[output]
    answer: String,
    #[cfg(unix)]
    #[output]
    more: String,
}

fn main() {}
