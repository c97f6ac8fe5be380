//! Hooks between real upstreams: what they change, drop and normalise, and that whatever a script does costs its
//! copy and nothing else.

use std::net::SocketAddr;
use std::path::Path;

use proxy::app::{self, Source};
use proxy::config::Config;
use std::sync::Arc;
use tokio::runtime::Handle;

use crate::certificates::TempFile;
use crate::eventually;
use crate::process;
use crate::support::{Proxy, client, fixed, json, refusing, sum, upstream};

fn text(baseline: SocketAddr, candidate: SocketAddr, rest: &str) -> String {
    format!(
        "[listen]\naddress = \"127.0.0.1:0\"\n[baseline]\nurl = \"http://{baseline}\"\n\
         [guardrail]\nlatency_floor = \"1h\"\nconsecutive = 1000000\n[mirror]\nshare = 1\n\
         [[candidate]]\nname = \"v2\"\nurl = \"http://{candidate}\"\n{rest}"
    )
}

/// A proxy whose copies all go to `candidate`, with these hooks.
async fn by(baseline: SocketAddr, candidate: SocketAddr, rest: &str) -> Proxy {
    let text = text(baseline, candidate, rest);
    let config = Config::from_text("m.toml", &text, &|_| None).unwrap_or_else(|it| panic!("{it}"));
    let app = app::start(config, Handle::current()).await.unwrap();
    Proxy { app, client: client() }
}

fn hook(name: &str, script: &str) -> String {
    format!("[[hook]]\nname = \"{name}\"\nscript = '''\n{script}'''\n")
}

async fn runs(proxy: &Proxy, hook: &str, result: &str) -> f64 {
    let labels = [&*format!("hook=\"{hook}\""), &*format!("result=\"{result}\"")];
    proxy.metric("mirror_hook_runs_total", &labels).await
}

