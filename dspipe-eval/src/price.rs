//! What tokens cost.

use std::collections::BTreeMap;

use dspipe_runtime::LmName;
use dspipe_runtime::lm::Usage;
use serde::Deserialize;
use serde_json::Value;

use crate::metric::SpecErrors;
use crate::result::StepRecord;
use crate::unit::Amount;

/// Tokens that a price is for.
const MILLION: f64 = 1e6;

/// The prices of LMs, as the user states them: providers change theirs at any time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prices(BTreeMap<String, Price>);

/// What an LM costs, in US dollars for a million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// For tokens of prompts.
    pub input: Amount,
    /// For tokens of replies.
    pub output: Amount,
}

impl Prices {
    /// Reads `{provider/model: {input: 3.0, output: 15.0}}`.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(declaration: &Value) -> Result<Self, SpecErrors> {
        let mut errors = SpecErrors::default();
        let mut prices = BTreeMap::new();
        match declaration {
            Value::Null => {}
            Value::Object(map) => {
                for (lm, price) in map {
                    let place = format!("prices.{lm}");
                    if let Err(error) = lm.parse::<LmName>() {
                        errors.push(&place, error.to_string());
                    }
                    match Price::deserialize(price) {
                        Ok(price) => drop(prices.insert(lm.clone(), price)),
                        Err(error) => errors.push(place, error.to_string()),
                    }
                }
            }
            _ => errors.push(
                "prices",
                "it takes LMs with their prices for a million tokens",
            ),
        }
        errors.or(Some(Self(prices)))
    }

    /// What a step cost, in US dollars; `None` if the price of its LM is not stated. The LMs of this
    /// machine (`local/..`) cost nothing.
    pub fn step(&self, lm: &str, usage: Usage) -> Option<f64> {
        match self.0.get(lm) {
            Some(price) => {
                #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
                let of = |tokens: u64, price: Amount| tokens as f64 / MILLION * price.get();
                Some(of(usage.input_tokens, price.input) + of(usage.output_tokens, price.output))
            }
            None if lm.starts_with("local/") => Some(0.0),
            None => None,
        }
    }

    /// What the steps of a case cost together; `None` if one price is not stated.
    pub fn steps(&self, steps: &[StepRecord]) -> Option<f64> {
        steps
            .iter()
            .map(|step| self.step(&step.lm, step.usage))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn step(lm: &str) -> StepRecord {
        StepRecord {
            lm: lm.to_owned(),
            usage: Usage {
                input_tokens: 1000,
                output_tokens: 200,
            },
            ..StepRecord::default()
        }
    }

    #[test]
    fn tokens_cost_what_their_lm_does() {
        let prices = json!({"openai/big": {"input": 3, "output": 15}});
        let prices = Prices::parse(&prices).unwrap();
        let cost = prices
            .steps(&[step("openai/big"), step("local/small")])
            .unwrap();
        assert!((cost - 0.006).abs() < 1e-12, "{cost}");
        assert_eq!(
            prices.steps(&[step("openai/big"), step("openai/small")]),
            None
        );
    }

    #[test]
    fn bad_prices_are_refused() {
        let prices =
            json!({"nobody": {"input": 1, "output": 1}, "a/b": {"input": -1, "output": 1}});
        let errors = Prices::parse(&prices).unwrap_err();
        let places: Vec<&str> = errors.0.iter().map(|error| error.place.as_str()).collect();
        assert_eq!(places, ["prices.nobody", "prices.a/b"]);
    }
}
