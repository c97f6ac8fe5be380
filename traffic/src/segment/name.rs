//! Names of segments: `20260504T082030Z-proxy-1-000007.jsonl.zst`. Their order is that of time.

use std::time::{Duration, UNIX_EPOCH};

use crate::exchange::Moment;

const SUFFIX: &str = ".jsonl.zst";
const PART: &str = ".part";
const TIME: usize = "20260504T082030Z".len();
const NUMBER: usize = 6;

pub(super) fn segment(at: Moment, replica: &str, number: u64) -> String {
    let time = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_nanos(at.0));
    let time = time.to_string().replace(['-', ':'], "");
    format!("{time}-{replica}-{number:0NUMBER$}{SUFFIX}")
}

/// As it is called while it is being written.
pub(super) fn part(name: &str) -> String {
    format!("{name}{PART}")
}

pub(crate) fn without_part(name: &str) -> &str {
    name.strip_suffix(PART).unwrap_or(name)
}

/// Who wrote the segment of this name; `None` if it is none.
pub(super) fn replica(name: &str) -> Option<&str> {
    let stem = name.strip_suffix(SUFFIX)?;
    let (time, rest) = stem.split_at_checked(TIME)?;
    let is_time = time.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'T' | b'Z'));
    let (replica, number) = rest.strip_prefix('-')?.rsplit_once('-')?;
    let is_number = number.len() >= NUMBER && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_time && is_number && is_replica(replica)).then_some(replica)
}

pub(super) fn is_replica(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_when_who_and_how_many() {
        let name = segment(Moment(1_777_882_830_456_000_000), "proxy-1", 7);
        assert_eq!(name, "20260504T082030Z-proxy-1-000007.jsonl.zst");
        assert_eq!(replica(&name), Some("proxy-1"));
        assert_eq!(without_part(&part(&name)), name);
        for other in
            ["a.jsonl.zst", "20260504T082030Z-a.jsonl.zst", "20260504T082030Z-a-000001.har", ""]
        {
            assert_eq!(replica(other), None, "{other}");
        }
    }
}
