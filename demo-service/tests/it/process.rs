//! The binary: arguments, settings, signals, exit codes.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

fn command(settings: &[(&str, &str)], arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mirrorlab-demo-service"));
    command.env_clear().envs(settings.iter().copied()).args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(settings: &[(&str, &str)], arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command(settings, arguments).output().unwrap();
    let text = [stdout, stderr].concat();
    (status.code(), String::from_utf8(text).unwrap())
}

/// A running service; killed when the test ends.
struct Process {
    child: Child,
    port: String,
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn start() -> Process {
    let mut child = command(&[("PORT", "0"), ("SERVICE_NAME", "shop")], &[]).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let ready = lines.find_map(|line| line.ok().filter(|line| line.contains("ready"))).unwrap();
    assert!(ready.contains("shop"), "{ready}");
    // The address is the only word with a colon before digits: `addr=[::]:40123`.
    let addr = ready.split_whitespace().find(|word| word.starts_with("addr=")).unwrap();
    let port = addr.rsplit(':').next().unwrap().to_owned();
    Process { child, port }
}

#[test]
fn it_says_how_to_use_it() {
    let (code, text) = run(&[], &["--help"]);
    assert!(code == Some(0) && text.contains("CHAOS_ERROR_RATE"), "{code:?} {text}");
    let (code, text) = run(&[], &["--version"]);
    assert!(code == Some(0) && text.starts_with("mirrorlab-demo-service "), "{code:?} {text}");
    let (code, text) = run(&[], &["--what"]);
    assert!(code == Some(2) && text.contains("--what") && text.contains("Usage"), "{text}");
}

#[test]
fn bad_settings_stop_the_start_and_are_all_named() {
    let (code, text) = run(&[("PORT", "70000"), ("CHAOS_ERROR_RATE", "2")], &[]);
    assert_eq!(code, Some(2));
    assert!(text.contains("PORT") && text.contains("70000"), "{text}");
    assert!(text.contains("CHAOS_ERROR_RATE"), "{text}");
}

#[test]
fn the_health_check_tells_whether_it_is_up_and_sigterm_ends_it_well() {
    let mut process = start();
    let settings = [("PORT", process.port.as_str())];
    assert_eq!(run(&settings, &["--healthcheck"]).0, Some(0));
    let (code, text) = run(&settings, &[]);
    assert!(code == Some(1) && text.contains("cannot listen"), "the port is taken: {text}");
    let id = process.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(process.child.wait().unwrap().code(), Some(0));
    let (code, text) = run(&settings, &["--healthcheck"]);
    assert!(code == Some(1) && text.contains("unhealthy"), "{text}");
}
