//! The nearest known name.

/// Longer words are not compared: the time goes up with the product of both lengths.
const LONGEST: usize = 200;

/// The known name that `written` is probably a slip of: at most a third of its
/// length away, as rustc does it; the first of several equally near ones. Otherwise the one that it is the
/// beginning of.
pub(crate) fn nearest<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let length = written.chars().count();
    if length > LONGEST {
        return None;
    }
    let limit = length.max(3) / 3;
    let lower = written.to_lowercase();
    let known: Vec<(String, &str)> = known
        .into_iter()
        .map(|name| (name.to_lowercase(), name))
        .collect();
    let near = known
        .iter()
        .filter(|(name, _)| name.len() <= 4 * LONGEST)
        .map(|(candidate, name)| (strsim::osa_distance(&lower, candidate), *name))
        // Another letter is no slip of the only one.
        .filter(|(distance, _)| *distance <= limit && *distance < length.max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name);
    let mut longer = known.iter().filter(|(name, _)| name.starts_with(&lower));
    near.or_else(|| match (longer.next(), longer.next()) {
        (Some((_, only)), None) if length >= 3 => Some(*only),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn near_names_only() {
        let known = ["instructions", "input_fields", "output_fields"];
        assert_eq!(nearest("instructons", known), Some("instructions"));
        assert_eq!(nearest("inputfields", known), Some("input_fields"));
        assert_eq!(nearest("Instructions", known), Some("instructions"));
        assert_eq!(nearest("prompt", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest("out", known), Some("output_fields"));
        assert_eq!(nearest("in", ["if", "input"]), Some("if"));
        assert_eq!(nearest("in", known), None, "too short");
        assert_eq!(nearest("ins", ["inside", "insert"]), None, "which one?");
        assert_eq!(nearest("z", ["n"]), None);
        assert_eq!(nearest(&"x".repeat(1_000_000), known), None);
    }
}
