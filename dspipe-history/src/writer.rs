//! The thread that writes, so that steps do not wait for the disk.
//!
//! Rows go through a bounded queue. The thread takes what is there, waits [`LINGER`] for more, and commits
//! it as one transaction. A kill loses what is not committed yet: executions that ended in the last few
//! milliseconds. It never tears a row or the file.
//!
//! A batch that SQLite does not take (the disk is full, another process holds the lock for longer than the
//! time-out) is tried [`TRIES`] times and then dropped and counted. The next batch is tried afresh, so
//! recording goes on as soon as there is room again.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use dspipe_runtime::{SignatureDef, WorkflowDef};
use rusqlite::{Connection, TransactionBehavior, params};

use crate::error::HistoryError;
use crate::fingerprint::Fingerprints;
use crate::retention::{self, Retention};

/// The most rows of one transaction.
const BATCH: usize = 512;

/// How long a row waits for others.
const LINGER: Duration = Duration::from_millis(5);

/// How often a batch is tried.
const TRIES: u32 = 3;

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// Rows between two looks at what is too old or too much.
const PRUNE_EVERY: u64 = 1000;

/// What happens to a row when the queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// It is dropped and counted; steps never wait.
    #[default]
    Drop,
    /// The step waits for room. Nothing is lost, but a slow disk slows the workflow.
    Wait,
}

/// A row that is to be written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pending {
    pub(crate) run: Option<Arc<str>>,
    pub(crate) workflow: String,
    pub(crate) step: Option<String>,
    pub(crate) time: i64,
    pub(crate) latency: i64,
    pub(crate) lm: Option<String>,
    pub(crate) def: Option<&'static SignatureDef>,
    /// Of a run of a compiled workflow.
    pub(crate) workflow_def: Option<&'static WorkflowDef>,
    pub(crate) inputs: String,
    pub(crate) outputs: Option<String>,
    pub(crate) input_tokens: u64,
    pub(crate) output_tokens: u64,
    pub(crate) replies: u32,
    pub(crate) cost: Option<f64>,
    pub(crate) error: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) score: Option<f64>,
    pub(crate) redacted: String,
}

/// How good an output is.
#[derive(Debug)]
struct Scored {
    run: String,
    step: Option<String>,
    score: f64,
}

enum Job {
    Row(Box<Pending>),
    Score(Scored),
    Flush(Sender<()>),
}

/// What is written, in the order in which it came.
#[derive(Debug)]
enum Entry {
    Row(Box<Pending>),
    Score(Scored),
}

/// How many rows were written and how many were not.
#[derive(Debug, Default)]
struct Counters {
    written: AtomicU64,
    lost: AtomicU64,
    /// Of the lost ones, those that a flush has told of.
    told: AtomicU64,
    reason: Mutex<String>,
}

