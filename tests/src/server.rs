//! An HTTP server that answers as a test tells it, byte by byte.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dspipe_runtime::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// The first line.
    pub line: String,
    /// The headers, their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body, if it is JSON.
    pub body: Value,
}

impl Received {
    /// The name of the schema in the request: the step that asks.
    pub fn step(&self) -> &str {
        self.body["response_format"]["json_schema"]["name"]
            .as_str()
            .unwrap_or_default()
    }

    /// The text of the last message.
    pub fn last_message(&self) -> &str {
        self.body["messages"]
            .as_array()
            .and_then(|messages| messages.last()?["content"].as_str())
            .unwrap_or_default()
    }
}

/// What the server does with a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Answers with this status, these further headers and this body.
    Http(u16, Vec<(&'static str, String)>, String),
    /// The same, one byte at a time.
    Slowly(u16, String),
    /// Sends these bytes and closes the connection.
    Raw(String),
    /// The same with bytes that need not be text.
    Bytes(Vec<u8>),
    /// The same after a while.
    Late(Duration, String),
    /// The same, a few bytes at a time.
    Trickle(String),
    /// Sends these bytes, then says nothing until the client goes away, as with [`Silence`](Self::Silence).
    Stall(String),
    /// Says nothing until the client goes away, which counts as [gone](Server::gone).
    Silence,
}

impl Answer {
    /// A reply of the chat API with this text.
    pub fn reply(text: &str) -> Self {
        Self::finished(text, "stop")
    }

    /// A reply of the chat API that ends for this reason.
    pub fn finished(text: &str, finish_reason: &str) -> Self {
        let text = Value::from(text);
        Self::Http(
            200,
            Vec::new(),
            format!(
                r#"{{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"a-model","choices":[{{"index":0,"message":{{"role":"assistant","content":{text},"refusal":null}},"finish_reason":"{finish_reason}"}}],"usage":{{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18}}}}"#
            ),
        )
    }

    /// A stream of events that ends with its connection.
    pub fn events(events: &str) -> Self {
        Self::Raw(format!("{EVENTS}{events}"))
    }

    /// A stream of events that does not end.
    pub fn unended(events: &str) -> Self {
        Self::Stall(format!("{EVENTS}{events}"))
    }

    /// A failure with this body.
    pub fn failure(status: u16, body: &str) -> Self {
        Self::Http(status, Vec::new(), body.to_owned())
    }
}

const EVENTS: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

type Script = dyn Fn(usize, &Received) -> Answer + Send + Sync;

/// A running server. It stops with the test's runtime.
#[derive(Clone)]
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    script: Box<Script>,
    received: Mutex<Vec<Received>>,
    /// Requests that are not answered yet, and the most there were of them.
    open: AtomicUsize,
    most: AtomicUsize,
    /// Connections that neither side has closed.
    connections: AtomicUsize,
    arrived: Notify,
    gone: Notify,
}

impl Server {
    /// Starts a server that asks `script` for each answer; it is told how many requests came before.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn start(
        script: impl Fn(usize, &Received) -> Answer + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let server = Self {
            address: listener.local_addr()?,
            shared: Arc::new(Shared {
                script: Box::new(script),
                received: Mutex::default(),
                open: AtomicUsize::new(0),
                most: AtomicUsize::new(0),
                connections: AtomicUsize::new(0),
                arrived: Notify::new(),
                gone: Notify::new(),
            }),
        };
        let shared = Arc::clone(&server.shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                // A client that breaks off is part of the tests.
                tokio::spawn(async move { serve(stream, &shared).await.ok() });
            }
        });
        Ok(server)
    }

    /// The base URL.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// All requests so far.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received().clone()
    }

    /// The most requests that were answered at the same time.
    pub fn most_at_once(&self) -> usize {
        self.shared.most.load(Ordering::SeqCst)
    }

    /// Connections that are open now.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Waits until so many requests have come.
    pub async fn arrived(&self, count: usize) {
        loop {
            let arrived = self.shared.arrived.notified();
            if self.shared.received().len() >= count {
                return;
            }
            arrived.await;
        }
    }

    /// Waits until a client has left a connection on which the server was silent.
    pub async fn gone(&self) {
        self.shared.gone.notified().await;
    }
}

impl Shared {
    fn received(&self) -> std::sync::MutexGuard<'_, Vec<Received>> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is open.
struct Connected<'a>(&'a Shared);

impl<'a> Connected<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.connections.fetch_add(1, Ordering::SeqCst);
        Self(shared)
    }
}

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A request that is being answered.
struct Open<'a>(&'a Shared);

impl<'a> Open<'a> {
    fn new(shared: &'a Shared) -> Self {
        let open = shared.open.fetch_add(1, Ordering::SeqCst) + 1;
        shared.most.fetch_max(open, Ordering::SeqCst);
        Self(shared)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let _connected = Connected::new(shared);
    let mut stream = BufReader::new(stream);
    while let Some(request) = receive(&mut stream).await? {
        let index = {
            let mut received = shared.received();
            received.push(request.clone());
            received.len() - 1
        };
        let _open = Open::new(shared);
        let answer = (shared.script)(index, &request);
        shared.arrived.notify_one();
        match answer {
            Answer::Http(status, headers, body) => {
                let head = head(status, &headers, &body);
                stream.write_all(format!("{head}{body}").as_bytes()).await?;
            }
            Answer::Slowly(status, body) => {
                for byte in format!("{}{body}", head(status, &[], &body)).bytes() {
                    stream.write_all(&[byte]).await?;
                    stream.flush().await?;
                    tokio::task::yield_now().await;
                }
            }
            Answer::Raw(bytes) => return say(&mut stream, bytes.as_bytes()).await,
            Answer::Bytes(bytes) => return say(&mut stream, &bytes).await,
            Answer::Late(pause, bytes) => {
                tokio::time::sleep(pause).await;
                return say(&mut stream, bytes.as_bytes()).await;
            }
            Answer::Trickle(bytes) => {
                for part in bytes.as_bytes().chunks(7) {
                    // Not after the last part: then the answer is over.
                    tokio::task::yield_now().await;
                    stream.write_all(part).await?;
                    stream.flush().await?;
                }
                stream.shutdown().await?;
                return Ok(());
            }
            Answer::Stall(bytes) => {
                stream.write_all(bytes.as_bytes()).await?;
                stream.flush().await?;
                let _ = stream.read(&mut [0; 64]).await;
                shared.gone.notify_one();
                return Ok(());
            }
            Answer::Silence => {
                // Ends when the client closes, or resets.
                let _ = stream.read(&mut [0; 64]).await;
                shared.gone.notify_one();
                return Ok(());
            }
        }
        stream.flush().await?;
    }
    Ok(())
}

/// Sends these bytes and closes the connection.
async fn say(stream: &mut BufReader<TcpStream>, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.shutdown().await
}

fn head(status: u16, headers: &[(&'static str, String)], body: &str) -> String {
    let mut head = format!(
        "HTTP/1.1 {status} Whatever\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(name);
        head.push_str(": ");
        head.push_str(value);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    head
}

async fn receive(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Received>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await?;
        let Some((name, value)) = header.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers
        .get("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(Some(Received {
        line: line.trim_end().to_owned(),
        headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    }))
}
