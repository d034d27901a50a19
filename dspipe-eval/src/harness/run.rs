//! A suite in a run: its cases are run once each, and its gates look at the results.

use std::any::Any;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use dspipe_runtime::cassette::uses;
use futures_util::{FutureExt as _, StreamExt as _, stream};

use super::progress::Progress;
use super::settings::Settings;
use super::store::{Outcome, Store};
use crate::case::{Case, CaseId};
use crate::file;
use crate::gate::{Evidence, Gate, Verdict};
use crate::report::{self, Report};
use crate::result::CaseResult;
use crate::snapshot::AssertSnapshot;
use crate::suite::Suite;
use crate::tally::Tally;

/// How often a case that another process runs is looked at.
const POLL: Duration = Duration::from_millis(20);

pub(super) struct SuiteRun {
    pub(super) suite: Arc<dyn Suite>,
    pub(super) ids: Vec<CaseId>,
    /// Where in the suite each of them is.
    positions: Vec<usize>,
    pub(super) gates: Vec<Gate>,
    store: Store,
    settings: Settings,
    name: String,
    assert_snapshot: Option<AssertSnapshot>,
    /// Why cases have no result.
    not_run: Mutex<BTreeMap<usize, String>>,
    tally: OnceLock<Result<Tally, String>>,
    verdicts: Vec<OnceLock<Verdict>>,
}

impl SuiteRun {
    pub(super) fn new(
        suite: Arc<dyn Suite>,
        cases: Vec<(usize, CaseId)>,
        store: Store,
        settings: Settings,
        name: String,
        assert_snapshot: Option<AssertSnapshot>,
    ) -> Self {
        let (positions, ids) = cases.into_iter().unzip();
        let gates = gates_of(&*suite);
        Self {
            verdicts: gates.iter().map(|_| OnceLock::new()).collect(),
            suite,
            ids,
            positions,
            gates,
            store,
            settings,
            name,
            assert_snapshot,
            not_run: Mutex::default(),
            tally: OnceLock::new(),
        }
    }

    /// How often each case is run.
    fn repeat(&self) -> u32 {
        self.suite.repeat().max(1)
    }

    /// Drops errors of a run that was interrupted, and says how much of it there is.
    pub(super) fn resume(&self) -> String {
        self.store.forget_errors();
        let all = self.ids.len() * self.repeat() as usize;
        format!(
            "{}: {} of {all} runs are done",
            self.suite.name(),
            self.store.len()
        )
    }

    /// Runs those of the cases that have no result, several at the same time.
    pub(super) async fn execute(self: &Arc<Self>, wanted: &[usize], again: bool) {
        let runs: Vec<(usize, u32)> = wanted
            .iter()
            .flat_map(|index| (0..self.repeat()).map(|repetition| (*index, repetition)))
            .filter(|(index, repetition)| again || !self.store.has(&self.ids[*index], *repetition))
            .collect();
        let progress = Progress::new(self.suite.name(), runs.len(), self.settings.asks());
        let mut running = stream::iter(runs)
            .map(|(index, repetition)| {
                let this = Arc::clone(self);
                // On a task of its own, so that all processors work.
                let task = tokio::spawn(async move { this.ensure(index, repetition, again).await });
                async move { (index, task.await) }
            })
            .buffer_unordered(self.settings.concurrency);
        while let Some((index, outcome)) = running.next().await {
            let problem = match outcome {
                Ok(Ok(())) => None,
                Ok(Err(problem)) => Some(problem),
                Err(error) => Some(error.to_string()),
            };
            if let Some(problem) = problem {
                let mut not_run = self.not_run.lock().unwrap_or_else(PoisonError::into_inner);
                not_run.insert(index, problem);
            }
            progress.advance(self.store.spent());
        }
        progress.end();
    }

