//! What is told of runs: spans, prompts and replies, and OpenTelemetry's attributes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::collections::BTreeMap;
use std::env;
use std::fmt::{Debug, Write as _};
use std::io::{self, Write};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dspipe_runtime::lm::{Api, HttpLm, Price, Prices, Retry};
use dspipe_runtime::{Error, LmName, Lms, LocalRunner, PromptLog, Runner, Secret, dspy_signature};
use dspipe_tests::server::{Answer, Server};
use dspipe_tests::workflows::every_thing;
use dspipe_tests::workflows::types::{self, Inputs, Tone, read};
use opentelemetry::trace::{Status, TracerProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

const KEY: &str = "sk-very-secret";

fn name() -> LmName {
    "scripted/a-model".parse().unwrap()
}

fn runner(server: &Server) -> LocalRunner {
    let key = Secret::from(KEY.to_owned());
    let lm = HttpLm::new(name(), Api::OpenAiChat, &server.url(), Some(key)).unwrap();
    let price = Price {
        input: 1.0,
        cached_input: None,
        cache_write: None,
        output: 2.0,
        long: None,
    };
    LocalRunner::new()
        .with_lm(name())
        .with_lms(Lms::new().with(Arc::new(lm)))
        .with_prices(Prices::none().with(&name(), price))
        .with_retry(Retry {
            attempts: 2,
            base: Duration::from_millis(1),
            ..Retry::default()
        })
}

fn inputs() -> Inputs {
    Inputs {
        letter: "Dear all".to_owned(),
        tone: Tone::Plain,
        sender: None,
    }
}

fn reply(step: &str) -> String {
    let reply = match step {
        "read" => json!({
            "outline": {"title": "a title", "parts": []},
            "shapes": ["point"],
            "price": {"amount": 12, "currency": "EUR"},
            "formula": "x",
            "level": 3,
            "dice": 6,
            "agreed": true,
            "mood": "good",
            "id": null,
            "step": 0.5,
            "tags": ["x"],
            "chain": {"value": 1},
        }),
        _ => json!({"text": "the answer"}),
    };
    reply.to_string()
}

/// A span as it was when it ended.
#[derive(Clone, Debug, Default)]
struct Seen {
    name: &'static str,
    parent: Option<u64>,
    fields: BTreeMap<&'static str, String>,
    ended: bool,
}

/// Collects spans and events.
#[derive(Clone, Default)]
struct Spans {
    spans: Arc<Mutex<BTreeMap<u64, Seen>>>,
    events: Arc<Mutex<Vec<String>>>,
}

struct Fields<'a>(&'a mut BTreeMap<&'static str, String>);

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut seen = Seen {
            name: attributes.metadata().name(),
            parent: context
                .span(id)
                .unwrap()
                .parent()
                .map(|span| span.id().into_u64()),
            ..Seen::default()
        };
        attributes.record(&mut Fields(&mut seen.fields));
        self.spans.lock().unwrap().insert(id.into_u64(), seen);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        let mut all = self.spans.lock().unwrap();
        values.record(&mut Fields(
            &mut all.get_mut(&id.into_u64()).unwrap().fields,
        ));
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // Those of other crates are not ours.
        if event.metadata().target().starts_with("dspipe") {
            let mut fields = BTreeMap::new();
            event.record(&mut Fields(&mut fields));
            self.events.lock().unwrap().push(format!("{fields:?}"));
        }
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        self.spans
            .lock()
            .unwrap()
            .get_mut(&id.into_u64())
            .unwrap()
            .ended = true;
    }
}

impl Spans {
    /// Collects what happens on this thread.
    fn collect() -> (Self, DefaultGuard) {
        let spans = Self::default();
        let subscriber = tracing_subscriber::registry().with(spans.clone());
        (spans, tracing::subscriber::set_default(subscriber))
    }

    fn all(&self) -> Vec<Seen> {
        let all: Vec<Seen> = self.spans.lock().unwrap().values().cloned().collect();
        assert!(all.iter().all(|span| span.ended), "{all:?}");
        all
    }

