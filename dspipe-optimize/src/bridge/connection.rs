//! Both directions of the pipe: requests and answers with ids, many in flight, and jobs.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dspipe_runtime::Value;
use futures_util::FutureExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::error::{BridgeError, ErrorClass};
use super::host::{Host, HostError};
use super::message::{self, Incoming, News, Outgoing, Question, Refusal};

/// Of a line that is not of the protocol, as much is shown.
const SHOWN_BYTES: usize = 200;

/// The host's end. Whoever has it can ask; what [`Connection::read`] reads goes to who waits for it.
#[derive(Clone)]
pub(super) struct Connection(Arc<Shared>);

struct Shared {
    /// Written by a task of its own: whoever sends never waits for the pipe.
    outgoing: mpsc::UnboundedSender<Vec<u8>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last_id: u64,
    waiting: HashMap<u64, Waiting>,
    jobs: HashMap<String, mpsc::UnboundedSender<Event>>,
    ended: Option<BridgeError>,
}

/// Who gets an answer.
enum Waiting {
    Request(oneshot::Sender<Result<Value, BridgeError>>),
    Job(String),
}

/// What a job gets, in the order in which the bridge sent it.
enum Event {
    Asked(u64, Question),
    Told(News),
    Answered(Result<Value, BridgeError>),
}

/// Why no more can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stopped {
    /// The other side closed the pipe.
    Closed,
    /// A line is not of the protocol.
    Protocol { reason: String, line: String },
}

impl Connection {
    /// Writes to `sink` in a task of its own until the connection is dropped or the pipe breaks. That the
    /// other side is gone is seen by reading.
    pub(super) fn new(mut sink: impl AsyncWrite + Unpin + Send + 'static) -> Self {
        let (outgoing, mut lines) = mpsc::unbounded_channel::<Vec<u8>>();
        tokio::spawn(async move {
            while let Some(line) = lines.recv().await {
                if sink.write_all(&line).await.is_err() || sink.flush().await.is_err() {
                    break;
                }
            }
        });
        Self(Arc::new(Shared {
            outgoing,
            state: Mutex::default(),
        }))
    }

    /// Reads until the other side closes the pipe or breaks the protocol.
    pub(super) async fn read(&self, source: impl AsyncRead + Unpin) -> Stopped {
        let mut source = BufReader::with_capacity(64 * 1024, source);
        let mut line = Vec::new();
        loop {
            line.clear();
            // A line without an end is half a message: the process died while it wrote.
            match source.read_until(b'\n', &mut line).await {
                Ok(_) if line.last() == Some(&b'\n') => {}
                _ => return Stopped::Closed,
            }
            let handled = Incoming::read(&line).and_then(|message| self.handle(message));
            if let Err(reason) = handled {
                let shown = &line[..line.len().min(SHOWN_BYTES)];
                return Stopped::Protocol {
                    reason,
                    line: String::from_utf8_lossy(shown).trim_end().to_owned(),
                };
            }
        }
    }

    /// Fails all that waits, and all that is asked from now on. The first error stays.
    pub(super) fn end(&self, error: &BridgeError) {
        let mut state = self.0.state();
        if state.ended.is_none() {
            state.ended = Some(error.clone());
        }
        let error = state.ended.clone().unwrap_or_else(|| error.clone());
        let (waiting, jobs) = (
            std::mem::take(&mut state.waiting),
            std::mem::take(&mut state.jobs),
        );
        drop(state);
        for it in waiting.into_values() {
            if let Waiting::Request(sender) = it {
                // Who waited may have gone away.
                let _ = sender.send(Err(error.clone()));
            }
        }
        for events in jobs.into_values() {
            let _ = events.send(Event::Answered(Err(error.clone())));
        }
    }

