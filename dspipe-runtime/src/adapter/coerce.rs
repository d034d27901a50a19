//! Values made to fit a type, as pydantic does where it is not strict.

use super::print;
use super::text::strip;
use super::types::{PyModel, PyModelField, PyType};
use super::value::{PyDict, PyValue};

/// Floats from here on (2^63) do not become whole numbers.
const TOO_LARGE: f64 = 9_223_372_036_854_775_808.0;

/// How well a value fitted, best last, as pydantic rates the members of a union.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// Converted.
    Lax,
    /// Taken as it is, though of another type: a whole number as a float.
    Strict,
    /// Of the type.
    Exact,
}

/// A value that fits, how well, and how many fields of models it sets; `None` where there is no model.
struct Fitted {
    value: PyValue,
    fit: Fit,
    fields: Option<usize>,
}

type Result<T, E = String> = std::result::Result<T, E>;

/// `TypeAdapter(ty).validate_python(value)`.
pub(super) fn validate(value: &PyValue, ty: &PyType) -> Result<PyValue> {
    fit(value, ty).map(|fitted| fitted.value)
}

#[expect(clippy::unnecessary_wraps, reason = "what it ends is a result")]
fn fitted(value: PyValue, fit: Fit) -> Result<Fitted> {
    Ok(Fitted {
        value,
        fit,
        fields: None,
    })
}

fn wrong(value: &PyValue, needed: &str) -> String {
    let shown: String = print::repr(value).chars().take(60).collect();
    format!("{shown} is not {needed}")
}

fn fit(value: &PyValue, ty: &PyType) -> Result<Fitted> {
    match ty {
        PyType::Any | PyType::Schema(_) => fitted(value.clone(), Fit::Strict),
        PyType::None => match value {
            PyValue::None => fitted(PyValue::None, Fit::Exact),
            _ => Err(wrong(value, "None")),
        },
        PyType::Str => match value {
            PyValue::Str(_) => fitted(value.clone(), Fit::Exact),
            _ => Err(wrong(value, "a string")),
        },
        PyType::Bool => boolean(value),
        PyType::Int => integer(value),
        PyType::Float => float(value),
        // Items of nothing in particular are not looked at; those of a plain `dict` are.
        PyType::AnyList => match value {
            PyValue::List(_) => fitted(value.clone(), Fit::Exact),
            _ => list(value, &PyType::Any),
        },
        PyType::List(item) => list(value, item),
        PyType::AnyDict => dict(value, &PyType::Any, &PyType::Any),
        PyType::Dict(key, item) => dict(value, key, item),
        PyType::Union(members) => union(value, members),
        PyType::Literal(values) => literal(value, values),
        PyType::Enum(class) => {
            let found = class
                .members
                .iter()
                .find(|(_, member)| equal(member, value));
            let (_, member) =
                found.ok_or_else(|| wrong(value, &format!("a value of {}", class.name)))?;
            fitted(member.clone(), Fit::Lax)
        }
        PyType::Model(class) => model(value, class),
        PyType::History => Err("a History cannot be read from a reply".to_owned()),
    }
}

/// `==` as Python has it: `True`, `1` and `1.0` are equal.
pub(super) fn equal(a: &PyValue, b: &PyValue) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "as near as a float comes")]
    let number = |value: &PyValue| match value {
        PyValue::Bool(value) => Some(f64::from(*value)),
        PyValue::Int(value) => Some(*value as f64),
        PyValue::Float(value) => Some(*value),
        _ => None,
    };
    match (a, b) {
        (PyValue::Int(a), PyValue::Int(b)) => a == b,
        _ => match (number(a), number(b)) {
            #[expect(clippy::float_cmp, reason = "equality is what is asked for")]
            (Some(a), Some(b)) => a == b,
            _ => a == b,
        },
    }
}

fn boolean(value: &PyValue) -> Result<Fitted> {
    let read = match value {
        PyValue::Bool(value) => return fitted((*value).into(), Fit::Exact),
        PyValue::Int(0) => Some(false),
        PyValue::Int(1) => Some(true),
        PyValue::Float(value) if *value == 0.0 => Some(false),
        #[expect(clippy::float_cmp, reason = "nothing but one is true")]
        PyValue::Float(value) if *value == 1.0 => Some(true),
        PyValue::Str(text) => match text.to_ascii_lowercase().as_str() {
            "0" | "off" | "f" | "false" | "n" | "no" => Some(false),
            "1" | "on" | "t" | "true" | "y" | "yes" => Some(true),
            _ => None,
        },
        _ => None,
    };
    match read {
        Some(read) => fitted(read.into(), Fit::Lax),
        None => Err(wrong(value, "a boolean")),
    }
}

