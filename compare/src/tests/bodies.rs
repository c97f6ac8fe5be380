//! Where bodies that are no JSON differ, by what they are.

use super::*;

pub(crate) fn typed<'b>(content_type: &'b str, body: &'b [u8]) -> Side<'b> {
    let content_type = (!content_type.is_empty()).then_some(content_type.as_bytes());
    Side { content_type, ..side(body) }
}

/// The look at two bodies of these types, whose result must be that of the bytes.
#[track_caller]
pub(crate) fn looked_at(ours: &Side<'_>, theirs: &Side<'_>, rules: &Rules) -> Looked {
    let mut grant = |_| true;
    let mut limits = Limits { max_decoded: 1 << 24, grant: &mut grant };
    let looked = look_closer(ours, theirs, rules, true, &mut limits);
    assert_eq!(compare(ours, theirs, rules, &mut limits), looked.result);
    let differs = !looked.differences.found.is_empty();
    assert_eq!(looked.result == Match::Mismatched, differs, "{looked:?}");
    looked
}

/// `place kind baseline|candidate (note)` of each difference.
#[track_caller]
pub(super) fn by(
    rules: &Rules,
    said: &str,
    ours: impl AsRef<[u8]>,
    theirs: impl AsRef<[u8]>,
) -> Vec<String> {
    let (ours, theirs) = (ours.as_ref(), theirs.as_ref());
    let looked = looked_at(&typed(said, ours), &typed(said, theirs), rules);
    let text = |side: &Option<String>| side.clone().unwrap_or_else(|| "-".to_owned());
    let shown = |it: &Difference| {
        let note = it.note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
        let (place, kind) = (&it.place, it.kind.name());
        format!("{place} {kind} {}|{}{note}", text(&it.baseline), text(&it.candidate))
    };
    looked.differences.found.iter().map(shown).collect()
}

#[track_caller]
fn told(said: &str, ours: impl AsRef<[u8]>, theirs: impl AsRef<[u8]>) -> Vec<String> {
    by(&Rules::default(), said, ours, theirs)
}

fn fields(said: &str, ours: &str, theirs: &str) -> Vec<String> {
    let (ours, theirs) = (typed(said, ours.as_bytes()), typed(said, theirs.as_bytes()));
    let found = looked_at(&ours, &theirs, &Rules::default()).differences.found;
    found.into_iter().map(|it| it.field).collect()
}

pub(super) const FORM: &str = "application/x-www-form-urlencoded";

#[test]
fn texts_are_told_by_their_lines_and_what_is_put_in_is_one_line() {
    let lines = "one\ntwo\nthree\nfour\n";
    assert_eq!(
        told("text/plain", lines, "one\ntwo\nnew\nthree\nfour\n"),
        ["body line 3 added -|\"new\""]
    );
    assert_eq!(
        told("text/plain", lines, "one\n2\nthree\n"),
        ["body line 2 value \"two\"|\"2\"", "body line 4 missing \"four\"|-"]
    );
    assert_eq!(fields("text/plain", lines, "one\n2\nthree\n"), ["body line [*]"; 2]);
    let ends = told("text/plain", "a\nb", "a\r\nb");
    assert!(
        ends[0].starts_with("body length 3 bytes|4 bytes (only the ends of lines differ"),
        "{ends:?}"
    );
    assert_eq!(told("", "caf\u{e9} au lait", "cafe\u{301} au lait").len(), 1);
}

#[test]
fn lines_of_json_are_told_by_the_paths_within_under_the_rules() {
    let ours =
        "{\"id\":1,\"timestamp\":1}\n{\"id\":2,\"timestamp\":2}\n{\"id\":3,\"a\":{\"b\":1}}\n";
    let theirs = "{\"id\":1,\"timestamp\":7}\n{\"new\":0}\n{\"id\":2,\"timestamp\":8}\n{\"id\":3,\"a\":{\"b\":2}}\n";
    let said = "application/x-ndjson";
    assert_eq!(
        told(said, ours, theirs),
        ["body line 2 added -|{1 member}", "body line 3 $['a']['b'] value 1|2"]
    );
    assert_eq!(told("", ours, theirs), told(said, ours, theirs));
    assert_eq!(fields(said, ours, theirs)[1], "body line [*] $['a']['b']");
    let only = told(said, "{\"timestamp\":1}\n{\"a\":1}", "{\"timestamp\":2}\n{\"a\":1}");
    assert!(
        only[0].starts_with("body value 23 bytes|23 bytes (only what is not compared"),
        "{only:?}"
    );
    assert_eq!(
        told(said, "{}\nsecret one", "{}\nsecret two"),
        ["body line 2 value no JSON|no JSON"]
    );
    assert_eq!(told(said, "{}\n{}", "{}\nsecret"), ["body line 2 type {0 members}|no JSON"]);
}

