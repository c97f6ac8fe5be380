use std::path::PathBuf;

use crate::config::{Config, Errors};

const BEFORE: &str = "[[candidate]]\nname = \"v2\"\nurl = \"http://v2:1\"\n\
    [[route]]\nname = \"payment\"\nmatch.path.prefix = \"/pay\"\n";

fn read(text: &str) -> Result<Config, Errors> {
    Config::from_text("m.toml", &format!("{BEFORE}{text}"), &|_| None)
}

fn refused(text: &str) -> String {
    match read(text) {
        Ok(_) => panic!("is taken: {text}"),
        Err(errors) => errors.to_string(),
    }
}

fn hook(rest: &str) -> String {
    format!("[[hook]]\nname = \"it\"\n{rest}\n")
}

/// A folder that is gone with it.
struct Folder(PathBuf);

impl Folder {
    fn with(script: &str) -> Self {
        let name = format!("mirrorlab-hooks-{}-{:x}", std::process::id(), rand::random::<u64>());
        let folder = Self(std::env::temp_dir().join(name));
        std::fs::create_dir(&folder.0).unwrap();
        folder.write(script);
        folder
    }

    fn write(&self, script: &str) {
        std::fs::write(self.0.join("it.rhai"), script).unwrap();
    }

    fn read(&self, text: &str) -> Result<Config, Errors> {
        let file = self.0.join("m.toml");
        std::fs::write(&file, format!("{BEFORE}{text}")).unwrap();
        Config::read(Some(&file), &|_| None)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[test]
fn hooks_keep_their_order_and_say_for_whom_they_are_and_what_they_may_take() {
    let text = "[[hook]]\nname = \"a\"\nscript = 'fn pre(copy) {}'\n\
        [[hook]]\nname = \"b\"\nroutes = [\"payment\"]\nscript = 'fn post(a, b) { label(\"vip\"); }'\n\
        labels = [\"vip\"]\nmax_steps = 5\nmax_bytes = 65536\ntimeout = \"2s\"\n";
    let config = read(text).unwrap();
    let hooks = &config.preparations.hooks;
    assert_eq!(hooks.iter().map(|it| &*it.what.name).collect::<Vec<_>>(), ["a", "b"]);
    let [a, b] = [0, 1].map(|at| &hooks[at].what);
    assert_eq!((a.steps, a.bytes, a.timeout.as_millis()), (100_000, 16 << 20, 100));
    assert_eq!((b.steps, b.bytes, b.timeout.as_millis()), (5, 65_536, 2000));
    assert_eq!((&*a.place, &*b.place), ("m.toml:7", "m.toml:10"));
    let of = |route| config.preparations.of("v2", route).unwrap();
    assert_eq!((of("payment").pre.len(), of("payment").post.len()), (1, 1));
    assert_eq!((of("").pre.len(), of("").post.len()), (1, 0));
    assert_ne!(of("payment").meaning, of("").meaning);
}

#[test]
fn what_is_wrong_with_a_script_is_told_with_its_line_and_that_of_the_settings() {
    let told =
        refused(&hook("script = '''\nfn pre(copy) {\n  nosuch(copy);\n  copy.pth = 1;\n}\n'''"));
    assert!(told.contains("m.toml:9"), "{told}");
    let first = "hook.script: line 2, column 3 of the script: there is no function `nosuch`";
    let second =
        "hook.script: line 3, column 8 of the script: `copy` has no `pth`; did you mean `path`?";
    assert!(told.contains(first) && told.contains(second), "{told}");
}

#[test]
fn a_script_may_be_in_a_file_beside_the_settings() {
    let folder = Folder::with("fn pre(copy) { copy.path; }");
    let text = hook("file = \"it.rhai\"");
    let config = folder.read(&text).unwrap();
    assert_eq!(&*config.preparations.hooks[0].what.place, "it.rhai");
    let said = |config: &Config| config.settings.get("hook.it.file.hash").unwrap().value.clone();
    let (before, meaning) = (said(&config), config.preparations.hooks[0].what.meaning);
    assert_eq!(said(&folder.read(&text).unwrap()), before);
    folder.write("fn pre(copy) { copy.query; }");
    let config = folder.read(&text).unwrap();
    assert_ne!(said(&config), before, "another revision");
    assert_ne!(config.preparations.hooks[0].what.meaning, meaning);
    folder.write("fn pre(copy) {\n  let x = ;\n}");
    let told = folder.read(&text).unwrap_err().to_string();
    assert!(told.contains("hook.file = \"it.rhai\": it.rhai:2:11: "), "{told}");
    folder.write(&"x".repeat(70_000));
    assert!(folder.read(&text).unwrap_err().to_string().contains("hook.file"));
    let told = folder.read(&hook("file = \"other.rhai\"")).unwrap_err().to_string();
    assert!(told.contains("other.rhai"), "{told}");
}

#[test]
fn what_no_hook_can_be_is_refused() {
    let good = "script = 'fn pre(copy) {}'\n";
    for (text, told) in [
        ("[[hook]]\nscript = 'fn pre(copy) {}'".to_owned(), "hook.name: is missing"),
        (hook(""), "hook: has no script; allowed is one of file and script"),
        (hook(&format!("{good}file = \"x\"")), "hook: has several scripts"),
        (hook("script = ''"), "hook.script = \"\": is empty"),
        (hook("script = 'fn other() {}'"), "neither `fn pre(copy)` nor"),
        (hook("script = 'fn pre(a, b) {}'"), "`pre` takes 1"),
        (hook(&format!("{good}routes = [\"paymnt\"]")), "is no name or label of a route"),
        (hook(&format!("{good}candidates = [\"v3\"]")), "is no candidate"),
        (hook(&format!("{good}labels = [\"a b\"]")), "hook.labels = \"a b\": is none"),
        (hook(&format!("{good}max_steps = 0")), "hook.max_steps"),
        (hook(&format!("{good}max_bytes = 10")), "hook.max_bytes"),
        (hook(&format!("{good}timeout = 0")), "hook.timeout"),
        (hook(&format!("{good}time_out = 1")), "timeout"),
        (
            hook("script = 'fn pre(copy) { label(\"vip\"); }'\nlabels = [\"vap\"]"),
            "did you mean `vap`",
        ),
        (format!("{}{}", hook(good), hook(good)), "hook"),
        ("[[hook]]\nname = \"a b\"\nscript = 'fn pre(copy) {}'".to_owned(), "hook.name"),
    ] {
        let all = refused(&text);
        assert!(all.contains(told), "{text}\n{all}");
    }
}
