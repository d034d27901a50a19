//! Parser events to a tree.

use std::collections::HashMap;

use granit_parser::{Event, Options, Parser, ScalarStyle};

use super::node::{Key, Kind, Node};
use super::{simple, syntax};
use crate::diag::{Code, Diagnostics};
use crate::source::{FileId, Sources, Span};

/// Deeper nesting than this is refused, so that later stages may recurse.
pub(super) const MAX_DEPTH: usize = 64;
/// Nodes a document may have once its aliases are expanded, over those written out. As many are kept of what
/// has anchors.
const ALIAS_BUDGET: usize = 100_000;

/// Reads the one document of a file. `None`: it could not be read; the reason is recorded.
pub(crate) fn parse(
    sources: &Sources,
    file: FileId,
    diagnostics: &mut Diagnostics,
) -> Option<Node> {
    simple::parse(&sources.file(file).text, file)
        .or_else(|| parse_fully(sources, file, diagnostics))
}

/// All of YAML, every problem reported.
pub(super) fn parse_fully(
    sources: &Sources,
    file: FileId,
    diagnostics: &mut Diagnostics,
) -> Option<Node> {
    let text = sources.file(file).text.as_str();
    let mut builder = Builder {
        file,
        text,
        open: Vec::new(),
        root: None,
        anchors: HashMap::new(),
        kept: 0,
        budget: ALIAS_BUDGET,
        diagnostics,
    };
    let mut options = Options::default();
    options.emit_unresolved_aliases = true;
    for event in Parser::new_from_str_with_options(text, options) {
        let event = event
            .map_err(|error| syntax::report(file, text, &error, builder.diagnostics))
            .ok()?;
        builder.event(event.0, event.1).ok()?;
    }
    if builder.root.is_none() {
        builder
            .diagnostics
            .error(
                Code::Syntax,
                Span {
                    file,
                    start: 0,
                    end: 0,
                },
                "the file is empty",
            )
            .help("a workflow file starts with `workflow:`");
    }
    builder.root
}

/// The reason is recorded; nothing more can be made of the document.
struct Stop;

struct Builder<'a> {
    file: FileId,
    text: &'a str,
    open: Vec<Open>,
    root: Option<Node>,
    anchors: HashMap<usize, Anchored>,
    /// The nodes in `anchors`.
    kept: usize,
    budget: usize,
    diagnostics: &'a mut Diagnostics,
}

/// What an alias stands for.
struct Anchored {
    /// `None`: more than may be kept.
    node: Option<Node>,
    size: Size,
}

/// How large a tree is.
#[derive(Clone, Copy)]
struct Size {
    nodes: usize,
    depth: usize,
}

/// A collection whose end has not been seen.
struct Open {
    start: Span,
    anchor: usize,
    items: Items,
}

