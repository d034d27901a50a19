//! Files of optimized prompts against the signatures that they are for.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::Path;

use dspipe_build::Config;
use serde_json::{Value, json};

const WORKFLOW: &str = r#"
workflow:
  name: triage
  steps:
    - name: sort
      type: dspy_local
      signature:
        instructions: "Which team?"
        input_fields:
          - {name: text, type: string}
        output_fields:
          - {name: team, type: string, enum: [billing, other]}
          - {name: urgency, type: integer}
"#;

/// Prompts that fit.
fn artifact() -> Value {
    json!({"version": 1, "workflow": "triage", "variants": [{"lm": null, "steps": {"sort": {
        "signature": {
            "instructions": "Which team?",
            "inputs": {"text": "string"},
            "outputs": {"team": "\"billing\" | \"other\"", "urgency": "integer"},
        },
        "instructions": "Say which team.",
        "demos": [
            {"inputs": {"text": "Refund"}, "outputs": {"team": "billing", "urgency": 2}, "augmented": true},
        ],
    }}}]})
}

/// What the build says of a file, and whether it fails.
fn built(artifact: &Value, configure: impl Fn(&mut Config)) -> (String, bool) {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    write("triage.yaml", WORKFLOW);
    write("triage.optimized.json", &format!("{artifact:#}"));
    let mut config = Config::new();
    configure(config.workflow(Path::new("triage.yaml")));
    let compilation = config.load(directory.path()).unwrap();
    let workflow = &compilation.workflows()[0];
    let report = compilation.report(workflow);
    let failed = report.contains("error[");
    (report, failed)
}

fn changed(pointer: &str, value: Value) -> Value {
    let mut artifact = artifact();
    *artifact.pointer_mut(pointer).unwrap() = value;
    artifact
}

#[test]
fn what_fits_is_taken_without_a_word() {
    assert_eq!(built(&artifact(), |_| {}), (String::new(), false));
}

#[test]
fn what_has_changed_since_is_named_and_an_error_only_if_that_is_asked_for() {
    let sort = "/variants/0/steps/sort/signature";
    let cases = [
        (
            changed(&format!("{sort}/instructions"), json!("Which one?")),
            "the instructions of step `sort` have changed since they were optimized",
        ),
        (
            changed(&format!("{sort}/outputs/urgency"), json!("string")),
            "the output `urgency` of step `sort` has another type since its prompt was optimized",
        ),
        (
            changed(
                &format!("{sort}/inputs"),
                json!({"text": "string", "from": "string"}),
            ),
            "step `sort` no longer has the input `from`",
        ),
        (
            changed(&format!("{sort}/outputs"), json!({"urgency": "integer"})),
            "step `sort` has a new output `team` since its prompt was optimized",
        ),
    ];
    for (artifact, wanted) in cases {
        let (report, failed) = built(&artifact, |_| {});
        assert!(
            report.contains("warning[E029]") && report.contains(wanted),
            "{report}"
        );
        assert!(!failed, "{report}");
        let (report, failed) = built(&artifact, |config| {
            config.stale_prompts_as_errors(true);
        });
        assert!(
            report.contains("error[E029]") && report.contains(wanted),
            "{report}"
        );
        assert!(failed, "{report}");
    }
}

#[test]
fn demos_of_another_type_and_two_prompts_for_one_lm_are_errors() {
    let demo = "/variants/0/steps/sort/demos/0/outputs";
    let wrong = changed(demo, json!({"team": "sales", "urgency": 2}));
    let (report, failed) = built(&wrong, |_| {});
    assert!(failed && report.contains("billing"), "{report}");

    let mut twice = artifact();
    let variants = twice["variants"].as_array_mut().unwrap();
    let first = variants[0].clone();
    variants.push(first);
    let (report, failed) = built(&twice, |_| {});
    assert!(
        failed && report.contains("two variants are for any LM"),
        "{report}"
    );
}