impl Counters {
    fn lose(&self, count: u64, reason: &str) {
        let before = self.lost.fetch_add(count, Ordering::Relaxed);
        if before == self.told.load(Ordering::Relaxed) {
            // Once until the next flush: a full disk would fill the log too.
            tracing::warn!(reason, "executions are not recorded");
        }
        reason.clone_into(&mut self.reason.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// How a [`Writer`] works.
#[derive(Clone, Debug)]
pub(crate) struct WriterSettings {
    pub(crate) queue: usize,
    pub(crate) when_full: WhenFull,
    pub(crate) retention: Retention,
}

/// The near side of the thread. The last one to go waits until everything is written.
#[derive(Debug)]
pub(crate) struct Writer {
    path: PathBuf,
    when_full: WhenFull,
    sender: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
    counters: Arc<Counters>,
}

impl Writer {
    pub(crate) fn start(
        path: PathBuf,
        connection: Connection,
        settings: &WriterSettings,
    ) -> Result<Self, HistoryError> {
        let (sender, receiver) = std::sync::mpsc::sync_channel(settings.queue.max(1));
        let counters = Arc::new(Counters::default());
        let worker = Worker {
            connection,
            counters: Arc::clone(&counters),
            retention: settings.retention.clone(),
            fingerprints: HashMap::new(),
        };
        let thread = thread::Builder::new()
            .name("dspipe-history".to_owned())
            .spawn(move || worker.work(&receiver))
            .map_err(HistoryError::Thread)?;
        Ok(Self {
            path,
            when_full: settings.when_full,
            sender: Some(sender),
            thread: Some(thread),
            counters,
        })
    }

    /// Queues a row, or loses it, as the settings say.
    pub(crate) fn send(&self, row: Pending) {
        self.queue(Job::Row(Box::new(row)));
    }

    /// Queues the score of a run, or of a step in it.
    pub(crate) fn score(&self, run: &str, step: Option<&str>, score: f64) {
        self.queue(Job::Score(Scored {
            run: run.to_owned(),
            step: step.map(str::to_owned),
            score,
        }));
    }

    fn queue(&self, job: Job) {
        let Some(sender) = &self.sender else { return };
        let sent = match self.when_full {
            WhenFull::Wait => sender
                .send(job)
                .map_err(|_| "the thread that writes is gone"),
            WhenFull::Drop => sender.try_send(job).map_err(|error| match error {
                TrySendError::Full(_) => "the queue is full",
                TrySendError::Disconnected(_) => "the thread that writes is gone",
            }),
        };
        if let Err(reason) = sent {
            self.counters.lose(1, reason);
        }
    }

    /// Waits until everything that was queued is written.
    pub(crate) fn flush(&self) -> Result<(), HistoryError> {
        let (done, wait) = channel();
        if let Some(sender) = &self.sender
            && sender.send(Job::Flush(done)).is_ok()
        {
            // An error means that the thread is gone, which the counters know.
            let _ = wait.recv();
        }
        let lost = self.counters.lost.load(Ordering::Acquire);
        let told = self.counters.told.swap(lost, Ordering::AcqRel);
        if lost == told {
            return Ok(());
        }
        let reason = self.counters.reason.lock();
        let reason = reason.unwrap_or_else(PoisonError::into_inner).clone();
        Err(HistoryError::Lost {
            lost: lost - told,
            reason: format!("{}: {reason}", self.path.display()),
        })
    }

    /// How many rows were written, and how many were not.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (
            self.counters.written.load(Ordering::Acquire),
            self.counters.lost.load(Ordering::Acquire),
        )
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.sender.take());
        if let Some(thread) = self.thread.take() {
            // It has no panics of its own to pass on.
            let _ = thread.join();
        }
    }
}

/// The far side.
struct Worker {
    connection: Connection,
    counters: Arc<Counters>,
    retention: Retention,
    /// By the address of what they are of, which is a constant.
    fingerprints: HashMap<usize, Fingerprints>,
}

impl Worker {
    fn work(mut self, receiver: &Receiver<Job>) {
        let mut batch = Vec::new();
        let mut waiting = Vec::new();
        let mut unpruned = PRUNE_EVERY;
        while let Ok(first) = receiver.recv() {
            collect(first, receiver, &mut batch, &mut waiting);
            unpruned += batch.len() as u64;
            self.write(&batch);
            batch.clear();
            if unpruned > PRUNE_EVERY && !self.retention.is_unlimited() {
                unpruned = 0;
                if let Err(error) = retention::prune(&mut self.connection, &self.retention) {
                    tracing::warn!(%error, "old executions cannot be pruned");
                }
            }
            for done in waiting.drain(..) {
                // Who asked may have gone.
                let _: Result<(), _> = Sender::send(&done, ());
            }
        }
    }

    fn write(&mut self, batch: &[Entry]) {
        if batch.is_empty() {
            return;
        }
        let rows = batch.iter().filter_map(|entry| match entry {
            Entry::Row(row) => Some(row),
            Entry::Score(_) => None,
        });
        let mut count = 0;
        for row in rows {
            count += 1;
            let Some(key) = key_of(row) else { continue };
            self.fingerprints
                .entry(key)
                .or_insert_with(|| match (row.def, row.workflow_def) {
                    (Some(def), _) => Fingerprints::of(def),
                    (None, def) => Fingerprints::of_workflow(def),
                });
        }
        for attempt in 1.. {
            match insert(&mut self.connection, batch, &self.fingerprints) {
                Ok(()) => {
                    self.counters.written.fetch_add(count, Ordering::AcqRel);
                    return;
                }
                Err(_) if attempt < TRIES => thread::sleep(PAUSE),
                Err(error) => {
                    self.counters.lose(count, &error.to_string());
                    return;
                }
            }
        }
    }
}

