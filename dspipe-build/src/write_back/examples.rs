//! Demos to the beginning of a step's `examples`.

use serde_json::{Map, Value, json};

use super::{Writer, get, text};
use crate::training::Invalid;
use crate::yaml::{Key, Kind, Node};

/// An example as it is written.
#[derive(Debug, Clone)]
pub(super) struct Example(Map<String, Value>);

impl PartialEq for Example {
    fn eq(&self, other: &Self) -> bool {
        let all = |it: &Self| Value::Object(it.0.clone());
        covers(&all(self), &all(other)) && covers(&all(other), &all(self))
    }
}

impl Example {
    pub(super) fn new(input: &Map<String, Value>, output: &Map<String, Value>) -> Self {
        let mut map = Map::new();
        map.insert("input".to_owned(), Value::Object(input.clone()));
        map.insert("output".to_owned(), Value::Object(output.clone()));
        Self(map)
    }

    /// Whether these are its values; they may have defaults besides.
    pub(super) fn is_in(&self, input: &Value, output: &Value) -> bool {
        covers(input, &self.0["input"]) && covers(output, &self.0["output"])
    }
}

/// Whether a value has all that is in another one. Absent and null are the same, and so are 1 and 1.0.
fn covers(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part.iter().all(|(key, part)| {
            let whole = whole.get(key).unwrap_or(&Value::Null);
            covers(whole, part)
        }),
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(a, b)| covers(a, b))
        }
        (Value::Number(whole), Value::Number(part)) => {
            whole == part || (whole.is_f64() || part.is_f64()) && whole.as_f64() == part.as_f64()
        }
        (whole, part) => whole == part,
    }
}

/// Where a demo is to be found.
enum Source<'d> {
    New(&'d Example),
    /// The item of this index.
    Known(usize),
}

impl Writer<'_, '_> {
    /// Edits `examples`; gives what they are to say, or `None` if that is what they say.
    pub(super) fn examples(&mut self, demos: &[Example]) -> Result<Option<Vec<Value>>, Invalid> {
        let found = get(self.node, "examples");
        let items: &[Node] = match found.map(|(_, node)| &node.kind) {
            Some(Kind::List(items)) => items,
            _ => &[],
        };
        let known = self.known(items);
        // Those that begin the list as they end the demos can stay where they are.
        let begins = |count: usize| {
            let last = &demos[demos.len() - count..];
            known
                .iter()
                .map(Option::as_ref)
                .take(count)
                .eq(last.iter().map(Some))
        };
        let kept = (0..=demos.len().min(known.len()))
            .rev()
            .find(|count| begins(*count));
        let kept = kept.unwrap_or(0);
        let sources: Vec<Source> = demos[..demos.len() - kept]
            .iter()
            .map(|demo| {
                let mut later = known.iter().enumerate().skip(kept);
                let index = later.find(|(_, it)| it.as_ref() == Some(demo));
                index.map_or(Source::New(demo), |(index, _)| Source::Known(index))
            })
            .collect();
        if sources.is_empty() {
            return Ok(None);
        }
        match found {
            None => self.new_list(&sources),
            Some((key, node)) => {
                let start = self.value_of(key)?.start;
                if self.edits.starts_with(start, '*') {
                    return Err(self.cannot("examples", key.span));
                }
                match &node.kind {
                    // Not by its span: that of a list at the column of its key starts at its first item.
                    Kind::List(_) if self.edits.starts_with(start, '[') => {
                        self.list_in_brackets(key, node, items, &sources)?;
                    }
                    Kind::List(_) => self.list(key, items, &sources)?,
                    _ => self.file(key, node, &sources)?,
                }
            }
        }
        let mut wanted: Vec<Value> = sources
            .iter()
            .map(|source| match source {
                Source::New(demo) => Value::Object(demo.0.clone()),
                Source::Known(index) => items[*index].to_json(),
            })
            .collect();
        match found.map(|(_, node)| node) {
            Some(node) if matches!(node.kind, Kind::Scalar { .. }) => {
                wanted.push(json!({"file": self.file_name()}));
            }
            Some(node) if matches!(node.kind, Kind::Map(_)) => wanted.push(node.to_json()),
            _ => {
                let rest = items.iter().enumerate();
                let rest = rest.filter(|(index, _)| !is_moved(&sources, *index));
                wanted.extend(rest.map(|(_, item)| item.to_json()));
            }
        }
        Ok(Some(wanted))
    }

