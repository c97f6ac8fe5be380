//! Points in time as HAR has them: ISO 8601 with a zone, `2026-05-04T10:20:30.456+02:00`.

use std::time::{Duration, UNIX_EPOCH};

use crate::exchange::Moment;

/// A moment as text.
pub(crate) type Shown = humantime::Rfc3339Timestamp;

/// The moment, to the millisecond, in UTC.
pub(crate) fn shown(at: Moment) -> Shown {
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_nanos(at.0))
}

/// `None` for what is no such time, or one before 1970 or after 2554.
pub(super) fn parse(text: &str) -> Option<Moment> {
    let (utc, east_minutes) = split_zone(text)?;
    let since = humantime::parse_rfc3339(&utc).ok()?.duration_since(UNIX_EPOCH).ok()?;
    let local = i128::try_from(since.as_nanos()).ok()?;
    u64::try_from(local - i128::from(east_minutes) * 60_000_000_000).ok().map(Moment)
}

/// The time with `Z` in the zone's place, and how many minutes the zone is east of UTC.
fn split_zone(text: &str) -> Option<(String, i32)> {
    if text.ends_with('Z') {
        return Some((text.to_owned(), 0));
    }
    // A date has `-` too: the sign of a zone stands behind the time.
    let at = text.rfind(['+', '-']).filter(|at| *at > "2026-05-04T".len())?;
    let (local, zone) = text.split_at(at);
    let (sign, digits) = zone.split_at(1);
    let digits = digits.replace(':', "");
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (i32, i32) = (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
    let east = hours * 60 + minutes;
    Some((format!("{local}Z"), if sign == "-" { -east } else { east }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_taken_off() {
        let utc = parse("2026-05-04T08:20:30.456Z");
        assert_eq!(utc, Some(Moment(1_777_882_830_456_000_000)));
        assert_eq!(parse("2026-05-04T10:20:30.456+02:00"), utc);
        assert_eq!(parse("2026-05-04T10:20:30.456+0200"), utc);
        assert_eq!(parse("2026-05-04T03:50:30.456-04:30"), utc);
        assert_eq!(
            utc.map(|at| shown(at).to_string()).as_deref(),
            Some("2026-05-04T08:20:30.456Z")
        );
    }

    #[test]
    fn what_is_no_time_is_none() {
        for wrong in [
            "",
            "Z",
            "2026-05-04",
            "2026-05-04T10:20:30",
            "1960-01-01T00:00:00Z",
            "2026-05-04T10:20:30+2",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
