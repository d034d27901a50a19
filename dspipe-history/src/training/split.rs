//! Training, validation and test examples, kept apart for good.
//!
//! The inputs of an example decide, through a hash, where it goes. So an example stays where it is when others
//! are added, removed or moved, and examples with the same inputs stay together. The price is that the
//! shares are met on average and not to the digit: exact quotas would move old examples whenever new ones come.
//! [`split`] counts each stratum, and says where one has nothing in a part that it should be in.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::Example;
use super::shape::value_at;
use super::tokens::{content_hash, hash, mix};

/// A part of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// What optimizers learn from. Synthetic examples are always here.
    Train,
    /// What they compare candidates by.
    Validation,
    /// What nobody looks at before the end.
    Test,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// As files and reports name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// How much goes into each part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares([f64; 3]);

/// Numbers that are no shares.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("shares are three numbers from 0 to 1 that add up to 1: train, validation, test")]
pub struct SharesError;

impl Shares {
    /// For training, validation and test; together 1.
    ///
    /// # Errors
    /// [`SharesError`] if they are not.
    pub fn new(train: f64, validation: f64, test: f64) -> Result<Self, SharesError> {
        let shares = [train, validation, test];
        let whole = (shares.iter().sum::<f64>() - 1.0).abs() < 1e-6;
        if whole && shares.iter().all(|share| (0.0..=1.0).contains(share)) {
            Ok(Self(shares))
        } else {
            Err(SharesError)
        }
    }

    fn of(self, part: Part) -> f64 {
        self.0[part as usize]
    }
}

impl std::str::FromStr for Shares {
    type Err = SharesError;

    fn from_str(list: &str) -> Result<Self, SharesError> {
        let numbers: Result<Vec<f64>, _> = list.split(',').map(|one| one.trim().parse()).collect();
        match numbers.as_deref() {
            Ok(&[train, validation, test]) => Self::new(train, validation, test),
            _ => Err(SharesError),
        }
    }
}

/// The stratum of examples that lack the field.
pub const NO_VALUE: &str = "(none)";

/// How to split.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// How much goes into each part.
    pub shares: Shares,
    /// Another seed gives another split.
    pub seed: u64,
    /// The output field (as in `report.urgency`) whose values are counted.
    pub stratify: Option<String>,
    /// An input field: examples with the same value in it stay together, such as those of one customer.
    pub group: Option<String>,
}

impl Split {
    /// Where an example goes. Nothing but the example decides.
    pub fn part(&self, example: &Example) -> Part {
        if example.synthetic {
            return Part::Train;
        }
        let group = self
            .group
            .as_ref()
            .and_then(|field| example.inputs.get(field));
        let key = match group {
            Some(value) => hash(value.to_string().bytes()),
            None => content_hash(&example.inputs),
        };
        // 53 bits, as many as a float holds.
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let place = (mix(key ^ mix(self.seed.wrapping_add(1))) >> 11) as f64 / (1_u64 << 53) as f64;
        // From the far end, so that all that rounding may leave over is for training.
        if place >= 1.0 - self.shares.of(Part::Test) {
            Part::Test
        } else if place >= 1.0 - self.shares.of(Part::Test) - self.shares.of(Part::Validation) {
            Part::Validation
        } else {
            Part::Train
        }
    }

    /// The value that an example is counted under.
    fn stratum(&self, example: &Example) -> String {
        let Some(field) = &self.stratify else {
            return "all".to_owned();
        };
        let path: Vec<String> = field.split('.').map(str::to_owned).collect();
        match value_at(&example.outputs, &path) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => NO_VALUE.to_owned(),
        }
    }
}

/// Where the examples with one value of a label went.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stratum {
    /// The value.
    pub value: String,
    /// How many are in each part. Synthetic ones are not counted.
    pub counts: BTreeMap<Part, usize>,
    /// The parts that should have some and have none.
    pub missing: Vec<Part>,
}

