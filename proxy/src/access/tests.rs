use super::*;

const NEAR: &str = "127.0.0.1";
const FAR: &str = "203.0.113.7";
const ALL: [Class; 4] = [Class::Counts, Class::Settings, Class::Values, Class::Switches];

/// What is decided for a request of this peer with these header lines and target.
fn decided(
    access: &Access,
    class: Class,
    peer: &str,
    lines: &[(&str, &str)],
    target: &str,
) -> Result<Sight, Denied> {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
    }
    let target = target.parse().unwrap();
    access.decide(class, Asked { peer: peer.parse().ok(), headers: &headers, target: &target })
}

/// Of a peer alone, that asks for an address.
fn from(access: &Access, class: Class, peer: &str) -> Result<Sight, Denied> {
    decided(access, class, peer, &[("host", "192.0.2.1:8080")], "/")
}

/// Of a near peer with these header lines.
fn with(access: &Access, class: Class, lines: &[(&str, &str)]) -> Result<Sight, Denied> {
    decided(access, class, NEAR, lines, "/")
}

fn with_token() -> Access {
    let tokens = vec![Known::control(&Token::new("s3cret".to_owned()))];
    Access { tokens, ..Access::default() }
}

fn own_listener() -> Access {
    Access { own_listener: true, ..Access::default() }
}

fn open() -> Access {
    Access { open: true, ..Access::default() }
}

fn hosts(text: &str) -> Access {
    Access { hosts: Hosts::parse(text).unwrap(), ..Access::default() }
}

#[test]
fn peers_are_near_on_this_machine_and_on_networks_that_are_not_routed() {
    for ip in [
        "127.0.0.1",
        "127.9.9.9",
        "10.0.0.1",
        "10.255.255.255",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "169.254.1.1",
        "::1",
        "fc00::1",
        "fdff:ffff::1",
        "fe80::1",
        "febf::1",
        "::ffff:127.0.0.1",
        "::ffff:10.1.2.3",
        "::ffff:192.168.1.1",
    ] {
        for class in ALL {
            assert_eq!(from(&Access::default(), class, ip), Ok(Sight::Values), "{ip} {class:?}");
        }
    }
}

#[test]
fn other_peers_see_counts_alone_and_switch_nothing() {
    let access = Access::default();
    for ip in [
        FAR,
        "8.8.8.8",
        "172.15.255.255",
        "172.32.0.1",
        "192.169.0.1",
        "11.0.0.1",
        "128.0.0.1",
        "0.0.0.0",
        "100.64.0.1",
        "169.253.1.1",
        "2001:db8::1",
        "::",
        "fec0::1",
        "::ffff:8.8.8.8",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "nobody",
    ] {
        let counts = Ok(Sight::Counts(Denied::Peer));
        assert_eq!(from(&access, Class::Counts, ip), counts, "{ip}");
        assert_eq!(from(&access, Class::Values, ip), Err(Denied::Peer), "{ip}");
        assert_eq!(from(&access, Class::Switches, ip), Err(Denied::Peer), "{ip}");
    }
}

#[test]
fn whoever_speaks_for_another_is_not_near() {
    for name in ["x-forwarded-for", "X_Forwarded_For", "x-forwarded_for", "forwarded", "via"] {
        for value in ["127.0.0.1", "1.1 x", ""] {
            let lines = [("host", "localhost"), (name, value)];
            let access = Access::default();
            let counts = Ok(Sight::Counts(Denied::Peer));
            assert_eq!(with(&access, Class::Counts, &lines), counts, "{name}");
            assert_eq!(with(&access, Class::Values, &lines), Err(Denied::Peer), "{name}");
            assert_eq!(with(&access, Class::Switches, &lines), Err(Denied::Peer), "{name}");
            for access in [own_listener(), open()] {
                for class in ALL {
                    assert_eq!(with(&access, class, &lines), Ok(Sight::Values), "{name}");
                }
            }
        }
    }
}

#[test]
fn a_listener_of_their_own_and_admin_open_let_everyone_in_who_reaches_it() {
    for access in [own_listener(), open()] {
        for class in ALL {
            assert_eq!(from(&access, class, FAR), Ok(Sight::Values), "{class:?}");
        }
    }
}

