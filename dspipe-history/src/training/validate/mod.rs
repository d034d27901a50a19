//! How good training data is.
//!
//! The quality of an example is the weighted mean of six parts, each from 0 to 1:
//!
//! | part | weight | 1 means |
//! |---|---|---|
//! | schema | 0.35 | it fits the signature |
//! | completeness | 0.15 | no field is empty; else the share of those that are not |
//! | consistency | 0.15 | no example with the same inputs has other labels |
//! | separation | 0.15 | its inputs are not, and not nearly, in the other data set |
//! | length | 0.10 | inputs and outputs are not far longer or shorter than usual |
//! | uniqueness | 0.10 | no earlier example has the same inputs; 0.5 where they are nearly the same |
//!
//! Lengths are compared on a logarithmic scale by their distance to the median in median absolute deviations
//! (a modified z-score above 3.5, after Iglewicz and Hoaglin 1993), from ten examples on. The quality of the
//! whole is the mean of the examples for nine tenths, and for one tenth the balance of the least balanced
//! label: the entropy of its values by that of an even distribution.

mod lengths;
mod report;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

pub use report::{Checked, Issue, IssueKind, Parts, Report};

use lengths::{Usual, length};

use super::dedup::NearIndex;
use super::tokens::{Tokens, content_hash, hash, ratio};
use super::{Example, Shape};

/// How to validate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValidateOptions {
    /// The similarity from which on inputs are nearly the same.
    pub near: f64,
}

impl Default for ValidateOptions {
    fn default() -> Self {
        Self { near: 0.85 }
    }
}

/// Validates examples one at a time: it keeps words and hashes, not the examples.
#[derive(Debug)]
pub struct Validator<'a> {
    shape: &'a Shape,
    facts: Vec<Facts>,
    known: Known,
    others: Known,
    by_inputs: HashMap<u64, Vec<usize>>,
    /// Per label, how often each value occurs.
    counts: Vec<HashMap<u64, usize>>,
}

#[derive(Debug)]
struct Facts {
    line: usize,
    issues: Vec<Issue>,
    completeness: f64,
    separation: f64,
    uniqueness: f64,
    /// Of the inputs and of the outputs: the logarithm of the length in characters.
    lengths: [f64; 2],
    inputs: u64,
    /// Per label, a hash of its value.
    labels: Vec<Option<u64>>,
}

/// Examples that others are compared with.
#[derive(Debug)]
struct Known {
    exact: HashMap<u64, usize>,
    near: NearIndex,
    lines: Vec<usize>,
}

enum Like {
    Same(usize),
    Near(usize, f64),
}

impl Known {
    fn new(near: f64) -> Self {
        Self {
            exact: HashMap::new(),
            near: NearIndex::new(near),
            lines: Vec::new(),
        }
    }

    fn find(&self, hash: u64, tokens: &Tokens) -> Option<Like> {
        if let Some(&line) = self.exact.get(&hash) {
            return Some(Like::Same(line));
        }
        let (index, similarity) = self.near.closest(tokens)?;
        Some(Like::Near(*self.lines.get(index)?, similarity))
    }

    fn add(&mut self, line: usize, hash: u64, tokens: Tokens) {
        if let std::collections::hash_map::Entry::Vacant(entry) = self.exact.entry(hash) {
            entry.insert(line);
            self.near.insert(tokens);
            self.lines.push(line);
        }
    }
}

/// Validates examples that are all there. Their lines are their positions, from 1.
pub fn validate<'a>(
    examples: impl IntoIterator<Item = &'a Example>,
    shape: &Shape,
    options: ValidateOptions,
) -> Report {
    let mut validator = Validator::new(shape, options);
    for (index, example) in examples.into_iter().enumerate() {
        validator.push(index + 1, example);
    }
    validator.finish()
}

impl<'a> Validator<'a> {
    /// For examples of this shape.
    pub fn new(shape: &'a Shape, options: ValidateOptions) -> Self {
        Self {
            shape,
            facts: Vec::new(),
            known: Known::new(options.near),
            others: Known::new(options.near),
            by_inputs: HashMap::new(),
            counts: vec![HashMap::new(); shape.labels().len()],
        }
    }

    /// Adds an example of another data set, which must not have the same inputs. All of them come before the
    /// first [`push`](Self::push).
    pub fn push_other(&mut self, line: usize, example: &Example) {
        let hash = content_hash(&example.inputs);
        self.others.add(line, hash, Tokens::of(&example.inputs));
    }

    /// Adds an example.
    pub fn push(&mut self, line: usize, example: &Example) {
        let misfits = self.shape.misfits(example);
        let mut issues: Vec<Issue> = misfits
            .into_iter()
            .map(|(field, message)| issue(IssueKind::Schema, field, message))
            .collect();
        let empty = self.shape.empty_fields(example);
        let completeness = match self.shape.field_count() {
            0 => 1.0,
            all => 1.0 - ratio(empty.len(), all),
        };
        issues.extend(
            empty
                .into_iter()
                .map(|field| issue(IssueKind::Empty, field, "it is empty".to_owned())),
        );
        let hash_of_inputs = content_hash(&example.inputs);
        let tokens = Tokens::of(&example.inputs);
        let mut separation = 1.0;
        if let Some(like) = self.others.find(hash_of_inputs, &tokens) {
            separation = 0.0;
            issues.push(like.issue(IssueKind::Leakage, IssueKind::Leakage, " of the other data"));
        }
        let uniqueness = match self.known.find(hash_of_inputs, &tokens) {
            None => 1.0,
            Some(earlier) => {
                issues.push(earlier.issue(IssueKind::Duplicate, IssueKind::NearDuplicate, ""));
                if let Like::Same(_) = earlier {
                    0.0
                } else {
                    0.5
                }
            }
        };
        self.known.add(line, hash_of_inputs, tokens);
        let labels = self.labels(example);
        let same = self.by_inputs.entry(hash_of_inputs).or_default();
        same.push(self.facts.len());
        self.facts.push(Facts {
            line,
            issues,
            completeness,
            separation,
            uniqueness,
            lengths: [length(&example.inputs), length(&example.outputs)],
            inputs: hash_of_inputs,
            labels,
        });
    }

