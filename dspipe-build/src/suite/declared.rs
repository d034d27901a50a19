//! Metrics and gates of a suite: their names, their options, and the fields that they look at.

use super::options::{GATES, METRICS, Takes, UNITS};
use crate::check::{Signatures, is_lm_name};
use crate::diag::{Code, Diagnostics};
use crate::ir::{Field, Type, TypeDefKind, TypeKind};
use crate::source::{Sources, Span};
use crate::yaml::{self, Key, Kind, Node, core_float};

/// Where in the output a metric looks.
#[derive(Clone, Copy)]
enum At<'a> {
    /// The outputs of all steps, by their names.
    Steps,
    /// An object with these fields.
    Fields(&'a [Field]),
    Type(&'a Type),
    /// Somewhere in a value of which nothing is known.
    Unknown,
}

/// Checks both; gives the Rust functions that the metrics name.
pub(super) fn check(
    metrics: &Node,
    gates: Option<&Node>,
    repeats: u32,
    signatures: &Signatures,
    only: Option<usize>,
    sources: &Sources,
    diagnostics: &mut Diagnostics,
) -> Vec<String> {
    let root = match only {
        None => At::Steps,
        Some(step) => At::Fields(&signatures.fields[step].outputs),
    };
    let mut checker = Checker {
        signatures,
        sources,
        diagnostics,
        functions: Vec::new(),
        names: Vec::new(),
    };
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
    if let Some(gates) = gates {
        checker.gates(gates, repeats);
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
    /// The names of the metrics.
    names: Vec<String>,
}

impl<'a> Checker<'a> {
    fn setting(&mut self, span: Span, message: impl Into<String>, label: &str) {
        self.diagnostics
            .error(Code::InvalidSetting, span, message)
            .label(label);
    }

    /// A metric of the suite, perhaps with a name and the like.
    fn entry(&mut self, entry: &Node, at: At<'a>) {
        let Some(own) = own_keys(entry, &["name", "weight", "pass_at"]) else {
            let name = self.metric(entry, at);
            self.names.extend(name);
            return;
        };
        let name = self.with(entry, own, &["name", "weight", "pass_at"], at);
        let given = find(own, "name").and_then(|node| scalar(node));
        self.names.extend(given.map(str::to_owned).or(name));
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
            && scalar(weight)
                .and_then(core_float)
                .is_none_or(|it| it <= 0.0)
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
            Takes::Anything => {}
            Takes::Nothing => {
                let is_empty =
                    |node: &&Node| matches!(&node.kind, Kind::Map(map) if map.is_empty());
                if let Some(node) = options.filter(|node| !is_empty(node)) {
                    self.setting(node.span, format!("`{name}` takes no options"), "these");
                }
            }
            Takes::Text => match options.and_then(scalar) {
                Some(text) if name == "rust" && is_ident(text) => {
                    self.functions.push(text.to_owned());
                }
                Some(text) if name == "rust" => self.setting(
                    options.map_or(span, |node| node.span),
                    format!("`{text}` names no Rust function"),
                    "expected a name as in Rust",
                ),
                Some(_) => {}
                None => self.setting(span, format!("`{name}` takes a text"), "it is missing"),
            },
            Takes::Options(must, may) => {
                let entries = self.mapping(options, name);
                let known: Vec<&'static str> = must.iter().chain(may).copied().collect();
                self.keys(entries, &known, &format!("`{name}`"));
                self.needed(entries, must, span, name);
                self.numbers(entries, false);
                self.inner(name, entries, at);
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

    /// What is inside of options: other metrics, places, values.
    fn inner(&mut self, name: &str, entries: &[(Key, Node)], at: At<'a>) {
        let mut inside = at;
        if name == "at"
            && let Some(path) = find(entries, "path")
            && let Some(text) = scalar(path)
        {
            inside = self.path(text, path.span, at);
        }
        if let Some(metric) = find(entries, "metric") {
            self.metric(metric, inside);
        }
        if let Some(key) = find(entries, "key")
            && let Some(text) = scalar(key)
        {
            self.path(text, key.span, item_of(at));
        }
        if let Some(values) = find(entries, "values") {
            self.values(values, at);
        }
        if let Some(lm) = find(entries, "lm")
            && !scalar(lm).is_some_and(is_lm_name)
        {
            self.diagnostics
                .error(Code::InvalidLm, lm.span, "this names no LM")
                .label("expected `provider/model`");
        }
    }

    /// Values that the output is compared with: those of an enum must be some that it can have.
    fn values(&mut self, values: &Node, at: At<'a>) {
        let At::Type(ty) = at else { return };
        let (TypeKind::Enum(reference), Kind::List(items)) = (&stripped(ty).kind, &values.kind)
        else {
            return;
        };
        let TypeDefKind::Enum(variants) = &self.signatures.types[reference.0].kind else {
            return;
        };
        for item in items {
            let Some(text) = scalar(item) else { continue };
            if !variants.iter().any(|variant| variant.name.text == text) {
                let known = variants.iter().map(|variant| variant.name.text.as_str());
                self.diagnostics
                    .error(
                        Code::ImpossibleComparison,
                        item.span,
                        format!("the output is never `{text}`"),
                    )
                    .label("not a value of the enum")
                    .meant(item.span, text, known);
            }
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
            let number = scalar(node).and_then(core_float);
            if is_unit && number.is_none_or(|number| !(0.0..=1.0).contains(&number)) {
                self.setting(
                    node.span,
                    format!("`{}` must be a number from 0 to 1", key.text),
                    "not a number from 0 to 1",
                );
            }
        }
    }

    /// Where a path leads, seen from `at`.
    fn path(&mut self, text: &str, span: Span, mut at: At<'a>) -> At<'a> {
        for part in text.split('.') {
            let (key, indexes) = match part.find('[') {
                Some(at) => part.split_at(at),
                None => (part, ""),
            };
            let Some(found) = self.key(key, text, span, at) else {
                return At::Unknown;
            };
            at = found;
            for _ in 0..indexes.matches('[').count() {
                let is_list = match at {
                    At::Type(ty) => matches!(
                        stripped(ty).kind,
                        TypeKind::List(_) | TypeKind::Any | TypeKind::Broken | TypeKind::Union(_)
                    ),
                    At::Unknown => true,
                    At::Steps | At::Fields(_) => false,
                };
                if !is_list {
                    self.diagnostics
                        .error(
                            Code::UnresolvedPath,
                            span,
                            format!("`{text}` leads nowhere: `{key}` is no list"),
                        )
                        .label("no list");
                    return At::Unknown;
                }
                at = item_of(at);
            }
        }
        at
    }

    fn key(&mut self, key: &str, path: &str, span: Span, at: At<'a>) -> Option<At<'a>> {
        let signatures = self.signatures;
        let fields = match at {
            At::Unknown => return Some(At::Unknown),
            At::Steps => {
                if let Some(step) = signatures.top_step(key) {
                    return Some(At::Fields(&signatures.fields[step].outputs));
                }
                if signatures.blocks.iter().any(|block| block.text == key) {
                    return Some(At::Unknown);
                }
                let steps = signatures.steps.iter();
                let steps = steps.filter(|step| signatures.top_step(&step.text).is_some());
                let known = steps.chain(&signatures.blocks);
                let known = known.map(|node| node.text.as_str());
                let diagnostic = self.diagnostics.error(
                    Code::UnresolvedPath,
                    span,
                    format!("`{path}` leads nowhere: the workflow has no step `{key}`"),
                );
                diagnostic.label("unknown step");
                let of = signatures.steps.iter().zip(&signatures.fields);
                let mut of = of.filter(|(_, it)| it.outputs.iter().any(|f| f.name.text == key));
                match of.next() {
                    Some((step, _)) => {
                        diagnostic.help(format!(
                            "outputs are by step, then by field: `{}.{key}`",
                            step.text
                        ));
                    }
                    None => {
                        diagnostic.meant_in(self.sources, span, key, known);
                    }
                }
                return None;
            }
            At::Fields(fields) => fields,
            At::Type(ty) => match &stripped(ty).kind {
                TypeKind::Struct(reference) => match &signatures.types[reference.0].kind {
                    TypeDefKind::Struct(fields) => fields.as_slice(),
                    _ => return Some(At::Unknown),
                },
                TypeKind::Map(inner) => return Some(At::Type(inner)),
                TypeKind::Any | TypeKind::Object | TypeKind::Union(_) | TypeKind::Broken => {
                    return Some(At::Unknown);
                }
                TypeKind::List(_) => {
                    self.diagnostics
                        .error(
                            Code::UnresolvedPath,
                            span,
                            format!("`{path}` leads nowhere: there is a list before `{key}`"),
                        )
                        .label("a list has no fields")
                        .help("`[0]` after its name is its first item");
                    return None;
                }
                _ => &[],
            },
        };
        if let Some(field) = fields.iter().find(|field| field.name.text == key) {
            return Some(At::Type(&field.ty));
        }
        self.diagnostics
            .error(
                Code::UnresolvedPath,
                span,
                format!("`{path}` leads nowhere: the output has no `{key}` there"),
            )
            .label("no such field")
            .meant_in(
                self.sources,
                span,
                key,
                fields.iter().map(|field| field.name.text.as_str()),
            );
        None
    }

    fn gates(&mut self, gates: &Node, repeats: u32) {
        let maps = match &gates.kind {
            Kind::List(items) => items.as_slice(),
            _ => std::slice::from_ref(gates),
        };
        for map in maps {
            let Kind::Map(entries) = &map.kind else {
                self.diagnostics
                    .error(Code::WrongKind, map.span, "gates are names with options")
                    .label("expected a mapping, as in `pass_rate: {min: 0.9}`");
                continue;
            };
            for (key, options) in entries {
                self.gate(key, options, repeats);
            }
        }
    }

    fn gate(&mut self, key: &Key, options: &Node, repeats: u32) {
        let (name, span) = (key.text.as_str(), key.span);
        let Some((_, must, may)) = GATES.iter().find(|(known, ..)| *known == name) else {
            self.diagnostics
                .error(
                    Code::InvalidSetting,
                    span,
                    format!("there is no gate `{name}`"),
                )
                .label("unknown gate")
                .meant(span, name, GATES.iter().map(|(known, ..)| *known));
            return;
        };
        let options = Some(options).filter(|options| !options.is_null());
        let entries = self.mapping(options, name);
        if name == "latency" {
            for (key, _) in entries {
                let percent = key.text.strip_prefix('p').and_then(core_float);
                if percent.is_none_or(|it| !(0.0..=100.0).contains(&it)) {
                    self.setting(
                        key.span,
                        format!("`{}` is no quantile", key.text),
                        "one reads as `p95`",
                    );
                }
            }
            return;
        }
        let known: Vec<&'static str> = must.iter().chain(*may).copied().collect();
        self.keys(entries, &known, &format!("the gate `{name}`"));
        self.needed(entries, must, span, name);
        self.numbers(entries, true);
        if let Some(metric) = find(entries, "metric")
            && let Some(text) = scalar(metric)
            && !self.names.iter().any(|known| known == text)
        {
            let known: Vec<&str> = self.names.iter().map(String::as_str).collect();
            self.diagnostics
                .error(
                    Code::InvalidSetting,
                    metric.span,
                    format!("the suite has no metric `{text}`"),
                )
                .label("unknown metric")
                .meant(metric.span, text, known);
        }
        if let Some(k) = find(entries, "k")
            && let Some(count) = yaml::size(k, "`k`", self.diagnostics)
            && !(1..=repeats).contains(&count.value)
        {
            self.setting(
                k.span,
                format!("`k` is {count}, but each case runs {repeats} times"),
                "set `repeats` of the suite",
            );
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

fn scalar(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Scalar { text, .. } if !node.is_null() => Some(text),
        _ => None,
    }
}

fn is_ident(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn stripped(ty: &Type) -> &Type {
    match &ty.kind {
        TypeKind::Optional(inner) => stripped(inner),
        _ => ty,
    }
}

/// The items of a list.
fn item_of(at: At<'_>) -> At<'_> {
    match at {
        At::Type(ty) => match &stripped(ty).kind {
            TypeKind::List(item) => At::Type(item),
            _ => At::Unknown,
        },
        _ => At::Unknown,
    }
}
