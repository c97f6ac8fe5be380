//! What is kept of a request on disk: its head as JSON, its body as it came, and a sum over both.

use std::net::IpAddr;

use bytes::Bytes;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Uri};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3Default;

use crate::exchange::RequestSnapshot;
use crate::forward::Parcel;
use crate::headers::target;

/// A request as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) head: String,
    pub(super) body: Bytes,
}

/// In texts each character stands for a byte: lines of HTTP are bytes, and mostly ASCII.
#[derive(Deserialize, Serialize)]
struct Head {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    client: IpAddr,
}

impl Kept {
    /// What is kept of a request. This is the one place where that is decided: what must not lie on the
    /// disk is taken out here, before anything is written.
    pub(super) fn of(parcel: &Parcel) -> Self {
        let RequestSnapshot { method, uri, headers, .. } = &parcel.head;
        let uri = uri.to_string();
        // Bytes that no `Uri` has are called by a word that only this process knows.
        let target = target::restored(uri.as_bytes()).unwrap_or_else(|| uri.into_bytes());
        let lines = headers.iter();
        let line = |(name, value): (&HeaderName, &HeaderValue)| {
            (name.as_str().to_owned(), text(value.as_bytes()))
        };
        let head = Head {
            method: method.to_string(),
            target: text(&target),
            headers: lines.map(line).collect(),
            client: parcel.client,
        };
        let head = serde_json::to_string(&head).expect("texts are JSON");
        Self { head, body: parcel.body.clone() }
    }

    /// Bytes of it.
    pub(super) fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// Tells whether it is still what was written.
    pub(super) fn sum(&self) -> i64 {
        let mut sum = Xxh3Default::new();
        sum.update(&(self.head.len() as u64).to_le_bytes());
        sum.update(self.head.as_bytes());
        sum.update(&self.body);
        sum.digest().cast_signed()
    }

    /// The request again; `None` where it is none. The letter case of names is lost.
    pub(super) fn parcel(self) -> Option<Parcel> {
        let head: Head = serde_json::from_str(&self.head).ok()?;
        let target = bytes(&head.target)?;
        let target = match target::substitute(&target) {
            Some(_) => target::named(&target),
            None => String::from_utf8(target).ok()?,
        };
        let mut headers = HeaderMap::with_capacity(head.headers.len());
        for (name, value) in head.headers {
            let name: HeaderName = name.parse().ok()?;
            headers.append(name, HeaderValue::from_maybe_shared(Bytes::from(bytes(&value)?)).ok()?);
        }
        let uri: Uri = target.parse().ok()?;
        let method = Method::from_bytes(head.method.as_bytes()).ok()?;
        let head_ = RequestSnapshot { method, uri, headers, extensions: Extensions::new() };
        Some(Parcel { head: head_, body: self.body, client: head.client })
    }
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|char| u8::try_from(char).ok()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parcel(target: &[u8], lines: &[(&str, &[u8])], body: &[u8]) -> Parcel {
        let target = match target::substitute(target) {
            Some(_) => target::named(target),
            None => String::from_utf8(target.to_vec()).unwrap(),
        };
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_bytes(value).unwrap());
        }
        let uri = target.parse().unwrap();
        let extensions = Extensions::new();
        let head = RequestSnapshot { method: Method::POST, uri, headers, extensions };
        Parcel { head, body: Bytes::copy_from_slice(body), client: "2001:db8::7".parse().unwrap() }
    }

    #[test]
    fn a_target_with_bytes_that_no_uri_has_is_kept_as_it_was_sent() {
        for target in [&b"/a\"b<c?d=`\xe9"[..], "/caf\u{e9}?x=\u{2713}".as_bytes(), b"/a#b", b"*"] {
            let kept = Kept::of(&parcel(target, &[], b""));
            // Another process knows the word of this one no more.
            let word = format!("{:?}", target::named(b"\""));
            assert!(!kept.head.contains(&word[1..20]), "{}", kept.head);
            let again = kept.parcel().unwrap();
            let uri = again.head.uri.to_string();
            let sent = target::restored(uri.as_bytes()).unwrap_or_else(|| uri.clone().into_bytes());
            assert_eq!(sent, target);
        }
    }

    #[test]
    fn what_was_changed_on_the_disk_has_another_sum() {
        let kept = Kept::of(&parcel(b"/", &[("a", b"b")], b"body"));
        let other = |head: &str, body: &'static str| {
            Kept { head: head.to_owned(), body: body.into() }.sum() != kept.sum()
        };
        assert!(other(&kept.head, "bodx") && other(&format!("{} ", kept.head), "ody"));
        assert!(!other(&kept.head, "body"));
    }

    proptest! {
        #[test]
        fn every_request_comes_back_as_it_was(
            path in "/[ -~]{0,40}",
            lines in proptest::collection::vec(("[a-z][a-z0-9-]{0,20}", proptest::collection::vec(
                prop_oneof![Just(9u8), 32..127u8, 128..=255u8], 0..40)), 0..10),
            body in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            prop_assume!(!path.contains(' '));
            let lines: Vec<_> = lines.iter().map(|(name, value)| (&**name, &**value)).collect();
            let parcel = parcel(path.as_bytes(), &lines, &body);
            let again = Kept::of(&parcel).parcel().unwrap();
            prop_assert_eq!(&again.head.headers, &parcel.head.headers);
            prop_assert_eq!(again.head.uri, parcel.head.uri);
            prop_assert_eq!(again.head.method, parcel.head.method);
            prop_assert_eq!((again.body, again.client), (parcel.body, parcel.client));
        }

        #[test]
        fn what_is_no_request_is_none(head in ".{0,80}") {
            let _no_panic = Kept { head, body: Bytes::new() }.parcel();
        }
    }
}
