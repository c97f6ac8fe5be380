//! Whether two JSON numbers have the same exact decimal value. Nothing is rounded, no exponent is
//! too long, and nothing is copied: a number may be as long as a body.

use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

/// Above every distance by which a decimal point can be shifted within one body.
const FAR: i64 = 1 << 40;

/// Whether two numbers of JSON's grammar (RFC 8259 section 6) are equal.
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    if a == b {
        return true;
    }
    let (a, b) = (Decimal::of(a), Decimal::of(b));
    if a.digits.is_empty() || b.digits.is_empty() {
        return a.digits.is_empty() && b.digits.is_empty();
    }
    a.negative == b.negative
        && only_digits(a.digits).eq(only_digits(b.digits))
        && difference(&a.exponent, &b.exponent) == Some(b.point - a.point)
}

/// A hash of a number's value: equal numbers have the same, and so have exponents that are both far.
pub(super) fn digest(text: &[u8], seed: u64) -> u64 {
    let decimal = Decimal::of(text);
    if decimal.digits.is_empty() {
        return xxh3_64_with_seed(b"0", seed);
    }
    let magnitude = decimal.exponent.near().map(|exponent| exponent + decimal.point);
    let magnitude = magnitude.filter(|sum| sum.abs() <= FAR).unwrap_or(FAR + 1);
    let sign = if decimal.negative { [b'-'] } else { [b'+'] };
    let seed = xxh3_64_with_seed(&magnitude.to_le_bytes(), seed ^ u64::from(sign[0]));
    if !decimal.digits.contains(&b'.') {
        return xxh3_64_with_seed(decimal.digits, seed);
    }
    let mut hasher = Xxh3::with_seed(seed);
    decimal.digits.split(|byte| *byte == b'.').for_each(|part| hasher.update(part));
    hasher.digest()
}

/// The value is `±0.digits × 10^(point + exponent)`.
#[derive(Debug)]
pub(super) struct Decimal<'a> {
    pub(super) negative: bool,
    /// From the first digit that is not 0 to the last such one, perhaps with the decimal point
    /// among them; empty for zero.
    pub(super) digits: &'a [u8],
    pub(super) point: i64,
    pub(super) exponent: Exponent<'a>,
}

impl<'a> Decimal<'a> {
    pub(super) fn of(text: &'a [u8]) -> Self {
        let (negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            _ => (false, text),
        };
        let split = text.iter().position(|byte| matches!(byte, b'e' | b'E'));
        let (mantissa, exponent) = text.split_at(split.unwrap_or(text.len()));
        let significant = |byte: &u8| matches!(byte, b'1'..=b'9');
        let first = mantissa.iter().position(significant).unwrap_or(mantissa.len());
        let end = mantissa.iter().rposition(significant).map_or(first, |last| last + 1);
        let whole = mantissa.iter().position(|byte| *byte == b'.').unwrap_or(mantissa.len());
        let point = if first < whole { offset(whole - first) } else { 1 - offset(first - whole) };
        Self {
            negative,
            digits: &mantissa[first..end],
            point,
            exponent: Exponent::of(exponent.get(1..).unwrap_or_default()),
        }
    }
}

fn offset(distance: usize) -> i64 {
    i64::try_from(distance).unwrap_or(FAR)
}

fn only_digits(text: &[u8]) -> impl Iterator<Item = &u8> {
    text.iter().filter(|byte| **byte != b'.')
}

/// An integer of any length.
#[derive(Debug)]
pub(super) struct Exponent<'a> {
    sign: i64,
    digits: &'a [u8],
}

impl<'a> Exponent<'a> {
    fn of(text: &'a [u8]) -> Self {
        let (sign, digits) = match text {
            [b'-', rest @ ..] => (-1, rest),
            [b'+', rest @ ..] => (1, rest),
            _ => (1, text),
        };
        Self { sign, digits }
    }

    /// Its value, unless that is far.
    fn near(&self) -> Option<i64> {
        self.value(15).and_then(|value| i64::try_from(value).ok())
    }

