//! Optimizations from the data to the file, with real DSPy, on a scripted LM whose best prompt is known.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod optimize_support;

use std::fs;
use std::path::Path;

use dspipe_eval::metric::from_fn;
use dspipe_optimize::{Adoption, Example, OptimizeError, Outcome};
use dspipe_runtime::Value;
use dspipe_runtime::lm::BudgetLimits;
use dspipe_tests::server::Server;
use optimize_support::{RULE, answer, optimization, package};
use serde_json::json;
use tempfile::TempDir;

async fn optimized(optimizer: &str, settings: &str) -> (TempDir, Outcome) {
    let package = package();
    let server = Server::start(|_, request| answer(request)).await.unwrap();
    let optimization = optimization(package.path(), &server.url());
    let optimization = optimization.optimizers(optimizer, settings).unwrap();
    let outcome = optimization
        .run()
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    (package, outcome)
}

/// What was found is perfect on examples that the search never saw, and in the file.
fn assert_found(package: &TempDir, outcome: &Outcome) {
    let comparison = outcome.comparison.as_ref().unwrap();
    assert!(
        (comparison.baseline.estimate - 0.25).abs() < 1e-9,
        "{outcome}"
    );
    assert!(
        (comparison.optimized.estimate - 1.0).abs() < 1e-9,
        "{outcome}"
    );
    let path = package.path().join("workflows/colours.optimized.json");
    assert_eq!(outcome.adoption, Adoption::Written(path.clone()));
    let artifact: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert_fits_schema(&artifact);
    let variant = &artifact["variants"][0];
    assert_eq!(variant["lm"], "scripted/small");
    assert_eq!(variant["scores"]["optimized"]["mean"], 1.0);
    let prompt = &variant["steps"]["classify"];
    assert_eq!(
        prompt["instructions"],
        outcome.after["classify"].instructions
    );
    // The compiler takes it.
    let compilation = dspipe_build::Config::new()
        .workflow("workflows/colours.yaml")
        .load(package.path())
        .unwrap();
    let workflow = &compilation.workflows()[0];
    assert_eq!(compilation.report(workflow), "");
    assert!(workflow.items().unwrap().contains("optimized: &[\n"));
}

/// The JSON Schema of such files is committed.
fn assert_fits_schema(artifact: &Value) {
    let schema = fs::read_to_string("../schema/optimized.schema.json").unwrap();
    let schema = serde_json::from_str(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(artifact)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn the_schema_takes_what_the_compiler_takes() {
    for file in [
        "workflows/prompts.optimized.json",
        "workflows/saved.optimized.json",
        "../examples/support_triage/workflows/triage.optimized.json",
    ] {
        let artifact = fs::read_to_string(file).unwrap();
        assert_fits_schema(&serde_json::from_str(&artifact).unwrap());
    }
}

fn assert_rule(outcome: &Outcome) {
    let instructions = &outcome.after["classify"].instructions;
    assert!(instructions.contains(RULE), "{instructions}");
}

#[tokio::test]
async fn random_search_finds_demos() {
    let settings = "{max_bootstrapped_demos: 2, max_labeled_demos: 4, num_candidate_programs: 6}";
    let (package, outcome) = optimized("BootstrapRS", settings).await;
    assert_found(&package, &outcome);
    let text = outcome.to_string();
    assert!(text.contains("baseline"), "{text}");
    assert!(text.contains("+ demo {\"text\":"), "{text}");
    assert!(text.contains("adopted: "), "{text}");
}

#[tokio::test]
async fn copro_finds_the_rule() {
    let (package, outcome) = optimized("copro", "{breadth: 4, depth: 2}").await;
    assert_found(&package, &outcome);
    assert_rule(&outcome);
}

#[tokio::test]
async fn mipro_v2_finds_the_rule() {
    let settings = "{auto: light, max_bootstrapped_demos: 0, max_labeled_demos: 0}";
    let (package, outcome) = optimized("mipro_v2", settings).await;
    assert_found(&package, &outcome);
    assert_rule(&outcome);
}

#[tokio::test]
async fn gepa_finds_the_rule_by_feedback() {
    let (package, outcome) = optimized("gepa", "{max_metric_calls: 60}").await;
    assert_found(&package, &outcome);
    assert_rule(&outcome);
}

#[tokio::test]
async fn infer_rules_finds_the_rule() {
    let settings = "{num_candidates: 4, max_bootstrapped_demos: 1, max_labeled_demos: 0}";
    let (package, outcome) = optimized("infer_rules", settings).await;
    assert_found(&package, &outcome);
    assert_rule(&outcome);
}

#[tokio::test]
async fn simba_learns_from_results_that_vary() {
    let settings = "{bsize: 8, num_candidates: 3, max_steps: 3, max_demos: 4}";
    let (_, outcome) = optimized("simba", settings).await;
    let comparison = outcome.comparison.as_ref().unwrap();
    assert!(comparison.gain.estimate > 0.0, "{outcome}");
}

#[tokio::test]
async fn examples_are_put_into_the_prompt_as_they_are() {
    let (_, outcome) = optimized("labeled_few_shot", "k: 3").await;
    let demos = &outcome.after["classify"].demos;
    assert_eq!(demos.len(), 3);
    assert!(demos.iter().all(|demo| !demo.augmented), "{demos:?}");
}

#[tokio::test]
async fn runs_that_succeeded_become_demos() {
    let settings = "{max_bootstrapped_demos: 2, max_labeled_demos: 4}";
    let (_, outcome) = optimized("bootstrap_few_shot", settings).await;
    let demos = &outcome.after["classify"].demos;
    let made = demos.iter().filter(|demo| demo.augmented).count();
    assert_eq!((demos.len(), made), (4, 2), "{demos:?}");
}

#[tokio::test]
async fn chains_run_one_after_the_other() {
    let settings = "labeled_few_shot: {k: 2}\ncopro: {breadth: 4, depth: 1}";
    let (package, outcome) = optimized("[labeled_few_shot, copro]", settings).await;
    assert_found(&package, &outcome);
    assert_rule(&outcome);
}

#[tokio::test]
async fn what_is_no_better_leaves_the_file_as_it_was() {
    let package = package();
    let server = Server::start(|_, request| answer(request)).await.unwrap();
    let path = package.path().join("workflows/colours.optimized.json");
    let before = "{\"version\": 1, \"workflow\": \"colours\", \"variants\": []}";
    fs::write(&path, before).unwrap();
    let outcome = optimization(package.path(), &server.url())
        .metric(
            "nothing is right",
            from_fn(|_: Value, _: Value, _: Value| false),
        )
        .optimizers("labeled_few_shot", "k: 4")
        .unwrap()
        .run()
        .await
        .unwrap();
    let Adoption::Refused(reason) = &outcome.adoption else {
        panic!("{outcome}");
    };
    assert!(reason.contains("no better"), "{reason}");
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
}

#[tokio::test]
async fn what_was_answered_is_not_asked_again() {
    let package = package();
    let server = Server::start(|_, request| answer(request)).await.unwrap();
    let optimization = optimization(package.path(), &server.url())
        .optimizers("copro", "{breadth: 3, depth: 2}")
        .unwrap();
    optimization.run().await.unwrap();
    let path = package.path().join("workflows/colours.optimized.json");
    let (first, asked) = (fs::read_to_string(&path).unwrap(), server.received().len());
    fs::remove_file(&path).unwrap();
    let again = optimization.run().await.unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), first);
    assert_eq!(server.received().len(), asked);
    assert_eq!(again.spending.calls, 0);
    let error = optimization.clone().resume(true).run().await.unwrap_err();
    assert!(error.to_string().contains("nothing to resume"), "{error}");
}

