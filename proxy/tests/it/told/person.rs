//! What a person sees of an API whose candidate differs in many ways, most of which are none: each is one line
//! that names it, each rule that is suggested takes exactly its own away, and what is left is what is wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use super::{as_text, pairs, report};
use crate::eventually;
use crate::support::{Proxy, Upstream, fixed, proxy, text, upstream};

/// Lists orders, with an id of the session that is new each time.
async fn shop(candidate: bool, first: u64) -> Upstream {
    let next = Arc::new(AtomicU64::new(first));
    upstream(move |request| {
        let at = next.fetch_add(1, Ordering::Relaxed);
        let session = format!("{:08x}-1b2c-4d3e-8f4a-{at:012x}", at * 2_654_435_761 % (1 << 32));
        async move {
            match request.target.split('?').next().unwrap_or_default() {
                "/page" => page(candidate),
                "/graphql" => graphql(candidate),
                _ => crate::support::json(&orders(candidate, &session).to_string()),
            }
        }
    })
    .await
}

fn orders(candidate: bool, session: &str) -> Value {
    let status = |id: u64| if candidate && id == 3 { "open" } else { "paid" };
    let order =
        |id: u64| json!({"id": id, "sku": format!("sku-{}", 100 - id), "status": status(id)});
    let mut orders: Vec<_> = (1..=5).map(order).collect();
    let mut all = json!({"session": session, "average": 12.345_678, "at": "2026-01-02T03:04:05Z"});
    let owner = if candidate { "holder" } else { "owner" };
    all[owner] = "Example Trading".into();
    if candidate {
        orders.reverse();
        all["average"] = 12.3457.into();
        all["at"] = "2026-01-02T03:04:05.000+00:00".into();
    }
    all["orders"] = orders.into();
    all
}

fn page(candidate: bool) -> crate::support::Answer {
    let title = if candidate { "Your Order" } else { "Your order" };
    let page = format!(
        "<!doctype html><html><body><h1>{title}</h1><ul><li>one</li><li>two</li></ul></body></html>"
    );
    let mut answer = text(page);
    let html = http::HeaderValue::from_static("text/html; charset=utf-8");
    answer.headers_mut().insert(http::header::CONTENT_TYPE, html);
    answer
}

fn graphql(candidate: bool) -> crate::support::Answer {
    let body = if candidate {
        r#"{"data":{"user":null},"errors":[{"message":"no resolver for user"}]}"#
    } else {
        r#"{"data":{"user":null}}"#
    };
    crate::support::json(body)
}

async fn asked(proxy: &Proxy) {
    for path in ["/orders?page=1", "/page", "/graphql"] {
        pairs(proxy, path, 8).await;
    }
}

/// `route field kind` of all that differs, with what it is.
fn told(report: &Value) -> Vec<(String, Option<String>)> {
    let routes = report["routes"].as_array().unwrap();
    let fields = routes.iter().flat_map(|route| route["fields"].as_array().unwrap());
    let one = |it: &Value| {
        let text = |name: &str| it[name].as_str().unwrap().to_owned();
        let kind = it["kinds"][0].as_str().unwrap();
        let explanation = it["explanation"].as_str().map(str::to_owned);
        (format!("{} {} {kind}", text("route"), text("field")), explanation)
    };
    let mut told: Vec<_> = fields.filter(|it| it["raw"] != 0).map(one).collect();
    told.sort();
    told
}

fn suggested(report: &Value, field: &str) -> Value {
    let routes = report["routes"].as_array().unwrap();
    let mut fields = routes.iter().flat_map(|route| route["fields"].as_array().unwrap());
    fields.find(|it| it["field"] == field).unwrap()["suggestion"].clone()
}

async fn sent(proxy: &Proxy, path: &str, rules: &str) -> Value {
    let answer = proxy.client.post(proxy.url(path)).body(rules.to_owned()).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    answer.json().await.unwrap()
}

const ORDERS: &str = "GET /orders";

