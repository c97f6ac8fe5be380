//! What clients may not do to the mirror: give its mark, send copies that have no original, or hide
//! the end of a body.

use bytes::Bytes;
use http::{Method, Request};
use proxy::upstream::Protocol;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::eventually;
use crate::support::{fixed, free, http2, in_time, proxy, raw, refusing};

#[tokio::test]
async fn a_body_over_http_2_is_whole_when_its_declared_bytes_went_by() {
    for trailers in [false, true] {
        let (baseline, candidate) = (fixed("{}").await, fixed("{}").await);
        let proxy = proxy(baseline.addr, candidate.addr, |_| {}).await;
        let mut client = http2(proxy.connect().await).await;
        for body in ["{\"a\":1}", ""] {
            let request = Request::post("http://x/").header("content-length", body.len());
            let (answer, mut upload) =
                client.send_request(request.body(()).unwrap(), false).unwrap();
            if !body.is_empty() {
                upload.send_data(Bytes::from(body), false).unwrap();
            }
            // Apart from the last bytes, as some clients send it.
            tokio::task::yield_now().await;
            if trailers {
                upload.send_trailers(http::HeaderMap::new()).unwrap();
            } else {
                upload.send_data(Bytes::new(), true).unwrap();
            }
            assert_eq!(in_time(answer).await.unwrap().status(), 200);
        }
        eventually!(proxy.outcomes().await == [("matched".to_owned(), 2.0)]);
        let mut bodies: Vec<_> = candidate.seen().into_iter().map(|seen| seen.body).collect();
        bodies.sort();
        assert_eq!(bodies, ["", "{\"a\":1}"]);
    }
}

/// An HTTP/2 upstream that ends its stream in a frame of its own, some time after the last byte.
async fn late_end() -> std::net::SocketAddr {
    raw(|stream| async move {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            tokio::spawn(async move {
                let answer = http::Response::builder().header("content-length", 2);
                let mut body = respond.send_response(answer.body(()).unwrap(), false).unwrap();
                body.send_data(Bytes::from_static(b"ok"), false).unwrap();
                tokio::time::sleep(std::time::Duration::from_millis(30)).await;
                drop(body.send_data(Bytes::new(), true));
            });
        }
    })
    .await
}

#[tokio::test]
async fn an_answer_of_an_http_2_baseline_is_whole_when_its_declared_bytes_went_by() {
    let proxy = proxy(late_end().await, late_end().await, |config| {
        config.baseline.protocol = Protocol::Http2;
        config.candidate.protocol = Protocol::Http2;
    })
    .await;
    assert_eq!(proxy.get("/").await.text().await.unwrap(), "ok");
    eventually!(proxy.outcomes().await == [("matched".to_owned(), 1.0)]);
}

#[tokio::test]
async fn a_clients_own_mark_reaches_nobody_and_is_not_mirrored() {
    let (baseline, candidate) = (fixed("{}").await, fixed("{}").await);
    let proxy = proxy(baseline.addr, candidate.addr, |_| {}).await;
    let request = proxy.client.get(proxy.url("/")).header("X-Mirror", "1").header("x-mirror", "2");
    assert_eq!(request.send().await.unwrap().status(), 200);
    assert_eq!(proxy.outcomes().await, [("already_marked".to_owned(), 1.0)]);
    assert!(!baseline.seen()[0].headers.contains_key("x-mirror"));
    assert_eq!(candidate.count(), 0);
}

#[tokio::test]
async fn a_clients_mark_in_a_spelling_that_servers_read_as_the_mark_reaches_nobody_either() {
    for name in ["X_Mirror", "x.mirror"] {
        let (baseline, candidate) = (fixed("{}").await, fixed("{}").await);
        let proxy = proxy(baseline.addr, candidate.addr, |_| {}).await;
        let request = proxy.client.get(proxy.url("/")).header(name, "1").header("x_mirrors", "2");
        assert_eq!(request.send().await.unwrap().status(), 200);
        assert_eq!(proxy.outcomes().await, [("already_marked".to_owned(), 1.0)], "{name}");
        let seen = &baseline.seen()[0].headers;
        assert!(!seen.contains_key(name) && seen.contains_key("x_mirrors"), "{seen:?}");
        assert_eq!(candidate.count(), 0);
    }
}

