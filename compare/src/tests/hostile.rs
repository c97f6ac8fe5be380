//! Bodies made to exhaust memory, stack or time. How fast they are compared is not asserted: what
//! is quadratic in them does not end within a test run.

use super::*;

/// 16 MiB of spaces by the reference encoder.
const BROTLI_BOMB: &[u8] = b"\x9f\xff\xff\xff\xf8\x25\x40\xe2\xb1\x40\x20\xf7\xfe\x1f";

#[test]
fn a_small_body_that_decodes_to_a_huge_one_is_cut_at_the_bound() {
    let zeros = vec![b' '; 16 << 20];
    let bombs = [
        ("gzip", gzip(&zeros)),
        ("deflate", zlib(&zeros)),
        ("deflate", deflate(&zeros)),
        ("zstd", zstd(&zeros)),
        ("br", BROTLI_BOMB.to_vec()),
        ("gzip, gzip", gzip(&gzip(&zeros))),
        ("zstd, br, identity", BROTLI_BOMB.to_vec()),
    ];
    for (name, body) in bombs {
        let mut granted = 0;
        let mut grant = |bytes: usize| {
            granted += bytes;
            true
        };
        let bomb = Side { content_encoding: vec![name.as_bytes()], ..side(&body) };
        let result = verdict_with(&bomb, &side(b"[]"), 100_000, &mut grant);
        assert_eq!(result, Match::Mismatched, "{name}");
        // The bytes, and a decoder's window of them, in one or two layers.
        assert!(granted <= 2 * 100_000 + 2 * 16 * 1024, "{name}: {granted}");
        let said = Side { content_type: Some(b"application/json"), ..bomb };
        let result = verdict_with(&said, &side(b"[]"), 100_000, &mut |_| true);
        assert_eq!(result, Match::ResponseTooLarge, "{name}");
    }
}

#[test]
fn decoding_takes_no_byte_that_was_not_granted() {
    for (name, body) in coded(&vec![b' '; 200_000]).into_iter().filter(|(name, _)| *name != "br") {
        let bomb = Side { content_encoding: vec![name.as_bytes()], ..side(&body) };
        let result = verdict_with(&bomb, &side(b"[]"), 1 << 20, &mut |bytes| bytes <= 40_000);
        assert_eq!(result, Match::BufferFull, "{name}");
    }
}

/// What a comparison of two bodies asks for.
fn cost(ours: &str, theirs: &str) -> usize {
    let mut granted = 0;
    let mut grant = |bytes: usize| {
        granted += bytes;
        true
    };
    verdict_with(&side(ours.as_bytes()), &side(theirs.as_bytes()), 1 << 24, &mut grant);
    granted
}

