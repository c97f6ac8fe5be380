//! How long something may take, as it is written: `10`, `500ms`, `2m`.

use std::time::Duration;

/// The longest there is.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Reads whole seconds, or a number with a unit, of at most 24 hours.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &str) -> Result<Duration, String> {
    let parsed = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => humantime::parse_duration(text).map_err(|error| error.to_string())?,
    };
    if parsed > DAY { Err("over 24 hours".to_owned()) } else { Ok(parsed) }
}