    /// The spans as a tree, each with these of its fields.
    fn tree(&self, fields: &[&str]) -> String {
        self.all();
        let all = self.spans.lock().unwrap().clone();
        let mut tree = String::new();
        branch(&all, None, 0, fields, &mut tree);
        tree
    }
}

fn branch(
    all: &BTreeMap<u64, Seen>,
    parent: Option<u64>,
    depth: usize,
    fields: &[&str],
    tree: &mut String,
) {
    for (id, span) in all.iter().filter(|(_, span)| span.parent == parent) {
        tree.push_str(&"  ".repeat(depth));
        tree.push_str(span.name);
        for field in fields {
            if let Some(value) = span.fields.get(field) {
                write!(tree, " {field}={value}").unwrap();
            }
        }
        tree.push('\n');
        branch(all, Some(*id), depth + 1, fields, tree);
    }
}

const FIGURES: [&str; 11] = [
    "workflow",
    "step",
    "lm",
    "attempt",
    "status",
    "error.type",
    "model",
    "replies",
    "input_tokens",
    "output_tokens",
    "cost",
];

#[tokio::test]
async fn a_run_has_steps_a_step_calls_and_a_call_attempts() {
    let (spans, _guard) = Spans::collect();
    let server = Server::start(|index, request| match index {
        0 => Answer::failure(503, "busy"),
        2 => Answer::reply("{}"),
        _ => Answer::reply(&reply(request.step())),
    });
    let server = server.await.unwrap();
    types::run_with(&runner(&server), inputs()).await.unwrap();
    insta::assert_snapshot!(spans.tree(&FIGURES));
}

#[tokio::test]
async fn failures_are_told_by_their_class() {
    let (spans, _guard) = Spans::collect();
    let server = Server::start(|_, _| Answer::failure(503, "busy"))
        .await
        .unwrap();
    let error = types::run_with(&runner(&server), inputs())
        .await
        .unwrap_err();
    assert_eq!(error.class(), "overloaded");
    insta::assert_snapshot!(spans.tree(&FIGURES));
}

