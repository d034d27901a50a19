//! From a reply to the value that a schema asks for.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;

use super::candidates::{Candidate, Place, Reply, is_blank};
use super::coerce::{Coercer, Outcome, shown_whole};
use super::error::{FieldError, FieldErrorKind, ReadError, path};
use super::label::{Label, label};
use super::rehang::rehang;
use super::repair::{Repair, RepairKind};
use super::scan::{self, Shared};
use super::schema::{Schema, SchemaError};
use super::tree::{Node, NodeKind, Slip};

/// How a reply is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strictness {
    /// JSON and nothing else, as `serde_json` reads it, with values exactly of the types that are asked for.
    Strict,
    /// The answer is found in the reply, its form is repaired, and its values are taken for what they
    /// clearly mean. All of that is reported; what could mean two things is an error.
    #[default]
    Lenient,
}

/// What a reply says.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// The value. Keys of objects are in the order of the schema.
    pub value: Value,
    /// What was changed to read it, in the order of the reply; nothing if the reply is right as it is.
    pub repairs: Vec<Repair>,
}

impl Parsed {
    /// The penalties of all repairs: 0 for a reply that is right as it is.
    pub fn penalty(&self) -> u32 {
        let penalties = self.repairs.iter().map(Repair::penalty);
        penalties.fold(0, u32::saturating_add)
    }
}

/// Reads a reply as what a schema asks for.
///
/// ```
/// use dspipe_runtime::read::{Schema, Strictness, parse};
///
/// let schema = Schema::parse(
///     r#"{"type": "object", "required": ["mood"], "properties": {"mood": {"enum": ["calm", "angry"]}}}"#,
/// )?;
/// let parsed = parse(&schema, "Sure!\n```json\n{mood: 'Calm',}\n```", Strictness::Lenient)?;
/// assert_eq!(parsed.value["mood"], "calm");
/// assert!(parse(&schema, "{mood: 'Calm'}", Strictness::Strict).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Leniently, numbers may be written with separators, units and currencies. `45%` is 0.45 where the type has a
/// maximum of at most 1, and 45 everywhere else; `8/10` is 0.8, and 8 for a number of at most 10. `1,234` is 1234,
/// unless the limits of the number leave only 1.234.
/// Keys that are not asked for are dropped, where the schema does not say `additionalProperties`, too; strictly,
/// they are kept there.
///
/// # Errors
/// [`ReadError::Fields`] with everything that is wrong in the candidate that comes nearest, or
/// [`ReadError::Syntax`] or [`ReadError::NoObject`] if there is none.
pub fn parse(schema: &Schema, reply: &str, strictness: Strictness) -> Result<Parsed, ReadError> {
    Parser::new(schema, reply, 0).parse(strictness)
}

/// The schema of a signature, parsed at its first use.
pub(crate) fn schema_of(text: &'static str) -> Result<Arc<Schema>, SchemaError> {
    static KNOWN: RwLock<Option<HashMap<&'static str, Arc<Schema>>>> = RwLock::new(None);
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(schema) = known.as_ref().and_then(|known| known.get(text)) {
        return Ok(Arc::clone(schema));
    }
    drop(known);
    let schema = Arc::new(Schema::parse(text)?);
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    known
        .get_or_insert_default()
        .insert(text, Arc::clone(&schema));
    Ok(schema)
}

/// How many steps lenient reading takes, to hold it against the length of the reply.
#[cfg(test)]
pub(super) fn steps(schema: &Schema, reply: &str) -> u64 {
    let parser = Parser::new(schema, reply, 0);
    let _ = parser.parse(Strictness::Lenient);
    parser.shared.steps.get()
}

struct Parser<'p> {
    schema: &'p Schema,
    reply: &'p str,
    /// How many texts this one was inside.
    level: u32,
    /// Where its brackets are, and how many are open behind each.
    brackets: OnceCell<Vec<(usize, i64)>>,
    shared: Shared,
}

/// Texts in texts in texts are given up.
const MAX_LEVELS: u32 = 3;

/// A candidate, and what came of it.
struct Read {
    candidate: Candidate,
    outcome: Outcome,
}

impl<'p> Parser<'p> {
    fn new(schema: &'p Schema, reply: &'p str, level: u32) -> Self {
        Self {
            schema,
            reply,
            level,
            brackets: OnceCell::new(),
            shared: Shared::of(reply),
        }
    }

