//! What the pairs told: the report over a real socket, the gauges, and the exit codes of `report`.

mod watched;

use std::time::Duration;

use proxy::config::Config;
use serde_json::Value;

use crate::certificates::{TempFile, certificates};
use crate::eventually;
use crate::process::command;
use crate::support::{PATIENCE, Proxy, Upstream, fixed, json, proxy, refusing, upstream};

/// What is allowed is so much that some hundred pairs settle it.
fn easy(config: &mut Config) {
    config.report.error_delta = 0.2;
    config.report.mismatch_rate = 0.2;
    config.report.status_rate = 0.2;
    config.report.latency_floor = Duration::from_secs(3600);
}

/// Answers as `fixed("{}")` does, but for `/bad`.
async fn bad_under_one_path() -> Upstream {
    upstream(|request| async move {
        let mut answer = json("{}");
        if request.target == "/bad" {
            *answer.status_mut() = http::StatusCode::IM_A_TEAPOT;
        }
        answer
    })
    .await
}

async fn report(proxy: &Proxy) -> Value {
    proxy.get("/control/report").await.json().await.unwrap()
}

/// Sends so many requests and waits until each is a pair in the report.
async fn pairs(proxy: &Proxy, path: &str, count: u64) {
    let before = report(proxy).await["pairs"].as_u64().unwrap();
    for _ in 0..count {
        proxy.get(path).await.bytes().await.unwrap();
    }
    eventually!(report(proxy).await["pairs"].as_u64().unwrap() >= before + count);
}

/// Sends requests until their pairs are a pass, and tells how many it took: more where the machine's
/// load lets them remember each other.
async fn passed(proxy: &Proxy, path: &str) -> u64 {
    // On a busy machine that takes longer than anything else that is waited for.
    let deadline = tokio::time::Instant::now() + 5 * PATIENCE;
    loop {
        pairs(proxy, path, 200).await;
        let report = report(proxy).await;
        if report["verdict"] == "pass" && report["routes"][0]["verdict"] == "pass" {
            return report["pairs"].as_u64().unwrap();
        }
        assert!(tokio::time::Instant::now() < deadline, "{report}");
    }
}

fn route<'a>(report: &'a Value, label: &str) -> &'a Value {
    let routes = report["routes"].as_array().unwrap();
    routes.iter().find(|route| route["route"] == label).unwrap()
}

#[tokio::test]
async fn a_field_that_differs_is_in_the_report_with_counts_and_examples() {
    let proxy = proxy(fixed("{}").await.addr, bad_under_one_path().await.addr, easy).await;
    pairs(&proxy, "/good", 3).await;
    pairs(&proxy, "/bad", 5).await;
    let report = report(&proxy).await;
    assert_eq!((&report["pairs"], &report["verdict"]), (&8.into(), &"not enough data".into()));
    assert_eq!(report["mismatches"]["raw"], 5);
    assert!(report["method"].as_str().unwrap().contains("Waudby-Smith"));
    assert!(humantime::parse_rfc3339(report["since"].as_str().unwrap()).is_ok());
    assert_eq!(route(&report, "GET /good")["fields"], serde_json::json!([]));
    let fields = route(&report, "GET /bad")["fields"].as_array().unwrap();
    let field = fields.iter().find(|field| field["field"] == "status").unwrap();
    for (name, expected) in [
        ("pairs", 5.into()),
        ("raw", 5.into()),
        ("noise", 0.into()),
        ("isNoise", false.into()),
        ("risk", "high".into()),
        ("kinds", serde_json::json!(["status"])),
    ] {
        assert_eq!(field[name], expected, "{name}");
    }
    let examples = field["examples"].as_array().unwrap();
    assert_eq!(examples.len(), 1, "all are alike");
    assert_eq!(
        (&examples[0]["baseline"], &examples[0]["candidate"]),
        (&"200".into(), &"418".into())
    );
    assert_eq!(report["worstFields"][0]["route"], "GET /bad");
}

