//! The binary: settings, signals, exit codes, log lines.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::certificates::{TempFile, certificates};
use crate::servers;
use crate::support::{fixed, hung, in_time, read_head, refusing};

pub(crate) fn command(settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mirrorlab-proxy"));
    command.env_clear().envs(settings.iter().copied());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A running proxy; killed when the test ends.
pub(crate) struct Process {
    child: Child,
    addr: SocketAddr,
    log: std::sync::Arc<std::sync::Mutex<String>>,
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub(crate) async fn start(
    baseline: SocketAddr,
    candidate: SocketAddr,
    more: &[(&str, &str)],
) -> Process {
    let (baseline, candidate) = (format!("http://{baseline}"), format!("http://{candidate}"));
    let mut settings = vec![
        ("LISTEN_ADDR", "127.0.0.1:0"),
        ("BASELINE_URL", &baseline),
        ("CANDIDATE_URL", &candidate),
        ("MIRROR_FRACTION", "1"),
        ("LOG_FORMAT", "json"),
    ];
    settings.extend_from_slice(more);
    started(&mut command(&settings)).await
}

/// A proxy by this command, which must write its log as JSON.
pub(crate) async fn started(command: &mut Command) -> Process {
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let log = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let kept = std::sync::Arc::clone(&log);
    let (ready, when_ready) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut ready = Some(ready);
        while let Some(Ok(line)) = lines.next() {
            if line.contains("\"ready\"")
                && let Some(ready) = ready.take()
            {
                let line: serde_json::Value = serde_json::from_str(&line).unwrap();
                let addr = line["fields"]["traffic"].as_str().unwrap().parse().unwrap();
                ready.send(addr).unwrap();
            }
            kept.lock().unwrap().push_str(&format!("{line}\n"));
        }
    });
    let addr: SocketAddr = in_time(when_ready).await.unwrap();
    Process { child, addr, log }
}

impl Process {
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }

    pub(crate) async fn exit_code(&mut self) -> Option<i32> {
        crate::eventually!(self.child.try_wait().unwrap().is_some());
        self.child.wait().unwrap().code()
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Resident memory in KiB.
    #[cfg(target_os = "linux")]
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    pub(crate) async fn request(&self) -> TcpStream {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        stream
    }
}

#[tokio::test]
async fn a_log_that_nobody_takes_costs_no_client_an_answer() {
    let nowhere = format!("http://{}", refusing());
    let settings = [
        ("LISTEN_ADDR", "127.0.0.1:0"),
        ("BASELINE_URL", nowhere.as_str()),
        ("CANDIDATE_URL", nowhere.as_str()),
        ("LOG_FORMAT", "json"),
        ("LOG_LEVEL", "trace"),
    ];
    let mut child = command(&settings).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let ready = lines.find_map(|line| line.ok().filter(|line| line.contains("\"ready\""))).unwrap();
    let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
    let addr = ready["fields"]["traffic"].as_str().unwrap().parse().unwrap();
    // The other end of its standard error goes away.
    drop(lines);
    let mut process = Process { child, addr, log: std::sync::Arc::default() };
    for _ in 0..3 {
        let mut client = process.request().await;
        let head = in_time(read_head(&mut client)).await;
        assert!(head.starts_with("HTTP/1.1 502"), "{head}");
    }
    process.signal("TERM");
    assert_eq!(process.exit_code().await, Some(0));
}