#[test]
fn where_a_token_is_set_it_decides_and_nothing_else() {
    let wide = Access { own_listener: true, open: true, ..with_token() };
    for access in [with_token(), wide] {
        for (peer, host) in [(NEAR, "localhost"), (FAR, "shop.example")] {
            let far = [("host", host), ("x-forwarded-for", "192.0.2.9")];
            let given = [far[0], far[1], ("authorization", "Bearer s3cret")];
            let wrong = [far[0], far[1], ("authorization", "Bearer s3cre")];
            for class in ALL {
                let decided = |lines: &[_]| decided(&access, class, peer, lines, "/");
                assert_eq!(decided(&given), Ok(Sight::Values), "{class:?}");
                let without = match class {
                    Class::Switches | Class::Settings => Err(Denied::Token),
                    Class::Counts | Class::Values => Ok(Sight::Counts(Denied::Token)),
                };
                assert_eq!(decided(&far), without, "{class:?}");
                assert_eq!(decided(&wrong), without, "{class:?}");
            }
        }
    }
}

#[test]
fn a_token_that_nobody_set_opens_nothing() {
    let lines = [("host", "shop.example"), ("authorization", "Bearer any")];
    let access = Access::default();
    assert_eq!(decided(&access, Class::Values, FAR, &lines, "/"), Err(Denied::Peer));
    assert_eq!(with(&access, Class::Values, &lines), Err(Denied::Host));
}

#[test]
fn pages_of_other_origins_switch_nothing_wherever_and_with_whatever() {
    let given = ("authorization", "Bearer s3cret");
    for line in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", "Cross-Site"),
        ("origin", "null"),
        ("origin", ""),
        ("origin", "http://evil.example"),
        ("origin", "http://localhost"),
        ("origin", "http://localhost:8081"),
        ("origin", "https://localhost"),
        ("origin", "http://localhost.evil.example:8080"),
        ("origin", "http://localhost:8080/x"),
        ("origin", "http://user@localhost:8080"),
        ("origin", "file://localhost:8080"),
        ("origin", "localhost:8080"),
        ("origin", "\u{e9}"),
    ] {
        let lines = [("host", "localhost:8080"), line, given];
        for access in [Access::default(), own_listener(), open(), with_token()] {
            assert_eq!(with(&access, Class::Switches, &lines), Err(Denied::Page), "{line:?}");
            // They cannot read what they are not shown by the browser.
            assert_eq!(with(&access, Class::Values, &lines), Ok(Sight::Values), "{line:?}");
        }
    }
}

