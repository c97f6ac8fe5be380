//! A service and a client that know every byte: what was sent is kept as it came, so that it can be held against
//! what others say was sent.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::{PATIENCE, Result};

/// A request or an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Method and target, or the status.
    pub first: String,
    /// Names and values, as they were written, in their order.
    pub headers: Vec<(String, String)>,
    /// Without chunks.
    pub body: Vec<u8>,
}

impl Message {
    /// The value of the first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(its, _)| its.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// A request that a service was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Over which connection, counted from 0.
    pub connection: usize,
    /// When it was whole.
    pub at: Instant,
    /// The request.
    pub message: Message,
}

/// What a service answers, as bytes, and how long it takes for it.
pub type Answer = fn(&Message) -> (Vec<u8>, Duration);

/// A service that keeps all that it was asked.
#[derive(Debug)]
pub struct Service {
    /// Its port.
    pub port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl Service {
    /// One on a free port.
    ///
    /// # Errors
    /// When there is none.
    pub fn start(answer: Answer) -> Result<Self> {
        Self::on(std::net::TcpListener::bind(("127.0.0.1", 0))?, answer)
    }

    /// One that listens there.
    ///
    /// # Errors
    /// What the system says.
    pub fn on(listener: std::net::TcpListener, answer: Answer) -> Result<Self> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let (port, asked) = (listener.local_addr()?.port(), Arc::<Mutex<Vec<_>>>::default());
        let all = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            for connection in 0.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                let all = Arc::clone(&all);
                tokio::spawn(async move {
                    // Whoever asked sees how that ends.
                    drop(serve(stream, connection, answer, &all).await);
                });
            }
        });
        Ok(Self { port, asked, task })
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// All that it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    stream: TcpStream,
    connection: usize,
    answer: Answer,
    all: &Mutex<Vec<Asked>>,
) -> Result<()> {
    let mut wire = Wire::new(stream);
    while let Some(message) = wire.message(false).await? {
        let (bytes, pause) = answer(&message);
        let asked = Asked { connection, at: Instant::now(), message };
        all.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        wire.stream.write_all(&bytes).await?;
    }
    Ok(())
}

/// A connection of which messages are read one by one.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    at: usize,
}

impl Wire {
    /// Of a connection.
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, buffer: Vec::new(), at: 0 }
    }

    /// To a port of this machine.
    ///
    /// # Errors
    /// When it is not taken up.
    pub async fn to(port: u16) -> Result<Self> {
        Ok(Self::new(TcpStream::connect(("127.0.0.1", port)).await?))
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// When they do not arrive.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes).await?)
    }

    /// The next message, an answer or a request; none at the end.
    ///
    /// # Errors
    /// When it ends within one, or is none.
    pub async fn message(&mut self, is_answer: bool) -> Result<Option<Message>> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let Some(head) = self.until(b"\r\n\r\n").await? else { return Ok(None) };
        let head = String::from_utf8(head)?;
        let mut lines = head.split("\r\n");
        let line = lines.next().unwrap_or_default();
        let words: Vec<_> = line.split(' ').collect();
        let first = match is_answer {
            true => words.get(1).copied().unwrap_or_default().to_owned(),
            false => words[..words.len().saturating_sub(1)].join(" "),
        };
        let pairs = lines.filter_map(|line| line.split_once(':'));
        let headers = pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
        let mut message = Message { first, headers: headers.collect(), body: Vec::new() };
        if message.header("transfer-encoding").is_some_and(|it| it.contains("chunked")) {
            message.body = self.chunks().await?;
        } else if let Some(length) = message.header("content-length") {
            message.body = self.bytes(length.parse()?).await?;
        }
        Ok(Some(message))
    }

    async fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.until(b"\r\n").await?.ok_or("ended within chunks")?;
            let length = String::from_utf8(line)?;
            let length = usize::from_str_radix(length.split(';').next().unwrap_or("").trim(), 16)?;
            body.extend(self.bytes(length).await?);
            self.bytes(2).await?;
            if length == 0 {
                return Ok(body);
            }
        }
    }

    async fn bytes(&mut self, length: usize) -> Result<Vec<u8>> {
        while self.buffer.len() - self.at < length {
            if !self.more().await? {
                return Err("ended within a body".into());
            }
        }
        self.at += length;
        Ok(self.buffer[self.at - length..self.at].to_vec())
    }

    async fn until(&mut self, end: &[u8]) -> Result<Option<Vec<u8>>> {
        loop {
            let rest = &self.buffer[self.at..];
            if let Some(found) = rest.windows(end.len()).position(|window| window == end) {
                let before = rest[..found].to_vec();
                self.at += found + end.len();
                return Ok(Some(before));
            }
            let is_within = !rest.is_empty();
            if !self.more().await? {
                return if is_within { Err("ended within a head".into()) } else { Ok(None) };
            }
        }
    }

    async fn more(&mut self) -> Result<bool> {
        let read = self.stream.read_buf(&mut self.buffer);
        Ok(tokio::time::timeout(PATIENCE, read).await.map_err(|_| "nothing comes")?? > 0)
    }
}