    fn parse(&self, strictness: Strictness) -> Result<Parsed, ReadError> {
        if strictness == Strictness::Strict {
            return self.strict();
        }
        if let Some(node) = scan::strict(self.reply, self.schema.keys(), &self.shared) {
            let outcome = self.coerced(&node);
            if outcome.fits() && outcome.repairs.is_empty() {
                return outcome
                    .value
                    .map(|value| Parsed {
                        value,
                        repairs: Vec::new(),
                    })
                    .ok_or(ReadError::NoObject);
            }
        }
        self.lenient()
    }

    fn strict(&self) -> Result<Parsed, ReadError> {
        if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(self.reply) {
            return Err(ReadError::syntax(&error));
        }
        let Some(node) = scan::strict(self.reply, self.schema.keys(), &self.shared) else {
            // What serde_json checks only when it keeps the value, such as halves of a surrogate pair.
            let error = serde_json::from_str::<Value>(self.reply).err();
            return Err(error.map_or(ReadError::NoObject, |error| ReadError::syntax(&error)));
        };
        let outcome = Coercer::new(self.schema, self.reply, &self.shared, true).outcome(&node);
        match outcome.value {
            Some(value) if outcome.errors.is_empty() => Ok(Parsed {
                value,
                repairs: Vec::new(),
            }),
            _ => Err(ReadError::Fields(outcome.errors)),
        }
    }

    fn coerced(&self, node: &Node) -> Outcome {
        Coercer::new(self.schema, self.reply, &self.shared, false).outcome(node)
    }

    fn lenient(&self) -> Result<Parsed, ReadError> {
        if let Some(parsed) = self.decoded() {
            return Ok(parsed);
        }
        let wants_list = self.schema.is_list(self.schema.root());
        self.searched(true).or_else(|error| {
            if !wants_list && self.reply.contains('[') {
                self.searched(false).map_err(|_| error)
            } else {
                Err(error)
            }
        })
    }

    /// What is read in a reply that is one JSON text as a whole, where a text is not what is asked for.
    fn decoded(&self) -> Option<Parsed> {
        let trimmed = self.reply.trim_matches(is_blank);
        if !trimmed.starts_with('"')
            || self.level >= MAX_LEVELS
            || self.schema.takes_text(self.schema.root())
        {
            return None;
        }
        let inner: String = serde_json::from_str(trimmed).ok()?;
        if !inner.contains('{') {
            return None;
        }
        let parser = Parser::new(self.schema, &inner, self.level + 1);
        let mut parsed = parser.parse(Strictness::Lenient).ok()?;
        let start = self.reply.len() - self.reply.trim_start_matches(is_blank).len();
        let span = start..start + trimmed.len();
        for repair in &mut parsed.repairs {
            // Where it is in the reply, the escapes hide.
            repair.span = span.clone();
        }
        let whole = Repair {
            kind: RepairKind::Encoded,
            span,
            path: String::new(),
            note: String::new(),
        };
        parsed.repairs.insert(0, whole);
        Some(parsed)
    }

    fn searched(&self, lists: bool) -> Result<Parsed, ReadError> {
        let mut reply = Reply::new(self.reply, self.schema, &self.shared, lists);
        let fields = reply.fields(self.schema, &self.shared);
        let lines = reply.lines(self.schema, &self.shared);
        let bare = reply.bare(self.is_scalar(), &self.shared);
        let objects = reply.objects().count();
        let json = std::mem::take(&mut reply.json);
        let several = self.several(&json);
        let mut read: Vec<Read> = Vec::new();
        for candidate in json.into_iter().chain(fields) {
            read.push(self.read(candidate));
        }
        let wants_list = several.is_some() && self.schema.wants_list();
        if wants_list && let Some(all) = several.map(|all| self.read(all)) {
            // Several objects are the items of a list, not each a list of one.
            if all.outcome.fits() {
                read.clear();
            }
            read.push(all);
        }
        if !read.iter().any(|read| read.outcome.fits()) {
            if reply.too_deep {
                return Err(ReadError::Fields(vec![FieldError {
                    path: String::new(),
                    kind: FieldErrorKind::TooDeep {
                        limit: scan::MAX_DEPTH,
                    },
                }]));
            }
            for candidate in lines.into_iter().chain(bare) {
                let next = self.read(candidate);
                let fits = next.outcome.fits();
                if fits || next.candidate.place != Place::Bare || self.is_scalar() {
                    read.push(next);
                }
                if fits {
                    break;
                }
            }
        }
        self.best(read, &reply.thinking, objects)
    }

