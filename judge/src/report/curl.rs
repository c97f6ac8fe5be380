//! A line for a shell that sends a request of an example again, to the upstream that `UPSTREAM` names. What
//! is not kept is a variable: the shell that has the secrets fills it in.

use crate::pair::{Asked, AskedBody};

/// Stands for what is hidden.
const MASK: &str = "***";

/// The line, and a comment where it is not the whole request.
pub(super) fn line(asked: &Asked) -> String {
    let mut line = String::from("curl -sS -i");
    match asked.method.as_str() {
        "GET" => {}
        "HEAD" => line.push_str(" --head"),
        method => line.push_str(&format!(" -X {}", quoted(method))),
    }
    let (target, hidden) = with_variables(&asked.target, "HIDDEN");
    line.push_str(&format!(" \"$UPSTREAM\"{target}"));
    for (name, value) in &asked.headers {
        let value = match value {
            Some(value) => quoted(&format!("{name}: {value}")),
            None => format!("{}\"${}\"", quoted(&format!("{name}: ")), variable(name)),
        };
        line.push_str(&format!(" -H {value}"));
    }
    let mut comments = Vec::new();
    if hidden > 0 {
        comments.push("HIDDEN_1 and so on stand for what is hidden");
    }
    match &asked.body {
        AskedBody::None => {}
        AskedBody::NotKept => {
            line.push_str(" --data-binary @\"$BODY_FILE\"");
            comments.push("the body was not kept");
        }
        AskedBody::Kept(body) => {
            let (body, hidden) = with_variables(body, "BODY");
            line.push_str(&format!(" --data-binary {body}"));
            if hidden > 0 {
                comments.push("BODY_1 and so on stand for what is hidden in the body");
            }
        }
    }
    if !comments.is_empty() {
        line.push_str(&format!(" # {}", comments.join("; ")));
    }
    line
}

/// A text in quotes, with a variable for each part that is hidden, and how many these are.
fn with_variables(text: &str, name: &str) -> (String, usize) {
    let mut line = String::new();
    for (at, part) in text.split(MASK).enumerate() {
        if at > 0 {
            line.push_str(&format!("\"${{{name}_{at}}}\""));
        }
        if !part.is_empty() || at == 0 {
            line.push_str(&quoted(part));
        }
    }
    (line, text.matches(MASK).count())
}

/// The name of a header as that of a variable.
fn variable(name: &str) -> String {
    let sign = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let name: String = name.chars().map(sign).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

/// A word that a POSIX shell takes as it is. What a terminal would act on is written as `?`, so that a line that
/// is pasted does what it shows.
fn quoted(text: &str) -> String {
    let shown = |c: char| if super::text::is_active(c) && c != '\n' { '?' } else { c };
    let text: String = text.chars().map(shown).collect();
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &str, target: &str) -> Asked {
        Asked { method: method.into(), target: target.into(), ..Asked::default() }
    }

    #[test]
    fn a_request_is_a_line_for_a_shell() {
        assert_eq!(line(&asked("GET", "/a?b=1")), "curl -sS -i \"$UPSTREAM\"'/a?b=1'");
        let post = Asked {
            headers: vec![
                ("content-type".into(), Some("application/json".into())),
                ("authorization".into(), None),
            ],
            body: AskedBody::Kept("{\"it's\":\"***\"}".into()),
            ..asked("POST", "/a/***?q=***")
        };
        assert_eq!(
            line(&post),
            "curl -sS -i -X 'POST' \"$UPSTREAM\"'/a/'\"${HIDDEN_1}\"'?q='\"${HIDDEN_2}\" \
             -H 'content-type: application/json' -H 'authorization: '\"$AUTHORIZATION\" \
             --data-binary '{\"it'\\''s\":\"'\"${BODY_1}\"'\"}' # HIDDEN_1 and so on stand for what is \
             hidden; BODY_1 and so on stand for what is hidden in the body"
        );
    }

    #[test]
    fn a_body_that_was_not_kept_is_a_file() {
        let line = line(&Asked { body: AskedBody::NotKept, ..asked("PUT", "/") });
        assert!(line.ends_with("--data-binary @\"$BODY_FILE\" # the body was not kept"), "{line}");
    }

    /// Run by a real shell: what comes out are the words as they were.
    #[test]
    fn nothing_that_is_asked_becomes_a_command() {
        let hostile = "/$(touch x)`id`;'\"\\ &|<>!~*?{}[]#\u{1b}[31m\u{202e}";
        let asked = Asked {
            headers: vec![("x".into(), Some(hostile.into()))],
            body: AskedBody::Kept(hostile.into()),
            ..asked("GET", hostile)
        };
        let line = line(&asked).replacen("curl -sS -i", "printf '%s\\n'", 1);
        let shell = std::process::Command::new("sh").args(["-c", &line]).output();
        let Ok(shell) = shell else { return };
        let shown = hostile.replace(['\u{1b}', '\u{202e}'], "?");
        let expected = format!("{shown}\n-H\nx: {shown}\n--data-binary\n{shown}\n");
        assert_eq!(String::from_utf8_lossy(&shell.stdout), expected);
    }
}
