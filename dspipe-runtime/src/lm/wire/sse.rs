//! Server-sent events, as the HTML standard has them, from bytes that are split anywhere.

/// What begins a stream may be this, which is no part of it.
const BOM: char = '\u{feff}';

/// An event: its name, empty if it has none, and its lines of data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) name: String,
    pub(super) data: String,
}

/// Makes events of bytes. An event that is not ended by an empty line is none.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// The bytes of a line that has not ended.
    line: Vec<u8>,
    /// The last byte was a carriage return: a line feed right after it belongs to it.
    after_return: bool,
    /// The first line was read.
    begun: bool,
    name: String,
    data: Option<String>,
}

impl Decoder {
    /// Takes more bytes, and gives the events that are whole with them.
    pub(super) fn push(&mut self, mut bytes: &[u8], events: &mut impl Extend<Event>) {
        while let Some(&first) = bytes.first() {
            if std::mem::take(&mut self.after_return) && first == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
                self.line.extend_from_slice(bytes);
                return;
            };
            self.line.extend_from_slice(&bytes[..end]);
            self.after_return = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            let line = std::mem::take(&mut self.line);
            events.extend(self.line(&String::from_utf8_lossy(&line)));
        }
    }

    /// Bytes that wait for their event to end.
    pub(super) fn held(&self) -> usize {
        self.line.len() + self.data.as_ref().map_or(0, String::len)
    }

    fn line(&mut self, line: &str) -> Option<Event> {
        let line = if std::mem::replace(&mut self.begun, true) {
            line
        } else {
            line.strip_prefix(BOM).unwrap_or(line)
        };
        if line.is_empty() {
            let name = std::mem::take(&mut self.name);
            return self.data.take().map(|data| Event { name, data });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            // A comment (its field has no name), or a field that is of no use here.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events(parts: &[&[u8]]) -> Vec<(String, String)> {
        let mut decoder = Decoder::default();
        let mut events: Vec<Event> = Vec::new();
        for part in parts {
            decoder.push(part, &mut events);
        }
        let pair = |event: Event| (event.name, event.data);
        events.into_iter().map(pair).collect()
    }

    fn event(name: &str, data: &str) -> (String, String) {
        (name.to_owned(), data.to_owned())
    }

    #[test]
    fn lines_end_in_three_ways() {
        let text = "event: a\ndata: 1\n\ndata: 2\n\n";
        let expected = [event("a", "1"), event("", "2")];
        for end in ["\n", "\r", "\r\n"] {
            assert_eq!(events(&[text.replace('\n', end).as_bytes()]), expected);
        }
    }

    #[test]
    fn data_has_lines_and_the_rest_is_passed_over() {
        let text = "\u{feff}: a comment\ndata:one\ndata: two\ndata:  three\ndata\nid: 7\nretry: 9\nodd\n\n: keep-alive\n\nevent: no data\n\ndata: \u{feff}x\n\n";
        assert_eq!(
            events(&[text.as_bytes()]),
            [event("", "one\ntwo\n three\n"), event("", "\u{feff}x")]
        );
    }

    #[test]
    fn what_does_not_end_is_no_event() {
        assert_eq!(events(&[b"data: 1\n\ndata: 2\n"]), [event("", "1")]);
        assert_eq!(events(&[b"data: 1\n\ndata: 2"]), [event("", "1")]);
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(events(&[b"data: a\xffb\n\n"]), [event("", "a\u{fffd}b")]);
    }

    proptest! {
        #[test]
        fn where_it_is_split_does_not_matter(
            text in "((data|event|id|:)(:? ?)(a|é|\u{feff}|:| ){0,3}(\n|\r|\r\n){1,3}){0,8}",
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.sort_unstable();
            let mut parts = Vec::new();
            let mut from = 0;
            for cut in cuts {
                parts.push(&bytes[from..cut]);
                from = cut;
            }
            parts.push(&bytes[from..]);
            prop_assert_eq!(events(&parts), events(&[bytes]));
        }
    }
}
