//! Copies of one session go one after the other, in the order in which their requests came.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proxy::app;
use proxy::config::Config;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::eventually;
use crate::support::{Proxy, Seen, Upstream, client, fixed, json, upstream};

async fn by(baseline: SocketAddr, candidate: SocketAddr, mirror: &str) -> Proxy {
    let text = format!(
        "[listen]\naddress = \"127.0.0.1:0\"\n[baseline]\nurl = \"http://{baseline}\"\n\
         [guardrail]\nlatency_floor = \"1h\"\nconsecutive = 1000000\n\
         [[candidate]]\nname = \"v2\"\nurl = \"http://{candidate}\"\n\
         [mirror]\nshare = 1\n{mirror}"
    );
    let config = Config::from_text("m.toml", &text, &|_| None).unwrap();
    let app = app::start(config, Handle::current()).await.unwrap();
    Proxy { app, client: client() }
}

async fn get(proxy: &Proxy, session: &str, path: &str) {
    let request = proxy.client.get(proxy.url(path)).header("cookie", format!("sid={session}"));
    request.send().await.unwrap().bytes().await.unwrap();
}

fn session(seen: &Seen) -> String {
    seen.headers["cookie"].to_str().unwrap().to_owned()
}

/// Answers copies of the session `a` as often as it is allowed to, all others at once.
async fn held() -> (Upstream, Arc<Semaphore>) {
    let allowed = Arc::new(Semaphore::new(0));
    let semaphore = Arc::clone(&allowed);
    let candidate = upstream(move |seen| {
        let allowed = Arc::clone(&semaphore);
        async move {
            if session(&seen) == "sid=a" {
                allowed.acquire().await.unwrap().forget();
            }
            json("1")
        }
    });
    (candidate.await, allowed)
}

#[tokio::test]
async fn a_sessions_copies_go_out_one_by_one_as_they_came_and_others_beside_them() {
    let under_way = Arc::new(Mutex::new(HashMap::<String, usize>::new()));
    let most = Arc::new(Mutex::new(0));
    let candidate = upstream({
        let (under_way, most) = (Arc::clone(&under_way), Arc::clone(&most));
        move |seen| {
            let (under_way, most) = (Arc::clone(&under_way), Arc::clone(&most));
            async move {
                {
                    let mut under_way = under_way.lock().unwrap();
                    *under_way.entry(session(&seen)).or_default() += 1;
                    assert_eq!(under_way[&session(&seen)], 1, "one of a session at once");
                    let all = under_way.values().sum::<usize>();
                    let mut most = most.lock().unwrap();
                    *most = all.max(*most);
                }
                // Those that come later would be first.
                let number: u64 = seen.target.trim_start_matches('/').parse().unwrap();
                tokio::time::sleep(Duration::from_millis(20 - number)).await;
                *under_way.lock().unwrap().get_mut(&session(&seen)).unwrap() -= 1;
                json("1")
            }
        }
    })
    .await;
    let proxy = by(fixed("1").await.addr, candidate.addr, "order_by = \"cookie:sid\"\n").await;
    let sessions = (0..8).map(async |user| {
        for number in 0..10 {
            get(&proxy, &format!("u{user}"), &format!("/{number}")).await;
        }
    });
    futures_util::future::join_all(sessions).await;
    eventually!(proxy.outcomes().await == [("matched".to_owned(), 80.0)]);
    let mut numbers = HashMap::<_, Vec<_>>::new();
    for seen in candidate.seen() {
        numbers.entry(session(&seen)).or_default().push(seen.target);
    }
    let in_order: Vec<_> = (0..10).map(|number| format!("/{number}")).collect();
    assert_eq!(numbers.len(), 8);
    assert!(numbers.values().all(|them| *them == in_order), "{numbers:?}");
    assert!(*most.lock().unwrap() > 1, "sessions go beside each other");
}