#[test]
fn one_of_several_lines_is_enough_to_be_of_another_origin() {
    let own = ("origin", "http://localhost");
    for lines in [
        [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
        [own, ("origin", "http://evil.example")],
        [("origin", "http://evil.example"), own],
    ] {
        let lines = [lines[0], lines[1], ("host", "localhost")];
        assert_eq!(with(&Access::default(), Class::Switches, &lines), Err(Denied::Page));
    }
}

#[test]
fn pages_of_the_proxys_own_origin_may_switch() {
    for (host, origin) in [
        ("localhost:8080", "http://localhost:8080"),
        ("LOCALHOST:8080", "http://localhost:8080"),
        ("localhost.:8080", "http://localhost:8080"),
        ("localhost", "http://localhost:80"),
        ("localhost:443", "https://localhost"),
        ("localhost:", "http://localhost"),
        ("[::1]:8080", "http://[0:0::1]:8080"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
    ] {
        for site in ["same-origin", "none"] {
            let lines = [("host", host), ("origin", origin), ("sec-fetch-site", site)];
            let switched = with(&Access::default(), Class::Switches, &lines);
            assert_eq!(switched, Ok(Sight::Values), "{host} {origin}");
        }
    }
}

#[test]
fn an_origin_without_a_host_or_beside_two_of_them_is_another() {
    let access = open();
    let origin = ("origin", "http://localhost");
    assert_eq!(with(&access, Class::Switches, &[origin]), Err(Denied::Page));
    let two = [("host", "localhost"), ("host", "other"), origin];
    assert_eq!(with(&access, Class::Switches, &two), Err(Denied::Page));
    let line = [("host", "localhost"), origin];
    let target = "http://other/control/enable";
    assert_eq!(decided(&access, Class::Switches, NEAR, &line, target), Err(Denied::Page));
    let target = "http://localhost/control/enable";
    assert_eq!(decided(&access, Class::Switches, NEAR, &line, target), Ok(Sight::Values));
}

#[test]
fn values_are_shown_to_addresses_localhost_and_names_that_are_listed() {
    let access = hosts("Proxy, mirror.internal.");
    for host in [
        "127.0.0.1",
        "127.0.0.1:8080",
        "203.0.113.7:1",
        "127.0.0.1.:80",
        "[::1]",
        "[::1]:8080",
        "[2001:db8::1]:",
        "localhost",
        "localhost:8080",
        "LocalHost:1",
        "localhost.",
        "localhost.:8080",
        "proxy",
        "PROXY:8080",
        "proxy.:8080",
        "mirror.internal:9",
    ] {
        for access in [&access, &Access { open: true, ..access.clone() }] {
            assert_eq!(with(access, Class::Values, &[("host", host)]), Ok(Sight::Values), "{host}");
        }
    }
}

#[test]
fn values_are_not_shown_under_other_names_on_either_listener() {
    for host in [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "xlocalhost",
        "a.localhost",
        "localhost..",
        "proxy",
        "127.0.0.1.evil.example",
        "127.1",
        "2130706433",
        "0x7f000001",
        "1.2.3.4.5",
        "",
        ":80",
        "[::1",
        "[::1]x",
        "[localhost]",
        "::1",
        "localhost:99999",
        "localhost:x",
        "localhost:+80",
        "\u{e9}",
    ] {
        for access in [Access::default(), own_listener(), open(), hosts("proxy.internal")] {
            let lines = [("host", host)];
            assert_eq!(with(&access, Class::Values, &lines), Err(Denied::Host), "{host}");
            let counts = Ok(Sight::Counts(Denied::Host));
            assert_eq!(with(&access, Class::Counts, &lines), counts, "{host}");
            // Programs may use any name, pages may not.
            assert_eq!(with(&access, Class::Switches, &lines), counts, "{host}");
        }
    }
}

#[test]
fn every_host_that_a_request_names_must_be_known() {
    let values =
        |lines: &[_], target| decided(&Access::default(), Class::Values, NEAR, lines, target);
    let target = "http://localhost:8080/control/report";
    assert_eq!(values(&[], target), Ok(Sight::Values));
    assert_eq!(values(&[], "http://evil.example/control/report"), Err(Denied::Host));
    assert_eq!(values(&[("host", "evil.example")], target), Err(Denied::Host));
    let both = [("host", "localhost")];
    assert_eq!(values(&both, "http://evil.example/control/report"), Err(Denied::Host));
    let lines = [("host", "localhost"), ("host", "evil.example")];
    assert_eq!(values(&lines, "/"), Err(Denied::Host));
    assert_eq!(values(&[], "/"), Ok(Sight::Values), "no browser asks for nobody");
}

#[test]
fn a_page_under_a_name_that_nobody_listed_switches_nothing_though_it_is_its_own_origin() {
    let lines = [("host", "evil.example:8080"), ("origin", "http://evil.example:8080")];
    let fetched = [("host", "evil.example:8080"), ("sec-fetch-site", "same-origin")];
    for access in [Access::default(), own_listener(), open()] {
        assert_eq!(with(&access, Class::Switches, &lines), Err(Denied::Host));
        assert_eq!(with(&access, Class::Switches, &fetched), Err(Denied::Host));
    }
    assert_eq!(with(&hosts("evil.example"), Class::Switches, &lines), Ok(Sight::Values));
    let given = [lines[0], lines[1], ("authorization", "Bearer s3cret")];
    assert_eq!(with(&with_token(), Class::Switches, &given), Ok(Sight::Values));
}

#[test]
fn hosts_are_a_list_of_names_without_ports() {
    assert_eq!(hosts(" a.b , C."), hosts("A.B,c"));
    for text in ["a:80", "http://a", "a b", "a,,b", ",", "*.a", "[::1]", "a/b", ".", "\u{e9}"] {
        assert!(Hosts::parse(text).is_err(), "{text}");
    }
}

#[test]
fn what_is_said_at_the_start_is_what_holds() {
    let all = [
        (with_token(), "CONTROL_TOKEN", "any"),
        (Access { open: true, ..with_token() }, "CONTROL_TOKEN", "any"),
        (own_listener(), "ADMIN_ADDR", "an address, localhost"),
        (open(), "LISTEN_ADDR", "an address, localhost"),
        (hosts("proxy"), "loopback and private", "an address, localhost, proxy"),
    ];
    for (access, who, by_host) in all {
        assert!(access.who().contains(who), "{}", access.who());
        assert_eq!(access.by_host(), by_host);
        assert_eq!(access.is_open(), access == open());
    }
}

/// A token of this name, which is its secret too, with these rights.
fn known(name: &str, rights: &[Right]) -> Known {
    let (name, hash) = (name.to_owned(), Hash::of(name.as_bytes()));
    Known { name, hash, rights: Rights::of(rights) }
}

fn with_tokens() -> Access {
    let tokens = vec![
        Known::control(&Token::new("s3cret".to_owned())),
        known("reader", &[Right::Read]),
        known("viewer", &[Right::Examples]),
        known("switcher", &[Right::Control]),
        known("both", &[Right::Examples, Right::Control]),
    ];
    Access { tokens, ..Access::default() }
}

#[test]
fn what_a_token_may_is_what_its_rights_say() {
    let (examples, control) = (Denied::Right(Right::Examples), Denied::Right(Right::Control));
    let settings = Ok(Sight::Settings(examples));
    for (token, seen, switched) in [
        ("s3cret", Ok(Sight::Values), Ok(Sight::Values)),
        ("reader", settings, Err(control)),
        ("viewer", Ok(Sight::Values), Err(control)),
        ("switcher", settings, settings),
        ("both", Ok(Sight::Values), Ok(Sight::Values)),
    ] {
        let authorization = format!("Bearer {token}");
        let lines = [("host", "shop.example"), ("authorization", authorization.as_str())];
        for class in [Class::Counts, Class::Settings, Class::Values] {
            let decided = decided(&with_tokens(), class, FAR, &lines, "/");
            assert_eq!(decided, seen, "{token} {class:?}");
        }
        assert_eq!(decided(&with_tokens(), Class::Switches, FAR, &lines, "/"), switched, "{token}");
    }
    for right in [Right::Read, Right::Examples, Right::Control] {
        let denied = Denied::Right(right);
        assert!(denied.reason().contains(right.name()) && denied.withheld().contains(right.name()));
    }
}

#[test]
fn with_tokens_of_the_file_alone_nobody_switches_without_one() {
    let access = Access { tokens: vec![known("viewer", &[Right::Examples])], ..open() };
    for lines in [&[("host", "localhost")][..], &[("authorization", "Bearer viewe")]] {
        assert_eq!(with(&access, Class::Switches, lines), Err(Denied::Token));
        assert_eq!(with(&access, Class::Settings, lines), Err(Denied::Token));
        for class in [Class::Counts, Class::Values] {
            assert_eq!(with(&access, class, lines), Ok(Sight::Counts(Denied::Token)));
        }
    }
    assert!(!access.is_open());
    assert_eq!(access.who(), "whoever sends viewer (read, examples)");
    assert_eq!(access.by_host(), "any");
}

#[test]
fn a_page_of_another_origin_switches_nothing_with_whatever_token() {
    let lines = [("origin", "http://evil.example"), ("authorization", "Bearer both")];
    assert_eq!(with(&with_tokens(), Class::Switches, &lines), Err(Denied::Page));
}

#[test]
fn it_is_known_whose_token_a_request_has() {
    let access = with_tokens();
    let whose = |value: &str| {
        let headers = HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]);
        match access.bearer(&headers) {
            Bearer::Known(known) => known.name.clone(),
            other => format!("{other:?}"),
        }
    };
    assert_eq!(whose("bearer viewer"), "viewer");
    assert_eq!(whose("Bearer s3cret"), "CONTROL_TOKEN");
    for nobody in ["Bearer view", "Bearer viewer2", "Bearer  viewer", "Basic viewer", "Bearer", ""]
    {
        assert_eq!(whose(nobody), "Nobody", "{nobody}");
    }
    assert_eq!(access.bearer(&HeaderMap::new()), Bearer::None);
}

