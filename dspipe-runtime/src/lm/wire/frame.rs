//! Bodies of requests that differ in their last message only, as those of a step do: what stands before its text and
//! behind it is written once.

use std::sync::{Arc, Mutex, PoisonError};

use super::json;
use crate::lm::{LmError, Message, OutputSchema, Params, Request, Role};

/// Stands for the text of the last message while the rest is written. A prompt that has it in it goes without a
/// frame.
const MARK: &str = "\u{f8ff}the last message\u{f8ff}";

/// So many are kept; workflows have fewer steps, and a program that makes up prompts must not fill the memory.
const MOST: usize = 64;

/// The frames of an endpoint's bodies. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Frames(Arc<Mutex<Vec<Arc<Frame>>>>);

/// A body without the text of its last message.
#[derive(Debug)]
struct Frame {
    /// The messages before the last.
    head: Vec<Message>,
    /// Who says the last.
    role: Role,
    schema: Option<OutputSchema>,
    params: Params,
    is_stream: bool,
    before: Vec<u8>,
    behind: Vec<u8>,
}

impl Frames {
    /// The body of a request, which `write` would make of it.
    pub(super) fn body(
        &self,
        request: &Request,
        params: Params,
        is_stream: bool,
        write: impl Fn(&Request) -> Result<Vec<u8>, LmError>,
    ) -> Result<Vec<u8>, LmError> {
        let Some((last, head)) = request.messages.split_last() else {
            return write(request);
        };
        // Images are written in other ways, and a message without a text may be left out.
        if last.content.is_empty() || request.messages.iter().any(|one| !one.media.is_empty()) {
            return write(request);
        }
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |frame: &&Arc<Frame>| {
            frame.is_stream == is_stream
                && frame.role == last.role
                && frame.params == params
                && frame.head == head
                && frame.schema == request.schema
        };
        if let Some(frame) = lock().iter().find(fits).map(Arc::clone) {
            return Ok(frame.around(&last.content));
        }
        let mut marked = request.clone();
        if let Some(last) = marked.messages.last_mut() {
            MARK.clone_into(&mut last.content);
        }
        let Some((before, behind)) = split(&write(&marked)?) else {
            return write(request);
        };
        let frame = Arc::new(Frame {
            head: head.to_vec(),
            role: last.role,
            schema: request.schema.clone(),
            params,
            is_stream,
            before,
            behind,
        });
        let body = frame.around(&last.content);
        let mut frames = lock();
        if frames.len() >= MOST {
            frames.clear();
        }
        frames.push(frame);
        Ok(body)
    }
}

impl Frame {
    fn around(&self, text: &str) -> Vec<u8> {
        // Some of its characters will be escaped.
        let room = self.before.len() + text.len() + text.len() / 8 + self.behind.len();
        let mut body = Vec::with_capacity(room);
        body.extend_from_slice(&self.before);
        json::write_text(&mut body, text);
        body.extend_from_slice(&self.behind);
        body
    }
}

/// What is before and behind the mark, if it is there once.
fn split(body: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mark = MARK.as_bytes();
    let mut places = body.windows(mark.len()).enumerate();
    let (at, _) = places.find(|(_, part)| *part == mark)?;
    if places.any(|(_, part)| part == mark) {
        return None;
    }
    Some((body[..at].to_vec(), body[at + mark.len()..].to_vec()))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::*;

    fn asked(system: &str, user: &str) -> Request {
        Request {
            messages: vec![Message::system(system), Message::user(user)],
            schema: Some(OutputSchema {
                name: "x".to_owned(),
                json: "{}".into(),
            }),
            params: Params::default(),
        }
    }

    fn written(request: &Request) -> Result<Vec<u8>, LmError> {
        super::super::to_json(request)
    }

    proptest! {
        #[test]
        fn bodies_are_as_if_each_was_written(
            texts in prop::collection::vec(
                ("[ab]", prop_oneof!["([a-z\"\\\\\n\u{0}é]){0,20}", Just(MARK.to_owned())], any::<bool>()),
                1..8,
            ),
        ) {
            let frames = Frames::default();
            for (system, user, is_stream) in texts {
                let request = asked(&system, &user);
                let body = frames.body(&request, request.params, is_stream, written);
                prop_assert_eq!(body.unwrap(), written(&request).unwrap());
            }
        }
    }

    #[test]
    fn only_the_first_of_a_step_is_written() {
        let (frames, count) = (Frames::default(), Cell::new(0));
        let body = |request: &Request, params: Params| {
            let write = |request: &Request| {
                count.set(count.get() + 1);
                written(&Request {
                    params,
                    ..request.clone()
                })
            };
            let body = frames.body(request, params, false, write).unwrap();
            assert_eq!(body, write(request).unwrap());
            count.set(count.get() - 1);
        };
        for user in ["a", "b", "c"] {
            body(&asked("Be brief.", user), Params::default());
        }
        assert_eq!(count.get(), 1);
        let warm = Params {
            temperature: Some(0.5),
            ..Params::default()
        };
        body(&asked("Be brief.", "d"), warm);
        body(&asked("Be long.", "e"), warm);
        let mut other = asked("Be long.", "f");
        other.schema = None;
        body(&other, warm);
        assert_eq!(count.get(), 4);
    }

    #[test]
    fn a_mark_in_the_prompt_and_images_need_no_frame() {
        let frames = Frames::default();
        let gif = crate::media::Media::from_bytes("image/gif", *b"GIF89a").image();
        let mut shown = asked("a", "b");
        shown.messages[1].media.push(gif.unwrap());
        for request in [asked(MARK, "b"), asked("a", ""), shown] {
            let body = frames.body(&request, request.params, false, written);
            assert_eq!(body.unwrap(), written(&request).unwrap());
        }
        assert!(frames.0.lock().unwrap().is_empty());
    }

    #[test]
    fn only_so_many_are_kept() {
        let frames = Frames::default();
        for number in 0..3 * MOST {
            let request = asked(&number.to_string(), "a");
            frames
                .body(&request, request.params, false, written)
                .unwrap();
        }
        assert!(frames.0.lock().unwrap().len() <= MOST);
    }
}
