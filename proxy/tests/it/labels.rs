//! Routes whose label found no room among the hundred: their requests are counted as `other`, and what is
//! said of them holds all the same.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use tokio::sync::Notify;

use crate::eventually;
use crate::live::{Live, all, candidate, file, get_raw, live, named, route};
use crate::support::{Upstream, fixed, hung, json, status, upstream};

/// Labels besides `other`.
const LABELS: usize = 100;

/// A path of letters alone, each of which is a label of its own.
fn path(n: usize) -> String {
    let letter = |n: usize| char::from(b'a' + u8::try_from(n % 26).unwrap());
    format!("/p/{}{}x", letter(n / 26), letter(n))
}

/// So many routes by their labels.
fn by_label(count: usize, more: &str) -> String {
    (0..count).fold(String::new(), |mut text, n| {
        writeln!(text, "[[route]]\nroute = \"GET {}\"\n{more}", path(n)).unwrap();
        text
    })
}

/// Clients have used up all labels.
async fn full(live: &Live) {
    for n in 0..LABELS {
        live.get(&path(n)).await;
    }
    let other = live.proxy.metric("mirror_outcomes_total", &[&named("route", "other")]).await;
    assert_eq!(other, 0.0);
}

async fn of_other(live: &Live, outcome: &str) -> f64 {
    let labels = [named("route", "other"), named("outcome", outcome)];
    live.proxy.metric("mirror_outcomes_total", &[&labels[0], &labels[1]]).await
}

/// How many labels a metric has.
async fn labels_of(live: &Live, metric: &str) -> usize {
    let text = live.proxy.metrics().await;
    let of = |line: &&str| line.starts_with(&format!("{metric}{{"));
    let label = |line: &str| {
        line.split("route=\"").nth(1).map(|it| it.split('"').next().map(str::to_owned))
    };
    text.lines().filter(of).map(label).collect::<std::collections::HashSet<_>>().len()
}

async fn state_of(live: &Live, route: &str) -> Value {
    let status = live.json("/control/status").await;
    let routes = status["routes"].as_array().unwrap().iter();
    routes
        .filter(|it| it["route"] == route)
        .map(|it| it["state"].clone())
        .next()
        .unwrap_or_default()
}

async fn switch(live: &Live, on: bool, route: &str) {
    let action = if on { "enable" } else { "disable" };
    let query = format!("{action}?route={}", route.replace(' ', "%20"));
    assert_eq!(live.proxy.control(&query).await.status(), 200, "{query}");
}

async fn mirroring(routes: &str) -> (Live, Upstream) {
    let (baseline, v2) = (fixed("{}").await.addr, fixed("{}").await);
    let parts = [file(baseline, ""), candidate("v2", v2.addr, ""), routes.to_owned()];
    (live(&all(&parts)).await, v2)
}

/// That this route, whose requests come by this path, goes off and on by hand, and no other with it.
async fn goes_off_and_on(live: &Live, v2: &Upstream, id: &str, its: &str, another: &str) {
    let copies = v2.count() + 1;
    live.get(its).await;
    eventually!(v2.count() == copies);
    switch(live, false, id).await;
    assert_eq!(state_of(live, id).await, "held");
    let before = of_other(live, "disabled").await;
    live.get(its).await;
    eventually!(of_other(live, "disabled").await == before + 1.0);
    live.get(another).await;
    eventually!(v2.count() == copies + 1);
    for metric in ["mirror_route_enabled", "mirror_verdict", "mirror_outcomes_total"] {
        assert_eq!(labels_of(live, metric).await, LABELS + 1, "{metric}");
    }
    switch(live, true, id).await;
    live.get(its).await;
    eventually!(v2.count() == copies + 2);
}

#[tokio::test]
async fn a_route_by_its_label_is_off_by_hand_though_its_requests_count_as_other() {
    let (live, v2) = mirroring(&by_label(LABELS + 3, "")).await;
    full(&live).await;
    eventually!(v2.count() == LABELS);
    let id = format!("GET {}", path(LABELS + 1));
    goes_off_and_on(&live, &v2, &id, &path(LABELS + 1), &path(LABELS + 2)).await;
}

