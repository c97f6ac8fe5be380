//! `[cluster]`: the engine over which replicas judge together.

use cluster::{Settings, Tls};

use super::env::Env;
use super::{files, recording, values};

impl Env<'_> {
    /// How the engine is reached; `None` where a replica is alone.
    pub(super) fn cluster(&mut self) -> Option<Settings> {
        let name = self.read("CLUSTER_NAME", values::plain_name);
        let replica = self.read_optional("CLUSTER_REPLICA", values::plain_name);
        let replica = replica.unwrap_or_else(recording::process);
        let text = |text: &str| Ok(text.to_owned());
        let user = self.read_optional("CLUSTER_USERNAME", text);
        let password = self.read_optional("CLUSTER_PASSWORD", text);
        let slot = self.slot("CLUSTER_CA");
        let roots = self.read_optional_in(&slot, text).map(|path| self.path(&slot, &path));
        let roots = roots.and_then(|path| match files::bytes(&path, files::BYTES_MAX) {
            Ok(bytes) => Some(bytes),
            Err(why) => {
                if let Some(given) = self.given(&slot) {
                    self.bad(&slot, &given, &why);
                }
                None
            }
        });
        self.read_optional("CLUSTER_URL", |url| {
            let login = (user.as_deref(), password.as_deref());
            let tls = Tls { roots: roots.clone(), identity: None };
            Settings::new(url, login, tls, (&name, &replica))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::said as config;

    #[test]
    fn a_replica_is_alone_unless_an_engine_is_named() {
        assert!(config(&[("CLUSTER_NAME", "shop")]).unwrap().cluster.is_none());
        let url = ("CLUSTER_URL", "redis://127.0.0.1:6379");
        let cluster = config(&[url, ("CLUSTER_NAME", "shop")]).unwrap().cluster.unwrap();
        assert_eq!(cluster.name, "shop");
        assert!(cluster.replica.ends_with(&std::process::id().to_string()));
    }

    #[test]
    fn what_is_wrong_is_told_and_a_password_never() {
        for (name, value, allowed) in [
            ("CLUSTER_URL", "http://127.0.0.1", "redis://host:port"),
            ("CLUSTER_NAME", "a{b}", "letters, digits"),
            ("CLUSTER_CA", "/nowhere.pem", "CLUSTER_CA"),
        ] {
            let url = ("CLUSTER_URL", "redis://u:s3cret@127.0.0.1:6379");
            let told = config(&[(name, value), url]).unwrap_err();
            assert!(told.contains(name) && told.contains(allowed), "{told}");
            assert!(!told.contains("s3cret"), "{told}");
        }
        let cluster =
            config(&[("CLUSTER_URL", "redis://u:s3cret@127.0.0.1:6379")]).unwrap().cluster;
        assert!(!format!("{cluster:?}").contains("s3cret"));
    }
}
