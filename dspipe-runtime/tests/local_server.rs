//! The model server's life with real processes: shared, found again, replaced, gone.
//!
//! The environment is the user's own (set up here if it is not there); each test has a directory of its
//! own for running servers, so that it never meets one that somebody uses.

#![cfg(all(unix, feature = "local"))]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod local_support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use dspipe_runtime::local::{Endpoint, LocalError, Model, Settings, Supervisor};
use local_support::{OtherProcess, eventually, processes_with, python_script, signal_to, variable};
use serde_json::{Value, json};

const MODEL: Model = Model::SmolLm2_135mInstruct;

/// Where one test's servers leave their addresses.
struct Servers(tempfile::TempDir);

impl Servers {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn settings(&self) -> Settings {
        let mut settings = Settings::from_env().unwrap();
        settings.run = self.0.path().to_path_buf();
        settings.idle = Duration::from_secs(2);
        settings
    }

    fn supervisor(&self) -> Supervisor {
        Supervisor::new(self.settings())
    }

    fn client(&self) -> OtherProcess {
        OtherProcess::start("client", &[("DSPIPE_TEST_RUN", self.0.path())])
    }

    /// The address file of the one server there is.
    fn address_file(&self) -> PathBuf {
        let mut directories = fs::read_dir(self.0.path()).unwrap();
        let directory = directories.next().unwrap().unwrap().path();
        assert!(directories.next().is_none());
        directory.join("server.json")
    }

    fn address(&self) -> Value {
        serde_json::from_slice(&fs::read(self.address_file()).unwrap()).unwrap()
    }

    fn pid(&self) -> String {
        self.address()["pid"].to_string()
    }

    fn kill_server(&self) -> String {
        let pid = self.pid();
        signal_to("KILL", &pid);
        pid
    }

    /// Waits until no process works in this directory any more.
    fn wait_until_gone(&self) {
        eventually("the server goes away", || {
            processes_with(self.0.path()).is_empty().then_some(())
        });
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        // A failed test leaves no server behind that would wait for its idle time.
        let addresses = fs::read_dir(self.0.path()).into_iter().flatten().flatten();
        for directory in addresses {
            let Ok(text) = fs::read(directory.path().join("server.json")) else {
                continue;
            };
            let address: Value = serde_json::from_slice(&text).unwrap_or_default();
            if address["base_url"].is_string() && address["pid"] != json!(std::process::id()) {
                let _ = std::process::Command::new("kill")
                    .args(["-s", "KILL", &address["pid"].to_string()])
                    .stderr(std::process::Stdio::null())
                    .status();
            }
        }
    }
}

/// Asks the server for its models, with the token, as a client of the OpenAI API does.
fn answers(endpoint: &Endpoint) -> bool {
    let Some(host) = endpoint
        .base_url
        .strip_prefix("http://")
        .and_then(|rest| rest.strip_suffix("/v1"))
    else {
        return false;
    };
    let ask = || {
        let mut stream = TcpStream::connect(host)?;
        write!(
            stream,
            "GET /v1/models HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
            endpoint.token.reveal()
        )?;
        let mut status = String::new();
        BufReader::new(stream).read_line(&mut status)?;
        Ok::<_, std::io::Error>(status)
    };
    ask().is_ok_and(|status| status.contains(" 200 "))
}

