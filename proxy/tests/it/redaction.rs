//! What is personal or secret reaches no candidate that must not see it: planted in every place that a
//! request has, by name and by looks, and seen there as soon as what hides it is taken out.

use std::net::SocketAddr;

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderValue};
use percent_encoding::percent_decode_str;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use proxy::app;
use proxy::config::Config;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use transform::parts::coding;

use crate::audit::Folder;
use crate::eventually;
use crate::support::{
    Answer, Proxy, Seen, Upstream, client, fixed, http2, in_time, json as answer, upstream,
};

mod kept;

/// In each value that is hidden by a rule.
const SECRET: &str = "5ecret";
/// The same in what looks like a mail address.
const MAIL: &str = "5ecret@example.com";
const CARD: &str = "4111111111111111";

/// Lists of a rule, each with its items.
type Lists = Vec<(&'static str, Vec<&'static str>)>;

fn lists() -> Lists {
    vec![
        ("headers", vec!["x-user", "authorization", "x-meta-bin"]),
        ("cookies", vec!["sid"]),
        ("query", vec!["q"]),
        ("form", vec!["field", "file"]),
        ("json", vec!["nick", "$.list[1]", "$.deep..er"]),
    ]
}

const ALL_KINDS: &str = "[\"card\", \"iban\", \"email\", \"jwt\", \"bearer\", \"ip\", \"phone\"]";

/// The policy of these lists.
fn policy(folder: &Folder, lists: &Lists, way: &str, by_looks: bool) -> String {
    let key = folder.path("key");
    std::fs::write(&key, [7; 32]).unwrap();
    let kinds = if by_looks { ALL_KINDS } else { "[]" };
    let lists: String = lists.iter().map(|(list, items)| format!("{list} = {items:?}\n")).collect();
    format!(
        "[redact]\nkey_file = {key:?}\ntrusted = [\"prod\"]\ndetect_copies = {kinds}\ndetect_way = {way:?}\n\
         [[redact.rule]]\nname = \"by name\"\nway = {way:?}\n{lists}"
    )
}

/// A proxy before a candidate that must not see everything, and one that may.
async fn by(baseline: &Upstream, blind: SocketAddr, trusted: SocketAddr, policy: &str) -> Proxy {
    let baseline = baseline.addr;
    let text = format!(
        "[listen]\naddress = \"127.0.0.1:0\"\n[baseline]\nurl = \"http://{baseline}\"\n[mirror]\nshare = 1\n\
         max_body_bytes = 4096\n[guardrail]\nlatency_floor = \"1h\"\nconsecutive = 1000000\n\
         [[candidate]]\nname = \"blind\"\nurl = \"http://{blind}\"\n\
         [[candidate]]\nname = \"trusted\"\nurl = \"http://{trusted}\"\ntrust = \"prod\"\n{policy}"
    );
    let config = Config::from_text("m.toml", &text, &|_| None).unwrap();
    let app = app::start(config, Handle::current()).await.unwrap();
    Proxy { app, client: client() }
}

/// A request with a secret in one place.
#[derive(Clone, Debug)]
struct Planted {
    /// What of the policy hides it: a list and its item, or what it looks like.
    by: (&'static str, &'static str),
    target: String,
    /// With what says how the body is to be read.
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

const LOOKS: (&str, &str) = ("", "");

fn planted(by: (&'static str, &'static str)) -> Planted {
    Planted { by, target: "/a".to_owned(), headers: Vec::new(), body: Bytes::new() }
}

impl Planted {
    fn at(mut self, target: &str) -> Self {
        self.target = target.to_owned();
        self
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn of(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.with("content-type", content_type)
    }

    fn coded(mut self, coding: &str) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_str(coding).unwrap());
        self.body = coding::encode(&headers, &self.body).unwrap().into();
        self.with("content-encoding", coding)
    }

    /// The bytes of the request.
    fn bytes(&self) -> Vec<u8> {
        let method = if self.body.is_empty() { "GET" } else { "POST" };
        let mut head = format!(
            "{method} {} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n",
            self.target
        );
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.body.is_empty() {
            head.push_str(&format!("content-length: {}\r\n", self.body.len()));
        }
        [head.as_bytes(), b"\r\n", &self.body].concat()
    }
}

