//! Light, steady traffic: half searches, three tenths products, two tenths checkouts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::RngExt;
use rand::seq::IndexedRandom;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

const TERMS: [&str; 7] = ["ssd", "ram", "monitor", "keyboard", "mouse", "hub", ""];
const PRODUCTS: [&str; 10] =
    ["p-100", "p-101", "p-102", "p-103", "p-104", "p-105", "p-106", "p-107", "p-108", "p-109"];
const EMAILS: [&str; 3] = ["ada@example.com", "grace@example.com", "linus@example.com"];
/// Requests under way at once; more would only hide that the proxy does not keep up.
const IN_FLIGHT_MAX: usize = 256;

/// A request to send, and what answers are fine.
#[derive(Clone, Debug, PartialEq)]
enum Shot {
    Search(&'static str),
    Product(&'static str),
    Checkout(Vec<&'static str>, &'static str),
}

impl Shot {
    fn random() -> Self {
        let mut rng = rand::rng();
        let pick = |from: &[&'static str], rng: &mut rand::rngs::ThreadRng| {
            *from.choose(rng).expect("the lists are not empty")
        };
        match rng.random_range(0..10) {
            0..5 => Self::Search(pick(&TERMS, &mut rng)),
            5..8 => Self::Product(pick(&PRODUCTS, &mut rng)),
            _ => {
                let count = rng.random_range(1..=3);
                let cart = (0..count).map(|_| pick(&PRODUCTS, &mut rng)).collect();
                Self::Checkout(cart, pick(&EMAILS, &mut rng))
            }
        }
    }

    fn request(&self, client: &Client, base: &str) -> RequestBuilder {
        match self {
            Self::Search(term) => client.get(format!("{base}/api/search?q={term}")),
            Self::Product(id) => client.get(format!("{base}/api/product/{id}")),
            Self::Checkout(cart, email) => client
                .post(format!("{base}/api/checkout"))
                .json(&json!({"productIds": cart, "email": email})),
        }
    }

    fn is_fine(&self, status: StatusCode) -> bool {
        status.is_success()
            || match self {
                Self::Search(_) => false,
                Self::Product(_) => status == StatusCode::NOT_FOUND,
                Self::Checkout(..) => status == StatusCode::INTERNAL_SERVER_ERROR,
            }
    }
}

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
            let shot = Shot::random();
            let fine = match shot.request(&client, &base).send().await {
                Ok(response) => shot.is_fine(response.status()) && response.bytes().await.is_ok(),
                Err(_) => false,
            };
            clients.sent.fetch_add(1, Ordering::Relaxed);
            clients.errors.fetch_add(u64::from(!fine), Ordering::Relaxed);
            drop(slot);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_is_half_search_three_tenths_product_two_tenths_checkout() {
        let mut counts = [0_u32; 3];
        for _ in 0..20_000 {
            match Shot::random() {
                Shot::Search(_) => counts[0] += 1,
                Shot::Product(_) => counts[1] += 1,
                Shot::Checkout(cart, _) => {
                    assert!((1..=3).contains(&cart.len()));
                    counts[2] += 1;
                }
            }
        }
        // Ten standard deviations and more to either side.
        for (count, expected) in counts.into_iter().zip([10_000, 6_000, 4_000]) {
            assert!(count.abs_diff(expected) < 800, "{counts:?}");
        }
    }

    #[test]
    fn each_kind_of_request_has_its_own_fine_answers() {
        let not_found = StatusCode::NOT_FOUND;
        assert!(Shot::Product("x").is_fine(not_found) && !Shot::Search("").is_fine(not_found));
        let injected = StatusCode::INTERNAL_SERVER_ERROR;
        assert!(Shot::Checkout(Vec::new(), "").is_fine(injected));
        assert!(!Shot::Product("x").is_fine(injected));
        assert!(!Shot::Checkout(Vec::new(), "").is_fine(StatusCode::BAD_GATEWAY));
    }
}
