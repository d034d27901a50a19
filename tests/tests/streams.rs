//! Outputs of steps while they come, from a scripted server.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use dspipe_runtime::cassette::{Cassettes, Mode};
use dspipe_runtime::lm::{Api, HttpLm, Money, Price, Prices, Retry};
use dspipe_runtime::stream::OutputStream;
use dspipe_runtime::{Error, LmError, LmName, Lms, LocalRunner, Secret, Streamed, Trace};
use dspipe_tests::server::{Answer, Server};
use dspipe_tests::workflows::odd_streams::draft;
use dspipe_tests::workflows::prompts;
use dspipe_tests::workflows::types::read::{self, Input, Mood, Output, PartialOutput};
use dspipe_tests::workflows::types::{Shape, Tone};
use serde_json::{Value, json};
use tempfile::tempdir;

fn name() -> LmName {
    "scripted/a-model".parse().unwrap()
}

fn runner(server: &Server) -> LocalRunner {
    let key = Secret::from("sk-very-secret".to_owned());
    let lm = HttpLm::new(name(), Api::OpenAiChat, &server.url(), Some(key)).unwrap();
    LocalRunner::new()
        .with_lm(name())
        .with_lms(Lms::new().with(Arc::new(lm)))
        .with_retry(Retry {
            base: Duration::from_millis(1),
            ..Retry::default()
        })
}

fn input() -> Input {
    Input {
        letter: "Dear all".to_owned(),
        tone: Tone::Plain,
        sender: None,
    }
}

fn reply() -> Value {
    json!({
        "outline": {"title": "a \"é\" 😀", "parts": [{"title": "b", "parts": []}]},
        "shapes": [{"kind": "circle", "radius": 1.0}, "point"],
        "price": {"amount": 1234, "currency": "EUR"},
        "formula": {"plus": [1.0, "x"]},
        "level": 3,
        "dice": 6,
        "agreed": true,
        "mood": "good",
        "id": null,
        "step": 0.5,
        "tags": ["x", "yz"],
        "chain": {"value": 1, "next": {"value": 2}},
    })
}

/// The events of OpenAI chat for a reply in these parts.
fn parts<'t>(texts: impl IntoIterator<Item = &'t str>) -> String {
    let event = |text: &str| {
        let event = json!({"model": "m", "choices": [{"delta": {"content": text}}]});
        format!("data: {event}\n\n")
    };
    texts.into_iter().map(event).collect()
}

fn whole<'t>(texts: impl IntoIterator<Item = &'t str>, finish: &str) -> String {
    let end = json!({
        "model": "m", "choices": [{"delta": {}, "finish_reason": finish}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7},
    });
    format!("{}data: {end}\n\ndata: [DONE]\n\n", parts(texts))
}

/// A text, split behind every character.
fn split(text: &str) -> Vec<&str> {
    text.split_inclusive(|_| true).collect()
}

/// Everything that a stream gives.
#[derive(Debug, Default)]
struct Seen {
    partials: Vec<PartialOutput>,
    /// How many partial outputs there were before each restart.
    restarts: Vec<usize>,
    end: Option<Result<Output, Error>>,
}

async fn seen(mut stream: OutputStream<read::Step>) -> Seen {
    let mut seen = Seen::default();
    while let Some(item) = stream.next().await {
        assert!(seen.end.is_none(), "an item after the last one");
        match item {
            Ok(Streamed::Partial(partial)) => seen.partials.push((*partial).clone()),
            Ok(Streamed::Restarted) => seen.restarts.push(seen.partials.len()),
            Ok(Streamed::Done(output)) => seen.end = Some(Ok(output)),
            Err(error) => seen.end = Some(Err(error)),
        }
    }
    assert!(stream.next().await.is_none());
    seen
}

async fn seen_of(answers: Vec<Answer>) -> (Seen, Server) {
    let server = Server::start(move |index, _| answers[index].clone());
    let server = server.await.unwrap();
    let seen = seen(read::stream(&runner(&server), &input())).await;
    (seen, server)
}

