//! Tests whose result is known before anything runs.

use crate::ir::{Comparison, Expr, ExprKind, Function, TypeKind};

/// The value of a test that has only one; `None` where that is not known.
pub(super) fn value(test: &Expr) -> Option<bool> {
    match &test.kind {
        ExprKind::Boolean(value) => Some(*value),
        ExprKind::Not(inner) => value(inner).map(|value| !value),
        ExprKind::And(parts) => {
            let values: Vec<Option<bool>> = parts.iter().map(value).collect();
            if values.contains(&Some(false)) {
                return Some(false);
            }
            values
                .iter()
                .all(|value| *value == Some(true))
                .then_some(true)
        }
        ExprKind::Or(parts) => {
            let values: Vec<Option<bool>> = parts.iter().map(value).collect();
            if values.contains(&Some(true)) {
                return Some(true);
            }
            values
                .iter()
                .all(|value| *value == Some(false))
                .then_some(false)
        }
        ExprKind::Compare(comparison, a, b) => compared(*comparison, a, b),
        _ => None,
    }
}

fn compared(comparison: Comparison, a: &Expr, b: &Expr) -> Option<bool> {
    if a == b {
        // Equal to itself; the numbers of a workflow are never NaN.
        return Some(matches!(
            comparison,
            Comparison::Equal | Comparison::LessOrEqual | Comparison::GreaterOrEqual
        ));
    }
    let literal = |expr: &Expr| {
        matches!(
            expr.kind,
            ExprKind::Text(_) | ExprKind::Boolean(_) | ExprKind::Variant(..)
        )
    };
    if literal(a) && literal(b) {
        return match comparison {
            Comparison::Equal => Some(false),
            Comparison::NotEqual => Some(true),
            _ => None,
        };
    }
    let (a, b) = (range(a)?, range(b)?);
    match comparison {
        Comparison::Less => decided(a.1 < b.0, a.0 >= b.1),
        Comparison::LessOrEqual => decided(a.1 <= b.0, a.0 > b.1),
        Comparison::Greater => decided(a.0 > b.1, a.1 <= b.0),
        Comparison::GreaterOrEqual => decided(a.0 >= b.1, a.1 < b.0),
        Comparison::Equal => decided(false, a.1 < b.0 || a.0 > b.1),
        Comparison::NotEqual => decided(a.1 < b.0 || a.0 > b.1, false),
    }
}

fn decided(holds: bool, fails: bool) -> Option<bool> {
    match (holds, fails) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

/// The smallest and the largest value that a number can have.
fn range(expr: &Expr) -> Option<(f64, f64)> {
    match &expr.kind {
        #[expect(clippy::cast_precision_loss, reason = "a bound, not a value")]
        ExprKind::Integer(number) => Some((*number as f64, *number as f64)),
        ExprKind::Number(number) => Some((*number, *number)),
        ExprKind::Float(inner) => range(inner),
        ExprKind::Call(Function::Length, _) => Some((0.0, f64::INFINITY)),
        ExprKind::Path(_) if matches!(expr.ty.kind, TypeKind::Integer | TypeKind::Number) => {
            let bounds = expr.ty.bounds();
            Some((
                bounds.minimum.unwrap_or(f64::NEG_INFINITY),
                bounds.maximum.unwrap_or(f64::INFINITY),
            ))
        }
        _ => None,
    }
}
