//! A hundred thousand cases through the evaluation harness: the memory that takes against a scripted server, of a suite
//! in a file and of one that reads its cases as they run; the harness's own time, with a workflow whose runs cost
//! nothing; and what it takes to check the suite, as each build does.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use dspipe_eval::harness::{Harness, Settings};
use dspipe_eval::metric::Registry;
use dspipe_eval::{Case, CaseId, Execution, FileSuite, Gate, Metrics, Suite, record};
use dspipe_runtime::LocalRunner;
use dspipe_runtime::lm::BoxFuture;
use libtest_mimic::Arguments;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::client::Client;
use crate::server::{Form, Server, When};
use crate::workflows::ticket;
use crate::{Outcome, figure, peak_memory};

/// The argument with which the program evaluates.
pub(crate) const ROLE: &str = "evaluate";

/// Cases at the same time.
const CONCURRENCY: &str = "64";

pub(crate) fn run(quick: bool) -> Outcome {
    let cases = if quick { 200 } else { 100_000 };
    let server = Server::start(When::After(0))?;
    let url = server.url(Form::Json);
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let count = cases as f64;
    for kind in ["answered", "asked", "file", "check"] {
        let directory = tempfile::tempdir()?;
        write(directory.path(), cases)?;
        let client = Client::of_this(kind, [ROLE, kind])?
            .with("DSPIPE_LIVE", "1")
            .with("DSPIPE_RESUME", "0")
            .with("DSPIPE_CONCURRENCY", CONCURRENCY);
        let printed = client.run(&url, [directory.path()])?;
        let last = printed.lines().last().unwrap_or_default();
        let (seconds, memory) = last
            .split_once(' ')
            .ok_or("the evaluation has no figures")?;
        let (seconds, memory): (f64, f64) = (seconds.parse()?, memory.parse()?);
        match kind {
            "answered" => figure("eval.own_time_per_case", seconds / count * 1e6, "us"),
            "asked" => {
                figure("eval.peak_memory", memory, "MiB");
                figure("eval.cases_per_second", count / seconds, "cases/s");
            }
            "file" => {
                figure("eval.file_peak_memory", memory, "MiB");
                figure("eval.file_cases_per_second", count / seconds, "cases/s");
            }
            _ => {
                figure("eval.check_peak_memory", memory, "MiB");
                figure("eval.checked_cases_per_second", count / seconds, "cases/s");
            }
        }
    }
    Ok(())
}

const DATA: &str = "data.jsonl";

const FILE: &str = "tickets.eval.yaml";

/// The file of the same suite.
const SUITE: &str = "suite: tickets
workflow: workflows/ticket.yaml
data: data.jsonl
metrics:
  - {name: kind, metric: {at: {path: read.kind, metric: exact}}}
  - {name: urgency, metric: {at: {path: read.urgency, metric: exact}}}
gates: {pass_rate: {min: 0.7}}
";

/// Writes a package with the workflow, the data and the suite.
fn write(package: &Path, cases: usize) -> Outcome {
    let workflow = "workflows/ticket.yaml";
    fs::create_dir(package.join("workflows"))?;
    fs::copy(
        Path::new(env!("CARGO_MANIFEST_DIR")).join(workflow),
        package.join(workflow),
    )?;
    fs::write(package.join(FILE), SUITE)?;
    let mut data = BufWriter::new(File::create(package.join(DATA))?);
    for number in 0..cases {
        let ticket =
            format!("Order {number} was paid twice, and nobody answers. What is to be done?");
        // Three of four are right.
        let kind = ["billing", "billing", "billing", "other"][number % 4];
        let read = json!({"kind": kind, "urgency": 4});
        let line = json!({"input": {"ticket": ticket}, "expected": {"read": read}});
        writeln!(data, "{line}")?;
    }
    Ok(data.flush()?)
}

