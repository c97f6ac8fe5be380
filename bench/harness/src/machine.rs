//! The kernel's view: which core a thread runs on, what a process has used, and how fast the
//! machine is just now.

use std::fs;
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// The first two cores that this process may use.
pub(crate) fn two_cores() -> io::Result<(usize, usize)> {
    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    let mut cores = (0..CpuSet::count()).filter(|core| allowed.is_set(*core).unwrap_or(false));
    match (cores.next(), cores.next()) {
        (Some(proxy), Some(load)) => Ok((proxy, load)),
        _ => Err(io::Error::other("two cores are needed: one for the proxy, one for the load")),
    }
}

/// Binds this thread, and what it starts from now on, to a core.
pub(crate) fn pin(core: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(core)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

/// As many open files as we may have, for the proxies too.
pub(crate) fn raise_file_limit() -> io::Result<()> {
    const ENOUGH: u64 = 65_536;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    // Raising the hard limit needs rights that we may not have.
    if setrlimit(Resource::RLIMIT_NOFILE, ENOUGH, hard.max(ENOUGH)).is_err() {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(())
}

/// The processor time a process has used, threads that have ended included.
pub(crate) fn cpu_time(pid: u32) -> io::Result<Duration> {
    let pid = Pid::from_raw(i32::try_from(pid).map_err(io::Error::other)?);
    Ok(clock_gettime(clock_getcpuclockid(pid)?)?.into())
}

/// The most memory a process has held, in MiB.
pub(crate) fn peak_memory(pid: u32) -> io::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.map(|kib| kib / 1024.0).ok_or_else(|| io::Error::other("no VmHWM"))
}

/// Connection attempts that failed, of everybody on this machine.
pub(crate) fn failed_attempts() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/net/snmp")?;
    let mut tcp = text.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let (names, values) = (tcp.next().unwrap_or_default(), tcp.next().unwrap_or_default());
    let mut pairs = names.split(' ').zip(values.split(' '));
    let value = pairs.find(|(name, _)| *name == "AttemptFails").map(|(_, value)| value);
    value
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| io::Error::other("no AttemptFails in /proc/net/snmp"))
}

/// How fast a core is just now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speed {
    /// What a fixed piece of work took, in milliseconds of processor time.
    pub(crate) work: f64,
    /// Which share of the time we had the core.
    pub(crate) share: f64,
}

/// A fixed piece of work on this thread's core: half in memory, half in system calls.
pub(crate) fn calibrate() -> io::Result<Speed> {
    let (cpu, wall) = (thread_time()?, Instant::now());
    let block: Vec<u64> = (0..8192).collect();
    let mut hash = 0_u64;
    for _ in 0..500 {
        for word in &block {
            hash = (hash ^ word).wrapping_mul(0x0100_0000_01b3);
        }
    }
    black_box(hash);
    let (mut reader, mut writer) = io::pipe()?;
    let mut bytes = [0; 512];
    for _ in 0..8000 {
        writer.write_all(&bytes)?;
        reader.read_exact(&mut bytes)?;
    }
    let (cpu, wall) = (thread_time()? - cpu, wall.elapsed());
    Ok(Speed { work: cpu.as_secs_f64() * 1000.0, share: cpu.as_secs_f64() / wall.as_secs_f64() })
}

/// The processor time of this thread.
pub(crate) fn thread_time() -> io::Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

/// What was measured on, in one line.
pub(crate) fn description() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let value = |line: &str| line.split_once(':').map(|(_, value)| value.trim().to_owned());
    let model = processors.lines().find(|line| line.starts_with("model name")).and_then(value);
    let count = processors.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = read("/proc/sys/kernel/osrelease");
    format!(
        "{}, {count} cores, Linux {}",
        model.unwrap_or_else(|| "unknown processor".to_owned()),
        kernel.trim()
    )
}
