//! What is refused when a script is loaded.

use super::*;

/// The flaws of a script, as `line:column reason`.
fn flaws(source: &str) -> Vec<String> {
    let flaws = compile(source).expect_err(source);
    flaws.iter().map(|it| format!("{}:{} {}", it.line, it.column, it.reason)).collect()
}

#[test]
fn a_flaw_is_told_with_its_line_and_its_column() {
    for (source, expected) in [
        ("fn pre(copy) {\n  let x = ;\n}", "2:11 "),
        ("fn pre(copy) {\n  copy.path = pth;\n}", "2:15 Undefined variable: pth"),
        ("fn pre(copy) { nosuch(copy); }", "1:16 there is no function `nosuch`"),
        (
            "fn pre(copy) { copy.path.trm(); }",
            "1:26 there is no function `trm`; did you mean `trim`?",
        ),
        ("fn pre(copy) { if false { nosuch(1) } }", "1:27 there is no function `nosuch`"),
        ("fn pre(copy) { round(1, 2, 3); }", "1:16 `round` has another number of parameters"),
        (
            "fn pre(copy) { help(1); }\nfn help(a, b) {}",
            "1:16 `help` has another number of parameters",
        ),
        ("fn pre(copy) { copy.pth = \"/\"; }", "1:21 `copy` has no `pth`; did you mean `path`?"),
        ("fn pre(copy) { copy.status = 1; }", "1:21 `copy` has no `status`"),
        ("fn post(a, b) { b.path; }", "1:19 `b` has no `path`"),
        ("\n\nfn pre(copy, more) {}", "3:1 `pre` takes 1: fn pre(copy)"),
        ("fn post(baseline) {}", "1:1 `post` takes 2: fn post(baseline, candidate)"),
        (
            "fn prepare(copy) {}",
            "1:1 neither `fn pre(copy)` nor `fn post(baseline, candidate)` is there",
        ),
        ("", "1:1 neither `fn pre(copy)` nor `fn post(baseline, candidate)` is there"),
        ("fn pre(copy) {}\nlet x = 1;", "2:1 outside functions nothing is run"),
        (
            "fn pre(copy) { drop(copy.path); }",
            "1:16 the reason of a drop is a text that is written out",
        ),
        ("fn pre(copy) { label(copy.path); }", "1:16 a label is a text that is written out"),
        (
            "fn pre(copy) { label(\"vop\"); }",
            "1:16 `labels` does not declare \"vop\"; did you mean `vip`?",
        ),
        (
            "fn pre(copy) { copy.path = `/v2${copy.path}`; }",
            "1:28 write \"…\" + value; texts with `${…}` are not there",
        ),
        ("fn pre(copy) { let m = #{}; m[copy.path] = 1; }", "1:30 beside `#{…}` or `catch (name)`"),
        (
            "fn pre(copy) { try { x(); } catch (e) { e[copy.path] += 1; } }",
            "1:22 there is no function `x`",
        ),
    ] {
        let found = flaws(source);
        assert!(found[0].starts_with(expected), "{source}: {found:?}");
    }
}

#[test]
fn all_flaws_are_told_at_once() {
    let found = flaws("fn pre(copy) {\n  nosuch();\n  copy.pth;\n  label(\"x\");\n}");
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn what_reaches_beyond_a_script_does_not_exist() {
    for body in [
        "eval(\"1\")",
        "import \"x\" as y",
        "export x",
        "print(\"x\")",
        "debug(\"x\")",
        "sleep(1)",
        "timestamp()",
        "exit()",
        "Fn(\"pre\")",
        "call(1)",
        "let f = |x| x",
        "let f = || 1",
        "is_def_fn(\"pre\", 1)",
        "is_def_var(\"x\")",
        "curry(1)",
        "parse_json_file(\"x\")",
        "open_file(\"x\")",
        "copy.tag(1)",
        "rand()",
        "blob(10)",
        "range(0, 10)",
    ] {
        assert!(compile(&format!("fn pre(copy) {{ {body}; }}")).is_err(), "{body}");
    }
}

#[test]
fn names_that_are_something_else_elsewhere_are_not_guessed_at() {
    good("fn pre(copy) { help(copy.json); } fn help(copy) { copy.anything; }");
    good("fn pre(copy) { for copy in copy.json { copy.anything; } }");
    good("fn pre(copy) { let copy = copy.json; copy.anything; }");
    good("fn pre(it) { it.path; } fn post(it, other) { it.status; other.status; }");
    assert!(
        compile("fn pre(copy) { copy.path; } fn post(copy, b) { copy.status; b.stats; }").is_err()
    );
}

#[test]
fn a_script_is_no_longer_than_its_bound_nor_deeper() {
    let long = format!("fn pre(copy) {{ /* {} */ }}", "x".repeat(SCRIPT_MAX));
    assert!(flaws(&long)[0].contains("at most 64 KiB"));
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("{", "}"),
        ("#{a:", "}"),
        ("!", ""),
        ("if true {", "}"),
        ("-(", ")"),
        ("copy.json[", "]"),
        ("round(", ")"),
        ("1+", ""),
        ("true&&", ""),
        ("1??", ""),
        ("\"`${", "}`\""),
        ("/*", "*/"),
        ("copy.", ""),
        ("switch 1 { 1 => ", "}"),
        ("fn f(", ")"),
        ("a, ", ""),
    ] {
        let times = (SCRIPT_MAX - 100) / (open.len() + close.len());
        let source =
            format!("fn pre(copy) {{ let x = {}1{}; }}", open.repeat(times), close.repeat(times));
        let start = Instant::now();
        drop(compile(&source));
        assert!(start.elapsed() < Duration::from_secs(5), "{open}: {:?}", start.elapsed());
    }
}
