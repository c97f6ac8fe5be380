//! Values that may differ a little: numbers and times within a tolerance, and values that need only
//! be of the same class.

use super::json::{Kind, Tape};
use super::number::Decimal;
use super::rules::{Class, Classes, Lenience};

/// Longest text or number that is looked at; none of the forms below is longer.
const LENGTH_MAX: usize = 4096;

/// Whether two values of one kind are let off by one of the rules in this set.
pub(super) fn equal(
    rules: &[Lenience],
    lenient: u64,
    (ours, a): (&Tape<'_>, usize),
    (theirs, b): (&Tape<'_>, usize),
) -> bool {
    let kind = ours.kind(a);
    if kind != theirs.kind(b) || ours.raw(a).len().max(theirs.raw(b).len()) > LENGTH_MAX {
        return false;
    }
    let chosen = rules.iter().enumerate().filter(|(index, _)| lenient >> index & 1 == 1);
    match kind {
        Kind::Number => {
            let (a, b) = (ours.raw(a), theirs.raw(b));
            chosen.into_iter().any(|(_, rule)| numbers(rule, a, b))
        }
        Kind::String => {
            let (a, b) = (ours.text(a).unescaped(), theirs.text(b).unescaped());
            chosen.into_iter().any(|(_, rule)| texts(rule, &a, &b))
        }
        _ => false,
    }
}

/// The classes that two values of one kind are both of.
pub(super) fn classes((ours, a): (&Tape<'_>, usize), (theirs, b): (&Tape<'_>, usize)) -> Classes {
    let kind = ours.kind(a);
    if kind != theirs.kind(b) || ours.raw(a).len().max(theirs.raw(b).len()) > LENGTH_MAX {
        return Classes::default();
    }
    match kind {
        Kind::Number => Classes::holding_where(|class| {
            numbers(&Lenience::Class(class), ours.raw(a), theirs.raw(b))
        }),
        Kind::String => {
            let (a, b) = (ours.text(a).unescaped(), theirs.text(b).unescaped());
            Classes::holding_where(|class| texts(&Lenience::Class(class), &a, &b))
        }
        _ => Classes::default(),
    }
}

/// Whether two texts are one moment.
pub(super) fn one_time(ours: &[u8], theirs: &[u8]) -> bool {
    time(ours).zip(time(theirs)).is_some_and(|(a, b)| a == b)
}

/// Whether two numbers are one moment, in seconds and in milliseconds.
pub(super) fn one_moment((ours, a): (&Tape<'_>, usize), (theirs, b): (&Tape<'_>, usize)) -> bool {
    let both = epoch(ours.raw(a)).zip(epoch(theirs.raw(b)));
    both.is_some_and(|((a, unit), (b, other))| a == b && unit != other)
}

/// Whether a text is the moment that a number is.
pub(super) fn is_moment(text: &[u8], (tape, node): (&Tape<'_>, usize)) -> bool {
    time(text).zip(epoch(tape.raw(node))).is_some_and(|(a, (b, _))| a == b)
}

fn numbers(rule: &Lenience, a: &[u8], b: &[u8]) -> bool {
    match rule {
        Lenience::Number(tolerance) => tolerance.covers(a, b),
        Lenience::Time(within) => {
            let times = epoch(a).zip(epoch(b));
            times.is_some_and(|((a, unit), (b, other))| unit == other && a.abs_diff(b) <= *within)
        }
        Lenience::Class(Class::Timestamp) => {
            epoch(a).zip(epoch(b)).is_some_and(|((_, unit), (_, other))| unit == other)
        }
        Lenience::Class(Class::Number) => true,
        Lenience::Class(_) => false,
    }
}

fn texts(rule: &Lenience, a: &[u8], b: &[u8]) -> bool {
    let both = |is: fn(&[u8]) -> bool| is(a) && is(b);
    match rule {
        Lenience::Number(_) => false,
        Lenience::Time(within) => {
            time(a).zip(time(b)).is_some_and(|(a, b)| a.abs_diff(b) <= *within)
        }
        Lenience::Class(Class::Uuid) => both(is_uuid),
        Lenience::Class(Class::Token) => both(is_token),
        Lenience::Class(Class::Timestamp) => both(|text| time(text).is_some()),
        Lenience::Class(Class::Hex) => {
            both(|text| text.len() >= 8 && text.iter().all(u8::is_ascii_hexdigit))
        }
        Lenience::Class(Class::Jwt) => both(is_jwt),
        Lenience::Class(Class::Ulid) => both(is_ulid),
        Lenience::Class(Class::Text) => true,
        Lenience::Class(Class::Number) => false,
    }
}

/// The number as a double, where it is one: good enough for an order.
fn number(text: &[u8]) -> Option<f64> {
    let number = std::str::from_utf8(text).ok()?.parse::<f64>().ok()?;
    number.is_finite().then_some(number)
}

/// What a number counts since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Seconds,
    Millis,
}

/// A number that is a time between 1973 and 5138, in nanoseconds since 1970, and its unit: the
/// ranges of both do not meet.
fn epoch(text: &[u8]) -> Option<(i128, Unit)> {
    let decimal = Decimal::of(text);
    // Digits before the decimal point.
    let whole = i128::from(decimal.point) + decimal.exponent.value(15)?;
    let (unit, places) = match whole {
        9..=11 => (Unit::Seconds, whole + 9),
        12..=14 => (Unit::Millis, whole + 6),
        _ => return None,
    };
    if decimal.negative || decimal.digits.is_empty() {
        return None;
    }
    let digits =
        decimal.digits.iter().filter(|byte| **byte != b'.').chain(std::iter::repeat(&b'0'));
    let digits = digits.take(usize::try_from(places).ok()?);
    Some((digits.fold(0, |sum, digit| sum * 10 + i128::from(digit - b'0')), unit))
}

/// A time as services write it: RFC 3339, or a date of HTTP headers in one of its three forms (RFC 9110
/// section 5.6.7).
fn time(text: &[u8]) -> Option<i128> {
    rfc3339(text).or_else(|| fixdate(text)).or_else(|| rfc850(text)).or_else(|| asctime(text))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn fixdate(text: &[u8]) -> Option<i128> {
    let rest = text.get(3..)?.strip_prefix(b", ")?;
    let [d1, d2, b' ', m @ .., b' ', b'G', b'M', b'T'] = rest else { return None };
    let [month @ .., b' ', y1, y2, y3, y4, b' ', _, _, _, _, _, _, _, _] = m else { return None };
    in_utc(&[*y1, *y2, *y3, *y4], month, &[*d1, *d2], &m[m.len() - 8..])
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`. There is no clock here to tell the century by: 70 and up are in
/// the last one (POSIX `strptime`, `%y`, as near as it makes a difference).
fn rfc850(text: &[u8]) -> Option<i128> {
    let comma = text.iter().position(|byte| *byte == b',')?;
    let (day, rest) = (&text[..comma], text[comma..].strip_prefix(b", ")?);
    WEEKDAYS.iter().find(|name| name.as_bytes() == day)?;
    let [d1, d2, b'-', m1, m2, m3, b'-', y1, y2, b' ', rest @ ..] = rest else { return None };
    let [of_day @ .., b' ', b'G', b'M', b'T'] = rest else { return None };
    let century = if *y1 >= b'7' { b"19" } else { b"20" };
    in_utc(&[century[0], century[1], *y1, *y2], &[*m1, *m2, *m3], &[*d1, *d2], of_day)
}

/// `Sun Nov  6 08:49:37 1994`, as C writes it.
fn asctime(text: &[u8]) -> Option<i128> {
    let [w1, w2, w3, b' ', m1, m2, m3, b' ', d1, d2, b' ', rest @ ..] = text else { return None };
    WEEKDAYS.iter().find(|name| name.as_bytes().starts_with(&[*w1, *w2, *w3]))?;
    let (of_day, year) = rest.split_at_checked(8)?;
    let d1 = if *d1 == b' ' { b'0' } else { *d1 };
    in_utc(year.strip_prefix(b" ")?, &[*m1, *m2, *m3], &[d1, *d2], of_day)
}

const WEEKDAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// The time of a year of four digits, the short name of a month, a day, and `hh:mm:ss`.
fn in_utc(year: &[u8], month: &[u8], day: &[u8], of_day: &[u8]) -> Option<i128> {
    const MONTHS: &[u8] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let month = 1 + MONTHS.chunks(3).position(|name| name == month)?;
    let date = [year, format!("-{month:02}-").as_bytes(), day].concat();
    (of_day.len() == 8).then(|| rfc3339(&[&date[..], b"T", of_day, b"Z"].concat()))?
}

/// A time of RFC 3339 section 5.6, also with `+0000` or `+00`, and in UTC where it has no zone, in nanoseconds
/// since 1970.
fn rfc3339(text: &[u8]) -> Option<i128> {
    let (date, rest) = text.split_at_checked(10)?;
    let (year, month, day) = match date {
        [year @ .., b'-', m1, m2, b'-', d1, d2] => {
            (digits(year)?, digits(&[*m1, *m2])?, digits(&[*d1, *d2])?)
        }
        _ => return None,
    };
    let (b'T' | b't' | b' ', rest) = rest.split_first()? else { return None };
    let (time, rest) = rest.split_at_checked(8)?;
    let (hour, minute, second) = of_day(time)?;
    let length = if rest.first() == Some(&b'.') {
        1 + rest[1..].iter().take_while(|byte| byte.is_ascii_digit()).count()
    } else {
        0
    };
    let (fraction, zone) = rest.split_at(length);
    let offset = offset_minutes(zone)?;
    let in_range = (1..=12).contains(&month) && (1..=month_days(year, month)).contains(&day);
    if !in_range || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + (minute - offset) * 60 + second;
    Some(i128::from(seconds) * 1_000_000_000 + i128::from(nanos(fraction)?))
}

/// `hh:mm:ss`
fn of_day(time: &[u8]) -> Option<(i64, i64, i64)> {
    let [h1, h2, b':', m1, m2, b':', s1, s2] = time else { return None };
    Some((digits(&[*h1, *h2])?, digits(&[*m1, *m2])?, digits(&[*s1, *s2])?))
}

/// `Z`, `±hh:mm`, `±hhmm` or `±hh`; UTC without any.
fn offset_minutes(zone: &[u8]) -> Option<i64> {
    match zone {
        b"" | b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] | [sign @ (b'+' | b'-'), h1, h2, m1, m2] => {
            let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
            let offset = hours * 60 + minutes;
            (hours < 24 && minutes < 60).then_some(if *sign == b'-' { -offset } else { offset })
        }
        [sign @ (b'+' | b'-'), h1, h2] => offset_minutes(&[*sign, *h1, *h2, b'0', b'0']),
        _ => None,
    }
}

/// `.` and at least one digit, of which nine count; or nothing.
fn nanos(fraction: &[u8]) -> Option<i64> {
    match fraction {
        [] => Some(0),
        [b'.'] => None,
        [_, digits @ ..] => {
            let padded = digits.iter().chain(std::iter::repeat(&b'0')).take(9);
            Some(padded.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')))
        }
    }
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |sum, digit| {
        digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0'))
    })
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970 in the proleptic Gregorian calendar, with years that begin in March so that a
/// leap day is a year's last (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

pub(super) fn is_uuid(text: &[u8]) -> bool {
    text.len() == 36
        && text.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn is_jwt(text: &[u8]) -> bool {
    let is = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
    let mut parts = text.split(|byte| *byte == b'.');
    let count = parts.clone().count();
    count == 3 && text.starts_with(b"ey") && parts.all(|part| part.iter().all(is))
}

pub(super) fn is_ulid(text: &[u8]) -> bool {
    let is = |byte: &u8| byte.is_ascii_alphanumeric() && !b"ILOUilou".contains(byte);
    text.len() == 26 && text[0].is_ascii_digit() && text[0] < b'8' && text.iter().all(is)
}

fn is_token(text: &[u8]) -> bool {
    let is = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
    text.len() >= 16
        && text.iter().all(is)
        && text.iter().any(u8::is_ascii_digit)
        && text.iter().any(u8::is_ascii_alphabetic)
}

/// By what values in any order are sorted to be paired within a tolerance: nearest to nearest.
pub(super) fn sort_key(tape: &Tape<'_>, node: usize) -> Option<f64> {
    if tape.raw(node).len() > LENGTH_MAX {
        return None;
    }
    match tape.kind(node) {
        Kind::Number => number(tape.raw(node)),
        // Times of one form are far below what a double holds exactly, to the microsecond.
        #[expect(clippy::cast_precision_loss, reason = "only an order")]
        Kind::String => time(&tape.text(node).unescaped()).map(|nanos| nanos as f64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::json::parse;
    use super::super::rules::Tolerance;
    use super::*;

    #[track_caller]
    fn judged(rule: Lenience, a: &str, b: &str, expected: bool) {
        let tape = |text: &'static str| parse(text.as_bytes(), &mut |_| true).unwrap().unwrap();
        let (a, b) = (tape(a.to_owned().leak()), tape(b.to_owned().leak()));
        let rules = [rule];
        assert_eq!(equal(&rules, 1, (&a, 0), (&b, 0)), expected);
        assert_eq!(equal(&rules, 1, (&b, 0), (&a, 0)), expected, "the other way round");
        assert!(!equal(&rules, 0, (&a, 0), (&b, 0)), "not selected");
    }

    #[test]
    fn numbers_may_be_apart_by_their_tolerance_and_no_more() {
        let by = |absolute, relative| Lenience::Number(Tolerance { absolute, relative });
        judged(by(0.1, 0.0), "1.0", "1.1", true);
        judged(by(0.1, 0.0), "1.0", "1.11", false);
        judged(by(0.0, 0.01), "100", "101", true);
        judged(by(0.0, 0.01), "-100", "-102", false);
        judged(by(0.0, 0.01), "0", "0.0001", false);
        judged(by(0.5, 0.01), "100", "101", true);
        judged(by(1.0, 0.0), "1e400", "1e401", false);
        // 128 apart, which doubles hold to be the same.
        judged(by(1.0, 0.0), "1000000000000000000", "1000000000000000064", false);
        judged(by(1.0, 0.0), "\"1\"", "\"1.5\"", false);
        judged(by(1.0, 0.0), "1", "\"1\"", false);
    }

    #[test]
    fn tolerances_are_exact_decimals() {
        let by = |absolute, relative| Lenience::Number(Tolerance { absolute, relative });
        judged(by(1.0, 0.0), "1000000000000000", "1000000000000001.5", false);
        judged(by(1.5, 0.0), "1000000000000000", "1000000000000001.5", true);
        judged(by(1000.0, 0.0), "1700000000123456789", "1700000000123457789", true);
        judged(by(1000.0, 0.0), "1700000000123456789", "1700000000123457790", false);
        judged(by(0.0, 0.01), "1e400", "1.01e400", true);
        judged(by(0.0, 0.01), "1e400", "1.02e400", false);
        judged(by(0.1, 0.0), "0.2", "0.3", true);
        judged(by(0.1, 0.0), "0.2", "0.30000000000000000001", false);
        judged(by(0.1, 0.0), "1e-999999999999999999999", "0", true);
        judged(by(0.1, 0.0), "-0.05", "5e-2", true);
        judged(by(0.1, 0.5), "1e99999999999999999999", "-1e99999999999999999999", false);
        judged(by(0.0, 0.5), "-1", "0", false);
    }

    #[test]
    fn times_may_be_apart_in_any_zone_and_in_seconds_or_milliseconds() {
        let within = |millis| Lenience::Time(Duration::from_millis(millis).as_nanos());
        let noon = "\"2024-02-29T12:00:00Z\"";
        judged(within(0), noon, "\"2024-02-29t13:30:00.000+01:30\"", true);
        judged(within(0), noon, "\"Thu, 29 Feb 2024 12:00:00 GMT\"", true);
        judged(within(0), noon, "\"2024-02-29T13:00:00+0100\"", true);
        judged(within(0), noon, "\"2024-02-29 12:00:00\"", true);
        judged(within(0), noon, "\"2024-02-29T13:00:00+01\"", true);
        judged(within(0), noon, "\"2024-02-29 04:00:00.0-08\"", true);
        judged(within(0), noon, "\"Thursday, 29-Feb-24 12:00:00 GMT\"", true);
        judged(within(0), noon, "\"Thu Feb 29 12:00:00 2024\"", true);
        let nineties = "\"1994-11-06T08:49:37Z\"";
        judged(within(0), nineties, "\"Sunday, 06-Nov-94 08:49:37 GMT\"", true);
        judged(within(0), nineties, "\"Sun Nov  6 08:49:37 1994\"", true);
        judged(within(0), "\"2069-01-01T00:00:00Z\"", "\"Tuesday, 01-Jan-69 00:00:00 GMT\"", true);
        judged(within(0), "\"1970-01-01T00:00:00Z\"", "\"Thursday, 01-Jan-70 00:00:00 GMT\"", true);
        judged(within(999), noon, "\"Thu, 29 Feb 2024 12:00:01 GMT\"", false);
        judged(within(500), noon, "\"2024-02-29 12:00:00.5Z\"", true);
        judged(within(499), noon, "\"2024-02-29T12:00:00.5Z\"", false);
        judged(within(1000), "\"2023-12-31T23:59:59.5Z\"", "\"2024-01-01T00:00:00Z\"", true);
        judged(within(86_400_000), "\"2024-02-28T12:00:00Z\"", noon, true);
        judged(within(86_400_000), "\"2023-02-28T12:00:00Z\"", "\"2023-03-01T12:00:00Z\"", true);
        judged(within(1000), "1700000000", "1700000001", true);
        judged(within(999), "1700000000", "1700000001", false);
        judged(within(5), "1700000000123", "1700000000128", true);
        judged(within(4), "1700000000123", "1700000000128", false);
        judged(within(u64::MAX), "1700000000", "1700000000000", false);
        judged(within(u64::MAX), "17", "18", false);
        for bad in [
            "2024-02-30T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2024-04-31T00:00:00Z",
            "2024-00-01T00:00:00Z",
            "2024-01-00T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-01-01",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00+010",
            "Sun, 31 Feb 2024 00:00:00 GMT",
            "Sun, 01 Foo 2024 00:00:00 GMT",
            "Sun, 01 Jan 2024 00:00:00 CET",
            "Sun, ",
            "2024-01-01T00:00:00+1",
            "2024-01-01T00:00:00+24",
            "Someday, 01-Jan-24 00:00:00 GMT",
            "Monday, 31-Feb-24 00:00:00 GMT",
            "Monday, 01-Jan-2024 00:00:00 GMT",
            "Mon, 01-Jan-24 00:00:00 GMT",
            "Mon Jan 1 00:00:00 2024",
            "Mon Jan 31 00:00:00 24",
            "Mon Feb 30 00:00:00 2024",
            "Mon Jan  0 00:00:00 2024",
            "Foo Jan  1 00:00:00 2024",
        ] {
            judged(within(u64::MAX), noon, &format!("\"{bad}\""), false);
        }
        assert_eq!(rfc3339(b"2000-03-01T00:00:00Z"), Some(951_868_800_000_000_000));
        assert_eq!(rfc3339(b"1969-12-31T23:59:59.75Z"), Some(-250_000_000));
    }

    #[test]
    fn classes_are_told_by_their_form() {
        let class = Lenience::Class;
        let uuid = "\"123e4567-e89b-12d3-a456-426614174000\"";
        judged(class(Class::Uuid), uuid, "\"00000000-0000-0000-0000-000000000000\"", true);
        judged(class(Class::Uuid), uuid, "\"123e4567-e89b-12d3-a456-42661417400g\"", false);
        judged(class(Class::Token), "\"abcdefghijklmno1\"", "\"ZYXWVUTSRQPONM-2.x\"", true);
        judged(class(Class::Token), "\"abcdefghijklmno1\"", "\"a plain old text 1\"", false);
        judged(class(Class::Token), "\"abcdefghijklmno1\"", "\"short1\"", false);
        judged(class(Class::Hex), "\"deadbeef\"", "\"0123456789AB\"", true);
        judged(class(Class::Hex), "\"deadbeef\"", "\"deadbeeg\"", false);
        judged(class(Class::Jwt), "\"eyJh.eyJi.c-_\"", "\"eyJi.eyJj.\"", true);
        judged(class(Class::Jwt), "\"eyJh.eyJi.c-_\"", "\"eyJh.eyJi\"", false);
        let ulid = "\"01ARZ3NDEKTSV4RRFFQ69G5FAV\"";
        judged(class(Class::Ulid), ulid, "\"01BX5ZZKBKACTAV9WEVGEMMVRZ\"", true);
        judged(class(Class::Ulid), ulid, "\"81BX5ZZKBKACTAV9WEVGEMMVRZ\"", false);
        judged(class(Class::Text), "\"\"", "\"x\"", true);
        judged(class(Class::Text), "\"1\"", "1", false);
        judged(class(Class::Number), "1e999", "-2", true);
        judged(class(Class::Number), "1", "null", false);
        judged(
            class(Class::Timestamp),
            "\"2024-01-01T00:00:00Z\"",
            "\"1999-01-01T00:00:00Z\"",
            true,
        );
        judged(class(Class::Timestamp), "1700000000", "1800000000.5", true);
        judged(class(Class::Timestamp), "1700000000", "1", false);
        judged(class(Class::Timestamp), "1700000000", "\"2024-01-01T00:00:00Z\"", false);
    }
}
