//! From what a reply looks like to a value of the type that was asked for.
//!
//! Every liberty that is taken is recorded as a [`Repair`]. Where two readings are as good as each other,
//! that is an error which names both.

mod checks;
mod choice;
mod limits;
mod list;
mod object;
mod pairs;
mod scalar;

pub(super) use scalar::unfenced;

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use serde_json::Value;

use super::embedded::Embedded;
use super::error::{self, FieldError, FieldErrorKind, Kind, Segment, shown};
use super::repair::{Repair, RepairKind};
use super::scan::Shared;
use super::schema::{Schema, Shape, TypeId};
use super::tree::{Form, Node, NodeKind, Text};

/// How often a value may be taken for another without anything being taken off it: types that hold themselves
/// would go on for ever.
const MAX_LIBERTIES: u32 = 3;

/// How often JSON is looked for inside texts of texts.
const MAX_LEVELS: u32 = 3;

/// How many levels fields and lists can have that are written in lines or tags.
const MAX_BLOCKS: u32 = 12;

/// What came of reading a value as a type.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    /// The value, if there are no errors.
    pub(super) value: Option<Value>,
    pub(super) repairs: Vec<Repair>,
    pub(super) errors: Vec<FieldError>,
    /// Optional fields that are not there.
    pub(super) absent: u32,
    /// Fields that are there.
    pub(super) present: u32,
}

impl Outcome {
    pub(super) fn fits(&self) -> bool {
        self.value.is_some() && self.errors.is_empty()
    }

    /// How far the value is from what was asked for: the less, the better the match.
    pub(super) fn cost(&self) -> u32 {
        let penalties = self.repairs.iter().map(Repair::penalty);
        penalties.fold(self.absent, u32::saturating_add)
    }
}

pub(super) struct Coercer<'s> {
    schema: &'s Schema,
    /// The reply, of which the spans are.
    reply: &'s str,
    shared: &'s Shared,
    /// Whether the value must be right as it is.
    strict: bool,
    path: Vec<Segment>,
    repairs: Vec<Repair>,
    errors: Vec<FieldError>,
    absent: u32,
    present: u32,
    liberties: u32,
    levels: u32,
    /// Branches of unions that were tried, by value and type.
    tried: HashMap<(u32, TypeId), Rc<Outcome>>,
}

impl<'s> Coercer<'s> {
    pub(super) fn new(
        schema: &'s Schema,
        reply: &'s str,
        shared: &'s Shared,
        strict: bool,
    ) -> Self {
        Self {
            schema,
            reply,
            shared,
            strict,
            path: Vec::new(),
            repairs: Vec::new(),
            errors: Vec::new(),
            absent: 0,
            present: 0,
            liberties: 0,
            levels: 0,
            tried: HashMap::new(),
        }
    }

    /// Reads a whole candidate.
    pub(super) fn outcome(self, node: &Node) -> Outcome {
        let root = self.schema.root();
        self.outcome_as(node, root)
    }

    fn outcome_as(mut self, node: &Node, id: TypeId) -> Outcome {
        let value = self.value(node, id);
        Outcome {
            value,
            repairs: self.repairs,
            errors: self.errors,
            absent: self.absent,
            present: self.present,
        }
    }

    /// Reads a value. `None` means that at least one error was recorded.
    fn value(&mut self, node: &Node, id: TypeId) -> Option<Value> {
        let value = self.unchecked(node, id)?;
        let schema = self.schema;
        for check in &schema.get(id).checks {
            self.check(&value, check);
        }
        Some(value)
    }

