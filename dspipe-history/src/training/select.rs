//! A few examples that are as different as possible.

use std::collections::HashSet;

use super::tokens::{Tokens, content_hash, mix};
use super::{Example, Shape};

/// Picks `count` examples, by their positions, in the order in which they were picked.
///
/// First, examples are picked until every value of every label (see [`Shape::labels`]) that occurs at all
/// is covered, those first that cover most. Then always the one whose inputs are farthest from those of all
/// that were picked (max-min over sets of words; Gonzalez 1985). The seed decides between equals, and
/// where to begin. The same examples in another order give the same pick.
pub fn select(examples: &[Example], shape: Option<&Shape>, count: usize, seed: u64) -> Vec<usize> {
    let features = examples
        .iter()
        .map(|it| Features::Words(Tokens::of(&it.inputs)));
    pick(Pool::new(examples, shape, features, seed), count)
}

/// The same with distances between embeddings of the inputs: 1 − cosine. `vectors` has one for each example.
///
/// # Errors
/// [`VectorsError`] if there are more or fewer vectors than examples, or they differ in length, or one is all zeros.
pub fn select_by_vectors(
    examples: &[Example],
    vectors: &[Vec<f32>],
    shape: Option<&Shape>,
    count: usize,
    seed: u64,
) -> Result<Vec<usize>, VectorsError> {
    if vectors.len() != examples.len() {
        return Err(VectorsError::Count {
            vectors: vectors.len(),
            examples: examples.len(),
        });
    }
    let wanted = vectors.first().map_or(0, Vec::len);
    let mut features = Vec::with_capacity(vectors.len());
    for (index, vector) in vectors.iter().enumerate() {
        if vector.len() != wanted {
            return Err(VectorsError::Length {
                line: index + 1,
                found: vector.len(),
                wanted,
            });
        }
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        if length == 0.0 || !length.is_finite() {
            return Err(VectorsError::NoDirection { line: index + 1 });
        }
        let unit = vector.iter().map(|x| x / length).collect();
        features.push(Features::Vector(unit));
    }
    let pool = Pool::new(examples, shape, features.into_iter(), seed);
    Ok(pick(pool, count))
}

/// Vectors that do not belong to the examples.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VectorsError {
    /// There is not one for each example.
    #[error("there are {vectors} vectors for {examples} examples")]
    Count {
        /// Vectors.
        vectors: usize,
        /// Examples.
        examples: usize,
    },
    /// One is of another length than the first.
    #[error("vector {line} has {found} numbers, and the first one {wanted}")]
    Length {
        /// Which, from 1.
        line: usize,
        /// Its length.
        found: usize,
        /// That of the first.
        wanted: usize,
    },
    /// One is all zeros, or not finite.
    #[error("vector {line} has no direction: it is all zeros, or not finite")]
    NoDirection {
        /// Which, from 1.
        line: usize,
    },
}

/// What distances are between.
#[derive(Clone)]
enum Features {
    Words(Tokens),
    /// Of length 1.
    Vector(Box<[f32]>),
}

impl Features {
    fn distance(&self, other: &Self) -> f64 {
        match (self, other) {
            (Self::Words(a), Self::Words(b)) => 1.0 - a.similarity(b),
            (Self::Vector(a), Self::Vector(b)) => {
                let cosine: f32 = a.iter().zip(b).map(|(x, y)| x * y).sum();
                f64::from(1.0 - cosine)
            }
            // One pool has features of one kind.
            _ => f64::INFINITY,
        }
    }
}

fn pick(mut pool: Pool, count: usize) -> Vec<usize> {
    let mut picked = Vec::new();
    while picked.len() < count {
        let Some(next) = pool.next() else { break };
        pool.pick(next);
        picked.push(next);
    }
    picked
}

struct Candidate {
    features: Features,
    /// Labels and the values that it has for them.
    values: Vec<(usize, String)>,
    /// The distance to the nearest that was picked.
    distance: f64,
    /// Decides between equals.
    rank: u64,
    picked: bool,
}

struct Pool {
    candidates: Vec<Candidate>,
    covered: HashSet<(usize, String)>,
}

impl Pool {
    fn new(
        examples: &[Example],
        shape: Option<&Shape>,
        features: impl Iterator<Item = Features>,
        seed: u64,
    ) -> Self {
        let labels = shape.map_or(&[][..], Shape::labels);
        let candidate = |(example, features): (&Example, Features)| {
            let value = |(index, label): (usize, &super::Label)| {
                Some((index, label.of(example)?.to_string()))
            };
            let content =
                content_hash(&example.inputs) ^ content_hash(&example.outputs).rotate_left(1);
            Candidate {
                features,
                values: labels.iter().enumerate().filter_map(value).collect(),
                distance: f64::INFINITY,
                rank: mix(content ^ mix(seed)),
                picked: false,
            }
        };
        Self {
            candidates: examples.iter().zip(features).map(candidate).collect(),
            covered: HashSet::new(),
        }
    }

