//! The page over a real socket.

use std::time::Duration;

use crate::support::{fixed, in_time, proxy, refusing};

#[tokio::test]
async fn it_works_behind_a_prefix_by_relative_ways_alone() {
    let proxy = proxy(fixed("{}").await.addr, refusing(), |config| {
        config.admin_prefix = "/_mirrorlab".to_owned();
    })
    .await;
    let moved = proxy.get("/_mirrorlab/control").await;
    let there = moved.headers()["location"].to_str().unwrap();
    let page = proxy.client.get(moved.url().join(there).unwrap()).send().await.unwrap();
    assert_eq!((page.status().as_u16(), page.url().path()), (200, "/_mirrorlab/control/"));
    let url = page.url().clone();
    let text = page.text().await.unwrap();
    for attribute in ["href=\"", "src=\"", "action=\""] {
        for link in text.split(attribute).skip(1) {
            let link = link.split('"').next().unwrap().replace("&#38;", "&");
            let url = url.join(&link).unwrap();
            assert!(url.path().starts_with("/_mirrorlab/control/"), "{link}");
            let expected = if attribute == "action=\"" { 405 } else { 200 };
            let answer = proxy.client.get(url.clone()).send().await.unwrap();
            assert_eq!(answer.status(), expected, "{url}");
        }
    }
    assert_eq!(proxy.get("/control/").await.text().await.unwrap(), "{}", "traffic");
}

#[tokio::test]
async fn a_request_shows_and_a_stream_holds_up_no_end() {
    let proxy = proxy(fixed("{}").await.addr, fixed("[]").await.addr, |config| {
        config.drain_timeout = Duration::from_secs(60);
    })
    .await;
    proxy.get("/shown").await;
    crate::eventually!({
        let page = proxy.get("/control/").await.text().await.unwrap();
        page.contains("GET /shown") && page.contains("mismatched")
    });
    let mut stream = proxy.get("/control/live?of=overview").await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    assert_eq!(stream.headers()["x-accel-buffering"], "no");
    assert_eq!(stream.headers()["cache-control"], "no-store, no-transform");
    let first = in_time(stream.chunk()).await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&first).contains("live-status"));
    let shutdown = tokio::spawn(proxy.app.shutdown());
    in_time(async { while stream.chunk().await.is_ok_and(|it| it.is_some()) {} }).await;
    assert_eq!(in_time(shutdown).await.unwrap().cut, 0);
}
