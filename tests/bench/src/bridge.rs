//! Optimizing: evaluations a second by dspipe's bridge beside plain Python DSPy, with the same optimizer, data,
//! prompts and server; and what a call over the pipe costs.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use dspipe_optimize::Optimization;
use dspipe_optimize::bridge::{
    Bridge, BridgeSettings, Completed, Completion, Evaluate, Example, Field, Fields, Host,
    HostError, Outcome as RunOutcome, Program, Run, RunResult, Runs, Score, Scored, Step, StepCall,
    StepResult,
};
use dspipe_runtime::lm::{Api, BoxFuture, HttpLm};
use dspipe_runtime::{LmName, Lms, LocalRunner};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::client::Client;
use crate::server::{Form, Server, Stretch, When};
use crate::workflows::label;
use crate::{Outcome, figure, median, skipped};

const THREADS: usize = 8;

pub(crate) fn run(quick: bool) -> Outcome {
    // The same environment serves both sides.
    let dspy = match Client::python("dspy", "optimize.py") {
        Ok(client) => client,
        Err(reason) => {
            skipped("bridge", &reason);
            return Ok(());
        }
    };
    let runtime = Runtime::new()?;
    calls(&runtime, quick)?;
    let (rounds, validation, candidates) = if quick { (1, 20, 1) } else { (3, 100, 6) };
    let server = Server::start(When::After(0))?;
    let url = server.url(Form::Label);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let package = package(validation)?;
        server.stretch()?;
        runtime.block_on(optimize(package.path(), &url, candidates))?;
        ours.push(rate(server.stretch()?));
        if quick {
            continue;
        }
        let [train, validation] = ["train", "validation"].map(|name| data(package.path(), name));
        let numbers = [candidates.to_string(), THREADS.to_string()];
        let more = [train.into_os_string(), validation.into_os_string()]
            .into_iter()
            .chain(numbers.map(Into::into));
        dspy.run(&url, more)?;
        theirs.push(rate(server.stretch()?));
    }
    figure(
        "bridge.dspipe_evaluations",
        median(ours.iter().copied()),
        "evaluations/s",
    );
    if quick {
        skipped("bridge.dspy", "it is not in --quick");
        return Ok(());
    }
    figure(
        "bridge.dspy_evaluations",
        median(theirs.iter().copied()),
        "evaluations/s",
    );
    let ratios = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs);
    figure("bridge.evaluations_of_dspy", median(ratios), "x");
    Ok(())
}

/// One request of the LM is one evaluation of a candidate on an example. What comes before and after the search,
/// such as the start of Python, is not counted.
fn rate(stretch: Stretch) -> f64 {
    stretch.requests / stretch.seconds
}

/// A package with the workflow and its examples.
fn package(validation: usize) -> Result<tempfile::TempDir, Box<dyn Error>> {
    let package = tempfile::tempdir()?;
    let workflows = package.path().join("workflows");
    fs::create_dir(&workflows)?;
    let workflow = Path::new(env!("CARGO_MANIFEST_DIR")).join("workflows/label.yaml");
    fs::copy(workflow, workflows.join("label.yaml"))?;
    for (name, count) in [("train", 40), ("validation", validation), ("test", 2)] {
        let lines = (0..count).map(|number| {
            let label = ["R1", "G2", "B3", "X4"][number % 4];
            let text =
                format!("Text {number} of {name}, which says what it says in a sentence or two.");
            format!("{}\n", json!({"text": text, "label": label}))
        });
        fs::write(data(package.path(), name), lines.collect::<String>())?;
    }
    Ok(package)
}

fn data(package: &Path, name: &str) -> std::path::PathBuf {
    package.join(format!("{name}.jsonl"))
}

