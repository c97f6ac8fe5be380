//! Listening live: on an interface, at the end of a mirror of the kernel's own making, and with what a real tool plays.
//! The service is not touched, a bad candidate is stopped, and privileges are given up.

use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde_json::Value;
use xtests::namespace::Namespace;
use xtests::part::{Log, Part, Process};
use xtests::raw::{Message, Service, Wire};
use xtests::stack::Place;
use xtests::tools::{self, Ended, Running, command};
use xtests::{Result, client, ensure, eventually};

use crate::packets::captured_apart;
use crate::session::{self, converted, programs};

/// The shop, with settings.
async fn shop(place: &Place, settings: &[(&'static str, &str)]) -> Result<Part> {
    let (run, binaries) = programs(place)?;
    let settings = settings.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    let log = Log::default();
    let started = Process::start(run, &binaries.demo_service, "PORT", settings, Arc::clone(&log));
    let started = started.await.map_err(|error| {
        format!("{error}: {}", log.lock().unwrap_or_else(PoisonError::into_inner))
    });
    Ok(Part::Process(Box::new(started?)))
}

/// Requests under `/api` that a shop has answered, by its own count.
async fn answered(shop: &Part) -> Result<f64> {
    let url = format!("{}/actuator/prometheus", shop.url().await?);
    let metrics = client::text(&client::client()?, &url).await?;
    Ok(client::sum(&metrics, "http_server_requests_seconds_count", &["uri=\"/api/"]))
}

async fn port(part: &Part) -> Result<String> {
    Ok(part.url().await?.rsplit_once(':').ok_or("no port")?.1.to_owned())
}

/// Where a capture's metrics are, as it says itself.
async fn admin(capture: &mut Running) -> Result<String> {
    const BEFORE: &str = "metrics, report and page are at ";
    capture.says(BEFORE).await?;
    capture.says("listening").await?;
    let said = capture.err();
    let line = said.lines().find_map(|line| line.strip_prefix(BEFORE));
    Ok(line.ok_or("no address")?.to_owned())
}

async fn metric(admin: &str, name: &str, labels: &[&str]) -> Result<f64> {
    let metrics = client::text(&client::client()?, &format!("{admin}/metrics")).await?;
    Ok(client::sum(&metrics, name, labels))
}

/// Ends a capture; what it reports, and how it ended.
async fn reported(capture: Running) -> Result<(Value, Ended)> {
    capture.signal("INT")?;
    let ended = capture.ended().await?;
    let report = serde_json::from_str(&ended.out).map_err(|error| format!("{error}: {ended:?}"))?;
    Ok((report, ended))
}

/// Every thread of a process has given up all that others may not do.
fn has_no_capabilities(id: u32) -> Result<()> {
    let mut threads = 0;
    for thread in std::fs::read_dir(format!("/proc/{id}/task"))? {
        let status = std::fs::read_to_string(thread?.path().join("status"))?;
        for set in ["CapEff:", "CapPrm:", "CapInh:", "CapAmb:"] {
            let line = status.lines().find_map(|line| line.strip_prefix(set)).ok_or("no set")?;
            ensure!(line.trim().bytes().all(|digit| digit == b'0'), "{set}{line}");
        }
        threads += 1;
    }
    ensure!(threads > 1, "it has begun");
    Ok(())
}

pub(crate) async fn a_planted_difference_is_found_on_an_interface_without_touching_the_service(
    place: &Place,
) -> Result<()> {
    const REQUESTS: u32 = 30;
    tools::root()?;
    let (run, binaries) = programs(place)?;
    let baseline = shop(place, &[]).await?;
    let candidate = shop(place, &[("CHAOS_MISMATCH_RATE", "1")]).await?;
    let (port, to) = (port(&baseline).await?, candidate.url().await?);
    let arguments =
        ["-i", "lo", "--port", &port, "--candidate", &to, "--writes", "--format", "json"];
    let arguments = [&arguments[..], &["--admin", "127.0.0.1:0"]].concat();
    let mut capture = Running::start(run, command(&binaries.capture, &arguments)).await?;
    let admin = admin(&mut capture).await?;
    has_no_capabilities(capture.id()?)?;
    let (client, url) = (client::client()?, baseline.url().await?);
    for request in 0..REQUESTS {
        client::text(&client, &format!("{url}/api/product/p-10{}", request % 10)).await?;
        let order = serde_json::json!({"productIds": ["p-100"], "email": "a@b.example"});
        let sent = client.post(format!("{url}/api/checkout")).json(&order).send().await?;
        sent.error_for_status()?;
    }
    let sent = f64::from(2 * REQUESTS);
    eventually!(
        metric(&admin, "mirror_outcomes_total", &["outcome=\"mismatched\""]).await? == sent
    );
    let (report, ended) = reported(capture).await?;
    ensure!(
        report["pairs"] == 2 * REQUESTS && report["mismatches"]["raw"] == 2 * REQUESTS,
        "{report}"
    );
    let fields = report["worstFields"].to_string();
    ensure!(fields.contains("priceCents") && fields.contains("totalCents"), "{fields}");
    let all = format!("requests: {0} seen, {0} with their answers", 2 * REQUESTS);
    // What the tests themselves ask the service is not there yet.
    ensure!(ended.err.contains(&all), "{}", ended.err);
    ensure!(answered(&baseline).await? == sent, "the service was asked by its clients alone");
    ensure!(answered(&candidate).await? == sent, "the candidate was asked once for each");
    Ok(())
}

pub(crate) async fn what_is_encrypted_is_read_with_the_keys_that_clients_log_meanwhile(
    place: &Place,
) -> Result<()> {
    tools::root()?;
    let (run, binaries) = programs(place)?;
    let folder = run.folder("encrypted")?;
    let name = |file: &str| folder.join(file).to_string_lossy().into_owned();
    let (certificate, key, keys) = (name("c.pem"), name("k.pem"), name("keys"));
    let new = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=x"];
    let new = [&new[..], &["-keyout", &key, "-out", &certificate]].concat();
    tools::tool(run, "openssl", &new).await?;
    std::fs::write(&keys, "")?;
    let shop = shop(place, &[]).await?;
    let encrypted = tls(place, &shop, (&certificate, &key)).await?;
    let (port, recording) = (port(&encrypted).await?, name("recording"));
    let arguments = ["-i", "lo", "--port", &port, "--keylog", &keys, "--record", &recording];
    let mut capture = Running::start(run, command(&binaries.capture, &arguments)).await?;
    capture.says("listening").await?;
    let url = format!("https://127.0.0.1:{port}/api/product/p-101");
    // Each is over before anybody looks at a file now and then.
    for version in [["--tls-max", "1.2"], ["--tls-max", "1.3"]] {
        let mut curl = command(&tools::find("curl")?, &["-sk", &url]);
        curl.args(version).env("SSLKEYLOGFILE", &keys);
        let ended = Running::start(run, curl).await?.ended().await?;
        ensure!(ended.out.contains("p-101"), "{ended:?}");
    }
    capture.signal("INT")?;
    let ended = capture.ended().await?;
    ensure!(ended.err.contains("requests: 2 seen, 2 with their answers"), "{}", ended.err);
    let (found, _) = converted((run, binaries), Path::new(&recording), None).await?;
    ensure!(found.len() == 2, "{} are recorded", found.len());
    Ok(())
}

/// A proxy that speaks TLS, before a service.
async fn tls(place: &Place, service: &Part, (certificate, key): (&str, &str)) -> Result<Part> {
    let (run, binaries) = programs(place)?;
    let settings = [
        ("BASELINE_URL", service.url().await?),
        ("CANDIDATE_URL", service.url().await?),
        ("MIRROR_FRACTION", "0".to_owned()),
        ("TLS_CERT", certificate.to_owned()),
        ("TLS_KEY", key.to_owned()),
        ("ADMIN_ADDR", "127.0.0.1:0".to_owned()),
    ];
    let started =
        Process::start(run, &binaries.proxy, "LISTEN_ADDR", settings.to_vec(), Log::default());
    Ok(Part::Process(Box::new(started.await?)))
}

pub(crate) async fn a_bad_candidate_of_a_capture_is_stopped(place: &Place) -> Result<()> {
    tools::root()?;
    let (run, binaries) = programs(place)?;
    let baseline = shop(place, &[]).await?;
    let candidate = shop(place, &[("CHAOS_ERROR_RATE", "1")]).await?;
    let (port, to) = (port(&baseline).await?, candidate.url().await?);
    let arguments = ["-i", "lo", "--port", &port, "--candidate", &to, "--format", "json"];
    let arguments = [&arguments[..], &["--admin", "127.0.0.1:0"]].concat();
    let mut command = command(&binaries.capture, &arguments);
    command.env("ABORT_CONSECUTIVE", "5").env("ABORT_COOLDOWN", "24h");
    let mut capture = Running::start(run, command).await?;
    let admin = admin(&mut capture).await?;
    let (client, url) = (client::client()?, baseline.url().await?);
    let search = format!("{url}/api/search?q=ssd");
    let mut sent = 0_u32;
    eventually!({
        client::text(&client, &search).await?;
        sent += 1;
        metric(&admin, "mirror_enabled", &[]).await? == 0.0
    });
    eventually!(metric(&admin, "mirror_copies_in_flight", &[]).await? == 0.0);
    let standing = answered(&candidate).await?;
    ensure!((5.0..=10.0).contains(&standing), "{standing} copies until it was stopped");
    for _ in 0..30 {
        client::text(&client, &search).await?;
    }
    let all = f64::from(sent + 30);
    eventually!(metric(&admin, "mirror_outcomes_total", &[]).await? == all);
    let (report, ended) = reported(capture).await?;
    ensure!(report["mirroring"] == "tripped", "{report}");
    ensure!(ended.code != 0 && ended.err.contains("5 breaches"), "{ended:?}");
    ensure!(answered(&candidate).await? == standing, "it hears nothing more");
    ensure!(answered(&baseline).await? == all, "the service was asked by its clients alone");
    Ok(())
}

pub(crate) async fn without_the_right_to_listen_it_says_what_is_missing(
    place: &Place,
) -> Result<()> {
    tools::root()?;
    let (run, binaries) = programs(place)?;
    let program = binaries.capture.to_string_lossy();
    let arguments = ["--bounding-set=-net_raw", "--", &program, "-i", "lo"];
    let arguments = [&arguments[..], &["--candidate", "http://127.0.0.1:9"]].concat();
    let running = Running::start(run, command(tools::find("setpriv")?, &arguments)).await?;
    let ended = running.ended().await?;
    ensure!(ended.code == 2, "{ended:?}");
    ensure!(ended.err.contains("CAP_NET_RAW is missing"), "{ended:?}");
    ensure!(ended.err.contains("setcap cap_net_raw+ep"), "{ended:?}");
    Ok(())
}

/// A candidate that answers something else.
fn another_answer(request: &Message) -> (Vec<u8>, Duration) {
    let (bytes, pause) = session::answer(request);
    let text = String::from_utf8_lossy(&bytes).replace("this answers", "that answers");
    (text.into_bytes(), pause)
}

/// Has the kernel copy what goes over the loopback of one namespace to a port of the other.
async fn mirrored(place: &Place, from: &Namespace, to: &Namespace) -> Result<()> {
    let (run, _) = programs(place)?;
    let peer = to.id().to_string();
    let setup: [&[&str]; 8] = [
        &["ip", "link", "set", "lo", "mtu", "1400", "gso_max_segs", "1"],
        &["ip", "link", "add", "a0", "type", "veth", "peer", "name", "b0", "netns", &peer],
        &["ip", "address", "add", "10.9.0.1/24", "dev", "a0"],
        &["ip", "link", "set", "a0", "up"],
        &[
            "ip", "link", "add", "vx0", "type", "vxlan", "id", "77", "remote", "10.9.0.2",
            "dstport", "4789",
        ],
        &["ip", "link", "set", "vx0", "up"],
        &["tc", "qdisc", "add", "dev", "lo", "clsact"],
        &[
            "tc", "filter", "add", "dev", "lo", "egress", "protocol", "ip", "u32", "match", "u32",
            "0", "0", "action", "mirred", "egress", "mirror", "dev", "vx0",
        ],
    ];
    let lacking = |error| tools::Lacking(format!("a kernel that mirrors by VXLAN ({error})"));
    for line in &setup[..2] {
        from.tool(run, line[0], &line[1..]).await.map_err(lacking)?;
    }
    to.tool(run, "ip", &["address", "add", "10.9.0.2/24", "dev", "b0"]).await?;
    to.tool(run, "ip", &["link", "set", "b0", "up"]).await?;
    for line in &setup[2..] {
        from.tool(run, line[0], &line[1..]).await.map_err(lacking)?;
    }
    Ok(())
}

pub(crate) async fn a_mirror_of_the_kernels_own_feeds_a_candidate(place: &Place) -> Result<()> {
    const REQUESTS: usize = 24;
    let (run, binaries) = programs(place)?;
    let (host, monitor) = (Namespace::new(run).await?, Namespace::new(run).await?);
    mirrored(place, &host, &monitor).await?;
    let listen = || Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?);
    let service = Service::on(host.within(listen)?, session::answer)?;
    let candidate = Service::on(monitor.within(listen)?, another_answer)?;
    let (program, to) = (binaries.capture.to_string_lossy(), candidate.url());
    let arguments = ["--vxlan", "10.9.0.2:4789", "--vni", "77", "--candidate", &to];
    let arguments = [&arguments[..], &["--writes", "--format", "json"]].concat();
    let mut capture = Running::start(run, monitor.command(&program, &arguments)?).await?;
    capture.says("listening on 10.9.0.2:4789").await?;
    let port = service.port;
    let stream = host.within(|| Ok(std::net::TcpStream::connect(("127.0.0.1", port))?))?;
    stream.set_nonblocking(true)?;
    let mut wire = Wire::new(tokio::net::TcpStream::from_std(stream)?);
    for nth in 0..REQUESTS {
        let body = "x".repeat(nth * 400);
        let length = body.len();
        let head =
            format!("POST /orders HTTP/1.1\r\nHost: a\r\nX-Id: {nth}\r\nContent-Length: {length}");
        wire.send(format!("{head}\r\n\r\n{body}").as_bytes()).await?;
        ensure!(wire.message(true).await?.is_some(), "the service answers");
    }
    eventually!(candidate.asked().len() >= REQUESTS);
    let (report, ended) = reported(capture).await?;
    ensure!(report["pairs"] == REQUESTS, "{report} {}", ended.err);
    // A gzipped answer cannot have been changed by replacing text.
    let plain = (0..REQUESTS).filter(|nth| another_answer_is_another(*nth)).count();
    ensure!(report["mismatches"]["raw"] == plain && plain > REQUESTS / 3, "{plain}: {report}");
    ensure!(candidate.asked().len() == REQUESTS && service.asked().len() == REQUESTS);
    let bodies = |of: &Service| {
        let mut all: Vec<_> = of.asked().into_iter().map(|it| it.message.body).collect();
        all.sort();
        all
    };
    ensure!(bodies(&candidate) == bodies(&service), "bodies of several packets are whole");
    Ok(())
}

fn another_answer_is_another(nth: usize) -> bool {
    let headers = vec![("x-id".to_owned(), nth.to_string())];
    let request = Message { headers, ..Message::default() };
    another_answer(&request).0 != session::answer(&request).0
}

pub(crate) async fn what_tcpreplay_plays_onto_an_interface_is_recorded_whole(
    place: &Place,
) -> Result<()> {
    let (run, binaries) = programs(place)?;
    let folder = run.folder("played")?;
    tools::find("tcpreplay")?;
    let session = captured_apart(run, &folder, None).await?;
    let namespace = Namespace::new(run).await?;
    let veth = ["link", "add", "v0", "type", "veth", "peer", "name", "v1"];
    namespace.tool(run, "ip", &veth).await?;
    for name in ["v0", "v1"] {
        namespace.tool(run, "ip", &["link", "set", name, "up"]).await?;
    }
    let recording = folder.join("recording");
    let (program, to) = (binaries.capture.to_string_lossy(), recording.to_string_lossy());
    let port = session.port.to_string();
    let arguments = ["-i", "v1", "--port", &port, "--record", &to, "--admin", "127.0.0.1:9090"];
    let mut command = namespace.command(&program, &arguments)?;
    command.env("RECORD_REDACT", "false");
    let mut capture = Running::start(run, command).await?;
    capture.says("listening").await?;
    let file = session.file.to_string_lossy();
    namespace.tool(run, "tcpreplay", &["-i", "v0", "--mbps", "100", &file]).await?;
    let all = session.truth.requests.len();
    wait_for_recorded(place, &namespace, all).await?;
    capture.signal("INT")?;
    let ended = capture.ended().await?.well()?;
    let (found, _) = converted((run, binaries), Path::new(&recording), None).await?;
    session.truth.is_loosely(&found).map_err(|error| format!("{error}: {}", ended.err).into())
}

async fn wait_for_recorded(place: &Place, namespace: &Namespace, all: usize) -> Result<()> {
    let (run, _) = programs(place)?;
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let all = all as f64;
    eventually!({
        let asked = namespace.tool(run, "curl", &["-s", "http://127.0.0.1:9090/metrics"]).await?;
        client::sum(&asked.out, "mirror_recorded_total", &["result=\"recorded\""]) >= all
    });
    Ok(())
}
