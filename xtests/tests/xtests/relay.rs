//! A real NGINX and a real Envoy, set up as the manual says, before a relay.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};
use xtests::client::{Traffic, sum};
use xtests::mirrors::{Mirror, free_port};
use xtests::stack::{Place, Stack};
use xtests::{Result, client, ensure, eventually};

use crate::Missing;

/// Rounds of requests.
const ROUNDS: u32 = 20;
const MIB: usize = 1 << 20;

/// The route is for the host that the client asked for.
const SETTINGS: &str = r#"
[[listener]]
address = "127.0.0.1:{relay}"
mode = "relay"

[[route]]
name = "asked"
[route.match]
host = { exact = "127.0.0.1" }
"#;

#[derive(Clone, Copy)]
enum Before {
    Nginx,
    Envoy,
}

pub(crate) async fn behind_nginx_pairs_come_out_right_and_its_clients_see_nothing(
    place: &Place,
) -> Result<()> {
    relays(place, Before::Nginx).await
}

pub(crate) async fn behind_envoy_pairs_come_out_right_and_its_clients_see_nothing(
    place: &Place,
) -> Result<()> {
    relays(place, Before::Envoy).await
}

async fn relays(place: &Place, before: Before) -> Result<()> {
    let Place::Processes(run, _) = place else { return Err("of processes alone".into()) };
    let relay = free_port()?;
    let file = run.folder(&format!("relay-{relay}"))?.join("relay.toml");
    std::fs::write(&file, SETTINGS.replace("{relay}", &relay.to_string()))?;
    let file = file.display().to_string();
    let mut stack = Stack::start(place, &[("MIRROR_CONFIG", &file)]).await?;
    let service = stack.baseline.inner_url().replace("http://", "");
    let name = format!("relay-{relay}");
    let (mirror, program) = match before {
        Before::Nginx => (Mirror::nginx(run, &name, &service, relay).await?, "nginx"),
        Before::Envoy => (Mirror::envoy(run, &name, &service, relay).await?, "envoy"),
    };
    let Some(mirror) = mirror else { return Err(Missing(program.to_owned()).into()) };
    pairs_come_out_right(&stack, &mirror).await?;
    differences_are_found(&stack, &mirror).await?;
    nobody_notices_that_it_is_gone(&mut stack, &mirror).await?;
    drop(mirror);
    stack.stop().await
}

/// An order of so many bytes. Its number is a hash of it: equal answers mean whole bodies.
fn order(length: usize, number: u32) -> Result<String> {
    let order = |email: &str| json!({"productIds": ["p-100", "p-104"], "email": email}).to_string();
    let mut email = String::new();
    write!(email, "{number}@")?;
    let rest = length.saturating_sub(order(&email).len());
    email.push_str(&"x".repeat(rest));
    Ok(order(&email))
}

async fn pairs_come_out_right(stack: &Stack, mirror: &Mirror) -> Result<()> {
    let order_at = |url: &str| format!("{url}/api/checkout");
    let (url, direct) = (order_at(&mirror.url), order_at(&stack.baseline.inner_url()));
    for round in 0..ROUNDS {
        let search =
            client::json(&stack.client, &format!("{}/api/search?q=ssd", mirror.url)).await?;
        ensure!(search["count"].as_u64() > Some(0), "{search}");
        let empty = stack.client.post(&url).body("").send().await?;
        ensure!(empty.status() == 400, "{}", empty.status());
        for length in [1 << 10, MIB] {
            let order = order(length, round)?;
            ensure!(order.len() == length);
            let id = whole(stack, &direct, order.clone()).await?;
            ensure!(whole(stack, &url, order.clone()).await? == id);
            let pieces: Vec<_> = order.as_bytes().chunks(10_000).map(<[u8]>::to_vec).collect();
            let pieces = pieces.into_iter().map(Ok::<_, std::io::Error>);
            let chunked = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
            ensure!(whole(stack, &url, chunked).await? == id);
        }
    }
    let sent = f64::from(6 * ROUNDS);
    eventually!(stack.metric("mirror_outcomes_total", &[]).await? >= sent);
    eventually!(stack.metric("mirror_outcomes_total", &["outcome=\"matched\""]).await? == sent);
    let metrics =
        client::text(&stack.client, &format!("{}/metrics", stack.proxy.url().await?)).await?;
    let count = |name: &str, label: &str| sum(&metrics, name, &[label]);
    ensure!(count("mirror_outcomes_total", "") == sent, "{metrics}");
    ensure!(count("mirror_outcomes_total", "route=\"asked\"") == sent, "{metrics}");
    ensure!(count("mirror_relayed_total", "") == sent, "{metrics}");
    ensure!(count("mirror_relayed_total", "result=\"relayed\"") == sent, "{metrics}");
    for target in ["target=\"baseline\"", "target=\"candidate\""] {
        ensure!(count("mirror_requests_total", target) == sent, "{metrics}");
    }
    // Its clients', the relay's, and what was asked to know the answers.
    let asked = 2.0 * sent + f64::from(2 * ROUNDS);
    ensure!(stack.answered(&stack.baseline).await? == asked);
    ensure!(stack.answered(&stack.candidate).await? == sent);
    Ok(())
}

/// Sends an order; the answer must be the service's own to this one.
async fn whole(stack: &Stack, url: &str, body: impl Into<reqwest::Body>) -> Result<String> {
    let request = stack.client.post(url).header("content-type", "application/json").body(body);
    let answer: Value = request.send().await?.error_for_status()?.json().await?;
    Ok(answer["orderId"].as_str().ok_or("no number")?.to_owned())
}

async fn differences_are_found(stack: &Stack, mirror: &Mirror) -> Result<()> {
    stack.set_chaos(&stack.candidate, &json!({"mismatchRate": 1})).await?;
    for _ in 0..ROUNDS {
        client::text(&stack.client, &format!("{}/api/product/p-100", mirror.url)).await?;
    }
    let rounds = f64::from(ROUNDS);
    eventually!(
        stack.metric("mirror_outcomes_total", &["outcome=\"mismatched\""]).await? == rounds
    );
    stack.set_chaos(&stack.candidate, &json!({"mismatchRate": 0})).await
}

/// Killed, hanging, and there again, in the middle of traffic.
async fn nobody_notices_that_it_is_gone(stack: &mut Stack, mirror: &Mirror) -> Result<()> {
    let traffic = Traffic::start(&mirror.url, 8, Duration::from_millis(5), true)?;
    let some_more = async |seen: &xtests::client::Seen| {
        let before = seen.well();
        eventually!(seen.well() > before + 200);
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    };
    some_more(&traffic.seen).await?;
    stack.proxy.kill().await?;
    some_more(&traffic.seen).await?;
    stack.proxy.start_again().await?;
    stack.wait_for(&stack.proxy, "/readyz").await?;
    some_more(&traffic.seen).await?;
    eventually!(stack.metric("mirror_outcomes_total", &["outcome=\"matched\""]).await? > 50.0);
    stack.proxy.pause().await?;
    // NGINX's clients wait for as long as its settings let the relay take.
    let before = traffic.seen.well();
    eventually!(traffic.seen.well() > before + 16);
    stack.proxy.resume().await?;
    some_more(&traffic.seen).await?;
    traffic.stop().await?.all_well()
}