#[test]
fn a_hash_is_64_digits_and_not_that_of_nothing() {
    // Of `printf %s viewer | sha256sum`.
    let text = "d35ca5051b82ffc326a3b0b6574a9a3161dee16b9478a199ee39cd803ce5b799";
    assert_eq!(Hash::parse(text), Ok(Hash::of(b"viewer")));
    assert_eq!(Hash::parse(&text.to_uppercase()), Ok(Hash::of(b"viewer")));
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let wide = "é".repeat(32);
    let spaced = format!("{text}  -");
    let odd = format!("+{}", &text[1..]);
    for bad in ["", "viewer", &text[1..], &spaced, &odd, empty, &wide] {
        assert!(Hash::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn other_tokens_hold_while_it_runs_and_the_rest_stays_as_it_was() {
    let start = Access { open: true, ..with_tokens() };
    let control = Known::control(&Token::new("another".to_owned()));
    let viewer = known("viewer", &[Right::Control]);
    let new = known("new", &[Right::Read]);
    let now = Access { tokens: vec![control, viewer.clone(), new.clone()], ..hosts("a") };
    let renewed = start.renewed(&now);
    assert_eq!(renewed.tokens, [start.tokens[0].clone(), viewer, new]);
    assert!(renewed.open && renewed.hosts == start.hosts);
    assert_eq!(renewed.changed(&start), ["both", "new", "reader", "switcher", "viewer"]);
    assert_eq!(renewed.changed(&renewed), [""; 0]);
}
