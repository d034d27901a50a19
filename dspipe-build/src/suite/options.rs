//! The names of metrics and gates, and the options that each takes.

/// What a metric takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Takes {
    /// Nothing.
    Nothing,
    /// A text.
    Text,
    /// A JSON Schema.
    Schema,
    /// Options: those that it must have, and those that it may have.
    Options(&'static [&'static str], &'static [&'static str]),
    /// Metrics by the fields that they look at.
    Fields,
    /// A list of metrics; whether they may have weights.
    List(bool),
}

/// Every metric that a suite can declare.
pub const METRICS: &[(&str, Takes)] = &[
    ("all", Takes::List(false)),
    ("any", Takes::List(false)),
    ("at", Takes::Options(&["path", "metric"], &[])),
    ("contains", Takes::Options(&[], &["any", "all", "case"])),
    ("cost", Takes::Options(&["max"], &["good"])),
    ("edit", Takes::Nothing),
    ("exact", Takes::Nothing),
    ("fields", Takes::Fields),
    ("json_diff", Takes::Nothing),
    ("judge", Takes::Options(&["rubric"], &["lm"])),
    ("latency", Takes::Options(&["max"], &["good"])),
    ("length", Takes::Options(&[], &["min", "max", "unit"])),
    (
        "list_f1",
        Takes::Options(&[], &["key", "normalize", "ordered"]),
    ),
    ("normalized", Takes::Nothing),
    ("numeric", Takes::Options(&[], &["abs", "rel"])),
    ("one_of", Takes::Options(&[], &["values", "metric"])),
    ("regex", Takes::Text),
    ("rouge_l", Takes::Nothing),
    ("rust", Takes::Text),
    ("schema", Takes::Schema),
    ("set_f1", Takes::Options(&[], &["key", "normalize"])),
    ("threshold", Takes::Options(&["metric", "at_least"], &[])),
    ("token_f1", Takes::Nothing),
    ("weighted", Takes::List(true)),
];

/// Every gate, with the options that it must and may have; `latency` takes quantiles.
pub(super) const GATES: &[(&str, &[&str], &[&str])] = &[
    ("complete", &[], &[]),
    ("cost", &[], &["max", "per_case"]),
    ("latency", &[], &[]),
    ("mean", &["min"], &["metric", "confidence"]),
    ("pass_at_k", &["k", "min"], &[]),
    ("pass_hat_k", &["k", "min"], &[]),
    ("pass_rate", &["min"], &["confidence"]),
    (
        "regression",
        &["baseline"],
        &["test", "metric", "alpha", "max_new_failures"],
    ),
];

/// Options that are numbers from 0 to 1.
pub(super) const UNITS: [&str; 4] = ["confidence", "alpha", "at_least", "pass_at"];
