//! The keys of a suite's file.

use super::Sample;
use crate::check;
use crate::diag::{Code, Diagnostics};
use crate::source::Spanned;
use crate::yaml::{self, Kind, MapReader, Node};

/// A suite as it is written.
pub(super) struct Written {
    pub(super) name: Spanned<String>,
    pub(super) workflow: Spanned<String>,
    pub(super) step: Option<Spanned<String>>,
    pub(super) data: Vec<Spanned<String>>,
    pub(super) cases: Vec<Node>,
    pub(super) metrics: Node,
    pub(super) gates: Option<Node>,
    pub(super) repeats: u32,
    pub(super) must_pass: bool,
    pub(super) sample: Option<Sample>,
    pub(super) tags: Vec<String>,
    pub(super) snapshots: Option<Snapshots>,
    pub(super) cassettes: Option<String>,
}

/// What snapshots leave out, as it is written.
#[derive(Default)]
pub(super) struct Snapshots {
    pub(super) redact: Vec<Spanned<String>>,
    /// Patterns, and what stands for what they match.
    pub(super) replace: Vec<(Spanned<String>, String)>,
}

impl Written {
    pub(super) fn read(root: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut map = MapReader::new(root, "the suite", diagnostics)?;
        map.point_at(crate::source::Span {
            end: root.span.start,
            ..root.span
        });
        let name = required(&mut map, "suite", diagnostics);
        let workflow = required(&mut map, "workflow", diagnostics);
        let step = optional(&mut map, "step", diagnostics);
        let data = map
            .optional("data")
            .map_or_else(Vec::new, |node| paths(node, diagnostics));
        let inline = map.optional("cases");
        let cases = inline.and_then(|node| yaml::list(node, "`cases`", diagnostics));
        let cases = cases.unwrap_or_default();
        let names_data = !data.is_empty() || inline.is_some() || map.has("data");
        if !names_data {
            diagnostics
                .error(Code::MissingKey, map.span(), "the suite has no cases")
                .label("`data` or `cases` is missing here")
                .help(
                    "`data: data/test.jsonl` names a file, `cases:` is a list of them in this one",
                );
        }
        let metrics = map.required("metrics", diagnostics);
        let gates = map.optional("gates").filter(|node| !node.is_null());
        let repeats = map.optional("repeats").and_then(|node| {
            let count = yaml::size(node, "`repeats`", diagnostics)?;
            if count.value == 0 {
                diagnostics
                    .error(Code::InvalidSetting, count.span, "no case would run")
                    .label("at least 1");
            }
            Some(count.value)
        });
        let must_pass = map
            .optional("must_pass")
            .and_then(|node| yaml::boolean(node, "`must_pass`", diagnostics));
        let sample = map
            .optional("sample")
            .and_then(|node| sample(node, diagnostics));
        let tags = map
            .optional("tags")
            .map_or_else(Vec::new, |node| check::tags(node, diagnostics));
        let snapshots = map
            .optional("snapshots")
            .and_then(|node| snapshots(node, diagnostics));
        let cassettes = optional(&mut map, "cassettes", diagnostics);
        map.finish(diagnostics);
        Some(Self {
            name: name?,
            workflow: workflow?,
            step,
            data,
            cases: cases.to_vec(),
            metrics: metrics?.clone(),
            gates: gates.cloned(),
            repeats: repeats.unwrap_or(1),
            must_pass: must_pass.is_some_and(|it| it.value),
            sample,
            tags,
            snapshots,
            cassettes: cassettes.map(|it| it.value),
        })
    }
}

fn required(
    map: &mut MapReader<'_>,
    key: &'static str,
    diagnostics: &mut Diagnostics,
) -> Option<Spanned<String>> {
    let node = map.required(key, diagnostics)?;
    yaml::text(node, format_args!("`{key}`"), diagnostics)
}

fn optional(
    map: &mut MapReader<'_>,
    key: &'static str,
    diagnostics: &mut Diagnostics,
) -> Option<Spanned<String>> {
    let node = map.optional(key)?;
    yaml::text(node, format_args!("`{key}`"), diagnostics)
}

fn paths(node: &Node, diagnostics: &mut Diagnostics) -> Vec<Spanned<String>> {
    let items = match &node.kind {
        Kind::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let paths = items.iter();
    paths
        .filter_map(|item| yaml::text(item, "a path in `data`", diagnostics))
        .collect()
}

/// `sample: 50`, or with a seed.
fn sample(node: &Node, diagnostics: &mut Diagnostics) -> Option<Sample> {
    let (size, seed) = if let Kind::Map(_) = node.kind {
        let mut map = MapReader::new(node, "`sample`", diagnostics)?;
        let size = map.required("size", diagnostics);
        let size = size.and_then(|node| yaml::size(node, "`size`", diagnostics));
        let seed = map.optional("seed");
        let seed = seed.and_then(|node| yaml::size(node, "`seed`", diagnostics));
        map.finish(diagnostics);
        (size?, seed.map_or(0, |seed| seed.value))
    } else {
        (yaml::size(node, "`sample`", diagnostics)?, 0)
    };
    if size.value == 0 {
        diagnostics
            .error(Code::InvalidSetting, size.span, "a sample without cases")
            .label("at least 1");
    }
    Some(Sample {
        size: size.value as usize,
        seed: seed.into(),
    })
}

/// `snapshots: true`, or a mapping of what they leave out.
fn snapshots(node: &Node, diagnostics: &mut Diagnostics) -> Option<Snapshots> {
    if let Kind::Scalar { .. } = node.kind {
        let wanted = yaml::boolean(node, "`snapshots`", diagnostics)?;
        return wanted.value.then(Snapshots::default);
    }
    let mut map = MapReader::new(node, "`snapshots`", diagnostics)?;
    let mut rules = Snapshots::default();
    if let Some(node) = map.optional("redact") {
        let items = yaml::list(node, "`redact`", diagnostics).unwrap_or_default();
        let paths = items.iter();
        rules.redact = paths
            .filter_map(|item| yaml::text(item, "a path in `redact`", diagnostics))
            .collect();
    }
    if let Some(node) = map.optional("replace") {
        match &node.kind {
            Kind::Map(entries) => {
                for (pattern, by) in entries {
                    let by = match &by.kind {
                        Kind::Scalar { text, .. } => Some(text.clone()),
                        _ => yaml::text(by, "what replaces it", diagnostics).map(|it| it.value),
                    };
                    let pattern = Spanned::new(pattern.text.clone(), pattern.span);
                    rules.replace.extend(by.map(|by| (pattern, by)));
                }
            }
            _ => {
                let _ = MapReader::new(node, "`replace`", diagnostics);
            }
        }
    }
    map.finish(diagnostics);
    Some(rules)
}