#[test]
fn tables_are_told_by_row_and_by_the_name_of_the_column() {
    let ours = "id,title,price\r\n1,Bread,2.00\r\n2,\"Milk, 1 l\",1.20\r\n";
    let theirs = "id,price,title\r\n1,2.00,Bread\r\n2,1.30,\"Milk, 1 l\"\r\n3,9,Tea\r\n";
    assert_eq!(
        told("text/csv", ours, theirs),
        [
            "body columns order 3 columns|3 columns",
            "body row 3 column price value \"1.20\"|\"1.30\"",
            "body row 4 added -|3 fields"
        ]
    );
    assert_eq!(fields("text/csv", ours, theirs)[1], "body row [*] column price");
    assert_eq!(
        told("text/csv", "a,b\nx,y\n", "a,c\nx,y\n"),
        ["body column b missing a column|-", "body column c added -|a column"]
    );
    assert_eq!(
        told("text/csv", "1,2\n3,4\n", "1,2\n3,5\n"),
        ["body row 2 column 2 value \"4\"|\"5\""]
    );
    let quotes = told("text/csv", "a,b\n\"x\",y\n", "a,b\nx,\"y\"\n");
    assert!(quotes[0].contains("only white space, quotes"), "{quotes:?}");
    assert_eq!(
        told("text/tab-separated-values", "a\tb\nx\ty\n", "a\tb\nx\tz\n"),
        ["body row 2 column b value \"y\"|\"z\""]
    );
}

#[test]
fn pages_are_told_by_the_way_to_the_element() {
    let page = |items: &str| {
        format!("<!DOCTYPE html><html><body><h1>Shop</h1><ul>{items}</ul><br><p>end</body></html>")
    };
    let item = |n: usize, to: &str| format!("<li class=item><a href='/{to}'>Item {n}</a></li>");
    let ours = page(&[item(1, "a"), item(2, "b"), item(3, "c")].concat());
    let theirs = page(&[item(1, "a"), item(2, "b"), item(3, "d")].concat());
    assert_eq!(
        told("text/html", &ours, &theirs),
        ["body html > body > ul > li[3] > a @href value \"/c\"|\"/d\""]
    );
    assert_eq!(fields("text/html", &ours, &theirs), ["body html > body > ul > li[*] > a @href"]);
    let more = page(&[item(1, "a"), item(9, "x"), item(2, "b"), item(3, "c")].concat());
    assert_eq!(told("text/html", &ours, &more), ["body html > body > ul > li[2] added -|1 node"]);
    let text = ours.replace("Shop", "Store");
    assert_eq!(told("", &ours, text), ["body html > body > h1 value \"Shop\"|\"Store\""]);
    let alike = ours.replace("<ul>", "\n <ul >\n").replace("class=item", "class=\"item\"");
    let alike = told("text/html", &ours, alike);
    assert!(
        alike[0].starts_with("body length") && alike[0].contains("(only white space between"),
        "{alike:?}"
    );
    let turned = told("", "<a id=x href=y>z</a>", "<a href=y id=x>z</a>");
    assert!(turned[0].contains("the order of attributes"), "{turned:?}");
    assert_eq!(
        told("", "<p>a<script>if (a < b) {}</script>", "<p>a<script>if (a < c) {}</script>"),
        ["body p > script value \"if (a < b) {}\"|\"if (a < c) {}\""]
    );
    assert_eq!(told("", "<b>x</b>", "<b>x</b><!--note-->"), ["body #comment added -|\"note\""]);
}

#[test]
fn xml_is_told_by_the_way_to_the_element_in_its_own_letters() {
    let ours = "<?xml version='1.0'?><Order a='1' b='2'><Item>x</Item><Item>y</Item></Order>";
    let theirs = "<?xml version='1.0'?>\n<Order b='2' a='1'>\n<Item>x</Item><Item><![CDATA[z]]></Item><Sum/></Order>";
    assert_eq!(
        told("application/xml", ours, theirs),
        ["body Order > Item[2] value \"y\"|\"z\"", "body Order > Sum added -|0 nodes"]
    );
    assert_eq!(fields("", ours, theirs)[0], "body Order > Item[*]");
    assert_eq!(
        told("text/xml", "<a><b c='1'/></a>", "<a><b/></a>"),
        ["body a > b @c missing \"1\"|-"]
    );
    // Not well-formed, so read as a page is.
    assert_eq!(
        told("text/xml", "<A><b c>x</A>", "<A><b c>y</A>"),
        ["body a > b value \"x\"|\"y\""]
    );
}

