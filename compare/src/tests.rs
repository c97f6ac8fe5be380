//! The rules of the comparison, one by one.

use std::io::Write;

use super::*;

pub(super) mod bodies;
pub(super) mod differences;
mod explained;
pub(super) mod hidden;
mod hostile;

pub(super) fn side(body: &[u8]) -> Side<'_> {
    Side {
        status: 200,
        content_type: None,
        content_encoding: Vec::new(),
        grpc_status: None,
        headers: None,
        body: Body::Whole(body),
    }
}

fn result_of(ours: &Side<'_>, theirs: &Side<'_>) -> Match {
    verdict_with(ours, theirs, 1 << 24, &mut |_| true)
}

pub(super) fn verdict_with(
    ours: &Side<'_>,
    theirs: &Side<'_>,
    max_decoded: usize,
    grant: &mut dyn FnMut(usize) -> bool,
) -> Match {
    compare(ours, theirs, &Rules::default(), &mut Limits { max_decoded, grant })
}

pub(super) fn result(ours: impl AsRef<[u8]>, theirs: impl AsRef<[u8]>) -> Match {
    result_of(&side(ours.as_ref()), &side(theirs.as_ref()))
}

#[track_caller]
fn matched(ours: impl AsRef<[u8]>, theirs: impl AsRef<[u8]>) {
    assert_eq!(result(ours.as_ref(), theirs.as_ref()), Match::Matched);
    assert_eq!(result(theirs.as_ref(), ours.as_ref()), Match::Matched);
}

#[track_caller]
fn mismatched(ours: impl AsRef<[u8]>, theirs: impl AsRef<[u8]>) {
    assert_eq!(result(ours.as_ref(), theirs.as_ref()), Match::Mismatched);
    assert_eq!(result(theirs.as_ref(), ours.as_ref()), Match::Mismatched);
}

#[test]
fn grpc_is_compared_by_its_status_and_by_every_byte_of_its_messages() {
    fn call<'a>(status: &'a [u8], body: &'a [u8]) -> Side<'a> {
        let content_type = Some(&b"application/grpc+proto"[..]);
        Side { content_type, grpc_status: Some(status), ..side(body) }
    }
    let message = b"\0\0\0\0\x02\x08\x20";
    assert_eq!(result_of(&call(b"0", message), &call(b"0", message)), Match::Matched);
    assert_eq!(result_of(&call(b"0", message), &call(b"13", message)), Match::Mismatched);
    // 32 and 10, which are a space and a line feed to a text.
    let other = b"\0\0\0\0\x02\x08\x0a";
    assert_eq!(result_of(&call(b"0", message), &call(b"0", other)), Match::Mismatched);
    let unfinished = Side { grpc_status: None, ..call(b"0", message) };
    assert_eq!(result_of(&call(b"0", message), &unfinished), Match::Mismatched);
    assert!(!same_bytes(&call(b"0", message), &unfinished, &Rules::default()));
    let large = |status| Side { body: hashed(message, Cause::TooLarge), ..call(status, b"") };
    assert_eq!(result_of(&large(b"0"), &large(b"0")), Match::Matched);
    assert_eq!(result_of(&large(b"0"), &large(b"13")), Match::Mismatched);
}

#[test]
fn a_different_status_is_a_mismatch_whatever_the_bodies() {
    let other = Side { status: 201, ..side(b"{}") };
    assert_eq!(result_of(&side(b"{}"), &other), Match::Mismatched);
}