#[tokio::test]
async fn text_is_for_those_who_accept_nothing_else() {
    let proxy = proxy(fixed("{}").await.addr, bad_under_one_path().await.addr, easy).await;
    pairs(&proxy, "/bad", 1).await;
    let request = proxy.client.get(proxy.url("/control/report")).header("accept", "text/plain");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/plain; charset=utf-8");
    let text = answer.text().await.unwrap();
    for part in
        ["GET /bad: not enough data, 1 pairs", "status (status; risk high): 1 of 1", "200 -> 418"]
    {
        assert!(text.contains(part), "{part} not in\n{text}");
    }
}

#[tokio::test]
async fn a_candidate_that_gives_no_answer_counts_as_failed_and_not_as_different() {
    let proxy = proxy(fixed("{}").await.addr, refusing(), easy).await;
    pairs(&proxy, "/", 2).await;
    let report = report(&proxy).await;
    assert_eq!(report["errors"]["candidateRate"], 1.0);
    assert_eq!(report["mismatches"]["compared"], 0);
    assert_eq!(report["latency"]["p50"]["candidateSeconds"], Value::Null);
}

#[tokio::test]
async fn verdicts_show_in_the_gauges_and_a_reset_takes_them_back() {
    let proxy = proxy(fixed("{}").await.addr, bad_under_one_path().await.addr, easy).await;
    passed(&proxy, "/good").await;
    let good = "route=\"GET /good\"";
    let verdict = async |labels: &[&str]| proxy.metric("mirror_verdict", labels).await;
    assert_eq!(verdict(&[good, "verdict=\"pass\""]).await, 1.0);
    assert_eq!(proxy.metric("mirror_overall_verdict", &["verdict=\"pass\""]).await, 1.0);
    pairs(&proxy, "/bad", 50).await;
    assert_eq!(verdict(&["route=\"GET /bad\"", "verdict=\"fail\""]).await, 1.0);
    assert_eq!(proxy.metric("mirror_overall_verdict", &["verdict=\"fail\""]).await, 1.0);
    assert_eq!(proxy.metric("mirror_overall_verdict", &["verdict=\"pass\""]).await, 0.0);

    let answer: Value = proxy.control("report/reset").await.json().await.unwrap();
    assert_eq!(answer, serde_json::json!({"message": "report reset"}));
    assert_eq!(report(&proxy).await["pairs"], 0);
    assert_eq!(verdict(&["verdict=\"not enough data\""]).await, 3.0, "both routes and other");
    assert_eq!(verdict(&["verdict=\"fail\""]).await, 0.0);
}

#[tokio::test]
async fn verdict_and_evidence_of_a_route_exist_from_its_first_request() {
    let proxy = proxy(fixed("{}").await.addr, fixed("{}").await.addr, |config| {
        config.mirror.fraction = 0.0;
    })
    .await;
    proxy.get("/a").await;
    let metrics = proxy.metrics().await;
    for line in [
        "mirror_verdict{route=\"GET /a\",verdict=\"not enough data\"} 1",
        "mirror_verdict{route=\"GET /a\",verdict=\"pass\"} 0",
        "mirror_evidence{route=\"GET /a\"} 0",
        "mirror_overall_evidence 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} not in\n{metrics}");
    }
}

