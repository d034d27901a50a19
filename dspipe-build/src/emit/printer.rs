//! Rust as text, laid out: lines with their indentation, and long ones broken at their brackets.
//!
//! A token tree and a formatter would cost twenty times as much, in everybody's build.

use std::fmt::{Arguments, Write as _};

/// Longer lines are broken, where they have a bracket to break at.
const WIDTH: usize = 100;

const STEP: usize = 4;

/// What can be printed. Pieces are copied one after the other, which takes a tenth of the time that formatting
/// takes.
pub(crate) trait Text {
    fn push_to(self, text: &mut String);
}

impl Text for &str {
    fn push_to(self, text: &mut String) {
        text.push_str(self);
    }
}

impl Text for String {
    fn push_to(self, text: &mut String) {
        text.push_str(&self);
    }
}

impl<const N: usize> Text for [&str; N] {
    fn push_to(self, text: &mut String) {
        text.reserve(self.iter().map(|piece| piece.len()).sum());
        for piece in self {
            text.push_str(piece);
        }
    }
}

impl Text for Arguments<'_> {
    fn push_to(self, text: &mut String) {
        // Writing to a string does not fail.
        let _ = text.write_fmt(self);
    }
}

/// Printer that is being written.
#[derive(Debug, Default)]
pub(crate) struct Printer {
    text: String,
    indent: usize,
}

impl Printer {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// With room for so many bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self {
            text: String::with_capacity(bytes),
            indent: 0,
        }
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }

    /// One line, as it is.
    pub(crate) fn line(&mut self, text: impl Text) {
        spaces(self.indent, &mut self.text);
        text.push_to(&mut self.text);
        self.text.push('\n');
    }

    /// A key of a struct literal, with a text.
    pub(super) fn setting(&mut self, key: &str, text: &str) {
        spaces(self.indent, &mut self.text);
        [key, ": "].push_to(&mut self.text);
        push_string(text, &mut self.text);
        self.text.push_str(",\n");
    }

    /// A statement or an item on one line if there is room for it, and on several if not.
    pub(crate) fn flow(&mut self, text: impl Text) {
        spaces(self.indent, &mut self.text);
        let start = self.text.len();
        text.push_to(&mut self.text);
        let written = &self.text[start..];
        if written.len() + self.indent > WIDTH || may_have_to_break(written) {
            let text = self.text.split_off(start);
            lay_out(&text, self.indent, &mut self.text);
        }
        self.text.push('\n');
    }

    /// An empty line, unless a block has just been opened.
    pub(crate) fn blank(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("{\n") {
            self.text.push('\n');
        }
    }

    /// A line that opens a block.
    pub(crate) fn open(&mut self, text: impl Text) {
        self.line(text);
        self.indent += STEP;
    }

    /// From here on, lines belong to a block whose opening line closed another one.
    pub(crate) fn indent(&mut self) {
        self.indent += STEP;
    }

    /// The line that closes a block.
    pub(crate) fn close(&mut self, text: impl Text) {
        self.indent -= STEP;
        self.line(text);
    }

    /// A doc comment of one line; an empty one is an empty comment.
    pub(crate) fn doc(&mut self, line: impl Text) {
        spaces(self.indent, &mut self.text);
        self.text.push_str("/// ");
        let start = self.text.len();
        line.push_to(&mut self.text);
        let written = &self.text[start..];
        if written.is_empty() {
            self.text.truncate(start - 1);
        } else if !written.bytes().all(is_printable) {
            // A name that cannot be used is shown all the same; the comment must not end in it.
            let written = self.text.split_off(start);
            let seen = written.chars().filter(|c| !is_unseen(*c));
            let plain = seen.map(|c| if c.is_control() { ' ' } else { c });
            self.text.extend(plain);
        }
        self.text.push('\n');
    }

    /// Doc comments, one for each line.
    pub(crate) fn docs(&mut self, lines: &[String]) {
        for line in lines {
            self.doc(line.as_str());
        }
    }
}

fn spaces(mut count: usize, into: &mut String) {
    const SPACES: &str = "                                                                ";
    while count > 0 {
        let some = count.min(SPACES.len());
        into.push_str(&SPACES[..some]);
        count -= some;
    }
}

/// A string literal, raw where quotes or backslashes would otherwise have to be escaped.
pub(super) fn string(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    push_string(text, &mut literal);
    literal
}