#[tokio::test]
async fn a_full_pipe_for_the_log_delays_no_client_and_no_end_and_what_is_dropped_is_counted() {
    let baseline = fixed("{}").await;
    let url = format!("http://{}", baseline.addr);
    let settings = [
        ("LISTEN_ADDR", "127.0.0.1:0"),
        ("BASELINE_URL", url.as_str()),
        ("CANDIDATE_URL", url.as_str()),
        ("LOG_FORMAT", "json"),
        ("LOG_LEVEL", "trace"),
        // Of each frame it has something to say.
        ("BASELINE_HTTP", "2"),
        ("CANDIDATE_HTTP", "2"),
    ];
    let mut child = command(&settings).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let ready = lines.find_map(|line| line.ok().filter(|line| line.contains("\"ready\""))).unwrap();
    let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
    let addr = ready["fields"]["traffic"].as_str().unwrap().parse().unwrap();
    let mut process = Process { child, addr, log: std::sync::Arc::default() };
    // From here on nobody reads, and nobody closes: `lines` lives until the end.
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = async |path: &str| {
        let answer = in_time(client.get(format!("http://{addr}{path}")).send()).await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.text().await.unwrap()
    };
    crate::eventually!({
        get("/").await;
        let metrics = get("/metrics").await;
        crate::support::sum(&metrics, "mirror_log_lines_dropped_total", &[]) > 0.0
    });
    get("/readyz").await;
    process.signal("TERM");
    assert_eq!(process.exit_code().await, Some(0));
    drop(lines);
}

#[tokio::test]
async fn sighup_shows_the_renewed_certificate_and_keeps_the_old_one_where_the_new_is_bad() {
    let (old, new) = (certificates(), certificates());
    let (chain, key) = (TempFile::new(&old.chain), TempFile::new(&old.key));
    let settings = [("TLS_CERT", chain.path()), ("TLS_KEY", key.path())];
    let baseline = fixed("{}").await;
    let process = start(baseline.addr, refusing(), &settings).await;
    let get = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut kept = old.connect(process.addr, &[]).await;
    std::fs::write(chain.path(), &new.chain).unwrap();
    process.signal("HUP");
    crate::eventually!(process.log().contains("not reloaded"));
    assert!(process.log().contains("TLS_KEY"), "{}", process.log());
    old.connect(process.addr, &[]).await;
    std::fs::write(key.path(), &new.key).unwrap();
    process.signal("HUP");
    crate::eventually!(process.log().contains("\"reloaded"));
    let mut renewed = new.connect(process.addr, &[]).await;
    renewed.write_all(get).await.unwrap();
    in_time(async {
        let (mut metrics, mut part) = (String::new(), [0; 4096]);
        let both = ["success", "failure"]
            .map(|it| format!("mirror_config_reloads_total{{result=\"{it}\"}} 1"));
        while !both.iter().all(|line| metrics.contains(line)) {
            let read = renewed.read(&mut part).await.unwrap();
            metrics.push_str(std::str::from_utf8(&part[..read]).unwrap());
        }
    })
    .await;
    // A connection from before goes on.
    kept.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut begin = [0; 12];
    in_time(kept.read_exact(&mut begin)).await.unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200");
}

#[tokio::test]
async fn sighup_reads_the_authorities_of_upstreams_anew() {
    let (theirs, other) = (certificates(), certificates());
    let behind = fixed("{}").await;
    let secure = crate::support::proxy(behind.addr, refusing(), |config| {
        config.tls = Some(theirs.identity());
    });
    let secure = secure.await;
    let url = format!("https://localhost:{}", secure.app.traffic.port());
    let authorities = TempFile::new(&other.authority);
    let settings = [("BASELINE_URL", &*url), ("UPSTREAM_CA", authorities.path())];
    let process = start(behind.addr, refusing(), &settings).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let status = async || {
        let answer = client.get(format!("http://{}/", process.addr)).send();
        in_time(answer).await.unwrap().status().as_u16()
    };
    assert_eq!(status().await, 502);
    std::fs::write(authorities.path(), &theirs.authority).unwrap();
    process.signal("HUP");
    crate::eventually!(process.log().contains("reloaded"));
    assert!(!process.log().contains("not reloaded"), "{}", process.log());
    crate::eventually!(status().await == 200);
}

/// Holds a lease on a file: whoever opens it waits until it is given back, as on a share that hangs.
#[cfg(target_os = "linux")]
const LEASE: &str = r#"
import fcntl, signal
signal.signal(signal.SIGIO, lambda *_: open("asked", "w"))
file = open("authority.pem", "r+")
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
open("held", "w")
while True:
    signal.pause()
