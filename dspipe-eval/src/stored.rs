//! The cases of a suite in a file, in little memory.

use std::collections::HashMap;

use dspipe_build::{Sample, SuiteCase};
use serde_json::{Map, Value};

use crate::case::{Case, CaseId, NoCaseId, fingerprint_of};

/// Cases as JSON texts: as values, they would take several times as much memory. A case is a value while it runs.
#[derive(Debug, Default)]
pub(crate) struct StoredCases {
    cases: Vec<Stored>,
    /// Every list of tags that a case has, once.
    tags: Vec<Vec<String>>,
    known: HashMap<Vec<String>, u32>,
}

#[derive(Debug)]
struct Stored {
    id: CaseId,
    input: Box<str>,
    expected: Option<Box<str>>,
    /// Its place in the lists of tags.
    tags: u32,
}

impl StoredCases {
    /// Adds a case; `step` is the one that the suite is of.
    pub(crate) fn add(&mut self, case: SuiteCase, step: Option<&str>) -> Result<(), NoCaseId> {
        let mut outputs = case.outputs;
        let expected = match step {
            _ if outputs.is_empty() => None,
            Some(step) => Some(
                outputs
                    .swap_remove(step)
                    .unwrap_or_else(|| Map::new().into()),
            ),
            None => Some(Value::Object(outputs)),
        };
        let stored = Stored {
            id: case.name.parse()?,
            input: Value::Object(case.inputs).to_string().into(),
            expected: expected.map(|expected| expected.to_string().into()),
            tags: self.tags_of(sorted(case.tags)),
        };
        self.cases.push(stored);
        Ok(())
    }

    fn tags_of(&mut self, tags: Vec<String>) -> u32 {
        if let Some(known) = self.known.get(&tags) {
            return *known;
        }
        // There are no more lists than cases, and no more cases than bytes in the files of a build.
        let next = u32::try_from(self.tags.len()).unwrap_or(u32::MAX);
        self.known.insert(tags.clone(), next);
        self.tags.push(tags);
        next
    }

    /// Gives every case these tags besides its own.
    pub(crate) fn tag_all(&mut self, tags: &[String]) {
        for list in &mut self.tags {
            list.extend_from_slice(tags);
            *list = sorted(std::mem::take(list));
        }
        self.known.clear();
    }

    /// Keeps so many of them, in their order: the same ones whatever else is there.
    pub(crate) fn sample(&mut self, sample: Sample) {
        let seed = sample.seed.to_string();
        let seed = (sample.seed != 0).then_some(seed.as_str());
        let hashes = self.cases.iter().enumerate();
        let hashes = hashes.map(|(at, case)| (fingerprint_of(&case.input, seed), at));
        let mut hashes: Vec<(String, usize)> = hashes.collect();
        hashes.sort_unstable();
        hashes.truncate(sample.size);
        let mut kept: Vec<usize> = hashes.into_iter().map(|(_, at)| at).collect();
        kept.sort_unstable();
        let (mut at, mut next) = (0, kept.into_iter().peekable());
        self.cases.retain(|_| {
            at += 1;
            next.next_if_eq(&(at - 1)).is_some()
        });
    }

