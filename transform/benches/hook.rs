//! What a hook costs a copy of 4 KiB: nothing, its target, a header, and its JSON.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue, Method};
use transform::CopyRequest;
use transform::hook::{About, Hook, Limits};

const SCRIPTS: [(&str, &str); 5] = [
    ("nothing", ""),
    ("path", "copy.path = \"/v2\" + copy.path;"),
    ("header", "if copy.headers[\"x-tenant\"] == \"acme\" { drop(\"acme\"); }"),
    ("rename", "copy.json.rename(\"name\", \"full_name\");"),
    ("prices", "for item in copy.json.items { item.price = round(item.price, 2); }"),
];

fn copy() -> CopyRequest {
    let item = |index: usize| {
        format!(
            "{{\"sku\":\"p-{index}\",\"name\":\"NVMe SSD {index}TB\",\"price\":1{index}9.905,\"tags\":[\"a\",\"b\"],\
             \"note\":\"deliver to the back door, and ring the bell twice, please; thank you\",\"stock\":{{\"here\":{index}}}}}"
        )
    };
    let items: Vec<_> = (0..24).map(item).collect();
    let body = format!("{{\"name\":\"a customer\",\"items\":[{}]}}", items.join(","));
    let mut headers = HeaderMap::new();
    for (name, value) in
        [("content-type", "application/json"), ("x-tenant", "other"), ("accept", "*/*")]
    {
        headers.insert(name, HeaderValue::from_static(value));
    }
    CopyRequest {
        method: Method::POST,
        path: "/shop/orders".to_owned(),
        query: None,
        host: None,
        headers,
        body: Some(Bytes::from(body)),
    }
}

fn limits() -> Limits {
    let (over, grant) = (Arc::new(|| false), Box::new(|_| true));
    Limits { steps: 100_000, bytes: 16 << 20, over, grant }
}

fn hooks(criterion: &mut Criterion) {
    let about = About { route: "POST /shop/orders", candidate: "v2" };
    for (name, body) in SCRIPTS {
        let hook =
            Hook::compile(name, &format!("fn pre(copy) {{ {body} }}"), &[]).expect("it is good");
        criterion.bench_function(&format!("hook_{name}"), |bencher| {
            bencher.iter_batched(
                copy,
                |mut copy| {
                    let said = hook.pre(&mut copy, about, limits());
                    black_box(said.is_ok_and(|_| copy.body.is_some()))
                },
                BatchSize::SmallInput,
            );
        });
    }
}

criterion_group!(benches, hooks);
criterion_main!(benches);