fn integer(value: &PyValue) -> Result<Fitted> {
    let read = match value {
        PyValue::Int(_) => return fitted(value.clone(), Fit::Exact),
        PyValue::Bool(value) => Some(i128::from(*value)),
        #[expect(clippy::cast_possible_truncation, reason = "it is whole and in range")]
        PyValue::Float(value) if value.fract() == 0.0 && value.abs() < TOO_LARGE => {
            Some(*value as i128)
        }
        PyValue::Str(text) => integer_of(text),
        _ => None,
    };
    match read {
        Some(read) => fitted(PyValue::Int(read), Fit::Lax),
        None => Err(wrong(value, "a whole number")),
    }
}

/// A whole number in a text: with a sign, single underscores, and zeros after a point.
fn integer_of(text: &str) -> Option<i128> {
    let text = strip(text);
    let (whole, zeros) = text.split_once('.').unwrap_or((text, "0"));
    if zeros.is_empty() || zeros.bytes().any(|byte| byte != b'0') {
        return None;
    }
    let digits = whole.strip_prefix(['+', '-']).unwrap_or(whole);
    let has_bad_underscore =
        digits.starts_with('_') || digits.ends_with('_') || digits.contains("__");
    if has_bad_underscore
        || !digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'_')
    {
        return None;
    }
    whole.replace('_', "").parse().ok()
}

fn float(value: &PyValue) -> Result<Fitted> {
    let read = match value {
        PyValue::Float(_) => return fitted(value.clone(), Fit::Exact),
        #[expect(clippy::cast_precision_loss, reason = "as Python does")]
        PyValue::Int(value) => return fitted(PyValue::Float(*value as f64), Fit::Strict),
        PyValue::Bool(value) => Some(f64::from(*value)),
        PyValue::Str(text) => {
            let text = strip(text);
            let has_bad_underscore =
                text.starts_with('_') || text.ends_with('_') || text.contains("__");
            (!has_bad_underscore)
                .then(|| text.replace('_', ""))
                .and_then(|text| text.parse().ok())
        }
        _ => None,
    };
    match read {
        Some(read) => fitted(PyValue::Float(read), Fit::Lax),
        None => Err(wrong(value, "a number")),
    }
}

fn list(value: &PyValue, item: &PyType) -> Result<Fitted> {
    let PyValue::List(items) = value else {
        return Err(wrong(value, "a list"));
    };
    let mut all = Collected::new();
    let mut read = Vec::with_capacity(items.len());
    for (index, value) in items.iter().enumerate() {
        let value = fit(value, item).map_err(|error| format!("item {index}: {error}"))?;
        read.push(all.add(value));
    }
    Ok(all.end(PyValue::List(read)))
}

/// The worst fit of parts.
struct Collected {
    fit: Fit,
    fields: Option<usize>,
}

impl Collected {
    fn new() -> Self {
        Self {
            fit: Fit::Exact,
            fields: None,
        }
    }

    fn add(&mut self, part: Fitted) -> PyValue {
        self.fit = self.fit.min(part.fit);
        if let Some(fields) = part.fields {
            *self.fields.get_or_insert(0) += fields;
        }
        part.value
    }

    fn end(self, value: PyValue) -> Fitted {
        Fitted {
            value,
            fit: self.fit,
            fields: self.fields,
        }
    }
}

fn dict(value: &PyValue, key: &PyType, item: &PyType) -> Result<Fitted> {
    let PyValue::Dict(dict) = value else {
        return Err(wrong(value, "a dictionary"));
    };
    let mut all = Collected::new();
    let mut read = PyDict::with_capacity(dict.len());
    for (name, value) in dict {
        let name_value = fit(&PyValue::from(name.as_str()), key)
            .map_err(|error| format!("key `{name}`: {error}"))?;
        let name = match all.add(name_value) {
            PyValue::Str(text) => text,
            PyValue::Bool(value) => value.to_string(),
            other => print::text_of(&other),
        };
        let value = fit(value, item).map_err(|error| format!("`{name}`: {error}"))?;
        read.insert(name, all.add(value));
    }
    Ok(all.end(PyValue::Dict(read)))
}

