//! Limits of types: whether they are for the type, and leave anything.

use std::fmt::Display;

use crate::diag::{Code, Diagnostics};
use crate::ir::{Bounds, Type, TypeDef, TypeDefKind, TypeKind, TypeRef};
use crate::source::{Span, Spanned};
use crate::spec::{self, Schema};

/// Checks the limits of a value of this kind; `choices` holds the values that it can have.
pub(super) fn check(
    bounds: &spec::Bounds,
    choices: Bounds,
    schema: &Schema,
    kind: &TypeKind,
    types: &[TypeDef],
    diagnostics: &mut Diagnostics,
) -> Bounds {
    let numeric = matches!(kind, TypeKind::Integer | TypeKind::Number);
    let textual = matches!(kind, TypeKind::String);
    let list = matches!(kind, TypeKind::List(_));
    on_their_kind(bounds, kind, diagnostics);
    ordered(
        bounds.minimum.as_ref(),
        bounds.maximum.as_ref(),
        diagnostics,
    );
    ordered(
        bounds.min_length.as_ref(),
        bounds.max_length.as_ref(),
        diagnostics,
    );
    ordered(
        bounds.min_items.as_ref(),
        bounds.max_items.as_ref(),
        diagnostics,
    );
    if let Some(step) = bounds.multiple_of.as_ref().filter(|step| step.value <= 0.0) {
        diagnostics
            .error(
                Code::InvalidType,
                step.span,
                format!("nothing is a multiple of {step}"),
            )
            .label("expected a number above 0");
    }
    // One that does not fit would be a type error in the skeleton.
    let found = Bounds {
        minimum: value(bounds.minimum.as_ref()).filter(|_| numeric),
        maximum: value(bounds.maximum.as_ref()).filter(|_| numeric),
        exclusive_minimum: value(bounds.exclusive_minimum.as_ref()).filter(|_| numeric),
        exclusive_maximum: value(bounds.exclusive_maximum.as_ref()).filter(|_| numeric),
        multiple_of: value(bounds.multiple_of.as_ref()).filter(|step| numeric && *step > 0.0),
        min_length: value(bounds.min_length.as_ref()).filter(|_| textual),
        max_length: value(bounds.max_length.as_ref()).filter(|_| textual),
        min_items: value(bounds.min_items.as_ref()).filter(|_| list),
        max_items: value(bounds.max_items.as_ref()).filter(|_| list),
        unique_items: list && bounds.unique_items.is_some(),
        pattern: pattern(bounds.pattern.as_ref(), diagnostics).filter(|_| textual),
        ..choices
    };
    if numeric {
        numbers(bounds, &found, schema, kind, diagnostics);
    }
    if let TypeKind::List(item) = kind {
        distinct(bounds, &found, values(item, types), diagnostics);
    }
    found
}

/// Reports limits that are for values of another kind.
fn on_their_kind(bounds: &spec::Bounds, kind: &TypeKind, diagnostics: &mut Diagnostics) {
    let numeric = matches!(kind, TypeKind::Integer | TypeKind::Number);
    // What an enum's values must be is checked against each of them.
    let text_like = matches!(kind, TypeKind::String | TypeKind::Enum(_));
    let list = matches!(kind, TypeKind::List(_));
    for (span, key, fits, on) in [
        (span(bounds.minimum.as_ref()), "minimum", numeric, "numbers"),
        (span(bounds.maximum.as_ref()), "maximum", numeric, "numbers"),
        (
            span(bounds.exclusive_minimum.as_ref()),
            "exclusiveMinimum",
            numeric,
            "numbers",
        ),
        (
            span(bounds.exclusive_maximum.as_ref()),
            "exclusiveMaximum",
            numeric,
            "numbers",
        ),
        (
            span(bounds.multiple_of.as_ref()),
            "multipleOf",
            numeric,
            "numbers",
        ),
        (
            span(bounds.min_length.as_ref()),
            "minLength",
            text_like,
            "strings",
        ),
        (
            span(bounds.max_length.as_ref()),
            "maxLength",
            text_like,
            "strings",
        ),
        (
            span(bounds.pattern.as_ref()),
            "pattern",
            text_like,
            "strings",
        ),
        (span(bounds.min_items.as_ref()), "minItems", list, "lists"),
        (span(bounds.max_items.as_ref()), "maxItems", list, "lists"),
        (
            span(bounds.unique_items.as_ref()),
            "uniqueItems",
            list,
            "lists",
        ),
    ] {
        if let Some(span) = span.filter(|_| !fits && *kind != TypeKind::Broken) {
            diagnostics
                .error(Code::InvalidType, span, format!("`{key}` is for {on}"))
                .label("this value is of another type");
        }
    }
}

