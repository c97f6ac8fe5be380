//! A JSON body as it may be kept: without what the rules mask, and without what is personal or secret.

use super::annotate::Document;
use super::bodies::{self, has_secret};
use super::json::Kind;
use super::policy::Rules;
use super::redaction::{self, MASK};
use super::{Body, Grant, Limits, Side, plain, read};

/// What stands for a value that is hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// `***`.
    Mask,
    /// `***` and a hash under a key that nobody knows, so that two are equal where the values are; nothing
    /// but `***` for what the rules hold to be equal to any other.
    Hash,
}

/// The body as it may be kept, with all else as it was but for spaces; `None` where it is no JSON, or where
/// memory is not granted.
pub fn kept(body: &[u8], rules: &Rules, stand: Stand, grant: Grant<'_>) -> Option<Vec<u8>> {
    let (form, tape) = read::body(body, grant).ok()??;
    if !form.is_plain() {
        return None;
    }
    let mut store = Vec::new();
    let document = read::document(tape, &mut store, rules, grant).ok()?;
    // What stands for a value is longer than the shortest ones.
    if !grant(2 * body.len() + STAND_MAX * document.tape.len()) {
        return None;
    }
    let mut writer =
        Writer { document: &document, rules, stand, out: Vec::new(), open: Vec::new(), grant };
    writer.run()?;
    Some(writer.out)
}

/// The body of an answer as it may be kept, without its content encodings; see [`kept`].
pub fn kept_answer(side: &Side<'_>, rules: &Rules, limits: &mut Limits<'_>) -> Option<Vec<u8>> {
    let Body::Whole(bytes) = side.body else { return None };
    let (plain, _) = plain(&side.content_encoding, bytes, limits).ok()?;
    hashed(&plain, rules, limits.grant)
}

/// The lines of an answer that is no JSON as they may be kept; `None` for what is not read by its lines.
pub fn kept_lines(side: &Side<'_>, rules: &Rules, limits: &mut Limits<'_>) -> Option<Vec<u8>> {
    let Body::Whole(bytes) = side.body else { return None };
    let (plain, _) = plain(&side.content_encoding, bytes, limits).ok()?;
    bodies::kept_text(side.content_type, &plain, rules, hashed, limits.grant)
}

pub(super) fn hashed(body: &[u8], rules: &Rules, grant: Grant<'_>) -> Option<Vec<u8>> {
    kept(body, rules, Stand::Hash, grant)
}

/// Bytes of what stands for a value, with its quotes.
const STAND_MAX: usize = 24;

struct Writer<'w, 'a> {
    document: &'w Document<'a>,
    rules: &'w Rules,
    stand: Stand,
    out: Vec<u8>,
    /// The nodes behind the containers that are open, and what closes them.
    open: Vec<(usize, u8)>,
    grant: Grant<'w>,
}

impl Writer<'_, '_> {
    /// `None` where memory is not granted.
    fn run(&mut self) -> Option<()> {
        let (mut at, count) = (0, self.document.tape.len());
        while at < count {
            self.close(at);
            at = self.node(at)?;
        }
        self.close(count);
        Some(())
    }

    fn close(&mut self, at: usize) {
        while let Some((_, sign)) = self.open.pop_if(|(end, _)| *end == at) {
            self.out.push(sign);
        }
    }

    /// Writes a node; the next one to write.
    fn node(&mut self, at: usize) -> Option<usize> {
        if !matches!(self.out.last(), None | Some(b'[' | b'{' | b':')) {
            self.out.push(b',');
        }
        let tape = &self.document.tape;
        if tape.kind(at) != Kind::Key {
            return self.value(at);
        }
        let name = tape.text(at).unescaped();
        match redaction::hidden(&tape.text(at), self.rules.hide()) {
            Some(_) => self.string(MASK.as_bytes()),
            None => self.string(tape.raw(at)),
        }
        self.out.push(b':');
        if self.rules.hides(&String::from_utf8_lossy(&name)) {
            return self.hidden(at + 1);
        }
        Some(at + 1)
    }

