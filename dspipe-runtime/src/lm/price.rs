//! What tokens cost.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};

use super::{LmError, LmName, Money, Usage};

/// The environment variable that names a file of prices.
const VARIABLE: &str = "DSPIPE_PRICES";

/// What a model costs, in US dollars per million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Of the messages.
    pub input: f64,
    /// Of what comes from the provider's cache; as other input, if `None`.
    #[serde(default)]
    pub cached_input: Option<f64>,
    /// Of what goes into the provider's cache; as other input, if `None`.
    #[serde(default)]
    pub cache_write: Option<f64>,
    /// Of the replies, reasoning included.
    pub output: f64,
    /// What requests with long messages cost, if that differs.
    #[serde(default)]
    pub long: Option<LongPrice>,
}

/// What requests with long messages cost, in US dollars per million tokens, each token of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LongPrice {
    /// Requests with more input tokens than these.
    pub above: u64,
    /// As in [`Price`].
    pub input: f64,
    /// As in [`Price`].
    #[serde(default)]
    pub cached_input: Option<f64>,
    /// As in [`Price`].
    #[serde(default)]
    pub cache_write: Option<f64>,
    /// As in [`Price`].
    pub output: f64,
}

impl Price {
    /// The price of one reply.
    pub fn cost(&self, usage: &Usage) -> Money {
        let (input, cached, write, output) = match self.long {
            Some(long) if usage.input_tokens > long.above => {
                (long.input, long.cached_input, long.cache_write, long.output)
            }
            _ => (self.input, self.cached_input, self.cache_write, self.output),
        };
        let plain = usage
            .input_tokens
            .saturating_sub(usage.cached_input_tokens)
            .saturating_sub(usage.cache_write_tokens);
        [
            (plain, input),
            (usage.cached_input_tokens, cached.unwrap_or(input)),
            (usage.cache_write_tokens, write.unwrap_or(input)),
            (usage.output_tokens, output),
        ]
        .into_iter()
        .map(|(tokens, price)| of_tokens(tokens, price))
        .sum()
    }

    /// Whether nothing of it costs anything.
    pub(crate) fn is_free(&self) -> bool {
        self.most(u64::MAX, u64::MAX) == Money::default()
    }

    /// What a reply costs at most that takes no more tokens than these.
    pub(super) fn most(&self, input_tokens: u64, output_tokens: u64) -> Money {
        let highest = |prices: &[Option<f64>]| prices.iter().flatten().copied().fold(0.0, f64::max);
        let long = self.long.filter(|long| input_tokens > long.above);
        let long = long.as_ref();
        let input = highest(&[
            Some(self.input),
            self.cached_input,
            self.cache_write,
            long.map(|long| long.input),
            long.and_then(|long| long.cached_input),
            long.and_then(|long| long.cache_write),
        ]);
        let output = highest(&[Some(self.output), long.map(|long| long.output)]);
        of_tokens(input_tokens, input).saturating_add(of_tokens(output_tokens, output))
    }

    fn is_valid(&self) -> bool {
        let long = self.long.as_ref();
        [
            Some(self.input),
            self.cached_input,
            self.cache_write,
            Some(self.output),
            long.map(|long| long.input),
            long.and_then(|long| long.cached_input),
            long.and_then(|long| long.cache_write),
            long.map(|long| long.output),
        ]
        .into_iter()
        .flatten()
        .all(|price| price.is_finite() && price >= 0.0)
    }
}

#[expect(clippy::cast_precision_loss, reason = "no reply has that many tokens")]
fn of_tokens(tokens: u64, per_million: f64) -> Money {
    Money::from_dollars(tokens as f64 * per_million / 1e6)
}

/// Prices of models by name. Cloning is cheap.
///
/// A model that is not among them has no price, which is not the same as costing nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Prices(Arc<BTreeMap<String, Price>>);

#[derive(Deserialize)]
struct Table {
    /// When somebody last compared it with the providers' pages.
    checked: String,
    models: BTreeMap<String, Price>,
}

/// The day, and the prices. Read once; a test holds it to what it should be.
static BUILTIN: LazyLock<(String, Prices)> = LazyLock::new(|| {
    let table: Option<Table> = serde_json::from_str(include_str!("prices.json")).ok();
    let (checked, models) = table
        .map(|table| (table.checked, table.models))
        .unwrap_or_default();
    (checked, Prices(Arc::new(models)))
});

impl Prices {
    /// None at all.
    pub fn none() -> Self {
        Self(Arc::default())
    }

    /// Those of well-known models, as their providers gave them on the [day](Self::builtin_checked) when
    /// they were last checked.
    pub fn builtin() -> Self {
        BUILTIN.1.clone()
    }

