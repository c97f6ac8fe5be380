use std::ffi::OsString;
use std::path::Path;

use super::*;
use crate::access::{Access, Right};
use crate::config::{Config as Whole, Errors, MASKED};

/// Of `printf %s viewer | sha256sum`.
const VIEWER: &str = "d35ca5051b82ffc326a3b0b6574a9a3161dee16b9478a199ee39cd803ce5b799";
/// Of `printf %s s3cret | sha256sum`.
const S3CRET: &str = "1ec1c26b50d5d3c58d9583181af8076655fe00756bf7285940ba3670f99fcba0";

fn read(text: &str, settings: &[(&str, &str)]) -> Result<Whole, Errors> {
    Whole::from_text("m.toml", text, &|name| {
        let found = settings.iter().find(|(setting, _)| *setting == name);
        found.map(|(_, value)| OsString::from(value))
    })
}

fn token(name: &str, hash: &str, rights: &str) -> String {
    format!("[[admin.tokens]]\nname = \"{name}\"\nsha256 = \"{hash}\"\nrights = {rights}\n")
}

#[test]
fn tokens_have_a_name_a_hash_and_rights() {
    let other = VIEWER.replace('d', "e");
    let text =
        token("ci", VIEWER, "\"read\"") + &*token("ops", &other, "[\"examples\", \"control\"]");
    let config = read(&text, &[("CONTROL_TOKEN", "s3cret")]).unwrap();
    let names: Vec<_> = config.access().tokens.iter().map(ToString::to_string).collect();
    let all = ["CONTROL_TOKEN (read, examples, control)", "ci (read)"];
    assert_eq!(names, [all[0], all[1], "ops (read, examples, control)"]);
    assert_eq!(config.admin_tokens[0].hash, Hash::of(b"viewer"));
    assert_eq!(config.admin_tokens[0].rights, Rights::of(&[Right::Read]));
    assert_eq!(Whole::default().access(), Access::default());
}

#[test]
fn the_hash_of_a_token_is_not_shown_since_it_can_be_guessed_by_it() {
    let config = read(&token("ci", VIEWER, "[\"read\"]"), &[]).unwrap();
    let told = serde_json::to_string(&config.settings).unwrap();
    assert!(told.contains("admin.tokens.ci.rights") && told.contains(MASKED), "{told}");
    assert!(!told.contains(VIEWER) && !format!("{config:?}").contains("d35ca"), "{told}");
    let bad = read(&token("ci", "my-secret-token", "[\"read\"]"), &[]).unwrap_err().to_string();
    assert!(bad.contains("m.toml:3:10: admin.tokens.sha256 = (not shown): has 15 bytes"), "{bad}");
    assert!(bad.contains("allowed is 64 hexadecimal digits") && !bad.contains("my-"), "{bad}");
}

#[test]
fn whatever_is_wrong_with_tokens_is_told_with_its_place() {
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let twice = token("ci", VIEWER, "[\"read\"]");
    for (text, part) in [
        (token("a b", VIEWER, "[\"read\"]"), "m.toml:2:8: admin.tokens.name = \"a b\": has other"),
        (token("", VIEWER, "[\"read\"]"), "admin.tokens.name = \"\": is empty"),
        (token("CONTROL_TOKEN", VIEWER, "\"read\""), "is the name of another"),
        (token(&"n".repeat(65), VIEWER, "\"read\""), "has 65 bytes"),
        (token("ci", &VIEWER.replace('d', "g"), "\"read\""), "has other characters"),
        (token("ci", empty, "\"read\""), "is that of an empty text"),
        (token("ci", S3CRET, "\"read\""), "is that of CONTROL_TOKEN"),
        (token("ci", VIEWER, "[]"), "m.toml:4:10: admin.tokens.rights = []: is empty"),
        (token("ci", VIEWER, "\"write\""), "\"write\" is no right; allowed is read, examples"),
        (token("ci", VIEWER, "[\"read\", \"all\"]"), "\"all\" is no right"),
        (token("ci", VIEWER, "true"), "admin.tokens.rights: is true or false"),
        (format!("{twice}{twice}"), "m.toml:6:8: admin.tokens.name = \"ci\": is there already"),
        (twice.clone() + &*token("other", VIEWER, "\"read\""), "is that of ci"),
        ("[[admin.tokens]]\nname = \"ci\"\n".to_owned(), "admin.tokens.sha256: is missing"),
        ("[[admin.tokens]]\nname = \"ci\"\n".to_owned(), "admin.tokens.rights: is missing"),
        ("[[admin.token]]\nname = \"ci\"\n".to_owned(), "admin.token: is a list"),
        (twice.replace("rights", "right"), "did you mean rights?"),
    ] {
        let told = read(&text, &[("CONTROL_TOKEN", "s3cret")]).unwrap_err().to_string();
        assert!(told.contains(part), "{part} not in\n{told}");
        assert!(!told.contains(VIEWER) && !told.contains(S3CRET), "{told}");
    }
    let many: String = (0..101).map(|at| token(&format!("t{at}"), &hash(at), "\"read\"")).collect();
    let told = read(&many, &[]).unwrap_err().to_string();
    assert!(told.contains("101 tokens; allowed is 100"), "{told}");
}

fn hash(number: usize) -> String {
    format!("{number:064x}")
}

#[test]
fn the_audit_log_is_where_the_settings_say() {
    let audit = |text: &str, settings: &[_]| read(text, settings).unwrap().audit;
    assert_eq!(audit("", &[]), None);
    assert_eq!(audit("[audit]\nfiles = 3\n", &[]), None);
    let file = |path: &str| Place::File(Path::new(path).to_owned());
    let read_from = |text: &str| Whole::from_text("/etc/m.toml", text, &|_| None).unwrap().audit;
    let found = read_from("[audit]\npath = \"logs/a.jsonl\"\n").unwrap();
    assert_eq!(
        (found.place, found.max_bytes, found.files),
        (file("/etc/logs/a.jsonl"), 10 << 20, 10)
    );
    let text = "[audit]\npath = \"a\"\nmax_bytes = 4096\nfiles = 2\n";
    let found = audit(text, &[("AUDIT_PATH", "b"), ("AUDIT_FILES", "7")]).unwrap();
    assert_eq!((found.place, found.max_bytes, found.files), (file("b"), 4096, 7));
    assert_eq!(audit("[audit]\npath = \"stderr\"", &[]).unwrap().place, Place::Stderr);
    for (name, bad) in [
        ("AUDIT_MAX_BYTES", "4095"),
        ("AUDIT_MAX_BYTES", "1MiB"),
        ("AUDIT_FILES", "1"),
        ("AUDIT_FILES", "1001"),
    ] {
        let told = read("", &[(name, bad)]).unwrap_err().to_string();
        assert!(told.contains(&format!("{name}={bad:?}")), "{told}");
    }
}