    fn unchecked(&mut self, node: &Node, id: TypeId) -> Option<Value> {
        self.shared.step(1);
        let schema = self.schema;
        let ty = schema.get(id);
        match &node.kind {
            NodeKind::Null if ty.nullable => return Some(Value::Null),
            NodeKind::Nothing(word) if ty.nullable => {
                self.repair(RepairKind::Null, node, format!("null for {word}"));
                return Some(Value::Null);
            }
            NodeKind::Text(text)
                if ty.nullable
                    && text.cut
                    && text.form == Form::Bare
                    && ["null", "None", "undefined"]
                        .iter()
                        .any(|word| word.starts_with(&text.text)) =>
            {
                // Without a mark, nothing else begins like this.
                self.repair(RepairKind::Unfinished, node, "null");
                return Some(Value::Null);
            }
            NodeKind::Text(text)
                if ty.nullable
                    && !self.strict
                    && says_nothing(text, self.takes_text(id, &text.text)) =>
            {
                self.repair(RepairKind::Null, node, format!("null for {:?}", text.text));
                return Some(Value::Null);
            }
            NodeKind::Text(text)
                if text.form == Form::Block && matches!(ty.shape, Shape::Any | Shape::Union(_)) =>
            {
                if let Some(inner) = self.embedded_value(node, text) {
                    return self.value(&inner, id);
                }
            }
            _ => {}
        }
        if self.path.is_empty()
            && !self.strict
            && let NodeKind::Object(entries) = &node.kind
            && let [entry] = &entries[..]
            && match &ty.shape {
                Shape::Boolean | Shape::Number(_) | Shape::Choice(_) => {
                    !matches!(entry.node.kind, NodeKind::Object(_) | NodeKind::List(_))
                }
                Shape::Text(_) => matches!(entry.node.kind, NodeKind::Text(_)),
                _ => false,
            }
        {
            // `{"answer": 42}` for 42.
            let value = self.liberty(|this| {
                this.attempt(|this| {
                    this.repair(
                        RepairKind::Wrapper,
                        node,
                        format!("the value of {:?}", entry.key),
                    );
                    this.value(&entry.node, id)
                })
            });
            if value.is_some() {
                return value;
            }
        }
        match &ty.shape {
            Shape::Any => Some(node.to_value()),
            Shape::Null => self.null(node),
            Shape::Boolean => self.boolean(node),
            Shape::Number(number) => self.number(node, number),
            Shape::Text(text) => self.text(node, text),
            Shape::List(list) => self.list(node, list),
            Shape::Object(object) => self.object(node, id, object),
            Shape::Choice(choices) => self.choice(node, choices),
            Shape::Union(types) => self.union(node, types),
        }
    }

    /// Whether a text as it is can be of a type.
    fn takes_text(&self, id: TypeId, text: &str) -> bool {
        match &self.schema.get(id).shape {
            Shape::Text(_) | Shape::Any => true,
            Shape::Choice(choices) => choices
                .iter()
                .any(|choice| choice.value.as_str() == Some(text)),
            // Unions have none in them.
            Shape::Union(types) => types.iter().any(|ty| self.takes_text(*ty, text)),
            _ => false,
        }
    }

    fn null(&mut self, node: &Node) -> Option<Value> {
        match &node.kind {
            NodeKind::Null => Some(Value::Null),
            _ => self.wrong(Cow::Borrowed("null"), node),
        }
    }

    /// The branch that fits best.
    fn union(&mut self, node: &Node, types: &[TypeId]) -> Option<Value> {
        let outcomes: Vec<Rc<Outcome>> = types.iter().map(|ty| self.tried(node, *ty)).collect();
        let fitting = outcomes.iter().filter(|outcome| outcome.fits());
        let Some(best) = fitting.clone().min_by_key(|outcome| outcome.cost()) else {
            return self.no_branch(node, types, &outcomes);
        };
        let mut equal =
            fitting.filter(|other| other.cost() == best.cost() && other.value != best.value);
        if let Some(other) = equal.next()
            && let (Some(one), Some(other)) = (&best.value, &other.value)
            && best.cost() > best.absent
        {
            if let Some(outcome) = spelled(node, &outcomes, best.cost()) {
                return self.take(&outcome);
            }
            return self.ambiguous(vec![shown_whole(one), shown_whole(other)]);
        }
        let best = Rc::clone(best);
        self.take(&best)
    }

    fn take(&mut self, outcome: &Outcome) -> Option<Value> {
        self.repairs.extend(outcome.repairs.iter().cloned());
        self.errors.extend(outcome.errors.iter().cloned());
        self.absent += outcome.absent;
        self.present += outcome.present;
        outcome.value.clone()
    }

