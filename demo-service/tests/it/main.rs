//! The service as a whole, over a real socket.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod process;

use demo_service::{Chaos, Config, Running};
use serde_json::{Value, json};

struct Service {
    running: Running,
    client: reqwest::Client,
}

async fn service(chaos: Chaos) -> Service {
    let addr = "127.0.0.1:0".parse().unwrap();
    let running =
        demo_service::start(Config { name: "test".to_owned(), addr, chaos }).await.unwrap();
    Service { running, client: reqwest::Client::builder().no_proxy().build().unwrap() }
}

impl Service {
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.addr)
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let response = self.client.get(self.url(path)).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    async fn send(&self, method: reqwest::Method, path: &str, body: &str) -> (u16, Value) {
        let request = self.client.request(method, self.url(path)).body(body.to_owned());
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send(reqwest::Method::POST, path, &body.to_string()).await
    }

    async fn put(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send(reqwest::Method::PUT, path, &body.to_string()).await
    }
}

#[track_caller]
fn is_error(body: &Value, status: u16, error: &str, path: &str) {
    assert_eq!(
        (&body["status"], &body["error"], &body["path"]),
        (&json!(status), &json!(error), &json!(path))
    );
    assert!(body["timestamp"].is_u64() && body["message"].is_string(), "{body}");
    assert_eq!(body.as_object().unwrap().len(), 5);
}

#[tokio::test]
async fn search_trims_the_query_and_counts() {
    let service = service(Chaos::default()).await;
    let (status, body) = service.get("/api/search?q=%20RAM%20").await;
    assert_eq!((status, &body["query"], &body["count"]), (200, &json!("RAM"), &json!(2)));
    let first =
        json!({"id": "p-102", "name": "DDR5 RAM 16GB", "category": "memory", "priceCents": 5200});
    assert_eq!(body["items"][0], first);
    assert!(body["timestamp"].as_u64().unwrap() > 1_600_000_000_000, "milliseconds");
    assert_eq!(service.get("/api/search").await.1["count"], 10);
    assert_eq!(service.get("/api/search?q=").await.1["count"], 10);
}

#[tokio::test]
async fn a_product_is_found_or_404() {
    let service = service(Chaos::default()).await;
    let monitor = json!({"id": "p-107", "name": "27\" 144Hz Monitor", "category": "display", "priceCents": 22900});
    assert_eq!(service.get("/api/product/p-107").await, (200, monitor));
    let (status, body) = service.get("/api/product/p-999").await;
    assert_eq!(status, 404);
    is_error(&body, 404, "Not Found", "/api/product/p-999");
}

