//! What goes on beside a story: a healthy candidate must be left alone on a machine that has other
//! work, and beside services that stand still for a moment.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// Busy loops at most; more only take memory.
const LOOPS_MAX: usize = 64;
/// How long a service stands still,
const PAUSE: Duration = Duration::from_millis(200);
/// and from its pause to that of the other one. Each stands still every ten seconds.
const BETWEEN: Duration = Duration::from_millis(4800);
/// Until the first pause.
const FIRST: Duration = Duration::from_secs(3);
/// How often it is looked whether a command has ended.
const LOOK: Duration = Duration::from_millis(100);

/// Something that goes on beside a story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Beside {
    /// So many loops that do nothing but use a processor.
    Burn(usize),
    /// Each service is stopped for 200 ms every ten seconds, five seconds after the other one.
    Pause,
    /// A command of the shell, again and again.
    Run(String),
}

impl FromStr for Beside {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        match (kind, rest.parse::<usize>()) {
            ("burn", Ok(loops @ 1..=LOOPS_MAX)) => Ok(Self::Burn(loops)),
            ("pause", _) if text == "pause" => Ok(Self::Pause),
            ("run", _) if !rest.trim().is_empty() => Ok(Self::Run(rest.to_owned())),
            _ => Err(format!("allowed is burn:N (1 to {LOOPS_MAX}), pause, or run:COMMAND")),
        }
    }
}

/// What was started; all of it ends when this is dropped.
#[derive(Debug, Default)]
pub struct Started {
    threads: Vec<(Stop, Option<JoinHandle<()>>)>,
}

/// Tells a thread to end.
#[derive(Debug)]
enum Stop {
    /// One that never waits.
    Flag(Arc<AtomicBool>),
    /// One that waits: nobody is left who could send.
    HangUp(Option<Sender<()>>),
}

impl Drop for Started {
    fn drop(&mut self) {
        for (stop, _) in &mut self.threads {
            match stop {
                Stop::Flag(flag) => flag.store(true, Ordering::Relaxed),
                Stop::HangUp(sender) => drop(sender.take()),
            }
        }
        // A thread that panicked has ended too.
        self.threads.iter_mut().filter_map(|(_, thread)| thread.take()).for_each(|it| {
            drop(it.join());
        });
    }
}

impl Started {
    /// Starts all of these; `services` are the processes that a pause stops.
    pub fn start(all: &[Beside], services: &[Pid]) -> Self {
        let mut started = Self::default();
        for beside in all {
            match beside {
                Beside::Burn(loops) => (0..*loops).for_each(|_| started.burn()),
                Beside::Pause => {
                    let services = services.to_vec();
                    started.waiting(move |hung_up| pause(&services, &hung_up));
                }
                Beside::Run(command) => {
                    let command = command.clone();
                    started.waiting(move |hung_up| run(&command, &hung_up));
                }
            }
        }
        started
    }

    fn burn(&mut self) {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        self.threads.push((Stop::Flag(stop), Some(thread)));
    }

    fn waiting(&mut self, work: impl FnOnce(Receiver<()>) + Send + 'static) {
        let (sender, hung_up) = mpsc::channel();
        let thread = std::thread::spawn(move || work(hung_up));
        self.threads.push((Stop::HangUp(Some(sender)), Some(thread)));
    }
}

/// Waits for this long; whether it goes on after that.
fn goes_on(hung_up: &Receiver<()>, time: Duration) -> bool {
    matches!(hung_up.recv_timeout(time), Err(RecvTimeoutError::Timeout))
}

fn pause(services: &[Pid], hung_up: &Receiver<()>) {
    let mut wait = FIRST;
    for &service in services.iter().cycle() {
        if !goes_on(hung_up, wait) {
            return;
        }
        // A service that is gone cannot be stopped; the story tells what that did.
        kill_process(service, Signal::STOP).ok();
        let more = goes_on(hung_up, PAUSE);
        kill_process(service, Signal::CONT).ok();
        if !more {
            return;
        }
        wait = BETWEEN;
    }
}

fn run(command: &str, hung_up: &Receiver<()>) {
    loop {
        let shell = Command::new("sh")
            .args(["-c", command])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        let Ok(mut shell) = shell else { return };
        while matches!(shell.try_wait(), Ok(None)) {
            if !goes_on(hung_up, LOOK) {
                end(&mut shell);
                return;
            }
        }
        // One that fails at once is no load, and need not become one.
        if !goes_on(hung_up, LOOK) {
            return;
        }
    }
}

/// Ends a command with all that it started.
fn end(shell: &mut Child) {
    if let Some(group) = i32::try_from(shell.id()).ok().and_then(Pid::from_raw) {
        // It may have ended by itself.
        kill_process_group(group, Signal::KILL).ok();
    }
    drop(shell.wait());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_beside_is_read() {
        assert_eq!("burn:4".parse(), Ok(Beside::Burn(4)));
        assert_eq!("pause".parse(), Ok(Beside::Pause));
        assert_eq!("run:echo a:b".parse(), Ok(Beside::Run("echo a:b".to_owned())));
        for bad in ["", "burn", "burn:", "burn:0", "burn:65", "burn:x", "pause:1", "run", "run: "] {
            assert!(bad.parse::<Beside>().is_err(), "{bad:?}");
        }
    }

    /// The state in `/proc`: `T` stopped, `S` asleep, `Z` or gone when it has ended.
    fn state(pid: Pid) -> char {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
        let after_name = stat.ok().and_then(|it| it.rsplit_once(") ").map(|(_, it)| it.to_owned()));
        after_name.and_then(|it| it.chars().next()).unwrap_or('Z')
    }

    fn becomes(pid: Pid, wanted: impl Fn(char) -> bool) {
        let start = std::time::Instant::now();
        while !wanted(state(pid)) {
            assert!(start.elapsed() < Duration::from_secs(30), "{} is {}", pid, state(pid));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn sleeper() -> (Child, Pid) {
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_child(&child);
        (child, pid)
    }

    #[test]
    fn services_are_stopped_one_after_the_other_and_never_stay_so() {
        let ((mut first, one), (mut second, two)) = (sleeper(), sleeper());
        let started = Started::start(&[Beside::Pause], &[one, two]);
        becomes(one, |state| state == 'T');
        assert_ne!(state(two), 'T');
        becomes(one, |state| state != 'T');
        becomes(two, |state| state == 'T');
        drop(started);
        becomes(two, |state| state != 'T');
        for child in [&mut first, &mut second] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    #[test]
    fn busy_loops_end_when_they_are_forgotten() {
        // It waits for their end.
        drop(Started::start(&[Beside::Burn(2)], &[]));
    }

    #[test]
    fn a_command_goes_on_until_the_end_and_ends_with_all_that_it_started() {
        let file = std::env::temp_dir().join(format!("lab-beside-{}", std::process::id()));
        let command = format!("echo $$ >> {0}; sleep 60 & echo $! >> {0}; wait", file.display());
        let started = Started::start(&[Beside::Run(command)], &[]);
        let start = std::time::Instant::now();
        let pids = loop {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            let pids: Vec<_> = text.lines().filter_map(|line| line.parse().ok()).collect();
            if pids.len() == 2 && text.ends_with('\n') {
                break pids;
            }
            assert!(start.elapsed() < Duration::from_secs(30));
            std::thread::sleep(Duration::from_millis(5));
        };
        drop(started);
        std::fs::remove_file(&file).unwrap();
        for pid in pids {
            becomes(Pid::from_raw(pid).unwrap(), |state| state == 'Z');
        }
    }
}
