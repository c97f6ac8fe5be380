//! Asks over HTTP, and counts what came of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::Result;

/// A client with every automatism off, that never waits for ever.
///
/// # Errors
/// When the system has no root certificates.
pub fn client() -> Result<Client> {
    Ok(Client::builder().no_proxy().timeout(Duration::from_secs(20)).build()?)
}

/// The text at a URL.
///
/// # Errors
/// No answer, or none that is well.
pub async fn text(client: &Client, url: &str) -> Result<String> {
    Ok(client.get(url).send().await?.error_for_status()?.text().await?)
}

/// The JSON at a URL.
///
/// # Errors
/// No answer, none that is well, or no JSON.
pub async fn json(client: &Client, url: &str) -> Result<Value> {
    Ok(serde_json::from_str(&text(client, url).await?)?)
}

/// The sum of all series of a metric whose labels contain all of these `name="value"`.
pub fn sum(metrics: &str, name: &str, labels: &[&str]) -> f64 {
    metrics
        .lines()
        .filter_map(|line| line.rsplit_once(' '))
        .filter(|(series, _)| {
            let rest = series.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
                && labels.iter().all(|label| series.contains(label))
        })
        .filter_map(|(_, value)| value.parse::<f64>().ok())
        .sum()
}

/// What the users of some traffic saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// Answers 200.
    pub well: AtomicU64,
    /// Other answers.
    pub answered_otherwise: AtomicU64,
    /// No connection: the request was never sent.
    pub refused: AtomicU64,
    /// All else that went wrong.
    pub broken: AtomicU64,
    first_problem: std::sync::OnceLock<String>,
}

impl Seen {
    /// Answers 200 so far.
    pub fn well(&self) -> u64 {
        self.well.load(Ordering::SeqCst)
    }

    /// An error that says what the users saw, if they saw anything but answers 200.
    ///
    /// # Errors
    /// The numbers and the first problem.
    pub fn all_well(&self) -> Result<()> {
        let count = |count: &AtomicU64| count.load(Ordering::SeqCst);
        let counts = [&self.answered_otherwise, &self.refused, &self.broken].map(count);
        if counts == [0, 0, 0] && self.well() > 0 {
            return Ok(());
        }
        let well = self.well();
        let first = self.first_problem.get().cloned().unwrap_or_default();
        Err(format!("{well} well; [otherwise, refused, broken] = {counts:?}; first: {first}")
            .into())
    }

    fn note(&self, outcome: reqwest::Result<StatusCode>) {
        let count = match &outcome {
            Ok(StatusCode::OK) => &self.well,
            Ok(_) => &self.answered_otherwise,
            Err(error) if error.is_connect() => &self.refused,
            Err(_) => &self.broken,
        };
        count.fetch_add(1, Ordering::SeqCst);
        let problem = match outcome {
            Ok(StatusCode::OK) => return,
            Ok(status) => format!("status {status}"),
            Err(error) => format!("{error:?}"),
        };
        self.first_problem.get_or_init(|| problem);
    }
}

/// Users who search and check out until they are stopped.
#[derive(Debug)]
pub struct Traffic {
    /// What they saw so far.
    pub seen: Arc<Seen>,
    stop: Arc<AtomicBool>,
    users: Vec<JoinHandle<()>>,
}

impl Traffic {
    /// `users` of them, each with `pause` between an answer and the next request.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn start(base: &str, users: usize, pause: Duration, reuse: bool) -> Result<Self> {
        let (seen, stop) = (Arc::<Seen>::default(), Arc::<AtomicBool>::default());
        let idle = if reuse { 8 } else { 0 };
        let client = Client::builder().no_proxy().pool_max_idle_per_host(idle);
        let client = client.timeout(Duration::from_secs(20)).build()?;
        let users = (0..users).map(|number| {
            let (client, base) = (client.clone(), base.to_owned());
            let (seen, stop) = (Arc::clone(&seen), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut turn = number;
                while !stop.load(Ordering::SeqCst) {
                    seen.note(ask(&client, &base, turn).await);
                    turn += 1;
                    tokio::time::sleep(pause).await;
                }
            })
        });
        Ok(Self { users: users.collect(), seen, stop })
    }

    /// Lets requests under way end; what the users saw.
    ///
    /// # Errors
    /// When a user panicked.
    pub async fn stop(mut self) -> Result<Arc<Seen>> {
        self.stop.store(true, Ordering::SeqCst);
        for user in self.users.drain(..) {
            user.await?;
        }
        Ok(Arc::clone(&self.seen))
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

async fn ask(client: &Client, base: &str, turn: usize) -> reqwest::Result<StatusCode> {
    let request = if turn.is_multiple_of(2) {
        client.get(format!("{base}/api/search?q=ssd"))
    } else {
        let cart = json!({"productIds": ["p-100", "p-104"], "email": "ada@example.com"});
        client.post(format!("{base}/api/checkout")).json(&cart)
    };
    let response = request.send().await?;
    let status = response.status();
    response.bytes().await?;
    Ok(status)
}