fn push_string(text: &str, into: &mut String) {
    // No branches, so that many bytes are looked at together.
    let any = |wanted: fn(u8) -> bool| {
        let found = |found: u8, byte: u8| found | u8::from(wanted(byte));
        text.bytes().fold(0, found) != 0
    };
    let is_plain = !any(|byte| !is_printable(byte));
    let can_be_raw = any(|byte| matches!(byte, b'"' | b'\\'));
    if !can_be_raw && is_plain {
        ["\"", text, "\""].push_to(into);
        return;
    }
    if !can_be_raw || !is_plain && text.contains(char::is_control) {
        push_escaped(text, into);
        return;
    }
    // More marks than follow any quote in it.
    let mut marks = String::new();
    if any(|byte| byte == b'"') {
        marks.push('#');
    }
    if any(|byte| byte == b'#') {
        while text.contains(&["\"", &marks].concat()) {
            marks.push('#');
        }
    }
    ["r", &marks, "\"", text, "\"", &marks].push_to(into);
}

/// ASCII that stands for itself wherever it is.
fn is_printable(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

fn push_escaped(text: &str, literal: &mut String) {
    literal.push('"');
    for c in text.chars() {
        match c {
            '"' => literal.push_str("\\\""),
            '\\' => literal.push_str("\\\\"),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            c if c.is_control() || is_unseen(c) => {
                let _ = write!(literal, "\\u{{{:x}}}", u32::from(c));
            }
            c => literal.push(c),
        }
    }
    literal.push('"');
}

/// Marks of text direction and their like, which rustc refuses in literals, and a byte order mark.
pub(super) fn is_unseen(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A float literal.
pub(super) fn float(number: f64) -> String {
    format!("{number:?}")
}

/// Whether [`must_break`] is to be asked: there are statements or blocks inside.
fn may_have_to_break(text: &str) -> bool {
    text.contains('{')
        && (text.trim_end_matches(';').contains(';')
            || ["match ", "if ", "async"]
                .iter()
                .any(|word| text.contains(word)))
}

/// Writes code that starts at a column; what does not fit is broken at its brackets.
fn lay_out(text: &str, indent: usize, into: &mut String) {
    let groups = Groups::of(text);
    let fits = indent + text.chars().count() <= WIDTH;
    if groups.0.is_empty() || (fits && !must_break(text, &groups)) {
        into.push_str(text);
        return;
    }
    let chosen = groups.to_break(text);
    let mut at = 0;
    for group in chosen {
        write_head(&text[at..=group.open], indent, into);
        write_parts(text, group, indent, into);
        at = group.close;
    }
    let rest = &text[at..];
    // A call that was broken goes on below.
    match rest.strip_prefix(").") {
        Some(more) if !hugs(text, chosen) => {
            into.push_str(")\n");
            spaces(indent, into);
            into.push('.');
            into.push_str(more);
        }
        _ => into.push_str(rest),
    }
}

/// What stands before the parts of a group, broken at `&&` and `||` if it is long.
fn write_head(head: &str, indent: usize, into: &mut String) {
    let tests = tests(head);
    if tests.len() < 2 || indent + head.chars().count() <= WIDTH {
        into.push_str(head);
        return;
    }
    for (index, test) in tests.iter().enumerate() {
        if index > 0 {
            into.push('\n');
            spaces(indent + STEP, into);
        }
        match test.strip_suffix(" {") {
            // The block starts on a line of its own, so that it can be told from the condition.
            Some(last) if index + 1 == tests.len() => {
                lay_out(last, indent + STEP, into);
                into.push('\n');
                spaces(indent, into);
                into.push('{');
            }
            _ if index + 1 == tests.len() => into.push_str(test),
            _ => lay_out(test, indent + STEP, into),
        }
    }
}

/// The parts of a condition, each but the first with the operator in front of it.
fn tests(head: &str) -> Vec<&str> {
    let mut tests = Vec::new();
    let mut start = 0;
    walk(head, |at, _, depth| {
        let rest = &head.as_bytes()[at..];
        if depth == 0 && (rest.starts_with(b"&& ") || rest.starts_with(b"|| ")) && at > start {
            tests.push(head[start..at].trim_end());
            start = at;
        }
    });
    tests.push(&head[start..]);
    tests
}

/// What is between the brackets of a group, on lines of its own but for a last part that brings its own
/// lines.
fn write_parts(text: &str, group: &Group, indent: usize, into: &mut String) {
    let content = text[group.open + 1..group.close].trim();
    let separator = group.separator;
    let parts = split(content, separator);
    if let Some(before) = hugged(&parts, separator, group, text) {
        into.push_str(&before);
        if let Some(last) = parts.last() {
            lay_out_broken(last, indent, into);
        }
        return;
    }
    for (index, part) in parts.iter().enumerate() {
        into.push('\n');
        spaces(indent + STEP, into);
        lay_out(part, indent + STEP, into);
        let is_last = index + 1 == parts.len();
        match separator {
            ';' if is_last && !content.ends_with(';') => {}
            // A statement that ends with its block.
            ';' if is_loop(part) => {}
            // A block as an arm of a match needs no comma.
            separator => into.push(separator),
        }
    }
    into.push('\n');
    spaces(indent, into);
}

fn lay_out_broken(text: &str, indent: usize, into: &mut String) {
    let groups = Groups::of(text);
    let Some(group) = groups.0.last() else {
        into.push_str(text);
        return;
    };
    into.push_str(&text[..=group.open]);
    write_parts(text, group, indent, into);
    into.push_str(&text[group.close..]);
}

/// The parts before a last one that stays on the line of the bracket: a closure or a block, or a struct that
/// is the only part.
fn hugged(parts: &[&str], separator: char, group: &Group, text: &str) -> Option<String> {
    let (last, before) = parts.split_last()?;
    let is_block = last.starts_with('|') && last.ends_with('}');
    let is_only = before.is_empty() && last.ends_with(['}', ']']);
    if separator != ',' || text.as_bytes()[group.open] != b'(' || !(is_block || is_only) {
        return None;
    }
    let before = before.join(", ") + if before.is_empty() { "" } else { ", " };
    let groups = Groups::of(last);
    let head = &last[..=groups.0.last()?.open];
    (group.open + before.len() + head.len() < WIDTH && before.len() < WIDTH / 2).then_some(before)
}

fn hugs(text: &str, chosen: &[Group]) -> bool {
    chosen.last().is_some_and(|group| {
        let parts = split(text[group.open + 1..group.close].trim(), group.separator);
        hugged(&parts, group.separator, group, text).is_some()
    })
}

/// Whether code has statements inside, or is a match: nobody writes those on one line.
fn must_break(text: &str, groups: &Groups) -> bool {
    let statements = groups.0.iter().any(|group| {
        let content = &text[group.open + 1..group.close];
        group.separator == ';' || must_break(content, &Groups::of(content))
    });
    statements || starts(text, "match ")
}

fn starts(text: &str, word: &str) -> bool {
    let value = if text.starts_with("let ") {
        text.split_once(" = ").map(|(_, value)| value)
    } else {
        None
    };
    value.unwrap_or(text).starts_with(word)
}

/// Brackets that are in no other ones, with something in them.
struct Groups(Vec<Group>);

#[derive(Debug)]
struct Group {
    open: usize,
    close: usize,
    /// What is between its parts: `,`, or `;` in a block of statements.
    separator: char,
}

impl Groups {
    fn of(text: &str) -> Self {
        let mut groups = Vec::new();
        let mut open = 0;
        let mut statements = false;
        walk(text, |at, byte, depth| match byte {
            b'(' | b'[' | b'{' if depth == 0 => {
                open = at;
                statements = false;
            }
            b';' if depth == 1 => statements = true,
            b')' | b']' | b'}' if depth == 1 && can_break(text, open, at) => groups.push(Group {
                open,
                close: at,
                separator: if statements && byte == b'}' || is_block(&text[..open]) {
                    ';'
                } else {
                    ','
                },
            }),
            _ => {}
        });
        Self(groups)
    }

    /// The groups to break at: both blocks of an `if`, otherwise the last one.
    fn to_break(&self, text: &str) -> &[Group] {
        let all = self.0.as_slice();
        let blocks = all
            .iter()
            .position(|group| text.as_bytes()[group.open] == b'{')
            .filter(|_| starts(text, "if "));
        match blocks {
            Some(first) => &all[first..],
            None => &all[all.len().saturating_sub(1)..],
        }
    }
}

/// Whether lines can be broken between these brackets. What a bracket only holds together is no list: a
/// comma behind it would make it one.
fn can_break(text: &str, open: usize, close: usize) -> bool {
    if close == open + 1 || text.as_bytes()[open] != b'(' {
        return close > open + 1;
    }
    let is_call =
        text[..open].ends_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '>'));
    is_call || split(&text[open + 1..close], ',').len() > 1
}

