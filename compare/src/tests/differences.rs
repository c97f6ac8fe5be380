//! Where and how answers differ, rule by rule.

use super::*;
use crate::path::Path;
use crate::rules::{Class, MaskAs, Pairing, Rule, RuleBook, RuleSet, Select, Tolerance, What};

pub(crate) fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

pub(crate) fn book(whats: &[What]) -> RuleBook {
    let rule =
        |what: &What| Rule { what: what.clone(), text: format!("{what:?}"), place: String::new() };
    let all = RuleSet { rules: whats.iter().map(rule).collect(), ..RuleSet::default() };
    RuleBook { all, ..RuleBook::default() }
}

pub(crate) fn policy(book: &RuleBook) -> Policy {
    Policy::new(book, &[Origin::default(), Origin::default()], 42)
}

pub(crate) fn rules(whats: &[What]) -> std::sync::Arc<Rules> {
    policy(&book(whats)).of("GET /").rules
}

/// The look at two bodies, which must agree with the result whichever way it is come to.
#[track_caller]
pub(crate) fn looked(ours: &str, theirs: &str, rules: &Rules) -> Looked {
    let (ours, theirs) = (side(ours.as_bytes()), side(theirs.as_bytes()));
    let mut grant = |_| true;
    let mut limits = Limits { max_decoded: 1 << 24, grant: &mut grant };
    let looked = look_closer(&ours, &theirs, rules, true, &mut limits);
    assert_eq!(look_closer(&ours, &theirs, rules, false, &mut limits), looked);
    assert_eq!(compare(&ours, &theirs, rules, &mut limits), looked.result);
    let differs = !looked.differences.found.is_empty();
    assert_eq!(looked.result == Match::Mismatched, differs, "{looked:?}");
    assert_eq!(compare(&theirs, &ours, rules, &mut limits), looked.result, "turned around");
    looked
}

/// `place kind baseline|candidate` of each difference.
#[track_caller]
pub(crate) fn found(ours: &str, theirs: &str, rules: &Rules) -> Vec<String> {
    let found = looked(ours, theirs, rules).differences.found;
    let text = |side: &Option<String>| side.clone().unwrap_or_else(|| "-".to_owned());
    let shown = |it: &Difference| {
        let (ours, theirs) = (text(&it.baseline), text(&it.candidate));
        format!("{} {} {ours}|{theirs}", it.place, it.kind.name())
    };
    found.iter().map(shown).collect()
}

pub(crate) fn plain(ours: &str, theirs: &str) -> Vec<String> {
    found(ours, theirs, &Rules::default())
}

#[test]
fn each_difference_has_its_place_kind_and_values_in_the_order_of_the_document() {
    let ours = r#"{"id":1,"gone":[1,2],"kind":"a","deep":{"list":[{"x":1},{"x":2}]},"on":true}"#;
    let theirs =
        r#"{"new":{"a":1},"on":false,"id":"1","kind":"b","deep":{"list":[{"x":1},{"x":3}]}}"#;
    let expected = [
        "$['id'] form 1|\"1\"",
        "$['gone'] missing [2 elements]|-",
        "$['kind'] value \"a\"|\"b\"",
        "$['deep']['list'][1]['x'] value 2|3",
        "$['on'] value true|false",
        "$['new'] added -|{1 member}",
    ];
    assert_eq!(plain(ours, theirs), expected);
    let field = &looked(ours, theirs, &Rules::default()).differences.found[3].field;
    assert_eq!(field, "$['deep']['list'][*]['x']");
    assert_eq!(plain("[1]", "{}"), ["$ type [1 element]|{0 members}"]);
    assert_eq!(plain("1", "2"), ["$ value 1|2"]);
    assert_eq!(plain("null", "2"), ["$ type null|2"]);
}