#[tokio::test]
async fn each_change_is_one_line_and_each_suggestion_takes_its_own_away() {
    let proxy = proxy(shop(false, 1).await.addr, shop(true, 1001).await.addr, |_| {}).await;
    asked(&proxy).await;
    let first = report(&proxy).await;
    let lines = told(&first);
    let names: Vec<_> = lines.iter().map(|(name, _)| name.as_str()).collect();
    let of_orders = [
        "$['at'] form",
        "$['average'] value",
        "$['orders'] order",
        "$['orders'][*]['status'] value",
        "$['owner'] renamed",
        "$['session'] value",
    ];
    for line in of_orders {
        assert!(names.contains(&&*format!("{ORDERS} {line}")), "{line}: {names:#?}");
    }
    assert!(names.contains(&"GET /graphql $['errors'] errors"), "{names:#?}");
    assert_eq!(names.iter().filter(|name| name.starts_with(ORDERS)).count(), 6, "{names:#?}");
    assert_eq!(names.len(), 8, "one line each: {names:#?}");
    let words = |name: &str| {
        lines.iter().find(|(line, _)| line.ends_with(name)).unwrap().1.clone().unwrap_or_default()
    };
    assert!(words("order").contains("matched by `id`"));
    assert!(words("renamed").contains("$['holder']"));
    assert!(words("form").contains("same moment"));
    let text = as_text(&proxy).await;
    assert!(text.contains("matched by `id`") && text.contains("now $['holder']"), "{text}");

    let mut left: Vec<_> = of_orders.to_vec();
    for (field, rule) in [
        ("$['orders']", "key = \"id\""),
        ("$['at']", "within = \"0s\""),
        ("$['average']", "relative = 0.000002"),
        ("$['session']", "class = \"uuid\""),
    ] {
        let suggestion = suggested(&report(&proxy).await, field);
        let fragment = suggestion["rule"].as_str().unwrap_or_else(|| panic!("{field}: none"));
        assert!(fragment.contains(rule), "{fragment}");
        let leaves = suggestion["leaves"].as_str().unwrap();
        // Of all pairs that were kept so far, judged by the rules of now.
        let kept = 8 * (1 + of_orders.len() - left.len());
        let [now, then] =
            [left.len(), left.len() - 1].map(|fields| format!("{fields} fields in {kept} pairs"));
        assert_eq!(leaves, format!("{now} would become {then}"));
        let before = told(&report(&proxy).await);
        sent(&proxy, "/control/whatif", fragment).await;
        assert_eq!(told(&report(&proxy).await), before, "nothing is applied by asking");
        let applied = sent(&proxy, "/control/rules", fragment).await;
        assert_eq!(applied["applied"]["by"], "127.0.0.1");
        pairs(&proxy, "/orders?page=1", 8).await;
        left.retain(|line| !line.starts_with(&format!("{field} ")));
        let now = told(&report(&proxy).await);
        let of_route = now.iter().filter_map(|(name, _)| name.strip_prefix("GET /orders "));
        assert_eq!(of_route.collect::<Vec<_>>(), left, "{fragment}");
    }
    assert_eq!(left, ["$['orders'][*]['status'] value", "$['owner'] renamed"]);
}

#[tokio::test]
async fn rules_hold_until_they_are_withdrawn_and_events_tell_of_them() {
    let proxy = proxy(shop(false, 1).await.addr, shop(true, 1001).await.addr, |_| {}).await;
    pairs(&proxy, "/orders", 3).await;
    let rule = "[[route]]\nroute = \"GET /orders\"\nignore = [\"$.session\"]\n";
    sent(&proxy, "/control/rules", rule).await;
    pairs(&proxy, "/orders", 3).await;
    let has_session = |report: &Value| told(report).iter().any(|(it, _)| it.contains("session"));
    assert!(!has_session(&report(&proxy).await));
    let shown: Value = proxy.get("/control/rules").await.json().await.unwrap();
    assert_eq!(
        (&shown["applied"][0]["id"], &shown["applied"][0]["rules"]),
        (&json!(1), &json!(rule))
    );
    let withdrawn = proxy.client.delete(proxy.url("/control/rules?id=1")).send().await.unwrap();
    assert_eq!(withdrawn.status(), 200);
    let again = proxy.client.delete(proxy.url("/control/rules?id=1")).send().await.unwrap();
    assert_eq!(again.status(), 404);
    pairs(&proxy, "/orders", 3).await;
    eventually!(has_session(&report(&proxy).await));
    let events: Value = proxy.get("/control/events").await.json().await.unwrap();
    let told = events.to_string();
    for event in ["rules_applied", "rules_withdrawn"] {
        assert!(told.contains(event), "{told}");
    }
}

