//! Lines of a small exchange, written and read: what a recording costs.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use traffic::{Answer, Body, Clock, Exchange, Limits, Moment, Request, line};

fn small() -> Exchange {
    let header = |name: &'static str, value: &'static str| (Bytes::from(name), Bytes::from(value));
    Exchange {
        id: "5f3a0c1b9d8e7f6a5b4c3d2e".to_owned(),
        at: Moment(1_777_882_830_456_000_000),
        client: Some([192, 0, 2, 7].into()),
        connection: Some(12),
        request: Request {
            method: Bytes::from("GET"),
            target: Bytes::from("/api/items/17?page=2"),
            version: Bytes::from("1.1"),
            headers: vec![
                header("Host", "shop.example:8080"),
                header("User-Agent", "curl/8.5.0"),
                header("Accept", "application/json"),
            ],
            body: Body::default(),
        },
        answer: Some(Answer {
            status: 200,
            headers: vec![
                header("content-type", "application/json"),
                header("content-length", "28"),
                header("date", "Mon, 04 May 2026 08:20:30 GMT"),
            ],
            body: Body::Whole(Bytes::from(r#"{"id":7,"name":"blue \"x\""}"#)),
            trailers: Vec::new(),
            latency: Some(Duration::from_micros(1234)),
            clock: Clock::Proxy,
        }),
        pair: None,
    }
}

fn lines(c: &mut Criterion) {
    let exchange = small();
    let mut text = Vec::new();
    (0..1000).for_each(|_| line::write(&exchange, &mut text));
    let mut group = c.benchmark_group("line");
    group.throughput(Throughput::Elements(1000));
    group.bench_function("write", |b| {
        let mut into = Vec::with_capacity(text.len());
        b.iter(|| {
            into.clear();
            (0..1000).for_each(|_| line::write(black_box(&exchange), &mut into));
        });
    });
    group.bench_function("read", |b| {
        b.iter(|| line::Lines::new(&text[..], &Limits::default()).map(black_box).count());
    });
    group.finish();
}

criterion_group!(benches, lines);
criterion_main!(benches);
