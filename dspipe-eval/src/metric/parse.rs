//! From YAML to metrics.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use dspipe_runtime::{LmName, LocalRunner};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::collection::By;
use super::form::{
    AtOptions, ContainsOptions, JudgeOptions, LengthOptions, ListOptions, NumericOptions,
    OneOfOptions, RampOptions, ThresholdOptions, WeightedOptions,
};
use super::{
    Contains, Declared, Judge, Length, ListF1, Metric, Numeric, OneOf, Ramp, Schema, SetF1,
    Weighted,
};
use crate::path::Path;
use crate::unit::Weight;

/// All names, for suggestions.
const NAMES: [&str; 24] = [
    "all",
    "any",
    "at",
    "contains",
    "cost",
    "edit",
    "exact",
    "fields",
    "json_diff",
    "judge",
    "latency",
    "length",
    "list_f1",
    "normalized",
    "numeric",
    "one_of",
    "regex",
    "rouge_l",
    "rust",
    "schema",
    "set_f1",
    "threshold",
    "token_f1",
    "weighted",
];

/// What YAML can name but not hold: Rust functions, and what runs the judge.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    functions: BTreeMap<String, Arc<dyn Metric>>,
    runner: LocalRunner,
}

impl Registry {
    /// With a runner for judges that name no LM of their own, and for their cassettes.
    pub fn new(runner: LocalRunner) -> Self {
        Self {
            runner,
            ..Self::default()
        }
    }

    /// Makes a Rust function known as `rust: name`.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, metric: impl Metric + 'static) -> Self {
        self.functions.insert(name.into(), Arc::new(metric));
        self
    }
}

/// Something that is wrong with a declaration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct SpecError {
    /// Where, as in `fields.complexity`.
    pub place: String,
    /// What, and what to do.
    pub message: String,
}

/// All that is wrong with a declaration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpecErrors(pub Vec<SpecError>);

impl fmt::Display for SpecErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, error) in self.0.iter().enumerate() {
            let line = if nth == 0 { "" } else { "\n" };
            write!(f, "{line}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for SpecErrors {}

impl SpecErrors {
    pub(crate) fn push(&mut self, place: impl Into<String>, message: impl Into<String>) {
        self.0.push(SpecError {
            place: place.into(),
            message: message.into(),
        });
    }

    /// A value, unless something is wrong.
    pub(crate) fn or<T>(self, value: Option<T>) -> Result<T, Self> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(self),
        }
    }
}

impl Declared {
    /// Reads a declaration: a name, or a mapping of one name to its options.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(declaration: &Value, registry: &Registry) -> Result<Self, SpecErrors> {
        let mut errors = SpecErrors::default();
        let metric = parse(declaration, "metric", registry, &mut errors);
        errors.or(metric)
    }
}

pub(crate) fn parse(
    value: &Value,
    place: &str,
    registry: &Registry,
    errors: &mut SpecErrors,
) -> Option<Declared> {
    let mut parser = Parser { registry, errors };
    parser.metric(place, value)
}

struct Parser<'a> {
    registry: &'a Registry,
    errors: &'a mut SpecErrors,
}

