//! Names of upstreams: resolved again as they change, several addresses, and connections that
//! died in the pool.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::BodyExt;
use proxy::exchange::Role;
use proxy::upstream::dial::{Answer, Dns, Resolve};
use proxy::upstream::{Error, Sent, Target, Trust, Upstream, empty_body, full_body};
use tokio::io::AsyncWriteExt;

use crate::eventually;
use crate::support::{self, in_time, proxy, raw, read_head, refusing};

/// A resolver that answers what the test says.
#[derive(Clone, Debug, Default)]
struct Script {
    addresses: Arc<Mutex<Vec<SocketAddr>>>,
    broken: Arc<Mutex<bool>>,
    hangs: Arc<Mutex<bool>>,
    asked: Arc<AtomicUsize>,
}

impl Script {
    fn of(addresses: &[SocketAddr]) -> Self {
        let script = Self::default();
        script.points_to(addresses);
        script
    }

    fn points_to(&self, addresses: &[SocketAddr]) {
        *self.addresses.lock().unwrap() = addresses.to_vec();
    }

    fn dns(&self, refresh: Duration) -> Dns {
        Dns { resolver: Arc::new(self.clone()), refresh }
    }
}

impl Resolve for Script {
    fn resolve<'a>(&'a self, host: &'a str, _port: u16) -> Answer<'a> {
        assert_eq!(host, "service");
        self.asked.fetch_add(1, Ordering::SeqCst);
        let broken = *self.broken.lock().unwrap();
        let hangs = *self.hangs.lock().unwrap();
        let answer = self.addresses.lock().unwrap().clone();
        Box::pin(async move {
            if hangs {
                std::future::pending::<()>().await;
            }
            if broken { Err(std::io::ErrorKind::TimedOut.into()) } else { Ok(answer) }
        })
    }
}

const NEVER: Duration = Duration::from_secs(3600);
const AT_ONCE: Duration = Duration::from_millis(1);

fn upstream(dns: Dns) -> Arc<Upstream> {
    let target = Target::parse("http://service:80").unwrap();
    Upstream::new(Role::Baseline, target, &Trust::default(), support::PATIENCE, dns).unwrap()
}

async fn call(upstream: &Arc<Upstream>, request: Request<()>) -> Result<Bytes, Error> {
    let request = request.map(|()| empty_body());
    let response = in_time(upstream.send(request, &Sent::default(), false)).await?;
    Ok(response.into_body().collect().await.unwrap().to_bytes())
}

async fn get(upstream: &Arc<Upstream>) -> Result<Bytes, Error> {
    call(upstream, Request::get("/").body(()).unwrap()).await
}

#[tokio::test]
async fn a_name_that_points_elsewhere_is_followed_and_its_old_connections_are_given_up() {
    const POOLED: usize = 100;
    let new = support::fixed("new").await;
    let (release, released) = tokio::sync::watch::channel(false);
    let old = support::upstream(move |_| {
        let mut released = released.clone();
        async move {
            released.wait_for(|go| *go).await.unwrap();
            support::text("old")
        }
    })
    .await;
    let script = Script::of(&[old.addr]);
    let upstream = upstream(script.dns(AT_ONCE));
    let calls: Vec<_> = (0..POOLED)
        .map(|_| {
            let upstream = Arc::clone(&upstream);
            tokio::spawn(async move { get(&upstream).await })
        })
        .collect();
    eventually!(old.count() == POOLED);
    release.send(true).unwrap();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), "old");
    }
    script.points_to(&[new.addr]);
    // Two answers without the old address: its connections are used no more, pooled or not.
    eventually!(get(&upstream).await.unwrap() == "new");
    assert!(old.count() < POOLED * 2, "not merely used up");
    let count = old.count();
    for _ in 0..20 {
        assert_eq!(get(&upstream).await.unwrap(), "new");
    }
    assert_eq!(old.count(), count);
}

#[tokio::test]
async fn a_name_is_not_asked_for_at_each_connection() {
    let script = Script::of(&[support::writes(ONCE).await]);
    let upstream = upstream(script.dns(NEVER));
    for _ in 0..20 {
        assert_eq!(get(&upstream).await.unwrap(), "once");
    }
    assert_eq!(script.asked.load(Ordering::SeqCst), 1);
}

