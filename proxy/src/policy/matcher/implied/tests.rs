use crate::listen::proxy_protocol::Networks;
use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, Uri};
use proptest::prelude::{Strategy, any, prop_assert, prop_oneof, proptest};
use proptest::sample::{select, subsequence};

use super::super::{Choice, Seen, choose, path_regex, value_regex};
use super::*;

fn when(tests: Vec<Test>) -> Matcher {
    let condition = |test| Condition { not: false, test, text: String::new() };
    Matcher { conditions: tests.into_iter().map(condition).collect() }
}

fn path(word: &str, text: &str) -> Test {
    Test::Path(match word {
        "exact" => PathTest::exact(text),
        "prefix" => PathTest::prefix(text),
        "template" => PathTest::template(text).unwrap(),
        _ => PathTest::Regex(path_regex(text).unwrap()),
    })
}

fn value(word: &str, text: &str) -> ValueTest {
    match word {
        "present" => ValueTest::Present,
        "exact" => ValueTest::Exact(text.to_owned()),
        "prefix" => ValueTest::Prefix(text.to_owned()),
        "regex" => ValueTest::Regex(value_regex(text).unwrap()),
        _ => ValueTest::Range(1.0, text.len() as f64),
    }
}

fn methods(names: &[&str]) -> Test {
    Test::Method(names.iter().map(|it| it.parse().unwrap()).collect())
}

fn client(networks: &str) -> Test {
    Test::Client(Networks::parse(networks).unwrap())
}

#[track_caller]
fn taken(earlier: Vec<Test>, later: Vec<Test>, expected: Option<Taken>) {
    let what = format!("{earlier:?}, then {later:?}");
    assert_eq!(when(earlier).takes(&when(later)), expected, "{what}");
}

#[test]
fn of_two_paths_the_wider_one_takes_the_narrower_one() {
    let all = Some(Taken::All);
    for (earlier, later, expected) in [
        (("prefix", "/a"), ("exact", "/a/b"), all),
        (("prefix", "/a"), ("exact", "/a"), all),
        (("prefix", "/a"), ("exact", "/ab"), None),
        (("prefix", "/a"), ("prefix", "/a/b"), all),
        (("prefix", "/a"), ("prefix", "/a/"), all),
        (("prefix", "/a/"), ("prefix", "/a"), None),
        (("prefix", "/a/b"), ("prefix", "/a"), None),
        (("prefix", "/a"), ("prefix", "/ab"), None),
        (("prefix", "/"), ("prefix", "/ab"), all),
        (("prefix", "/"), ("template", "/{x}"), all),
        (("prefix", "/"), ("regex", "/x.*"), Some(Taken::WithPath)),
        (("prefix", "/"), ("exact", "*"), None),
        (("regex", "/.*"), ("exact", "/a"), all),
        (("regex", "/.*"), ("prefix", "/a"), all),
        (("regex", ".*"), ("exact", "*"), all),
        (("regex", "/a.*"), ("exact", "/ab"), all),
        (("regex", "/a.*"), ("prefix", "/a"), None),
        (("regex", "/a.*"), ("regex", "/a.*"), all),
        (("template", "/a/{x}"), ("exact", "/a/b"), all),
        (("template", "/a/{x}"), ("exact", "/a/"), None),
        (("template", "/a/{x}"), ("template", "/a/b"), all),
        (("template", "/{y}/{x}"), ("template", "/a/{z}"), all),
        (("template", "/a/{x}"), ("template", "/{y}/b"), None),
        (("template", "/a/{x}"), ("template", "/a/{x}/b"), None),
        (("prefix", "/a"), ("template", "/a/{x}"), all),
        (("prefix", "/a/"), ("template", "/a/{x}"), all),
        (("prefix", "/a/b"), ("template", "/a/{x}"), None),
        (("exact", "/a/b"), ("template", "/a/b"), all),
        (("exact", "/a"), ("prefix", "/a"), None),
        // By what `/a%2Fb` may be read as it is below `/a`, and by what was sent it is not.
        (("prefix", "/a"), ("exact", "/a%2fb"), None),
        (("prefix", "/a"), ("exact", "/a/../b"), None),
    ] {
        taken(vec![path(earlier.0, earlier.1)], vec![path(later.0, later.1)], expected);
    }
}

