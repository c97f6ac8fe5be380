//! What is told of bodies that are no JSON has no secrets in it, wherever they stand.

use std::borrow::Cow;
use std::sync::Arc;

use super::bodies::{FORM, by};
use super::*;
use crate::json::Kind as Node;
use crate::redaction::{Alias, Redaction};
use crate::rules::{Redacted, RuleBook, Select, What};

/// A policy that knows addresses and card numbers by their looks, and one name.
#[derive(Debug)]
struct Looks {
    copies: bool,
}

impl Redaction for Looks {
    fn shown<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
        let personal = text.contains(&b'@') || digits >= 13;
        if personal { Cow::Owned(b"***".to_vec()) } else { Cow::Borrowed(text) }
    }

    fn shown_path<'t>(&self, path: &'t [u8]) -> Cow<'t, [u8]> {
        Cow::Borrowed(path)
    }

    fn names(&self, name: &str) -> bool {
        name.eq_ignore_ascii_case("nickname")
    }

    fn alias(&self, _: Alias, _: Node, text: &str) -> String {
        text.to_owned()
    }

    fn looks(&self) -> bool {
        self.copies
    }

    fn looked<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if text.contains("alice") { text.replace("alice", "bob").into() } else { text.into() }
    }

    fn same_looks<'t>(&self, text: &'t str) -> Cow<'t, str> {
        Cow::Borrowed(text)
    }

    fn header(&self, _: &http::HeaderName, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn meaning(&self) -> u64 {
        1
    }
}

pub(crate) fn redacting() -> Arc<Rules> {
    policy(false)
}

fn policy(copies: bool) -> Arc<Rules> {
    let rules = vec![What::Hide(Select::Key("plate".to_owned()))];
    let redacted = Some(Redacted { by: Arc::new(Looks { copies }), copies, rules });
    let book = RuleBook { redacted, ..super::differences::book(&[]) };
    super::differences::policy(&book).of("GET /").rules
}

/// Of bodies with two secrets in each of these forms, nothing that is told has them; nor of one beside a body
/// without.
#[track_caller]
fn hides(said: &str, secrets: [&str; 2], forms: &[fn(&str) -> String]) {
    for make in forms {
        let [one, two] = secrets.map(make);
        let none = make("").replace("=b", "=b2");
        for (ours, theirs) in [(&one, &two), (&one, &none), (&none, &two)] {
            let found = by(&redacting(), said, ours, theirs);
            let text = format!("{found:?}");
            assert!(!found.is_empty(), "{said}: {one}");
            assert!(!secrets.iter().any(|it| text.contains(&it[..6])), "{said}: {text}");
        }
    }
}

const SECRETS: [&str; 2] = ["hunter2aa", "hunter2bb"];

#[test]
fn secrets_in_forms_and_parts_are_not_shown() {
    hides(
        FORM,
        SECRETS,
        &[
            |it| format!("a=1&password={it}"),
            |it| format!("user%5Bpassword%5D={it}"),
            |it| format!("nickname={it}&plate={it}"),
            |it| format!("note=Bearer+{it}"),
        ],
    );
    hides(
        "multipart/form-data; boundary=b",
        SECRETS,
        &[
            |it| {
                format!(
                    "--b\r\nContent-Disposition: form-data; name=password\r\n\r\n{it}\r\n--b--\r\n"
                )
            },
            |it| {
                format!(
                    "--b\nContent-Disposition: form-data; name=a\n\n{{\"plate\":\"{it}\"}}\n--b--"
                )
            },
            |it| format!("--b\nContent-Disposition: form-data; name=a\n\nx\ntoken: {it}\n--b--"),
        ],
    );
}

#[test]
fn secrets_in_pages_are_not_shown() {
    hides(
        "text/html",
        SECRETS,
        &[
            |it| format!("<form><input name=password value={it}></form>"),
            |it| format!("<input type=password value={it} placeholder={it}>"),
            |it| format!("<meta name=csrf-token content={it}>"),
            |it| format!("<table><tr><th>Password</th><td>{it}</td></tr></table>"),
            |it| format!("<label>PIN:</label><input id=x value={it}>"),
            |it| format!("<script>var s = {{apiKey: '{it}'}}</script>"),
            |it| format!("<a href='/in?token={it}'>in</a>"),
            |it| format!("<p data-plate={it}>x</p><plate>{it}</plate>"),
            |it| format!("<!-- password: {it} -->"),
            |it| format!("<a data-api-key={it}>in</a>"),
            |it| format!("<p>sent with Bearer {it}</p>"),
            |it| format!("<p id=card><b>{it}</b></p>"),
        ],
    );
}

#[test]
fn an_id_of_a_part_of_a_page_hides_nothing_in_it() {
    let page = |title: &str| format!("<div id=card><h1>{title}</h1>{}</div>", "<p>a</p>".repeat(9));
    let found = by(&redacting(), "text/html", page("one"), page("two"));
    assert_eq!(found, ["body div > h1 value \"one\"|\"two\""]);
}

