//! Copies that are changed so that they fit a candidate that lives elsewhere, while the baseline and the
//! client see nothing of it.

use std::net::SocketAddr;

use proxy::app;
use proxy::config::Config;
use tokio::runtime::Handle;

use crate::eventually;
use crate::support::{Proxy, client, fixed};

/// A proxy whose copies all go to `candidate`, changed as `rest` says.
async fn by(baseline: SocketAddr, candidate: SocketAddr, rest: &str) -> Proxy {
    let text = format!(
        "[listen]\naddress = \"127.0.0.1:0\"\n[baseline]\nurl = \"http://{baseline}\"\n\
         [guardrail]\nlatency_floor = \"1h\"\nconsecutive = 1000000\n[mirror]\nshare = 1\n\
         [[candidate]]\nname = \"v2\"\nurl = \"http://{candidate}/base\"\n{rest}"
    );
    let secret = |name: &str| (name == "V2_TOKEN").then(|| "s3cret".into());
    let config = Config::from_text("m.toml", &text, &secret).unwrap();
    let app = app::start(config, Handle::current()).await.unwrap();
    Proxy { app, client: client() }
}

const ALL: &str = r#"
[[secret]]
name = "token"
env = "V2_TOKEN"
[[transform]]
name = "elsewhere"
path_prefix = { from = "/shop", to = "/v2/shop" }
[[transform]]
name = "own host"
host = "{candidate}.internal:81"
[[transform]]
name = "own token"
header = { name = "authorization", set = "Bearer {secret.token}" }
[[transform]]
name = "no tracking"
query = { prefix = "utm_", remove = true }
[[transform]]
name = "renamed"
json = { path = "$.items[*].sku", rename = "article" }
[[transform]]
name = "who"
json = { path = "$.by", set = "{cookie.sid}/{route}" }
"#;

#[tokio::test]
async fn the_candidate_gets_the_changed_copy_and_the_baseline_the_request_as_it_was() {
    let (baseline, v2) = (fixed("1").await, fixed("1").await);
    let proxy = by(baseline.addr, v2.addr, ALL).await;
    let body = r#"{ "items": [ {"sku":"a", "n":1.50} ] }"#;
    let request = proxy.client.post(proxy.url("/shop/cart?utm_source=x&q=1")).body(body);
    let request = request.header("authorization", "Bearer mine").header("cookie", "sid=7");
    let answer = request.header("x-custom", "stays").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    eventually!(proxy.outcome("matched").await == 1.0);
    let (ours, theirs) = (&baseline.seen()[0], &v2.seen()[0]);
    assert_eq!(
        (ours.target.as_str(), &ours.body[..]),
        ("/shop/cart?utm_source=x&q=1", body.as_bytes())
    );
    assert_eq!(ours.headers["authorization"], "Bearer mine");
    assert_eq!(theirs.target, "/base/v2/shop/cart?q=1");
    assert_eq!(theirs.headers["authorization"], "Bearer s3cret");
    assert_eq!(theirs.headers["host"], "v2.internal:81");
    assert_eq!(
        (&theirs.headers["x-custom"], &theirs.headers["x-mirror"]),
        (&"stays".parse().unwrap(), &"1".parse().unwrap())
    );
    let changed = r#"{ "items": [ {"article":"a", "n":1.50} ],"by":"7/POST /shop/cart" }"#;
    assert_eq!(
        std::str::from_utf8(&theirs.body).unwrap().replace(" ", ""),
        changed.replace(" ", "")
    );
    assert_eq!(theirs.headers["content-length"], theirs.body.len().to_string());
}

