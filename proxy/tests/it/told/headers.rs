//! Headers that differ and are not compared.

use std::collections::BTreeMap;

use http::HeaderName;
use serde_json::{Value, json};

use super::{as_text, pairs, report, rules};
use crate::certificates::TempFile;
use crate::support::{Upstream, proxy, text, upstream};

/// An upstream that answers with these headers and this body.
async fn says(lines: &'static [(&'static str, &'static str)], body: &'static str) -> Upstream {
    upstream(move |_| async move {
        let mut answer = text(body);
        for (name, value) in lines {
            answer.headers_mut().append(HeaderName::from_static(name), value.parse().unwrap());
        }
        answer
    })
    .await
}

/// The headers of the only route that differ and are not compared: what differs, and in how many pairs.
fn headers_of(report: &Value) -> BTreeMap<String, (String, u64)> {
    let told = report["routes"][0]["uncomparedHeaders"].as_array();
    let told = told.into_iter().flatten().map(|header| {
        let text = |name: &str| header[name].as_str().unwrap().to_owned();
        (text("name"), (text("change"), header["raw"].as_u64().unwrap()))
    });
    told.collect()
}

#[tokio::test]
async fn headers_that_differ_and_are_not_compared_are_told_by_name_and_do_not_count() {
    let ours = [
        ("etag", "\"private-one\""),
        ("vary", "accept"),
        ("x-old", "private-two"),
        ("age", "1"),
        ("set-cookie", "sid=private-three; Path=/"),
        ("x-same", "same"),
        ("keep-alive", "timeout=5"),
    ];
    let theirs = [
        ("etag", "\"private-four\""),
        ("x-new", "private-five"),
        ("x-same", "same"),
        ("vary", "accept"),
        ("age", "700"),
        ("set-cookie", "sid=private-six; Path=/"),
    ];
    let (ours, theirs) = (&*Box::leak(Box::new(ours)), &*Box::leak(Box::new(theirs)));
    let proxy = proxy(says(ours, "{}").await.addr, says(theirs, "{ }").await.addr, |_| {}).await;
    pairs(&proxy, "/", 4).await;
    let report = report(&proxy).await;
    let expected = [("etag", "value"), ("x-new", "candidate only"), ("x-old", "baseline only")];
    let expected = expected.map(|(name, change)| (name.to_owned(), (change.to_owned(), 4)));
    assert_eq!(headers_of(&report), BTreeMap::from(expected));
    assert_eq!(report["routes"][0]["uncomparedHeaders"][0]["pairs"], 4);
    assert_eq!(
        (&report["mismatches"]["raw"], &report["mismatches"]["compared"]),
        (&0.into(), &4.into())
    );
    assert!(!report.to_string().contains("private"), "no values: {report}");
    let text = as_text(&proxy).await;
    assert!(
        text.contains("header etag differs and is not compared: value, 100.00 % (4 of 4 pairs)"),
        "{text}"
    );
    assert!(!text.contains("private"), "{text}");
}

#[tokio::test]
async fn cookies_are_told_by_their_names_and_a_length_where_the_bodies_are_equal() {
    let ours = says(&[("set-cookie", "a=1; HttpOnly")], "text").await;
    let proxy_of = async |theirs: Upstream| {
        let proxy = proxy(ours.addr, theirs.addr, |_| {}).await;
        pairs(&proxy, "/", 1).await;
        headers_of(&report(&proxy).await)
    };
    let cookie = BTreeMap::from([("set-cookie".to_owned(), ("value".to_owned(), 1))]);
    assert_eq!(proxy_of(says(&[("set-cookie", "b=1; HttpOnly")], "text").await).await, cookie);
    assert_eq!(proxy_of(says(&[("set-cookie", "a=1")], "text").await).await, cookie);
    // The bodies' own lengths differ.
    let longer = says(&[("set-cookie", "a=2; httponly")], "longer text").await;
    assert_eq!(proxy_of(longer).await, BTreeMap::new());
}

#[tokio::test]
async fn another_charset_is_told_as_a_header_and_another_media_type_is_a_mismatch() {
    let ours = says(&[("content-type", "text/html; charset=utf-8")], "<p>").await;
    let theirs = says(&[("content-type", "text/html")], "<p>").await;
    let relabelled = proxy(ours.addr, theirs.addr, |_| {}).await;
    relabelled.expect_outcome("/", "matched").await;
    pairs(&relabelled, "/", 2).await;
    let expected = ("content-type".to_owned(), ("charset".to_owned(), 3));
    assert_eq!(headers_of(&report(&relabelled).await), BTreeMap::from([expected]));
    let other = says(&[("content-type", "text/plain; charset=utf-8")], "<p>").await;
    proxy(ours.addr, other.addr, |_| {}).await.expect_outcome("/", "mismatched").await;
    let file = TempFile::new("[compare]\nheaders = [\"content-type\"]\n");
    proxy(ours.addr, theirs.addr, rules(&file)).await.expect_outcome("/", "mismatched").await;
}

#[tokio::test]
async fn a_header_that_a_rule_ignores_is_not_told_and_the_rule_has_applied() {
    let file = TempFile::new("[compare]\nignore_headers = [\"x-request-id\"]\n");
    let ours = says(&[("x-request-id", "1")], "{}").await;
    let theirs = says(&[("x-request-id", "2")], "{}").await;
    let proxy = proxy(ours.addr, theirs.addr, rules(&file)).await;
    pairs(&proxy, "/", 1).await;
    let report = report(&proxy).await;
    assert_eq!(headers_of(&report), BTreeMap::new());
    assert_eq!(report["unusedRules"], json!([]));
}
