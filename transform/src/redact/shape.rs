//! Pseudonyms that pass for values: of the same length, with letters for letters and digits for digits, and
//! with check digits that are right.
//!
//! Short values have few shapes: two values may have the same, and a shape may be another one's value. Domains
//! of mail addresses are made up, and may be somebody's.

use super::chars;
use super::detect::{self, Kind, Kinds, card, iban};
use super::key::{Key, Stream};
use super::way::MASK;

/// So often another shape is tried, of which almost every one fits.
const ATTEMPTS: u8 = 64;
/// What has a form to be kept.
const FORMS: [Kind; 5] = [Kind::Card, Kind::Iban, Kind::Email, Kind::Ip, Kind::Phone];

impl Key {
    /// A value of the same shape, and never the same; [`MASK`] where there is no other of that shape. What in it is a
    /// card number, an IBAN, an address or a telephone number is one afterwards.
    pub fn shape(&self, value: &str) -> String {
        let forms = FORMS.into_iter().collect();
        let mut hits = detect::hits(value.as_bytes(), forms).peekable();
        if hits.peek().is_none() {
            return self.other(value, |stream| Some(chars::shaped(stream, value)));
        }
        // Each is what it would be alone.
        let (mut shaped, mut at) = (String::with_capacity(value.len()), 0);
        for hit in hits {
            shaped.push_str(&self.between(&value[at..hit.range.start]));
            shaped.push_str(&self.form(hit.kind, &value[hit.range.clone()]));
            at = hit.range.end;
        }
        shaped.push_str(&self.between(&value[at..]));
        shaped
    }

    /// A JSON number of the same shape: its sign, its point and its exponent stay.
    pub fn shape_number(&self, number: &str) -> String {
        if card::is_number(number.as_bytes()) && number.bytes().all(|byte| byte.is_ascii_digit()) {
            return self.form(Kind::Card, number);
        }
        let exponent = number.find(['e', 'E']).unwrap_or(number.len());
        let (digits, exponent) = number.split_at(exponent);
        // A run of digits begins with 0 only if it did before.
        self.other(number, |stream| Some(chars::shaped(stream, digits) + exponent))
    }

    fn between(&self, part: &str) -> String {
        match part.chars().any(char::is_alphanumeric) {
            true => self.other(part, |stream| Some(chars::shaped(stream, part))),
            false => part.to_owned(),
        }
    }

    fn form(&self, kind: Kind, value: &str) -> String {
        self.other(value, |stream| {
            let shaped = match kind {
                Kind::Card => card_number(stream, value),
                Kind::Iban => account(stream, value),
                Kind::Email => mail(stream, value),
                Kind::Ip => address(stream, value),
                _ => chars::shaped(stream, value),
            };
            let mut hits = detect::hits(shaped.as_bytes(), Kinds::NONE.with(kind));
            let is_whole = hits.next().is_some_and(|hit| hit.range == (0..shaped.len()));
            is_whole.then_some(shaped)
        })
    }

    /// The first of the shapes that is another value.
    fn other(&self, value: &str, shape: impl Fn(&mut Stream<'_>) -> Option<String>) -> String {
        let shapes = (0..ATTEMPTS).filter_map(|attempt| shape(&mut self.stream(value, attempt)));
        let mut others = shapes.filter(|shape| shape != value);
        others.next().unwrap_or_else(|| MASK.to_owned())
    }
}

/// A card of the same scheme.
fn card_number(stream: &mut Stream<'_>, value: &str) -> String {
    // Of some schemes four digits tell them.
    let told = if value.starts_with(['2', '9']) { 4 } else { 2 };
    let count = value.bytes().filter(u8::is_ascii_digit).count();
    let mut digits: Vec<u8> = Vec::with_capacity(count);
    let replaced = value.chars().map(|c| {
        let Some(digit) = c.to_digit(10) else { return c };
        let digit = match digits.len() {
            seen if seen < told => digit,
            seen if seen + 1 == count => card::check_digit(&digits).into(),
            _ => stream.below(10),
        };
        digits.push(u8::try_from(digit).expect("it is a digit"));
        char::from_digit(digit, 10).expect("it is a digit")
    });
    replaced.collect()
}

/// An account of the same country.
fn account(stream: &mut Stream<'_>, value: &str) -> String {
    let (country, rest) = value.split_at(2);
    let mut shaped = format!("{country}{}", chars::shaped(stream, rest)).into_bytes();
    let check = iban::check_digits(&shaped);
    shaped[2..4].copy_from_slice(&check);
    String::from_utf8(shaped).expect("digits stand in the place of digits")
}

/// An address under the same top domain.
fn mail(stream: &mut Stream<'_>, value: &str) -> String {
    let sign = if value.contains('@') { "@" } else { "%40" };
    let (local, domain) = value.rsplit_once(sign).unwrap_or((value, ""));
    let (hosts, top) = domain.rsplit_once('.').unwrap_or((domain, ""));
    let (local, hosts) = (chars::shaped(stream, local), chars::shaped(stream, hosts));
    format!("{local}{sign}{hosts}.{top}")
}

/// An address of the same version. Four numbers may be the end of the other one.
fn address(stream: &mut Stream<'_>, value: &str) -> String {
    let numbers =
        if value.contains('.') { value.rfind(':').map_or(0, |at| at + 1) } else { value.len() };
    let (groups, numbers) = value.split_at(numbers);
    let mut shaped = chars::hexadecimal(stream, groups);
    for (index, octet) in numbers.split('.').filter(|_| !numbers.is_empty()).enumerate() {
        let (low, bound) = match octet.len() {
            1 => (0, 10),
            2 => (10, 100),
            _ => (100, 256),
        };
        let point = if index > 0 { "." } else { "" };
        shaped.push_str(&format!("{point}{}", low + stream.below(bound - low)));
    }
    shaped
}

#[cfg(test)]
mod tests;