    /// What is wrong where no branch fits: the errors of the one that comes nearest, if one is near at all.
    fn no_branch(
        &mut self,
        node: &Node,
        types: &[TypeId],
        outcomes: &[Rc<Outcome>],
    ) -> Option<Value> {
        let below = |outcome: &Outcome| {
            let here = error::path(&self.path);
            outcome.present > 0
                || outcome
                    .errors
                    .iter()
                    .any(|error| error.path != here || !is_kind(error))
        };
        let near = outcomes.iter().filter(|outcome| below(outcome));
        if let Some(nearest) =
            near.min_by_key(|outcome| (outcome.errors.len(), u32::MAX - outcome.present))
        {
            let nearest = Rc::clone(nearest);
            self.take(&nearest);
            return None;
        }
        let names: Vec<Cow<'static, str>> = types.iter().map(|ty| self.name(*ty)).collect();
        self.wrong(Cow::Owned(names.join(" or ")), node)
    }

    /// What a type asks for, in words.
    fn name(&self, id: TypeId) -> Cow<'static, str> {
        let kind = match &self.schema.get(id).shape {
            Shape::Any => return Cow::Borrowed("anything"),
            Shape::Null => return Cow::Borrowed("null"),
            Shape::Boolean => Kind::Boolean,
            Shape::Number(number) if number.integer => Kind::Integer,
            Shape::Number(_) => Kind::Number,
            Shape::Text(_) => Kind::String,
            Shape::List(_) => Kind::List,
            Shape::Object(_) => Kind::Object,
            Shape::Choice(choices) => {
                let choices: Vec<String> = choices
                    .iter()
                    .map(|choice| choice.value.to_string())
                    .collect();
                return Cow::Owned(choices.join(" or "));
            }
            Shape::Union(_) => return Cow::Borrowed("one of several types"),
        };
        Cow::Borrowed(kind.text())
    }

    /// What reading a value as a type gives, without taking it.
    fn tried(&mut self, node: &Node, ty: TypeId) -> Rc<Outcome> {
        if let Some(known) = self.tried.get(&(node.id, ty)) {
            return Rc::clone(known);
        }
        let repairs = std::mem::take(&mut self.repairs);
        let errors = std::mem::take(&mut self.errors);
        let counts = (self.absent, self.present);
        (self.absent, self.present) = (0, 0);
        let value = self.value(node, ty);
        let outcome = Rc::new(Outcome {
            value,
            repairs: std::mem::replace(&mut self.repairs, repairs),
            errors: std::mem::replace(&mut self.errors, errors),
            absent: self.absent,
            present: self.present,
        });
        (self.absent, self.present) = counts;
        // With liberties taken, less may be left than elsewhere.
        if self.liberties == 0 {
            self.tried.insert((node.id, ty), Rc::clone(&outcome));
        }
        outcome
    }

    /// Reads what was found in a text. In lines and tags, there is always less of it than of the text.
    fn inside<T>(&mut self, text: &Text, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        match text.form {
            Form::Block => read(self),
            Form::Quoted | Form::Bare | Form::Empty => self.liberty(read),
        }
    }

    /// Takes a value for another, unless that was done too often.
    fn liberty<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        if self.liberties >= MAX_LIBERTIES {
            return None;
        }
        self.liberties += 1;
        let value = read(self);
        self.liberties -= 1;
        value
    }

    /// Reads something that may turn out not to fit: then nothing of it is kept.
    fn attempt(&mut self, read: impl FnOnce(&mut Self) -> Option<Value>) -> Option<Value> {
        let lengths = (self.repairs.len(), self.errors.len());
        let counts = (self.absent, self.present);
        let value = read(self);
        if value.is_some() && self.errors.len() == lengths.1 {
            return value;
        }
        self.repairs.truncate(lengths.0);
        self.errors.truncate(lengths.1);
        (self.absent, self.present) = counts;
        None
    }

    /// What is inside a text, if it is something and the text is not inside too many others.
    fn embedded<T>(
        &mut self,
        node: &Node,
        text: &Text,
        read: impl FnOnce(&mut Self, Embedded<'_>) -> Option<T>,
    ) -> Option<T> {
        let most = match text.form {
            Form::Block => MAX_BLOCKS,
            Form::Quoted | Form::Bare | Form::Empty => MAX_LEVELS,
        };
        if self.levels >= most || self.strict || self.shared.is_worn() {
            return None;
        }
        self.levels += 1;
        // Positions inside are those of the text where it stands in the reply, and its own otherwise.
        let embedded = Embedded::new(&text.text, node.span.clone(), self.schema, self.shared);
        let value = read(self, embedded);
        self.levels -= 1;
        value
    }

    /// The value that a text is, if it is one and nothing else.
    fn embedded_value(&mut self, node: &Node, text: &Text) -> Option<Node> {
        self.embedded(node, text, |_, embedded| embedded.exactly())
    }

    /// Whether an item of a list is read.
    fn in_list(&self) -> bool {
        matches!(self.path.last(), Some(Segment::Index(_)))
    }

    fn within<T>(&mut self, segment: Segment, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(segment);
        let value = read(self);
        self.path.pop();
        value
    }

    fn repair(&mut self, kind: RepairKind, node: &Node, what: impl Into<String>) {
        self.repair_at(kind, node.span.clone(), what);
    }

    fn repair_at(&mut self, kind: RepairKind, span: Range<usize>, note: impl Into<String>) {
        let path = error::path(&self.path);
        if self.strict {
            // Strictly, what would have to be changed is wrong.
            self.error(FieldErrorKind::Unexpected);
            return;
        }
        self.repairs.push(Repair {
            kind,
            span,
            path,
            note: note.into(),
        });
    }

    fn error(&mut self, kind: FieldErrorKind) {
        let path = error::path(&self.path);
        self.errors.push(FieldError { path, kind });
    }

    fn wrong<T>(&mut self, expected: Cow<'static, str>, node: &Node) -> Option<T> {
        let found = shown_node(node);
        self.error(FieldErrorKind::WrongKind { expected, found });
        None
    }

    fn ambiguous<T>(&mut self, readings: Vec<String>) -> Option<T> {
        self.error(FieldErrorKind::Ambiguous { readings });
        None
    }
}

