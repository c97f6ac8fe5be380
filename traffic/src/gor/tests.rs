use std::io::Write as _;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::exchange::{Body, Headers, Moment, Pair};
use crate::made;

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn record(head: &str, message: &str) -> String {
    format!("{head}\n{message}\n🐵🙈🙉\n")
}

fn read(text: &[u8]) -> (Vec<Result<Exchange, ReadError>>, Told) {
    let limits = Limits { exchange: 5000, waiting: 3, headers: 8, ..Limits::default() };
    let mut exchanges = Exchanges::new(text, &limits);
    let all = exchanges.by_ref().collect();
    (all, exchanges.told())
}

/// As the documentation of GoReplay shows one: POST with a body, and its answer.
fn documented() -> String {
    record(
        "1 d7123dasd913jfd21312dasdhas31 127345969 0",
        "POST /post HTTP/1.1\r\nContent-Length: 7\r\nHost: www.w3.org\r\n\r\na=1&b=2",
    ) + &record(
        "2 d7123dasd913jfd21312dasdhas31 127346000 31",
        "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n3\r\nabc\r\n2;e=f\r\nde\r\n0\r\nx: 1\r\n\r\n",
    )
}

#[test]
fn a_request_and_its_answer_are_one_exchange() {
    let (mut all, told) = read(documented().as_bytes());
    assert_eq!((all.len(), told), (1, Told::default()));
    let exchange = all.remove(0).unwrap();
    assert_eq!(exchange.id, "d7123dasd913jfd21312dasdhas31");
    assert_eq!(exchange.at, Moment(127_345_969));
    assert_eq!(exchange.request.method, "POST");
    assert_eq!(exchange.request.target, "/post");
    assert_eq!(exchange.request.version, "1.1");
    assert_eq!(exchange.request.body, Body::Whole("a=1&b=2".into()));
    let answer = exchange.answer.unwrap();
    assert_eq!(answer.status, 201);
    assert_eq!(answer.body, Body::Whole("abcde".into()));
    assert_eq!(answer.trailers, [("x".into(), "1".into())]);
    assert_eq!(answer.latency, Some(Duration::from_nanos(31)));
}

#[test]
fn answers_find_their_requests_among_others() {
    let text = record("1 a 10 77junk", GET)
        + &record("1 b 20", GET)
        + &record("2 b 25 5", &OK.replace("ok", "bb"))
        + &record("3 a 17 7", &OK.replace("ok", "no"))
        + &record("2 x 17 7", OK)
        + &record("2 a 17 7", &OK.replace("ok", "aa"))
        + &record("1 c 30 0", GET)
        + &record("3 c 30 3", &OK.replace("ok", "cc"))
        + &record("1 d 30 0", GET);
    let (all, told) = read(text.as_bytes());
    let bodies: Vec<_> = all
        .iter()
        .map(|it| it.as_ref().unwrap())
        .map(|it| (it.id.as_str(), it.answer.as_ref().map(|it| it.body.whole().unwrap().clone())))
        .collect();
    let some = |text: &'static str| Some(text.into());
    assert_eq!(bodies, [("a", some("aa")), ("b", some("bb")), ("c", some("cc")), ("d", None)]);
    assert_eq!(told, Told { malformed: 0, unasked: 1, replayed: 1, unanswered: 1 });
}

#[test]
fn an_upload_that_was_answered_before_it_was_over_has_its_answer() {
    let text = record("2 a 15 5", OK) + &record("1 b 10 0", GET) + &record("1 a 10 0", GET);
    let (all, told) = read(text.as_bytes());
    let answered = all.iter().map(|it| it.as_ref().unwrap().answer.is_some());
    assert_eq!(answered.collect::<Vec<_>>(), [false, true]);
    assert_eq!(told, Told { malformed: 0, unasked: 0, replayed: 0, unanswered: 1 });
    let many: String = (0..100).map(|at| record(&format!("2 {at} 5 5"), OK)).collect();
    let (all, told) = read((many + &record("1 99 5 0", GET) + &record("1 1 5 0", GET)).as_bytes());
    let answered = all.iter().map(|it| it.as_ref().unwrap().answer.is_some());
    assert_eq!((answered.collect::<Vec<_>>(), told.unasked), (vec![true, false], 99));
}

#[test]
fn no_more_wait_than_are_allowed() {
    let asked: String = (0..10).map(|at| record(&format!("1 {at} 5 0"), GET)).collect();
    let mut exchanges =
        Exchanges::new(asked.as_bytes(), &Limits { waiting: 3, ..Limits::default() });
    assert_eq!(exchanges.next().unwrap().unwrap().id, "0");
    assert_eq!((exchanges.waiting.len(), exchanges.numbers.len()), (3, 3));
    let text = asked + &record("2 0 5 5", OK) + &record("2 9 5 5", OK);
    let (all, told) = read(text.as_bytes());
    assert_eq!((all.len(), told.unasked, told.unanswered), (10, 1, 9));

    let limits = Limits { waiting_bytes: 40, ..Limits::default() };
    let mut exchanges = Exchanges::new(text.as_bytes(), &limits);
    assert!(exchanges.next().unwrap().is_ok());
    assert_eq!(exchanges.waiting.len(), 1);
}

