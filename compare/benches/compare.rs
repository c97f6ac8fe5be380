//! The comparison alone, by shape and size of the bodies and by how they differ, beside the plainest
//! way: two `serde_json::Value`s without their ignored keys. Throughput counts the bytes of one side.

use std::hint::black_box;
use std::time::Duration;

use compare::{Body, Limits, Match, Rules, Side, Stand, compare, look_closer};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use serde_json::Value;

/// The answers of the demo service, one page of a listing, and a large export.
const SIZES: [usize; 3] = [600, 4 * 1024, 256 * 1024];

/// How the second body is related to the first.
#[derive(Clone, Copy, PartialEq)]
enum Relation {
    /// The same bytes.
    Equal,
    /// Only ignored keys differ, and they come first.
    Ignored,
    /// The last value differs.
    Late,
    /// The keys of every object come in another order.
    Order,
}

const RELATIONS: [(&str, Relation); 4] = [
    ("equal", Relation::Equal),
    ("ignored", Relation::Ignored),
    ("late", Relation::Late),
    ("order", Relation::Order),
];

type Member = (String, String);
/// Writes an object.
type Object = fn(Vec<Member>) -> String;
/// One of the values that a body of this shape is full of.
type Filling = fn(usize, Object) -> String;

const SHAPES: [(&str, Filling); 4] =
    [("records", record), ("numbers", numbers), ("text", text), ("deep", deep)];

fn in_order(members: Vec<Member>) -> String {
    let members: Vec<_> =
        members.into_iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

fn reversed(members: Vec<Member>) -> String {
    in_order(members.into_iter().rev().collect())
}

fn member(key: &str, value: impl Into<String>) -> Member {
    (key.to_owned(), value.into())
}

fn record(number: usize, object: Object) -> String {
    object(vec![
        member("id", format!("\"p-{number}\"")),
        member("title", format!("\"Widget {number}\"")),
        member("priceCents", format!("{}", 1900 + number)),
        member("inStock", "true"),
        member("size", object(vec![member("width", "12.5"), member("height", "7")])),
    ])
}

fn numbers(number: usize, _: Object) -> String {
    let numbers: Vec<_> = (0..16).map(|more| format!("{}.25", number * 31 + more)).collect();
    format!("[{}]", numbers.join(","))
}

fn text(number: usize, _: Object) -> String {
    format!("\"{number}: {}\\n\"", "Gr\u{fc}\u{df}e, a long line of plain text; ".repeat(4))
}

fn deep(number: usize, object: Object) -> String {
    (0..16).fold(number.to_string(), |inner, level| {
        object(vec![member("level", level.to_string()), member("inner", inner)])
    })
}

/// A body of about this size.
fn body(filling: Filling, size: usize, time: u64, last: u64, object: Object) -> Vec<u8> {
    let mut items = Vec::new();
    let mut length = 0;
    while length < size {
        let item = filling(items.len(), object);
        length += item.len();
        items.push(item);
    }
    let members = vec![
        member("timestamp", time.to_string()),
        member("request_id", format!("\"{time:x}\"")),
        member("items", format!("[{}]", items.join(","))),
        member("last", last.to_string()),
    ];
    object(members).into_bytes()
}

fn pair(filling: Filling, size: usize, relation: Relation) -> (Vec<u8>, Vec<u8>) {
    let time = if relation == Relation::Equal { 1_893_456_000_123 } else { 1_893_456_000_987 };
    let last = u64::from(relation == Relation::Late);
    let object = if relation == Relation::Order { reversed } else { in_order };
    (body(filling, size, 1_893_456_000_123, 0, in_order), body(filling, size, time, last, object))
}

fn side(body: &[u8]) -> Side<'_> {
    Side {
        status: 200,
        content_type: Some(b"application/json"),
        content_encoding: Vec::new(),
        body: Body::Whole(body),
        grpc_status: None,
        headers: None,
    }
}

fn ours(one: &[u8], other: &[u8], rules: &Rules) -> bool {
    let mut limits = Limits { max_decoded: 1 << 20, grant: &mut |_| true };
    compare(&side(one), &side(other), rules, &mut limits) == Match::Matched
}

