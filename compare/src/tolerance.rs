//! How far numbers may be apart, in exact decimals: doubles do not hold times in nanoseconds, sums of
//! money in cents, or exponents of three digits, and would let off what is further apart.
//!
//! All that is asked is the sign of a sum of decimals. Digits that are far from each other are moved
//! nearer before they are added, so that the work depends on how long the numbers are as texts, and
//! not on their exponents.

use super::number::Decimal;
use super::rules::Tolerance;

/// Digits of an exponent that are understood. What is beyond them is not let off.
const EXPONENT_MAX: usize = 30;

/// `factor × digits × 10^low`, below `10^top` in size.
#[derive(Clone, Copy, Debug)]
struct Term<'t> {
    factor: i64,
    /// Perhaps with the decimal point among them.
    digits: &'t [u8],
    low: i128,
    top: i128,
}

impl<'t> Term<'t> {
    /// A JSON number; `None` where its exponent is out of all bounds.
    fn of(text: &'t [u8]) -> Option<Self> {
        let decimal = Decimal::of(text);
        let top = i128::from(decimal.point) + decimal.exponent.value(EXPONENT_MAX)?;
        let count = figures(decimal.digits).count();
        let low = top - i128::try_from(count).ok()?;
        let factor = if decimal.negative { -1 } else { 1 };
        Some(Self { factor, digits: decimal.digits, low, top })
    }

    fn times(self, factor: i64) -> Self {
        Self { factor: self.factor * factor, ..self }
    }
}

fn figures(digits: &[u8]) -> impl DoubleEndedIterator<Item = i64> {
    digits.iter().filter(|byte| **byte != b'.').map(|digit| i64::from(digit - b'0'))
}

impl Tolerance {
    /// Whether two JSON numbers are near enough.
    pub(super) fn covers(&self, a: &[u8], b: &[u8]) -> bool {
        let Some((a, b)) = Term::of(a).zip(Term::of(b)) else { return false };
        let order = sign(&mut [a, b.times(-1)]);
        let within =
            |bound: Term<'_>| sign(&mut [a.times(order), b.times(-order), bound.times(-1)]) <= 0;
        // Each is what it was written as: the shortest decimal that is this double.
        let (absolute, relative) = (format!("{:e}", self.absolute), format!("{:e}", self.relative));
        Term::of(absolute.as_bytes()).is_some_and(within)
            || [a, b].into_iter().any(|of| share(of, relative.as_bytes()).is_some_and(within))
    }
}

/// A share of a number's size.
fn share<'t>(of: Term<'t>, share: &[u8]) -> Option<Term<'t>> {
    let share = Term::of(share)?;
    // At most 17 digits.
    let factor = figures(share.digits).fold(0, |sum, digit| sum * 10 + digit);
    Some(Term { factor, low: of.low + share.low, top: of.top + share.top, ..of })
}

/// The sign of a sum of at most a few terms.
fn sign(terms: &mut [Term<'_>]) -> i64 {
    terms.sort_unstable_by_key(|term| std::cmp::Reverse((!term.digits.is_empty(), term.top)));
    let used = terms.iter().take_while(|term| !term.digits.is_empty()).count();
    let terms = &mut terms[..used];
    // What comes from this term on is below a hundredth of the last digit of all before it, whose
    // distance therefore does not matter.
    for next in 1..terms.len() {
        let (before, rest) = terms.split_at_mut(next);
        let low = before.iter().map(|term| term.low).min().unwrap_or_default();
        let gap = (low - rest[0].top - 2).max(0);
        for term in before {
            term.low -= gap;
            term.top -= gap;
        }
    }
    let low = terms.iter().map(|term| term.low).min().unwrap_or_default();
    let mut sums: Vec<i64> = Vec::new();
    for term in terms {
        let from = usize::try_from(term.low - low).unwrap_or_default();
        for (place, digit) in figures(term.digits).rev().enumerate() {
            if sums.len() <= from + place {
                sums.resize(from + place + 1, 0);
            }
            sums[from + place] += term.factor * digit;
        }
    }
    let (mut carry, mut rest) = (0_i64, false);
    for sum in sums {
        let sum = sum + carry;
        carry = sum.div_euclid(10);
        rest |= sum.rem_euclid(10) != 0;
    }
    if carry == 0 { i64::from(rest) } else { carry.signum() }
}