    /// By item, the example as the signature reads it; `None` for a file.
    fn known(&self, items: &[Node]) -> Vec<Option<Example>> {
        let records = self.front.records.iter();
        let mut records = records.filter(|record| record.step == Some(self.index));
        items
            .iter()
            .map(|item| {
                if item.has("file") {
                    return None;
                }
                let record = records.next()?;
                let output = record.outputs.get(&self.index)?;
                Some(Example::new(&record.inputs, output))
            })
            .collect()
    }

    fn file_name(&self) -> Value {
        let step = &self.front.spec.steps()[self.index];
        step.example_files
            .first()
            .map_or(Value::Null, |file| file.value.clone().into())
    }

    fn new_list(&mut self, sources: &[Source<'_>]) {
        if self.edits.is_flow(self.node) {
            let items = in_brackets(sources).join(", ");
            self.add_last(&[format!("examples: [{items}]")]);
            return;
        }
        let column = self.column_of(self.node);
        let mut lines = vec![format!("{}examples:", " ".repeat(column))];
        lines.extend(new_items(sources, column + 2));
        self.add_last(&lines);
    }

    /// `examples: data.csv`, or `{file: data.csv}`.
    fn file(&mut self, key: &Key, node: &Node, sources: &[Source<'_>]) -> Result<(), Invalid> {
        let place = self.value_of(key)?;
        let is_map = matches!(node.kind, Kind::Map(_));
        if is_map && !self.edits.is_flow(node) {
            let column = self.column_of(node);
            self.edits
                .insert_lines(place.lead, &new_items(sources, column));
            self.edits.replace(node.span.start, node.span.start, "- ");
            return Ok(());
        }
        let is_block = ['|', '>']
            .iter()
            .any(|c| self.edits.starts_with(place.start, *c));
        let end = self.edits.end(node);
        let written = &self.edits.text[place.start..end];
        let file = match &node.kind {
            Kind::Map(_) => written.to_owned(),
            _ if is_block || written.contains('\n') => {
                format!("file: {}", text::flow(&self.file_name()))
            }
            _ => format!("file: {written}"),
        };
        if self.edits.is_flow(self.node) {
            let file = if is_map { file } else { format!("{{{file}}}") };
            let items = in_brackets(sources).join(", ");
            self.edits
                .replace(place.start, end, format!("[{items}, {file}]"));
            return Ok(());
        }
        let indent = self.edits.column(key.span.start) + 2;
        let mut lines = new_items(sources, indent);
        lines.push(format!("{}- {file}", " ".repeat(indent)));
        self.take_value(place.lead, place.start, end);
        self.edits.insert_lines(end, &lines);
        Ok(())
    }

    /// Takes a value away, and the space before it on its line.
    fn take_value(&mut self, lead: usize, start: usize, end: usize) {
        let before = &self.edits.text[lead..start];
        let blank = before.len() - before.trim_end_matches(' ').len();
        self.edits.replace(start - blank, end, "");
    }

    /// Comments stay where they are, and the items change places.
    fn list_in_brackets(
        &mut self,
        key: &Key,
        node: &Node,
        items: &[Node],
        sources: &[Source<'_>],
    ) -> Result<(), Invalid> {
        let place = self.value_of(key)?;
        let inside = &self.edits.text[node.span.start + 1..node.span.end];
        if items.is_empty() && !self.edits.is_flow(self.node) && inside.trim() == "]" {
            let indent = self.edits.column(key.span.start) + 2;
            self.take_value(place.lead, node.span.start, node.span.end);
            self.edits
                .insert_lines(node.span.end, &new_items(sources, indent));
            return Ok(());
        }
        let written = |item: &Node| self.edits.text[item.span.start..item.span.end].to_owned();
        let first = sources.iter().map(|source| match source {
            Source::New(demo) => text::flow(&Value::Object(demo.0.clone())),
            Source::Known(index) => written(&items[*index]),
        });
        let rest = items.iter().enumerate();
        let rest = rest.filter(|(index, _)| !is_moved(sources, *index));
        let mut texts: Vec<String> = first.chain(rest.map(|(_, item)| written(item))).collect();
        let more = texts.len() - items.len();
        match items.first() {
            None => {
                let at = node.span.start + 1;
                self.edits.replace(at, at, texts.join(", "));
            }
            Some(_) => {
                let rest = texts.split_off(more + 1);
                let texts = std::iter::once(texts.join(", ")).chain(rest);
                for (item, text) in items.iter().zip(texts) {
                    self.edits.replace(item.span.start, item.span.end, text);
                }
            }
        }
        Ok(())
    }

    /// Items move as whole lines, with the comments that stand directly above them and at the ends of their lines.
    fn list(&mut self, key: &Key, items: &[Node], sources: &[Source<'_>]) -> Result<(), Invalid> {
        let place = self.value_of(key)?;
        let indent = self.edits.column(place.start);
        let mut lines = Vec::new();
        for source in sources {
            match source {
                Source::New(demo) => lines.extend(text::item(&demo.0, indent)),
                Source::Known(index) => {
                    let previous = index.checked_sub(1).map(|index| &items[index]);
                    let floor = previous.map_or(place.lead, |item| self.edits.end(item));
                    let (start, end) = self
                        .lines_of(&items[*index], indent, floor)
                        .ok_or_else(|| self.cannot("examples", key.span))?;
                    lines.extend(
                        self.edits.text[start..end]
                            .lines()
                            .skip(1)
                            .map(str::to_owned),
                    );
                    self.edits.replace(start, end, "");
                }
            }
        }
        self.edits.insert_lines(place.lead, &lines);
        Ok(())
    }

    /// The lines of an item, from the end of the line before them to the end of the last one. What ends at `floor`
    /// is no part of it.
    fn lines_of(&self, item: &Node, indent: usize, floor: usize) -> Option<(usize, usize)> {
        let text = self.edits.text;
        let end = self.edits.line_end(self.edits.end(item));
        let floor = self.edits.line_end(floor);
        let mut start = self.edits.line_start(item.span.start);
        // The dash may stand above the item, and comments above that.
        let mut dash = false;
        loop {
            let line = &text[start..];
            let content = line.trim_start_matches(' ');
            let is_own = line.len() - content.len() == indent;
            if !dash {
                dash = is_own && content.starts_with('-');
            } else if !is_own || !content.starts_with('#') {
                start += text[start..].find('\n')? + 1;
                break;
            }
            let above = start.checked_sub(1)?;
            if above <= floor + 1 {
                break;
            }
            start = self.edits.line_start(above);
        }
        // To the end of the line above.
        let above = self
            .edits
            .line_end(self.edits.line_start(start.checked_sub(1)?));
        (dash && above >= floor).then_some((above, end))
    }
}

fn is_moved(sources: &[Source<'_>], index: usize) -> bool {
    let is = |source: &Source<'_>| matches!(source, Source::Known(known) if *known == index);
    sources.iter().any(is)
}

fn new_items(sources: &[Source<'_>], indent: usize) -> Vec<String> {
    let demos = sources.iter().filter_map(|source| match source {
        Source::New(demo) => Some(demo),
        Source::Known(_) => None,
    });
    demos.flat_map(|demo| text::item(&demo.0, indent)).collect()
}

fn in_brackets(sources: &[Source<'_>]) -> Vec<String> {
    let demos = sources.iter().filter_map(|source| match source {
        Source::New(demo) => Some(text::flow(&Value::Object(demo.0.clone()))),
        Source::Known(_) => None,
    });
    demos.collect()
}
