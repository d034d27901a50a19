//! Recorded replies: what is asked once need not be asked again, and no secret is written down.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use dspipe_runtime::cassette::{CassetteError, Cassettes, Mode};
use dspipe_runtime::lm::{Api, HttpLm, Message, OutputSchema, Params, Request, Retry};
use dspipe_runtime::{Error, LmError, LmName, Lms, LocalRunner, Secret};
use dspipe_tests::server::{Answer, Server};
use dspipe_tests::workflows::conditions::{self, Inputs};
use tempfile::tempdir;

fn name() -> LmName {
    "scripted/a-model".parse().unwrap()
}

fn lms(url: &str, key: &str) -> Lms {
    let lm = HttpLm::new(
        name(),
        Api::OpenAiChat,
        url,
        Some(Secret::from(key.to_owned())),
    )
    .unwrap();
    Lms::new().with(Arc::new(lm))
}

fn runner(url: &str, directory: &Path, mode: Mode) -> LocalRunner {
    LocalRunner::new()
        .with_lm(name())
        .with_lms(lms(url, "sk-very-secret"))
        .with_retry(Retry::never())
        .with_cassettes(Cassettes::fixed(directory, mode))
}

fn inputs(text: &str) -> Inputs {
    serde_json::from_value(serde_json::json!({"text": text, "hint": null})).unwrap()
}

async fn server() -> Server {
    Server::start(|_, request| {
        Answer::reply(match request.step() {
            "read" => {
                r#"{"kind":"praise","score":1,"count":2,"words":[],"sizes":[],"note":null,"names":{},"urgent":false,"person":null}"#
            }
            "report" => r#"{"summary":"done"}"#,
            _ => r#"{"text":"x","sure":true,"verdict":"good","done":true}"#,
        })
    })
    .await
    .unwrap()
}

