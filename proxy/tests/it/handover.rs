//! From one plan to the next: what was said by hand stays, what is past says nothing more, and nobody
//! waits for a disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use proxy::app::{self, Source};
use proxy::config::Config;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::eventually;
use crate::live::{all, candidate, file, get_raw, live, named, route};
use crate::support::{
    PATIENCE, Proxy, client, fixed, hung, in_time, json as answer, let_go, status,
};

#[tokio::test]
async fn a_candidate_that_is_off_by_hand_is_not_switched_off_again_when_its_url_changes() {
    let baseline = fixed("{}").await.addr;
    let (old, new) = (fixed("{}").await, fixed("{}").await);
    let other = candidate("v3", fixed("{}").await.addr, "");
    let text = |addr| all(&[file(baseline, ""), candidate("v2", addr, ""), other.clone()]);
    let live = live(&text(old.addr)).await;
    live.proxy.control("disable?candidate=v2").await;
    let aborts = || live.proxy.metric("mirror_aborts_total", &[]);
    let (before, told) = (aborts().await, live.events("disabled").await.len());
    live.take(&text(new.addr)).await;
    assert_eq!(live.json("/control/status?candidate=v2").await["state"], "held");
    let v2 = named("candidate", "v2");
    assert_eq!(live.proxy.metric("mirror_enabled", &[&v2]).await, 0.0);
    assert_eq!((aborts().await, live.events("disabled").await.len()), (before, told));
    live.proxy.control("enable?candidate=v2").await;
    live.get("/").await;
    eventually!(live.outcome("v2", "matched").await == 1.0);
    assert_eq!((old.count(), new.count()), (0, 1));
}

#[tokio::test]
async fn a_route_that_is_off_by_hand_stays_so_when_url_or_thresholds_change() {
    let baseline = fixed("{}").await.addr;
    let (old, new) = (fixed("{}").await.addr, fixed("{}").await.addr);
    let text = |addr, more: &str| all(&[file(baseline, ""), candidate("v2", addr, more)]);
    let live = live(&text(old, "")).await;
    live.get("/a").await;
    eventually!(live.proxy.outcome("matched").await == 1.0);
    live.proxy.control("disable?route=GET%20/a").await;
    for text in [text(old, "[candidate.guardrail]\nconsecutive = 9"), text(new, "")] {
        let before = live.proxy.outcome("disabled").await;
        live.take(&text).await;
        live.get("/a").await;
        assert_eq!(live.proxy.outcome("disabled").await, before + 1.0);
        let route = named("route", "GET /a");
        assert_eq!(live.proxy.metric("mirror_route_enabled", &[&route]).await, 0.0);
    }
    live.proxy.control("enable?route=GET%20/a").await;
    live.get("/a").await;
    eventually!(live.proxy.outcome("matched").await == 2.0);
}

