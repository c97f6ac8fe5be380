//! What else servers may read a path as.
//!
//! There is no one answer (RFC 3986, section 6.2, has a ladder of them), so this is the furthest that
//! usual servers go: everything is percent-decoded that need not be encoded, `%2F` included, a backslash
//! is a slash, parameters of segments (`;v=1`) are dropped, slashes in a row are one, and dot segments
//! are resolved. Letter case and a slash at the end stay.

/// What a path may be read as; `None` where nobody reads it otherwise. Without allocation for these.
pub(super) fn read_otherwise(path: &str) -> Option<String> {
    if !path.starts_with('/') || is_plain(path) {
        return None;
    }
    let read = resolved(&decoded(path));
    (read != path).then_some(read)
}

/// Whether no byte, and no segment, could be read otherwise. Looked at for each request, so once over it.
pub(super) fn is_plain(path: &str) -> bool {
    let (mut before, mut has_odd_segment) = (0, false);
    for byte in path.bytes() {
        if !byte.is_ascii() || matches!(byte, b'%' | b'\\' | b';') {
            return false;
        }
        has_odd_segment |= before == b'/' && matches!(byte, b'/' | b'.');
        before = byte;
    }
    // Most paths have none, so that segments are not looked at.
    !has_odd_segment || !path.split('/').skip(1).any(|segment| matches!(segment, "" | "." | ".."))
}

/// Without parameters, and percent-decoded but for what cannot stand in a path as it is. A percent sign
/// stays encoded, so that nothing is decoded twice.
fn decoded(path: &str) -> String {
    let mut read = String::with_capacity(path.len());
    for (index, segment) in path.split('/').enumerate() {
        if index > 0 {
            read.push('/');
        }
        let segment = segment.split(';').next().unwrap_or_default();
        for byte in percent_encoding::percent_decode_str(segment) {
            match byte {
                b'\\' => read.push('/'),
                // The braces for templates, which are read like paths.
                byte if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/{}".contains(&byte) => {
                    read.push(char::from(byte));
                }
                byte => read.push_str(percent_encoding::percent_encode_byte(byte)),
            }
        }
    }
    read
}

/// One slash for several, and no dot segments (RFC 3986, section 5.2.4).
fn resolved(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            other => kept.push(other),
        }
    }
    let is_folder = matches!(path.rsplit('/').next(), Some("" | "." | ".."));
    let mut read = String::with_capacity(path.len());
    for segment in &kept {
        read.push('/');
        read.push_str(segment);
    }
    if is_folder || kept.is_empty() {
        read.push('/');
    }
    read
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn a_path_that_servers_read_otherwise_has_a_second_reading() {
        for (path, read) in [
            ("/%61pi", "/api"),
            ("/a%2fb", "/a/b"),
            ("/a%5Cb", "/a/b"),
            ("/a\\b", "/a/b"),
            ("/a//b", "/a/b"),
            ("//", "/"),
            ("/a/./b", "/a/b"),
            ("/x/../a", "/a"),
            ("/../../a", "/a"),
            ("/x/%2e%2E/a", "/a"),
            ("/x/..%2Fa", "/a"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/a;v=1/b;w", "/a/b"),
            ("/a/..;/b", "/b"),
            ("/a%3Bv", "/a;v"),
            ("/a%2Cb", "/a,b"),
            ("/caf\u{e9}", "/caf%C3%A9"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/%ff", "/%FF"),
            ("/a%2525", "/a%2525"),
            ("/a%", "/a%25"),
            ("/a%00b%3f", "/a%00b%3F"),
        ] {
            let expected = (read != path).then(|| read.to_owned());
            assert_eq!(read_otherwise(path), expected, "{path}");
        }
    }

    #[test]
    fn usual_paths_have_one_reading() {
        for path in
            ["/", "/a", "/a/", "/a.b/.well-known/...", "/a,b@c:d", "/a%20b", "*", "", "/a%2520"]
        {
            assert_eq!(read_otherwise(path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn a_second_reading_is_read_as_itself(path in "/[a-c./\\\\%2eEfF5;é]{0,24}") {
            if let Some(read) = read_otherwise(&path) {
                prop_assert!(read.starts_with('/') && !read.contains("//"), "{read}");
                prop_assert!(!read.split('/').any(|it| it == "." || it == ".."), "{read}");
                // But for what was encoded twice or was a parameter's mark, encoded.
                if !read.contains(['%', ';']) {
                    prop_assert_eq!(read_otherwise(&read), None);
                }
            }
        }

        #[test]
        fn what_is_plain_would_be_read_as_itself(path in "/[a-c./~,@]{0,16}") {
            if is_plain(&path) {
                prop_assert_eq!(resolved(&decoded(&path)), path);
            }
        }
    }
}
