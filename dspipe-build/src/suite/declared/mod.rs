//! Metrics and gates of a suite: their names, their options, and the fields that they look at.
//!
//! What passes here, the harness can read: what it refuses in `dspipe_eval::metric` and `dspipe_eval::gate` is refused
//! here first, with its place.

mod gates;
mod paths;
mod schema;
mod values;

use super::file::Written;
use super::options::{METRICS, Takes, UNITS};
use crate::check::Signatures;
use crate::diag::{Code, Diagnostics};
use crate::source::{Sources, Span};
use crate::yaml::{Key, Kind, Node, core_float};

use paths::At;

/// Checks metrics, gates and snapshots; gives the Rust functions that the metrics name.
pub(super) fn check(
    written: &Written,
    signatures: &Signatures,
    only: Option<usize>,
    sources: &Sources,
    diagnostics: &mut Diagnostics,
) -> Vec<String> {
    let root = match only {
        None => At::Workflow,
        Some(step) => At::Fields(&signatures.fields[step].outputs),
    };
    let mut checker = Checker {
        signatures,
        sources,
        diagnostics,
        functions: Vec::new(),
        names: Vec::new(),
    };
    let metrics = &written.metrics;
    let entries = match &metrics.kind {
        Kind::List(entries) => entries.as_slice(),
        _ => std::slice::from_ref(metrics),
    };
    if entries.is_empty() {
        checker.setting(metrics.span, "a suite without metrics", "name at least one");
    }
    for entry in entries {
        checker.entry(entry, root);
    }
    if let Some(gates) = &written.gates {
        checker.gates(gates, written.repeats);
    }
    if let Some(snapshots) = &written.snapshots {
        for path in &snapshots.redact {
            checker.path(&path.value, path.span, root);
        }
        for (pattern, _) in &snapshots.replace {
            checker.regex(&pattern.value, pattern.span);
        }
    }
    let mut functions = checker.functions;
    functions.sort();
    functions.dedup();
    functions
}

struct Checker<'a> {
    signatures: &'a Signatures,
    sources: &'a Sources,
    diagnostics: &'a mut Diagnostics,
    functions: Vec<String>,
    /// The names of the metrics, and where they are.
    names: Vec<(String, Span)>,
}

impl<'a> Checker<'a> {
    fn setting(&mut self, span: Span, message: impl Into<String>, label: &str) {
        self.diagnostics
            .error(Code::InvalidSetting, span, message)
            .label(label);
    }

    /// A metric of the suite, perhaps with a name and the like.
    fn entry(&mut self, entry: &Node, at: At<'a>) {
        const KEYS: [&str; 3] = ["name", "weight", "pass_at"];
        let own = own_keys(entry, &KEYS);
        let mut name = match own {
            None => self.metric(entry, at),
            Some(own) => self.with(entry, own, &KEYS, at),
        };
        let mut place = entry.span;
        if let Some(given) = own.and_then(|own| find(own, "name")) {
            place = given.span;
            name = text(given);
            if name.as_ref().is_none_or(String::is_empty) {
                self.setting(given.span, "a metric's name is a text", "not a text");
            }
        }
        let Some(name) = name else { return };
        if let Some((_, first)) = self.names.iter().find(|(known, _)| *known == name) {
            self.diagnostics
                .error(
                    Code::Duplicate,
                    place,
                    format!("two metrics are called `{name}`"),
                )
                .label("give this one another `name`")
                .also(*first, "the first one");
        }
        self.names.push((name, place));
    }