#[test]
fn memory_is_asked_for_and_is_a_small_multiple_of_the_bodies() {
    // Documents in step take no memory: the first elements are not.
    let behind = |first: &str, inner: &str| format!("[{first},{}1]", inner.repeat(50_000));
    let array = |inner: &str| behind(r#"{"a":1,"b":2}"#, inner);
    let other = |inner: &str| behind(r#"{"b":2,"a":1}"#, inner);
    let keys = |n: usize| format!("\"k{n}\":[]");
    let forward: Vec<_> = (0..20_000).map(keys).collect();
    let backward: Vec<_> = forward.iter().rev().cloned().collect();
    let object = |members: &[String]| format!("{{{}}}", members.join(","));
    let bodies = [
        (array("1,"), other("1.0,")),
        (array("[],"), other("[ ],")),
        (object(&forward), object(&backward)),
    ];
    for (ours, theirs) in bodies {
        let (cost, size) = (cost(&ours, &theirs), ours.len() + theirs.len());
        assert!(cost <= 32 * size, "{cost} for {size}");
    }
    // Lists of pairs and of members come on top of the nodes.
    let nodes = cost(&array("1,"), &other("1.0,"));
    assert!(cost(&array("[],"), &other("[ ],")) > nodes + 50_000 * size_of::<usize>());
    assert!(
        cost(&object(&forward), &object(&backward))
            > cost(&object(&forward), &format!("{}1", object(&backward))) + 20_000 * 32
    );
}

#[test]
fn documents_in_step_are_compared_without_memory() {
    let answer = |id: &str| {
        let item = format!(r#"{{"id":"p-1","priceCents":1900,"tags":["a","b"],"traceId":"{id}"}}"#);
        let items = vec![item; 40].join(",");
        format!(r#"{{"timestamp":"{id}","items":[{items}],"email":"{id}","last":{{"page":null}}}}"#)
    };
    let ours = answer("2030-01-01T00:00:00Z");
    for theirs in [answer("x"), answer("2031-01-01T00:00:00Z"), answer("").replace(',', " ,\n ")] {
        let granted = &mut |_| false;
        let result = verdict_with(&side(ours.as_bytes()), &side(theirs.as_bytes()), 100, granted);
        assert_eq!(result, Match::Matched);
    }
    let late = answer("x").replace("null", "1");
    let result = verdict_with(&side(ours.as_bytes()), &side(late.as_bytes()), 100, &mut |_| false);
    assert_eq!(result, Match::Mismatched);
}

#[test]
fn a_million_levels_neither_crash_nor_stall() {
    const DEEP: usize = 1_000_000;
    const OBJECTS: usize = 200_000;
    let deep = |inner: &str| format!("{}{inner}{}", "[".repeat(DEEP), "]".repeat(DEEP));
    mismatched(deep("1"), deep("2"));
    matched(deep("1"), deep("1.0"));
    let objects =
        |inner: &str| format!("{}{inner}{}", "{\"a\":".repeat(OBJECTS), "}".repeat(OBJECTS));
    mismatched(objects("1"), objects("2"));
    matched(objects("1"), objects("1.0"));
    mismatched("[".repeat(DEEP), "{\"\":".repeat(DEEP));
    // Each level has its keys in another order, and one that is ignored.
    let turned =
        |open: &str, close: &str| format!("{}1{}", open.repeat(OBJECTS), close.repeat(OBJECTS));
    matched(turned("{\"b\":1,\"a\":", "}"), turned("{\"a\":", ",\"b\":1,\"traceId\":[]}"));
}

/// A body of about 1 MiB.
fn mebibyte(item: impl Fn(usize) -> String) -> Vec<String> {
    let length = item(100_000).len() + 1;
    (0..(1 << 20) / length).map(item).collect()
}

fn object_of(members: &[String], last: &str) -> String {
    format!("{{{},\"last\":{last}}}", members.join(","))
}

#[test]
fn objects_made_to_be_slow_to_compare_do_not_stall() {
    let prefix = "x".repeat(1000);
    let long = format!("\"{}\":1", "y".repeat(500_000));
    let kinds = [
        mebibyte(|n| format!("\"{n}\":1")),
        mebibyte(|n| format!("\"\\u0061{n}\":1")),
        mebibyte(|n| format!("\"{prefix}{n}\":1")),
        mebibyte(|n| format!("\"\\u0078{prefix}{n}\":1")),
        mebibyte(|n| format!("\"timestamp\":{n}")),
        mebibyte(|n| format!("\"email\":{n}")),
        mebibyte(|n| format!("\"{}\":1", n % 2)),
        mebibyte(|n| if n == 1 { long.clone() } else { format!("\"y{n}\":1") }),
    ];
    for forward in kinds {
        let backward: Vec<_> = forward.iter().rev().cloned().collect();
        let (ours, theirs) = (object_of(&forward, "1"), object_of(&backward, "1.0"));
        assert_eq!(result(ours, theirs), Match::Matched, "{}", &forward[0]);
    }
    // The values of one key are paired in order, so that these differ in the first and the last.
    let same = mebibyte(|n| format!("\"a\":{n}"));
    let mut turned = same.clone();
    turned.swap(0, same.len() - 1);
    mismatched(object_of(&same, "1"), object_of(&turned, "1"));
}

#[test]
fn scalars_of_a_mebibyte_do_not_stall() {
    let number = |last: &str| format!("1{}{last}e-{}", "0".repeat(500_000), "9".repeat(500_000));
    mismatched(number("1"), number("2"));
    let point = |zeros: usize, exponent: &str| format!("[0.{}1e{exponent}]", "0".repeat(zeros));
    matched(point(999_999, "1000000"), "[1]");
    mismatched(point(999_999, "1000001"), "[1]");
    let string = |last: &str| format!("[\"{}{last}\"]", "\\u0061".repeat(170_000));
    matched(string("b"), format!("[\"{}b\"]", "a".repeat(170_000)));
    mismatched(string("b"), string("c"));
    for unfinished in ["\"", "\\", "-", "{\"", "[1,", "1e", "\u{0}", "{\"a\":", "[[],"] {
        let body = unfinished.repeat((1 << 20) / unfinished.len());
        mismatched(&body, format!("{body}x"));
    }
}

/// What is told of two bodies of this type, and the bytes that were asked for.
fn told(said: &str, ours: &str, theirs: &str) -> (Vec<Difference>, usize) {
    let side = |body| Side { content_type: Some(said.as_bytes()), ..side(body) };
    let mut granted = 0;
    let mut grant = |bytes: usize| {
        granted += bytes;
        true
    };
    let mut limits = Limits { max_decoded: 1 << 24, grant: &mut grant };
    let (ours, theirs) = (side(ours.as_bytes()), side(theirs.as_bytes()));
    let looked = look_closer(&ours, &theirs, &Rules::default(), false, &mut limits);
    assert_eq!(looked.result, Match::Mismatched);
    assert!((1..=32).contains(&looked.differences.found.len()));
    (looked.differences.found, granted)
}

/// What bodies are made of, over and over.
const THINGS: [&str; 39] = [
    "<a>",
    "</a>",
    "<a><b>",
    "</a><b>",
    "<p>",
    "<a ",
    "<a b=",
    "<!--",
    "<![CDATA[",
    "&amp;",
    "&",
    "<a/>",
    "<a x='1' y='2'/>",
    "x=1 ",
    "\"",
    ",",
    "\"\",",
    "\n",
    "a\n",
    "\r",
    "=",
    ":",
    "&a=",
    "%41&",
    "<script>",
    "<x:y",
    "]]>",
    "{}\n",
    "{\n",
    "[[\n",
    "--b\r\n",
    "--b\r\n\r\n",
    "\n--",
    " password",
    "password=",
    "é",
    "<?",
    "<!",
    "<!ENTITY a '&b;&b;'>",
];

const TYPES: [&str; 7] = [
    "text/html",
    "application/xml",
    "text/csv",
    "text/plain",
    "application/x-ndjson",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=b",
];

#[test]
fn bodies_made_to_be_slow_to_read_do_not_stall() {
    for thing in THINGS {
        let many = thing.repeat((1 << 14) / thing.len());
        for said in TYPES {
            told(said, &format!("<a>{many}x"), &format!("<a>{many}y"));
            let (_, granted) = told(said, &format!("{many}x1"), &format!("y2{many}"));
            // As many nodes as are read, on both sides.
            assert!(granted <= 16 << 20, "{said} {thing:?}: {granted}");
        }
    }
}

#[test]
fn a_hundred_thousand_elements_within_each_other_neither_crash_nor_stall() {
    let deep = |count: usize, inner: &str| {
        format!("{}{inner}{}", "<a>".repeat(count), "</a>".repeat(count))
    };
    for said in ["text/html", "application/xml"] {
        let (found, _) = told(said, &deep(100_000, "x"), &deep(100_000, "y"));
        assert_eq!(found[0].place, "body", "{said}");
        let (found, _) = told(said, &deep(15_000, "x"), &deep(15_000, "y"));
        assert!(found[0].place.starts_with("body … > a > a"), "{}", found[0].place);
        assert!(found[0].place.len() < 600, "{}", found[0].place);
        let attribute = |last: &str| format!("<a b=\"{}{last}\"/>", "x".repeat(500_000));
        let (found, _) = told(said, &attribute("1"), &attribute("2"));
        assert_eq!(found[0].place, "body a @b", "{said}");
    }
}

#[test]
fn entities_are_not_made_larger() {
    let bomb = |last: &str| {
        let entities: String = (1..20)
            .map(|n| format!("<!ENTITY e{n} \"{}\">", format!("&e{};", n - 1).repeat(10)))
            .collect();
        format!(
            "<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY e0 \"x\">{entities}]><a>&e19;{last}</a>"
        )
    };
    let (found, _) = told("application/xml", &bomb("1"), &bomb("2"));
    assert_eq!(found[0].baseline.as_deref(), Some("\"&e19;1\""));
}

#[test]
fn lists_that_have_nothing_in_common_are_told_in_bounded_time() {
    let lines = |with: &str| (0..1999).map(|n| format!("{with}{n}\n")).collect::<String>();
    told("text/plain", &lines("a"), &lines("b"));
    let items = |with: &str| (0..9000).map(|n| format!("<i>{with}{n}</i>")).collect::<String>();
    told("text/html", &items("a"), &items("b"));
    let turned: String = (0..1999).rev().map(|n| format!("a{n}\n")).collect();
    told("text/plain", &lines("a"), &turned);
}
