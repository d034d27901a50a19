//! Running a workflow for a case, with all that its steps ask and are replied.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use dspipe_runtime::{Error, Exchange, LocalRunner, Observer, StepReport};
use serde::Serialize;

use crate::price::Prices;
use crate::result::{Execution, StepRecord};

/// Keeps what steps ask and are replied.
#[derive(Debug, Default)]
struct Recorder(Mutex<Vec<StepRecord>>);

impl Observer for Recorder {
    fn step_ended(&self, _: &StepReport, _: Option<&Error>) {}

    fn asked(&self, exchange: &Exchange<'_>) {
        let record = StepRecord {
            step: exchange.step.to_owned(),
            lm: exchange.lm.to_string(),
            prompt: exchange.request.messages.clone(),
            reply: exchange.reply.ok().map(|reply| reply.text.clone()),
            usage: exchange.reply.map(|reply| reply.usage).unwrap_or_default(),
            latency: exchange.latency.as_secs_f64(),
        };
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        records.push(record);
    }
}

/// Runs a workflow, or a step, on a runner, and records its calls: each is a [`StepRecord`], so that a step
/// that had to ask again has two.
///
/// ```no_run
/// # use dspipe_eval::{Execution, Prices, record};
/// # use dspipe_runtime::{LocalRunner, Error};
/// # async fn run_with(runner: &LocalRunner, text: &str) -> Result<String, Error> { todo!() }
/// # async fn example(runner: &LocalRunner, prices: &Prices) -> Execution {
/// record(runner, prices, async |runner| run_with(runner, "hello").await).await
/// # }
/// ```
pub async fn record<T, E>(
    runner: &LocalRunner,
    prices: &Prices,
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
    let steps = std::mem::take(&mut *recorder.0.lock().unwrap_or_else(PoisonError::into_inner));
    Execution {
        output,
        cost: prices.steps(&steps),
        steps,
        latency,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use dspipe_runtime::lm::{BoxFuture, Finish, Lm, LmError, LmName, Reply, Request, Usage};
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
            }],
            outputs: &[],
            output_schema: "{}",
            demos: &[],
            lm: Some("openai/big"),
            temperature: None,
            max_tokens: None,
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
                    output_tokens: 0,
                },
                model: String::new(),
            };
            Box::pin(std::future::ready(Ok(reply)))
        }
    }

    /// As in `Suite::run`, whose future must be `Send`.
    fn boxed<'a>(
        runner: &'a LocalRunner,
        prices: &'a Prices,
        input: &'a Value,
    ) -> BoxFuture<'a, Execution> {
        let run = async |runner: &LocalRunner| runner.step::<Step>(input).await;
        Box::pin(record(runner, prices, run))
    }

    async fn execution(replies: &'static [&'static str]) -> Execution {
        let lm = Scripted("openai/big".parse().unwrap(), AtomicUsize::new(0), replies);
        let runner = LocalRunner::new().with_lms(Lms::new().with(Arc::new(lm)));
        let prices = Prices::parse(&json!({"openai/big": {"input": 2, "output": 1}})).unwrap();
        let input = json!({"text": "abc"});
        boxed(&runner, &prices, &input).await
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
