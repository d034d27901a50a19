//! Numbers that are written as people write them: `1,299.50 €`, `45%`, `3/4`, `about 12 days`.
//!
//! A reading is never a guess: where a text can mean two numbers, both are given.

mod words;

use serde_json::Number;

use super::fold;
use super::scan::{loose_number, number};
use super::schema::NumberType;
use super::tree::{Form, Text};

/// What a text can be as a number.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reading {
    /// One number.
    One(Number),
    /// It can be read as either.
    Either(Number, Number),
    /// It holds no number, or more than can be told apart.
    No,
}

/// Reads a text as a number of this type.
///
/// `45%` is 0.45 where the maximum is at most 1, and 45 everywhere else. `8/10` is 0.8, but 8 where the maximum
/// is 10.
pub(super) fn read(text: &str, ty: &NumberType) -> Reading {
    let text: String = text.trim().chars().map(narrow).collect();
    let readings = readings(&text, ty);
    if let ([one, other], true) = (
        &readings[..],
        ty.integer && text.contains('.') && !text.contains(','),
    ) {
        // `1.234` may be a fraction, which is no integer, or thousands.
        return Reading::Either(one.clone(), other.clone());
    }
    let mut fits: Vec<Number> = Vec::new();
    for reading in &readings {
        let whole = !ty.integer || is_whole(reading);
        if whole && ty.admits(reading) && !fits.contains(reading) {
            fits.push(reading.clone());
        }
    }
    match (fits.len(), readings.len()) {
        (1, _) => Reading::One(fits.remove(0)),
        (0, 1) => readings
            .into_iter()
            .next()
            .map_or(Reading::No, Reading::One),
        (0, 0) => Reading::No,
        (0, _) => {
            let mut all = readings.into_iter();
            match (all.next(), all.next()) {
                (Some(one), Some(other)) if one != other => Reading::Either(one, other),
                (Some(one), _) => Reading::One(one),
                _ => Reading::No,
            }
        }
        _ => {
            let other = fits.remove(1);
            Reading::Either(fits.remove(0), other)
        }
    }
}

/// The ASCII form of digits and signs of other scripts, and of those that East Asian scripts write wide.
fn narrow(c: char) -> char {
    let below = |zero: char| char::from_u32(u32::from(c) - u32::from(zero) + 0x30).unwrap_or(c);
    match c {
        '０'..='９' | '．' | '，' | '％' | '－' | '＋' | '／' | '＄' => {
            char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c)
        }
        '٠'..='٩' => below('٠'),
        '۰'..='۹' => below('۰'),
        '०'..='९' => below('०'),
        '٫' => '.',
        '٬' => ',',
        _ => c,
    }
}

/// A number without a fraction, as an integer.
pub(super) fn whole(number: Number) -> Number {
    match number.as_f64() {
        Some(value) if number.is_f64() && value.fract() == 0.0 && value.abs() < 1e15 => {
            float(value).unwrap_or(number)
        }
        _ => number,
    }
}

/// Whether a text without quotation marks is digits in groups of three: in a list, each may be a number.
pub(super) fn is_spaced(text: &Text) -> bool {
    let mut groups = text.text.split(' ');
    let digits = |group: &str| group.bytes().all(|c| c.is_ascii_digit());
    text.form == Form::Bare
        && groups
            .next()
            .is_some_and(|first| digits(first.trim_start_matches('-')))
        && text.text.contains(' ')
        && groups.all(|group| group.len() == 3 && digits(group))
}

/// Whether a number has no fraction.
pub(super) fn is_whole(number: &Number) -> bool {
    number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|value| value.fract() == 0.0)
}

/// All that a text can mean.
fn readings(text: &str, ty: &NumberType) -> Vec<Number> {
    if let Some(number) = words::number(text) {
        return vec![Number::from(number)];
    }
    let mut rest = text.chars();
    if let Some(value) = rest.next().and_then(vulgar) {
        // `½`, `½ cup`
        let rest = rest.as_str();
        let is_unit = rest.is_empty() || rest.starts_with(' ');
        return if is_unit && !rest.contains(|c: char| c.is_numeric() || c == '/') {
            float(value).into_iter().collect()
        } else {
            Vec::new()
        };
    }
    let Some(tokens) = tokens(text) else {
        return Vec::new();
    };
    match &tokens[..] {
        [token] => one(text, token, ty),
        [one, other] => two(text, one, other, ty),
        [whole, top, bottom] => mixed(text, whole, top, bottom),
        _ => Vec::new(),
    }
}

