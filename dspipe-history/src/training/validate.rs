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

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use serde_json::{Map, Value};

use super::dedup::NearIndex;
use super::tokens::{Tokens, content_hash, hash, ratio};
use super::{Example, Shape};

/// Fewer examples have no usual length.
const ENOUGH: usize = 10;

/// The modified z-score from which on a length is unusual.
const UNUSUAL: f64 = 3.5;

/// The median absolute deviation of a normal distribution, by its standard deviation.
const MAD: f64 = 1.4826;

/// Lengths within a tenth of each other are never unusual.
const LEAST_SPREAD: f64 = 0.1;

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
    fn is_fatal(self) -> bool {
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
    fn quality(&self) -> f64 {
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

fn length(fields: &Map<String, Value>) -> f64 {
    let characters: usize = fields.values().map(characters).sum();
    ratio(characters + 1, 1).ln()
}

fn characters(value: &Value) -> usize {
    match value {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.iter().map(characters).sum(),
        Value::Object(fields) => fields.values().map(characters).sum(),
        other => other.to_string().len(),
    }
}

/// The usual length, as a logarithm.
struct Usual {
    median: f64,
    spread: f64,
}

impl Usual {
    fn of(lengths: impl Iterator<Item = f64>) -> Option<Self> {
        let mut lengths: Vec<f64> = lengths.collect();
        if lengths.len() < ENOUGH {
            return None;
        }
        let median = median(&mut lengths);
        let mut distances: Vec<f64> = lengths.iter().map(|one| (one - median).abs()).collect();
        let spread = (MAD * self::median(&mut distances)).max(LEAST_SPREAD);
        Some(Self { median, spread })
    }

    fn complaint(&self, length: f64) -> Option<String> {
        let score = (length - self.median) / self.spread;
        if score.abs() <= UNUSUAL {
            return None;
        }
        let how = if score > 0.0 { "long" } else { "short" };
        Some(format!(
            "unusually {how}: {:.0} characters, where {:.0} are usual",
            length.exp() - 1.0,
            self.median.exp() - 1.0
        ))
    }
}

/// The upper median.
fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    if values.is_empty() {
        return 0.0;
    }
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "these are exact")]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::test_support::example;

    fn shape() -> Shape {
        Shape::new(
            json!({"properties": {"text": {"type": "string"}}, "required": ["text"]}),
            json!({
                "properties": {"kind": {"enum": ["a", "b"]}, "note": {"type": "string"}},
                "required": ["kind"]
            }),
            "",
        )
        .unwrap()
    }

    fn of(text: &str, kind: &str) -> Example {
        example(json!({"text": text}), json!({"kind": kind, "note": "n"}))
    }

    fn check(examples: &[Example]) -> Report {
        validate(examples, &shape(), ValidateOptions::default())
    }

    fn kinds(checked: &Checked) -> Vec<IssueKind> {
        checked.issues.iter().map(|one| one.kind).collect()
    }

    #[test]
    fn good_examples_have_full_marks() {
        let report = check(&[of("one", "a"), of("two", "b")]);
        assert_eq!((report.valid, report.quality), (2, 1.0));
        assert_eq!(report.balance["kind"], 1.0);
        assert!(report.issues.is_empty());
        assert_eq!(check(&[]).quality, 0.0);
    }

    #[test]
    fn misfits_and_empty_fields_are_told_with_their_fields() {
        let report = check(&[
            of("one", "c"),
            example(json!({"text": " "}), json!({"kind": "a"})),
        ]);
        assert_eq!(kinds(&report.examples[0]), [IssueKind::Schema]);
        assert_eq!(report.examples[0].issues[0].field, "outputs.kind");
        assert!(!report.examples[0].valid);
        assert_eq!(kinds(&report.examples[1]), [IssueKind::Empty; 2]);
        assert!(report.examples[1].valid);
        let completeness = report.examples[1].parts.completeness;
        assert!((completeness - 1.0 / 3.0).abs() < 1e-9, "{completeness}");
    }

    #[test]
    fn the_same_inputs_with_other_labels_conflict() {
        let report = check(&[
            of("x y", "a"),
            of("other", "a"),
            of("x y", "b"),
            of("x y", "b"),
        ]);
        let conflicts: Vec<usize> = report
            .examples
            .iter()
            .filter(|one| kinds(one).contains(&IssueKind::Conflict))
            .map(|one| one.line)
            .collect();
        assert_eq!(conflicts, [1, 3, 4]);
        assert_eq!(report.examples[0].issues[0].field, "outputs.kind");
        assert_eq!(report.issues[&IssueKind::Duplicate], 2);
    }

    #[test]
    fn another_text_for_the_same_inputs_is_a_duplicate_but_no_conflict() {
        let mut other = of("x", "a");
        other.outputs.insert("note".to_owned(), json!("another"));
        let report = check(&[of("x", "a"), other]);
        assert_eq!(kinds(&report.examples[1]), [IssueKind::Duplicate]);
        assert_eq!(report.valid, 2);
    }

    #[test]
    fn near_duplicates_cost_half() {
        let words = "one two three four five six seven eight nine ten";
        let report = check(&[of(words, "a"), of(&format!("{words} eleven"), "a")]);
        assert_eq!(kinds(&report.examples[1]), [IssueKind::NearDuplicate]);
        assert_eq!(report.examples[1].parts.uniqueness, 0.5);
    }

    #[test]
    fn what_is_in_the_other_data_leaks() {
        let shape = shape();
        let mut validator = Validator::new(&shape, ValidateOptions::default());
        validator.push_other(7, &of("secret exam question", "a"));
        validator.push(1, &of("Secret exam question!", "b"));
        validator.push(2, &of("something new", "b"));
        let report = validator.finish();
        assert_eq!(kinds(&report.examples[0]), [IssueKind::Leakage]);
        assert!(report.examples[0].issues[0].message.contains("line 7"));
        assert!(!report.examples[0].valid && report.examples[1].valid);
    }

    #[test]
    fn outliers_in_length_are_found_and_usual_ones_are_not() {
        let mut examples: Vec<Example> = (0..30_usize)
            .map(|number| of(&format!("{number} {}", "w ".repeat(20 + number)), "a"))
            .collect();
        assert!(!check(&examples).issues.contains_key(&IssueKind::Length));
        examples.push(of(&"long ".repeat(3000), "a"));
        let report = check(&examples);
        assert_eq!(report.issues[&IssueKind::Length], 1);
        let last = report.examples.last().unwrap();
        assert!(
            last.issues[0].message.contains("unusually long: 15000"),
            "{last:?}"
        );
    }

    #[test]
    fn one_sided_labels_lower_the_quality() {
        let examples: Vec<Example> = (0..20).map(|n| of(&format!("word{n}"), "a")).collect();
        let report = check(&examples);
        assert_eq!(report.balance["kind"], 0.0);
        assert!((report.quality - 0.9).abs() < 1e-9, "{}", report.quality);
    }
}
