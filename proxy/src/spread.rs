//! JSON with each value on a line, so that what is another one can be seen; the values as they are written.

/// The lines of a document.
pub fn spread(json: &str) -> String {
    let mut text = String::with_capacity(2 * json.len());
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    let mut chars = json.chars().filter(|c| *c >= ' ').peekable();
    while let Some(c) = chars.next() {
        if in_text {
            text.push(c);
            in_text = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            continue;
        }
        match c {
            ' ' => {}
            '{' | '[' if matches!(chars.peek(), Some('}' | ']')) => text.push(c),
            '{' | '[' => {
                depth += 1;
                text.push(c);
                next_line(&mut text, depth);
            }
            '}' | ']' if text.ends_with(['{', '[']) => text.push(c),
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                next_line(&mut text, depth);
                text.push(c);
            }
            ',' => {
                text.push(c);
                next_line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            c => {
                in_text = c == '"';
                text.push(c);
            }
        }
    }
    text
}

fn next_line(text: &mut String, depth: usize) {
    const DEPTH_MAX: usize = 100;
    text.push('\n');
    text.extend(std::iter::repeat_n("  ", depth.min(DEPTH_MAX)));
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn each_value_has_a_line_and_stays_as_it_is_written() {
        let json = r#" {"a":[1.50, 1e400,{"b":"x, y: {\\"},[],{}],"\u00e9\"" : null}"#;
        let lines = [
            "{",
            r#"  "a": ["#,
            "    1.50,",
            "    1e400,",
            "    {",
            r#"      "b": "x, y: {\\""#,
            "    },",
            "    [],",
            "    {}",
            "  ],",
            r#"  "\u00e9\"": null"#,
            "}",
        ];
        assert_eq!(spread(json), lines.join("\n"));
        assert_eq!(spread("\"a\u{7f}b\""), "\"a\u{7f}b\"", "which JSON allows");
    }
}
