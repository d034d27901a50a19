//! Cells of a table as values of the types of their fields.

use crate::data;
use crate::ir::{Field, Type, TypeKind};
use crate::source::Span;
use crate::yaml::{Kind, Node};

/// Gives the cells of a table the kinds that the types of their fields ask for.
pub(super) fn of_types(node: &mut Node, fields: &[Field]) {
    let Kind::Map(entries) = &mut node.kind else {
        return;
    };
    // An empty cell of a field with a default is an absent one.
    entries.retain(|(key, cell)| {
        let is_empty = matches!(&cell.kind, Kind::Scalar { text, .. } if text.is_empty());
        let mut fields = fields.iter();
        !is_empty || !fields.any(|f| f.default.is_some() && f.name.text == key.text)
    });
    for (key, cell) in entries {
        if let Some(field) = fields.iter().find(|f| f.name.text == key.text) {
            read_as(cell, &field.ty);
        }
    }
}

/// Takes out empty cells: a table whose rows belong to several steps has columns that a row
/// does not use.
pub(super) fn drop_empty(row: &mut Node) {
    if let Kind::Map(entries) = &mut row.kind {
        entries.retain(
            |(_, cell)| !matches!(&cell.kind, Kind::Scalar { text, .. } if text.is_empty()),
        );
    }
}

fn read_as(cell: &mut Node, ty: &Type) {
    let Kind::Scalar { text, plain } = &mut cell.kind else {
        return;
    };
    match &ty.kind {
        TypeKind::Optional(_) if text.is_empty() => {}
        TypeKind::Optional(inner) => read_as(cell, inner),
        TypeKind::String | TypeKind::Enum(_) => *plain = false,
        TypeKind::Integer | TypeKind::Number | TypeKind::Boolean => *text = text.trim().to_owned(),
        _ => {
            if let Some(kind) = data::cell(text) {
                cell.kind = kind;
                let span = cell.span;
                point_at(cell, span);
            }
        }
    }
}

fn point_at(node: &mut Node, span: Span) {
    node.span = span;
    match &mut node.kind {
        Kind::Scalar { .. } => {}
        Kind::List(items) => items.iter_mut().for_each(|item| point_at(item, span)),
        Kind::Map(entries) => {
            for (key, value) in entries {
                key.span = span;
                point_at(value, span);
            }
        }
    }
}