/// A run of digits with what stands between them.
#[derive(Debug)]
struct Token<'t> {
    text: &'t str,
    start: usize,
    end: usize,
}

/// The numbers in a text. `None` if it has something like a number that is none: a date, a version, a name.
fn tokens(text: &str) -> Option<Vec<Token<'_>>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    let bytes = text.as_bytes();
    while at < text.len() {
        let c = text[at..].chars().next()?;
        let begins =
            c.is_ascii_digit() || c == '.' && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
        if !begins {
            at += c.len_utf8();
            continue;
        }
        let start = at;
        let mut end = at;
        while end < text.len() {
            let c = text[end..].chars().next()?;
            let next_is_digit =
                text[end + c.len_utf8()..].starts_with(|c: char| c.is_ascii_digit());
            let belongs = c.is_ascii_digit()
                || matches!(c, '.' | ',' | '_' | '\'' | '’') && next_is_digit
                || matches!(c, ' ' | '\u{a0}' | '\u{202f}')
                    && is_group(&text[end + c.len_utf8()..], &text[start..end]);
            let exponent = matches!(c, 'e' | 'E')
                && text[end + 1..]
                    .trim_start_matches(['+', '-'])
                    .starts_with(|c: char| c.is_ascii_digit());
            if exponent {
                end += 1;
                if text[end..].starts_with(['+', '-']) {
                    end += 1;
                }
            } else if belongs {
                end += c.len_utf8();
            } else {
                break;
            }
        }
        let before = text[..start].chars().next_back();
        // `GPT-4`
        if text[..start]
            .strip_suffix('-')
            .is_some_and(|name| name.ends_with(char::is_alphabetic))
        {
            return None;
        }
        // `sqrt(2)`
        if text[..start]
            .strip_suffix('(')
            .is_some_and(|name| name.ends_with(char::is_alphanumeric))
        {
            return None;
        }
        // `GPT4`, `v1.2`.
        if before.is_some_and(|c| c.is_alphabetic() || c == '_')
            && !is_currency_before(&text[..start])
        {
            return None;
        }
        tokens.push(Token {
            text: &text[start..end],
            start,
            end,
        });
        if tokens.len() > 3 {
            return None;
        }
        at = end;
    }
    (!tokens.is_empty()).then_some(tokens)
}

/// Whether three digits follow, and no fourth, behind a number that may be grouped by spaces.
fn is_group(after: &str, before: &str) -> bool {
    let digits = after.bytes().take_while(u8::is_ascii_digit).count();
    let last = before
        .rsplit([' ', '\u{a0}', '\u{202f}'])
        .next()
        .unwrap_or_default();
    let first_group = last.len() == before.len();
    digits == 3
        && last.bytes().all(|c| c.is_ascii_digit())
        && if first_group {
            (1..=3).contains(&last.len())
        } else {
            last.len() == 3
        }
}

fn is_currency_before(before: &str) -> bool {
    let word = before
        .rsplit(|c: char| !c.is_alphabetic())
        .next()
        .unwrap_or_default();
    CURRENCIES
        .iter()
        .any(|name| name.eq_ignore_ascii_case(word))
        || matches!(word, "Rs" | "kr" | "R" | "zł")
}

const CURRENCIES: [&str; 20] = [
    "USD", "EUR", "GBP", "JPY", "CHF", "CAD", "AUD", "CNY", "INR", "SEK", "NOK", "DKK", "PLN",
    "CZK", "BRL", "MXN", "KRW", "NZD", "US", "A",
];

