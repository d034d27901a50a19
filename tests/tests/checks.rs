//! Checks and asserts of a workflow file, evaluated on replies.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::sync::Arc;

use dspipe_runtime::lm::{Api, HttpLm, Retry};
use dspipe_runtime::{Error, Lms, LocalRunner, ReadError, Trace};
use dspipe_tests::server::{Answer, Server};
use dspipe_tests::workflows::checks::{self, count, write};

async fn server(replies: &'static [&'static str]) -> Server {
    Server::start(move |nth, _| Answer::reply(replies[nth.min(replies.len() - 1)]))
        .await
        .unwrap()
}

fn runner(server: &Server) -> (LocalRunner, Arc<Trace>) {
    let name: dspipe_runtime::LmName = "scripted/m".parse().unwrap();
    let lm = HttpLm::new(name.clone(), Api::OpenAiChat, &server.url(), None).unwrap();
    let trace = Arc::new(Trace::default());
    let runner = LocalRunner::new()
        .with_lms(Lms::new().with(Arc::new(lm)))
        .with_lm(name)
        .with_retry(Retry::never())
        .with_observer(trace.clone());
    (runner, trace)
}

fn input() -> write::Input {
    write::Input {
        word: "sea".to_owned(),
    }
}

const GOOD: &str =
    r#"{"title":"The Sea","kind":"song","score":0.9,"note":null,"author":{"name":"Ann"}}"#;
const LONG: &str =
    r#"{"title":"The Sea and I","kind":"song","score":0.9,"note":null,"author":{"name":"Ann"}}"#;
const WEAK_POEM: &str =
    r#"{"title":"The Seagull","kind":"poem","score":0.1,"note":null,"author":{"name":"Ann"}}"#;
const ODD: &str =
    r#"{"title":"Rain","kind":"song","score":0.1,"note":"x","author":{"name":"ann"}}"#;

#[tokio::test]
async fn what_holds_is_not_mentioned() {
    let server = server(&[GOOD]).await;
    let (runner, trace) = runner(&server);
    checks::write(&runner, &input()).await.unwrap();
    assert_eq!(trace.reports()[0].checks, []);
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn a_check_that_does_not_hold_is_reported_and_the_output_given() {
    let server = server(&[ODD]).await;
    let (runner, trace) = runner(&server);
    let output = checks::write(&runner, &input()).await.unwrap();
    assert_eq!(output.title, "Rain");
    assert_eq!(server.received().len(), 1);
    let reports = trace.reports();
    let failed: Vec<(&str, &str)> = reports[0]
        .checks
        .iter()
        .map(|check| (check.name, check.expression))
        .collect();
    let contains = "outputs.title | lower | contains(inputs.word)";
    let matches = "outputs.note == null or outputs.author.name matches '^[A-Z]'";
    assert_eq!(
        failed,
        [
            ("rated", "outputs.score >= 0.25"),
            (contains, contains),
            (matches, matches),
        ]
    );
    let table = trace.table();
    assert!(table.contains("checks failed: rated, "), "{table}");
}

#[tokio::test]
async fn a_check_may_look_at_inputs_only() {
    for (limit, failed) in [(3, 1), (4, 0)] {
        let server = server(&[r#"{"sum":1}"#]).await;
        let (runner, trace) = runner(&server);
        checks::count(&runner, &count::Input { limit })
            .await
            .unwrap();
        assert_eq!(trace.reports()[0].checks.len(), failed);
    }
}

#[tokio::test]
async fn an_assert_that_does_not_hold_is_told_to_the_lm() {
    let server = server(&[LONG, GOOD]).await;
    let (runner, trace) = runner(&server);
    let output = checks::write(&runner, &input()).await.unwrap();
    assert_eq!(output.title, "The Sea");
    assert_eq!(trace.reports()[0].replies, 2);
    let received = server.received();
    assert_eq!(received.len(), 2);
    let told = received[1].last_message();
    let line =
        "- short: `length(outputs.title) <= global_vars.longest` must hold: Titles are short.\n";
    assert!(told.contains(line), "{told}");
    assert!(!told.contains("poem"), "{told}");
}

#[tokio::test]
async fn asserts_that_do_not_hold_twice_are_an_error_with_all_of_them_and_the_reply() {
    let server = server(&[LONG, WEAK_POEM]).await;
    let (runner, trace) = runner(&server);
    let error = checks::write(&runner, &input()).await.unwrap_err();
    let Error::Reply {
        source: ReadError::Asserts(failed),
        raw,
        ..
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!(raw, WEAK_POEM);
    let names: Vec<&str> = failed.iter().map(|failed| failed.name).collect();
    assert_eq!(
        names,
        ["short", "outputs.kind != 'poem' or outputs.score > 0.5"]
    );
    assert!(error.to_string().contains("Titles are short."), "{error}");
    assert!(!trace.reports()[0].succeeded);
    assert_eq!(trace.reports()[0].checks, []);
}

#[test]
fn the_definition_of_a_step_has_its_checks() {
    let kinds: Vec<bool> = write::SIGNATURE
        .checks
        .iter()
        .map(|c| c.is_assert)
        .collect();
    assert_eq!(kinds, [true, true, false, false, false]);
    assert_eq!(count::SIGNATURE.checks[0].expression, "inputs.limit > 3");
}
