//! Scripts that loop, recurse and allocate: each costs its run and nothing else, on a thread with the stack
//! that threads have by default.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// What came of a script, and how many bytes it asked for.
fn run(source: String, json: String, steps: u64) -> (Result<Said, Failure>, usize) {
    let small = std::thread::Builder::new().stack_size(2 << 20);
    let thread = small.spawn(move || {
        let hook =
            Hook::compile("hostile", &source, &[]).unwrap_or_else(|flaws| panic!("{flaws:?}"));
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let grant = Box::new(move |bytes| {
            counted.fetch_add(bytes, Ordering::Relaxed);
            true
        });
        // Of steps and memory all is bounded, however long a busy machine takes for them.
        let limits = Limits { steps, bytes: 8 << 20, over: Arc::new(|| false), grant };
        let said = hook.pre(&mut copy(&json), ABOUT, limits);
        (said, asked.load(Ordering::Relaxed))
    });
    thread.unwrap().join().expect("a run never takes its thread with it")
}

fn stopped(body: &str, causes: &[Cause]) {
    let (said, asked) = run(format!("fn pre(copy) {{ {body} }}"), "{\"a\":{}}".to_owned(), 20_000);
    let failure = said.expect_err(body);
    assert!(causes.contains(&failure.cause), "{body}: {failure:?}");
    assert!(asked <= 8 << 20, "{body}: {asked}");
}

#[test]
fn loops_end() {
    let causes = &[Cause::Steps, Cause::Time];
    for body in [
        "loop {}",
        "while true { let x = 1; }",
        "do { } while true;",
        "for i in 0..9223372036854775807 {}",
        "for i in 0..=9223372036854775807 { for j in 0..i {} }",
        "loop { try { throw 1; } catch {} }",
        "loop { try { forever(); } catch {} } } fn forever() { loop {}",
        "let a = []; for i in 0..2000 { a.push(i); } loop { a.contains(-1); }",
    ] {
        stopped(
            body,
            if body.contains("contains") {
                &[Cause::Steps, Cause::Time, Cause::Memory]
            } else {
                causes
            },
        );
    }
}

#[test]
fn recursion_ends() {
    let causes = &[Cause::Memory, Cause::Steps];
    let deep = format!("{}again(x){}", "round(".repeat(8), ", 0)".repeat(8));
    for body in [
        "again(1); } fn again(x) { again(x + 1)".to_owned(),
        "one(1); } fn one(x) { two(x) } fn two(x) { one(x)".to_owned(),
        "pre(copy)".to_owned(),
        "loop { try { again(1); } catch {} } } fn again(x) { again(x + 1)".to_owned(),
        format!("again(1.5); }} fn again(x) {{ {deep}"),
        format!("again(1); }} fn again(x) {{ {}again(x){}", "if true { ".repeat(8), "}".repeat(8)),
    ] {
        stopped(&body, causes);
    }
    // At the end of the stack a value that is nested as deeply as values may be.
    let nested =
        "down(0); } fn down(x) { if x < 10 { down(x + 1); } else { let a = []; loop { a = [a]; } }";
    stopped(nested, &[Cause::Memory, Cause::Steps]);
}