#[test]
fn a_route_takes_what_has_all_of_its_conditions_and_more() {
    let all = Some(Taken::All);
    let get = || methods(&["GET"]);
    taken(vec![], vec![], all);
    taken(vec![], vec![get()], all);
    taken(vec![get()], vec![], None);
    taken(vec![methods(&["GET", "POST"])], vec![get()], all);
    taken(vec![get()], vec![methods(&["GET", "POST"])], None);
    taken(vec![path("prefix", "/a")], vec![path("exact", "/a/b"), get()], all);
    taken(vec![path("prefix", "/a"), get()], vec![path("exact", "/a/b")], None);
    taken(vec![path("prefix", "/a"), get()], vec![path("exact", "/a/b"), get()], all);
    taken(vec![path("prefix", "/")], vec![get()], Some(Taken::WithPath));
    taken(vec![path("prefix", "/")], vec![], Some(Taken::WithPath));
    taken(vec![path("regex", ".*")], vec![], all);
    taken(vec![Test::label("GET /a")], vec![Test::label("GET /a"), get()], all);
}

#[test]
fn values_and_networks_are_within_others() {
    let all = Some(Taken::All);
    for (earlier, later, expected) in [
        (("present", ""), ("exact", "a"), all),
        (("present", ""), ("prefix", "a"), all),
        (("prefix", "a"), ("exact", "ab"), all),
        (("prefix", "a"), ("prefix", "ab"), all),
        (("prefix", "ab"), ("prefix", "a"), None),
        (("exact", "a"), ("present", ""), None),
        (("regex", "a.*"), ("exact", "ab"), all),
        // Bytes that are no text fit no dot.
        (("regex", ".*"), ("present", ""), None),
        (("range", "12345"), ("range", "123"), all),
        (("range", "123"), ("range", "12345"), None),
        (("range", "123"), ("exact", "2.5"), all),
    ] {
        let of: [fn(ValueTest) -> Test; 3] = [
            |it| Test::Header("x-a".parse().unwrap(), it),
            |it| Test::Query("a".to_owned(), it),
            |it| Test::Cookie("a".to_owned(), it),
        ];
        for of in of {
            let (earlier, later) = (value(earlier.0, earlier.1), value(later.0, later.1));
            taken(vec![of(earlier)], vec![of(later)], expected);
        }
    }
    let named = |name: &str| Test::Cookie(name.to_owned(), ValueTest::Present);
    taken(vec![named("a")], vec![named("b")], None);
    let host = |word, text| Test::Host(value(word, text));
    taken(vec![host("exact", "A")], vec![host("exact", "a")], all);
    taken(vec![host("prefix", "a")], vec![host("prefix", "Ab")], all);
    for (earlier, later, expected) in [
        ("10.0.0.0/8", "10.1.0.0/16,10.2.3.4", all),
        ("10.0.0.0/8", "10.1.0.0/16,11.2.3.4", None),
        ("10.1.0.0/16,10.0.0.0/8", "10.0.0.0/8", all),
        ("2001:db8::/32", "2001:db8::1", all),
        ("::/0", "10.0.0.1", None),
        ("::/0", "::ffff:10.0.0.1", None),
    ] {
        taken(vec![client(earlier)], vec![client(later)], expected);
    }
}

#[test]
fn what_is_not_so_follows_the_other_way_round() {
    let not = |test| Condition { not: true, test, text: String::new() };
    let one = |condition| Matcher { conditions: vec![condition] };
    let all = Some(Taken::All);
    let narrow = one(not(path("prefix", "/a/b")));
    let wide = one(not(path("prefix", "/a")));
    assert_eq!((narrow.takes(&wide), wide.takes(&narrow)), (all, None));
    assert_eq!(wide.takes(&when(vec![path("exact", "/b")])), all);
    assert_eq!(wide.takes(&when(vec![path("exact", "/a/c")])), None);
    // It is sent as one path, and may be read as another.
    assert_eq!(wide.takes(&when(vec![path("exact", "/x/../a")])), None);
    assert_eq!(one(not(methods(&["PUT"]))).takes(&when(vec![methods(&["GET"])])), all);
    assert_eq!(when(vec![methods(&["GET"])]).takes(&one(not(methods(&["PUT"])))), None);
    assert_eq!(when(vec![path("prefix", "/")]).takes(&one(not(path("prefix", "/")))), None);
}

