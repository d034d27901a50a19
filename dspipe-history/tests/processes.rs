//! Several processes with one history: recording at once, and killed in the middle.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Barrier};

use dspipe_history::{Filter, History, Settings, WhenFull};
use serde_json::json;

use support::execution;

/// Executions of each process in [`many_processes_record_at_once`].
const EACH: u32 = 400;

/// This test program as another process, which does a job of [`other_process`].
fn start(job: &str, path: &Path, number: u32) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "other_process", "--ignored", "--nocapture"])
        .env("DSPIPE_TEST_JOB", job)
        .env("DSPIPE_TEST_PATH", path)
        .env("DSPIPE_TEST_NUMBER", number.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn open(path: &Path) -> History {
    let settings = Settings {
        when_full: WhenFull::Wait,
        ..Settings::default()
    };
    History::open(path, settings).unwrap()
}

/// What the other processes do.
#[test]
#[ignore = "other tests run it as another process"]
fn other_process() {
    let variable = |name: &str| std::env::var(format!("DSPIPE_TEST_{name}")).ok();
    let (Some(job), Some(path)) = (variable("JOB"), variable("PATH")) else {
        return;
    };
    let number: u32 = variable("NUMBER").unwrap().parse().unwrap();
    let recorder = open(Path::new(&path)).recorder().unwrap();
    match &*job {
        "record" => {
            for index in 0..EACH {
                recorder.record(execution(number * EACH + index));
                // Others get their turn in between.
                if index % 50 == 0 {
                    recorder.flush().unwrap();
                }
            }
        }
        "record a key" => {
            let key = std::env::var("DSPIPE_TEST_KEY").unwrap();
            let mut new = execution(number);
            new.inputs = json!({"ticket": format!("my key is {key}.")});
            new.message = Some(key.clone());
            recorder.record(new);
        }
        "record until killed" => {
            for index in 0.. {
                let mut new = execution(index);
                new.outputs = Some(json!({"urgency": "x".repeat(index as usize % 5000)}));
                recorder.record(new);
                if index % 7 == 0 {
                    recorder.flush().unwrap();
                    println!("recorded {}", index + 1);
                }
            }
        }
        other => panic!("{other}"),
    }
}

fn integrity(path: &Path) -> String {
    rusqlite::Connection::open(path)
        .unwrap()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap()
}

#[test]
fn many_processes_record_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    // Nobody has made the file yet: all of them try.
    let children: Vec<Child> = (0..5)
        .map(|number| start("record", &path, number))
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let rows = open(&path).list(&Filter::default()).unwrap();
    let mut texts: Vec<String> = rows.iter().map(|row| row.inputs.to_string()).collect();
    texts.sort();
    texts.dedup();
    assert_eq!((rows.len(), texts.len()), (2000, 2000));
    assert_eq!(integrity(&path), "ok");
}

#[test]
fn a_kill_loses_nothing_that_was_flushed_and_corrupts_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    let mut recorded = 0;
    for round in 0..8 {
        let mut child = start("record until killed", &path, 0);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut flushed = 0;
        while flushed <= 60 + round * 37 {
            let line = lines.next().unwrap().unwrap();
            if let Some((_, count)) = line.split_once("recorded ") {
                flushed = count.trim().parse().unwrap();
            }
        }
        // SIGKILL on Unix.
        child.kill().unwrap();
        child.wait().unwrap();
        // It may have said more before it died.
        for line in lines.map_while(Result::ok) {
            if let Some((_, count)) = line.split_once("recorded ") {
                flushed = count.trim().parse().unwrap();
            }
        }
        assert_eq!(integrity(&path), "ok");
        let history = open(&path);
        let rows = history.list(&Filter::default()).unwrap();
        assert!(
            rows.len() >= recorded + flushed,
            "{} {recorded} {flushed}",
            rows.len()
        );
        // What is there is whole, and without gaps.
        let newest = rows.iter().take(rows.len() - recorded);
        let mut numbers: Vec<usize> = newest
            .map(|row| {
                let ticket = row.inputs["ticket"].as_str().unwrap();
                let number: usize = ticket.strip_prefix("ticket ").unwrap().parse().unwrap();
                let urgency = row.outputs.as_ref().unwrap()["urgency"].as_str().unwrap();
                assert_eq!(urgency.len(), number % 5000);
                number
            })
            .collect();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..rows.len() - recorded));
        recorded = rows.len();
    }
}

#[test]
fn a_key_of_the_environment_is_not_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "other_process", "--ignored"])
        .env("DSPIPE_TEST_JOB", "record a key")
        .env("DSPIPE_TEST_PATH", &path)
        .env("DSPIPE_TEST_NUMBER", "1")
        .env("DSPIPE_TEST_KEY", "sk-very-secret-1")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    assert!(child.wait().unwrap().success());
    let row = open(&path).show(1).unwrap();
    assert_eq!(row.inputs, json!({"ticket": "my key is [redacted]."}));
    assert_eq!(row.message.as_deref(), Some("[redacted]"));
}

#[test]
fn many_threads_open_a_new_history_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    let start = Arc::new(Barrier::new(12));
    let threads: Vec<_> = (0..12)
        .map(|number| {
            let (path, start) = (path.clone(), Arc::clone(&start));
            std::thread::spawn(move || {
                start.wait();
                let history = open(&path);
                let recorder = history.recorder().unwrap();
                recorder.record(execution(number));
                recorder.flush().unwrap();
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(open(&path).list(&Filter::default()).unwrap().len(), 12);
}
