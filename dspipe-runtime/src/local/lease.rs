//! A client's hold on a running server: an open connection to its control port.
//!
//! The server stays as long as such connections exist. The kernel closes them with the process, however
//! it ends, so nothing has to be given back.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use crate::Secret;

/// The version of the control protocol and of `server.json`.
pub(super) const PROTOCOL: u32 = 1;

/// For connecting and for the answer. The server answers at once unless the machine is very busy.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A longer answer is not from our server.
const MAX_ANSWER: u64 = 4096;

/// What a server writes about itself into `server.json`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Address {
    pub(super) protocol: u32,
    pub(super) pid: u32,
    pub(super) control_port: u16,
    pub(super) base_url: String,
    pub(super) token: Secret,
    pub(super) model: String,
}

impl Address {
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(path)?)?)
    }

    /// Why this is not a server that this crate can use for the model.
    pub(super) fn mismatch(&self, model: &str) -> Option<String> {
        if self.protocol != PROTOCOL {
            Some(format!(
                "it speaks protocol {}, this version speaks {PROTOCOL}",
                self.protocol
            ))
        } else if self.model != model {
            Some(format!("it serves `{}` instead of `{model}`", self.model))
        } else if !self.base_url.starts_with("http://127.0.0.1:") {
            Some(format!("its address `{}` is not local", self.base_url))
        } else {
            None
        }
    }
}

/// An open connection to a server's control port.
#[derive(Debug)]
pub(super) struct Lease(TcpStream);

impl Lease {
    /// Registers with the server. An error means that no such server is there: whatever listens on a
    /// port that a dead server had does not know the answer.
    pub(super) fn open(address: &Address) -> io::Result<Self> {
        #[derive(Deserialize)]
        struct Answer {
            ok: bool,
            error: Option<String>,
        }
        let control = SocketAddr::from((Ipv4Addr::LOCALHOST, address.control_port));
        let mut stream = TcpStream::connect_timeout(&control, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let mut hello = serde_json::to_vec(&serde_json::json!({
            "protocol": PROTOCOL,
            "token": address.token.reveal(),
        }))?;
        hello.push(b'\n');
        stream.write_all(&hello)?;
        let mut line = String::new();
        BufReader::new((&stream).take(MAX_ANSWER)).read_line(&mut line)?;
        let answer: Answer = serde_json::from_str(&line)?;
        if !answer.ok {
            return Err(io::Error::other(
                answer.error.unwrap_or_else(|| "it refused".into()),
            ));
        }
        // From here on it is only looked at, never waited for.
        stream.set_nonblocking(true)?;
        Ok(Self(stream))
    }

    /// Whether the server still holds its end, without waiting.
    pub(super) fn is_alive(&self) -> bool {
        matches!(
            self.0.peek(&mut [0]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock
        )
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn address(port: u16) -> Address {
        Address {
            protocol: PROTOCOL,
            pid: 1,
            control_port: port,
            base_url: "http://127.0.0.1:1/v1".into(),
            token: Secret::from("secret-token".to_owned()),
            model: "m".into(),
        }
    }

    /// Accepts one client, reads its line, answers, and returns the open connection and the line.
    fn server(answer: &'static str) -> (u16, thread::JoinHandle<(TcpStream, String)>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            (stream, line)
        });
        (port, thread)
    }

    #[test]
    fn a_lease_lives_as_long_as_the_server_holds_its_end() {
        let (port, thread) = server("{\"ok\":true}\n");
        let lease = Lease::open(&address(port)).unwrap();
        let (stream, line) = thread.join().unwrap();
        assert_eq!(line, "{\"protocol\":1,\"token\":\"secret-token\"}\n");
        assert!(lease.is_alive());
        drop(stream);
        // The kernel tells the other end soon, but not at once.
        while lease.is_alive() {
            thread::yield_now();
        }
    }

    #[test]
    fn refusals_and_other_programs_are_no_lease() {
        for answer in [
            "{\"ok\":false,\"error\":\"wrong token\"}\n",
            "HTTP/1.1 400 Bad Request\r\n\r\n",
            "\n",
        ] {
            let (port, thread) = server(answer);
            Lease::open(&address(port)).unwrap_err();
            thread.join().unwrap();
        }
        let unused = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = unused.local_addr().unwrap().port();
        drop(unused);
        Lease::open(&address(port)).unwrap_err();
    }

    #[test]
    fn another_protocol_model_or_host_is_a_mismatch() {
        assert_eq!(address(1).mismatch("m"), None);
        let other = |change: fn(&mut Address)| {
            let mut address = address(1);
            change(&mut address);
            address.mismatch("m")
        };
        assert!(other(|it| it.protocol = 2).unwrap().contains("protocol 2"));
        assert!(other(|it| it.model = "n".into()).unwrap().contains("`n`"));
        assert!(other(|it| it.base_url = "http://127.0.0.1.example/".into()).is_some());
    }

    #[test]
    fn the_token_does_not_show_itself() {
        assert!(!format!("{:?}", address(1)).contains("secret"));
    }
}