    /// The day when the built-in prices were last checked, as in `2026-11-05`.
    pub fn builtin_checked() -> &'static str {
        &BUILTIN.0
    }

    /// The built-in ones, with those of the file that `DSPIPE_PRICES` names in their place: an object from
    /// `provider/model` to [`Price`].
    ///
    /// # Errors
    /// [`LmError::Setting`] if the file is not one of prices.
    pub fn from_env() -> Result<Self, LmError> {
        match std::env::var_os(VARIABLE) {
            Some(path) if !path.is_empty() => Self::builtin().with_file(Path::new(&path)),
            _ => Ok(Self::builtin()),
        }
    }

    /// These, with those of a file in their place: an object from `provider/model` to [`Price`].
    ///
    /// # Errors
    /// [`LmError::Setting`] if the file is not one of prices.
    pub fn with_file(mut self, path: &Path) -> Result<Self, LmError> {
        let wrong = |reason: String| LmError::Setting {
            variable: VARIABLE.to_owned(),
            reason: format!("{}: {reason}", path.display()),
        };
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let prices: BTreeMap<String, Price> =
            serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if let Some((name, _)) = prices.iter().find(|(_, price)| !price.is_valid()) {
            return Err(wrong(format!("the price of `{name}` is less than nothing")));
        }
        if let Some(name) = prices.keys().find(|name| name.parse::<LmName>().is_err()) {
            return Err(wrong(format!("`{name}` is not `provider/model`")));
        }
        Arc::make_mut(&mut self.0).extend(prices);
        Ok(self)
    }

    /// These, with another price of a model, or of all of a provider (`ollama/*`).
    #[must_use]
    pub fn with(mut self, name: &LmName, price: Price) -> Self {
        Arc::make_mut(&mut self.0).insert(name.to_string(), price);
        self
    }

    /// The price of a model. A name with a date (`gpt-5-2025-08-07`) has the price of the one without, unless
    /// it has its own; `openai-responses/…` has that of `openai/…`.
    pub fn get(&self, name: &LmName) -> Option<&Price> {
        let provider = match name.provider() {
            "openai-responses" => "openai",
            provider => provider,
        };
        let of = |model: &str| self.0.get(&format!("{provider}/{model}"));
        of(name.model())
            .or_else(|| of(without_date(name.model())))
            .or_else(|| of("*"))
            .filter(|price| price.is_valid())
    }

    /// The price of a model that a workflow file describes: that of the file counts more than a built-in one,
    /// and less than any other.
    pub(crate) fn get_or(&self, name: &LmName, described: Option<&Price>) -> Option<Price> {
        let found = self.get(name).copied();
        match described {
            Some(price) if found.is_none() || found.as_ref() == Self::builtin().get(name) => {
                Some(*price)
            }
            _ => found,
        }
    }

    /// What a reply costs. `None` if the model has no price here.
    pub fn cost(&self, name: &LmName, usage: &Usage) -> Option<Money> {
        Some(self.get(name)?.cost(usage))
    }
}

impl Default for Prices {
    fn default() -> Self {
        Self::builtin()
    }
}

