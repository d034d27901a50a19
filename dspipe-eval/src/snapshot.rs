//! Rendered requests and replayed outputs as snapshots, for `cargo insta review`.

use std::any::Any;
use std::path::{Path, PathBuf};

use dspipe_build::SnapshotRules;
use dspipe_runtime::cassette::scrub_all;
use regex::Regex;
use serde_json::Value;

use crate::path::{NoPath, Path as Place};
use crate::result::{CaseResult, push};

/// Holds a text against the snapshot of this name in a directory, and panics if it differs, as
/// `insta::assert_snapshot!` does.
pub type AssertSnapshot = fn(directory: &Path, name: &str, text: &str);

/// What the snapshots of a suite are.
#[derive(Clone, Debug)]
pub struct Snapshots {
    directory: PathBuf,
    redact: Vec<Place>,
    replace: Vec<(Regex, String)>,
}

/// Why snapshots cannot be what a suite says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadSnapshots {
    /// What is to be left out is no place in an output.
    #[error("snapshots.redact: {0}")]
    Redact(#[from] NoPath),
    /// What is to be replaced is no pattern.
    #[error("snapshots.replace: {0}")]
    Replace(#[from] regex::Error),
}

impl Snapshots {
    /// Snapshots in this directory.
    ///
    /// # Errors
    /// [`BadSnapshots`].
    pub fn new(directory: PathBuf, rules: &SnapshotRules) -> Result<Self, BadSnapshots> {
        let redact = rules.redact.iter().map(|path| path.parse());
        let replace = rules.replace.iter();
        let replace = replace.map(|(pattern, by)| Ok((Regex::new(pattern)?, by.clone())));
        Ok(Self {
            directory,
            redact: redact.collect::<Result<_, NoPath>>()?,
            replace: replace.collect::<Result<_, regex::Error>>()?,
        })
    }

    /// What a case asked, was replied and gave, without what differs from run to run.
    pub fn text(&self, result: &CaseResult) -> String {
        let mut text = String::new();
        for step in &result.steps {
            push(&mut text, format_args!("== {} on {}\n", step.step, step.lm));
            for message in &step.prompt {
                let role = serde_json::to_value(message.role).unwrap_or_default();
                let role = role.as_str().unwrap_or_default();
                push(&mut text, format_args!("-- {role}\n{}\n", message.content));
            }
            let reply = step.reply.as_deref().unwrap_or("(none)");
            push(&mut text, format_args!("-- reply\n{reply}\n\n"));
        }
        let mut actual = result.actual.clone().unwrap_or_default();
        for place in &self.redact {
            if let Some(value) = place.get_mut(&mut actual) {
                *value = Value::from("[redacted]");
            }
        }
        let output = serde_json::to_string_pretty(&actual).unwrap_or_default();
        push(&mut text, format_args!("== output\n{output}\n"));
        let replaced = self.replace.iter();
        let text = replaced.fold(text, |text, (pattern, by)| {
            pattern.replace_all(&text, by.as_str()).into_owned()
        });
        scrub_all(&text)
    }

    /// Holds the runs of a case against their snapshots.
    pub(crate) fn check(
        &self,
        assert: AssertSnapshot,
        suite: &str,
        results: &[CaseResult],
    ) -> Result<(), String> {
        for result in results {
            let mut name = format!("{suite}__{}", result.id);
            if result.repetition > 0 {
                push(&mut name, format_args!("__{}", result.repetition + 1));
            }
            // Names of cases need not be names of files.
            let plain = |c: char| {
                if c.is_alphanumeric() || "-_".contains(c) {
                    c
                } else {
                    '_'
                }
            };
            let name: String = name.chars().map(plain).collect();
            let text = self.text(result);
            let held = std::panic::catch_unwind(|| assert(&self.directory, &name, &text));
            if let Err(panic) = held {
                return Err(format!(
                    "{}: `cargo insta review` shows the difference, and accepts it",
                    message(&*panic)
                ));
            }
        }
        Ok(())
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    let text = text.unwrap_or("the snapshot differs");
    text.lines().next().unwrap_or_default().to_owned()
}