/// Of branches that fit as well as each other, the one whose kind of value a text spells: `"1"` is a number rather
/// than a boolean.
fn spelled(node: &Node, outcomes: &[Rc<Outcome>], cost: u32) -> Option<Rc<Outcome>> {
    let NodeKind::Text(text) = &node.kind else {
        return None;
    };
    let value: Value = serde_json::from_str(&text.text).ok()?;
    let same_kind = |other: &Value| match value {
        Value::Number(_) => other.is_number(),
        Value::Bool(_) => other.is_boolean(),
        _ => false,
    };
    let mut found = outcomes.iter().filter(|outcome| {
        outcome.fits() && outcome.cost() == cost && outcome.value.as_ref().is_some_and(same_kind)
    });
    let first = found.next()?;
    found
        .all(|other| other.value == first.value)
        .then(|| Rc::clone(first))
}

fn is_kind(error: &FieldError) -> bool {
    matches!(error.kind, FieldErrorKind::WrongKind { .. })
}

/// A value as a message shows it.
fn shown_node(node: &Node) -> String {
    match &node.kind {
        NodeKind::Nothing(word) => (*word).to_owned(),
        NodeKind::List(items) => match items.len() {
            1 => "a list of 1 item".to_owned(),
            count => format!("a list of {count} items"),
        },
        NodeKind::Object(_) => "an object".to_owned(),
        _ => shown(&node.to_value()),
    }
}

/// A reading as a message shows it, shortened.
pub(super) fn shown_whole(value: &Value) -> String {
    const LONGEST: usize = 80;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Whether a text is a word for null where texts are not asked for, or where it is not in quotation marks.
fn says_nothing(text: &Text, is_text: bool) -> bool {
    let plain = text.text.trim().trim_end_matches('.');
    let words = [
        "null",
        "none",
        "n/a",
        "na",
        "nil",
        "undefined",
        "nan",
        "~",
        "not applicable",
        "-",
        "—",
        "",
    ];
    let is_word = words.iter().any(|word| plain.eq_ignore_ascii_case(word));
    match text.form {
        Form::Quoted => !is_text && is_word,
        Form::Bare | Form::Block | Form::Empty if is_text => {
            matches!(plain, "null" | "None" | "undefined" | "nil" | "~" | "")
        }
        Form::Bare | Form::Block | Form::Empty => is_word,
    }
}
