//! Writes manual pages and completions of shells for the programs of the package, from the definitions that `--help` is
//! made of: `cargo run -p capture --example manual -- FOLDER`.
//!
//! An example, so that no program carries what writes them; and here, since this package knows all of them.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Command, CommandFactory};
use clap_complete::Shell;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("say a folder");
        return ExitCode::from(2);
    };
    match write(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

fn write(folder: &Path) -> io::Result<()> {
    let pages = folder.join("man");
    fs::create_dir_all(&pages)?;
    let proxy = proxy::arguments::definitions();
    let replay = replay::options::Options::command();
    for program in [proxy, replay, capture::options::Options::command()] {
        completions(&program, folder)?;
        // Without the commit, which is none of a manual's. A page for each command, too.
        clap_mangen::generate_to(program.version(env!("CARGO_PKG_VERSION")), &pages)?;
    }
    Ok(())
}

/// Under the names by which the shells look for them.
fn completions(program: &Command, folder: &Path) -> io::Result<()> {
    let name = program.get_name().to_owned();
    for (shell, of_shell, file) in [
        (Shell::Bash, "bash", name.clone()),
        (Shell::Zsh, "zsh", format!("_{name}")),
        (Shell::Fish, "fish", format!("{name}.fish")),
    ] {
        let folder = folder.join(of_shell);
        fs::create_dir_all(&folder)?;
        let mut file = File::create(folder.join(file))?;
        clap_complete::generate(shell, &mut program.clone(), &name, &mut file);
    }
    Ok(())
}
