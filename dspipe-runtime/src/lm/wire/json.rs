//! Texts of prompts and replies as JSON. They are most of a body, and `serde_json` looks at them byte by byte when it
//! writes them and lets them grow when it reads them; here they go as a whole.

use std::str;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::read::{plain_end, unescaped};

/// Reads the body of a reply.
pub(super) fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, serde_json::Error> {
    match str::from_utf8(body) {
        // What is known to be text is not looked at again, piece by piece.
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_slice(body),
    }
}

/// Reads a text that may be long, or null.
pub(super) fn read_text(raw: &RawValue) -> Result<Option<String>, serde_json::Error> {
    let raw = raw.get();
    let inside = raw
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    match inside.and_then(unescaped) {
        Some(text) => Ok(Some(text)),
        None => serde_json::from_str(raw),
    }
}

/// Writes a text without its quotation marks, with the escapes that `serde_json` writes.
pub(super) fn write_text(json: &mut Vec<u8>, text: &str) {
    const HEX: [u8; 16] = *b"0123456789abcdef";
    let mut rest = text.as_bytes();
    loop {
        let (plain, special) = rest.split_at(plain_end(rest, 0));
        json.extend_from_slice(plain);
        let Some((byte, behind)) = special.split_first() else {
            return;
        };
        let short = match byte {
            b'"' | b'\\' => *byte,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0c => b'f',
            control => {
                let digit = |four: u8| HEX[usize::from(four)];
                json.extend_from_slice(b"\\u00");
                json.extend([digit(control >> 4), digit(control & 15)]);
                rest = behind;
                continue;
            }
        };
        json.extend([b'\\', short]);
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_raw(json: &[u8]) -> Result<Option<String>, serde_json::Error> {
        read_text(read(json)?)
    }

    proptest! {
        #[test]
        fn texts_are_written_as_serde_json_does_and_read_again(
            text in "([a-z\"\\\\/\n\r\t\u{8}\u{c}\u{0}\u{1f}\u{7f}é€😀]|word ){0,40}",
        ) {
            let mut written = vec![b'"'];
            write_text(&mut written, &text);
            written.push(b'"');
            prop_assert_eq!(&written, &serde_json::to_vec(&text).unwrap());
            prop_assert_eq!(read_raw(&written).unwrap(), Some(text));
        }
    }

    #[test]
    fn a_text_may_have_any_escape_or_be_null() {
        let escaped = br#""\u00e9\ud83d\ude00\/\"\n""#;
        assert_eq!(read_raw(escaped).unwrap().as_deref(), Some("é😀/\"\n"));
        assert_eq!(read_raw(b"null").unwrap(), None);
        for wrong in [
            &b"1"[..],
            br#"["a"]"#,
            br#""\ud83d""#,
            b"\"a\nb\"",
            br#""a"#,
            b"\"\xff\"",
        ] {
            assert!(read_raw(wrong).is_err());
        }
    }
}