/// Whether what comes before a brace makes it a block.
fn is_block(before: &str) -> bool {
    let before = before.trim_end();
    before.ends_with("async")
        || before.ends_with("else")
        || starts(before, "if ") && !before.ends_with('(')
}

/// Whether code is a statement that needs nothing behind its block.
fn is_loop(code: &str) -> bool {
    ["for ", "while ", "if __done "]
        .iter()
        .any(|word| code.starts_with(word))
}

/// The parts between separators that are in no bracket, and not between the parameters of a closure.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut parameters = false;
    walk(text, |at, byte, depth| {
        if separator == ';' && byte == b'}' && depth == 1 && is_loop(text[start..].trim_start()) {
            parts.push(text[start..=at].trim());
            start = at + 1;
        }
        if depth > 0 {
            return;
        }
        if byte == b'|' && (parameters || text[start..at].trim().is_empty()) {
            parameters = !parameters;
        } else if char::from(byte) == separator && !parameters {
            parts.push(text[start..at].trim());
            start = at + 1;
        }
    });
    parts.push(text[start..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

/// Calls `each` with every byte outside of literals and how many brackets are open before it.
fn walk(text: &str, mut each: impl FnMut(usize, u8, usize)) {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if matches!(byte, b'"' | b'r')
            && let Some(end) = literal_end(bytes, at)
        {
            at = end;
            continue;
        }
        each(at, byte, depth);
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
}

/// Whether all brackets and literals of a piece of code are closed, each by its like.
pub(crate) fn is_balanced(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut open = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if let Some(end) = literal_end(bytes, at) {
            if end > bytes.len() {
                return false;
            }
            at = end;
            continue;
        }
        let matching = match byte {
            b'(' | b'[' | b'{' => {
                open.push(byte);
                true
            }
            b')' => open.pop() == Some(b'('),
            b']' => open.pop() == Some(b'['),
            b'}' => open.pop() == Some(b'{'),
            _ => true,
        };
        if !matching {
            return false;
        }
        at += 1;
    }
    open.is_empty()
}

/// Where a string literal that starts here ends; behind the text if it does not. There are no character literals in what is generated.
fn literal_end(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes[at] {
        b'"' => {
            let mut end = at + 1;
            while let Some(byte) = bytes.get(end) {
                match byte {
                    b'\\' => end += 2,
                    b'"' => return Some(end + 1),
                    _ => end += 1,
                }
            }
            Some(bytes.len() + 1)
        }
        // Not the end of a word, and not a raw identifier.
        b'r' if at == 0 || !is_word(bytes[at - 1]) => {
            let marks = bytes[at + 1..].iter().take_while(|b| **b == b'#').count();
            if bytes.get(at + 1 + marks) != Some(&b'"') {
                return None;
            }
            let mut end = at + marks + 2;
            while end < bytes.len() {
                let closing = &bytes[end + 1..];
                if bytes[end] == b'"'
                    && closing.iter().take(marks).filter(|b| **b == b'#').count() == marks
                {
                    return Some(end + 1 + marks);
                }
                end += 1;
            }
            Some(bytes.len() + 1)
        }
        _ => None,
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid_out(text: &str) -> String {
        let mut out = Printer::new();
        out.flow(text);
        out.into_text()
    }

    #[test]
    fn what_fits_stays_on_its_line() {
        assert_eq!(laid_out("let a = b(c, d);"), "let a = b(c, d);\n");
    }

    #[test]
    fn long_calls_are_broken_at_their_arguments() {
        let long = "x".repeat(90);
        assert_eq!(
            laid_out(&format!(
                "let a = b(\"{long}\", S {{ c: d, e: f }}).await?;"
            )),
            format!("let a = b(\n    \"{long}\",\n    S {{ c: d, e: f }},\n)\n.await?;\n")
        );
    }

    #[test]
    fn blocks_and_matches_are_always_broken() {
        assert_eq!(
            laid_out("let a = match b { Some(b) => c(b), _ => None };"),
            "let a = match b {\n    Some(b) => c(b),\n    _ => None,\n};\n"
        );
        assert_eq!(
            laid_out("o.check(\"k\", &k, |at, v| { at.x(v); at.y(v); });"),
            "o.check(\"k\", &k, |at, v| {\n    at.x(v);\n    at.y(v);\n});\n"
        );
        assert_eq!(
            laid_out("let (a, b) = r.join(async { let c = d; Ok(c) }, e(f)).await?;"),
            "let (a, b) = r.join(\n    async {\n        let c = d;\n        Ok(c)\n    },\n    e(f),\n)\n.await?;\n"
        );
    }

    #[test]
    fn both_blocks_of_a_long_if_are_broken() {
        let long = "x".repeat(90);
        assert_eq!(
            laid_out(&format!("let a = if b {{ Some({long}) }} else {{ None }};")),
            format!("let a = if b {{\n    Some({long})\n}} else {{\n    None\n}};\n")
        );
    }

    #[test]
    fn brackets_in_literals_are_text() {
        for text in [
            "f(\"(\", a)",
            "f(r\"(\\\", a)",
            "f(r#\"\"(\"#, a)",
            "f(\"\\\"(\", r#type)",
        ] {
            let groups = Groups::of(text);
            assert_eq!(groups.0.len(), 1, "{text}");
            assert_eq!(split(&text[2..text.len() - 1], ',').len(), 2, "{text}");
        }
    }

    #[test]
    fn literals() {
        for (text, literal) in [
            ("", "\"\""),
            ("a \"b\"", "r#\"a \"b\"\"#"),
            ("a\\d", "r\"a\\d\""),
            ("\"#", "r##\"\"#\"##"),
            ("a\n\"", "\"a\\n\\\"\""),
            ("\u{202e}", "\"\\u{202e}\""),
        ] {
            assert_eq!(string(text), literal);
        }
        assert_eq!(float(1.0), "1.0");
    }
}
