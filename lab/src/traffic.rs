//! Light, steady traffic: the load test's mix at a rate of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use loadgen::mix::Shot;
use reqwest::Client;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, sleep};

/// Requests under way at once; more would only hide that the proxy does not keep up.
const IN_FLIGHT_MAX: usize = 256;

/// What the clients saw.
#[derive(Debug, Default)]
pub struct Clients {
    sent: AtomicU64,
    errors: AtomicU64,
}

impl Clients {
    /// Requests answered or failed.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Requests with an answer that is not fine, or none.
    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }
}

impl Clients {
    fn count(&self, fine: bool) {
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.errors.fetch_add(u64::from(!fine), Ordering::Relaxed);
    }
}

/// Drives traffic until it is dropped.
#[derive(Debug)]
pub struct Traffic {
    /// What the clients saw so far.
    pub clients: Arc<Clients>,
    task: Option<JoinHandle<()>>,
}

impl Traffic {
    /// None at all.
    pub fn none() -> Self {
        Self { clients: Arc::default(), task: None }
    }

    /// `rate` requests per second to this base URL, whether or not earlier ones are answered.
    pub fn start(client: Client, base: String, rate: f64) -> Self {
        let clients = Arc::<Clients>::default();
        let task = tokio::spawn(drive(client, base, rate, Arc::clone(&clients)));
        Self { clients, task: Some(task) }
    }

    /// So many users of this base URL, as the load test has them: each asks, waits for the answer,
    /// thinks for this long, and asks again.
    pub fn users(client: &Client, base: &str, users: u32, think: Duration) -> Self {
        let clients = Arc::<Clients>::default();
        let mut all = JoinSet::new();
        for number in 0..users {
            let (client, base, clients) = (client.clone(), base.to_owned(), Arc::clone(&clients));
            // They do not all come at once.
            let first = think * number / users.max(1);
            all.spawn(async move {
                sleep(first).await;
                loop {
                    clients.count(is_answered_well(&client, &base, &Shot::random()).await);
                    sleep(think).await;
                }
            });
        }
        // The users end with whoever waits for them.
        let task = tokio::spawn(async move { while all.join_next().await.is_some() {} });
        Self { clients, task: Some(task) }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.task.iter().for_each(JoinHandle::abort);
    }
}

async fn drive(client: Client, base: String, rate: f64, clients: Arc<Clients>) {
    let base: Arc<str> = base.into();
    let slots = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
    let mut ticks = interval(Duration::from_secs_f64(1.0 / rate));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let (client, base, clients) = (client.clone(), Arc::clone(&base), Arc::clone(&clients));
        tokio::spawn(async move {
            let fine = is_answered_well(&client, &base, &Shot::random()).await;
            clients.count(fine);
            drop(slot);
        });
    }
}

async fn is_answered_well(client: &Client, base: &str, shot: &Shot) -> bool {
    let url = format!("{base}{}", shot.path());
    let request = match shot.body() {
        Some(body) => client.post(url).json(&body),
        None => client.get(url),
    };
    match request.send().await {
        Ok(response) => shot.is_fine(response.status().as_u16()) && response.bytes().await.is_ok(),
        Err(_) => false,
    }
}
