//! Prompts and replies for people who look for what went wrong.

use std::env;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use crate::error::Error;
use crate::lm::{LmError, Role};
use crate::secret::scrub_all;
use crate::shown;
use crate::trace::{Exchange, Observer, StepReport};

/// The environment variable that turns it on.
const VARIABLE: &str = "DSPIPE_LOG";

/// Writes what each step asked, as it was rendered, and what the LM replied, as it came.
///
/// `DSPIPE_LOG=prompts` has every runner write to standard error. Secrets of the environment and values of
/// sensitive fields are left out.
pub struct PromptLog<W>(Mutex<W>);

impl<W: Write + Send> PromptLog<W> {
    /// Writes here.
    pub fn new(out: W) -> Self {
        Self(Mutex::new(out))
    }
}

impl<W> std::fmt::Debug for PromptLog<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PromptLog")
    }
}

impl<W: Write + Send> Observer for PromptLog<W> {
    fn step_ended(&self, _: &StepReport, _: Option<&Error>) {}

    fn asked(&self, exchange: &Exchange<'_>) {
        let text = text(exchange);
        let mut out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // There is nobody to tell that the log cannot be written.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

fn text(exchange: &Exchange<'_>) -> String {
    let Exchange {
        workflow, step, lm, ..
    } = exchange;
    let mut text = format!("\n===== {workflow}.{step} asks {lm} =====\n");
    // Writing to a string does not fail.
    for message in shown::messages(exchange) {
        let role = match message.role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        let _ = writeln!(text, "--- {role}\n{}", message.content);
    }
    let seconds = exchange.latency.as_secs_f64();
    match exchange.reply {
        Ok(reply) => {
            let usage = &reply.usage;
            let _ = writeln!(
                text,
                "--- reply after {seconds:.2} s, {} tokens in, {} out\n{}",
                usage.input_tokens,
                usage.output_tokens,
                shown::reply(exchange, reply)
            );
        }
        Err(error) => {
            let error = scrub_all(&error.to_string());
            let _ = writeln!(text, "--- no reply after {seconds:.2} s\n{error}");
        }
    }
    text
}

/// What `DSPIPE_LOG` asks for, looked up once.
pub(crate) fn from_env() -> Result<Option<Arc<dyn Observer>>, LmError> {
    static LOG: LazyLock<Result<Option<Arc<dyn Observer>>, LmError>> = LazyLock::new(|| {
        let wanted = env::var_os(VARIABLE).unwrap_or_default();
        Ok(wants_prompts(&wanted.to_string_lossy())?
            .then(|| Arc::new(PromptLog::new(io::stderr())) as Arc<dyn Observer>))
    });
    LOG.clone()
}

fn wants_prompts(wanted: &str) -> Result<bool, LmError> {
    match wanted.trim() {
        "" => Ok(false),
        "prompts" => Ok(true),
        other => Err(LmError::Setting {
            variable: VARIABLE.to_owned(),
            reason: format!("`{other}` is nothing to log; set it to `prompts`, or not at all"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_prompts_can_be_asked_for() {
        assert_eq!(wants_prompts("").ok(), Some(false));
        assert_eq!(wants_prompts(" prompts\n").ok(), Some(true));
        assert_eq!(
            wants_prompts("promts").unwrap_err().to_string(),
            "DSPIPE_LOG cannot be used: `promts` is nothing to log; set it to `prompts`, or not at all"
        );
    }
}
