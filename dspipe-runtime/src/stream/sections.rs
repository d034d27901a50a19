//! Reads a reply with DSPy's marks (`[[ ## field ## ]]`) while it comes.

use super::part::{Event, Kind, Part};
use super::scan::{Scanner, Tell};

const MARK: &str = "[[ ## ";
const MARK_END: &str = " ## ]]";

/// A reply so far. Each field is told of as a text, and if it looks like JSON, as that too: only one of them
/// fits its type.
#[derive(Debug, Default)]
pub(super) struct Sections {
    text: String,
    /// What was told of ends here.
    at: usize,
    /// Whether that is inside a line, which then is no mark.
    in_line: bool,
    /// Of the line that begins there, these bytes have no end of it.
    looked: usize,
    /// And this many of them are white space before everything else.
    lead: usize,
    section: Option<Section>,
    seen: Vec<String>,
}

#[derive(Debug)]
struct Section {
    name: String,
    /// Without white space around it.
    content: String,
    /// White space that belongs to it if more comes.
    space: String,
    json: Option<Scanner>,
}

impl Sections {
    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// Goes on with the reply; whether any piece fits.
    pub(super) fn push(&mut self, more: &str, tell: &mut Tell<'_>) -> bool {
        self.text.push_str(more);
        let mut changed = false;
        while let Some(length) = self.line() {
            let line = self.text[self.at..self.at + length].to_owned();
            changed |= self.take(&line, tell);
            self.at += length;
            (self.looked, self.lead) = (0, 0);
            self.in_line = !line.ends_with('\n');
        }
        changed
    }

    /// How much of the text can be told of: up to the end of a line, or what there is of one that is no
    /// mark.
    fn line(&mut self) -> Option<usize> {
        let rest = &self.text[self.at..];
        if let Some(end) = rest[self.looked..].find('\n') {
            return Some(self.looked + end + 1);
        }
        self.lead = rest.len() - rest[self.lead..].trim_start().len();
        let start = &rest[self.lead..];
        let may_be_mark = MARK.starts_with(start) || start.starts_with(MARK);
        if !rest.is_empty() && (self.in_line || !may_be_mark) {
            return Some(rest.len());
        }
        self.looked = rest.len();
        None
    }

    fn take(&mut self, line: &str, tell: &mut Tell<'_>) -> bool {
        let Some((name, rest)) = (!self.in_line).then(|| mark(line)).flatten() else {
            return self
                .section
                .as_mut()
                .is_some_and(|section| section.push(line, tell));
        };
        let mut changed = self.section.take().is_some_and(|section| section.end(tell));
        // The first of each name counts.
        if !self.seen.iter().any(|seen| seen == name) {
            self.seen.push(name.to_owned());
            let mut section = Section {
                name: name.to_owned(),
                content: String::new(),
                space: String::new(),
                json: None,
            };
            changed |= tell(name, part(Event::Begin(Kind::Text)));
            changed |= section.push(rest, tell);
            self.section = Some(section);
        }
        changed
    }
}

impl Section {
    fn push(&mut self, more: &str, tell: &mut Tell<'_>) -> bool {
        let end = more.trim_end().len();
        if end == 0 {
            self.space.push_str(more);
            return false;
        }
        let (more, space) = more.split_at(end);
        let more = if self.content.is_empty() {
            more.trim_start().to_owned()
        } else {
            format!("{}{more}", self.space)
        };
        space.clone_into(&mut self.space);
        if self.content.is_empty() && more.starts_with(['{', '[']) {
            self.json = Some(Scanner::of_field(&self.name));
        }
        self.content.push_str(&more);
        let changed = tell(&self.name, part(Event::Text(&more)));
        changed
            | self
                .json
                .as_mut()
                .is_some_and(|json| json.push(&more, tell))
    }

    fn end(self, tell: &mut Tell<'_>) -> bool {
        let Self { name, content, .. } = self;
        tell(&name, part(Event::End(&content)))
            || serde_json::to_string(&content)
                .is_ok_and(|text| tell(&name, part(Event::End(&text))))
    }
}

fn part(event: Event<'_>) -> Part<'_> {
    Part { path: &[], event }
}

/// The name in a mark at the start of a line, and what stands behind the mark.
fn mark(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.trim_start().strip_prefix(MARK)?.split_once(MARK_END)?;
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    (!name.is_empty() && name.chars().all(is_word)).then_some((name, rest))
}