/// Takes what is there and what comes soon, up to a batch.
fn collect(
    first: Job,
    receiver: &Receiver<Job>,
    batch: &mut Vec<Entry>,
    waiting: &mut Vec<Sender<()>>,
) {
    let deadline = Instant::now() + LINGER;
    let mut next = Some(first);
    while let Some(job) = next {
        match job {
            Job::Row(row) => batch.push(Entry::Row(row)),
            Job::Score(scored) => batch.push(Entry::Score(scored)),
            Job::Flush(done) => waiting.push(done),
        }
        // Who waits for a flush does not wait for others.
        if batch.len() >= BATCH || !waiting.is_empty() {
            return;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        next = receiver.recv_timeout(left).ok();
    }
}

fn insert(
    connection: &mut Connection,
    batch: &[Entry],
    fingerprints: &HashMap<usize, Fingerprints>,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut statement = transaction.prepare_cached(
            "INSERT INTO executions (run, workflow, step, time, latency, lm, signature, prompt, inputs,
                outputs, input_tokens, output_tokens, replies, cost, error, message, score, redacted, version)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
        )?;
        let mut update = transaction
            .prepare_cached("UPDATE executions SET score = ?3 WHERE run = ?1 AND step IS ?2")?;
        for entry in batch {
            let row = match entry {
                Entry::Row(row) => row,
                Entry::Score(Scored { run, step, score }) => {
                    update.execute(params![run, step, score])?;
                    continue;
                }
            };
            let prints = key_of(row).and_then(|key| fingerprints.get(&key));
            statement.execute(params![
                row.run,
                row.workflow,
                row.step,
                row.time,
                row.latency,
                row.lm,
                prints.map(|prints| &prints.signature),
                prints.map(|prints| &prints.prompt),
                row.inputs,
                row.outputs,
                storable(row.input_tokens),
                storable(row.output_tokens),
                row.replies,
                row.cost,
                row.error,
                row.message,
                row.score,
                row.redacted,
                env!("CARGO_PKG_VERSION"),
            ])?;
        }
    }
    transaction.commit()
}

/// The address of what a row's fingerprints are of.
fn key_of(row: &Pending) -> Option<usize> {
    let step = row.def.map(|def| std::ptr::from_ref(def).addr());
    let workflow = row.workflow_def.map(|def| std::ptr::from_ref(def).addr());
    step.or(workflow)
}

/// SQLite's integers have a sign.
fn storable(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database;

    fn row() -> Pending {
        Pending {
            workflow: "w".to_owned(),
            inputs: format!("{{\"text\":\"{}\"}}", "x".repeat(2000)),
            redacted: "[]".to_owned(),
            ..Pending::default()
        }
    }

    fn settings(queue: usize, when_full: WhenFull) -> WriterSettings {
        WriterSettings {
            queue,
            when_full,
            retention: Retention::default(),
        }
    }

    #[test]
    fn a_full_disk_loses_rows_with_a_count_and_recording_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("h.db");
        let connection = database::open(&path, true).unwrap();
        let pages: i64 = connection
            .pragma_query_value(None, "page_count", |row| row.get(0))
            .unwrap();
        // SQLite then answers as on a full disk.
        connection
            .pragma_update(None, "max_page_count", pages + 2)
            .unwrap();
        let writer =
            Writer::start(path.clone(), connection, &settings(1000, WhenFull::Wait)).unwrap();
        for _ in 0..20 {
            writer.send(row());
        }
        match writer.flush().unwrap_err() {
            HistoryError::Lost { lost, reason } => {
                assert_eq!(lost, 20);
                assert!(reason.contains("full"), "{reason}");
            }
            other => panic!("{other}"),
        }
        // One row fits, and what was told once is not told again.
        writer.send(row());
        writer.flush().unwrap();
        assert_eq!(writer.counts(), (1, 20));
    }

    #[test]
    fn a_full_queue_drops_and_counts_without_waiting() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("h.db");
        let connection = database::open(&path, true).unwrap();
        let writer = Writer::start(path.clone(), connection, &settings(2, WhenFull::Drop)).unwrap();
        // Nobody else can write, so the queue fills up.
        let blocker = database::open(&path, true).unwrap();
        blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
        for _ in 0..2000 {
            writer.send(row());
        }
        blocker.execute_batch("COMMIT").unwrap();
        let error = writer.flush().unwrap_err();
        let (written, lost) = writer.counts();
        assert!(error.to_string().contains("the queue is full"), "{error}");
        assert!(written > 0 && lost > 0);
        assert_eq!(written + lost, 2000);
    }

    #[test]
    fn dropping_the_writer_writes_what_is_queued() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("h.db");
        let connection = database::open(&path, true).unwrap();
        let writer =
            Writer::start(path.clone(), connection, &settings(5000, WhenFull::Wait)).unwrap();
        for _ in 0..3000 {
            writer.send(row());
        }
        drop(writer);
        let count: i64 = database::open(&path, false)
            .unwrap()
            .query_row("SELECT count(*) FROM executions", [], |row| row.get(0))
            .unwrap();
        assert_eq!(count, 3000);
    }
}
