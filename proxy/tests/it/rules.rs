//! The rules of the comparison, from the file to the verdict, and what of an answer is compared.

use http::HeaderName;
use proxy::config::Config;

use crate::certificates::TempFile;
use crate::eventually;
use crate::process::command;
use crate::support::{Answer, Proxy, Seen, fixed, json, proxy, status, upstream};

fn with(file: &TempFile) -> impl FnOnce(&mut Config) {
    let path = file.path().to_owned();
    move |config| {
        let given = Config::from_env(&|name| (name == "MIRROR_CONFIG").then(|| (&path).into()));
        config.mirror.rules = given.unwrap().mirror.rules;
    }
}

/// How often each kind of difference was counted.
async fn differences(proxy: &Proxy, kind: &str) -> f64 {
    proxy.metric("mirror_field_differences_total", &[&format!("kind=\"{kind}\"")]).await
}

/// An upstream that answers each path with its own body.
async fn by_path(answers: &'static [(&'static str, &'static str)]) -> std::net::SocketAddr {
    let script = move |seen: Seen| async move {
        let found = answers.iter().find(|(path, _)| seen.target == *path);
        json(found.map_or("{}", |(_, body)| body))
    };
    upstream(script).await.addr
}

#[tokio::test]
async fn a_file_of_rules_relaxes_the_comparison_for_all_routes_and_for_one() {
    let file = TempFile::new(
        r#"
        [compare]
        ignore = ["nonce", "$.meta.took"]
        mask = ["iban"]
        numbers = [{ path = "$..price", absolute = 0.01 }]

        [[route]]
        route = "GET /list"
        arrays = [{ path = "$.items", key = "id" }]
        classes = [{ path = "$.trace", class = "uuid" }]
        "#,
    );
    let baseline = by_path(&[
        ("/one", r#"{"nonce":1,"meta":{"took":5},"iban":"DE1","price":1.50}"#),
        (
            "/list",
            r#"{"items":[{"id":1},{"id":2}],"trace":"123e4567-e89b-12d3-a456-426614174000"}"#,
        ),
        ("/other", r#"{"items":[{"id":1},{"id":2}]}"#),
    ])
    .await;
    let candidate = by_path(&[
        ("/one", r#"{"meta":{"took":7,"x":1},"nonce":2,"price":1.51,"iban":"DE2"}"#),
        (
            "/list",
            r#"{"trace":"00000000-0000-0000-0000-000000000000","items":[{"id":2},{"id":1}]}"#,
        ),
        ("/other", r#"{"items":[{"id":2},{"id":1}]}"#),
    ])
    .await;
    let proxy = proxy(baseline, candidate, with(&file)).await;
    proxy.expect_outcome("/list", "matched").await;
    proxy.expect_outcome("/other", "mismatched").await;
    assert_eq!(differences(&proxy, "order").await, 1.0, "{}", proxy.metrics().await);
    proxy.expect_outcome("/one", "mismatched").await;
    assert_eq!(differences(&proxy, "added").await, 1.0, "$.meta.x alone");
    let route = ["route=\"GET /one\"", "risk=\"low\""];
    assert_eq!(proxy.metric("mirror_field_differences_total", &route).await, 1.0);
    assert_eq!(proxy.metric("mirror_field_differences_total", &[]).await, 2.0);
}

#[tokio::test]
async fn rules_that_never_applied_are_shown_in_the_status() {
    let file = TempFile::new(
        "[compare]\nignore = [\"nonce\", \"nunce\"]\n[[route]]\nroute = \"GET /x\"\nmask = [\"$.a\"]\n",
    );
    let same = r#"{"nonce":1}"#;
    let proxy = proxy(fixed(same).await.addr, fixed(same).await.addr, with(&file)).await;
    proxy.expect_outcome("/", "matched").await;
    let status = proxy.status().await;
    let expected = serde_json::json!([
        {"rule": "ignore \"nunce\"", "place": "line 2", "route": null, "pairs": 1},
        {"rule": "mask \"$.a\"", "place": "line 5", "route": "GET /x", "pairs": 0},
    ]);
    assert_eq!(status["unusedRules"], expected);
}

/// An upstream that answers with these headers.
async fn says(code: u16, lines: &'static [(&'static str, &'static str)]) -> std::net::SocketAddr {
    let script = move |_| async move {
        let mut answer: Answer = status(code);
        for (name, value) in lines {
            answer.headers_mut().append(HeaderName::from_static(name), value.parse().unwrap());
        }
        answer
    };
    upstream(script).await.addr
}

#[tokio::test]
async fn headers_that_matter_to_clients_are_compared_and_others_are_not() {
    let ours = says(200, &[("content-type", "text/html; charset=utf-8"), ("etag", "1")]).await;
    let same = says(200, &[("content-type", "Text/HTML;charset=UTF-8"), ("etag", "2")]).await;
    let other = says(200, &[("content-type", "text/plain"), ("etag", "1")]).await;
    proxy(ours, same, |_| {}).await.expect_outcome("/", "matched").await;
    let differing = proxy(ours, other, |_| {}).await;
    differing.expect_outcome("/", "mismatched").await;
    assert_eq!(differences(&differing, "header").await, 1.0);
    let file = TempFile::new("[compare]\nheaders = [\"etag\"]\n");
    proxy(ours, same, with(&file)).await.expect_outcome("/", "mismatched").await;
    proxy(ours, other, with(&file)).await.expect_outcome("/", "matched").await;
}

#[tokio::test]
async fn a_redirect_to_the_upstream_itself_is_the_same_on_both_sides() {
    let redirecting = |to_itself: bool| async move {
        let script = move |seen: Seen| async move {
            let host = seen.headers["host"].to_str().unwrap().to_owned();
            let path = if seen.target == "/far" { "/elsewhere" } else { "/there?a=b" };
            let location =
                if to_itself { format!("http://{host}{path}") } else { "/there?a=b".to_owned() };
            let mut answer = status(302);
            answer.headers_mut().insert("location", location.parse().unwrap());
            answer
        };
        upstream(script).await.addr
    };
    let proxy = proxy(redirecting(true).await, redirecting(false).await, |_| {}).await;
    proxy.expect_outcome("/", "matched").await;
    proxy.expect_outcome("/far", "mismatched").await;
}

#[tokio::test]
async fn answers_without_content_are_compared_by_status_and_headers() {
    let not_modified = says(304, &[("cache-control", "no-store")]).await;
    let same = says(304, &[("cache-control", "no-store")]).await;
    let other = says(304, &[("cache-control", "max-age=60")]).await;
    proxy(not_modified, same, |_| {}).await.expect_outcome("/", "matched").await;
    proxy(not_modified, other, |_| {}).await.expect_outcome("/", "mismatched").await;
}

#[tokio::test]
async fn parts_of_a_content_are_compared_with_their_range() {
    let part = |range: &'static str, body: &'static str| async move {
        let script = move |_| async move {
            let mut answer = json(body);
            *answer.status_mut() = http::StatusCode::PARTIAL_CONTENT;
            answer.headers_mut().insert("content-range", range.parse().unwrap());
            answer
        };
        upstream(script).await.addr
    };
    // The beginning of a document is none.
    let ours = part("bytes 0-7/20", r#"{"a":1,""#).await;
    proxy(ours, part("bytes 0-7/20", r#"{"a":1,""#).await, |_| {})
        .await
        .expect_outcome("/", "matched")
        .await;
    let range = proxy(ours, part("bytes 0-7/21", r#"{"a":1,""#).await, |_| {}).await;
    range.expect_outcome("/", "mismatched").await;
    assert_eq!(differences(&range, "header").await, 1.0);
    let bytes = proxy(ours, part("bytes 0-7/20", r#"{"a" :1,"#).await, |_| {}).await;
    bytes.expect_outcome("/", "mismatched").await;
    assert_eq!(differences(&bytes, "value").await, 1.0);
}

#[tokio::test]
async fn masked_values_are_hashed_where_asked_for() {
    let file = TempFile::new("[compare]\nmask = [\"email\"]\nmask_as = \"hash\"\n");
    let (ours, theirs) = (fixed(r#"{"email":"a"}"#).await, fixed(r#"{"email":"b"}"#).await);
    proxy(ours.addr, theirs.addr, |_| {}).await.expect_outcome("/", "matched").await;
    let hashing = proxy(ours.addr, theirs.addr, with(&file)).await;
    hashing.expect_outcome("/", "mismatched").await;
    assert_eq!(differences(&hashing, "value").await, 1.0);
    proxy(ours.addr, ours.addr, with(&file)).await.expect_outcome("/", "matched").await;
    eventually!(hashing.metric("mirror_buffered_bytes", &[]).await == 0.0);
}

#[test]
fn a_bad_file_stops_the_start_with_code_2_and_names_every_error() {
    let file = TempFile::new(
        "[compare]\nignore = [\"$.a[?@.b]\"]\nmask_as = \"md5\"\n[[route]]\nroute = \"search\"\n",
    );
    let output = command(&[("MIRROR_CONFIG", file.path()), ("MIRROR_FRACTION", "2")]).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    for part in [
        "MIRROR_FRACTION=\"2\"",
        ":2:11: compare.ignore = \"$.a[?@.b]\"",
        ":3:11: compare.mask_as = \"md5\"",
        ":5:9: route.route = \"search\"",
        "    5 | route = \"search\"\n      |         ^^^^^^^^",
    ] {
        assert!(message.contains(part), "{part} not in {message}");
    }
    assert_eq!(message.matches(file.path()).count(), 3, "{message}");
    let missing = command(&[("MIRROR_CONFIG", "/nowhere/rules.toml")]).output().unwrap();
    assert_eq!(missing.status.code(), Some(2));
}
