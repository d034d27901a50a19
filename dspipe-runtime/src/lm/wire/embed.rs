//! Texts as vectors, by an endpoint as OpenAI has it.

use reqwest::Client;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::Target;
use super::http::{self, Endpoint};
use crate::Secret;
use crate::lm::provider::{KeyHeader, Provider, Structured};
use crate::lm::{Api, LmError, LmName, Retry, ServerDef};

/// Texts in one request.
const BATCH: usize = 64;

/// A model that makes vectors of texts, behind an endpoint `embeddings` as OpenAI, Ollama, llama.cpp and vLLM have it.
#[derive(Debug)]
pub struct Embedder {
    name: LmName,
    client: Client,
    target: Target,
    retry: Retry,
}

#[derive(Serialize)]
struct Asked<'a> {
    model: &'a str,
    input: &'a [&'a str],
    encoding_format: &'static str,
}

#[derive(Deserialize)]
struct Answered {
    data: Vec<Embedding>,
}

#[derive(Deserialize)]
struct Embedding {
    index: usize,
    embedding: Vec<f32>,
}

impl Embedder {
    /// A model of a provider whose URL and key are those of its LMs, as in `ollama/nomic-embed-text`.
    ///
    /// # Errors
    /// [`LmError`] if the provider is not known, needs a key, or has no such endpoint.
    pub fn from_env(name: LmName) -> Result<Self, LmError> {
        let variable = |variable: &str| std::env::var(variable).ok();
        let provider = Provider::of(&name, &ServerDef::NONE, variable)?;
        Self::of(name, provider)
    }

    /// A model below this URL, as in `https://api.openai.com/v1`.
    ///
    /// # Errors
    /// [`LmError::Setting`] if the URL is none, or if the system's certificates cannot be used.
    pub fn new(name: LmName, base_url: &str, key: Option<Secret>) -> Result<Self, LmError> {
        let provider = Provider {
            api: Api::OpenAiChat,
            base_url: base_url.to_owned(),
            key,
            key_variable: "the key".to_owned(),
            key_header: KeyHeader::OfApi,
            structured: Structured::Schema,
        };
        Self::of(name, provider)
    }

    fn of(name: LmName, provider: Provider) -> Result<Self, LmError> {
        if !matches!(provider.api, Api::OpenAiChat | Api::OpenAiResponses) {
            return Err(LmError::Setting {
                variable: format!("the embedder `{name}`"),
                reason: format!(
                    "{} has no embeddings of OpenAI's form; openai, ollama, llamacpp and vllm have",
                    name.provider()
                ),
            });
        }
        let endpoint = Endpoint::below(&provider.base_url, |_| "embeddings".to_owned())?;
        let mut target = Target::new(provider, name.model())?;
        target.endpoint = endpoint;
        Ok(Self {
            name,
            client: http::client(http::CONNECT_TIMEOUT)?,
            target,
            retry: Retry::default(),
        })
    }

    /// Asks again when and as often as this says, in place of [`Retry::default`].
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// The model.
    pub fn name(&self) -> &LmName {
        &self.name
    }

    /// A vector for each text, in their order.
    ///
    /// # Errors
    /// [`LmError`] tells why there are none; what passes by itself has been tried again.
    pub async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, LmError> {
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in texts.chunks(BATCH) {
            vectors.extend(self.batch(batch).await?);
        }
        Ok(vectors)
    }

    async fn batch(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, LmError> {
        let started = Instant::now();
        let mut attempt = 1;
        loop {
            let error = match self.once(texts).await {
                Ok(vectors) => return Ok(vectors),
                Err(error) => error,
            };
            let pause = self.retry.pause(attempt, fastrand::f64());
            let pause = pause.max(error.retry_after().unwrap_or_default());
            let is_late = started.elapsed().saturating_add(pause) > self.retry.deadline;
            if attempt >= self.retry.attempts || !error.is_transient() || is_late {
                return Err(error);
            }
            sleep(pause).await;
            attempt += 1;
        }
    }

    async fn once(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, LmError> {
        let asked = Asked {
            model: self.name.model(),
            input: texts,
            encoding_format: "float",
        };
        let body = serde_json::to_vec(&asked).map_err(|error| self.target.unreadable(&error))?;
        let (target, started) = (&self.target, Some(Instant::now()));
        let sent = target.send(&self.client, &target.endpoint, body, started);
        let mut response = sent.await?;
        let body = target.body(&mut response, started).await?;
        let answered: Answered =
            serde_json::from_slice(&body).map_err(|error| target.unreadable(&error))?;
        let mut vectors = vec![Vec::new(); texts.len()];
        let count = answered.data.len();
        for one in answered.data {
            if let Some(vector) = vectors.get_mut(one.index) {
                *vector = one.embedding;
            }
        }
        if count != texts.len() || vectors.iter().any(Vec::is_empty) {
            return Err(target.protocol(format!(
                "it gave {count} vectors for {} texts, or some of them are empty",
                texts.len()
            )));
        }
        Ok(vectors)
    }
}
