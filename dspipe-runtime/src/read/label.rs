//! What a reply calls one of several candidates: its answer, or an example.

/// How far in front of a candidate its label is looked for, in bytes.
const REACH: usize = 80;

/// What stands in front of a candidate; the earlier, the likelier the candidate is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Label {
    Answer,
    None,
    Example,
}

/// Words for the answer.
const ANSWER: [&str; 10] = [
    "answer",
    "final",
    "result",
    "output",
    "corrected",
    "correction",
    "solution",
    "fixed",
    "revised",
    "actual",
];

/// Words for what is not the answer.
const EXAMPLE: [&str; 12] = [
    "example",
    "examples",
    "e.g",
    "instance",
    "draft",
    "template",
    "schema",
    "input",
    "wrong",
    "incorrect",
    "attempt",
    "previous",
];

/// The label of what begins at a position.
pub(super) fn label(reply: &str, start: usize) -> Label {
    let before = &reply[..start];
    let mut from = before.len().saturating_sub(REACH);
    while !before.is_char_boundary(from) {
        from += 1;
    }
    let mut before = before[from..].trim_end();
    // The line that opens a fence.
    if let Some(fence) = before.rfind("```")
        && !before[fence..].contains('\n')
    {
        before = before[..fence].trim_end();
    }
    // What belongs to another candidate is no label.
    let own = before.rfind(['}', ']']).map_or(0, |end| end + 1);
    let mut lines = before[own..].lines().rev();
    let line = lines
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default()
        .to_lowercase();
    let mut words = line.split(|c: char| !(c.is_alphanumeric() || c == '.'));
    let mut label = Label::None;
    for word in words.by_ref().map(|word| word.trim_matches('.')) {
        if EXAMPLE.contains(&word) {
            return Label::Example;
        }
        if ANSWER.contains(&word) {
            label = Label::Answer;
        }
    }
    label
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_found_in_the_line_in_front() {
        for (before, expected) in [
            ("", Label::None),
            ("Answer: ", Label::Answer),
            ("**Final answer:**\n\n```json\n", Label::Answer),
            ("For example: ", Label::Example),
            ("An example of the output:\n", Label::Example),
            ("Example: {} Answer: ", Label::Answer),
            ("{\"answer\": 1} ", Label::None),
            ("Here it is (e.g. for Bob): ", Label::Example),
            ("The answer follows.\nSo:\n", Label::None),
        ] {
            assert_eq!(label(before, before.len()), expected, "{before}");
        }
    }
}