"#;

#[cfg(target_os = "linux")]
#[tokio::test]
async fn settings_that_hang_at_a_sighup_keep_neither_the_status_nor_sigterm_waiting() {
    let folder = servers::folder("hanging");
    let files = [("lease.py", LEASE), ("authority.pem", &certificates().authority)];
    std::fs::create_dir_all(&folder).unwrap();
    let authority = folder.join(files[1].0);
    std::fs::write(&authority, files[1].1).unwrap();
    let url = format!("http://{}", fixed("{}").await.addr);
    let settings = [
        ("LISTEN_ADDR", "127.0.0.1:0"),
        ("BASELINE_URL", url.as_str()),
        ("LOG_FORMAT", "json"),
        ("UPSTREAM_CA", authority.to_str().unwrap()),
    ];
    let mut process = started(&mut command(&settings)).await;
    let Some(_holds) = servers::Server::start("python3", &[], &files, &folder) else { return };
    crate::eventually!(folder.join("held").exists());
    process.signal("HUP");
    crate::eventually!(folder.join("asked").exists());
    let status = format!("http://{}/control/status", process.addr());
    let client = crate::support::client();
    for _ in 0..20 {
        assert_eq!(in_time(client.get(&status).send()).await.unwrap().status(), 200);
    }
    assert!(!process.log().contains("reloaded"), "{}", process.log());
    process.signal("TERM");
    assert_eq!(process.exit_code().await, Some(0));
}

#[tokio::test]
async fn a_certificate_that_became_a_pipe_is_refused_at_a_sighup_and_not_waited_for() {
    let url = format!("http://{}", fixed("{}").await.addr);
    let file = TempFile::new(&certificates().authority);
    let settings = [
        ("LISTEN_ADDR", "127.0.0.1:0"),
        ("BASELINE_URL", url.as_str()),
        ("LOG_FORMAT", "json"),
        ("UPSTREAM_CA", file.path()),
    ];
    let process = started(&mut command(&settings)).await;
    std::fs::remove_file(file.path()).unwrap();
    assert!(Command::new("mkfifo").arg(file.path()).status().unwrap().success());
    process.signal("HUP");
    crate::eventually!(process.log().contains("is no plain file"));
}

