//! Two documents walked in step, without a tape: how most pairs are judged, since their objects
//! have the same keys in the same order.
//!
//! Where bytes are equal only ours are read. Bytes are looked at on both sides where they differ,
//! which is at most once each: a value that is left out, another spelling, or a difference.
//!
//! A difference is final although the rest is not read. Up to it both sides have the same keys,
//! so that it is in the n-th value of a key on either side, and those two are compared in
//! whatever order other keys follow; and where the rest is no JSON, different bytes are different
//! bodies. Only keys themselves may differ and yet be equal in the end, by order or by being left
//! out: that is left to [`super::walk`].

use super::lex;
use super::normalize::{Keys, Treatment};
use super::number;
use super::text::Text;

/// Whether two documents are equal under these rules; `None` when that takes a closer look. They
/// must not have the same bytes: those are equal without being JSON. What is too long for a tape
/// is no JSON, and is left to it.
pub(super) fn equal(ours: &[u8], theirs: &[u8], rules: &Keys) -> Option<bool> {
    u32::try_from(ours.len().max(theirs.len())).ok()?;
    let mut step = Step { ours, theirs, rules, at: 0, shift: 0, same: 0, open: Open::default() };
    step.meet(0, 0);
    match step.document() {
        // Theirs is UTF-8 if ours is: it has the same bytes but for tokens seen on both sides.
        Ok(()) => Some(lex::is_utf8(ours)),
        Err(End::Different) => Some(false),
        Err(End::NotKnown) => None,
    }
}

/// Why a walk ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The documents are different, or one is no JSON.
    Different,
    /// Keys differ, or it is too deep to say.
    NotKnown,
}

/// Where a walk is: between any two of its steps both sides are at the same token. The steps are
/// made one loop (`inline(always)`), since calls and returns would be a sixth of the whole work.
struct Step<'a> {
    ours: &'a [u8],
    theirs: &'a [u8],
    rules: &'a Keys,
    /// In ours.
    at: usize,
    /// How far theirs is ahead; it wraps when ours is.
    shift: usize,
    /// The first byte of ours, from `at` on, that is not theirs.
    same: usize,
    open: Open,
}

/// The containers that are not closed, a bit each behind one that is always there: whether it is
/// an object.
#[derive(Clone, Copy, Debug)]
struct Open(u64);

impl Default for Open {
    fn default() -> Self {
        Self(1)
    }
}

impl Open {
    fn push(&mut self, object: bool) -> Result<(), End> {
        if self.0.leading_zeros() == 0 {
            return Err(End::NotKnown);
        }
        self.0 = self.0 << 1 | u64::from(object);
        Ok(())
    }

    fn is_empty(self) -> bool {
        self.0 == 1
    }

    fn in_object(self) -> bool {
        !self.is_empty() && self.0 & 1 == 1
    }

    fn pop(&mut self) {
        self.0 >>= 1;
    }
}

