//! A reply in parts: from bytes to events to chunks.

use std::collections::VecDeque;

use futures_util::stream;
use reqwest::{Client, Response};
use tokio::time::Instant;

use super::http;
use super::sse::{Decoder, Event};
use super::target::Target;
use super::{Api, anthropic, chat, gemini, responses};
use crate::lm::{BoxStream, Chunk, End, LmError, Reply};

/// No event is that long; a server that sends more is not one.
const MAX_EVENT: usize = 16 * 1024 * 1024;

/// Makes chunks of the events of a format.
pub(super) trait Events: Send {
    /// What an event adds, if anything.
    fn event(&mut self, target: &Target, event: &Event) -> Result<Option<Chunk>, LmError>;

    /// The end, if the reply is whole when the connection is closed here.
    fn closed(&mut self) -> Option<End>;
}

fn events(api: Api) -> Box<dyn Events> {
    match api {
        Api::OpenAiChat => Box::<chat::Stream>::default(),
        Api::OpenAiResponses => Box::<responses::Stream>::default(),
        Api::AnthropicMessages => Box::<anthropic::Stream>::default(),
        Api::GeminiGenerateContent => Box::<gemini::Stream>::default(),
    }
}

/// Makes another body after an error, if there is one that the server may take.
pub(super) type Again = Box<dyn FnMut(&LmError) -> Option<Result<Vec<u8>, LmError>> + Send>;

enum State {
    Asking {
        client: Client,
        body: Result<Vec<u8>, LmError>,
        again: Option<Again>,
    },
    Reading(Reading),
    Ended,
}

/// A stream of chunks; it ends after the first error. Dropping it closes the connection.
pub(super) fn chunks(
    target: Target,
    client: Client,
    body: Result<Vec<u8>, LmError>,
    again: Option<Again>,
) -> BoxStream<'static, Result<Chunk, LmError>> {
    let state = State::Asking {
        client,
        body,
        again,
    };
    Box::pin(stream::unfold(
        (target, state),
        |(target, state)| async move {
            match next(&target, state).await {
                Ok((chunk, state)) => Some((Ok(chunk?), (target, state))),
                Err(error) => Some((Err(error), (target, State::Ended))),
            }
        },
    ))
}

/// The next chunk, `None` after the last one.
async fn next(target: &Target, state: State) -> Result<(Option<Chunk>, State), LmError> {
    let mut reading = match state {
        State::Asking {
            client,
            mut body,
            mut again,
        } => {
            let started = Instant::now();
            let endpoint = &target.stream_endpoint;
            let mut response = loop {
                match target.send(&client, endpoint, body?, Some(started)).await {
                    Ok(response) => break response,
                    Err(error) => match again.as_mut().and_then(|again| again(&error)) {
                        Some(other) => body = other,
                        None => return Err(error),
                    },
                }
            };
            let request_id = target.request_id(&response);
            if is_json(&response) {
                // A server that knows no streams.
                let of_it = |error: LmError| error.with_request_id(request_id.as_deref());
                let body = target
                    .body(&mut response, Some(started))
                    .await
                    .map_err(of_it)?;
                let reply = target.api.reply(target, &body).map_err(of_it)?;
                let reply = Reply {
                    request_id: request_id.or(reply.request_id),
                    ..reply
                };
                return Ok((Some(reply.into()), State::Ended));
            }
            Reading {
                response,
                request_id,
                started,
                decoder: Decoder::default(),
                waiting: VecDeque::new(),
                events: events(target.api),
            }
        }
        State::Reading(reading) => reading,
        State::Ended => return Ok((None, State::Ended)),
    };
    let mut chunk = reading
        .next(target)
        .await
        .map_err(|error| error.with_request_id(reading.request_id.as_deref()))?;
    if let Some(end) = &mut chunk.end {
        end.request_id = reading.request_id.take().or(end.request_id.take());
    }
    let state = if chunk.end.is_some() {
        State::Ended
    } else {
        State::Reading(reading)
    };
    Ok((Some(chunk), state))
}

fn is_json(response: &Response) -> bool {
    let kind = response.headers().get("content-type");
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"))
}

struct Reading {
    response: Response,
    request_id: Option<String>,
    started: Instant,
    decoder: Decoder,
    waiting: VecDeque<Event>,
    events: Box<dyn Events>,
}

