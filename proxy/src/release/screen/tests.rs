use super::*;

const SIZE: Size = Size { columns: 20, rows: 6 };
const EVERY: Duration = Duration::from_secs(2);

fn answer(headline: &str, more: &str) -> Answer {
    let text = format!("{headline}\n{more}");
    Answer { headline: headline.to_owned(), text, code: 3, reason: None }
}

/// A terminal of these cells, after it got this: what is in each row, and where the cursor is.
fn terminal(written: &str, size: Size) -> (Vec<String>, usize) {
    let mut rows = vec![String::new(); size.rows];
    let (mut row, mut column, mut rest) = (0, 0, written.chars());
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => match rest.by_ref().skip(1).find(|c| c.is_ascii_alphabetic()) {
                Some('H') => (row, column) = (0, 0),
                Some('K') => rows[row] = rows[row].chars().take(column).collect(),
                Some('J') => {
                    rows[row] = rows[row].chars().take(column).collect();
                    rows[row + 1..].iter_mut().for_each(String::clear);
                }
                other => panic!("{other:?} is no sequence of ours"),
            },
            '\n' => {
                (row, column) = (row + 1, 0);
                if row == size.rows {
                    rows.remove(0);
                    rows.push(String::new());
                    row -= 1;
                }
            }
            c => {
                let mut cells: Vec<_> = rows[row].chars().collect();
                cells.truncate(column);
                cells.push(c);
                rows[row] = cells.into_iter().collect();
                column += 1;
                assert!(column <= size.columns, "{c} wraps");
            }
        }
    }
    (rows, row)
}

fn drawn(screen: &Screen<Vec<u8>, Vec<u8>>) -> String {
    String::from_utf8(screen.out.clone()).unwrap()
}

#[test]
fn a_terminal_shows_the_sentence_whole_and_of_the_rest_what_there_is_room_for() {
    let mut screen = Screen::new(Vec::new(), Vec::new(), true);
    let first = answer("Not known yet: some pairs are missing", "a\nb\nc\nd\ne\n");
    screen.show(Ok(&first), EVERY, SIZE).unwrap();
    let (rows, row) = terminal(&drawn(&screen), SIZE);
    let expected = [
        "Not known yet: some ",
        "pairs are missing",
        "a",
        "b",
        "… 3 more lines; wit…",
        "Asked every 2s; Ctr…",
    ];
    assert_eq!((rows, row), (expected.map(str::to_owned).to_vec(), 5));
    screen.show(Ok(&answer("Safe", "a\n")), EVERY, SIZE).unwrap();
    let (rows, row) = terminal(&drawn(&screen), SIZE);
    assert_eq!(rows, ["Safe", "a", "Asked every 2s; Ctr…", "", "", ""]);
    assert_eq!(row, 2, "nothing of the longer one is left");
    screen.leave().unwrap();
    assert_eq!(terminal(&drawn(&screen), SIZE).1, 3, "the prompt comes below");
}

#[test]
fn a_proxy_that_is_away_is_told_below_its_last_report() {
    let mut screen = Screen::new(Vec::new(), Vec::new(), true);
    let size = Size { columns: 60, rows: 6 };
    screen.show(Err(&"refused".to_owned()), EVERY, size).unwrap();
    assert_eq!(terminal(&drawn(&screen), size).0[0], "no report yet");
    screen.show(Ok(&answer("Safe", "")), EVERY, size).unwrap();
    screen.show(Err(&"refused".to_owned()), EVERY, size).unwrap();
    let rows = terminal(&drawn(&screen), size).0;
    assert_eq!(rows[..2], ["Safe", "The proxy is away (refused); asking again every 2s. Ctrl-C …"]);
    screen.show(Ok(&answer("Safe", "")), EVERY, size).unwrap();
    assert_eq!(terminal(&drawn(&screen), size).0[1], "Asked every 2s; Ctrl-C ends");
}

#[test]
fn a_log_gets_a_report_where_its_headline_changes_and_is_told_once_that_the_proxy_is_away() {
    let mut screen = Screen::new(Vec::new(), Vec::new(), false);
    let away = "refused".to_owned();
    for (headline, more) in [("open", "1"), ("open", "2"), ("pass", "3")] {
        screen.show(Ok(&answer(headline, more)), EVERY, SIZE).unwrap();
        screen.show(Err(&away), EVERY, SIZE).unwrap();
        screen.show(Err(&away), EVERY, SIZE).unwrap();
    }
    screen.leave().unwrap();
    assert_eq!(drawn(&screen), "open\n1\npass\n3");
    let said = String::from_utf8(screen.errors).unwrap();
    let again = "the proxy answers again\n";
    let away = "refused; asking again every 2s\n";
    assert_eq!(said, [away, again, away, again, away].concat());
}

#[test]
fn no_size_is_too_small() {
    let answer = answer("Not known yet: 漢字 and what is long-long-long", "漢字漢字\n");
    for columns in 0..30 {
        for rows in 0..5 {
            let size = Size { columns, rows };
            let lines = frame(&answer.text, "status", size).replace(CLEAR_LINE, "");
            assert!(lines.lines().count() <= rows.max(1), "{size:?}");
        }
    }
}