/// A client: it says where the server is, and holds it until its standard input ends.
#[test]
#[ignore = "run by other tests"]
fn other_process() {
    let Some(run) = variable("DSPIPE_TEST_RUN") else {
        return;
    };
    let mut settings = Settings::from_env().unwrap();
    settings.run = run;
    settings.idle = Duration::from_secs(2);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    println!("asking");
    let supervisor = Supervisor::new(settings);
    let endpoint = runtime.block_on(supervisor.endpoint(MODEL)).unwrap();
    println!("endpoint: {}", endpoint.base_url);
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[tokio::test]
async fn one_server_is_shared_and_goes_when_nobody_uses_it() {
    let servers = Servers::new();
    let supervisor = servers.supervisor();
    let endpoint = supervisor.endpoint(MODEL).await.unwrap();
    assert!(answers(&endpoint));
    assert_eq!(supervisor.endpoint(MODEL).await.unwrap(), endpoint);
    let pid = servers.pid();

    let mut other = servers.client();
    assert_eq!(other.said("endpoint: "), endpoint.base_url);
    assert_eq!(servers.pid(), pid);

    // The one that started it goes; the other one holds it, until it is killed.
    drop(supervisor);
    let third = servers.client();
    assert_eq!(third.said("endpoint: "), endpoint.base_url);
    drop(third);
    other.kill();
    servers.wait_until_gone();
    assert!(!servers.address_file().exists());
}

#[tokio::test]
async fn a_killed_server_is_replaced() {
    let servers = Servers::new();
    let supervisor = servers.supervisor();
    let before = supervisor.endpoint(MODEL).await.unwrap();
    let pid = servers.kill_server();
    // Collected by the thread that waits for it: a zombie would still have the name.
    eventually("the killed server is collected", || {
        let alive = std::process::Command::new("kill")
            .args(["-s", "0", &pid])
            .stderr(std::process::Stdio::null())
            .status()
            .unwrap();
        (!alive.success()).then_some(())
    });
    let after = supervisor.endpoint(MODEL).await.unwrap();
    assert_ne!(after, before);
    assert_ne!(servers.pid(), pid);
    assert!(answers(&after));
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_at_the_same_time_share_one_start() {
    let servers = Servers::new();
    let supervisor = servers.supervisor();
    let others = [servers.client(), servers.client()];
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let supervisor = supervisor.clone();
            tokio::spawn(async move { supervisor.endpoint(MODEL).await.unwrap() })
        })
        .collect();
    let mut endpoints = Vec::new();
    for caller in callers {
        endpoints.push(caller.await.unwrap());
    }
    assert!(endpoints.iter().all(|endpoint| *endpoint == endpoints[0]));
    for other in others {
        assert_eq!(other.said("endpoint: "), endpoints[0].base_url);
    }
    let started = processes_with(servers.0.path());
    assert_eq!(started.len(), 1, "{started:#?}");
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_nothing_half_done() {
    let servers = Servers::new();
    let supervisor = servers.supervisor();
    tokio::select! {
        biased;
        _ = supervisor.endpoint(MODEL) => panic!("a server cannot be there already"),
        () = std::future::ready(()) => {}
    }
    assert!(answers(&supervisor.endpoint(MODEL).await.unwrap()));
    assert_eq!(processes_with(servers.0.path()).len(), 1);
}

#[tokio::test]
async fn an_interrupt_from_the_terminal_spares_the_server_of_others() {
    let servers = Servers::new();
    let mut interrupted = servers.client();
    let base_url = interrupted.said("endpoint: ");
    let supervisor = servers.supervisor();
    let endpoint = supervisor.endpoint(MODEL).await.unwrap();
    assert_eq!(endpoint.base_url, base_url);

    interrupted.signal_group("INT");
    interrupted.wait();
    assert!(answers(&endpoint));
    assert_eq!(supervisor.endpoint(MODEL).await.unwrap(), endpoint);

    drop(supervisor);
    servers.wait_until_gone();
}

#[test]
fn an_interrupt_during_the_start_leaves_no_orphan() {
    let servers = Servers::new();
    let mut interrupted = servers.client();
    interrupted.said("asking");
    eventually("the server's process is there", || {
        (!processes_with(servers.0.path()).is_empty()).then_some(())
    });
    interrupted.signal_group("INT");
    interrupted.wait();
    servers.wait_until_gone();
}

#[tokio::test]
async fn an_address_that_is_not_ours_any_more_is_replaced() {
    let servers = Servers::new();
    let supervisor = servers.supervisor();
    supervisor.endpoint(MODEL).await.unwrap();
    let ours = servers.address();
    servers.kill_server();

    // The port belongs to another program now, the process id to this one.
    let other = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = other.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in other.incoming() {
            let _ = stream
                .unwrap()
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let stale = |changes: &[(&str, Value)]| {
        let mut address = ours.clone();
        address["pid"] = json!(std::process::id());
        for (key, value) in changes {
            address[*key] = value.clone();
        }
        address.to_string()
    };
    let elsewhere = ("control_port", json!(port));
    for text in [
        stale(std::slice::from_ref(&elsewhere)),
        stale(&[elsewhere.clone(), ("protocol", json!(2))]),
        stale(&[
            elsewhere,
            ("base_url", json!("http://elsewhere.example/v1")),
        ]),
        "half a fi".to_owned(),
    ] {
        fs::write(servers.address_file(), text).unwrap();
        let next = servers.supervisor();
        assert!(answers(&next.endpoint(MODEL).await.unwrap()));
        assert_ne!(servers.address()["pid"], json!(std::process::id()));
        servers.kill_server();
    }
}

#[tokio::test]
async fn the_server_does_not_see_keys() {
    let environment = Path::new("/proc/self/environ");
    if !environment.exists() {
        return;
    }
    let servers = Servers::new();
    let client = OtherProcess::start(
        "client",
        &[
            ("DSPIPE_TEST_RUN", servers.0.path()),
            ("ANTHROPIC_API_KEY", Path::new("sk-a-secret")),
        ],
    );
    client.said("endpoint: ");
    let seen = fs::read(format!("/proc/{}/environ", servers.pid())).unwrap();
    let seen = String::from_utf8_lossy(&seen);
    assert!(seen.contains("PATH="), "{seen}");
    assert!(!seen.contains("sk-a-secret"), "{seen}");
}

/// A server that is a script; `$7` is its state directory.
struct Scripted {
    servers: Servers,
    home: tempfile::TempDir,
}

impl Scripted {
    fn new(body: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        python_script(&home.path().join("python3"), body);
        Self {
            servers: Servers::new(),
            home,
        }
    }

    async fn error(&self) -> LocalError {
        let mut settings = Settings::at(self.home.path());
        settings.run = self.servers.0.path().to_path_buf();
        settings.python = Some(self.home.path().join("python3"));
        settings.start_timeout = Duration::from_secs(2);
        Supervisor::new(settings).endpoint(MODEL).await.unwrap_err()
    }
}

#[tokio::test]
async fn failures_of_the_start_are_told_apart() {
    type Expected = fn(&LocalError) -> bool;
    let report = |kind: &str| {
        format!(r#"echo '{{"error": {{"kind": "{kind}", "message": "it is so"}}}}'; exit 1"#)
    };
    let cases: [(String, Expected, &str); 8] = [
        (
            report("model-missing"),
            |error| matches!(error, LocalError::ModelMissing { .. }),
            "it is so",
        ),
        (
            report("package-missing"),
            |error| matches!(error, LocalError::PackageBroken { .. }),
            "it is so",
        ),
        (
            report("port"),
            |error| matches!(error, LocalError::Port { .. }),
            "127.0.0.1",
        ),
        (
            report("memory"),
            |error| matches!(error, LocalError::OutOfMemory { .. }),
            "DSPIPE_LM",
        ),
        (
            report("other"),
            |error| matches!(error, LocalError::ServerFailed { .. }),
            "it is so",
        ),
        (
            "echo Traceback of something >&2; exit 1".to_owned(),
            |error| matches!(error, LocalError::ServerFailed { .. }),
            "Traceback of something",
        ),
        (
            "echo loading >&2; exec sleep 600".to_owned(),
            |error| matches!(error, LocalError::StartTimeout { .. }),
            "loading",
        ),
        (
            r#"echo '{"protocol":9,"pid":1,"control_port":1,"base_url":"http://127.0.0.1:1/v1","token":"t","model":"smollm2-135m-instruct"}' > "$7/server.json"; echo '{"ready":true}'; exec sleep 600"#
                .to_owned(),
            |error| matches!(error, LocalError::Protocol { .. }),
            "protocol 9",
        ),
    ];
    for (body, expected, part) in cases {
        let scripted = Scripted::new(&body);
        let error = scripted.error().await;
        assert!(expected(&error), "{error:?}");
        assert!(error.to_string().contains(part), "{part}: {error}");
        let left = processes_with(scripted.home.path());
        assert!(left.is_empty(), "{left:#?}");
    }
}