/// The meanings of a text with one number in it.
fn one(text: &str, token: &Token<'_>, ty: &NumberType) -> Vec<Number> {
    let before = text[..token.start].trim_end();
    let after = text[token.end..].trim_start();
    // A month, a time, a range, a part of a name.
    let joined = after.strip_prefix(['-', '–', ':', '+']);
    if joined.is_some_and(|rest| !rest.starts_with(' ') && !rest.is_empty())
        || after.starts_with('+')
        || before.ends_with(['<', '>', '≤', '≥', '±', '^', '/'])
        || is_comparison(before)
        || after.starts_with('^')
    {
        return Vec::new();
    }
    if text.starts_with('(')
        && text.ends_with(')')
        && before.trim_matches(['(', '$', '€', '£', ' ']).is_empty()
    {
        // Bookkeepers write losses so.
        let plain = plain(token.text, ty);
        return plain
            .iter()
            .flat_map(|one| [one.clone(), negated(one)])
            .collect();
    }
    let currency = before.ends_with(['$', '€', '£', '¥', '₹', '₩'])
        || after.starts_with(['$', '€', '£', '¥', '₹', '₩'])
        || is_currency_before(before)
        || CURRENCIES.iter().any(|name| after.starts_with(name));
    let grouped = before.ends_with(['$', '£', '¥', '₹', '₩']);
    let mut readings = plain(token.text, ty);
    // In euros, a point may stand between thousands.
    if (currency || ty.integer)
        && !grouped
        && token.text.matches('.').count() == 1
        && is_grouped(token.text, '.')
    {
        readings.extend(plain(&token.text.replace('.', ""), ty));
    }
    let marks = ['$', '€', '£', '¥', '₹', '₩', ' '];
    let is_minus = before
        .trim_end_matches(marks)
        .strip_suffix(['-', '−', '–'])
        .is_some_and(|word| {
            // A dash between words is none.
            let close = text[..token.start].ends_with(['-', '−', '$', '€', '£']);
            word.trim_end_matches(marks).is_empty() || close && word.ends_with([' ', ':', '=', '('])
        })
        || fold::words(before)
            .last()
            .is_some_and(|(word, _)| matches!(word.as_str(), "minus" | "negative"));
    if is_minus {
        readings = readings.iter().map(negated).collect();
    }
    if let Some(value) = after.chars().next().and_then(vulgar) {
        // `1½`
        return readings
            .iter()
            .filter_map(|whole| float(whole.as_f64()? + value))
            .collect();
    }
    if after.starts_with(['%', '٪', '％'])
        || fold::words(after)
            .first()
            .is_some_and(|(word, _)| matches!(word.as_str(), "percent" | "pct" | "prozent"))
    {
        let is_share = ty.maximum.is_some_and(|limit| limit.value <= 1.0);
        return if is_share {
            readings.iter().filter_map(hundredth).collect()
        } else {
            readings
        };
    }
    if after.starts_with('‰') {
        return Vec::new();
    }
    scaled(readings, after, currency)
}

/// With `million` and its like taken in.
fn scaled(readings: Vec<Number>, after: &str, currency: bool) -> Vec<Number> {
    let words = fold::words(after);
    let Some((word, range)) = words.first() else {
        return readings;
    };
    if range.start > 0 {
        return readings;
    }
    let written = &after[range.clone()];
    let (power, sure) = match (word.as_str(), written) {
        ("hundred", _) => (2, true),
        ("thousand" | "tausend" | "mille", _) => (3, true),
        ("million" | "millions" | "mio" | "millionen", _) => (6, true),
        ("billion" | "billions" | "bn", _) => (9, true),
        ("trillion" | "trillions", _) => (12, true),
        ("e" | "dozen" | "lakh" | "crore" | "milliard" | "milliarden" | "mrd", _) => {
            return Vec::new();
        }
        (_, "k" | "K") => (3, currency),
        (_, "m" | "M" | "mn") => (6, currency),
        (_, "b" | "B") => (9, currency),
        _ => return readings,
    };
    let mut scaled: Vec<Number> = readings
        .iter()
        .filter_map(|one| shifted(one, power))
        .collect();
    if !sure {
        // `5k` or five of a unit.
        scaled.extend(readings);
    }
    scaled
}

