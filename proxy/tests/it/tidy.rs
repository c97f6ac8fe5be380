//! Rules of the code base that no lint knows: which module may import which, what is pure, and what the
//! manual must not get wrong.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

mod circles;
mod code;
mod docs;

use circles::Modules;
use code::{TESTS, code_of, text_of};

/// A module imports only from levels below its own; the root may import from all.
const LEVELS: [&[&str]; 16] = [
    &["exchange", "headers", "listen", "log_limit", "log_queue", "spread"],
    &["metrics"],
    &["access", "audit", "body", "limits"],
    &["route", "serve", "upstream"],
    &["policy"],
    &["plan", "telemetry"],
    &["explain"],
    &["observe", "record"],
    &["mirror"],
    &["steer", "replicas"],
    &["page"],
    &["forward", "control"],
    &["relay", "source"],
    &["config"],
    &["app", "check", "logging", "healthcheck", "preview", "release", "supervisor"],
    &["arguments"],
];

fn level(module: &str) -> usize {
    let found = LEVELS.iter().position(|modules| modules.contains(&module));
    found.unwrap_or_else(|| panic!("module {module} has no level; give it one in LEVELS"))
}

/// The code of each top-level module of the proxy, its submodules included and its tests left out.
fn sources() -> BTreeMap<String, String> {
    sources_of("proxy")
}

fn sources_of(package: &str) -> BTreeMap<String, String> {
    fn gather(dir: &Path, module: Option<&str>, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let module = module.unwrap_or(&name);
            if TESTS.contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() {
                gather(&path, Some(module), found);
            } else {
                found.entry(module.to_owned()).or_default().push_str(&text_of(&code_of(&path)));
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
    let modules = Modules::of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let parts = modules.parts(&[]);
    for (module, imported) in &parts {
        let own = level(module);
        for imported in imported {
            assert!(level(imported) < own, "{module} imports {imported}, which is not below it");
        }
    }
    assert!(parts.values().flatten().count() > 40, "{parts:?}");
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
        "access.rs",
        "access/tokens.rs",
        "policy.rs",
        "policy/matcher.rs",
        "policy/matcher/implied.rs",
        "policy/matcher/path.rs",
        "policy/rate.rs",
        "policy/share.rs",
        "policy/time.rs",
        "route.rs",
        "route/shown.rs",
        "telemetry/context.rs",
        "telemetry/sampler.rs",
    ];
    let single = single.map(|file| (file.to_owned(), text_of(&code_of(&src.join(file)))));
    let crates = ["compare", "judge", "transform", "packets", "conversations", "traffic"];
    let pure = crates.into_iter().flat_map(sources_of).filter(|(module, _)| module != "disk");
    let pure = pure.chain(single);
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
const NOT_IN_THE_STACK: [&str; 28] = [
    "LISTEN_ADDR",
    "ADMIN_ADDR",
    "ADMIN_PREFIX",
    "TLS_CERT",
    "TLS_KEY",
    "UPSTREAM_CA",
    "CLUSTER_URL",
    "CLUSTER_NAME",
    "CLUSTER_REPLICA",
    "CLUSTER_USERNAME",
    "CLUSTER_PASSWORD",
    "CLUSTER_CA",
    "RECORD_DIR",
    "RECORD_SHARE",
    "RECORD_MISMATCHES",
    "RECORD_BODIES",
    "RECORD_MAX_BODY_BYTES",
    "RECORD_REDACT",
    "RECORD_SEGMENT_BYTES",
    "RECORD_SEGMENT_AGE",
    "RECORD_MAX_BYTES",
    "RECORD_STORE",
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

/// `cargo run -p ...`, as the manual and the recipes have it, finds one program each.
#[test]
fn each_package_has_one_program_that_its_name_runs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for package in ["lab", "loadgen", "proxy", "replay", "capture", "demo-service"] {
        let manifest = fs::read_to_string(root.join(package).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        let programs = manifest["bin"].as_array().unwrap().len();
        let chosen = manifest["package"].get("default-run").is_some();
        assert!(programs == 1 || chosen, "{package} has {programs} programs and no default-run");
    }
}
