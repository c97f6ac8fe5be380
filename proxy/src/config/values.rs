//! How single values are written: durations, addresses, lists, header lines.

use std::net::{Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};

use crate::listen::Listen;
use crate::policy::share::Share;
pub(super) use transform::parts::headers::NOT_TO_CHANGE;

/// Of a parser: the value, or why not; what is allowed is said elsewhere.
pub(super) type Parsed<T> = Result<T, String>;

/// What stands elsewhere for every method.
const ALL_METHODS: [&str; 3] = ["*", "ALL", "ANY"];
/// Of a list with very many wrong items the first are told.
const WRONG_MAX: usize = 8;

/// Longest name of a trust level.
const LEVEL_MAX: usize = 64;
/// Longest name of what messages call something.
const NAME_MAX: usize = 100;
/// The same of one of plain letters.
const PLAIN_NAME_MAX: usize = 64;

/// Whole seconds, or a number with a unit.
pub(super) use crate::policy::time::parse as duration;

pub(super) fn duration_above_zero(text: &str) -> Parsed<Duration> {
    match duration(text)? {
        Duration::ZERO => Err("zero".to_owned()),
        duration => Ok(duration),
    }
}

/// A number for which `allowed` holds; not-a-number and infinity are never allowed.
pub(super) fn number(text: &str, allowed: impl Fn(f64) -> bool) -> Parsed<f64> {
    let number = f64::from_str(text).map_err(|error| error.to_string())?;
    if number.is_finite() && allowed(number) { Ok(number) } else { Err("out of range".to_owned()) }
}

/// A number above 0.
pub(super) fn above_zero(text: &str) -> Parsed<f64> {
    number(text, |number| number > 0.0)
}

/// A number of 0 or more.
pub(super) fn zero_or_more(text: &str) -> Parsed<f64> {
    number(text, |number| number >= 0.0)
}

/// A share that is neither nothing nor everything.
pub(super) fn rate(text: &str) -> Parsed<f64> {
    number(text, |number| number > 0.0 && number < 1.0)
}

/// The same, or `off`.
pub(super) fn rate_or_off(text: &str) -> Parsed<Option<f64>> {
    unless_off(text, rate)
}

/// A whole number of at least `least`.
pub(super) fn whole<T>(text: &str, least: u64) -> Parsed<T>
where
    T: TryFrom<u64>,
{
    let number = text.parse::<u64>().map_err(|error| error.to_string())?;
    if number < least {
        return Err("too small".to_owned());
    }
    T::try_from(number).map_err(|_| "too large".to_owned())
}

/// A whole number in a range.
pub(super) fn within(text: &str, range: std::ops::RangeInclusive<usize>) -> Parsed<usize> {
    let number = text.parse::<usize>().map_err(|error| error.to_string())?;
    if range.contains(&number) { Ok(number) } else { Err("out of range".to_owned()) }
}

/// A share of requests, to the nearest millionth: what is smaller would be another share or none.
pub(super) fn share(text: &str) -> Parsed<f64> {
    let share = number(text, |number| (0.0..=1.0).contains(&number))?;
    if share > 0.0 && share < Share::LEAST.fraction() {
        return Err("is below a millionth".to_owned());
    }
    Ok(Share::of(share).fraction())
}

/// A path of plain segments.
pub(super) fn path_prefix(text: &str) -> Parsed<String> {
    let segments = text.strip_prefix('/').ok_or("does not begin with a slash")?.split('/');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let is_plain = |segment: &str| !segment.is_empty() && segment.bytes().all(plain);
    let dots = |segment: &str| segment == "." || segment == "..";
    if segments.clone().all(|segment| is_plain(segment) && !dots(segment)) {
        Ok(text.to_owned())
    } else {
        Err("has a segment that is empty or not plain".to_owned())
    }
}

pub(super) fn boolean(text: &str) -> Parsed<bool> {
    text.parse().map_err(|_| "neither".to_owned())
}

/// `off`, or what `parse` reads.
pub(super) fn unless_off<T>(text: &str, parse: impl Fn(&str) -> Parsed<T>) -> Parsed<Option<T>> {
    if text == "off" { Ok(None) } else { parse(text).map(Some) }
}

