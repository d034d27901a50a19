//! Optimizations that something goes wrong with: killed processes, an LM that refuses, Ctrl-C.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod optimize_support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use dspipe_optimize::bridge::{BridgeError, BridgeSettings, Python};
use dspipe_optimize::{Optimization, OptimizeError};
use dspipe_runtime::local;
use dspipe_tests::server::{Answer, Received, Server};
use optimize_support::{answer, data, optimization, package};
use tempfile::TempDir;

const ARTIFACT: &str = "workflows/colours.optimized.json";

/// An optimization with few calls of LMs, so that a test can stop it at many of them.
fn small(package: &Path, url: &str) -> Optimization {
    optimization(package, url)
        .optimizers("copro", "{breadth: 3, depth: 2}")
        .unwrap()
        .threads(2)
}

/// The interpreter of the bridge, and the directory of its code.
async fn python() -> (PathBuf, PathBuf) {
    let settings = local::Settings::from_env().unwrap();
    let (environment, directory) = local::optimizers(&settings).await.unwrap();
    (environment.python, directory)
}

/// Runs a script in place of Python.
async fn scripted(package: &TempDir, script: &str) -> BridgeSettings {
    let (python, directory) = python().await;
    let path = package.path().join("python.sh");
    let script = script.replace("PYTHON", &python.display().to_string());
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    BridgeSettings::new(Python::ready(path, directory))
}

/// The file of an optimization that nothing happened to, and how many requests it took.
async fn undisturbed() -> (String, usize) {
    let package = package();
    let server = Server::start(|_, request| answer(request)).await.unwrap();
    small(package.path(), &server.url()).run().await.unwrap();
    let text = fs::read_to_string(package.path().join(ARTIFACT)).unwrap();
    (text, server.received().len())
}

#[tokio::test]
async fn python_may_be_killed_at_any_moment() {
    let (expected, asked) = undisturbed().await;
    // Twelve requests are the baseline: Python starts after them.
    for moment in [13, 14, 20, asked - 14] {
        let package = package();
        let pid_file = package.path().join("pid");
        let script = format!("echo $$ > {}\nexec PYTHON \"$@\"", pid_file.display());
        let settings = scripted(&package, &script).await;
        let server = Server::start(move |before, request: &Received| {
            if before + 1 == moment {
                let pid = fs::read_to_string(&pid_file).unwrap();
                let killed = Command::new("kill").args(["-KILL", pid.trim()]).status();
                assert!(killed.unwrap().success());
            }
            answer(request)
        });
        let server = server.await.unwrap();
        let optimization = small(package.path(), &server.url()).bridge(settings);
        let outcome = optimization
            .run()
            .await
            .unwrap_or_else(|error| panic!("{moment}: {error}"));
        assert!(outcome.is_adopted(), "{moment}: {outcome}");
        let text = fs::read_to_string(package.path().join(ARTIFACT)).unwrap();
        assert_eq!(text, expected, "{moment}");
        // What was in flight has no answer that could be kept.
        let again = server.received().len() - asked;
        assert!(again <= 2, "{moment}: {again} of {asked} were asked twice");
    }
}

#[tokio::test]
async fn what_was_answered_before_python_died_for_good_is_not_paid_again() {
    let (expected, asked) = undisturbed().await;
    let package = package();
    let server = Server::start(|_, request| answer(request)).await.unwrap();
    let dead = scripted(&package, "echo no more memory >&2\nexit 3").await;
    let optimization = small(package.path(), &server.url());
    let error = optimization.clone().bridge(dead).run().await.unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error, OptimizeError::Bridge(BridgeError::Ended { .. })),
        "{text}"
    );
    assert!(text.contains("no more memory"), "{text}");
    assert!(!package.path().join(ARTIFACT).exists());

    let outcome = optimization.resume(true).run().await.unwrap();
    assert!(outcome.is_adopted(), "{outcome}");
    assert_eq!(server.received().len(), asked);
    assert_eq!(
        fs::read_to_string(package.path().join(ARTIFACT)).unwrap(),
        expected
    );
}

#[tokio::test]
async fn no_python_at_all_is_told_and_nothing_is_written() {
    let package = package();
    let server = Server::start(|_, request| answer(request)).await.unwrap();
    let (_, directory) = python().await;
    let none = BridgeSettings::new(Python::ready("/nowhere/python", directory));
    let optimization = small(package.path(), &server.url()).bridge(none);
    let error = optimization.run().await.unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error, OptimizeError::Bridge(BridgeError::Spawn { .. })),
        "{text}"
    );
    assert!(text.contains("/nowhere/python"), "{text}");
    assert!(!package.path().join(ARTIFACT).exists());
}

#[tokio::test]
async fn examples_that_an_lm_refuses_score_nothing_and_the_search_goes_on() {
    let package = package();
    let server = Server::start(|_, request: &Received| {
        // One to train with, one to compare by, and one that is held out.
        let refused = ["train 3 ", "val 5 ", "test 7 "];
        if refused.iter().any(|it| request.last_message().contains(it)) {
            return Answer::failure(400, r#"{"error": {"message": "not this one"}}"#);
        }
        answer(request)
    });
    let server = server.await.unwrap();
    let outcome = small(package.path(), &server.url()).run().await.unwrap();
    assert!(outcome.is_adopted(), "{outcome}");
    assert_eq!(outcome.optimized.failures(), 1, "{outcome}");
    let comparison = outcome.comparison.unwrap();
    assert!((comparison.optimized.estimate - 11.0 / 12.0).abs() < 1e-9);
}

#[tokio::test]
async fn several_seeds_are_compared_and_nothing_is_adopted() {
    let package = package();
    let server = Server::start(|_, request| answer(request)).await.unwrap();
    let optimization = optimization(package.path(), &server.url())
        .optimizers("labeled_few_shot", "k: 8")
        .unwrap();
    let study = optimization.study(0..3).await.unwrap();
    assert_eq!(study.outcomes.len(), 3);
    for (seed, outcome) in &study.outcomes {
        assert!(!outcome.is_adopted(), "{seed}: {outcome}");
        assert!(outcome.comparison.is_some());
    }
    let text = study.to_string();
    assert_eq!(text.lines().count(), 6, "{text}");
    assert!(text.contains("3 seeds, 12 held-out examples"), "{text}");
    assert!(!package.path().join(ARTIFACT).exists());
}

#[tokio::test]
async fn data_may_be_named_by_the_workflow() {
    let package = package();
    let file = package.path().join("workflows/colours.yaml");
    let keys = "  dspy_config:\n    training_examples_path: ../train.jsonl\n    \
                validation_examples_path: ../val.jsonl\n    test_examples_path: ../test.jsonl\n";
    let text = fs::read_to_string(&file).unwrap();
    fs::write(
        &file,
        text.replacen("  steps:\n", &format!("{keys}  steps:\n"), 1),
    )
    .unwrap();
    let runner = optimize_support::runner("http://127.0.0.1:9");
    let optimization = || {
        Optimization::of::<dspipe_tests::workflows::colours::Workflow>(package.path())
            .runner(runner.clone())
            .optimizers("labeled_few_shot", "")
            .unwrap()
    };
    assert_eq!(optimization().plan().unwrap().examples, [16, 12, 12]);
    let few = optimization().held_out([data(package.path(), "val")]);
    assert_eq!(few.plan().unwrap().examples, [16, 0, 12]);
}
