//! The bridge with real DSPy at its other end, and with programs that fail in its place.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod bridge_support;

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bridge_support::{
    Before, Script, Seen, Task, bridge, evaluate, optimize, ready, settings, signal, told_rule,
    wait_for_end,
};
use dspipe_optimize::bridge::{
    Bridge, BridgeError, ErrorClass, HostError, Progress, Prompt, Python,
};
use dspipe_runtime::local::{self, LocalError};
use serde_json::json;
use tokio::sync::{Barrier, Notify};

#[tokio::test]
async fn a_ping_is_answered_while_a_job_waits_for_its_host() {
    let bridge = bridge().await;
    assert_eq!(bridge.versions().protocol, 1);
    assert_eq!(bridge.versions().packages["dspy"], "3.4.1");
    let task = Arc::new(Task::new(Before::Wait(Notify::new())));
    let params = evaluate("waits", 1, 1);
    let job = bridge.evaluate(&params, task.clone());
    let pings = async {
        task.asked.notified().await;
        bridge.ping().await.unwrap();
        task.go_on();
    };
    let (evaluated, ()) = tokio::join!(job, pings);
    assert!((evaluated.unwrap().score - 1.0).abs() < f64::EPSILON);
    bridge.shutdown().await.unwrap();
}

#[tokio::test]
async fn optimizers_find_the_prompt_that_the_task_needs() {
    let bridge = bridge().await;
    let task = Arc::new(Task::new(Before::Nothing));
    let params = optimize("labeled", &[("labeled_few_shot", json!({"k": 9}))]);
    let labeled = bridge.optimize(&params, task.clone()).await.unwrap();
    let Prompt { demos, .. } = &labeled.prompts["classify"];
    assert_eq!(demos.len(), 9);
    assert!(demos.iter().all(|demo| !demo.augmented));
    assert_eq!(labeled.stats.runs, 0);

    let settings = json!({"max_bootstrapped_demos": 2, "max_labeled_demos": 6});
    let stages = [("bootstrap_few_shot", settings)];
    let params = optimize("bootstrapped", &stages);
    let found = bridge.optimize(&params, task.clone()).await.unwrap();
    let Prompt { demos, .. } = &found.prompts["classify"];
    assert!(demos.iter().any(|demo| demo.augmented), "{demos:?}");

    // A chain is evaluated before and after.
    let params = optimize(
        "chain",
        &[stages[0].clone(), ("labeled_few_shot", json!({"k": 9}))],
    );
    let found = bridge.optimize(&params, task.clone()).await.unwrap();
    assert_eq!(found.score, Some(1.0));
    assert_eq!(found.stages.len(), 2);
    let candidates = task.candidates.lock().unwrap();
    assert!(candidates.iter().any(|it| it.stage == 0 && it.score < 0.5));
    assert!(candidates.iter().any(|it| it.stage > 0 && it.score > 0.9));
    let progress = task.progress.lock().unwrap();
    assert!(
        progress
            .iter()
            .any(|it| matches!(it, Progress::Stage { stage: 2, .. }))
    );
    assert!(!task.logs.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_evaluation_has_the_score_of_each_example_and_runs_them_at_the_same_time() {
    let bridge = bridge().await;
    // Nobody goes on before four runs have begun.
    let task = Arc::new(Task::new(Before::Meet(Barrier::new(4))));
    let mut params = evaluate("plain", 8, 4);
    let plain = bridge.evaluate(&params, task.clone()).await.unwrap();
    let scores: Vec<f64> = plain.results.iter().map(|it| it.score).collect();
    assert_eq!(scores, [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
    assert_eq!(plain.results[7].example, "e7");
    assert_eq!(plain.results[7].outputs.as_ref().unwrap()["label"], "R1");

    params.prompts = Some(told_rule());
    let told = bridge.evaluate(&params, task).await.unwrap();
    assert_eq!(told.score.to_string(), "1");
    assert_eq!(told.stats.metric_calls, 8);
}

#[tokio::test]
async fn an_error_of_the_host_ends_the_job_and_comes_back_with_its_class() {
    let bridge = bridge().await;
    for error in [
        HostError::budget("calls", "all calls are spent"),
        HostError::retry("server", "the server is busy"),
        HostError::fatal("metric", "the metric is wrong"),
        HostError::Cancelled,
    ] {
        // The first evaluation of the chain ends before.
        let task = Arc::new(Task::new(Before::Fail(9, error.clone())));
        let stages = [
            ("bootstrap_few_shot", json!({})),
            ("labeled_few_shot", json!({})),
        ];
        let params = optimize(&format!("ends with {error}"), &stages);
        let failed = bridge.optimize(&params, task.clone()).await.unwrap_err();
        assert_eq!(failed.class(), error.class());
        assert_eq!(failed.best(), task.candidates.lock().unwrap().last());
        assert!(failed.best().is_some());
        let BridgeError::Job { code, message, .. } = failed else {
            panic!("{failed}");
        };
        assert_eq!(code, error.code());
        assert_eq!(message, error.to_string());
    }
    // What the user's code panics with is such an error too.
    let panics = Arc::new(Task::new(Before::Panic));
    let params = evaluate("panics", 1, 1);
    let failed = bridge.evaluate(&params, panics).await.unwrap_err();
    assert_eq!(failed.class(), ErrorClass::Fatal);
    assert!(
        failed.to_string().contains("the workflow of the user"),
        "{failed}"
    );
    // What the bridge refuses has its own code.
    let params = optimize("refused", &[("knn_few_shot", json!({}))]);
    let task = Arc::new(Task::new(Before::Nothing));
    let refused = bridge.optimize(&params, task).await.unwrap_err();
    assert!(
        matches!(&refused, BridgeError::Job { code, .. } if code == "bad_request"),
        "{refused}"
    );
    bridge.ping().await.unwrap();
}

#[tokio::test]
async fn a_job_that_is_dropped_is_cancelled_and_its_runs_are_aborted() {
    let bridge = bridge().await;
    let task = Arc::new(Task::new(Before::Wait(Notify::new())));
    let params = evaluate("dropped", 2, 2);
    tokio::select! {
        answer = bridge.evaluate(&params, task.clone()) => panic!("{answer:?}"),
        () = async {
            while task.began.load(Ordering::SeqCst) < 2 {
                task.asked.notified().await;
            }
        } => {}
    }
    // The bridge does jobs one after the other, so that it has left the first if it does another.
    let other = Arc::new(Task::new(Before::Nothing));
    bridge
        .evaluate(&evaluate("other", 3, 2), other)
        .await
        .unwrap();
    assert_eq!(task.aborted.load(Ordering::SeqCst), 2);
    assert!(!bridge.cancel("dropped").await.unwrap());

    let waits = Arc::new(Task::new(Before::Wait(Notify::new())));
    let params = evaluate("cancelled", 2, 2);
    let again = Arc::new(Task::new(Before::Nothing));
    let (cancelled, ()) = tokio::join!(bridge.evaluate(&params, waits.clone()), async {
        waits.asked.notified().await;
        let twice = bridge.evaluate(&params, again).await.unwrap_err();
        assert!(matches!(twice, BridgeError::JobExists { .. }), "{twice}");
        assert!(bridge.cancel("cancelled").await.unwrap());
    });
    assert_eq!(cancelled.unwrap_err().class(), ErrorClass::Cancelled);
}

#[tokio::test]
async fn a_killed_bridge_fails_its_job_and_all_that_is_asked_afterwards() {
    let bridge = bridge().await;
    let task = Arc::new(Task::new(Before::Wait(Notify::new())));
    let params = evaluate("killed", 2, 2);
    let (failed, ()) = tokio::join!(bridge.evaluate(&params, task.clone()), async {
        task.asked.notified().await;
        signal("KILL", bridge.process_id().unwrap());
    });
    let failed = failed.unwrap_err();
    assert_eq!(failed.class(), ErrorClass::Restart);
    let BridgeError::Ended { status, .. } = &failed else {
        panic!("{failed}");
    };
    assert_eq!(status.unwrap().signal(), Some(9));
    assert!(failed.to_string().contains("memory"), "{failed}");
    let later = bridge.ping().await.unwrap_err();
    assert_eq!(later.to_string(), failed.to_string());
    assert_eq!(bridge.process_id(), None);
}

#[tokio::test]
async fn a_bridge_that_hangs_is_killed() {
    let mut settings = settings();
    settings.ping_every = Duration::from_millis(20);
    settings.silent_after = Duration::from_secs(5);
    let bridge = Bridge::start(&settings).await.unwrap();
    let process = bridge.process_id().unwrap();
    let task = Arc::new(Task::new(Before::Wait(Notify::new())));
    let params = evaluate("hangs", 1, 1);
    let (failed, ()) = tokio::join!(bridge.evaluate(&params, task.clone()), async {
        task.asked.notified().await;
        signal("STOP", process);
    });
    let failed = failed.unwrap_err();
    assert!(matches!(failed, BridgeError::Silent { .. }), "{failed}");
    assert_eq!(failed.class(), ErrorClass::Restart);
    wait_for_end(process);
}

#[tokio::test]
async fn garbage_is_shown_and_ends_the_bridge() {
    let script = Script::new("echo 'a traceback' >&2; echo 'Segmentation fault'; sleep 600");
    let seen = Seen::default();
    let guard = tracing::subscriber::set_default(seen.clone());
    let failed = Bridge::start(&script.settings()).await.err().unwrap();
    assert_eq!(failed.class(), ErrorClass::Restart);
    let BridgeError::Protocol { line, stderr, .. } = &failed else {
        panic!("{failed}");
    };
    assert_eq!(line, "Segmentation fault");
    assert_eq!(stderr, "a traceback");
    drop(guard);
    let seen = seen.0.lock().unwrap();
    assert!(seen.contains(&"a traceback".to_owned()), "{seen:?}");
}

#[tokio::test]
async fn the_end_of_a_process_is_told_with_its_status_and_what_it_said_last() {
    let script = Script::new("seq 1 60 >&2; printf '{\"id\":1,' ; exit 3");
    let failed = Bridge::start(&script.settings()).await.err().unwrap();
    let BridgeError::Ended { status, stderr } = &failed else {
        panic!("{failed}");
    };
    assert_eq!(status.unwrap().code(), Some(3));
    let last: Vec<String> = (11..=60).map(|number: u32| number.to_string()).collect();
    assert_eq!(stderr, &last.join("\n"));
    assert!(failed.to_string().contains("exit status: 3"), "{failed}");
}

#[tokio::test]
async fn a_bridge_that_is_never_ready_is_killed_with_all_that_it_started() {
    let script =
        Script::new("sleep 600 & echo $! > \"$2/pid.new\"; mv \"$2/pid.new\" \"$2/pid\"; wait");
    let mut settings = script.settings();
    settings.start_timeout = Duration::from_secs(4);
    let failed = Bridge::start(&settings).await.err().unwrap();
    assert!(
        matches!(failed, BridgeError::StartTimeout { .. }),
        "{failed}"
    );
    let pid = std::fs::read_to_string(script.directory().join("pid")).unwrap();
    wait_for_end(pid.trim().parse().unwrap());
}

#[tokio::test]
async fn other_protocols_and_interpreters_that_are_missing_are_told_apart() {
    let script = Script::new(
        "read line; echo '{\"id\":1,\"error\":{\"class\":\"fatal\",\"code\":\"protocol_version\",\
         \"message\":\"this bridge speaks protocol 2, not 1\"}}'; read line",
    );
    let failed = Bridge::start(&script.settings()).await.err().unwrap();
    assert!(matches!(failed, BridgeError::Version { .. }), "{failed}");
    assert_eq!(failed.class(), ErrorClass::Fatal);

    let nowhere = ready(script.directory().join("nowhere"), script.directory());
    let failed = Bridge::start(&nowhere).await.err().unwrap();
    assert!(matches!(failed, BridgeError::Spawn { .. }), "{failed}");

    let mut home = local::Settings::at(script.directory());
    home.python = Some(script.directory().join("nowhere"));
    let mut nobody = settings();
    nobody.python = Python::SetUp(home);
    let failed = Bridge::start(&nobody).await.err().unwrap();
    assert!(matches!(failed, BridgeError::SetUp(_)), "{failed}");
    assert!(failed.to_string().contains("DSPIPE_PYTHON"), "{failed}");
}

#[tokio::test]
async fn a_python_of_the_users_is_taken_if_it_has_the_packages_and_told_what_it_lacks() {
    let Python::SetUp(mut home) = settings().python else {
        panic!("it is set up by itself");
    };
    let (environment, directory) = local::optimizers(&home).await.unwrap();
    home.python = Some(environment.python.clone());
    let (named, _) = local::optimizers(&home).await.unwrap();
    assert_eq!(named.python, environment.python);
    assert_eq!(named.directory, None);

    let empty = tempfile::tempdir().unwrap();
    let made = Command::new(environment.python)
        .args(["-I", "-m", "venv", "--without-pip"])
        .arg(empty.path())
        .status()
        .unwrap();
    assert!(made.success());
    home.python = Some(empty.path().join("bin/python"));
    let lacks = local::optimizers(&home).await.unwrap_err();
    let LocalError::PackagesMissing { missing, .. } = &lacks else {
        panic!("{lacks}");
    };
    assert!(missing.iter().any(|package| package == "dspy==3.4.1"));
    let numpy = missing.iter().filter(|it| it.starts_with("numpy=="));
    assert_eq!(numpy.count(), 1);

    let failed = Bridge::start(&ready(empty.path().join("bin/python"), &directory))
        .await
        .err()
        .unwrap();
    assert!(matches!(failed, BridgeError::Package { .. }), "{failed}");
    assert!(
        failed.to_string().contains("`dspy` is not installed"),
        "{failed}"
    );
}

#[test]
fn python_gets_no_secret_and_does_not_outlive_its_host() {
    let mut host = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "other_process", "--ignored", "--nocapture"])
        .env("OPENAI_API_KEY", "sk-dspipe-test")
        .env("HTTPS_PROXY", "http://user:dspipe-test@localhost")
        .env("SOME_PASSWORD", "dspipe-test")
        .env("PYTHONPATH", "/dspipe-test")
        .stdout(Stdio::piped())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(host.stdout.take().unwrap()).lines();
    let mut said = lines.map_while(Result::ok);
    let process = said
        .find_map(|line| line.split_once("bridge=").map(|(_, id)| id.to_owned()))
        .unwrap();
    if cfg!(target_os = "linux") {
        let environment = std::fs::read(format!("/proc/{process}/environ")).unwrap();
        let environment = String::from_utf8_lossy(&environment);
        assert!(environment.contains("PATH="), "{environment}");
        assert!(!environment.contains("dspipe-test"), "{environment}");
    }
    host.kill().unwrap();
    host.wait().unwrap();
    wait_for_end(process.parse().unwrap());
}

/// Started by another test with an environment of its own.
#[tokio::test]
#[ignore = "it is the other process of `python_gets_no_secret_and_does_not_outlive_its_host`"]
async fn other_process() {
    let bridge = bridge().await;
    println!("bridge={}", bridge.process_id().unwrap());
    std::future::pending::<()>().await;
}