#[tokio::test]
async fn sighup_reads_the_file_of_rules_anew() {
    let rules = TempFile::new("");
    let (baseline, candidate) = (fixed(r#"{"x":1}"#).await, fixed(r#"{"x":2}"#).await);
    let settings = [("MIRROR_CONFIG", rules.path())];
    let process = start(baseline.addr, candidate.addr, &settings).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = async |path: &str| {
        let answer = client.get(format!("http://{}{path}", process.addr)).send();
        in_time(answer).await.unwrap().text().await.unwrap()
    };
    let outcomes = async |outcome: &str| {
        let label = format!("outcome=\"{outcome}\"");
        crate::support::sum(&get("/metrics").await, "mirror_outcomes_total", &[&label])
    };
    get("/").await;
    crate::eventually!(outcomes("mismatched").await == 1.0);
    std::fs::write(rules.path(), "[compare]\nignore = [\"$.x\"]\n").unwrap();
    process.signal("HUP");
    crate::eventually!(process.log().contains("\"reloaded"));
    get("/").await;
    crate::eventually!(outcomes("matched").await == 1.0);
    assert_eq!(outcomes("mismatched").await, 1.0);
}

#[tokio::test]
async fn signals_without_a_meaning_do_nothing_and_sigquit_ends_it_at_once() {
    let baseline = hung().await;
    let settings = [("DRAIN_TIMEOUT", "1h"), ("BASELINE_TIMEOUT", "1h")];
    let mut process = start(baseline.addr, refusing(), &settings).await;
    for name in ["USR1", "USR2", "ALRM", "IO", "HUP"] {
        process.signal(name);
    }
    // The last of them has left its line, so that the others were taken too.
    crate::eventually!(process.log().contains("\"reloaded"));
    let _client = process.request().await;
    crate::eventually!(baseline.count() == 1);
    process.signal("QUIT");
    assert_eq!(process.exit_code().await, Some(1));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn it_takes_all_descriptors_there_are_and_says_when_they_are_few() {
    for (limit, warns) in [("ulimit -Sn 200; ulimit -Hn 20000", false), ("ulimit -n 200", true)] {
        let script = format!("{limit}; exec {}", env!("CARGO_BIN_EXE_mirrorlab-proxy"));
        let mut child = Command::new("sh");
        child.args(["-c", &script]).env_clear().env("LISTEN_ADDR", "127.0.0.1:0");
        let mut child = child.stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut log = String::new();
        for line in lines {
            log.push_str(&line.unwrap());
            if log.contains("ready") {
                break;
            }
        }
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
        let [soft, hard] = [3, 4].map(|at| files.split_whitespace().nth(at));
        assert_eq!(soft, hard, "{files}");
        assert_eq!(log.contains("fewer file descriptors"), warns, "{log}");
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn bad_settings_stop_the_start_with_code_2_and_one_message_for_all() {
    let output = command(&[
        ("MIRROR_FRACTION", "2"),
        ("ABORT_COOLDOWN", "0"),
        ("BASELINE_URL", "http://me:secret@host"),
    ])
    .output()
    .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let message = text(&output);
    for name in ["MIRROR_FRACTION=\"2\"", "ABORT_COOLDOWN=\"0\"", "BASELINE_URL="] {
        assert!(message.contains(name), "{message}");
    }
    assert!(!message.contains("secret"), "{message}");
}

#[test]
fn unknown_arguments_are_code_2_and_help_is_0() {
    assert_eq!(command(&[]).arg("--what").output().unwrap().status.code(), Some(2));
    let help = command(&[]).arg("--help").output().unwrap();
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&help.stdout).contains("--healthcheck"));
    for help in ["--help", "-h"] {
        let help = command(&[]).args(["report", help]).output().unwrap();
        assert_eq!(help.status.code(), Some(0));
        assert!(String::from_utf8_lossy(&help.stdout).contains("--min-pairs"));
    }
}

#[tokio::test]
async fn a_taken_address_is_code_1() {
    let process = start(refusing(), refusing(), &[]).await;
    let addr = process.addr.to_string();
    let output = command(&[("LISTEN_ADDR", &addr)]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains(&addr));
}

#[tokio::test]
async fn sigterm_and_sigint_drain_and_exit_0() {
    for signal in ["TERM", "INT"] {
        let (release, released) = tokio::sync::watch::channel(false);
        let baseline = crate::support::upstream(move |_| {
            let mut released = released.clone();
            async move {
                released.wait_for(|go| *go).await.unwrap();
                crate::support::json("{}")
            }
        })
        .await;
        let mut process = start(baseline.addr, refusing(), &[]).await;
        let mut client = process.request().await;
        crate::eventually!(baseline.count() == 1);
        process.signal(signal);
        crate::eventually!(TcpStream::connect(process.addr).await.is_err());
        release.send(true).unwrap();
        let head = in_time(read_head(&mut client)).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{signal}: {head}");
        assert_eq!(process.exit_code().await, Some(0), "{signal}");
    }
}

#[tokio::test]
async fn a_drain_has_a_bound() {
    let baseline = hung().await;
    let mut process = start(baseline.addr, refusing(), &[("DRAIN_TIMEOUT", "200ms")]).await;
    let _client = process.request().await;
    crate::eventually!(baseline.count() == 1);
    process.signal("TERM");
    assert_eq!(process.exit_code().await, Some(0));
    // The log is read beside, and may be behind.
    crate::eventually!(process.log().contains("cut"));
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let baseline = hung().await;
    let mut process = start(baseline.addr, refusing(), &[("DRAIN_TIMEOUT", "1h")]).await;
    let _client = process.request().await;
    crate::eventually!(baseline.count() == 1);
    process.signal("TERM");
    crate::eventually!(process.log().contains("draining"));
    process.signal("TERM");
    assert_eq!(process.exit_code().await, Some(1));
}

#[tokio::test]
async fn the_healthcheck_tells_healthy_from_not() {
    let process = start(refusing(), refusing(), &[]).await;
    let addr = process.addr.to_string();
    let check = || {
        let mut command = command(&[("LISTEN_ADDR", &addr)]);
        command.arg("--healthcheck").output().unwrap().status.code()
    };
    assert_eq!(check(), Some(0));
    drop(process);
    assert_eq!(check(), Some(1));
}

#[tokio::test]
async fn log_lines_tell_of_trips_and_failures_without_any_payload() {
    let baseline = crate::support::upstream(|_| async {
        let mut answer = crate::support::json(r#"{"email":"secret-reply@example.com"}"#);
        answer.headers_mut().insert("x-answer", "secret-header".parse().unwrap());
        answer
    })
    .await;
    let settings = [("ABORT_CONSECUTIVE", "1"), ("LOG_LEVEL", "debug")];
    let process = start(baseline.addr, refusing(), &settings).await;
    let mut client = TcpStream::connect(process.addr).await.unwrap();
    let request = b"POST /?q=secret-query HTTP/1.1\r\nhost: x\r\nauthorization: secret-token\r\n\
        content-length: 11\r\nconnection: close\r\n\r\nsecret-body";
    client.write_all(request).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    crate::eventually!(process.log().contains("mirroring stopped by the guardrail"));
    assert!(!process.log().contains("secret"), "{}", process.log());
    for line in process.log().lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("a JSON object a line");
    }
    let failing = start(refusing(), refusing(), &[]).await;
    for _ in 0..50 {
        let mut client = failing.request().await;
        in_time(read_head(&mut client)).await;
    }
    crate::eventually!(failing.log().contains("the baseline failed"));
    let lines = failing.log().matches("the baseline failed").count();
    assert_eq!(lines, 1, "rate-limited");
}

#[tokio::test]
async fn a_baseline_that_breaks_off_in_the_middle_is_logged() {
    let broken =
        crate::support::writes(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly").await;
    let process = start(broken, refusing(), &[("MIRROR_FRACTION", "0")]).await;
    let mut client = process.request().await;
    let mut answer = Vec::new();
    drop(client.read_to_end(&mut answer).await);
    crate::eventually!(process.log().contains("in the middle of a response"));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_large_upload_and_download_leave_memory_flat() {
    const SIZE: u64 = 256 << 20;
    let baseline = crate::support::raw(|mut stream| async move {
        let head = read_head(&mut stream).await;
        let mut chunk = vec![0; 1 << 20];
        if head.starts_with("POST") {
            let mut left = SIZE;
            while left > 0 {
                left -= stream.read(&mut chunk).await.unwrap() as u64;
            }
            let done = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(done).await.unwrap();
        } else {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            for _ in 0..SIZE >> 20 {
                stream.write_all(&chunk).await.unwrap();
            }
        }
    })
    .await;
    let process = start(baseline, fixed("{}").await.addr, &[]).await;
    let mut upload = TcpStream::connect(process.addr).await.unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {SIZE}\r\nconnection: close\r\n\r\n"
    );
    upload.write_all(head.as_bytes()).await.unwrap();
    let chunk = vec![0; 1 << 20];
    for _ in 0..SIZE >> 20 {
        upload.write_all(&chunk).await.unwrap();
    }
    assert!(
        tokio::time::timeout(Duration::from_secs(60), read_head(&mut upload))
            .await
            .unwrap()
            .contains("200")
    );
    let mut download = process.request().await;
    let head = in_time(read_head(&mut download)).await;
    assert!(head.contains("200"), "{head}");
    let (mut got, mut chunk) = (0, vec![0; 1 << 20]);
    while got < SIZE {
        let read = download.read(&mut chunk).await.unwrap() as u64;
        assert!(read > 0, "ended after {got} bytes");
        got += read;
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 64 << 10, "peak memory {peak} KiB");
}
