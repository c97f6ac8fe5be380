use crate::listen::proxy_protocol::Networks;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::*;

/// A request of which nothing is known but what conditions see.
struct Request {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    client: IpAddr,
}

fn get(target: &str) -> Request {
    Request {
        method: Method::GET,
        uri: target.parse().unwrap(),
        headers: HeaderMap::new(),
        client: "192.0.2.7".parse().unwrap(),
    }
}

impl Request {
    fn with(mut self, name: &str, value: &[u8]) -> Self {
        let name: HeaderName = name.parse().unwrap();
        self.headers.append(name, HeaderValue::from_bytes(value).unwrap());
        self
    }

    fn by(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    fn from(mut self, client: &str) -> Self {
        self.client = client.parse().unwrap();
        self
    }

    fn seen(&self) -> Seen<'_> {
        let Self { method, uri, headers, client } = self;
        Seen { method, uri, headers, client: *client }
    }

    /// Whether a test holds; and that its `not` does where it does not.
    fn passes(&self, test: Test) -> bool {
        let mut matcher = all(vec![test]);
        let label = &mut || "GET /label".into();
        let holds = matcher.fits(&self.seen(), label);
        matcher.conditions[0].not = true;
        assert_ne!(matcher.fits(&self.seen(), label), holds, "{matcher:?}");
        holds
    }
}

fn all(tests: Vec<Test>) -> Matcher {
    let condition = |test| Condition { not: false, test, text: String::new() };
    Matcher { conditions: tests.into_iter().map(condition).collect() }
}

fn exact(text: &str) -> ValueTest {
    ValueTest::Exact(text.to_owned())
}

fn header(name: &str, test: ValueTest) -> Test {
    Test::Header(name.parse().unwrap(), test)
}

fn cookie(name: &str, test: ValueTest) -> Test {
    Test::Cookie(name.to_owned(), test)
}

fn query(name: &str, test: ValueTest) -> Test {
    Test::Query(name.to_owned(), test)
}

fn path_exact(path: &str) -> Test {
    Test::Path(PathTest::exact(path))
}

fn prefix(path: &str) -> Test {
    Test::Path(PathTest::prefix(path))
}

fn template(path: &str) -> Test {
    Test::Path(PathTest::template(path).unwrap())
}

fn path_like(pattern: &str) -> Test {
    Test::Path(PathTest::Regex(path_regex(pattern).unwrap()))
}

fn like(pattern: &str) -> ValueTest {
    ValueTest::Regex(value_regex(pattern).unwrap())
}

#[test]
fn all_conditions_must_hold_and_none_fits_everything() {
    let request = get("/cart").with("x-beta", b"1");
    let label = &mut || "GET /cart".into();
    assert!(Matcher::default().fits(&request.seen(), label));
    let both = |beta: &str| all(vec![path_exact("/cart"), header("x-beta", exact(beta))]);
    assert!(both("1").fits(&request.seen(), label));
    assert!(!both("2").fits(&request.seen(), label));
}

#[test]
fn the_label_is_asked_for_only_where_a_condition_looks_at_it() {
    let request = get("/cart");
    let unasked = &mut || panic!("nobody looks at it");
    assert!(!all(vec![path_exact("/x"), Test::label("a")]).fits(&request.seen(), unasked));
    assert!(request.passes(Test::label("GET /label")));
    assert!(!request.passes(Test::label("GET /other")));
}

#[test]
fn methods_are_case_sensitive() {
    let of = |methods: &[&str]| {
        Test::Method(methods.iter().map(|it| Method::from_bytes(it.as_bytes()).unwrap()).collect())
    };
    assert!(get("/").passes(of(&["POST", "GET"])));
    assert!(!get("/").passes(of(&["POST", "get"])));
    assert!(get("/").by(Method::from_bytes(b"PURGE").unwrap()).passes(of(&["PURGE"])));
}