enum Items {
    List(Vec<Node>),
    Map {
        entries: Vec<(Key, Node)>,
        key: Option<Key>,
        /// The key in hand is a duplicate or refused: its value is dropped.
        skip: bool,
        /// It is a `{{ … }}` that was meant as a text.
        placeholder: bool,
        /// The start of each key, to find duplicates without comparing all pairs.
        seen: HashMap<String, Span>,
    },
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, span: granit_parser::Span) -> Result<(), Stop> {
        let span = self.span(span);
        let (tag, anchor) = (
            event.tag().is_some_and(|tag| !tag.is_yaml_core_schema()),
            event.anchor_id().unwrap_or(0),
        );
        if tag {
            self.diagnostics
                .error(Code::Syntax, span, "a tag has no meaning in a workflow")
                .label("this value is tagged")
                .help("remove the `!…` before the value");
        }
        match event {
            Event::DocumentStart(..) if self.root.is_some() => {
                self.diagnostics
                    .error(Code::Syntax, span, "the file has more than one document")
                    .label("a second document starts here")
                    .help("put each workflow into a file of its own");
                Err(Stop)
            }
            Event::Scalar(text, style, ..) => {
                let kind = Kind::Scalar {
                    text: text.into_owned(),
                    plain: style == ScalarStyle::Plain,
                };
                self.node(Node { span, kind }, anchor);
                Ok(())
            }
            Event::SequenceStart(..) => self.open(span, anchor, Items::List(Vec::new())),
            Event::MappingStart(..) => self.open(
                span,
                anchor,
                Items::Map {
                    entries: Vec::new(),
                    key: None,
                    skip: false,
                    placeholder: false,
                    seen: HashMap::new(),
                },
            ),
            Event::SequenceEnd | Event::MappingEnd => {
                self.close(span);
                Ok(())
            }
            Event::Alias(id) => self.alias(id, span),
            Event::UnresolvedAlias(name) => {
                self.diagnostics
                    .error(
                        Code::Syntax,
                        span,
                        format!("no anchor `&{name}` before this"),
                    )
                    .label("unknown alias")
                    .help("quote the value if the `*` is part of its text");
                self.node(null(span), 0);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, start: Span, anchor: usize, items: Items) -> Result<(), Stop> {
        if self.open.len() >= MAX_DEPTH {
            return Err(self.too_deep(start));
        }
        self.open.push(Open {
            start,
            anchor,
            items,
        });
        Ok(())
    }

    fn too_deep(&mut self, span: Span) -> Stop {
        self.diagnostics
            .error(
                Code::TooLarge,
                span,
                format!("nested more than {MAX_DEPTH} levels deep"),
            )
            .help("flatten the document");
        Stop
    }

    fn close(&mut self, end: Span) {
        let Some(open) = self.open.pop() else { return };
        let (kind, last) = match open.items {
            Items::List(items) => {
                let last = items.last().map(|node| node.span.end);
                (Kind::List(items), last)
            }
            Items::Map {
                placeholder: true, ..
            } => {
                let span = Span {
                    end: end.end,
                    ..open.start
                };
                return self.bare_placeholder(span, open.anchor);
            }
            Items::Map { entries, .. } => {
                let last = entries.last().map(|(_, node)| node.span.end);
                (Kind::Map(entries), last)
            }
        };
        // A block collection ends where its last entry does, not at the next token.
        let end = match last {
            Some(last) if end.start == end.end => last,
            _ => end.end,
        };
        let span = Span {
            end: end.max(open.start.start),
            ..open.start
        };
        self.node(Node { span, kind }, open.anchor);
    }

    fn alias(&mut self, id: usize, span: Span) -> Result<(), Stop> {
        let Some(target) = self.anchors.get(&id) else {
            // The anchor's collection is still open.
            self.diagnostics
                .error(Code::Syntax, span, "an alias to the collection it is in")
                .label("this would never end");
            return Err(Stop);
        };
        let Size { nodes, depth } = target.size;
        let Some(node) = target.node.as_ref().filter(|_| nodes <= self.budget) else {
            self.diagnostics
                .error(Code::TooLarge, span, "the aliases expand to too much")
                .label("this one is over the limit")
                .help(format!("they may add {ALIAS_BUDGET} values in all"));
            return Err(Stop);
        };
        if self.open.len() + depth > MAX_DEPTH {
            return Err(self.too_deep(span));
        }
        self.budget -= nodes;
        let node = node.clone();
        self.node(node, 0);
        Ok(())
    }

    /// `{{ … }}` without quotes is a mapping with a mapping for a key. It is read as the text that was meant.
    fn bare_placeholder(&mut self, span: Span, anchor: usize) {
        let text = self.text.get(span.start..span.end).unwrap_or_default();
        let after = self.text.get(span.end..).unwrap_or_default();
        let rest = after.lines().next().unwrap_or_default().trim_start();
        // Where the text goes on behind it, the parser will stop there, and say so.
        if rest.is_empty() || rest.starts_with([',', '}', ']', '#']) {
            self.diagnostics
                .error(Code::Syntax, span, "a `{{ … }}` without quotes")
                .label("YAML reads this as a mapping")
                .suggest("quote it", span, quoted(text));
        }
        let kind = Kind::Scalar {
            text: text.to_owned(),
            plain: false,
        };
        self.node(Node { span, kind }, anchor);
    }

    fn keep(&mut self, anchor: usize, node: &Node) {
        let size = size(node);
        let node = (self.kept + size.nodes <= ALIAS_BUDGET).then(|| node.clone());
        self.kept += node.as_ref().map_or(0, |_| size.nodes);
        self.anchors.insert(anchor, Anchored { node, size });
    }

    fn node(&mut self, node: Node, anchor: usize) {
        if anchor != 0 {
            self.keep(anchor, &node);
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        match &mut open.items {
            Items::List(items) => items.push(node),
            Items::Map {
                entries,
                key,
                skip,
                placeholder,
                seen,
            } => match key.take() {
                Some(_) if *skip => *skip = false,
                Some(key) => entries.push((key, node)),
                None if entries.is_empty() && is_placeholder(self.text, open.start, &node) => {
                    *placeholder = true;
                    *skip = true;
                    *key = Some(Key {
                        text: String::new(),
                        span: node.span,
                    });
                }
                None => {
                    let checked = checked_key(node, seen, self.diagnostics);
                    *skip = checked.is_err();
                    *key = Some(checked.unwrap_or_else(|dropped| dropped));
                }
            },
        }
    }

    fn span(&self, span: granit_parser::Span) -> Span {
        let range = span.byte_range().unwrap_or(0..0);
        Span {
            file: self.file,
            start: range.start.min(self.text.len()),
            end: range.end.min(self.text.len()),
        }
    }
}

/// Whether a mapping, by its start, and its first key are the two braces of a placeholder.
fn is_placeholder(text: &str, start: Span, key: &Node) -> bool {
    matches!(key.kind, Kind::Map(_))
        && key.span.start == start.start + 1
        && text
            .get(start.start..)
            .is_some_and(|text| text.starts_with("{{"))
}

/// A text on one line as a quoted scalar.
fn quoted(text: &str) -> String {
    if text.contains(['"', '\\']) {
        return ["'", &text.replace('\'', "''"), "'"].concat();
    }
    ["\"", text, "\""].concat()
}

/// A key that can be used, or (after a diagnostic) one whose value is to be dropped.
fn checked_key(
    node: Node,
    seen: &mut HashMap<String, Span>,
    diagnostics: &mut Diagnostics,
) -> Result<Key, Key> {
    let span = node.span;
    let Kind::Scalar { text, plain } = node.kind else {
        diagnostics
            .error(Code::Syntax, span, "a key must be a single value")
            .label("not a name")
            .help("quote it if it is meant as text, for example a `{{ … }}` template");
        let text = String::new();
        return Err(Key { text, span });
    };
    let key = Key { text, span };
    if key.text == "<<" && plain {
        diagnostics
            .error(Code::Syntax, span, "merge keys (`<<`) are not supported")
            .label("YAML 1.2 has no merge keys, and parsers disagree about them")
            .help("write the shared entries out, or alias one whole value (`key: *anchor`)");
        return Err(key);
    }
    if let Some(first) = seen.get(&key.text) {
        diagnostics
            .error(
                Code::Duplicate,
                span,
                format!("the key `{}` is there twice", key.text),
            )
            .label("again here")
            .also(*first, "first here");
        return Err(key);
    }
    seen.insert(key.text.clone(), span);
    Ok(key)
}

fn null(span: Span) -> Node {
    let kind = Kind::Scalar {
        text: String::new(),
        plain: true,
    };
    Node { span, kind }
}

fn size(node: &Node) -> Size {
    let join = |a: Size, b: Size| Size {
        nodes: a.nodes + b.nodes,
        depth: a.depth.max(b.depth),
    };
    let empty = Size { nodes: 0, depth: 0 };
    let inner = match &node.kind {
        Kind::Scalar { .. } => return Size { nodes: 1, depth: 0 },
        Kind::List(items) => items.iter().map(size).fold(empty, join),
        Kind::Map(entries) => entries
            .iter()
            .map(|(_, value)| size(value))
            .fold(empty, join),
    };
    Size {
        nodes: inner.nodes + 1,
        depth: inner.depth + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Option<Node>, Vec<String>) {
        let mut sources = Sources::default();
        let file = sources.add("t.yaml", text);
        let mut diagnostics = Diagnostics::default();
        let node = parse(&sources, file, &mut diagnostics);
        let messages = diagnostics
            .into_sorted()
            .into_iter()
            .map(|diagnostic| diagnostic.message)
            .collect();
        (node, messages)
    }

    #[test]
    fn agrees_with_serde_yaml() {
        let text = "a: [1, 0x1f, -2.5, true, ~, 'no', no]\nb:\n  - {c: |\n      x\n      y\n    }\n\
                    d: &d {e: 1}\nf: *d\ng: 'it''s'\nh: \"\\u00e9\"\n";
        let text = text.replace("{c: |\n      x\n      y\n    }", "c: |\n      x\n      y");
        let (node, messages) = parsed(&text);
        assert!(messages.is_empty(), "{messages:?}");
        let expected: serde_json::Value = serde_yaml::from_str(&text).unwrap();
        assert_eq!(node.unwrap().to_json(), expected);
    }

    #[test]
    fn spans_cover_the_value() {
        let text = "a:\n  - b: x y\n  - [1, 2]\nc: 1\n";
        let node = parsed(text).0.unwrap();
        let Kind::Map(entries) = &node.kind else {
            panic!()
        };
        let list = &entries[0].1;
        assert_eq!(
            &text[list.span.start..list.span.end],
            "- b: x y\n  - [1, 2]"
        );
    }

    #[test]
    fn refuses_what_workflows_do_without() {
        for (text, wanted) in [
            ("", "the file is empty"),
            ("a: 1\n---\nb: 2\n", "more than one document"),
            ("a: 1\na: 2\n", "the key `a` is there twice"),
            ("<<: {a: 1}\n", "merge keys"),
            ("a: !x 1\n", "a tag has no meaning"),
            ("a: *b\n", "no anchor `&b`"),
            ("? [1]\n: 2\n", "a key must be a single value"),
            ("a: [1\n", "cannot be parsed"),
            ("a:\n\t- 1\n", "cannot be parsed"),
            ("&a [*a]\n", "alias to the collection"),
        ] {
            let messages = parsed(text).1;
            assert!(
                messages.iter().any(|m| m.contains(wanted)),
                "{text:?}: {messages:?}"
            );
        }
    }

    #[test]
    fn what_helps_is_said_where_it_helps() {
        for (text, place, wanted) in [
            ("a: b\n\tc: d\n", "\tc", "indent with spaces"),
            ("a: b: c\n", ": c", "quote a text that has `: `"),
            ("a:\n  b: 1\n c: 2\n", "c: 2", "start in one column"),
            ("a: {{b}} c\n", "c", "quote a text that starts with `{{`"),
            ("a: \"b\n", "\"b", "close it"),
            ("a: 'it's'\n", "s'", "written twice"),
            ("a: \"\\n\\\\\\d\"\n", "\\d", "is written"),
            ("a: `b`\n", "`b", "quote a text"),
        ] {
            let mut sources = Sources::default();
            let file = sources.add("t.yaml", text);
            let mut diagnostics = Diagnostics::default();
            assert!(
                parse(&sources, file, &mut diagnostics).is_none(),
                "{text:?}"
            );
            let [diagnostic] = &diagnostics.into_sorted()[..] else {
                panic!("{text:?}: one diagnostic");
            };
            let start = diagnostic.primary.span.start;
            assert!(text[start..].starts_with(place), "{text:?}: {start}");
            let help = diagnostic.help.as_deref().unwrap_or_default();
            assert!(help.contains(wanted), "{text:?}: {help}");
        }
    }

    #[test]
    fn placeholders_without_quotes_are_the_text_that_was_meant() {
        for (text, wanted, written) in [
            ("a: {{ b.c }}\n", "{{ b.c }}", "\"{{ b.c }}\""),
            ("- {{b}}\n", "{{b}}", "\"{{b}}\""),
            (
                "a: {b: {{c | f('d')}}, e: f}\n",
                "{{c | f('d')}}",
                "\"{{c | f('d')}}\"",
            ),
            (
                "a: {{b | f(\"d\")}}\n",
                "{{b | f(\"d\")}}",
                "'{{b | f(\"d\")}}'",
            ),
        ] {
            let mut sources = Sources::default();
            let file = sources.add("t.yaml", text);
            let mut diagnostics = Diagnostics::default();
            let node = parse(&sources, file, &mut diagnostics);
            let read = node.unwrap().to_json().to_string();
            let wanted = serde_json::Value::from(wanted).to_string();
            assert!(read.contains(&wanted), "{text:?}: {read}");
            let [diagnostic] = &diagnostics.into_sorted()[..] else {
                panic!("{text:?}: one diagnostic");
            };
            let suggestion = diagnostic.suggestion.as_ref().unwrap();
            assert_eq!(suggestion.replacement, written, "{text:?}");
        }
    }

    #[test]
    fn aliases_do_not_deepen_without_end() {
        use std::fmt::Write;
        let mut text = "a0: &a0 [x]\n".to_owned();
        for i in 1..40 {
            let (open, close) = ("[".repeat(30), "]".repeat(30));
            writeln!(text, "a{i}: &a{i} {open}*a{}{close}", i - 1).unwrap();
        }
        assert!(parsed(&text).1[0].contains("nested more than"));
        // Once is fine.
        assert!(parsed("a: &a [[[x]]]\nb: [[[*a]]]\n").1.is_empty());
    }

    #[test]
    fn what_has_anchors_is_kept_once_at_most() {
        let names: Vec<String> = (0..60).map(|level| format!("&n{level} [")).collect();
        let (open, close) = (names.concat(), "]".repeat(60));
        let text = format!("a: {open}{}x{close}\n", "x, ".repeat(50_000));
        let (node, messages) = parsed(&text);
        assert!(node.is_some() && messages.is_empty(), "{messages:?}");
        // The inner two were kept; the others are too much, which matters to who names them.
        let (_, messages) = parsed(&format!("{text}b: *n59\n"));
        assert!(messages.is_empty(), "{messages:?}");
        let (_, messages) = parsed(&format!("{text}b: *n0\n"));
        assert!(messages[0].contains("expand to too much"), "{messages:?}");
    }

    #[test]
    fn depth_and_aliases_are_bounded() {
        let deep = "[".repeat(100_000);
        // The parser has a limit of its own, above ours.
        let messages = parsed(&deep).1;
        assert!(messages[0].contains("recursion limit"), "{messages:?}");
        let deep = format!("{}x{}", "[".repeat(100), "]".repeat(100));
        let messages = parsed(&deep).1;
        assert!(messages[0].contains("nested more than"), "{messages:?}");
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..12 {
            use std::fmt::Write;
            let item = format!("*a{}, ", i - 1).repeat(9);
            writeln!(bomb, "a{i}: &a{i} [{item}]").unwrap();
        }
        assert!(parsed(&bomb).1[0].contains("expand to too much"));
    }
}