/// Where each example goes, in their order, and the strata by their values.
pub fn split<'a>(
    examples: impl IntoIterator<Item = &'a Example>,
    split: &Split,
) -> (Vec<Part>, Vec<Stratum>) {
    let mut parts = Vec::new();
    let mut strata: BTreeMap<String, BTreeMap<Part, usize>> = BTreeMap::new();
    for example in examples {
        let part = split.part(example);
        parts.push(part);
        if !example.synthetic {
            let counts = strata.entry(split.stratum(example)).or_default();
            *counts.entry(part).or_default() += 1;
        }
    }
    let strata = strata.into_iter().map(|(value, counts)| {
        let lacks = |part: &Part| split.shares.of(*part) > 0.0 && !counts.contains_key(part);
        Stratum {
            missing: Part::ALL.into_iter().filter(lacks).collect(),
            value,
            counts,
        }
    });
    (parts, strata.collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::test_support::example;

    fn settings(seed: u64) -> Split {
        Split {
            shares: Shares::new(0.7, 0.2, 0.1).unwrap(),
            seed,
            stratify: Some("kind".to_owned()),
            group: None,
        }
    }

    fn of(number: usize, kind: &str) -> Example {
        example(
            json!({"text": format!("text {number}")}),
            json!({"kind": kind}),
        )
    }

    #[test]
    fn shares_hold_in_every_stratum() {
        let examples: Vec<Example> = (0..20_000)
            .map(|number| of(number, if number % 10 == 0 { "rare" } else { "common" }))
            .collect();
        for seed in 0..3 {
            let (_, strata) = split(&examples, &settings(seed));
            assert_eq!(strata.len(), 2);
            for stratum in strata {
                let total: usize = stratum.counts.values().sum();
                for (part, share) in Part::ALL.into_iter().zip([0.7, 0.2, 0.1]) {
                    let found = super::super::tokens::ratio(stratum.counts[&part], total);
                    // Four standard deviations of the smaller stratum.
                    assert!((found - share).abs() < 0.042, "{stratum:?}");
                }
                assert!(stratum.missing.is_empty());
            }
        }
    }

    #[test]
    fn a_stratum_that_is_not_everywhere_is_named() {
        let (_, strata) = split(&[of(1, "rare")], &settings(0));
        assert_eq!(strata[0].missing.len(), 2);
    }

    #[test]
    fn synthetic_examples_are_for_training_only() {
        for number in 0..500 {
            let mut one = of(number, "a");
            one.synthetic = true;
            assert_eq!(settings(3).part(&one), Part::Train);
        }
    }

    #[test]
    fn groups_stay_together() {
        let by_customer = Split {
            group: Some("customer".to_owned()),
            ..settings(0)
        };
        let mut found = std::collections::HashSet::new();
        for customer in 0..50 {
            let part = |text: usize| {
                let inputs = json!({"customer": customer, "text": text});
                by_customer.part(&example(inputs, json!({})))
            };
            assert!((0..20).all(|text| part(text) == part(0)));
            found.insert(part(0));
        }
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn shares_are_three_and_whole() {
        assert!("0.8,0.1,0.1".parse::<Shares>().is_ok());
        for wrong in [
            "",
            "0.8,0.2",
            "0.8,0.3,0.1",
            "-0.1,1,0.1",
            "a,b,c",
            "NaN,0,1",
        ] {
            assert!(wrong.parse::<Shares>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn added_examples_move_none(
            old in prop::collection::hash_set(0_usize..10_000, 1..50),
            new in prop::collection::hash_set(0_usize..10_000, 1..50),
            seed: u64,
        ) {
            let old: Vec<Example> = old.into_iter().map(|number| of(number, "a")).collect();
            let mut all: Vec<Example> = new.into_iter().map(|number| of(number, "b")).collect();
            let added = all.len();
            all.extend(old.iter().cloned());
            let (before, _) = split(&old, &settings(seed));
            let (after, _) = split(&all, &settings(seed));
            prop_assert_eq!(&before[..], &after[added..]);
        }

        #[test]
        fn the_same_inputs_are_never_in_two_parts(number: usize, seed: u64) {
            let split = settings(seed);
            prop_assert_eq!(split.part(&of(number, "a")), split.part(&of(number, "b")));
        }
    }
}