/// The meanings of a text with two numbers in it: a fraction, or none.
fn two(text: &str, one: &Token<'_>, other: &Token<'_>, ty: &NumberType) -> Vec<Number> {
    let between = text[one.end..other.start].trim();
    let top = plain(one.text, ty);
    let bottom = plain(other.text, ty);
    let ([top], [bottom]) = (&top[..], &bottom[..]) else {
        return Vec::new();
    };
    let negative = text[..one.start].trim().ends_with(['-', '−']);
    let top = if negative { negated(top) } else { top.clone() };
    let (Some(above), Some(below)) = (top.as_f64(), bottom.as_f64()) else {
        return Vec::new();
    };
    let points = fold::fold(between) == "outof" || fold::fold(between) == "of";
    let rest = text[other.end..].trim();
    let leads = text[..one.start].trim_matches(['-', '−', ' ']).is_empty();
    let is_scale = below > 1.0
        && ty
            .maximum
            .is_some_and(|limit| limit.value.total_cmp(&below).is_eq());
    // Only points have a name: `4/5 stars`.
    let alone = leads && (is_scale || rest.chars().all(|c| !c.is_alphanumeric()));
    if (between == "/" || between == "⁄") && alone || points {
        let mut readings = Vec::new();
        // So many points of as many as there can be.
        if is_scale {
            readings.push(top.clone());
        } else if below != 0.0 && !points {
            readings.extend(quotient(above, below));
            let marks = above.fract() != 0.0 || below.fract() != 0.0;
            if marks && ty.maximum.is_none_or(|limit| limit.value > 1.0) {
                // Fractions are of whole numbers; these may be points.
                readings.push(top.clone());
            }
        }
        if points && !is_scale && below != 0.0 && ty.maximum.is_some_and(|limit| limit.value <= 1.0)
        {
            readings.extend(quotient(above, below));
        }
        return readings;
    }
    // The same number twice.
    if top == *bottom && between.chars().any(char::is_alphabetic) {
        return vec![top];
    }
    let separate = between.chars().any(char::is_alphabetic)
        || between == "-"
        || between == "–"
        || between == ",";
    if separate && fold::words(text).len() > 2 || between == "-" || between == "–" {
        // Two candidates, both named.
        return vec![top, bottom.clone()];
    }
    Vec::new()
}