const PATHS: &[&str] = &[
    "/",
    "/a",
    "/a/",
    "/A",
    "/ab",
    "/a/b",
    "/a/b/",
    "/a/b/c",
    "/a%2fb",
    "/a%2Fb",
    "/%61",
    "/a;v/b",
    "/a,b",
    "/a%2cb",
    "//a",
    "/a//b",
    "/x/../a",
    "/a/../b",
    "/./a/b",
    "/%7Bx%7D/b",
    "*",
];
const TEMPLATES: &[&str] = &[
    "/{x}",
    "/a",
    "/a/{x}",
    "/{x}/b",
    "/{x}/{y}",
    "/a/b",
    "/a%2fb/{x}",
    "/a;v/{x}",
    "/a//{x}",
    "/{x}/",
    "/%7Bx%7D/b",
];
const PATTERNS: &[&str] = &[".*", "/.*", "/a.*", "/a/b", "/a|/ab"];
const VALUES: &[&str] = &["", "a", "A", "ab", "b", "[a]", "2", "2.5", "1e0"];
const NETWORKS: &[&str] = &[
    "10.0.0.0/8",
    "10.0.0.0/16",
    "10.0.0.7",
    "0.0.0.0/0",
    "::/0",
    "::ffff:0:0/96",
    "::ffff:10.0.0.0/104",
    "::ffff:0:0/90",
    "2001:db8::/32",
    "::ffff:10.0.0.7,2001:db8::1",
];
const CLIENTS: &[&str] =
    &["10.0.0.7", "10.9.0.1", "::ffff:10.0.0.7", "11.0.0.1", "2001:db8::1", "::1"];
const METHODS: &[&str] = &["GET", "PUT", "OPTIONS"];

fn values() -> impl Strategy<Value = ValueTest> {
    let word = select(&["present", "exact", "prefix", "regex", "range"][..]);
    let text = prop_oneof![3 => select(VALUES), 1 => select(&[".*", "a.*"][..])];
    (word, text).prop_map(|(word, text)| {
        let is_pattern = word != "regex" || value_regex(text).is_ok();
        value(if is_pattern { word } else { "exact" }, text)
    })
}

fn paths() -> impl Strategy<Value = Test> {
    prop_oneof![
        2 => select(PATHS).prop_map(|it| path("exact", it)),
        3 => select(PATHS).prop_filter("a path", |it| it.starts_with('/')).prop_map(|it| path("prefix", it)),
        2 => select(TEMPLATES).prop_map(|it| path("template", it)),
        1 => select(PATTERNS).prop_map(|it| path("regex", it)),
    ]
}

fn conditions() -> impl Strategy<Value = Condition> {
    let test = prop_oneof![
        6 => paths(),
        2 => subsequence(METHODS, 1..3).prop_map(|it| methods(&it)),
        2 => values().prop_map(Test::Host),
        2 => values().prop_map(|it| Test::Header("x-a".parse().unwrap(), it)),
        1 => values().prop_map(|it| Test::Query("a".to_owned(), it)),
        1 => values().prop_map(|it| Test::Cookie("a".to_owned(), it)),
        2 => select(NETWORKS).prop_map(client),
        1 => select(&["GET /a", "GET /a/b", "other"][..]).prop_map(Test::label),
    ];
    (any::<bool>(), any::<bool>(), test).prop_map(|(one, two, test)| Condition {
        not: one && two,
        test,
        text: String::new(),
    })
}

fn matchers(most: usize) -> impl Strategy<Value = Matcher> {
    proptest::collection::vec(conditions(), 0..=most).prop_map(|conditions| Matcher { conditions })
}

/// A request with these values of whatever has a value.
fn request(target: &str, texts: &[&'static [u8]]) -> (Uri, HeaderMap) {
    let mut headers = HeaderMap::new();
    for text in texts {
        headers.append("x-a", HeaderValue::from_bytes(text).unwrap());
        headers.append("cookie", HeaderValue::from_bytes(&[b"a=", *text].concat()).unwrap());
        headers.append("host", HeaderValue::from_bytes(text).unwrap());
    }
    let text =
        texts.first().and_then(|it| std::str::from_utf8(it).ok()).filter(|it| !it.contains('['));
    let query = text.filter(|_| target != "*").map(|it| format!("?a={it}")).unwrap_or_default();
    (format!("{target}{query}").parse().unwrap(), headers)
}

/// Requests with each of these targets; what else they have goes round.
fn requests<'t>(targets: impl Iterator<Item = &'t str>) -> Vec<(Method, Uri, HeaderMap, IpAddr)> {
    let texts: [&[&[u8]]; 9] = [
        &[],
        &[b""],
        &[b"a"],
        &[b"AB"],
        &[b"b", b"ab"],
        &[b"[a]"],
        &[b"2"],
        &[b"a\xff"],
        &[b"1e0", b"a."],
    ];
    let all = texts.len() * METHODS.len() * CLIENTS.len();
    let each = move |target| {
        // A part of them has each value of each.
        (0..all).step_by(5).map(move |at| {
            let (uri, headers) = request(target, texts[at % texts.len()]);
            let method = METHODS[at / texts.len() % METHODS.len()].parse().unwrap();
            let client = CLIENTS[at / (texts.len() * METHODS.len())].parse().unwrap();
            (method, uri, headers, client)
        })
    };
    targets.flat_map(each).collect()
}