#[tokio::test]
async fn the_mark_of_a_trusted_mirror_is_passed_on_and_not_mirrored() {
    let (baseline, candidate) = (fixed("{}").await, fixed("{}").await);
    let proxy =
        proxy(baseline.addr, candidate.addr, |config| config.mirror.trust_mark = true).await;
    let request = proxy.client.get(proxy.url("/")).header("X-Mirror", "yes");
    assert_eq!(request.send().await.unwrap().status(), 200);
    assert_eq!(proxy.outcomes().await, [("already_marked".to_owned(), 1.0)]);
    assert_eq!(baseline.seen()[0].headers["x-mirror"], "yes");
    assert_eq!(candidate.count(), 0);
}

#[tokio::test]
async fn a_copy_that_comes_back_is_refused_with_508_even_without_a_mark() {
    for marked in [true, false] {
        let baseline = fixed("{}").await;
        // A proxy whose candidate is itself.
        let addr = free();
        let proxy = proxy(baseline.addr, addr, |config| {
            config.listen.addr = addr;
            if !marked {
                config.mirror.mark = None;
            }
        })
        .await;
        for _ in 0..3 {
            assert_eq!(proxy.get("/").await.status(), 200);
        }
        eventually!(proxy.metric("mirror_refused_total", &["reason=\"loop\""]).await == 3.0);
        eventually!(proxy.outcomes().await == [("mismatched".to_owned(), 3.0)]);
        assert_eq!(baseline.count(), 3);
    }
}

#[tokio::test]
async fn what_another_mirror_calls_its_own_is_no_loop_here_and_passes() {
    let (baseline, candidate) = (fixed("{}").await, fixed("{}").await);
    let proxy = proxy(baseline.addr, candidate.addr, |_| {}).await;
    let request = proxy.client.get(proxy.url("/")).header("x-mirrorlab-loop", "another");
    assert_eq!(request.send().await.unwrap().status(), 200);
    eventually!(candidate.count() == 1);
    assert_eq!(baseline.seen()[0].headers["x-mirrorlab-loop"], "another");
    let copy = &candidate.seen()[0].headers;
    assert_eq!(copy.get_all("x-mirrorlab-loop").iter().count(), 2, "both are known again");
}

/// A `DELETE` as HTTP/2 frames, with the stream's reset right behind it.
fn deleted_and_reset(stream: u32) -> Vec<u8> {
    let block = b"\x02\x06DELETE\x86\x84\x01\x01x";
    let mut bytes = vec![0, 0, u8::try_from(block.len()).unwrap(), 1, 5];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(block);
    bytes.extend([0, 0, 4, 3, 0]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(8_u32.to_be_bytes());
    bytes
}

#[tokio::test]
async fn a_request_that_its_client_takes_back_is_executed_by_the_candidate_only_where_the_baseline_got_it()
 {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let (baseline, candidate) = (fixed("{}").await, fixed("{}").await);
        let proxy = proxy(baseline.addr, candidate.addr, |config| {
            config.baseline.protocol = protocol;
            config.candidate.protocol = protocol;
        })
        .await;
        // Connections are there already.
        proxy.expect_outcome("/", "matched").await;
        let mut client = proxy.connect().await;
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
        for stream in (1..40).step_by(2) {
            bytes.extend(deleted_and_reset(stream));
        }
        client.write_all(&bytes).await.unwrap();
        drop(client.shutdown().await);
        drop(in_time(client.read_to_end(&mut Vec::new())).await);
        let deleted = |seen: Vec<crate::support::Seen>| {
            seen.iter().filter(|seen| seen.method == Method::DELETE).count()
        };
        // All that is under way has come when what is sent later has.
        proxy.client.get(proxy.url("/last")).send().await.unwrap();
        eventually!(candidate.seen().iter().any(|seen| seen.target.ends_with("/last")));
        let (originals, copies) = (deleted(baseline.seen()), deleted(candidate.seen()));
        assert!(copies <= originals, "{originals} originals, {copies} copies");
    }
}

#[tokio::test]
async fn nothing_is_copied_when_there_is_no_connection_to_the_baseline() {
    let candidate = fixed("{}").await;
    let proxy = proxy(refusing(), candidate.addr, |_| {}).await;
    for _ in 0..5 {
        assert_eq!(proxy.get("/").await.status(), 502);
    }
    assert_eq!(proxy.outcomes().await, [("baseline_failed".to_owned(), 5.0)]);
    assert_eq!(candidate.count(), 0);
}