/// What the compiler says of the package's workflow, and the code that it makes.
fn compiled(package: &Path) -> (String, String) {
    let compilation = dspipe_build::Config::new()
        .workflow("workflows/colours.yaml")
        .load(package)
        .unwrap();
    let workflow = &compilation.workflows()[0];
    let code = workflow.items().unwrap_or_default().to_owned();
    (compilation.report(workflow), code)
}

#[tokio::test]
async fn adopted_prompts_are_written_into_the_workflow_file_too() {
    let package = package();
    let file = package.path().join("workflows/colours.yaml");
    let artifact = package.path().join("workflows/colours.optimized.json");
    let old = fs::read_to_string(&file).unwrap();
    let server = Server::start(|_, request| answer(request)).await.unwrap();
    let settings = "labeled_few_shot: {k: 2}\ncopro: {breadth: 4, depth: 1}";
    let optimization = optimization(package.path(), &server.url())
        .optimizers("[labeled_few_shot, copro]", settings)
        .unwrap()
        .write_back(true);
    let outcome = optimization.run().await.unwrap();
    assert_eq!(outcome.write_back, Some(Ok(file.clone())));
    assert!(
        outcome.to_string().contains("has the same prompts now"),
        "{outcome}"
    );

    // The file has the instructions and the demos, and all that it had.
    let new = fs::read_to_string(&file).unwrap();
    assert!(new.contains(RULE), "{new}");
    assert!(new.contains("few_shot_examples: 2"), "{new}");
    let kept = old.lines().filter(|line| !line.contains("instructions:"));
    let missing: Vec<&str> = kept.filter(|line| !new.contains(line)).collect();
    assert_eq!(missing, Vec::<&str>::new());

    // The build has nothing to say of the file beside it, and would have without its signature.
    let (report, _) = compiled(package.path());
    assert_eq!(report, "");
    let text = fs::read_to_string(&artifact).unwrap();
    let mut stale: Value = serde_json::from_str(&text).unwrap();
    stale["variants"][0]["steps"]["classify"]["signature"]["instructions"] = json!("Label.");
    fs::write(&artifact, stale.to_string()).unwrap();
    let (report, _) = compiled(package.path());
    assert!(report.contains("E029"), "{report}");

    // It stands without the other file.
    fs::remove_file(&artifact).unwrap();
    let (report, code) = compiled(package.path());
    assert_eq!(report, "");
    assert!(code.contains(RULE), "{code}");
    assert_eq!(code.matches(" Demo {").count(), 2, "{code}");

    // The same optimization is still known, and comes to the same files.
    let again = optimization.run().await.unwrap();
    assert_eq!(again.spending.calls, 0);
    assert_eq!(fs::read_to_string(&file).unwrap(), new);
    assert_eq!(fs::read_to_string(&artifact).unwrap(), text);
}

