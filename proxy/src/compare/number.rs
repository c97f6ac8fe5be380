//! Whether two JSON numbers have the same exact decimal value. Nothing is rounded, and no
//! exponent is too long.

/// Whether two numbers of JSON's grammar (RFC 8259 section 6) are equal.
pub(super) fn equal(a: &[u8], b: &[u8]) -> bool {
    a == b || Decimal::of(a) == Decimal::of(b)
}

/// The value is `±0.digits × 10^point`; digits neither start nor end with a zero.
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    point: Integer,
}

impl Decimal {
    fn of(text: &[u8]) -> Self {
        let (negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            _ => (false, text),
        };
        let split = text.iter().position(|byte| matches!(byte, b'e' | b'E'));
        let (mantissa, exponent) = text.split_at(split.unwrap_or(text.len()));
        let whole = mantissa.iter().position(|byte| *byte == b'.').unwrap_or(mantissa.len());
        let digits: Vec<u8> = mantissa.iter().copied().filter(u8::is_ascii_digit).collect();
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        let end = digits.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
        if zeros >= end {
            return Self { negative: false, digits: Vec::new(), point: Integer::of(b"0", 0) };
        }
        let shift =
            i64::try_from(whole).unwrap_or(i64::MAX) - i64::try_from(zeros).unwrap_or(i64::MAX);
        let point = Integer::of(exponent.get(1..).unwrap_or(b"0"), shift);
        Self { negative, digits: digits[zeros..end].to_vec(), point }
    }
}

/// An integer of any length: sign and decimal digits without leading zeros.
#[derive(Debug, PartialEq, Eq)]
struct Integer {
    negative: bool,
    digits: Vec<u8>,
}

impl Integer {
    /// The sum of an integer in text and a small one.
    fn of(text: &[u8], plus: i64) -> Self {
        let (negative, digits) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        let digits = &digits[zeros..];
        // Up to 18 digits and an i64 are far within an i128; above, the sum keeps the sign.
        if digits.len() <= 18 {
            let value =
                digits.iter().fold(0_i128, |sum, digit| sum * 10 + i128::from(digit - b'0'));
            let sum = if negative { -value } else { value } + i128::from(plus);
            let digits =
                if sum == 0 { Vec::new() } else { sum.unsigned_abs().to_string().into_bytes() };
            return Self { negative: sum < 0, digits };
        }
        let away_from_zero = negative == (plus < 0);
        Self { negative, digits: stepped(digits, plus.unsigned_abs(), away_from_zero) }
    }
}

/// Adds to, or subtracts from, a magnitude larger than `by`.
fn stepped(digits: &[u8], mut by: u64, up: bool) -> Vec<u8> {
    let mut result = digits.to_vec();
    for digit in result.iter_mut().rev() {
        if by == 0 {
            break;
        }
        let step = u8::try_from(by % 10).unwrap_or(0);
        by /= 10;
        let value = *digit - b'0';
        if up {
            let sum = value + step;
            *digit = b'0' + sum % 10;
            by += u64::from(sum / 10);
        } else if value >= step {
            *digit = b'0' + value - step;
        } else {
            *digit = b'0' + 10 + value - step;
            by += 1;
        }
    }
    if by > 0 {
        let mut longer = by.to_string().into_bytes();
        longer.append(&mut result);
        return longer;
    }
    let zeros = result.iter().take_while(|digit| **digit == b'0').count();
    result.split_off(zeros)
}

#[cfg(test)]
mod tests {
    use super::equal;

    #[test]
    fn equal_values_in_different_spellings_are_equal() {
        for (a, b) in [
            ("1", "1.0"),
            ("1", "1e0"),
            ("1", "10e-1"),
            ("0", "-0"),
            ("0", "0e99999999999999999999999999"),
            ("100", "1E+2"),
            ("0.001", "1e-3"),
            ("120.50", "1.205e2"),
            ("-0.5", "-5e-1"),
            ("10e999999999999999999999", "1e1000000000000000000000"),
            ("0.1e1000000000000000000000", "1e999999999999999999999"),
            ("10e-1000000000000000000000", "1e-999999999999999999999"),
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
            ("0.1", "0.10000000000000001"),
            ("9007199254740992", "9007199254740993"),
            ("1e400", "1e401"),
            ("1e999999999999999999999", "1e999999999999999999998"),
            ("1e999999999999999999999", "1e-999999999999999999999"),
            ("0", "1e-999999999999999999999"),
        ] {
            assert!(!equal(a.as_bytes(), b.as_bytes()), "{a} {b}");
        }
    }
}