/// Runs `mirrorlab-proxy report`: its exit code, and what it says.
pub(crate) async fn ask(
    url: &str,
    settings: &[(&str, &str)],
    more: &[&str],
) -> (Option<i32>, String) {
    let mut command = command(settings);
    command.args(["report", "--url", url]).args(more);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[tokio::test]
async fn the_exit_code_gates_a_release() {
    let proxy = proxy(fixed("{}").await.addr, bad_under_one_path().await.addr, easy).await;
    let url = proxy.url("");
    let pass = &["--require", "pass"];
    assert_eq!(ask(&url, &[], pass).await.0, Some(3));
    let count = passed(&proxy, "/good").await;
    let (code, said) = ask(&url, &[], pass).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("all routes: pass, {count} pairs")), "{said}");
    let more = (count + 1).to_string();
    let few = ["--require", "pass", "--min-pairs", more.as_str()];
    let (code, said) = ask(&url, &[], &few).await;
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains(&format!("{count} pairs, fewer than {more}")), "{said}");
    pairs(&proxy, "/bad", 50).await;
    let (code, said) = ask(&url, &[], pass).await;
    assert_eq!(code, Some(1), "{said}");
    let good = ["--require", "pass", "--route", "GET /good", "--format", "json"];
    let (code, said) = ask(&url, &[], &good).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(serde_json::from_str::<Value>(&said).unwrap()["verdict"], "pass");
}

#[tokio::test]
async fn without_a_report_to_be_had_the_exit_code_is_2() {
    let nobody = format!("http://{}", refusing());
    let (code, said) = ask(&nobody, &[], &[]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("connection refused"), "{said}");
    let other = format!("http://{}", fixed("{}").await.addr);
    let (code, said) = ask(&other, &[], &[]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("no report"), "{said}");
    let (code, said) = ask(&nobody, &[], &["--require", "luck"]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--require \"luck\""), "{said}");
}

#[tokio::test]
async fn a_report_is_had_over_https_too() {
    let certificates = certificates();
    let proxy = proxy(fixed("{}").await.addr, fixed("{}").await.addr, |config| {
        config.tls = Some(certificates.identity());
    })
    .await;
    let url = format!("https://localhost:{}", proxy.app.traffic.port());
    let authority = TempFile::new(&certificates.authority);
    let (code, said) = ask(&url, &[("UPSTREAM_CA", authority.path())], &[]).await;
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("all routes: not enough data, 0 pairs"), "{said}");
    let (code, said) = ask(&url, &[], &[]).await;
    assert_eq!(code, Some(2), "nobody vouches for it: {said}");
}

#[tokio::test]
async fn pairs_that_agree_without_content_are_shown_apart() {
    let by_path = |request: crate::support::Seen| async move {
        let status = request.target.trim_start_matches('/').parse().unwrap_or(200);
        crate::support::status(status)
    };
    let (baseline, candidate) = (upstream(by_path).await, upstream(by_path).await);
    let proxy = proxy(baseline.addr, candidate.addr, easy).await;
    for path in ["/304", "/204", "/200"] {
        pairs(&proxy, path, 1).await;
    }
    proxy.client.head(proxy.url("/200")).send().await.unwrap();
    eventually!(report(&proxy).await["pairs"] == 4);
    let mismatches = &report(&proxy).await["mismatches"];
    assert_eq!((&mismatches["compared"], &mismatches["withoutContent"]), (&2.into(), &2.into()));
}

#[tokio::test]
async fn report_and_status_of_one_route_name_no_other() {
    let upstream = fixed("{}").await.addr;
    let proxy = proxy(upstream, upstream, |_| {}).await;
    pairs(&proxy, "/a", 1).await;
    pairs(&proxy, "/b", 1).await;
    for page in ["report", "status"] {
        let page = format!("/control/{page}?route=GET%20/");
        let one: Value = proxy.get(&format!("{page}b")).await.json().await.unwrap();
        let routes = one["routes"].as_array().unwrap().iter().map(|it| it["route"].clone());
        assert_eq!(routes.collect::<Vec<_>>(), ["GET /b"], "{page}");
        let none = proxy.get(&format!("{page}c")).await;
        assert_eq!(none.status(), 404);
        assert!(none.text().await.unwrap().contains("GET /c"));
    }
    let url = proxy.url("/control/report?route=GET%20/b");
    let text = proxy.client.get(url).header("accept", "text/plain").send().await.unwrap();
    let text = text.text().await.unwrap();
    assert!(text.contains("GET /b") && !text.contains("GET /a"), "{text}");
}
