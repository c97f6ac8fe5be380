//! Policies of single routes: who fits, how large a share, how many a second.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use proxy::app;
use proxy::config::Config;
use tokio::runtime::Handle;

use crate::eventually;
use crate::support::{Proxy, client, fixed, status, upstream};

async fn by(baseline: SocketAddr, candidate: SocketAddr, rest: &str) -> Proxy {
    let text = format!(
        "[listen]\naddress = \"127.0.0.1:0\"\n[baseline]\nurl = \"http://{baseline}\"\n\
         [guardrail]\nlatency_floor = \"1h\"\nconsecutive = 1000000\n\
         [[candidate]]\nname = \"v2\"\nurl = \"http://{candidate}\"\n{rest}"
    );
    let config = Config::from_text("m.toml", &text, &|_| None).unwrap();
    let app = app::start(config, Handle::current()).await.unwrap();
    Proxy { app, client: client() }
}

async fn outcome(proxy: &Proxy, route: &str, outcome: &str) -> f64 {
    let labels = [&*format!("route=\"{route}\""), &*format!("outcome=\"{outcome}\"")];
    proxy.metric("mirror_outcomes_total", &labels).await
}

#[tokio::test]
async fn the_first_route_that_fits_decides_and_gives_the_label() {
    let (baseline, v2) = (fixed("1").await, fixed("1").await);
    let rest = "[mirror]\nshare = 1\n\
        [[route]]\nname = \"beta\"\nmark = \"X-Shadow: beta\"\n\
        [route.match]\npath = { prefix = \"/api\" }\nheader = { name = \"x-beta\", present = true }\n\
        [[route]]\nname = \"api\"\nshare = 0\n[route.match]\npath = { prefix = \"/api\" }\n";
    let proxy = by(baseline.addr, v2.addr, rest).await;
    proxy.get("/api/7").await;
    proxy.client.get(proxy.url("/api/7")).header("x-beta", "").send().await.unwrap();
    proxy.get("/other").await;
    eventually!(outcome(&proxy, "api", "not_sampled").await == 1.0);
    eventually!(outcome(&proxy, "beta", "matched").await == 1.0);
    eventually!(outcome(&proxy, "GET /other", "matched").await == 1.0);
    let marks: BTreeSet<_> = v2
        .seen()
        .iter()
        .map(|it| (it.headers.contains_key("x-shadow"), it.headers.contains_key("x-mirror")))
        .collect();
    assert_eq!(marks, [(true, false), (false, true)].into());
    // The mark of any route is an order that clients may not give.
    proxy.client.get(proxy.url("/other")).header("x-shadow", "1").send().await.unwrap();
    eventually!(outcome(&proxy, "GET /other", "already_marked").await == 1.0);
    assert!(!baseline.seen().last().unwrap().headers.contains_key("x-shadow"));
}

#[tokio::test]
async fn a_session_is_mirrored_as_a_whole_or_not_at_all_and_raising_the_share_keeps_who_was_in() {
    let (baseline, v2) = (fixed("1").await, fixed("1").await);
    let rest = |share: f64| {
        format!("[[route]]\nname = \"all\"\nshare = {share}\nsample_by = \"cookie:sid\"\n")
    };
    let who = async |share: f64| {
        let before = v2.count();
        let proxy = by(baseline.addr, v2.addr, &rest(share)).await;
        for round in 0..3 {
            for user in 0..40 {
                let request = proxy.client.get(proxy.url(&format!("/{user}/x?round={round}")));
                request.header("cookie", format!("a=b; sid=u{user}")).send().await.unwrap();
            }
        }
        let all = async || proxy.metric("mirror_outcomes_total", &["route=\"all\""]).await;
        eventually!(all().await == 120.0);
        let users = v2.seen()[before..].iter().map(|it| it.target.clone()).collect::<Vec<_>>();
        let of = |target: &String| target.split('/').nth(1).unwrap().to_owned();
        let known: BTreeSet<_> = users.iter().map(of).collect();
        assert_eq!(users.len(), 3 * known.len(), "each as a whole");
        known
    };
    let (few, more) = (who(0.3).await, who(0.6).await);
    assert!(!few.is_empty() && few.len() < more.len() && more.len() < 40, "{few:?} {more:?}");
    assert!(few.is_subset(&more));
    assert_eq!(who(0.3).await, few, "after a restart, too");
}

#[tokio::test]
async fn a_request_without_the_key_falls_back_to_dice_and_is_counted() {
    let (baseline, v2) = (fixed("1").await, fixed("1").await);
    let rest = "[[route]]\nname = \"all\"\nshare = 1\nsample_by = \"header:x-user\"\n";
    let proxy = by(baseline.addr, v2.addr, rest).await;
    proxy.get("/").await;
    eventually!(outcome(&proxy, "all", "matched").await == 1.0);
    assert_eq!(proxy.metric("mirror_sampled_without_key_total", &["route=\"all\""]).await, 1.0);
}

#[tokio::test]
async fn what_is_over_the_rate_of_a_route_or_of_all_is_dropped_and_counted() {
    let (baseline, v2) = (fixed("1").await, fixed("1").await);
    let rest = "[mirror]\nshare = 1\nrate = \"7/h\"\n\
        [[route]]\nname = \"slow\"\nrate = \"3/h\"\n[route.match]\npath = { exact = \"/slow\" }\n";
    let proxy = by(baseline.addr, v2.addr, rest).await;
    for _ in 0..5 {
        proxy.get("/slow").await;
    }
    // Of such rates one may be saved.
    eventually!(outcome(&proxy, "slow", "dropped_rate").await == 4.0);
    eventually!(outcome(&proxy, "slow", "matched").await == 1.0);
    proxy.get("/other").await;
    eventually!(outcome(&proxy, "GET /other", "dropped_rate").await == 1.0);
}

