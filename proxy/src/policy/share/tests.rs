use http::{HeaderMap, Method, Uri};
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::*;

fn client(ip: &str) -> Option<Vec<u8>> {
    let (uri, headers) = (Uri::from_static("/"), HeaderMap::new());
    let client = ip.parse().unwrap();
    let seen = Seen { method: &Method::GET, uri: &uri, headers: &headers, client };
    SampleBy::Client.key(&seen).map(Cow::into_owned)
}

fn key(by: &str, target: &str, lines: &[(&str, &str)]) -> Option<String> {
    let uri: Uri = target.parse().unwrap();
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    let client = "192.0.2.7".parse().unwrap();
    let seen = Seen { method: &Method::GET, uri: &uri, headers: &headers, client };
    let key = SampleBy::parse(by).unwrap().key(&seen);
    key.map(|key| String::from_utf8(key.into_owned()).unwrap())
}

#[test]
fn shares_are_from_0_to_1_in_millionths() {
    for (text, parts) in [
        ("0", 0),
        ("0.0", 0),
        ("1", WHOLE),
        ("1.000000", WHOLE),
        ("1e-6", 1),
        ("0.000001", 1),
        ("0.25", 250_000),
        (" .5 ", 500_000),
        ("0.999999", 999_999),
        ("0.123457", 123_457),
    ] {
        assert_eq!(Share::parse(text), Ok(Share(parts)), "{text}");
    }
    for bad in ["", "x", "1.1", "-0.1", "1.0000001", "nan", "inf", "-inf", "50%", "0,5", "1e9"] {
        let error = Share::parse(bad).unwrap_err();
        assert!(error == "is no number" || error == "is not from 0 to 1", "{bad}: {error}");
    }
    for fine in ["1e-7", "0.0000015", "0.1234567", "0.9999999", "1e-300", "0.33333333333333333"] {
        assert_eq!(Share::parse(fine).unwrap_err(), "is finer than one in a million", "{fine}");
    }
}

#[test]
fn every_millionth_is_read_as_it_is_shown() {
    for parts in 0..=WHOLE {
        let share = Share(parts);
        assert_eq!(Share::parse(&share.to_string()), Ok(share));
    }
    assert_eq!(Share(1).to_string(), "0.000001");
    assert_eq!(Share::ALL.to_string(), "1");
}

#[test]
fn a_share_takes_as_many_places_as_it_has_millionths() {
    for (share, first_out) in [(Share::NONE, 0), (Share(1), 1), (Share(250_000), 250_000)] {
        assert!(!share.takes(first_out) && (first_out == 0 || share.takes(first_out - 1)));
    }
    assert!(Share::ALL.takes(WHOLE - 1));
}

