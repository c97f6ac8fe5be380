//! Rules of the code base that no lint knows: which module may import which, what is pure, and what the
//! manual must not get wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

mod docs;

/// A module imports only from levels below its own.
const LEVELS: [&[&str]; 14] = [
    &["exchange", "headers", "listen", "log_limit", "log_queue"],
    &["metrics"],
    &["body", "limits"],
    &["route", "serve", "upstream"],
    &["policy"],
    &["plan"],
    &["observe"],
    &["mirror"],
    &["steer"],
    &["forward", "control"],
    &["config"],
    &["app", "check", "logging", "healthcheck", "release"],
    &["arguments"],
    &["lib", "main"],
];

fn level(module: &str) -> usize {
    let found = LEVELS.iter().position(|modules| modules.contains(&module));
    found.unwrap_or_else(|| panic!("module {module} has no level; give it one in LEVELS"))
}

/// The code of each top-level module of the proxy, its submodules included and its tests left out.
fn sources() -> BTreeMap<String, String> {
    sources_of("proxy")
}

fn code_of(path: &Path) -> String {
    let source = fs::read_to_string(path).unwrap();
    source.split("#[cfg(test)]").next().unwrap().to_owned()
}

fn sources_of(package: &str) -> BTreeMap<String, String> {
    fn gather(dir: &Path, module: Option<&str>, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let module = module.unwrap_or(&name);
            if ["tests", "properties"].contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() {
                gather(&path, Some(module), found);
            } else {
                found.entry(module.to_owned()).or_default().push_str(&code_of(&path));
            }
        }
    }
    let mut found = BTreeMap::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(package);
    gather(&root.join("src"), None, &mut found);
    found
}

#[test]
fn modules_import_only_from_lower_levels() {
    for (module, source) in sources() {
        if ["lib", "main"].contains(&module.as_str()) {
            continue;
        }
        let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            for (at, _) in line.match_indices("crate::") {
                let imported: Vec<String> = match line[at + 7..].strip_prefix('{') {
                    Some(list) => list.split(',').map(first_word).collect(),
                    None => vec![first_word(&line[at + 7..])],
                };
                for imported in
                    imported.into_iter().filter(|name| !name.is_empty() && *name != module)
                {
                    assert!(
                        level(&imported) < level(&module),
                        "{module} imports {imported}, which is not below it: {line}"
                    );
                }
            }
        }
    }
}

#[test]
fn no_files_of_one_folder_import_each_other_in_a_circle() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut looked_at = 0;
    for package in ["compare", "judge", "proxy", "demo-service", "lab", "loadgen", "xtests"] {
        let mut left = vec![(workspace.join(package).join("src"), String::new())];
        while let Some((folder, module)) = left.pop() {
            let parts = parts_of(&folder, &module);
            let circle = circle(&parts);
            assert!(circle.is_empty(), "{package}: {module}{circle:?} import each other");
            looked_at += 1;
            let inner = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
            let inner = inner.filter(|path| path.is_dir() && !TESTS.contains(&&*stem(path)));
            left.extend(inner.map(|it| (it.clone(), format!("{module}{}::", stem(&it)))));
        }
    }
    assert!(looked_at > 20, "only {looked_at} folders");
}

/// Modules of tests.
const TESTS: [&str; 2] = ["tests", "properties"];

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_str().unwrap().to_owned()
}

/// The parts that reach themselves.
fn circle(parts: &BTreeMap<String, BTreeSet<String>>) -> Vec<&String> {
    let is_in_circle = |part: &&String| {
        let (mut reached, mut left) = (BTreeSet::new(), vec![*part]);
        while let Some(part) = left.pop() {
            left.extend(parts[part].iter().filter(|part| reached.insert(*part)));
        }
        reached.contains(part)
    };
    parts.keys().filter(is_in_circle).collect()
}

