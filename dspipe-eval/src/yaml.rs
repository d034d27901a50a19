//! Declarations as YAML.

use serde_json::Value;
use serde_yaml::Value as Yaml;

use crate::metric::SpecErrors;

/// Reads a YAML text as a JSON value, for `parse` of metrics, gates and prices.
///
/// # Errors
/// What is no YAML, and what JSON cannot hold: keys that are lists, for example.
pub fn from_yaml(text: &str) -> Result<Value, SpecErrors> {
    let mut errors = SpecErrors::default();
    // By way of YAML's own values, which refuse a key that is there twice.
    match serde_yaml::from_str::<Yaml>(text) {
        Ok(yaml) => match serde_json::to_value(&yaml) {
            Ok(value) => return Ok(value),
            Err(error) => errors.push("yaml", error.to_string()),
        },
        Err(error) => errors.push("yaml", error.to_string()),
    }
    Err(errors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::Gate;
    use crate::metric::Registry;
    use crate::suite::Metrics;

    #[test]
    fn a_suite_is_declared_in_yaml() {
        let declared = from_yaml(
            "
            metrics:
              - fields:
                  complexity: exact
                  patterns: {metric: set_f1, weight: 2}
              - name: brief
                metric: {length: {max: 200}}
                pass_at: 0.5
            gates:
              pass_rate: {min: 0.9, confidence: 0.95}
              mean: {metric: brief, min: 0.8}
              regression: {baseline: baselines/x.json, test: mcnemar, max_new_failures: 0}
              latency: {p95: 4}
            ",
        )
        .unwrap();
        let metrics = Metrics::parse(&declared["metrics"], &Registry::default()).unwrap();
        assert_eq!(metrics.to_string(), "fields, brief");
        let gates = Gate::parse(&declared["gates"], &metrics, 1).unwrap();
        let names: Vec<String> = gates.iter().map(Gate::name).collect();
        assert_eq!(
            names,
            ["pass_rate", "mean(brief)", "regression(mcnemar)", "latency"]
        );
    }

    #[test]
    fn what_is_no_declaration_is_refused() {
        for bad in ["a: [", "a: 1\na: 2", "? [1, 2]\n: x"] {
            assert!(from_yaml(bad).is_err(), "{bad}");
        }
    }
}
