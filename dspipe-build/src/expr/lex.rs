//! The words of an expression.

use std::ops::Range;

use super::SyntaxError;

/// A word and its bytes in the text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token<'t> {
    pub(super) range: Range<usize>,
    pub(super) kind: TokenKind<'t>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind<'t> {
    Name(&'t str),
    Text(String),
    Integer(i64),
    Number(f64),
    /// An operator or a bracket.
    Sign(&'static str),
}

/// Longer ones first.
const SIGNS: [&str; 21] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "+", "-", "*", "/", "%", "(", ")", "[", "]",
    ",", "|", ".",
];

/// Splits a text into words.
pub(super) fn lex(text: &str) -> Result<Vec<Token<'_>>, SyntaxError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let (length, kind) = if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        } else if first.is_alphabetic() || first == '_' {
            let length = name_length(rest);
            (length, TokenKind::Name(&rest[..length]))
        } else if first.is_ascii_digit() {
            number(rest, at)?
        } else if first == '"' || first == '\'' {
            quoted(rest, first, at)?
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            (sign.len(), TokenKind::Sign(sign))
        } else {
            let message = match first {
                '=' => "`=` is `==` in a comparison".to_owned(),
                '&' => "`&` is `and`".to_owned(),
                other => format!("`{other}` has no meaning here"),
            };
            return Err(SyntaxError {
                range: at..at + first.len_utf8(),
                message,
            });
        };
        tokens.push(Token {
            range: at..at + length,
            kind,
        });
        at += length;
    }
    Ok(tokens)
}

/// Letters, digits and `_`; a `-` between two of them belongs to the name.
fn name_length(text: &str) -> usize {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let inner_dash = c == '-' && chars.peek().is_some_and(|(_, next)| is_word(*next));
        if !is_word(c) && !inner_dash {
            return at;
        }
    }
    text.len()
}

fn number(text: &str, at: usize) -> Result<(usize, TokenKind<'_>), SyntaxError> {
    let digits = |from: usize| {
        text[from..]
            .bytes()
            .take_while(|byte| byte.is_ascii_digit() || *byte == b'_')
            .count()
    };
    let mut length = digits(0);
    let mut whole = true;
    if text[length..].starts_with('.') && digits(length + 1) > 0 {
        length += 1 + digits(length + 1);
        whole = false;
    }
    if text[length..].starts_with(['e', 'E']) {
        let sign = usize::from(text[length + 1..].starts_with(['+', '-']));
        let exponent = digits(length + 1 + sign);
        if exponent > 0 {
            length += 1 + sign + exponent;
            whole = false;
        }
    }
    let written = text[..length].replace('_', "");
    let kind = if whole {
        written.parse().map(TokenKind::Integer).ok()
    } else {
        let number = written
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite());
        number.map(TokenKind::Number)
    };
    match kind {
        Some(kind) => Ok((length, kind)),
        None => Err(SyntaxError {
            range: at..at + length,
            message: "the number is too large".to_owned(),
        }),
    }
}

fn quoted(text: &str, quote: char, at: usize) -> Result<(usize, TokenKind<'_>), SyntaxError> {
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((index, c)) = chars.next() {
        match c {
            '\\' => match chars.next().map(|(_, escaped)| escaped) {
                Some('n') => value.push('\n'),
                Some('t') => value.push('\t'),
                Some(escaped @ ('\\' | '\'' | '"')) => value.push(escaped),
                // As it stands, so that a pattern needs no second backslash.
                Some(other) => value.extend(['\\', other]),
                None => break,
            },
            c if c == quote => return Ok((index + 1, TokenKind::Text(value))),
            c => value.push(c),
        }
    }
    Err(SyntaxError {
        range: at..at + text.len(),
        message: "the text is not closed".to_owned(),
    })
}
