use std::collections::HashSet;
use std::fmt::Write;

use super::*;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/settings.md");
/// What stands in front of the table.
const MARK: &str = "--ignored -->\n";

/// The table of all settings, as the documentation has it.
fn documented() -> String {
    let mut text = String::new();
    for table in &FILE.children {
        let brackets = if table.times == Times::Many { ["[[", "]]"] } else { ["[", "]"] };
        let [open, close] = brackets;
        writeln!(text, "\n### `{open}{}{close}`\n\n{}\n", table.name, table.about).unwrap();
        text.push_str(
            "| name | environment | default | meaning | allowed | |\n|---|---|---|---|---|---|\n",
        );
        rows(table, "", &mut text);
    }
    text
}

fn rows(table: &Shape, before: &str, text: &mut String) {
    for child in &table.children {
        if let Some(setting) = child.leaf {
            // Told once, in [compare].
            if table.name == "route" && setting.place.starts_with("compare.") {
                continue;
            }
            row(setting, &format!("{before}{}", child.name), text);
        }
        if !(table.name == "route"
            && table::TABLES.iter().any(|it| it.place == format!("compare.{}", child.name)))
        {
            rows(child, &format!("{before}{}.", child.name), text);
        }
    }
}

fn row(setting: &Setting, name: &str, text: &mut String) {
    let env = setting.env.map(|name| format!("`{name}`")).unwrap_or_default();
    let default = setting.default.map_or_else(|| setting.unset.to_owned(), |it| format!("`{it}`"));
    let cell = |text: &str| text.replace('|', "\\|");
    let when = if setting.changes == Changes::Restart { "restart" } else { "reload" };
    // What a time is, is told once.
    let allowed = setting.allowed.replace(table::TIME, "a time above 0");
    let allowed = allowed.replace(table::TIME_OR_0, "a time, or 0");
    let (about, allowed) = (cell(setting.about), cell(&allowed));
    writeln!(text, "| `{name}` | {env} | {default} | {about} | {allowed} | {when} |").unwrap();
}

#[test]
fn the_documentation_has_the_table_of_all_settings() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (_, table) = page.split_once(MARK).unwrap();
    assert!(table == documented(), "run cargo test -p proxy --lib settings -- --ignored");
}

#[test]
#[ignore = "rewrites the documentation"]
fn rewrite_the_documentation() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (before, _) = page.split_once(MARK).unwrap();
    std::fs::write(PAGE, format!("{before}{MARK}{}", documented())).unwrap();
}

#[test]
fn every_setting_has_a_place_and_a_name_of_its_own() {
    let places: HashSet<_> = all().map(|setting| setting.place).collect();
    assert_eq!(places.len(), all().count());
    let names: HashSet<_> = NAMES.iter().collect();
    assert_eq!(names.len(), NAMES.len());
    let in_env = all().filter(|setting| setting.env.is_some()).count();
    assert_eq!(NAMES.len(), in_env, "names stand in the first table alone");
    for setting in all() {
        let names_the_file = setting.env == Some("MIRROR_CONFIG");
        assert_eq!(setting.place.is_empty(), names_the_file, "{setting:?}");
        assert!(!setting.about.is_empty() && !setting.allowed.is_empty(), "{setting:?}");
        assert!(
            setting.kind != Kind::Whole || setting.bounds() != serde_json::json!({}),
            "{setting:?}"
        );
    }
    for table in table::TABLES {
        let mut shape = &*FILE;
        for name in table.place.split('.') {
            shape = shape.child(name).unwrap_or_else(|| panic!("{} has no setting", table.place));
        }
        assert!(!shape.children.is_empty() && !table.about.is_empty(), "{}", table.place);
    }
}

#[test]
fn the_files_in_the_documentation_are_good() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/settings.md");
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let read = |block| crate::config::Config::from_text("docs.toml", block, &|_| None);
    let good: Vec<_> = blocks.map(|block| read(block).unwrap()).collect();
    assert!(good.iter().any(|config| config.routes.len() == 3 && config.candidates.len() == 2));
    assert!(good.iter().all(|config| config.warnings.is_empty()));
}

#[test]
fn the_identities_in_the_documentation_are_good() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/identities.md");
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let read = |block| crate::config::Config::from_text("docs.toml", block, &|_| None).unwrap();
    let all: Vec<_> = blocks.map(read).collect();
    assert!(all.iter().any(|config| config.preparations.identities.len() == 3));
    assert!(all.iter().all(|config| config.warnings.is_empty()));
}