fn literal(value: &PyValue, values: &[PyValue]) -> Result<Fitted> {
    // A value of the same type before one that is only equal.
    let same = |member: &&PyValue| {
        std::mem::discriminant(*member) == std::mem::discriminant(value) && equal(member, value)
    };
    let found = values
        .iter()
        .find(same)
        .or_else(|| values.iter().find(|member| equal(member, value)));
    match found {
        Some(found) => fitted(found.clone(), Fit::Exact),
        None => {
            let values: Vec<String> = values.iter().map(print::repr).collect();
            Err(wrong(value, &format!("one of {}", values.join(", "))))
        }
    }
}

/// The member that fits best: of two with models the one with more fields, else the more exact one, else the first.
fn union(value: &PyValue, members: &[PyType]) -> Result<Fitted> {
    if *value == PyValue::None && members.contains(&PyType::None) {
        return fitted(PyValue::None, Fit::Exact);
    }
    let mut best: Option<Fitted> = None;
    let mut errors = Vec::new();
    for member in members.iter().filter(|member| **member != PyType::None) {
        match fit(value, member) {
            Ok(fitted) if fitted.fit == Fit::Exact && fitted.fields.is_none() => return Ok(fitted),
            Ok(fitted) => {
                let is_better =
                    best.as_ref()
                        .is_none_or(|best| match (fitted.fields, best.fields) {
                            (Some(new), Some(known)) if new != known => new > known,
                            _ => fitted.fit > best.fit,
                        });
                if is_better {
                    best = Some(fitted);
                }
            }
            Err(error) => errors.push(error),
        }
    }
    best.ok_or_else(|| errors.join("; "))
}

fn model(value: &PyValue, class: &PyModel) -> Result<Fitted> {
    let PyValue::Dict(dict) = value else {
        return Err(wrong(value, &format!("a dictionary for {}", class.name)));
    };
    let mut all = Collected::new();
    // To make a model of a dictionary is not exact.
    all.fit = Fit::Strict;
    let mut own = 0;
    let mut read = PyDict::new();
    for field in &class.fields {
        let value = match (dict.get(&field.name), &field.default) {
            (Some(value), _) => {
                let value =
                    fit(value, &field.ty).map_err(|error| format!("`{}`: {error}", field.name))?;
                own += 1;
                let value = all.add(value);
                check(&value, field)?;
                value
            }
            (None, Some(default)) => default.clone(),
            (None, None) => return Err(format!("`{}` is missing", field.name)),
        };
        read.insert(field.name.clone(), value);
    }
    *all.fields.get_or_insert(0) += own;
    Ok(all.end(PyValue::Dict(read)))
}

/// A field's limits.
fn check(value: &PyValue, field: &PyModelField) -> Result<()> {
    #[expect(clippy::cast_precision_loss, reason = "limits are small")]
    let number = |value: &PyValue| match value {
        PyValue::Int(value) => Some(*value as f64),
        PyValue::Float(value) => Some(*value),
        _ => None,
    };
    let length = match value {
        PyValue::Str(text) => Some(text.chars().count()),
        PyValue::List(items) => Some(items.len()),
        PyValue::Dict(dict) => Some(dict.len()),
        _ => None,
    };
    #[expect(clippy::cast_precision_loss, reason = "lengths are small")]
    let length = length.map(|length| length as f64);
    for (name, limit) in &field.limits {
        let fits = match (name.as_str(), limit) {
            ("pattern", PyValue::Str(pattern)) => match value.as_str() {
                Some(text) => {
                    regex_lite::Regex::new(pattern).is_ok_and(|regex| regex.is_match(text))
                }
                None => true,
            },
            ("multiple_of", PyValue::Int(limit)) if matches!(value, PyValue::Int(_)) => match value
            {
                PyValue::Int(value) => value.checked_rem(*limit) == Some(0),
                _ => false,
            },
            (name, limit) => {
                let value = if name.ends_with("_length") {
                    length
                } else {
                    number(value)
                };
                match (value, number(limit)) {
                    (Some(value), Some(limit)) => match name {
                        "ge" | "min_length" => value >= limit,
                        "gt" => value > limit,
                        "le" | "max_length" => value <= limit,
                        "lt" => value < limit,
                        "multiple_of" => {
                            let rest = (value % limit).abs();
                            let small = (limit / 1e9).abs();
                            rest <= small || (rest - limit).abs() <= small
                        }
                        _ => true,
                    },
                    _ => true,
                }
            }
        };
        if !fits {
            return Err(format!(
                "`{}`: {} is not within {name} {}",
                field.name,
                print::repr(value),
                print::repr(limit)
            ));
        }
    }
    Ok(())
}
