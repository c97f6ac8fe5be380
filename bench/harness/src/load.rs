//! Clients: connections that stay open, each with one request at a time, and every answer checked.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::prctl::set_timerslack;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::faults::Faults;
use crate::messages::{Kind, Message, Role, answer, length_of, number_of, request};

/// An answer that takes longer is a fault.
const PATIENCE: Duration = Duration::from_secs(10);

/// One client.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    request: Message,
    expected: Vec<u8>,
    buffer: Vec<u8>,
    numbers: Arc<AtomicU64>,
}

impl Client {
    /// Connects; clients that share `numbers` never use one twice.
    pub(crate) async fn connect(
        to: SocketAddr,
        kind: Kind,
        numbers: Arc<AtomicU64>,
    ) -> std::io::Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            request: request(kind),
            expected: answer(kind, Role::Baseline).body,
            buffer: Vec::with_capacity(16 * 1024),
            numbers,
        })
    }

    /// One request and its answer.
    pub(crate) async fn exchange(&mut self) -> Result<(), String> {
        let number = format!("{:010}", self.numbers.fetch_add(1, Relaxed));
        let request = self.request.numbered(number.as_bytes());
        self.stream.write_all(request).await.map_err(|error| format!("sending: {error}"))?;
        self.buffer.clear();
        loop {
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) => return Err("closed before the answer was whole".to_owned()),
                Ok(_) => {}
                Err(error) => return Err(format!("reading an answer: {error}")),
            }
            if check(&self.buffer, number.as_bytes(), &self.expected)? {
                return Ok(());
            }
        }
    }
}

/// Whether the answer is whole; an error when it is not the one expected.
fn check(bytes: &[u8], number: &[u8], expected: &[u8]) -> Result<bool, String> {
    let mut headers = [httparse::EMPTY_HEADER; 48];
    let mut parsed = httparse::Response::new(&mut headers);
    let head = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Ok(false),
        Err(error) => return Err(format!("not an answer: {error}")),
    };
    if parsed.code != Some(200) {
        return Err(format!("status {:?}", parsed.code));
    }
    if number_of(parsed.headers) != Some(number) {
        return Err("the answer to another request".to_owned());
    }
    if length_of(parsed.headers) != Some(expected.len()) {
        return Err(format!("a length of {:?}", length_of(parsed.headers)));
    }
    match bytes.len() - head {
        got if got < expected.len() => Ok(false),
        _ if &bytes[head..] == expected => Ok(true),
        _ => Err("another body".to_owned()),
    }
}

/// What came of a load.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// All requests that were sent and answered.
    pub(crate) requests: u64,
    /// Answers that came before the end, per second.
    pub(crate) rate: f64,
    /// Of each request, in microseconds; only at a fixed rate.
    pub(crate) latencies: Vec<u32>,
}

/// Each client asks again as soon as it has its answer, for so long.
pub(crate) async fn flat_out(
    clients: Vec<Client>,
    duration: Duration,
    faults: &Arc<Faults>,
) -> (Vec<Client>, Outcome) {
    let end = Instant::now() + duration;
    let mut tasks = JoinSet::new();
    for mut client in clients {
        let faults = Arc::clone(faults);
        tasks.spawn(async move {
            let (mut total, mut in_time) = (0, 0);
            while Instant::now() < end {
                if let Err(why) = client.exchange().await {
                    faults.add(why);
                    break;
                }
                total += 1;
                in_time += u64::from(Instant::now() < end);
            }
            (client, total, in_time)
        });
    }
    let (mut clients, mut outcome, mut in_time) = (Vec::new(), Outcome::default(), 0);
    for (client, total, timely) in all(tasks, duration, faults).await {
        clients.push(client);
        outcome.requests += total;
        in_time += timely;
    }
    outcome.rate = in_time as f64 / duration.as_secs_f64();
    (clients, outcome)
}

/// What all clients tell; those that never end are a fault.
async fn all<T: Send + 'static>(tasks: JoinSet<T>, extra: Duration, faults: &Faults) -> Vec<T> {
    tokio::time::timeout(extra + PATIENCE, tasks.join_all()).await.unwrap_or_else(|_| {
        faults.add(format!("an answer took more than {PATIENCE:?}"));
        Vec::new()
    })
}