impl Parser<'_> {
    fn metric(&mut self, place: &str, value: &Value) -> Option<Declared> {
        match value {
            Value::String(name) => self.named(place, name, &Value::Null),
            Value::Object(map) if map.len() == 1 => {
                let (name, options) = map.iter().next()?;
                self.named(place, name, options)
            }
            _ => self.wrong(
                place,
                "a metric is a name, as in `exact`, or one name with its options, as in \
                 `numeric: {abs: 0.5}`",
            ),
        }
    }

    fn wrong<T>(&mut self, place: &str, message: impl Into<String>) -> Option<T> {
        self.errors.push(place, message);
        None
    }

    fn named(&mut self, place: &str, name: &str, options: &Value) -> Option<Declared> {
        let place = &format!("{place}.{name}");
        Some(match name {
            "exact" => self.plain(place, options, Declared::Exact)?,
            "normalized" => self.plain(place, options, Declared::Normalized)?,
            "token_f1" => self.plain(place, options, Declared::TokenF1)?,
            "rouge_l" => self.plain(place, options, Declared::RougeL)?,
            "edit" => self.plain(place, options, Declared::Edit)?,
            "json_diff" => self.plain(place, options, Declared::JsonDiff)?,
            "numeric" => self.numeric(place, options)?,
            "contains" => self.contains(place, options)?,
            "regex" => self.regex(place, options)?,
            "one_of" => self.one_of(place, options)?,
            "set_f1" => Declared::SetF1(SetF1 {
                by: self.list(place, options, false)?.0,
            }),
            "list_f1" => {
                let (by, ordered) = self.list(place, options, true)?;
                Declared::ListF1(ListF1 { by, ordered })
            }
            "schema" => self.schema(place, options)?,
            "length" => self.length(place, options)?,
            "latency" => Declared::Latency(self.ramp(place, options)?),
            "cost" => Declared::Cost(self.ramp(place, options)?),
            "judge" => self.judge(place, options)?,
            "at" => {
                let options: AtOptions = self.options(place, options)?;
                let metric = self.metric(place, &options.metric)?;
                Declared::At(options.path, Box::new(metric))
            }
            "fields" => self.fields(place, options)?,
            "weighted" => Declared::Weighted(self.each(place, options, Self::weighted)?),
            "all" => Declared::All(self.each(place, options, Self::metric)?),
            "any" => Declared::Any(self.each(place, options, Self::metric)?),
            "threshold" => {
                let options: ThresholdOptions = self.options(place, options)?;
                let metric = self.metric(place, &options.metric)?;
                Declared::Threshold(Box::new(metric), options.at_least)
            }
            "rust" => self.rust(place, options)?,
            _ => {
                let near = suggestion(name, NAMES.into_iter());
                return self.wrong(place, format!("there is no metric `{name}`{near}"));
            }
        })
    }

    /// A metric without options.
    fn plain(&mut self, place: &str, options: &Value, metric: Declared) -> Option<Declared> {
        let is_empty = options.is_null() || options.as_object().is_some_and(Map::is_empty);
        if is_empty {
            Some(metric)
        } else {
            self.wrong(place, "it takes no options")
        }
    }

    fn options<T: DeserializeOwned>(&mut self, place: &str, options: &Value) -> Option<T> {
        let empty = Value::Object(Map::new());
        let options = if options.is_null() { &empty } else { options };
        match T::deserialize(options) {
            Ok(options) => Some(options),
            Err(error) => self.wrong(place, error.to_string()),
        }
    }

    fn numeric(&mut self, place: &str, options: &Value) -> Option<Declared> {
        let options: NumericOptions = self.options(place, options)?;
        Some(Declared::Numeric(Numeric {
            abs: options.abs,
            rel: options.rel,
        }))
    }

    fn contains(&mut self, place: &str, options: &Value) -> Option<Declared> {
        let options: ContainsOptions = self.options(place, options)?;
        let texts = match (options.any, options.all) {
            (Some(_), Some(_)) => return self.wrong(place, "`any` and `all` exclude each other"),
            (Some(texts), None) => Some((texts, true)),
            (None, Some(texts)) => Some((texts, false)),
            (None, None) => None,
        };
        if texts.as_ref().is_some_and(|(texts, _)| texts.is_empty()) {
            return self.wrong(place, "the list is empty");
        }
        let case = options.case;
        Some(Declared::Contains(Contains { texts, case }))
    }

    fn regex(&mut self, place: &str, options: &Value) -> Option<Declared> {
        let Some(pattern) = options.as_str() else {
            return self.wrong(place, "it takes a pattern, as in `regex: '^[A-Z]'`");
        };
        match regex::Regex::new(pattern) {
            Ok(pattern) => Some(Declared::Regex(pattern)),
            Err(error) => self.wrong(place, error.to_string()),
        }
    }

    fn one_of(&mut self, place: &str, options: &Value) -> Option<Declared> {
        let options: OneOfOptions = self.options(place, options)?;
        if options.values.as_ref().is_some_and(Vec::is_empty) {
            return self.wrong(place, "`values` is empty");
        }
        let metric = match &options.metric {
            Some(metric) => self.metric(place, metric)?,
            None => Declared::Exact,
        };
        let values = options.values;
        Some(Declared::OneOf(Box::new(OneOf { values, metric })))
    }

    fn list(&mut self, place: &str, options: &Value, may_order: bool) -> Option<(By, bool)> {
        let options: ListOptions = self.options(place, options)?;
        if options.ordered.is_some() && !may_order {
            return self.wrong(place, "a set has no order; `list_f1` takes `ordered`");
        }
        let by = By {
            key: options.key,
            normalize: options.normalize,
        };
        Some((by, options.ordered.unwrap_or(false)))
    }

    fn schema(&mut self, place: &str, options: &Value) -> Option<Declared> {
        if !options.is_object() {
            return self.wrong(place, "it takes a JSON Schema");
        }
        match jsonschema::validator_for(options) {
            Ok(schema) => Some(Declared::Schema(Schema(Arc::new(schema)))),
            Err(error) => self.wrong(place, format!("this is no JSON Schema: {error}")),
        }
    }

    fn length(&mut self, place: &str, options: &Value) -> Option<Declared> {
        let LengthOptions { min, max, unit } = self.options(place, options)?;
        match (min, max) {
            (None, None) => self.wrong(place, "it needs `min`, `max` or both"),
            (Some(min), Some(max)) if min > max => {
                self.wrong(place, format!("`min` is {min}, more than `max`, {max}"))
            }
            _ => Some(Declared::Length(Length { min, max, unit })),
        }
    }

    fn ramp(&mut self, place: &str, options: &Value) -> Option<Ramp> {
        let options: RampOptions = self.options(place, options)?;
        let (good, max) = (options.good.get(), options.max.get());
        if good < max {
            Some(Ramp { good, max })
        } else {
            self.wrong(
                place,
                format!("`good` is {good}, not less than `max`, {max}"),
            )
        }
    }

    fn judge(&mut self, place: &str, options: &Value) -> Option<Declared> {
        let options: JudgeOptions = self.options(place, options)?;
        if options.rubric.trim().is_empty() {
            return self.wrong(place, "`rubric` is empty; say what a good output is");
        }
        let lm = match options.lm.map(|lm| lm.parse::<LmName>()).transpose() {
            Ok(lm) => lm,
            Err(error) => return self.wrong(place, error.to_string()),
        };
        Some(Declared::Judge(Box::new(Judge::new(
            options.rubric,
            &self.registry.runner,
            lm,
        ))))
    }

    fn fields(&mut self, place: &str, options: &Value) -> Option<Declared> {
        let Some(fields) = options.as_object().filter(|fields| !fields.is_empty()) else {
            return self.wrong(
                place,
                "it takes a metric for each field, as in `{name: exact}`",
            );
        };
        let mut read = Vec::new();
        for (path, metric) in fields {
            let place = &format!("{place}.{path}");
            let metric = self.weighted(place, metric);
            match path.parse::<Path>() {
                Ok(path) => read.extend(metric.map(|metric| (path, metric))),
                Err(error) => self.errors.push(place, error.to_string()),
            }
        }
        (read.len() == fields.len()).then_some(Declared::Fields(read))
    }

    fn each<T>(
        &mut self,
        place: &str,
        options: &Value,
        read: fn(&mut Self, &str, &Value) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Some(items) = options.as_array().filter(|items| !items.is_empty()) else {
            return self.wrong(place, "it takes a list of metrics, and not an empty one");
        };
        let all: Vec<T> = items
            .iter()
            .enumerate()
            .filter_map(|(index, item)| read(self, &format!("{place}[{index}]"), item))
            .collect();
        (all.len() == items.len()).then_some(all)
    }

    /// A metric, or `{metric: .., weight: ..}`.
    fn weighted(&mut self, place: &str, value: &Value) -> Option<Weighted> {
        let (metric, weight) = if value.get("metric").is_some() {
            let options: WeightedOptions = self.options(place, value)?;
            (self.metric(place, &options.metric)?, options.weight)
        } else {
            (self.metric(place, value)?, Weight::ONE)
        };
        Some(Weighted { metric, weight })
    }

    fn rust(&mut self, place: &str, options: &Value) -> Option<Declared> {
        let Some(name) = options.as_str() else {
            return self.wrong(place, "it takes the name of a Rust function");
        };
        let functions = &self.registry.functions;
        match functions.get(name) {
            Some(metric) => Some(Declared::Rust(Arc::clone(metric))),
            None => {
                let near = suggestion(name, functions.keys().map(String::as_str));
                self.wrong(
                    place,
                    format!("no Rust function is known as `{name}`{near}"),
                )
            }
        }
    }
}

/// The nearest name, as the end of a message.
pub(crate) fn suggestion<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    const NEAR: f64 = 0.75;
    known
        .map(|known| (strsim::jaro_winkler(name, known), known))
        .filter(|(near, _)| *near >= NEAR)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map_or_else(String::new, |(_, known)| {
            format!("; did you mean `{known}`?")
        })
}