const PART: &str =
    "--b\r\nContent-Disposition: form-data; name=\"NAME\"MORE\r\n\r\nVALUE\r\n--b--\r\n";

fn part(name: &str, more: &str, value: &str) -> String {
    PART.replace("NAME", name).replace("MORE", more).replace("VALUE", value)
}

/// A secret in every place that a request has.
fn everywhere() -> Vec<Planted> {
    const FORM: &str = "application/x-www-form-urlencoded";
    const MULTIPART: &str = "multipart/form-data; boundary=b";
    const JSON: &str = "application/json";
    let deep = json!({"a": [{"b": {"NICK": [SECRET, {"x": SECRET}]}}]}).to_string();
    let bin = "NWVjcmV0";
    vec![
        planted(LOOKS).at(&format!("/users/{MAIL}/x")),
        planted(LOOKS).at("/users/5ecret%40example.com"),
        planted(LOOKS).at(&format!("/a?to=x+5ecret%40example.com&c={CARD}")),
        planted(LOOKS).at(&format!("/a?{MAIL}=1")),
        planted(("query", "q")).at("/a?x=1&q=5ecret&y"),
        planted(("query", "q")).at("/a?u%5BQ%5D=5ecret"),
        planted(("query", "q")).with("referer", "https://x.example/a?q=5ecret#b"),
        planted(("headers", "x-user")).with("X-User", SECRET).with("x-user", SECRET),
        planted(("headers", "authorization")).with("authorization", "Basic 5ecret"),
        planted(LOOKS).with("x-any", &format!("from {MAIL}")),
        planted(("cookies", "sid")).with("cookie", "a=1; sid=5ecret").with("cookie", "sid=5ecret"),
        planted(LOOKS).with("cookie", "who=5ecret%40example.com"),
        planted(("form", "field")).of(FORM, "a=1&field=5ecret&field=5ecret"),
        planted(LOOKS).of(FORM, "a=5ecret%40example.com"),
        planted(("form", "field")).of(MULTIPART, part("field", "", SECRET)),
        planted(("form", "file"))
            .of(MULTIPART, part("file", "; filename=\"f\"\r\ncontent-type: text/plain", SECRET)),
        planted(LOOKS).of(MULTIPART, part("a", "; filename=\"5ecret@example.com.txt\"", "x")),
        planted(("json", "nick"))
            .of(MULTIPART, part("a", "\r\ncontent-type: application/json", &deep)),
        planted(("json", "nick")).of(JSON, deep.clone()),
        planted(("json", "$.list[1]")).of(JSON, json!({"list": [1, {"a": SECRET}, 2]}).to_string()),
        planted(("json", "$.deep..er"))
            .of(JSON, json!({"deep": {"e": [{"er": SECRET}]}}).to_string()),
        planted(LOOKS).of(JSON, json!({"a": {MAIL: 1}, "b": [format!("to {MAIL}")]}).to_string()),
        planted(LOOKS).of(JSON, r#"{"a":"5ecret\u0040example.com"}"#),
        planted(("json", "nick")).of(JSON, json!({"in": deep}).to_string()),
        planted(("json", "nick")).of("application/x-ndjson", format!("{{}}\n{deep}\n")),
        planted(("json", "nick")).of("text/plain", deep.clone()),
        planted(LOOKS).of("text/xml", format!("<a>{MAIL}</a>")),
        planted(("json", "nick")).of(JSON, deep.clone()).coded("gzip"),
        planted(("json", "nick")).of(JSON, deep.clone()).coded("deflate"),
        planted(("json", "nick")).of(JSON, deep.clone()).coded("br"),
        planted(("json", "nick")).of(JSON, deep).coded("zstd"),
        planted(("headers", "x-meta-bin")).with("x-meta-bin", bin),
    ]
}

async fn send(proxy: &Proxy, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(proxy.app.traffic).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut told = Vec::new();
    in_time(stream.read_to_end(&mut told)).await.unwrap();
    String::from_utf8_lossy(&told).into_owned()
}

/// All that an upstream saw of a request, in every form in which it can be read.
fn said(seen: &Seen) -> String {
    let mut all = format!("{} {}\n", seen.method, seen.target);
    for (name, value) in &seen.headers {
        all.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
    }
    let mut limits = compare::Limits { max_decoded: 1 << 20, grant: &mut |_| true };
    let plain = coding::decode(&seen.headers, &seen.body, &mut limits).unwrap();
    all.push_str(&String::from_utf8_lossy(&plain));
    let decoded = percent_decode_str(&all).decode_utf8_lossy().replace("\\u0040", "@");
    // What a binary value of gRPC says.
    let binary = if all.contains("NWVjcmV0") { SECRET } else { "" };
    format!("{all}\n{decoded}{binary}")
}

fn has_secret(text: &str) -> bool {
    text.contains(SECRET) || text.contains(CARD)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_any_place_reaches_no_candidate_that_must_not_see_it() {
    for way in ["remove", "mask", "hash", "shape"] {
        let (baseline, blind, trusted) = (fixed("1").await, fixed("1").await, fixed("1").await);
        let folder = Folder::new();
        let proxy =
            by(&baseline, blind.addr, trusted.addr, &policy(&folder, &lists(), way, true)).await;
        let all = everywhere();
        for (at, planted) in all.iter().enumerate() {
            assert!(
                send(&proxy, &planted.bytes()).await.starts_with("HTTP/1.1 200"),
                "{planted:?}"
            );
            eventually!(blind.count() > at && trusted.count() > at && baseline.count() > at);
            let saw = said(&blind.seen()[at]);
            assert!(!has_secret(&saw), "{way}: {planted:?}\n{saw}");
            for other in [&baseline, &trusted] {
                assert!(has_secret(&said(&other.seen()[at])), "{way}: {planted:?}");
            }
        }
        let metrics = proxy.metrics().await;
        for rule in ["by name", "email", "card"] {
            let found = format!("candidate=\"blind\",rule=\"{rule}\",way=\"{way}\"");
            assert!(metrics.contains(&found), "{found}: {metrics}");
        }
        assert!(!metrics.contains("mirror_redacted_total{candidate=\"trusted\""), "{metrics}");
        eventually!(proxy.outcome("matched").await == 2.0 * all.len() as f64);
    }
}

/// What hides a secret is what hides it: without it, the candidate sees the secret.
#[tokio::test(flavor = "multi_thread")]
async fn each_way_of_hiding_is_the_one_that_hides() {
    let mut ways: Vec<_> = everywhere().iter().map(|planted| planted.by).collect();
    ways.sort_unstable();
    ways.dedup();
    assert_eq!(ways.len(), 1 + lists().iter().map(|(_, items)| items.len()).sum::<usize>());
    for taken_out in ways {
        let (baseline, blind, trusted) = (fixed("1").await, fixed("1").await, fixed("1").await);
        let folder = Folder::new();
        let mut rest = lists();
        for (list, items) in &mut rest {
            items.retain(|item| (*list, *item) != taken_out);
        }
        rest.retain(|(_, items)| !items.is_empty());
        let policy = policy(&folder, &rest, "mask", taken_out != LOOKS);
        let proxy = by(&baseline, blind.addr, trusted.addr, &policy).await;
        for (at, planted) in everywhere().iter().filter(|it| it.by == taken_out).enumerate() {
            send(&proxy, &planted.bytes()).await;
            eventually!(blind.count() > at);
            assert!(has_secret(&said(&blind.seen()[at])), "{taken_out:?}: {planted:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_cannot_be_looked_into_stays_unsent() {
    let (baseline, blind, trusted) = (fixed("1").await, fixed("1").await, fixed("1").await);
    let folder = Folder::new();
    let proxy =
        by(&baseline, blind.addr, trusted.addr, &policy(&folder, &lists(), "hash", true)).await;
    let json = |body: &str| planted(LOOKS).of("application/json", body.to_owned());
    let mut cut = json(&json!({"nick": SECRET, "x": "y".repeat(999)}).to_string()).coded("gzip");
    cut.body = cut.body.slice(..cut.body.len() / 2);
    let unread = [
        json("{\"nick\":\"5ecret"),
        cut,
        json("{\"nick\":\"5ecret\"}").with("content-encoding", "rot13"),
        planted(LOOKS).of("application/x-ndjson", "{}\n{\"nick\":\"5ecret"),
        planted(LOOKS).of("multipart/form-data; boundary=b", "--c\r\n\r\n5ecret"),
        planted(LOOKS).of("application/x-protobuf", "\x0a\x065ecret"),
        planted(LOOKS).of("application/grpc", "\0\0\0\0\x08\x0a\x065ecret"),
    ];
    for planted in &unread {
        assert!(send(&proxy, &planted.bytes()).await.starts_with("HTTP/1.1 200"), "{planted:?}");
    }
    let failed = async || {
        proxy
            .metric(
                "mirror_outcomes_total",
                &["outcome=\"transform_failed\"", "candidate=\"blind\""],
            )
            .await
    };
    eventually!(failed().await == unread.len() as f64);
    // Over its cap, or not whole, no copy is sent either.
    let large = json(&json!({"nick": SECRET, "x": "y".repeat(5000)}).to_string());
    send(&proxy, &large.bytes()).await;
    let whole = json(&json!({"nick": SECRET}).to_string()).bytes();
    let mut stream = TcpStream::connect(proxy.app.traffic).await.unwrap();
    stream.write_all(&whole[..whole.len() - 4]).await.unwrap();
    drop(stream);
    eventually!(proxy.outcome("body_too_large").await == 2.0);
    eventually!(proxy.outcome("client_aborted").await == 2.0);
    assert_eq!(blind.count(), 0);
    assert_eq!(trusted.count(), unread.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_and_metadata_of_grpc_reach_no_candidate_in_clear() {
    let (baseline, blind, trusted) = (fixed("1").await, fixed("1").await, fixed("1").await);
    let folder = Folder::new();
    let heads: Lists = lists().into_iter().filter(|(list, _)| *list == "headers").collect();
    let proxy =
        by(&baseline, blind.addr, trusted.addr, &policy(&folder, &heads, "mask", false)).await;
    let chunked = "POST /a HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\
        trailer: x-user\r\n\r\n3\r\nabc\r\n0\r\nx-user: 5ecret\r\nx-other: 5ecret\r\n\r\n";
    assert!(send(&proxy, chunked.as_bytes()).await.starts_with("HTTP/1.1 200"));
    let mut grpc = http2(TcpStream::connect(proxy.app.traffic).await.unwrap()).await;
    let request = http::Request::post(format!("http://{}/notes.Notes/Ask", proxy.app.traffic))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("x-user", SECRET)
        .header("x-meta-bin", "NWVjcmV0");
    let (answered, mut body) = grpc.send_request(request.body(()).unwrap(), false).unwrap();
    body.send_data(Bytes::from_static(b"\0\0\0\0\x02\x0a\x00"), false).unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("x-user", HeaderValue::from_static(SECRET));
    body.send_trailers(trailers).unwrap();
    in_time(answered).await.ok();
    eventually!(blind.count() == 2 && trusted.count() == 2);
    for seen in blind.seen() {
        assert!(!has_secret(&said(&seen)), "{seen:?}");
    }
    assert!(
        trusted.seen().iter().any(|seen| seen.headers.get("x-user").is_some_and(|it| it == SECRET))
    );
}

/// Answers with the body that it got, and what its target and a header said.
fn echo(seen: &Seen) -> Answer {
    let target = seen.target.trim_start_matches('/').to_owned();
    let mut answered = answer(&String::from_utf8_lossy(&seen.body));
    if seen.body.is_empty() {
        answered = answer(
            &json!({"nick": seen.headers.get("x-user").map(|it| it.to_str().unwrap())}).to_string(),
        );
        answered.headers_mut().insert("location", format!("/{target}").parse().unwrap());
    }
    answered
}

#[tokio::test(flavor = "multi_thread")]
async fn an_echo_of_what_a_candidate_got_is_an_equal_answer() {
    for way in ["hash", "shape", "mask"] {
        let echoes = || upstream(|seen| async move { echo(&seen) });
        let other = upstream(|seen| async move {
            let seen = Seen {
                body: String::from_utf8_lossy(&seen.body).replace("other", "5ecret-x").into(),
                ..seen
            };
            echo(&seen)
        });
        let (baseline, blind, trusted) = (echoes().await, echoes().await, other.await);
        let folder = Folder::new();
        let proxy =
            by(&baseline, blind.addr, trusted.addr, &policy(&folder, &lists(), way, true)).await;
        let bodies = [
            json!({"nick": SECRET, "n": [1, CARD], "list": [0, {"a": 17, "b": true}]}).to_string(),
            json!({"text": format!("write to {MAIL}, please")}).to_string(),
            format!("to {MAIL}"),
        ];
        for body in bodies {
            send(&proxy, &planted(LOOKS).of("text/plain", body).bytes()).await;
        }
        send(&proxy, &planted(LOOKS).at("/a?q=5ecret&p=1").with("x-user", SECRET).bytes()).await;
        eventually!(proxy.outcome("matched").await == 8.0);
        // Another value is another answer: who may see the other one says something else.
        send(
            &proxy,
            &planted(LOOKS).of("text/plain", json!({"list": [0, "other"]}).to_string()).bytes(),
        )
        .await;
        let trusted = ["outcome=\"mismatched\"", "candidate=\"trusted\""];
        eventually!(proxy.metric("mirror_outcomes_total", &trusted).await == 1.0);
        eventually!(proxy.outcome("matched").await == 9.0);
    }
}

/// A document with secrets in it, under names that the policy has and in texts.
fn documents() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<i32>().prop_map(Value::from),
        "[a-z\"\\\\\\[:, é]{0,8}".prop_map(Value::from),
        Just(json!({"Nick": SECRET})),
        Just(json!({"nick": [SECRET, {"x": SECRET}]})),
        Just(json!(format!("a {MAIL} b"))),
        Just(json!({MAIL: CARD})),
        Just(json!(json!({"nick": SECRET}).to_string())),
    ];
    leaf.prop_recursive(4, 30, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{0,4}|nick", inner, 0..4)
                .prop_map(|map| Value::from(map.into_iter().collect::<serde_json::Map<_, _>>())),
        ]
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_at_random_places_reach_no_candidate_that_must_not_see_them() {
    const CASES: usize = 200;
    let (baseline, blind, trusted) = (fixed("1").await, fixed("1").await, fixed("1").await);
    let folder = Folder::new();
    let proxy =
        by(&baseline, blind.addr, trusted.addr, &policy(&folder, &lists(), "hash", true)).await;
    let all = everywhere();
    let cases = (
        prop::collection::vec(0..all.len(), 1..4),
        documents(),
        prop::sample::select(vec!["", "gzip", "br", "zstd", "deflate"]),
    );
    let mut runner = TestRunner::default();
    let mut sent = 0;
    for _ in 0..CASES {
        let (places, document, coding) = cases.new_tree(&mut runner).unwrap().current();
        // Of several that are planted one has the body.
        let mut request = planted(LOOKS).of("application/json", document.to_string());
        if !coding.is_empty() {
            request = request.coded(coding);
        }
        for place in places {
            let Planted { target, headers, body, .. } = &all[place];
            if target != "/a" {
                request.target.clone_from(target);
            }
            if body.is_empty() {
                request.headers.extend(headers.iter().cloned());
            }
        }
        assert!(send(&proxy, &request.bytes()).await.starts_with("HTTP/1.1 200"));
        sent += 1;
        eventually!(blind.count() == sent);
        let saw = said(&blind.seen()[sent - 1]);
        assert!(!has_secret(&saw), "{request:?}\n{saw}");
    }
    assert_eq!(proxy.outcome("transform_failed").await, 0.0);
}