#[tokio::test]
async fn rules_that_are_none_are_refused_and_nothing_is_half_applied() {
    let proxy = proxy(shop(false, 1).await.addr, shop(true, 1001).await.addr, |_| {}).await;
    for (path, body) in [
        ("/control/rules", "[mirror]\nfraction = 0"),
        ("/control/whatif", "[[route]]\nignore = [\"x\"]"),
        ("/control/rules", "[compare]\nignore = [\"ok\", \"$.[\"]"),
    ] {
        let answer = proxy.client.post(proxy.url(path)).body(body).send().await.unwrap();
        assert_eq!(answer.status(), 400, "{body}");
        let why = answer.json::<Value>().await.unwrap()["reason"].as_str().unwrap().to_owned();
        assert!(why.contains("allowed is") || why.contains("line"), "{why}");
    }
    let shown: Value = proxy.get("/control/rules").await.json().await.unwrap();
    assert_eq!(shown["applied"], json!([]));
}

#[tokio::test]
async fn nobody_withdraws_rules_by_the_id_of_others_that_are_gone() {
    let proxy = proxy(fixed("{}").await.addr, fixed("[]").await.addr, |_| {}).await;
    let rule = "[compare]\nignore = [\"x\"]\n";
    let mut ids = Vec::new();
    for _ in 0..3 {
        let applied = sent(&proxy, "/control/rules", rule).await;
        let id = applied["applied"]["id"].as_u64().unwrap();
        let gone = proxy.client.delete(proxy.url(&format!("/control/rules?id={id}")));
        assert_eq!(gone.send().await.unwrap().status(), 200);
        ids.push(id);
    }
    assert_eq!(ids, [1, 2, 3]);
}

/// Rules that let numbers differ, which are told apart by a bit each.
fn numbers(name: &str, count: usize) -> String {
    let one = |at| format!("{{ path = \"$.{name}{at}\", absolute = 1 }}");
    let all: Vec<_> = (0..count).map(one).collect();
    format!("[[route]]\nroute = \"GET /n\"\nnumbers = [{}]\n", all.join(", "))
}

#[tokio::test]
async fn no_route_gets_more_rules_than_it_may_have_however_many_are_applied() {
    let (ours, theirs) = (fixed("{\"b9\":1}").await, fixed("{\"b9\":\"x\"}").await);
    let proxy = proxy(ours.addr, theirs.addr, |_| {}).await;
    proxy.get("/n").await;
    eventually!(report(&proxy).await["pairs"] == 1);
    sent(&proxy, "/control/rules", &numbers("a", 60)).await;
    for (path, status) in [("/control/rules", 409), ("/control/whatif", 400)] {
        let body = numbers("b", 10);
        let answer = proxy.client.post(proxy.url(path)).body(body).send().await.unwrap();
        assert_eq!(answer.status(), status);
        let why = answer.json::<Value>().await.unwrap()["reason"].as_str().unwrap().to_owned();
        assert!(why.contains("64 for numbers, times and classes"), "{why}");
    }
    // There is room for a few, and elsewhere.
    sent(&proxy, "/control/rules", &numbers("b", 4)).await;
    sent(&proxy, "/control/rules", &numbers("b", 60).replace("/n", "/m")).await;
    proxy.get("/n").await;
    eventually!(report(&proxy).await["pairs"] == 1);
}

#[tokio::test]
async fn an_example_keeps_its_request_with_ids_statuses_latencies_and_a_line_for_a_shell() {
    let proxy = proxy(shop(false, 1).await.addr, shop(true, 1001).await.addr, |_| {}).await;
    let request = proxy.client.get(proxy.url("/orders?q=words&page=2"));
    let request = request.header("authorization", "Bearer abc").header("x-request-id", "r-17");
    request.send().await.unwrap();
    eventually!(report(&proxy).await["pairs"] == 1);
    let report = report(&proxy).await;
    let asked = &report["routes"][0]["fields"][0]["examples"][0]["asked"];
    assert_eq!(
        (&asked["method"], &asked["target"]),
        (&json!("GET"), &json!("/orders?q=***&page=2"))
    );
    assert_eq!(asked["ids"]["x-request-id"], "r-17");
    assert_eq!((&asked["baselineStatus"], &asked["candidateStatus"]), (&json!(200), &json!(200)));
    assert!(asked["baselineSeconds"].as_f64().unwrap() > 0.0);
    let line = asked["curl"].as_str().unwrap();
    assert!(
        line.starts_with("curl -sS -i \"$UPSTREAM\"'/orders?q='\"${HIDDEN_1}\"'&page=2'"),
        "{line}"
    );
    assert!(line.contains("-H 'authorization: '\"$AUTHORIZATION\""), "{line}");
    assert!(!report.to_string().contains("Bearer abc"));
}