impl Reading {
    async fn next(&mut self, target: &Target) -> Result<Chunk, LmError> {
        loop {
            while let Some(event) = self.waiting.pop_front() {
                if let Some(chunk) = self.events.event(target, &event)? {
                    return Ok(chunk);
                }
            }
            let reason = match target
                .within(Some(self.started), self.response.chunk())
                .await?
            {
                Ok(Some(bytes)) => {
                    self.decoder.push(&bytes, &mut self.waiting);
                    if self.decoder.held() > MAX_EVENT {
                        let reason = format!("an event is longer than {MAX_EVENT} bytes");
                        return Err(target.protocol(reason));
                    }
                    continue;
                }
                Ok(None) => "the connection was closed".to_owned(),
                Err(error) => http::innermost(&error),
            };
            return match self.events.closed() {
                Some(end) => Ok(end.into()),
                None => Err(LmError::Interrupted {
                    endpoint: target.endpoint.shown.clone(),
                    reason,
                    request_id: None,
                }),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::lm::provider::{KeyHeader, Provider, Structured};
    use crate::lm::{Finish, Usage};

    fn target(api: Api) -> Target {
        let provider = Provider {
            api,
            base_url: "http://host/v1".to_owned(),
            key: None,
            key_variable: String::new(),
            key_header: KeyHeader::OfApi,
            structured: Structured::Schema,
        };
        Target::new(provider, "m").unwrap()
    }

    /// The chunks of a stream that comes in these parts, as `Debug` shows them, and how it ends.
    fn read(api: Api, parts: &[&[u8]]) -> Vec<String> {
        let target = target(api);
        let mut decoder = Decoder::default();
        let mut waiting = Vec::new();
        let mut reader = events(api);
        let mut shown = Vec::new();
        for part in parts {
            decoder.push(part, &mut waiting);
            for event in waiting.drain(..) {
                match reader.event(&target, &event) {
                    Ok(Some(chunk)) => shown.push(format!("{chunk:?}")),
                    Ok(None) => {}
                    Err(error) => {
                        shown.push(error.to_string());
                        return shown;
                    }
                }
            }
        }
        shown.push(format!("{:?}", reader.closed()));
        shown
    }

    const CHAT: &str = include_str!("recorded/chat.txt");
    const RESPONSES: &str = include_str!("recorded/responses.txt");
    const ANTHROPIC: &str = include_str!("recorded/anthropic.txt");
    const GEMINI: &str = include_str!("recorded/gemini.txt");
    const RECORDED: [(Api, &str); 4] = [
        (Api::OpenAiChat, CHAT),
        (Api::OpenAiResponses, RESPONSES),
        (Api::AnthropicMessages, ANTHROPIC),
        (Api::GeminiGenerateContent, GEMINI),
    ];

    #[test]
    fn recorded_streams_are_read() {
        for (api, text) in RECORDED {
            let target = target(api);
            let (mut decoder, mut waiting) = (Decoder::default(), Vec::new());
            decoder.push(text.as_bytes(), &mut waiting);
            let mut reader = events(api);
            let chunks: Vec<Chunk> = waiting
                .iter()
                .filter_map(|event| reader.event(&target, event).unwrap())
                .collect();
            let said: String = chunks.iter().map(|chunk| &*chunk.text).collect();
            assert_eq!(said, "{\"city\":\"Zürich\"}", "{api}");
            let end = chunks.iter().find_map(|chunk| chunk.end.clone());
            let end = end.or_else(|| reader.closed()).unwrap();
            assert_eq!(end.finish, Finish::Stop, "{api}");
            assert_eq!(end.model, "a-model", "{api}");
            let is_anthropic = api == Api::AnthropicMessages;
            let expected = Usage {
                input_tokens: 50,
                output_tokens: 20,
                cached_input_tokens: 30,
                cache_write_tokens: if is_anthropic { 5 } else { 0 },
                reasoning_tokens: if is_anthropic { 0 } else { 9 },
            };
            assert_eq!(end.usage, expected, "{api}");
        }
    }

    proptest! {
        #[test]
        fn where_a_stream_is_split_does_not_matter(
            which in 0..RECORDED.len(),
            end in prop::sample::select(vec!["\n", "\r", "\r\n"]),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
            length in any::<prop::sample::Index>(),
        ) {
            let (api, text) = RECORDED[which];
            let text = text.replace('\n', end);
            // Also a stream that stops somewhere.
            let bytes = &text.as_bytes()[..=length.index(text.len())];
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.sort_unstable();
            let mut parts = Vec::new();
            let mut from = 0;
            for cut in cuts {
                parts.push(&bytes[from..cut]);
                from = cut;
            }
            parts.push(&bytes[from..]);
            prop_assert_eq!(read(api, &parts), read(api, &[bytes]));
        }
    }
}