#[test]
fn malformed_records_are_told_and_passed_over() {
    let wrong = [
        ("1 a", GET, "no time"),
        ("9 a 1 0", GET, "type `9`"),
        ("1 a soon 0", GET, "its time"),
        ("1 a 1 0", "GET / HTTP/1.1\r\nHost", "does not end"),
        ("1 a 1 0", "nonsense\r\n\r\n", "its head"),
        ("1 a 1 0", "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", "content-length"),
        ("1 a 1 0", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "chunk"),
        ("1 a 1 0", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", "chunk"),
        ("", "", "no type"),
    ];
    for (head, message, problem) in wrong {
        let text = record(head, message) + &documented();
        let (all, told) = read(text.as_bytes());
        let told_of = all[0].as_ref().unwrap_err().to_string();
        assert!(
            told_of.starts_with("record 1: malformed") && told_of.contains(problem),
            "{told_of}"
        );
        assert!(all[1].is_ok());
        assert_eq!((all.len(), told.malformed), (2, 1));
    }
}

#[test]
fn a_record_that_is_too_long_or_has_no_separator_is_lost_and_told() {
    for long in ["x".repeat(6000), "x\n".repeat(4000)] {
        let text = record("1 a 1 0", &format!("{GET}{long}")) + &documented() + "1 z 5 0\n" + GET;
        let (all, _) = read(text.as_bytes());
        assert_eq!(all.len(), 3);
        assert_eq!(all[0].as_ref().unwrap_err().to_string(), "record 1: longer than 5000 bytes");
        assert!(all[1].is_ok());
        assert!(matches!(all[2].as_ref().unwrap_err().fault, Fault::Torn(_)));
    }
}

#[test]
fn a_file_cut_off_anywhere_gives_what_came_before() {
    let text = documented() + &documented();
    let once = documented().len();
    // The line end of the last separator may be missing.
    for length in 0..text.len() - 1 {
        let (all, _) = read(&text.as_bytes()[..length]);
        let whole = all.iter().flatten().filter(|it| it.answer.is_some()).count();
        assert_eq!(whole, usize::from(length >= once - 1), "{length}");
    }
}

#[test]
fn bodies_that_are_cut_off_were_not_kept() {
    let answered = |message: &str| {
        let (all, _) = read((record("1 a 1 0", GET) + &record("2 a 1 0", message)).as_bytes());
        all.into_iter().next().unwrap().unwrap().answer.unwrap()
    };
    assert_eq!(answered(&OK.replace(": 2", ": 9")).body, Body::NotKept(Some(9)));
    assert_eq!(answered(&OK.replace(": 2", ": 1")).body, Body::Whole("o".into()));
    assert_eq!(
        answered("HTTP/1.1 200 OK\r\n\r\nall the rest\n").body,
        Body::Whole("all the rest\n".into())
    );
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n";
    for cut in ["", "3", "3\r\nab", "3\r\nabc", "3\r\nabc\r\n", "3\r\nabc\r\n0\r\n"] {
        assert_eq!(answered(&format!("{chunked}{cut}")).body, Body::NotKept(None), "{cut:?}");
    }
    let early = format!("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n{OK}");
    assert_eq!(answered(&early).status, 200);
    let unchanged = "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n";
    assert_eq!(answered(unchanged).body, Body::default());
}

#[test]
fn a_gzipped_file_is_read_through_its_decoder() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(documented().as_bytes()).unwrap();
    let text = gzip.finish().unwrap();
    let source = std::io::BufReader::new(flate2::bufread::MultiGzDecoder::new(&text[..]));
    assert_eq!(Exchanges::new(source, &Limits::default()).flatten().count(), 1);
}

#[test]
fn what_can_not_be_said_is_refused_and_counted() {
    let mut writer = Writer::new(Vec::new(), 8);
    let mut refused = |change: fn(&mut Exchange)| {
        let mut exchange = made::plain(1);
        change(&mut exchange);
        match writer.write(&exchange) {
            Err(WriteError::Refused(refusal)) => refusal,
            other => panic!("{other:?}"),
        }
    };
    for body in ["🐵🙈🙉", "a\n🐵🙈🙉\nb", "a\n🐵🙈🙉", "🐵🙈🙉\n"] {
        let whole = Body::Whole(body.into());
        let mut exchange = made::plain(1);
        exchange.request.body = whole;
        let written = Writer::new(Vec::new(), 8).write(&exchange);
        // The first line of a body follows a line end.
        assert!(matches!(written, Err(WriteError::Refused(Refusal::Separator))), "{body}");
    }
    assert_eq!(refused(|it| it.request.body = Body::NotKept(Some(1))), Refusal::NotKept);
    assert_eq!(refused(|it| it.request.target = "/a b".into()), Refusal::Unsayable);
    assert_eq!(refused(|it| it.request.method = "G\r\nX".into()), Refusal::Unsayable);
    assert_eq!(refused(|it| it.request.headers[0].1 = "a\r\nx: y".into()), Refusal::Unsayable);
    assert_eq!(writer.left().refused, 4);

    let mut exchange = made::plain(1);
    exchange.answer.as_mut().unwrap().body = Body::Whole("\n🐵🙈🙉".into());
    writer.write(&exchange).unwrap();
    assert_eq!(writer.left(), Left { refused: 4, answers: 1, trailers: 0 });
    let text = writer.into_inner();
    let (all, _) = read(&text);
    assert_eq!(all[0].as_ref().unwrap().answer, None);
}

