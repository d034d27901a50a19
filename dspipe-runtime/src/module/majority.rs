//! What most of several outputs say.

use serde_json::Value;

use super::Answers;
use crate::call::Call;
use crate::error::Error;

impl Call<'_> {
    pub(super) async fn majority(
        &mut self,
        n: u32,
        field: &str,
        input: &Value,
        answers: &dyn Answers,
    ) -> Result<usize, Error> {
        if !self.def.outputs.iter().any(|output| output.name == field) {
            return Err(Error::Input {
                workflow: self.def.workflow,
                step: self.def.step,
                reason: format!("it has no output `{field}` that could have a majority"),
            });
        }
        let setup = self.setup().map_err(|error| self.failed(error))?;
        let mut samples = Vec::new();
        let mut last = None;
        for result in self.samples(&setup, n.max(1), input, answers).await? {
            match result {
                Ok(sample) => samples.push(sample),
                Err(error) => last = Some(error),
            }
        }
        let values: Vec<Value> = samples
            .iter()
            .map(|sample| answers.json(sample.place)[field].take())
            .collect();
        match (winner(&values), last) {
            (Some(at), _) => Ok(self.choose(samples.swap_remove(at))),
            (None, Some(error)) => Err(error),
            (None, None) => Err(self.no_output()),
        }
    }
}

/// The first of the values that are there most often, as `majority` of DSPy has it: texts are compared
/// without case, punctuation, articles and the width of spaces; what is empty does not count, unless all are.
fn winner(values: &[Value]) -> Option<usize> {
    let votes: Vec<Option<Value>> = values.iter().map(vote).collect();
    let all_empty = votes.iter().all(Option::is_none);
    let counts = |vote: &Option<Value>| all_empty || vote.is_some();
    let count = |vote: &Option<Value>| votes.iter().filter(|other| *other == vote).count();
    let mut best: Option<(usize, usize)> = None;
    for (at, vote) in votes.iter().enumerate().filter(|(_, vote)| counts(vote)) {
        let count = count(vote);
        if best.is_none_or(|(most, _)| count > most) {
            best = Some((count, at));
        }
    }
    best.map(|(_, at)| at)
}

/// What a value counts as; `None` for nothing.
fn vote(value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(normal(text))
            .filter(|text| !text.is_empty())
            .map(Value::from),
        other => Some(other.clone()),
    }
}

/// A text as `normalize_text` of DSPy has it, but that accents stay as they are written.
fn normal(text: &str) -> String {
    let text = text.to_lowercase();
    let text: String = text.chars().filter(|c| !c.is_ascii_punctuation()).collect();
    let words: Vec<&str> = text
        .split_whitespace()
        .filter(|word| !matches!(*word, "a" | "an" | "the"))
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn winner_of(values: Value) -> Option<usize> {
        let Value::Array(values) = values else {
            return None;
        };
        winner(&values)
    }

    #[test]
    fn what_most_say_and_of_equals_the_first() {
        assert_eq!(winner_of(json!(["a b", "c", "C."])), Some(1));
        assert_eq!(
            winner_of(json!(["The Sea", "rain", "sea!", "rain"])),
            Some(0)
        );
        assert_eq!(winner_of(json!([3, 4, 4.5, 4])), Some(1));
        assert_eq!(winner_of(json!([{"x": 1}, {"x": 2}, {"x": 2}])), Some(1));
        assert_eq!(winner_of(json!([["a"], ["b"]])), Some(0));
        assert_eq!(winner_of(json!([])), None);
    }

    #[test]
    fn nothing_counts_only_if_all_say_it() {
        assert_eq!(winner_of(json!([null, "", "x"])), Some(2));
        assert_eq!(winner_of(json!([null, " the", null])), Some(0));
    }
}