fn miss(error: &Error) -> &dspipe_runtime::cassette::Miss {
    match error {
        Error::Lm {
            source: LmError::Cassette(CassetteError::Miss(miss)),
            ..
        } => miss,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn what_was_recorded_needs_no_server() {
    let directory = tempdir().unwrap();
    let server = server().await;
    let live = runner(&server.url(), directory.path(), Mode::New);
    let recorded = conditions::run_with(&live, inputs("Good")).await.unwrap();
    let asked = server.received().len();
    assert!(asked > 0);

    let again = conditions::run_with(&live, inputs("Good")).await.unwrap();
    assert_eq!(again, recorded);
    assert_eq!(server.received().len(), asked, "all of it is recorded");

    let offline = runner("http://127.0.0.1:9/v1", directory.path(), Mode::None);
    let replayed = conditions::run_with(&offline, inputs("Good"))
        .await
        .unwrap();
    assert_eq!(replayed, recorded);

    let anew = runner(&server.url(), directory.path(), Mode::All);
    conditions::run_with(&anew, inputs("Good")).await.unwrap();
    assert_eq!(server.received().len(), 2 * asked, "asked again");
}

#[tokio::test]
async fn a_miss_says_how_the_closest_recording_differs() {
    let directory = tempdir().unwrap();
    let server = server().await;
    let live = runner(&server.url(), directory.path(), Mode::New);
    conditions::run_with(&live, inputs("Good")).await.unwrap();

    let offline = runner(&server.url(), directory.path(), Mode::None);
    let error = conditions::run_with(&offline, inputs("Better"))
        .await
        .unwrap_err();
    let miss = miss(&error);
    let (_, difference) = miss.nearest.as_ref().unwrap();
    assert!(
        difference.contains("- Good") && difference.contains("+ Better"),
        "{difference}"
    );
    assert!(error.to_string().contains("DSPIPE_RECORD=new"), "{error}");
}

#[tokio::test]
async fn once_records_only_into_an_empty_directory() {
    let directory = tempdir().unwrap();
    let server = server().await;
    let first = runner(&server.url(), directory.path(), Mode::Once);
    conditions::run_with(&first, inputs("Good")).await.unwrap();
    conditions::run_with(&first, inputs("Fine")).await.unwrap();
    let asked = server.received().len();

    let second = runner(&server.url(), directory.path(), Mode::Once);
    conditions::run_with(&second, inputs("Good")).await.unwrap();
    let error = conditions::run_with(&second, inputs("New"))
        .await
        .unwrap_err();
    miss(&error);
    assert_eq!(server.received().len(), asked);
}

#[tokio::test]
async fn a_failure_is_not_recorded() {
    let directory = tempdir().unwrap();
    let server = Server::start(|_, _| Answer::failure(500, "oh"))
        .await
        .unwrap();
    let live = runner(&server.url(), directory.path(), Mode::New);
    conditions::run_with(&live, inputs("Good"))
        .await
        .unwrap_err();
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_file_that_is_no_recording_is_named() {
    let directory = tempdir().unwrap();
    let server = server().await;
    let live = runner(&server.url(), directory.path(), Mode::New);
    conditions::run_with(&live, inputs("Good")).await.unwrap();
    for entry in fs::read_dir(directory.path()).unwrap() {
        fs::write(entry.unwrap().path(), "{").unwrap();
    }
    let error = conditions::run_with(&live, inputs("Good"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("is no recording"), "{error}");
}

#[tokio::test]
async fn repetitions_are_recorded_apart_and_unused_ones_are_known() {
    let directory = tempdir().unwrap();
    let server = Server::start(|index, _| Answer::reply(&index.to_string()))
        .await
        .unwrap();
    let request = |repetition| Request {
        messages: vec![Message::user("a number")],
        schema: None::<OutputSchema>,
        params: Params {
            repetition,
            ..Params::default()
        },
    };
    let lms = lms(&server.url(), "sk-very-secret");
    let open = |mode| {
        let cassettes = Cassettes::fixed(directory.path(), mode);
        let lms = lms.clone();
        let lm = cassettes.wrap(name(), move || lms.get(&name()));
        (cassettes, lm)
    };
    let (_, lm) = open(Mode::New);
    for repetition in [0, 1, 0, 1] {
        let reply = lm.complete(&request(repetition)).await.unwrap();
        assert_eq!(reply.text, repetition.to_string());
    }
    let (cassettes, lm) = open(Mode::None);
    lm.complete(&request(1)).await.unwrap();
    assert_eq!(cassettes.unused().unwrap().len(), 1);
    assert_eq!(cassettes.all().unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_asked_twice_at_the_same_time_is_asked_once() {
    let directory = tempdir().unwrap();
    let server = Server::start(|index, _| Answer::reply(&index.to_string()))
        .await
        .unwrap();
    let cassettes = Cassettes::fixed(directory.path(), Mode::New);
    let lms = lms(&server.url(), "sk-very-secret");
    let lm = cassettes.wrap(name(), move || lms.get(&name()));
    let request = Request {
        messages: vec![Message::user("a number")],
        schema: None::<OutputSchema>,
        params: Params::default(),
    };
    let (a, b, c) = tokio::join!(
        lm.complete(&request),
        lm.complete(&request),
        lm.complete(&request)
    );
    let texts = [a, b, c].map(|reply| reply.unwrap().text);
    assert_eq!(texts, ["0", "0", "0"]);
    assert_eq!(server.received().len(), 1);
}

const SECRETS: [(&str, &str); 3] = [
    ("SCRIPTED_API_KEY", "sk-from-the-environment"),
    ("DATABASE_PASSWORD", "hunter2-hunter2"),
    ("SOME_TOKEN", "tok/en+with=signs"),
];

/// Run by the test below, with secrets in its environment.
#[tokio::test]
#[ignore = "a part of another test"]
async fn records_with_secrets_around() {
    let directory = env::var("RECORDINGS").unwrap();
    let server = Server::start(|_, request| {
        // A careless server tells what it was told.
        let said = format!(
            "{} {}",
            request.headers["authorization"],
            request.last_message()
        );
        Answer::reply(&said)
    })
    .await
    .unwrap();
    let (url, key) = (server.url(), env::var("SCRIPTED_API_KEY").unwrap());
    let secret_url = url.replace("http://", "http://user:url-password-here@");
    let cassettes = Cassettes::fixed(&directory, Mode::New);
    let lm = cassettes.wrap(name(), move || lms(&secret_url, &key).get(&name()));
    let text = SECRETS.map(|(_, secret)| secret).join(" and ");
    let request = Request {
        messages: vec![Message::system("Keep it."), Message::user(text)],
        schema: None,
        params: Params::default(),
    };
    lm.complete(&request).await.unwrap();
    // What was recorded is found again in spite of what was taken out of it.
    let offline = Cassettes::fixed(&directory, Mode::None);
    let lm = offline.wrap(name(), || panic!("nobody is asked"));
    lm.complete(&request).await.unwrap();
}

#[test]
fn a_secret_cannot_reach_a_file() {
    let directory = tempdir().unwrap();
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "records_with_secrets_around", "--ignored"])
        .env("RECORDINGS", directory.path())
        .envs(SECRETS)
        .output()
        .unwrap();
    assert!(
        child.status.success(),
        "{}",
        String::from_utf8_lossy(&child.stdout)
    );
    let files: Vec<String> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    assert_eq!(files.len(), 1);
    assert!(files[0].contains("**** and ****"), "{}", files[0]);
    for secret in SECRETS
        .map(|(_, secret)| secret)
        .into_iter()
        .chain(["url-password-here"])
    {
        assert!(!files[0].contains(secret), "{secret}: {}", files[0]);
    }
}