    /// Runs a case, unless there is a result or another process is at it.
    async fn ensure(&self, index: usize, repetition: u32, again: bool) -> Result<(), String> {
        let id = &self.ids[index];
        let io = |error: io::Error| {
            format!(
                "the results in {} cannot be used: {error}",
                self.store.directory().display()
            )
        };
        let _claim = loop {
            if let Some(claim) = self.store.claim(id, repetition).map_err(io)? {
                break claim;
            }
            tokio::time::sleep(POLL).await;
        };
        // Between the look and the claim another process may have been here.
        if self.settings.is_shared() {
            self.store.refresh().map_err(io)?;
            if !again && self.store.has(id, repetition) {
                return Ok(());
            }
        }
        let _slot = loop {
            if !self.settings.asks() {
                break None;
            }
            if let Some(slot) = self.store.slot(self.settings.concurrency).map_err(io)? {
                break Some(slot);
            }
            tokio::time::sleep(POLL).await;
        };
        if let Some(budget) = self.settings.budget {
            let spent = self.store.spent();
            if spent >= budget.get() {
                return Err(format!(
                    "not run: {spent:.4} of the budget of {} USD are spent; what is done is kept, a higher \
                     DSPIPE_BUDGET goes on",
                    budget.get()
                ));
            }
        }
        let position = self.positions[index];
        let case = self.suite.case(position)?;
        if case.id != *id {
            return Err(format!(
                "the suite gives case `{}` in place of `{id}`",
                case.id
            ));
        }
        let (mut result, recordings) = uses(self.run(case, repetition)).await;
        result.recordings = recordings;
        result.tags = self.suite.tags(position).to_vec();
        self.suite.scored(&result);
        self.store.append(&result).map_err(io)
    }

    async fn run(&self, case: Case, repetition: u32) -> CaseResult {
        let copy = case.clone();
        let run = async {
            let execution = self.suite.run(&case, repetition).await;
            CaseResult::score(case.clone(), repetition, execution, self.suite.metrics()).await
        };
        // One case that panics is one case that fails.
        match AssertUnwindSafe(run).catch_unwind().await {
            Ok(result) => result,
            Err(panic) => {
                CaseResult::failed(copy, repetition, format!("panicked: {}", message(&*panic)))
            }
        }
    }

    /// The test of a case: that it has results without errors.
    pub(super) fn judge_case(&self, index: usize) -> Result<(), String> {
        let not_run = self.not_run.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(problem) = not_run.get(&index) {
            return Err(problem.clone());
        }
        drop(not_run);
        let outcomes = self.store.outcomes(&self.ids[index]);
        let is_fine = |outcome: &Outcome| match outcome {
            Outcome::Passed => true,
            Outcome::Failed => !self.suite.must_pass(),
            Outcome::Error => false,
        };
        if !outcomes.is_empty() && outcomes.iter().all(is_fine) {
            return self.judge_snapshots(index);
        }
        let results = self
            .store
            .results(&self.ids[index])
            .map_err(|error| error.to_string())?;
        if results.is_empty() {
            return Err("the case has not run".to_owned());
        }
        let is_bad = |result: &CaseResult| {
            result.error.is_some() || self.suite.must_pass() && !result.passed
        };
        match results.iter().find(|result| is_bad(result)) {
            Some(result) => Err(result.details().trim_start().to_owned()),
            None => Ok(()),
        }
    }

    fn judge_snapshots(&self, index: usize) -> Result<(), String> {
        let (Some(snapshots), Some(assert)) = (self.suite.snapshots(), self.assert_snapshot) else {
            return Ok(());
        };
        let results = self.store.results(&self.ids[index]);
        let results = results.map_err(|error| error.to_string())?;
        snapshots.check(assert, self.suite.name(), &results)
    }

    /// The test of a gate.
    pub(super) fn judge_gate(&self, gate: usize) -> Verdict {
        let judge = || match self.with_evidence(|evidence| self.gates[gate].judge(evidence)) {
            Ok(verdict) => verdict,
            Err(error) => Verdict {
                gate: self.gates[gate].name(),
                passed: false,
                summary: error,
                details: String::new(),
            },
        };
        self.verdicts[gate].get_or_init(judge).clone()
    }

