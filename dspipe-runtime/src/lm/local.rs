//! The embedded model as an LM.

use futures_util::{TryStreamExt, stream};
use reqwest::Client;

use super::provider::{KeyHeader, Provider, Structured};
use super::wire::{Target, http};
use super::{
    Api, BoxFuture, BoxStream, Chunk, Lm, LmError, LmName, OutputSchema, Reply, Request, schema,
};
use crate::local::{self, Endpoint, Model, Supervisor};

/// The longest reply where the step sets no limit. The schema usually ends it earlier.
const MAX_TOKENS: u32 = 2048;

/// With it, the same request mostly gives the same reply: what the server keeps of earlier prompts changes
/// how its sums are rounded, and with that now and then a word.
const SEED: u64 = 1;

/// A model that dspipe sets up and serves by itself. The first call on a machine sets it up, visibly.
#[derive(Debug)]
pub struct LocalLm {
    name: LmName,
    model: Model,
    client: Client,
    supervisor: Option<Supervisor>,
}

impl LocalLm {
    /// The model of this name, `local/…`, on the server that this process shares with others.
    ///
    /// # Errors
    /// [`LmError::Local`] if there is no such model.
    pub fn new(name: LmName) -> Result<Self, LmError> {
        Ok(Self {
            model: name.model().parse()?,
            client: http::loopback_client()?,
            name,
            supervisor: None,
        })
    }

    /// On servers of a supervisor of the caller's.
    #[must_use]
    pub fn with_supervisor(mut self, supervisor: Supervisor) -> Self {
        self.supervisor = Some(supervisor);
        self
    }

    async fn ask(&self, request: &Request) -> Result<Reply, LmError> {
        let target = self.target().await?;
        target
            .complete(&self.client, &self.name, &fit(request)?)
            .await
    }

    async fn open(
        &self,
        request: &Request,
    ) -> Result<BoxStream<'static, Result<Chunk, LmError>>, LmError> {
        let target = self.target().await?;
        Ok(target.stream(&self.client, &self.name, &fit(request)?))
    }

    async fn target(&self) -> Result<Target, LmError> {
        let Endpoint { base_url, token } = match &self.supervisor {
            Some(supervisor) => supervisor.endpoint(self.model).await?,
            None => local::endpoint(self.model).await?,
        };
        let provider = Provider {
            api: Api::OpenAiChat,
            base_url,
            key: Some(token),
            key_variable: "the server's token".to_owned(),
            key_header: KeyHeader::OfApi,
            structured: Structured::Schema,
        };
        Target::new(provider, self.name.model())
    }
}

/// The request as a very small model can take it.
fn fit(request: &Request) -> Result<Request, LmError> {
    let mut fitted = request.clone();
    if let Some(OutputSchema { json, .. }) = &mut fitted.schema {
        *json = schema::bounded(&schema::parse(json)?).to_string().into();
    }
    let params = &mut fitted.params;
    params.max_tokens = params.max_tokens.or(Some(MAX_TOKENS));
    params.temperature = params.temperature.or(Some(0.0));
    params.seed = params.seed.or(Some(SEED));
    Ok(fitted)
}

impl Lm for LocalLm {
    fn name(&self) -> &LmName {
        &self.name
    }

    fn complete<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Reply, LmError>> {
        Box::pin(self.ask(request))
    }

    fn stream<'a>(&'a self, request: &'a Request) -> BoxStream<'a, Result<Chunk, LmError>> {
        Box::pin(stream::once(self.open(request)).try_flatten())
    }
}
