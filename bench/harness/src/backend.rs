//! Baseline and candidate: they take requests in whole, check them, count them, and answer as told.
//!
//! Plain sockets on the one thread of the load, so that a proxy is what a run waits for.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::faults::Faults;
use crate::messages::{Kind, Role, answer, header, length_of, number_of, request};

/// How a backend treats requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Answer,
    /// Answers after this time.
    Delay(Duration),
    /// Takes requests and never answers.
    Hang,
}

/// What a backend saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Requests that arrived whole and right.
    pub(crate) requests: AtomicU64,
    /// Connections accepted.
    pub(crate) connections: AtomicU64,
    /// What was wrong.
    pub(crate) faults: Faults,
}

/// A backend that runs until it is stopped or dropped, its connections with it.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) seen: Arc<Seen>,
    tasks: JoinSet<()>,
}

impl Backend {
    /// Listens on this address.
    pub(crate) async fn start(address: SocketAddr, role: Role, manner: Manner) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let seen = Arc::new(Seen::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, role, manner, Arc::clone(&seen)));
        Ok(Self { seen, tasks })
    }

    /// Its address is free after this.
    pub(crate) async fn stop(&mut self) {
        self.tasks.shutdown().await;
    }
}

async fn accept(listener: TcpListener, role: Role, manner: Manner, seen: Arc<Seen>) {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                seen.connections.fetch_add(1, Relaxed);
                let seen = Arc::clone(&seen);
                connections.spawn(async move {
                    if let Err(why) = serve(stream, role, manner, &seen).await {
                        seen.faults.add(format!("{role:?}: {why}"));
                    }
                });
            }
            Err(error) => seen.faults.add(format!("{role:?}: accept: {error}")),
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(
    mut stream: TcpStream,
    role: Role,
    manner: Manner,
    seen: &Seen,
) -> Result<(), String> {
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let post_body = request(Kind::Post).body;
    let mut answers = [answer(Kind::Get, role), answer(Kind::Post, role)];
    let mut buffer = Vec::with_capacity(8 * 1024);
    loop {
        let taken = loop {
            if let Some(taken) = take(&buffer, &post_body)? {
                break taken;
            }
            match stream.read_buf(&mut buffer).await {
                Ok(0) | Err(_) if buffer.is_empty() || manner != Manner::Answer => return Ok(()),
                Ok(0) => return Err("a request broke off".to_owned()),
                Ok(_) => {}
                Err(error) => return Err(format!("reading a request: {error}")),
            }
        };
        seen.requests.fetch_add(1, Relaxed);
        match manner {
            Manner::Answer => {}
            Manner::Delay(time) => tokio::time::sleep(time).await,
            Manner::Hang => {
                // Until the other side has enough of it.
                while stream.read_buf(&mut buffer).await.is_ok_and(|count| count > 0) {
                    buffer.clear();
                }
                return Ok(());
            }
        }
        let message = answers[usize::from(taken.kind == Kind::Post)].numbered(&taken.number);
        if stream.write_all(message).await.is_err() {
            // Who asked has gone; a client of the baseline would notice.
            return Ok(());
        }
        buffer.drain(..taken.length);
    }
}

struct Taken {
    kind: Kind,
    number: [u8; crate::messages::DIGITS],
    length: usize,
}

/// A whole request at the start of these bytes, if there is one.
fn take(bytes: &[u8], post_body: &[u8]) -> Result<Option<Taken>, String> {
    let mut headers = [httparse::EMPTY_HEADER; 48];
    let mut parsed = httparse::Request::new(&mut headers);
    let head = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(format!("not a request: {error}")),
    };
    let (kind, path, body): (_, _, &[u8]) = match parsed.method {
        Some("GET") => (Kind::Get, "/api/products/1234?fields=all", &[]),
        Some("POST") => (Kind::Post, "/api/orders", post_body),
        other => return Err(format!("method {other:?}")),
    };
    if parsed.path != Some(path) {
        return Err(format!("path {:?}", parsed.path));
    }
    if header(parsed.headers, "transfer-encoding").is_some() {
        return Err("a body without a length".to_owned());
    }
    let number = number_of(parsed.headers).and_then(|number| number.try_into().ok());
    let number = number.ok_or("no number")?;
    let length = length_of(parsed.headers).unwrap_or(0);
    if length != body.len() {
        return Err(format!("a body of {length} bytes"));
    }
    match bytes.get(head..head + length) {
        None => Ok(None),
        Some(got) if got == body => Ok(Some(Taken { kind, number, length: head + length })),
        Some(_) => Err("another body".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_when_it_is_whole_and_right() {
        let body = request(Kind::Post).body;
        let mut message = request(Kind::Post);
        let bytes = message.numbered(b"0000000042");
        assert!(take(&bytes[..bytes.len() - 1], &body).unwrap().is_none());
        let taken = take(bytes, &body).unwrap().unwrap();
        assert_eq!((taken.kind, taken.length), (Kind::Post, bytes.len()));
        assert_eq!(&taken.number, b"0000000042");
    }

    #[test]
    fn any_other_request_is_a_fault() {
        let body = request(Kind::Post).body;
        let mut message = request(Kind::Post);
        let right = String::from_utf8(message.numbered(b"0000000042").to_vec()).unwrap();
        for (what, instead) in [
            ("POST /api", "PUT /api"),
            ("/orders", "/order"),
            ("X-Seq", "X-Other"),
            ("Content-Length: 1024", "Content-Length: 1023"),
            ("Content-Length: 1024", "Transfer-Encoding: chunked"),
            ("4711", "4712"),
        ] {
            assert!(take(right.replacen(what, instead, 1).as_bytes(), &body).is_err(), "{what}");
        }
    }
}
