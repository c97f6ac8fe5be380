//! How the engine is reached, and as whom.

use std::fmt;

use redis::{Client, IntoConnectionInfo, TlsCertificates};

/// How the engine is reached, and as whom.
#[derive(Clone)]
pub struct Settings {
    client: Client,
    /// Begins each key: deployments that share an engine do not meet.
    pub name: String,
    /// What this replica is called among the others.
    pub replica: String,
}

/// What TLS is spoken with.
#[derive(Clone, Default)]
pub struct Tls {
    /// Root certificates in PEM, where not those of the system.
    pub roots: Option<Vec<u8>>,
    /// A certificate and its key in PEM, where the engine asks for them.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl Settings {
    /// The engine at `redis://host:port/number`, `rediss://` with TLS, or `redis+unix:///path`; user and password are
    /// in it, or given apart.
    ///
    /// # Errors
    /// The address is none, or what TLS needs cannot be read. The password is never told.
    pub fn new(
        url: &str,
        (user, password): (Option<&str>, Option<&str>),
        tls: Tls,
        (name, replica): (&str, &str),
    ) -> Result<Self, String> {
        let told = |error: redis::RedisError| error.category().to_owned();
        let info = url.into_connection_info().map_err(told)?;
        let mut login = info.redis_settings().clone();
        if let Some(user) = user {
            login = login.set_username(user);
        }
        if let Some(password) = password {
            login = login.set_password(password);
        }
        let info = info.set_redis_settings(login);
        let client = if url.starts_with("rediss:") {
            let Tls { roots, identity } = tls;
            let client_tls = identity.map(|(client_cert, client_key)| redis::ClientTlsConfig {
                client_cert,
                client_key,
            });
            Client::build_with_tls(info, TlsCertificates { client_tls, root_cert: roots })
        } else {
            Client::open(info)
        };
        let client = client.map_err(told)?;
        Ok(Self { client, name: name.to_owned(), replica: replica.to_owned() })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// A key of this deployment. All have one hash tag, so that one node of a cluster has them.
    pub(crate) fn key(&self, of: &str) -> String {
        format!("mirrorlab:{{{}}}:{of}", self.name)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, name, replica } = self;
        let at = client.get_connection_info().addr().to_string();
        f.debug_struct("Settings")
            .field("at", &at)
            .field("name", name)
            .field("replica", replica)
            .finish()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}