#[tokio::test]
async fn a_route_with_a_name_is_off_by_hand_though_other_names_came_and_went() {
    let (baseline, v2) = (fixed("{}").await.addr, fixed("{}").await);
    let text =
        |routes: &str| all(&[file(baseline, ""), candidate("v2", v2.addr, ""), routes.to_owned()]);
    let names: String = (0..LABELS).map(|n| route(&format!("n{n}"), "")).collect();
    let live = live(&text(&names)).await;
    for n in 0..LABELS {
        live.get(&format!("/n{n}")).await;
    }
    eventually!(v2.count() == LABELS);
    live.take(&text(&route("pay", ""))).await;
    goes_off_and_on(&live, &v2, "pay", "/pay", "/elsewhere").await;
}

#[tokio::test]
async fn a_place_of_the_settings_is_no_name_and_nothing_is_said_of_it_by_hand() {
    let (live, v2) = mirroring("[[route]]\nmatch = { path = { prefix = \"/a\" } }\n").await;
    let config = live.json("/control/config").await;
    let id = config["routes"][0]["route"].as_str().unwrap().to_owned();
    let reason = format!(
        "route={id:?}: is a place, which other settings may have tomorrow; allowed is the name or the \
         label of a route: give this one a name"
    );
    for action in ["disable", "enable", "report/reset"] {
        let answer = live.proxy.control(&format!("{action}?route={id}")).await;
        assert_eq!(answer.status(), 404, "{action}");
        assert_eq!(answer.json::<Value>().await.unwrap()["reason"], reason, "{action}");
    }
    for shown in ["status", "report"] {
        assert_eq!(live.json(&format!("/control/{shown}?route={id}")).await["reason"], reason);
    }
    let (code, told) = live.say(&serde_json::json!({"route": id, "share": 0})).await;
    assert_eq!((code, &told["reason"]), (400, &Value::from(reason)));
    live.get("/a").await;
    eventually!(v2.count() == 1);
}

#[tokio::test]
async fn a_label_beyond_ascii_is_one_however_it_is_written_and_sent() {
    let (live, v2) = mirroring("[[route]]\nroute = \"GET /caf\u{e9}\"\n").await;
    let label = "GET /caf%C3%A9";
    let count = async |outcome: &str| {
        let [label, outcome] = [named("route", label), named("outcome", outcome)];
        live.proxy.metric("mirror_outcomes_total", &[&label, &outcome]).await
    };
    let ask = async || {
        for target in ["/caf\u{e9}", "/caf%C3%A9"] {
            get_raw(&live, target).await;
        }
    };
    ask().await;
    eventually!(count("matched").await == 2.0);
    for (spelled, times) in [("GET%20/caf\u{e9}", 1.0), ("GET%20/caf%25C3%25A9", 2.0)] {
        for (action, enabled) in [("disable", 0.0), ("enable", 1.0)] {
            let answer = live.proxy.control(&format!("{action}?route={spelled}")).await;
            assert_eq!(answer.status(), 200, "{action} {spelled}");
            ask().await;
            eventually!(count("disabled").await == 2.0 * times);
            let shown = live.proxy.metric("mirror_route_enabled", &[&named("route", label)]).await;
            assert_eq!(shown, enabled);
        }
    }
    eventually!(v2.count() == 6);
    let said = serde_json::json!({"route": "GET /caf\u{e9}", "enabled": false});
    assert_eq!(live.say(&said).await.0, 200);
    ask().await;
    eventually!(count("disabled").await == 6.0);
}