#[test]
fn a_body_that_only_has_the_separator_in_it_is_written() {
    let mut exchange = made::plain(1);
    exchange.request.body = Body::Whole("a 🐵🙈🙉 b\n🐵🙈🙉c".into());
    let mut writer = Writer::new(Vec::new(), 8);
    writer.write(&exchange).unwrap();
    let (all, _) = read(&writer.into_inner());
    assert_eq!(all[0].as_ref().unwrap().request.body, exchange.request.body);
}

#[test]
fn chunks_become_a_length_and_a_candidates_answer_a_replayed_one() {
    let (mut all, _) = read(documented().as_bytes());
    let mut exchange = all.remove(0).unwrap();
    exchange.pair = Some(Pair { answer: exchange.answer.clone(), ..Pair::default() });
    let mut writer = Writer::new(Vec::new(), 8);
    writer.write(&exchange).unwrap();
    assert_eq!(writer.left().trailers, 2);
    let text = String::from_utf8(writer.into_inner()).unwrap();
    assert!(text.contains("\r\nContent-Length: 5\r\n") && !text.contains("chunked"), "{text}");
    let id = "d7123dasd913jfd21312dasdhas31";
    assert!(text.contains(&format!("\n🐵🙈🙉\n2 {id} 127346000 31\nHTTP/1.1 201 \r\n")), "{text}");
    assert!(text.contains(&format!("\n🐵🙈🙉\n3 {id} 127346000 31\nHTTP/1.1 201 \r\n")), "{text}");
}

/// What the format can say: HTTP/1, lengths, latencies of the same clock.
fn sayable() -> impl Strategy<Value = Exchange> {
    let headers = || {
        let line =
            ("X-[A-Za-z]{1,4}", "[!-~]{0,3}").prop_map(|(name, value)| (name.into(), value.into()));
        vec(line, 0..4)
    };
    let answer = (200u16..600, headers(), vec(any::<u8>(), 0..40), option::of(1u64..1_000_000));
    let request = (
        "[A-Z]{1,7}",
        "/[!-~]{0,12}",
        prop_oneof![Just("1.0"), Just("1.1")],
        headers(),
        vec(any::<u8>(), 0..40),
    );
    ("[0-9a-f]{24}", 0..u64::MAX / 2, request, option::of(answer)).prop_map(
        |(id, at, request, answer)| {
            let (method, target, version, mut headers, body) = request;
            length(&mut headers, &body);
            let request = Request {
                method: method.into(),
                target: target.into(),
                version: version.into(),
                headers,
                body: Body::Whole(body.into()),
            };
            let answer = answer.map(|(status, mut headers, body, latency)| {
                let bodiless = message::has_no_body(status, &request.method);
                let body = if bodiless { Vec::new() } else { body };
                length(&mut headers, &body);
                let latency = latency.map(Duration::from_nanos);
                Answer {
                    status,
                    headers,
                    body: Body::Whole(body.into()),
                    latency,
                    ..Answer::default()
                }
            });
            Exchange { id, at: Moment(at), request, answer, ..Exchange::default() }
        },
    )
}

fn length(headers: &mut Headers, body: &[u8]) {
    headers.insert(0, ("Content-Length".into(), body.len().to_string().into()));
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_it_was(mut exchanges in vec(sayable(), 0..5)) {
        for (at, exchange) in exchanges.iter_mut().enumerate() {
            exchange.id.push_str(&at.to_string());
        }
        let mut writer = Writer::new(Vec::new(), 8);
        for exchange in &exchanges {
            writer.write(exchange).unwrap();
        }
        prop_assert_eq!(writer.left(), Left::default());
        let text = writer.into_inner();
        let read: Result<Vec<_>, _> = Exchanges::new(&text[..], &Limits::default()).collect();
        prop_assert_eq!(read.unwrap(), exchanges);
    }

    #[test]
    fn what_was_written_of_anything_is_read_without_errors(exchanges in vec(made::exchange(), 0..5)) {
        let mut writer = Writer::new(Vec::new(), 8);
        let written = exchanges.iter().filter(|it| writer.write(it).is_ok()).count();
        let text = writer.into_inner();
        let read: Vec<_> = Exchanges::new(&text[..], &Limits { headers: 8, ..Limits::default() }).collect();
        prop_assert!(read.iter().all(Result::is_ok));
        prop_assert_eq!(read.len(), written);
    }

    #[test]
    fn no_bytes_make_it_panic(text: Vec<u8>, head in "[123] [ab] [0-9 ]{0,3}\n[A-Z/ .0-9\r\n]{0,20}") {
        read(&text);
        read(record(&head, "").as_bytes());
    }
}
