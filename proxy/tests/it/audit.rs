//! The audit log: what is recorded, how it is written, and that nobody waits for it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proxy::app::{self, Source};
use proxy::config::Config;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;

use crate::eventually;
use crate::process::{self, command};
use crate::support::{Proxy, client, fixed, in_time, refusing, status, sum, upstream};
use crate::tokens::{CONTROL, READ, tokens};

/// A folder of its own, gone when the test ends.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("mirrorlab-trail-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap_or_default()
    }

    /// What was recorded, each line of which must be an entry.
    fn entries(&self) -> Vec<Value> {
        let text = self.text("audit.jsonl");
        assert!(text.is_empty() || text.ends_with('\n'), "{text}");
        text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    fn of(&self, what: &str) -> Vec<Value> {
        let mut entries = self.entries();
        entries.retain(|entry| entry["what"] == what);
        entries
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A proxy that runs by `m.toml` in this folder, and records in `audit.jsonl` there.
async fn audited(folder: &Folder, text: &str) -> Proxy {
    let file = folder.path("m.toml");
    std::fs::write(&file, format!("[audit]\npath = \"audit.jsonl\"\n{text}")).unwrap();
    let read = move || Config::read(Some(file.as_ref()), &|_| None);
    let config = read().unwrap();
    let source = Source { read: Arc::new(read), watched: None };
    let app = app::start_from(config, Handle::current(), None, Some(source)).await.unwrap();
    Proxy { app, client: client() }
}

fn settings(baseline: std::net::SocketAddr, candidate: std::net::SocketAddr) -> String {
    format!(
        "[listen]\naddress = \"127.0.0.1:0\"\n[baseline]\nurl = \"http://{baseline}\"\n\
         [mirror]\nshare = 1\n[guardrail]\nlatency_floor = \"1h\"\nconsecutive = 3\ncooldown = \"1h\"\n\
         [[candidate]]\nname = \"v2\"\nurl = \"http://{candidate}\"\n\
         [[route]]\nname = \"search\"\nmatch = {{ path = {{ prefix = \"/search\" }} }}\n"
    )
}

/// A proxy to whose candidate no request comes.
async fn quiet(folder: &Folder, more: &str) -> Proxy {
    audited(folder, &(settings(fixed("{}").await.addr, refusing()) + more)).await
}

/// An entry without what hangs on when and where it was made.
fn settled(entry: &Value) -> Value {
    let mut entry = entry.clone();
    let names = entry.as_object_mut().unwrap();
    for name in ["time", "log", "revision", "sha256", "until"] {
        names.remove(name);
    }
    entry
}

/// Sends a request with a token and tells what came of it.
async fn ask(proxy: &Proxy, line: &str, body: &str, token: Option<&str>) -> u16 {
    let (method, path) = line.split_once(' ').unwrap();
    let request = proxy.client.request(method.parse().unwrap(), proxy.url(path));
    let request = token.iter().fold(request, |request, token| request.bearer_auth(token));
    request.body(body.to_owned()).send().await.unwrap().status().as_u16()
}

/// The entry of a request but for `why`.
fn control(line: &str, token: &str, parameters: &str, status: u16) -> Value {
    let (method, path) = line.split_once(' ').unwrap();
    let parameters: Value = serde_json::from_str(parameters).unwrap();
    json!({
        "what": "control", "token": token, "address": "127.0.0.1", "method": method,
        "path": path.split('?').next().unwrap(), "parameters": parameters, "status": status,
    })
}

#[tokio::test]
async fn who_did_what_is_recorded_with_its_parameters() {
    let folder = Folder::new();
    let proxy = quiet(&folder, &tokens()).await;
    let policy = r#"{"share": 0.05, "route": "search", "for": "10m", "enabled": null}"#;
    let said = r#"{"share": 0.05, "route": "search", "for": "10m"}"#;
    let all = [
        (
            "POST /control/disable?route=search&candidate=v2",
            "",
            r#"{"route": "search", "candidate": "v2"}"#,
        ),
        ("POST /control/enable", "", "{}"),
        ("POST /control/report/reset", "", "{}"),
        ("PATCH /control/policy", policy, said),
        ("DELETE /control/policy", "", "{}"),
        ("POST /control/reload", "", "{}"),
    ];
    for (line, body, _) in all {
        assert_eq!(ask(&proxy, line, body, Some(CONTROL)).await, 200, "{line}");
    }
    eventually!(folder.of("control").len() == all.len());
    for ((line, _, parameters), found) in all.iter().zip(folder.of("control")) {
        assert_eq!(settled(&found), control(line, "ops", parameters, 200));
    }
    // What only looks is not recorded, as long as no value of traffic is in it.
    for path in ["/control/status", "/control/config", "/control/upstreams", "/metrics", "/healthz"]
    {
        assert_eq!(ask(&proxy, &format!("GET {path}"), "", Some(READ)).await, 200);
    }
    assert_eq!(folder.of("values_read").len(), 0);
    assert!(folder.entries().iter().all(|it| it["time"].as_str().unwrap().ends_with('Z')));
}

#[tokio::test]
async fn what_is_refused_is_recorded_with_the_reason() {
    let folder = Folder::new();
    let proxy = quiet(&folder, &tokens()).await;
    let bad_route = r#"{"share": 1.0, "route": "other"}"#;
    let all = [
        ("PATCH /control/policy", r#"{"share": 7}"#, "ops", "{}", 400, "share=7: is out of range"),
        ("PATCH /control/policy", bad_route, "ops", bad_route, 400, "is no route"),
        (
            "POST /control/disable?candidate=v9",
            "",
            "ops",
            r#"{"candidate": "v9"}"#,
            404,
            "candidate=\"v9\": is none",
        ),
        ("POST /control/disable?token=x", "", "ops", "{}", 400, "\"token\" is no known name"),
        ("POST /control/enable", "", "reader", "{}", 403, "the right `control`"),
        ("POST /control/enable", "", "nobody's", "{}", 401, "a valid bearer token is required"),
        ("DELETE /control/status", "", "ops", "{}", 405, "Allow"),
    ];
    for (line, body, name, _, status, _) in all {
        let token = [("ops", CONTROL), ("reader", READ)].into_iter().find(|it| it.0 == name);
        let token = token.map_or("guessed", |it| it.1);
        assert_eq!(ask(&proxy, line, body, Some(token)).await, status, "{line}");
    }
    assert_eq!(ask(&proxy, "POST /control/enable", "", None).await, 401);
    eventually!(folder.of("control").len() == all.len() + 1);
    let found = folder.of("control");
    for ((line, _, name, parameters, status, part), found) in all.iter().zip(&found) {
        let mut found = settled(found);
        let why = found.as_object_mut().unwrap().remove("why").unwrap();
        assert_eq!(found, control(line, name, parameters, *status));
        assert!(why.as_str().unwrap().contains(part), "{part}: {why}");
    }
    assert_eq!(found[all.len()]["token"], Value::Null);
}

#[tokio::test]
async fn settings_that_hold_are_recorded_with_their_hash_and_what_goes_over_them() {
    let folder = Folder::new();
    let (baseline, candidate) = (fixed("{}").await.addr, refusing());
    let proxy = audited(&folder, &settings(baseline, candidate)).await;
    let config = async || -> Value { proxy.get("/control/config").await.json().await.unwrap() };
    let shown = config().await;
    eventually!(!folder.of("started").is_empty());
    let started = &folder.of("started")[0];
    assert_eq!((&started["revision"], &started["sha256"]), (&shown["revision"], &shown["sha256"]));
    assert_eq!(started["sha256"].as_str().unwrap().len(), 64);
    assert_eq!((&started["overrides"], &started["tokens"]), (&0.into(), &json!([])));
    assert_eq!(started["version"], env!("CARGO_PKG_VERSION"));

    let patch = json!({"share": 0.05, "for": "1s"}).to_string();
    let request = proxy.client.patch(proxy.url("/control/policy")).body(patch);
    assert_eq!(request.send().await.unwrap().status(), 200);
    eventually!(folder.of("override_ended").len() == 1);
    let (began, ended) = (&folder.of("override")[0], &folder.of("override_ended")[0]);
    assert_eq!((&began["share"], &began["overrides"]), (&0.05.into(), &1.into()));
    assert_eq!((&ended["share"], &ended["overrides"]), (&0.05.into(), &0.into()));
    assert_eq!((&began["revision"], &ended["sha256"]), (&started["revision"], &started["sha256"]));

    let other = settings(baseline, candidate).replace("share = 1", "share = 0.5");
    let file = folder.path("m.toml");
    std::fs::write(&file, format!("[audit]\npath = \"other\"\n{other}{}", tokens())).unwrap();
    assert_eq!(proxy.control("reload").await.status(), 200);
    let request = proxy.client.get(proxy.url("/control/config")).bearer_auth(READ);
    let shown: Value = request.send().await.unwrap().json().await.unwrap();
    eventually!(folder.of("reloaded").len() == 1);
    let taken = &folder.of("reloaded")[0];
    assert_eq!((&taken["revision"], &taken["sha256"]), (&shown["revision"], &shown["sha256"]));
    assert_ne!(taken["sha256"], started["sha256"]);
    assert_eq!(taken["needsRestart"], json!(["audit.path"]));
    assert_eq!(taken["changedTokens"], json!(["ops", "reader", "viewer"]));
    assert_eq!(taken["tokens"][0], "reader (read)");

    std::fs::write(&file, "[mirror]\nshare = 7\n").unwrap();
    let request = proxy.client.post(proxy.url("/control/reload")).bearer_auth(CONTROL);
    assert_eq!(request.send().await.unwrap().status(), 422);
    eventually!(folder.of("reload_refused").len() == 1);
    let refused = &folder.of("reload_refused")[0];
    assert_eq!(refused["sha256"], taken["sha256"], "the old ones go on");
    assert!(refused["why"].as_str().unwrap().contains("mirror.share = 7"), "{refused}");
    proxy.app.shutdown().await;
    let last = folder.entries().pop().unwrap();
    assert_eq!((&last["what"], &last["why"]), (&"stopped".into(), &"told to stop".into()));
}

#[tokio::test]
async fn trips_and_switches_are_recorded_and_who_saw_their_values_without_these() {
    let folder = Folder::new();
    let bad = upstream(|_| async { status(500) }).await;
    let text = settings(fixed("{}").await.addr, bad.addr) + &*tokens();
    let proxy = audited(&folder, &text).await;
    let get = async |path: &str, token: &str| {
        let request = proxy.client.get(proxy.url(path)).bearer_auth(token);
        request.send().await.unwrap().text().await.unwrap()
    };
    eventually!({
        proxy.get("/shop/hidden-7?secret=hidden").await;
        proxy.status().await["state"] == "tripped"
    });
    for action in ["enable", "disable", "disable?route=search"] {
        let request = proxy.client.post(proxy.url(&format!("/control/{action}")));
        assert_eq!(request.bearer_auth(CONTROL).send().await.unwrap().status(), 200);
    }
    eventually!(folder.of("route_disabled").len() == 1);
    let tripped = &folder.of("tripped")[0];
    assert_eq!(
        (&tripped["candidate"], &tripped["rule"]),
        (&"v2".into(), &"consecutive_breaches".into())
    );
    assert_eq!((&tripped["route"], &tripped["on"]), (&Value::Null, &"GET /shop/{id}".into()));
    assert!(tripped["reason"].as_str().is_some() && tripped["until"].as_str().is_some());
    assert_eq!(settled(&folder.of("enabled")[0])["candidate"], "v2");
    assert_eq!(folder.of("disabled").len(), 1);
    assert_eq!(folder.of("route_disabled")[0]["route"], "search");

    for path in ["/control/status", "/control/events", "/control/report"] {
        for token in [READ, CONTROL, "guessed"] {
            assert!(!get(path, token).await.contains("hidden-7"), "{path} {token}");
        }
    }
    assert_eq!(folder.of("values_read").len(), 0);
    for path in ["/control/status?candidate=v2", "/control/events", "/control/report"] {
        assert!(get(path, crate::tokens::EXAMPLES).await.contains("hidden-7"), "{path}");
    }
    eventually!(folder.of("values_read").len() == 3);
    let seen = settled(&folder.of("values_read")[0]);
    let expected = json!({
        "what": "values_read", "token": "viewer", "address": "127.0.0.1", "method": "GET",
        "path": "/control/status", "parameters": {"candidate": "v2"}, "status": 200,
    });
    assert_eq!(seen, expected);
    assert!(!folder.text("audit.jsonl").contains("hidden"), "{}", folder.text("audit.jsonl"));
}

#[tokio::test]
async fn a_route_that_is_stopped_alone_is_recorded() {
    let folder = Folder::new();
    let by_path = |request: crate::support::Seen| async move {
        status(if request.target == "/search" { 500 } else { 200 })
    };
    let (healthy, bad) = (fixed("{}").await, upstream(by_path).await);
    let proxy = audited(&folder, &settings(healthy.addr, bad.addr)).await;
    eventually!({
        proxy.get("/search").await;
        proxy.get("/good").await;
        !folder.of("route_tripped").is_empty()
    });
    let tripped = &folder.of("route_tripped")[0];
    assert_eq!((&tripped["route"], &tripped["candidate"]), (&"search".into(), &"v2".into()));
}

#[tokio::test]
async fn how_often_what_was_redacted_is_recorded_by_its_rule() {
    let folder = Folder::new();
    let candidate = fixed("{}").await;
    let rule = "[[redact.rule]]\nname = \"cards\"\nquery = [\"card\"]\nway = \"mask\"\n";
    let text = settings(fixed("{}").await.addr, candidate.addr) + rule;
    let proxy = audited(&folder, &text).await;
    for number in 1..=3 {
        proxy.get("/pay?card=4111-hidden").await.bytes().await.unwrap();
        eventually!(candidate.count() == number);
    }
    proxy.app.shutdown().await;
    assert_eq!(folder.of("redacted").len(), 1);
    let rules = json!([{"rule": "cards", "way": "mask", "count": 3}]);
    assert_eq!(folder.of("redacted")[0]["rules"], rules);
    assert!(!folder.text("audit.jsonl").contains("4111"));
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_is_recorded_all_the_same() {
    let folder = Folder::new();
    let proxy = quiet(&folder, "").await;
    let mut stream = proxy.connect().await;
    let head = "PATCH /control/policy HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    drop(stream);
    eventually!(folder.of("control").len() == 1);
    let entry = &folder.of("control")[0];
    assert_eq!((&entry["path"], &entry["method"]), (&"/control/policy".into(), &"PATCH".into()));
    let why = entry["why"].as_str().unwrap();
    assert!(why.contains("left before the answer") || why.contains("body"), "{entry}");
}

#[tokio::test]
async fn what_many_do_at_once_is_recorded_whole_and_a_full_file_put_aside() {
    let folder = Folder::new();
    let more = "max_bytes = 20000\nfiles = 100\n";
    let text = more.to_owned() + &*settings(fixed("{}").await.addr, refusing()) + &*tokens();
    let proxy = Arc::new(audited(&folder, &text).await);
    let tasks = (0..8).map(|task| {
        let proxy = Arc::clone(&proxy);
        tokio::spawn(async move {
            for number in 0..50 {
                let action = if number % 2 == 0 { "disable" } else { "enable" };
                let url = proxy.url(&format!("/control/{action}?candidate=v2"));
                let request = proxy.client.post(url).bearer_auth(CONTROL);
                assert_eq!(request.send().await.unwrap().status(), 200, "{task}");
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let (url, client) = (proxy.url("/metrics"), proxy.client.clone());
    let entries = || {
        let files = std::fs::read_dir(&folder.0).unwrap().map(|it| it.unwrap());
        let files = files.filter(|it| it.file_name().to_str().unwrap().starts_with("audit"));
        let texts: Vec<_> = files.map(|it| std::fs::read_to_string(it.path()).unwrap()).collect();
        assert!(texts.iter().all(|text| text.len() <= 20000));
        let lines: Vec<Value> = texts
            .iter()
            .flat_map(|it| it.lines())
            .map(|it| serde_json::from_str(it).unwrap())
            .collect();
        (texts.len(), lines)
    };
    let controls = |lines: &[Value]| lines.iter().filter(|it| it["what"] == "control").count();
    eventually!(controls(&entries().1) == 400);
    assert!(entries().0 > 3, "{}", entries().0);
    let metrics = client.get(url).send().await.unwrap().text().await.unwrap();
    assert_eq!(sum(&metrics, "mirror_audit_entries_lost_total", &[]), 0.0);
    assert_eq!(sum(&metrics, "mirror_audit_entries_total", &[]) as usize, entries().1.len());
}

#[tokio::test]
async fn strangers_do_not_push_out_what_others_did() {
    let folder = Folder::new();
    let proxy = quiet(&folder, &tokens()).await;
    for _ in 0..100 {
        assert_eq!(proxy.control("enable").await.status(), 401);
    }
    // Nor what somebody tried who is known.
    for _ in 0..3 {
        assert_eq!(ask(&proxy, "POST /control/enable", "", Some(READ)).await, 403);
    }
    assert_eq!(ask(&proxy, "POST /control/enable", "", Some(CONTROL)).await, 200);
    eventually!(folder.of("control").last().is_some_and(|it| it["token"] == "ops"));
    let known: Vec<_> = folder.of("control").split_off(60);
    let known: Vec<_> = known.iter().map(|it| it["token"].as_str()).collect();
    assert_eq!(known, [Some("reader"), Some("reader"), Some("reader"), Some("ops")]);
    let lost = ["reason=\"too_many_refused\""];
    assert_eq!(proxy.metric("mirror_audit_entries_lost_total", &lost).await, 40.0);
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_stops_the_start_with_the_reason() {
    let url = format!("http://{}", refusing());
    for (path, part) in
        [("/nowhere/audit.jsonl", "No such file or directory"), ("/tmp", "Is a directory")]
    {
        let settings =
            [("LISTEN_ADDR", "127.0.0.1:0"), ("BASELINE_URL", url.as_str()), ("AUDIT_PATH", path)];
        let output = command(&settings).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        let whole = format!("cannot write the audit log to {path}: {part}");
        assert!(said.contains(&whole), "{said}");
    }
}

#[tokio::test]
async fn a_disk_that_is_full_costs_nobody_an_answer_and_is_told() {
    let baseline = fixed("{}").await;
    let audit = [("AUDIT_PATH", "/dev/full")];
    let mut process = process::start(baseline.addr, refusing(), &audit).await;
    let client = client();
    let url = |path: &str| format!("http://{}{path}", process.addr());
    for _ in 0..50 {
        let answer = in_time(client.post(url("/control/disable")).send()).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(client.get(url("/")).send().await.unwrap().text().await.unwrap(), "{}");
    }
    eventually!({
        let metrics = client.get(url("/metrics")).send().await.unwrap().text().await.unwrap();
        // What was recorded of each, of the first switch, and of the start.
        sum(&metrics, "mirror_audit_entries_lost_total", &["not_written"]) >= 52.0
    });
    let log = process.log();
    let told: Vec<_> =
        log.lines().filter(|line| line.contains("an entry of the audit log is lost")).collect();
    assert_eq!(told.len(), 1, "{log}");
    assert!(told[0].contains("No space left on device"), "{log}");
    process.signal("TERM");
    assert_eq!(process.exit_code().await, Some(0));
}

#[tokio::test]
async fn a_file_that_cannot_be_put_aside_takes_all_the_same_and_is_told() {
    let folder = Folder::new();
    let audit = folder.path("audit.jsonl");
    // Nothing is put in its place while something is in it.
    std::fs::create_dir_all(folder.path("audit.jsonl.1/x")).unwrap();
    let settings =
        [("AUDIT_PATH", audit.as_str()), ("AUDIT_MAX_BYTES", "4096"), ("AUDIT_FILES", "2")];
    let process = process::start(fixed("{}").await.addr, refusing(), &settings).await;
    let client = client();
    let url = format!("http://{}/control/disable", process.addr());
    for _ in 0..50 {
        in_time(client.post(&url).send()).await.unwrap();
    }
    eventually!(folder.of("control").len() == 50);
    assert!(folder.entries().iter().all(|entry| entry["lost"] == Value::Null));
    let log = process.log();
    let told: Vec<_> = log.lines().filter(|line| line.contains("cannot be put aside")).collect();
    assert_eq!(told.len(), 1, "{log}");
    assert!(!log.contains("is lost"), "{log}");
}

#[tokio::test]
async fn standard_error_has_both_logs_in_lines_of_their_own() {
    let settings = [("AUDIT_PATH", "stderr")];
    let mut process = process::start(fixed("{}").await.addr, refusing(), &settings).await;
    let client = client();
    for action in ["disable", "enable"] {
        let url = format!("http://{}/control/{action}", process.addr());
        client.post(url).send().await.unwrap();
    }
    process.signal("TERM");
    assert_eq!(process.exit_code().await, Some(0));
    eventually!(process.log().contains("\"stopped\",\"why\""));
    let log = process.log();
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let (audit, others): (Vec<_>, Vec<_>) = lines.iter().partition(|it| it["log"] == "audit");
    let what: Vec<_> = audit.iter().map(|it| it["what"].as_str().unwrap()).collect();
    assert_eq!(what, ["started", "disabled", "control", "enabled", "control", "stopped"]);
    assert!(others.iter().all(|it| it["level"].is_string()), "{log}");
}

#[tokio::test]
async fn a_process_that_is_killed_leaves_whole_lines_and_the_next_one_goes_on() {
    let folder = Folder::new();
    let audit = folder.path("audit.jsonl");
    let settings = [("AUDIT_PATH", audit.as_str())];
    let baseline = fixed("{}").await;
    let mut before = 0;
    for round in 1..=3 {
        let mut process = process::start(baseline.addr, refusing(), &settings).await;
        let addr = process.addr();
        let switching = (0..4).map(|_| {
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(addr).await.unwrap();
                let head = b"POST /control/disable HTTP/1.1\r\nhost: localhost\r\n\r\n";
                let mut answer = [0; 4096];
                // Until it is killed.
                while stream.write_all(head).await.is_ok() {
                    if stream.read(&mut answer).await.unwrap_or(0) == 0 {
                        break;
                    }
                }
            })
        });
        let switching: Vec<_> = switching.collect();
        eventually!(folder.text("audit.jsonl").lines().count() > before + 200);
        process.signal("KILL");
        assert_eq!(process.exit_code().await, None);
        for task in switching {
            in_time(task).await.unwrap();
        }
        let entries = folder.entries();
        assert_eq!(entries.iter().filter(|it| it["what"] == "started").count(), round);
        before = entries.len();
    }
}

#[tokio::test]
async fn no_token_is_in_any_log_or_answer() {
    let folder = Folder::new();
    let (audit, file) = (folder.path("audit.jsonl"), folder.path("m.toml"));
    std::fs::write(&file, tokens()).unwrap();
    let secrets = ["all-s3cret", READ, CONTROL, crate::tokens::EXAMPLES, "guess-s3cret"];
    let settings = [
        ("AUDIT_PATH", audit.as_str()),
        ("MIRROR_CONFIG", file.as_str()),
        ("CONTROL_TOKEN", secrets[0]),
        ("LOG_LEVEL", "trace"),
    ];
    let mut process = process::start(fixed("{}").await.addr, refusing(), &settings).await;
    let client = client();
    let url = |path: &str| format!("http://{}{path}", process.addr());
    let mut said = String::new();
    for token in secrets {
        for path in ["status", "events", "report", "config", "upstreams"] {
            let request = client.get(url(&format!("/control/{path}"))).bearer_auth(token);
            said += &request.send().await.unwrap().text().await.unwrap();
        }
        for path in ["enable", "disable?route=x", "reload", "enable?nobody=1"] {
            let request = client.post(url(&format!("/control/{path}"))).bearer_auth(token);
            said += &request.send().await.unwrap().text().await.unwrap();
        }
        let patch = client.patch(url("/control/policy")).bearer_auth(token);
        said += &patch.body(r#"{"share": 1}"#).send().await.unwrap().text().await.unwrap();
    }
    said += &client.get(url("/metrics")).send().await.unwrap().text().await.unwrap();
    process.signal("TERM");
    assert_eq!(process.exit_code().await, Some(0));
    let all = [said, process.log(), folder.text("audit.jsonl")];
    assert!(all.iter().all(|text| text.len() > 1000));
    for secret in secrets {
        let hash = crate::tokens::hash(secret);
        for text in &all {
            assert!(!text.contains(secret) && !text.contains(&hash), "{secret} in\n{text}");
        }
    }
    let mut names: Vec<_> = folder.of("control").iter().map(|it| it["token"].to_string()).collect();
    names.dedup();
    let expected = ["CONTROL_TOKEN", "reader", "ops", "viewer", "nobody's"];
    assert_eq!(names, expected.map(|name| format!("\"{name}\"")));
}