#[test]
fn secrets_in_xml_are_not_shown_well_formed_or_not() {
    hides(
        "application/xml",
        SECRETS,
        &[
            |it| format!("<a><password>{it}</password></a>"),
            |it| format!("<a><Password><x>{it}</x></Password></a>"),
            |it| format!("<a><Password><x>{it}</x></Password></a"),
            |it| format!("<a><ns:token>{it}</ns:token></a>"),
            |it| format!("<a><property name='password'>{it}</property></a>"),
            |it| format!("<a><entry key='password' value='{it}'/></a>"),
            |it| format!("<a><key>password</key><string>{it}</string></a>"),
            |it| format!("<a><user secret='{it}'/></a>"),
        ],
    );
}

#[test]
fn secrets_in_tables_are_not_shown() {
    hides(
        "text/csv",
        SECRETS,
        &[
            |it| format!("id,password\nx,{it}\n"),
            |it| format!("id,\"API key\"\nx,{it}\n"),
            |it| format!("id,plate\nx,{it}\n"),
            |it| format!("1,password\nx,{it}\n"),
            |it| format!("1,2\npassword,{it}\n"),
        ],
    );
    // Of one that is too long to be read nothing is shown.
    let rows = |it: &str| format!("id,password\n{}", format!("x,{it}\n").repeat(2500));
    let found = by(&redacting(), "text/csv", rows(SECRETS[0]), rows(SECRETS[1]));
    assert_eq!(found, ["body value 30012 bytes|30012 bytes (from line 2, byte 10 on)"]);
}

#[test]
fn secrets_in_texts_and_lines_of_json_are_not_shown() {
    hides(
        "text/plain",
        SECRETS,
        &[
            |it| format!("a\npassword={it}\nb"),
            |it| format!("Authorization: Bearer {it}"),
            |it| format!("password:\n  {it}\n"),
            |it| format!("-----BEGIN PRIVATE KEY-----\nMIIE\n{it}\n-----END PRIVATE KEY-----\n"),
            |it| format!("{{\"password\": \"{it}\"}} x"),
            |it| format!("<password>{it}</password>"),
        ],
    );
    hides(
        "application/x-ndjson",
        SECRETS,
        &[
            |it| format!("{{\"password\":\"{it}\"}}\n{{\"plate\":\"{it}\"}}\n"),
            |it| format!("{{}}\nno JSON {it}"),
        ],
    );
}

#[test]
fn what_looks_personal_to_the_policy_is_shown_of_no_body() {
    for secrets in
        [["4111111111111111", "4111111111111112"], ["aaaa@example.com", "bbbb@example.com"]]
    {
        hides(
            "text/html",
            secrets,
            &[|it| format!("<p title='{it}'>{it}</p>"), |it| format!("<p>{it}</p><b>{it}</b>")],
        );
        hides("application/xml", secrets, &[|it| format!("<a b='{it}'><c>{it}</c></a>")]);
        hides("text/csv", secrets, &[|it| format!("id,x\na,{it}\n"), |it| format!("a,{it}\nb,c")]);
        hides("text/plain", secrets, &[|it| format!("to {it}")]);
        hides(FORM, secrets, &[|it| format!("x={it}&{it}=1")]);
        hides("application/x-ndjson", secrets, &[|it| format!("{{\"x\":\"{it}\"}}\n{{}}")]);
    }
}

#[test]
fn bytes_that_could_be_text_are_not_shown_where_anything_is_hidden() {
    let rules = redacting();
    let (ours, theirs) = (b"caf\xe9 hunter2a", b"caf\xe9 hunter2b");
    assert_eq!(
        by(&rules, "text/plain", ours, theirs),
        ["body value 13 bytes|13 bytes (from byte 13 on)"]
    );
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    let found = by(&rules, "text/plain", wide("hunter2a"), wide("hunter2b"));
    assert_eq!(found, ["body value 16 bytes|16 bytes (from byte 15 on)"]);
    let found = by(&rules, "", b"\x01\x02\xff", b"\x01\x03\xff");
    assert!(found[0].contains("there 01 03 ff"), "{found:?}");
}

#[test]
fn nothing_of_broken_json_is_shown_where_there_are_rules_for_what_is_in_it() {
    let path = super::differences::path("$.car.plate");
    let with = super::differences::book(&[What::Hide(Select::Path(path))]);
    let rules = super::differences::policy(&with).of("GET /").rules;
    let broken = |last: &str| format!("{{\n\"car\":{{\"plate\":\"{last}\"}}");
    let found = by(&rules, "application/json", broken("x1"), broken("x2"));
    assert_eq!(found, ["body line 2 value ***|***"]);
    let found = by(&Rules::default(), "application/json", broken("x1"), broken("x2"));
    assert!(found[0].contains("x1"), "{found:?}");
}

#[test]
fn what_stands_for_the_same_in_copies_is_not_told() {
    let rules = policy(true);
    let found = by(&rules, "text/plain", "by alice\n1 item", "by bob\n2 items");
    assert_eq!(found, ["body line 2 value \"1 item\"|\"2 items\""]);
    let found = by(&rules, "text/html", "<p>by alice</p><b/>", "<p>by bob</p>\n<b/>");
    assert!(found[0].contains("what copies have in another form"), "{found:?}");
    assert_eq!(by(&rules, "text/plain", "by alice", "by bob"), [""; 0]);
}