#[test]
fn forms_are_told_by_field_and_parts_by_name_and_what_is_within() {
    assert_eq!(
        told(FORM, "a=1&b=x+y&items%5B0%5D=p&c=3", "c=3&a=1&b=x%20z&items%5B0%5D=q&d="),
        [
            "body fields order 4 fields|5 fields",
            "body field b value \"x y\"|\"x z\"",
            "body field items[0] value \"p\"|\"q\"",
            "body field d added -|\"\""
        ]
    );
    assert_eq!(fields(FORM, "a=1&items[0]=p", "a=1&items[0]=q"), ["body field items[*]"]);
    let body = |boundary: &str, json: &str, note: &str| {
        format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"data\"\r\nContent-Type: application/json\r\n\r\n\
             {json}\r\n--{boundary}\r\nContent-Disposition: form-data; name=note\r\n\r\n{note}\r\n--{boundary}--\r\n"
        )
    };
    let (ours, theirs) = (body("x", "{\"a\":1}", "one\ntwo"), body("yy", "{\"a\":2}", "one\n2"));
    let (ours, theirs) = (
        typed("multipart/form-data; boundary=x", ours.as_bytes()),
        typed("multipart/form-data; boundary=yy", theirs.as_bytes()),
    );
    let found = looked_at(&ours, &theirs, &Rules::default()).differences.found;
    let places: Vec<_> = found.iter().map(|it| it.place.as_str()).collect();
    assert_eq!(places, ["body part data $['a']", "body part note line 2"]);
    let other = body("yy", "{\"a\":1}", "one\ntwo");
    let other = typed("multipart/form-data; boundary=yy", other.as_bytes());
    let found = looked_at(&ours, &other, &Rules::default()).differences.found;
    assert!(found[0].note.as_ref().unwrap().contains("what is between the parts"), "{found:?}");
}

#[test]
fn images_and_archives_are_told_by_type_and_size() {
    let png = |size: usize| [&b"\x89PNG\r\n\x1a\n"[..], &vec![7; size - 8]].concat();
    let jpeg = [&b"\xff\xd8\xff"[..], &[7; 8997]].concat();
    assert_eq!(
        told("image/png", png(12_345), &jpeg),
        ["body type PNG, 12,345 bytes|JPEG, 9,000 bytes"]
    );
    assert_eq!(told("image/png", png(100), png(99)), ["body length PNG, 100 bytes|PNG, 99 bytes"]);
    assert_eq!(
        told("", png(100), "<html>oops</html>"),
        ["body type PNG, 100 bytes|HTML, 17 bytes"]
    );
    assert_eq!(told("", "plain", "<html>oops</html>"), ["body type text, 5 bytes|HTML, 17 bytes"]);
}

#[test]
fn other_bytes_are_told_from_the_first_one_that_differs() {
    assert_eq!(
        told("", b"\x01\x02\x03\xff\x05\x06\x07\x08\x09\x0a\x0b", b"\x01\x02\x03\xfe\x05"),
        [
            "body length 11 bytes, there 02 03 ff 05 06 07 08 09|5 bytes, there 02 03 fe 05 (from byte 4 on)"
        ]
    );
    for said in ["application/x-protobuf", "application/grpc-web+proto"] {
        assert_eq!(
            told(said, "\x08a", "\x08b"),
            ["body value 2 bytes|2 bytes (from line 1, byte 2 on)"]
        );
    }
    // A text of so many lines that differ is not told by line.
    let lines = |last: &str| (0..3000).map(|n| format!("{n} {last}\n")).collect::<String>();
    assert_eq!(
        told("text/plain", lines("one"), lines("two")),
        ["body value 25890 bytes|25890 bytes (from line 1, byte 3 on)"]
    );
}

#[test]
fn no_more_than_32_differences_are_listed_and_it_is_said_that_there_are_more() {
    let lines = |with: &str| (0..100).map(|n| format!("{n},{with}{n}\n")).collect::<String>();
    let items = |with: &str| (0..100).map(|n| format!("<i>{with}{n}</i>")).collect::<String>();
    let json =
        |with: &str| (0..100).map(|n| format!("{{\"a\":\"{with}{n}\"}}\n")).collect::<String>();
    let form = |with: &str| (0..100).map(|n| format!("f{n}={with}&")).collect::<String>();
    for (said, ours, theirs) in [
        ("text/plain", lines("a"), lines("b")),
        ("text/csv", lines("a"), lines("b")),
        ("text/html", items("a"), items("b")),
        ("application/xml", format!("<a>{}</a>", items("a")), format!("<a>{}</a>", items("b"))),
        ("application/x-ndjson", json("a"), json("b")),
        (FORM, form("a"), form("b")),
    ] {
        let (ours, theirs) = (typed(said, ours.as_bytes()), typed(said, theirs.as_bytes()));
        let differences = looked_at(&ours, &theirs, &Rules::default()).differences;
        assert_eq!((differences.found.len(), differences.more), (32, true), "{said}");
    }
}

#[test]
fn what_is_told_without_memory_is_what_is_known_of_the_whole() {
    for said in ["text/html", "text/xml", "text/csv", "text/plain", "application/x-ndjson", FORM] {
        let (ours, theirs) = ("<a>{\"a\"=1}</a>\nx", "<a>{\"a\"=2}</a>\nx");
        let (ours, theirs) = (typed(said, ours.as_bytes()), typed(said, theirs.as_bytes()));
        let mut grant = |_| false;
        let mut limits = Limits { max_decoded: 1 << 20, grant: &mut grant };
        let looked = look_closer(&ours, &theirs, &Rules::default(), true, &mut limits);
        assert_eq!(looked.result, Match::Mismatched, "{said}");
        assert_eq!(looked.differences.found.len(), 1, "{said}");
        assert_eq!(looked.differences.found[0].place, "body", "{said}");
    }
}
