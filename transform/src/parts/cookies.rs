//! Cookies of a request (RFC 6265 section 4.2), changed in their header lines.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use super::pairs::Edit;

/// The cookies in the order in which they were sent. What is no text is none.
pub fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let lines = headers.get_all(COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(';')).filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        Some((name, value))
    })
}

/// The value of the first cookie of this name.
pub fn value<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    cookies(headers).find(|(it, _)| *it == name).map(|(_, value)| value)
}

/// Changes cookies; a line without any is gone. Whether all that should be written can be, without which nothing
/// changes: a value may have characters that no cookie can.
#[must_use]
pub fn rewrite(headers: &mut HeaderMap, edit: &mut dyn FnMut(&str, &str) -> Edit) -> bool {
    let mut fits = true;
    let mut changed = false;
    let mut lines = Vec::new();
    for line in headers.get_all(COOKIE) {
        let mut parts: Vec<Vec<u8>> = Vec::new();
        let mut line_changed = false;
        let all = line.as_bytes().split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        for part in all.filter(|part| !part.is_empty()) {
            // Latin letters are no text to UTF-8, and those of cookies that stay must not be lost.
            let text = String::from_utf8_lossy(part);
            let (name, value) = text.split_once('=').unwrap_or((&text, ""));
            let with = match edit(name, value) {
                Edit::Keep => {
                    parts.push(part.to_vec());
                    continue;
                }
                Edit::Remove => None,
                Edit::Value(value) => Some(format!("{name}={value}")),
                Edit::Name(name) => Some(format!("{name}={value}")),
                Edit::Both(name, value) => Some(format!("{name}={value}")),
            };
            line_changed = true;
            fits &= with.as_ref().is_none_or(|with| !with.contains([';', '\r', '\n']));
            parts.extend(with.map(String::into_bytes));
        }
        if !line_changed {
            lines.push(line.clone());
            continue;
        }
        changed = true;
        if !parts.is_empty() {
            match HeaderValue::try_from(parts.join(&b"; "[..])) {
                Ok(value) => lines.push(value),
                Err(_) => fits = false,
            }
        }
    }
    if changed && fits {
        headers.remove(COOKIE);
        for line in lines {
            headers.append(COOKIE, line);
        }
    }
    fits
}

/// Puts a cookie behind the others. Whether it could be written.
#[must_use]
pub fn add(headers: &mut HeaderMap, name: &str, value: &str) -> bool {
    if value.contains([';', '\r', '\n']) {
        return false;
    }
    let first = headers.get(COOKIE).map(HeaderValue::as_bytes).filter(|line| !line.is_empty());
    let mut line = first.map_or_else(Vec::new, |line| [line, b"; "].concat());
    line.extend_from_slice(format!("{name}={value}").as_bytes());
    let Ok(line) = HeaderValue::from_bytes(&line) else { return false };
    match headers.get_mut(COOKIE) {
        Some(first) => *first = line,
        None => {
            headers.insert(COOKIE, line);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_str(line).unwrap());
        }
        headers
    }

    fn lines(headers: &HeaderMap) -> Vec<&str> {
        headers.get_all(COOKIE).iter().map(|line| line.to_str().unwrap()).collect()
    }

    #[test]
    fn cookies_are_changed_where_they_stand() {
        let mut headers = of(&["a=1;b=2", "c=3"]);
        assert_eq!(value(&headers, "b"), Some("2"));
        assert!(rewrite(&mut headers, &mut |name, _| match name {
            "a" => Edit::Remove,
            "b" => Edit::Value("x".into()),
            _ => Edit::Keep,
        }));
        assert_eq!(lines(&headers), ["b=x", "c=3"]);
        assert!(rewrite(&mut headers, &mut |_, _| Edit::Remove));
        assert_eq!(lines(&headers), [""; 0]);
        assert!(add(&mut headers, "d", "4") && add(&mut headers, "e", "5"));
        assert_eq!(lines(&headers), ["d=4; e=5"]);
    }

    #[test]
    fn bytes_of_others_stay() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_bytes(b"a=caf\xe9; b=2").unwrap());
        assert!(rewrite(&mut headers, &mut |name, _| match name {
            "b" => Edit::Value("3".into()),
            _ => Edit::Keep,
        }));
        assert_eq!(headers[COOKIE].as_bytes(), b"a=caf\xe9; b=3");
    }

    #[test]
    fn what_no_cookie_can_be_is_told() {
        let mut headers = of(&["a=1"]);
        assert!(!rewrite(&mut headers, &mut |_, _| Edit::Value("x;y=1".into())));
        assert!(!rewrite(&mut headers, &mut |_, _| Edit::Value("x\r\ny".into())));
        assert_eq!(lines(&headers), ["a=1"]);
        assert!(!add(&mut headers, "b", "1\r\nx: y"));
    }
}