    /// A request that is not a job, and its result.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: &impl Serialize,
    ) -> Result<T, BridgeError> {
        let (sender, receiver) = oneshot::channel();
        self.send(method, params, Waiting::Request(sender))?;
        let answer = receiver.await.map_err(|_| lost())?;
        result(method, answer?)
    }

    /// A job: asks, lets `host` answer what the bridge asks meanwhile, and gives the result. If the future
    /// is dropped, the job is cancelled.
    pub(super) async fn work<T: DeserializeOwned>(
        &self,
        method: &'static str,
        job: &str,
        params: &impl Serialize,
        host: Arc<dyn Host>,
    ) -> Result<T, BridgeError> {
        let mut events = self.begin(method, job, params)?;
        let mut guard = Running {
            connection: self,
            job,
            ended: false,
        };
        // Dropped, and with it all that is still at work, before the guard sends `cancel`.
        let mut answers = JoinSet::new();
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(Event::Asked(id, question)) => {
                        answers.spawn(answer(self.clone(), Arc::clone(&host), id, question));
                    }
                    Some(Event::Told(news)) => tell(&*host, news),
                    Some(Event::Answered(answer)) => {
                        guard.ended = true;
                        return result(method, answer?);
                    }
                    None => {
                        guard.ended = true;
                        return Err(lost());
                    }
                },
                Some(_) = answers.join_next() => {}
            }
        }
    }

    /// Registers a job and sends its request.
    fn begin(
        &self,
        method: &'static str,
        job: &str,
        params: &impl Serialize,
    ) -> Result<mpsc::UnboundedReceiver<Event>, BridgeError> {
        let (sender, events) = mpsc::unbounded_channel();
        {
            let mut state = self.0.state();
            if state.jobs.contains_key(job) {
                return Err(BridgeError::JobExists {
                    job: job.to_owned(),
                });
            }
            state.jobs.insert(job.to_owned(), sender);
        }
        self.send(method, params, Waiting::Job(job.to_owned()))
            .inspect_err(|_| {
                self.0.state().jobs.remove(job);
            })?;
        Ok(events)
    }

    fn send(
        &self,
        method: &'static str,
        params: &impl Serialize,
        waiting: Waiting,
    ) -> Result<(), BridgeError> {
        let id = {
            let mut state = self.0.state();
            state.last_id += 1;
            state.last_id
        };
        let line = message::line(&Outgoing::Request { id, method, params }).map_err(|error| {
            BridgeError::Params {
                method,
                reason: error.to_string(),
            }
        })?;
        let mut state = self.0.state();
        if let Some(error) = &state.ended {
            return Err(error.clone());
        }
        state.waiting.insert(id, waiting);
        drop(state);
        // If the writer is gone so is the other side, which the reader tells to all that wait.
        let _ = self.0.outgoing.send(line);
        Ok(())
    }

    /// Answers a request of the bridge.
    fn reply<T: Serialize>(&self, id: u64, answer: Result<&T, Refusal>) {
        let message = match answer {
            Ok(result) => Outgoing::Result { id, result },
            Err(error) => Outgoing::Error { id, error },
        };
        let line = message::line(&message).or_else(|error| {
            let error = refusal(ErrorClass::Fatal, "host", error.to_string());
            let message: Outgoing<'_, ()> = Outgoing::Error { id, error };
            message::line(&message)
        });
        if let Ok(line) = line {
            let _ = self.0.outgoing.send(line);
        }
    }

    fn handle(&self, message: Incoming) -> Result<(), String> {
        match message {
            Incoming::Asked { id, job, question } => {
                let events = self.0.state().jobs.get(&job).cloned();
                let asked = events.is_some_and(|to| to.send(Event::Asked(id, question)).is_ok());
                if !asked {
                    // A thread that its job left behind: without an answer it would wait for ever.
                    let gone = refusal(ErrorClass::Cancelled, "cancelled", "the job has ended");
                    self.reply::<()>(id, Err(gone));
                }
            }
            Incoming::Told { job, news } => {
                if let News::Log(log) = &news {
                    trace(log);
                }
                let state = self.0.state();
                match job {
                    // The job may have been dropped.
                    Some(job) => {
                        if let Some(events) = state.jobs.get(&job) {
                            let _ = events.send(Event::Told(news));
                        }
                    }
                    None => {
                        for events in state.jobs.values() {
                            let _ = events.send(Event::Told(news.clone()));
                        }
                    }
                }
            }
            Incoming::Answered { id, answer } => {
                let answer = answer.map_err(BridgeError::from);
                let mut state = self.0.state();
                match state.waiting.remove(&id) {
                    Some(Waiting::Request(sender)) => {
                        let _ = sender.send(answer);
                    }
                    Some(Waiting::Job(job)) => {
                        if let Some(events) = state.jobs.remove(&job) {
                            let _ = events.send(Event::Answered(answer));
                        }
                    }
                    None => return Err(format!("an answer to {id}, which was not asked")),
                }
            }
            Incoming::Unread(refusal) => return Err(refusal.message),
        }
        Ok(())
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that runs under the lock can leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job that is at work. Sends `cancel` when dropped before its end.
struct Running<'a> {
    connection: &'a Connection,
    job: &'a str,
    ended: bool,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.ended {
            let (sender, _) = oneshot::channel();
            let params = super::JobName { job: self.job };
            // If it cannot be sent, the bridge has ended, and the job with it.
            let _ = self
                .connection
                .send("cancel", &params, Waiting::Request(sender));
        }
    }
}

