//! The programs under test, as cargo has just built them.
//!
//! cargo builds no binary of another package for a test, so this asks it to: in the profile that the
//! tests themselves were built in, and for the whole workspace, since another selection of packages
//! would mean other features and a build of nearly everything.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// The proxy.
    pub proxy: PathBuf,
    /// The demo service.
    pub demo_service: PathBuf,
    /// What sends recordings to a candidate.
    pub replay: PathBuf,
    /// What turns packets into exchanges.
    pub capture: PathBuf,
}

impl Binaries {
    /// Has cargo build them.
    ///
    /// # Errors
    /// What cargo said.
    pub fn build() -> Result<Self> {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no workspace")?;
        let folder = folder()?;
        let profile = match folder.file_name().and_then(|name| name.to_str()) {
            Some("debug") => "dev",
            Some(other) => other,
            None => return Err("the tests lie in no profile's folder".into()),
        };
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(workspace).args(["build", "--workspace", "--bins", "--quiet"]);
        cargo
            .args(["--profile", profile])
            .arg("--target-dir")
            .arg(folder.parent().unwrap_or(&folder));
        let built = cargo.output()?;
        if !built.status.success() {
            return Err(String::from_utf8_lossy(&built.stderr).into());
        }
        let program = |name: &str| folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        let (proxy, demo_service) = (program("mirrorlab-proxy"), program("mirrorlab-demo-service"));
        let (replay, capture) = (program("mirrorlab-replay"), program("mirrorlab-capture"));
        Ok(Self { proxy, demo_service, replay, capture })
    }

    /// Those that containers run.
    pub fn all(&self) -> [&Path; 2] {
        [&self.proxy, &self.demo_service]
    }
}

/// `target/<profile>`: the tests themselves lie in its `deps`.
fn folder() -> Result<PathBuf> {
    let tests = std::env::current_exe()?;
    let folder = tests.parent().and_then(Path::parent).ok_or("the tests lie in no folder")?;
    Ok(folder.to_owned())
}

/// The shared libraries that programs name, the loader included, by the path they name.
///
/// # Errors
/// When they are no Linux programs that can run here, so that `ldd` cannot tell.
pub fn shared_libraries(programs: &[&Path]) -> Result<BTreeSet<PathBuf>> {
    let ldd = Command::new("ldd").args(programs).output()?;
    let text = String::from_utf8_lossy(&ldd.stdout).into_owned();
    if !ldd.status.success() {
        return Err(format!("ldd: {text}{}", String::from_utf8_lossy(&ldd.stderr)).into());
    }
    // "libc.so.6 => /lib/libc.so.6 (0x…)" or "/lib64/ld-linux-x86-64.so.2 (0x…)"; a program's own
    // name ends in a colon.
    let paths =
        text.split_whitespace().filter(|word| word.starts_with('/') && !word.ends_with(':'));
    Ok(paths.map(PathBuf::from).collect())
}
