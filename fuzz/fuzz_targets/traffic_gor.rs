//! A file of GoReplay: whatever it is, no more wait than are allowed, and what was read and can be written
//! is read as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use traffic::{Body, Exchange, Headers, Limits, gor};

const LIMITS: Limits =
    Limits { exchange: 2000, headers: 16, waiting: 4, waiting_bytes: 3000, window_log: 20 };

fuzz_target!(|data: &[u8]| {
    let mut exchanges = gor::Exchanges::new(data, &LIMITS);
    let read: Vec<_> = exchanges.by_ref().collect();
    let wrong = read.iter().filter(|it| it.is_err()).count();
    assert_eq!(exchanges.told().malformed, wrong as u64);

    // One line more than was read: the length may be added.
    let mut writer = gor::Writer::new(Vec::new(), LIMITS.headers + 1);
    let read = read.into_iter().flatten();
    let kept: Vec<Exchange> = read.filter(|it| writer.write(it).is_ok()).collect();
    let left = writer.left();
    let text = writer.into_inner();
    let larger = Limits { exchange: 1 << 20, headers: 17, waiting: 1000, ..Limits::default() };
    let mut answers = 0;
    let mut again = gor::Exchanges::new(&text[..], &larger);
    for (before, after) in kept.iter().zip(again.by_ref()) {
        let after = after.expect("what was written can be read");
        same(before, &after);
        answers += u64::from(before.answer.is_some()) - u64::from(after.answer.is_some());
    }
    assert!(again.next().is_none(), "an exchange was made up");
    assert_eq!(answers, left.answers, "an answer was left out untold");
});

fn same(before: &Exchange, after: &Exchange) {
    assert_eq!(before.at, after.at);
    let (asked, again) = (&before.request, &after.request);
    assert_eq!((&asked.method, &asked.target), (&again.method, &again.target));
    assert_eq!((&asked.version, &asked.body), (&again.version, &again.body));
    assert_eq!(without_framing(&asked.headers), without_framing(&again.headers));
    if let (Some(answer), Some(again)) = (&before.answer, &after.answer) {
        assert_eq!((answer.status, &answer.body), (again.status, &again.body));
        assert_eq!(answer.latency, again.latency);
        assert_eq!(without_framing(&answer.headers), without_framing(&again.headers));
        assert_ne!(again.body, Body::NotKept(None), "chunks were written");
    }
}

fn without_framing(headers: &Headers) -> Headers {
    let framing = ["content-length", "transfer-encoding"];
    let is_framing =
        |name: &[u8]| framing.iter().any(|it| name.eq_ignore_ascii_case(it.as_bytes()));
    headers.iter().filter(|(name, _)| !is_framing(name)).cloned().collect()
}
