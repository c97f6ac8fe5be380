//! Settings that change while the proxy runs: read anew, refused, said by hand.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proxy::app::{self, Source};
use proxy::config::Config;
use proxy::steer::watch::Watched;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::certificates::TempFile;
use crate::eventually;
use crate::support::{Proxy, client, fixed, in_time, json as answer, upstream};

/// The file of a proxy between these.
fn file(baseline: SocketAddr, rest: &str) -> String {
    format!(
        "[listen]\naddress = \"127.0.0.1:0\"\n[baseline]\nurl = \"http://{baseline}\"\n\
         [guardrail]\nlatency_floor = \"1h\"\nconsecutive = 1000000\n{rest}"
    )
}

fn candidate(name: &str, addr: SocketAddr) -> String {
    format!("[[candidate]]\nname = \"{name}\"\nurl = \"http://{addr}\"\nshare = 1\n")
}

/// A proxy that runs by this file.
async fn started(path: &Path, watched: bool) -> Proxy {
    let from = path.to_owned();
    let read = move || Config::read(Some(&from), &|_| None);
    let config = read().unwrap();
    let watched = watched.then(|| Watched { path: path.to_owned(), read: config.file_hash });
    let source = Source { read: Arc::new(read), watched };
    let app = app::start_from(config, Handle::current(), None, Some(source)).await.unwrap();
    Proxy { app, client: client() }
}