async fn optimize(package: &Path, url: &str, candidates: usize) -> Outcome {
    let name: LmName = "openai/gpt-5-mini".parse()?;
    let lm = HttpLm::new(name, Api::OpenAiChat, url, None)?;
    let runner = LocalRunner::new().with_lms(Lms::new().with(Arc::new(lm)));
    let settings = format!(
        "{{max_bootstrapped_demos: 2, max_labeled_demos: 4, num_candidate_programs: {candidates}}}"
    );
    Optimization::of::<label::Workflow>(package)
        .optimizers("BootstrapRS", &settings)?
        .runner(runner)
        .train([data(package, "train")])
        .validation([data(package, "validation")])
        .held_out([data(package, "test")])
        .threads(THREADS)
        .fresh(true)
        .run()
        .await?;
    Ok(())
}

/// The pipe alone, and DSPy with a host that answers at once.
fn calls(runtime: &Runtime, quick: bool) -> Outcome {
    let (pings, examples) = if quick { (20, 10) } else { (2_000, 1_000) };
    runtime.block_on(async {
        let bridge = Bridge::start(&BridgeSettings::from_env()?).await?;
        let mut times = Vec::with_capacity(pings);
        for _ in 0..pings {
            let started = Instant::now();
            bridge.ping().await?;
            times.push(started.elapsed().as_secs_f64() * 1e6);
        }
        figure("bridge.call_over_the_pipe", median(times.into_iter()), "us");
        let params = evaluate(examples);
        let started = Instant::now();
        bridge.evaluate(&params, Arc::new(Idle)).await?;
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let each = started.elapsed().as_secs_f64() * 1e6 / examples as f64;
        figure("bridge.evaluation_with_an_idle_host", each, "us");
        bridge.shutdown().await?;
        Ok(())
    })
}

fn fields(value: Value) -> Fields {
    match value {
        Value::Object(fields) => fields,
        _ => Fields::new(),
    }
}

fn evaluate(count: usize) -> Evaluate {
    let field = |name: &str| Field {
        name: name.to_owned(),
        description: String::new(),
        schema: fields(json!({"type": "string"})).into(),
    };
    let examples = (0..count).map(|number| Example {
        id: format!("e{number}"),
        inputs: fields(json!({"text": format!("Text {number}.")})),
        labels: fields(json!({"label": "R1"})),
        steps: indexmap::IndexMap::default(),
    });
    Evaluate {
        job: "idle".to_owned(),
        program: Program {
            name: "label".to_owned(),
            description: String::new(),
            outline: String::new(),
            runs: Runs::Workflow,
            inputs: vec![field("text")],
            steps: vec![Step {
                name: "classify".to_owned(),
                description: String::new(),
                instructions: "Label the text.".to_owned(),
                inputs: vec![field("text")],
                outputs: vec![field("label")],
                demos: Vec::new(),
            }],
        },
        examples: examples.collect(),
        prompts: None,
        threads: u32::try_from(THREADS).ok(),
    }
}

/// Answers at once.
struct Idle;

impl Host for Idle {
    fn run(&self, _: Run) -> BoxFuture<'_, Result<RunResult, HostError>> {
        let outcome = RunOutcome::Outputs(fields(json!({"label": "R1"})));
        let calls = Vec::new();
        Box::pin(std::future::ready(Ok(RunResult { calls, outcome })))
    }

    fn step(&self, _: StepCall) -> BoxFuture<'_, Result<StepResult, HostError>> {
        Box::pin(std::future::ready(Err(not_asked())))
    }

    fn score(&self, _: Score) -> BoxFuture<'_, Result<Scored, HostError>> {
        Box::pin(std::future::ready(Ok(Scored {
            score: 1.0,
            feedback: None,
            objectives: indexmap::IndexMap::default(),
        })))
    }

    fn complete(&self, _: Completion) -> BoxFuture<'_, Result<Completed, HostError>> {
        Box::pin(std::future::ready(Err(not_asked())))
    }
}

fn not_asked() -> HostError {
    HostError::fatal("not_asked", "an evaluation of a workflow does not need it")
}
