//! Attributes by OpenTelemetry's semantic conventions for generative AI (1.37 and later), as fields of the
//! span of a call; the layer of `tracing-opentelemetry` exports them.

use serde_json::{Value, json};
use tracing::field::Empty;
use tracing::{Span, info_span};

use super::{call_span, count};
use crate::lm::{Finish, LmName, Reply, Request, Role};
use crate::shown;
use crate::trace::Exchange;

/// Whether `DSPIPE_OTEL_CONTENT` asks for content.
pub(crate) fn content_from_env() -> bool {
    std::env::var("DSPIPE_OTEL_CONTENT").is_ok_and(|value| value.trim() == "1")
}

/// A request and its reply.
pub(crate) fn call(lm: &LmName, request: &Request) -> Span {
    let params = &request.params;
    let output = if request.schema.is_some() {
        "json"
    } else {
        "text"
    };
    call_span!(
        lm,
        "otel.name" = %format_args!("chat {}", lm.model()),
        "otel.kind" = "client",
        "gen_ai.operation.name" = "chat",
        "gen_ai.provider.name" = provider(lm.provider()),
        "gen_ai.request.model" = lm.model(),
        "gen_ai.request.temperature" = params.temperature,
        "gen_ai.request.max_tokens" = params.max_tokens.map(count),
        "gen_ai.request.seed" = params.seed.map(count),
        "gen_ai.output.type" = output,
        "gen_ai.response.model" = Empty,
        "gen_ai.response.finish_reasons" = Empty,
        "gen_ai.usage.input_tokens" = Empty,
        "gen_ai.usage.output_tokens" = Empty,
        "gen_ai.usage.cache_read.input_tokens" = Empty,
        "gen_ai.usage.cache_creation.input_tokens" = Empty,
        "gen_ai.usage.reasoning.output_tokens" = Empty,
        "gen_ai.system_instructions" = Empty,
        "gen_ai.input.messages" = Empty,
        "gen_ai.output.messages" = Empty,
    )
}

/// The provider as the conventions name it.
fn provider(name: &str) -> &str {
    match name {
        "gemini" => "gcp.gemini",
        "openai-responses" => "openai",
        other => other,
    }
}

pub(super) fn replied(span: &Span, reply: &Reply) {
    let usage = &reply.usage;
    for (field, tokens) in [
        ("gen_ai.usage.input_tokens", usage.input_tokens),
        ("gen_ai.usage.output_tokens", usage.output_tokens),
    ] {
        span.record(field, count(tokens));
    }
    for (field, tokens) in [
        (
            "gen_ai.usage.cache_read.input_tokens",
            usage.cached_input_tokens,
        ),
        (
            "gen_ai.usage.cache_creation.input_tokens",
            usage.cache_write_tokens,
        ),
        (
            "gen_ai.usage.reasoning.output_tokens",
            usage.reasoning_tokens,
        ),
    ] {
        if tokens > 0 {
            span.record(field, count(tokens));
        }
    }
    if !reply.model.is_empty() {
        span.record("gen_ai.response.model", &*reply.model);
    }
    if let Some(reason) = reason(reply.finish) {
        // A field holds no list, so its JSON stands for it.
        span.record(
            "gen_ai.response.finish_reasons",
            &*json!([reason]).to_string(),
        );
    }
}

fn reason(finish: Finish) -> Option<&'static str> {
    match finish {
        Finish::Stop => Some("stop"),
        Finish::Length => Some("length"),
        Finish::Other => None,
    }
}

/// Says what was asked and replied, as it may be shown.
pub(crate) fn content(span: &Span, exchange: &Exchange<'_>) {
    if span.is_disabled() {
        return;
    }
    let messages = shown::messages(exchange);
    let text = |content: &str| json!({"type": "text", "content": content});
    let of = |is_system: bool| {
        let all = messages.iter();
        all.filter(move |message| (message.role == Role::System) == is_system)
    };
    let system: Vec<Value> = of(true).map(|message| text(&message.content)).collect();
    let input: Vec<Value> = of(false)
        .map(|message| json!({"role": message.role, "parts": [text(&message.content)]}))
        .collect();
    span.record(
        "gen_ai.system_instructions",
        &*Value::from(system).to_string(),
    );
    span.record("gen_ai.input.messages", &*Value::from(input).to_string());
    if let Ok(reply) = exchange.reply {
        let shown = shown::reply(exchange, reply);
        let finish = reason(reply.finish).unwrap_or("unknown");
        let output = json!([{
            "role": "assistant", "parts": [text(&shown)], "finish_reason": finish,
        }]);
        span.record("gen_ai.output.messages", &*output.to_string());
    }
}