/// `1 3/4`
fn mixed(text: &str, whole: &Token<'_>, top: &Token<'_>, bottom: &Token<'_>) -> Vec<Number> {
    let is_mixed = text[whole.end..top.start].chars().all(|c| c == ' ')
        && text[top.end..bottom.start].trim() == "/"
        && text[..whole.start].trim().is_empty()
        && text[bottom.end..].trim().is_empty();
    let parse = |token: &Token<'_>| token.text.parse::<f64>().ok();
    match (is_mixed, parse(whole), parse(top), parse(bottom)) {
        (true, Some(whole), Some(top), Some(bottom)) if bottom != 0.0 => {
            float(whole + top / bottom).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// Digits with separators. Either comma or point may be the decimal mark.
///
/// One comma before exactly three digits stands between thousands: so English has it, and fractions seldom have just
/// three digits. It is the decimal mark where the type has no room for thousands.
fn plain(text: &str, ty: &NumberType) -> Vec<Number> {
    let one = |text: &str| loose_number(text, false).into_iter().collect::<Vec<_>>();
    if let Some(mark) = text.chars().find(|c| matches!(c, '\'' | '’')) {
        // `1'234'567.50` is a number, `5'11` is a height.
        let whole = text.split(['.', ',']).next().unwrap_or_default();
        if !is_grouped(whole, mark) || text[whole.len()..].contains(['\'', '’']) {
            return Vec::new();
        }
    }
    let text: String = text
        .chars()
        .filter(|c| !matches!(c, '_' | '\'' | '’' | ' ' | '\u{a0}' | '\u{202f}'))
        .collect();
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => text.split_at(at),
        None => (&text[..], ""),
    };
    let with = |mantissa: String| one(&(mantissa + exponent));
    let commas = mantissa.matches(',').count();
    let points = mantissa.matches('.').count();
    match (commas, points) {
        (0, 0 | 1) => with(mantissa.to_owned()),
        // `1.234.567`
        (0, _) if is_grouped(mantissa, '.') => with(mantissa.replace('.', "")),
        (0, _) => Vec::new(),
        (1, 0) => {
            let decimal = mantissa.replace(',', ".");
            if !is_grouped(mantissa, ',') {
                return with(decimal);
            }
            let mut readings = with(mantissa.replace(',', ""));
            if !readings.iter().any(|thousands| ty.admits(thousands)) {
                readings.extend(with(decimal));
            }
            readings
        }
        (_, 0) if is_grouped(mantissa, ',') || is_indian(mantissa) => {
            with(mantissa.replace(',', ""))
        }
        (_, 1) if mantissa.rfind(',') < mantissa.rfind('.') => {
            let whole = mantissa.split('.').next().unwrap_or_default();
            if is_grouped(whole, ',') || is_indian(whole) {
                with(mantissa.replace(',', ""))
            } else {
                Vec::new()
            }
        }
        (1, _) if mantissa.rfind('.') < mantissa.rfind(',') => {
            let whole = mantissa.split(',').next().unwrap_or_default();
            if is_grouped(whole, '.') {
                with(mantissa.replace('.', "").replace(',', "."))
            } else {
                Vec::new()
            }
        }
        _ => Vec::new(),
    }
}

/// Groups of three digits, the first of one to three and not zero.
fn is_grouped(text: &str, mark: char) -> bool {
    let mut groups = text.split(mark);
    let first = groups.next().unwrap_or_default();
    (1..=3).contains(&first.len())
        && !first.starts_with('0')
        && groups.all(|group| group.len() == 3 && group.bytes().all(|c| c.is_ascii_digit()))
}

/// `12,34,567`
fn is_indian(text: &str) -> bool {
    let groups: Vec<&str> = text.split(',').collect();
    let Some((last, rest)) = groups.split_last() else {
        return false;
    };
    last.len() == 3
        && rest.len() > 1
        && (1..=2).contains(&rest[0].len())
        && rest[1..].iter().all(|group| group.len() == 2)
}

fn is_comparison(before: &str) -> bool {
    let words = fold::words(before);
    let last: Vec<&str> = words
        .iter()
        .rev()
        .take(2)
        .map(|(word, _)| word.as_str())
        .collect();
    match last[..] {
        ["than", ..] | ["least" | "most", "at"] | ["to", "up"] => true,
        [one, ..] => matches!(
            one,
            "over" | "under" | "above" | "below" | "not" | "version" | "between"
        ),
        [] => false,
    }
}

fn negated(number: &Number) -> Number {
    if let Some(value) = number.as_i64().and_then(i64::checked_neg) {
        return Number::from(value);
    }
    number
        .as_f64()
        .and_then(|value| Number::from_f64(-value))
        .unwrap_or_else(|| number.clone())
}

/// Divided by 100 in decimal, so that nothing is lost: 45.5 becomes 0.455.
fn hundredth(one: &Number) -> Option<Number> {
    number(&decimal(one, -2)?)
}

fn shifted(one: &Number, power: i32) -> Option<Number> {
    number(&decimal(one, power)?)
}

/// A number with its decimal point moved.
fn decimal(one: &Number, power: i32) -> Option<String> {
    let text = one.to_string();
    if text.contains(['e', 'E']) {
        let value = one.as_f64()? * 10_f64.powi(power);
        return Number::from_f64(value).map(|number| number.to_string());
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", &text[..]),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    let point = i32::try_from(whole.len()).ok()? + power;
    let (whole, fraction) = if point <= 0 {
        let zeros = "0".repeat(usize::try_from(-point).ok()?);
        ("0".to_owned(), format!("{zeros}{all}"))
    } else {
        let point = usize::try_from(point).ok()?;
        let mut all = all;
        while all.len() < point {
            all.push('0');
        }
        let fraction = all.split_off(point);
        (all, fraction)
    };
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{sign}{whole}{point}{fraction}"))
}

fn quotient(above: f64, below: f64) -> Option<Number> {
    float(above / below)
}

/// A float as a number, whole if it is.
fn float(value: f64) -> Option<Number> {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        return number(&format!("{value:.0}"));
    }
    Number::from_f64(value)
}

fn vulgar(c: char) -> Option<f64> {
    Some(match c {
        '½' => 0.5,
        '¼' => 0.25,
        '¾' => 0.75,
        '⅓' => 1.0 / 3.0,
        '⅔' => 2.0 / 3.0,
        '⅕' => 0.2,
        '⅖' => 0.4,
        '⅗' => 0.6,
        '⅘' => 0.8,
        '⅛' => 0.125,
        '⅜' => 0.375,
        '⅝' => 0.625,
        '⅞' => 0.875,
        _ => return None,
    })
}
