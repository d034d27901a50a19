//! A small optimization on the embedded model, replayed: no model runs, and every byte is as it was.
//!
//! `DSPIPE_REPLAY=record cargo test -p support_triage --test replay` asks the model anew, after a change of what
//! is asked.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::fs;
use std::path::Path;

use dspipe_optimize::Optimization;
use dspipe_runtime::{LmName, LocalRunner};
use support_triage::workflows::triage::Workflow;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn an_optimization_is_replayed_to_the_byte() {
    let replay = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/replay");
    let records = std::env::var("DSPIPE_REPLAY").is_ok_and(|mode| mode == "record");
    // The file that comes of it belongs beside the workflow, and not into this package. What is compiled in from an
    // earlier optimization plays no part.
    let package = tempfile::tempdir().unwrap();
    copy(Path::new("workflows"), &package.path().join("workflows"));
    let artifact = package.path().join("workflows/triage.optimized.json");
    fs::remove_file(&artifact).unwrap();
    let answers = if records {
        let _ = fs::remove_dir_all(replay.join("answers"));
        replay.join("answers")
    } else {
        let answers = package.path().join("answers");
        copy(&replay.join("answers"), &answers);
        answers
    };
    let outcome = Optimization::of::<Workflow>(package.path())
        .runner(LocalRunner::new().with_lm(LmName::embedded()))
        .optimizers(
            "bootstrap_few_shot_with_random_search",
            "{max_bootstrapped_demos: 2, max_labeled_demos: 6, num_candidate_programs: 3}",
        )
        .unwrap()
        .train([replay.join("train.jsonl")])
        .validation([replay.join("val.jsonl")])
        .held_out([replay.join("test.jsonl")])
        .threads(2)
        .from_scratch(true)
        .records(answers)
        .run()
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let shown = format!(
        "{}\n{}",
        outcome.table(),
        fs::read_to_string(&artifact).unwrap_or_default()
    );
    let expected = replay.join("expected.txt");
    if records {
        fs::write(&expected, &shown).unwrap();
        // Elsewhere answers are nobody's source code.
        fs::remove_file(replay.join("answers/.gitignore")).unwrap();
        return;
    }
    assert_eq!(outcome.spending.calls, 0, "nothing may be asked");
    assert_eq!(shown, fs::read_to_string(&expected).unwrap());
}