/// Requests that are due and not sent yet.
#[derive(Debug, Default)]
struct Due {
    queue: Mutex<VecDeque<Instant>>,
    news: Notify,
    over: AtomicBool,
}

impl Due {
    fn push(&self, due: Instant) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(due);
        self.news.notify_one();
    }

    fn pop(&self) -> Option<Instant> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    async fn next(&self) -> Option<Instant> {
        loop {
            let news = self.news.notified();
            if self.over.load(Relaxed) {
                return None;
            }
            if let Some(due) = self.pop() {
                return Some(due);
            }
            news.await;
        }
    }
}

/// Requests fall due at a fixed rate, whether or not a client is free, and their time counts from
/// then. Those that nobody could send by the end count with the time they have waited until then.
pub(crate) async fn at_rate(
    clients: Vec<Client>,
    rate: u32,
    duration: Duration,
    faults: &Arc<Faults>,
) -> std::io::Result<Outcome> {
    let due = Arc::new(Due::default());
    let mut tasks = JoinSet::new();
    for mut client in clients {
        let (due, faults) = (Arc::clone(&due), Arc::clone(faults));
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            while let Some(since) = due.next().await {
                if let Err(why) = client.exchange().await {
                    faults.add(why);
                    break;
                }
                latencies.push(micros(since.elapsed()));
            }
            latencies
        });
    }
    let pacer = Arc::clone(&due);
    tokio::task::spawn_blocking(move || pace(&pacer, rate, duration)).await??;
    let mut unsent: Vec<u32> =
        std::iter::from_fn(|| due.pop()).map(|since| micros(since.elapsed())).collect();
    due.over.store(true, Relaxed);
    due.news.notify_waiters();
    let mut outcome = Outcome::default();
    outcome.latencies = all(tasks, Duration::ZERO, faults).await.into_iter().flatten().collect();
    outcome.requests = outcome.latencies.len() as u64;
    outcome.rate = outcome.requests as f64 / duration.as_secs_f64();
    outcome.latencies.append(&mut unsent);
    outcome.latencies.sort_unstable();
    Ok(outcome)
}

/// On a thread of its own: the runtime's timers have a grain of a millisecond.
fn pace(due: &Due, rate: u32, duration: Duration) -> std::io::Result<()> {
    // Else the kernel may wake us 50 microseconds late.
    set_timerslack(1)?;
    let period = Duration::from_secs(1) / rate;
    let start = Instant::now();
    let mut next = start;
    while next < start + duration {
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        due.push(next);
        next += period;
    }
    Ok(())
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBER: &[u8] = b"0000000042";

    fn checked(bytes: &[u8]) -> Result<bool, String> {
        check(bytes, NUMBER, &answer(Kind::Post, Role::Baseline).body)
    }

    #[test]
    fn the_baselines_answer_is_right_once_it_is_whole() {
        let mut message = answer(Kind::Post, Role::Baseline);
        let bytes = message.numbered(NUMBER);
        assert_eq!(checked(bytes), Ok(true));
        assert_eq!(checked(&bytes[..bytes.len() - 1]), Ok(false));
        assert_eq!(checked(&bytes[..20]), Ok(false));
    }

    #[test]
    fn any_other_answer_is_a_fault() {
        let mut candidates = answer(Kind::Post, Role::Candidate);
        assert!(checked(candidates.numbered(NUMBER)).is_err());
        let mut anothers = answer(Kind::Post, Role::Baseline);
        assert!(checked(anothers.numbered(b"0000000043")).is_err());
        let mut shorter = answer(Kind::Get, Role::Baseline);
        assert!(checked(shorter.numbered(NUMBER)).is_err());
        let right = anothers.numbered(NUMBER);
        assert!(checked(&[right, b"x"].concat()).is_err());
        assert!(checked(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").is_err());
    }

    #[test]
    fn requests_that_nobody_can_send_count_from_when_they_were_due() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let faults = Arc::default();
        let load = at_rate(Vec::new(), 1000, Duration::from_millis(50), &faults);
        let outcome = runtime.block_on(load).unwrap();
        assert_eq!((outcome.requests, outcome.latencies.len()), (0, 50));
        assert!(outcome.latencies[49] >= 49_000, "{:?}", outcome.latencies);
    }
}
