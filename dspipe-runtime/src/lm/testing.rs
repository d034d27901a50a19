//! An LM of the tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{BoxFuture, Finish, Lm, LmError, LmName, Message, Params, Reply, Request, Usage};

type Script = dyn Fn(usize) -> BoxFuture<'static, Result<Reply, LmError>> + Send + Sync;

/// Answers as a test tells it, which is told how many calls came before.
pub(super) struct Scripted {
    name: LmName,
    script: Box<Script>,
    asked: AtomicUsize,
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Scripted({})", self.name)
    }
}

impl Scripted {
    pub(super) fn new(
        script: impl Fn(usize) -> BoxFuture<'static, Result<Reply, LmError>> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::named("scripted/a-model", script)
    }

    pub(super) fn named(
        name: &str,
        script: impl Fn(usize) -> BoxFuture<'static, Result<Reply, LmError>> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            name: name.parse().unwrap(),
            script: Box::new(script),
            asked: AtomicUsize::new(0),
        })
    }

    /// At once.
    pub(super) fn always(
        result: impl Fn() -> Result<Reply, LmError> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::new(move |_| {
            let result = result();
            Box::pin(async move { result })
        })
    }

    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Lm for Scripted {
    fn name(&self) -> &LmName {
        &self.name
    }

    fn complete<'a>(&'a self, _: &'a Request) -> BoxFuture<'a, Result<Reply, LmError>> {
        Box::pin(async { (self.script)(self.asked.fetch_add(1, Ordering::SeqCst)).await })
    }
}

pub(super) fn reply(text: &str, input_tokens: u64, output_tokens: u64) -> Reply {
    Reply {
        text: text.to_owned(),
        finish: Finish::Stop,
        usage: Usage {
            input_tokens,
            output_tokens,
            ..Usage::default()
        },
        model: String::new(),
        lm: None,
        request_id: None,
    }
}

pub(super) fn request(text: &str, max_tokens: Option<u32>) -> Request {
    Request {
        messages: vec![Message::user(text)],
        schema: None,
        params: Params {
            max_tokens,
            ..Params::default()
        },
    }
}