    /// `{metric: …}` with other keys.
    fn with(
        &mut self,
        node: &Node,
        entries: &[(Key, Node)],
        others: &[&'static str],
        at: At<'a>,
    ) -> Option<String> {
        let known: Vec<&'static str> = std::iter::once("metric")
            .chain(others.iter().copied())
            .collect();
        self.keys(entries, &known, "a metric of a suite");
        self.numbers(entries, false);
        if let Some(weight) = find(entries, "weight")
            && number(weight).is_none_or(|it| it <= 0.0)
        {
            self.setting(weight.span, "a weight is a number above 0", "not a weight");
        }
        match find(entries, "metric") {
            Some(metric) => self.metric(metric, at),
            None => {
                self.setting(node.span, "which metric?", "`metric` is missing here");
                None
            }
        }
    }

    /// A metric: its name, or its name with options. Gives the name.
    fn metric(&mut self, node: &Node, at: At<'a>) -> Option<String> {
        let (name, span, options) = match &node.kind {
            Kind::Scalar { text, .. } if !node.is_null() => (text, node.span, None),
            Kind::Map(entries) => match entries.as_slice() {
                [(key, options)] => (&key.text, key.span, Some(options)),
                _ => {
                    self.form(node);
                    return None;
                }
            },
            _ => {
                self.form(node);
                return None;
            }
        };
        let Some((_, takes)) = METRICS.iter().find(|(known, _)| known == name) else {
            self.diagnostics
                .error(
                    Code::InvalidSetting,
                    span,
                    format!("there is no metric `{name}`"),
                )
                .label("unknown metric")
                .meant(span, name, METRICS.iter().map(|(known, _)| *known));
            return None;
        };
        self.options(name, span, options, *takes, at);
        Some(name.clone())
    }

    fn form(&mut self, node: &Node) {
        self.diagnostics
            .error(Code::WrongKind, node.span, "this is no metric")
            .label("expected a name, as in `exact`, or one name with its options")
            .help("for example `numeric: {abs: 0.5}`");
    }

    fn options(
        &mut self,
        name: &str,
        span: Span,
        options: Option<&Node>,
        takes: Takes,
        at: At<'a>,
    ) {
        let options = options.filter(|options| !options.is_null());
        match takes {
            Takes::Schema => self.schema(options, span),
            Takes::Nothing => {
                let is_empty =
                    |node: &&Node| matches!(&node.kind, Kind::Map(map) if map.is_empty());
                if let Some(node) = options.filter(|node| !is_empty(node)) {
                    self.setting(node.span, format!("`{name}` takes no options"), "these");
                }
            }
            Takes::Text => match options.and_then(text) {
                Some(text) if name == "rust" && is_ident(&text) => self.functions.push(text),
                Some(text) if name == "rust" => self.setting(
                    options.map_or(span, |node| node.span),
                    format!("`{text}` names no Rust function"),
                    "expected a name as in Rust",
                ),
                Some(pattern) => self.regex(&pattern, options.map_or(span, |node| node.span)),
                None => self.setting(
                    options.map_or(span, |node| node.span),
                    format!("`{name}` takes a text"),
                    "expected a text",
                ),
            },
            Takes::Options(must, may) => {
                let entries = self.mapping(options, name);
                let known: Vec<&'static str> = must.iter().chain(may).copied().collect();
                self.keys(entries, &known, &format!("`{name}`"));
                self.needed(entries, must, span, name);
                self.numbers(entries, false);
                self.inner(name, entries, span, at);
            }
            Takes::Fields => {
                let entries = self.mapping(options, name);
                if entries.is_empty() {
                    self.setting(span, "`fields` takes metrics by field", "there are none");
                }
                for (key, metric) in entries {
                    let at = self.path(&key.text, key.span, at);
                    self.weighted(metric, at);
                }
            }
            Takes::List(weighted) => match options.map(|node| &node.kind) {
                Some(Kind::List(items)) if !items.is_empty() => {
                    for item in items {
                        if weighted {
                            self.weighted(item, at);
                        } else {
                            self.metric(item, at);
                        }
                    }
                }
                _ => self.setting(span, format!("`{name}` takes a list of metrics"), "here"),
            },
        }
    }

    /// A metric, perhaps with a weight.
    fn weighted(&mut self, node: &Node, at: At<'a>) {
        match own_keys(node, &["weight"]) {
            Some(entries) => {
                self.with(node, entries, &["weight"], at);
            }
            None => {
                self.metric(node, at);
            }
        }
    }

    fn mapping<'n>(&mut self, options: Option<&'n Node>, name: &str) -> &'n [(Key, Node)] {
        match options.map(|node| (&node.kind, node.span)) {
            None => &[],
            Some((Kind::Map(entries), _)) => entries,
            Some((_, span)) => {
                self.diagnostics
                    .error(
                        Code::WrongKind,
                        span,
                        format!("the options of `{name}` must be a mapping"),
                    )
                    .label("expected `{…}`");
                &[]
            }
        }
    }

    fn keys(&mut self, entries: &[(Key, Node)], known: &[&'static str], what: &str) {
        for (key, _) in entries {
            if !known.contains(&key.text.as_str()) {
                self.diagnostics
                    .error(
                        Code::UnknownKey,
                        key.span,
                        format!("unknown key `{}` in {what}", key.text),
                    )
                    .label("unknown key")
                    .meant(key.span, &key.text, known.iter().copied());
            }
        }
    }

    fn needed(&mut self, entries: &[(Key, Node)], must: &[&str], span: Span, name: &str) {
        for key in must {
            if find(entries, key).is_none() {
                self.diagnostics
                    .error(Code::MissingKey, span, format!("`{name}` has no `{key}`"))
                    .label(format!("`{key}` is missing here"));
            }
        }
    }

    /// Options that are numbers from 0 to 1; `min` is one in gates only.
    fn numbers(&mut self, entries: &[(Key, Node)], in_gate: bool) {
        for (key, node) in entries {
            let is_unit = UNITS.contains(&key.text.as_str()) || in_gate && key.text == "min";
            let number = number(node);
            if is_unit && number.is_none_or(|number| !(0.0..=1.0).contains(&number)) {
                self.setting(
                    node.span,
                    format!("`{}` must be a number from 0 to 1", key.text),
                    "not a number from 0 to 1",
                );
            }
        }
    }
}

/// The entries of `{metric: …}`, or of a mapping that was probably meant as one.
fn own_keys<'n>(node: &'n Node, others: &[&str]) -> Option<&'n [(Key, Node)]> {
    match &node.kind {
        Kind::Map(entries)
            if node.has("metric")
                || entries.len() > 1
                    && entries
                        .iter()
                        .any(|(key, _)| others.contains(&key.text.as_str())) =>
        {
            Some(entries)
        }
        _ => None,
    }
}

fn find<'n>(entries: &'n [(Key, Node)], key: &str) -> Option<&'n Node> {
    let entry = entries.iter().find(|(known, _)| known.text == key)?;
    Some(&entry.1)
}

/// A text, not what JSON takes for something else.
fn text(node: &Node) -> Option<String> {
    match &node.kind {
        Kind::Scalar { .. } => node.to_json().as_str().map(str::to_owned),
        _ => None,
    }
}

/// A finite number.
fn number(node: &Node) -> Option<f64> {
    match &node.kind {
        Kind::Scalar { text, plain: true } => core_float(text),
        _ => None,
    }
}

fn is_ident(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