#[test]
fn what_samples_is_read_as_it_is_shown() {
    for text in
        ["header:x-user", "cookie:sid", "cookie:__Host-SID", "query:tenant", "query:a:b", "client"]
    {
        assert_eq!(SampleBy::parse(text).unwrap().to_string(), text);
    }
    assert_eq!(SampleBy::parse("header:X-User"), SampleBy::parse("header:x-user"));
    assert_ne!(SampleBy::parse("cookie:SID"), SampleBy::parse("cookie:sid"));
    for bad in
        ["", "dice", "header", "header:", "header:a b", "cookie:", "cookie:a=b", "cookie:a;b"]
            .into_iter()
            .chain(["query:", "client:", "client:x", "path:/x", "Client", "x-user"])
    {
        assert!(SampleBy::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_key_is_the_first_value_that_a_request_has() {
    let lines = &[("X-User", " bob "), ("x-user", "eve"), ("cookie", "SID=no; sid=\"a=b\"; sid=c")];
    assert_eq!(key("header:x-user", "/", lines).as_deref(), Some("bob"));
    assert_eq!(key("cookie:sid", "/", lines).as_deref(), Some("a=b"));
    assert_eq!(key("query:t", "/?x=1&%74=a+b&t=c", lines).as_deref(), Some("a b"));
    assert_eq!(key("query:t", "/?T=1", lines), None);
    for by in ["header:x-user", "cookie:sid", "query:t"] {
        let empty = &[("x-user", ""), ("cookie", "sid=; other=1")];
        assert_eq!(key(by, "/?t=", empty), None, "{by}");
        assert_eq!(key(by, "/", &[]), None, "{by}");
    }
}

#[test]
fn a_client_is_an_address_however_it_is_written_or_a_network_of_64_bits() {
    assert_eq!(client("192.0.2.7"), client("::ffff:192.0.2.7"));
    assert_ne!(client("192.0.2.7"), client("192.0.2.8"));
    assert_eq!(client("2001:db8::1"), client("2001:db8::ffff:ffff"));
    assert_ne!(client("2001:db8::1"), client("2001:db8:0:1::1"));
}

/// Of SipHash-2-4's published vectors: the key is 0 to 15, the input 0 to 14.
#[test]
fn the_hash_is_siphash_2_4() {
    let secret = Secret(0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
    let input: Vec<u8> = (0..15).collect();
    assert_eq!(u64::from(position(&input, secret)), 0xa129_ca61_49be_45e5 % u64::from(WHOLE));
}

/// What these are must never change: a replica of another version would take other sessions. They are
/// from another implementation.
#[test]
fn keys_keep_their_places_over_versions() {
    for (key, secret, place) in [
        ("", Secret::default(), 721_367),
        ("user-1", Secret::default(), 986_630),
        ("user-1", Secret(7, 0), 859_000),
        ("user-1", Secret::of("tuesday"), 128_830),
        ("5f0b7c1e-9a0d-4f64-8b1a-0a4c7f1f3a55", Secret::of("tuesday"), 721_078),
    ] {
        assert_eq!(position(key.as_bytes(), secret), place, "{key}, {secret:?}");
    }
}

#[test]
fn a_secret_is_not_shown_and_each_text_has_its_own() {
    assert_eq!(format!("{:?}", Secret::of("tuesday")), "Secret(..)");
    assert_ne!(Secret::of("tuesday"), Secret::of("Tuesday"));
    assert_ne!(Secret::of(""), Secret::default());
}

/// Pearson's statistic over a thousand equal ranges, of 100,000 keys that differ in a few digits. Its mean
/// is 999, its deviation 45.
#[test]
fn keys_are_spread_evenly() {
    for secret in [Secret::default(), Secret(1, 0), Secret::of("tuesday")] {
        let mut counts = [0_u32; 1000];
        for user in 0..100_000 {
            let place = position(format!("user-{user}").as_bytes(), secret);
            counts[place as usize / 1000] += 1;
        }
        let statistic: f64 = counts.iter().map(|it| (f64::from(*it) - 100.0).powi(2) / 100.0).sum();
        assert!((800.0..1200.0).contains(&statistic), "{statistic}");
    }
}

/// With another secret others are in: of those that were, the share.
#[test]
fn who_is_in_with_one_secret_says_nothing_of_another() {
    let share = Share::of(0.1);
    let is_in =
        |user: u32, secret| share.takes(position(format!("user-{user}").as_bytes(), secret));
    let before: Vec<_> = (0..100_000).filter(|user| is_in(*user, Secret::of("a"))).collect();
    let still = before.iter().filter(|user| is_in(**user, Secret::of("b"))).count();
    // 1000 of 10,000, with a deviation of 30.
    assert!((9_700..10_300).contains(&before.len()), "{}", before.len());
    assert!((850..1150).contains(&still), "{still}");
}

proptest! {
    #[test]
    fn raising_the_share_keeps_those_who_were_in(
        key in any::<Vec<u8>>(), secret in any::<u64>(), one in 0..=WHOLE, other in 0..=WHOLE,
    ) {
        let position = position(&key, Secret(secret, 0));
        prop_assert!(position < WHOLE);
        let (smaller, larger) = (Share(one.min(other)), Share(one.max(other)));
        prop_assert!(!smaller.takes(position) || larger.takes(position));
        prop_assert!(Share::ALL.takes(position) && !Share::NONE.takes(position));
        // On probation too.
        prop_assert!(!larger.times(0.25).takes(position) || larger.takes(position));
    }

    #[test]
    fn replicas_agree_whatever_else_a_request_says(user in "[a-z0-9-]{1,40}", other in "[a-z]{0,9}") {
        let place = |target: &str, lines: &[(&str, &str)]| {
            key("header:x-user", target, lines).map(|key| position(key.as_bytes(), Secret::of("s")))
        };
        let one = place("/", &[("x-user", &user)]);
        let two = place(&format!("/{other}"), &[("a", &other), ("X-USER", &user), ("b", &other)]);
        prop_assert_eq!(one, two);
    }
}
