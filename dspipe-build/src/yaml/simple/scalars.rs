//! Scalars of one line: plain ones, and those in quotes.

use super::Reader;
use crate::source::Span;
use crate::yaml::{Kind, Node};

/// A scalar with the quotes it was written in.
pub(super) struct Scalar {
    pub(super) text: String,
    pub(super) span: Span,
    pub(super) plain: bool,
}

impl Reader<'_> {
    /// A scalar on one line.
    pub(super) fn scalar(&mut self, in_flow: bool) -> Option<Scalar> {
        match self.peek() {
            b'"' => self.double_quoted(),
            b'\'' => self.single_quoted(),
            _ => self.plain(in_flow),
        }
    }

    fn double_quoted(&mut self) -> Option<Scalar> {
        let start = self.at;
        let mut text = String::new();
        let mut from = start + 1;
        let mut at = from;
        loop {
            at += self.until(at, |byte| matches!(byte, b'"' | b'\\'));
            match self.byte(at) {
                b'"' => break,
                b'\\' => {
                    let escaped = match self.byte(at + 1) {
                        b'n' => '\n',
                        b't' => '\t',
                        b'"' => '"',
                        b'\\' => '\\',
                        _ => return None,
                    };
                    text.push_str(&self.text[from..at]);
                    text.push(escaped);
                    at += 2;
                    from = at;
                }
                _ => return None,
            }
        }
        text.push_str(&self.text[from..at]);
        self.at = at + 1;
        Some(Scalar {
            text,
            span: self.span(start, self.at),
            plain: false,
        })
    }

    /// How many bytes there are up to one of these, or one that no scalar of one line can hold.
    fn until(&self, at: usize, is_mark: impl Fn(u8) -> bool) -> usize {
        let rest = &self.bytes[at..];
        let found = rest
            .iter()
            .position(|byte| is_mark(*byte) || is_control(*byte));
        found.unwrap_or(rest.len())
    }

    fn single_quoted(&mut self) -> Option<Scalar> {
        let start = self.at;
        let mut text = String::new();
        let mut from = start + 1;
        let mut at = from;
        loop {
            at += self.until(at, |byte| byte == b'\'');
            match self.byte(at) {
                b'\'' if self.byte(at + 1) == b'\'' => {
                    text.push_str(&self.text[from..=at]);
                    at += 2;
                    from = at;
                }
                b'\'' => break,
                _ => return None,
            }
        }
        text.push_str(&self.text[from..at]);
        self.at = at + 1;
        Some(Scalar {
            text,
            span: self.span(start, self.at),
            plain: false,
        })
    }

    fn plain(&mut self, in_flow: bool) -> Option<Scalar> {
        let start = self.at;
        let first = self.peek();
        let starts_scalar = is_word(first) || first == b'-' && is_word(self.byte(start + 1));
        if !starts_scalar {
            return None;
        }
        let mut at = start + 1;
        // Behind the last byte that is not a space.
        let mut end = at;
        loop {
            let before = at;
            let rest = &self.bytes[at..];
            let inside = rest
                .iter()
                .position(|byte| MAY_END_PLAIN[usize::from(*byte)]);
            at += inside.unwrap_or(rest.len());
            if at > before {
                end = at;
            }
            match self.byte(at) {
                b'\n' => break,
                b' ' => {
                    at += 1;
                    continue;
                }
                b'#' if end < at => break,
                b':' => match self.byte(at + 1) {
                    b' ' | b'\n' => break,
                    b',' | b'[' | b']' | b'{' | b'}' if in_flow => return None,
                    _ => {}
                },
                b',' | b']' | b'}' if in_flow => break,
                b'[' | b'{' if in_flow => return None,
                byte if is_control(byte) => return None,
                _ => {}
            }
            at += 1;
            end = at;
        }
        // A key stands right before its colon.
        let ends_key = self.byte(at) == b':';
        if ends_key && end < at {
            return None;
        }
        self.at = end;
        Some(Scalar {
            text: self.text[start..end].to_owned(),
            span: self.span(start, end),
            plain: true,
        })
    }
}

impl Scalar {
    pub(super) fn into_node(self) -> Node {
        Node {
            span: self.span,
            kind: Kind::Scalar {
                text: self.text,
                plain: self.plain,
            },
        }
    }
}

pub(super) const fn is_control(byte: u8) -> bool {
    byte < b' ' || byte == 0x7f
}

/// The bytes at which a plain scalar may end, or has to be given up.
const MAY_END_PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 0x80 {
        table[byte as usize] = is_control(byte)
            || matches!(byte, b' ' | b'#' | b':' | b',' | b'[' | b']' | b'{' | b'}');
        byte += 1;
    }
    table
};

/// Whether a plain scalar may start with a byte, whatever follows.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'_' | b'$' | b'/' | b'.' | b'(' | b'~')
        || byte >= 0x80
}
