//! What starts anew when other settings are taken, since it was held against something else, and what
//! goes on.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::eventually;
use crate::live::{Live, all, candidate, file, live, route};
use crate::support::{fixed, json as answer, let_go, status, upstream};

struct Told {
    live: Live,
    addrs: [SocketAddr; 2],
}

impl Told {
    /// A proxy with these settings that has compared a pair each of the routes `a` and `GET /b`.
    async fn by(more: &str) -> Self {
        let addrs = [fixed("1").await.addr, fixed("1").await.addr];
        let told = Self { live: live(&text(addrs, more)).await, addrs };
        for path in ["/a", "/b"] {
            told.live.get(path).await;
        }
        eventually!(told.pairs().await == [1, 1]);
        told
    }

    /// Who starts anew by these settings.
    async fn anew(&self, more: &str) -> Value {
        self.live.take(&text(self.addrs, more)).await["startedAnew"].clone()
    }

    /// Of the routes `a` and `GET /b`.
    async fn pairs(&self) -> [u64; 2] {
        pairs(&self.live, ["a", "GET /b"]).await
    }
}

async fn pairs<const N: usize>(live: &Live, routes: [&str; N]) -> [u64; N] {
    let report = live.json("/control/report").await;
    let known = report["routes"].as_array().unwrap();
    let of = |route: &str| known.iter().find(|it| it["route"] == route);
    routes.map(|route| of(route).map_or(0, |it| it["pairs"].as_u64().unwrap()))
}

fn text([baseline, v2]: [SocketAddr; 2], more: &str) -> String {
    all(&[file(baseline, ""), candidate("v2", v2, ""), more.to_owned()])
}

#[tokio::test]
async fn other_rules_for_all_start_a_candidate_anew() {
    let told = Told::by(&route("a", "")).await;
    let ruled = format!("[compare]\nignore = [\"nonce\"]\n{}", route("a", ""));
    assert_eq!(told.anew(&ruled).await, json!(["v2"]));
    assert_eq!(told.pairs().await, [0, 0]);
}

#[tokio::test]
async fn other_rules_of_a_route_start_it_anew_and_no_other() {
    let told = Told::by(&route("a", "")).await;
    let ruled = route("a", "ignore = [\"$.attempt\"]");
    assert_eq!(told.anew(&ruled).await, json!(["v2 on a"]));
    assert_eq!(told.pairs().await, [0, 1]);
    told.live.get("/a").await;
    eventually!(told.pairs().await == [1, 1]);
    assert_eq!(told.anew(&ruled).await, json!([]));
    assert_eq!(told.pairs().await, [1, 1]);
}

#[tokio::test]
async fn a_route_that_takes_other_requests_starts_anew() {
    let told = Told::by(&route("a", "")).await;
    let other = route("a", "").replace("prefix = \"/a\"", "regex = \"/a.*\"");
    assert_eq!(told.anew(&other).await, json!(["v2 on a"]));
    assert_eq!(told.pairs().await, [0, 1]);
}

#[tokio::test]
async fn a_route_of_a_label_starts_anew_by_it() {
    let labelled =
        |more: &str| format!("{}[[route]]\nroute = \"GET /b\"\n{more}\n", route("a", ""));
    let told = Told::by(&labelled("")).await;
    let strict = labelled("[route.report]\nmismatch_rate = 0.5");
    assert_eq!(told.anew(&strict).await, json!(["v2 on GET /b"]));
    assert_eq!(told.pairs().await, [1, 0]);
}

#[tokio::test]
async fn what_judges_nobody_otherwise_starts_nothing_anew() {
    let of = |share: &str| route("a", &format!("ignore = [\"$.attempt\"]\n{share}"));
    let told = Told::by(&of("")).await;
    let others = [
        format!("\n\n# Farther down.\n{}", of("")),
        of("share = 0.5"),
        format!("{}{}", route("first", ""), of("")),
    ];
    for text in others {
        assert_eq!(told.anew(&text).await, json!([]), "{text}");
        assert_eq!(told.pairs().await, [1, 1]);
    }
}

#[tokio::test]
async fn a_pair_of_before_says_nothing_of_a_route_that_is_judged_otherwise() {
    let go = Arc::new(Notify::new());
    let v2 = let_go(&go, || answer("2")).await;
    let addrs = [fixed("1").await.addr, v2.addr];
    let live = live(&text(addrs, &route("a", ""))).await;
    live.get("/a").await;
    eventually!(v2.count() == 1);
    live.take(&text(addrs, &route("a", "ignore = [\"$.attempt\"]"))).await;
    go.notify_one();
    eventually!(live.proxy.outcome("mismatched").await == 1.0);
    assert_eq!(pairs(&live, ["a"]).await, [0]);
    go.notify_one();
    live.get("/a").await;
    eventually!(pairs(&live, ["a"]).await == [1]);
}

#[tokio::test]
async fn another_cooldown_starts_nothing_anew_and_a_trip_keeps_its_time() {
    let addrs = [fixed("1").await.addr, upstream(|_| async { status(500) }).await.addr];
    let strict = |cooldown: &str, own: &str| {
        let own = route("a", &format!("[route.guardrail]\nerror_delta = 0.1\n{own}"));
        let touchy = format!("[candidate.guardrail]\nconsecutive = 2\ncooldown = \"{cooldown}\"\n");
        all(&[file(addrs[0], ""), candidate("v2", addrs[1], &touchy), own])
    };
    let live = live(&strict("1h", "")).await;
    let streak = async || live.proxy.status().await["breachStreak"].as_u64().unwrap();
    live.get("/a").await;
    eventually!(streak().await == 1);
    assert_eq!(live.take(&strict("2h", "cooldown = \"3h\"")).await["startedAnew"], json!([]));
    assert_eq!((streak().await, pairs(&live, ["a"]).await), (1, [1]));
    assert_eq!(live.proxy.status().await["cooldownSeconds"], 7200);
    live.get("/b").await;
    eventually!(live.proxy.status().await["state"] == "tripped");
    assert_eq!(live.take(&strict("1s", "")).await["startedAnew"], json!([]));
    let status = live.proxy.status().await;
    assert_eq!((&status["state"], &status["cooldownSeconds"]), (&json!("tripped"), &json!(1)));
    assert!(status["cooldownRemainingSeconds"].as_f64().unwrap() > 7000.0, "{status}");
}