#[tokio::test]
async fn a_label_that_would_count_as_other_is_off_in_every_spelling_where_other_is() {
    let (live, v2) = mirroring(&route("a", "")).await;
    for n in 0..LABELS - 1 {
        live.get(&path(n)).await;
    }
    live.get("/a").await;
    eventually!(v2.count() == LABELS);
    switch(&live, false, "other").await;
    live.get("/secret").await;
    eventually!(of_other(&live, "disabled").await == 1.0);
    for target in ["/a/../secret", "/a/..;/secret"] {
        get_raw(&live, target).await;
    }
    eventually!(live.proxy.outcome("path_in_doubt").await == 2.0);
    // One that has a label, which is on.
    get_raw(&live, &format!("/a/..{}", path(0))).await;
    eventually!(v2.count() == LABELS + 1);
}

#[tokio::test]
async fn who_enables_a_route_is_told_that_other_which_it_counts_as_is_off() {
    let (live, v2) = mirroring(&by_label(LABELS + 2, "")).await;
    full(&live).await;
    eventually!(v2.count() == LABELS);
    let id = format!("GET {}", path(LABELS + 1));
    let told = async |route: &str| {
        let query = format!("enable?route={}", route.replace(' ', "%20"));
        live.proxy.control(&query).await.json::<Value>().await.unwrap()["stillOff"].clone()
    };
    switch(&live, false, "other").await;
    let why = "v2: the requests of the route count as other, which is held; enable that, too";
    assert_eq!(told(&id).await, serde_json::json!([why]));
    assert_eq!(told(&format!("GET {}", path(0))).await, Value::Null, "it has a label of its own");
    assert_eq!(told("other").await, Value::Null);
    assert_eq!(told(&id).await, Value::Null);
}

#[tokio::test]
async fn a_route_on_probation_has_no_larger_share_by_another_spelling_of_its_path() {
    let baseline = fixed("{}").await.addr;
    let is_bad = Arc::new(AtomicBool::new(true));
    let bad = Arc::clone(&is_bad);
    let v2 = upstream(move |seen| {
        let fails = bad.load(Ordering::Relaxed) && seen.target == "/a";
        async move { if fails { status(500) } else { json("{}") } }
    })
    .await;
    let ramped = "[guardrail]\nramp = \"1h\"\ncooldown = \"1s\"\n";
    let head = file(baseline, "").replace("[guardrail]\n", ramped);
    let touchy = candidate("v2", v2.addr, "[candidate.guardrail]\nconsecutive = 3\n");
    let live = live(&all(&[head, touchy, route("a", "")])).await;
    eventually!({
        live.get("/a").await;
        live.get("/b").await;
        state_of(&live, "a").await == "tripped"
    });
    is_bad.store(false, Ordering::Relaxed);
    eventually!({
        live.get("/a").await;
        state_of(&live, "a").await == "probation"
    });
    for _ in 0..10 {
        get_raw(&live, "//a").await;
    }
    assert_eq!(live.proxy.outcome("path_in_doubt").await, 10.0);
    // Of the same route in either reading; nothing is in doubt.
    get_raw(&live, "/a//x").await;
    assert_eq!(live.proxy.outcome("path_in_doubt").await, 10.0);
    assert_eq!(live.proxy.status().await["state"], "enabled");
}

#[tokio::test]
async fn a_route_that_counts_as_other_stays_off_by_hand_when_url_or_candidates_change() {
    let baseline = fixed("{}").await.addr;
    let (v2, v3) = (fixed("{}").await, fixed("{}").await);
    let routes = by_label(LABELS + 2, "");
    let text = |addr, more: &str| {
        all(&[file(baseline, ""), candidate("v2", addr, ""), more.to_owned(), routes.clone()])
    };
    let live = live(&text(v2.addr, "")).await;
    full(&live).await;
    eventually!(v2.count() == LABELS);
    let its = path(LABELS + 1);
    switch(&live, false, &format!("GET {its}")).await;
    let second = candidate("v3", v3.addr, "enabled = false");
    for text in [text(v3.addr, ""), text(v3.addr, &second), text(v3.addr, "")] {
        live.take(&text).await;
        live.get(&its).await;
        assert!(labels_of(&live, "mirror_route_enabled").await <= LABELS + 1);
    }
    eventually!(of_other(&live, "disabled").await == 4.0);
    assert_eq!(v3.count(), 0);
}

