//! A scripted server of an LM, in a process of its own: it answers with fixed bytes, at once, after a while,
//! or when it is told to.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;

use crate::Outcome;

/// The argument with which the program is the server.
pub(crate) const ROLE: &str = "serve";

/// Connections that may wait to be accepted; the system may allow fewer.
const BACKLOG: u32 = 16_384;

/// Requests with no longer pause between them belong together.
const PAUSE: Duration = Duration::from_millis(500);

const REPLY: &str = "I am sorry that you were charged twice. I have sent the second payment back; it will be on your \
                     account within three days. Please tell me if it is not, and thank you for your patience.";

/// When a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// After so many milliseconds; 0 is at once.
    After(u64),
    /// When the server is asked to [`release`] what it holds.
    Released,
}

impl FromStr for When {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "released" => Self::Released,
            millis => Self::After(millis.parse()?),
        })
    }
}

/// The form of the replies, the first part of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A JSON object with the outputs of the workflow `ticket`.
    Json,
    /// The same with the marks of DSPy's chat adapter.
    Marks,
    /// The output of the workflow `label`, with those marks.
    Label,
}

impl Form {
    const ALL: [Self; 3] = [Self::Json, Self::Marks, Self::Label];

    const fn path(self) -> &'static str {
        match self {
            Self::Json => "/json",
            Self::Marks => "/marks",
            Self::Label => "/label",
        }
    }

    fn answer(self) -> Vec<u8> {
        let text = match self {
            Self::Json => {
                serde_json::json!({"kind": "billing", "urgency": 4, "reply": REPLY}).to_string()
            }
            Self::Marks => marks(&[("kind", "billing"), ("urgency", "4"), ("reply", REPLY)]),
            Self::Label => marks(&[("label", "R1")]),
        };
        let body = serde_json::json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": "gpt-5-mini",
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": null},
                "finish_reason": "stop",
            }],
            "usage": {"prompt_tokens": 180, "completion_tokens": 60, "total_tokens": 240},
        });
        ok(body.to_string().as_bytes())
    }
}

fn marks(fields: &[(&str, &str)]) -> String {
    let fields = fields
        .iter()
        .map(|(name, value)| format!("[[ ## {name} ## ]]\n{value}\n\n"));
    format!("{}[[ ## completed ## ]]", fields.collect::<String>())
}

fn ok(body: &[u8]) -> Vec<u8> {
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(body);
    answer
}

/// A running server. It ends with this, or with the process that has this.
pub(crate) struct Server {
    process: Child,
    address: SocketAddr,
    /// When it is closed, the server ends.
    _open: Option<ChildStdin>,
}

impl Server {
    pub(crate) fn start(when: When) -> Result<Self, Box<dyn Error>> {
        let when = match when {
            When::After(millis) => millis.to_string(),
            When::Released => "released".to_owned(),
        };
        let mut process = Command::new(std::env::current_exe()?)
            .args([ROLE, &when])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let open = process.stdin.take();
        let mut line = String::new();
        if let Some(stdout) = process.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        Ok(Self {
            process,
            address: line.trim().parse()?,
            _open: open,
        })
    }

    /// The base URL for replies of this form.
    pub(crate) fn url(&self, form: Form) -> String {
        format!("http://{}{}", self.address, form.path())
    }