#[test]
fn memory_is_bounded_however_it_is_asked_for() {
    let causes = &[Cause::Memory, Cause::Steps, Cause::Time, Cause::Script];
    for body in [
        "let s = \"x\"; loop { s += s; }",
        "let s = \"x\"; loop { s = s + s; }",
        "let s = \"x\"; loop { s += 'x'; }",
        "let s = \"xxxxxxxxxxxxxxxx\"; loop { s.replace(\"x\", s); }",
        "let s = \"ß\"; loop { s = s.to_upper() + s; }",
        "let s = \"a,\"; loop { s += s; s.split(\",\"); }",
        "let a = []; loop { a.push(1); }",
        "let a = []; loop { a = [a]; }",
        "let a = []; loop { a = [a, a]; }",
        "let a = []; loop { let b = []; b.push(a); a = b; }",
        "let a = [\"x\"]; loop { a.push(a); }",
        "let a = #{}; loop { a = #{a: a}; }",
        "let a = #{}; loop { a = #{a: a, b: a}; }",
        "let a = [#{}]; loop { a[0].x = a; }",
        "loop { copy.json.a = copy.json; }",
        "loop { copy.json.a.a = copy.json.a; }",
        "let x = copy.json; loop { x.a = #{}; x = x.a; }",
        "loop { copy.json = [copy.json]; }",
        "let i = 0; loop { copy.json[\"k\" + i] = i; i += 1; }",
        "copy.json = []; loop { copy.json.push(copy.json); }",
        "copy.json = []; loop { copy.json.push(\"xxxxxxxxxxxxxxxxxxxx\"); }",
        "copy.json = []; loop { copy.json.insert(0, 1); }",
        "loop { copy.json.rename(\"a\", \"b\"); copy.json.rename(\"b\", \"a\"); }",
        "let i = 0; loop { copy.headers.add(\"x-\" + i, \"y\"); i += 1; }",
        "loop { copy.headers.add(\"x\", \"y\"); }",
        "loop { copy.query.add(\"x\", \"yyyyyyyyyyyyyyyyyy\"); }",
        "let i = 0; loop { copy.cookies[\"c\" + i] = \"x\"; i += 1; }",
        "loop { copy.path = copy.path + copy.path; }",
        "loop { copy.body = copy.body + copy.body; }",
        "let s = \"[\"; while s.len() < 100000 { s += s; } parse_json(s); loop {}",
        "let s = \"[[\"; let t = \"]]\"; while s.len() < 60000 { s += s; t += t; } loop { copy.json = parse_json(s + t); }",
        "let s = \"1\"; while s.len() < 100000 { s += s; } loop { round(parse_json(s + \".5\"), 2); }",
        "loop { copy.json.keys(); }",
        "loop { parse_json(\"{}\"); }",
    ] {
        stopped(body, causes);
    }
}

#[test]
fn a_copy_of_a_value_is_no_way_around_the_bound() {
    // Keys of maps are what no limit of the engine counts; they have to be written out beside a map.
    let open = "fn pre(copy) { let m = #{}; let k = \"x\"; loop { k += \"x\"; m[k] = 1; } }";
    assert!(compile(open).is_err());
    let mut many = "let a = []; while a.len() < 2000 { a.push(\"x\"); } let v0 = a;".to_owned();
    for i in 1..50 {
        many.push_str(&format!("let v{i} = v{}; v{i}[0] = \"y\";", i - 1));
    }
    many.push_str("loop {}");
    stopped(&many, &[Cause::Steps, Cause::Time]);
    let variables: String = (0..100).map(|i| format!("let v{i} = 1;")).collect();
    stopped(&variables, &[Cause::Memory]);
}

#[test]
fn deep_and_large_documents_are_read_and_changed_without_recursion() {
    for depth in [100, 10_000, 200_000] {
        let json = format!("{{\"a\":1,\"deep\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        let (said, ..) = run(
            "fn pre(copy) { copy.json.a = 2; copy.json.b = copy.json.deep; }".to_owned(),
            json,
            100_000,
        );
        match said {
            Ok(_) => assert!(depth <= 10_000),
            Err(failure) => assert_eq!((depth, failure.cause), (200_000, Cause::Memory)),
        }
    }
    let nested = format!("{}1{}", "{\"a\":".repeat(3000), "}".repeat(3000));
    let down = "fn pre(copy) { let x = copy.json; while type_of(x) == \"json\" { let y = x.a; if type_of(y) != \"json\" \
                { x.a = 2; } x = y; } }";
    let (said, ..) = run(down.to_owned(), nested, 100_000);
    assert!(said.is_ok(), "{said:?}");
    let item = "{\"id\":1234567,\"name\":\"something or other\",\"price\":12.50},";
    let large = format!("[{}{{}}]", item.repeat((1 << 20) / item.len()));
    let (said, ..) =
        run("fn pre(copy) { copy.json[0].id = 2; copy.json[-1] = 3; }".to_owned(), large, 100_000);
    assert!(said.is_ok(), "{said:?}");
}

