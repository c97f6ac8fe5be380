//! A restart: one process takes over the sockets of another, which lets its clients go, and no request fails.
//!
//! The sockets are passed as systemd passes them. Whoever binds them here holds them until the end, as
//! systemd does.

use std::io::Read;
use std::net::{SocketAddr, TcpListener as Bound};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::certificates::TempFile;
use crate::eventually;
use crate::process::{Process, started};
use crate::support::{fixed, in_time};

/// Sockets become descriptors 3 and 4, and the process has the number that it is told.
const PASS: &str = r#"exec 3<&0 4<&1 0</dev/null 1>&2; LISTEN_PID=$$ exec "$0" "$@""#;

/// A proxy that is started on these sockets, of which there may be two.
fn on(sockets: &[(&str, &Bound)], settings: &[(&str, &str)]) -> Command {
    on_by(PASS, sockets, settings)
}

fn on_by(script: &str, sockets: &[(&str, &Bound)], settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_mirrorlab-proxy")]);
    command.env_clear().envs(settings.iter().copied()).stderr(Stdio::piped());
    command.env("LOG_FORMAT", "json").env("LISTEN_FDS", sockets.len().to_string());
    let names: Vec<_> = sockets.iter().map(|(name, _)| *name).collect();
    command.env("LISTEN_FDNAMES", names.join(":"));
    let passed =
        |(_, socket): &(&str, &Bound)| Stdio::from(OwnedFd::from(socket.try_clone().unwrap()));
    let mut passed = sockets.iter().map(passed);
    command.stdin(passed.next().unwrap_or_else(Stdio::null));
    command.stdout(passed.next().unwrap_or_else(Stdio::null));
    command
}

