use proptest::prelude::*;

use super::*;

fn found(text: &str) -> Vec<(Kind, &str)> {
    let hits = hits(text.as_bytes(), Kinds::ALL);
    hits.map(|hit| (hit.kind, &text[hit.range])).collect()
}

#[test]
fn card_numbers_are_found_by_scheme_and_check_digit() {
    for card in [
        "4111111111111111",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4222222222222",
        "5555555555554444",
        "2223003122003222",
        "378282246310005",
        "3782 822463 10005",
        "30569309025904",
        "3056 930902 5904",
        "6011111111111117",
        "3530111333300000",
        "6200000000000005",
        "4000000000000000006",
        "4000 0000 0000 0000 006",
        "6759649826438453",
        "2200123456789019",
        "9792030394440796",
    ] {
        for text in [
            card.to_owned(),
            format!("card: {card}."),
            format!("<{card}>"),
            format!("a={card}&b=1"),
        ] {
            assert_eq!(found(&text), [(Kind::Card, card)], "{text}");
        }
    }
    // What a card's digits are followed by.
    assert_eq!(found("4111 1111 1111 1111 123"), [(Kind::Card, "4111 1111 1111 1111")]);
}

#[test]
fn numbers_that_are_no_cards_are_none() {
    for text in [
        "4111111111111112",
        "1700000000000",
        "1700000000000000000",
        "0.4111111111111111",
        "4111111111111111.5",
        "x4111111111111111",
        "4111111111111111x",
        "41111111111111111111111111111111",
        "4111 1111-1111 1111",
        "4111  1111 1111 1111",
        "9780306406157",
        "0000000000000000",
        "411111111111",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn ibans_are_found_by_country_length_and_check_digits() {
    for iban in [
        "DE89370400440532013000",
        "DE89 3704 0044 0532 0130 00",
        "GB29NWBK60161331926819",
        "GB29 NWBK 6016 1331 9268 19",
        "FR1420041010050500013M02606",
        "NO9386011117947",
        "MT84MALT011000012345MTLCAST001S",
        "CH93 0076 2011 6238 5295 7",
        "nl91abna0417164300",
    ] {
        for text in [iban.to_owned(), format!("to {iban}, please"), format!("\"{iban}\"")] {
            assert_eq!(found(&text), [(Kind::Iban, iban)], "{text}");
        }
    }
    for text in [
        "DE88370400440532013000",
        "XX89370400440532013000",
        "DE8937040044053201300",
        "DE893704004405320130000",
        "ADE89370400440532013000",
        "De89370400440532013000",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn mail_addresses_are_found() {
    for mail in [
        "ann@example.com",
        "a.b+c@mail.example.co.uk",
        "o'brien@example.com",
        "jörg@müller.example",
        "ann@xn--mller-kva.example",
        "ann%40example.com",
        "A_B%c@X-Y.DE",
    ] {
        for text in [
            mail.to_owned(),
            format!("<{mail}>"),
            format!("mail {mail}."),
            format!("'{mail}'"),
            format!("?to={mail}&x"),
            format!("mailto:{mail}"),
        ] {
            assert_eq!(found(&text), [(Kind::Email, mail)], "{text}");
        }
    }
    for (text, mail) in [
        ("a@b.de@c.de", "a@b.de"),
        ("a@b.de-2024", "a@b.de"),
        ("a@b.de.2024", "a@b.de"),
        ("a@b.de_x", "a@b.de"),
        ("a@b.de...", "a@b.de"),
        ("a@b.de..c.de", "a@b.de"),
        ("a@b.de42", "a@b.de"),
    ] {
        assert_eq!(found(text), [(Kind::Email, mail)], "{text}");
    }
    for text in
        ["react@18.2.0", "logo@2x.png", "@media", "a@b", "a@b.c", "a@.de", "@b.de", "...@b.de"]
    {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn tokens_are_found() {
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";
    assert_eq!(found(&format!("t={jwt}&")), [(Kind::Jwt, jwt)]);
    assert_eq!(found(&format!("Bearer {jwt}")), [(Kind::Bearer, jwt)]);
    assert_eq!(found(&jwt[..40]), [(Kind::Jwt, &jwt[..40])]);
    assert_eq!(found("authorization: bearer abc123def"), [(Kind::Bearer, "abc123def")]);
    assert_eq!(
        found("BEARER abcdefghijklmnopqrstuvwxyz"),
        [(Kind::Bearer, "abcdefghijklmnopqrstuvwxyz")]
    );
    for text in [
        "eyJhbGciOiJIUzI1NiJ9",
        "eyes.on.you",
        "xeyJhbGciOiJIUzI1NiJ9.abcdefghi.x",
        "bearer of bad news",
        "Bearer certificate",
        "forbearer abc123def",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn addresses_of_the_internet_are_found() {
    for ip in [
        "192.0.2.1",
        "10.1.2.3",
        "255.255.255.255",
        "2001:db8::1",
        "fe80::1ff:fe23:4567:890a",
        "::ffff:192.0.2.1",
        "2001:db8:0:0:0:0:0:1",
        "2001:db8::",
    ] {
        for text in [
            ip.to_owned(),
            format!("from {ip}, then"),
            format!("[{ip}]:443"),
            format!("{ip}/24"),
            format!("http://{ip}/x"),
        ] {
            // A port behind an address without brackets is a part of it.
            let text = text.replace("//2001", "//[2001");
            assert_eq!(found(&text), [(Kind::Ip, ip)], "{text}");
        }
    }
    assert_eq!(found("at 192.0.2.1."), [(Kind::Ip, "192.0.2.1")]);
    assert_eq!(found("at 192.0.2.1:80"), [(Kind::Ip, "192.0.2.1")]);
    assert_eq!(found("2001:db8::1: refused"), [(Kind::Ip, "2001:db8::1")]);
    for text in [
        "1.2.3",
        "v1.2.3.4",
        "1.2.3.4.5",
        "256.1.1.1",
        "Chrome/120.0.0.0",
        "Chrome/120.0.6099.109 Safari/537.36",
        "127.0.0.1",
        "0.0.0.0",
        "::1",
        "12:30:45",
        "2024-01-01T12:30:45.123Z",
        "std::net",
        "a::b",
        "aa:bb:cc:dd:ee:ff",
        "{\"a\":1,\"b\":[0.5]}",
        "00:11:22:33:44:55:66:77:88:99",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn telephone_numbers_in_international_form_are_found() {
    for phone in [
        "+4930123456",
        "+49 30 123456",
        "+1 (415) 555-2671",
        "+1-415-555-2671",
        "+1.415.555.2671",
        "+49 (0)30 / 12 34 56",
        "+447911123456",
    ] {
        for text in [
            phone.to_owned(),
            format!("tel:{phone}"),
            format!("call {phone}."),
            format!("\"{phone}\""),
        ] {
            assert_eq!(found(&text), [(Kind::Phone, phone)], "{text}");
        }
    }
    assert_eq!(found("+49 30 1234567 20 30 40 50"), [(Kind::Phone, "+49 30 1234567 20 30")]);
    for text in [
        "+1000",
        "+0123456789",
        "2024-01-01T00:00:00+0100",
        "1e+20000000",
        "+12345678.90",
        "+1234567890123456",
        "a+4930123456",
        "+28123456789",
        "030 123456",
        "+12345678ab",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn what_services_say_all_day_is_nothing() {
    for text in [
        "550e8400-e29b-41d4-a716-446655440000",
        "00000000-0000-4000-8000-000000000000",
        "2024-05-06T07:08:09.123456Z",
        "Mon, 06 May 2024 07:08:09 GMT",
        "1714979289123",
        "1714979289",
        "19.99",
        "$1,234,567.89",
        "1.10.3-rc.1+build.5114",
        "W/\"5e8f-18f4a2b3c4d\"",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "application/vnd.api+json; charset=utf-8",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
        "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
        "max-age=31536000; includeSubDomains",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "/api/product/p-100?limit=20&offset=40",
        "978-3-16-148410-0",
        "{\"price\":{\"amount\":129900,\"currency\":\"EUR\"},\"stock\":17,\"id\":\"p-100\"}",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn only_what_is_looked_for_is_found() {
    let text = "ann@example.com 192.0.2.1 4111111111111111";
    let only = |kind| hits(text.as_bytes(), Kinds::NONE.with(kind)).collect::<Vec<_>>();
    assert_eq!(only(Kind::Ip), [Hit { kind: Kind::Ip, range: 16..25 }]);
    assert_eq!(only(Kind::Jwt), []);
    assert_eq!(hits(text.as_bytes(), Kinds::NONE).next(), None);
    assert_eq!(Kind::ALL.into_iter().collect::<Kinds>(), Kinds::ALL);
}

/// Texts whose parts give hits away, so that many places are looked at.
fn suspicious() -> impl Strategy<Value = String> {
    let parts = proptest::sample::select(vec![
        "@", ".", "eyJ", "bearer ", "+", "+1", ":", "::", "DE", "89", "4111", "1", "0", " ", "-",
        "a", "é", "com", "=", "%40", "\"",
    ]);
    proptest::collection::vec(parts, 0..60).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn hits_are_in_order_and_of_whole_characters(text in suspicious()) {
        let mut free = 0;
        for hit in hits(text.as_bytes(), Kinds::ALL) {
            prop_assert!(free <= hit.range.start && hit.range.start < hit.range.end);
            prop_assert!(text.get(hit.range.clone()).is_some());
            free = hit.range.end;
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_looked_at_too(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(hits(&bytes, Kinds::ALL).count() <= bytes.len());
    }

    #[test]
    fn what_is_planted_between_spaces_is_found(before in suspicious(), behind in suspicious()) {
        for secret in ["ann@example.com", "DE89370400440532013000", "4111111111111111"] {
            let text = format!("{before}\n{secret}\n{behind}");
            let range = before.len() + 1..before.len() + 1 + secret.len();
            prop_assert!(hits(text.as_bytes(), Kinds::ALL).any(|hit| hit.range == range), "{}", text);
        }
    }
}

#[test]
fn the_time_is_linear_whatever_is_sent() {
    // Looked at again for each of its parts, any of these would take minutes.
    for part in [
        "@",
        "a@",
        "eyJ",
        "eyJa.",
        "bearer ",
        "bearer=",
        "bearer=a ",
        "+1",
        "+1 ",
        ":",
        "1:",
        "::1",
        "1.",
        "4111 ",
        "DE89",
        "DE89 ",
        "%40",
        "1@1.",
        "+49 1 ",
    ] {
        let text = part.repeat(1 << 15);
        for kinds in Kind::ALL.map(|kind| Kinds::NONE.with(kind)).into_iter().chain([Kinds::ALL]) {
            let started = std::time::Instant::now();
            let _ = hits(text.as_bytes(), kinds).count();
            assert!(started.elapsed().as_secs() < 10, "{part} {kinds:?}");
        }
    }
}