    fn labels(&mut self, example: &Example) -> Vec<Option<u64>> {
        let mut values = Vec::new();
        for (label, counts) in self.shape.labels().iter().zip(&mut self.counts) {
            let value = label
                .of(example)
                .map(|value| hash(value.to_string().bytes()));
            if let Some(value) = value {
                *counts.entry(value).or_default() += 1;
            }
            values.push(value);
        }
        values
    }

    /// What was found out.
    pub fn finish(mut self) -> Report {
        let usual = [0, 1].map(|side| Usual::of(self.facts.iter().map(|one| one.lengths[side])));
        let conflicts = self.conflicts();
        let mut report = Report {
            examples: Vec::with_capacity(self.facts.len()),
            valid: 0,
            quality: 0.0,
            issues: BTreeMap::new(),
            balance: self.balance(),
        };
        for (mut facts, conflict) in self.facts.drain(..).zip(conflicts) {
            let mut parts = Parts {
                schema: 1.0,
                completeness: facts.completeness,
                consistency: 1.0,
                separation: facts.separation,
                length: 1.0,
                uniqueness: facts.uniqueness,
            };
            if let Some((field, line)) = conflict {
                parts.consistency = 0.0;
                let message = format!("line {line} has the same inputs and another value");
                facts
                    .issues
                    .push(issue(IssueKind::Conflict, field, message));
            }
            for (side, (usual, length)) in usual.iter().zip(facts.lengths).enumerate() {
                if let Some(message) = usual.as_ref().and_then(|usual| usual.complaint(length)) {
                    parts.length = 0.0;
                    let field = ["inputs", "outputs"][side].to_owned();
                    facts.issues.push(issue(IssueKind::Length, field, message));
                }
            }
            if facts.issues.iter().any(|one| one.kind == IssueKind::Schema) {
                parts.schema = 0.0;
            }
            for one in &facts.issues {
                *report.issues.entry(one.kind).or_default() += 1;
            }
            let valid = !facts.issues.iter().any(|one| one.kind.is_fatal());
            report.valid += usize::from(valid);
            report.quality += parts.quality();
            report.examples.push(Checked {
                line: facts.line,
                valid,
                issues: facts.issues,
                quality: parts.quality(),
                parts,
            });
        }
        if !report.examples.is_empty() {
            let mean = report.quality * ratio(1, report.examples.len());
            let balance = report.balance.values().copied().fold(1.0, f64::min);
            report.quality = 0.9 * mean + 0.1 * balance;
        }
        report
    }

    /// Per example, a label that another one with the same inputs has otherwise, and that one's line.
    fn conflicts(&self) -> Vec<Option<(String, usize)>> {
        let conflict = |facts: &Facts| {
            let same = self.by_inputs.get(&facts.inputs)?;
            same.iter().find_map(|&other| {
                let other = self.facts.get(other)?;
                let mut pairs = self
                    .shape
                    .labels()
                    .iter()
                    .zip(facts.labels.iter().zip(&other.labels));
                let (label, _) = pairs.find(|(_, (a, b))| a.is_some() && b.is_some() && a != b)?;
                Some((format!("outputs.{}", label.name()), other.line))
            })
        };
        self.facts.iter().map(conflict).collect()
    }

    fn balance(&self) -> BTreeMap<String, f64> {
        let labels = self.shape.labels().iter().zip(&self.counts);
        labels
            .filter(|(label, counts)| label.values.len() > 1 && !counts.is_empty())
            .map(|(label, counts)| {
                let total: usize = counts.values().sum();
                // Sorted, so that the sum is the same each time.
                let mut sorted: Vec<usize> = counts.values().copied().collect();
                sorted.sort_unstable();
                let entropy: f64 = sorted
                    .into_iter()
                    .map(|count| ratio(count, total))
                    .map(|share| -share * share.ln())
                    .sum();
                let even = ratio(label.values.len(), 1).ln();
                (label.name(), (entropy / even).clamp(0.0, 1.0))
            })
            .collect()
    }
}

impl Like {
    fn issue(&self, same: IssueKind, near: IssueKind, of: &str) -> Issue {
        match self {
            Self::Same(line) => {
                let message = format!("they are those of line {line}{of}");
                issue(same, "inputs".to_owned(), message)
            }
            Self::Near(line, similarity) => {
                let message = format!(
                    "they are nearly those of line {line}{of} (similarity {similarity:.2})"
                );
                issue(near, "inputs".to_owned(), message)
            }
        }
    }
}

fn issue(kind: IssueKind, field: String, message: String) -> Issue {
    Issue {
        kind,
        field,
        message,
    }
}