#[tokio::test]
async fn a_workflow_file_that_cannot_be_written_is_told_and_kept() {
    let package = package();
    let file = package.path().join("workflows/colours.yaml");
    let text = fs::read_to_string(&file).unwrap();
    // Two places share one text: with a new one, the other would change as well.
    let text = text.replace("instructions: Label", "instructions: &text Label")
        + "  metadata: {about: *text}\n";
    fs::write(&file, &text).unwrap();
    let server = Server::start(|_, request| answer(request)).await.unwrap();
    let outcome = optimization(package.path(), &server.url())
        .optimizers("copro", "{breadth: 4, depth: 1}")
        .unwrap()
        .write_back(true)
        .run()
        .await
        .unwrap();
    assert!(outcome.is_adopted(), "{outcome}");
    let Some(Err(reason)) = &outcome.write_back else {
        panic!("{outcome}");
    };
    assert!(reason.contains("anchors and aliases"), "{reason}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

#[tokio::test]
async fn a_budget_ends_the_search_and_what_was_found_is_validated() {
    let package = package();
    let server = Server::start(|_, request| answer(request)).await.unwrap();
    let limits = BudgetLimits {
        calls: Some(60),
        ..BudgetLimits::default()
    };
    let outcome = optimization(package.path(), &server.url())
        .optimizers("copro", "{breadth: 6, depth: 6}")
        .unwrap()
        .budget(limits)
        .run()
        .await
        .unwrap();
    let reason = outcome.cut_short.as_deref().unwrap();
    assert!(reason.contains("budget"), "{reason}");
    assert!(outcome.spending.calls <= 60, "{outcome}");
    assert!(outcome.comparison.is_some(), "{outcome}");
}

#[tokio::test]
async fn a_metric_that_panics_ends_it_with_its_example() {
    let package = package();
    let server = Server::start(|_, request| answer(request)).await.unwrap();
    let metric = from_fn(|_: Value, _: Value, actual: Value| -> bool {
        assert!(actual.is_null(), "no metric at all");
        true
    });
    let error = optimization(package.path(), &server.url())
        .metric("panics", metric)
        .optimizers("labeled_few_shot", "")
        .unwrap()
        .run()
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, OptimizeError::Metric { .. }), "{text}");
    assert!(
        text.contains("test.jsonl:1") && text.contains("no metric at all"),
        "{text}"
    );
}

#[tokio::test]
async fn an_lm_that_nobody_can_ask_ends_it_before_python_starts() {
    let package = package();
    let error = optimization(package.path(), "http://127.0.0.1:9")
        .optimizers("labeled_few_shot", "")
        .unwrap()
        .run()
        .await
        .unwrap_err();
    assert!(matches!(error, OptimizeError::Lm(_)), "{error}");
    assert!(
        !package
            .path()
            .join("workflows/colours.optimized.json")
            .exists()
    );
}

#[tokio::test]
async fn a_single_case_is_evaluated_as_part_of_the_data_or_by_itself() {
    let package = package();
    let server = Server::start(|_, request| answer(request)).await.unwrap();
    let optimization = optimization(package.path(), &server.url());
    // Without a prompt that says so, only red is right.
    let all = optimization.evaluate().await.unwrap();
    assert_eq!(all.cases.len(), 12);
    for case in &all.cases[..4] {
        let one = optimization.evaluate_named(&case.example).await.unwrap();
        assert_eq!(one.cases.len(), 1);
        assert_eq!(
            (&one.cases[0].outputs, one.cases[0].score),
            (&case.outputs, case.score)
        );
    }
    let error = optimization.evaluate_named("nobody").await.unwrap_err();
    assert!(matches!(error, OptimizeError::Settings(_)), "{error}");

    let example = |colour: &str, label: &str| {
        let fields = |value: Value| value.as_object().unwrap().clone();
        Example {
            id: "mine".to_owned(),
            source: "here".to_owned(),
            inputs: fields(json!({"text": format!("The sea is {colour}.")})),
            labels: [("classify".to_owned(), fields(json!({"label": label})))].into(),
        }
    };
    let right = optimization
        .evaluate_case(&example("red", "R1"))
        .await
        .unwrap();
    assert_eq!((right.example.as_str(), right.score), ("mine", 1.0));
    assert_eq!(right.outputs, Ok(json!({"classify": {"label": "R1"}})));
    let wrong = optimization
        .evaluate_case(&example("blue", "B3"))
        .await
        .unwrap();
    assert_eq!((wrong.score, wrong.feedback.is_some()), (0.0, true));
}