/// Whether any number lies within the limits, and each that is named does.
fn numbers(
    written: &spec::Bounds,
    bounds: &Bounds,
    schema: &Schema,
    kind: &TypeKind,
    diagnostics: &mut Diagnostics,
) {
    let ordered = match (bounds.minimum, bounds.maximum) {
        (Some(low), Some(high)) => low <= high,
        _ => true,
    };
    let limits = [
        &written.minimum,
        &written.exclusive_minimum,
        &written.maximum,
        &written.exclusive_maximum,
    ];
    if let Some(last) = limits.into_iter().flatten().last()
        && ordered
        && is_empty(bounds, *kind == TypeKind::Integer)
    {
        diagnostics
            .error(
                Code::InvalidType,
                last.span,
                "no number is within these limits",
            )
            .label("this leaves nothing");
        return;
    }
    for choice in schema.choices.iter().flat_map(|choices| &choices.value) {
        let number: Option<f64> = crate::yaml::core_float(&choice.text.value);
        if let Some(broken) = number.and_then(|number| outside(bounds, number)) {
            diagnostics
                .error(
                    Code::InvalidType,
                    choice.text.span,
                    format!("the value `{}` is outside of its own limits", choice.text),
                )
                .label(format!("expected {broken}"));
        }
    }
}

fn is_empty(bounds: &Bounds, whole: bool) -> bool {
    let low = bounds.minimum.into_iter().chain(bounds.exclusive_minimum);
    let high = bounds.maximum.into_iter().chain(bounds.exclusive_maximum);
    #[expect(clippy::cast_precision_loss, reason = "limits are floats, too")]
    let range = whole.then_some((i64::MIN as f64, i64::MAX as f64));
    let (least, most) = range.unzip();
    let (low, high) = (low.chain(least), high.chain(most));
    let (Some(low), Some(high)) = (low.reduce(f64::max), high.reduce(f64::min)) else {
        return false;
    };
    let open = bounds.exclusive_minimum == Some(low) || bounds.exclusive_maximum == Some(high);
    // The smallest candidate: the next whole number, or the next multiple.
    let step = match (bounds.multiple_of, whole) {
        (Some(step), true) if step.fract() == 0.0 => step,
        (Some(step), false) => step,
        (None, true) => 1.0,
        _ => return low > high || (low >= high && open),
    };
    let mut first = (low / step).ceil() * step;
    if bounds.exclusive_minimum.is_some_and(|limit| first <= limit) {
        first += step;
    }
    first > high || bounds.exclusive_maximum.is_some_and(|limit| first >= limit)
}

/// The limit that a number breaks.
pub(super) fn outside(bounds: &Bounds, number: f64) -> Option<String> {
    if let Some(min) = bounds.minimum.filter(|min| number < *min) {
        return Some(format!("at least {min}"));
    }
    if let Some(max) = bounds.maximum.filter(|max| number > *max) {
        return Some(format!("at most {max}"));
    }
    if let Some(min) = bounds.exclusive_minimum.filter(|min| number <= *min) {
        return Some(format!("more than {min}"));
    }
    if let Some(max) = bounds.exclusive_maximum.filter(|max| number >= *max) {
        return Some(format!("less than {max}"));
    }
    if let Some(step) = bounds
        .multiple_of
        .filter(|step| !is_multiple(number, *step))
    {
        return Some(format!("a multiple of {step}"));
    }
    None
}

