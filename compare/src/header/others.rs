//! Response headers that are not compared: which of them differ, by their names alone. Of the values
//! hashes are kept, never a byte.

use http::header::{
    AGE, CONNECTION, CONTENT_LENGTH, DATE, PROXY_AUTHENTICATE, SET_COOKIE, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::super::difference::{Change, Uncompared};
use crate::reply::is_named_by_connection;

/// Most names of an answer that are looked at.
const NAMES_MAX: usize = 64;
/// Longest name that is looked at, in bytes.
const NAME_MAX: usize = 64;
/// Of one connection, or of the moment.
const BY_NATURE: [HeaderName; 10] = [
    DATE,
    AGE,
    CONNECTION,
    TRANSFER_ENCODING,
    TE,
    TRAILER,
    UPGRADE,
    PROXY_AUTHENTICATE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// The names of an answer's headers, with a hash of what each says.
#[derive(Clone, Debug, Default)]
pub(super) struct Others {
    names: Vec<(HeaderName, u64)>,
    /// Not all names found room, so that nobody can say that one is missing here.
    more: bool,
}

impl Others {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut others = Self::default();
        others.names.reserve_exact(headers.keys_len().min(NAMES_MAX));
        let connection = headers.contains_key(CONNECTION);
        for name in headers.keys() {
            let skipped = name.as_str().len() > NAME_MAX
                || BY_NATURE.contains(name)
                || (connection && is_named_by_connection(headers, name));
            if skipped {
                continue;
            }
            if others.names.len() == NAMES_MAX {
                others.more = true;
                break;
            }
            others.names.push((name.clone(), hash(headers, name)));
        }
        others
    }

    /// What differs in headers that `compared` does not hold for. `same_bodies`: a length is no
    /// header of its own where the bodies differ.
    pub(super) fn differing<'h>(
        &'h self,
        theirs: &'h Self,
        same_bodies: bool,
        compared: impl Fn(&HeaderName) -> bool + 'h,
    ) -> impl Iterator<Item = Uncompared> + 'h {
        let ours = self.names.iter().enumerate().filter_map(|(at, (name, hash))| {
            let change = match theirs.hash(name, at) {
                Some(other) => (other != *hash).then_some(Change::Value)?,
                None => (!theirs.more).then_some(Change::BaselineOnly)?,
            };
            Some((name, change))
        });
        let theirs = theirs.names.iter().enumerate().filter_map(|(at, (name, _))| {
            let is_new = !self.more && self.hash(name, at).is_none();
            is_new.then_some((name, Change::CandidateOnly))
        });
        let differing = ours
            .chain(theirs)
            .filter(move |(name, _)| !compared(name) && (same_bodies || **name != CONTENT_LENGTH));
        differing.map(|(name, change)| Uncompared { name: name.clone(), change })
    }

    /// Most servers send their headers in one order: first a look at the same place.
    fn hash(&self, name: &HeaderName, at: usize) -> Option<u64> {
        let named = |it: &&(HeaderName, u64)| it.0 == *name;
        let found = self.names.get(at).filter(named).or_else(|| self.names.iter().find(named));
        found.map(|(_, hash)| *hash)
    }
}

/// Of all lines of a name as one value (RFC 9110 section 5.3).
fn hash(headers: &HeaderMap, name: &HeaderName) -> u64 {
    let mut lines = headers.get_all(name).iter().map(|value| value.as_bytes().trim_ascii());
    if *name == SET_COOKIE {
        return lines.map(cookie).fold(0, u64::wrapping_add);
    }
    match (lines.next(), lines.next()) {
        (Some(line), None) => xxh3_64(line),
        (Some(first), Some(second)) => {
            let more = lines.flat_map(|line| [b", ", line]);
            let parts = [first, b", ", second].into_iter().chain(more);
            xxh3_64(&parts.collect::<Vec<_>>().concat())
        }
        (None, _) => 0,
    }
}

/// Of the names of a cookie and of its attributes, in any order (RFC 6265 section 4.1.1): values are
/// somebody's session, and differ.
fn cookie(line: &[u8]) -> u64 {
    let name = |part: &'_ [u8]| {
        part.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii().to_vec()
    };
    let mut parts = line.split(|byte| *byte == b';').map(name);
    let cookie = xxh3_64(&parts.next().unwrap_or_default());
    let attributes = parts.filter(|part| !part.is_empty());
    attributes.fold(cookie, |sum, part| {
        sum.wrapping_add(xxh3_64_with_seed(&part.to_ascii_lowercase(), cookie))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn others(lines: &[(String, &str)]) -> Others {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(HeaderName::try_from(name).unwrap(), value.parse().unwrap());
        }
        Others::of(&map)
    }

    fn differing(ours: &[(&str, &str)], theirs: &[(&str, &str)]) -> Vec<(String, Change)> {
        let [ours, theirs] = [ours, theirs].map(|lines| {
            others(
                &lines.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect::<Vec<_>>(),
            )
        });
        let found = ours.differing(&theirs, false, |_| false);
        found.map(|it| (it.name.to_string(), it.change)).collect()
    }

    #[test]
    fn what_is_of_a_connection_or_of_the_moment_is_not_looked_at() {
        let ours = [
            ("date", "a"),
            ("age", "1"),
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("transfer-encoding", "chunked"),
            ("content-length", "3"),
        ];
        assert_eq!(differing(&ours, &[("keep-alive", "timeout=5"), ("date", "b")]), []);
        assert_eq!(differing(&[("via", "a"), ("x", "1")], &[("x", "1"), ("via", "a")]), []);
    }

    #[test]
    fn lines_of_one_name_are_one_value_and_cookies_their_names() {
        let two = [("vary", "a"), ("vary", "b")];
        assert_eq!(differing(&two, &[("vary", "a, b")]), []);
        assert_eq!(differing(&two, &[("vary", "b, a")]), [("vary".to_owned(), Change::Value)]);
        let cookies = [("set-cookie", "a=1; Path=/; Secure"), ("set-cookie", "b=2")];
        let same = [("set-cookie", "b=3"), ("set-cookie", "a=4; secure; path=/x")];
        assert_eq!(differing(&cookies, &same), []);
        let other = [("set-cookie", "b=3; secure"), ("set-cookie", "a=4; path=/x")];
        assert_eq!(differing(&cookies, &other).len(), 1);
    }

    #[test]
    fn names_are_bounded_and_nothing_is_missing_where_not_all_were_looked_at() {
        let many = |from: usize, to: usize| {
            others(&(from..to).map(|index| (format!("x-{index}"), "1")).collect::<Vec<_>>())
        };
        let (all, few) = (many(0, 200), many(0, 10));
        assert_eq!(all.names.len(), NAMES_MAX);
        assert!(all.differing(&few, true, |_| false).count() <= NAMES_MAX);
        assert_eq!(few.differing(&many(5, 200), true, |_| false).count(), NAMES_MAX - 5);
        let long = others(&[("x".repeat(1000), "1")]);
        assert_eq!(long.differing(&few, true, |_| false).count(), 10);
    }
}
