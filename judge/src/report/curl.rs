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
    let (target, hidden) = target(&asked.target);
    line.push_str(&target);
    for header in headers(asked) {
        line.push_str(&format!(" -H {header}"));
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

/// Where it goes, just as it was sent, and how much of that is hidden: curl would make several requests of brackets and
/// braces, and another path of one with dots.
fn target(target: &str) -> (String, usize) {
    let (quoted, hidden) = with_variables(target, "HIDDEN");
    if !target.starts_with('/') {
        return (format!(" --request-target {quoted} \"$UPSTREAM\""), hidden);
    }
    let globs = if target.contains(['[', ']', '{', '}']) { " -g" } else { "" };
    let dots = if target.contains("/.") { " --path-as-is" } else { "" };
    (format!("{globs}{dots} \"$UPSTREAM\"{quoted}"), hidden)
}

/// Its header lines, each a word.
fn headers(asked: &Asked) -> Vec<String> {
    let line = |(name, value): &(String, Option<String>)| match value.as_deref() {
        // With a colon it would be left out.
        Some("") => quoted(&format!("{name};")),
        Some(value) => quoted(&format!("{name}: {value}")),
        None => format!("{}\"${}\"", quoted(&format!("{name}: ")), variable(name)),
    };
    let mut lines: Vec<_> = asked.headers.iter().map(line).collect();
    let is_said = asked.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    if !is_said && asked.body != AskedBody::None {
        // Else curl would say that it is a form.
        lines.push(quoted("content-type:"));
    }
    lines
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

/// The name of a header as that of a variable, which is none that the shell or this line has already: whoever sends
/// requests chooses the names.
fn variable(name: &str) -> String {
    let sign = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let name: String = name.chars().map(sign).collect();
    let is_usual = matches!(&*name, "AUTHORIZATION" | "PROXY_AUTHORIZATION" | "COOKIE");
    if is_usual || name.starts_with("X_") { name } else { format!("HEADER_{name}") }
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
    fn a_target_goes_out_as_it_came() {
        for (target, expected) in [
            ("/a?ids[]=1", " -g \"$UPSTREAM\"'/a?ids[]=1'"),
            ("/a/{b}", " -g \"$UPSTREAM\"'/a/{b}'"),
            ("/a/../b", " --path-as-is \"$UPSTREAM\"'/a/../b'"),
            ("*", " --request-target '*' \"$UPSTREAM\""),
        ] {
            assert_eq!(line(&asked("GET", target)), format!("curl -sS -i{expected}"));
        }
    }

    #[test]
    fn a_header_is_sent_as_it_was_and_names_no_variable_of_the_shell() {
        let header = |name: &str, value: Option<&str>| {
            let headers = vec![(name.to_owned(), value.map(str::to_owned))];
            let line = line(&Asked { headers, ..asked("GET", "/") });
            line.split_once(" -H ").unwrap().1.to_owned()
        };
        assert_eq!(header("accept", Some("")), "'accept;'");
        assert_eq!(header("x-api-key", None), "'x-api-key: '\"$X_API_KEY\"");
        for name in ["upstream", "path", "aws-secret-access-key", "body-file", "1st"] {
            assert!(header(name, None).contains("\"$HEADER_"), "{name}");
        }
        let post = Asked { body: AskedBody::Kept("1".into()), ..asked("POST", "/") };
        assert!(line(&post).contains(" -H 'content-type:' --data-binary '1'"));
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
        let line = line(&asked).replacen("curl -sS -i -g", "printf '%s\\n'", 1);
        let shell = std::process::Command::new("sh").args(["-c", &line]).output();
        let Ok(shell) = shell else { return };
        let shown = hostile.replace(['\u{1b}', '\u{202e}'], "?");
        let expected =
            format!("{shown}\n-H\nx: {shown}\n-H\ncontent-type:\n--data-binary\n{shown}\n");
        assert_eq!(String::from_utf8_lossy(&shell.stdout), expected);
    }
}
