//! Baseline, second baseline and candidates: where they are and how they are spoken to.

use tokio_rustls::rustls::pki_types::ServerName;

use super::env::{Env, Scope};
use crate::upstream::{HostHeader, Protocol, Target};

impl<'a> Env<'a> {
    /// The upstream whose settings have a table of this name.
    pub(super) fn upstream(&mut self, name: &str) -> Target {
        let scope = self.scope(name);
        self.upstream_in(&scope)
    }

    pub(super) fn upstream_in(&mut self, scope: &Scope<'a>) -> Target {
        let url = scope.slot("url");
        let nowhere = || Target::new(false, "localhost".to_owned(), 80);
        // The second baseline alone has no default, and is not there without a URL.
        let target = match url.setting.default {
            Some(_) => self.read_in(&url, Target::parse),
            None => self.read_optional_in(&url, Target::parse).unwrap_or_else(nowhere),
        };
        let mut target = Target {
            host_header: self.read_in(&scope.slot("host"), HostHeader::parse),
            protocol: self.read_in(&scope.slot("http"), Protocol::parse),
            ..target
        };
        self.tls_towards(scope, &mut target);
        target
    }

    /// The name that an https upstream must have, and what is shown to it.
    fn tls_towards(&mut self, scope: &Scope<'a>, target: &mut Target) {
        let [name, cert, key] =
            ["tls_name", "client_cert", "client_key"].map(|name| scope.slot(name));
        target.tls_name = self.read_optional_in(&name, |text| {
            ServerName::try_from(text.to_owned()).map_err(|_| "is neither".to_owned())
        });
        target.client = self.client_identity(&cert, &key);
        let set = [(name, target.tls_name.is_some()), (cert, target.client.is_some())];
        let url = scope.slot("url");
        // A second baseline that is not there speaks neither.
        let is_there = url.setting.default.is_some() || self.is_set(&url);
        for (slot, _) in set.iter().filter(|(_, is_set)| *is_set && is_there && !target.tls) {
            if let Some(given) = self.given(slot) {
                let why = format!("{} is no https URL", self.called(&url));
                self.bad_for(slot, &given, &why, "unset, or https");
            }
        }
    }

    pub(super) fn secondary(&mut self) -> Option<Target> {
        let is_set = self.is_set(&self.slot("SECONDARY_URL"));
        // The two others are checked in any case.
        let target = self.upstream("secondary");
        is_set.then_some(target)
    }
}