    /// The one that covers most, of these the farthest, of these the one that the seed prefers.
    fn next(&self) -> Option<usize> {
        let open = self
            .candidates
            .iter()
            .enumerate()
            .filter(|(_, one)| !one.picked);
        let best = open.max_by(|(_, a), (_, b)| {
            self.gain(a)
                .cmp(&self.gain(b))
                .then(a.distance.total_cmp(&b.distance))
                .then(a.rank.cmp(&b.rank))
        });
        best.map(|(index, _)| index)
    }

    fn gain(&self, candidate: &Candidate) -> usize {
        let new = |value: &&(usize, String)| !self.covered.contains(*value);
        candidate.values.iter().filter(new).count()
    }

    fn pick(&mut self, index: usize) {
        let Some(picked) = self.candidates.get_mut(index) else {
            return;
        };
        picked.picked = true;
        let features = picked.features.clone();
        self.covered.extend(std::mem::take(&mut picked.values));
        for one in &mut self.candidates {
            one.distance = one.distance.min(features.distance(&one.features));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::test_support::example;

    fn shape() -> Shape {
        Shape::new(
            json!({}),
            json!({"properties": {"kind": {"enum": ["a", "b", "c"]}}}),
            "",
        )
        .unwrap()
    }

    fn of(text: &str, kind: &str) -> Example {
        example(json!({"text": text}), json!({"kind": kind}))
    }

    #[test]
    fn every_value_is_covered_first() {
        let mut examples: Vec<Example> = (0..50)
            .map(|number| of(&format!("word{number} other{number}"), "a"))
            .collect();
        examples.push(of("word1 other1 more", "b"));
        examples.push(of("word2 other2 more", "c"));
        for seed in 0..20 {
            let picked = select(&examples, Some(&shape()), 3, seed);
            assert!(picked.contains(&50) && picked.contains(&51), "{picked:?}");
        }
    }

    #[test]
    fn far_ones_are_picked_before_near_ones() {
        let examples = [
            of("red apple pie", "a"),
            of("red apple cake", "a"),
            of("blue whale", "a"),
            of("red apple tart", "a"),
        ];
        for seed in 0..20 {
            let picked = select(&examples, None, 2, seed);
            assert!(picked.contains(&2), "{picked:?}");
        }
    }

    #[test]
    fn vectors_stand_in_for_words() {
        let examples = [of("a", "a"), of("b", "a"), of("c", "a")];
        let vectors = [vec![1.0, 0.0], vec![2.0, 0.1], vec![0.0, 3.0]];
        for seed in 0..20 {
            let picked = select_by_vectors(&examples, &vectors, None, 2, seed).unwrap();
            assert!(picked.contains(&2), "{picked:?}");
        }
        let error = |vectors: &[Vec<f32>]| {
            let selected = select_by_vectors(&examples, vectors, None, 2, 0);
            selected.unwrap_err().to_string()
        };
        assert_eq!(error(&vectors[..2]), "there are 2 vectors for 3 examples");
        let short = [vec![1.0, 0.0], vec![1.0], vec![0.0, 3.0]];
        assert!(error(&short).contains("vector 2 has 1 numbers"));
        let zero = [vec![1.0, 0.0], vec![1.0, 1.0], vec![0.0, 0.0]];
        assert!(error(&zero).contains("vector 3 has no direction"));
    }

    #[test]
    fn more_than_there_are_is_all() {
        assert_eq!(select(&[], None, 3, 1), [0_usize; 0]);
        assert_eq!(select(&[of("x", "a")], None, 3, 1), [0]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_order_of_examples_does_not_matter(
            texts in prop::collection::hash_set("[a-c]{1,3}( [a-c]{1,3}){0,4}", 1..20),
            seed: u64,
        ) {
            let examples: Vec<Example> = texts.iter().map(|text| of(text, "a")).collect();
            let turned: Vec<Example> = examples.iter().rev().cloned().collect();
            let one: Vec<&Example> = select(&examples, None, 5, seed)
                .into_iter().map(|index| &examples[index]).collect();
            let two: Vec<&Example> = select(&turned, None, 5, seed)
                .into_iter().map(|index| &turned[index]).collect();
            prop_assert_eq!(one, two);
        }
    }
}
