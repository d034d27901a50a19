//! What a server's refusal means.

use std::time::Duration;

use serde_json::Value;

use super::target::Target;
use crate::lm::LmError;

/// Names for a prompt or a reply that was held back: `invalid_prompt` is one that OpenAI's usage policy
/// forbids.
const FILTERED: &[&str] = &[
    "content_filter",
    "content_policy_violation",
    "image_content_policy_violation",
    "invalid_prompt",
    "bio_policy",
    "misalignment_policy_violation",
    "ResponsibleAIPolicyViolation",
];

/// Names for an account that has nothing left; Anthropic's limits on spending come as 429.
const UNPAID: &[&str] = &[
    "insufficient_quota",
    "billing_not_active",
    "billing_hard_limit_reached",
    "billing_error",
    "contract_spend_limit_reached",
    "enforced_spend_limit_reached",
];

/// OpenAI's names for images that it cannot use, as in `invalid_image_url` and `image_too_large`.
fn is_bad_image(kind: &str) -> bool {
    kind.contains("_image") || kind.starts_with("image_")
}

/// What a server says of a failure. `error` is an object with a message, or a text; the rest varies.
pub(super) struct Said {
    pub(super) message: String,
    /// Its names for what happened: OpenAI's `code` and `type`, Anthropic's `type` and `error_code`, Google's
    /// `status` and the `reason` in its details, Azure's inner `code`.
    kinds: Vec<String>,
    /// What of the request it is about, at OpenAI.
    param: Option<String>,
    /// `OpenRouter` says so of prompts that a moderator holds back.
    is_moderated: bool,
    /// Google says so of quotas that are full until the next day.
    is_daily: bool,
    /// The status that it gives in the body.
    status: Option<u16>,
    pub(super) retry_after: Option<Duration>,
    pub(super) request_id: Option<String>,
}

impl Said {
    pub(super) fn read(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        match serde_json::from_str::<Value>(&text) {
            Ok(value) => Self::of(&value, &text),
            Err(_) => Self {
                message: text.into_owned(),
                kinds: Vec::new(),
                param: None,
                is_moderated: false,
                is_daily: false,
                status: None,
                retry_after: None,
                request_id: None,
            },
        }
    }

    /// `text` is the whole, shown if no message is found.
    pub(super) fn of(value: &Value, text: &str) -> Self {
        // Google's OpenAI-compatible endpoint wraps the object in a list.
        let value = value.get(0).unwrap_or(value);
        let error = value.get("error").unwrap_or(value);
        let message = [error.get("message"), Some(error), value.get("message")]
            .into_iter()
            .flatten()
            .find_map(Value::as_str)
            .map_or_else(|| text.to_owned(), str::to_owned);
        let details = error.get("details").and_then(Value::as_array);
        let details = || details.into_iter().flatten();
        let reasons = details().filter_map(|detail| detail.get("reason"));
        let inner = ["/details/error_code", "/innererror/code"];
        let kinds = ["code", "type", "status"]
            .iter()
            .filter_map(|key| error.get(key))
            .chain(inner.iter().filter_map(|path| error.pointer(path)))
            .chain(reasons)
            .filter_map(|kind| kind.as_str().map(str::to_owned))
            .collect();
        let violations = details().filter_map(|detail| detail.get("violations")?.as_array());
        let mut quotas = violations
            .flatten()
            .filter_map(|violation| violation.get("quotaId")?.as_str());
        let status = error.get("code").and_then(Value::as_u64);
        Self {
            message,
            kinds,
            param: error
                .get("param")
                .and_then(Value::as_str)
                .map(str::to_owned),
            is_moderated: error.pointer("/metadata/flagged_input").is_some(),
            is_daily: quotas.any(|quota| quota.contains("PerDay")),
            status: status.and_then(|code| u16::try_from(code).ok()),
            retry_after: details()
                .find_map(|detail| detail.get("retryDelay")?.as_str())
                .and_then(|delay| delay.strip_suffix('s')?.parse().ok())
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
            request_id: value
                .get("request_id")
                .and_then(Value::as_str)
                .map(str::to_owned),
        }
    }

    fn is(&self, kinds: &[&str]) -> bool {
        self.kinds.iter().any(|found| kinds.contains(&&**found))
    }

    /// The HTTP status that the failure would have, had it come before the reply began.
    fn own_status(&self) -> u16 {
        if let Some(status @ 400..=599) = self.status {
            return status;
        }
        let status = |kind: &String| {
            Some(match &**kind {
                "invalid_request_error" | "INVALID_ARGUMENT" | "context_length_exceeded" => 400,
                kind if FILTERED.contains(&kind) || is_bad_image(kind) => 400,
                "authentication_error" | "invalid_api_key" | "UNAUTHENTICATED" => 401,
                kind if UNPAID.contains(&kind) => 402,
                "permission_error" | "PERMISSION_DENIED" => 403,
                "not_found_error" | "NOT_FOUND" => 404,
                "request_too_large" => 413,
                "conflict_error" => 409,
                "rate_limit_error" | "rate_limit_exceeded" | "RESOURCE_EXHAUSTED" => 429,
                "server_is_overloaded" | "slow_down" | "UNAVAILABLE" => 503,
                "timeout_error" | "DEADLINE_EXCEEDED" => 504,
                "overloaded_error" => 529,
                _ => return None,
            })
        };
        self.kinds.iter().find_map(status).unwrap_or(500)
    }