fn values(one: &[u8], other: &[u8]) -> bool {
    let value = |body| serde_json::from_slice(body).map(without_ignored);
    matches!((value(one), value(other)), (Ok(one), Ok(other)) if one == other)
}

fn without_ignored(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(without_ignored).collect(),
        Value::Object(members) => members
            .into_iter()
            .filter(|(key, _)| !["timestamp", "request_id"].contains(&key.as_str()))
            .map(|(key, value)| (key, without_ignored(value)))
            .collect(),
        other => other,
    }
}

fn shape(group: &mut BenchmarkGroup<'_, WallTime>, filling: Filling, size: usize) {
    let rules = Rules::default();
    for (name, relation) in RELATIONS {
        let (one, other) = pair(filling, size, relation);
        let expected = relation != Relation::Late;
        assert_eq!(ours(&one, &other, &rules), expected, "ours: {name}");
        assert_eq!(values(&one, &other), expected, "values: {name}");
        group.throughput(Throughput::Bytes(one.len() as u64));
        group.bench_function(BenchmarkId::new("ours", name), |bencher| {
            bencher.iter(|| ours(black_box(&one), black_box(&other), &rules));
        });
        group.bench_function(BenchmarkId::new("values", name), |bencher| {
            bencher.iter(|| values(black_box(&one), black_box(&other)));
        });
    }
}

/// Makes the second of two answers of the first.
type Changed = fn(&str) -> String;

/// How the second of two answers differs that are looked at in detail.
const CHANGES: [(&str, Changed); 4] = [
    ("value", |body| body.replace("\"last\":0", "\"last\":1")),
    ("renamed", |body| body.replace("\"last\":0", "\"end\":12345").replace("12345", "0")),
    ("moment", |body| body.replace("03:04:05Z", "03:04:05.000+00:00")),
    ("reordered", reordered),
];

fn reordered(body: &str) -> String {
    let (before, rest) = body.split_once('[').unwrap_or_default();
    let (items, behind) = rest.rsplit_once(']').unwrap_or_default();
    let mut items: Vec<_> = items.split("},{").collect();
    items.reverse();
    let last = items.len() - 1;
    let turned = items.iter().enumerate().map(|(at, item)| {
        let item = item.trim_start_matches('{').trim_end_matches('}');
        format!("{{{item}}}{}", if at < last { "," } else { "" })
    });
    format!("{before}[{}]{behind}", turned.collect::<String>())
}

/// What a pair that differs takes: which value it is, what that is, and what is kept of both answers.
fn explained(group: &mut BenchmarkGroup<'_, WallTime>) {
    let rules = Rules::default();
    let flat = |number: usize, object: Object| {
        object(vec![
            member("id", format!("\"p-{number}\"")),
            member("at", "\"2026-01-02T03:04:05Z\""),
            member("price", format!("{number}.25")),
        ])
    };
    let one = body(flat, 4 * 1024, 1, 0, in_order);
    for (name, change) in CHANGES {
        let other = change(&String::from_utf8_lossy(&one)).into_bytes();
        assert!(!looked(&one, &other, &rules), "{name}");
        group.throughput(Throughput::Bytes(one.len() as u64));
        group.bench_function(BenchmarkId::new("looked", name), |bencher| {
            bencher.iter(|| looked(black_box(&one), black_box(&other), &rules));
        });
    }
    group.bench_function("kept", |bencher| {
        bencher.iter(|| compare::kept(black_box(&one), &rules, Stand::Hash, &mut |_| true));
    });
}

fn looked(one: &[u8], other: &[u8], rules: &Rules) -> bool {
    let mut limits = Limits { max_decoded: 1 << 20, grant: &mut |_| true };
    let looked = look_closer(&side(one), &side(other), rules, false, &mut limits);
    looked.result == Match::Matched
}

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600))
        .sample_size(20)
        .configure_from_args();
    for (name, filling) in SHAPES {
        for size in SIZES {
            shape(&mut criterion.benchmark_group(format!("{name}/{size}")), filling, size);
        }
    }
    explained(&mut criterion.benchmark_group("explained/4096"));
    criterion.final_summary();
}
