//! Numbers as people read them.

/// A count, with commas between thousands.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// So many of something, whose name takes an `s` where they are more.
pub(super) fn counted(number: u64, name: &str) -> String {
    format!("{} {name}{}", count(number), if number == 1 { "" } else { "s" })
}

/// A share, to two digits behind the point where there are some.
pub(super) fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    if percent != 0.0 && percent.abs() < 0.005 {
        return "less than 0.01 %".to_owned();
    }
    let digits = format!("{percent:.2}");
    format!("{} %", digits.trim_end_matches('0').trim_end_matches('.'))
}

/// A latency; `None` is above all that came.
pub(super) fn millis(seconds: Option<f64>) -> String {
    seconds.map_or("none".to_owned(), |seconds| format!("{:.1} ms", 1000.0 * seconds))
}

/// How long something takes; `None` where that is nothing to speak of.
pub(super) fn duration(seconds: f64) -> Option<String> {
    Some(match seconds {
        time if time < 1.0 => return None,
        time if time < 120.0 => format!("{time:.0} seconds"),
        time if time < 7200.0 => format!("{:.0} minutes", time / 60.0),
        time => format!("{:.0} hours", time / 3600.0),
    })
}

#[cfg(test)]
mod tests {
    use super::{count, counted, percent};

    #[test]
    fn thousands_have_commas_and_shares_no_idle_zeros() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([1, 2].map(|it| counted(it, "pair")), ["1 pair", "2 pairs"]);
        let shares = [0.0, 0.01, 0.0025, 0.5, 1.0, 0.000_01, 0.123_456];
        let shown = ["0 %", "1 %", "0.25 %", "50 %", "100 %", "less than 0.01 %", "12.35 %"];
        assert_eq!(shares.map(percent), shown);
    }
}
