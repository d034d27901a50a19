//! The Rust side of the bridge to DSPy, `docs/bridge.md`: one Python process that searches, and asks its
//! [`Host`] for every run, score and call of an LM.
//!
//! Stages, each in its module: setup (an environment with pinned packages) → process (started, watched,
//! killed with its group) → connection (requests, answers and jobs) → message (lines) → host and params
//! (what is in them).

mod connection;
mod error;
mod host;
mod message;
mod older;
mod params;
mod process;
mod setup;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::timeout;

use connection::Connection;
use process::{Process, Tail};

pub use error::{BridgeError, ErrorClass};
pub use host::{
    Call, Candidate, Completed, Completion, CompletionFailure, CompletionFailureKind, FailureKind,
    Host, HostError, LmMessage, Log, Outcome, Progress, PromptTold, ReplyFormat, Role, Run,
    RunFailure, RunResult, Score, Scored, ScoredCall, StepCall, StepResult, StepSetup,
};
pub use older::{
    EvaluateProgram, EvaluatedProgram, OlderConfig, OlderContext, OlderExample, OlderField,
    OlderMetrics, OlderSignature, OptimizePrompt, OptimizedPrompt, TestCase, TestResult,
};
pub use params::{
    Demo, Evaluate, Evaluated, Evaluation, Example, ExampleResult, Field, Fields, Optimize,
    Optimized, Program, Prompt, Prompts, Runs, Stage, StageResult, Stats, Step,
};
pub use setup::{BridgeSettings, Python};

/// The version of the protocol.
const PROTOCOL: u32 = 1;

/// A running bridge. Its process and all that it started are killed when this is dropped.
///
/// Several jobs can be asked for at the same time; the bridge does them one after the other.
pub struct Bridge {
    connection: Connection,
    process: Arc<Process>,
    versions: Versions,
}

/// What the bridge says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// Of the protocol.
    pub protocol: u32,
    /// Of the bridge's code.
    pub bridge: String,
    /// Of the interpreter.
    pub python: String,
    /// Of the packages, by name.
    pub packages: IndexMap<String, String>,
}

/// The parameters of `hello`.
#[derive(Serialize)]
struct Hello {
    protocol: u32,
}

/// The parameters of requests without any, and results without content.
#[derive(Serialize, Deserialize)]
struct Nothing {}

/// The parameters of `cancel`.
#[derive(Serialize)]
struct JobName<'a> {
    job: &'a str,
}

#[derive(Deserialize)]
struct Found {
    found: bool,
}

impl Bridge {
    /// Sets up what is missing (visibly, on standard error), starts the process, and checks its versions.
    /// To be called in a tokio runtime, which the bridge's tasks then live in.
    ///
    /// # Errors
    /// [`BridgeError`] tells what is in the way and what to do. Nothing is remembered.
    pub async fn start(settings: &BridgeSettings) -> Result<Self, BridgeError> {
        let prepared = settings.prepare().await?;
        let (process, pipes) = Process::start(&prepared.interpreter, prepared.directory())
            .map_err(|source| {
                prepared.invalidate();
                BridgeError::Spawn {
                    interpreter: prepared.interpreter.clone(),
                    source: Arc::new(source),
                }
            })?;
        let process = Arc::new(process);
        let connection = Connection::new(pipes.stdin);
        let (tail, greeted) = (Tail::default(), Arc::new(Notify::new()));
        tokio::spawn(process::supervise(
            Arc::clone(&process),
            connection.clone(),
            pipes.stdout,
            pipes.stderr,
            tail.clone(),
            Arc::clone(&greeted),
            settings.clone(),
        ));
        // From here on it is killed if something is wrong.
        let mut bridge = Self {
            connection,
            process,
            versions: Versions {
                protocol: PROTOCOL,
                bridge: String::new(),
                python: String::new(),
                packages: IndexMap::new(),
            },
        };
        let hello = Hello { protocol: PROTOCOL };
        let answer = timeout(
            settings.start_timeout,
            bridge.connection.ask::<Versions>("hello", &hello),
        )
        .await
        .map_err(|_| BridgeError::StartTimeout {
            after: settings.start_timeout,
            stderr: tail.text(),
        })?;
        bridge.versions = answer.map_err(|error| match error {
            BridgeError::Job { code, message, .. } => match code.as_str() {
                "package_missing" | "package_version" => {
                    prepared.invalidate();
                    BridgeError::Package {
                        interpreter: prepared.interpreter.clone(),
                        message,
                    }
                }
                _ => BridgeError::Version { message },
            },
            other => other,
        })?;
        if bridge.versions.protocol != PROTOCOL {
            let message = format!(
                "it speaks protocol {}, not {PROTOCOL}",
                bridge.versions.protocol
            );
            return Err(BridgeError::Version { message });
        }
        greeted.notify_one();
        Ok(bridge)
    }

