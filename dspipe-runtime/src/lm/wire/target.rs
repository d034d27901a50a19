//! An endpoint, what it needs, and the sending of a request.

use std::time::Duration;

use reqwest::header::HeaderName;
use reqwest::{Client, Response};
use tokio::time::{Instant, timeout};

use super::failure::Said;
use super::frame::Frames;
use super::http::{self, Endpoint, Timeouts};
use super::params::Refuses;
use super::{Api, Call, stream};
use crate::Secret;
use crate::lm::provider::{KeyHeader, Provider, Structured};
use crate::lm::schema::Forms;
use crate::lm::{BoxStream, Chunk, LmError, LmName, Params, Reply, Request, TimeLimit, schema};

/// Characters of a server's message that an error shows.
const LONGEST_MESSAGE: usize = 400;

/// Where an answer has the id of its request: Anthropic's, `OpenAI`'s and that of servers like it, those of
/// Azure, and that of AWS.
static REQUEST_IDS: [HeaderName; 5] = [
    HeaderName::from_static("request-id"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("apim-request-id"),
    HeaderName::from_static("x-ms-request-id"),
    HeaderName::from_static("x-amzn-requestid"),
];

/// No reply of an LM is that long; a server that sends more is not one.
const MAX_BODY: usize = 64 * 1024 * 1024;

/// An endpoint and what it needs.
#[derive(Clone, Debug)]
pub(in crate::lm) struct Target {
    pub(super) api: Api,
    pub(super) endpoint: Endpoint,
    pub(super) stream_endpoint: Endpoint,
    pub(super) key: Option<Secret>,
    pub(super) key_variable: String,
    pub(super) structured: Structured,
    pub(super) timeouts: Timeouts,
    pub(super) refuses: Refuses,
    key_header: KeyHeader,
    forms: Forms,
    frames: Frames,
}

impl Target {
    pub(in crate::lm) fn new(provider: Provider, model: &str) -> Result<Self, LmError> {
        let api = provider.api;
        let endpoint = |stream| {
            Endpoint::below(&provider.base_url, |base_path| {
                api.path(base_path, model, stream)
            })
        };
        let (endpoint, mut stream_endpoint) = (endpoint(false)?, endpoint(true)?);
        if api == Api::GeminiGenerateContent {
            stream_endpoint
                .url
                .query_pairs_mut()
                .append_pair("alt", "sse");
        }
        Ok(Self {
            api,
            endpoint,
            stream_endpoint,
            key: provider.key,
            key_variable: provider.key_variable,
            structured: provider.structured,
            timeouts: Timeouts::default(),
            refuses: Refuses::of(api, model),
            key_header: provider.key_header,
            forms: Forms::default(),
            frames: Frames::default(),
        })
    }

    /// Asks once; and again at once, if the model turns out not to take a parameter.
    pub(in crate::lm) async fn complete(
        &self,
        client: &Client,
        lm: &LmName,
        request: &Request,
    ) -> Result<Reply, LmError> {
        let asked = async {
            let mut params = self.kept(lm, request);
            loop {
                let result = self.ask(client, lm, request, params).await;
                match self.fewer(lm, request, params, result.as_ref().err()) {
                    Some(fewer) => params = fewer,
                    None => return result,
                }
            }
        };
        let total = self.timeouts.total;
        match timeout(total, asked).await {
            Ok(result) => result,
            Err(_) => Err(self.timed_out(TimeLimit::Total, total)),
        }
    }

    /// Asks once; the caller sees to it that the whole does not take too long.
    async fn ask(
        &self,
        client: &Client,
        lm: &LmName,
        request: &Request,
        params: Params,
    ) -> Result<Reply, LmError> {
        let body = self.request(lm, request, params, false)?;
        let mut response = self.send(client, &self.endpoint, body, None).await?;
        let id = self.request_id(&response);
        let of_it = |error: LmError| error.with_request_id(id.as_deref());
        let body = self.body(&mut response, None).await.map_err(of_it)?;
        let reply = self.api.reply(self, &body).map_err(of_it)?;
        Ok(Reply {
            request_id: id.or(reply.request_id),
            ..reply
        })
    }

    /// The parameters of a request that the model is known to take.
    fn kept(&self, lm: &LmName, request: &Request) -> Params {
        self.refuses.kept(lm.model(), request.params)
    }

    /// The parameters to ask with once more, if the error is that the model does not take one.
    fn fewer(
        &self,
        lm: &LmName,
        request: &Request,
        params: Params,
        error: Option<&LmError>,
    ) -> Option<Params> {
        let Some(LmError::BadRequest { .. }) = error else {
            return None;
        };
        let count = |params: &Params| {
            usize::from(params.temperature.is_some()) + usize::from(params.seed.is_some())
        };
        Some(self.kept(lm, request)).filter(|fewer| count(fewer) < count(&params))
    }

    /// As [`complete`](Self::complete), for a reply in parts. What it needs, the stream keeps.
    pub(in crate::lm) fn stream(
        &self,
        client: &Client,
        lm: &LmName,
        request: &Request,
    ) -> BoxStream<'static, Result<Chunk, LmError>> {
        let params = self.kept(lm, request);
        let body = self.request(lm, request, params, true);
        let may_be_fewer = params.temperature.is_some() || params.seed.is_some();
        let again = may_be_fewer.then(|| {
            let (target, lm, request) = (self.clone(), lm.clone(), request.clone());
            let mut params = params;
            Box::new(move |error: &LmError| {
                params = target.fewer(&lm, &request, params, Some(error))?;
                Some(target.request(&lm, &request, params, true))
            }) as stream::Again
        });
        stream::chunks(self.clone(), client.clone(), body, again)
    }

    fn request(
        &self,
        lm: &LmName,
        request: &Request,
        params: Params,
        stream: bool,
    ) -> Result<Vec<u8>, LmError> {
        let body = |request: &Request| {
            self.api.body(&Call {
                lm,
                request,
                params,
                api: self.api,
                structured: self.structured,
                forms: &self.forms,
                stream,
            })
        };
        let write = |request: &Request| match (&request.schema, self.structured) {
            (Some(wanted), Structured::Words) => body(&Request {
                messages: schema::in_words(&request.messages, &wanted.json),
                schema: None,
                params: request.params,
            }),
            _ => body(request),
        };
        self.frames.body(request, params, stream, write)
    }

    /// Sends, and waits for the head of an answer that is a success.
    pub(super) async fn send(
        &self,
        client: &Client,
        endpoint: &Endpoint,
        body: Vec<u8>,
        started: Option<Instant>,
    ) -> Result<Response, LmError> {
        let key = self.key.as_ref();
        let headers = || self.api.headers(key, &self.key_variable, self.key_header);
        let request = endpoint.post(client, headers, body)?;
        let mut response = self
            .within(started, client.execute(request))
            .await?
            .map_err(|error| self.endpoint.failed(&error, self.timeouts.connect))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let header = |name: &str| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
        if let (true, Some(location)) = (status.is_redirection(), header("location")) {
            return Err(self.protocol(format!("it redirects to {}", self.shown(&location))));
        }
        let retry_after = http::retry_after(response.headers());
        let request_id = self.request_id(&response);
        let body = self.body(&mut response, started).await?;
        let mut said = Said::read(&body);
        said.retry_after = retry_after.or(said.retry_after);
        said.request_id = request_id.or(said.request_id);
        Err(self.failure(Some(status.as_u16()), &said))
    }

    /// What the provider calls the request, by the header that it has for it.
    pub(super) fn request_id(&self, response: &Response) -> Option<String> {
        let headers = response.headers();
        let mut found = REQUEST_IDS.iter().filter_map(|name| headers.get(name));
        let id = found.find_map(|id| id.to_str().ok().filter(|id| !id.trim().is_empty()))?;
        Some(self.shown(id))
    }

    /// The whole body, up to a limit.
    pub(super) async fn body(
        &self,
        response: &mut Response,
        started: Option<Instant>,
    ) -> Result<Vec<u8>, LmError> {
        let mut body = Vec::new();
        while let Some(chunk) = self
            .within(started, response.chunk())
            .await?
            .map_err(|error| self.endpoint.failed(&error, self.timeouts.connect))?
        {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(self.protocol(format!("its answer is longer than {MAX_BODY} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// Waits for the next part of an answer, for no longer than one part may take, nor the whole, which began
    /// then: `None` where the caller sees to the whole.
    pub(super) async fn within<T>(
        &self,
        started: Option<Instant>,
        part: impl Future<Output = T>,
    ) -> Result<T, LmError> {
        let Timeouts { read, total, .. } = self.timeouts;
        let left = started.map(|started| total.saturating_sub(started.elapsed()));
        let (wait, limit, after) = match left {
            Some(left) if left <= read => (left, TimeLimit::Total, total),
            // It would ring after the caller's.
            None if total <= read => return Ok(part.await),
            _ => (read, TimeLimit::Read, read),
        };
        timeout(wait, part)
            .await
            .map_err(|_| self.timed_out(limit, after))
    }

    fn timed_out(&self, limit: TimeLimit, after: Duration) -> LmError {
        LmError::Timeout {
            endpoint: self.endpoint.shown.clone(),
            limit,
            after,
        }
    }

    /// A text of the server's, fit for a message: short, on one line, without the key.
    pub(super) fn shown(&self, text: &str) -> String {
        let text = match &self.key {
            Some(key) => key.scrub(text),
            None => text.to_owned(),
        };
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if line.is_empty() {
            return "no message".to_owned();
        }
        match line.char_indices().nth(LONGEST_MESSAGE) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        }
    }

    pub(super) fn protocol(&self, reason: String) -> LmError {
        LmError::Protocol {
            endpoint: self.endpoint.shown.clone(),
            api: self.api.title(),
            reason,
            request_id: None,
        }
    }

    /// A reply that is not of its format.
    pub(super) fn unreadable(&self, error: &serde_json::Error) -> LmError {
        self.protocol(format!("its reply cannot be read: {error}"))
    }

    pub(super) fn refused(&self, words: &str) -> LmError {
        LmError::Refused {
            endpoint: self.endpoint.shown.clone(),
            message: self.shown(words),
            request_id: None,
        }
    }

    pub(super) fn filtered(&self, words: &str) -> LmError {
        LmError::ContentFilter {
            endpoint: self.endpoint.shown.clone(),
            message: self.shown(words),
            request_id: None,
        }
    }
}