#[test]
fn the_order_of_keys_does_not_matter_that_of_elements_does() {
    matched(r#"{"a":1,"b":{"c":2,"d":3}}"#, r#"{ "b" : {"d":3,"c":2}, "a":1 }"#);
    mismatched("[1,2]", "[2,1]");
    mismatched("[1,2]", "[1,2,3]");
    mismatched(r#"{"a":1}"#, r#"{"a":1,"b":2}"#);
    mismatched(r#"{"a":{}}"#, r#"{"a":[]}"#);
    mismatched(r#"{"a":null}"#, "{}");
}

#[test]
fn a_body_is_json_if_it_parses_whatever_its_content_type_says() {
    let html = Side { content_type: Some(b"text/html"), ..side(b"{\"a\":1,\"b\":2}") };
    assert_eq!(result_of(&html, &side(b"{\"b\":2,\"a\":1}")), Match::Matched);
    mismatched("{a:1,b:2}", "{b:2,a:1}");
}

#[test]
fn ignored_keys_leave_no_trace_at_any_depth_in_any_case() {
    matched(r#"{"timestamp":1,"a":[{"traceId":"x"}]}"#, r#"{"timestamp":2,"a":[{}]}"#);
    matched(r#"{"Request_ID":{"deep":[1]}}"#, r#"{"requestId":2}"#);
    matched(r#"{"times\u0074amp":1}"#, "{}");
    mismatched(r#"{"timestamps":1}"#, r#"{"timestamps":2}"#);
}

#[test]
fn a_masked_key_equals_any_value_but_must_be_on_both_sides() {
    matched(r#"{"email":"a@x"}"#, r#"{"email":{"other":[1]}}"#);
    matched(r#"{"Email":"a@x","b":1}"#, r#"{"b":1,"EMAIL":null}"#);
    mismatched(r#"{"email":"a@x"}"#, "{}");
    mismatched(r#"{"email":1,"email":2}"#, r#"{"email":1}"#);
}

#[test]
fn other_keys_are_matched_exactly() {
    mismatched(r#"{"A":1}"#, r#"{"a":1}"#);
    matched(r#"{"\u0061":1}"#, r#"{"a":1}"#);
}

#[test]
fn with_duplicate_keys_all_values_count() {
    mismatched(r#"{"a":1,"a":2}"#, r#"{"a":2}"#);
    mismatched(r#"{"a":1,"a":2}"#, r#"{"a":1}"#);
    matched(r#"{"a":1,"b":0,"a":2}"#, r#"{"b":0,"a":1,"a":2}"#);
    mismatched(r#"{"a":1,"a":2}"#, r#"{"a":2,"a":1}"#);
    // Many of them, too many for a sort that only happens to keep their order.
    let values: Vec<_> = (0..1000).map(|n| format!("\"a\":{n}")).collect();
    let others: Vec<_> = (0..1000).map(|n| format!("\"b{n}\":0")).collect();
    let mixed: Vec<_> = values.iter().zip(&others).map(|(a, b)| format!("{b},{a}")).collect();
    matched(
        format!("{{{}}}", mixed.join(",")),
        format!("{{{},{}}}", values.join(","), others.join(",")),
    );
}

#[test]
fn strings_are_equal_when_they_stand_for_the_same_text() {
    matched(r#"["\u00e9\n\/\ud83d\ude00"]"#, "[\"é\\u000a/😀\"]");
    mismatched(r#"["\ud83d"]"#, r#"["\ud83e"]"#);
    mismatched(r#"["\ud83d"]"#, r#"["\ufffd"]"#);
    mismatched(r#"["a"]"#, r#"["a "]"#);
}

#[test]
fn numbers_are_equal_when_their_exact_values_are() {
    matched("[1,100,0]", "[1.0,1e2,-0]");
    mismatched("[0.1]", "[0.10000000000000001]");
}

#[test]
fn what_is_not_json_is_compared_as_bytes_without_white_space_at_the_ends() {
    matched(" plain text\r\n", "plain text");
    mismatched("plain  text", "plain text");
    matched("", "\n");
    // Form feed is white space, but none of JSON's.
    mismatched("\u{c}{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}");
    mismatched(b"\xff", b"\xfe");
    mismatched(b"[\"\xff\",1]", b"[\"\xff\", 1]");
    for not_json in [
        "[1,]",
        "{\"a\"}",
        "01",
        "+1",
        "1.",
        ".5",
        "[1 2]",
        "nul",
        "\"\t\"",
        "\"\\x\"",
        "\"\\u12g4\"",
        "{} {}",
        "[",
        "]",
        "{\"a\":1,}",
        "\u{feff}{}",
        "1e",
        "-",
        "{1:2}",
        "[1}",
        "{\"a\":1]",
    ] {
        mismatched(not_json, format!("{not_json} x"));
        // As JSON these would be equal; as bytes they are not.
        mismatched(format!("[1,{not_json}]"), format!("[1, {not_json}]"));
    }
}

fn hashed(body: &[u8], cause: Cause) -> Body<'static> {
    Body::Hashed { length: body.len() as u64, hash: hash(body), cause }
}

#[test]
fn a_body_over_the_cap_is_matched_by_length_and_hash_of_the_body_as_sent() {
    let big = Side { body: hashed(b"[1]", Cause::TooLarge), ..side(b"") };
    assert_eq!(result_of(&big, &big), Match::Matched);
    assert_eq!(result_of(&big, &side(b"[1]")), Match::Matched);
    assert_eq!(result_of(&big, &side(b"[1] ")), Match::Mismatched);
}

#[test]
fn json_over_the_cap_that_differs_is_too_large_to_tell() {
    for content_type in
        ["application/json", "Application/JSON; charset=utf-8", "application/problem+json"]
    {
        let content_type = Some(content_type.as_bytes());
        let big = Side { body: hashed(b"[1]", Cause::TooLarge), content_type, ..side(b"") };
        let other = Side { content_type, ..side(b"[2]") };
        assert_eq!(result_of(&big, &other), Match::ResponseTooLarge);
    }
    let content_type = Some(&b"application/jsonp"[..]);
    let big = Side { body: hashed(b"[1]", Cause::TooLarge), content_type, ..side(b"") };
    assert_eq!(result_of(&big, &side(b"[2]")), Match::Mismatched);
}

#[test]
fn an_empty_side_or_one_that_is_no_json_differs_from_json_over_the_cap_for_certain() {
    let content_type = Some(&b"application/json"[..]);
    let big = Side { body: hashed(b"[1]", Cause::TooLarge), content_type, ..side(b"") };
    for other in [&b""[..], b"  \n", b"<html>", b"Internal error"] {
        let other = Side { content_type, ..side(other) };
        assert_eq!(result_of(&big, &other), Match::Mismatched);
        assert_eq!(result_of(&other, &big), Match::Mismatched);
    }
}

#[test]
fn what_did_not_fit_into_the_budget_is_matched_by_hash_or_not_judged() {
    let unkept = Side { body: hashed(b"[1]", Cause::NoBudget), ..side(b"") };
    assert_eq!(result_of(&unkept, &side(b"[1]")), Match::Matched);
    assert_eq!(result_of(&unkept, &side(b"[2]")), Match::BufferFull);
    let either = Side { body: hashed(b"[2]", Cause::TooLarge), ..side(b"") };
    assert_eq!(result_of(&either, &unkept), Match::BufferFull);
    assert_eq!(result_of(&unkept, &either), Match::BufferFull);
    let (ours, theirs) = (side(b"{\"a\":1,\"b\":2}"), side(b"{\"b\":2,\"a\":1}"));
    let result = verdict_with(&ours, &theirs, 100, &mut |_| false);
    assert_eq!(result, Match::BufferFull);
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn zlib(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn deflate(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn zstd(plain: &[u8]) -> Vec<u8> {
    zstd::encode_all(plain, 0).unwrap()
}

/// A body in every encoding that there is an encoder for, with the encoding's name.
pub(super) fn coded(plain: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("gzip", gzip(plain)),
        ("deflate", zlib(plain)),
        ("deflate", deflate(plain)),
        ("zstd", zstd(plain)),
        ("zstd, gzip", gzip(&zstd(plain))),
        ("br", BROTLI.to_vec()),
    ]
}

/// `{"a":1,"b":2}` by the reference encoder.
const BROTLI: &[u8] = b"\x0b\x06\x80\x7b\x22\x61\x22\x3a\x31\x2c\x22\x62\x22\x3a\x32\x7d\x03";

#[test]
fn content_encodings_are_undone_first() {
    let plain = side(b"{\"b\":2,\"a\":1}");
    let text = b"{\"a\":1,\"b\":2}";
    let encoded: [(&[u8], Vec<u8>); 8] = [
        (b"gzip", gzip(text)),
        (b"X-GZIP", gzip(text)),
        (b"deflate", zlib(text)),
        (b"deflate", deflate(text)),
        (b"br", BROTLI.to_vec()),
        (b"zstd", zstd(text)),
        (b"zstd, gzip", gzip(&zstd(text))),
        (b"identity", text.to_vec()),
    ];
    for (name, body) in &encoded {
        let coded = Side { content_encoding: vec![name], ..side(body) };
        let name = String::from_utf8_lossy(name);
        assert_eq!(result_of(&coded, &plain), Match::Matched, "{name}");
        assert_eq!(result_of(&plain, &coded), Match::Matched, "{name}");
    }
}

/// The result on a coded body and a plain one that is equal once decoded, but not as sent.
fn decoded(name: &str, body: &[u8]) -> Match {
    let coded = Side { content_encoding: vec![name.as_bytes()], ..side(body) };
    result_of(&coded, &side(b"{\"b\":2,\"a\":1}"))
}

#[test]
fn a_coded_body_is_broken_when_it_is_cut_or_when_anything_is_behind_its_end() {
    for (name, body) in coded(b"{\"a\":1,\"b\":2}") {
        assert_eq!(decoded(name, &body), Match::Matched, "{name}");
        assert_eq!(decoded(name, &body[..body.len() - 1]), Match::Mismatched, "{name}, cut");
        let longer = [&body[..], b"more"].concat();
        assert_eq!(decoded(name, &longer), Match::Mismatched, "{name}, longer");
    }
}

#[test]
fn encodings_are_undone_from_the_last_to_the_first_over_all_header_lines() {
    let text = b"{\"a\":1,\"b\":2}";
    let plain = side(b"{\"b\":2,\"a\":1}");
    let lines = vec![&b"zstd ,identity"[..], b" deflate,, GZip"];
    let body = gzip(&zlib(&zstd(text)));
    let coded = Side { content_encoding: lines.clone(), ..side(&body) };
    assert_eq!(result_of(&coded, &plain), Match::Matched);
    let body = zstd(&zlib(&gzip(text)));
    let coded = Side { content_encoding: lines, ..side(&body) };
    assert_eq!(result_of(&coded, &plain), Match::Mismatched);
}

#[test]
fn more_than_five_encodings_are_not_undone() {
    let layers =
        |count: usize| (0..count).fold(b"{\"a\":1,\"b\":2}".to_vec(), |body, _| gzip(&body));
    assert_eq!(decoded(&["gzip"; 5].join(","), &layers(5)), Match::Matched);
    assert_eq!(decoded(&["gzip"; 6].join(","), &layers(6)), Match::Mismatched);
}

#[test]
fn windows_above_what_the_encodings_allow_are_refused() {
    // `[]` behind a header that asks for a window of 1 GiB ("large window").
    let brotli = b"\x11\x1e\x02\x00\x02[]\x03";
    // A frame that asks for 128 MiB, with one raw last block of two bytes.
    let zstd = b"\x28\xb5\x2f\xfd\x00\x88\x11\x00\x00[]";
    for (name, body) in [("br", &brotli[..]), ("zstd", zstd)] {
        let mut granted = 0;
        let mut grant = |bytes: usize| {
            granted += bytes;
            true
        };
        let coded = Side { content_encoding: vec![name.as_bytes()], ..side(body) };
        let result = verdict_with(&coded, &side(b"[ ]"), 1 << 20, &mut grant);
        assert_eq!((result, granted), (Match::Mismatched, 0), "{name}");
    }
    // The same frame with a window of 8 MiB.
    let zstd = b"\x28\xb5\x2f\xfd\x00\x68\x11\x00\x00[]";
    let coded = Side { content_encoding: vec![b"zstd"], ..side(zstd) };
    assert_eq!(result_of(&coded, &side(b"[ ]")), Match::Matched);
}

#[test]
fn equal_bytes_under_different_encodings_are_different_bodies() {
    let body = gzip(b"{\"a\":1,\"b\":2}");
    let coded = Side { content_encoding: vec![b"gzip"], ..side(&body) };
    assert_eq!(result_of(&coded, &side(&body)), Match::Mismatched);
    assert_eq!(result_of(&side(&body), &coded), Match::Mismatched);
    assert!(!same_bytes(&coded, &side(&body), &Rules::default()));
    assert!(same_bytes(&coded, &coded, &Rules::default()));
    assert!(!same_bytes(&coded, &Side { status: 404, ..coded.clone() }, &Rules::default()));
    let empty = Side { content_encoding: vec![b"gzip"], ..side(b"") };
    assert_eq!(result_of(&empty, &side(b"")), Match::Matched);
}

#[test]
fn what_cannot_be_decoded_is_compared_as_sent() {
    let broken = Side { content_encoding: vec![b"gzip"], ..side(b"no gzip") };
    let same = Side { content_encoding: vec![b"GZIP"], ..side(b"no gzip") };
    assert_eq!(result_of(&broken, &same), Match::Matched);
    let other = Side { content_encoding: vec![b"gzip"], ..side(b"no gzip either") };
    assert_eq!(result_of(&broken, &other), Match::Mismatched);
    let unknown = Side { content_encoding: vec![b"sdch"], ..side(b"xyz") };
    assert_eq!(result_of(&unknown, &side(b"abc")), Match::Mismatched);
}

#[test]
fn a_label_that_does_not_fit_its_body_differs_from_one_that_does() {
    let (text, packed) = (&b"{\"a\":1,\"b\":2}"[..], gzip(b"{\"a\":1,\"b\":2}"));
    let plain = side(text);
    let right = Side { content_encoding: vec![b"gzip"], ..side(&packed) };
    for name in [&b"gzip"[..], b"deflate", b"br", b"zstd", b"sdch"] {
        let wrong = Side { content_encoding: vec![name], ..side(text) };
        for good in [&plain, &right] {
            assert_eq!(result_of(&wrong, good), Match::Mismatched);
            assert_eq!(result_of(good, &wrong), Match::Mismatched);
        }
        let mut grant = |_| true;
        let mut limits = Limits { max_decoded: 1 << 20, grant: &mut grant };
        let looked = look_closer(&plain, &wrong, &Rules::default(), true, &mut limits);
        let found = &looked.differences.found[0];
        assert_eq!((found.place.as_str(), found.kind), ("body", Kind::Type));
        assert_eq!(found.baseline.as_deref(), Some("readable"));
    }
    assert_eq!(result_of(&right, &side(&packed)), Match::Mismatched, "no label");
    let cut = |content_encoding| Side {
        content_encoding,
        body: Body::Hashed { length: 9, hash: 7, cause: Cause::TooLarge },
        ..side(b"")
    };
    assert_eq!(result_of(&cut(vec![b"gzip"]), &cut(Vec::new())), Match::Mismatched);
    assert_eq!(result_of(&cut(vec![b"gzip"]), &cut(vec![b"X-Gzip"])), Match::Matched);
}
