//! The options of metrics: their kinds, and what they may be.

use regex_syntax::ast;

use super::paths::{At, stripped};
use super::{Checker, find, number, text};
use crate::check::is_lm_name;
use crate::diag::Code;
use crate::ir::{TypeDefKind, TypeKind};
use crate::source::Span;
use crate::yaml::{self, Key, Kind, Node};

impl<'a> Checker<'a> {
    /// What is inside of options: other metrics, places, values.
    pub(super) fn inner(&mut self, name: &str, entries: &[(Key, Node)], span: Span, at: At<'a>) {
        let mut inside = at;
        match name {
            "at" => inside = self.path_in(find(entries, "path"), at),
            "numeric" => {
                self.amount(entries, "abs");
                self.amount(entries, "rel");
            }
            "contains" => self.contains(entries),
            "one_of" => self.values(find(entries, "values"), at),
            "set_f1" | "list_f1" => {
                self.flag(entries, "normalize");
                self.flag(entries, "ordered");
                self.path_in(find(entries, "key"), at.items());
            }
            "length" => self.length(entries, span),
            "latency" | "cost" => self.ramp(entries),
            "judge" => self.judge(entries),
            _ => {}
        }
        if let Some(metric) = find(entries, "metric") {
            self.metric(metric, inside);
        }
    }

    fn path_in(&mut self, node: Option<&Node>, at: At<'a>) -> At<'a> {
        let Some(node) = node else { return At::Unknown };
        match text(node) {
            Some(path) => self.path(&path, node.span, at),
            None => {
                self.setting(
                    node.span,
                    format!("{} is no path", node.describe()),
                    "a path reads as `analysis.patterns[0]`",
                );
                At::Unknown
            }
        }
    }

    fn contains(&mut self, entries: &[(Key, Node)]) {
        self.flag(entries, "case");
        let lists = ["any", "all"].map(|key| find(entries, key));
        for list in lists.into_iter().flatten() {
            let Kind::List(items) = &list.kind else {
                yaml::wrong_kind(list, "what is looked for", "a list", self.diagnostics);
                continue;
            };
            if items.is_empty() {
                self.setting(list.span, "nothing is looked for", "the list is empty");
            }
            for item in items.iter().filter(|item| text(item).is_none()) {
                yaml::wrong_kind(item, "what is looked for", "a text", self.diagnostics)
                    .help("quotes make a text of a number");
            }
        }
        if let [Some(_), Some(all)] = lists {
            self.setting(all.span, "`any` and `all` exclude each other", "and this");
        }
    }

    /// Values that the output is compared with: those of an enum must be some that it can have.
    fn values(&mut self, values: Option<&Node>, at: At<'a>) {
        let Some(values) = values else { return };
        let Kind::List(items) = &values.kind else {
            yaml::wrong_kind(values, "`values`", "a list", self.diagnostics);
            return;
        };
        if items.is_empty() {
            self.setting(values.span, "nothing would be right", "the list is empty");
        }
        let At::Type(ty) = at else { return };
        let TypeKind::Enum(reference) = &stripped(ty).kind else {
            return;
        };
        let TypeDefKind::Enum(variants) = &self.signatures.types[reference.0].kind else {
            return;
        };
        for item in items {
            let Some(text) = text(item) else { continue };
            if !variants.iter().any(|variant| variant.name.text == text) {
                let known = variants.iter().map(|variant| variant.name.text.as_str());
                self.diagnostics
                    .error(
                        Code::ImpossibleComparison,
                        item.span,
                        format!("the output is never `{text}`"),
                    )
                    .label("not a value of the enum")
                    .meant(item.span, &text, known);
            }
        }
    }

    fn length(&mut self, entries: &[(Key, Node)], span: Span) {
        const UNITS: [&str; 4] = ["chars", "words", "sentences", "items"];
        let size = |this: &mut Self, key: &str| {
            let node = find(entries, key)?;
            yaml::size(node, format_args!("`{key}`"), this.diagnostics)
        };
        let (min, max) = (size(self, "min"), size(self, "max"));
        if let (Some(min), Some(max)) = (&min, &max)
            && min.value > max.value
        {
            let message = format!("`min` is {min}, more than `max`, {max}");
            self.setting(min.span, message, "no length would be right");
        }
        self.one_of_these(entries, ["min", "max"], span, "length");
        if let Some(unit) = find(entries, "unit") {
            let written = text(unit).unwrap_or_default();
            if !UNITS.contains(&written.as_str()) {
                self.diagnostics
                    .error(
                        Code::InvalidSetting,
                        unit.span,
                        format!("there is no unit `{written}`"),
                    )
                    .label("unknown unit")
                    .meant(unit.span, &written, UNITS);
            }
        }
    }

    fn ramp(&mut self, entries: &[(Key, Node)]) {
        let (good, max) = (self.amount(entries, "good"), self.amount(entries, "max"));
        if let Some(max) = max
            && good.unwrap_or(0.0) >= max
            && let Some(node) = find(entries, "good").or(find(entries, "max"))
        {
            let good = good.unwrap_or(0.0);
            let message = format!("`good` is {good}, not less than `max`, {max}");
            self.setting(node.span, message, "from `good` to `max` the score falls");
        }
    }

    fn judge(&mut self, entries: &[(Key, Node)]) {
        if let Some(rubric) = find(entries, "rubric")
            && text(rubric).is_none_or(|text| text.trim().is_empty())
        {
            self.setting(
                rubric.span,
                "a rubric says what a good output is",
                "expected a text",
            );
        }
        if let Some(lm) = find(entries, "lm")
            && !text(lm).is_some_and(|lm| is_lm_name(&lm))
        {
            self.diagnostics
                .error(Code::InvalidLm, lm.span, "this names no LM")
                .label("expected `provider/model`");
        }
    }

    /// A number from 0 up.
    pub(super) fn amount(&mut self, entries: &[(Key, Node)], key: &str) -> Option<f64> {
        let node = find(entries, key)?;
        let number = number(node).filter(|number| *number >= 0.0);
        if number.is_none() {
            self.setting(
                node.span,
                format!("`{key}` must be a number from 0 up"),
                "not a number from 0 up",
            );
        }
        number
    }

    fn flag(&mut self, entries: &[(Key, Node)], key: &str) {
        if let Some(node) = find(entries, key) {
            yaml::boolean(node, format_args!("`{key}`"), self.diagnostics);
        }
    }

    /// At least one of two options must be there.
    pub(super) fn one_of_these(
        &mut self,
        entries: &[(Key, Node)],
        keys: [&str; 2],
        span: Span,
        name: &str,
    ) {
        if keys.iter().all(|key| find(entries, key).is_none()) {
            let [one, other] = keys;
            self.diagnostics
                .error(
                    Code::MissingKey,
                    span,
                    format!("`{name}` needs `{one}`, `{other}` or both"),
                )
                .label("they are missing here");
        }
    }

    /// A regular expression of the crate `regex`, whose parser this is.
    pub(super) fn regex(&mut self, pattern: &str, span: Span) {
        if let Err(error) = ast::parse::Parser::new().parse(pattern) {
            let (kind, at) = (error.kind(), error.span().start.offset);
            let before = pattern.get(..at).unwrap_or_default().chars().count();
            self.setting(
                span,
                format!("`{pattern}` is no regular expression: {kind}"),
                &format!("at character {} of it", before + 1),
            );
        }
    }
}