/// Evaluates, and prints the seconds and the most memory that took.
pub(crate) fn evaluate(kind: &str) -> Outcome {
    let directory = std::env::args().nth(4).ok_or("which directory?")?;
    let directory = PathBuf::from(directory);
    let started = Instant::now();
    match kind {
        "check" => {
            let mut cases = 0_usize;
            dspipe_build::Suite::read(&directory, FILE.as_ref(), &mut |_| cases += 1)?;
            if cases == 0 {
                return Err("the suite has no cases".into());
            }
        }
        "file" => {
            let metrics = Vec::new();
            let suite = FileSuite::of_workflow::<ticket::Workflow>(&directory, FILE, metrics);
            run_suite(&directory, Arc::new(suite))?;
        }
        _ => {
            let mut suite = Tickets::open(&directory)?;
            if kind == "answered" {
                let case = suite.case(0)?;
                suite.answer = Some(Runtime::new()?.block_on(suite.run(&case, 0)));
            }
            run_suite(&directory, Arc::new(suite))?;
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let memory = peak_memory().ok_or("the system does not say how much memory was used")?;
    println!("\n{seconds} {memory}");
    Ok(())
}

fn run_suite(directory: &Path, suite: Arc<dyn Suite>) -> Outcome {
    let arguments = Arguments::from_iter(["evals", "--quiet"]);
    let harness = Harness::new(directory.join("target")).with(suite);
    let conclusion = harness.run(&arguments, &Settings::from_env()?);
    if conclusion.has_failed() {
        return Err(format!("{} tests of the suite failed", conclusion.num_failed).into());
    }
    Ok(())
}

/// The workflow on cases that are read when they are run.
struct Tickets {
    directory: PathBuf,
    data: Mutex<File>,
    /// Where each line begins, and where the last one ends.
    lines: Vec<u64>,
    runner: LocalRunner,
    metrics: Metrics,
    gates: Vec<Gate>,
    /// What every case is answered; the workflow is run without it.
    answer: Option<Execution>,
}

impl Tickets {
    fn open(directory: &Path) -> Result<Self, Box<dyn Error>> {
        let text = fs::read(directory.join(DATA))?;
        let mut lines = vec![0];
        for (at, byte) in (1..).zip(text) {
            if byte == b'\n' {
                lines.push(at);
            }
        }
        let runner = LocalRunner::from_env();
        let of = |field: &str| json!({"name": field, "metric": {"at": {"path": format!("read.{field}"), "metric": "exact"}}});
        let declared = json!([of("kind"), of("urgency")]);
        let metrics = Metrics::parse(&declared, &Registry::new(runner.clone()))?;
        let gates = Gate::parse(&json!({"pass_rate": {"min": 0.7}}), &metrics, 1)?;
        Ok(Self {
            directory: directory.to_owned(),
            data: Mutex::new(File::open(directory.join(DATA))?),
            lines,
            runner,
            metrics,
            gates,
            answer: None,
        })
    }

    fn line(&self, index: usize) -> Result<Value, Box<dyn Error>> {
        let [begin, end] = self.lines[index..=index + 1] else {
            return Err("a line has a beginning and an end".into());
        };
        let mut line = vec![0; usize::try_from(end - begin)?];
        let mut data = self.data.lock().unwrap_or_else(PoisonError::into_inner);
        data.seek(SeekFrom::Start(begin))?;
        data.read_exact(&mut line)?;
        drop(data);
        Ok(serde_json::from_slice(&line)?)
    }
}

fn id(index: usize) -> Result<CaseId, String> {
    let id = format!("ticket-{index}").parse();
    id.map_err(|error: dspipe_eval::NoCaseId| error.to_string())
}

impl Suite for Tickets {
    fn name(&self) -> &'static str {
        "tickets"
    }

    fn cases(&self) -> Result<Vec<CaseId>, String> {
        (0..self.lines.len() - 1).map(id).collect()
    }

    fn case(&self, index: usize) -> Result<Case, String> {
        let mut line = self.line(index).map_err(|error| error.to_string())?;
        Ok(Case {
            id: id(index)?,
            input: line["input"].take(),
            expected: Some(line["expected"].take()),
        })
    }

    fn run<'a>(&'a self, case: &'a Case, _: u32) -> BoxFuture<'a, Execution> {
        if let Some(answer) = &self.answer {
            return Box::pin(std::future::ready(answer.clone()));
        }
        let ticket = case.input["ticket"].as_str().unwrap_or_default();
        let inputs = ticket::Inputs {
            ticket: ticket.to_owned(),
        };
        let run = async |runner: &LocalRunner| ticket::run_with(runner, inputs).await;
        Box::pin(record(&self.runner, run))
    }

    fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn gates(&self) -> &[Gate] {
        &self.gates
    }

    fn directory(&self) -> PathBuf {
        self.directory.clone()
    }
}