#[tokio::test]
async fn a_stream_has_the_same_spans_also_one_that_is_dropped() {
    let (spans, _guard) = Spans::collect();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let event = |text: &str| {
        let event = json!({"choices": [{"delta": {"content": text}}]});
        format!("data: {event}\n\n")
    };
    let end = json!({
        "model": "m", "choices": [{"delta": {}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 6},
    });
    let whole = format!(
        "{head}{}data: {end}\n\ndata: [DONE]\n\n",
        event(&reply("read"))
    );
    let part = format!("{head}{}", event("{\"level\": 3, "));
    let server = Server::start(move |index, _| match index {
        0 => Answer::failure(503, "busy"),
        1 => Answer::Raw(whole.clone()),
        _ => Answer::Stall(part.clone()),
    });
    let server = server.await.unwrap();
    let runner = runner(&server);
    let input = read::Input {
        letter: "Dear all".to_owned(),
        tone: Tone::Plain,
        sender: None,
    };
    let mut stream = read::stream(&runner, &input);
    while let Some(item) = stream.next().await {
        item.unwrap();
    }
    let mut stream = read::stream(&runner, &input);
    stream.next().await.unwrap().unwrap();
    drop(stream);
    insta::assert_snapshot!(spans.tree(&FIGURES));
}

/// Reads what nobody else should.
#[dspy_signature(lm = "scripted/a-model")]
#[derive(Debug)]
struct Private {
    #[input]
    text: String,
    #[input(sensitive)]
    address: String,
    #[output]
    answer: String,
    #[output]
    mark: Option<u8>,
}

fn private() -> PrivateInput {
    PrivateInput {
        text: "a plain text".to_owned(),
        address: "12 Hidden Road".to_owned(),
    }
}

#[tokio::test]
async fn spans_have_no_content_unless_it_is_asked_for() {
    let server = Server::start(|index, _| match index % 3 {
        0 => Answer::failure(503, "a server's words"),
        1 => Answer::reply(r#"{"answer": "no", "mark": "Quoted Lane"}"#),
        _ => Answer::reply(r#"{'answer': "fine words"}"#),
    });
    let server = server.await.unwrap();
    let content = async |runner: LocalRunner| {
        let (spans, _guard) = Spans::collect();
        runner.step::<Private>(&private()).await.unwrap();
        let fields = spans.all().into_iter().flat_map(|span| span.fields);
        let mut values: Vec<String> = fields.map(|(_, value)| value).collect();
        values.append(&mut spans.events.lock().unwrap());
        values.join("\n")
    };
    let without = content(runner(&server)).await;
    assert!(without.contains("asking once more"), "{without}");
    for text in [
        "plain text",
        "Hidden Road",
        "Quoted Lane",
        "fine words",
        "server's words",
        KEY,
    ] {
        assert!(!without.contains(text), "{text}: {without}");
    }
    let with = content(runner(&server).with_otel_content(true)).await;
    for text in ["plain text", "fine words"] {
        assert!(with.contains(text), "{text}: {with}");
    }
    for text in ["Hidden Road", KEY] {
        assert!(!with.contains(text), "{text}: {with}");
    }
}

/// What was written, by all clones together.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn prompts_and_replies_are_written_without_what_is_sensitive() {
    let server = Server::start(|index, _| match index {
        0 => Answer::reply(r#"{"answers": []}"#),
        1 => Answer::reply(r#"{"answer": "the reply"}"#),
        _ => Answer::failure(401, "no"),
    });
    let server = server.await.unwrap();
    let written = Written::default();
    let runner = runner(&server).with_observer(Arc::new(PromptLog::new(written.clone())));
    runner.step::<Private>(&private()).await.unwrap();
    runner.step::<Private>(&private()).await.unwrap_err();
    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    assert!(
        !text.contains("Hidden Road") && !text.contains(KEY),
        "{text}"
    );
    // Times and ports differ.
    let mut shown = String::new();
    for line in text.lines() {
        match line.split_once(" after ") {
            Some((before, after)) => {
                let after = after.split_once(" s").unwrap().1;
                writeln!(shown, "{before} after … s{after}").unwrap();
            }
            None => writeln!(shown, "{}", line.replace(&server.url(), "URL")).unwrap(),
        }
    }
    insta::assert_snapshot!(shown);
}

/// Run by the test below, in a process with the variables.
#[tokio::test]
#[ignore = "run by another test"]
async fn asks_with_the_variables_set() {
    let server = Server::start(|_, _| Answer::reply(r#"{"answer": "token-of-the-environment"}"#));
    let server = server.await.unwrap();
    match runner(&server).step::<Private>(&private()).await {
        Ok(output) => assert_eq!(output.answer, "token-of-the-environment"),
        Err(error @ Error::Lm { .. }) => eprintln!("failed: {error}"),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn dspipe_log_has_every_runner_write_prompts_without_secrets() {
    let stderr = |log: &str| {
        let child = Command::new(env::current_exe().unwrap())
            .args([
                "--exact",
                "asks_with_the_variables_set",
                "--ignored",
                "--nocapture",
            ])
            .env("DSPIPE_LOG", log)
            .env("SOME_API_KEY", "token-of-the-environment")
            .output()
            .unwrap();
        assert!(
            child.status.success(),
            "{}",
            String::from_utf8_lossy(&child.stderr)
        );
        String::from_utf8(child.stderr).unwrap()
    };
    let text = stderr("prompts");
    assert!(
        text.contains("asks scripted/a-model =====\n--- system\n"),
        "{text}"
    );
    assert!(
        text.contains("a plain text") && text.contains(r#"{"answer": "****"}"#),
        "{text}"
    );
    assert!(!text.contains("token-of-the-environment"), "{text}");
    assert!(!stderr("").contains("a plain text"));
    let text = stderr("everything");
    assert!(
        text.contains("DSPIPE_LOG cannot be used: `everything`"),
        "{text}"
    );
}

fn attribute(span: &SpanData, key: &str) -> Option<Value> {
    let mut all = span.attributes.iter();
    let found = all.find(|attribute| attribute.key.as_str() == key)?;
    Some(match &found.value {
        opentelemetry::Value::Bool(value) => json!(value),
        opentelemetry::Value::I64(value) => json!(value),
        opentelemetry::Value::F64(value) => json!(value),
        other => json!(other.as_str()),
    })
}

/// The spans that OpenTelemetry's exporter is given for a step.
async fn exported(runner: &LocalRunner) -> Vec<SpanData> {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let _ = runner.step::<Private>(&private()).await;
    drop(guard);
    provider.force_flush().unwrap();
    exporter.get_finished_spans().unwrap()
}

#[tokio::test]
async fn calls_are_exported_by_the_conventions_for_generative_ai() {
    let server = Server::start(|_, _| Answer::reply(r#"{"answer": "the reply"}"#));
    let server = server.await.unwrap();
    let spans = exported(&runner(&server).with_otel_content(true)).await;
    let span = spans
        .iter()
        .find(|span| span.name == "chat a-model")
        .unwrap();
    assert_eq!(span.span_kind, opentelemetry::trace::SpanKind::Client);
    assert_eq!(span.status, Status::Unset);
    let step = spans.iter().find(|span| span.name == "step").unwrap();
    assert_eq!(span.parent_span_id, step.span_context.span_id());
    let keys = [
        "gen_ai.operation.name",
        "gen_ai.provider.name",
        "gen_ai.request.model",
        "gen_ai.response.model",
        "gen_ai.response.finish_reasons",
        "gen_ai.output.type",
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.request.temperature",
        "cost",
        "error.type",
    ];
    let shown: BTreeMap<&str, Option<Value>> = keys
        .iter()
        .map(|key| (*key, attribute(span, key)))
        .collect();
    insta::assert_json_snapshot!(shown);
    let json = |key: &str| -> Value {
        serde_json::from_str(attribute(span, key).unwrap().as_str().unwrap()).unwrap()
    };
    let output = json!([{
        "role": "assistant", "finish_reason": "stop",
        "parts": [{"type": "text", "content": "{\"answer\": \"the reply\"}"}],
    }]);
    assert_eq!(json("gen_ai.output.messages"), output);
    let input = json("gen_ai.input.messages");
    assert_eq!(
        (&input[0]["role"], input.as_array().unwrap().len()),
        (&json!("user"), 1)
    );
    assert!(
        input[0]["parts"][0]["content"]
            .as_str()
            .unwrap()
            .contains("a plain text")
    );
    assert_eq!(json("gen_ai.system_instructions")[0]["type"], "text");

    let spans = exported(&runner(&server)).await;
    let all = format!("{spans:?}");
    assert!(
        !all.contains("a plain text") && !all.contains("the reply"),
        "{all}"
    );
}

#[tokio::test]
async fn failed_calls_are_exported_as_failed() {
    let server = Server::start(|_, _| Answer::failure(429, "slow down"))
        .await
        .unwrap();
    let spans = exported(&runner(&server)).await;
    let names: Vec<&str> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["attempt", "attempt", "chat a-model", "step"]);
    for span in &spans {
        assert!(matches!(span.status, Status::Error { .. }), "{span:?}");
        assert_eq!(attribute(span, "error.type"), Some(json!("rate_limited")));
    }
}

#[tokio::test]
async fn spans_leave_the_future_of_a_workflow_small() {
    let server = Server::start(|_, _| Answer::Silence).await.unwrap();
    let runner = runner(&server);
    let inputs = every_thing::Inputs {
        self_: String::new(),
        r#type: every_thing::r#match::Type::AC,
        ratio: 0.5,
        hint: None,
    };
    let size = size_of_val(&every_thing::run_with(&runner, inputs));
    assert!(size < 4_096, "{size}");
}
