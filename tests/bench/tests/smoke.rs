//! The benchmark program runs and prints its figures. What they are is not for a test.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::process::Command;

/// What these parts print in a quick run.
fn printed(parts: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_dspipe-bench"))
        .arg("--quick")
        .args(parts)
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}{said}");
    printed
}

#[track_caller]
fn assert_figures(part: &str, names: &[&str]) {
    let printed = printed(&[part]);
    for name in names {
        let line = printed
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
        let number = line.and_then(|line| line.split(' ').next()?.parse::<f64>().ok());
        assert!(
            number.is_some_and(f64::is_finite),
            "{name} is not in:\n{printed}"
        );
    }
}

#[test]
fn generate() {
    assert_figures(
        "generate",
        &[
            "generate.steps_per_second",
            "generate.cost_per_step_at_4_times_the_workflows",
            "generate.cost_per_step_at_4_times_the_steps",
        ],
    );
}

#[test]
fn rebuild() {
    let printed = printed(&["rebuild"]);
    for line in [
        "rebuild.files_written_when_nothing_changed = 0 files",
        "rebuild.files_written_when_one_changed = 1 files",
    ] {
        assert!(printed.contains(line), "{printed}");
    }
}

#[test]
fn parse() {
    assert_figures(
        "parse",
        &[
            "parse.clean",
            "parse.clean_speed",
            "parse.clean_speed_of_serde_json",
            "parse.damaged_speed",
            "parse.damaged_in_prose_speed",
        ],
    );
}

#[test]
fn runtime() {
    assert_figures(
        "runtime",
        &[
            "runtime.dspipe_at_16.calls",
            "runtime.dspipe_at_16.p99",
            "runtime.reqwest_at_16.p50",
            "runtime.throughput_of_reqwest_at_1",
            "runtime.throughput_of_reqwest_at_16",
        ],
    );
}

#[cfg(target_os = "linux")]
#[test]
fn memory() {
    assert_figures(
        "memory",
        &[
            "memory.dspipe_per_call_at_200",
            "memory.reqwest_per_call_at_200",
        ],
    );
}

#[test]
fn bridge() {
    assert_figures(
        "bridge",
        &[
            "bridge.call_over_the_pipe",
            "bridge.evaluation_with_an_idle_host",
            "bridge.dspipe_evaluations",
        ],
    );
}

#[cfg(target_os = "linux")]
#[test]
fn eval() {
    assert_figures(
        "eval",
        &[
            "eval.own_time_per_case",
            "eval.peak_memory",
            "eval.cases_per_second",
            "eval.file_peak_memory",
            "eval.check_peak_memory",
            "eval.checked_cases_per_second",
        ],
    );
}

#[test]
fn history() {
    assert_figures(
        "history",
        &[
            "history.executions_at_1000_per_second",
            "history.cost_at_1000_per_second",
            "history.cost_at_full_speed",
        ],
    );
}
