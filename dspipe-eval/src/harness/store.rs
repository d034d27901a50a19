//! The results of a run of a suite, on disk, shared by all processes of the run.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read as _, Seek, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use dspipe_runtime::cassette::scrub_all;
use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::{Digest as _, Sha256};

use crate::case::{CaseId, hex};
use crate::result::CaseResult;

/// The name of the file that holds the results.
pub(super) const RESULTS: &str = "cases.jsonl";

/// A line for each result; what is in memory is where they are.
#[derive(Debug)]
pub(super) struct Store {
    directory: PathBuf,
    /// Whether other processes work on the same run.
    shared: bool,
    index: Mutex<Index>,
}

#[derive(Debug)]
struct Index {
    appender: File,
    /// Up to here the file is known.
    known: u64,
    lines: HashMap<CaseId, Vec<Option<Line>>>,
    spent: f64,
}

#[derive(Clone, Copy, Debug)]
struct Line {
    at: u64,
    outcome: Outcome,
}

/// What a result says in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Passed,
    Failed,
    Error,
}

/// What of a line the index needs.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    repetition: u32,
    passed: bool,
    error: Option<IgnoredAny>,
    cost: Option<f64>,
}

/// The right to run a case, which the system gives back however the process ends.
#[derive(Debug)]
pub(super) struct Claim(#[expect(dead_code, reason = "held, not read")] Option<File>);

impl Store {
    pub(super) fn open(directory: PathBuf, shared: bool) -> io::Result<Self> {
        fs::create_dir_all(&directory)?;
        if shared {
            fs::create_dir_all(directory.join("locks"))?;
        }
        let appender = OpenOptions::new()
            .create(true)
            .append(true)
            .read(true)
            .open(directory.join(RESULTS))?;
        let store = Self {
            directory,
            shared,
            index: Mutex::new(Index {
                appender,
                known: 0,
                lines: HashMap::new(),
                spent: 0.0,
            }),
        };
        store.refresh()?;
        Ok(store)
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Takes in what other processes have added.
    pub(super) fn refresh(&self) -> io::Result<()> {
        let mut index = self.index();
        let mut reader = BufReader::new(File::open(self.directory.join(RESULTS))?);
        reader.seek(SeekFrom::Start(index.known))?;
        let mut line = Vec::new();
        loop {
            line.clear();
            let length = reader.read_until(b'\n', &mut line)?;
            // What has no end yet is still being written, or never will be.
            if !line.ends_with(b"\n") {
                return Ok(());
            }
            let at = index.known;
            index.known += length as u64;
            // What a killed process left half written is no result.
            if let Ok(head) = serde_json::from_slice::<Head<'_>>(&line) {
                index.add(&head, at);
            }
        }
    }

    /// Whether there is a result.
    pub(super) fn has(&self, id: &CaseId, repetition: u32) -> bool {
        self.index().line(id, repetition).is_some()
    }

    /// Drops results that are errors, so that their cases run again.
    pub(super) fn forget_errors(&self) {
        for lines in self.index().lines.values_mut() {
            for line in lines {
                if line.is_some_and(|line| line.outcome == Outcome::Error) {
                    *line = None;
                }
            }
        }
    }

    /// How many results there are.
    pub(super) fn len(&self) -> usize {
        let index = self.index();
        index.lines.values().flatten().flatten().count()
    }

    /// What all results cost, also those that later ones have replaced; in US dollars.
    pub(super) fn spent(&self) -> f64 {
        self.index().spent
    }

    /// Claims a case, unless another process is at it.
    pub(super) fn claim(&self, id: &CaseId, repetition: u32) -> io::Result<Option<Claim>> {
        if !self.shared {
            return Ok(Some(Claim(None)));
        }
        // Names of cases need not be names of files.
        let hash = Sha256::digest(format!("{repetition} {id}"));
        self.lock(&format!("{}.case", hex(&hash[..12])))
    }

    /// Claims one of the places for calls at the same time, unless all are taken.
    pub(super) fn slot(&self, slots: usize) -> io::Result<Option<Claim>> {
        if !self.shared {
            return Ok(Some(Claim(None)));
        }
        for slot in 0..slots {
            if let Some(claim) = self.lock(&format!("{slot}.slot"))? {
                return Ok(Some(claim));
            }
        }
        Ok(None)
    }

    fn lock(&self, name: &str) -> io::Result<Option<Claim>> {
        let file = File::create(self.directory.join("locks").join(name))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Claim(Some(file)))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Adds a result, whole or not at all.
    pub(super) fn append(&self, result: &CaseResult) -> io::Result<()> {
        let mut text = scrub_all(&serde_json::to_string(result)?);
        text.push('\n');
        let mut index = self.index();
        index.appender.lock()?;
        let written = append(&index.appender, &text);
        index.appender.unlock()?;
        let at = written?;
        if at != index.known {
            // Other processes have added something before.
            drop(index);
            return self.refresh();
        }
        index.known += text.len() as u64;
        let head: Head<'_> = serde_json::from_str(&text)?;
        index.add(&head, at);
        Ok(())
    }

    /// Goes through the results in the order in which they were written.
    pub(super) fn each(&self, see: &mut dyn FnMut(CaseResult) -> io::Result<()>) -> io::Result<()> {
        let mut current: Vec<u64> = {
            let index = self.index();
            let lines = index.lines.values().flatten().flatten();
            lines.map(|line| line.at).collect()
        };
        current.sort_unstable();
        let mut reader = BufReader::new(File::open(self.directory.join(RESULTS))?);
        let mut position = 0;
        let mut text = Vec::new();
        for at in current {
            // Lines that count are close together, so that the buffer is kept.
            reader.seek_relative(i64::try_from(at - position).map_err(io::Error::other)?)?;
            text.clear();
            position = at + reader.read_until(b'\n', &mut text)? as u64;
            see(serde_json::from_slice(&text)?)?;
        }
        Ok(())
    }

    /// What came of a case in short, by repetition.
    pub(super) fn outcomes(&self, id: &CaseId) -> Vec<Outcome> {
        let index = self.index();
        let lines = index.lines.get(id).into_iter().flatten().flatten();
        lines.map(|line| line.outcome).collect()
    }

    /// The results of a case, by repetition.
    pub(super) fn results(&self, id: &CaseId) -> io::Result<Vec<CaseResult>> {
        let lines = self.index().lines.get(id).cloned().unwrap_or_default();
        let mut file = File::open(self.directory.join(RESULTS))?;
        let mut results = Vec::new();
        for line in lines.into_iter().flatten() {
            file.seek(SeekFrom::Start(line.at))?;
            let mut text = Vec::new();
            BufReader::new(&file).read_until(b'\n', &mut text)?;
            results.push(serde_json::from_slice(&text)?);
        }
        Ok(results)
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        // A reader that failed leaves the index as it was.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index {
    fn line(&self, id: &CaseId, repetition: u32) -> Option<Line> {
        let lines = self.lines.get(id)?;
        *lines.get(usize::try_from(repetition).ok()?)?
    }

    fn add(&mut self, head: &Head<'_>, at: u64) {
        /// More are an error in the file.
        const MOST: usize = 10_000;
        let Ok(id) = head.id.parse::<CaseId>() else {
            return;
        };
        let Some(nth) = usize::try_from(head.repetition)
            .ok()
            .filter(|nth| *nth < MOST)
        else {
            return;
        };
        self.spent += head.cost.unwrap_or(0.0);
        let lines = self.lines.entry(id).or_default();
        if lines.len() <= nth {
            lines.resize(nth + 1, None);
        }
        let outcome = match (&head.error, head.passed) {
            (Some(_), _) => Outcome::Error,
            (None, true) => Outcome::Passed,
            (None, false) => Outcome::Failed,
        };
        lines[nth] = Some(Line { at, outcome });
    }
}

/// Adds a line, on a line of its own whatever the last writer left; gives the place where it begins.
fn append(mut file: &File, text: &str) -> io::Result<u64> {
    let mut end = file.seek(SeekFrom::End(0))?;
    if end > 0 {
        file.seek(SeekFrom::Start(end - 1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
            end += 1;
        }
    }
    file.write_all(text.as_bytes())?;
    Ok(end)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn result(id: &str, repetition: u32, error: Option<&str>) -> CaseResult {
        let json = json!({
            "id": id, "repetition": repetition, "passed": error.is_none(), "score": 0.5, "error": error,
            "cost": 0.25, "latency": 0.1, "usage": {"input_tokens": 0, "output_tokens": 0}, "scores": {},
            "input": null,
        });
        serde_json::from_value(json).unwrap()
    }

    fn id(text: &str) -> CaseId {
        text.parse().unwrap()
    }

    fn all(store: &Store) -> Vec<(String, u32, bool)> {
        let mut found = Vec::new();
        store
            .each(&mut |result| {
                let failed = result.error.is_some();
                found.push((result.id.to_string(), result.repetition, failed));
                Ok(())
            })
            .unwrap();
        found
    }

    #[test]
    fn what_one_process_adds_another_sees() {
        let directory = tempfile::tempdir().unwrap();
        let open = || Store::open(directory.path().to_owned(), true).unwrap();
        let (here, there) = (open(), open());
        let claim = here.claim(&id("a"), 0).unwrap().unwrap();
        assert!(there.claim(&id("a"), 0).unwrap().is_none());
        assert!(there.claim(&id("a"), 1).unwrap().is_some());
        here.append(&result("a", 0, None)).unwrap();
        drop(claim);
        there.refresh().unwrap();
        assert!(there.has(&id("a"), 0) && !there.has(&id("a"), 1));
        assert!(there.claim(&id("a"), 0).unwrap().is_some());
    }

    #[test]
    fn places_for_calls_are_shared() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().to_owned(), true).unwrap();
        let (one, two) = (store.slot(2).unwrap(), store.slot(2).unwrap());
        assert!(one.is_some() && two.is_some());
        assert!(store.slot(2).unwrap().is_none());
        drop(one);
        assert!(store.slot(2).unwrap().is_some());
    }

    #[test]
    fn the_last_result_of_a_case_counts() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().to_owned(), false).unwrap();
        store.append(&result("a", 1, Some("x"))).unwrap();
        store.append(&result("b", 0, Some("x"))).unwrap();
        store.append(&result("a", 1, None)).unwrap();
        assert_eq!(
            all(&store),
            [("b".to_owned(), 0, true), ("a".to_owned(), 1, false)]
        );
        assert_eq!(store.len(), 2);
        assert!((store.spent() - 0.75).abs() < 1e-9);
        store.forget_errors();
        assert_eq!(all(&store), [("a".to_owned(), 1, false)]);
        assert_eq!(store.results(&id("a")).unwrap().len(), 1);
    }

    #[test]
    fn a_line_that_was_cut_off_is_no_result_and_harms_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let open = || Store::open(directory.path().to_owned(), false).unwrap();
        open().append(&result("a", 0, None)).unwrap();
        let path = directory.path().join(RESULTS);
        let text = fs::read_to_string(&path).unwrap();
        let half = &text.replace("\"a\"", "\"b\"")[..text.len() / 2];
        fs::write(&path, format!("{text}{half}")).unwrap();
        let store = open();
        assert_eq!(store.len(), 1);
        store.append(&result("c", 0, None)).unwrap();
        assert_eq!(
            all(&store),
            [("a".to_owned(), 0, false), ("c".to_owned(), 0, false)]
        );
        assert_eq!(all(&open()), all(&store));
    }
}
