//! Images and documents: in each wire format, in recordings, and as inputs of steps.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::sync::Arc;

use dspipe_runtime::cassette::{Cassettes, Mode};
use dspipe_runtime::lm::{Api, HttpLm, Lm, Message, Params, Request, Retry};
use dspipe_runtime::media::{Attachment, Media};
use dspipe_runtime::{
    Error, LmError, LmName, Lms, LocalRunner, Secret, Signature, Streamed, Value,
};
use dspipe_tests::server::{Answer, Server};
use dspipe_tests::workflows::media::{self, compare, describe};
use serde_json::json;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nrest";
const PNG_BASE64: &str = "iVBORw0KGgpyZXN0";
const PDF: &[u8] = b"%PDF-1.7 rest";
const PDF_BASE64: &str = "JVBERi0xLjcgcmVzdA==";

fn png() -> Attachment {
    Media::from_bytes("image/png", PNG).image().unwrap()
}

fn pdf() -> Attachment {
    Media::from_bytes("application/pdf", PDF)
        .document()
        .unwrap()
}

fn image_url() -> Attachment {
    Media::from_url("https://example.com/a.png")
        .image()
        .unwrap()
}

fn document_url() -> Attachment {
    Media::from_url("https://example.com/a.pdf")
        .document()
        .unwrap()
}

fn text() -> Attachment {
    Media::from_bytes("text/markdown", "# Größe")
        .document()
        .unwrap()
}

fn data() -> Attachment {
    Media::from_bytes("application/json", "{}")
        .document()
        .unwrap()
}

fn request(media: impl IntoIterator<Item = Attachment>) -> Request {
    Request {
        messages: vec![
            Message::system("Be brief."),
            Message::user("What is it?").with_media(media),
        ],
        schema: None,
        params: Params::default(),
    }
}

async fn ask(api: Api, name: &str, request: &Request) -> (Option<Value>, LmError) {
    let server = Server::start(|_, _| Answer::failure(500, ""))
        .await
        .unwrap();
    let key = Secret::from("sk-secret".to_owned());
    let lm = HttpLm::new(name.parse().unwrap(), api, &server.url(), Some(key)).unwrap();
    let error = lm.complete(request).await.unwrap_err();
    (server.received().pop().map(|one| one.body), error)
}

/// What is sent of a request.
async fn sent(api: Api, name: &str, media: impl IntoIterator<Item = Attachment>) -> Value {
    ask(api, name, &request(media)).await.0.unwrap()
}

/// Why nothing is sent of a request.
async fn refused(api: Api, name: &str, shown: Attachment) -> String {
    let (body, error) = ask(api, name, &request([shown])).await;
    assert_eq!(body, None);
    assert!(matches!(error, LmError::Media { .. }), "{error}");
    assert_eq!(error.class(), "unsupported_media");
    error.to_string()
}

#[tokio::test]
async fn openai_chat() {
    let body = sent(
        Api::OpenAiChat,
        "openai/gpt-5-mini",
        [png(), image_url(), pdf(), text()],
    )
    .await;
    let data = format!("data:image/png;base64,{PNG_BASE64}");
    let file = format!("data:application/pdf;base64,{PDF_BASE64}");
    let expected = json!([
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": data}},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
            {"type": "file", "file": {"filename": "document.pdf", "file_data": file}},
            {"type": "text", "text": "(attachment 4, text/markdown)\n# Größe"},
            {"type": "text", "text": "What is it?"},
        ]},
    ]);
    assert_eq!(body["messages"], expected);
    assert_eq!(
        refused(Api::OpenAiChat, "openai/gpt-5-mini", document_url()).await,
        "openai/gpt-5-mini cannot be shown a document (application/pdf): OpenAI chat completions take the bytes \
         of documents, not their URLs; use another LM, or give it as text"
    );
    let error = refused(Api::OpenAiChat, "ollama/llava", pdf()).await;
    assert!(error.contains("its server takes no documents"), "{error}");
    let error = refused(Api::OpenAiChat, "local/smollm2-135m-instruct", png()).await;
    assert!(
        error.contains("the embedded model reads text only"),
        "{error}"
    );
}

#[tokio::test]
async fn openai_responses() {
    let name = "openai-responses/gpt-5-mini";
    let media = [png(), image_url(), pdf(), document_url()];
    let body = sent(Api::OpenAiResponses, name, media).await;
    let data = format!("data:image/png;base64,{PNG_BASE64}");
    let file = format!("data:application/pdf;base64,{PDF_BASE64}");
    let expected = json!([
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [
            {"type": "input_image", "image_url": data, "detail": "auto"},
            {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "auto"},
            {"type": "input_file", "filename": "document.pdf", "file_data": file},
            {"type": "input_file", "file_url": "https://example.com/a.pdf"},
            {"type": "input_text", "text": "What is it?"},
        ]},
    ]);
    assert_eq!(body["input"], expected);
}