#[tokio::test]
async fn pairs_of_a_candidate_that_is_gone_do_not_stop_the_one_that_has_its_name() {
    let go = Arc::new(Notify::new());
    let old = let_go(&go, || status(500)).await;
    let (baseline, new) = (fixed("{}").await.addr, fixed("{}").await);
    let text = |addr| {
        let touchy = "[candidate.guardrail]\nconsecutive = 1\ncooldown = \"1h\"";
        all(&[file(baseline, ""), candidate("v2", addr, touchy)])
    };
    let live = live(&text(old.addr)).await;
    live.get("/").await;
    eventually!(old.count() == 1);
    live.take(&text(new.addr)).await;
    go.notify_one();
    eventually!(live.proxy.outcome("mismatched").await == 1.0);
    live.get("/").await;
    eventually!(live.proxy.outcome("matched").await == 1.0);
    assert_eq!(live.proxy.metric("mirror_enabled", &[]).await, 1.0);
    assert_eq!(live.proxy.metric("mirror_aborts_total", &[]).await, 0.0);
    assert_eq!(live.events("tripped").await.len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_settings_are_read_from_a_disk_that_hangs_status_and_switches_answer() {
    let (baseline, two) = (fixed("{}").await.addr, fixed("{}").await.addr);
    let text = all(&[file(baseline, ""), candidate("v2", two, "")]);
    let reading = Arc::new(AtomicBool::new(false));
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let (begun, read_text) = (Arc::clone(&reading), text.clone());
    let read = Arc::new(move || {
        begun.store(true, Ordering::Relaxed);
        // Not for ever, so that a proxy that waits fails the test instead of hanging it.
        released.lock().unwrap().recv_timeout(2 * PATIENCE).ok();
        Config::from_text("m.toml", &read_text, &|_| None)
    });
    let config = Config::from_text("m.toml", &text, &|_| None).unwrap();
    let source = Some(Source { read, watched: None });
    let app = app::start_from(config, Handle::current(), None, source).await.unwrap();
    let proxy = Arc::new(Proxy { app, client: client() });
    let asked = Arc::clone(&proxy);
    let reload = tokio::spawn(async move { asked.control("reload").await.status() });
    eventually!(reading.load(Ordering::Relaxed));
    assert_eq!(in_time(proxy.status()).await["state"], "enabled");
    assert_eq!(in_time(proxy.control("disable")).await.status(), 200);
    assert!(!reload.is_finished(), "they did not wait for it");
    release.send(()).unwrap();
    assert_eq!(in_time(reload).await.unwrap(), 200);
    assert_eq!(proxy.status().await["state"], "held");
}

#[tokio::test]
async fn an_override_that_was_replaced_leaves_no_timer_behind() {
    let (baseline, two) = (fixed("{}").await.addr, fixed("{}").await.addr);
    let parts = [file(baseline, ""), candidate("v2", two, ""), route("a", "")];
    let live = live(&all(&parts)).await;
    let tasks = || Handle::current().metrics().num_alive_tasks();
    live.proxy.status().await;
    // Of connections some, of timers that pile up many.
    let before = tasks() + 10;
    for _ in 0..50 {
        assert_eq!(live.say(&json!({"share": 0.0, "for": "1h"})).await.0, 200);
    }
    eventually!(tasks() <= before);
    let url = live.proxy.url("/control/policy");
    assert_eq!(live.proxy.client.delete(url).send().await.unwrap().status(), 200);
    live.get("/a").await;
    eventually!(live.proxy.outcome("matched").await == 1.0);
}

#[tokio::test]
async fn a_second_candidate_does_not_make_the_first_count_its_pairs_anew() {
    let (baseline, two) = (fixed("{}").await.addr, fixed("{}").await.addr);
    let head = file(baseline, "").replace("share = 1", "share = 0.000001");
    let one = all(&[head, candidate("v2", two, ""), route("a", "min_pairs = 2")]);
    let live = live(&one).await;
    for n in 1..=2_u32 {
        live.get("/a").await;
        eventually!(live.proxy.outcome("matched").await == f64::from(n));
    }
    live.take(&all(&[one, candidate("v3", two, "")])).await;
    live.get("/a").await;
    eventually!(live.outcome("v3", "matched").await == 1.0);
    assert_eq!(live.outcome("v2", "not_sampled").await, 1.0);
}

#[tokio::test]
async fn a_report_that_starts_anew_has_no_pairs_for_min_pairs_either() {
    let (baseline, two) = (fixed("{}").await.addr, fixed("{}").await.addr);
    let text = |more: &str| {
        let head = file(baseline, "").replace("share = 1", "share = 0.000001");
        let route = route("a", &format!("min_pairs = 1\n{more}"));
        all(&[head, candidate("v2", two, ""), route])
    };
    let live = live(&text("")).await;
    live.get("/a").await;
    eventually!(live.proxy.outcome("matched").await == 1.0);
    live.take(&text("[route.guardrail]\nconsecutive = 7")).await;
    live.get("/a").await;
    eventually!(live.proxy.outcome("matched").await == 2.0);
}

#[tokio::test]
async fn whatever_a_route_allows_otherwise_a_path_in_doubt_gets_no_copy() {
    for says in [
        "candidates = []",
        "share = 0.5",
        "body = false",
        "max_body_bytes = 1",
        "rate = \"5/s\"",
        "unsafe_methods = false",
        "sample_by = \"client\"",
        "mark = \"X-Other: 1\"",
        "mask = [\"$.address\"]",
        "ignore = [\"$.address\"]",
        "mask_headers = [\"x-user\"]",
    ] {
        let (baseline, two) = (fixed("{}").await, fixed("{}").await);
        let text = all(&[file(baseline.addr, ""), candidate("v2", two.addr, ""), route("a", says)]);
        let live = live(&text).await;
        for target in ["//a", "/x/../a", "/%61", "/a;v=1", "/./a", "/x/%2e%2e/a"] {
            assert!(get_raw(&live, target).await.starts_with("HTTP/1.1 200"), "{target}");
        }
        assert_eq!(live.proxy.outcome("path_in_doubt").await, 6.0, "{says}");
        assert_eq!((baseline.count(), two.count()), (6, 0), "{says}");
    }
}

#[tokio::test]
async fn a_route_that_is_off_by_hand_is_not_passed_by_with_another_spelling_of_its_path() {
    for (routes, off) in [
        (String::new(), "GET /a"),
        (route("a", ""), "a"),
        ("[[route]]\nname = \"all\"\n".to_owned(), "all"),
        ("[[route]]\nmatch = { method = \"GET\" }\n".to_owned(), "GET /a"),
    ] {
        let (baseline, two) = (fixed("{}").await, fixed("{}").await);
        let text = all(&[file(baseline.addr, ""), candidate("v2", two.addr, ""), routes]);
        let live = live(&text).await;
        live.get("/a").await;
        eventually!(live.proxy.outcome("matched").await == 1.0);
        let url = live.proxy.url(&format!("/control/disable?route={off}"));
        assert_eq!(live.proxy.client.post(url).send().await.unwrap().status(), 200);
        for target in ["//a", "/%61", "/a#b", "/a;v=1"] {
            assert!(get_raw(&live, target).await.starts_with("HTTP/1.1 200"), "{target}");
        }
        let kept = live.proxy.outcome("path_in_doubt").await + live.proxy.outcome("disabled").await;
        assert_eq!((kept, two.count()), (4.0, 1), "{off}");
        get_raw(&live, "//b").await;
        eventually!(two.count() == if off == "all" { 1 } else { 2 });
    }
}

#[tokio::test]
async fn a_copy_that_is_not_sent_for_another_reason_uses_up_no_rate() {
    let (baseline, two) = (fixed("{}").await.addr, fixed("{}").await.addr);
    let parts = [file(baseline, "rate = \"1/h\"\nmax_body_bytes = 1"), candidate("v2", two, "")];
    let live = live(&all(&parts)).await;
    live.proxy.post("/", "12345").await.bytes().await.unwrap();
    eventually!(live.proxy.outcome("body_too_large").await == 1.0);
    live.get("/").await;
    eventually!(live.proxy.outcome("matched").await == 1.0);
    live.get("/").await;
    assert_eq!(live.proxy.outcome("dropped_rate").await, 1.0);
}

#[tokio::test]
async fn the_report_of_one_route_is_reset_alone() {
    let (baseline, two) = (fixed("{}").await.addr, fixed("{}").await.addr);
    let live = live(&all(&[file(baseline, ""), candidate("v2", two, "")])).await;
    for path in ["/a", "/b"] {
        live.get(path).await;
    }
    eventually!(live.proxy.outcome("matched").await == 2.0);
    assert_eq!(live.proxy.control("report/reset?route=GET%20/c").await.status(), 404);
    assert_eq!(live.proxy.control("report/reset?route=GET%20/a").await.status(), 200);
    let report = live.json("/control/report").await;
    let of = |label: &str| {
        let routes = report["routes"].as_array().unwrap().iter();
        routes
            .filter(|it| it["route"] == label)
            .map(|it| it["pairs"].as_u64().unwrap())
            .sum::<u64>()
    };
    assert_eq!((of("GET /a"), of("GET /b")), (0, 1));
}

#[tokio::test]
async fn another_secret_is_said_to_need_a_restart_and_is_not_shown() {
    let baseline = fixed("{}").await.addr;
    let text = |token: &str| {
        let admin = format!("[admin]\ntoken = \"{token}\"\n");
        all(&[admin, file(baseline, ""), candidate("v2", baseline, "")])
    };
    let live = live(&text("first-token")).await;
    let reload = async |text: &str| {
        live.change(text);
        let url = live.proxy.url("/control/reload");
        let request = live.proxy.client.post(url).bearer_auth("first-token");
        request.send().await.unwrap().text().await.unwrap()
    };
    assert!(reload(&text("first-token")).await.contains("\"needsRestart\":[]"));
    let answer = reload(&text("other-token")).await;
    assert!(answer.contains("\"needsRestart\":[\"admin.token\"]"), "{answer}");
    reload("[admin\n").await;
    let events = live.json("/control/events").await["events"].to_string();
    assert!(events.contains("reload_refused") && !events.contains("[admin"), "{events}");
}

#[tokio::test]
async fn lanes_that_end_and_those_that_begin_hold_no_more_than_one_budget() {
    let baseline = fixed("{}").await.addr;
    let (old, new) = (hung().await, hung().await);
    let text = |addr| {
        all(&[
            file(baseline, "buffer_bytes = 100_000\n"),
            candidate("v2", addr, "timeout = \"1h\""),
        ])
    };
    let live = live(&text(old.addr)).await;
    let post = async || live.proxy.post("/", vec![b'x'; 60_000]).await.bytes().await.unwrap();
    post().await;
    eventually!(old.count() == 1);
    live.take(&text(new.addr)).await;
    post().await;
    eventually!(live.proxy.outcome("dropped_buffer_full").await == 1.0);
    assert_eq!(new.count(), 0);
}

#[tokio::test]
async fn what_needs_a_restart_is_named_until_it_is_as_it_runs() {
    let baseline = fixed("{}").await.addr;
    let text = |more: &str| all(&[file(baseline, ""), candidate("v2", baseline, ""), more.into()]);
    let live = live(&text("")).await;
    let other = "[limits]\nheaders = 7\n";
    for more in [other.to_owned(), other.to_owned(), format!("{other}[report]\n")] {
        assert_eq!(live.take(&text(&more)).await["needsRestart"], json!(["limits.headers"]));
        let config = live.json("/control/config").await;
        assert_eq!(config["needsRestart"], json!(["limits.headers"]));
    }
    assert_eq!(live.take(&text("")).await["needsRestart"], json!([]));
}

#[tokio::test]
async fn what_is_said_by_hand_of_one_setting_leaves_the_other() {
    let (baseline, two, three) = (fixed("{}").await.addr, fixed("{}").await, fixed("{}").await);
    let text = all(&[
        file(baseline, ""),
        candidate("v2", two.addr, ""),
        candidate("v3", three.addr, "enabled = false"),
        route("a", "candidates = [\"v2\"]"),
    ]);
    let live = live(&text).await;
    let a = |more: Value| {
        let mut said = json!({"route": "a"});
        said.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        said
    };
    assert_eq!(live.say(&a(json!({"share": 0.5, "for": "1h"}))).await.0, 200);
    let (code, told) = live.say(&a(json!({"enabled": false}))).await;
    assert_eq!(code, 200);
    let held: Vec<_> = told["overrides"].as_array().unwrap().iter().collect();
    assert_eq!(held.len(), 2, "{told}");
    assert_eq!((&held[0]["share"], &held[1]["enabled"]), (&json!(0.5), &json!(false)));
    assert!(held[0]["until"].is_string() && held[1]["until"].is_null(), "{told}");
    let (code, told) = live.say(&a(json!({"share": 1, "candidate": "v3"}))).await;
    assert!(code == 400 && told["reason"].as_str().unwrap().contains("allowed is v2"), "{told}");
    // What a query names would be taken for all.
    let url = live.proxy.url("/control/policy?candidate=v3");
    for request in [live.proxy.client.delete(&url), live.proxy.client.patch(&url).body("{}")] {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 400);
        let told: Value = answer.json().await.unwrap();
        assert_eq!(told["reason"], "\"candidate\" is no known name; allowed in the query is none");
    }
    assert_eq!(live.json("/control/status").await["overrides"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_candidate_that_is_off_by_settings_or_override_says_so() {
    let (baseline, two, three) = (fixed("{}").await.addr, fixed("{}").await, fixed("{}").await);
    let parts = [
        file(baseline, ""),
        candidate("v2", two.addr, ""),
        candidate("v3", three.addr, "enabled = false"),
    ];
    let live = live(&all(&parts)).await;
    let status = async |name: &str| {
        let status = live.json(&format!("/control/status?candidate={name}")).await;
        (status["enabled"].clone(), status["offBy"].clone())
    };
    assert_eq!(status("v2").await, (json!(true), Value::Null));
    assert_eq!(status("v3").await, (json!(false), json!("settings")));
    let enable = async |query: &str| -> Value {
        live.proxy.control(&format!("enable{query}")).await.json().await.unwrap()
    };
    let told = enable("?candidate=v3").await;
    assert!(
        told["stillOff"][0].as_str().unwrap().starts_with("v3: gets no copies by its settings")
    );
    assert_eq!(enable("?candidate=v2").await, json!({"message": "mirroring enabled"}));
    assert_eq!(live.say(&json!({"enabled": false})).await.0, 200);
    assert_eq!(status("v2").await, (json!(false), json!("override")));
    assert_eq!(live.json("/control/status").await["enabled"], false);
    assert_eq!(live.say(&json!({"enabled": true, "candidate": "v3"})).await.0, 200);
    assert_eq!(status("v3").await, (json!(true), Value::Null));
    assert_eq!(live.json("/control/status").await["enabled"], true);
}

#[tokio::test]
async fn a_route_of_the_settings_can_be_switched_off_before_its_first_request() {
    let (baseline, two) = (fixed("{}").await.addr, fixed("{}").await);
    let text = all(&[file(baseline, ""), candidate("v2", two.addr, ""), route("pay", "")]);
    let live = live(&text).await;
    assert_eq!(live.proxy.control("disable?route=pay").await.status(), 200);
    assert_eq!(live.proxy.get("/control/status?route=pay").await.status(), 200);
    live.get("/pay").await;
    eventually!(live.proxy.outcome("disabled").await == 1.0);
    assert_eq!(live.proxy.control("enable?route=pay").await.status(), 200);
    live.get("/pay").await;
    eventually!(live.proxy.outcome("matched").await == 1.0);
    assert_eq!(live.proxy.control("disable?route=nowhere").await.status(), 404);
}

#[tokio::test]
async fn reloads_push_no_change_of_state_out_of_the_events() {
    let (baseline, two) = (fixed("{}").await.addr, fixed("{}").await.addr);
    let text = all(&[file(baseline, ""), candidate("v2", two, "")]);
    let live = live(&text).await;
    live.proxy.control("disable").await;
    for _ in 0..101 {
        live.take(&text).await;
    }
    live.proxy.control("enable").await;
    let events = live.json("/control/events").await["events"].as_array().unwrap().clone();
    let names: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(
        (names.len(), names[0], names[1], names[101]),
        (102, "disabled", "reloaded", "enabled")
    );
}

#[tokio::test]
async fn of_what_needs_a_restart_the_value_that_runs_is_shown_too() {
    let baseline = fixed("{}").await.addr;
    let text = |more: &str| all(&[file(baseline, ""), candidate("v2", baseline, ""), more.into()]);
    let live = live(&text("[limits]\nheaders = 9\n")).await;
    live.take(&text("[limits]\nheaders = 7\n")).await;
    let config = live.json("/control/config").await;
    let settings = config["settings"].as_array().unwrap();
    let of = |place: &str| settings.iter().find(|it| it["place"] == place).unwrap();
    let headers = of("limits.headers");
    assert_eq!((&headers["value"], &headers["running"]), (&json!(7), &json!(9)));
    assert_eq!(of("limits.streams").get("running"), None);
}

#[tokio::test]
async fn a_reload_warns_of_a_route_that_no_request_comes_to() {
    let baseline = fixed("{}").await.addr;
    let parts = [file(baseline, ""), candidate("v2", baseline, ""), route("a", "")];
    let live = live(&all(&parts)).await;
    let nested = route("b", "").replace("prefix = \"/b\"", "exact = \"/a/b\"");
    let told = live.take(&all(&[all(&parts), nested])).await;
    let warnings = told["warnings"].as_array().unwrap();
    assert!(warnings.len() == 1 && warnings[0].as_str().unwrap().contains("\"b\""), "{told}");
    assert_eq!(live.take(&all(&parts)).await["warnings"], json!([]));
}

#[tokio::test]
async fn what_was_off_by_hand_is_so_when_a_candidate_comes_back() {
    let (baseline, two, three) = (fixed("{}").await.addr, fixed("{}").await, fixed("{}").await);
    let one = all(&[file(baseline, ""), candidate("v2", two.addr, "")]);
    let both = all(&[one.clone(), candidate("v3", three.addr, "")]);
    let live = live(&both).await;
    live.get("/a").await;
    eventually!(live.outcome("v3", "matched").await == 1.0);
    live.proxy.control("disable?candidate=v3").await;
    live.proxy.control("disable?candidate=v3&route=GET%20/a").await;
    live.take(&one).await;
    live.take(&one).await;
    live.take(&both).await;
    let status = live.json("/control/status?candidate=v3").await;
    assert_eq!((&status["state"], &status["routes"][0]["state"]), (&json!("held"), &json!("held")));
    let v3 = named("candidate", "v3");
    assert_eq!(live.proxy.metric("mirror_enabled", &[&v3]).await, 0.0);
    live.get("/b").await;
    eventually!(live.outcome("v3", "disabled").await == 1.0);
    live.proxy.control("enable?candidate=v3").await;
    live.take(&one).await;
    live.take(&both).await;
    assert_eq!(live.json("/control/status?candidate=v3").await["state"], "enabled");
}

#[tokio::test]
async fn requests_under_way_are_counted_in_the_series_that_they_began_with() {
    let go = Arc::new(Notify::new());
    let (baseline, two) = (let_go(&go, || answer("{}")).await, fixed("{}").await.addr);
    let one = all(&[file(baseline.addr, ""), candidate("v2", two, "")]);
    let both = all(&[one.clone(), candidate("v3", two, "")]);
    let live = live(&one).await;
    for (n, after) in [(1, &both), (2, &one)] {
        let request = live.proxy.client.get(live.proxy.url("/")).send();
        let request = tokio::spawn(request);
        eventually!(baseline.count() == n);
        live.take(after).await;
        go.notify_one();
        request.await.unwrap().unwrap().bytes().await.unwrap();
        eventually!(live.proxy.metric("mirror_copies_in_flight", &[]).await == 0.0);
    }
    eventually!(live.proxy.outcome("matched").await == 3.0);
    assert_eq!(live.outcome("v2", "matched").await, 1.0);
    assert_eq!(live.outcome("v3", "matched").await, 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_come_during_a_reload_count_for_all_candidates_alike() {
    let (baseline, two) = (fixed("{}").await.addr, fixed("{}").await.addr);
    let head = file(baseline, "").replace("share = 1", "share = 0");
    let one = all(&[head, candidate("v2", two, "")]);
    let both = all(&[one.clone(), candidate("v3", two, "")]);
    let live = live(&one).await;
    let done = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (done, client, url) = (Arc::clone(&done), client(), live.proxy.url("/"));
            tokio::spawn(async move {
                while !done.load(Ordering::Relaxed) {
                    client.get(&url).send().await.unwrap().bytes().await.unwrap();
                }
            })
        })
        .collect();
    for _ in 0..100 {
        live.take(&both).await;
        live.take(&one).await;
    }
    done.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    // Where there are two each is told apart, and a request is meant for both.
    assert!(live.all_outcomes("v3").await > 0.0);
    assert_eq!(live.all_outcomes("v2").await, live.all_outcomes("v3").await);
}

#[tokio::test]
async fn gauges_go_with_their_labels_where_a_candidate_moves_as_another_goes() {
    let (baseline, old, new) =
        (fixed("{}").await.addr, fixed("{}").await.addr, fixed("{}").await.addr);
    let one = |addr| all(&[file(baseline, ""), candidate("v2", addr, "")]);
    let live = live(&all(&[one(old), candidate("v3", old, "")])).await;
    live.take(&one(new)).await;
    let metrics = live.proxy.metrics().await;
    assert!(
        !metrics.contains("mirror_enabled{") && metrics.contains("mirror_enabled 1"),
        "{metrics}"
    );
}