impl From<Refusal> for BridgeError {
    fn from(refusal: Refusal) -> Self {
        Self::Job {
            class: refusal.class,
            code: refusal.code,
            message: refusal.message,
            best: refusal.best.map(Box::new),
        }
    }
}

/// The result of a request as what it should be.
fn result<T: DeserializeOwned>(method: &'static str, value: Value) -> Result<T, BridgeError> {
    let shown: String = value.to_string().chars().take(SHOWN_BYTES).collect();
    message::typed(method, value).map_err(|reason| BridgeError::Protocol {
        reason: format!("the result of {reason}"),
        line: shown,
        stderr: String::new(),
    })
}

/// Nobody is left who could answer: the task that reads was dropped with its runtime.
fn lost() -> BridgeError {
    BridgeError::Ended {
        status: None,
        stderr: String::new(),
    }
}

fn refusal(class: ErrorClass, code: &str, message: impl Into<String>) -> Refusal {
    Refusal {
        class,
        code: code.to_owned(),
        message: message.into(),
        best: None,
    }
}

/// Lets the host answer one request.
async fn answer(connection: Connection, host: Arc<dyn Host>, id: u64, question: Question) {
    match question {
        Question::Run(run) => {
            let answer = caught(async { host.run(run).await }).await;
            connection.reply(id, answer.as_ref().map_err(Refusal::from));
        }
        Question::Step(step) => {
            let answer = caught(async { host.step(step).await }).await;
            connection.reply(id, answer.as_ref().map_err(Refusal::from));
        }
        Question::Score(score) => {
            let answer = caught(async { host.score(score).await }).await;
            connection.reply(id, answer.as_ref().map_err(Refusal::from));
        }
        Question::Complete(completion) => {
            let answer = caught(async { host.complete(completion).await }).await;
            connection.reply(id, answer.as_ref().map_err(Refusal::from));
        }
    }
}

/// What the user's own code panics with is an error like others: it ends the job, not the program.
async fn caught<T>(work: impl Future<Output = Result<T, HostError>>) -> Result<T, HostError> {
    AssertUnwindSafe(work)
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| {
            let said = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned());
            Err(HostError::fatal(
                "panic",
                format!(
                    "it panicked: {}",
                    said.as_deref().unwrap_or("without a text")
                ),
            ))
        })
}

fn tell(host: &dyn Host, news: News) {
    match news {
        News::Prompt(prompt) => host.prompt(prompt),
        News::Candidate(candidate) => host.candidate(candidate),
        News::Progress(progress) => host.progress(progress),
        News::Log(log) => host.log(log),
    }
}

fn trace(log: &super::host::Log) {
    let (logger, text) = (&log.logger, &log.message);
    match log.level.as_str() {
        "debug" => tracing::debug!(logger, "{text}"),
        "info" => tracing::info!(logger, "{text}"),
        "warning" => tracing::warn!(logger, "{text}"),
        _ => tracing::error!(logger, "{text}"),
    }
}