/// `:8080` for all interfaces of both families, or an address with a port.
pub(super) fn listen(text: &str) -> Parsed<Listen> {
    let addr = match text.strip_prefix(':') {
        Some(port) if !port.starts_with(':') => {
            let port = port.parse::<u16>().map_err(|error| error.to_string())?;
            SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))
        }
        _ => text.parse::<SocketAddr>().map_err(|error| error.to_string())?,
    };
    Ok(Listen { addr, dual_stack: addr.ip() == Ipv6Addr::UNSPECIFIED })
}

/// A name of plain letters, which labels, files, keys and other programs take as it is.
pub(super) fn plain_name(text: &str) -> Parsed<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if text.len() > PLAIN_NAME_MAX {
        Err(format!("has {} bytes", text.len()))
    } else if text.bytes().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("has other characters".to_owned())
    }
}

/// What messages call something.
pub(super) fn visible_name(text: &str) -> Parsed<Arc<str>> {
    if text.len() > NAME_MAX {
        Err(format!("has {} bytes", text.len()))
    } else if text.contains(char::is_control) {
        Err("has characters that are not visible".to_owned())
    } else {
        Ok(text.into())
    }
}

/// The name of a trust level.
pub(super) fn level(text: &str) -> Parsed<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_one = (1..=LEVEL_MAX).contains(&text.len()) && text.bytes().all(plain);
    if is_one { Ok(text.to_owned()) } else { Err(format!("{text:?} is no name of a level")) }
}

pub(super) fn methods(text: &str) -> Parsed<Vec<Method>> {
    list(text, method)
}

fn method(name: &str) -> Parsed<Method> {
    let method =
        Method::from_bytes(name.as_bytes()).map_err(|_| format!("{name:?} is no method name"))?;
    let upper = name.to_ascii_uppercase();
    // Methods are case-sensitive; "get" is no method that anybody sends.
    if upper != name {
        return Err(format!("did {name:?} mean {upper:?}?"));
    }
    // As names they would be taken for methods that nobody sends.
    if ALL_METHODS.contains(&name) { Err(format!("{name:?} is no method")) } else { Ok(method) }
}

/// The items of a comma-separated list.
pub(super) fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim)
}

/// What `parse` reads of each item, or what is wrong with all of them.
pub(super) fn list<T>(text: &str, parse: impl Fn(&str) -> Parsed<T>) -> Parsed<Vec<T>> {
    let (mut good, mut wrong) = (Vec::new(), Vec::new());
    for item in items(text).map(parse) {
        match item {
            Ok(item) => good.push(item),
            Err(why) => wrong.push(why),
        }
    }
    if wrong.is_empty() {
        return Ok(good);
    }
    let more = wrong.len().saturating_sub(WRONG_MAX);
    wrong.truncate(WRONG_MAX);
    wrong.extend((more > 0).then(|| format!("and {more} more")));
    Err(wrong.join(", "))
}

/// The same, where the list is made at once.
pub(super) fn whole_list<T>(text: &str, parse: impl Fn(&str) -> Parsed<T>) -> Parsed<T> {
    list(text, &parse).and_then(|_| parse(text))
}

/// `Name: value`, of a header that a copy may carry.
pub(super) fn header_line(text: &str) -> Parsed<(HeaderName, HeaderValue)> {
    let (name, value) = text.split_once(':').ok_or("no colon")?;
    let name: HeaderName =
        name.trim().parse().map_err(|_| format!("{:?} is no header name", name.trim()))?;
    let value = value.trim();
    if NOT_TO_CHANGE.contains(&name) {
        return Err(format!("{name} has a meaning of its own"));
    }
    let value = HeaderValue::from_str(value).map_err(|_| "no header value".to_owned())?;
    Ok((name, value))
}

/// A header line that marks copies; none where it is empty.
pub(super) fn mark(text: &str) -> Parsed<Option<(HeaderName, HeaderValue)>> {
    if text.is_empty() { Ok(None) } else { header_line(text).map(Some) }
}

/// A whole number of at least 1, and no more than a semaphore can count.
pub(super) fn permits(text: &str) -> Parsed<usize> {
    let number: usize = whole(text, 1)?;
    if number > tokio::sync::Semaphore::MAX_PERMITS {
        return Err("too large".to_owned());
    }
    Ok(number)
}
