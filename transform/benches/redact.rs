//! What redaction costs on a copy of 4 KiB of JSON: by names, by looks, and both, in each way.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use compare::Limits;
use compare::path::Path;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use transform::CopyRequest;
use transform::parts::json::Select;
use transform::redact::detect::{Kinds, hits};
use transform::redact::{Key, Policy, Rule, Way};

fn copy(mail: &str) -> CopyRequest {
    let item = |index: usize| {
        format!(
            "{{\"sku\":\"p-{index}\",\"name\":\"NVMe SSD {index}TB\",\"price\":1{index}9.90,\"tags\":[\"a\",\"b\"],\
             \"note\":\"deliver to the back door\",\"stock\":{{\"here\":{index},\"there\":0}}}}"
        )
    };
    let items: Vec<_> = (0..31).map(item).collect();
    let body = format!(
        "{{\"user\":{{\"id\":7,\"email\":\"{mail}\",\"phone\":\"none\",\"card\":\"4111 1111 1111 1111\"}},\
         \"items\":[{}]}}",
        items.join(",")
    );
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("content-type", "application/json"),
        ("authorization", "Bearer 0123456789abcdef0123456789abcdef"),
        ("cookie", "sid=abc; lang=de"),
        (
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120.0.0.0 Safari/537.36",
        ),
        ("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"),
        ("x-forwarded-for", "192.0.2.7"),
        ("x-request-id", "0123456789"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    CopyRequest {
        method: Method::POST,
        path: "/shop/orders/7".to_owned(),
        query: Some("email=ann%40example.com&q=1".to_owned()),
        host: None,
        headers,
        body: Some(Bytes::from(body)),
    }
}

/// A rule for a value that each of the 31 items has.
fn each(way: &Way) -> Vec<Rule> {
    let mut rules = rules(way);
    rules[0].json.push(Select::Path(Path::parse("$.items[*].note").expect("it is one")));
    rules
}

fn rules(way: &Way) -> Vec<Rule> {
    let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let keys = ["email", "phone", "card", "iban", "ssn", "address", "birthday", "token"];
    let mut json: Vec<_> = keys.map(|key| Select::Key(key.to_owned())).into();
    json.push(Select::Path(Path::parse("$.user.name").expect("it is one")));
    json.push(Select::Path(Path::parse("$..ssn").expect("it is one")));
    vec![Rule {
        name: "personal".into(),
        headers: vec![HeaderName::from_static("authorization"), HeaderName::from_static("x-user")],
        cookies: texts(&["sid"]),
        query: texts(&["email", "phone"]),
        form: texts(&["email", "phone"]),
        json,
        way: way.clone(),
    }]
}

fn redaction(c: &mut Criterion) {
    let key = Arc::new(Key::new(&[7; 32]).expect("it is long enough"));
    let (hash, shape) = (Way::Hash(Arc::clone(&key)), Way::Shape(key));
    let size = copy("ann@example.com").body.map_or(0, |body| body.len());
    let of = |way: &Way, copies| Policy::new(rules(way), Kinds::ALL, copies, way.clone());
    let looks = |way: &Way| Policy::new(Vec::new(), Kinds::ALL, Kinds::ALL, way.clone());
    for (name, policy, mail) in [
        ("nothing", Policy::default(), "ann@example.com"),
        ("names, mask", of(&Way::Mask, Kinds::NONE), "ann@example.com"),
        ("names, remove", of(&Way::Remove, Kinds::NONE), "ann@example.com"),
        ("names, hash", of(&hash, Kinds::NONE), "ann@example.com"),
        ("names, shape", of(&shape, Kinds::NONE), "ann@example.com"),
        (
            "31 values more, hash",
            Policy::new(each(&hash), Kinds::ALL, Kinds::NONE, Way::Mask),
            "ann@example.com",
        ),
        ("looks, hash", looks(&hash), "ann@example.com"),
        ("both, hash", of(&hash, Kinds::ALL), "ann@example.com"),
        ("both, shape", of(&shape, Kinds::ALL), "ann@example.com"),
        ("both, escaped", of(&hash, Kinds::ALL), "ann\\u0040example.com"),
    ] {
        c.bench_function(&format!("{name}/{size}"), |b| {
            b.iter_batched(
                || copy(mail),
                |mut copy| {
                    let mut limits = Limits { max_decoded: 1 << 20, grant: &mut |_| true };
                    policy.redact(&mut copy, &[], &mut limits).expect("it is JSON");
                    black_box(copy)
                },
                BatchSize::SmallInput,
            );
        });
    }
    let body = copy("none").body.unwrap_or_default();
    let plain: Vec<u8> = body.iter().copied().filter(|byte| *byte != b'4').collect();
    c.bench_function(&format!("detectors alone/{}", plain.len()), |b| {
        b.iter(|| hits(black_box(&plain), Kinds::ALL).count());
    });
}

criterion_group!(benches, redaction);
criterion_main!(benches);
