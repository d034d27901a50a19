//! HTTP clients and what can go wrong below the API.

use std::error::Error as _;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, Method, Request, Url, redirect, retry};

use crate::lm::{LmError, TimeLimit};

pub(in crate::lm) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an LM is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Duration,
    /// For the next bytes, the first ones included.
    pub read: Duration,
    /// From the request to the end of the reply, of a stream to its last chunk.
    pub total: Duration,
}

impl Default for Timeouts {
    /// Ten seconds for a connection, five minutes for the reply, also where nothing comes all that time:
    /// models think long.
    fn default() -> Self {
        Self {
            connect: CONNECT_TIMEOUT,
            read: Duration::from_secs(300),
            total: Duration::from_secs(300),
        }
    }
}

/// A client for endpoints anywhere. Proxies are those of the environment.
pub(in crate::lm) fn client(connect_timeout: Duration) -> Result<Client, LmError> {
    install_tls();
    build(builder().connect_timeout(connect_timeout))
}

/// A client for a server on this machine: no proxy, and no certificates of the system's.
#[cfg(feature = "local")]
pub(in crate::lm) fn loopback_client() -> Result<Client, LmError> {
    install_tls();
    let builder = builder().connect_timeout(CONNECT_TIMEOUT);
    build(builder.no_proxy().tls_certs_only([]))
}

fn builder() -> ClientBuilder {
    Client::builder()
        // A redirected POST would become a GET.
        .redirect(redirect::Policy::none())
        // What is asked again is for `Retry` to say; reqwest would copy each request for its own.
        .retry(retry::never().max_retries_per_request(0))
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

/// Headers by name.
pub(super) type Headers = Vec<(&'static str, HeaderValue)>;

/// Where requests go, and how messages name it.
#[derive(Clone)]
pub(super) struct Endpoint {
    pub(super) url: Url,
    /// Without user, password and query.
    pub(super) shown: String,
    /// What all requests have in common, once the first one was made.
    common: Arc<OnceLock<Request>>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(&self.shown).finish()
    }
}

impl Endpoint {
    /// A path below a base URL; `path` is told that of the base.
    pub(super) fn below(base_url: &str, path: impl Fn(&str) -> String) -> Result<Self, LmError> {
        let mut url = Url::parse(base_url).map_err(|error| LmError::Setting {
            variable: "the base URL".to_owned(),
            reason: error.to_string(),
        })?;
        let base_path = url.path().trim_end_matches('/');
        let below = format!("{base_path}/{}", path(base_path));
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
            common: Arc::default(),
        })
    }

    /// A request with this body and these headers, which are the same for each.
    pub(super) fn post(
        &self,
        client: &Client,
        headers: impl FnOnce() -> Result<Headers, LmError>,
        body: Vec<u8>,
    ) -> Result<Request, LmError> {
        let common = match self.common.get() {
            Some(common) => common,
            None => {
                let post = client
                    .post(self.url.clone())
                    .header("content-type", "application/json");
                let post = headers()?
                    .into_iter()
                    .fold(post, |post, (name, value)| post.header(name, value));
                let common = post.build().map_err(|error| LmError::Unreachable {
                    endpoint: self.shown.clone(),
                    reason: innermost(&error),
                    connected: false,
                })?;
                self.common.get_or_init(|| common)
            }
        };
        let mut request = Request::new(Method::POST, common.url().clone());
        request.headers_mut().clone_from(common.headers());
        *request.body_mut() = Some(body.into());
        Ok(request)
    }

    /// An error of the transport. It gives up on a connection after `connect`.
    pub(super) fn failed(&self, error: &reqwest::Error, connect: Duration) -> LmError {
        let endpoint = self.shown.clone();
        if error.is_timeout() {
            LmError::Timeout {
                endpoint,
                limit: TimeLimit::Connect,
                after: connect,
            }
        } else {
            LmError::Unreachable {
                endpoint,
                reason: innermost(error),
                connected: !error.is_connect(),
            }
        }
    }
}

/// The cause at the bottom, which says what happened. The outer ones may show the URL.
pub(super) fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = match error.source() {
        Some(cause) => cause,
        None => return "the connection failed".to_owned(),
    };
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// How long a server asks to wait: seconds, or a date. OpenAI says it in milliseconds too.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let millis = headers.get("retry-after-ms");
    if let Some(millis) = millis.and_then(|value| value.to_str().ok()?.trim().parse::<f64>().ok()) {
        return Duration::try_from_secs_f64(millis / 1000.0).ok();
    }
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
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, "2".parse().unwrap());
        headers.insert("retry-after-ms", "1500".parse().unwrap());
        assert_eq!(retry_after(&headers), Some(Duration::from_millis(1500)));
    }

    #[test]
    fn messages_name_the_endpoint_without_its_secrets() {
        let endpoint = Endpoint::below("https://me:pass@host:8443/v1/?key=abc", |base_path| {
            assert_eq!(base_path, "/v1");
            "chat/completions".to_owned()
        })
        .unwrap();
        assert_eq!(endpoint.shown, "https://host:8443/v1/chat/completions");
        assert_eq!(
            format!("{endpoint:?}"),
            format!("Endpoint({:?})", endpoint.shown)
        );
        assert_eq!(
            endpoint.url.as_str(),
            "https://me:pass@host:8443/v1/chat/completions?key=abc"
        );
    }
}
