//! The LMs of a step, as constants.

use std::time::Duration;

use super::Emitter;
use super::metadata::optional;
use super::printer::{Printer, float, string};
use crate::ir::Lm;

/// `lms` of a signature.
pub(super) fn list(emitter: &Emitter<'_>, lms: &[Lm], out: &mut Printer) {
    if lms.is_empty() {
        out.line("lms: &[],");
        return;
    }
    let runtime = &emitter.options.runtime;
    out.open("lms: &[");
    for lm in lms {
        out.open(format_args!("{runtime}::lm::LmDef {{"));
        out.line(format_args!("alias: {},", string(&lm.alias)));
        server(runtime, lm, out);
        out.line(format_args!(
            "temperature: {},",
            optional(lm.temperature.map(float))
        ));
        let max_tokens = lm.max_tokens.map(|limit| grouped(&limit.to_string()));
        out.line(format_args!("max_tokens: {},", optional(max_tokens)));
        let seed = lm.seed.map(|seed| grouped(&seed.to_string()));
        out.line(format_args!("seed: {},", optional(seed)));
        price(runtime, lm, out);
        let name = string(&lm.name);
        out.line(format_args!("..{runtime}::lm::LmDef::of({name})"));
        out.close("},");
    }
    out.close("],");
}

/// What is said of the server, if anything.
fn server(runtime: &str, lm: &Lm, out: &mut Printer) {
    let seconds = |time: Option<f64>| {
        time.map(|seconds| {
            // Whole milliseconds; clippy has a word on the unit of every other way to write it.
            let time = Duration::try_from_secs_f64((seconds * 1000.0).round() / 1000.0)
                .unwrap_or_default();
            let nanos = grouped(&time.subsec_nanos().to_string());
            let seconds = grouped(&time.as_secs().to_string());
            format!("::core::time::Duration::new({seconds}, {nanos})")
        })
    };
    let text = |text: &Option<String>| text.as_deref().map(string);
    let limits = [
        ("concurrency", lm.max_concurrency),
        ("requests_per_minute", lm.requests_per_minute),
        ("tokens_per_minute", lm.tokens_per_minute),
    ];
    let limited = limits.iter().any(|(_, limit)| limit.is_some());
    let api = lm.api.map(|api| format!("{runtime}::lm::Api::{api}"));
    let fields = [
        ("base_url", text(&lm.base_url)),
        ("api", api),
        ("api_key_env", text(&lm.api_key_env)),
        ("connect_timeout", seconds(lm.connect_timeout)),
        ("read_timeout", seconds(lm.read_timeout)),
        ("timeout", seconds(lm.timeout)),
    ];
    if !limited && fields.iter().all(|(_, value)| value.is_none()) {
        return;
    }
    out.open(format_args!("server: {runtime}::lm::ServerDef {{"));
    for (name, value) in fields {
        out.line(format_args!("{name}: {},", optional(value)));
    }
    out.open(format_args!("limits: {runtime}::lm::Limits {{"));
    for (name, limit) in limits {
        let limit = optional(limit.map(|limit| grouped(&limit.to_string())));
        out.line(format_args!("{name}: {limit},"));
    }
    out.close("},");
    out.close("},");
}

fn price(runtime: &str, lm: &Lm, out: &mut Printer) {
    let Some(price) = &lm.price else { return };
    out.open(format_args!("price: Some({runtime}::lm::Price {{"));
    out.line(format_args!("input: {},", float(price.input)));
    let cached = price.cached_input.map(float);
    out.line(format_args!("cached_input: {},", optional(cached)));
    let write = price.cache_write.map(float);
    out.line(format_args!("cache_write: {},", optional(write)));
    out.line(format_args!("output: {},", float(price.output)));
    out.line("long: None,");
    out.close("}),");
}

/// The digits of a whole number in threes, as clippy wants them where there are many.
fn grouped(digits: &str) -> String {
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push('_');
        }
        grouped.push(digit);
    }
    grouped
}