#[tokio::test]
async fn anthropic() {
    let name = "anthropic/claude-sonnet-4-5";
    let media = [png(), image_url(), pdf(), document_url(), text(), data()];
    let body = sent(Api::AnthropicMessages, name, media).await;
    let base64 = |media_type: &str, data: &str| json!({"type": "base64", "media_type": media_type, "data": data});
    let expected = json!([{"role": "user", "content": [
        {"type": "image", "source": base64("image/png", PNG_BASE64)},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
        {"type": "document", "source": base64("application/pdf", PDF_BASE64)},
        {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "# Größe"}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "{}"}},
        {"type": "text", "text": "What is it?"},
    ]}]);
    assert_eq!(body["messages"], expected);
    let bytes = |media_type: &str| Media::from_bytes(media_type, "x");
    let page = Media::from_url("https://example.com/a.txt");
    for (shown, reason) in [
        (
            bytes("image/bmp").image(),
            "Anthropic takes JPEG, PNG, GIF and WebP",
        ),
        (
            bytes("application/msword").document(),
            "Anthropic takes PDFs and texts",
        ),
        (
            page.document(),
            "Anthropic reads images and PDFs; give its bytes",
        ),
    ] {
        let error = refused(Api::AnthropicMessages, name, shown.unwrap()).await;
        assert!(error.contains(reason), "{error}");
    }
}

#[tokio::test]
async fn googles_storage_is_for_gemini() {
    let stored = || Media::from_url("gs://bucket/a.pdf").document().unwrap();
    for (api, name) in [
        (Api::OpenAiChat, "openai/gpt-5-mini"),
        (Api::OpenAiResponses, "openai-responses/gpt-5-mini"),
        (Api::AnthropicMessages, "anthropic/claude-sonnet-4-5"),
    ] {
        let error = refused(api, name, stored()).await;
        assert!(
            error.contains("only Gemini fetches what is at gs://"),
            "{error}"
        );
    }
    let body = sent(
        Api::GeminiGenerateContent,
        "gemini/gemini-2.5-flash",
        [stored()],
    )
    .await;
    let file = &body["contents"][0]["parts"][0]["fileData"];
    assert_eq!(
        *file,
        json!({"mimeType": "application/pdf", "fileUri": "gs://bucket/a.pdf"})
    );
}

#[tokio::test]
async fn gemini() {
    let name = "gemini/gemini-2.5-flash";
    let body = sent(Api::GeminiGenerateContent, name, [png(), document_url()]).await;
    let expected = json!([{"role": "user", "parts": [
        {"inlineData": {"mimeType": "image/png", "data": PNG_BASE64}},
        {"fileData": {"mimeType": "application/pdf", "fileUri": "https://example.com/a.pdf"}},
        {"text": "What is it?"},
    ]}]);
    assert_eq!(body["contents"], expected);
    let unknown = Media::from_url("https://example.com/photo")
        .image()
        .unwrap();
    let error = refused(Api::GeminiGenerateContent, name, unknown).await;
    assert!(
        error.contains("say it with `Media::with_media_type`"),
        "{error}"
    );
}

#[tokio::test]
async fn recordings_know_images_by_their_hash_and_do_not_hold_them() {
    let server = Server::start(|_, _| Answer::reply("a dot")).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let run = |mode, bytes: &'static [u8]| {
        let name: LmName = "scripted/m".parse().unwrap();
        let lm = HttpLm::new(name.clone(), Api::OpenAiChat, &server.url(), None).unwrap();
        let runner = LocalRunner::new()
            .with_lms(Lms::new().with(Arc::new(lm)))
            .with_retry(Retry::never())
            .with_cassettes(Cassettes::open(directory.path(), mode));
        let image = Media::from_bytes("image/png", bytes).image().unwrap();
        async move { runner.complete(&name, &request([image])).await }
    };
    assert_eq!(run(Mode::New, PNG).await.unwrap().text, "a dot");
    assert_eq!(run(Mode::None, PNG).await.unwrap().text, "a dot");
    assert_eq!(server.received().len(), 1);
    // Another image is another request.
    let error = run(Mode::None, b"\x89PNG\r\n\x1a\nother")
        .await
        .unwrap_err();
    assert_eq!(error.class(), "cassette", "{error}");
    let entry = std::fs::read_dir(directory.path()).unwrap().next().unwrap();
    let recorded = std::fs::read_to_string(entry.unwrap().path()).unwrap();
    assert!(recorded.contains(png().identity()), "{recorded}");
    assert!(!recorded.contains(PNG_BASE64), "{recorded}");
}

// Inputs of steps.

