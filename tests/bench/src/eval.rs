//! A hundred thousand cases through the evaluation harness: the memory that takes against a scripted server,
//! and the harness's own time, with a workflow whose runs cost nothing.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use dspipe_eval::harness::{Harness, Settings};
use dspipe_eval::{Case, CaseId, Execution, Gate, Metrics, Suite, WorkflowSuite};
use dspipe_runtime::lm::BoxFuture;
use libtest_mimic::Arguments;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::client::Client;
use crate::server::{Form, Server, When};
use crate::workflows::ticket;
use crate::{Outcome, figure, peak_memory};

/// The argument with which the program evaluates.
pub(crate) const ROLE: &str = "evaluate";

const SUITE: &str = "suite: tickets
workflow: workflows/ticket.yaml
data: data.jsonl
metrics:
  - {name: kind, metric: {at: {path: read.kind, metric: exact}}}
  - {name: urgency, metric: {at: {path: read.urgency, metric: exact}}}
gates: {pass_rate: {min: 0.7}}
";

/// Callers at the same time.
const CONCURRENCY: &str = "64";

pub(crate) fn run(quick: bool) -> Outcome {
    let cases = if quick { 200 } else { 100_000 };
    let server = Server::start(When::After(0))?;
    let url = server.url(Form::Json);
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let count = cases as f64;
    for kind in ["answered", "asked"] {
        let package = package(cases)?;
        let client = Client::of_this(kind, [ROLE, kind])?
            .with("DSPIPE_LIVE", "1")
            .with("DSPIPE_RESUME", "0")
            .with("DSPIPE_CONCURRENCY", CONCURRENCY);
        let printed = client.run(&url, [package.path()])?;
        let last = printed.lines().last().unwrap_or_default();
        let (seconds, memory) = last
            .split_once(' ')
            .ok_or("the evaluation has no figures")?;
        let (seconds, memory): (f64, f64) = (seconds.parse()?, memory.parse()?);
        if kind == "answered" {
            figure("eval.own_time_per_case", seconds / count * 1e6, "us");
        } else {
            figure("eval.peak_memory", memory, "MiB");
            figure("eval.cases_per_second", count / seconds, "cases/s");
        }
    }
    Ok(())
}

/// A package with the workflow, a suite and its cases.
fn package(cases: usize) -> Result<tempfile::TempDir, Box<dyn Error>> {
    let package = tempfile::tempdir()?;
    let workflows = package.path().join("workflows");
    fs::create_dir(&workflows)?;
    let workflow = Path::new(env!("CARGO_MANIFEST_DIR")).join("workflows/ticket.yaml");
    fs::copy(workflow, workflows.join("ticket.yaml"))?;
    fs::write(package.path().join("tickets.eval.yaml"), SUITE)?;
    let mut data = BufWriter::new(File::create(package.path().join("data.jsonl"))?);
    for number in 0..cases {
        let ticket =
            format!("Order {number} was paid twice, and nobody answers. What is to be done?");
        // Three of four are right.
        let kind = ["billing", "billing", "billing", "other"][number % 4];
        let line = json!({"ticket": ticket, "kind": kind, "urgency": 4, "reply": "I am sorry."});
        writeln!(data, "{line}")?;
    }
    data.flush()?;
    Ok(package)
}

/// Evaluates, and prints the seconds and the most memory that took.
pub(crate) fn evaluate(kind: &str) -> Outcome {
    let package = std::env::args().nth(4).ok_or("which package?")?;
    let package = PathBuf::from(package);
    let started = Instant::now();
    let suite = WorkflowSuite::<ticket::Workflow>::open(&package, "tickets.eval.yaml", Vec::new());
    let suite: Arc<dyn Suite> = match kind {
        "asked" => Arc::new(suite),
        _ => Arc::new(Answered::new(suite)?),
    };
    let arguments = Arguments::from_iter(["evals", "--quiet"]);
    let harness = Harness::new(package.join("target")).with(suite);
    let conclusion = harness.run(&arguments, &Settings::from_env()?);
    let seconds = started.elapsed().as_secs_f64();
    if conclusion.has_failed() {
        return Err(format!("{} tests of the suite failed", conclusion.num_failed).into());
    }
    let memory = peak_memory().ok_or("the system does not say how much memory was used")?;
    println!("\n{seconds} {memory}");
    Ok(())
}

/// A suite whose runs cost nothing: all have the same answer, with its prompt and reply.
struct Answered {
    suite: WorkflowSuite<ticket::Workflow>,
    answer: Execution,
}

impl Answered {
    fn new(suite: WorkflowSuite<ticket::Workflow>) -> Result<Self, Box<dyn Error>> {
        let case = suite.case(0)?;
        let answer = Runtime::new()?.block_on(suite.run(&case, 0));
        Ok(Self { suite, answer })
    }
}

impl Suite for Answered {
    fn name(&self) -> &str {
        self.suite.name()
    }

    fn cases(&self) -> Result<Vec<CaseId>, String> {
        self.suite.cases()
    }

    fn case(&self, index: usize) -> Result<Case, String> {
        self.suite.case(index)
    }

    fn run<'a>(&'a self, _: &'a Case, _: u32) -> BoxFuture<'a, Execution> {
        Box::pin(std::future::ready(self.answer.clone()))
    }

    fn metrics(&self) -> &Metrics {
        self.suite.metrics()
    }

    fn gates(&self) -> &[Gate] {
        self.suite.gates()
    }

    fn directory(&self) -> PathBuf {
        self.suite.directory()
    }
}