/// The parts of a folder, which is this module, each with those beside it that it names; what is in a
/// folder of its own belongs to the part of that name.
fn parts_of(folder: &Path, module: &str) -> BTreeMap<String, BTreeSet<String>> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = files.filter(|path| path.is_file()).collect();
    let is_part = |name: &String| !["lib", "main"].contains(&&**name) && !TESTS.contains(&&**name);
    let names: BTreeSet<_> = files.iter().map(|path| stem(path)).filter(is_part).collect();
    let module = format!("crate::{module}");
    let mut parts = BTreeMap::new();
    for path in files.iter().filter(|path| names.contains(&stem(path))) {
        let mut code = vec![("super::", code_of(path))];
        let own = folder.join(stem(path));
        if own.is_dir() {
            let inner = fs::read_dir(own).unwrap().map(|entry| entry.unwrap().path());
            let inner = inner.filter(|path| path.is_file() && !TESTS.contains(&&*stem(path)));
            code.extend(inner.map(|path| ("super::super::", code_of(&path))));
        }
        let named = code.iter().flat_map(|(up, code)| {
            let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
            let statements = lines.collect::<Vec<_>>().join(" ");
            let named = |statement: &str| {
                [*up, &module].into_iter().flat_map(|up| named_behind(statement, up)).collect()
            };
            statements.split(';').flat_map::<Vec<_>, _>(named).collect::<Vec<_>>()
        });
        let named = named.filter(|it| names.contains(it) && *it != stem(path));
        parts.insert(stem(path), named.collect());
    }
    parts
}

/// The modules that a statement names behind this.
fn named_behind(statement: &str, up: &str) -> Vec<String> {
    let after = statement.match_indices(up).map(|(at, _)| &statement[at + up.len()..]);
    after
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(list) => list.split(',').map(first_word).collect(),
            None => vec![first_word(rest)],
        })
        .collect()
}

fn first_word(text: &str) -> String {
    text.trim().chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect()
}

#[test]
fn pure_code_reads_no_clock_and_no_environment_and_spawns_nothing() {
    const FORBIDDEN: [&str; 8] = [
        "tokio::",
        "std::env",
        "std::fs",
        "std::thread",
        "rand::",
        "SystemTime::now",
        "Instant::now",
        "metrics::",
    ];
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let single = [
        "mirror/sample.rs",
        "control/access.rs",
        "policy.rs",
        "policy/matcher.rs",
        "policy/matcher/clients.rs",
        "policy/matcher/implied.rs",
        "policy/matcher/path.rs",
        "policy/rate.rs",
        "policy/share.rs",
        "route.rs",
        "route/shown.rs",
    ];
    let single = single.map(|file| (file.to_owned(), code_of(&src.join(file))));
    let pure = ["compare", "judge"].into_iter().flat_map(sources_of).chain(single);
    for (module, code) in pure {
        for forbidden in FORBIDDEN {
            assert!(!code.contains(forbidden), "{module} uses {forbidden}");
        }
    }
    // A point on a clock of this process means nothing to another one, nor in a recording.
    for (module, code) in sources_of("judge") {
        assert!(!code.contains("Instant"), "{module} uses Instant");
    }
}

/// A route of its own would have no class, and so no access control.
#[test]
fn admin_endpoints_are_added_by_their_table_alone() {
    let control = &sources()["control"];
    assert_eq!(control.matches(".route(").count(), 1);
    for other in [".route_service(", ".nest_service(", ".merge("] {
        assert!(!control.contains(other), "{other}");
    }
}

/// Of the machine that runs the proxy, not of the stack.
const NOT_IN_THE_STACK: [&str; 12] = [
    "LISTEN_ADDR",
    "ADMIN_ADDR",
    "ADMIN_PREFIX",
    "TLS_CERT",
    "TLS_KEY",
    "UPSTREAM_CA",
    "BASELINE_CLIENT_CERT",
    "BASELINE_CLIENT_KEY",
    "CANDIDATE_CLIENT_CERT",
    "CANDIDATE_CLIENT_KEY",
    "SECONDARY_CLIENT_CERT",
    "SECONDARY_CLIENT_KEY",
];

#[test]
fn every_setting_is_of_the_stack_or_of_the_machine() {
    let compose = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose.yaml");
    let compose = fs::read_to_string(compose).unwrap();
    for &name in proxy::config::NAMES {
        let passed = compose.contains(&format!("      {name}: \"${{{name}"));
        assert_eq!(passed, !NOT_IN_THE_STACK.contains(&name), "{name} in compose.yaml");
    }
}
