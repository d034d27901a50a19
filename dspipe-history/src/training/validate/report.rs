//! What validation finds out.

use std::collections::BTreeMap;

use serde::Serialize;

/// What is wrong with an example.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Issue {
    /// Which kind of thing.
    pub kind: IssueKind,
    /// The field, as in `outputs.report.urgency`; empty for the whole.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

/// Kinds of issues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IssueKind {
    /// It does not fit the signature. Such an example is not valid.
    Schema,
    /// The same inputs have other labels elsewhere. Such an example is not valid.
    Conflict,
    /// Its inputs are in the other data set. Such an example is not valid.
    Leakage,
    /// A field is empty.
    Empty,
    /// It is far longer or shorter than usual.
    Length,
    /// Its inputs were there before.
    Duplicate,
    /// Nearly its inputs were there before.
    NearDuplicate,
}

impl IssueKind {
    pub(super) fn is_fatal(self) -> bool {
        matches!(self, Self::Schema | Self::Conflict | Self::Leakage)
    }
}

/// The parts of a quality, each from 0 to 1. See the module's table.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Parts {
    /// Fits the signature.
    pub schema: f64,
    /// Has all fields.
    pub completeness: f64,
    /// Has the labels that others with the same inputs have.
    pub consistency: f64,
    /// Is not in the other data set.
    pub separation: f64,
    /// Is as long as usual.
    pub length: f64,
    /// Is the first with its inputs.
    pub uniqueness: f64,
}

impl Parts {
    pub(super) fn quality(&self) -> f64 {
        0.35 * self.schema
            + 0.15 * (self.completeness + self.consistency + self.separation)
            + 0.10 * (self.length + self.uniqueness)
    }
}

/// What was found out about an example.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Checked {
    /// Its line, or its position from 1.
    pub line: usize,
    /// Whether it can be used.
    pub valid: bool,
    /// What is wrong with it.
    pub issues: Vec<Issue>,
    /// From 0 to 1.
    pub quality: f64,
    /// What the quality is made of.
    pub parts: Parts,
}

/// What was found out about all examples.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Each of them, in their order.
    pub examples: Vec<Checked>,
    /// How many can be used.
    pub valid: usize,
    /// From 0 to 1; 0 where there is no example.
    pub quality: f64,
    /// How many issues of each kind there are.
    pub issues: BTreeMap<IssueKind, usize>,
    /// How even the values of each label are, from 0 to 1.
    pub balance: BTreeMap<String, f64>,
}
