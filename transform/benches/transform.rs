//! What a copy of 4 KiB costs: one step that looks at its target and headers, and steps that change its JSON.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use compare::Limits;
use compare::path::Path;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue, Method};
use transform::CopyRequest;
use transform::identity::answers::{self, Page};
use transform::identity::{Identity, InAnswer, InRequest, copies};
use transform::parts::json::Select;
use transform::steps::{
    Action, Change, JsonChange, JsonWhat, Names, Otherwise, Transform, What, apply,
};
use transform::value::{About, Secret, Template};

fn copy() -> CopyRequest {
    let item = |index: usize| {
        format!(
            "{{\"sku\":\"p-{index}\",\"name\":\"NVMe SSD {index}TB\",\"price\":1{index}9.90,\"tags\":[\"a\",\"b\"],\
             \"note\":\"deliver to the back door\",\"stock\":{{\"here\":{index},\"there\":0}}}}"
        )
    };
    let items: Vec<_> = (0..32).map(item).collect();
    let body = format!(
        "{{\"user\":{{\"id\":7,\"mail\":\"a@b.example\"}},\"items\":[{}]}}",
        items.join(",")
    );
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("content-type", "application/json"),
        ("authorization", "Bearer mine"),
        ("cookie", "sid=abc; lang=de"),
        ("user-agent", "curl/8"),
        ("accept", "*/*"),
        ("x-request-id", "0123456789"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    CopyRequest {
        method: Method::POST,
        path: "/shop/orders".to_owned(),
        query: Some("utm_source=x&q=1".to_owned()),
        host: None,
        headers,
        body: Some(Bytes::from(body)),
    }
}

fn step(action: Action) -> Arc<Transform> {
    Arc::new(Transform { name: "it".into(), action, otherwise: Otherwise::Unsent })
}

fn json(path: &str, what: JsonWhat) -> Arc<Transform> {
    let path = Path::parse(path).expect("it is one");
    let parent = path.parent().map(|(path, name)| (Select::Path(path), name));
    step(Action::Json(JsonChange { select: Select::Path(path), parent, what }))
}

fn head() -> Vec<Arc<Transform>> {
    let secret = &mut |name: &str| Ok(Secret::new(name, "s3cret"));
    let token = Template::parse("Bearer {secret.v2}", secret).expect("it is one");
    let names = Names::Exact("authorization".to_owned());
    vec![
        step(Action::PathPrefix { from: "/shop".to_owned(), to: "/v2/shop".to_owned() }),
        step(Action::Header(Change { names, what: What::Set(token) })),
        step(Action::Query(Change { names: Names::Prefix("utm_".to_owned()), what: What::Remove })),
    ]
}

fn transforms(c: &mut Criterion) {
    let size = copy().body.map_or(0, |body| body.len());
    let rename = || json("$.items[*].sku", JsonWhat::Rename("article".to_owned()));
    let remove = || json("$..note", JsonWhat::Remove);
    let set = || json("$.channel", JsonWhat::SetJson("7".to_owned()));
    for (name, steps) in [
        ("nothing", vec![]),
        ("head", head()),
        ("rename", vec![rename()]),
        ("remove everywhere", vec![remove()]),
        ("three of json", vec![rename(), remove(), set()]),
        ("all", [head(), vec![rename(), remove(), set()]].concat()),
    ] {
        c.bench_function(&format!("{name}/{size}"), |b| {
            b.iter_batched(
                copy,
                |mut copy| {
                    let about = About { route: "orders", candidate: "v2", request_id: "r" };
                    let mut grant = |_| true;
                    let mut limits = Limits { max_decoded: 1 << 20, grant: &mut grant };
                    let steps = steps.iter().map(|step| &**step);
                    apply(steps, &mut copy, &about, &mut limits, None).expect("it fits");
                    black_box(copy)
                },
                BatchSize::SmallInput,
            );
        });
    }
}

/// Ids in the target, a cookie and 33 places of the body, all of them known.
fn identities(c: &mut Criterion) {
    let copy_size = copy().body.map_or(0, |body| body.len());
    let places = ["path:/shop/{id}", "cookie:sid", "json:$.user.id", "json:$.items[*].sku"];
    let replace = places.map(|it| InRequest::parse(it).expect("it is one")).into();
    let learn = ["json:$.user.id", "json:$.items[*].sku", "location"];
    let learn = learn.map(|it| InAnswer::parse(it).expect("it is one")).into();
    let identity = Identity { name: "it".into(), learn, equal: Vec::new(), replace };
    let identities = [Arc::new(identity)];
    let mut known = |_: usize, value: &[u8]| Some([value, b"x"].concat().into());
    c.bench_function(&format!("ids put in/{copy_size}"), |b| {
        b.iter_batched(
            copy,
            |mut copy| {
                let mut grant = |_| true;
                let mut limits = Limits { max_decoded: 1 << 20, grant: &mut grant };
                copies::replace(&identities, &mut copy, &mut known, &mut limits);
                black_box(copy)
            },
            BatchSize::SmallInput,
        );
    });
    let headers = HeaderMap::new();
    let body = copy().body.expect("it has one");
    let page = Page { headers: &headers, body: Some(&body) };
    c.bench_function(&format!("ids read/{copy_size}"), |b| {
        b.iter(|| black_box(answers::learnable(&identities, page, &mut |_| true)));
    });
    c.bench_function(&format!("ids taken back/{copy_size}"), |b| {
        b.iter(|| {
            black_box(answers::taken_back(&identities, [page; 2], &mut known, &mut |_| true))
        });
    });
}

criterion_group!(benches, transforms, identities);
criterion_main!(benches);
