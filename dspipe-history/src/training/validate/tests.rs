#![allow(clippy::float_cmp, reason = "these are exact")]

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