    /// Whether it says that the model does not take this parameter, or this value of it.
    pub(super) fn refuses(&self, param: &str) -> bool {
        let says = |words: &str| self.message.contains(words);
        let is_about = match &self.param {
            Some(about) => about == param,
            // Anthropic has only words for it.
            None => says(&format!("`{param}`")) || says(&format!("'{param}'")),
        };
        is_about
            && (self.is(&["unsupported_parameter", "unsupported_value"])
                || says("deprecated for this model")
                || says("not support"))
    }

    fn is_filtered(&self) -> bool {
        // Anthropic has only words for it.
        self.is(FILTERED) || self.message.contains("content filtering policy")
    }

    /// Whether there is nothing left for this account until somebody pays, or a new day or month begins.
    fn is_unpaid(&self, status: u16) -> bool {
        self.is(UNPAID)
            || self.is_daily
            // Anthropic has only words for it.
            || status == 400
                && ["credit balance is too low", "reached your specified API usage limits"]
                    .iter()
                    .any(|words| self.message.contains(words))
    }

    fn is_context(&self, status: u16) -> bool {
        if status == 413 || self.is(&["context_length_exceeded", "exceed_context_size_error"]) {
            return true;
        }
        // Anthropic, Google and vLLM have no name for it, only these words.
        let has = |words: &str| self.message.contains(words);
        status == 400
            && (has("prompt is too long")
                || has("exceed context limit")
                || has("maximum context length")
                || (has("input token count") && has("exceeds the maximum")))
    }
}

impl Target {
    /// What an answer that is not a success means. `status` is that of the answer, `None` if the failure
    /// came in place of a reply, or in the middle of it.
    pub(super) fn failure(&self, status: Option<u16>, said: &Said) -> LmError {
        let status = status.unwrap_or_else(|| said.own_status());
        let message = self.shown(&said.message);
        let request_id = said.request_id.as_deref().map(|id| self.shown(id));
        self.refusal(status, message, said)
            .with_request_id(request_id.as_deref())
    }

    fn refusal(&self, status: u16, message: String, said: &Said) -> LmError {
        let endpoint = self.endpoint.shown.clone();
        let retry_after = said.retry_after;
        if matches!(status, 400 | 422) {
            self.refuses.learn(said);
        }
        match status {
            _ if said.is_moderated => LmError::ContentFilter {
                endpoint,
                message,
                request_id: None,
            },
            401 | 403 => self.bad_key(status, message),
            // Google's answer to a key that is none.
            400 if said.is(&["API_KEY_INVALID"]) => self.bad_key(status, message),
            status if status == 402 || said.is_unpaid(status) => LmError::QuotaExceeded {
                endpoint,
                message,
                request_id: None,
            },
            429 => LmError::RateLimited {
                endpoint,
                message,
                retry_after,
                request_id: None,
            },
            // 498 is Groq's.
            498 | 503 | 529 => LmError::Overloaded {
                endpoint,
                status,
                message,
                retry_after,
                request_id: None,
            },
            // 408 and 409, a lock that was not free, pass as well.
            500..=599 | 408 | 409 => LmError::Server {
                endpoint,
                status,
                message,
                request_id: None,
            },
            _ if said.is_filtered() => LmError::ContentFilter {
                endpoint,
                message,
                request_id: None,
            },
            _ if said.is_context(status) => LmError::ContextLength {
                endpoint,
                message,
                request_id: None,
            },
            _ => LmError::BadRequest {
                endpoint,
                status,
                message,
                request_id: None,
            },
        }
    }

    fn bad_key(&self, status: u16, message: String) -> LmError {
        LmError::Auth {
            endpoint: self.endpoint.shown.clone(),
            status,
            message,
            variable: self.key_variable.clone(),
            request_id: None,
        }
    }

    /// The failure in a body that came with a status of success, if it is one: some gateways report those
    /// of the server behind them so.
    pub(super) fn failure_in(&self, body: &[u8]) -> Option<LmError> {
        let value: Value = serde_json::from_slice(body).ok()?;
        value.get("error").filter(|error| !error.is_null())?;
        Some(self.failure_said(&value))
    }

    /// A failure that came in place of a reply, or in the middle of it.
    pub(super) fn failure_said(&self, error: &Value) -> LmError {
        let mut said = Said::of(error, &error.to_string());
        // Without any hint the server behind the gateway is at fault.
        if said.status.is_none() && said.kinds.is_empty() {
            said.status = Some(502);
        }
        self.failure(None, &said)
    }

    /// A failure behind the server of which it says no more.
    pub(super) fn failed_upstream(&self, message: String) -> LmError {
        LmError::Server {
            endpoint: self.endpoint.shown.clone(),
            status: 502,
            message,
            request_id: None,
        }
    }
}