#[tokio::test]
async fn the_page_of_a_route_shows_how_its_last_copy_became_what_it_is() {
    let (baseline, v2) = (fixed("{\"id\":17}").await, fixed("{\"id\":42}").await);
    let rest = "[[identity]]\nname = \"order\"\nlearn = [\"json:$.id\"]\nreplace = [\"path:/shop/{id}\"]\n\
        [[redact.rule]]\nname = \"people\"\nheaders = [\"x-person\"]\n";
    let proxy = by(baseline.addr, v2.addr, &format!("{ALL}{rest}")).await;
    let page = async |label: &str| proxy.get(&format!("/control/route?route={label}")).await;
    proxy.client.post(proxy.url("/shop")).body("{}").send().await.unwrap();
    eventually!(v2.seen().len() == 1);
    let body = "{\"items\":[{\"sku\":\"a\"}],\"password\":\"planted1\"}";
    let put = proxy.client.put(proxy.url("/shop/17?utm_source=planted2")).body(body);
    let put = put.header("authorization", "Bearer planted3").header("cookie", "sid=planted4");
    put.header("x-person", "planted5").send().await.unwrap();
    eventually!(v2.seen().len() == 2);
    let text = page("PUT%20%2Fshop%2F%7Bid%7D").await.text().await.unwrap();
    let (_, text) = text.split_once("The last copy").expect(&text);
    for shown in [
        "for <bdi>v2</bdi>",
        "<code>PUT /shop/17?utm_source=***</code>",
        "puts in what the candidate calls it",
        "<span>+</span><bdi>PUT /shop/42?utm_source=***</bdi>",
        "redact (people 1)",
        "<span>-</span><bdi>x-person: ***</bdi>",
        "transform &#34;elsewhere&#34;</bdi> <code>m.toml:",
        "<span>+</span><bdi>PUT /v2/shop/42?utm_source=***</bdi>",
        "<span>+</span><bdi>authorization: ***</bdi>",
        "<span>-</span><bdi>      &#34;sku&#34;: &#34;a&#34;</bdi>",
        "<span>+</span><bdi>      &#34;article&#34;: &#34;a&#34;</bdi>",
        "<span>+</span><bdi>x-mirror: 1</bdi>",
    ] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    assert!(!text.contains("planted") && !text.contains("s3cret"), "{text}");
    // The label had a copy a moment ago.
    proxy.client.put(proxy.url("/shop/18")).body(body).send().await.unwrap();
    eventually!(v2.seen().len() == 3);
    let text = page("PUT%20%2Fshop%2F%7Bid%7D").await.text().await.unwrap();
    assert!(!text.contains("/shop/18"), "{text}");
}

#[tokio::test]
async fn a_copy_without_a_body_is_changed_too_and_one_of_another_route_is_not() {
    let (baseline, v2) = (fixed("1").await, fixed("1").await);
    let rest = "[[route]]\nname = \"old\"\nmatch.path.prefix = \"/old\"\n\
        [[transform]]\nname = \"old\"\nroutes = [\"old\"]\npath_prefix = { from = \"/old\", to = \"/new\" }\n\
        [[transform]]\nname = \"head\"\nroutes = [\"old\"]\nmethod = \"PATCH\"\n";
    let proxy = by(baseline.addr, v2.addr, rest).await;
    proxy.get("/old/a").await;
    proxy.get("/other/old").await;
    eventually!(proxy.outcome("matched").await == 2.0);
    let mut seen: Vec<_> =
        v2.seen().iter().map(|it| format!("{} {}", it.method, it.target)).collect();
    seen.sort();
    assert_eq!(seen, ["GET /base/other/old", "PATCH /base/new/a"]);
}

#[tokio::test]
async fn a_copy_that_is_not_what_a_transform_expects_is_not_sent_and_counted() {
    let (baseline, v2) = (fixed("1").await, fixed("1").await);
    let rest = "[[route]]\nname = \"lenient\"\nmatch.path.prefix = \"/lenient\"\n\
        [[transform]]\nname = \"strict\"\nroutes = []\nmethod = \"PUT\"\n\
        [[transform]]\nname = \"secret out\"\nroutes = [\"lenient\"]\notherwise = \"as_is\"\njson = { path = \"$.a\", remove = true }\n\
        [[route]]\nname = \"strict\"\nmatch.path.prefix = \"/strict\"\n\
        [[transform]]\nname = \"really out\"\nroutes = [\"strict\"]\njson = { path = \"$.a\", remove = true }\n";
    let proxy = by(baseline.addr, v2.addr, rest).await;
    let post = async |path: &str, body: &'static str| {
        let answer = proxy.client.post(proxy.url(path)).body(body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    };
    post("/strict", "{\"a\":1").await;
    eventually!(proxy.outcome("transform_failed").await == 1.0);
    post("/lenient", "{\"a\":1").await;
    eventually!(proxy.outcome("matched").await == 1.0);
    post("/strict", "{\"a\":1}").await;
    eventually!(proxy.outcome("matched").await == 2.0);
    let bodies: Vec<_> = v2.seen().iter().map(|it| it.body.clone()).collect();
    assert_eq!(bodies, ["{\"a\":1", "{}"]);
    assert_eq!(baseline.count(), 3);
}

#[tokio::test]
async fn large_and_encoded_bodies_are_changed_on_threads_that_serve_no_clients() {
    let (baseline, v2) = (fixed("1").await, fixed("1").await);
    let proxy = by(baseline.addr, v2.addr, ALL).await;
    let body = format!(r#"{{"items":[{{"sku":"{}"}}]}}"#, "x".repeat(300_000));
    proxy.client.post(proxy.url("/")).body(body.clone()).send().await.unwrap();
    eventually!(v2.count() == 1);
    let seen = &v2.seen()[0];
    assert!(seen.body.starts_with(br#"{"items":[{"article":"xxx"#), "{:?}", &seen.body[..40]);
    eventually!(proxy.outcome("matched").await == 1.0);
    let budget = async || proxy.metric("mirror_buffered_bytes", &[]).await;
    eventually!(budget().await == 0.0);
}
