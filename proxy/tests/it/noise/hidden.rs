//! What a candidate cannot hide behind noise: where both baselines differ at a place, its values are
//! still held against what the baselines' are like.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderValue;

use crate::eventually;
use crate::support::{Answer, Upstream, in_time, json, proxy, text, upstream};

use super::asking;

const REQUESTS: u32 = 40;

/// A token that never repeats itself, of 16 hex digits.
fn token(number: u64) -> String {
    format!("{:016x}", (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1 << 63)
}

/// An upstream whose answers are made from a token each.
async fn made(first: u64, answer: fn(&str) -> Answer) -> Upstream {
    let next = Arc::new(AtomicU64::new(first));
    upstream(move |_| {
        let token = token(next.fetch_add(1, Ordering::Relaxed));
        async move { answer(&token) }
    })
    .await
}

/// How many pairs differ beyond noise, where both baselines give one answer and the candidate another.
async fn net(baselines: fn(&str) -> Answer, candidate: fn(&str) -> Answer) -> u64 {
    let (baseline, secondary) = (made(0, baselines).await, made(1 << 20, baselines).await);
    let candidate = made(2 << 20, candidate).await;
    let proxy = proxy(baseline.addr, candidate.addr, asking(secondary.addr)).await;
    for asked in 1..=REQUESTS {
        in_time(proxy.get("/")).await;
        eventually!(proxy.all_noise().await == f64::from(asked));
    }
    let report: serde_json::Value = proxy.get("/control/report").await.json().await.unwrap();
    report["mismatches"]["net"].as_u64().unwrap()
}

fn page(token: &str) -> Answer {
    let lines: Vec<_> = (0..20).map(|line| format!("<p>paragraph {line}</p>")).collect();
    text(format!("<title>Shop</title>\n<input value=\"{token}\">\n{}", lines.join("\n")))
}

fn field(token: &str) -> Answer {
    json(&format!("{{\"token\":\"{token}\",\"price\":5}}"))
}

fn with(name: &'static str, value: &str) -> Answer {
    let mut answer = json("{}");
    answer.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
    answer
}

fn cached(token: &str) -> Answer {
    // Between 1000 and 1999.
    let age = 1000 + u64::from_str_radix(&token[..8], 16).unwrap() % 1000;
    with("cache-control", &format!("private, max-age={age}"))
}

fn login(token: &str) -> Answer {
    with("location", &format!("/login?client=shop&state={token}"))
}

#[tokio::test]
async fn a_twin_differs_in_nothing_but_noise() {
    for twin in [page, field, cached, login] {
        assert_eq!(net(twin, twin).await, 0);
    }
}

#[tokio::test]
async fn an_empty_page_and_an_error_page_are_not_hidden_by_a_random_token() {
    assert!(net(page, |_| text("")).await > 30);
    assert!(net(page, |_| text("  \n")).await > 30);
    let error = |token: &str| text(format!("<title>Error</title>\nan error occurred: {token}"));
    assert!(net(page, error).await > 30);
    let one_line = |token: &str| text(format!("{}\n", page_without_a_line(token)));
    assert!(net(page, one_line).await > 30);
}

/// The same page with one of its stable lines gone.
fn page_without_a_line(token: &str) -> String {
    let lines: Vec<_> = (1..20).map(|line| format!("<p>paragraph {line}</p>")).collect();
    format!("<title>Shop</title>\n<input value=\"{token}\">\n{}", lines.join("\n"))
}

#[tokio::test]
async fn a_random_field_may_not_be_missing_null_another_type_or_constant() {
    assert!(net(field, |_| json("{\"price\":5}")).await > 30);
    assert!(net(field, |_| json("{\"token\":null,\"price\":5}")).await > 30);
    assert!(net(field, |_| json("{\"token\":17,\"price\":5}")).await > 30);
    assert!(net(field, |_| json("{\"token\":\"\",\"price\":5}")).await > 30);
    assert!(net(field, |_| json("{\"token\":\"an error occurred\",\"price\":5}")).await > 30);
    let constant = |_: &str| json("{\"token\":\"deadbeefdeadbeef\",\"price\":5}");
    assert!(net(field, constant).await > 30);
}

#[tokio::test]
async fn a_list_of_random_length_may_not_be_emptied() {
    let list = |token: &str| {
        let more = u64::from_str_radix(&token[..8], 16).unwrap() % 5;
        let elements: Vec<_> = (0..=more).map(|element| element.to_string()).collect();
        json(&format!("{{\"items\":[{}]}}", elements.join(",")))
    };
    assert!(net(list, |_| json("{\"items\":[]}")).await > 30);
}

#[tokio::test]
async fn a_random_state_or_age_hides_neither_another_location_nor_a_missing_directive() {
    assert!(net(login, |_| with("location", "/error")).await > 30);
    assert!(net(login, |token| with("location", &format!("/error?state={token}"))).await > 30);
    let without_client = |token: &str| with("location", &format!("/login?state={token}"));
    assert!(net(login, without_client).await > 30);
    assert!(net(cached, |_| json("{}")).await > 30);
    assert!(net(cached, |_| with("cache-control", "max-age=1234")).await > 30);
}
