//! Examples with their time, route and request.

use serde_json::Value;

use super::{as_text, pairs, report};
use crate::eventually;
use crate::support::{fixed, proxy, status, upstream};

#[tokio::test]
async fn an_example_of_a_difference_carries_its_route_and_request_without_secrets() {
    let proxy = proxy(fixed("{\"a\":1}").await.addr, fixed("{\"a\":2}").await.addr, |_| {}).await;
    pairs(&proxy, "/user/7?q=ssd&api_key=hidden-one&email=hidden@two", 1).await;
    let report = report(&proxy).await;
    let example = &report["routes"][0]["fields"][0]["examples"][0];
    assert_eq!(example["route"], "GET /user/{id}");
    assert_eq!(example["request"], "GET /user/7?q=***&api_key=***&email=***");
    for secret in ["hidden-one", "hidden@two", "hidden%40two"] {
        assert!(!report.to_string().contains(secret), "{report}");
    }
    let text = as_text(&proxy).await;
    assert!(text.contains("in GET /user/7?q=***&api_key=***"), "{text}");
}

#[tokio::test]
async fn an_example_of_a_failure_in_a_trip_carries_time_route_and_request() {
    let candidate = upstream(|_| async { status(500) }).await;
    let proxy = proxy(fixed("{}").await.addr, candidate.addr, |config| {
        config.guardrail.consecutive = 3;
    })
    .await;
    eventually!({
        proxy.get("/shop/7?token=hidden").await;
        proxy.status().await["state"] == "tripped"
    });
    let trip = &proxy.status().await["lastTrip"];
    let example = &trip["examples"][0];
    assert!(example["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{trip}");
    assert_eq!(example["route"], "GET /shop/{id}");
    assert_eq!(example["request"], "GET /shop/7?token=***");
}

#[tokio::test]
async fn an_example_of_a_mismatch_in_a_trip_carries_its_request_which_needs_the_token() {
    let proxy = proxy(fixed("{\"a\":1}").await.addr, fixed("{\"a\":2}").await.addr, |config| {
        config.guardrail.consecutive = 5;
        config.guardrail.mismatch_rate = Some(0.01);
        config.control_token = Some(proxy::control::Token::new("secret".to_owned()));
    })
    .await;
    eventually!({
        proxy.get("/shop/7").await;
        !proxy.status().await["lastTrip"].is_null()
    });
    let asked = async |path: &str, token: bool| -> Value {
        let mut request = proxy.client.get(proxy.url(path));
        if token {
            request = request.bearer_auth("secret");
        }
        request.send().await.unwrap().json().await.unwrap()
    };
    for (path, at) in [
        ("/control/status", "/lastTrip/examples/0/request"),
        ("/control/events", "/events/0/trip/examples/0/request"),
        ("/control/report", "/routes/0/fields/0/examples/0/request"),
    ] {
        let with = asked(path, true).await;
        assert_eq!(with.pointer(at), Some(&"GET /shop/7".into()), "{path}: {with}");
        let without = asked(path, false).await;
        assert_eq!(without.pointer(at), Some(&"withheld: needs the token".into()), "{path}");
    }
}
