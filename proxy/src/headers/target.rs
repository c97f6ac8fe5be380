//! Request targets with bytes that the library's `Uri` refuses: old clients send `"`, `<`, `>`, a
//! backquote, DEL or Latin-1 as they are, and servers take them. What a client sent is what upstreams
//! get.
//!
//! Three steps. Before hyper reads a request line, each such byte is replaced by one that may be there
//! ([`substitute`]), so that nothing on the connection changes its length, and both are kept; over HTTP/2
//! what was sent is told by a field of the same head ([`told`]). When hyper hands the request over, its
//! target becomes one that names those bytes by a word that only this process knows ([`named`]). Where the
//! request is written to an upstream, the word becomes the byte again ([`restored`]). What people see has
//! them percent-encoded ([`shown`]).

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue};

/// Stands for a byte while hyper reads.
const SUBSTITUTE: u8 = b'~';
/// Letters and digits of the word, and what is behind them: the byte in hexadecimal.
const WORD: usize = 18;
const DIGITS: usize = 2;

static WORD_OF_THIS_PROCESS: LazyLock<String> =
    LazyLock::new(|| format!("~m{:016x}", rand::random::<u64>()));
/// The field that no client knows the name of.
static FIELD: LazyLock<HeaderName> = LazyLock::new(|| {
    let name = HeaderName::from_bytes(WORD_OF_THIS_PROCESS.as_bytes());
    name.expect("a tilde, letters and digits are a name")
});
/// Whether there was any: until then nobody has to look for the word.
static SEEN: AtomicBool = AtomicBool::new(false);

/// Whether any such byte came since the process began.
pub fn was_seen() -> bool {
    SEEN.load(Ordering::Relaxed)
}

/// Whether a byte is replaced. What could split a line or a request is not: hyper refuses it.
fn is_refused(byte: u8) -> bool {
    matches!(byte, b'"' | b'<' | b'>' | b'`' | b'#' | 0x7f..)
}

/// Where the path and the query of a target are, in which bytes are replaced: names of hosts stay strict, and
/// what stood for a `#` right behind one would be part of it. `None` for what is neither a path nor a URL.
pub fn path_in(target: &[u8]) -> Option<Range<usize>> {
    if target.first() == Some(&b'/') {
        return Some(0..target.len());
    }
    let scheme = target.iter().position(|byte| !byte.is_ascii_alphanumeric())?;
    let host = target[scheme..].strip_prefix(b"://")?;
    let end = host.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#'))?;
    let start = target.len() - host.len() + end;
    (host[end] != b'#').then_some(start..target.len())
}

/// A target that comes from elsewhere than a connection, as it is once it was read there.
pub fn as_read(target: &str) -> Cow<'_, str> {
    let Some(path) = path_in(target.as_bytes()) else { return Cow::Borrowed(target) };
    let (before, path) = target.split_at(path.start);
    match substitute(path.as_bytes()) {
        Some(_) => format!("{before}{}", named(path.as_bytes())).into(),
        None => Cow::Borrowed(target),
    }
}

/// The same target with bytes that may be there, of the same length; `None` where all may. Text beyond
/// ASCII may, if it is UTF-8.
pub fn substitute(target: &[u8]) -> Option<Vec<u8>> {
    // Nearly all targets end here.
    if !target.iter().any(|byte| is_refused(*byte)) {
        return None;
    }
    let is_text = std::str::from_utf8(target).is_ok();
    let replaced = |byte: u8| is_refused(byte) && !(is_text && byte > 0x7f);
    let any = target.iter().any(|byte| replaced(*byte));
    any.then(|| target.iter().map(|it| if replaced(*it) { SUBSTITUTE } else { *it }).collect())
}

/// The same target as text, with the word for each byte that may not be there.
pub fn named(target: &[u8]) -> String {
    SEEN.store(true, Ordering::Relaxed);
    let word = |byte: u8| format!("{}{byte:02x}", *WORD_OF_THIS_PROCESS);
    let one = |byte: u8| if is_refused(byte) { word(byte) } else { char::from(byte).to_string() };
    match std::str::from_utf8(target) {
        Ok(text) => text
            .chars()
            .map(|c| u8::try_from(c).ok().filter(u8::is_ascii).map_or_else(|| c.to_string(), one))
            .collect(),
        Err(_) => target.iter().map(|byte| one(*byte)).collect(),
    }
}

/// The name of the field that tells what was sent.
pub fn field() -> &'static str {
    FIELD.as_str()
}

/// Its value: what each byte was that may stand for another in what hyper reads, in hexadecimal.
pub fn told(read: &[u8], sent: &[u8]) -> String {
    SEEN.store(true, Ordering::Relaxed);
    let both = read.iter().zip(sent).filter(|(read, _)| **read == SUBSTITUTE);
    both.map(|(_, byte)| format!("{byte:02x}")).collect()
}

/// Takes that field away, where there is one.
pub fn take_told(headers: &mut HeaderMap) -> Option<HeaderValue> {
    if was_seen() { headers.remove(&*FIELD) } else { None }
}

/// The target that the client sent, where hyper read this one instead.
pub fn sent(read: &str, told: &HeaderValue) -> Option<Vec<u8>> {
    let mut digits = told.as_bytes().chunks(DIGITS);
    // What stands for others may have been sent itself.
    let mut was = || byte_of(digits.next()?, |byte| is_refused(byte) || byte == SUBSTITUTE);
    read.bytes().map(|byte| if byte == SUBSTITUTE { was() } else { Some(byte) }).collect()
}

