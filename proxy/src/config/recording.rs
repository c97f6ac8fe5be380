//! `[record]`: what is recorded, and where.

use std::ffi::OsString;

use stored::Store;

use super::env::{Env, Scope};
use super::values;
use crate::policy::record::{Bodies, OfRoute, Record};
use crate::policy::share::Share;
use crate::record::{self, Place};

impl<'a> Env<'a> {
    /// Where, and what of all routes; `None` where nothing is recorded.
    pub(super) fn recording(&mut self) -> Option<record::Config> {
        let slot = self.slot("RECORD_DIR");
        let dir = self.read_optional_in(&slot, |text| Ok(text.to_owned()));
        let all = Record {
            share: self.read("RECORD_SHARE", Share::parse),
            mismatches: self.read("RECORD_MISMATCHES", values::boolean),
            bodies: self.read("RECORD_BODIES", Bodies::parse),
            max_body_bytes: self.read("RECORD_MAX_BODY_BYTES", |text| values::whole(text, 0)),
            redact: self.read("RECORD_REDACT", values::boolean),
        };
        let bytes = |text: &str| values::whole::<i64>(text, 65_536).map(i64::unsigned_abs);
        let segment_bytes = self.read("RECORD_SEGMENT_BYTES", bytes);
        let segment_age = self.time("RECORD_SEGMENT_AGE");
        let max_bytes = self.read("RECORD_MAX_BYTES", bytes);
        let options = store_options(self.get);
        let store = self.read_optional("RECORD_STORE", |url| {
            let options = options.iter().map(|(name, value)| (*name, value.as_str()));
            Store::new(url, options).map_err(|error| error.to_string())
        });
        let (dir, replica) = (self.path(&slot, &dir?), replica());
        let place = Place { dir, segment_bytes, segment_age, max_bytes, replica };
        Some(record::Config { place, all, store, waits: false })
    }

    /// What a route says of it.
    pub(super) fn recording_of(&mut self, scope: &Scope<'a>) -> OfRoute {
        OfRoute {
            share: self.read_optional_in(&scope.slot("share"), Share::parse),
            mismatches: self.read_optional_in(&scope.slot("mismatches"), values::boolean),
            bodies: self.read_optional_in(&scope.slot("bodies"), Bodies::parse),
            max_body_bytes: self
                .read_optional_in(&scope.slot("max_body_bytes"), |text| values::whole(text, 0)),
        }
    }
}

/// What the usual variables say of an object store, some of it secret.
const OF_STORES: [&str; 15] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT",
    "AWS_ENDPOINT_URL",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_ALLOW_HTTP",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST",
];

fn store_options(get: &dyn Fn(&str) -> Option<OsString>) -> Vec<(&'static str, String)> {
    let said = |name: &'static str| Some((name, get(name)?.into_string().ok()?));
    let said = OF_STORES.into_iter().filter_map(said);
    said.filter(|(_, value)| !value.is_empty()).collect()
}

impl super::Config {
    /// The object store of `s3://bucket/prefix`, as the variables of this process say how to reach it.
    ///
    /// # Errors
    /// The address is none of a bucket, or a variable has a wrong value.
    #[expect(clippy::disallowed_methods, reason = "the one module that reads the environment")]
    pub fn store(url: &str) -> Result<Store, String> {
        let options = store_options(&|name| std::env::var_os(name));
        let options = options.iter().map(|(name, value)| (*name, value.as_str()));
        Store::new(url, options).map_err(|error| error.to_string())
    }
}

/// What this process is called among those of other machines and of this one.
pub(super) fn process() -> String {
    format!("{}-{}", replica(), std::process::id())
}

/// What this machine is called, as far as a name of a file may have it.
fn replica() -> String {
    let name = rustix::system::uname();
    let name = String::from_utf8_lossy(name.nodename().to_bytes()).into_owned();
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || "-_".contains(*c);
    let plain: String = name.chars().filter(is_plain).take(60).collect();
    if plain.is_empty() { "proxy".to_owned() } else { plain }
}

#[cfg(test)]
mod tests {
    use super::super::tests::said as config;
    use super::*;

    #[test]
    fn nothing_is_recorded_without_a_folder() {
        assert!(config(&[("RECORD_SHARE", "0.5")]).unwrap().record.is_none());
        let record = config(&[("RECORD_DIR", "/x"), ("RECORD_SHARE", "0.5")]).unwrap().record;
        let record = record.unwrap();
        assert_eq!(record.all.share, Share::of(0.5));
        assert!(record.all.redact && !record.all.mismatches);
        assert_eq!(record.place.dir.to_str(), Some("/x"));
    }

    #[test]
    fn what_is_wrong_is_told_with_what_is_allowed() {
        for (name, value, allowed) in [
            ("RECORD_BODIES", "some", "all, requests or none"),
            ("RECORD_SEGMENT_BYTES", "1", "from 65536"),
            ("RECORD_SHARE", "2", "to 1.0"),
        ] {
            let told = config(&[("RECORD_DIR", "/x"), (name, value)]).unwrap_err();
            assert!(told.contains(name) && told.contains(allowed), "{told}");
        }
    }
}
