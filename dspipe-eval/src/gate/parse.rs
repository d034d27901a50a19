//! From YAML to gates.

use std::path::PathBuf;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Gate, Regression, Test};
use crate::metric::{SpecErrors, suggestion};
use crate::suite::Metrics;
use crate::unit::{Amount, Unit};

const NAMES: [&str; 8] = [
    "complete",
    "pass_rate",
    "mean",
    "pass_at_k",
    "pass_hat_k",
    "regression",
    "cost",
    "latency",
];

impl Gate {
    /// Reads the gates of a suite: a mapping of names to options, or a list of such mappings where there
    /// are several of a kind. `metrics` are those of the suite, `repeat` is how often each case runs.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(
        declaration: &Value,
        metrics: &Metrics,
        repeat: u32,
    ) -> Result<Vec<Self>, SpecErrors> {
        let mut parser = Parser {
            metrics,
            repeat,
            errors: SpecErrors::default(),
            gates: Vec::new(),
        };
        match declaration {
            Value::Null => {}
            Value::Object(map) => parser.map("gates", map),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let place = format!("gates[{index}]");
                    match item {
                        Value::Object(map) => parser.map(&place, map),
                        _ => parser
                            .errors
                            .push(place, "a gate is a name with its options"),
                    }
                }
            }
            _ => parser
                .errors
                .push("gates", "gates are names with their options"),
        }
        let Parser { errors, gates, .. } = parser;
        errors.or(Some(gates))
    }
}

struct Parser<'a> {
    metrics: &'a Metrics,
    repeat: u32,
    errors: SpecErrors,
    gates: Vec<Gate>,
}

impl Parser<'_> {
    fn map(&mut self, place: &str, map: &Map<String, Value>) {
        for (name, options) in map {
            let place = format!("{place}.{name}");
            let Some(gate) = self.gate(&place, name, options) else {
                continue;
            };
            if self.gates.iter().any(|known| known.name() == gate.name()) {
                self.errors
                    .push(place, format!("`{}` is there twice", gate.name()));
            }
            self.gates.push(gate);
        }
    }

    fn gate(&mut self, place: &str, name: &str, options: &Value) -> Option<Gate> {
        match name {
            "complete" => Some(Gate::Complete),
            "pass_rate" => {
                let RateOptions { min, confidence } = self.options(place, options)?;
                self.confidence(place, confidence)?;
                Some(Gate::PassRate { min, confidence })
            }
            "mean" => {
                let options: MeanOptions = self.options(place, options)?;
                self.confidence(place, options.confidence)?;
                self.metric(place, options.metric.as_deref())?;
                Some(Gate::Mean {
                    metric: options.metric,
                    min: options.min,
                    confidence: options.confidence,
                })
            }
            "pass_at_k" => {
                let (k, min) = self.runs(place, options)?;
                Some(Gate::PassAtK { k, min })
            }
            "pass_hat_k" => {
                let (k, min) = self.runs(place, options)?;
                Some(Gate::PassHatK { k, min })
            }
            "regression" => self.regression(place, options),
            "cost" => {
                let CostOptions { max, per_case } = self.options(place, options)?;
                if max.is_none() && per_case.is_none() {
                    return self.wrong(place, "it needs `max`, `per_case` or both");
                }
                Some(Gate::Cost { max, per_case })
            }
            "latency" => self.latency(place, options),
            _ => {
                let near = suggestion(name, NAMES.into_iter());
                self.wrong(place, format!("there is no gate `{name}`{near}"))
            }
        }
    }

    fn wrong<T>(&mut self, place: &str, message: impl Into<String>) -> Option<T> {
        self.errors.push(place, message);
        None
    }

    fn options<T: DeserializeOwned>(&mut self, place: &str, options: &Value) -> Option<T> {
        match T::deserialize(options) {
            Ok(options) => Some(options),
            Err(error) => self.wrong(place, error.to_string()),
        }
    }

    fn confidence(&mut self, place: &str, confidence: Option<Unit>) -> Option<()> {
        match confidence {
            Some(Unit::ONE) => self.wrong(place, "nothing is sure with a confidence of 1"),
            _ => Some(()),
        }
    }

    fn metric(&mut self, place: &str, metric: Option<&str>) -> Option<()> {
        let Some(name) = metric else {
            return Some(());
        };
        let known = || self.metrics.iter().map(|metric| metric.name.as_str());
        if known().any(|known| known == name) {
            return Some(());
        }
        let near = suggestion(name, known());
        self.wrong(place, format!("the suite has no metric `{name}`{near}"))
    }

    fn runs(&mut self, place: &str, options: &Value) -> Option<(u32, Unit)> {
        let RunsOptions { k, min } = self.options(place, options)?;
        if (1..=self.repeat).contains(&k) {
            return Some((k, min));
        }
        let repeat = self.repeat;
        self.wrong(
            place,
            format!("`k` is {k}, but each case runs {repeat} times; set `repeat` of the suite"),
        )
    }

    fn regression(&mut self, place: &str, options: &Value) -> Option<Gate> {
        let options: RegressionOptions = self.options(place, options)?;
        self.metric(place, options.metric.as_deref())?;
        let test = match (options.test, options.metric) {
            (Some(TestName::Bootstrap), metric) => Some(Test::Bootstrap { metric }),
            (_, Some(_)) => return self.wrong(place, "`metric` is for `test: bootstrap`"),
            (Some(TestName::Mcnemar), None) => Some(Test::McNemar),
            (None, None) => None,
        };
        let max_new_failures = options.max_new_failures;
        if test.is_none() && max_new_failures.is_none() {
            return self.wrong(place, "it needs `test`, `max_new_failures` or both");
        }
        let alpha = options.alpha.get();
        if alpha <= 0.0 || alpha >= 0.5 {
            return self.wrong(place, "`alpha` is between 0 and 0.5");
        }
        Some(Gate::Regression(Regression {
            baseline: options.baseline,
            test,
            alpha: options.alpha,
            max_new_failures,
        }))
    }

    fn latency(&mut self, place: &str, options: &Value) -> Option<Gate> {
        let Some(limits) = options.as_object().filter(|limits| !limits.is_empty()) else {
            return self.wrong(place, "it takes limits in seconds, as in `{p95: 4}`");
        };
        let mut read = Vec::new();
        for (name, limit) in limits {
            let place = format!("{place}.{name}");
            let percent = name
                .strip_prefix('p')
                .and_then(|text| text.parse::<f64>().ok());
            let q = percent.and_then(|percent| Unit::new(percent / 100.0).ok());
            let limit = self.options::<Amount>(&place, limit)?;
            match q {
                Some(q) => read.push((q, limit)),
                None => return self.wrong(&place, "it is no quantile; one reads as `p95`"),
            }
        }
        Some(Gate::Latency(read))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RateOptions {
    min: Unit,
    confidence: Option<Unit>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MeanOptions {
    metric: Option<String>,
    min: Unit,
    confidence: Option<Unit>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RunsOptions {
    k: u32,
    min: Unit,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CostOptions {
    max: Option<Amount>,
    per_case: Option<Amount>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegressionOptions {
    baseline: PathBuf,
    test: Option<TestName>,
    metric: Option<String>,
    #[serde(default = "five_percent")]
    alpha: Unit,
    max_new_failures: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum TestName {
    Mcnemar,
    Bootstrap,
}

fn five_percent() -> Unit {
    Unit::clamped(0.05)
}
