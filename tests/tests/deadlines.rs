//! How long tries, and all of them together, may take; and that what is given up is closed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::sync::Arc;
use std::time::Duration;

use dspipe_runtime::lm::{Api, HttpLm, Message, Params, Reply, Request, Retry};
use dspipe_runtime::{LmError, LmName, Lms, LocalRunner};
use dspipe_tests::server::{Answer, Server};
use dspipe_tests::workflows::numbers::{self, Inputs};

const SHORT: Duration = Duration::from_millis(300);

const BEGUN: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";

const WHOLE: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\n\
                     data: [DONE]\n\n";

fn name() -> LmName {
    "scripted/small".parse().unwrap()
}

fn lm(server: &Server) -> Arc<HttpLm> {
    Arc::new(HttpLm::new(name(), Api::OpenAiChat, &server.url(), None).unwrap())
}

fn request() -> Request {
    Request {
        messages: vec![Message::user("Hello")],
        schema: None,
        params: Params::default(),
    }
}

fn retry() -> Retry {
    Retry {
        base: Duration::from_millis(1),
        ..Retry::default()
    }
}

/// The first answer is what a test is about; later ones are good.
async fn server(first: Answer) -> Server {
    Server::start(move |nth, received| match (nth, &received.body["stream"]) {
        (0, _) => first.clone(),
        (_, stream) if *stream == true => Answer::events(WHOLE),
        _ => Answer::reply("a"),
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_try_that_is_too_slow_is_closed_and_another_one_made() {
    let retry = Retry {
        attempt_timeout: Some(SHORT),
        ..retry()
    };
    for first in [Answer::Silence, Answer::unended("")] {
        for streams in [false, true] {
            let server = server(first.clone()).await;
            let lm = retry.around(lm(&server));
            let reply = if streams {
                Reply::collect(lm.stream(&request())).await
            } else {
                lm.complete(&request()).await
            };
            assert_eq!(reply.unwrap().text, "a", "{first:?}");
            assert_eq!(server.received().len(), 2, "{first:?}");
            server.gone().await;
        }
    }
}

#[tokio::test]
async fn the_time_of_a_try_ends_with_the_first_part_of_a_stream() {
    let retry = Retry {
        attempt_timeout: Some(SHORT),
        timeout: Some(2 * SHORT),
        ..retry()
    };
    let server = server(Answer::unended(BEGUN)).await;
    let lm = retry.around(lm(&server));
    let error = Reply::collect(lm.stream(&request())).await.unwrap_err();
    let LmError::Deadline { after, .. } = error else {
        panic!("{error:?}");
    };
    // That of all of it: what has begun is not begun again.
    assert_eq!(after, 2 * SHORT);
    assert_eq!(server.received().len(), 1);
    server.gone().await;
}

#[tokio::test]
async fn all_of_it_ends_in_time_and_is_closed() {
    let retry = Retry {
        timeout: Some(SHORT),
        ..retry()
    };
    for streams in [false, true] {
        let server = server(Answer::Silence).await;
        let lm = retry.around(lm(&server));
        let error = if streams {
            Reply::collect(lm.stream(&request())).await.unwrap_err()
        } else {
            lm.complete(&request()).await.unwrap_err()
        };
        assert!(matches!(error, LmError::Deadline { after, .. } if after == SHORT));
        assert!(!error.is_transient() && !error.is_free());
        assert_eq!(server.received().len(), 1);
        server.gone().await;
    }
}

#[tokio::test]
async fn a_step_has_no_more_time_than_its_runner_allows() {
    let server = server(Answer::Silence).await;
    let runner = LocalRunner::new()
        .with_lms(Lms::new().with(lm(&server)))
        .with_retry(Retry {
            timeout: Some(SHORT),
            ..retry()
        });
    let error = numbers::run_with(&runner, Inputs { number: 1 })
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "step `say` of `numbers` has no reply of scripted/small: scripted/small gave no reply within 300ms; allow \
         more time, or use a faster LM"
    );
    server.gone().await;
}