    pub(crate) fn len(&self) -> usize {
        self.cases.len()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = &CaseId> {
        self.cases.iter().map(|case| &case.id)
    }

    /// A case by its position, as it was added.
    pub(crate) fn get(&self, index: usize) -> Result<Case, String> {
        let stored = self.cases.get(index);
        let stored = stored.ok_or_else(|| format!("there is no case {index}"))?;
        let read = |text: &str| {
            let read = serde_json::from_str(text);
            read.map_err(|error| format!("the case `{}` cannot be read: {error}", stored.id))
        };
        Ok(Case {
            id: stored.id.clone(),
            input: read(&stored.input)?,
            expected: stored.expected.as_deref().map(read).transpose()?,
        })
    }

    pub(crate) fn tags(&self, index: usize) -> &[String] {
        let tags = self.cases.get(index).map(|case| case.tags as usize);
        let tags = tags.and_then(|tags| self.tags.get(tags));
        tags.map_or(&[], Vec::as_slice)
    }
}

fn sorted(mut tags: Vec<String>) -> Vec<String> {
    tags.sort();
    tags.dedup();
    tags
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What the build gives for one line of data.
    fn case(number: usize, record: &Value) -> SuiteCase {
        let package = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(package.path().join(name), text);
        write("w.yaml", WORKFLOW).unwrap();
        write("data.jsonl", &format!("{}{record}\n", "\n".repeat(number))).unwrap();
        write("s.eval.yaml", SUITE).unwrap();
        let mut cases = Vec::new();
        dspipe_build::Suite::read(package.path(), "s.eval.yaml".as_ref(), &mut |case| {
            cases.push(case);
        })
        .unwrap();
        cases.remove(0)
    }

    const WORKFLOW: &str = "
workflow:
  name: w
  steps:
    - name: add
      type: dspy_local
      signature:
        input_fields: [{name: numbers, type: 'list[number]'}]
        output_fields: [{name: sum, type: number}]
";

    const SUITE: &str = "{suite: s, workflow: w.yaml, data: data.jsonl, metrics: exact}";

    fn stored(records: &[Value]) -> StoredCases {
        let mut all = StoredCases::default();
        for (number, record) in records.iter().enumerate() {
            all.add(case(number, record), None).unwrap();
        }
        all.tag_all(&["all".to_owned()]);
        all
    }

    #[test]
    fn numbers_come_back_as_they_were() {
        let mut random = fastrand::Rng::with_seed(7);
        let numbers = std::iter::repeat_with(|| f64::from_bits(random.u64(..)));
        let numbers: Vec<f64> = numbers.filter(|it| it.is_finite()).take(20_000).collect();
        let record = json!({"numbers": numbers, "sum": 0.1});
        let found = stored(&[record]).get(0).unwrap();
        let found: Vec<f64> = serde_json::from_value(found.input["numbers"].clone()).unwrap();
        let differ = numbers.iter().zip(&found);
        let differ = differ.filter(|(a, b)| a.to_bits() != b.to_bits()).count();
        assert_eq!((found.len(), differ), (20_000, 0));
    }

    #[test]
    fn a_case_is_what_was_added() {
        let all = stored(&[
            json!({"id": "one", "tags": ["b", "a"], "numbers": [1, 2.5], "sum": 3.5}),
            json!({"numbers": []}),
        ]);
        let one = all.get(0).unwrap();
        assert_eq!(one.input, json!({"numbers": [1.0, 2.5]}));
        assert_eq!(one.expected, Some(json!({"add": {"sum": 3.5}})));
        assert_eq!(all.tags(0), ["a", "all", "b"]);
        let two = all.get(1).unwrap();
        assert_eq!((two.id.as_str(), two.expected), ("data-2", None));
        assert_eq!(all.tags(1), ["all"]);
        assert!(all.get(2).unwrap_err().contains("no case 2"));
    }

    #[test]
    fn a_sample_has_its_size_and_grows_without_losing_any() {
        let records: Vec<Value> = (0..20)
            .map(|number| json!({"numbers": [number % 10]}))
            .collect();
        let sample = |size, seed| {
            let mut all = stored(&records);
            all.sample(Sample { size, seed });
            let ids = all.ids().map(|id| id.as_str().to_owned());
            ids.collect::<Vec<_>>()
        };
        // Every input is there twice: hashes alone would not tell which of the two is left out.
        for size in 0..=20 {
            assert_eq!(sample(size, 0).len(), size);
        }
        let (five, nine) = (sample(5, 0), sample(9, 0));
        assert!(five.iter().all(|id| nine.contains(id)), "{five:?} {nine:?}");
        assert_ne!(five, sample(5, 1));
        assert_eq!(sample(30, 0).len(), 20);
    }
}
