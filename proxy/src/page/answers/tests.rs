use serde_json::{Value, json};

use super::*;
use compare::Traits;

fn answer(status: u16, body: Option<&str>) -> Answer {
    Answer { status, body: body.map(|body| body.as_bytes().to_vec()), lines: None }
}

fn of(answers: [Answer; 2], differences: Vec<Difference>) -> Answers {
    super::answers(&Kept { id: "".into(), basis: 0, answers, differences })
}

fn bodies(ours: &Value, theirs: &Value) -> Answers {
    of([ours, theirs].map(|it| answer(200, Some(&it.to_string()))), Vec::new())
}

fn difference(place: &str, kind: Kind) -> Difference {
    Difference {
        place: place.to_owned(),
        field: place.to_owned(),
        kind,
        baseline: Some("\"one\"".to_owned()),
        candidate: Some("***".to_owned()),
        traits: Traits::default(),
        note: None,
    }
}

fn line(cell: &Cell) -> String {
    let Some(line) = &cell.line else { return "-".to_owned() };
    let part = |it: &Part| if it.marked { format!("[{}]", it.text) } else { it.text.clone() };
    format!("{} {}", line.number, line.parts.iter().map(part).collect::<String>())
}

/// The rows that differ.
fn differing(answers: &Answers) -> Vec<[String; 2]> {
    let rows = answers.blocks.iter().flat_map(|it| &it.rows).filter(|row| row.differs);
    rows.map(|row| row.sides.each_ref().map(line)).collect()
}

/// What is said of each block, and how many rows are in it.
fn shape(answers: &Answers) -> Vec<(Option<&str>, usize)> {
    answers.blocks.iter().map(|it| (it.folded.as_deref(), it.rows.len())).collect()
}

#[test]
fn equal_lines_are_folded_but_for_those_around_what_differs() {
    let list = |changed: &[usize]| -> Value {
        (0..30).map(|at| if changed.contains(&at) { json!(at + 100) } else { json!(at) }).collect()
    };
    let answers = bodies(&list(&[]), &list(&[10]));
    let expected = [(Some("8 equal lines"), 8), (None, 7), (Some("17 equal lines"), 17)];
    assert_eq!(shape(&answers), expected, "{:?}", differing(&answers));
    assert_eq!(differing(&answers), [["12   10,".to_owned(), "12   1[1]0,".to_owned()]]);
    // One line between those around two differences is not worth a fold.
    assert_eq!(
        shape(&bodies(&list(&[]), &list(&[3, 11])))[..2],
        [(None, 16), (Some("16 equal lines"), 16)]
    );
    let same = bodies(&list(&[]), &list(&[]));
    assert_eq!(shape(&same), [(Some("32 equal lines"), 32)]);
}

#[test]
fn what_differs_in_a_line_is_marked_and_its_key_and_comma_are_not() {
    let ours = json!({"a": 1, "price": 6900, "z": "x"});
    let theirs = json!({"a": 1, "price": 6950, "z": "x", "zz": true});
    let answers = bodies(&ours, &theirs);
    let expected = [
        ["3   \"price\": 69[0]0,".to_owned(), "3   \"price\": 69[5]0,".to_owned()],
        ["-".to_owned(), "5   \"zz\": true".to_owned()],
    ];
    assert_eq!(differing(&answers), expected);
    let other = bodies(&json!({"n": 1}), &json!({"n": "none of it"}));
    assert_eq!(differing(&other)[0], ["2   \"n\": [1]", "2   \"n\": [\"none of it\"]"]);
}

#[test]
fn numbers_stay_as_they_are_written() {
    let answers = of(["1.50", "1e400"].map(|it| answer(200, Some(it))), Vec::new());
    assert_eq!(differing(&answers), [["1 1[.5]0".to_owned(), "1 1[e40]0".to_owned()]]);
}

#[test]
fn hidden_values_are_shown_as_masked_and_as_not_equal_where_they_are_not() {
    let hash = |digit: &str| format!("***{}", digit.repeat(16));
    let ours = json!({"a": hash("a"), "b": hash("b"), "c": "***", "d": hash("d"), "e": "***x"});
    let theirs = json!({"a": hash("a"), "b": hash("c"), "c": "***", "d": 1, "e": "***y"});
    let answers = bodies(&ours, &theirs);
    let expected = [
        ["3   \"b\": [masked, not equal],", "3   \"b\": [masked, not equal],"],
        ["5   \"d\": [masked],", "5   \"d\": [1],"],
        ["6   \"e\": \"***[x]\"", "6   \"e\": \"***[y]\""],
    ];
    assert_eq!(differing(&answers), expected);
    let rows = || answers.blocks.iter().flat_map(|it| &it.rows);
    let all: Vec<_> = rows().flat_map(|row| &row.sides).map(line).collect();
    assert!(all.contains(&"2   \"a\": masked,".to_owned()), "{all:?}");
    assert!(all.contains(&"4   \"c\": masked,".to_owned()), "{all:?}");
    let digits = ["a", "b", "c", "d"].map(|it| it.repeat(8));
    assert!(all.iter().all(|line| digits.iter().all(|digits| !line.contains(digits))), "{all:?}");
    // What looks like one and is within a text is none.
    let quoted = bodies(&json!({"a": "b\": \"***"}), &json!({"a": "b\": \"**"}));
    assert!(!differing(&quoted)[0][0].contains("masked"), "{:?}", differing(&quoted));
}

