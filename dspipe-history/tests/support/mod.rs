//! What the tests share: a workflow of two steps, as the compiler would write it, and an LM that answers
//! from a script.

#![allow(dead_code, reason = "each test program uses its part")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use dspipe_history::{History, NewExecution, Settings};
use dspipe_runtime::lm::{BoxFuture, Finish, Lm, Reply, Request, Usage};
use dspipe_runtime::{
    Error, FieldDef, LmError, LmName, Lms, LocalRunner, Read, Reader, Runner, Signature,
    SignatureDef,
};
use serde::Serialize;
use serde_json::json;
use tempfile::TempDir;

pub(crate) fn history(settings: Settings) -> (TempDir, History) {
    let directory = tempfile::tempdir().unwrap();
    let history = History::open(directory.path().join("history.db"), settings).unwrap();
    (directory, history)
}

pub(crate) fn execution(number: u32) -> NewExecution {
    NewExecution {
        workflow: "support".to_owned(),
        step: Some("triage".to_owned()),
        lm: Some("test/scripted".to_owned()),
        inputs: json!({"ticket": format!("ticket {number}")}),
        outputs: Some(json!({"urgency": "low"})),
        ..NewExecution::default()
    }
}

/// An LM that gives these replies, one after the other.
#[derive(Debug)]
pub(crate) struct Scripted {
    name: LmName,
    replies: Mutex<VecDeque<String>>,
    pub(crate) asked: Mutex<Vec<Request>>,
}

impl Scripted {
    pub(crate) fn replies(replies: &[&str]) -> Arc<Self> {
        Arc::new(Self {
            name: "test/scripted".parse().unwrap(),
            replies: Mutex::new(replies.iter().map(|&reply| reply.to_owned()).collect()),
            asked: Mutex::default(),
        })
    }
}

impl Lm for Scripted {
    fn name(&self) -> &LmName {
        &self.name
    }

    fn complete<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Reply, LmError>> {
        self.asked.lock().unwrap().push(request.clone());
        let reply = self.replies.lock().unwrap().pop_front();
        Box::pin(async move {
            let text = reply.ok_or_else(|| LmError::Refused {
                endpoint: "script".to_owned(),
                message: "the script is at its end".to_owned(),
                request_id: None,
            })?;
            Ok(Reply {
                text,
                finish: Finish::Stop,
                usage: Usage {
                    input_tokens: 100,
                    output_tokens: 10,
                    ..Usage::default()
                },
                model: "scripted".to_owned(),
                lm: None,
                request_id: None,
            })
        })
    }
}

pub(crate) fn runner(lm: Arc<Scripted>) -> LocalRunner {
    let name = lm.name().clone();
    LocalRunner::new()
        .with_lms(Lms::new().with(lm))
        .with_lm(name)
}

macro_rules! step {
    ($ty:ident, $step:literal, $input:ident { $ticket:ident }, $output:ident { $field:ident }, $schema:literal) => {
        #[derive(Debug, Serialize)]
        pub(crate) struct $input {
            pub(crate) $ticket: String,
        }

        #[derive(Debug, Serialize)]
        pub(crate) struct $output {
            pub(crate) $field: String,
        }

        impl Read for $output {
            fn read(from: Reader<'_>) -> Option<Self> {
                let mut object = from.object()?;
                let $field = object.required(stringify!($field));
                Some(Self { $field: $field? })
            }
        }

        pub(crate) struct $ty;

        impl Signature for $ty {
            type Input = $input;
            type Output = $output;
            const DEF: &'static SignatureDef = &SignatureDef {
                workflow: "support",
                step: $step,
                source: "support.yaml:4",
                description: "",
                instructions: "Do it.",
                inputs: &[FieldDef {
                    name: stringify!($ticket),
                    ty: "string",
                    description: "",
                    sensitive: false,
                }],
                outputs: &[FieldDef {
                    name: stringify!($field),
                    ty: "string",
                    description: "",
                    sensitive: false,
                }],
                input_schema: "{}",
                output_schema: $schema,
                demos: &[],
                optimized: &[],
                adapter: None,
                lm: None,
                temperature: None,
                max_tokens: None,
                lms: &[],
                checks: &[],
                module: dspipe_runtime::module::ModuleDef::Predict,
            };
        }
    };
}

step!(
    Triage,
    "triage",
    TriageInput { ticket },
    TriageOutput { urgency },
    r#"{"type":"object","properties":{"urgency":{"enum":["low","high","x"]}},"required":["urgency"]}"#
);
step!(
    Answer,
    "answer",
    AnswerInput { urgency },
    AnswerOutput { reply },
    r#"{"type":"object","properties":{"reply":{"type":"string"}},"required":["reply"]}"#
);

pub(crate) async fn triage(runner: &LocalRunner, ticket: &str) -> Result<TriageOutput, Error> {
    let ticket = ticket.to_owned();
    runner.step::<Triage>(&TriageInput { ticket }).await
}

#[derive(Debug, Serialize)]
pub(crate) struct Both {
    triage: TriageOutput,
    answer: AnswerOutput,
}

pub(crate) async fn run_both(runner: &LocalRunner, ticket: &str) -> Result<Both, Error> {
    let triage = triage(runner, ticket).await?;
    let urgency = triage.urgency.clone();
    let answer = runner.step::<Answer>(&AnswerInput { urgency }).await?;
    Ok(Both { triage, answer })
}