#[test]
fn a_path_is_looked_at_as_it_was_sent() {
    for (target, test, holds) in [
        ("/a%2Fb", path_exact("/a%2Fb"), true),
        ("/a%2fb", path_exact("/a%2Fb"), false),
        ("/a%2Fb", path_exact("/a/b"), false),
        ("/a/", path_exact("/a"), false),
        ("/A", path_exact("/a"), false),
        ("/a?b", path_exact("/a"), true),
        ("/a//b", path_exact("/a//b"), true),
        ("/a/../b", path_exact("/b"), false),
        ("/api", prefix("/api"), true),
        ("/api/", prefix("/api"), true),
        ("/api/x", prefix("/api"), true),
        ("/apix", prefix("/api"), false),
        ("/api", prefix("/api/"), false),
        ("/api/x", prefix("/api/"), true),
        ("/anything", prefix("/"), true),
        ("/users/7/cart", template("/users/{name}/cart"), true),
        ("/users//cart", template("/users/{name}/cart"), false),
        ("/users/7/cart/", template("/users/{name}/cart"), false),
        ("/users/a%2Fb/cart", template("/users/{name}/cart"), true),
        ("/v12", path_like("/v[0-9]+"), true),
        ("/v12/x", path_like("/v[0-9]+"), false),
        ("/x/v12", path_like("/v[0-9]+"), false),
        ("/b", path_like("/a|/b"), true),
        ("/a/b", path_like("/a|/b"), false),
    ] {
        assert_eq!(get(target).passes(test.clone()), holds, "{target}, {test:?}");
    }
}

/// RFC 9112, section 3.2: origin, absolute, authority and asterisk form.
#[test]
fn targets_of_every_form_have_a_path() {
    assert!(get("http://shop.example/a?b").passes(path_exact("/a")));
    assert!(get("http://shop.example?b").passes(path_exact("/")));
    assert!(get("http://shop.example").passes(prefix("/")));
    let all = get("*").by(Method::OPTIONS);
    assert!(all.passes(path_exact("*")));
    for test in [prefix("/"), template("/{any}"), template("/*"), path_like("/.*")] {
        assert!(!all.passes(test.clone()), "{test:?}");
    }
    let connect = get("shop.example:443").by(Method::CONNECT);
    for test in [path_exact("/"), prefix("/"), template("/{any}"), path_like("/.*")] {
        assert!(!connect.passes(test.clone()), "{test:?}");
    }
    assert!(connect.passes(Test::Host(exact("shop.example"))));
}