#[test]
fn what_moves_a_terminal_or_turns_a_text_is_shown_as_text() {
    let body = |value: &str| json!({"\u{202e}<script>": format!("\u{9b}31m{value}")});
    let [[before, after]] = &differing(&bodies(&body("one"), &body("two")))[..] else { panic!() };
    for line in [before, after] {
        assert!(line.contains("\\u{202e}<script>") && line.contains("\\u{9b}31m"), "{line}");
    }
}

#[test]
fn lines_are_cut_around_what_differs() {
    let long = |end: &str| json!({"k".repeat(16_000): format!("{}{end}", "é".repeat(8000))});
    let answers = bodies(&long("111"), &long("222"));
    let lines = &differing(&answers)[0];
    for (line, end) in lines.iter().zip(["[111]", "[222]"]) {
        let is_short = line.len() < 1500;
        assert!(is_short && line.contains("…") && line.contains(end), "{line}");
    }
    let one_sided = bodies(&json!([]), &json!(["x".repeat(16_000)]));
    assert!(differing(&one_sided).iter().all(|sides| sides[1].len() < 1500));
}

#[test]
fn a_pair_of_many_lines_is_bounded_and_says_so() {
    let lines = |of: usize| (0..8000).map(|at| json!(of * at)).collect::<Value>();
    let started = Instant::now();
    let answers = bodies(&lines(1), &lines(3));
    let rows: usize = answers.blocks.iter().map(|it| it.rows.len()).sum();
    assert!(rows <= LINES_MAX && rows > LINES_MAX / 2, "{rows}");
    let left_out = answers.left_out.as_deref().unwrap_or_default();
    assert!(left_out.ends_with("more lines"), "{left_out}");
    let often =
        |of: usize| (0..8000).map(|at| json!(if at % 10 == 0 { of + at } else { at })).collect();
    let answers = bodies(&often(0), &often(1));
    assert!(answers.blocks.len() < 600 && answers.left_out.is_some(), "{}", answers.blocks.len());
    let same = bodies(&lines(1), &lines(1));
    assert_eq!(shape(&same), [(Some("8\u{202f}002 equal lines"), LINES_MAX)]);
    assert_eq!(same.blocks[0].left_out.as_deref(), Some("6\u{202f}002 more lines"));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn without_bodies_all_places_that_differ_are_listed_and_with_them_headers_alone() {
    let differences =
        || vec![difference("$.a", Kind::Value), difference("header etag", Kind::Header)];
    let places = |of: &Answers| of.listed.iter().map(|it| it.place.clone()).collect::<Vec<_>>();
    let none = of([answer(200, None), answer(503, None)], differences());
    assert_eq!((places(&none), none.blocks.len()), (vec!["$.a".into(), "header etag".into()], 0));
    assert!(!none.is_whole && none.heads[1].is_another && none.heads[1].status == 503);
    let masked = &none.listed[0].sides[1];
    assert!(masked.is_masked);
    let one = of([answer(200, Some("[1]")), answer(503, None)], differences());
    assert_eq!((places(&one).len(), one.blocks[0].rows.len()), (2, 3));
    assert!(one.heads[0].has_body && !one.heads[1].has_body);
    let both = of([answer(200, Some("[1]")), answer(200, Some("[2]"))], differences());
    assert_eq!(places(&both), ["header etag"]);
}

#[test]
fn texts_that_are_no_json_are_shown_by_their_lines() {
    let text = |text: &str| Answer { status: 200, body: None, lines: Some(text.into()) };
    let mask = |digit: &str| format!("\"***{}\"", digit.repeat(16));
    let [ours, theirs] = ["a", "b"].map(|it| {
        text(&format!("Hello,\n  x {it}\n{}\nend{}", mask(it), if it == "a" { "," } else { "" }))
    });
    let answers = of([ours, theirs], vec![difference("body line 2", Kind::Value)]);
    let expected = [
        ["2   x [a]", "2   x [b]"],
        ["3 [masked, not equal]", "3 [masked, not equal]"],
        ["4 end[,]", "4 end"],
    ];
    assert_eq!(differing(&answers), expected);
    assert!(answers.is_whole && answers.listed.is_empty());
}