#[tokio::test]
async fn a_typed_output_grows_until_it_is_whole() {
    let text = reply().to_string();
    let (seen, _) = seen_of(vec![Answer::events(&whole(split(&text), "stop"))]).await;
    let output = seen.end.unwrap().unwrap();
    let expected: Output = serde_json::from_value(reply()).unwrap();
    assert_eq!(output, expected);

    let titles: Vec<String> = seen
        .partials
        .iter()
        .filter_map(|partial| partial.outline.as_ref()?.title.clone())
        .collect();
    for title in &titles {
        assert!(output.outline.title.starts_with(title.as_str()), "{title}");
    }
    assert!(titles.contains(&"a \"é".to_owned()), "{titles:?}");
    for partial in &seen.partials {
        assert!(matches!(partial.mood, None | Some(Mood::Good)));
        let amount = partial.price.as_ref().and_then(|price| price.amount);
        assert!(matches!(amount, None | Some(1234)));
        if let Some([shape, ..]) = partial.shapes.as_deref() {
            assert!(matches!(shape, Shape::Circle(circle) if circle.radius > 0.9));
        }
    }
    let tags = |tags: &[&str]| Some(tags.iter().map(|&tag| tag.to_owned()).collect::<Vec<_>>());
    assert!(
        seen.partials
            .iter()
            .any(|partial| partial.tags == tags(&["x", "y"]))
    );
    let last = seen.partials.last().unwrap();
    // What is null, or has only a default, is not there.
    let mut shown = serde_json::to_value(last).unwrap();
    shown["outline"]["parts"][0]
        .as_object_mut()
        .unwrap()
        .remove("by_name");
    shown["outline"].as_object_mut().unwrap().remove("by_name");
    shown["chain"].as_object_mut().unwrap().remove("inner");
    let next = shown["chain"]["next"].as_object_mut().unwrap();
    next.retain(|_, value| !value.is_null());
    let mut expected = reply();
    expected["formula"]["negated"] = json!(false);
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn bytes_may_be_split_anywhere() {
    let text = reply().to_string();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let events = whole(split(&text), "stop");
    let (trickled, _) = seen_of(vec![Answer::Trickle(format!("{head}{events}"))]).await;
    let (at_once, _) = seen_of(vec![Answer::events(&events)]).await;
    assert_eq!(trickled.partials, at_once.partials);
    assert_eq!(
        trickled.end.unwrap().unwrap(),
        at_once.end.unwrap().unwrap()
    );
}

#[tokio::test]
async fn what_needs_repair_is_in_the_output_at_the_end() {
    let text = format!(
        "Sure!\n```json\n{}\n```",
        reply().to_string().replace("\"good\"", "GOOD")
    );
    let (seen, _) = seen_of(vec![Answer::events(&whole(split(&text), "stop"))]).await;
    assert_eq!(seen.end.unwrap().unwrap().mood, Mood::Good);
    let last = seen.partials.last().unwrap();
    assert_eq!(
        (last.agreed, last.mood, last.step),
        (Some(true), None, None)
    );
}

#[tokio::test]
async fn an_unreadable_reply_starts_it_again() {
    let bad = json!({"level": 3, "dice": 9}).to_string();
    let good = reply().to_string();
    let (seen, server) = seen_of(vec![
        Answer::events(&whole([&*bad], "stop")),
        Answer::events(&whole([&*good], "stop")),
    ])
    .await;
    assert_eq!(seen.restarts, [1]);
    assert_eq!(seen.partials[0].level, Some(3));
    assert_eq!(seen.partials[1].dice, Some(6));
    assert_eq!(seen.end.unwrap().unwrap().dice, 6);
    let asked = server.received()[1].last_message().to_owned();
    assert!(asked.contains("dice"), "{asked}");

    let (seen, _) = seen_of(vec![Answer::events(&whole([&*bad], "stop")); 2]).await;
    assert_eq!(seen.restarts, [1]);
    assert!(matches!(seen.end, Some(Err(Error::Reply { raw, .. })) if raw == bad));
}

#[tokio::test]
async fn what_goes_wrong_in_the_middle_is_the_last_item() {
    type Expected = fn(&LmError) -> bool;
    let text = reply().to_string();
    let half = parts([&text[..40]]);
    let error = json!({"error": {"message": "busy", "code": 429}});
    let cases: Vec<(String, Expected)> = vec![
        (half.clone(), |e| matches!(e, LmError::Interrupted { .. })),
        (format!("{half}data: {error}\n\n"), |e| {
            matches!(e, LmError::RateLimited { .. })
        }),
        (whole([&text[..40]], "length"), |e| {
            matches!(e, LmError::Truncated { .. })
        }),
    ];
    for (events, is_expected) in cases {
        let (seen, server) = seen_of(vec![Answer::events(&events)]).await;
        assert_eq!(seen.partials.len(), 1, "{events}");
        match seen.end {
            Some(Err(Error::Lm { source, .. })) => assert!(is_expected(&source), "{source}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(
            server.received().len(),
            1,
            "a stream that has begun is not begun again"
        );
    }
}

#[tokio::test]
async fn a_stream_that_has_not_begun_is_tried_again() {
    let text = reply().to_string();
    let (seen, server) = seen_of(vec![
        Answer::failure(503, "busy"),
        Answer::events(&whole([&*text], "stop")),
    ])
    .await;
    assert!(seen.end.unwrap().is_ok());
    assert!(seen.restarts.is_empty());
    assert_eq!(server.received().len(), 2);
}

#[tokio::test]
async fn partial_outputs_come_before_the_reply_is_whole_and_dropping_the_stream_closes_the_connection()
 {
    let answer = Answer::unended(&parts(["{\"level\": 3, "]));
    let server = Server::start(move |_, _| answer.clone()).await.unwrap();
    let mut stream = read::stream(&runner(&server), &input());
    match stream.next().await {
        Some(Ok(Streamed::Partial(partial))) => assert_eq!(partial.level, Some(3)),
        other => panic!("{other:?}"),
    }
    let pending = poll_fn(|cx| Poll::Ready(std::pin::pin!(stream.next()).poll(cx).is_pending()));
    assert!(pending.await);
    drop(stream);
    server.gone().await;
}

#[tokio::test]
async fn nothing_is_sent_before_the_stream_is_polled() {
    let server = Server::start(|_, _| Answer::Silence).await.unwrap();
    let stream = read::stream(&runner(&server), &input());
    tokio::task::yield_now().await;
    drop(stream);
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn a_partial_output_that_is_kept_does_not_change() {
    let text = reply().to_string();
    let answer = Answer::events(&whole(split(&text), "stop"));
    let server = Server::start(move |_, _| answer.clone()).await.unwrap();
    let mut stream = read::stream(&runner(&server), &input());
    let mut kept = Vec::new();
    while let Some(item) = stream.next().await {
        if let Streamed::Partial(partial) = item.unwrap() {
            kept.push((PartialOutput::clone(&partial), partial));
        }
    }
    assert!(kept.len() > 20);
    assert!(kept.iter().all(|(then, now)| *then == **now));
}

#[tokio::test]
async fn observers_are_told_as_of_any_step() {
    let bad = "{}".to_owned();
    let good = reply().to_string();
    let server = Server::start(move |index, _| {
        let text = if index == 0 { &bad } else { &good };
        Answer::events(&whole([&**text], "stop"))
    });
    let server = server.await.unwrap();
    let trace = Arc::new(Trace::default());
    let price = Price {
        input: 1.0,
        cached_input: None,
        cache_write: None,
        output: 2.0,
        long: None,
    };
    let runner = runner(&server)
        .with_observer(trace.clone())
        .with_prices(Prices::none().with(&name(), price));
    assert!(
        seen(read::stream(&runner, &input()))
            .await
            .end
            .unwrap()
            .is_ok()
    );
    let report = trace.reports().remove(0);
    assert_eq!(
        (report.step, report.replies, report.succeeded),
        ("read", 2, true)
    );
    assert_eq!(
        (report.usage.input_tokens, report.usage.output_tokens),
        (22, 14)
    );
    assert_eq!(report.cost, Some(Money::from_dollars(50e-6)));
}

#[tokio::test]
async fn recordings_come_in_one_part() {
    let directory = tempdir().unwrap();
    let text = reply().to_string();
    let server = Server::start(move |_, request| {
        if request.body["stream"] == json!(true) {
            Answer::events(&whole(split(&text), "stop"))
        } else {
            Answer::reply(&text)
        }
    });
    let server = server.await.unwrap();
    let with = |mode| runner(&server).with_cassettes(Cassettes::fixed(directory.path(), mode));
    let recorded = seen(read::stream(&with(Mode::New), &input())).await;
    let replayed = seen(read::stream(&with(Mode::None), &input())).await;
    assert_eq!(server.received().len(), 1);
    assert_eq!(replayed.partials.len(), 1);
    assert_eq!(replayed.partials.last(), recorded.partials.last());
    assert_eq!(
        replayed.end.unwrap().unwrap(),
        recorded.end.unwrap().unwrap()
    );
}

#[tokio::test]
async fn replies_with_the_marks_of_dspy_come_field_by_field() {
    let text =
        "[[ ## answer ## ]]\nAs you\nwish.\n\n[[ ## urgency ## ]]\n4\n\n[[ ## completed ## ]]\n";
    let answer = Answer::events(&whole(split(text), "stop"));
    let server = Server::start(move |_, _| answer.clone()).await.unwrap();
    let input = prompts::answer::Input {
        team: prompts::sort::Team::Billing,
        text: "My invoice is wrong".to_owned(),
    };
    let mut stream = prompts::answer::stream(&runner(&server), &input);
    let mut seen = Vec::new();
    let output = loop {
        match stream.next().await.unwrap().unwrap() {
            Streamed::Partial(partial) => {
                seen.push((partial.answer.clone().unwrap(), partial.urgency));
            }
            Streamed::Done(output) => break output,
            Streamed::Restarted => panic!("there is nothing wrong with it"),
        }
    };
    assert_eq!((&*output.answer, output.urgency), ("As you\nwish.", 4));
    assert_eq!(seen.last(), Some(&(output.answer.clone(), Some(4))));
    assert!(seen.contains(&("As you\nwi".to_owned(), None)), "{seen:?}");
}

#[tokio::test]
async fn every_type_has_its_partial_one() {
    let reply = json!({
        "partial_output": {"dashed-name": "d"},
        "type": "t",
        "self": [["a", "b"], [], ["c"]],
        "maybe": ["x", null, "y"],
        "by_name": {"n": [{"kind": "a", "partial_item": {"share": 0.5}}, {"kind": "b"}], "m": []},
        "item": {"kind": "b"},
        "free": {"x": [1]},
        "any": [true],
    });
    let text = reply.to_string();
    let answer = Answer::events(&whole(split(&text), "stop"));
    let server = Server::start(move |_, _| answer.clone()).await.unwrap();
    let input = draft::Input {
        text: "a text".to_owned(),
    };
    let mut stream = draft::stream(&runner(&server), &input);
    let mut last = None;
    while let Some(item) = stream.next().await {
        match item.unwrap() {
            Streamed::Partial(partial) => last = Some(partial),
            Streamed::Restarted => panic!("there is nothing wrong with it"),
            Streamed::Done(output) => {
                let expected: draft::Output = serde_json::from_value(reply.clone()).unwrap();
                assert_eq!(output, expected);
            }
        }
    }
    let last: draft::PartialOutput2 = (*last.unwrap()).clone();
    assert_eq!(last.r#type.as_deref(), Some("t"));
    let mut shown = serde_json::to_value(last).unwrap();
    shown["item"]
        .as_object_mut()
        .unwrap()
        .remove("partial_item");
    shown["by_name"]["n"][1]
        .as_object_mut()
        .unwrap()
        .remove("partial_item");
    assert_eq!(shown, reply);
}

#[tokio::test]
async fn a_long_reply_comes_through() {
    let mut long = reply();
    long["outline"]["title"] = Value::from("word ".repeat(200_000));
    let text = long.to_string();
    let texts: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|part| str::from_utf8(part))
        .collect::<Result<_, _>>()
        .unwrap();
    let answer = Answer::events(&whole(texts, "stop"));
    let server = Server::start(move |_, _| answer.clone()).await.unwrap();
    let mut stream = read::stream(&runner(&server), &input());
    let (mut parts, mut address) = (0, None);
    while let Some(item) = stream.next().await {
        match item.unwrap() {
            Streamed::Partial(partial) => {
                parts += 1;
                // It is never copied, as nobody keeps it.
                let here = Arc::as_ptr(&partial);
                assert_eq!(*address.get_or_insert(here), here);
            }
            Streamed::Restarted => panic!("there is nothing wrong with it"),
            Streamed::Done(output) => assert_eq!(output.outline.title.len(), 1_000_000),
        }
    }
    assert!(parts > 15_000, "{parts}");
}
