//! Numbers, times and texts of traffic as the page shows them.

use std::time::{Duration, SystemTime};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use judge::report::text::plain;

/// Stands for what is not there.
pub(super) const NONE: &str = "–";

/// A text that comes from outside: nothing in it acts on what is around it. Markup is up to the templates, which
/// escape it.
pub(super) fn text(from_outside: &str) -> String {
    plain(from_outside)
}

/// The same, no longer than so many characters: for places that are no more than a name.
pub(super) fn short(from_outside: &str, most: usize) -> String {
    match from_outside.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", plain(&from_outside[..end])),
        None => plain(from_outside),
    }
}

/// A value in a query.
pub(super) fn encoded(value: &str) -> String {
    utf8_percent_encode(value, NON_ALPHANUMERIC).to_string()
}

/// A share, with as many digits as say something.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let size = percent.abs();
    if size == 0.0 {
        "0 %".to_owned()
    } else if size < 0.01 {
        format!("{}<0.01 %", if percent < 0.0 { "−" } else { "" })
    } else {
        let digits = if size < 1.0 { 2 } else { usize::from(size < 10.0) };
        format!("{percent:.digits$} %").replace('-', "−")
    }
}

/// Seconds as milliseconds, or as seconds where they are many; `None` is above all that came.
pub(super) fn latency(seconds: Option<f64>) -> String {
    match seconds {
        None => "∞".to_owned(),
        Some(seconds) if seconds >= 10.0 => format!("{seconds:.0} s"),
        Some(seconds) if seconds >= 1.0 => format!("{seconds:.2} s"),
        Some(seconds) if seconds >= 0.1 => format!("{:.0} ms", seconds * 1e3),
        Some(seconds) if seconds >= 0.01 => format!("{:.1} ms", seconds * 1e3),
        Some(seconds) => format!("{:.2} ms", seconds * 1e3),
    }
}

/// A count, its thousands apart.
pub(super) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut told = String::with_capacity(digits.len() * 2);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            told.push('\u{202f}');
        }
        told.push(digit);
    }
    told
}

/// How long something lasts, in whole seconds.
pub(super) fn lasting(duration: Duration) -> String {
    // A second that has begun is one to wait for.
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}

/// A moment, to the second.
pub(super) fn moment(at: SystemTime) -> String {
    spoken(&humantime::format_rfc3339_seconds(at).to_string())
}

/// A moment that is written as RFC 3339 in UTC, to the second.
pub(super) fn spoken(rfc3339: &str) -> String {
    let seconds = rfc3339.split(['.', 'Z']).next().unwrap_or_default();
    format!("{} UTC", plain(seconds).replacen('T', " ", 1))
}

/// The same of several lines, which stay lines.
pub(super) fn lines(from_outside: &str) -> String {
    from_outside.lines().map(text).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_as_many_digits_as_say_something() {
        let shares = [0.0, 0.000_01, -0.000_01, 0.001_234, 0.0123, 0.5, 1.0, -0.02];
        let told = ["0 %", "<0.01 %", "−<0.01 %", "0.12 %", "1.2 %", "50 %", "100 %", "−2.0 %"];
        assert_eq!(shares.map(percent), told);
        let latencies =
            [Some(0.000_123), Some(0.0123), Some(0.1234), Some(1.234), Some(61.0), None];
        let told = ["0.12 ms", "12.3 ms", "123 ms", "1.23 s", "61 s", "∞"];
        assert_eq!(latencies.map(latency), told);
        let counts = [0, 999, 1000, 1_234_567];
        assert_eq!(counts.map(count), ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567"]);
    }

    #[test]
    fn texts_of_traffic_act_on_nothing() {
        assert_eq!(text("a\u{1b}[31m\u{202e}b"), "a\\u{1b}[31m\\u{202e}b");
        assert_eq!(short("äöü", 2), "äö…");
        assert_eq!(short("äöü", 3), "äöü");
        assert_eq!(encoded("GET /a?b&c"), "GET%20%2Fa%3Fb%26c");
    }

    #[test]
    fn times_are_whole_seconds() {
        assert_eq!(spoken("2026-11-25T01:02:03.456Z"), "2026-11-25 01:02:03 UTC");
        assert_eq!(lasting(Duration::from_millis(9_001)), "10s");
    }
}