const ONCE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nonce";

#[tokio::test]
async fn connections_are_spread_over_all_addresses_and_those_that_refuse_are_passed_over() {
    let (one, two) = (support::fixed("one").await, support::fixed("two").await);
    let script = Script::of(&[refusing(), one.addr, two.addr]);
    let upstream = upstream(script.dns(NEVER));
    let calls: Vec<_> = (0..12)
        .map(|_| {
            let upstream = Arc::clone(&upstream);
            tokio::spawn(async move { get(&upstream).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().expect("one of the three answers");
    }
    assert!(one.connections() > 0 && two.connections() > 0);
}

#[tokio::test]
async fn an_address_that_says_nothing_has_the_next_one_tried_beside_it() {
    let (silent, _queued) = support::silent().await;
    let answering = support::fixed("here").await;
    for order in [[silent, answering.addr], [answering.addr, silent]] {
        let upstream = upstream(Script::of(&order).dns(NEVER));
        assert_eq!(get(&upstream).await.unwrap(), "here");
    }
}

#[tokio::test]
async fn when_all_known_addresses_fail_the_name_is_asked_for_again() {
    let script = Script::of(&[refusing()]);
    let upstream = upstream(script.dns(NEVER));
    assert!(matches!(get(&upstream).await, Err(Error::Connect(_))));
    script.points_to(&[support::fixed("moved").await.addr]);
    eventually!(get(&upstream).await.is_ok_and(|body| body == "moved"));
}

#[tokio::test]
async fn a_resolver_that_fails_takes_nothing_away_and_is_not_asked_without_end() {
    let script = Script::of(&[support::writes(ONCE).await]);
    let upstream = upstream(script.dns(AT_ONCE));
    get(&upstream).await.unwrap();
    *script.broken.lock().unwrap() = true;
    let asked = script.asked.load(Ordering::SeqCst);
    eventually!({
        assert_eq!(get(&upstream).await.unwrap(), "once");
        script.asked.load(Ordering::SeqCst) > asked
    });
    assert_eq!(get(&upstream).await.unwrap(), "once");

    let unknown = Script::of(&[]);
    let upstream = self::upstream(unknown.dns(AT_ONCE));
    for _ in 0..100 {
        assert!(matches!(get(&upstream).await, Err(Error::Connect(_))));
    }
    assert!(unknown.asked.load(Ordering::SeqCst) < 20);
}

/// On its first connection answers this many requests, reads one more and closes; answers all on
/// later ones. Counts the requests it read.
#[tokio::test]
async fn a_resolver_that_hangs_does_not_make_a_refused_connection_hang() {
    let script = Script::of(&[refusing()]);
    let upstream = upstream(script.dns(NEVER));
    assert!(matches!(get(&upstream).await, Err(Error::Connect(_))));
    *script.hangs.lock().unwrap() = true;
    // Asked for again not within a second: this one finds it due.
    eventually!({
        assert!(matches!(get(&upstream).await, Err(Error::Connect(_))));
        script.asked.load(Ordering::SeqCst) == 2
    });
    assert!(matches!(get(&upstream).await, Err(Error::Connect(_))));
    assert_eq!(script.asked.load(Ordering::SeqCst), 2, "one asks for all");
}

async fn dies_after(answered: usize) -> (SocketAddr, Arc<AtomicUsize>) {
    let requests = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&requests);
    let count = move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
    };
    (dies_telling(answered, count).await, requests)
}

/// Answers on its first connection as often as told, and then reads one more request; always on
/// others. Tells each request's head.
async fn dies_telling(
    answered: usize,
    tell: impl Fn(String) + Clone + Send + 'static,
) -> SocketAddr {
    let connections = Arc::<AtomicUsize>::default();
    raw(move |mut stream| {
        let first = connections.fetch_add(1, Ordering::SeqCst) == 0;
        let tell = tell.clone();
        async move {
            for turn in 0.. {
                let head = read_head(&mut stream).await;
                if head.is_empty() {
                    return;
                }
                tell(head);
                if first && turn >= answered {
                    return;
                }
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                stream.write_all(answer).await.unwrap();
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_request_lost_on_a_dead_pooled_connection_is_sent_again_where_that_is_safe() {
    for (method, again) in [
        (Method::GET, true),
        (Method::HEAD, true),
        (Method::OPTIONS, true),
        (Method::PUT, true),
        (Method::DELETE, true),
        (Method::POST, false),
        (Method::PATCH, false),
        (Method::from_bytes(b"PURGE").unwrap(), false),
    ] {
        let (addr, requests) = dies_after(1).await;
        let upstream = upstream(Script::of(&[addr]).dns(NEVER));
        get(&upstream).await.unwrap();
        let request = Request::builder().method(method.clone()).uri("/").body(()).unwrap();
        let outcome = call(&upstream, request).await;
        assert_eq!(outcome.is_ok(), again, "{method}: {outcome:?}");
        assert_eq!(requests.load(Ordering::SeqCst), if again { 3 } else { 2 }, "{method}");
    }
}

#[tokio::test]
async fn a_request_with_a_body_is_sent_again_where_its_method_is_idempotent() {
    for (method, times) in [(Method::PUT, 2), (Method::DELETE, 2), (Method::POST, 1)] {
        let heads = Arc::<std::sync::Mutex<Vec<String>>>::default();
        let told = Arc::clone(&heads);
        let addr = dies_telling(1, move |head| told.lock().unwrap().push(head)).await;
        let upstream = upstream(Script::of(&[addr]).dns(NEVER));
        get(&upstream).await.unwrap();
        let request = Request::builder().method(method.clone()).uri("/");
        let request = request.body(full_body(Bytes::from_static(b"x"))).unwrap();
        let outcome = in_time(upstream.send(request, &Sent::default(), false)).await;
        assert_eq!(outcome.is_ok(), times == 2, "{method}: {outcome:?}");
        let sent =
            heads.lock().unwrap().iter().filter(|it| it.starts_with(method.as_str())).count();
        assert_eq!(sent, times, "{method}");
    }
}

#[tokio::test]
async fn a_request_that_a_new_connection_loses_is_not_sent_again() {
    let (addr, requests) = dies_after(0).await;
    let upstream = upstream(Script::of(&[addr]).dns(NEVER));
    assert!(matches!(get(&upstream).await, Err(Error::Broken(_))));
    assert_eq!(requests.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_client_does_not_notice_that_a_pooled_connection_died() {
    let (addr, requests) = dies_after(1).await;
    let proxy = proxy(addr, refusing(), |config| config.mirror.fraction = 0.0).await;
    for _ in 0..3 {
        let response = in_time(proxy.get("/")).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.text().await.unwrap(), "ok");
    }
    assert_eq!(requests.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn what_is_sent_again_is_the_same_to_the_byte_on_both_sides() {
    let heads = || Arc::<std::sync::Mutex<Vec<String>>>::default();
    let (ours, theirs) = (heads(), heads());
    let keep = |heads: &Arc<std::sync::Mutex<Vec<String>>>| {
        let heads = Arc::clone(heads);
        move |head| heads.lock().unwrap().push(head)
    };
    let baseline = dies_telling(1, keep(&ours)).await;
    let candidate = dies_telling(1, keep(&theirs)).await;
    let proxy = proxy(baseline, candidate, |_| {}).await;
    for matched in [1.0, 2.0] {
        let mut client = proxy.connect().await;
        client.write_all(b"GET /a//b?c HTTP/1.1\r\nHost: x\r\nX-OdD: 1\r\n\r\n").await.unwrap();
        assert!(in_time(read_head(&mut client)).await.starts_with("HTTP/1.1 200 "));
        eventually!(proxy.outcome("matched").await == matched);
    }
    for heads in [ours, theirs] {
        let heads = heads.lock().unwrap();
        assert_eq!(heads.len(), 3, "{heads:?}");
        assert!(heads[0].contains("X-OdD: 1"), "{heads:?}");
        assert!(heads[0] == heads[1] && heads[1] == heads[2], "{heads:?}");
    }
}
