//! Entries that hang on the wrong object, because a bracket is missing or in the wrong place.
//!
//! `{"person": {"name": "Al", "count": 2}` lacks a bracket, and only the schema tells where: `count` is a property of
//! the whole, not of the person. Nothing is moved where the brackets of the reply are right.

use std::collections::HashSet;

use super::fold::fold;
use super::schema::{ObjectType, Schema, Shape, TypeId};
use super::tree::{Entry, Node, NodeKind};

/// Hangs entries where the schema has them; whether any was moved.
pub(super) fn rehang(node: &mut Node, id: TypeId, schema: &Schema) -> bool {
    match &mut node.kind {
        NodeKind::List(items) => match list_item(id, schema) {
            Some(item) => items
                .iter_mut()
                .fold(false, |moved, node| rehang(node, item, schema) | moved),
            None => false,
        },
        NodeKind::Object(entries) => match object(id, schema) {
            Some(ty) => {
                let moved = lowered(entries, ty, schema) | raised(entries, ty, schema);
                entries.iter_mut().fold(moved, |moved, entry| {
                    let child = property(ty, &entry.key);
                    child.is_some_and(|child| rehang(&mut entry.node, child, schema)) | moved
                })
            }
            None => false,
        },
        _ => false,
    }
}

/// Takes entries of this object out of objects in it.
fn raised(entries: &mut Vec<Entry>, ty: &ObjectType, schema: &Schema) -> bool {
    let mut known: HashSet<String> = entries.iter().map(|entry| fold(&entry.key)).collect();
    let mut moved = false;
    let mut at = 0;
    while at < entries.len() {
        let taken = match property(ty, &entries[at].key) {
            Some(child) => {
                let wanted = |key: &str| property(ty, key).is_some() && !known.contains(&fold(key));
                foreign(&mut entries[at].node, child, schema, &wanted)
            }
            None => Vec::new(),
        };
        moved |= !taken.is_empty();
        known.extend(taken.iter().map(|entry| fold(&entry.key)));
        at += 1;
        entries.splice(at..at, taken);
    }
    moved
}

/// The entries at the end of a value that belong to an object around it.
fn foreign(
    node: &mut Node,
    id: TypeId,
    schema: &Schema,
    wanted: &dyn Fn(&str) -> bool,
) -> Vec<Entry> {
    let mut taken = Vec::new();
    let end = match &mut node.kind {
        NodeKind::List(items) => {
            let item = list_item(id, schema);
            if let (Some(last), Some(item)) = (items.last_mut(), item) {
                taken = foreign(last, item, schema, wanted);
            }
            items.last().map(|item| item.span.end)
        }
        NodeKind::Object(entries) => {
            if let Some(ty) = object(id, schema).filter(|ty| !ty.is_open()) {
                let first = entries
                    .iter()
                    .position(|entry| property(ty, &entry.key).is_none() && wanted(&entry.key));
                if let Some(first) = first {
                    taken = entries.split_off(first);
                } else if let Some(last) = entries.last_mut()
                    && let Some(child) = property(ty, &last.key)
                {
                    taken = foreign(&mut last.node, child, schema, wanted);
                }
            }
            entries.last().map(|entry| entry.node.span.end)
        }
        _ => None,
    };
    if !taken.is_empty() {
        node.span.end = end.unwrap_or(node.span.start).max(node.span.start);
    }
    taken
}

/// Puts entries into the object in front of them that was closed too early.
fn lowered(entries: &mut Vec<Entry>, ty: &ObjectType, schema: &Schema) -> bool {
    if ty.is_open() {
        return false;
    }
    let mut moved = false;
    let mut kept: Vec<Entry> = Vec::with_capacity(entries.len());
    for entry in entries.drain(..) {
        if let Some(last) = kept.last_mut()
            && property(ty, &entry.key).is_none()
            && let Some(inner) = property(ty, &last.key).and_then(|child| object(child, schema))
            && property(inner, &entry.key).is_some()
            && let NodeKind::Object(own) = &mut last.node.kind
        {
            last.node.span.end = entry.node.span.end;
            own.push(entry);
            moved = true;
        } else {
            kept.push(entry);
        }
    }
    *entries = kept;
    moved
}

/// The one kind of object that a type is.
fn object(id: TypeId, schema: &Schema) -> Option<&ObjectType> {
    match schema.objects(id)[..] {
        [only] => Some(only),
        _ => None,
    }
}

fn list_item(id: TypeId, schema: &Schema) -> Option<TypeId> {
    match &schema.get(id).shape {
        Shape::List(list) if list.first.is_empty() => list.items,
        _ => None,
    }
}

/// The type of a property, by its name in any style.
fn property(ty: &ObjectType, key: &str) -> Option<TypeId> {
    if let Some(at) = ty.index.get(key) {
        return Some(ty.properties[*at].ty);
    }
    let key = fold(key);
    let mut same = ty
        .properties
        .iter()
        .filter(|property| !key.is_empty() && fold(&property.name) == key);
    same.next().map(|property| property.ty)
}
