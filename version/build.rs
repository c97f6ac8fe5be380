//! Finds out which commit is built: what `MIRRORLAB_COMMIT` says, for builds that have no repository, else what git says.
//!
//! A debug build has none of git: it would have to be built anew, with all that depends on it, after each commit.

use std::path::Path;
use std::process::Command;

/// As many digits of a commit as tell it from all others.
const DIGITS: usize = 12;

#[expect(clippy::disallowed_methods, reason = "the variables that cargo sets for a build")]
fn main() {
    println!("cargo:rerun-if-env-changed=MIRRORLAB_COMMIT");
    println!("cargo:rerun-if-changed=build.rs");
    let said = std::env::var("MIRRORLAB_COMMIT").ok().filter(|it| !it.trim().is_empty());
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let commit = said.or_else(|| is_release.then(of_git).flatten());
    let version = env!("CARGO_PKG_VERSION");
    let digits = commit.map(|commit| commit.trim().chars().take(DIGITS).collect::<String>());
    let told = digits.map_or_else(|| version.to_owned(), |commit| format!("{version} ({commit})"));
    println!("cargo:rustc-env=MIRRORLAB_VERSION={told}");
}

/// The commit that is checked out; `None` where there is no git, or no repository of these sources.
fn of_git() -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?.canonicalize().ok()?;
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(&root).args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    // Unpacked into the repository of something else, that one's commit says nothing.
    let top = Path::new(&git(&["rev-parse", "--show-toplevel"])?).canonicalize().ok()?;
    if top != root {
        return None;
    }
    let folder = git(&["rev-parse", "--absolute-git-dir"])?;
    // The log of where it stood has a line more after each commit; the file beside it names a branch alone.
    for file in ["HEAD", "logs/HEAD"] {
        let path = Path::new(&folder).join(file);
        if path.exists() {
            println!("cargo:rerun-if-changed={}", path.display());
        }
    }
    git(&["rev-parse", "HEAD"])
}