    fn value(&mut self, at: usize) -> Option<usize> {
        let (tape, mark) = (&self.document.tape, self.document.mark(at));
        if mark.mask.is_some() || mark.hidden {
            return self.hidden(at);
        }
        Some(match tape.kind(at) {
            Kind::Array => self.begin(at, b'[', b']'),
            Kind::Object => self.begin(at, b'{', b'}'),
            Kind::String | Kind::Key => {
                let text = tape.text(at);
                let is_hidden = redaction::hidden(&text, self.rules.hide()).is_some();
                if is_hidden || has_secret(&text.unescaped(), self.rules) {
                    return self.hidden(at);
                }
                self.string(tape.raw(at));
                at + 1
            }
            Kind::Number | Kind::Word => {
                if redaction::hidden_bytes(tape.raw(at), self.rules.hide()).is_some() {
                    return self.hidden(at);
                }
                self.out.extend_from_slice(tape.raw(at));
                at + 1
            }
            Kind::Null => self.word(at, b"null"),
            Kind::True => self.word(at, b"true"),
            Kind::False => self.word(at, b"false"),
        })
    }

    fn begin(&mut self, at: usize, open: u8, close: u8) -> usize {
        self.out.push(open);
        self.open.push((self.document.tape.behind(at), close));
        at + 1
    }

    fn word(&mut self, at: usize, word: &[u8]) -> usize {
        self.out.extend_from_slice(word);
        at + 1
    }

    /// The text of a string, as it is escaped.
    fn string(&mut self, text: &[u8]) {
        self.out.push(b'"');
        self.out.extend_from_slice(text);
        self.out.push(b'"');
    }

    /// What stands for a value and all that is in it.
    fn hidden(&mut self, at: usize) -> Option<usize> {
        let any = self.document.mark(at).mask == Some(super::rules::MaskAs::Equal);
        if self.stand == Stand::Mask || any {
            self.string(MASK.as_bytes());
        } else {
            let digests = self.document.digests(self.rules, &mut *self.grant).ok()?;
            self.string(format!("{MASK}{:016x}", digests.exact(at)).as_bytes());
        }
        Some(self.document.tape.behind(at))
    }
}

#[cfg(test)]
mod tests {
    use super::super::rules::{MaskAs, Select, What};
    use super::super::tests::differences::rules;
    use super::*;

    fn of(body: &str, stand: Stand) -> Option<String> {
        let rules = rules(&[What::Mask(Select::Key("pin".into()), MaskAs::Hash)]);
        let kept = kept(body.as_bytes(), &rules, stand, &mut |_| true)?;
        Some(String::from_utf8(kept).unwrap())
    }

    #[test]
    fn what_is_kept_is_the_document_without_what_is_masked_or_secret() {
        let body = r#" {"a" : [1.50, "x\n\u00e9", null, true, false, {}, []], "email":"a@b.c",
            "password":{"x":[1]}, "list":[{"name":"Ann"}], "é\"":1e400} "#;
        let expected = r#"{"a":[1.50,"x\n\u00e9",null,true,false,{},[]],"email":"***","password":"***","list":[{"name":"***"}],"é\"":1e400}"#;
        assert_eq!(of(body, Stand::Mask).as_deref(), Some(expected));
        assert_eq!(of("[]", Stand::Mask).as_deref(), Some("[]"));
        assert_eq!(
            of("{\"a\":{\"b\":[[[{}]]]}}", Stand::Mask).as_deref(),
            Some("{\"a\":{\"b\":[[[{}]]]}}")
        );
        assert_eq!(of("no JSON", Stand::Mask), None);
    }

    #[test]
    fn a_string_in_which_something_stands_behind_the_name_of_a_secret_is_hidden() {
        for text in
            [r#"{\"password\":\"hunter2\"}"#, "/login?token=hunter2", "Bearer hunter2hunter2"]
        {
            let kept = of(&format!("{{\"a\":\"{text}\",\"b\":\"x: y\"}}"), Stand::Hash).unwrap();
            assert!(!kept.contains("hunter2") && kept.contains("\"b\":\"x: y\""), "{kept}");
        }
    }

    #[test]
    fn hashes_are_equal_where_the_values_are() {
        let [one, same, other] = ["1234", "1234", "1235"].map(|pin| {
            of(&format!("{{\"pin\":\"{pin}\",\"token\":\"{pin}\"}}"), Stand::Hash).unwrap()
        });
        assert_eq!(one, same);
        assert_ne!(one, other);
        assert!(!one.contains("123\"") && !one.contains("1234\""), "{one}");
        let any = |name: &str| of(&format!("{{\"email\":\"{name}\"}}"), Stand::Hash);
        assert_eq!(any("a"), any("b"));
    }

    #[test]
    fn nothing_is_kept_where_memory_is_not_granted() {
        assert_eq!(kept(b"[1]", &Rules::default(), Stand::Mask, &mut |_| false), None);
    }
}