impl Step<'_> {
    fn document(&mut self) -> Result<(), End> {
        self.whole_value()?;
        self.space();
        let their_end = self.at.wrapping_add(self.shift);
        if self.at == self.ours.len() && their_end == self.theirs.len() {
            Ok(())
        } else {
            Err(End::Different)
        }
    }

    fn whole_value(&mut self) -> Result<(), End> {
        let mut due = self.value()?;
        while due || !self.open.is_empty() {
            due = if due { self.value()? } else { self.behind()? };
        }
        Ok(())
    }

    /// Takes a scalar, an empty container, or what opens another; then a value is due.
    #[inline(always)]
    fn value(&mut self) -> Result<bool, End> {
        self.space();
        match self.peek()? {
            b'"' => self.string()?,
            b'{' => return self.container(true, b'}'),
            b'[' => return self.container(false, b']'),
            b'-' | b'0'..=b'9' => self.number()?,
            b't' => self.literal(b"true")?,
            b'f' => self.literal(b"false")?,
            b'n' => self.literal(b"null")?,
            // Words for what is no number.
            b'N' | b'I' => return Err(End::NotKnown),
            _ => return Err(End::Different),
        }
        Ok(false)
    }

    #[inline(always)]
    fn container(&mut self, object: bool, close: u8) -> Result<bool, End> {
        self.take(End::Different)?;
        self.open.push(object)?;
        self.space();
        if self.peek()? == close {
            self.close()?;
            return Ok(false);
        }
        if object { self.key() } else { Ok(true) }
    }

    /// Behind a value in a container; true when another one is due.
    #[inline(always)]
    fn behind(&mut self) -> Result<bool, End> {
        self.space();
        match (self.peek()?, self.open.in_object()) {
            (b',', false) => {
                self.take(End::Different)?;
                return Ok(true);
            }
            (b',', true) => {
                self.take(End::NotKnown)?;
                self.space();
                return self.key();
            }
            (b']', false) | (b'}', true) => self.close()?,
            _ => return Err(End::Different),
        }
        Ok(false)
    }

    /// Where theirs goes on and ours does not, only members may be left out.
    #[inline(always)]
    fn close(&mut self) -> Result<(), End> {
        let object = self.open.in_object();
        self.take(if object { End::NotKnown } else { End::Different })?;
        self.open.pop();
        Ok(())
    }

    /// Takes a key, and its value where that is not compared; true when it is due.
    #[inline(always)]
    fn key(&mut self) -> Result<bool, End> {
        let from = self.at;
        if self.peek()? != b'"' {
            return Err(End::Different);
        }
        let quoted = lex::string(self.ours, from).ok_or(End::Different)?;
        if quoted.end > self.same {
            return Err(End::NotKnown);
        }
        let key = Text::new(&self.ours[from + 1..quoted.end - 1], quoted.escaped);
        self.at = quoted.end;
        self.space();
        if self.peek()? != b':' {
            return Err(End::Different);
        }
        self.take(End::Different)?;
        match self.rules.treatment(&key) {
            // What is compared by its hash is equal where it is the same.
            Treatment::Compared | Treatment::Hashed(..) => return Ok(true),
            Treatment::Ignored | Treatment::Masked(_) => self.pass_over()?,
        }
        Ok(false)
    }

    /// Leaves out a value, different or not, that must still be one.
    #[inline(never)]
    fn pass_over(&mut self) -> Result<(), End> {
        self.space();
        let our_end = value_end(self.ours, self.at)?;
        if our_end < self.same {
            self.at = our_end;
        } else {
            let start = self.at.wrapping_add(self.shift);
            let their_end = value_end(self.theirs, start)?;
            self.read_apart(start, their_end)?;
            self.meet(our_end, their_end);
        }
        Ok(())
    }

    #[inline(always)]
    fn string(&mut self) -> Result<(), End> {
        let ours = lex::string(self.ours, self.at).ok_or(End::Different)?;
        if ours.end <= self.same {
            self.at = ours.end;
            return Ok(());
        }
        let start = self.at.wrapping_add(self.shift);
        if self.theirs.get(start) != Some(&b'"') {
            return Err(End::Different);
        }
        let theirs = lex::string(self.theirs, start).ok_or(End::Different)?;
        let one = Text::new(&self.ours[self.at + 1..ours.end - 1], ours.escaped);
        let other = Text::new(&self.theirs[start + 1..theirs.end - 1], theirs.escaped);
        if !one.equals(&other) {
            return Err(End::Different);
        }
        self.read_apart(start, theirs.end)?;
        self.meet(ours.end, theirs.end);
        Ok(())
    }

    /// Checks a part of theirs that ours does not stand for. White space, numbers and literals
    /// are ASCII.
    fn read_apart(&self, from: usize, to: usize) -> Result<(), End> {
        if lex::is_utf8(&self.theirs[from..to]) { Ok(()) } else { Err(End::Different) }
    }

    /// A number has no end of its own: the byte behind it must be the same too.
    #[inline(always)]
    fn number(&mut self) -> Result<(), End> {
        let Some(our_end) = lex::number(self.ours, self.at) else { return Err(End::NotKnown) };
        if our_end < self.same {
            self.at = our_end;
            return Ok(());
        }
        let start = self.at.wrapping_add(self.shift);
        let their_end = lex::number(self.theirs, start).ok_or(End::Different)?;
        if !number::equal(&self.ours[self.at..our_end], &self.theirs[start..their_end]) {
            return Err(End::Different);
        }
        self.meet(our_end, their_end);
        Ok(())
    }

    #[inline(always)]
    fn literal(&mut self, word: &[u8]) -> Result<(), End> {
        let end = lex::literal(self.ours, self.at, word).ok_or(End::Different)?;
        if end > self.same {
            return Err(End::Different);
        }
        self.at = end;
        Ok(())
    }

    /// White space on both sides, as much as there is on each.
    #[inline]
    fn space(&mut self) {
        if self.at < self.same && self.ours.get(self.at).is_some_and(|byte| *byte > b' ') {
            return;
        }
        self.white_space();
    }

    #[inline(never)]
    fn white_space(&mut self) {
        let our_end = lex::space(self.ours, self.at);
        if our_end < self.same {
            self.at = our_end;
        } else {
            let their_end = lex::space(self.theirs, self.at.wrapping_add(self.shift));
            self.meet(our_end, their_end);
        }
    }

    /// Goes on from here. Equal bytes are never counted twice: `ours` is not before the difference
    /// that was known of.
    fn meet(&mut self, ours: usize, theirs: usize) {
        self.at = ours;
        self.shift = theirs.wrapping_sub(ours);
        self.same = ours + common_prefix(&self.ours[ours..], &self.theirs[theirs..]);
    }

    #[inline]
    fn peek(&self) -> Result<u8, End> {
        self.ours.get(self.at).copied().ok_or(End::Different)
    }

    /// Goes one byte on if it is the same on both sides.
    #[inline]
    fn take(&mut self, otherwise: End) -> Result<(), End> {
        if self.at >= self.same {
            return Err(otherwise);
        }
        self.at += 1;
        Ok(())
    }
}