fn runner(server: &Server) -> LocalRunner {
    let name: LmName = "scripted/m".parse().unwrap();
    let lm = HttpLm::new(name.clone(), Api::OpenAiChat, &server.url(), None).unwrap();
    LocalRunner::new()
        .with_lms(Lms::new().with(Arc::new(lm)))
        .with_lm(name)
        .with_retry(Retry::never())
}

fn photo() -> Media {
    Media::from_bytes("image/png", PNG)
}

fn describe_input(paper: Option<Media>) -> describe::Input {
    describe::Input {
        photo: photo(),
        paper,
        question: "What is it?".to_owned(),
    }
}

#[tokio::test]
async fn a_step_shows_its_images_and_documents() {
    let server = Server::start(|_, _| Answer::reply(r#"{"text":"A dot."}"#))
        .await
        .unwrap();
    let paper = Media::from_bytes("application/pdf", PDF);
    let output = media::describe(&runner(&server), &describe_input(Some(paper)))
        .await
        .unwrap();
    assert_eq!(output.text, "A dot.");
    let received = server.received();
    let messages = &received[0].body["messages"];
    let parts = messages[1]["content"].as_array().unwrap();
    let kinds: Vec<&str> = parts
        .iter()
        .map(|part| part["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["image_url", "file", "text"]);
    assert_eq!(
        parts[2]["text"],
        "photo:\n```\n(attachment 1, image/png)\n```\n\n\
         paper:\n```\n(attachment 2, application/pdf)\n```\n\n\
         question:\n```\nWhat is it?\n```"
    );
    let told = messages[0]["content"].as_str().unwrap();
    assert!(
        told.contains("- `photo` (image): What to look at"),
        "{told}"
    );
}

#[tokio::test]
async fn an_image_goes_whole_from_the_workflow_to_its_steps_and_to_every_sample() {
    let server = Server::start(|_, received| {
        let is_vote = received.step() == "vote";
        Answer::reply(if is_vote {
            r#"{"word":"dot"}"#
        } else {
            r#"{"reasoning":"","text":"A dot."}"#
        })
    })
    .await
    .unwrap();
    let inputs = media::Inputs {
        photo: photo(),
        paper: None,
        question: "What is it?".to_owned(),
    };
    let outputs = media::run_with(&runner(&server), inputs).await.unwrap();
    assert!(outputs.compare.is_none());
    assert_eq!(outputs.vote.word, "dot");
    let received = server.received();
    assert_eq!(received.len(), 4);
    for one in received {
        assert_eq!(one.body["messages"][1]["content"][0]["type"], "image_url");
    }
}

#[tokio::test]
async fn a_stream_shows_images_too() {
    let server = Server::start(|_, _| {
        Answer::events(concat!(
            "data: {\"choices\":[{\"delta\":{\"content\":\"{\\\"reasoning\\\":\\\"\\\",\\\"text\\\":\\\"A dot.\\\"}\"},",
            "\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"
        ))
    })
    .await
    .unwrap();
    let input = compare::Input {
        picture: photo(),
        text: "x".to_owned(),
    };
    let mut stream = compare::stream(&runner(&server), &input);
    let mut last = None;
    while let Some(item) = stream.next().await {
        last = Some(item.unwrap());
    }
    let Some(Streamed::Done(output)) = last else {
        panic!("{last:?}");
    };
    assert_eq!(output.text, "A dot.");
    assert_eq!(
        server.received()[0].body["messages"][1]["content"][0]["type"],
        "image_url"
    );
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error_before_anything_is_asked() {
    let server = Server::start(|_, _| Answer::reply("{}")).await.unwrap();
    let input = describe::Input {
        photo: Media::from_path("no/such/file.png"),
        ..describe_input(None)
    };
    let error = media::describe(&runner(&server), &input).await.unwrap_err();
    assert!(matches!(error, Error::Input { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("field `photo`: no/such/file.png cannot be read"),
        "{error}"
    );
    let value = json!({"photo": "https://a.b/c.png", "question": "?"});
    let error = runner(&server)
        .step_value(describe::Step::DEF, &value)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Input { .. }), "{error}");
    assert_eq!(server.received().len(), 0);
}

#[test]
fn inputs_are_read_from_json_and_written_without_content() {
    let data = format!("data:image/png;base64,{PNG_BASE64}");
    let inputs: media::Inputs =
        serde_json::from_value(json!({"photo": data, "question": "?"})).unwrap();
    assert_eq!(inputs.photo, photo());
    let written = serde_json::to_value(&inputs).unwrap();
    assert_eq!(written["photo"]["sha256"], png().identity());
    assert!(!written.to_string().contains(PNG_BASE64));
    let error = serde_json::from_value::<media::Inputs>(json!({"photo": "a.png", "question": "?"}));
    assert!(error.unwrap_err().to_string().contains("is not a URL"));
}
