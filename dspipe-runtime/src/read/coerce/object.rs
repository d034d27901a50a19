//! Objects: keys that are found though they are written otherwise, keys that are missing, and keys too many.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::{Coercer, says_nothing, shown_whole};
use crate::read::error::{FieldErrorKind, Kind, Segment};
use crate::read::fold::{fold, is_slip};
use crate::read::repair::RepairKind;
use crate::read::schema::{ObjectType, Others, Property, Shape, TypeId};
use crate::read::tree::{Entry, Form, Node, NodeKind, Slip, Text};

/// So many objects may stand around the answer.
const MAX_WRAPPERS: u32 = 2;

impl Coercer<'_> {
    pub(super) fn object(&mut self, node: &Node, id: TypeId, ty: &ObjectType) -> Option<Value> {
        let pairs = self.pairs(node, ty);
        match &node.kind {
            NodeKind::Object(entries) if pairs.is_none() => self.entries(node, entries, id, ty),
            NodeKind::Object(entries) => {
                let plain = self.attempt(|this| this.entries(node, entries, id, ty));
                plain.or_else(|| self.map_of_pairs(node, &pairs.unwrap_or_default(), ty))
            }
            _ if self.strict => self.no_object(node),
            NodeKind::Text(text) if text.form == Form::Empty && !self.path.is_empty() => {
                self.entries(node, &[], id, ty)
            }
            NodeKind::Text(text) => {
                let inside = self.embedded(node, text, |this, inner| {
                    let found = inner.object(ty)?;
                    Some(this.inside(text, |this| {
                        if text.form == Form::Quoted {
                            this.repair(RepairKind::Encoded, node, "");
                        } else {
                            this.take_slips(node, &found.slips);
                        }
                        this.object(&found.node, id, ty)
                    }))
                });
                inside.unwrap_or_else(|| self.bare(node, ty))
            }
            NodeKind::List(items) => {
                if let [item] = &items[..]
                    && matches!(item.kind, NodeKind::Object(_))
                {
                    let one = self.attempt(|this| {
                        this.repair(RepairKind::Single, node, "the one item of the list");
                        this.liberty(|this| this.object(item, id, ty))
                    });
                    if one.is_some() {
                        return one;
                    }
                }
                match pairs {
                    Some(pairs) => self.map_of_pairs(node, &pairs, ty),
                    None => self.bare(node, ty),
                }
            }
            _ => self.bare(node, ty),
        }
    }

    /// A map from a list of its keys and values.
    fn map_of_pairs(&mut self, node: &Node, pairs: &[Entry], ty: &ObjectType) -> Option<Value> {
        self.repair(RepairKind::Wrapper, node, "keys and values in a list");
        let places = self.places(pairs, ty)?;
        self.own_entries(pairs, &places, ty)
    }

    fn no_object<T>(&mut self, node: &Node) -> Option<T> {
        self.wrong(Cow::Borrowed(Kind::Object.text()), node)
    }

    /// Slips in the form of something inside a text.
    pub(super) fn take_slips(&mut self, node: &Node, slips: &[Slip]) {
        if let Some(first) = slips.first() {
            self.repair(first.kind, node, "");
        }
    }

    /// The value of the one field, without the object around it.
    fn bare(&mut self, node: &Node, ty: &ObjectType) -> Option<Value> {
        let is_nothing = matches!(node.kind, NodeKind::Null | NodeKind::Nothing(_));
        // Below the whole, an object is taken for the one field that its type has, and nothing else is.
        let is_wrapped = |_: &&Property| {
            self.path.is_empty()
                || ty.properties.len() == 1 && matches!(node.kind, NodeKind::Object(_))
        };
        let Some(property) = ty.only().filter(is_wrapped).filter(|_| !is_nothing) else {
            return self.no_object(node);
        };
        let value = self.liberty(|this| {
            this.attempt(|this| {
                this.within(Segment::Name(property.name.clone()), |this| {
                    this.value(node, property.ty)
                })
            })
        });
        let Some(value) = value else {
            return self.no_object(node);
        };
        self.repair(RepairKind::Bare, node, format!("as {:?}", property.name));
        self.present += 1;
        let others = ty.properties.len().saturating_sub(1);
        self.absent += u32::try_from(others).unwrap_or(u32::MAX);
        let map = Map::from_iter([(property.name.clone(), value)]);
        Some(Value::Object(map))
    }

    fn entries(
        &mut self,
        node: &Node,
        entries: &[Entry],
        id: TypeId,
        ty: &ObjectType,
    ) -> Option<Value> {
        let places = self.places(entries, ty)?;
        let matched = places.of.iter().any(|found| !found.is_empty());
        let only_own = !ty.is_open();
        if !matched && only_own && !entries.is_empty() && !ty.properties.is_empty() && !self.strict
        {
            return self.wrapped(node, entries, id, ty);
        }
        self.own_entries(entries, &places, ty)
    }

    fn own_entries(
        &mut self,
        entries: &[Entry],
        places: &Places,
        ty: &ObjectType,
    ) -> Option<Value> {
        let mut map = Map::new();
        let mut whole = true;
        for (property, found) in ty.properties.iter().zip(&places.of) {
            let value = self.within(Segment::Name(property.name.clone()), |this| {
                this.property(property, entries, found)
            });
            match value {
                Ok(Some(value)) => {
                    map.insert(property.name.clone(), value);
                }
                Ok(None) => {}
                Err(()) => whole = false,
            }
        }
        let mut firsts = HashMap::new();
        for &other in &places.others {
            let entry = &entries[other];
            let first = *firsts.entry(entry.key.as_str()).or_insert(entry);
            whole &= self.other(entry, first, ty, &mut map);
        }
        if !whole {
            return None;
        }
        self.check_object(map.len(), ty);
        Some(Value::Object(map))
    }

    /// A property's value; `Ok(None)` if it is absent and may be.
    fn property(
        &mut self,
        property: &Property,
        entries: &[Entry],
        found: &[usize],
    ) -> Result<Option<Value>, ()> {
        let schema = self.schema;
        let ty = schema.get(property.ty);
        let Some(&first) = found.first() else {
            return self.missing(property);
        };
        let mut entry = &entries[first];
        if found.len() > 1 {
            if self.strict {
                // As serde_json does.
                if let Some(&last) = found.last() {
                    entry = &entries[last];
                }
            } else {
                let value = entry.node.to_value();
                let mut rest = found[1..].iter().map(|at| entries[*at].node.to_value());
                if let Some(other) = rest.find(|other| *other != value) {
                    let readings = vec![shown_whole(&value), shown_whole(&other)];
                    return self.ambiguous::<()>(readings).ok_or(()).map(|()| None);
                }
                self.repair_at(
                    RepairKind::ExtraKey,
                    entries[found[1]].key_span.clone(),
                    "the same twice",
                );
            }
        }
        if entry.key != property.name {
            self.repair_at(
                RepairKind::Key,
                entry.key_span.clone(),
                format!("{:?} for {:?}", property.name, entry.key),
            );
        }
        let is_null = match &entry.node.kind {
            NodeKind::Null | NodeKind::Nothing(_) => true,
            NodeKind::Text(text) => says_nothing(text, self.takes_text(property.ty, &text.text)),
            _ => false,
        };
        if is_null && !ty.nullable && !property.required && !self.strict {
            self.repair(RepairKind::Null, &entry.node, "left out, as it is optional");
            self.absent += 1;
            return Ok(None);
        }
        self.present += 1;
        self.value(&entry.node, property.ty).map(Some).ok_or(())
    }

    fn missing(&mut self, property: &Property) -> Result<Option<Value>, ()> {
        if !property.required {
            self.absent += 1;
            return Ok(None);
        }
        let schema = self.schema;
        let ty = schema.get(property.ty);
        if !self.strict {
            let known = match (&ty.default, &ty.shape) {
                (Some(value), _) => Some((RepairKind::Default, value.clone())),
                (None, Shape::Choice(choices)) if choices.len() == 1 && !ty.nullable => {
                    Some((RepairKind::Default, choices[0].value.clone()))
                }
                (None, shape) if ty.nullable && !matches!(shape, Shape::Any) => {
                    Some((RepairKind::Null, Value::Null))
                }
                _ => None,
            };
            if let Some((kind, value)) = known {
                self.repair_at(
                    kind,
                    0..0,
                    format!("{} as it is missing", shown_whole(&value)),
                );
                return Ok(Some(value));
            }
        }
        self.error(FieldErrorKind::Missing);
        Err(())
    }

    /// Takes in an entry that is no property, and the first of its key; whether it could be read.
    fn other(
        &mut self,
        entry: &Entry,
        first: &Entry,
        ty: &ObjectType,
        map: &mut Map<String, Value>,
    ) -> bool {
        let key = || Segment::Key(entry.key.clone());
        if let [of, also @ ..] = &ty.types_of(&entry.key)[..] {
            let Some(name) = self.key_name(entry, ty) else {
                return false;
            };
            if map.contains_key(&name) && !self.strict {
                let known = if std::ptr::eq(first, entry) {
                    // The same name, written otherwise.
                    map.get(&name).cloned().unwrap_or_default()
                } else {
                    first.node.to_value()
                };
                let (one, other) = (known, entry.node.to_value());
                if one == other {
                    return true;
                }
                return self
                    .within(key(), |this| {
                        this.ambiguous::<()>(vec![shown_whole(&one), shown_whole(&other)])
                    })
                    .is_some();
            }
            let value = self.within(key(), |this| {
                let value = this.value(&entry.node, *of)?;
                for ty in also {
                    this.hold(&value, *ty);
                }
                Some(value)
            });
            let Some(value) = value else {
                return false;
            };
            map.insert(name, value);
            return true;
        }
        match ty.others {
            // All keys are of this type.
            Others::Of(_) => true,
            Others::Unsaid if self.strict => {
                map.insert(entry.key.clone(), entry.node.to_value());
                true
            }
            Others::Forbidden if self.strict => {
                self.within(key(), |this| this.error(FieldErrorKind::Unexpected));
                false
            }
            Others::Unsaid | Others::Forbidden => {
                self.within(key(), |this| {
                    this.repair_at(RepairKind::ExtraKey, entry.key_span.clone(), "left out");
                });
                true
            }
        }
    }

    /// The key of an entry that is no property, as the schema has it.
    fn key_name(&mut self, entry: &Entry, ty: &ObjectType) -> Option<String> {
        let Some(names) = ty.names else {
            return Some(entry.key.clone());
        };
        let node = Node {
            id: self.shared.id(),
            span: entry.key_span.clone(),
            kind: NodeKind::Text(Text {
                text: entry.key.clone(),
                form: Form::Quoted,
                cut: false,
            }),
            cut: false,
        };
        let name = self.within(Segment::Key(entry.key.clone()), |this| {
            this.value(&node, names)
        })?;
        match name {
            Value::String(name) => Some(name),
            _ => Some(entry.key.clone()),
        }
    }

    /// An object of which no key is known: the answer may be inside it.
    fn wrapped(
        &mut self,
        node: &Node,
        entries: &[Entry],
        id: TypeId,
        ty: &ObjectType,
    ) -> Option<Value> {
        let mut found: Vec<(&Entry, super::Outcome)> = Vec::new();
        if self.path.is_empty()
            && self.liberties < MAX_WRAPPERS
            && (!node.cut || self.lacks_its_bracket_only(node, entries))
        {
            for entry in entries {
                match &entry.node.kind {
                    NodeKind::Object(_) | NodeKind::Text(_) => {}
                    NodeKind::List(items) if items.len() == 1 => {}
                    _ => continue,
                }
                if let NodeKind::Text(text) = &entry.node.kind
                    && !text.text.trim_start().starts_with('{')
                {
                    continue;
                }
                let outcome = self.liberty(|this| Some(this.tried(&entry.node, id)));
                if let Some(outcome) =
                    outcome.filter(|outcome| outcome.fits() && outcome.present > 0)
                {
                    found.push((entry, (*outcome).clone()));
                }
            }
        }
        match &found[..] {
            [] => {
                let holds_objects = ty.only().is_some_and(|property| {
                    let schema = self.schema;
                    !schema.objects(property.ty).is_empty() || schema.is_list(property.ty)
                });
                if holds_objects {
                    let value = self.attempt(|this| this.bare(node, ty));
                    if value.is_some() {
                        return value;
                    }
                }
                // Nothing of what was asked for: each missing field is an error.
                let missing = Places {
                    of: vec![Vec::new(); ty.properties.len()],
                    others: (0..entries.len()).collect(),
                };
                if ty.properties.iter().all(|property| !property.required) {
                    return self.no_object(node);
                }
                self.own_entries(entries, &missing, ty)
            }
            [(entry, outcome)] => {
                self.repair(
                    RepairKind::Wrapper,
                    node,
                    format!("the object in {:?}", entry.key),
                );
                self.take(outcome)
            }
            [(_, one), (_, other), ..] => {
                let readings = [one, other].map(|outcome| outcome.value.as_ref().map(shown_whole));
                self.ambiguous(readings.into_iter().flatten().collect())
            }
        }
    }

    /// Whether nothing else was cut off an object than its last bracket.
    fn lacks_its_bracket_only(&self, node: &Node, entries: &[Entry]) -> bool {
        let behind = entries.last().and_then(|last| {
            self.reply
                .get(last.node.span.end..node.span.end.max(last.node.span.end))
        });
        self.levels == 0 && behind.is_some_and(|behind| behind.trim().is_empty())
    }

    /// Which entries are which properties.
    fn places(&mut self, entries: &[Entry], ty: &ObjectType) -> Option<Places> {
        let mut of: Vec<Vec<usize>> = vec![Vec::new(); ty.properties.len()];
        let mut left: Vec<usize> = Vec::new();
        for (at, entry) in entries.iter().enumerate() {
            match ty.index.get(&entry.key) {
                Some(property) => of[*property].push(at),
                None => left.push(at),
            }
        }
        let is_open = ty.is_open();
        let wanted: Vec<usize> = (0..of.len())
            .filter(|at| of[*at].is_empty() && (ty.properties[*at].required || !is_open))
            .collect();
        if self.strict || left.is_empty() || wanted.is_empty() {
            return Some(Places { of, others: left });
        }
        let names: Vec<String> = wanted
            .iter()
            .map(|at| fold(&ty.properties[*at].name))
            .collect();
        let titles: Vec<Option<String>> = wanted
            .iter()
            .map(|at| {
                self.schema
                    .get(ty.properties[*at].ty)
                    .title
                    .as_deref()
                    .map(fold)
            })
            .collect();
        let mut others = Vec::new();
        let mut slips: Vec<(usize, usize)> = Vec::new();
        for at in left {
            let key = fold(&entries[at].key);
            self.shared.step(names.len());
            let same = |index: &usize| names[*index] == key && !key.is_empty();
            let has_title =
                |index: &usize| titles[*index].as_ref() == Some(&key) && !key.is_empty();
            let found: Vec<usize> = (0..wanted.len()).filter(same).collect();
            let found = if found.is_empty() {
                (0..wanted.len()).filter(has_title).collect()
            } else {
                found
            };
            match found[..] {
                [] => {
                    // `star` is no slip of `stat` where there is a `start`, which was found.
                    let of_other = ty.properties.iter().zip(&of).any(|(property, found)| {
                        !found.is_empty() && is_slip(&key, &fold(&property.name))
                    });
                    for (index, name) in names.iter().enumerate() {
                        if !of_other && is_slip(&key, name) {
                            slips.push((at, index));
                        }
                    }
                    others.push(at);
                }
                [one] => of[wanted[one]].push(at),
                _ => {
                    return self.two_properties(
                        &entries[at],
                        found.iter().map(|index| &ty.properties[wanted[*index]]),
                    );
                }
            }
        }
        let known: HashSet<(usize, usize)> = slips.iter().copied().collect();
        let mut taken = HashSet::new();
        for rivals in slips.chunk_by(|one, other| one.0 == other.0) {
            for &(at, index) in rivals {
                let first = of[wanted[index]].first().copied();
                if let Some(rival) = first.filter(|first| entries[*first].key != entries[at].key) {
                    // It was found under its own name, or under another typo.
                    if known.contains(&(rival, index)) {
                        let readings = [rival, at].map(|at| format!("`{}`", entries[at].key));
                        let name = Segment::Name(ty.properties[wanted[index]].name.clone());
                        return self.within(name, |this| this.ambiguous(readings.to_vec()));
                    }
                    continue;
                }
                if rivals.len() > 1 {
                    return self.two_properties(
                        &entries[at],
                        rivals
                            .iter()
                            .map(|(_, index)| &ty.properties[wanted[*index]]),
                    );
                }
                of[wanted[index]].push(at);
                taken.insert(at);
            }
        }
        others.retain(|other| !taken.contains(other));
        Some(Places { of, others })
    }

    /// A key that may be one property or another.
    fn two_properties<'p, T>(
        &mut self,
        entry: &Entry,
        properties: impl Iterator<Item = &'p Property>,
    ) -> Option<T> {
        let readings = properties
            .map(|property| format!("`{}`", property.name))
            .collect();
        self.within(Segment::Key(entry.key.clone()), |this| {
            this.ambiguous(readings)
        })
    }
}

/// The entries of each property, and those of none.
struct Places {
    of: Vec<Vec<usize>>,
    others: Vec<usize>,
}
