//! The admin endpoints over a real socket.

use proxy::control::Token;

use crate::support::{Proxy, fixed, proxy, refusing};

async fn plain() -> Proxy {
    proxy(fixed("{}").await.addr, refusing(), |_| {}).await
}

#[tokio::test]
async fn health_and_readiness_answer_200() {
    let proxy = plain().await;
    assert_eq!(proxy.get("/healthz").await.status(), 200);
    assert_eq!(proxy.get("/readyz").await.status(), 200);
    assert_eq!(proxy.outcomes().await, [], "admin endpoints have no outcome");
}

#[tokio::test]
async fn the_status_has_the_documented_fields() {
    let status = plain().await.status().await;
    let expected = serde_json::json!({
        "enabled": true,
        "state": "enabled",
        "lastAbortTime": null,
        "lastAbortReason": null,
        "breachStreak": 0,
        "latencyRatioThreshold": 1.15,
        "errorDeltaThreshold": 0.005,
        "breachConsecutive": 1_000_000,
        "cooldownSeconds": 10,
        "cooldownRemainingSeconds": null,
            "warmupRemainingSeconds": null,
        "lastTrip": null,
        "evidence": {
            "verdict": "not enough data",
            "pairs": 0,
            "value": 0.0,
            "threshold": 1e6,
            "signal": null,
        },
        "routes": [],
        "unusedRules": [],
        "candidate": "candidate",
        "overrides": [],
        "reloadRefused": null,
    });
    assert_eq!(status, expected);
}

#[tokio::test]
async fn enable_and_disable_switch_and_count_once() {
    let proxy = plain().await;
    for _ in 0..2 {
        let answer: serde_json::Value = proxy.control("disable").await.json().await.unwrap();
        assert_eq!(answer, serde_json::json!({"message": "mirroring disabled"}));
    }
    assert_eq!(proxy.status().await["state"], "held");
    assert_eq!(proxy.status().await["lastAbortReason"], "disabled by hand");
    assert_eq!(proxy.metric("mirror_enabled", &[]).await, 0.0);
    assert_eq!(proxy.metric("mirror_aborts_total", &[]).await, 1.0);
    let answer: serde_json::Value = proxy.control("enable").await.json().await.unwrap();
    assert_eq!(answer, serde_json::json!({"message": "mirroring enabled"}));
    assert_eq!(proxy.metric("mirror_enabled", &[]).await, 1.0);
}

#[tokio::test]
async fn a_wrong_method_is_405_with_allow() {
    let proxy = plain().await;
    for (method, path, allowed) in [
        ("POST", "/healthz", "GET"),
        ("DELETE", "/readyz", "GET"),
        ("POST", "/metrics", "GET"),
        ("POST", "/control/status", "GET"),
        ("GET", "/control/enable", "POST"),
        ("PUT", "/control/disable", "POST"),
    ] {
        let request = proxy.client.request(method.parse().unwrap(), proxy.url(path));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 405, "{method} {path}");
        assert!(response.headers()["allow"].to_str().unwrap().contains(allowed), "{method} {path}");
        let told: serde_json::Value = response.json().await.unwrap();
        assert_eq!(told["error"], "method not allowed", "{method} {path}");
    }
}

#[tokio::test]
async fn with_a_token_post_needs_it_and_get_does_not() {
    let proxy = proxy(fixed("{}").await.addr, refusing(), |config| {
        config.control_token = Some(Token::new("s3cret".to_owned()));
    })
    .await;
    for authorization in
        [None, Some("Bearer wrong"), Some("Basic s3cret"), Some("s3cret"), Some("Bearer s3cret2")]
    {
        for action in ["enable", "disable"] {
            let mut request = proxy.client.post(proxy.url(&format!("/control/{action}")));
            if let Some(value) = authorization {
                request = request.header("authorization", value);
            }
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), 401, "{authorization:?}");
            assert_eq!(response.headers()["www-authenticate"], "Bearer");
        }
    }
    assert_eq!(proxy.status().await["state"], "enabled");
    let request = proxy.client.post(proxy.url("/control/disable")).bearer_auth("s3cret");
    assert_eq!(request.send().await.unwrap().status(), 200);
    assert_eq!(proxy.status().await["state"], "held");
}

#[tokio::test]
async fn with_an_address_of_their_own_the_traffic_port_forwards_every_path() {
    let baseline = fixed("{}").await;
    let mut proxy = proxy(baseline.addr, refusing(), |config| {
        config.admin = Some(config.listen);
    })
    .await;
    assert_eq!(proxy.get("/healthz").await.text().await.unwrap(), "{}");
    assert_eq!(baseline.seen()[0].target, "/healthz");
    proxy.app.traffic = proxy.app.admin.unwrap();
    assert_eq!(proxy.get("/healthz").await.status(), 200);
    assert_eq!(proxy.get("/anything").await.status(), 404);
    assert_eq!(baseline.count(), 1);
}

#[tokio::test]
async fn with_a_prefix_the_baselines_own_metrics_and_health_are_traffic() {
    let baseline = fixed("{}").await;
    let mut proxy = proxy(baseline.addr, refusing(), |config| {
        config.admin_prefix = "/_mirrorlab".to_owned();
    })
    .await;
    let paths = ["/metrics", "/healthz", "/readyz", "/control/status", "/_mirrorlab"];
    for path in paths {
        assert_eq!(proxy.get(path).await.text().await.unwrap(), "{}", "{path}");
    }
    assert_eq!(baseline.count(), paths.len());
    for path in ["/metrics", "/healthz", "/readyz", "/control/status", "/control/report"] {
        let answer = proxy.get(&format!("/_mirrorlab{path}")).await;
        assert_eq!(answer.status(), 200, "{path}");
        assert_ne!(answer.text().await.unwrap(), "{}", "{path}");
    }
    let disabled = proxy.client.post(proxy.url("/_mirrorlab/control/disable")).send().await;
    let disabled = disabled.unwrap();
    assert_eq!(disabled.status(), 200);
    assert_eq!(baseline.count(), paths.len());
    let own = own(baseline.addr).await;
    proxy.app.traffic = own.app.admin.unwrap();
    assert_eq!(proxy.get("/_mirrorlab/healthz").await.status(), 200);
    for path in ["/healthz", "/_mirrorlab/other"] {
        assert_eq!(proxy.get(path).await.status(), 404, "{path}");
    }
}

/// With an address for the admin endpoints and a prefix.
async fn own(baseline: std::net::SocketAddr) -> crate::support::Proxy {
    proxy(baseline, refusing(), |config| {
        config.admin = Some(config.listen);
        config.admin_prefix = "/_mirrorlab".to_owned();
    })
    .await
}

#[tokio::test]
async fn other_paths_on_a_shared_port_are_traffic() {
    let baseline = fixed("{}").await;
    let proxy = proxy(baseline.addr, refusing(), |_| {}).await;
    for path in ["/control2", "/control/other", "/metrics/", "/healthz2"] {
        assert_eq!(proxy.get(path).await.text().await.unwrap(), "{}");
    }
    assert_eq!(baseline.count(), 4);
}