#[test]
fn bytes_that_no_target_may_have_are_looked_at_encoded() {
    let request = get(&target::named(b"/a\"b\xff?q=\"\xff"));
    assert!(request.passes(path_exact("/a%22b%FF")));
    assert!(request.passes(query("q", like(r#""(?-u:\xff)"#))));
    assert!(get("/caf\u{e9}").passes(path_exact("/caf\u{e9}")));
}

#[test]
fn a_host_has_no_port_no_letter_case_and_no_dot_at_its_end() {
    for (line, test, holds) in [
        ("shop.example", exact("shop.example"), true),
        ("SHOP.example:8443", exact("shop.Example"), true),
        ("shop.example.", exact("shop.example"), true),
        ("shop.example.:80", exact("shop.example."), true),
        ("shop.example:", exact("shop.example"), true),
        ("shop.example", exact("hop.example"), false),
        ("SHOP.example", ValueTest::Prefix("Shop.".to_owned()), true),
        ("sho", ValueTest::Prefix("shop.".to_owned()), false),
        ("A.Shop.example:1", like(r"[a-z]+\.shop\.example"), true),
        ("shop.example.evil", like(r"shop\.example"), false),
        ("[2001:DB8::1]:80", exact("2001:db8::1"), true),
        ("[2001:db8:0::1]", exact("[2001:db8::1]"), true),
        ("[2001:db8::2]", exact("2001:db8::1"), false),
        ("[2001:db8::1]", like(r"\[2001:db8:.*\]"), true),
        ("192.0.2.1:80", exact("192.0.2.1"), true),
        ("x", ValueTest::Present, true),
        (":80", ValueTest::Present, false),
        ("", ValueTest::Present, false),
        ("[::1", ValueTest::Present, false),
    ] {
        let request = get("/").with("host", line.as_bytes());
        assert_eq!(request.passes(Test::Host(test.clone())), holds, "{line}, {test:?}");
    }
    assert!(!get("/").passes(Test::Host(ValueTest::Present)));
}

/// As servers must (RFC 9112, section 3.2.2; RFC 9113, section 8.3.1).
#[test]
fn the_host_of_the_target_overrules_the_line() {
    let request = get("http://one.example:80/").with("host", b"two.example");
    assert!(request.passes(Test::Host(exact("one.example"))));
    assert!(!request.passes(Test::Host(exact("two.example"))));
}

#[test]
fn one_of_several_header_lines_must_fit() {
    let request = get("/").with("X-Tier", b"free").with("x-tier", b" gold\t").with("x-empty", b"");
    assert!(request.passes(header("X-TIER", exact("free"))));
    assert!(request.passes(header("x-tier", exact("gold"))));
    assert!(!request.passes(header("x-tier", exact("Gold"))));
    assert!(!request.passes(header("x-tier", exact("free, gold"))));
    assert!(request.passes(header("x-tier", ValueTest::Prefix("go".to_owned()))));
    assert!(request.passes(header("x-empty", ValueTest::Present)));
    assert!(request.passes(header("x-empty", exact(""))));
    assert!(!request.passes(header("x-none", ValueTest::Present)));
    assert!(!request.passes(header("x-none", ValueTest::Prefix(String::new()))));
}

#[test]
fn cookies_are_found_by_their_exact_name_wherever_they_stand() {
    let lines: [&[u8]; 2] =
        [b"sid=first; SID=upper;empty=; q=\"in quotes\"; e=a=b=c", b" sid = second"];
    let request = lines.iter().fold(get("/"), |request, line| request.with("cookie", line));
    for (name, value, holds) in [
        ("sid", "first", true),
        ("sid", "second", true),
        ("sid", "upper", false),
        ("SID", "upper", true),
        ("Sid", "upper", false),
        ("id", "first", false),
        ("si", "d=first", false),
        ("empty", "", true),
        ("q", "in quotes", true),
        ("q", "\"in quotes\"", false),
        ("e", "a=b=c", true),
        ("e=a", "b=c", false),
    ] {
        assert_eq!(request.passes(cookie(name, exact(value))), holds, "{name}={value}");
    }
    assert!(request.passes(cookie("empty", ValueTest::Present)));
    assert!(!request.passes(cookie("none", ValueTest::Present)));
    let odd = get("/").with("cookie", b"nameless; =x; q=\"; r=\"\"; ;;");
    assert!(!odd.passes(cookie("nameless", ValueTest::Present)));
    assert!(odd.passes(cookie("q", exact("\""))) && odd.passes(cookie("r", exact(""))));
    assert_eq!(request.seen().cookie("sid"), Some(b"first".as_slice()));
}

#[test]
fn query_parameters_are_those_of_a_form() {
    let request = get("/?q=a+b%2B&%74enant=acme&tenant=other&flag&&e=a=b=c&x=%ff&y=%zz&q");
    for (name, value, holds) in [
        ("q", "a b+", true),
        ("q", "a+b%2B", false),
        ("q", "", true),
        ("tenant", "acme", true),
        ("tenant", "other", true),
        ("%74enant", "acme", false),
        ("Tenant", "acme", false),
        ("flag", "", true),
        ("e", "a=b=c", true),
        ("y", "%zz", true),
        ("x", "\u{fffd}", false),
        ("", "", false),
    ] {
        assert_eq!(request.passes(query(name, exact(value))), holds, "{name}={value}");
    }
    assert!(request.passes(query("x", like(r"(?-u:\xff)"))));
    assert!(request.passes(query("flag", ValueTest::Present)));
    assert!(!request.passes(query("none", ValueTest::Present)));
    assert!(!get("/").passes(query("q", ValueTest::Present)));
    assert_eq!(request.seen().query("tenant"), Some(b"acme".to_vec()));
}

/// Otherwise a line end, encoded, would pass by what is meant to fit anything.
#[test]
fn a_dot_is_any_character_and_the_whole_value_must_fit() {
    let request = get("/?q=beta%0Ax");
    assert!(request.passes(query("q", like("beta.*"))));
    assert!(!request.passes(query("q", like("beta"))));
    assert!(!request.passes(query("q", like("(?m)^beta$"))));
    for bad in ["(", "a)|(b", r"\p{nothing}"] {
        assert!(value_regex(bad).is_err() && path_regex(bad).is_err(), "{bad}");
    }
    assert!(path_regex("(?-u:\\xff)").is_err() && value_regex("(?-u:\\xff)").is_ok());
    assert!(value_regex(&"a".repeat(1025)).is_err());
    assert!(value_regex("(a{1000}){1000}").is_err());
}

#[test]
fn bytes_that_are_no_text_fit_what_they_are() {
    let request = get("/").with("x-name", b"J\xf6rg");
    assert!(request.passes(header("x-name", ValueTest::Prefix("J".to_owned()))));
    assert!(!request.passes(header("x-name", exact("J\u{f6}rg"))));
    assert!(request.passes(header("x-name", like(r"J(?-u:.)rg"))));
    assert!(!request.passes(header("x-name", ValueTest::Range(0.0, 1.0))));
}

#[test]
fn a_range_takes_decimal_numbers_and_no_words() {
    for (value, holds) in [
        ("0", true),
        ("-0", true),
        ("+7.5", true),
        (" 10 ", true),
        ("1e1", true),
        ("1E-300", true),
        (".5", true),
        ("5.", true),
        ("0010", true),
        ("10.000000001", false),
        ("-1", false),
        ("1e999", false),
        ("nan", false),
        ("NaN", false),
        ("inf", false),
        ("infinity", false),
        ("", false),
        ("-", false),
        ("0x5", false),
        ("5 5", false),
        ("1_0", false),
        ("\u{665}", false),
    ] {
        let request = get("/").with("x-n", value.as_bytes());
        assert_eq!(request.passes(header("x-n", ValueTest::Range(0.0, 10.0))), holds, "{value}");
    }
    for endless in [b"inf".as_slice(), b"1e999"] {
        let request = get("/").with("x-n", endless);
        assert!(!request.passes(header("x-n", ValueTest::Range(0.0, f64::INFINITY))));
    }
    let nowhere = header("x-n", ValueTest::Range(f64::NAN, f64::NAN));
    assert!(!get("/").with("x-n", b"1").passes(nowhere));
}

#[test]
fn a_client_is_of_a_network_however_its_address_is_written() {
    for (networks, client, holds) in [
        ("10.0.0.0/8", "10.1.2.3", true),
        ("10.0.0.0/8", "::ffff:10.1.2.3", true),
        ("10.0.0.0/8", "11.0.0.1", false),
        ("::ffff:10.0.0.0/104", "10.1.2.3", true),
        ("::ffff:10.0.0.7", "10.0.0.7", true),
        ("::ffff:10.0.0.7", "10.0.0.8", false),
        ("2001:db8::/32,192.0.2.7", "2001:db8::1", true),
        ("::/0", "10.1.2.3", false),
    ] {
        let test = Test::Client(Networks::parse(networks).unwrap());
        assert_eq!(get("/").from(client).passes(test), holds, "{networks}, {client}");
    }
}

fn chosen(matchers: &[Matcher], target: &str) -> Choice {
    let label = &mut |path: &str| crate::route::label(&Method::GET, path, &[]).into();
    let is_read_otherwise = matchers.iter().any(Matcher::is_read_otherwise);
    choose(&matchers.iter(), is_read_otherwise, &get(target).seen(), label)
}

#[test]
fn a_route_is_found_however_its_path_is_written_in_the_settings() {
    let doubt = Choice::InDoubt { sent: None, read: Some(0) };
    for (test, target, expected) in [
        (prefix("/zahlung\u{e9}"), "/zahlung%C3%A9", Choice::First(0)),
        (prefix("/zahlung\u{e9}"), "/zahlung\u{e9}/1", Choice::First(0)),
        (prefix("/zahlung\u{e9}"), "/zahlung%c3%a9", doubt),
        (path_exact("/a b"), "/a%20b", Choice::First(0)),
        (template("/n\u{e9}/{x}"), "/n%C3%A9/1", Choice::First(0)),
        (path_exact("/a%2Cb"), "/a%2Cb", Choice::First(0)),
        (path_exact("/a%2Cb"), "/a,b", doubt),
        (path_exact("/%70q"), "/pq", doubt),
        (path_exact("/a//b"), "/a/b", doubt),
        (prefix("/x/./y"), "/x/y/z", doubt),
        (template("/q;v=1/{x}"), "/q/1", doubt),
        (Test::label("GET /caf\u{e9}"), "/caf%C3%A9", Choice::First(0)),
        (Test::label("GET /a%2Cb"), "/a,b", doubt),
        (path_exact("/a%2Cb"), "/b", Choice::None),
    ] {
        let matchers = [all(vec![test.clone()])];
        assert_eq!(chosen(&matchers, target), expected, "{test:?}, {target}");
    }
}

// Servers there are that take `POST /payments#x` for `/payments`.
#[test]
fn what_is_behind_a_number_sign_hides_no_path_and_no_parameter() {
    let sent = |target: &str| target::named(target.as_bytes());
    let doubt = Choice::InDoubt { sent: None, read: Some(0) };
    for (test, target, expected) in [
        (path_exact("/payments"), "/payments#x", doubt),
        (prefix("/payments"), "/payments#/x?y", doubt),
        (path_exact("/payments"), "/pay%6Dents#", doubt),
        (path_exact("/payments"), "/payments%23x", Choice::None),
        (query("e", exact("")), "/q?e#", doubt),
        (query("e", exact("1")), "/q?e=1&f#", Choice::First(0)),
        (query("e", exact("1")), "/q#?e=1", Choice::InDoubt { sent: Some(0), read: None }),
    ] {
        let matchers = [all(vec![test.clone()])];
        assert_eq!(chosen(&matchers, &sent(target)), expected, "{test:?}, {target}");
    }
}

#[test]
fn a_regular_expression_of_a_path_has_no_letter_that_a_path_has_not() {
    let why = path_regex("/gr\u{f6}\u{df}e/.*").unwrap_err();
    assert_eq!(why, "has \u{f6}, which is %C3%B6 in a path");
}

#[test]
fn of_all_that_fit_the_first_is_chosen() {
    let matchers = [all(vec![path_exact("/a")]), all(vec![prefix("/a")]), all(vec![prefix("/b")])];
    assert_eq!(chosen(&matchers, "/a"), Choice::First(0));
    assert_eq!(chosen(&matchers, "/a/x"), Choice::First(1));
    assert_eq!(chosen(&matchers, "/c"), Choice::None);
    assert_eq!(chosen(&[], "/c//d"), Choice::None);
}

#[test]
fn where_two_readings_of_a_path_lead_to_two_routes_the_request_is_in_doubt() {
    let not_pay = Condition { not: true, test: prefix("/pay"), text: String::new() };
    let label = Test::label("GET /pay/{id}");
    for guard in [prefix("/pay"), template("/pay/{id}"), path_like("/pay(/.*)?"), label] {
        let matchers = [all(vec![guard.clone()]), Matcher::default()];
        assert_eq!(chosen(&matchers, "/pay/7"), Choice::First(0), "{guard:?}");
        assert_eq!(chosen(&matchers, "/x//y"), Choice::First(1), "{guard:?}");
        for evasive in
            ["/%70ay/7", "//pay/7", "/x/../pay/7", "/./pay/7", "/pay;v/7", "/x%2f..%2fpay/7"]
        {
            let doubt = Choice::InDoubt { sent: Some(1), read: Some(0) };
            assert_eq!(chosen(&matchers, evasive), doubt, "{guard:?}, {evasive}");
        }
        let pretended = chosen(&matchers, "/pay/7/../../open");
        assert_ne!(pretended, Choice::First(0), "{guard:?}");
    }
    let lax = [Matcher { conditions: vec![not_pay] }];
    assert_eq!(chosen(&lax, "/x/../pay"), Choice::InDoubt { sent: Some(0), read: None });
}

#[test]
fn what_is_written_as_it_is_sent_is_in_no_doubt() {
    for (test, target) in [
        (path_exact("/map;v=1"), "/map;v=1"),
        (path_exact("/a%2fb"), "/a%2fb"),
        (path_exact("/a,b"), "/a,b"),
        (prefix("/caf%c3%a9"), "/caf%c3%a9/x"),
        (prefix("/a//b"), "/a//b"),
        (template("/a;x/{id}"), "/a;x/7"),
        (path_like("/(a%20b|a b)"), "/a%20b"),
    ] {
        assert_eq!(chosen(&[all(vec![test.clone()])], target), Choice::First(0), "{test:?}");
    }
}

proptest! {
    #[test]
    fn conditions_on_any_bytes_are_decided(
        bytes in proptest::collection::vec(any::<u8>(), 0..40), name in "[a-c]", path in "/[a-c/.%;]{0,12}",
    ) {
        let line: Vec<u8> = bytes.iter().copied().filter(|it| *it >= b' ' && *it != 0x7f).collect();
        let request = get(&format!("{path}?{name}=x")).with("cookie", &line).with("x-a", &line);
        for test in [
            cookie(&name, ValueTest::Present),
            header("x-a", ValueTest::Range(0.0, 1.0)),
            query(&name, exact("x")),
            prefix("/a"),
        ] {
            request.passes(test);
        }
        let is_some = request.seen().cookie(&name).is_some();
        prop_assert_eq!(is_some, request.passes(cookie(&name, ValueTest::Present)));
    }

    #[test]
    fn a_value_comes_back_from_a_form(value in any::<Vec<u8>>()) {
        let set = percent_encoding::NON_ALPHANUMERIC;
        let encoded = percent_encoding::percent_encode(&value, set).to_string();
        let request = get(&format!("/?other=1&v={encoded}"));
        prop_assert_eq!(request.seen().query("v"), Some(value));
    }

    /// A route that no other reading of the path leads away from is chosen either way.
    #[test]
    fn a_choice_never_hangs_on_how_a_path_is_read(path in "/[a-b./%2;]{0,16}") {
        let matchers = [all(vec![prefix("/a")]), all(vec![path_exact("/b")])];
        if let Choice::First(index) = chosen(&matchers, &path) {
            let other = path::read_otherwise(&path).unwrap_or_else(|| path.clone());
            prop_assert!(chosen(&matchers, &other) == Choice::First(index) || other.contains(['%', ';']));
        }
    }
}