#[tokio::test]
async fn checkout_adds_up_and_two_copies_agree_on_the_order_id() {
    let (one, two) = (service(Chaos::default()).await, service(Chaos::default()).await);
    let cart =
        json!({"productIds": ["p-100", "p-100", "p-108", "unknown"], "email": "a@example.com"});
    let (status, order) = one.post("/api/checkout", &cart).await;
    assert_eq!((status, &order["totalCents"]), (200, &json!(6900 * 2 + 1900)));
    let id = order["orderId"].as_str().unwrap();
    assert!(id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    assert_eq!(two.post("/api/checkout", &cart).await.1["orderId"], id);
    let without_email = json!({"productIds": []});
    let (status, other) = one.post("/api/checkout", &without_email).await;
    assert_eq!((status, &other["totalCents"]), (200, &json!(0)));
    assert_ne!(other["orderId"], id);
}

#[tokio::test]
async fn a_checkout_that_is_no_checkout_is_400() {
    let service = service(Chaos::default()).await;
    for body in [
        "",
        "{",
        "[]",
        "{}",
        r#"{"productIds":"p-100"}"#,
        r#"{"productIds":[1]}"#,
        r#"{"productIds":[],"email":1}"#,
    ] {
        let (status, answer) = service.send(reqwest::Method::POST, "/api/checkout", body).await;
        assert_eq!(status, 400, "{body}");
        is_error(&answer, 400, "Bad Request", "/api/checkout");
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_json_errors() {
    let service = service(Chaos::default()).await;
    let (status, body) = service.get("/nowhere").await;
    assert_eq!(status, 404);
    is_error(&body, 404, "Not Found", "/nowhere");
    let response = service.client.delete(service.url("/api/search")).send().await.unwrap();
    assert_eq!(response.status(), 405);
    assert!(response.headers()["allow"].to_str().unwrap().contains("GET"));
    is_error(&response.json().await.unwrap(), 405, "Method Not Allowed", "/api/search");
}

#[tokio::test]
async fn chaos_changes_while_it_runs_and_bad_values_change_nothing() {
    let service = service(Chaos { latency_ms: 1, ..Chaos::default() }).await;
    let at_first = json!({"latencyMs": 1, "jitterMs": 0, "errorRate": 0.0, "mismatchRate": 0.0});
    assert_eq!(service.get("/chaos").await, (200, at_first.clone()));
    let (status, body) = service.put("/chaos", &json!({"errorRate": 0.5, "latencyMs": -1})).await;
    assert_eq!(status, 400);
    is_error(&body, 400, "Bad Request", "/chaos");
    assert!(body["message"].as_str().unwrap().contains("latencyMs"));
    assert_eq!(service.get("/chaos").await.1, at_first);
    let (status, body) = service.put("/chaos", &json!({"errorRate": 1})).await;
    assert_eq!((status, &body["errorRate"], &body["latencyMs"]), (200, &json!(1.0), &json!(1)));
    let (status, body) = service.get("/api/search").await;
    assert_eq!(status, 500);
    is_error(&body, 500, "Internal Server Error", "/api/search");
    assert_eq!(service.get("/actuator/health").await, (200, json!({"status": "UP"})));
    service.put("/chaos", &json!({"errorRate": 0})).await;
    assert_eq!(service.get("/api/search").await.0, 200);
}

#[tokio::test]
async fn chaos_of_one_route_leaves_the_others_alone_and_ends_with_a_global_heal() {
    let service = service(Chaos::default()).await;
    let calm = service.get("/chaos").await.1;
    let bad = json!({"route": "GET /api/product/{id}", "errorRate": 1});
    let (status, shown) = service.put("/chaos", &bad).await;
    assert_eq!((status, &shown["errorRate"]), (200, &json!(0.0)));
    assert_eq!(shown["routes"]["GET /api/product/{id}"]["errorRate"], 1.0);
    assert_eq!(service.get("/chaos").await, (200, shown.clone()));
    let cart = json!({"productIds": ["p-100"]});
    assert_eq!(service.get("/api/product/p-100").await.0, 500);
    assert_eq!(service.get("/api/search").await.0, 200);
    assert_eq!(service.post("/api/checkout", &cart).await.0, 200);
    let bad_checkout = json!({"route": "POST /api/checkout", "errorRate": 1});
    service.put("/chaos", &bad_checkout).await;
    assert_eq!(service.post("/api/checkout", &cart).await.0, 500);
    service.put("/chaos", &json!({"route": "POST /api/checkout", "reset": true})).await;
    assert_eq!(service.post("/api/checkout", &cart).await.0, 200);
    // What `just heal` sends.
    let healthy = json!({"latencyMs": 0, "jitterMs": 0, "errorRate": 0, "mismatchRate": 0});
    assert_eq!(service.put("/chaos", &healthy).await, (200, calm));
    assert_eq!(service.get("/api/product/p-100").await.0, 200);
}

#[tokio::test]
async fn an_unknown_route_is_400_and_changes_nothing() {
    let service = service(Chaos::default()).await;
    let before = service.get("/chaos").await;
    let (status, body) =
        service.put("/chaos", &json!({"latencyMs": 5, "route": "GET /api/cart"})).await;
    assert_eq!(status, 400);
    is_error(&body, 400, "Bad Request", "/chaos");
    let message = body["message"].as_str().unwrap();
    for part in ["route", "\"GET /api/cart\"", "GET /api/search", "POST /api/checkout"] {
        assert!(message.contains(part), "{part} not in {message}");
    }
    let (status, _) =
        service.put("/chaos", &json!({"route": "GET /api/search", "errorRate": 2})).await;
    assert_eq!(status, 400);
    assert_eq!(service.get("/chaos").await, before);
}

#[tokio::test]
async fn a_mismatch_is_a_wrong_but_well_formed_answer() {
    let right = service(Chaos::default()).await;
    let wrong = service(Chaos { mismatch_rate: 1.0, ..Chaos::default() }).await;
    for path in ["/api/search?q=ssd", "/api/product/p-100"] {
        let (mut one, mut two) = (right.get(path).await, wrong.get(path).await);
        assert_eq!((one.0, two.0), (200, 200));
        for answer in [&mut one.1, &mut two.1] {
            answer.as_object_mut().unwrap().remove("timestamp");
        }
        assert_ne!(one, two);
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&one.1), keys(&two.1));
    }
    let cart = json!({"productIds": ["p-100"]});
    let (one, two) =
        (right.post("/api/checkout", &cart).await, wrong.post("/api/checkout", &cart).await);
    assert_eq!((one.0, two.0), (200, 200));
    assert_ne!(one.1["totalCents"], two.1["totalCents"]);
}

#[tokio::test]
async fn an_order_may_have_2_mib() {
    let service = service(Chaos::default()).await;
    let order = r#"{"productIds":["p-100"]}"#;
    let body = order.to_owned() + &" ".repeat((2 << 20) - order.len());
    assert_eq!(service.send(reqwest::Method::POST, "/api/checkout", &body).await.0, 200);
}

#[tokio::test]
async fn latency_is_added_under_api_alone() {
    let service = service(Chaos { latency_ms: 60, ..Chaos::default() }).await;
    let start = std::time::Instant::now();
    service.get("/api/product/p-100").await;
    assert!(start.elapsed().as_millis() >= 60);
    let text = service.client.get(service.url("/actuator/prometheus")).send().await.unwrap();
    let text = text.text().await.unwrap();
    let slow = r#"uri="/api/product/{id}",status="200",outcome="SUCCESS",le="0.05"} 0"#;
    assert!(text.contains(slow), "{text}");
}

#[tokio::test]
async fn metrics_count_requests_by_template() {
    let service = service(Chaos::default()).await;
    for path in ["/api/product/p-100", "/api/product/p-101", "/api/product/x", "/nowhere"] {
        service.get(path).await;
    }
    let response = service.client.get(service.url("/actuator/prometheus")).send().await.unwrap();
    assert!(
        response.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/plain; version=0.0.4")
    );
    let text = response.text().await.unwrap();
    for line in [
        r#"http_server_requests_seconds_count{service="test",method="GET",uri="/api/product/{id}",status="200",outcome="SUCCESS"} 2"#,
        r#"http_server_requests_seconds_count{service="test",method="GET",uri="/api/product/{id}",status="404",outcome="CLIENT_ERROR"} 1"#,
        r#"http_server_requests_seconds_count{service="test",method="GET",uri="UNKNOWN",status="404",outcome="CLIENT_ERROR"} 1"#,
    ] {
        assert!(text.contains(line), "{line} not in\n{text}");
    }
}
