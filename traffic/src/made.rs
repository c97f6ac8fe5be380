//! Exchanges that tests make up.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::exchange::{Answer, Body, Clock, Difference, Exchange, Headers, Moment, Pair, Request};

fn bytes(most: usize) -> impl Strategy<Value = Bytes> {
    let text = ".{0,12}".prop_map(Bytes::from);
    prop_oneof![text, vec(any::<u8>(), 0..most).prop_map(Bytes::from)]
}

fn headers() -> impl Strategy<Value = Headers> {
    let name = prop_oneof![
        Just(Bytes::from_static(b"Host")),
        Just(Bytes::from_static(b"Content-Type")),
        Just(Bytes::from_static(b"content-encoding")),
        bytes(8)
    ];
    vec((name, bytes(16)), 0..4)
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        4 => bytes(200).prop_map(Body::Whole),
        1 => any::<Option<u64>>().prop_map(Body::NotKept)
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    let clock = prop_oneof![Just(Clock::Proxy), Just(Clock::Wire), Just(Clock::Foreign)];
    let latency = option::of(any::<u64>().prop_map(Duration::from_nanos));
    (any::<u16>(), headers(), body(), headers(), latency, clock).prop_map(
        |(status, headers, body, trailers, latency, clock)| Answer {
            status,
            headers,
            body,
            trailers,
            latency,
            clock,
        },
    )
}

fn request() -> impl Strategy<Value = Request> {
    let target = prop_oneof!["/[a-z/%?&=#]{0,12}".prop_map(Bytes::from), bytes(20)];
    let version = prop_oneof![Just(Bytes::from_static(b"1.1")), bytes(4)];
    (bytes(6), target, version, headers(), body()).prop_map(
        |(method, target, version, headers, body)| Request {
            method,
            target,
            version,
            headers,
            body,
        },
    )
}

fn pair() -> impl Strategy<Value = Pair> {
    let text = ".{0,8}";
    let difference = (text, text, option::of(text), option::of(text)).prop_map(
        |(path, kind, baseline, candidate)| Difference { path, kind, baseline, candidate },
    );
    (text, text, text, option::of(answer()), vec(difference, 0..3), any::<bool>()).prop_map(
        |(route, candidate, outcome, answer, differences, more)| Pair {
            route,
            candidate,
            outcome,
            answer,
            differences,
            more,
        },
    )
}

/// Any at all.
pub(crate) fn exchange() -> impl Strategy<Value = Exchange> {
    let origin = (".{0,8}", any::<u64>(), any::<Option<IpAddr>>(), any::<Option<u64>>());
    (origin, request(), option::of(answer()), option::of(pair())).prop_map(
        |((id, at, client, connection), request, answer, pair)| Exchange {
            id,
            at: Moment(at),
            client,
            connection,
            request,
            answer,
            pair,
        },
    )
}

/// A usual one, small.
pub(crate) fn plain(number: u64) -> Exchange {
    let line = |name: &'static str, value: &'static str| (Bytes::from(name), Bytes::from(value));
    Exchange {
        id: format!("{number:024x}"),
        at: Moment(1_777_882_830_456_000_000 + number),
        client: Some(IpAddr::from([192, 0, 2, 7])),
        connection: Some(number / 3),
        request: Request {
            method: Bytes::from("GET"),
            target: Bytes::from(format!("/api/items/{number}?page=2")),
            version: Bytes::from("1.1"),
            headers: vec![
                line("Host", "shop.example:8080"),
                line("User-Agent", "curl/8.5.0"),
                line("Accept", "application/json"),
            ],
            body: Body::default(),
        },
        answer: Some(Answer {
            status: 200,
            headers: vec![
                line("content-type", "application/json"),
                line("content-length", "27"),
                line("date", "Mon, 04 May 2026 08:20:30 GMT"),
            ],
            body: Body::Whole(Bytes::from(r#"{"id":7,"name":"blue \"x\""}"#)),
            trailers: Vec::new(),
            latency: Some(Duration::from_micros(1234)),
            clock: Clock::Proxy,
        }),
        pair: None,
    }
}
