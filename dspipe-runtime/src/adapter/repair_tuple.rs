//! Parentheses in a broken text: tuples, groups, or remarks.

use super::repair::{Parser, is_quote};
use super::repair_text::Text;
use super::text::is_space;

impl Parser {
    /// Whether a parenthesis outside of brackets begins a value rather than a remark.
    pub(super) fn starts_tuple(&self) -> bool {
        let before = self.chars[..self.at]
            .iter()
            .rev()
            .take_while(|c| !matches!(c, '\n' | '\r'));
        if before.into_iter().any(|c| !is_space(*c)) {
            return false;
        }
        let inner = self.spaces(1);
        let Some(first) = self.peek(inner) else {
            return false;
        };
        let word: String = (inner..inner + 5)
            .filter_map(|offset| self.peek(offset))
            .flat_map(char::to_lowercase)
            .collect();
        let is_word = ["true", "null", "none", "false"]
            .iter()
            .any(|known| word.starts_with(known));
        let is_value = is_quote(first)
            || first.is_numeric()
            || matches!(first, ')' | '{' | '[' | '(' | '-' | '.');
        if !is_value && !is_word {
            return false;
        }
        let mut offset = match self.parenthesis(&mut |_, _| {}) {
            None => return true,
            Some(end) => end + 1,
        };
        while let Some(c) = self.peek(offset) {
            if matches!(c, '\n' | '\r') {
                return true;
            }
            if !is_space(c) {
                return false;
            }
            offset += 1;
        }
        true
    }

    /// Whether what stands in the parentheses here is a tuple: nothing, or with a comma.
    pub(super) fn is_tuple(&self) -> bool {
        let (mut comma, mut content) = (false, false);
        self.parenthesis(&mut |c, is_text| {
            if c == ',' && !is_text {
                comma = true;
            } else if !is_space(c) {
                content = true;
            }
        });
        comma || !content
    }

    /// Where the parenthesis that opens here closes. Tells the characters on its own level, and whether
    /// they begin a text.
    fn parenthesis(&self, on_level: &mut dyn FnMut(char, bool)) -> Option<usize> {
        let mut open: Vec<char> = Vec::new();
        let (mut quoted, mut escaped) = (None, false);
        let mut offset = 1;
        while let Some(c) = self.peek(offset) {
            offset += 1;
            if c == '\\' {
                escaped = !escaped;
                continue;
            }
            let was_escaped = std::mem::take(&mut escaped);
            if let Some(quote) = quoted {
                if c == quote && !was_escaped {
                    quoted = None;
                }
                continue;
            }
            if is_quote(c) && !was_escaped {
                quoted = Some(c);
                if open.is_empty() {
                    on_level(c, true);
                }
                continue;
            }
            if c == ')' && open.is_empty() {
                return Some(offset - 1);
            }
            if open.is_empty() {
                on_level(c, false);
            }
            match c {
                '(' => open.push(')'),
                '[' => open.push(']'),
                '{' => open.push('}'),
                _ if open.last() == Some(&c) => {
                    open.pop();
                }
                _ => {}
            }
        }
        None
    }
}