    /// Its value, unless it has more digits than that, which must be below 38.
    pub(super) fn value(&self, most: usize) -> Option<i128> {
        let zeros = self.digits.iter().take_while(|digit| **digit == b'0').count();
        let digits = &self.digits[zeros..];
        let add = |sum: i128, digit: &u8| sum * 10 + i128::from(digit - b'0');
        (digits.len() <= most).then(|| i128::from(self.sign) * digits.iter().fold(0, add))
    }

    /// The signed digit at a place, 0 being that of the ones.
    fn digit(&self, place: usize) -> i64 {
        let index = self.digits.len().checked_sub(place + 1);
        index.map_or(0, |index| self.sign * i64::from(self.digits[index] - b'0'))
    }
}

/// `a - b`, unless that is far. Taken from the highest place down: once the difference of the
/// leading places is not 0, no lower places bring it nearer to 0 again.
fn difference(a: &Exponent<'_>, b: &Exponent<'_>) -> Option<i64> {
    let mut sum = 0;
    for place in (0..a.digits.len().max(b.digits.len())).rev() {
        sum = sum * 10 + a.digit(place) - b.digit(place);
        if sum.abs() > FAR {
            return None;
        }
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::{digest, equal as equal_values};

    /// Equal values have equal digests, whatever else has.
    fn equal(a: &[u8], b: &[u8]) -> bool {
        let equal = equal_values(a, b);
        assert!(!equal || digest(a, 7) == digest(b, 7));
        equal
    }

    #[test]
    fn equal_values_in_different_spellings_are_equal() {
        for (a, b) in [
            ("1", "1.0"),
            ("1", "1e0"),
            ("1", "1E+00"),
            ("1", "10e-1"),
            ("1", "0.01e2"),
            ("0", "-0"),
            ("0", "0.00"),
            ("0", "0e99999999999999999999999999"),
            ("0e5", "-0.0e-99999999999999999999999999"),
            ("100", "1E+2"),
            ("0.001", "1e-3"),
            ("120.50", "1.205e2"),
            ("-0.5", "-5e-1"),
            ("10e999999999999999999999", "1e1000000000000000000000"),
            ("0.1e1000000000000000000000", "1e999999999999999999999"),
            ("10e-1000000000000000000000", "1e-999999999999999999999"),
            ("10e-1", "1e000000000000000000000000"),
            ("1e0000000000000000000000005", "100000"),
        ] {
            assert!(equal(a.as_bytes(), b.as_bytes()), "{a} {b}");
            assert!(equal(b.as_bytes(), a.as_bytes()), "{b} {a}");
        }
    }

    #[test]
    fn nothing_is_rounded() {
        for (a, b) in [
            ("1", "-1"),
            ("1", "2"),
            ("1", "10"),
            ("1", "0"),
            ("101", "11"),
            ("1.01", "1.1"),
            ("0.1", "0.10000000000000001"),
            ("9007199254740992", "9007199254740993"),
            ("1e400", "1e401"),
            ("1e-400", "0"),
            ("1e999999999999999999999", "1e999999999999999999998"),
            ("1e1000000000000000000000", "1e999999999999999999999"),
            ("1e999999999999999999999", "1e-999999999999999999999"),
            ("1e18446744073709551616", "1e0"),
            ("1e20000000000000000000000", "1"),
            ("1e-10000000000000000000000", "1"),
            ("0", "1e-999999999999999999999"),
        ] {
            assert!(!equal(a.as_bytes(), b.as_bytes()), "{a} {b}");
            assert!(!equal(b.as_bytes(), a.as_bytes()), "{b} {a}");
        }
    }

    #[test]
    fn different_values_have_different_digests_unless_they_are_far() {
        for (a, b) in [("1", "-1"), ("1", "10"), ("1.5", "1.25"), ("0", "1"), ("1e-400", "1e400")] {
            assert_ne!(digest(a.as_bytes(), 7), digest(b.as_bytes(), 7), "{a} {b}");
        }
        assert_ne!(digest(b"1", 7), digest(b"1", 8));
    }
}
