//! The benchmark program runs and prints its figures. What they are is not for a test.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::process::Command;

#[test]
fn every_part_prints_figures() {
    let output = Command::new(env!("CARGO_BIN_EXE_dspipe-bench"))
        .args(["--quick", "generate", "rebuild", "parse"])
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}{said}");
    for name in [
        "generate.steps_per_second",
        "generate.cost_per_step_at_4_times_the_workflows",
        "generate.cost_per_step_at_4_times_the_steps",
        "parse.clean",
        "parse.damaged_speed",
    ] {
        assert!(printed.contains(name), "{name} is not in:\n{printed}");
    }
    assert!(
        printed.contains("rebuild.files_written_when_nothing_changed = 0 files"),
        "{printed}"
    );
    assert!(
        printed.contains("rebuild.files_written_when_one_changed = 1 files"),
        "{printed}"
    );
}
