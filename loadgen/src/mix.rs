//! What users ask for: half searches, three tenths products, two tenths checkouts.

use rand::RngExt;
use rand::rngs::ThreadRng;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};

const TERMS: [&str; 7] = ["ssd", "ram", "monitor", "keyboard", "mouse", "hub", ""];
const PRODUCTS: [&str; 10] =
    ["p-100", "p-101", "p-102", "p-103", "p-104", "p-105", "p-106", "p-107", "p-108", "p-109"];
const EMAILS: [&str; 3] = ["ada@example.com", "grace@example.com", "linus@example.com"];

/// A request to send, and what answers are fine.
#[derive(Clone, Debug, PartialEq)]
pub enum Shot {
    /// For a term, or for everything.
    Search(&'static str),
    /// By its id.
    Product(&'static str),
    /// Of some products, for an e-mail address.
    Checkout(Vec<&'static str>, &'static str),
}

/// The kinds of requests, as rows of a table.
pub const KINDS: [&str; 3] = ["GET /api/search", "GET /api/product/{id}", "POST /api/checkout"];

impl Shot {
    /// One of the mix.
    pub fn random() -> Self {
        let mut rng = rand::rng();
        let pick = |from: &[&'static str], rng: &mut ThreadRng| {
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

    /// Its place in [`KINDS`].
    pub fn kind(&self) -> usize {
        match self {
            Self::Search(_) => 0,
            Self::Product(_) => 1,
            Self::Checkout(..) => 2,
        }
    }

    /// Path and query.
    pub fn path(&self) -> String {
        match self {
            Self::Search(term) => format!("/api/search?q={term}"),
            Self::Product(id) => format!("/api/product/{id}"),
            Self::Checkout(..) => "/api/checkout".to_owned(),
        }
    }

    /// The JSON to POST; without one it is a GET.
    pub fn body(&self) -> Option<Value> {
        match self {
            Self::Checkout(cart, email) => Some(json!({"productIds": cart, "email": email})),
            _ => None,
        }
    }

    /// Whether an answer of this status is one that a user of the shop can live with.
    pub fn is_fine(&self, status: u16) -> bool {
        matches!(
            (self, status),
            (_, 200..300) | (Self::Product(_), 404) | (Self::Checkout(..), 500)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_is_half_search_three_tenths_product_two_tenths_checkout() {
        let mut counts = [0_u32; 3];
        for _ in 0..20_000 {
            let shot = Shot::random();
            counts[shot.kind()] += 1;
            if let Shot::Checkout(cart, email) = &shot {
                assert!((1..=3).contains(&cart.len()));
                assert!(email.ends_with("@example.com"));
            }
        }
        // Ten standard deviations and more to either side.
        for (count, expected) in counts.into_iter().zip([10_000, 6_000, 4_000]) {
            assert!(count.abs_diff(expected) < 800, "{counts:?}");
        }
    }

    #[test]
    fn each_kind_of_request_has_its_own_fine_answers() {
        let (search, product) = (Shot::Search(""), Shot::Product("x"));
        let checkout = Shot::Checkout(Vec::new(), "");
        for shot in [&search, &product, &checkout] {
            assert!(shot.is_fine(200) && shot.is_fine(204), "{shot:?}");
            for status in [101, 301, 400, 429, 502, 503, 504] {
                assert!(!shot.is_fine(status), "{shot:?} {status}");
            }
        }
        assert_eq!(
            [&search, &product, &checkout].map(|shot| shot.is_fine(404)),
            [false, true, false]
        );
        assert_eq!(
            [&search, &product, &checkout].map(|shot| shot.is_fine(500)),
            [false, false, true]
        );
    }

    #[test]
    fn paths_and_bodies_are_those_of_the_shop() {
        assert_eq!(Shot::Search("ssd").path(), "/api/search?q=ssd");
        assert_eq!(Shot::Product("p-100").path(), "/api/product/p-100");
        let checkout = Shot::Checkout(vec!["p-100", "p-101"], "a@example.com");
        assert_eq!(checkout.path(), "/api/checkout");
        let body = json!({"productIds": ["p-100", "p-101"], "email": "a@example.com"});
        assert_eq!(checkout.body(), Some(body));
        assert_eq!(Shot::Search("").body(), None);
    }
}