#[test]
fn what_is_refused_memory_ends() {
    let hook = pre("copy.json.a = 1;");
    for (bytes, granted, cause) in
        [(100, true, Cause::Memory), (0, true, Cause::Memory), (8 << 20, false, Cause::NoBudget)]
    {
        let limits = Limits { bytes, grant: Box::new(move |_| granted), ..limits() };
        let failed = hook.pre(&mut copy("{\"a\":1}"), ABOUT, limits).unwrap_err();
        assert_eq!(failed.cause, cause, "{bytes}");
    }
}

#[test]
fn the_clock_is_the_one_that_is_handed_in() {
    let hook = pre("loop {}");
    let limits = Limits { over: Arc::new(|| true), steps: u64::MAX, ..limits() };
    let failed = hook.pre(&mut copy(""), ABOUT, limits).unwrap_err();
    assert_eq!((failed.cause, failed.line), (Cause::Time, Some(1)));
}

#[test]
fn a_panic_in_the_engine_or_in_ours_is_a_failure_of_the_run() {
    let grant = Box::new(|_| panic!("on purpose"));
    let failed = pre("copy.json.a = 1;").pre(&mut copy("{}"), ABOUT, Limits { grant, ..limits() });
    assert_eq!(failed.unwrap_err().cause, Cause::Panic);
    let over = Arc::new(|| panic!("on purpose"));
    let failed = pre("loop {}").pre(&mut copy("{}"), ABOUT, Limits { over, ..limits() });
    assert_eq!(failed.unwrap_err().cause, Cause::Panic);
}

#[test]
fn no_value_of_the_traffic_is_in_what_is_told() {
    let secret = "tops3cret";
    let json = format!("{{\"s\":\"{secret}\",\"n\":4711,\"l\":[1],\"{secret}\":1}}");
    for body in [
        "throw copy.json.s;",
        "throw #{a: copy.json.s};",
        "copy.json.s.x;",
        "copy.json.s + copy.json;",
        "copy.json.s[4711];",
        "copy.json.l[copy.json.n];",
        "let m = #{a: 1}; m[copy.json.s].b;",
        "[1][copy.json.n];",
        "copy.json.n / 0;",
        "copy.json.n * 9223372036854775807;",
        "parse_int(copy.json.s);",
        "round(copy.json.s, 2);",
        "copy.json.s();",
        "copy.path = copy.json.s;",
        "copy.headers[copy.json.s + \" \"] = \"x\";",
        "switch copy.json.s { _ => throw copy.json.keys() }",
        "for x in copy.json.s {}",
        "for x in copy.json.n {}",
        "let x = copy.json.n; x();",
        "copy.json.n[copy.json.n];",
        "copy.json.n >> copy.json.n;",
        "1 << copy.json.n;",
        "-copy.json.s;",
        "!copy.json.n;",
        "if copy.json.s {}",
    ] {
        let Ok(hook) = compile(&format!("fn pre(copy) {{ {body} }}")) else { continue };
        let failed = match hook.pre(&mut copy(&json), ABOUT, limits()) {
            Err(failed) => failed,
            Ok(_) => continue,
        };
        let told = format!("{failed:?}");
        assert!(!told.contains(secret) && !told.contains("4711"), "{body}: {told}");
        assert_eq!(failed.line, Some(1), "{body}: {told}");
    }
    let failed = pre("throw \"no tenant\";").pre(&mut copy("{}"), ABOUT, limits()).unwrap_err();
    assert_eq!(failed.to_string(), "line 2, column 1: it threw: no tenant");
}