async fn reload(proxy: &Proxy) -> (u16, Value) {
    let answer = proxy.control("reload").await;
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn outcome(proxy: &Proxy, candidate: &str, outcome: &str) -> f64 {
    let labels = [&*format!("candidate=\"{candidate}\""), &*format!("outcome=\"{outcome}\"")];
    proxy.metric("mirror_outcomes_total", &labels).await
}

async fn patch(proxy: &Proxy, said: &Value) -> (u16, Value) {
    let request = proxy.client.patch(proxy.url("/control/policy")).body(said.to_string());
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn config(proxy: &Proxy) -> Value {
    proxy.get("/control/config").await.json().await.unwrap()
}

#[tokio::test]
async fn a_good_file_holds_at_once_and_a_bad_one_is_refused_whole_and_told_everywhere() {
    let (baseline, v2) = (fixed("1").await, fixed("1").await);
    let rest = candidate("v2", v2.addr);
    let path = TempFile::new(&file(baseline.addr, &rest));
    let proxy = started(Path::new(path.path()), false).await;
    proxy.get("/a").await;
    eventually!(v2.count() == 1);
    let bad =
        format!("{rest}[[route]]\nname = \"a\"\nshar = 0\n[[route]]\nname = \"b\"\nshare = 2\n");
    std::fs::write(path.path(), file(baseline.addr, &bad)).unwrap();
    let (code, told) = reload(&proxy).await;
    assert_eq!(code, 422);
    for part in ["route.shar: is no known name", "did you mean share?", "route.share = 2"] {
        assert!(told["reason"].as_str().unwrap().contains(part), "{part}: {told}");
    }
    assert_eq!(proxy.status().await["reloadRefused"]["reason"], told["reason"]);
    assert_eq!(config(&proxy).await["refused"]["reason"], told["reason"]);
    let events: Value = proxy.get("/control/events").await.json().await.unwrap();
    assert_eq!(events["events"][0]["event"], "reload_refused");
    let reloads = async |result: &str| {
        proxy.metric("mirror_config_reloads_total", &[&format!("result=\"{result}\"")]).await
    };
    assert_eq!((reloads("failure").await, reloads("success").await), (1.0, 0.0));
    proxy.get("/a").await;
    // The old ones go on.
    eventually!(v2.count() == 2);

    let good = format!(
        "{rest}[[route]]\nname = \"a\"\nshare = 0\n[route.match]\npath = {{ exact = \"/a\" }}\n"
    );
    std::fs::write(path.path(), file(baseline.addr, &good)).unwrap();
    assert_eq!(reload(&proxy).await.0, 200);
    assert_eq!(reloads("success").await, 1.0);
    assert_eq!(proxy.status().await["reloadRefused"], Value::Null);
    proxy.get("/a").await;
    eventually!(proxy.outcome("not_sampled").await == 1.0);
    assert_eq!(v2.count(), 2);
}

#[tokio::test]
async fn what_needs_a_restart_is_named_and_does_not_hold() {
    let (baseline, v2) = (fixed("1").await, fixed("1").await);
    let rest = candidate("v2", v2.addr);
    let path = TempFile::new(&file(baseline.addr, &rest));
    let proxy = started(Path::new(path.path()), false).await;
    let more = format!("{rest}[limits]\nheaders = 7\n");
    // Not even TLS towards what is there.
    let elsewhere = file(baseline.addr, &more).replacen("http://", "https://", 1);
    std::fs::write(path.path(), elsewhere).unwrap();
    let (code, told) = reload(&proxy).await;
    assert_eq!((code, &told["needsRestart"]), (200, &json!(["baseline.url", "limits.headers"])));
    for _ in 0..3 {
        assert_eq!(proxy.get("/").await.status(), 200);
    }
    let fresh = client();
    assert_eq!(fresh.post(proxy.url("/")).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_second_candidate_comes_and_goes_and_what_is_known_of_the_first_stays() {
    let (baseline, v2, v3) = (fixed("1").await, fixed("1").await, fixed("1").await);
    let (one, two) = (candidate("v2", v2.addr), candidate("v3", v3.addr));
    let path = TempFile::new(&file(baseline.addr, &one));
    let proxy = started(Path::new(path.path()), false).await;
    proxy.get("/").await;
    eventually!(proxy.outcome("matched").await == 1.0);
    std::fs::write(path.path(), file(baseline.addr, &format!("{one}{two}"))).unwrap();
    assert_eq!(reload(&proxy).await.1["startedAnew"], json!(["v3"]));
    proxy.get("/").await;
    eventually!(outcome(&proxy, "v3", "matched").await == 1.0);
    eventually!(outcome(&proxy, "v2", "matched").await == 1.0);
    let report: Value = proxy.get("/control/report").await.json().await.unwrap();
    assert_eq!(report["candidates"]["v2"]["pairs"], 2, "one from before");
    assert_eq!(report["candidates"]["v3"]["pairs"], 1);
    std::fs::write(path.path(), file(baseline.addr, &one)).unwrap();
    assert_eq!(reload(&proxy).await.1["startedAnew"], json!([]));
    proxy.get("/").await;
    eventually!(v2.count() == 3);
    assert_eq!(v3.count(), 1);
    assert!(!proxy.metrics().await.contains("mirror_enabled{"));
    assert!(proxy.metrics().await.contains("mirror_enabled 1"));
}

#[tokio::test]
async fn another_candidate_of_the_same_name_starts_anew_and_stays_off_by_hand() {
    let (baseline, v2, other) = (fixed("1").await, fixed("1").await, fixed("1").await);
    let path = TempFile::new(&file(baseline.addr, &candidate("v2", v2.addr)));
    let proxy = started(Path::new(path.path()), false).await;
    proxy.get("/").await;
    eventually!(proxy.outcome("matched").await == 1.0);
    proxy.control("disable").await;
    std::fs::write(path.path(), file(baseline.addr, &candidate("v2", other.addr))).unwrap();
    assert_eq!(reload(&proxy).await.1["startedAnew"], json!(["v2"]));
    assert_eq!(proxy.status().await["state"], "held");
    let report: Value = proxy.get("/control/report").await.json().await.unwrap();
    assert_eq!(report["pairs"], 0);
    proxy.get("/").await;
    eventually!(proxy.outcome("disabled").await == 1.0);
    proxy.control("enable").await;
    proxy.get("/").await;
    eventually!(other.count() == 1);
}

#[tokio::test]
async fn other_thresholds_start_anew_what_they_judge_and_say_so() {
    let (baseline, v2) = (fixed("1").await, fixed("1").await);
    let rest = |route: &str| {
        format!(
            "{}[[route]]\nname = \"a\"\n{route}\n[route.match]\npath = {{ exact = \"/a\" }}\n",
            candidate("v2", v2.addr)
        )
    };
    let path = TempFile::new(&file(baseline.addr, &rest("")));
    let proxy = started(Path::new(path.path()), false).await;
    let pairs = async |route: &str| {
        let report: Value = proxy.get("/control/report").await.json().await.unwrap();
        let all = report["routes"].as_array().unwrap().clone();
        all.iter().find(|it| it["route"] == route).map_or(0, |it| it["pairs"].as_u64().unwrap())
    };
    for path in ["/a", "/b"] {
        proxy.get(path).await;
    }
    eventually!(pairs("a").await + pairs("GET /b").await == 2);
    let strict = rest("[route.report]\nmismatch_rate = 0.5");
    std::fs::write(path.path(), file(baseline.addr, &strict)).unwrap();
    assert_eq!(reload(&proxy).await.1["startedAnew"], json!(["v2 on a"]));
    assert_eq!((pairs("a").await, pairs("GET /b").await), (0, 1));
    let other = file(baseline.addr, &strict).replace("consecutive = 1000000", "consecutive = 9");
    std::fs::write(path.path(), other).unwrap();
    assert_eq!(reload(&proxy).await.1["startedAnew"], json!(["v2"]));
    assert_eq!(proxy.status().await["breachConsecutive"], 9);
}

/// As Kubernetes mounts a ConfigMap: a link to a link to a folder, and the latter is replaced.
#[tokio::test]
async fn a_file_behind_links_is_seen_to_change_and_so_is_one_that_is_replaced() {
    let (baseline, v2, v3) = (fixed("1").await, fixed("1").await, fixed("1").await);
    let folder = std::env::temp_dir().join(format!("mirrorlab-links-{}", rand::random::<u64>()));
    let version = |name: &str, text: &str| {
        let at = folder.join(name);
        std::fs::create_dir_all(&at).unwrap();
        std::fs::write(at.join("m.toml"), text).unwrap();
    };
    let link = |to: &str, name: &str| {
        let new = folder.join(format!("{name}.new"));
        std::os::unix::fs::symlink(to, &new).unwrap();
        std::fs::rename(new, folder.join(name)).unwrap();
    };
    version("..1", &file(baseline.addr, &candidate("v2", v2.addr)));
    link("..1", "..data");
    link("..data/m.toml", "m.toml");
    let path = folder.join("m.toml");
    let proxy = started(&path, true).await;
    version("..2", &file(baseline.addr, &candidate("v2", v3.addr)));
    link("..2", "..data");
    let reloads =
        async || proxy.metric("mirror_config_reloads_total", &["result=\"success\""]).await;
    eventually!(reloads().await == 1.0);
    proxy.get("/").await;
    eventually!(v3.count() == 1);
    // As an editor does.
    let new: PathBuf = folder.join("m.toml~");
    std::fs::write(&new, file(baseline.addr, &candidate("v2", v2.addr))).unwrap();
    std::fs::rename(new, &path).unwrap();
    eventually!(reloads().await == 2.0);
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn what_is_said_by_hand_holds_is_shown_survives_a_reload_and_ends() {
    let (baseline, v2, v3) = (fixed("1").await, fixed("1").await, fixed("1").await);
    let route = "[[route]]\nname = \"a\"\n[route.match]\npath = { exact = \"/a\" }\n";
    let both = format!("{}{}{route}", candidate("v2", v2.addr), candidate("v3", v3.addr));
    let path = TempFile::new(&file(baseline.addr, &both));
    let proxy = started(Path::new(path.path()), false).await;
    assert_eq!(patch(&proxy, &json!({"share": 0, "route": "a"})).await.0, 200);
    assert_eq!(patch(&proxy, &json!({"enabled": false, "candidate": "v3"})).await.0, 200);
    assert_eq!(reload(&proxy).await.0, 200);
    proxy.get("/a").await;
    proxy.get("/b").await;
    eventually!(outcome(&proxy, "v2", "not_sampled").await == 1.0);
    eventually!(outcome(&proxy, "v2", "matched").await == 1.0);
    eventually!(outcome(&proxy, "v3", "disabled").await == 2.0);
    let shown = config(&proxy).await;
    let said = |place: &str| {
        let all = shown["settings"].as_array().unwrap();
        all.iter().find(|it| it["place"] == place).cloned().unwrap()
    };
    assert_eq!(said("route.a.share")["value"], 0.0);
    assert_eq!(said("candidate.v3.enabled")["origin"]["from"], "override");
    assert_eq!(proxy.status().await["overrides"].as_array().unwrap().len(), 2);

    let removed = proxy.client.delete(proxy.url("/control/policy")).send().await.unwrap();
    assert_eq!(removed.status(), 200);
    let (code, told) = patch(&proxy, &json!({"share": 0, "for": "300ms"})).await;
    assert!(code == 200 && told["overrides"][0]["until"].is_string(), "{told}");
    eventually!(proxy.status().await["overrides"] == json!([]));
    proxy.get("/a").await;
    eventually!(outcome(&proxy, "v3", "matched").await == 1.0);
    let events: Value = proxy.get("/control/events").await.json().await.unwrap();
    let names: Vec<_> =
        events["events"].as_array().unwrap().iter().map(|it| &it["event"]).collect();
    let ended = ["override_ended", "override_ended", "override", "override_ended"];
    assert_eq!(names[names.len() - 4..], ended);
}

#[tokio::test]
async fn what_makes_no_sense_by_hand_is_refused_with_what_is_allowed_and_changes_nothing() {
    let (baseline, v2) = (fixed("1").await, fixed("1").await);
    let path = TempFile::new(&file(baseline.addr, &candidate("v2", v2.addr)));
    let proxy = started(Path::new(path.path()), false).await;
    for (said, part) in [
        (json!({"share": 1.5}), "share=1.5: is out of range; allowed is a number from 0 to 1"),
        (json!({"share": 0.000_000_01}), "share=0.00000001: is finer than one in a million"),
        (json!({"share": 1, "route": "x"}), "route=\"x\""),
        (json!({"share": 1, "candidate": "x"}), "candidate=\"x\": is none; allowed is v2"),
        (json!({"share": 1, "for": "0s"}), "for=\"0s\": is zero"),
        (json!({"share": 1, "for": "25h"}), "over 24 hours"),
        (json!({"share": 1, "for": 0}), "for=0: is zero; allowed is whole seconds, or"),
        (json!({"share": 1, "for": 90_000}), "for=90000: over 24 hours"),
        (
            json!({"share": 1, "for": 1.5}),
            "for=1.5: is no whole number of 0 or more; allowed is whole seconds",
        ),
        (json!({"share": 1, "for": 1.0}), "for=1.0: is no whole number of 0 or more; allowed is"),
        (json!({"share": 2.0}), "share=2.0: is out of range"),
        (
            json!({"share": 1, "route": "x", "candidate": "y"}),
            "is no route of the settings; allowed is none; candidate=\"y\": is none; allowed is v2",
        ),
        (
            json!({"share": "0.5"}),
            "share=\"0.5\": is a text; allowed is a number from 0 to 1, no finer",
        ),
        (json!({"enabled": 1}), "enabled=1: is a number; allowed is true or false"),
        (json!({"route": 7, "share": [1]}), "route=7: is a number; allowed is the name of a route"),
        (json!({"route": 7, "share": [1]}), "share=[1]: is a list; allowed is a number"),
        (
            json!({"shar": 1}),
            "shar: is no known name; allowed is route, candidate, share, enabled, for",
        ),
        (json!({}), "says nothing; allowed is share, enabled, or both"),
        (json!([]), "is a list; allowed is an object such as {\"share\": 0.05"),
        (json!(["pick", "good", 0.1, null, null]), "is a list; allowed is an object"),
        (json!("share"), "is a text; allowed is an object"),
    ] {
        let (code, told) = patch(&proxy, &said).await;
        assert_eq!(code, 400, "{said}");
        assert!(told["reason"].as_str().unwrap().contains(part), "{said}: {told}");
    }
    assert_eq!(proxy.status().await["overrides"], json!([]));
}

/// Two files by which the same answers are told apart in two ways: the mark of a copy, and whether the
/// field in which they differ is ignored. Whatever is swapped when, both go together.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_storm_of_reloads_no_request_is_lost_or_judged_by_half_of_two_policies() {
    let baseline = fixed(r#"{"a":1}"#).await;
    // Tells by its answer which mark it saw: the field is there where the file that ignores it marks.
    let v2 = upstream(|request| async move {
        let marked = request.headers.get("x-policy").is_some_and(|it| it == "ignoring");
        answer(if marked { r#"{"a":2}"# } else { r#"{"a":1}"# })
    })
    .await;
    let plain = format!("[mirror]\nmark = \"X-Policy: plain\"\n{}", candidate("v2", v2.addr));
    let ignoring = format!(
        "[mirror]\nmark = \"X-Policy: ignoring\"\n[compare]\nignore = [\"a\"]\n{}",
        candidate("v2", v2.addr)
    );
    let bad = format!("{plain}[mirror]\n");
    let texts = [plain, bad.clone(), ignoring, bad].map(|rest| file(baseline.addr, &rest));
    let path = TempFile::new(&texts[0]);
    let proxy = Arc::new(started(Path::new(path.path()), false).await);
    let done = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (proxy, done) = (Arc::clone(&proxy), Arc::clone(&done));
            tokio::spawn(async move {
                let mut sent = 0_u32;
                while !done.load(Ordering::Relaxed) {
                    assert_eq!(proxy.get("/").await.status(), 200);
                    sent += 1;
                }
                sent
            })
        })
        .collect();
    for round in 0..100 {
        std::fs::write(path.path(), &texts[round % 4]).unwrap();
        assert_eq!(reload(&proxy).await.0, if round % 2 == 0 { 200 } else { 422 });
    }
    done.store(true, Ordering::Relaxed);
    let mut sent = 0;
    for client in clients {
        sent += client.await.unwrap();
    }
    let sent = f64::from(sent);
    eventually!(proxy.metric("mirror_outcomes_total", &["route=\"GET /\""]).await == sent);
    // A pair with the mark of one file and the rules of the other would differ.
    assert_eq!(proxy.outcomes().await, [("matched".to_owned(), sent)]);
    assert!(v2.seen().iter().any(|it| it.headers["x-policy"] == "ignoring"));
    assert!(v2.seen().iter().any(|it| it.headers["x-policy"] == "plain"));
    eventually!(proxy.metric("mirror_buffered_bytes", &[]).await == 0.0);
    assert_eq!(proxy.metric("mirror_config_reloads_total", &["result=\"failure\""]).await, 50.0);
}

#[tokio::test]
async fn lanes_that_are_replaced_end() {
    let (baseline, v2) = (fixed("1").await, fixed("1").await);
    let text = |size: usize| {
        file(baseline.addr, &format!("{}queue_size = {size}\n", candidate("v2", v2.addr)))
    };
    let path = TempFile::new(&text(1));
    let proxy = started(Path::new(path.path()), false).await;
    proxy.get("/").await;
    eventually!(v2.count() == 1);
    tokio::time::timeout(Duration::from_secs(20), async {
        for size in 2..50 {
            std::fs::write(path.path(), text(size)).unwrap();
            assert_eq!(reload(&proxy).await.0, 200);
        }
    })
    .await
    .unwrap();
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    for size in 2..50 {
        std::fs::write(path.path(), text(size)).unwrap();
        assert_eq!(reload(&proxy).await.0, 200);
    }
    eventually!(tasks() <= before + 5);
    let report: Value = proxy.get("/control/report").await.json().await.unwrap();
    assert_eq!(report["pairs"], 1, "what is known of the candidate stays");
}

#[tokio::test]
async fn a_file_that_is_empty_gone_or_a_pipe_is_refused_and_the_old_settings_go_on() {
    let (baseline, v2) = (fixed("1").await, fixed("1").await);
    let folder = std::env::temp_dir().join(format!("mirrorlab-unfit-{}", rand::random::<u64>()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("m.toml");
    let good = file(baseline.addr, &candidate("v2", v2.addr));
    std::fs::write(&path, &good).unwrap();
    let proxy = started(&path, true).await;
    let refused = async |because: &str| {
        let refused = proxy.status().await["reloadRefused"]["reason"].to_string();
        refused.contains(because)
    };
    std::fs::write(&path, "").unwrap();
    eventually!(refused("is empty").await);
    std::fs::write(&path, &good).unwrap();
    eventually!(proxy.status().await["reloadRefused"] == Value::Null);
    std::fs::remove_file(&path).unwrap();
    eventually!(refused("No such file").await);
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let (code, told) = in_time(reload(&proxy)).await;
    assert!(code == 422 && told["reason"].as_str().unwrap().contains("no plain file"), "{told}");
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, &good).unwrap();
    eventually!(proxy.status().await["reloadRefused"] == Value::Null);
    proxy.get("/").await;
    eventually!(proxy.outcome("matched").await == 1.0);
    std::fs::remove_dir_all(folder).unwrap();
}

// Whoever writes a file in place begins with an empty one, and may begin with a comment.
#[tokio::test]
async fn a_file_without_a_setting_is_refused_at_a_reload_and_the_old_settings_go_on() {
    let (baseline, v2) = (fixed("1").await, fixed("1").await);
    let path = TempFile::new(&file(baseline.addr, &candidate("v2", v2.addr)));
    let proxy = started(Path::new(path.path()), false).await;
    for text in [" \n\t\n", "# soon\n", "\u{feff}\n", "[mirror]\n[route.match]\n# soon\n"] {
        std::fs::write(path.path(), text).unwrap();
        let (code, told) = reload(&proxy).await;
        assert_eq!(code, 422, "{text:?}: {told}");
        let reason = told["reason"].as_str().unwrap();
        let is_told =
            reason.contains("has no settings in it; allowed is") || text.contains("route");
        assert!(is_told, "{text:?}: {reason}");
    }
    proxy.get("/").await;
    eventually!(v2.count() == 1);
}