/// Where a value ends that starts at `at`, found by walking it in step with itself. Nothing in it
/// is left out, so that this does not lead here again.
fn value_end(text: &[u8], at: usize) -> Result<usize, End> {
    let open = Open::default();
    let rules = &Keys::NONE;
    let mut step = Step { ours: text, theirs: text, rules, at, shift: 0, same: usize::MAX, open };
    step.whole_value()?;
    Ok(step.at)
}

fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    const BLOCK: usize = 32;
    let (a_blocks, b_blocks) = (a.as_chunks::<BLOCK>().0, b.as_chunks::<BLOCK>().0);
    let equal = |bytes: &(&[u8; BLOCK], &[u8; BLOCK])| bytes.0 == bytes.1;
    let from = BLOCK * a_blocks.iter().zip(b_blocks).take_while(equal).count();
    let rest = a[from..].iter().zip(&b[from..]).take_while(|(a, b)| a == b).count();
    from + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn judged(ours: &str, theirs: &str, expected: Option<bool>) {
        let rules = Keys::default();
        let (ours, theirs) = (ours.as_bytes(), theirs.as_bytes());
        assert_eq!(equal(ours, theirs, &rules), expected);
        assert_eq!(equal(theirs, ours, &rules), expected);
    }

    #[test]
    fn values_that_are_left_out_may_be_anything_that_is_json() {
        let with = |value: &str| format!(r#"[{{"a":1,"traceId":{value},"b":[2]}}]"#);
        for value in
            ["2", "12", "-1e5", "null", "\"x\"", r#""\u00e9\"""#, "[]", " [ {\"a\" : [3]} ] "]
        {
            judged(&with("1"), &with(value), Some(true));
        }
        for value in
            ["", "01", "nul", "\"\n\"", r#""\x""#, "[1,]", "{\"a\"}", "[}", "1 2", "\"", "2]"]
        {
            let (ours, theirs) = (with("1"), with(value));
            let rules = Keys::default();
            assert_ne!(equal(ours.as_bytes(), theirs.as_bytes(), &rules), Some(true), "{value}");
            assert_ne!(equal(theirs.as_bytes(), ours.as_bytes(), &rules), Some(true), "{value}");
        }
        judged(r#"{"EMAIL":1,"b":2}"#, r#"{"EMAIL":{"b":[3]},"b":2}"#, Some(true));
        judged(r#"{"times\u0074amp":1}"#, r#"{"times\u0074amp":2}"#, Some(true));
        judged(r#"{"timestamps":1}"#, r#"{"timestamps":2}"#, Some(false));
    }

    #[test]
    fn other_spellings_are_no_difference() {
        judged(
            r#"{"a":[1,"x",{}],"b":[]}"#,
            " {\n\"a\" : [ 1.0, \"\\u0078\" , { } ],\t\"b\":[ ]}\r",
            Some(true),
        );
        judged(r#"["a\/\n"]"#, r#"["a/\u000A"]"#, Some(true));
        judged("[100,-0]", "[1e2,0.0]", Some(true));
        judged("1", "1.0 ", Some(true));
    }

    #[test]
    fn a_difference_outside_of_keys_is_final() {
        for (ours, theirs) in [
            ("[1,2]", "[1,3]"),
            ("[1,2]", "[1]"),
            ("[1]", "[]"),
            ("[[]]", "[{}]"),
            ("[true]", "[false]"),
            ("[null]", "[0]"),
            (r#"["a"]"#, r#"["b"]"#),
            (r#"["a"]"#, r#"["ab"]"#),
            (r#"{"a":1,"a":2,"b":0}"#, r#"{"a":1,"a":3,"c":0}"#),
            (r#"{"a":{"b":1}}"#, r#"{"a":{"b":2}}"#),
            ("[1]", "[1] 2"),
            ("[1", "[1]"),
            ("", "1"),
        ] {
            judged(ours, theirs, Some(false));
        }
    }

    #[test]
    fn different_keys_take_a_closer_look() {
        for (ours, theirs) in [
            (r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#),
            (r#"{"a":1,"traceId":2}"#, r#"{"a":1}"#),
            (r#"{"traceId":2}"#, "{}"),
            (r#"{"traceId":2}"#, r#"{"TRACEID":2}"#),
            (r#"{"a":1}"#, r#"{"\u0061":1}"#),
        ] {
            judged(ours, theirs, None);
        }
    }

    #[test]
    fn what_is_deep_takes_a_closer_look() {
        let nested = |levels, inner| format!("{}{inner}{}", "[".repeat(levels), "]".repeat(levels));
        judged(&nested(63, "1"), &nested(63, "1.0"), Some(true));
        judged(&nested(64, "1"), &nested(64, "1.0"), None);
        let ignored = |levels| format!(r#"{{"traceId":{}}}"#, nested(levels, "1"));
        judged(&ignored(1), &ignored(63), Some(true));
        judged(&ignored(1), &ignored(64), None);
    }

    #[test]
    fn bytes_that_are_no_utf8_make_a_document_no_json_wherever_they_are() {
        let rules = Keys::default();
        let bodies = |bad: &[u8], same: &[u8], id: &[u8]| {
            [&b"{\"a\":\""[..], same, b"\",\"traceId\":\"", bad, id, b"\"}"].concat()
        };
        let good = bodies("é".as_bytes(), "é".as_bytes(), b"1");
        let other = bodies(b"", "é".as_bytes(), b"2");
        assert_eq!(equal(&good, &other, &rules), Some(true));
        let bad_id = bodies(b"\xc3", "é".as_bytes(), b"2");
        assert_eq!(equal(&good, &bad_id, &rules), Some(false));
        assert_eq!(equal(&bad_id, &good, &rules), Some(false));
        let (one, two) = (bodies(b"", b"\x80", b"1"), bodies(b"", b"\x80", b"2"));
        assert_eq!(equal(&one, &two, &rules), Some(false));
    }

    #[test]
    fn the_common_prefix_ends_at_the_first_difference() {
        for length in 0..100 {
            let text = vec![b'x'; length];
            assert_eq!(common_prefix(&text, &text), length);
            for at in 0..length {
                let mut other = text.clone();
                other[at] = b'y';
                assert_eq!(common_prefix(&text, &other), at);
                assert_eq!(common_prefix(&text, &text[..at]), at);
            }
        }
    }
}