/// Whether a number is a multiple, rounding aside: 0.3 is one of 0.1. The runtime says the same.
pub(super) fn is_multiple(number: f64, step: f64) -> bool {
    let times = number / step;
    (times - times.round()).abs() <= 1e-9 * times.abs().max(1.0)
}

/// A list of different items cannot be longer than there are different items.
fn distinct(
    written: &spec::Bounds,
    bounds: &Bounds,
    values: Option<usize>,
    diagnostics: &mut Diagnostics,
) {
    let Some(min) = written.min_items.as_ref().filter(|_| bounds.unique_items) else {
        return;
    };
    if let Some(values) = values.filter(|values| *values < min.value as usize) {
        diagnostics
            .error(
                Code::InvalidType,
                min.span,
                format!("at least {min} different items, of {values} values"),
            )
            .label("there are not as many");
    }
}

/// How many values of a type there are, if they can be listed.
fn values(ty: &Type, types: &[TypeDef]) -> Option<usize> {
    let bounds = ty.bounds();
    match &ty.kind {
        TypeKind::Boolean => Some(if bounds.boolean.is_some() { 1 } else { 2 }),
        TypeKind::Optional(inner) => values(inner, types).map(|values| values + 1),
        TypeKind::Enum(TypeRef(index)) => match &types.get(*index)?.kind {
            TypeDefKind::Enum(variants) if !variants.is_empty() => Some(variants.len()),
            _ => None,
        },
        _ if !bounds.numbers.is_empty() => Some(bounds.numbers.len()),
        _ => None,
    }
}

/// Values of an enum against limits of its texts.
pub(super) fn enum_values(
    values: &[(&Spanned<String>, &str)],
    bounds: &spec::Bounds,
    diagnostics: &mut Diagnostics,
) {
    let pattern = bounds
        .pattern
        .as_ref()
        .and_then(|pattern| regex_lite::Regex::new(&pattern.value).ok());
    for (value, _) in values {
        let length = value.value.chars().count();
        let problem = if let Some(min) = &bounds.min_length
            && length < min.value as usize
        {
            format!("at least {min} characters")
        } else if let Some(max) = &bounds.max_length
            && length > max.value as usize
        {
            format!("at most {max} characters")
        } else if let (Some(regex), Some(pattern)) = (&pattern, &bounds.pattern)
            && !regex.is_match(&value.value)
        {
            format!("a text that matches `{pattern}`")
        } else {
            continue;
        };
        diagnostics
            .error(
                Code::InvalidType,
                value.span,
                format!("the value `{value}` is outside of its own limits"),
            )
            .label(format!("expected {problem}"));
    }
}

fn pattern(written: Option<&Spanned<String>>, diagnostics: &mut Diagnostics) -> Option<String> {
    let written = written?;
    match regex_lite::Regex::new(&written.value) {
        Ok(_) => Some(written.value.clone()),
        Err(error) => {
            diagnostics
                .error(
                    Code::InvalidType,
                    written.span,
                    format!("the pattern is not a regular expression: {error}"),
                )
                .label("this does not compile");
            None
        }
    }
}

fn ordered<T: PartialOrd + Display>(
    low: Option<&Spanned<T>>,
    high: Option<&Spanned<T>>,
    diagnostics: &mut Diagnostics,
) {
    if let (Some(low), Some(high)) = (low, high)
        && low.value > high.value
    {
        diagnostics
            .error(
                Code::InvalidType,
                low.span,
                format!("at least {low} and at most {high}: no value is both"),
            )
            .also(high.span, "the other limit");
    }
}

fn span<T>(bound: Option<&Spanned<T>>) -> Option<Span> {
    bound.map(|bound| bound.span)
}

fn value<T: Copy>(bound: Option<&Spanned<T>>) -> Option<T> {
    bound.map(|bound| bound.value)
}
