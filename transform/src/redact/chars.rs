//! A text of the same classes of characters as another, as far as services look at them.

use super::key::Stream;

/// So many hexadecimal digits are a number or an id, rather than a word.
const HEXADECIMAL_MIN: usize = 8;

/// Digits for digits, letters for letters of the same case, and of as many bytes. All else stays, and so do the
/// forms of dates and UUIDs.
pub(super) fn shaped(stream: &mut Stream<'_>, text: &str) -> String {
    if let Some(shaped) = date(stream, text) {
        return shaped;
    }
    if !is_hexadecimal(text) {
        return replaced(stream, text, 26);
    }
    let mut shaped = hexadecimal(stream, text).into_bytes();
    // Its version and variant are looked at (RFC 9562).
    if is_uuid(text.as_bytes()) {
        for at in [14, 19] {
            shaped[at] = text.as_bytes()[at];
        }
    }
    String::from_utf8(shaped).expect("each digit stands in the place of one")
}

/// The same with letters that are hexadecimal digits.
pub(super) fn hexadecimal(stream: &mut Stream<'_>, text: &str) -> String {
    replaced(stream, text, 6)
}

fn replaced(stream: &mut Stream<'_>, text: &str, letters: u32) -> String {
    let mut in_digits = false;
    let replaced = text.chars().map(|c| {
        let begins = !std::mem::replace(&mut in_digits, c.is_ascii_digit());
        match c {
            // Numbers that begin with 0 are none, or others.
            '1'..='9' if begins => from('1', stream.below(9)),
            '0'..='9' => from('0', stream.below(10)),
            'a'..='z' => from('a', stream.below(letters)),
            'A'..='Z' => from('A', stream.below(letters)),
            c if c.is_ascii() || !c.is_alphanumeric() => c,
            c => letter(stream, c),
        }
    });
    replaced.collect()
}

/// The character that stands so far behind this one.
fn from(first: char, by: u32) -> char {
    char::from_u32(u32::from(first) + by).expect("each block of letters has no gap")
}

/// A letter of the same case and length beyond ASCII, if of another script.
fn letter(stream: &mut Stream<'_>, c: char) -> char {
    let (is_lower, is_upper) = (c.is_lowercase(), c.is_uppercase());
    match (c.len_utf8(), is_lower, is_upper) {
        (2, true, _) => from('à', stream.below(23)),
        (2, _, true) => from('À', stream.below(23)),
        (2, ..) => from('א', stream.below(27)),
        // Upper and lower case in turn.
        (3, true, _) => from('ḁ', 2 * stream.below(74)),
        (3, _, true) => from('Ḁ', 2 * stream.below(74)),
        (3, ..) => from('一', stream.below(20_992)),
        _ => from('𠀀', stream.below(42_720)),
    }
}

fn is_hexadecimal(text: &str) -> bool {
    let digits = || text.bytes().filter(u8::is_ascii_hexdigit);
    text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte.is_ascii_punctuation())
        && digits().count() >= HEXADECIMAL_MIN
        && digits().any(|byte| byte.is_ascii_digit())
}

fn is_uuid(text: &[u8]) -> bool {
    text.len() == 36 && [8, 13, 18, 23].into_iter().all(|at| text[at] == b'-')
}

/// A date, perhaps with a time (RFC 3339), that is one afterwards.
fn date(stream: &mut Stream<'_>, text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let looks = |from: usize, form: &str| {
        bytes.get(from..from + form.len()).is_some_and(|part| {
            part.iter().zip(form.bytes()).all(|(byte, form)| match form {
                b'0' => byte.is_ascii_digit(),
                b'T' => matches!(byte, b'T' | b't' | b' '),
                form => *byte == form,
            })
        })
    };
    let goes_on = bytes.get(10).is_some_and(u8::is_ascii_digit);
    if !looks(0, "0000-00-00") || !matches!(&bytes[..2], b"19" | b"20") || goes_on {
        return None;
    }
    let mut two = |low: u32, bound: u32| format!("{:02}", low + stream.below(bound - low));
    let mut shaped = format!("{}{}-{}-{}", two(19, 21), two(0, 100), two(1, 13), two(1, 29));
    let mut at = 10;
    if looks(10, "T00:00") {
        shaped.push_str(&format!("{}{}:{}", &text[10..11], two(0, 24), two(0, 60)));
        at = 16;
        if looks(16, ":00") {
            shaped.push_str(&format!(":{}", two(0, 60)));
            at = 19;
        }
    }
    // What is said of the zone stays.
    let zone = text[at..].find(['Z', 'z', '+', '-']).map_or(text.len(), |zone| at + zone);
    shaped.push_str(&replaced(stream, &text[at..zone], 26));
    if looks(zone, "+00:00") || looks(zone, "-00:00") || zone + 1 >= text.len() {
        shaped.push_str(&text[zone..]);
    } else {
        shaped.push_str(&replaced(stream, &text[zone..], 26));
    }
    Some(shaped)
}