/// A request that comes to the later one, though all of those are said to be taken.
fn missed(
    earlier: &Matcher,
    later: &Matcher,
    requests: &[(Method, Uri, HeaderMap, IpAddr)],
) -> Option<String> {
    let taken = earlier.takes(later)?;
    let both = [earlier, later];
    let is_later = |(method, uri, headers, client): &&(Method, Uri, HeaderMap, IpAddr)| {
        if taken == Taken::WithPath && !uri.path().starts_with('/') {
            return false;
        }
        let seen = Seen { method, uri, headers, client: *client };
        let label = &mut |path: &str| -> Arc<str> { crate::route::label(method, path, &[]).into() };
        let is_read_otherwise = both.iter().any(|it| it.is_read_otherwise());
        match choose(&both.iter().copied(), is_read_otherwise, &seen, label) {
            Choice::First(index) => index == 1,
            Choice::None => false,
            Choice::InDoubt { sent, read } => sent == Some(1) || read == Some(1),
        }
    };
    let missed = requests.iter().find(is_later)?;
    Some(format!("{missed:?} comes to {later:?} behind {earlier:?}"))
}

/// Each two of these tests and of what is not so by them.
fn none_of_two_is_missed(tests: &[Test], targets: &[&str]) {
    let both = [false, true];
    let one = |(test, not): (&Test, bool)| Matcher {
        conditions: vec![Condition { not, test: test.clone(), text: String::new() }],
    };
    let all: Vec<_> = tests.iter().flat_map(|test| both.map(|not| (test, not))).map(one).collect();
    let requests = requests(targets.iter().copied());
    for earlier in &all {
        for later in &all {
            let missed = missed(earlier, later, &requests);
            assert!(missed.is_none(), "{}", missed.unwrap_or_default());
        }
    }
}

#[test]
fn of_each_two_paths_none_is_missed() {
    let mut tests: Vec<_> = PATHS.iter().map(|it| path("exact", it)).collect();
    tests.extend(PATHS.iter().filter(|it| it.starts_with('/')).map(|it| path("prefix", it)));
    tests.extend(TEMPLATES.iter().map(|it| path("template", it)));
    tests.extend(PATTERNS.iter().map(|it| path("regex", it)));
    none_of_two_is_missed(&tests, PATHS);
}

#[test]
fn of_each_two_values_or_networks_none_is_missed() {
    let words = ["present", "exact", "prefix", "range"];
    let of_words = VALUES.iter().flat_map(|text| words.map(|word| value(word, text)));
    let of_patterns = [".*", "a.*", "a"].map(|it| value("regex", it));
    let values: Vec<_> = of_words.chain(of_patterns).collect();
    let of: [fn(ValueTest) -> Test; 4] = [
        Test::Host,
        |it| Test::Header("x-a".parse().unwrap(), it),
        |it| Test::Query("a".to_owned(), it),
        |it| Test::Cookie("a".to_owned(), it),
    ];
    for of in of {
        none_of_two_is_missed(&values.iter().cloned().map(of).collect::<Vec<_>>(), &["/", "*"]);
    }
    let networks: Vec<_> = NETWORKS.iter().map(|it| client(it)).collect();
    none_of_two_is_missed(&networks, &["/"]);
}

proptest! {
    /// No request, however its path is read, comes to a route behind one that is said to take them all.
    #[test]
    fn what_is_said_to_be_taken_is(
        earlier in matchers(2),
        later in matchers(3),
        more in "/[ab/.;%2fF]{0,6}",
    ) {
        if earlier.takes(&later).is_some() {
            let requests = requests(PATHS.iter().copied().chain([&*more]));
            let missed = missed(&earlier, &later, &requests);
            prop_assert!(missed.is_none(), "{}", missed.unwrap_or_default());
        }
    }
}