#[tokio::test]
async fn a_copy_that_waits_is_not_sent_once_its_route_is_off_though_it_counts_as_other() {
    let baseline = fixed("{}").await.addr;
    let v2 = fixed("{}").await;
    let stuck = hung().await;
    let routes = by_label(LABELS + 2, "");
    let text = |addr, more: &str| {
        let head = file(baseline, "concurrency = 1");
        all(&[head, candidate("v2", addr, more), routes.clone()])
    };
    let live = live(&text(v2.addr, "")).await;
    full(&live).await;
    eventually!(v2.count() == LABELS);
    live.take(&text(stuck.addr, "timeout = \"2s\"")).await;
    let its = path(LABELS + 1);
    live.get("/else").await;
    eventually!(stuck.count() == 1);
    live.get(&its).await;
    eventually!(live.proxy.metric("mirror_queue_length", &[]).await == 1.0);
    switch(&live, false, &format!("GET {its}")).await;
    eventually!(of_other(&live, "disabled").await == 1.0);
    assert_eq!(stuck.count(), 1);
}

#[tokio::test]
async fn pairs_of_a_route_that_is_off_stop_no_other_that_counts_as_other() {
    let baseline = fixed("{}").await.addr;
    let its = path(LABELS + 1);
    let (go, bad) = (Arc::new(Notify::new()), its.clone());
    let (waits, at) = (Arc::clone(&go), bad.clone());
    let v2 = upstream(move |seen| {
        let (go, is_bad) = (Arc::clone(&waits), seen.target == at);
        async move {
            if is_bad {
                go.notified().await;
            }
            if is_bad { status(500) } else { json("{}") }
        }
    })
    .await;
    let touchy = candidate("v2", v2.addr, "[candidate.guardrail]\nconsecutive = 1\n");
    let live = live(&all(&[file(baseline, ""), touchy, by_label(LABELS + 2, "")])).await;
    full(&live).await;
    live.get(&bad).await;
    eventually!(v2.count() == LABELS + 1);
    switch(&live, false, &format!("GET {bad}")).await;
    go.notify_one();
    eventually!(of_other(&live, "mismatched").await == 1.0);
    assert_eq!(live.proxy.status().await["state"], "enabled");
    assert_eq!(state_of(&live, "other").await, "enabled");
}

#[tokio::test]
async fn a_route_that_counts_as_other_has_its_own_pairs_before_its_share_falls() {
    let rare = format!("GET {}", path(LABELS + 1));
    let route = format!("[[route]]\nroute = \"{rare}\"\nshare = 0.000001\nmin_pairs = 3\n");
    let (live, v2) = mirroring(&route).await;
    full(&live).await;
    eventually!(v2.count() == LABELS);
    // Pairs of others, which say nothing of it.
    for _ in 0..5 {
        live.get("/else").await;
    }
    eventually!(of_other(&live, "matched").await == 5.0);
    for pairs in 1..=3 {
        live.get(&path(LABELS + 1)).await;
        eventually!(of_other(&live, "matched").await == 5.0 + f64::from(pairs));
    }
    for _ in 0..20 {
        live.get(&path(LABELS + 1)).await;
    }
    eventually!(of_other(&live, "not_sampled").await >= 19.0);
    live.proxy.control("report/reset?route=other").await;
    let before = v2.count();
    live.get(&path(LABELS + 1)).await;
    eventually!(v2.count() == before + 1);
}

#[tokio::test]
async fn a_route_that_was_off_before_its_first_request_is_shown_as_off_after_it() {
    let (live, _v2) = mirroring(&route("pay", "")).await;
    let enabled = || live.proxy.metric("mirror_route_enabled", &["route=\"pay\""]);
    switch(&live, false, "pay").await;
    assert_eq!(enabled().await, 0.0);
    live.get("/pay").await;
    eventually!(live.proxy.outcome("disabled").await == 1.0);
    assert_eq!(enabled().await, 0.0);
    switch(&live, true, "pay").await;
    assert_eq!(enabled().await, 1.0);
}
