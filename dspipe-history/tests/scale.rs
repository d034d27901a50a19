//! Large histories and data sets, and what recording costs.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what fails here fails the test; the cost is printed"
)]

mod support;

use std::io::Write;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dspipe_history::training::{CollectOptions, Shape, ValidateOptions, Validator, collect, read};
use dspipe_history::{Filter, History, HistoryError, Settings, WhenFull};
use serde_json::json;

use support::{Scripted, execution, runner, triage};

/// The most memory that this process has had, in bytes.
#[cfg(target_os = "linux")]
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes * 1024
}

/// The only test here that runs by default: others would add to its memory.
#[cfg(target_os = "linux")]
#[test]
fn a_hundred_thousand_rows_stream_in_bounded_memory() {
    const ROWS: u32 = 100_000;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    let settings = Settings {
        when_full: WhenFull::Wait,
        queue: 1000,
        ..Settings::default()
    };
    let history = History::open(&path, settings).unwrap();
    let recorder = history.recorder().unwrap();
    for number in 0..ROWS {
        let mut new = execution(number);
        let text = format!("ticket {number} {}", "about the parcel ".repeat(20));
        new.inputs = json!({"ticket": text});
        recorder.record(new);
    }
    recorder.flush().unwrap();
    let before = peak();

    let mut seen = 0;
    history
        .each(&Filter::default(), |_| {
            seen += 1;
            ControlFlow::<()>::Continue(())
        })
        .unwrap();
    let exported = history
        .export(&Filter::default(), &mut std::io::sink())
        .unwrap();
    assert_eq!((seen, exported), (ROWS, u64::from(ROWS)));
    assert_eq!(
        history.stats(&Filter::default()).unwrap()[0].executions,
        u64::from(ROWS)
    );
    // The texts of all rows are more than 30 MB.
    let streamed = peak() - before;
    assert!(streamed < 30 << 20, "{streamed} bytes more");

    let options = CollectOptions {
        workflow: "support".to_owned(),
        step: Some("triage".to_owned()),
        ..CollectOptions::default()
    };
    let file = directory.path().join("data.jsonl");
    let mut out = std::io::BufWriter::new(std::fs::File::create(&file).unwrap());
    collect::<HistoryError>(&history, &options, None, |example| {
        serde_json::to_writer(&mut out, example).unwrap();
        out.write_all(b"\n").unwrap();
        Ok(())
    })
    .unwrap();
    drop(out);
    let shape = Shape::new(json!({}), json!({}), "").unwrap();
    let mut validator = Validator::new(&shape, ValidateOptions::default());
    for example in read(&file).unwrap() {
        let (line, example) = example.unwrap();
        validator.push(line, &example);
    }
    assert_eq!(validator.finish().examples.len(), ROWS as usize);
    let peak = peak();
    assert!(peak < 300 << 20, "{peak} bytes");
}

/// `cargo test --release -p dspipe-history --test scale -- --ignored --nocapture`
#[tokio::test]
#[ignore = "a measurement: it prints, and asserts nothing on time"]
async fn what_recording_costs_at_a_thousand_executions_a_second() {
    const COUNT: u32 = 5000;
    const EVERY: Duration = Duration::from_millis(1);
    let text = "x".repeat(1000);
    let directory = tempfile::tempdir().unwrap();
    let mut times = Vec::new();
    for recorded in [false, true, false, true] {
        let replies = vec![r#"{"urgency": "high"}"#; 2 * COUNT as usize];
        let mut runner = runner(Scripted::replies(&replies));
        let history = History::open(directory.path().join("h.db"), Settings::default()).unwrap();
        let recorder = Arc::new(history.recorder().unwrap());
        if recorded {
            runner = runner.with_observer(recorder.clone());
        }
        // As fast as it goes: the processor time of an execution.
        let started = Instant::now();
        for _ in 0..COUNT {
            triage(&runner, &text).await.unwrap();
        }
        let each = started.elapsed() / COUNT;
        recorder.flush().ok();
        // At the pace: how many a second are done, and how late the last one is.
        let started = Instant::now();
        let mut ticks = tokio::time::interval(EVERY);
        for _ in 0..COUNT {
            ticks.tick().await;
            triage(&runner, &text).await.unwrap();
        }
        let paced = started.elapsed();
        recorder.flush().ok();
        println!(
            "recorded: {recorded:5}  {each:?} an execution, {:.1} a second at the pace, {:?}",
            f64::from(COUNT) / paced.as_secs_f64(),
            recorder.counts()
        );
        times.push((each, paced));
    }
    let ratio = |pick: fn(&(Duration, Duration)) -> Duration| {
        let plain = (pick(&times[0]) + pick(&times[2])).as_secs_f64();
        (pick(&times[1]) + pick(&times[3])).as_secs_f64() / plain
    };
    let more = times[1].0.saturating_sub(times[0].0);
    println!(
        "time at 1,000 a second: x{:.4}; as fast as it goes: {more:?} more an execution, {:.2} % of a millisecond",
        ratio(|pair| pair.1),
        more.as_secs_f64() * 1e5
    );
}
