//! Live runs in the history of executions, with their scores.

use std::path::Path;

use dspipe_runtime::{Error, LocalRunner, SignatureDef, Workflow};
use serde::Serialize;

/// Where the history is; `cargo dspipe history` reads it too.
const VARIABLE: &str = "DSPIPE_HISTORY";

/// What records the runs of a suite.
#[cfg(feature = "history")]
#[derive(Debug)]
pub(crate) struct Recording {
    recorder: dspipe_history::Recorder,
}

/// A run that is being recorded.
#[cfg(feature = "history")]
#[derive(Debug)]
pub(crate) struct RecordedRun {
    run: std::sync::Arc<dspipe_history::Run>,
}

/// There is none without the feature.
#[cfg(not(feature = "history"))]
#[derive(Debug)]
pub(crate) enum Recording {}

/// There is none without the feature.
#[cfg(not(feature = "history"))]
#[derive(Debug)]
pub(crate) enum RecordedRun {}

/// The file that the environment names, seen from the package.
fn named(package: &Path) -> Option<std::path::PathBuf> {
    let file = std::env::var_os(VARIABLE).filter(|file| !file.is_empty())?;
    Some(package.join(file))
}

#[cfg(feature = "history")]
impl Recording {
    /// What records where the environment says so.
    pub(crate) fn from_env(package: &Path) -> Result<Option<Self>, String> {
        use dspipe_history::{History, Settings, WhenFull};
        let Some(file) = named(package) else {
            return Ok(None);
        };
        let settings = Settings {
            // A suite has no users who wait, and each of its runs was paid for.
            when_full: WhenFull::Wait,
            ..Settings::default()
        };
        let history = History::open(file, settings);
        let recorder = history.and_then(|history| history.recorder());
        let recorder = recorder.map_err(|error| format!("{VARIABLE}: {error}"))?;
        Ok(Some(Self { recorder }))
    }

    pub(crate) fn of_workflow<W: Workflow>(&self, inputs: &W::Inputs) -> Option<RecordedRun> {
        // What cannot be serialized cannot be run either, and says so then.
        let run = self.recorder.start::<W>(inputs).ok()?.into();
        Some(RecordedRun { run })
    }

    pub(crate) fn of_step(&self, def: &SignatureDef) -> RecordedRun {
        let run = self.recorder.start_steps(def.workflow).into();
        RecordedRun { run }
    }

    /// Writes down the score of what a run gave; of a step, if it is of one.
    pub(crate) fn score(&self, run: &str, step: Option<&str>, score: f64) {
        self.recorder.score(run, step, score);
    }
}

#[cfg(feature = "history")]
impl Drop for Recording {
    fn drop(&mut self) {
        if let Err(error) = self.recorder.flush() {
            eprintln!("{error}");
        }
    }
}

#[cfg(feature = "history")]
impl RecordedRun {
    /// Tells the history of the steps that this runner runs.
    pub(crate) fn watch(&self, runner: &LocalRunner) -> LocalRunner {
        let run = std::sync::Arc::clone(&self.run);
        runner.clone().with_observer(run)
    }

    pub(crate) fn end<T: Serialize>(&self, result: Result<&T, &Error>) {
        self.run.end(result);
    }

    /// What the rows of the run have in their field `run`.
    pub(crate) fn key(&self) -> String {
        self.run.key().to_owned()
    }
}

#[cfg(not(feature = "history"))]
impl Recording {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "with the feature there may be errors"
    )]
    pub(crate) fn from_env(package: &Path) -> Result<Option<Self>, String> {
        static SAID: std::sync::Once = std::sync::Once::new();
        if named(package).is_some() {
            SAID.call_once(|| {
                eprintln!("{VARIABLE} is set, but nothing is recorded: `dspipe-eval` needs its feature `history`");
            });
        }
        Ok(None)
    }

    pub(crate) fn of_workflow<W: Workflow>(&self, _: &W::Inputs) -> Option<RecordedRun> {
        match *self {}
    }

    pub(crate) fn of_step(&self, _: &SignatureDef) -> RecordedRun {
        match *self {}
    }

    pub(crate) fn score(&self, _: &str, _: Option<&str>, _: f64) {
        match *self {}
    }
}

#[cfg(not(feature = "history"))]
impl RecordedRun {
    pub(crate) fn watch(&self, _: &LocalRunner) -> LocalRunner {
        match *self {}
    }

    pub(crate) fn end<T: Serialize>(&self, _: Result<&T, &Error>) {
        match *self {}
    }

    pub(crate) fn key(&self) -> String {
        match *self {}
    }
}
