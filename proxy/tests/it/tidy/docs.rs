//! What the manual must not get wrong: links lead somewhere, and settings and metrics are those there are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Paths from the root of the repository.
fn pages() -> Vec<String> {
    let docs = fs::read_dir(root().join("docs")).unwrap();
    let docs = docs.map(|entry| format!("docs/{}", entry.unwrap().file_name().to_str().unwrap()));
    let others = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "bench/README.md"];
    docs.chain(others.map(str::to_owned)).filter(|file| file.ends_with(".md")).collect()
}

/// The lines of a page that are no code block.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// What stands between code spans, which may look like a link.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

/// The targets of a page's links: `](target)`, also where the text of one goes over a line's end.
fn links(text: &str) -> Vec<String> {
    let prose: String = prose(text).map(|line| without_code(line) + "\n").collect();
    let ends = prose.split("](").skip(1);
    ends.filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())).collect()
}

/// The anchors of a page's headings, as forges make them: in lower case, hyphens for spaces, without
/// punctuation, and numbered where one came before.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    let mut anchor = |heading: &str| {
        let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        let slug: String = kept.collect::<String>().to_lowercase().replace(' ', "-");
        let count = seen.entry(slug.clone()).or_default();
        *count += 1;
        if *count == 1 { slug } else { format!("{slug}-{}", *count - 1) }
    };
    let headings = prose(text).filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#'))).collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_are_there() {
    for page in pages() {
        let text = read(&page);
        for link in links(&text) {
            if link.starts_with("https://") || link.starts_with("http://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let folder = Path::new(&page).parent().unwrap();
            let file = if file.is_empty() { PathBuf::from(&page) } else { folder.join(file) };
            assert!(root().join(&file).exists(), "{page}: no file for {link}");
            let target = if anchor.is_empty() { None } else { Some(read(file.to_str().unwrap())) };
            let there = target.is_none_or(|text| anchors(&text).contains(anchor));
            assert!(there, "{page}: no heading for {link}");
        }
    }
}

#[test]
fn the_index_and_the_readme_lead_to_every_page() {
    for page in pages().iter().filter_map(|page| page.strip_prefix("docs/")) {
        assert!(page == "README.md" || links(&read("docs/README.md")).contains(&page.to_owned()));
        let from_readme = format!("docs/{page}");
        assert!(page == "README.md" || links(&read("README.md")).contains(&from_readme), "{page}");
    }
}

#[test]
fn the_readme_is_no_manual() {
    assert!(read("README.md").lines().count() <= 150);
}

/// The first cell of each row of a page's tables.
fn first_cells(text: &str) -> impl Iterator<Item = &str> {
    prose(text).filter_map(|line| line.strip_prefix("| ")?.split(" |").next())
}

#[test]
fn every_setting_has_one_row_and_every_row_is_of_a_setting() {
    let text = read("docs/environment.md");
    let rows: Vec<_> = first_cells(&text).filter(|cell| cell.starts_with('`')).collect();
    let names: Vec<_> = proxy::config::NAMES.iter().map(|name| format!("`{name}`")).collect();
    for name in &names {
        assert_eq!(rows.iter().filter(|row| *row == name).count(), 1, "{name}");
    }
    for row in rows {
        assert!(names.contains(&row.to_owned()), "{row} is no setting");
    }
}

/// Words that look like settings, in code spans of the manual.
#[test]
fn settings_that_the_manual_speaks_of_are_there() {
    const PREFIXES: [&str; 13] = [
        "AUDIT_",
        "MIRROR_",
        "ABORT_",
        "ADMIN_",
        "BASELINE_",
        "CANDIDATE_",
        "SECONDARY_",
        "REPORT_",
        "MAX_",
        "DRAIN_",
        "TLS_",
        "ROUTE_",
        "CONTROL_",
    ];
    // Of the stack and of the load test.
    const OTHERS: [&str; 3] = ["BASELINE_PORT", "CANDIDATE_PORT", "MAX_P99"];
    for page in pages() {
        let text = read(&page);
        for span in prose(&text).flat_map(|line| line.split('`').skip(1).step_by(2)) {
            let name = span.split('=').next().unwrap();
            let looks =
                name.bytes().all(|it| it.is_ascii_uppercase() || it == b'_' || it.is_ascii_digit());
            if looks && PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
                let known = proxy::config::NAMES.contains(&name) || OTHERS.contains(&name);
                assert!(known, "{page} speaks of {name}");
            }
        }
    }
}

/// The names that `metrics.rs` describes.
fn described() -> BTreeSet<String> {
    let source = read("proxy/src/metrics.rs");
    let named = |constant: &str| {
        let (_, rest) = source.split_once(&format!("const {constant}: &str = \"")).unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    let calls = ["describe_counter!(", "describe_gauge!(", "describe_histogram!("];
    let arguments = calls.iter().flat_map(|call| source.split(call).skip(1));
    let is_of_name = |c: &char| c.is_ascii_uppercase() || *c == '_';
    let constants = arguments.map(|it| it.trim_start().chars().take_while(is_of_name).collect());
    constants.map(|constant: String| named(&constant)).collect()
}

#[test]
fn the_metrics_of_the_manual_are_those_of_the_proxy() {
    let described = described();
    assert!(described.len() > 20, "{described:?}");
    let text = read("docs/metrics.md");
    let cells = first_cells(&text).flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let listed: BTreeSet<_> =
        cells.filter(|name| name.starts_with("mirror_")).map(str::to_owned).collect();
    assert_eq!(listed, described);
}