#[test]
fn duplicate_keys_are_paired_in_their_order() {
    assert_eq!(plain(r#"{"a":1,"a":2}"#, r#"{"a":1}"#), ["$['a'] missing 2|-"]);
    assert_eq!(plain(r#"{"a":1,"a":2}"#, r#"{"b":0,"a":1,"a":3}"#).len(), 2);
}

#[test]
fn elements_put_in_or_taken_out_are_told_by_themselves() {
    assert_eq!(plain("[1,2,3,4]", "[1,2,4]"), ["$[2] missing 3|-"]);
    assert_eq!(plain("[1,2,4]", "[0,1,2,4]"), ["$[0] added -|0"]);
    assert_eq!(plain("[[1],[2]]", "[[2]]"), ["$[0] missing [1 element]|-"]);
    assert_eq!(plain("[1,2,3]", "[]").len(), 3);
    let both = plain("[1,2,3]", "[4,5]");
    assert_eq!(both[0], "$ length [3 elements]|[2 elements]");
    assert_eq!(both[1..], ["$[0] value 1|4", "$[1] value 2|5", "$[2] missing 3|-"]);
}

#[test]
fn the_same_elements_in_another_order_are_one_difference() {
    let list = ["$['a'] order [3 elements]|[3 elements]"];
    assert_eq!(plain(r#"{"a":[1,2,3]}"#, r#"{"a":[3,1,2.0]}"#), list);
    let object = [r#"[{"a":1,"b":2},{"a":3}]"#, r#"[{"a":3},{"b":2,"a":1}]"#];
    assert_eq!(plain(object[0], object[1]), ["$ order [2 elements]|[2 elements]"]);
}

#[test]
fn no_more_differences_are_listed_than_the_bound() {
    let list = |from: usize| (from..from + 40).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let looked_at = |count: usize| {
        let cut = |text: String| text.split(',').take(count).collect::<Vec<_>>().join(",");
        let (ours, theirs) = (format!("[{}]", cut(list(0))), format!("[{}]", cut(list(100))));
        looked(&ours, &theirs, &Rules::default()).differences
    };
    let all = looked_at(32);
    assert!(!all.more && all.found.len() == 32);
    let cut = looked_at(33);
    assert!(cut.more && cut.found.len() == 32);
}

#[test]
fn what_is_ignored_leaves_no_trace() {
    let rules = rules(&[
        What::Ignore(Select::Key("Nonce".to_owned())),
        What::Ignore(Select::Path(path("$.items[*].at"))),
        What::Ignore(Select::Path(path("$.list[1]"))),
    ]);
    let ours = r#"{"nonce":1,"items":[{"at":1,"x":[{"NONCE":2}]}],"list":[1,2,3],"at":5}"#;
    let theirs = r#"{"items":[{"x":[{}],"at":"now"}],"list":[1,"two",3],"at":5,"timestamp":7}"#;
    assert_eq!(found(ours, theirs, &rules), [""; 0]);
    assert_eq!(found(r#"{"at":1}"#, r#"{"at":2}"#, &rules), ["$['at'] value 1|2"]);
    let added = found(r#"{"items":[{}]}"#, r#"{"items":[{"at":[]},{"at":1}]}"#, &rules);
    assert_eq!(added, ["$['items'][1] added -|{1 member}"]);
}

#[test]
fn what_is_masked_is_never_shown() {
    let rules = rules(&[
        What::Mask(Select::Path(path("$.user")), MaskAs::Equal),
        What::Mask(Select::Key("iban".to_owned()), MaskAs::Hash),
        What::Mask(Select::Key("email".to_owned()), MaskAs::Hash),
        What::Mask(Select::Path(path("$.tokens[*]")), MaskAs::Hash),
    ]);
    assert_eq!(found(r#"{"user":"secret"}"#, r#"{"user":{"id":1}}"#, &rules), [""; 0]);
    assert_eq!(found(r#"{"user":"secret"}"#, "{}", &rules), ["$['user'] missing ***|-"]);
    assert_eq!(found("{}", r#"{"user":"secret"}"#, &rules), ["$['user'] added -|***"]);
    assert_eq!(
        found(r#"{"iban":"secret"}"#, r#"{"IBAN":"s"}"#, &rules),
        ["$['iban'] value ***|***"]
    );
    assert_eq!(found(r#"{"iban":"é"}"#, r#"{"IBAN":"\u00e9"}"#, &rules), [""; 0]);
    assert_eq!(
        found(r#"{"iban":{"a":1,"b":[1]}}"#, r#"{"iban":{"b":[1.0],"a":1}}"#, &rules),
        [""; 0]
    );
    assert_eq!(
        found(r#"{"email":"secret"}"#, r#"{"email":"s"}"#, &rules),
        ["$['email'] value ***|***"]
    );
    assert_eq!(found(r#"{"phone":"secret"}"#, r#"{"phone":"s"}"#, &rules), [""; 0]);
    let tokens = found(r#"{"tokens":["secret","b"]}"#, r#"{"tokens":["c","b"]}"#, &rules);
    assert_eq!(tokens, ["$['tokens'][0] value ***|***"]);
}

#[test]
fn arrays_are_compared_in_any_order_where_a_rule_says_so() {
    let rules = rules(&[What::Array(path("$.tags"), Pairing::Unordered)]);
    let tags = |list: &str| format!(r#"{{"tags":[{list}]}}"#);
    assert_eq!(found(&tags(r#"{"a":1},2,2"#), &tags(r#"2.0,{"a":1},2"#), &rules), [""; 0]);
    let missing = found(&tags("1,2,2"), &tags("2,1"), &rules);
    assert_eq!(missing, ["$['tags'][2] missing 2|-"]);
    let other = found(&tags("1,[[2,3]]"), &tags("[[3,2]],1"), &rules);
    assert_eq!(other, ["$['tags'][1] missing [1 element]|-", "$['tags'][0] added -|[1 element]"]);
    assert_eq!(found("[1,2]", "[2,1]", &rules), ["$ order [2 elements]|[2 elements]"]);
}

#[test]
fn elements_are_paired_by_a_key_where_a_rule_says_so() {
    let rules = rules(&[What::Array(path("$"), Pairing::ByKey("id".to_owned()))]);
    let ours = r#"[{"id":1,"x":1},{"id":2,"x":2},{"id":3,"x":3},{"x":0},7]"#;
    let theirs = r#"[{"id":3.0,"x":3},{"x":0},{"id":1,"x":5},7,{"id":4}]"#;
    assert_eq!(
        found(ours, theirs, &rules),
        ["$[0]['x'] value 1|5", "$[1] missing {2 members}|-", "$[4] added -|{1 member}"]
    );
}

#[test]
fn values_may_differ_as_much_as_rules_allow() {
    let rules = rules(&[
        What::Number(path("$..price"), Tolerance { absolute: 0.5, relative: 0.0 }),
        What::Time(path("$.at"), std::time::Duration::from_secs(2)),
        What::Class(path("$.id"), Class::Uuid),
    ]);
    let ours =
        r#"{"price":1,"at":"2024-01-01T00:00:00Z","id":"123e4567-e89b-12d3-a456-426614174000"}"#;
    let good =
        r#"{"price":1.5,"at":"2024-01-01T00:00:02Z","id":"00000000-0000-0000-0000-000000000000"}"#;
    let bad = r#"{"price":1.6,"at":"2024-01-01T00:00:03Z","id":"1"}"#;
    assert_eq!(found(ours, good, &rules), [""; 0]);
    assert_eq!(found(ours, bad, &rules).len(), 3);
    assert_eq!(found(r#"{"price":"1"}"#, r#"{"price":1}"#, &rules), ["$['price'] form \"1\"|1"]);
}

#[test]
fn what_may_differ_a_little_fits_in_any_order_too() {
    let near = What::Number(path("$..n"), Tolerance { absolute: 0.1, relative: 0.0 });
    let elements = What::Number(path("$[*]"), Tolerance { absolute: 0.1, relative: 0.0 });
    let rules = rules(&[near, elements, What::Array(path("$"), Pairing::Unordered)]);
    // Equal as they stand, although an exact partner is elsewhere.
    assert_eq!(found("[1.0,1.1]", "[1.1,1.2]", &rules), [""; 0]);
    // Equal in another order, with and without a tolerance.
    assert_eq!(found("[1.0,2.0,3.0]", "[3.05,1.05,2.0]", &rules), [""; 0]);
    let object = |a: &str, b: &str| format!(r#"[{{"n":{a}}},{{"n":{b}}}]"#);
    assert_eq!(found(&object("1", "5"), &object("5", "1"), &rules), [""; 0]);
    assert_eq!(found(&object("1", "5"), &object("5.1", "0.9"), &rules), [""; 0]);
    assert_eq!(found(&object("1", "5"), &object("6", "1"), &rules), ["$[1]['n'] value 5|6"]);
    // More than can be tried each with each: by size.
    let many = |by: f64| (0..100).map(move |n| f64::from(n * 37 % 100) + by).map(|n| n.to_string());
    let list = |items: Vec<String>| format!("[{}]", items.join(","));
    let (ours, mut theirs) = (many(0.0).collect::<Vec<_>>(), many(0.05).collect::<Vec<_>>());
    theirs.reverse();
    assert_eq!(found(&list(ours.clone()), &list(theirs.clone()), &rules), [""; 0]);
    theirs[0] = "1000".to_owned();
    assert_eq!(found(&list(ours), &list(theirs), &rules).len(), 1);
}

#[test]
fn null_equals_absent_where_a_rule_says_so() {
    let mut given = book(&[]);
    given.all.null_equals_absent = true;
    let rules = policy(&given).of("GET /").rules;
    assert_eq!(found(r#"{"a":null,"b":1}"#, r#"{"b":1}"#, &rules), [""; 0]);
    assert_eq!(found("{}", r#"{"email":null}"#, &rules), [""; 0]);
    assert_eq!(found(r#"{"email":null}"#, r#"{"email":1}"#, &rules), [""; 0]);
    assert_eq!(found(r#"{"a":null}"#, r#"{"a":1}"#, &rules), ["$['a'] type null|1"]);
    assert_eq!(found("[null]", "[]", &rules), ["$[0] missing null|-"]);
    assert_eq!(plain(r#"{"a":null}"#, "{}"), ["$['a'] form null|-"]);
}

/// What is shown of two values that are all of a document, and the note.
#[track_caller]
fn shown(ours: &str, theirs: &str) -> (String, String, String) {
    let mut found = looked(ours, theirs, &Rules::default()).differences.found;
    assert_eq!(found.len(), 1, "{found:?}");
    let found = found.remove(0);
    let text = |side: Option<String>| side.unwrap_or_default();
    (text(found.baseline), text(found.candidate), text(found.note))
}

#[test]
fn long_values_are_shown_around_their_first_difference() {
    let long = |middle: &str| format!("\"{}{middle}{}\"", "x".repeat(1000), "y".repeat(1000));
    let (ours, theirs, note) = shown(&long("one"), &long("two"));
    assert!(ours.contains("xone") && theirs.contains("xtwo"), "{ours} {theirs}");
    assert!(ours.starts_with("\"…x") && ours.ends_with("y…\"") && ours.len() <= 64, "{ours}");
    assert_eq!(note, "");
    let (ours, theirs, _) = shown(&long("é"), &long(""));
    assert!(ours.contains("xéy") && theirs.contains("xy"), "{ours} {theirs}");
    // Long characters, and long escapes.
    for count in [10, 25, 40, 1000] {
        let wide = |last: &str| format!("\"{}{last}\"", "\u{65e5}".repeat(count));
        let (ours, theirs, _) = shown(&wide("\u{672c}"), &wide("\u{6728}"));
        assert!(ours.contains('\u{672c}') && theirs.contains('\u{6728}'), "{ours} {theirs}");
        let greek = |last: &str| format!("\"{}{last}\"", "\u{3b1}".repeat(count));
        let (ours, theirs, note) = shown(&greek("\u{3ac}"), &greek("\u{3b1}\u{301}"));
        assert!(ours.contains(r"\u{3ac}") && theirs.contains(r"\u{301}"), "{ours} {theirs}");
        assert_eq!(
            (ours.len() <= 64, theirs.len() <= 64, note.as_str()),
            (true, true, "unicode form")
        );
    }
    let number = |last: u8| format!("0.{}{last}", "1".repeat(200));
    let (ours, theirs, _) = shown(&number(2), &number(3));
    assert!(ours.ends_with("12") && theirs.ends_with("13"), "{ours} {theirs}");
    assert_eq!(shown("\"abc\"", "\"abd\""), ("\"abc\"".into(), "\"abd\"".into(), String::new()));
}

#[test]
fn what_cannot_be_seen_is_shown_escaped_and_said() {
    for (ours, theirs, ours_shown, theirs_shown, note) in [
        ("caf\u{e9}", "cafe\u{301}", r"caf\u{e9}", r"cafe\u{301}", "unicode form"),
        ("\u{ac00}", "\u{1100}\u{1161}", r"\u{ac00}", r"\u{1100}\u{1161}", "unicode form"),
        ("1\u{a0}000", "1 000", r"1\u{a0}000", "1 000", "white space"),
        ("a ", "a", "a ", "a", "white space"),
        (r"a\r\nb", r"a\nb", r"a\r\nb", r"a\nb", "white space"),
        ("a\u{200b}b", "ab", r"a\u{200b}b", "ab", "invisible characters"),
        ("\u{feff}a", "a", r"\u{feff}a", "a", "invisible characters"),
        ("a\u{202e}b", "ab", r"a\u{202e}b", "ab", "invisible characters"),
        (r"a\u0007", "a", r"a\u{7}", "a", "invisible characters"),
        ("ABC", "abc", "ABC", "abc", "letter case"),
        ("e\u{301} a", "\u{e9}\u{a0}A", r"e\u{301} a", r"\u{e9}\u{a0}A", "several of"),
        ("p\u{430}y", "pay", r"p\u{430}y", "pay", ""),
        ("caf\u{e9}", "cafe", "café", "cafe", ""),
        (r"\ud83d", r"\ufffd", "\u{fffd}\u{fffd}\u{fffd}", "\u{fffd}", ""),
        (r"a\\u{a0}", "a\u{a0}", r"a\\u{a0}", r"a\u{a0}", ""),
    ] {
        let (ours, theirs) = (format!("\"{ours}\""), format!("\"{theirs}\""));
        let found = shown(&ours, &theirs);
        let quoted = |text: &str| format!("\"{text}\"");
        assert_eq!((found.0, found.1), (quoted(ours_shown), quoted(theirs_shown)));
        assert!(found.2.starts_with(note) && found.2.is_empty() == note.is_empty(), "{}", found.2);
    }
    // As many marks as nobody writes are not put in order.
    let marks = |start: &str, n: usize| format!("\"{start}{}\"", "\u{301}".repeat(n));
    assert_eq!(shown(&marks("e", 1000), &marks("\u{e9}", 999)).2, "");
}

#[test]
fn a_note_tells_nothing_of_what_is_hidden() {
    let rules = rules(&[What::Mask(Select::Key("iban".to_owned()), MaskAs::Hash)]);
    for key in ["password", "iban"] {
        let json = |value: &str| format!("{{\"{key}\":\"{value}\"}}");
        let found = looked(&json("AB"), &json("ab"), &rules).differences.found;
        assert_eq!((found.len(), &found[0].note), (1, &None));
    }
}

#[test]
fn texts_that_are_no_json_are_shown_around_what_differs_with_a_note_on_what_is_hard_to_see() {
    let page = |text: &str| format!("<p>first\n{}{text}</p>", "x".repeat(100));
    let note = |ours: &str, theirs: &str| shown(&page(ours), &page(theirs)).2;
    assert_eq!(note("one", "two"), "");
    assert_eq!(note("1\u{a0}0", "1 0"), "white space");
    assert_eq!(note("\u{e9}", "e\u{301}"), "unicode form");
    let (ours, theirs, _) = shown(&page("one"), &page("two"));
    assert!(ours.ends_with("xone\"") && theirs.ends_with("xtwo\""), "{ours} {theirs}");
    assert!(ours.starts_with("\"…x") && ours.len() <= 64, "{ours}");
}

#[test]
fn a_page_of_white_space_alone_is_a_page_that_is_missing() {
    let kind = |ours: &str, theirs: &str| {
        let found = looked(ours, theirs, &rules(&[])).differences.found;
        found.into_iter().map(|it| it.kind).collect::<Vec<_>>()
    };
    assert_eq!(kind("<p>a</p>", " \n"), [Kind::Missing]);
    assert_eq!(kind("\n", "<p>a</p>"), [Kind::Added]);
}

/// What is found, with the notes.
#[track_caller]
fn noted(ours: &str, theirs: &str, rules: &Rules) -> Vec<String> {
    let notes = looked(ours, theirs, rules).differences.found.into_iter().map(|it| it.note);
    let found = found(ours, theirs, rules).into_iter().zip(notes);
    found.map(|(found, note)| format!("{found} ({})", note.unwrap_or_default())).collect()
}

#[test]
fn json_behind_a_mark_or_a_prefix_is_read_and_said() {
    let rules = rules(&[What::Ignore(Select::Key("at".to_owned()))]);
    for (start, name) in [
        ("\u{feff}", "byte order mark"),
        (")]}'\n", ")]}'"),
        (")]}',\n", ")]}',"),
        ("while(1);", "while(1);"),
        ("for(;;);", "for(;;);"),
        ("{}&&", "{}&&"),
        ("\u{feff})]}'", "byte order mark and )]}'"),
    ] {
        let body = |inner: &str| format!("{start}{inner}");
        let (ours, theirs) = (body(r#"{"at":1,"b":2}"#), body(r#"{"b":2.0, "at":3}"#));
        assert_eq!(found(&ours, &theirs, &rules), [""; 0], "{start:?}");
        let note = format!("read without its {name}");
        let other = noted(&ours, &body(r#"{"b":3}"#), &rules);
        assert_eq!(other, [format!("$['b'] value 2|3 ({note})")]);
        // Not every client reads it: on one side alone it is a difference.
        let one = noted(&ours, r#"{"b":3}"#, &rules);
        let expected = format!("body type JSON behind a {name}|JSON ()");
        assert_eq!(one, [expected.as_str(), "$['b'] value 2|3 ()"]);
        assert_eq!(plain(&body("text"), &body("text ")), [""; 0]);
        assert_eq!(plain(&body("text"), &body("texts")).len(), 1);
        assert_eq!(plain(&body(""), &body("\n")), [""; 0]);
        assert!(plain(&body(""), "{}")[0].starts_with("body "));
    }
    assert_eq!(plain("\u{feff}{}", ")]}'{}").len(), 1);
}

#[test]
fn words_for_what_is_no_number_are_read_and_said() {
    let rules = rules(&[What::Ignore(Select::Key("at".to_owned()))]);
    let note = "no JSON by RFC 8259: NaN or Infinity";
    for word in ["NaN", "Infinity", "-Infinity"] {
        let ours = format!(r#"{{"at":1,"x":{word},"y":[1],"timestamp":{word}}}"#);
        let theirs = format!(r#"{{"y":[ 1.0 ],"x":{word}, "at":{word}}}"#);
        assert_eq!(found(&ours, &theirs, &rules), [""; 0]);
        let less = noted(&ours, &theirs.replace("1.0", "2"), &rules);
        assert_eq!(less, [format!("$['y'][0] value 1|2 ({note})")]);
        let number = r#"{"x":1,"y":[1]}"#;
        let one = noted(number, &theirs, &rules);
        let whole = format!("body type JSON|{note} ()");
        assert_eq!(one, [whole.as_str(), &format!("$['x'] type 1|{word} ()")]);
        assert_eq!(plain(&format!("[{word}]"), &format!("[ {word}]")), [""; 0]);
        let hidden = plain(&format!(r#"{{"timestamp":{word}}}"#), r#"{"timestamp":1}"#);
        assert_eq!(hidden, [format!("body type {note}|JSON")]);
    }
    let two = noted("[NaN,1]", "[Infinity,1]", &rules);
    assert_eq!(two, [format!("$[0] value NaN|Infinity ({note})")]);
    for bad in ["[Nan]", "[NaN1]", "[+Infinity]", "[Infinit]", "[-NaN]", "[- Infinity]", "{NaN:1}"]
    {
        assert!(plain(bad, &bad.replace('[', "[ ").replace('{', "{ "))[0].starts_with("body "));
    }
}

#[test]
fn strings_are_read_as_json_where_a_rule_says_so() {
    let given = rules(&[
        What::JsonString(path("$.payload")),
        What::JsonString(path("$.list[*]")),
        What::Ignore(Select::Path(path("$.payload.at"))),
    ]);
    let body = |inner: &str| {
        let text = inner.replace('\\', "\\\\").replace('"', "\\\"");
        format!(r#"{{"a":1,"payload":"{text}","z":2}}"#)
    };
    let (ours, theirs) = (body(r#"{"at":1,"b":[1,"\u00e9"]}"#), body(r#"{ "b":[1.0,"é"] }"#));
    assert_eq!(found(&ours, &theirs, &given), [""; 0]);
    assert_eq!(plain(&ours, &theirs).len(), 1);
    let other = found(&ours, &body(r#"{"b":[1,"e"],"email":"x"}"#), &given);
    assert_eq!(
        other,
        ["$['payload']['b'][1] value \"é\"|\"e\"", "$['payload']['email'] added -|***"]
    );
    let secret = found(&body(r#"{"token":"s3cret"}"#), &body(r#"{"token":"other"}"#), &given);
    assert_eq!(secret, ["$['payload']['token'] value ***|***"]);
    // What clients parse is not what they need not.
    let plain_object = r#"{"a":1,"payload":{"b":[1,"é"]},"z":2}"#;
    let note = "(JSON in a string on one side alone)";
    let one = noted(&ours, plain_object, &given);
    assert_eq!(one, [format!("$['payload'] type {{2 members}}|{{1 member}} {note}")]);
    let text = noted(&ours, &body("no JSON"), &given);
    assert_eq!(text, [format!("$['payload'] type {{2 members}}|\"no JSON\" {note}")]);
    assert_eq!(found(&body("text"), &body("text"), &given), [""; 0]);
    assert_eq!(found(&body("one"), &body("two"), &given), ["$['payload'] value \"one\"|\"two\""]);
    let list = |one: &str, two: &str| format!(r#"{{"list":[{one},{two}],"x":[5]}}"#);
    let (ours, theirs) = (list(r#""[1]""#, r#""{}""#), list(r#""[ 2]""#, r#""{ }""#));
    assert_eq!(found(&ours, &theirs, &given), ["$['list'][0][0] value 1|2"]);
    // Elements in any order, with and without quotes.
    let any = rules(&[
        What::JsonString(path("$.list[*]")),
        What::Array(path("$.list"), Pairing::Unordered),
    ]);
    let turned = list(r#""{ }""#, r#""[1.0]""#);
    assert_eq!(found(&ours, &turned, &any), [""; 0]);
    assert_eq!(found(&ours, &list("{}", r#""[1]""#), &any).len(), 2);
    // Masked as a whole, it need not even be JSON.
    let masked = rules(&[
        What::JsonString(path("$.payload")),
        What::Mask(Select::Path(path("$.payload")), MaskAs::Equal),
    ]);
    assert_eq!(found(&body("{}"), plain_object, &masked), [""; 0]);
}

#[test]
fn bodies_of_which_one_is_gone_or_is_no_json_are_told_by_that() {
    assert_eq!(plain("one", "two"), ["body line 1 value \"one\"|\"two\""]);
    assert_eq!(plain("{}", "<html>"), ["body type JSON|no JSON"]);
    assert_eq!(plain("{}", ""), ["body missing JSON|-"]);
    assert_eq!(plain("", "text"), ["body added -|4 bytes"]);
    assert_eq!(plain("", "\n"), [""; 0]);
}

#[test]
fn answers_of_another_status_are_told_by_it_alone() {
    let other = Side { status: 404, ..side(b"{\"a\":1}") };
    let mut limits = Limits { max_decoded: 100, grant: &mut |_| true };
    let looked = look_closer(&side(b"{}"), &other, &Rules::default(), true, &mut limits);
    let found = looked.differences.found;
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].place.as_str(), found[0].kind), ("status", Kind::Status));
    assert_eq!(found[0].baseline.as_deref(), Some("200"));
    let content_type = Some(&b"application/grpc"[..]);
    let grpc = |status| Side { content_type, grpc_status: Some(status), ..side(b"") };
    let looked = look_closer(&grpc(b"0"), &grpc(b"13"), &Rules::default(), false, &mut limits);
    assert_eq!(looked.differences.found[0].place, "header grpc-status");
}

#[test]
fn headers_and_bodies_are_told_together_and_headers_alone_are_enough() {
    let headers = |media: &str| {
        let mut map = http::HeaderMap::new();
        map.insert("content-type", media.parse().unwrap());
        Headers::of(&map, http::StatusCode::OK, &[])
    };
    let (one, other) = (headers("application/json"), headers("text/html"));
    let with = |headers, body| Side { headers: Some(headers), ..side(body) };
    let rules = Rules::default();
    let mut limits = Limits { max_decoded: 1000, grant: &mut |_| true };
    let (ours, theirs) = (with(&one, b"[1]"), with(&other, b"[2]"));
    let both = look_closer(&ours, &theirs, &rules, false, &mut limits);
    let places: Vec<_> = both.differences.found.iter().map(|it| it.place.as_str()).collect();
    assert_eq!(places, ["header content-type", "$[0]"]);
    assert!(!both.differences.more);
    let same = with(&other, b"[1]");
    assert_eq!(compare(&ours, &same, &rules, &mut limits), Match::Mismatched);
    assert!(!same_bytes(&ours, &same, &rules) && same_bytes(&ours, &ours, &rules));
    // What cannot be judged does not hide what can.
    let large = Side { body: hashed(b"x", Cause::NoBudget), ..with(&other, b"") };
    let looked = look_closer(&ours, &large, &rules, false, &mut limits);
    assert_eq!(looked.result, Match::Mismatched);
    assert!(looked.differences.more && looked.differences.found.len() == 1);
}

#[test]
fn without_memory_for_the_list_the_verdict_stays() {
    let ours = side(b"[1,2,3,{\"a\":5}]");
    let theirs = side(b"[1,2,3,{\"a\":6}]");
    let mut limits = Limits { max_decoded: 1000, grant: &mut |_| false };
    let looked = look_closer(&ours, &theirs, &Rules::default(), false, &mut limits);
    assert_eq!(looked.result, Match::Mismatched);
    assert!(looked.differences.more && looked.differences.found[0].place == "body");
    let given = rules(&[What::Ignore(Select::Path(path("$.a")))]);
    let looked = look_closer(&ours, &theirs, &given, false, &mut limits);
    assert_eq!(looked, Looked::nothing(Match::BufferFull));
}

#[test]
fn rules_that_never_applied_are_told_and_others_are_not() {
    let mut given = book(&[
        What::Ignore(Select::Key("nonce".to_owned())),
        What::Ignore(Select::Key("nunce".to_owned())),
        What::Ignore(Select::Path(path("$.a.b"))),
        What::IgnoreHeader(http::header::AGE),
    ]);
    let special = book(&[What::Mask(Select::Path(path("$.c")), MaskAs::Equal)]).all;
    given.routes.push(("GET /special".to_owned(), special));
    let policy = policy(&given);
    let pair = r#"{"nonce":1,"a":{"b":2},"c":3}"#;
    looked(pair, pair, &policy.of("GET /").rules);
    let unused = policy.unused();
    let texts: Vec<_> = unused.iter().map(|it| (it.route.as_deref(), it.text.as_str())).collect();
    assert_eq!(texts.len(), 3, "{texts:?}");
    assert!(texts[0].1.contains("nunce") && texts[1].1.contains("age"), "{texts:?}");
    assert_eq!((texts[2].0, unused[2].pairs), (Some("GET /special"), 0));
    assert_eq!(unused[0].pairs, 1, "looked at in detail once");
    looked(pair, pair, &policy.of("GET /special").rules);
    assert_eq!(policy.unused().len(), 2);
}

#[test]
fn the_first_pairs_of_a_route_and_a_few_later_on_are_looked_at_in_detail() {
    let given = policy(&book(&[What::Ignore(Select::Key("nonce".to_owned()))]));
    let (route, other) = (given.of("GET /"), given.of("GET /other"));
    let looked: Vec<_> = (0..3000).filter(|_| route.wants_detail()).collect();
    assert_eq!(looked, (0..64).chain([1024, 2048]).collect::<Vec<_>>());
    assert!(other.wants_detail(), "each route has its own first ones");
    assert!(!Policy::default().of("GET /").wants_detail(), "nothing to learn");
}

#[test]
fn a_million_levels_are_listed_without_a_crash() {
    const DEEP: usize = 300_000;
    let deep = |inner: &str| format!("{}{inner}{}", "[".repeat(DEEP), "]".repeat(DEEP));
    let given = rules(&[
        What::Ignore(Select::Path(path("$..x"))),
        What::Array(path("$..*"), Pairing::Unordered),
        What::Number(path("$..n"), Tolerance { absolute: 1.0, relative: 0.0 }),
    ]);
    for rules in [&Rules::default(), &*given] {
        assert_eq!(looked(&deep("1"), &deep("2"), rules).result, Match::Mismatched);
        assert_eq!(looked(&deep("1"), &deep("1.0"), rules).result, Match::Matched);
    }
}

#[test]
fn many_elements_that_nearly_fit_do_not_stall() {
    let given = rules(&[
        What::Array(path("$..*"), Pairing::Unordered),
        What::Array(path("$"), Pairing::Unordered),
        What::Number(path("$..n"), Tolerance { absolute: 1.0, relative: 0.0 }),
    ]);
    let list = |from: usize| {
        let items: Vec<_> =
            (0..20_000).map(|n| format!("[[{{\"n\":{}}}]]", n * 3 + from)).collect();
        format!("[{}]", items.join(","))
    };
    let (ours, theirs) = (list(0), list(2));
    assert_eq!(looked(&ours, &theirs, &given).result, Match::Mismatched);
    // However many are tried, their memory is asked for once.
    let mut granted = 0;
    let mut grant = |bytes: usize| {
        granted += bytes;
        true
    };
    let mut limits = Limits { max_decoded: 1 << 24, grant: &mut grant };
    look_closer(&side(ours.as_bytes()), &side(theirs.as_bytes()), &given, true, &mut limits);
    assert!(granted < 64 * (ours.len() + theirs.len()), "{granted} for {}", ours.len());
}

#[test]
fn secrets_are_compared_and_not_shown_with_all_that_is_in_them() {
    for key in ["token", "password", "apiKey", "API_KEY", "credit-card", "iban", "ssn"] {
        let json = |value: &str| format!("{{\"{key}\":{value},\"x\":1}}");
        let judge = |ours: &str, theirs: &str| {
            let (ours, theirs) = (json(ours), json(theirs));
            let mut grant = |_| true;
            let mut limits = Limits { max_decoded: 1 << 20, grant: &mut grant };
            let (ours, theirs) = (side(ours.as_bytes()), side(theirs.as_bytes()));
            look_closer(&ours, &theirs, &Rules::default(), true, &mut limits)
        };
        assert_eq!(judge("\"s3cret\"", "\"s3cret\"").result, Match::Matched);
        for (ours, theirs) in [
            ("\"s3cret\"", "\"other\""),
            ("4111", "4112"),
            ("{\"value\":\"s3cret\"}", "{\"value\":\"other\"}"),
            ("[\"s3cret\"]", "[\"other\"]"),
            ("{\"value\":\"s3cret\"}", "{}"),
            ("[]", "[\"other\"]"),
            ("{\"a\":{\"s3cret\":1}}", "{\"a\":{\"s3cret\":2}}"),
        ] {
            let looked = judge(ours, theirs);
            let places = looked.differences.found.iter().map(|found| &found.place);
            let start = format!("$['{key}']");
            assert!(places.clone().all(|it| it == &start || *it == format!("{start}[0]")));
            assert_eq!(looked.result, Match::Mismatched, "{key}");
            for found in &looked.differences.found {
                let shown = [&found.baseline, &found.candidate].into_iter().flatten();
                shown.for_each(|shown| assert_eq!(shown, "***", "{key} {ours}"));
            }
        }
    }
}

#[test]
fn nothing_is_shown_of_a_string_in_which_a_secret_stands() {
    for [ours, theirs] in [
        ["password=hunter1", "password=hunter2"],
        ["Basic aHVudGVyMQ==", "Basic aHVudGVyMg=="],
        ["-----BEGIN PRIVATE KEY-----\\nhunter1", "-----BEGIN PRIVATE KEY-----\\nhunter2"],
        ["https://bob:hunter1@host/a", "https://bob:hunter2@host/a"],
        ["{\\\"token\\\":\\\"hunter1", "{\\\"token\\\":\\\"hunter2"],
    ] {
        let [a, b] = [ours, theirs].map(|text| format!("{{\"u\":\"{text}\"}}"));
        for (a, b) in [(&*a, &*b), (&*a, "{}"), ("{}", &*b), (&*a, "{\"u\":1}")] {
            let told = format!("{:?}", plain(a, b));
            assert!(told.contains("***") && !told.contains("hunter"), "{told}");
        }
    }
    let long = format!("{}\\ntoken=hunter", "x".repeat(70_000));
    let told = format!("{:?}", plain(&format!("[\"{long}1\"]"), &format!("[\"{long}2\"]")));
    assert!(!told.contains("hunter"), "{told}");
}

#[test]
fn a_value_beside_the_name_of_a_secret_is_compared_and_not_shown() {
    for (name, value) in [("name", "DB_PASSWORD"), ("Key", "apiKey"), ("header", "authorization")] {
        let [a, b] = ["hunter1", "hunter2"]
            .map(|it| format!("[{{\"Value\":{{\"x\":\"{it}\"}},\"{name}\":\"{value}\",\"n\":1}}]"));
        let told = format!("{:?}", plain(&a, &b));
        assert!(told.contains("***") && !told.contains("hunter"), "{told}");
        let kept = crate::kept(a.as_bytes(), &Rules::default(), crate::Stand::Mask, &mut |_| true);
        assert!(!String::from_utf8(kept.unwrap()).unwrap().contains("hunter"));
    }
    let told = plain(r#"{"key":"size","value":1}"#, r#"{"key":"size","value":2}"#);
    assert!(format!("{told:?}").contains('2'), "{told:?}");
}

#[test]
fn more_rules_than_there_is_room_for_are_left_out_as_a_set() {
    let number = |at: usize| {
        What::Number(path(&format!("$.a{at}")), Tolerance { absolute: 9.0, relative: 0.0 })
    };
    let set = |from: usize, to: usize| book(&(from..to).map(number).collect::<Vec<_>>()).all;
    let policy = policy(&RuleBook::default());
    let sets = [set(0, 40), set(40, 80), set(80, 90)];
    assert!(policy.has_room("", &sets[..1]) && !policy.has_room("", &sets));
    let rules = policy.of_with("", &sets).rules;
    let differs = |at: usize| {
        let [a, b] = [1, 2].map(|value| format!("{{\"a{at}\":{value}}}"));
        !found(&a, &b, &rules).is_empty()
    };
    assert_eq!([0, 39, 40, 79, 80, 89].map(differs), [false, false, true, true, false, false]);
}