/// A model's name without `-20250929`, `-2025-08-07` or `-latest` at its end.
fn without_date(model: &str) -> &str {
    if let Some(name) = model.strip_suffix("-latest") {
        return name;
    }
    let is_date = |text: &str, form: &str| {
        text.len() == form.len()
            && text
                .bytes()
                .zip(form.bytes())
                .all(|(byte, form)| match form {
                    b'0' => byte.is_ascii_digit(),
                    form => byte == form,
                })
    };
    for form in ["-20000000", "-2000-00-00"] {
        let from = model.len().saturating_sub(form.len());
        if let Some(end) = model.get(from..)
            && from > 0
            && is_date(end, form)
        {
            return &model[..from];
        }
    }
    model
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> LmName {
        text.parse().unwrap()
    }

    fn usage(input: u64, cached: u64, written: u64, output: u64) -> Usage {
        Usage {
            input_tokens: input,
            output_tokens: output,
            cached_input_tokens: cached,
            cache_write_tokens: written,
            reasoning_tokens: output,
        }
    }

    #[test]
    fn the_builtin_prices_can_be_read_and_make_sense() {
        let prices = Prices::builtin();
        assert!(prices.0.len() > 40);
        assert_eq!(Prices::builtin_checked().len(), "2026-11-23".len());
        for (name, price) in &*prices.0 {
            let parsed: LmName = name.parse().unwrap();
            assert_eq!(prices.get(&parsed), Some(price), "{name}");
            assert!(price.output >= price.input, "{name}");
            assert!(
                price
                    .cached_input
                    .is_none_or(|cached| cached <= price.input),
                "{name}"
            );
            assert!(
                price.cache_write.is_none_or(|write| write >= price.input),
                "{name}"
            );
            assert!(
                price.long.is_none_or(|long| long.input > price.input),
                "{name}"
            );
        }
    }

    #[test]
    fn a_cost_is_the_sum_of_its_parts() {
        let cost = |lm: &str, usage| {
            Prices::builtin()
                .cost(&name(lm), &usage)
                .map(Money::dollars)
        };
        let million = 1_000_000;
        assert_eq!(cost("openai/gpt-4.1", usage(million, 0, 0, 0)), Some(2.0));
        assert_eq!(
            cost("openai/gpt-4.1", usage(million, million, 0, 0)),
            Some(0.5)
        );
        assert_eq!(cost("openai/gpt-4.1", usage(0, 0, 0, million)), Some(8.0));
        // 10 plain, 30 from the cache, 60 into it, 20 out.
        let expected = (10.0 * 3.0 + 30.0 * 0.3 + 60.0 * 3.75 + 20.0 * 15.0) / 1e6;
        let mixed = cost(
            "anthropic/claude-sonnet-4-5-20250929",
            usage(100, 30, 60, 20),
        );
        assert_eq!(mixed, Some(expected));
        // Long messages: every token costs more.
        assert_eq!(
            cost("gemini/gemini-2.5-pro", usage(200_000, 0, 0, 0)),
            Some(0.25)
        );
        assert_eq!(
            cost("gemini/gemini-2.5-pro", usage(200_001, 0, 0, 0)),
            Some(0.500_002_5)
        );
    }

    #[test]
    fn an_unknown_price_is_none_and_the_embedded_model_costs_nothing() {
        let cost = |lm: &str| Prices::builtin().cost(&name(lm), &usage(1, 0, 0, 1));
        assert_eq!(cost("openai/gpt-99"), None);
        assert_eq!(cost("my-box/gpt-5"), None);
        assert_eq!(cost("ollama/qwen3"), None);
        assert_eq!(cost("local/smollm2-135m-instruct"), Some(Money::default()));
        assert_eq!(
            Prices::none().cost(&LmName::embedded(), &Usage::default()),
            None
        );
    }

    #[test]
    fn names_with_dates_and_of_the_other_api_have_the_same_price() {
        let prices = Prices::builtin();
        let plain = prices.get(&name("openai/gpt-5")).unwrap();
        for same in [
            "openai/gpt-5-2025-08-07",
            "openai-responses/gpt-5",
            "openai/gpt-5-latest",
        ] {
            assert_eq!(prices.get(&name(same)), Some(plain), "{same}");
        }
        let haiku = prices.get(&name("anthropic/claude-haiku-4-5-20251001"));
        assert_eq!(haiku, prices.get(&name("anthropic/claude-haiku-4-5")));
        assert!(haiku.is_some());
        for other in [
            "openai/gpt-5-20",
            "openai/gpt-5-2025-8-07",
            "openai/gpt-5-x",
            "openai/-20250101",
            "openai/é-2025-08-07",
        ] {
            assert_eq!(prices.get(&name(other)), None, "{other}");
        }
    }

    #[test]
    fn no_reply_costs_more_than_the_most() {
        for (name, price) in &*Prices::builtin().0 {
            for input in [1_000, 150_000, 250_000, 300_000] {
                let most = price.most(input, 5_000);
                for taken in [
                    usage(input, 0, 0, 5_000),
                    usage(input, input, 0, 0),
                    usage(input, 0, input, 5_000),
                    usage(900, 0, 900, 5_000),
                ] {
                    assert!(price.cost(&taken) <= most, "{name} {taken:?}");
                }
            }
        }
    }

    #[test]
    fn a_file_of_the_users_stands_above_the_builtin_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prices.json");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Prices::builtin().with_file(&path)
        };
        let prices = read(
            r#"{"openai/gpt-5": {"input": 1, "output": 2}, "my-box/*": {"input": 3, "output": 4}}"#,
        )
        .unwrap();
        let million = usage(1_000_000, 0, 0, 0);
        let cost = |lm: &str| prices.cost(&name(lm), &million).map(Money::dollars);
        assert_eq!(cost("openai/gpt-5"), Some(1.0));
        assert_eq!(cost("my-box/any"), Some(3.0));
        assert_eq!(cost("openai/gpt-5-mini"), Some(0.25));
        for (wrong, part) in [
            ("[]", "invalid type"),
            (
                r#"{"openai/gpt-5": {"input": 1}}"#,
                "missing field `output`",
            ),
            (
                r#"{"openai/gpt-5": {"input": 1, "outputs": 2}}"#,
                "unknown field `outputs`",
            ),
            (
                r#"{"openai/gpt-5": {"input": -1, "output": 2}}"#,
                "less than nothing",
            ),
            (
                r#"{"gpt-5": {"input": 1, "output": 2}}"#,
                "`gpt-5` is not `provider/model`",
            ),
        ] {
            let message = read(wrong).unwrap_err().to_string();
            assert!(
                message.starts_with("DSPIPE_PRICES cannot be used: "),
                "{message}"
            );
            assert!(message.contains(part), "{message}");
        }
        let missing = Prices::none().with_file(&folder.path().join("none.json"));
        assert!(matches!(missing, Err(LmError::Setting { .. })));
    }
}