    /// What the bridge said of itself.
    pub fn versions(&self) -> &Versions {
        &self.versions
    }

    /// The id of its process, until that has ended.
    pub fn process_id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Runs optimizers, while `host` does the work. Dropping the future cancels the job and aborts what the
    /// host is at.
    ///
    /// # Errors
    /// [`BridgeError::Job`] if the job fails, or the host ended it; others if the process does.
    pub async fn optimize(
        &self,
        params: &Optimize,
        host: Arc<dyn Host>,
    ) -> Result<Optimized, BridgeError> {
        self.connection
            .work("optimize", &params.job, params, host)
            .await
    }

    /// Scores a program, while `host` does the work. Otherwise as [`Bridge::optimize`].
    ///
    /// # Errors
    /// As [`Bridge::optimize`].
    pub async fn evaluate(
        &self,
        params: &Evaluate,
        host: Arc<dyn Host>,
    ) -> Result<Evaluated, BridgeError> {
        self.connection
            .work("evaluate", &params.job, params, host)
            .await
    }

    /// Optimizes the prompt of one signature, by the older interface. Otherwise as [`Bridge::optimize`].
    ///
    /// # Errors
    /// As [`Bridge::optimize`].
    pub async fn optimize_prompt(
        &self,
        params: &OptimizePrompt,
        host: Arc<dyn Host>,
    ) -> Result<OptimizedPrompt, BridgeError> {
        self.connection
            .work("optimize_prompt", &params.job, params, host)
            .await
    }

    /// Scores a program on test cases, by the older interface. Otherwise as [`Bridge::optimize`].
    ///
    /// # Errors
    /// As [`Bridge::optimize`].
    pub async fn evaluate_program(
        &self,
        params: &EvaluateProgram,
        host: Arc<dyn Host>,
    ) -> Result<EvaluatedProgram, BridgeError> {
        self.connection
            .work("evaluate_program", &params.job, params, host)
            .await
    }

    /// Whether the bridge answers. It is asked now and then anyway, and killed if it does not.
    ///
    /// # Errors
    /// Why the process ended, if it has.
    pub async fn ping(&self) -> Result<(), BridgeError> {
        let Nothing {} = self.connection.ask("ping", &Nothing {}).await?;
        Ok(())
    }

    /// Ends a job, whose request then fails with the class [`Cancelled`](ErrorClass::Cancelled). Returns
    /// whether there was such a job.
    ///
    /// # Errors
    /// Why the process ended, if it has.
    pub async fn cancel(&self, job: &str) -> Result<bool, BridgeError> {
        let Found { found } = self.connection.ask("cancel", &JobName { job }).await?;
        Ok(found)
    }

    /// Lets the process end by itself, and waits for that; jobs that are at work fail.
    ///
    /// # Errors
    /// Why the process ended, if it has.
    pub async fn shutdown(self) -> Result<(), BridgeError> {
        let Nothing {} = self.connection.ask("shutdown", &Nothing {}).await?;
        // One that does not end is killed when this is dropped.
        let _ = timeout(process::GRACE, self.process.ended()).await;
        Ok(())
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.process.kill();
    }
}