    fn is_scalar(&self) -> bool {
        self.schema.is_scalar(self.schema.root())
    }

    fn read(&self, mut candidate: Candidate) -> Read {
        let mut outcome = self.coerced(&candidate.node);
        let is_bracket =
            |slip: &Slip| matches!(slip.kind, RepairKind::Bracket | RepairKind::Unfinished);
        if !outcome.fits() && candidate.slips.iter().any(is_bracket) {
            let mut node = candidate.node.clone();
            if rehang(&mut node, self.schema.root(), self.schema) {
                let other = self.coerced(&node);
                if other.fits() || other.errors.len() < outcome.errors.len() {
                    candidate.node = node;
                    outcome = other;
                }
            }
        }
        if let Some((position, found)) = self.misplaced(&candidate) {
            let position = candidate.node.path_at(position);
            outcome.errors.push(FieldError {
                path: path(&position),
                kind: FieldErrorKind::Misplaced {
                    found: shown_whole(&Value::from(found.trim())),
                },
            });
        }
        Read { candidate, outcome }
    }

    /// Values that were passed over, where a bracket too many or too few let them fall out of the answer.
    fn misplaced(&self, candidate: &Candidate) -> Option<(usize, &str)> {
        let skipped = candidate
            .slips
            .iter()
            .filter(|slip| slip.kind == RepairKind::Skipped)
            .filter_map(|slip| Some((slip.span.start, self.reply.get(slip.span.clone())?)));
        // A key whose value is missing is no value.
        let is_key = |text: &str| {
            let after = text.strip_prefix('"').and_then(|text| text.split_once('"'));
            after.is_some_and(|(_, after)| after.trim_start().starts_with(':'))
        };
        let mut values = skipped.filter(|(_, text)| {
            let text = text.trim_start();
            text.starts_with(['{', '[', '"']) && !is_key(text)
        });
        let fallen = || {
            let after = self.reply.get(candidate.range.end..)?.trim_start();
            let value = after.strip_prefix(',')?.trim_start();
            (value.starts_with(['{', '[', '"']) && self.left_open(candidate.range.end) < 0)
                .then_some((candidate.range.end, value))
        };
        values.next().or_else(fallen)
    }

    /// How many more brackets are opened behind a position than closed.
    fn left_open(&self, position: usize) -> i64 {
        let brackets = self.brackets.get_or_init(|| {
            let mut open = 0_i64;
            let brackets = self.reply.match_indices(['{', '[', '}', ']']);
            let counted = brackets.map(|(at, bracket)| {
                open += if matches!(bracket, "{" | "[") { 1 } else { -1 };
                (at, open)
            });
            counted.collect()
        });
        let before = brackets.partition_point(|(at, _)| *at < position);
        let at = |index: usize| brackets.get(index).map_or(0, |(_, open)| *open);
        at(brackets.len().wrapping_sub(1)) - at(before.wrapping_sub(1))
    }

    /// The objects of a reply as one list: one on each line, or one after the other.
    fn several(&self, json: &[Candidate]) -> Option<Candidate> {
        let objects: Vec<&Candidate> = json
            .iter()
            .filter(|candidate| matches!(candidate.node.kind, NodeKind::Object(_)))
            .collect();
        let (first, last) = (objects.first()?, objects.last()?);
        if objects.len() < 2 || objects.len() < json.len() {
            return None;
        }
        let range = first.range.start..last.range.end;
        let mut slips: Vec<Slip> = objects
            .iter()
            .flat_map(|object| object.slips.clone())
            .collect();
        slips.push(Slip {
            kind: RepairKind::List,
            span: range.clone(),
        });
        Some(Candidate {
            node: Node {
                id: self.shared.id(),
                span: range.clone(),
                kind: NodeKind::List(objects.iter().map(|object| object.node.clone()).collect()),
                cut: false,
            },
            slips,
            range,
            place: Place::Prose,
        })
    }

