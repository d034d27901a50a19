//! LMs as a workflow file describes them.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;

use super::{
    Api, BoxFuture, BoxStream, Chunk, Limits, Lm, LmError, LmName, Params, Price, Reply, Request,
};

/// An LM as a step asks it: an entry of `lms` in the workflow file, with the parameters of the step.
///
/// The environment and the program have the last word on what it says of the server, not on the parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LmDef {
    /// Its name under `lms`; empty for one that is not there.
    pub alias: &'static str,
    /// `provider/model`.
    pub lm: &'static str,
    /// How it is reached.
    pub server: ServerDef,
    /// The sampling temperature.
    pub temperature: Option<f64>,
    /// The longest reply, in tokens.
    pub max_tokens: Option<u32>,
    /// The seed of the sampler.
    pub seed: Option<u64>,
    /// What it costs, unless the program or the environment says it.
    pub price: Option<Price>,
}

impl LmDef {
    /// An LM of which nothing but the name, `provider/model`, is said.
    pub const fn of(lm: &'static str) -> Self {
        Self {
            alias: "",
            lm,
            server: ServerDef::NONE,
            temperature: None,
            max_tokens: None,
            seed: None,
            price: None,
        }
    }

    /// How it is to sample.
    pub fn params(&self) -> Params {
        Params {
            temperature: self.temperature,
            max_tokens: self.max_tokens,
            seed: self.seed,
            repetition: 0,
        }
    }
}

/// How the server of an LM is reached. `None` leaves it to what is known of the provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ServerDef {
    /// As in `https://api.openai.com/v1`.
    pub base_url: Option<&'static str>,
    /// The wire format.
    pub api: Option<Api>,
    /// The environment variable that holds the key.
    pub api_key_env: Option<&'static str>,
    /// As `connect` of [`Timeouts`](super::Timeouts).
    pub connect_timeout: Option<Duration>,
    /// As `read` of [`Timeouts`](super::Timeouts).
    pub read_timeout: Option<Duration>,
    /// As `total` of [`Timeouts`](super::Timeouts).
    pub timeout: Option<Duration>,
    /// What the process asks of it, besides the limits of its provider.
    pub limits: Limits,
}

impl ServerDef {
    /// Nothing is said.
    pub const NONE: Self = Self {
        base_url: None,
        api: None,
        api_key_env: None,
        connect_timeout: None,
        read_timeout: None,
        timeout: None,
        limits: Limits {
            concurrency: None,
            requests_per_minute: None,
            tokens_per_minute: None,
        },
    };
}

/// An LM with parameters of its own, whatever the request has.
#[derive(Debug)]
pub(super) struct WithParams {
    pub(super) lm: Arc<dyn Lm>,
    pub(super) params: Params,
}

impl WithParams {
    fn changed(&self, request: &Request) -> Request {
        Request {
            params: Params {
                repetition: request.params.repetition,
                ..self.params
            },
            ..request.clone()
        }
    }
}

impl Lm for WithParams {
    fn name(&self) -> &LmName {
        self.lm.name()
    }

    fn complete<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Reply, LmError>> {
        Box::pin(async move { self.lm.complete(&self.changed(request)).await })
    }

    fn stream<'a>(&'a self, request: &'a Request) -> BoxStream<'a, Result<Chunk, LmError>> {
        // The stream borrows the changed request, so a future owns both, and hands on the chunks.
        let (send, mut receive) = mpsc::channel(1);
        let asking = async move {
            let request = self.changed(request);
            let mut chunks = self.lm.stream(&request);
            while let Some(chunk) = chunks.next().await {
                if send.send(chunk).await.is_err() {
                    break;
                }
            }
        };
        let received = stream::poll_fn(move |context| receive.poll_recv(context));
        let asked = stream::once(asking).filter_map(|()| ready(None));
        Box::pin(stream::select(received, asked))
    }
}