    fn with_evidence<T>(&self, look: impl FnOnce(&Evidence<'_>) -> T) -> Result<T, String> {
        let tally = self
            .tally
            .get_or_init(|| self.add_up().map_err(|error| error.to_string()));
        let tally = tally.as_ref().map_err(Clone::clone)?;
        let directory = self.suite.directory();
        Ok(look(&Evidence {
            suite: self.suite.name(),
            directory: &directory,
            tally,
            details: &|id| self.worst(id),
            update_baseline: self.settings.update_baseline,
            is_part: !self.settings.tags.is_all(),
            recordings: self.suite.recordings(),
            prune: self.settings.prune,
        }))
    }

    fn add_up(&self) -> io::Result<Tally> {
        self.store.refresh()?;
        let mut tally = Tally::new(self.ids.iter().map(CaseId::as_str), self.repeat());
        self.store.each(&mut |result| {
            tally.add(&result);
            Ok(())
        })?;
        Ok(tally)
    }

    /// The worst result of a case.
    fn worst(&self, id: &str) -> Option<CaseResult> {
        let results = self.store.results(&id.parse().ok()?).ok()?;
        results
            .into_iter()
            .min_by(|a, b| a.score.total_cmp(&b.score))
    }

    /// Whether every case has a result, as far as this process tried.
    pub(super) fn is_whole(&self) -> bool {
        let not_run = self.not_run.lock().unwrap_or_else(PoisonError::into_inner);
        not_run.is_empty()
    }

    /// Writes the reports; the gates in them are these. Gives the report and the path of the page.
    pub(super) fn write(&self, gates: &[usize]) -> Result<(Report, String), String> {
        let verdicts = gates.iter().map(|gate| self.judge_gate(*gate)).collect();
        let written = self.with_evidence(|evidence| {
            let baseline = self.gates.iter().find_map(|gate| match gate {
                Gate::Regression(regression) => regression.read(evidence).ok(),
                _ => None,
            });
            let report = Report::new(&self.name, evidence, verdicts, baseline.as_ref());
            let directory = self.store.directory();
            file::write(&directory.join("report.json"), report.json().as_bytes())?;
            let page = directory.join("report.html");
            self.stream(&page, |out, each| {
                report::page(out, &report, evidence.tally, each)
            })?;
            let must_pass = self.suite.must_pass();
            let xml = directory.join("junit.xml");
            self.stream(&xml, |out, each| {
                report::junit(out, &report, must_pass, each)
            })?;
            Ok((report, page.display().to_string()))
        })?;
        written.map_err(|error: io::Error| format!("the report cannot be written: {error}"))
    }

    fn stream(
        &self,
        path: &std::path::Path,
        write: impl FnOnce(&mut BufWriter<File>, &mut report::EachResult<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
        let mut out = BufWriter::new(File::create(&temporary)?);
        let written = write(&mut out, &mut |see| self.store.each(see))
            .and_then(|()| out.flush())
            .and_then(|()| std::fs::rename(&temporary, path));
        if written.is_err() {
            // What is left of it is in nobody's way, but need not stay.
            let _ = std::fs::remove_file(&temporary);
        }
        written
    }
}

/// The gates of a suite, with those that every suite has.
pub(super) fn gates_of(suite: &dyn Suite) -> Vec<Gate> {
    let own = |gate: &&Gate| !matches!(gate, Gate::Complete | Gate::Recordings);
    let others = suite.gates().iter().filter(own);
    let recordings = suite.recordings().map(|_| Gate::Recordings);
    std::iter::once(Gate::Complete)
        .chain(recordings)
        .chain(others.cloned())
        .collect()
}

fn message(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "without a message".to_owned(),
    }
}