#[tokio::test]
async fn a_rare_route_is_mirrored_whole_until_it_has_its_pairs() {
    let (baseline, v2) = (fixed("1").await, fixed("1").await);
    let rest = "[[route]]\nname = \"rare\"\nshare = 0.000001\nmin_pairs = 5\n";
    let proxy = by(baseline.addr, v2.addr, rest).await;
    for pairs in 1..=5 {
        proxy.get("/").await;
        eventually!(outcome(&proxy, "rare", "matched").await == f64::from(pairs));
    }
    for _ in 0..20 {
        proxy.get("/").await;
    }
    eventually!(outcome(&proxy, "rare", "not_sampled").await >= 19.0);
    proxy.client.post(proxy.url("/control/report/reset")).send().await.unwrap();
    let before = v2.count();
    proxy.get("/").await;
    eventually!(v2.count() == before + 1);
}

#[tokio::test]
async fn unsafe_methods_and_bodies_may_be_left_out_on_a_route() {
    let (baseline, v2) = (fixed("1").await, fixed("1").await);
    let rest = "[mirror]\nshare = 1\n\
        [[route]]\nname = \"safe\"\nunsafe_methods = false\n[route.match]\npath = { exact = \"/safe\" }\n\
        [[route]]\nname = \"small\"\nmax_body_bytes = 3\n[route.match]\npath = { exact = \"/small\" }\n\
        [[route]]\nname = \"bare\"\nbody = false\n[route.match]\npath = { exact = \"/bare\" }\n";
    let proxy = by(baseline.addr, v2.addr, rest).await;
    for path in ["/safe", "/small", "/bare"] {
        proxy.client.post(proxy.url(path)).body("four").send().await.unwrap();
    }
    eventually!(outcome(&proxy, "safe", "method_excluded").await == 1.0);
    eventually!(outcome(&proxy, "small", "body_too_large").await == 1.0);
    eventually!(outcome(&proxy, "bare", "matched").await == 1.0);
    assert!(v2.seen()[0].body.is_empty());
}

#[tokio::test]
async fn a_path_that_may_be_read_as_one_that_is_not_mirrored_gets_no_copy() {
    let (baseline, v2) = (fixed("1").await, fixed("1").await);
    let rest = "[mirror]\nshare = 1\n\
        [[route]]\nname = \"pay\"\nshare = 0\n[route.match]\npath = { prefix = \"/payments\" }\n";
    let proxy = by(baseline.addr, v2.addr, rest).await;
    let mut stream = proxy.connect().await;
    for path in ["//payments/1", "/x/../payments/1", "/%70ayments/1", "/payments%2F1"] {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 1024];
        assert!(stream.read(&mut answer).await.unwrap() > 0);
    }
    eventually!(proxy.outcome("path_in_doubt").await == 4.0);
    assert_eq!((v2.count(), baseline.count()), (0, 4));
    proxy.get("/payment").await;
    eventually!(proxy.outcome("matched").await == 1.0);
}

#[tokio::test]
async fn a_route_has_thresholds_of_its_own() {
    let baseline = fixed("1").await;
    let bad = upstream(|_| async { status(500) }).await;
    let rest = "[mirror]\nshare = 1\n\
        [[route]]\nname = \"strict\"\n[route.match]\npath = { exact = \"/strict\" }\n\
        [route.guardrail]\nconsecutive = 3\n";
    let proxy = by(baseline.addr, bad.addr, rest).await;
    for path in ["/strict", "/lax"] {
        for _ in 0..6 {
            proxy.get(path).await;
            eventually!(proxy.metric("mirror_copies_in_flight", &[]).await == 0.0);
        }
    }
    let enabled = async |route: &str| {
        proxy.metric("mirror_route_enabled", &[&format!("route=\"{route}\"")]).await
    };
    eventually!(enabled("strict").await == 0.0);
    assert_eq!(enabled("GET /lax").await, 1.0);
    assert_eq!(proxy.metric("mirror_enabled", &[]).await, 1.0);
}

#[tokio::test]
async fn whether_unsafe_methods_are_mirrored_is_said_for_all_and_otherwise_for_a_route() {
    let (baseline, v2) = (fixed("1").await, fixed("1").await);
    let rest = "[mirror]\nshare = 1\nunsafe_methods = false\n\
        [[route]]\nname = \"cart\"\nunsafe_methods = true\n[route.match]\npath = { exact = \"/cart\" }\n\
        [[route]]\nname = \"pay\"\n[route.match]\npath = { exact = \"/pay\" }\n";
    let proxy = by(baseline.addr, v2.addr, rest).await;
    for path in ["/cart", "/pay", "/other"] {
        proxy.client.post(proxy.url(path)).body("four").send().await.unwrap();
    }
    proxy.get("/pay").await;
    eventually!(outcome(&proxy, "pay", "method_excluded").await == 1.0);
    eventually!(proxy.outcome("method_excluded").await == 2.0);
    eventually!(outcome(&proxy, "cart", "matched").await == 1.0);
    eventually!(outcome(&proxy, "pay", "matched").await == 1.0);
    let config: serde_json::Value = proxy.get("/control/config").await.json().await.unwrap();
    let all = config["settings"].as_array().unwrap();
    let said = all.iter().find(|it| it["place"] == "mirror.unsafe_methods").unwrap();
    assert_eq!((&said["value"], &said["origin"]["from"]), (&false.into(), &"file".into()));
    let holds: Vec<_> =
        config["routes"].as_array().unwrap().iter().map(|it| &it["unsafeMethods"]).collect();
    assert_eq!(holds, [true, false, false]);
}
