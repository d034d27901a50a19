//! Names for kinds of errors, to count them by.

use dspipe_runtime::{Error, LmError};

/// The class of an error: one word that does not change with the message.
pub fn error_class(error: &Error) -> &'static str {
    match error {
        Error::Lm { source, .. } => lm_class(source),
        Error::Reply { .. } => "unreadable_reply",
        Error::Input { .. } => "input",
        _ => "other",
    }
}

fn lm_class(error: &LmError) -> &'static str {
    match error {
        LmError::Name(_) | LmError::UnknownProvider { .. } => "unknown_lm",
        LmError::MissingKey { .. } => "missing_key",
        LmError::NotBuilt { .. } => "not_built",
        LmError::Setting { .. } => "setting",
        LmError::Auth { .. } => "auth",
        LmError::RateLimited { .. } => "rate_limited",
        LmError::QuotaExceeded { .. } => "quota_exceeded",
        LmError::Overloaded { .. } => "overloaded",
        LmError::ContextLength { .. } => "context_length",
        LmError::Refused { .. } => "refused",
        LmError::ContentFilter { .. } => "content_filter",
        LmError::BadRequest { .. } => "bad_request",
        LmError::Truncated { .. } => "truncated",
        LmError::Timeout { .. } => "timeout",
        LmError::Unreachable { .. } => "unreachable",
        LmError::Server { .. } => "server",
        LmError::Protocol { .. } => "protocol",
        // The embedded model, cassettes, and what is added later.
        _ => "lm",
    }
}
