//! What the upstreams are told as `Host`, and about who asked.

use proxy::headers::{Chain, Forwarding};
use proxy::upstream::{HostHeader, Protocol};

use crate::eventually;
use crate::support::{fixed, proxy};

/// The hosts that the baseline and the copy's target saw.
async fn hosts(protocol: Protocol, baseline: HostHeader, copy: HostHeader) -> (String, String) {
    let (first, second) = (fixed("{}").await, fixed("{}").await);
    let proxy = proxy(first.addr, second.addr, |config| {
        (config.baseline.host_header, config.candidate.host_header) = (baseline, copy);
        (config.baseline.protocol, config.candidate.protocol) = (protocol, protocol);
    })
    .await;
    proxy.client.get(proxy.url("/")).header("host", "shop.example").send().await.unwrap();
    eventually!(second.count() == 1);
    let told = |upstream: &crate::support::Upstream| {
        let seen = &upstream.seen()[0];
        let uri: http::Uri = seen.target.parse().unwrap();
        let host = match protocol {
            Protocol::Http2 => uri.authority().unwrap().to_string(),
            _ => seen.headers["host"].to_str().unwrap().to_owned(),
        };
        host.replace(&upstream.addr.to_string(), "its own")
    };
    (told(&first), told(&second))
}

#[tokio::test]
async fn host_is_the_targets_the_clients_or_a_literal_for_each_upstream() {
    let literal = || HostHeader::Literal("copy.example:81".parse().unwrap());
    for protocol in [Protocol::Auto, Protocol::Http2] {
        let both = hosts(protocol, HostHeader::Target, HostHeader::Target).await;
        assert_eq!(both, ("its own".to_owned(), "its own".to_owned()));
        let both = hosts(protocol, HostHeader::Preserve, literal()).await;
        assert_eq!(both, ("shop.example".to_owned(), "copy.example:81".to_owned()));
        let both = hosts(protocol, literal(), HostHeader::Preserve).await;
        assert_eq!(both, ("copy.example:81".to_owned(), "shop.example".to_owned()));
    }
}

#[tokio::test]
async fn chains_of_proxies_go_to_baseline_and_copy_as_the_settings_say() {
    let (baseline, candidate) = (fixed("{}").await, fixed("{}").await);
    let proxy = proxy(baseline.addr, candidate.addr, |config| {
        config.forward.forwarding = Forwarding {
            x_forwarded: Chain::Replace,
            forwarded: Chain::Extend,
            via: Chain::Extend,
        };
    })
    .await;
    let request = proxy.client.get(proxy.url("/")).header("host", "shop.example");
    let request = request.header("x-forwarded-for", "10.0.0.1").header("via", "1.0 first");
    request.header("forwarded", "for=10.0.0.1").send().await.unwrap();
    eventually!(candidate.count() == 1);
    for seen in [&baseline.seen()[0], &candidate.seen()[0]] {
        assert_eq!(seen.headers["x-forwarded-for"], "127.0.0.1");
        assert_eq!(seen.headers["via"], "1.0 first, 1.1 mirrorlab");
        let hop = "for=10.0.0.1, for=127.0.0.1;host=\"shop.example\";proto=http";
        assert_eq!(seen.headers["forwarded"], hop);
    }
}
