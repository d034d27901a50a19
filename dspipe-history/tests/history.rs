//! A history as programs use it, against real SQLite files.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::float_cmp,
    reason = "what fails here fails the test"
)]

mod support;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use dspipe_history::{
    Feedback, Filter, History, HistoryError, Kind, Order, Outcome, Price, Prices, Redaction,
    Retention, Settings, Time, Verdict, WhenFull,
};
use dspipe_runtime::lm::Usage;
use serde_json::{Value, json};

use support::{Scripted, execution, history, run_both, runner, triage};

fn settings() -> Settings {
    Settings {
        when_full: WhenFull::Wait,
        ..Settings::default()
    }
}

#[tokio::test]
async fn a_runner_records_its_steps() {
    let (_directory, history) = history(Settings {
        prices: Prices::from([(
            "test/scripted".to_owned(),
            Price {
                input: 3.0,
                output: 15.0,
            },
        )]),
        ..settings()
    });
    let recorder = Arc::new(history.recorder().unwrap());
    let runner =
        runner(Scripted::replies(&[r#"{"urgency": "high"}"#])).with_observer(recorder.clone());
    let before = Time::now();
    triage(&runner, "It burns").await.unwrap();
    recorder.flush().unwrap();

    let all = history.list(&Filter::default()).unwrap();
    assert_eq!(all.len(), 1);
    let one = &all[0];
    assert_eq!(
        (&*one.workflow, one.step.as_deref()),
        ("support", Some("triage"))
    );
    assert_eq!(one.inputs, json!({"ticket": "It burns"}));
    assert_eq!(one.outputs, Some(json!({"urgency": "high"})));
    assert_eq!(one.lm.as_deref(), Some("test/scripted"));
    assert_eq!(
        (one.input_tokens, one.output_tokens, one.replies),
        (100, 10, 1)
    );
    assert_eq!(one.cost, Some((100.0 * 3.0 + 10.0 * 15.0) / 1e6));
    assert_eq!((&one.error, &one.message, &one.run), (&None, &None, &None));
    assert!(one.time >= before && one.time <= Time::now());
    assert_eq!(one.signature.as_ref().unwrap().len(), 16);
    assert_ne!(one.signature, one.prompt);
    assert_eq!(history.show(one.id).unwrap(), *one);
}

#[tokio::test]
async fn a_failed_step_has_a_class_and_a_message() {
    let (_directory, history) = history(settings());
    let recorder = Arc::new(history.recorder().unwrap());
    let runner =
        runner(Scripted::replies(&["nonsense", "more of it"])).with_observer(recorder.clone());
    triage(&runner, "x").await.unwrap_err();
    recorder.flush().unwrap();
    let one = history.show(1).unwrap();
    assert_eq!(one.error.as_deref(), Some("unreadable_reply"));
    assert!(one.message.unwrap().contains("more of it"));
    assert_eq!((one.outputs, one.replies), (None, 2));
}

#[tokio::test]
async fn a_run_holds_its_steps_together() {
    let (_directory, history) = history(settings());
    let recorder = history.recorder().unwrap();
    let lm = Scripted::replies(&[r#"{"urgency": "low"}"#, r#"{"reply": "Thanks"}"#]);
    let run = Arc::new(
        recorder
            .start_run("support", &json!({"ticket": "Hi"}))
            .unwrap(),
    );
    let result = run_both(&runner(lm).with_observer(run.clone()), "Hi").await;
    run.end(result.as_ref());
    recorder.flush().unwrap();

    let filter = Filter {
        run: Some(run.key().to_owned()),
        order: Order::OldestFirst,
        ..Filter::default()
    };
    let rows = history.list(&filter).unwrap();
    assert_eq!(rows.len(), 3);
    let whole = rows.iter().find(|row| row.step.is_none()).unwrap();
    assert_eq!(whole.inputs, json!({"ticket": "Hi"}));
    assert_eq!(
        whole.outputs,
        Some(json!({"triage": {"urgency": "low"}, "answer": {"reply": "Thanks"}}))
    );
    assert_eq!((whole.input_tokens, whole.replies), (200, 2));

    // One that nobody ended was cancelled.
    drop(recorder.start_run("support", &json!({})).unwrap());
    recorder.flush().unwrap();
    let cancelled = Filter {
        outcome: Outcome::Class("cancelled".to_owned()),
        kind: Kind::Runs,
        ..Filter::default()
    };
    assert_eq!(history.list(&cancelled).unwrap().len(), 1);
}

#[tokio::test]
async fn a_redacted_value_is_nowhere_in_the_files() {
    let (directory, history) = history(Settings {
        redaction: Redaction::new().with("support.triage.ticket".parse().unwrap()),
        ..settings()
    });
    let secret = "my card is 4111-1111";
    let recorder = history.recorder().unwrap();
    let run = Arc::new(
        recorder
            .start_run("support", &json!({"ticket": secret}))
            .unwrap(),
    );
    // The second step's reply quotes what the first one was given, and the third one's cannot be read.
    let quote = format!(r#"{{"reply": "You wrote: {secret}."}}"#);
    let runner = runner(Scripted::replies(&[
        r#"{"urgency": "low"}"#,
        &quote,
        secret,
        secret,
    ]))
    .with_observer(run.clone());
    let result = run_both(&runner, secret).await;
    triage(&runner, secret).await.unwrap_err();
    run.end(result.as_ref());
    recorder.flush().unwrap();

    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        for part in [secret, "4111"] {
            let found = bytes
                .windows(part.len())
                .any(|window| window == part.as_bytes());
            assert!(!found, "{} has it", path.display());
        }
        names.push(path.file_name().unwrap().to_string_lossy().into_owned());
    }
    assert!(names.contains(&"history.db-wal".to_owned()), "{names:?}");
    let rows = history.list(&Filter::default()).unwrap();
    assert_eq!(rows.len(), 4);
    assert_eq!(
        rows.iter()
            .filter(|row| row.redacted == ["inputs.ticket"])
            .count(),
        3
    );
    let answer = rows
        .iter()
        .find(|row| row.step.as_deref() == Some("answer"))
        .unwrap();
    assert_eq!(
        answer.outputs,
        Some(json!({"reply": "You wrote: [redacted]."}))
    );
}

#[tokio::test]
async fn a_reply_that_cannot_be_read_is_not_quoted_where_its_fields_are_kept_out() {
    let (_directory, history) = history(Settings {
        redaction: Redaction::new().with("support.triage.urgency".parse().unwrap()),
        ..settings()
    });
    let recorder = Arc::new(history.recorder().unwrap());
    let reply = r#"{"urgency": 47114711}"#;
    let runner = runner(Scripted::replies(&[reply, reply])).with_observer(recorder.clone());
    triage(&runner, "x").await.unwrap_err();
    recorder.flush().unwrap();
    let one = history.show(1).unwrap();
    assert_eq!(one.error.as_deref(), Some("unreadable_reply"));
    assert!(!one.message.unwrap().contains("4711"));
}

#[test]
fn corrections_leave_out_what_was_kept_out() {
    let (_directory, history) = history(Settings {
        redaction: Redaction::new().with("email".parse().unwrap()),
        ..settings()
    });
    let recorder = history.recorder().unwrap();
    let mut new = execution(1);
    new.outputs = Some(json!({"people": [{"email": "a@example.org", "name": "A"}]}));
    recorder.record(new);
    recorder.flush().unwrap();
    // As the command line opens it: without the settings of the program.
    let other = History::existing(history.path()).unwrap();
    let Value::Object(corrected) = json!({"people": [{"email": "b@example.org", "name": "B"}]})
    else {
        unreachable!()
    };
    other.feedback(1, Feedback::Correct(corrected)).unwrap();
    let one = other.show(1).unwrap();
    assert_eq!(one.corrected, Some(json!({"people": [{"name": "B"}]})));
    assert_eq!(one.redacted, ["outputs.people[].email"]);
    // Also where the execution itself had nothing to keep out, because it failed.
    let mut failed = execution(2);
    failed.outputs = None;
    recorder.record(failed);
    recorder.flush().unwrap();
    let email = serde_json::Map::from_iter([("email".to_owned(), json!("b@example.org"))]);
    other.feedback(2, Feedback::Correct(email)).unwrap();
    assert_eq!(other.show(2).unwrap().corrected, Some(json!({})));
    assert_eq!(one.feedback, Some(Verdict::Correct));
}

#[test]
fn filters_narrow_and_orders_sort() {
    let (_directory, history) = history(settings());
    let recorder = history.recorder().unwrap();
    for number in 0..10 {
        let mut new = execution(number);
        new.time = Some(Time::from_millis(1000 * i64::from(number)));
        new.score = Some(f64::from(number) / 10.0);
        if number % 2 == 1 {
            new.error = Some("timeout".to_owned());
            new.outputs = None;
        }
        recorder.record(new);
    }
    recorder.flush().unwrap();
    history.feedback(3, Feedback::Accept).unwrap();
    history
        .feedback(1, Feedback::Correct(serde_json::Map::new()))
        .unwrap();
    history.feedback(5, Feedback::Reject).unwrap();
    let ids = |filter: Filter| -> Vec<i64> {
        let rows = history.list(&filter).unwrap();
        rows.iter().map(|row| row.id).collect()
    };
    let all = Filter::default;
    assert_eq!(
        ids(Filter {
            limit: Some(3),
            ..all()
        }),
        [10, 9, 8]
    );
    assert_eq!(
        ids(Filter {
            order: Order::OldestFirst,
            limit: Some(2),
            ..all()
        }),
        [1, 2]
    );
    assert_eq!(
        ids(Filter {
            order: Order::BestFirst,
            limit: Some(3),
            ..all()
        }),
        [1, 3, 10]
    );
    assert_eq!(
        ids(Filter {
            outcome: Outcome::Failed,
            ..all()
        }),
        [10, 8, 6, 4, 2]
    );
    assert_eq!(
        ids(Filter {
            outcome: Outcome::Succeeded,
            min_score: Some(0.6),
            ..all()
        }),
        [9, 7]
    );
    assert_eq!(
        ids(Filter {
            since: Some(Time::from_millis(2000)),
            until: Some(Time::from_millis(5000)),
            ..all()
        }),
        [5, 4, 3]
    );
    assert_eq!(
        ids(Filter {
            verdicts: vec![Verdict::Accept, Verdict::Correct],
            ..all()
        }),
        [3, 1]
    );
    assert!(
        ids(Filter {
            workflow: Some("other' OR 1=1".to_owned()),
            ..all()
        })
        .is_empty()
    );
    assert!(matches!(
        history.feedback(99, Feedback::Accept),
        Err(HistoryError::NoExecution { id: 99, .. })
    ));
}

#[test]
fn stats_count_by_step_and_lm() {
    let (_directory, history) = history(settings());
    let recorder = history.recorder().unwrap();
    for number in 1..=100 {
        let mut new = execution(number);
        new.latency_ms = u64::from(number);
        new.cost = Some(0.5);
        new.usage = Usage {
            input_tokens: 2,
            output_tokens: 1,
            ..Usage::default()
        };
        if number <= 3 {
            new.error = Some(["timeout", "timeout", "auth"][number as usize - 1].to_owned());
        }
        if number > 98 {
            new.score = Some(f64::from(number - 99));
        }
        recorder.record(new);
    }
    let mut other = execution(1);
    other.lm = Some("test/other".to_owned());
    recorder.record(other);
    recorder.flush().unwrap();
    history.feedback(50, Feedback::Accept).unwrap();
    let stats = history.stats(&Filter::default()).unwrap();
    assert_eq!(stats.len(), 2);
    assert_eq!(
        (stats[0].lm.as_deref(), stats[0].executions),
        (Some("test/other"), 1)
    );
    let group = &stats[1];
    assert_eq!(group.executions, 100);
    assert_eq!((group.latency_p50_ms, group.latency_p95_ms), (50, 95));
    assert_eq!(
        group.errors,
        BTreeMap::from([("auth".to_owned(), 1), ("timeout".to_owned(), 2)])
    );
    assert_eq!((group.input_tokens, group.output_tokens), (200, 100));
    assert_eq!(
        (group.cost, group.score_mean, group.scored),
        (Some(50.0), Some(0.5), 2)
    );
    assert_eq!((group.accepted, group.rejected, group.corrected), (1, 0, 0));
}

#[test]
fn pruning_keeps_to_each_limit() {
    let fill = || {
        let (directory, history) = history(settings());
        let recorder = history.recorder().unwrap();
        let now = Time::now();
        for number in 0..1000 {
            let mut new = execution(number);
            new.time = Some(now.before(Duration::from_secs(60 * (1000 - u64::from(number)))));
            new.inputs = json!({"ticket": "x".repeat(2000)});
            recorder.record(new);
        }
        recorder.flush().unwrap();
        history.feedback(1, Feedback::Accept).unwrap();
        (directory, history)
    };
    let size = |history: &History| std::fs::metadata(history.path()).unwrap().len();

    let (_directory, aged) = fill();
    let pruned = aged
        .prune(&Retention {
            max_age: Some(Duration::from_secs(60 * 100 + 30)),
            ..Retention::default()
        })
        .unwrap();
    assert_eq!((pruned.deleted, pruned.left), (900, 100));

    let (_directory, counted) = fill();
    let retention = Retention {
        max_rows: Some(10),
        keep_feedback: true,
        ..Retention::default()
    };
    assert_eq!(counted.prune(&retention).unwrap().left, 10);
    assert!(counted.show(1).is_ok() && counted.show(2).is_err() && counted.show(1000).is_ok());
    assert_eq!(counted.prune(&retention).unwrap().deleted, 0);

    let (_directory, sized) = fill();
    let limit = 500_000;
    let pruned = sized
        .prune(&Retention {
            max_bytes: Some(limit),
            ..Retention::default()
        })
        .unwrap();
    assert!(pruned.bytes <= limit && pruned.left > 50, "{pruned:?}");
    // The file itself has shrunk.
    assert!(size(&sized) <= limit, "{}", size(&sized));
    assert!(sized.show(1000).is_ok());
}

#[test]
fn recording_prunes_by_itself() {
    let (_directory, history) = history(Settings {
        retention: Retention {
            max_rows: Some(100),
            ..Retention::default()
        },
        ..settings()
    });
    let recorder = history.recorder().unwrap();
    for number in 0..5000 {
        recorder.record(execution(number));
    }
    recorder.flush().unwrap();
    let left = history.list(&Filter::default()).unwrap().len();
    assert!(left < 2000, "{left}");
}

#[test]
fn an_export_has_a_line_for_each_execution() {
    let (_directory, history) = history(settings());
    let recorder = history.recorder().unwrap();
    recorder.record(execution(1));
    recorder.record(execution(2));
    recorder.flush().unwrap();
    let mut out = Vec::new();
    let filter = Filter {
        order: Order::OldestFirst,
        ..Filter::default()
    };
    assert_eq!(history.export(&filter, &mut out).unwrap(), 2);
    let lines: Vec<Value> = String::from_utf8(out)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[1]["inputs"], json!({"ticket": "ticket 2"}));
    assert!(lines[0]["time"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn reading_can_stop_early() {
    let (_directory, history) = history(settings());
    let recorder = history.recorder().unwrap();
    for number in 0..10 {
        recorder.record(execution(number));
    }
    recorder.flush().unwrap();
    let stopped = history
        .each(&Filter::default(), |row| match row.id {
            8 => ControlFlow::Break(row.id),
            _ => ControlFlow::Continue(()),
        })
        .unwrap();
    assert_eq!(stopped, Some(8));
}

#[cfg(unix)]
#[test]
fn others_cannot_read_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let (directory, history) = history(settings());
    let recorder = history.recorder().unwrap();
    recorder.record(execution(1));
    recorder.flush().unwrap();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", entry.path().display());
    }
}
