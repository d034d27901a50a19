//! Gates of a suite.

use super::{Checker, find, number, text};
use crate::diag::Code;
use crate::source::Span;
use crate::suite::options::GATES;
use crate::yaml::{self, Key, Kind, Node};

impl Checker<'_> {
    pub(super) fn gates(&mut self, gates: &Node, repeats: u32) {
        let maps = match &gates.kind {
            Kind::List(items) => items.as_slice(),
            _ => std::slice::from_ref(gates),
        };
        let mut names: Vec<(String, Span)> = Vec::new();
        for map in maps {
            let Kind::Map(entries) = &map.kind else {
                self.diagnostics
                    .error(Code::WrongKind, map.span, "gates are names with options")
                    .label("expected a mapping, as in `pass_rate: {min: 0.9}`");
                continue;
            };
            for (key, options) in entries {
                self.gate(key, options, repeats);
                let name = name(&key.text, options);
                if let Some((_, first)) = names.iter().find(|(known, _)| *known == name) {
                    self.diagnostics
                        .error(
                            Code::Duplicate,
                            key.span,
                            format!("the gate `{name}` is there twice"),
                        )
                        .label("again here")
                        .also(*first, "first here");
                }
                names.push((name, key.span));
            }
        }
    }

    fn gate(&mut self, key: &Key, options: &Node, repeats: u32) {
        let (name, span) = (key.text.as_str(), key.span);
        let Some((_, must, may)) = GATES.iter().find(|(known, ..)| *known == name) else {
            self.diagnostics
                .error(
                    Code::InvalidSetting,
                    span,
                    format!("there is no gate `{name}`"),
                )
                .label("unknown gate")
                .meant(span, name, GATES.iter().map(|(known, ..)| *known));
            return;
        };
        let options = Some(options).filter(|options| !options.is_null());
        let entries = self.mapping(options, name);
        if name == "latency" {
            self.quantiles(entries, span);
            return;
        }
        let known: Vec<&'static str> = must.iter().chain(*may).copied().collect();
        self.keys(entries, &known, &format!("the gate `{name}`"));
        self.needed(entries, must, span, name);
        self.numbers(entries, true);
        if let Some(confidence) = find(entries, "confidence")
            && number(confidence).is_some_and(|it| it >= 1.0)
        {
            let message = "nothing is sure with a confidence of 1";
            self.setting(confidence.span, message, "less than 1, as `0.95`");
        }
        if let Some(metric) = find(entries, "metric") {
            self.known_metric(metric);
        }
        if let Some(k) = find(entries, "k")
            && let Some(count) = yaml::size(k, "`k`", self.diagnostics)
            && !(1..=repeats).contains(&count.value)
        {
            self.setting(
                k.span,
                format!("`k` is {count}, but each case runs {repeats} times"),
                "set `repeats` of the suite",
            );
        }
        match name {
            "cost" => {
                self.amount(entries, "max");
                self.amount(entries, "per_case");
                self.one_of_these(entries, ["max", "per_case"], span, name);
            }
            "regression" => self.regression(entries, span),
            _ => {}
        }
    }

    fn known_metric(&mut self, metric: &Node) {
        let written = text(metric);
        if self
            .names
            .iter()
            .any(|(known, _)| Some(known) == written.as_ref())
        {
            return;
        }
        let written = written.unwrap_or_default();
        let known: Vec<&str> = self.names.iter().map(|(name, _)| name.as_str()).collect();
        self.diagnostics
            .error(
                Code::InvalidSetting,
                metric.span,
                format!("the suite has no metric `{written}`"),
            )
            .label("unknown metric")
            .meant(metric.span, &written, known);
    }

    fn quantiles(&mut self, entries: &[(Key, Node)], span: Span) {
        if entries.is_empty() {
            self.setting(
                span,
                "`latency` has no limits",
                "in seconds, as in `{p95: 4}`",
            );
        }
        for (key, _) in entries {
            let percent = key.text.strip_prefix('p').and_then(yaml::core_float);
            if percent.is_none_or(|it| !(0.0..=100.0).contains(&it)) {
                self.setting(
                    key.span,
                    format!("`{}` is no quantile", key.text),
                    "one reads as `p95`",
                );
            }
            self.amount(entries, &key.text);
        }
    }

    fn regression(&mut self, entries: &[(Key, Node)], span: Span) {
        const TESTS: [&str; 2] = ["bootstrap", "mcnemar"];
        if let Some(baseline) = find(entries, "baseline")
            && text(baseline).is_none_or(|path| path.is_empty())
        {
            self.setting(baseline.span, "a baseline is a file", "expected its path");
        }
        if let Some(alpha) = find(entries, "alpha")
            && number(alpha).is_some_and(|it| it <= 0.0 || (0.5..=1.0).contains(&it))
        {
            let message = "`alpha` is between 0 and 0.5";
            self.setting(alpha.span, message, "`0.05` without it");
        }
        if let Some(most) = find(entries, "max_new_failures") {
            yaml::size(most, "`max_new_failures`", self.diagnostics);
        }
        self.one_of_these(entries, ["test", "max_new_failures"], span, "regression");
        let test = find(entries, "test");
        let written = test.and_then(text).unwrap_or_default();
        match test {
            Some(node) if !TESTS.contains(&written.as_str()) => {
                self.diagnostics
                    .error(
                        Code::InvalidSetting,
                        node.span,
                        format!("there is no test `{written}`"),
                    )
                    .label("unknown test")
                    .meant(node.span, &written, TESTS);
            }
            _ => {}
        }
        if let Some(metric) = find(entries, "metric")
            && written != "bootstrap"
        {
            let message = "only the bootstrap looks at the scores of a metric";
            self.setting(metric.span, message, "it goes with `test: bootstrap`");
        }
    }
}

/// The name of the test that a gate becomes.
fn name(kind: &str, options: &Node) -> String {
    let option = |key: &str| match &options.kind {
        Kind::Map(entries) => find(entries, key).map(Node::to_json),
        _ => None,
    };
    let word = |key: &str| option(key)?.as_str().map(str::to_owned);
    match kind {
        "mean" => match word("metric") {
            Some(metric) => format!("mean({metric})"),
            None => kind.to_owned(),
        },
        "pass_at_k" | "pass_hat_k" => {
            let k = option("k").unwrap_or_default();
            format!("{}{k}", kind.trim_end_matches('k'))
        }
        "regression" => match (word("test").as_deref(), word("metric")) {
            (Some("bootstrap"), Some(metric)) => format!("regression({metric})"),
            (Some("bootstrap"), None) => "regression(score)".to_owned(),
            (Some(test), _) => format!("regression({test})"),
            (None, _) => kind.to_owned(),
        },
        _ => kind.to_owned(),
    }
}