fn bound() -> (Bound, SocketAddr) {
    let socket = Bound::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

fn url(addr: SocketAddr) -> String {
    format!("http://{addr}")
}

/// Why a process did not start.
async fn why_not(command: &mut Command) -> String {
    struct Killed(Child);
    impl Drop for Killed {
        fn drop(&mut self) {
            drop(self.0.kill());
            drop(self.0.wait());
        }
    }
    let mut child = Killed(command.spawn().unwrap());
    eventually!(child.0.try_wait().unwrap().is_some());
    assert_eq!(child.0.wait().unwrap().code(), Some(1));
    let mut told = String::new();
    child.0.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    told
}

async fn refused(sockets: &[(&str, &Bound)]) -> String {
    why_not(&mut on(sockets, &[("LISTEN_ADDR", "127.0.0.1:0")])).await
}

async fn get(addr: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    in_time(stream.read_to_string(&mut answer)).await.unwrap();
    answer
}

#[tokio::test]
async fn sockets_that_are_passed_take_the_place_of_addresses_by_their_names() {
    let (baseline, candidate) = (fixed("{}").await, fixed("{}").await);
    let ((traffic, at), (admin, at_admin)) = (bound(), bound());
    let (upstream, other) = (url(baseline.addr), url(candidate.addr));
    // Somebody has these addresses: they are not bound.
    let taken = [baseline.addr.to_string(), candidate.addr.to_string()];
    let settings = [
        ("BASELINE_URL", upstream.as_str()),
        ("CANDIDATE_URL", other.as_str()),
        ("LISTEN_ADDR", taken[0].as_str()),
        ("ADMIN_ADDR", taken[1].as_str()),
    ];
    let process = started(&mut on(&[("admin", &admin), ("traffic", &traffic)], &settings)).await;
    assert_eq!(process.addr(), at);
    assert!(get(at, "/").await.starts_with("HTTP/1.1 200"));
    assert!(get(at_admin, "/readyz").await.starts_with("HTTP/1.1 200"));
    assert!(get(at_admin, "/else").await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn a_listener_of_the_settings_file_takes_the_socket_of_its_name_and_the_others_are_bound() {
    let baseline = fixed("{}").await;
    let text = format!(
        "[listen]\naddress = \"127.0.0.1:0\"\n[baseline]\nurl = \"{0}\"\n\
         [[candidate]]\nname = \"v2\"\nurl = \"{0}\"\n\
         [[listener]]\nname = \"other\"\naddress = \"{1}\"\n",
        url(baseline.addr),
        baseline.addr
    );
    let file = TempFile::new(&text);
    let (other, at) = bound();
    let settings = [("MIRROR_CONFIG", file.path())];
    let process = started(&mut on(&[("other", &other)], &settings)).await;
    assert!(get(at, "/").await.starts_with("HTTP/1.1 200"));
    assert_ne!(process.addr(), at);
    assert!(get(process.addr(), "/").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_socket_that_is_for_nothing_is_named_with_its_address_and_ends_the_start() {
    let ((one, at), (two, _)) = (bound(), bound());
    let why = refused(&[("trafic", &one)]).await;
    assert!(why.contains("trafic") && why.contains(&at.to_string()), "{why}");
    assert!(why.contains("allowed are"), "{why}");
    let why = refused(&[("admin", &one)]).await;
    assert!(why.contains("ADMIN_ADDR"), "{why}");
    let why = refused(&[("traffic", &one), ("traffic", &two)]).await;
    assert!(why.contains("traffic") && why.contains("twice"), "{why}");
    // As of a unit that names none.
    assert!(refused(&[("", &one)]).await.contains("unknown"));
}

#[tokio::test]
async fn what_is_passed_and_takes_no_connections_of_tcp_is_refused() {
    let mut command = on(&[], &[]);
    command.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", "traffic");
    let why = why_not(&mut command).await;
    assert!(why.contains("traffic") && why.contains("none of TCP"), "{why}");
    let (socket, at) = bound();
    let _client = std::net::TcpStream::connect(at).unwrap();
    let connection: OwnedFd = socket.accept().unwrap().0.into();
    let why = why_not(on(&[("traffic", &socket)], &[]).stdin(connection)).await;
    assert!(why.contains("Accept="), "{why}");
}

#[tokio::test]
async fn sockets_of_another_process_are_left_alone() {
    let (socket, at) = bound();
    let settings = [("LISTEN_ADDR", "127.0.0.1:0")];
    let script = PASS.replace("$$", "1");
    let mut command = on_by(&script, &[("traffic", &socket)], &settings);
    assert_ne!(started(&mut command).await.addr(), at);
}

/// What clients saw.
#[derive(Debug, Default)]
struct Seen {
    stop: AtomicBool,
    answered: AtomicUsize,
    failed: std::sync::Mutex<Vec<String>>,
}

impl Seen {
    fn note(&self, answered: Result<(), String>) {
        match answered {
            Ok(()) => drop(self.answered.fetch_add(1, Ordering::Relaxed)),
            Err(why) => self.failed.lock().unwrap().push(why),
        }
    }

    fn count(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    fn more(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }
}

/// Asks, and reads one whole answer; whether the connection may be used again.
async fn ask(stream: &mut TcpStream, request: &str) -> Result<bool, String> {
    let told = |error: std::io::Error| error.to_string();
    stream.write_all(request.as_bytes()).await.map_err(told)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(error) => {
                return Err(format!("{error} after {:?}", String::from_utf8_lossy(&head)));
            }
        }
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    if !head.starts_with("http/1.1 200") {
        return Err(head);
    }
    let mut body = [0; 2];
    stream.read_exact(&mut body).await.map_err(told)?;
    Ok(!head.contains("connection: close"))
}

/// One connection for each request.
async fn short(addr: SocketAddr, seen: Arc<Seen>) {
    const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    while seen.more() {
        let asked = async {
            let mut stream = TcpStream::connect(addr).await.map_err(|error| error.to_string())?;
            ask(&mut stream, GET).await.map(drop)
        };
        seen.note(asked.await.map_err(|why| format!("a short connection: {why}")));
    }
}

/// One connection for as many requests as the proxy allows.
async fn kept(addr: SocketAddr, seen: Arc<Seen>, pause: Duration) {
    const POST: &str = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}";
    while seen.more() {
        let asked = async {
            let mut stream = TcpStream::connect(addr).await.map_err(|error| error.to_string())?;
            while ask(&mut stream, POST).await? && seen.more() {
                seen.note(Ok(()));
                tokio::time::sleep(pause).await;
            }
            Ok::<_, String>(())
        };
        seen.note(asked.await.map_err(|why| format!("a kept connection: {why}")));
    }
}

/// Over HTTP/2, as a client of a library does.
async fn streams(addr: SocketAddr, seen: Arc<Seen>) {
    let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    while seen.more() {
        let asked = client.get(url(addr)).send().await;
        let asked = asked.and_then(reqwest::Response::error_for_status);
        seen.note(asked.map(drop).map_err(|error| format!("over HTTP/2: {error:?}")));
    }
}

fn load(addr: SocketAddr) -> (Arc<Seen>, JoinSet<()>) {
    let (seen, mut clients) = (Arc::new(Seen::default()), JoinSet::new());
    for at in 0..8 {
        clients.spawn(short(addr, Arc::clone(&seen)));
        clients.spawn(kept(addr, Arc::clone(&seen), Duration::from_millis(at * 3)));
    }
    clients.spawn(streams(addr, Arc::clone(&seen)));
    (seen, clients)
}

async fn over(seen: &Seen, mut clients: JoinSet<()>) {
    seen.stop.store(true, Ordering::Relaxed);
    in_time(async { while clients.join_next().await.is_some() {} }).await;
    let failed = seen.failed.lock().unwrap();
    assert!(failed.is_empty(), "{} answered, {} failed: {failed:#?}", seen.count(), failed.len());
}

/// Waits for some more answers.
async fn serves(seen: &Seen) {
    let before = seen.count();
    eventually!(seen.count() > before + 200);
}

/// A process on this socket whose clients know in time that their connection ends, if they pause for less.
async fn restarted(socket: &Bound, baseline: SocketAddr) -> Process {
    let upstream = url(baseline);
    let settings = [
        ("BASELINE_URL", upstream.as_str()),
        ("CANDIDATE_URL", upstream.as_str()),
        ("DRAIN_DELAY", "500ms"),
        ("MAX_CONNECTIONS_PER_CLIENT", "1000"),
    ];
    started(&mut on(&[("traffic", socket)], &settings)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_under_load_fails_no_request() {
    let baseline = fixed("{}").await;
    let (socket, addr) = bound();
    let start = || restarted(&socket, baseline.addr);
    let mut old: Process = start().await;
    let (seen, clients) = load(addr);
    for _ in 0..2 {
        serves(&seen).await;
        let new = start().await;
        old.signal("TERM");
        assert_eq!(old.exit_code().await, Some(0));
        old = new;
    }
    serves(&seen).await;
    over(&seen, clients).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_come_while_nobody_is_there_wait_for_the_next_process() {
    let baseline = fixed("{}").await;
    let (socket, addr) = bound();
    let start = || restarted(&socket, baseline.addr);
    let mut old: Process = start().await;
    let (seen, clients) = load(addr);
    serves(&seen).await;
    old.signal("TERM");
    assert_eq!(old.exit_code().await, Some(0));
    let _new = start().await;
    serves(&seen).await;
    over(&seen, clients).await;
}

/// What a supervisor is told.
struct Supervisor {
    socket: tokio::net::UnixDatagram,
    path: std::path::PathBuf,
}

impl Supervisor {
    fn new(name: &str) -> Self {
        let name = format!("mirrorlab-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let socket = tokio::net::UnixDatagram::bind(&path).unwrap();
        Self { socket, path }
    }

    /// Waits for a message with this line.
    async fn hears(&self, line: &str) -> String {
        let heard = async {
            loop {
                let mut message = [0; 4096];
                let length = self.socket.recv(&mut message).await.unwrap();
                let message = String::from_utf8_lossy(&message[..length]).into_owned();
                if message.lines().any(|told| told.starts_with(line)) {
                    return message;
                }
            }
        };
        in_time(heard).await
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.path));
    }
}

#[tokio::test]
async fn a_supervisor_hears_when_it_is_ready_reloads_lives_and_stops() {
    let baseline = fixed("{}").await;
    let supervisor = Supervisor::new("supervisor");
    let (socket, _) = bound();
    let upstream = url(baseline.addr);
    let settings = [
        ("BASELINE_URL", upstream.as_str()),
        ("CANDIDATE_URL", upstream.as_str()),
        ("NOTIFY_SOCKET", supervisor.path.to_str().unwrap()),
        ("WATCHDOG_USEC", "300000"),
        ("DRAIN_TIMEOUT", "3s"),
    ];
    let mut process = started(&mut on(&[("traffic", &socket)], &settings)).await;
    supervisor.hears("READY=1").await;
    supervisor.hears("STATUS=mirroring: candidate on").await;
    for _ in 0..3 {
        supervisor.hears("WATCHDOG=1").await;
    }
    process.signal("HUP");
    let told = supervisor.hears("RELOADING=1").await;
    assert!(told.contains("MONOTONIC_USEC="), "{told}");
    supervisor.hears("READY=1").await;
    process.signal("TERM");
    let told = supervisor.hears("STOPPING=1").await;
    assert!(told.contains("EXTEND_TIMEOUT_USEC=13000000"), "{told}");
    assert_eq!(process.exit_code().await, Some(0));
}

/// As systemd itself starts it, on the first connection.
#[tokio::test]
async fn it_is_started_by_systemds_own_activator() {
    const PROGRAM: &str = "systemd-socket-activate";
    if Command::new(PROGRAM).arg("--version").output().is_err() {
        return skipped_systemd();
    }
    let baseline = fixed("{}").await;
    let at = crate::support::free();
    let upstream = url(baseline.addr);
    let mut command = Command::new(PROGRAM);
    command.args([&format!("--listen={at}"), "--fdname=traffic"]);
    for (name, value) in [("BASELINE_URL", &*upstream), ("LOG_FORMAT", "json")] {
        command.arg(format!("--setenv={name}={value}"));
    }
    command.arg(format!("--setenv=CANDIDATE_URL={upstream}"));
    command.arg(env!("CARGO_BIN_EXE_mirrorlab-proxy"));
    command.stderr(Stdio::piped()).stdout(Stdio::null());
    let ask = tokio::spawn(async move {
        eventually!(TcpStream::connect(at).await.is_ok());
        get(at, "/").await
    });
    let process = started(&mut command).await;
    assert_eq!(process.addr(), at);
    assert!(in_time(ask).await.unwrap().starts_with("HTTP/1.1 200"));
}

fn skipped_systemd() {
    crate::support::skipped("there is no systemd-socket-activate");
}
