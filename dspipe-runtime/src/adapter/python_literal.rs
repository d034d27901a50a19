//! Texts as Python's source code has them.

/// A text in quotation marks at the start of `source`, and how many bytes of source it takes.
pub(super) fn quoted(source: &str, quote: char) -> Option<(String, usize)> {
    let mut out = String::new();
    let mut chars = source.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Some((out, at + c.len_utf8()));
        }
        if c == '\n' {
            return None;
        }
        if c != '\\' {
            out.push(c);
            continue;
        }
        let (_, escaped) = chars.next()?;
        let digits = match escaped {
            'n' => push(&mut out, '\n'),
            'r' => push(&mut out, '\r'),
            't' => push(&mut out, '\t'),
            'a' => push(&mut out, '\u{7}'),
            'b' => push(&mut out, '\u{8}'),
            'f' => push(&mut out, '\u{c}'),
            'v' => push(&mut out, '\u{b}'),
            '\n' => 0,
            '\\' | '\'' | '"' => push(&mut out, escaped),
            'x' => 2,
            'u' => 4,
            'U' => 8,
            '0'..='7' => {
                // Up to three octal digits.
                let mut code = escaped.to_digit(8)?;
                for _ in 0..2 {
                    let mut ahead = chars.clone();
                    match ahead.next().and_then(|(_, c)| c.to_digit(8)) {
                        Some(digit) => {
                            code = code * 8 + digit;
                            chars = ahead;
                        }
                        None => break,
                    }
                }
                push(&mut out, char::from_u32(code)?)
            }
            other => {
                out.push('\\');
                push(&mut out, other)
            }
        };
        if digits > 0 {
            let mut code = 0;
            for _ in 0..digits {
                code = code * 16 + chars.next()?.1.to_digit(16)?;
            }
            out.push(char::from_u32(code)?);
        }
    }
    None
}

/// Pushes a character; no digits follow.
fn push(out: &mut String, c: char) -> usize {
    out.push(c);
    0
}