async fn post(proxy: &Proxy, path: &str, body: &str) -> u16 {
    let request = proxy.client.post(proxy.url(path)).header("x-tenant", "acme");
    request.body(body.to_owned()).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn the_candidate_gets_what_the_hook_made_and_the_baseline_the_request_as_it_was() {
    let (baseline, v2) = (fixed("1").await, fixed("1").await);
    let script = "fn pre(copy) {\n\
        copy.path = \"/v2\" + copy.path; copy.headers[\"x-by\"] = copy.candidate + copy.route;\n\
        copy.query[\"x\"] = \"1\"; copy.json.rename(\"name\", \"full_name\"); copy.host = \"next.example\"; }\n";
    let again = "fn pre(copy) { copy.json.seen = copy.json.full_name; }\n";
    let rest = hook("first", script) + &*hook("second", again);
    let proxy = by(baseline.addr, v2.addr, &rest).await;
    assert_eq!(post(&proxy, "/orders", "{\"name\": \"a\",  \"n\":1.50}").await, 200);
    eventually!(proxy.outcome("matched").await == 1.0);
    let (ours, theirs) = (&baseline.seen()[0], &v2.seen()[0]);
    assert_eq!(
        (ours.target.as_str(), &ours.body[..]),
        ("/orders", &b"{\"name\": \"a\",  \"n\":1.50}"[..])
    );
    assert_eq!(theirs.target, "/v2/orders?x=1");
    assert_eq!(theirs.body, "{\"full_name\":\"a\",\"n\":1.50,\"seen\":\"a\"}");
    assert_eq!(theirs.headers["content-length"], theirs.body.len().to_string());
    assert_eq!(theirs.headers["x-by"], "v2POST /orders");
    assert_eq!(
        (&theirs.headers["host"], &theirs.headers["x-mirror"]),
        (&"next.example".parse().unwrap(), &"1".parse().unwrap())
    );
    assert!(!ours.headers.contains_key("x-by"));
    assert_eq!(
        (runs(&proxy, "first", "done").await, runs(&proxy, "second", "done").await),
        (1.0, 1.0)
    );
}

#[tokio::test]
async fn a_copy_that_a_hook_drops_goes_nowhere_and_is_no_evidence() {
    let (baseline, v2) = (fixed("1").await, fixed("1").await);
    let script =
        "fn pre(copy) { if copy.headers[\"x-tenant\"] == \"acme\" { drop(\"acme has left\"); } }\n";
    let proxy = by(baseline.addr, v2.addr, &hook("tenant", script)).await;
    assert_eq!(post(&proxy, "/a", "{}").await, 200);
    eventually!(proxy.outcome("dropped_by_hook").await == 1.0);
    proxy.get("/a").await;
    eventually!(proxy.outcome("matched").await == 1.0);
    assert_eq!(v2.count(), 1);
    assert_eq!(runs(&proxy, "tenant", "dropped").await, 1.0);
    let report: serde_json::Value = proxy.get("/control/report").await.json().await.unwrap();
    assert_eq!(report["routes"][0]["pairs"], 1, "{report}");
}

#[tokio::test]
async fn answers_are_compared_as_a_hook_left_them_and_the_client_has_its_own() {
    let baseline = upstream(|_| async { json("{\"price\":10.004,\"build\":\"a\"}") }).await;
    let v2 = upstream(|request| async move {
        let mut answer = json("{\"price\": 10.001,\"build\":\"b\"}");
        let tenant = request.headers.get("x-tenant").cloned();
        tenant.map(|tenant| answer.headers_mut().insert("x-tenant", tenant));
        answer
    })
    .await;
    let script = "fn post(baseline, candidate) {\n\
        for side in [baseline, candidate] { side.json.price = round(side.json.price, 2); side.json.remove(\"build\"); }\n\
        if candidate.headers[\"x-tenant\"] == \"acme\" { label(\"vip\"); } }\n";
    let rest = hook("prices", script) + "labels = [\"vip\", \"other\"]\n";
    let proxy = by(baseline.addr, v2.addr, &rest).await;
    let answer = proxy.get("/a").await.text().await.unwrap();
    assert_eq!(answer, "{\"price\":10.004,\"build\":\"a\"}");
    eventually!(proxy.outcome("matched").await == 1.0);
    post(&proxy, "/a", "").await;
    eventually!(proxy.outcome("matched").await == 2.0);
    let metrics = proxy.metrics().await;
    let labels = |label: &str| {
        sum(
            &metrics,
            "mirror_hook_labels_total",
            &["hook=\"prices\"", &format!("label=\"{label}\"")],
        )
    };
    assert_eq!((labels("vip"), labels("other")), (1.0, 0.0));
}

#[tokio::test]
async fn a_hook_that_loops_for_ever_costs_its_copies_and_nothing_else() {
    let (baseline, v2) = (fixed("{\"a\":1}").await, fixed("{\"a\":1}").await);
    let routes = "[[route]]\nname = \"bad\"\nmatch.path.prefix = \"/bad\"\n";
    let rest =
        format!("{routes}{}routes = [\"bad\"]\n", hook("loops", "fn pre(copy) { loop {} }\n"));
    let proxy = by(baseline.addr, v2.addr, &rest).await;
    for _ in 0..30 {
        let answer = proxy.get("/bad").await;
        assert_eq!(
            (answer.status().as_u16(), answer.text().await.unwrap()),
            (200, "{\"a\":1}".to_owned())
        );
        assert_eq!(proxy.get("/good").await.status(), 200);
    }
    eventually!(proxy.outcome("hook_failed").await == 30.0);
    eventually!(proxy.outcome("matched").await == 30.0);
    assert_eq!((baseline.count(), v2.count()), (60, 30));
    let (steps, resting) =
        (runs(&proxy, "loops", "steps").await, runs(&proxy, "loops", "resting").await);
    assert_eq!(steps + resting, 30.0);
    assert!(steps >= 5.0 && resting > 0.0, "it rests: {steps} {resting}");
    assert_eq!(proxy.status().await["enabled"], true);
}

#[tokio::test]
async fn an_answer_that_no_hook_could_see_is_not_held_against_the_candidate() {
    let (baseline, v2) = (fixed("{\"a\":1}").await, fixed("{\"a\":2}").await);
    let rest = hook("throws", "fn post(baseline, candidate) {\n  throw candidate.json.a;\n}\n");
    let proxy = by(baseline.addr, v2.addr, &rest).await;
    proxy.get("/a").await;
    eventually!(proxy.outcome("hook_failed").await == 1.0);
    assert_eq!(runs(&proxy, "throws", "failed").await, 1.0);
    assert_eq!(proxy.outcome("mismatched").await, 0.0);
}

#[tokio::test]
async fn a_reload_replaces_a_hook_whose_file_has_changed() {
    let (baseline, v2) = (fixed("1").await, fixed("1").await);
    let script = TempFile::new("fn pre(copy) { copy.path = \"/one\"; }");
    let rest = format!("[[hook]]\nname = \"it\"\nfile = \"{}\"\n", script.path());
    let settings = TempFile::new(&text(baseline.addr, v2.addr, &rest));
    let from = settings.path().to_owned();
    let read = move || Config::read(Some(Path::new(&from)), &|_| None);
    let config = read().unwrap_or_else(|it| panic!("{it}"));
    let source = Source { read: Arc::new(read), watched: None };
    let app = app::start_from(config, Handle::current(), None, Some(source)).await.unwrap();
    let proxy = Proxy { app, client: client() };
    proxy.get("/a").await;
    eventually!(v2.count() == 1);
    let revision = async || {
        let config: serde_json::Value = proxy.get("/control/config").await.json().await.unwrap();
        config["revision"].clone()
    };
    let before = revision().await;
    std::fs::write(script.path(), "fn pre(copy) { copy.path = ; }").unwrap();
    let refused = proxy.control("reload").await;
    assert!(!refused.status().is_success());
    let told = refused.text().await.unwrap();
    assert!(told.contains(":1:28: "), "{told}");
    proxy.get("/a").await;
    eventually!(v2.count() == 2);
    std::fs::write(script.path(), "fn pre(copy) { copy.path = \"/two\"; }").unwrap();
    assert!(proxy.control("reload").await.status().is_success());
    proxy.get("/a").await;
    eventually!(v2.count() == 3);
    let targets: Vec<_> = v2.seen().iter().map(|it| it.target.clone()).collect();
    assert_eq!(targets, ["/one", "/one", "/two"]);
    assert_ne!(revision().await, before);
}

#[tokio::test]
async fn a_failure_is_logged_with_its_line_and_without_values() {
    let baseline = fixed("{}").await;
    let script = "fn pre(copy) {\n  copy.path = copy.json.secret + 1;\n}\n";
    let file = TempFile::new(&text(baseline.addr, refusing(), &hook("fails", script)));
    let mut command = process::command(&[("LOG_FORMAT", "json"), ("LOG_LEVEL", "debug")]);
    let process = process::started(command.args(["--config", file.path()])).await;
    for _ in 0..20 {
        let url = format!("http://{}/a?q=s3cret", process.addr());
        let request =
            client().post(url).header("x-key", "s3cret").body("{\"secret\":\"s3cret value\"}");
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
    eventually!(process.log().contains("a hook failed"));
    let log = process.log();
    assert!(!log.contains("s3cret"), "{log}");
    let lines: Vec<_> = log.lines().filter(|line| line.contains("a hook failed")).collect();
    assert_eq!(lines.len(), 1, "rate-limited");
    let line: serde_json::Value = serde_json::from_str(lines[0]).unwrap();
    let fields = &line["fields"];
    assert_eq!((&fields["hook"], &fields["line"]), (&"fails".into(), &2.into()), "{line}");
    assert_eq!(fields["why"], "a path that is none");
}

/// The README's worked hooks, as they stand there.
fn of_the_readme() -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let text = std::fs::read_to_string(readme).unwrap();
    let blocks = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.filter(|block| block.contains("[[hook]]")).collect()
}

#[tokio::test]
async fn the_worked_hooks_of_the_readme_do_what_it_says() {
    let baseline =
        upstream(|_| async { json("{\"items\":[{\"price\":1.004}],\"total\":1200.5}") }).await;
    let v2 = upstream(|_| async { json("{\"items\":[{\"price\":1.00}],\"total\":1200.50}") }).await;
    let proxy = by(baseline.addr, v2.addr, &of_the_readme()).await;
    assert_eq!(post(&proxy, "/a", "{\"name\":\"x\"}").await, 200);
    eventually!(proxy.outcome("dropped_by_hook").await == 1.0);
    let request = proxy.client.post(proxy.url("/a")).body("{\"name\": \"x\", \"n\": 1.0}");
    request.send().await.unwrap();
    eventually!(proxy.outcome("matched").await == 1.0);
    proxy.get("/a").await;
    eventually!(proxy.outcome("matched").await == 2.0);
    assert_eq!(v2.seen()[0].body, "{\"full_name\": \"x\", \"n\": 1.0}");
    let large = proxy.metric("mirror_hook_labels_total", &["label=\"large\""]).await;
    assert_eq!(large, 2.0);
}
