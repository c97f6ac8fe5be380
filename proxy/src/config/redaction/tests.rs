use std::path::PathBuf;

use crate::config::{Config, Errors};
use transform::redact::Way;
use transform::redact::detect::{Kind, Kinds};

/// A folder of its own for each test, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(key: &[u8]) -> Self {
        let name = format!("mirrorlab-redaction-{:032x}", rand::random::<u128>());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("key"), key).unwrap();
        Self(folder)
    }

    fn key(&self) -> String {
        format!("key_file = {:?}\n", self.0.join("key").to_str().unwrap())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn read(text: &str) -> Result<Config, Errors> {
    Config::from_text("m.toml", text, &|_| None)
}

fn refused(text: &str) -> String {
    match read(text) {
        Ok(_) => panic!("is taken: {text}"),
        Err(errors) => errors.to_string(),
    }
}

#[test]
fn without_a_table_nothing_is_hidden_in_copies_and_all_that_looks_personal_is_elsewhere() {
    let config = read("").unwrap();
    let policy = &config.preparations.redaction;
    assert!(policy.leaves_copies() && policy.is_hidden(b"ann@example.com"));
    assert!(config.preparations.of("candidate", "").is_none());
}

#[test]
fn the_whole_policy_is_read() {
    let folder = Folder::new(&[7; 32]);
    let text = format!(
        "[redact]\n{}trusted = [\"prod\"]\ndetect = [\"card\", \"email\"]\ndetect_copies = [\"jwt\"]\ndetect_way = \"shape\"\n\
        [[redact.rule]]\nname = \"who\"\nheaders = [\"X-User\", \"Host\"]\ncookies = [\"sid\"]\nquery = [\"q, r\"]\n\
        form = [\"mail\"]\njson = [\"email\", \"$.user.ssn\"]\nway = \"hash\"\n\
        [[redact.rule]]\nname = \"gone\"\njson = [\"iban\"]\nway = \"remove\"\n\
        [[redact.rule]]\nname = \"masked\"\njson = [\"card\"]\n\
        [[candidate]]\nname = \"a\"\nurl = \"http://a:1\"\n\
        [[candidate]]\nname = \"b\"\nurl = \"http://b:1\"\ntrust = \"prod\"\n\
        [[candidate]]\nname = \"c\"\nurl = \"http://c:1\"\ntrust = \"test\"\n\
        [[candidate]]\nname = \"d\"\nurl = \"http://d:1\"\ntrust = \"test\"\nredact = false\n\
        [[candidate]]\nname = \"e\"\nurl = \"http://e:1\"\ntrust = \"prod\"\nredact = true\n",
        folder.key()
    );
    let config = read(&text).unwrap();
    let policy = &config.preparations.redaction;
    let [who, gone, masked] = policy.rules() else { panic!("{policy:?}") };
    assert_eq!(
        (&*who.name, who.headers.len(), &who.query[..]),
        ("who", 2, &["q, r".to_owned()][..])
    );
    assert_eq!((who.json.len(), who.cookies.len(), who.form.len()), (2, 1, 1));
    assert!(matches!((&who.way, &gone.way, &masked.way), (Way::Hash(_), Way::Remove, Way::Mask)));
    assert!(matches!(policy.way(), Way::Shape(_)));
    assert_eq!(policy.detect_copies(), Kinds::NONE.with(Kind::Jwt));
    assert!(policy.is_hidden(b"ann@example.com") && !policy.is_hidden(b"192.0.2.1"));
    let of = |name: &str| config.preparations.of(name, "").is_some();
    assert_eq!(["a", "b", "c", "d", "e"].map(of), [true, false, true, false, true]);
    assert!(!format!("{config:?}").contains("7, 7, 7"));
}

#[test]
fn a_key_makes_the_same_pseudonyms_whatever_ends_its_line() {
    let hashed = |key: &[u8]| {
        let folder = Folder::new(key);
        let rule = "[[redact.rule]]\nname = \"a\"\njson = [\"a\"]\nway = \"hash\"\n";
        let config = read(&format!("[redact]\n{}{rule}", folder.key())).unwrap();
        config.preparations.redaction.rules()[0].way.text("value")
    };
    assert_eq!(hashed(b"0123456789abcdef"), hashed(b"0123456789abcdef\r\n"));
    assert_ne!(hashed(b"0123456789abcdef"), hashed(b"0123456789abcdeg"));
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let short = Folder::new(b"0123456789");
    for (text, told) in [
        ("[redact]\ndetect = [\"card\", \"name\"]\n", "m.toml:2:10: redact.detect"),
        ("[redact]\ndetect = [\"card\", \"name\"]\n", "\"name\" is unknown"),
        ("[redact]\ndetect_way = \"shape\"\n", "has no key"),
        ("[redact]\ndetect_way = \"blur\"\n", "is unknown"),
        ("[redact]\ntrusted = [\"a b\"]\n", "no name of a level"),
        ("[redact]\nkey_file = \"/nowhere/at/all\"\n", "m.toml:2:12: redact.key_file"),
        (&format!("[redact]\n{}", short.key()), "at least 16 bytes"),
        ("[[redact.rule]]\njson = [\"a\"]\n", "redact.rule.name: is missing"),
        ("[[redact.rule]]\nname = \"a\"\n", "m.toml:1:1: redact.rule: hides nothing"),
        ("[[redact.rule]]\nname = \"email\"\njson = [\"a\"]\n", "what a kind"),
        (
            "[[redact.rule]]\nname = \"a\"\njson = [\"a\"]\nway = \"hash\"\n",
            "m.toml:4:7: redact.rule.way = \"hash\": has no key",
        ),
        (
            "[[redact.rule]]\nname = \"a\"\njson = [\"b\",\n\"$.a[\"]\n",
            "m.toml:4:1: redact.rule.json",
        ),
        ("[[redact.rule]]\nname = \"a\"\njson = [\"$\"]\n", "leaves nothing"),
        ("[[redact.rule]]\nname = \"a\"\njson = [\"\"]\n", "has 0 bytes"),
        ("[[redact.rule]]\nname = \"a\"\nheaders = [\"a b\"]\n", "is no header name"),
        (
            "[[redact.rule]]\nname = \"a\"\nheaders = [\"Content-Length\"]\n",
            "belongs to the connection",
        ),
        ("[[redact.rule]]\nname = \"a\"\nheaders = [\"content-type\"]\n", "how the body is sent"),
        ("[[redact.rule]]\nname = \"a\"\nkeys = [\"x\"]\n", "keys"),
        (
            "[[redact.rule]]\nname = \"a\"\njson = [\"x\"]\n[[redact.rule]]\nname = \"a\"\njson = [\"x\"]\n",
            "is there already",
        ),
        ("[[candidate]]\nname = \"a\"\nurl = \"http://a:1\"\ntrust = \"\"\n", "candidate.trust"),
        (
            "[[candidate]]\nname = \"a\"\nurl = \"http://a:1\"\nredact = \"no\"\n",
            "candidate.redact",
        ),
    ] {
        let errors = refused(text);
        assert!(errors.contains(told), "{text}: {errors}");
    }
    let many = "[[redact.rule]]\nname = \"NAME\"\njson = [\"a\"]\n";
    let many: String = (0..65).map(|it| many.replace("NAME", &it.to_string())).collect();
    assert!(refused(&many).contains("65 rules of redaction; allowed is 64"));
    let names: Vec<_> = (0..513).map(|it| format!("\"k{it}\"")).collect();
    let many = format!("[[redact.rule]]\nname = \"a\"\njson = [{}]\n", names.join(","));
    assert!(refused(&many).contains("513 names and paths; allowed is 512"));
}

#[test]
fn kinds_may_be_none_at_all() {
    let config = read("[redact]\ndetect = []\ndetect_copies = []\ntrusted = []\n").unwrap();
    assert!(!config.preparations.redaction.is_hidden(b"ann@example.com"));
}
