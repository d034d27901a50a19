//! HTTP clients and what can go wrong below the API.

use std::error::Error as _;
use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, Response, Url, redirect};

use super::LmError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// From the request to the end of the reply, unless the LM has a limit of its own.
pub(super) const TIMEOUT: Duration = Duration::from_secs(300);

/// No reply of an LM is that long; a server that sends more is not one.
const MAX_BODY: usize = 64 * 1024 * 1024;

/// A client for endpoints anywhere. Proxies are those of the environment.
pub(super) fn client() -> Result<Client, LmError> {
    install_tls();
    build(builder())
}

/// A client for a server on this machine: no proxy, and no certificates of the system's.
#[cfg(feature = "local")]
pub(super) fn loopback_client() -> Result<Client, LmError> {
    install_tls();
    build(builder().no_proxy().tls_certs_only([]))
}

fn builder() -> ClientBuilder {
    Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        // A redirected POST would become a GET.
        .redirect(redirect::Policy::none())
        .user_agent(concat!("dspipe/", env!("CARGO_PKG_VERSION")))
}

fn build(builder: ClientBuilder) -> Result<Client, LmError> {
    builder.build().map_err(|error| LmError::Setting {
        variable: "the TLS or proxy setup".to_owned(),
        reason: innermost(&error),
    })
}

/// Gives rustls its cryptography, unless the program has chosen one.
fn install_tls() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Another thread may have been faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

/// Where requests go, and how messages name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) url: Url,
    /// Without user, password and query.
    pub(super) shown: String,
}

impl Endpoint {
    /// `path` below a base URL.
    pub(super) fn below(base_url: &str, path: &str) -> Result<Self, LmError> {
        let mut url = Url::parse(base_url).map_err(|error| LmError::Setting {
            variable: "the base URL".to_owned(),
            reason: error.to_string(),
        })?;
        let below = format!("{}/{path}", url.path().trim_end_matches('/'));
        url.set_path(&below);
        let mut shown = url.clone();
        shown.set_query(None);
        shown.set_fragment(None);
        // Only URLs without a host cannot have them, and those have none to hide.
        let _ = shown.set_username("");
        let _ = shown.set_password(None);
        Ok(Self {
            shown: shown.to_string(),
            url,
        })
    }

    /// An error of the transport.
    pub(super) fn failed(&self, error: &reqwest::Error, after: Duration) -> LmError {
        let endpoint = self.shown.clone();
        if error.is_timeout() && !error.is_connect() {
            LmError::Timeout { endpoint, after }
        } else {
            LmError::Unreachable {
                endpoint,
                reason: innermost(error),
            }
        }
    }

    /// The whole body, up to a limit.
    pub(super) async fn body(
        &self,
        mut response: Response,
        timeout: Duration,
    ) -> Result<Vec<u8>, LmError> {
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| self.failed(&error, timeout))?
        {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(LmError::Protocol {
                    endpoint: self.shown.clone(),
                    reason: format!("its answer is longer than {MAX_BODY} bytes"),
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// The cause at the bottom, which says what happened. The outer ones may show the URL.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = match error.source() {
        Some(cause) => cause,
        None if error.is_timeout() => return "no connection in time".to_owned(),
        None => return "the connection failed".to_owned(),
    };
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// How long a server asks to wait: seconds, or a date.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = httpdate::parse_http_date(value).ok()?;
    // A date that is past asks for no pause.
    Some(
        date.duration_since(SystemTime::now())
            .unwrap_or(Duration::ZERO),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_has_two_forms() {
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        assert_eq!(read("0.5"), Some(Duration::from_millis(500)));
        assert_eq!(read("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3600));
        let pause = read(&soon).unwrap();
        assert!((3500..=3600).contains(&pause.as_secs()), "{pause:?}");
        for wrong in ["soon", "-1", "nan", "1e999"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }

    #[test]
    fn messages_name_the_endpoint_without_its_secrets() {
        let endpoint =
            Endpoint::below("https://me:pass@host:8443/v1/?key=abc", "chat/completions").unwrap();
        assert_eq!(endpoint.shown, "https://host:8443/v1/chat/completions");
        assert_eq!(
            endpoint.url.as_str(),
            "https://me:pass@host:8443/v1/chat/completions?key=abc"
        );
    }
}
