//! Running a workflow for a case, with all that its steps ask and are replied.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use dspipe_runtime::lm::Money;
use dspipe_runtime::{Error, Exchange, LocalRunner, Observer, StepReport};
use serde::Serialize;

use crate::result::{Execution, StepRecord};

/// Keeps what steps ask and are replied, and what that cost.
#[derive(Debug, Default)]
struct Recorder(Mutex<Recorded>);

#[derive(Debug)]
struct Recorded {
    steps: Vec<StepRecord>,
    cost: Option<Money>,
}

impl Default for Recorded {
    fn default() -> Self {
        Self {
            steps: Vec::new(),
            cost: Some(Money::default()),
        }
    }
}

impl Recorder {
    fn recorded(&self) -> MutexGuard<'_, Recorded> {
        // Nothing that runs under the lock can leave it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Recorder {
    fn step_ended(&self, report: &StepReport, _: Option<&Error>) {
        let mut recorded = self.recorded();
        recorded.cost = match (recorded.cost, report.cost) {
            (Some(sum), Some(cost)) => Some(sum + cost),
            _ => None,
        };
    }

    fn asked(&self, exchange: &Exchange<'_>) {
        let record = StepRecord {
            step: exchange.step.to_owned(),
            lm: exchange.lm.to_string(),
            prompt: exchange.request.messages.clone(),
            reply: exchange.reply.ok().map(|reply| reply.text.clone()),
            usage: exchange.reply.map(|reply| reply.usage).unwrap_or_default(),
            latency: exchange.latency.as_secs_f64(),
        };
        self.recorded().steps.push(record);
    }
}

/// Runs a workflow, or a step, on a runner, and records its calls: each is a [`StepRecord`], so that a step
/// that had to ask again has two.
///
/// ```no_run
/// # use dspipe_eval::{Execution, record};
/// # use dspipe_runtime::{LocalRunner, Error};
/// # async fn run_with(runner: &LocalRunner, text: &str) -> Result<String, Error> { todo!() }
/// # async fn example(runner: &LocalRunner) -> Execution {
/// record(runner, async |runner| run_with(runner, "hello").await).await
/// # }
/// ```
pub async fn record<T, E>(
    runner: &LocalRunner,
    run: impl AsyncFnOnce(&LocalRunner) -> Result<T, E>,
) -> Execution
where
    T: Serialize,
    E: fmt::Display,
{
    let recorder = Arc::new(Recorder::default());
    let runner = runner
        .clone()
        .with_observer(Arc::<Recorder>::clone(&recorder));
    let started = Instant::now();
    let output = run(&runner).await;
    let latency = started.elapsed().as_secs_f64();
    let output = match output {
        Ok(output) => serde_json::to_value(output).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let Recorded { steps, cost } = std::mem::take(&mut *recorder.recorded());
    Execution {
        output,
        cost: cost.map(Money::dollars),
        steps,
        latency,
        run: None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use dspipe_runtime::lm::{
        BoxFuture, Finish, Lm, LmError, LmName, Price, Prices, Reply, Request, Usage,
    };
    use dspipe_runtime::{FieldDef, Lms, Runner as _, Signature, SignatureDef, Value};
    use serde_json::json;

    use super::*;

    struct Step;

    impl Signature for Step {
        type Input = Value;
        type Output = Value;
        const DEF: &'static SignatureDef = &SignatureDef {
            workflow: "w",
            step: "sort",
            source: "here",
            description: "",
            instructions: "Sort it.",
            inputs: &[FieldDef {
                name: "text",
                ty: "string",
                description: "",
                sensitive: false,
            }],
            outputs: &[],
            input_schema: "{}",
            output_schema: r#"{"type":"object","properties":{"kind":{"enum":["a"]}},"required":["kind"]}"#,
            demos: &[],
            optimized: &[],
            adapter: None,
            lm: Some("openai/big"),
            temperature: None,
            max_tokens: None,
            lms: &[],
            checks: &[],
            module: dspipe_runtime::module::ModuleDef::Predict,
        };
    }

    /// Gives one reply after another.
    #[derive(Debug)]
    struct Scripted(LmName, AtomicUsize, &'static [&'static str]);

    impl Lm for Scripted {
        fn name(&self) -> &LmName {
            &self.0
        }

        fn complete<'a>(&'a self, _: &'a Request) -> BoxFuture<'a, Result<Reply, LmError>> {
            let nth = self.1.fetch_add(1, Ordering::Relaxed);
            let reply = Reply {
                text: self.2[nth].to_owned(),
                finish: Finish::Stop,
                usage: Usage {
                    input_tokens: 1_000_000,
                    ..Usage::default()
                },
                ..Reply::default()
            };
            Box::pin(std::future::ready(Ok(reply)))
        }
    }

    /// As in `Suite::run`, whose future must be `Send`.
    fn boxed<'a>(runner: &'a LocalRunner, input: &'a Value) -> BoxFuture<'a, Execution> {
        let run = async |runner: &LocalRunner| runner.step::<Step>(input).await;
        Box::pin(record(runner, run))
    }

    async fn execution(replies: &'static [&'static str]) -> Execution {
        let name: LmName = "openai/big".parse().unwrap();
        let price = Price {
            input: 2.0,
            cached_input: None,
            cache_write: None,
            output: 1.0,
            long: None,
        };
        let prices = Prices::none().with(&name, price);
        let lm = Scripted(name, AtomicUsize::new(0), replies);
        let runner = LocalRunner::new()
            .with_lms(Lms::new().with(Arc::new(lm)))
            .with_prices(prices);
        let input = json!({"text": "abc"});
        boxed(&runner, &input).await
    }

    #[tokio::test]
    async fn each_call_is_recorded_with_its_prompt() {
        let found = execution(&["no JSON at all", r#"{"kind": "a"}"#]).await;
        assert_eq!(found.output, Ok(json!({"kind": "a"})));
        assert_eq!(found.steps.len(), 2);
        assert!(found.steps[0].prompt[1].content.contains("abc"));
        assert_eq!(found.steps[0].reply.as_deref(), Some("no JSON at all"));
        assert!(found.steps[1].prompt.len() > found.steps[0].prompt.len());
        assert_eq!(found.cost, Some(4.0));
    }

    #[tokio::test]
    async fn a_failure_keeps_its_calls() {
        let found = execution(&["no JSON at all", "nor here"]).await;
        assert!(found.output.is_err());
        assert_eq!(found.steps.len(), 2);
    }
}