    /// The candidate that fits best. Two that differ and fit as well are an error.
    fn best(
        &self,
        read: Vec<Read>,
        thinking: &[Range<usize>],
        objects: usize,
    ) -> Result<Parsed, ReadError> {
        let rank = |read: &Read| {
            let label = label(self.reply, read.candidate.range.start);
            let cost = read.outcome.cost();
            (label == Label::Example, cost, label, read.candidate.place)
        };
        let fitting: Vec<&Read> = read.iter().filter(|read| read.outcome.fits()).collect();
        let Some(best) = fitting.iter().min_by_key(|read| rank(read)) else {
            return Err(self.nearest(read, objects));
        };
        let rival = fitting
            .iter()
            .find(|other| rank(other) == rank(best) && other.outcome.value != best.outcome.value);
        if let Some(rival) = rival {
            let readings = [best, rival].map(|read| read.outcome.value.as_ref().map(shown_whole));
            return Err(ReadError::Fields(vec![FieldError {
                path: String::new(),
                kind: FieldErrorKind::Ambiguous {
                    readings: readings.into_iter().flatten().collect(),
                },
            }]));
        }
        let others = fitting
            .iter()
            .filter(|other| other.outcome.value != best.outcome.value)
            .count();
        let mut repairs = self.form(&best.candidate, thinking);
        if others > 0 {
            repairs.push(Repair {
                kind: RepairKind::Chosen,
                span: best.candidate.range.clone(),
                path: String::new(),
                note: format!("the best match of {}", fitting.len()),
            });
        }
        repairs.extend(best.outcome.repairs.iter().cloned());
        repairs.sort_by_key(|repair| repair.span.start);
        match &best.outcome.value {
            Some(value) => Ok(Parsed {
                value: value.clone(),
                repairs,
            }),
            None => Err(ReadError::NoObject),
        }
    }

    /// What had to be repaired in the form of a candidate.
    fn form(&self, candidate: &Candidate, thinking: &[Range<usize>]) -> Vec<Repair> {
        let whole = |kind, span| Repair {
            kind,
            span,
            path: String::new(),
            note: String::new(),
        };
        let mut repairs: Vec<Repair> = thinking
            .iter()
            .map(|range| whole(RepairKind::Reasoning, range.clone()))
            .collect();
        let inner = thinking.iter().map(|range| range.end).max().unwrap_or(0);
        let Range { start, end } = candidate.range.clone();
        for around in [inner.min(start)..start, end..self.reply.len()] {
            let text = self.reply[around.clone()].trim();
            if text.is_empty() {
                continue;
            }
            let kind = if text
                .chars()
                .all(|c| matches!(c, '}' | ']' | ' ' | '\n' | ',' | ';' | ')'))
            {
                RepairKind::Bracket
            } else {
                RepairKind::Surroundings
            };
            repairs.push(whole(kind, around));
        }
        for slip in &candidate.slips {
            repairs.push(Repair {
                kind: slip.kind,
                span: slip.span.clone(),
                path: path(&candidate.node.path_at(slip.span.start)),
                note: String::new(),
            });
        }
        repairs
    }

    /// What is wrong with the candidate that comes nearest.
    fn nearest(&self, read: Vec<Read>, objects: usize) -> ReadError {
        let wants_object = !self.is_scalar();
        let nearest = read
            .into_iter()
            .filter(|read| {
                let is_object = matches!(read.candidate.node.kind, NodeKind::Object(_));
                !wants_object || is_object || read.candidate.place == Place::Whole || objects == 0
            })
            .min_by_key(|read| {
                let is_object = matches!(read.candidate.node.kind, NodeKind::Object(_));
                (
                    wants_object && !is_object,
                    u32::MAX - read.outcome.present,
                    read.outcome.errors.len(),
                )
            });
        match nearest {
            Some(read) if !read.outcome.errors.is_empty() => {
                let mut errors = read.outcome.errors;
                errors.dedup();
                ReadError::Fields(errors)
            }
            _ if self.reply.contains('{') => {
                match serde_json::from_str::<serde::de::IgnoredAny>(self.reply) {
                    Err(error) => ReadError::syntax(&error),
                    Ok(_) => ReadError::NoObject,
                }
            }
            _ => ReadError::NoObject,
        }
    }
}
