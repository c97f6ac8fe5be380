//! A candidate that does wrong on demand: it stands before a healthy service and passes bytes on,
//! or not.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, copy_bidirectional};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// What it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Nobody listens.
    Refusing,
    /// Takes connections and requests and never answers.
    Hung,
    /// Answers after 200 ms.
    Slow,
    /// Answers with what is no HTTP.
    Garbage,
    /// Answers with a body without an end.
    Endless,
    /// Answers as it should.
    Healthy,
}

impl Mood {
    /// All, in the order that they are gone through.
    pub const ALL: [Self; 6] =
        [Self::Refusing, Self::Hung, Self::Slow, Self::Garbage, Self::Endless, Self::Healthy];

    /// A word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refusing => "refusing",
            Self::Hung => "hung",
            Self::Slow => "slow",
            Self::Garbage => "garbage",
            Self::Endless => "endless",
            Self::Healthy => "healthy",
        }
    }
}

/// The candidate; ends when dropped.
#[derive(Debug)]
pub struct Candidate {
    /// Where it is.
    pub addr: SocketAddr,
    behind: SocketAddr,
    task: Mutex<Option<Listening>>,
}

#[derive(Debug)]
struct Listening(JoinHandle<()>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Candidate {
    /// Stands before the service on port `behind`, in good health.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start(behind: SocketAddr) -> io::Result<Self> {
        let behind = SocketAddr::from(([127, 0, 0, 1], behind.port()));
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let addr = listener.local_addr()?;
        let listening = Listening(tokio::spawn(accept(listener, behind, Mood::Healthy)));
        Ok(Self { addr, behind, task: Mutex::new(Some(listening)) })
    }

    /// From now on it does this; what is open is closed.
    ///
    /// # Errors
    /// When it cannot listen again.
    pub async fn set(&self, mood: Mood) -> io::Result<()> {
        let mut task = self.task.lock().await;
        if let Some(mut listening) = task.take() {
            listening.0.abort();
            // The address is free when the task is gone, and with it the listener.
            drop((&mut listening.0).await);
        }
        if mood != Mood::Refusing {
            let listener = listen(self.addr)?;
            *task = Some(Listening(tokio::spawn(accept(listener, self.behind, mood))));
        }
        Ok(())
    }
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(1024)
}

async fn accept(listener: TcpListener, behind: SocketAddr, mood: Mood) {
    // Connections end with the set.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                // However a connection ends, the proxy saw it, and that is what it is for.
                Ok((stream, _)) => drop(connections.spawn(serve(stream, behind, mood))),
                Err(_) => sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(mut stream: TcpStream, behind: SocketAddr, mood: Mood) -> io::Result<()> {
    let mut chunk = vec![0; 16 << 10];
    match mood {
        Mood::Refusing => {}
        Mood::Hung => while stream.read(&mut chunk).await? > 0 {},
        Mood::Garbage => {
            if stream.read(&mut chunk).await? > 0 {
                stream.write_all(b"\x00\x01 this is not HTTP \xff\r\n\r\n").await?;
            }
        }
        Mood::Endless => {
            if stream.read(&mut chunk).await? > 0 {
                let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\n\r\n";
                stream.write_all(head).await?;
                loop {
                    stream.write_all(&chunk).await?;
                }
            }
        }
        Mood::Slow => {
            let mut service = TcpStream::connect(behind).await?;
            let (mut from_proxy, mut to_proxy) = stream.split();
            let (mut from_service, mut to_service) = service.split();
            let late = async {
                loop {
                    let asked = from_proxy.read(&mut chunk).await?;
                    if asked == 0 {
                        return to_service.shutdown().await;
                    }
                    sleep(Duration::from_millis(200)).await;
                    to_service.write_all(&chunk[..asked]).await?;
                }
            };
            tokio::try_join!(late, copy(&mut from_service, &mut to_proxy))?;
        }
        Mood::Healthy => {
            let mut service = TcpStream::connect(behind).await?;
            copy_bidirectional(&mut stream, &mut service).await?;
        }
    }
    Ok(())
}