    /// What happened since the server was asked this last.
    pub(crate) fn stretch(&self) -> Result<Stretch, Box<dyn Error>> {
        let answer = control(self.address, "stretch")?;
        let answer = String::from_utf8(answer)?;
        let (requests, seconds) = answer.split_once(' ').ok_or("a stretch has two numbers")?;
        Ok(Stretch {
            requests: requests.parse()?,
            seconds: seconds.parse()?,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Requests that came without a pause between them, the most of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stretch {
    pub(crate) requests: f64,
    pub(crate) seconds: f64,
}

/// The body of the first request for a JSON reply.
pub(crate) fn first_request(url: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    control(address(url)?, "first")
}

/// How many requests are held.
pub(crate) fn held(url: &str) -> Result<usize, Box<dyn Error>> {
    Ok(String::from_utf8(control(address(url)?, "held")?)?.parse()?)
}

/// Lets all requests be answered.
pub(crate) fn release(url: &str) -> Outcome {
    control(address(url)?, "release").map(drop)
}

fn address(url: &str) -> Result<SocketAddr, Box<dyn Error>> {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    Ok(rest.split('/').next().unwrap_or_default().parse()?)
}

fn control(address: SocketAddr, what: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut stream = std::net::TcpStream::connect(address)?;
    stream.write_all(format!("GET /{what} HTTP/1.1\r\nconnection: close\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let head = end_of_head(&answer).ok_or("the server's answer has no end of its head")?;
    Ok(answer.split_off(head))
}

struct Shared {
    when: When,
    answers: Vec<(Form, Vec<u8>)>,
    first: OnceLock<Vec<u8>>,
    held: AtomicUsize,
    /// Closed when requests are to be answered.
    release: Semaphore,
    arrivals: Mutex<Vec<Instant>>,
}

/// Is the server, until standard input ends.
pub(crate) fn serve(when: &str) -> Outcome {
    let shared = Arc::new(Shared {
        when: when.parse()?,
        answers: Form::ALL.map(|form| (form, form.answer())).into(),
        first: OnceLock::new(),
        held: AtomicUsize::new(0),
        release: Semaphore::new(0),
        arrivals: Mutex::default(),
    });
    std::thread::spawn(|| {
        // Nobody writes; whatever is read, the parent is there no more.
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let listener = socket.listen(BACKLOG)?;
        println!("{}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let shared = Arc::clone(&shared);
            // A client that breaks off is no failure of the server.
            tokio::spawn(async move { connection(stream, &shared).await.ok() });
        }
    })
}

async fn connection(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut received = Vec::with_capacity(8 * 1024);
    loop {
        let head = loop {
            if let Some(head) = end_of_head(&received) {
                break head;
            }
            if stream.read_buf(&mut received).await? == 0 {
                return Ok(());
            }
        };
        let whole = head + content_length(&received[..head]);
        while received.len() < whole {
            if stream.read_buf(&mut received).await? == 0 {
                return Ok(());
            }
        }
        if let Some(rest) = received.strip_prefix(b"GET /") {
            let what = rest.split(|byte| *byte == b' ').next().unwrap_or_default();
            stream.write_all(&ok(&shared.told(what))).await?;
            return stream.shutdown().await;
        }
        let line = received.strip_prefix(b"POST ").unwrap_or_default();
        let answer = shared
            .answers
            .iter()
            .find(|(form, _)| line.starts_with(form.path().as_bytes()));
        let Some((form, answer)) = answer else {
            let refused = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
            return stream.write_all(refused).await;
        };
        if *form == Form::Json {
            shared.first.get_or_init(|| received[head..whole].to_vec());
        }
        if *form == Form::Label {
            shared.arrivals().push(Instant::now());
        }
        received.drain(..whole);
        match shared.when {
            When::After(0) => {}
            When::After(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
            When::Released => {
                shared.held.fetch_add(1, Ordering::Relaxed);
                // An error is what releases.
                let _ = shared.release.acquire().await;
                shared.held.fetch_sub(1, Ordering::Relaxed);
            }
        }
        stream.write_all(answer).await?;
    }
}

impl Shared {
    fn arrivals(&self) -> std::sync::MutexGuard<'_, Vec<Instant>> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self, what: &[u8]) -> Vec<u8> {
        match what {
            b"first" => self.first.get().cloned().unwrap_or_default(),
            b"held" => self.held.load(Ordering::Relaxed).to_string().into_bytes(),
            b"release" => {
                self.release.close();
                Vec::new()
            }
            b"stretch" => {
                let arrivals = std::mem::take(&mut *self.arrivals());
                let together = arrivals.chunk_by(|one, next| *next - *one <= PAUSE);
                let longest = together.max_by_key(|stretch| stretch.len());
                let (requests, time) = match longest {
                    Some([first, .., last]) => (longest.unwrap_or_default().len(), *last - *first),
                    _ => (0, Duration::ZERO),
                };
                format!("{requests} {}", time.as_secs_f64()).into_bytes()
            }
            _ => Vec::new(),
        }
    }
}

fn end_of_head(received: &[u8]) -> Option<usize> {
    let at = received.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(at + 4)
}

fn content_length(head: &[u8]) -> usize {
    let lines = head.split(|byte| *byte == b'\n');
    let mut lengths = lines.filter_map(|line| {
        let (name, value) = line.split_at_checked("content-length:".len())?;
        if !name.eq_ignore_ascii_case(b"content-length:") {
            return None;
        }
        std::str::from_utf8(value).ok()?.trim().parse().ok()
    });
    lengths.next().unwrap_or(0)
}