/// The byte that digits stand for. Whoever should find out the word must not write what no target can have been
/// sent with, such as a line end.
fn byte_of(digits: &[u8], may: impl Fn(u8) -> bool) -> Option<u8> {
    let byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    may(byte).then_some(byte)
}

/// Bytes as they go out, where the word is among them.
pub fn restored(bytes: &[u8]) -> Option<Vec<u8>> {
    replaced(bytes, |byte, into| into.push(byte))
}

/// A target as people and HTTP/2 see it, which has no such bytes: percent-encoded.
pub fn shown(target: &str) -> Cow<'_, str> {
    let encoded = |byte: u8, into: &mut Vec<u8>| into.extend(format!("%{byte:02X}").bytes());
    let shown = replaced(target.as_bytes(), encoded);
    shown.map_or(Cow::Borrowed(target), |it| String::from_utf8_lossy(&it).into_owned().into())
}

/// What is in front of a `#` that was sent as it is, which no target may have: what is behind it would be a
/// fragment (RFC 3986, section 3.5), and there are servers that drop it. `None` without one.
pub fn before_fragment(target: &str) -> Option<&str> {
    if !was_seen() {
        return None;
    }
    let sign = format!("{}{:02x}", *WORD_OF_THIS_PROCESS, b'#');
    target.find(&sign).map(|at| &target[..at])
}

/// Text with what no target may have percent-encoded (RFC 3986, section 2.1): as clients send it that
/// keep to the rules.
pub fn encoded(text: &str) -> Cow<'_, str> {
    let may_not = |byte: u8| byte <= b' ' || is_refused(byte);
    if !text.bytes().any(may_not) {
        return Cow::Borrowed(text);
    }
    let one = |byte: u8| {
        if may_not(byte) { format!("%{byte:02X}") } else { char::from(byte).to_string() }
    };
    Cow::Owned(text.bytes().map(one).collect())
}

fn replaced(bytes: &[u8], put: impl Fn(u8, &mut Vec<u8>)) -> Option<Vec<u8>> {
    if !was_seen() {
        return None;
    }
    let word = WORD_OF_THIS_PROCESS.as_bytes();
    let mut found = None;
    let mut rest = bytes;
    while let Some(at) = rest.windows(WORD).position(|window| window == word) {
        let into: &mut Vec<u8> = found.get_or_insert_default();
        into.extend_from_slice(&rest[..at]);
        let behind = &rest[at + WORD..];
        if let Some(byte) = behind.get(..DIGITS).and_then(|it| byte_of(it, is_refused)) {
            put(byte, into);
        }
        rest = behind.get(DIGITS..).unwrap_or_default();
    }
    let mut found = found?;
    found.extend_from_slice(rest);
    Some(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn what_may_be_in_a_target_stays_as_it_is() {
        for target in ["/", "/a?b=c", "/caf\u{e9}", "/a%22b", "/{a}|^", "*"] {
            assert_eq!(substitute(target.as_bytes()), None, "{target}");
        }
        assert_eq!(substitute(b"/a\"b<c>`#\x7f").as_deref(), Some(&b"/a~b~c~~~~"[..]));
        assert_eq!(substitute(b"/caf\xe9").as_deref(), Some(&b"/caf~"[..]));
        assert_eq!(substitute("/\u{e9}\"".as_bytes()).as_deref(), Some("/\u{e9}~".as_bytes()));
        assert_eq!(shown(&named(b"/a\"b?caf\xe9#x")), "/a%22b?caf%E9%23x");
        assert_eq!(before_fragment(&named(b"/a#b?c")), Some("/a"));
        assert_eq!(before_fragment(&named(b"/a%23b\"")), None);
        assert_eq!(encoded("/caf\u{e9} {x}#%22"), "/caf%C3%A9%20{x}%23%22");
        assert_eq!(encoded("/a%2Fb"), "/a%2Fb");
    }

    #[test]
    fn who_knows_the_word_writes_no_line_end_with_it() {
        let word = WORD_OF_THIS_PROCESS.as_str();
        SEEN.store(true, Ordering::Relaxed);
        let target = format!("/a{word}20HTTP/1.1{word}0d{word}0aX:{word}00{word}22");
        assert_eq!(restored(target.as_bytes()).as_deref(), Some(&b"/aHTTP/1.1X:\""[..]));
        assert_eq!(shown(&target), "/aHTTP/1.1X:%22");
        assert_eq!(sent("/~~", &HeaderValue::from_static("0d0a")), None);
    }

    proptest! {
        #[test]
        fn every_target_comes_back_byte_for_byte(target in proptest::collection::vec(any::<u8>(), 0..40)) {
            let named = named(&target);
            let back = restored(named.as_bytes()).unwrap_or_else(|| named.clone().into_bytes());
            if target.iter().all(|byte| *byte >= b'!') {
                prop_assert_eq!(&back, &target);
                prop_assert!(!named.bytes().any(|byte| is_refused(byte) && byte < 0x80));
            }
            if let Some(substituted) = substitute(&target) {
                prop_assert_eq!(substituted.len(), target.len());
                let value = told(&substituted, &target);
                let mut headers = HeaderMap::new();
                headers.insert(FIELD.clone(), value.parse().unwrap());
                let read = std::str::from_utf8(&substituted).unwrap();
                let told = take_told(&mut headers).unwrap();
                prop_assert_eq!(sent(read, &told), Some(target));
                prop_assert!(headers.is_empty());
            }
        }
    }
}