#[tokio::test]
async fn a_session_that_hangs_holds_one_slot_and_no_room_of_others() {
    let (candidate, allowed) = held().await;
    let settings = "order_by = \"cookie:sid\"\nconcurrency = 2\nqueue_size = 3\n";
    let proxy = by(fixed("1").await.addr, candidate.addr, settings).await;
    get(&proxy, "a", "/first").await;
    eventually!(candidate.count() == 1);
    for _ in 0..5 {
        get(&proxy, "a", "/").await;
        // Each has left the queue before the next comes.
        eventually!(
            proxy.metric("mirror_queue_length", &[]).await == 3.0
                || proxy.outcome("dropped_queue_full").await == 0.0
        );
    }
    eventually!(proxy.outcome("dropped_queue_full").await == 2.0);
    for _ in 0..5 {
        let before = proxy.outcome("matched").await;
        get(&proxy, "b", "/").await;
        eventually!(proxy.outcome("matched").await == before + 1.0);
    }
    assert_eq!(proxy.metric("mirror_queue_length", &[]).await, 3.0);
    allowed.add_permits(4);
    eventually!(proxy.outcome("matched").await == 9.0);
    assert_eq!(proxy.metric("mirror_queue_length", &[]).await, 0.0);
}

#[tokio::test]
async fn with_one_slot_whoever_waited_is_sent_too() {
    let (candidate, allowed) = held().await;
    let settings = "order_by = \"cookie:sid\"\nconcurrency = 1\n";
    let proxy = by(fixed("1").await.addr, candidate.addr, settings).await;
    for _ in 0..4 {
        get(&proxy, "a", "/").await;
    }
    allowed.add_permits(4);
    eventually!(proxy.outcomes().await == [("matched".to_owned(), 4.0)]);
}

#[tokio::test]
async fn a_copy_that_never_ends_holds_up_its_session_until_its_deadline() {
    let (candidate, allowed) = held().await;
    let settings = "order_by = \"cookie:sid\"\ntimeout = \"600ms\"\n";
    let proxy = by(fixed("1").await.addr, candidate.addr, settings).await;
    get(&proxy, "a", "/hangs").await;
    eventually!(candidate.count() == 1);
    get(&proxy, "a", "/expires").await;
    eventually!(proxy.outcome("expired_in_queue").await == 1.0);
    eventually!(proxy.outcome("candidate_timeout").await == 1.0);
    allowed.add_permits(2);
    get(&proxy, "a", "/goes").await;
    eventually!(proxy.outcome("matched").await == 1.0);
    let targets: Vec<_> = candidate.seen().into_iter().map(|it| it.target).collect();
    assert_eq!(targets, ["/hangs", "/goes"]);
}

#[tokio::test]
async fn a_route_may_have_an_order_of_its_own_or_none() {
    let (candidate, allowed) = held().await;
    let settings = "order_by = \"cookie:sid\"\n[[route]]\nname = \"free\"\norder_by = \"off\"\n\
        [route.match]\npath = { prefix = \"/free\" }\n";
    let proxy = by(fixed("1").await.addr, candidate.addr, settings).await;
    for _ in 0..3 {
        get(&proxy, "a", "/free").await;
    }
    eventually!(candidate.count() == 3);
    for _ in 0..3 {
        get(&proxy, "a", "/bound").await;
    }
    eventually!(candidate.count() == 4);
    allowed.add_permits(6);
    eventually!(proxy.outcomes().await == [("matched".to_owned(), 6.0)]);
}

#[tokio::test]
async fn what_waits_is_sent_by_the_lane_it_came_to_when_the_settings_change() {
    let (candidate, allowed) = held().await;
    let proxy = by(fixed("1").await.addr, candidate.addr, "order_by = \"cookie:sid\"\n").await;
    for _ in 0..3 {
        get(&proxy, "a", "/").await;
    }
    eventually!(candidate.count() == 1);
    let (baseline, candidate) = (fixed("1").await.addr, candidate.addr);
    let text = format!(
        "[baseline]\nurl = \"http://{baseline}\"\n[mirror]\nshare = 1\nconcurrency = 2\n\
         [guardrail]\nlatency_floor = \"1h\"\n[[candidate]]\nname = \"v2\"\nurl = \"http://{candidate}\"\n"
    );
    proxy.app.reload(Config::from_text("m.toml", &text, &|_| None));
    allowed.add_permits(3);
    eventually!(proxy.outcomes().await == [("matched".to_owned(), 3.0)]);
}
