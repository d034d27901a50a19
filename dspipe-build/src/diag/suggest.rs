//! The nearest known name.

/// The known name that `written` is probably a slip of: at most a third of its
/// length away, as rustc does it; the first of several equally near ones.
pub(crate) fn nearest<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let limit = written.chars().count().max(3) / 3;
    let lower = written.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::osa_distance(&lower, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
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
    }
}
