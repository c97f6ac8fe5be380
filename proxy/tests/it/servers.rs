//! Real servers in front of the proxy and behind it: NGINX, HAProxy and OpenSSL's, as Debian has them.
//!
//! Where one is missing its tests say so and pass; `PROXY_REQUIRE_SERVERS=1` makes that a failure.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use proxy::config::Config;
use proxy::listen::proxy_protocol::Networks;
use proxy::upstream::{ClientIdentity, HostHeader, Protocol, Target, Trust};
use tokio::io::AsyncWriteExt;

use crate::certificates::{Certificates, certificates, certificates_for};
use crate::eventually;
use crate::support::{Proxy, Upstream, fixed, free, in_time, proxy, read_head, refusing, skipped};

/// A server process with a folder of its own; both are gone when the test ends.
pub(crate) struct Server {
    child: Child,
    pub(crate) folder: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

impl Server {
    /// Of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Starts a program with these files in its folder, the first of which configures it; `None`
    /// where there is no such program.
    pub(crate) fn start(
        program: &str,
        arguments: &[&str],
        files: &[(&str, &str)],
        folder: &Path,
    ) -> Option<Self> {
        std::fs::create_dir_all(folder).unwrap();
        for (name, text) in files {
            std::fs::write(folder.join(name), text).unwrap();
        }
        let mut command = Command::new(program);
        command.current_dir(folder).args(arguments).arg(folder.join(files[0].0));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // Where Debian has what only root usually runs.
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin");
        match command.spawn() {
            Ok(child) => Some(Self { child, folder: folder.to_owned() }),
            Err(error) => {
                skipped(&format!("cannot start {program}: {error}"));
                None
            }
        }
    }
}

pub(crate) fn folder(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("mirrorlab-{name}-{}", std::process::id()))
}

/// NGINX that asks for a client certificate on a port and on a unix socket, both with TLS for
/// `service.internal` alone, and speaks plain text on another socket.
async fn nginx(name: &str, certificates: &Certificates) -> Option<(Server, SocketAddr)> {
    let folder = folder(name);
    let addr = free();
    let at = folder.display();
    let config = format!(
        "daemon off; master_process off; pid {at}/pid; error_log {at}/log;
        events {{}}
        http {{
            access_log off;
            client_body_temp_path {at}/1; proxy_temp_path {at}/2; fastcgi_temp_path {at}/3;
            uwsgi_temp_path {at}/4; scgi_temp_path {at}/5;
            server {{
                listen {addr} ssl http2 default_server;
                listen unix:{at}/tls.sock ssl http2 default_server;
                ssl_reject_handshake on;
            }}
            server {{
                listen {addr} ssl http2;
                listen unix:{at}/tls.sock ssl http2;
                server_name service.internal;
                ssl_certificate {at}/chain.pem; ssl_certificate_key {at}/key.pem;
                ssl_client_certificate {at}/authority.pem; ssl_verify_client on;
                location / {{ return 200 \"$ssl_server_name $ssl_client_verify $server_protocol $request_uri\"; }}
            }}
            server {{
                listen unix:{at}/plain.sock;
                location / {{ return 200 \"$http_host $server_protocol $request_uri\"; }}
            }}
        }}"
    );
    let files = [
        ("nginx.conf", config.as_str()),
        ("chain.pem", &certificates.chain),
        ("key.pem", &certificates.key),
        ("authority.pem", &certificates.authority),
    ];
    let server = Server::start("nginx", &["-c"], &files, &folder)?;
    eventually!(tokio::net::TcpStream::connect(addr).await.is_ok());
    Some((server, addr))
}

/// A proxy whose baseline and candidate are both this target.
async fn between(target: &Target, configure: impl FnOnce(&mut Config)) -> Proxy {
    let nowhere = refusing();
    proxy(nowhere, nowhere, |config| {
        config.baseline = target.clone();
        config.candidate = target.clone();
        configure(config);
    })
    .await
}

#[tokio::test]
async fn nginx_sees_the_tls_name_and_the_client_certificate_of_baseline_and_candidate() {
    let certificates = certificates_for("service.internal");
    let Some((server, addr)) = nginx("tls", &certificates).await else { return };
    let identity =
        ClientIdentity::from_pem(certificates.chain.as_bytes(), certificates.key.as_bytes());
    let identity = identity.unwrap();
    let trust = |config: &mut Config| config.trust = Trust::System(vec![certificates.authority()]);
    let socket = server.folder.join("tls.sock");
    for url in [format!("https://{addr}"), format!("https://unix:{}:/x", socket.display())] {
        for (protocol, version) in [(Protocol::Http1, "HTTP/1.1"), (Protocol::Http2, "HTTP/2.0")] {
            let mut target = Target::parse(&url).unwrap();
            target.protocol = protocol;
            // NGINX chooses by this, once TLS stands.
            target.host_header = HostHeader::parse("service.internal").unwrap();
            let nameless = between(&target, trust).await;
            assert_eq!(nameless.get("/").await.status(), 502, "{url} by its own name");

            target.tls_name = Some("service.internal".try_into().unwrap());
            let anonymous = between(&target, trust).await;
            let answer = anonymous.get("/").await;
            assert_eq!(answer.status(), 400, "{url} without a client certificate");

            target.client = Some(identity.clone());
            let proxy = between(&target, trust).await;
            proxy.expect_outcome("/a", "matched").await;
            let answer = proxy.get("/a").await.text().await.unwrap();
            let path = if target.socket.is_some() { "/x/a" } else { "/a" };
            assert_eq!(answer, format!("service.internal SUCCESS {version} {path}"));
        }
    }
}

#[tokio::test]
async fn nginx_answers_baseline_and_candidate_over_a_unix_socket() {
    let Some((server, _)) = nginx("unix", &certificates()).await else { return };
    let socket = server.folder.join("plain.sock");
    eventually!(socket.exists());
    let target = Target::parse(&format!("http://unix:{}:/x", socket.display())).unwrap();
    let proxy = between(&target, |_| {}).await;
    proxy.expect_outcome("/a?b", "matched").await;
    let answer = proxy.get("/a?b").await.text().await.unwrap();
    assert_eq!(answer, "localhost HTTP/1.1 /x/a?b");
}

#[tokio::test]
async fn a_unix_socket_that_is_not_there_is_a_502_and_a_failed_copy() {
    let target = Target::parse("http://unix:/nowhere/at-all.sock").unwrap();
    let absent = between(&target, |_| {}).await;
    assert_eq!(absent.get("/").await.status(), 502);
    let baseline = crate::support::fixed("{}").await;
    let proxy = proxy(baseline.addr, baseline.addr, |config| config.candidate = target).await;
    proxy.expect_outcome("/", "candidate_failed").await;
}

/// A proxy that awaits the PROXY protocol from `balancers`, and its baseline and candidate.
async fn behind(balancers: &str, head_timeout: Duration) -> (Proxy, [Upstream; 2]) {
    let upstreams = [fixed("{}").await, fixed("{}").await];
    let proxy = proxy(upstreams[0].addr, upstreams[1].addr, |config| {
        config.proxy_protocol_from = Networks::parse(balancers).unwrap();
        config.forward.limits.head_timeout = head_timeout;
    })
    .await;
    (proxy, upstreams)
}

/// A client with an address of its own on this machine.
fn client_at(ip: &str) -> reqwest::Client {
    let address: std::net::IpAddr = ip.parse().unwrap();
    reqwest::Client::builder().no_proxy().local_address(address).build().unwrap()
}

const AN_HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn haproxy_names_its_client_in_both_versions_to_baseline_and_candidate() {
    let (proxy, upstreams) = behind("127.0.0.1", AN_HOUR).await;
    let (one, two) = (free(), free());
    let to = proxy.app.traffic;
    let config = format!(
        "defaults\n mode tcp\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n\
         listen one\n bind {one}\n server proxy {to} send-proxy\n\
         listen two\n bind {two}\n server proxy {to} send-proxy-v2\n"
    );
    let files = [("haproxy.cfg", config.as_str())];
    let server = Server::start("haproxy", &["-db", "-f"], &files, &folder("haproxy"));
    let Some(_server) = server else { return };
    let client = client_at("127.0.0.2");
    for (number, addr) in [one, two].into_iter().enumerate() {
        eventually!(client.get(format!("http://{addr}/")).send().await.is_ok());
        for upstream in &upstreams {
            eventually!(upstream.count() == number + 1);
            let seen = upstream.seen();
            assert_eq!(seen[number].headers["x-forwarded-for"], "127.0.0.2");
        }
    }
}

#[tokio::test]
async fn haproxy_answers_baseline_and_candidate_in_both_versions() {
    let (one, two) = (free(), free());
    let answers = "http-request return status 200 content-type text/plain lf-string \"%HV %HM %HU %[req.hdr(host)]\"";
    let config = format!(
        "defaults\n mode http\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n\
         frontend one\n bind {one}\n {answers}\n\
         frontend two\n bind {two} proto h2\n {answers}\n"
    );
    let files = [("haproxy.cfg", config.as_str())];
    let server = Server::start("haproxy", &["-db", "-f"], &files, &folder("haproxy-upstream"));
    let Some(_server) = server else { return };
    for (addr, protocol, version) in
        [(one, Protocol::Http1, "HTTP/1.1"), (two, Protocol::Http2, "HTTP/2.0")]
    {
        eventually!(tokio::net::TcpStream::connect(addr).await.is_ok());
        let mut target = Target::parse(&format!("http://{addr}")).unwrap();
        target.protocol = protocol;
        let proxy = between(&target, |_| {}).await;
        for path in ["/a?b=c", "/"] {
            proxy.expect_outcome(path, "matched").await;
            let answer = proxy.get(path).await.text().await.unwrap();
            // HAProxy writes URLs of HTTP/2 whole.
            let path = if version == "HTTP/2.0" {
                format!("http://{addr}{path}")
            } else {
                path.to_owned()
            };
            assert_eq!(answer, format!("{version} GET {path} {addr}"));
        }
        let answer = in_time(proxy.post("/upload", vec![b'x'; 300_000])).await;
        assert_eq!(answer.status(), 200, "{version}");
    }
}

#[tokio::test]
async fn openssl_sees_the_tls_name_and_the_client_certificate() {
    let certificates = certificates_for("service.internal");
    let (addr, folder) = (free(), folder("openssl"));
    let at = |name: &str| folder.join(name).display().to_string();
    let (port, key, authority) = (addr.port().to_string(), at("key.pem"), at("authority.pem"));
    let files = [
        ("chain.pem", certificates.chain.as_str()),
        ("key.pem", &certificates.key),
        ("authority.pem", &certificates.authority),
    ];
    let arguments = [
        "s_server",
        "-accept",
        &port,
        "-www",
        "-quiet",
        "-Verify",
        "1",
        "-verify_return_error",
        "-key",
        &key,
        "-CAfile",
        &authority,
        "-cert",
    ];
    let Some(_server) = Server::start("openssl", &arguments, &files, &folder) else { return };
    eventually!(tokio::net::TcpStream::connect(addr).await.is_ok());
    let mut target = Target::parse(&format!("https://{addr}")).unwrap();
    target.tls_name = Some("service.internal".try_into().unwrap());
    let trust = |config: &mut Config| config.trust = Trust::System(vec![certificates.authority()]);
    let anonymous = between(&target, trust).await;
    assert_eq!(in_time(anonymous.get("/")).await.status(), 502);
    let identity =
        ClientIdentity::from_pem(certificates.chain.as_bytes(), certificates.key.as_bytes());
    target.client = Some(identity.unwrap());
    let proxy = between(&target, trust).await;
    let answer = in_time(proxy.get("/")).await;
    assert_eq!(answer.status(), 200);
    // It tells of the connection, the client's certificate included.
    let page = in_time(answer.text()).await.unwrap();
    assert!(page.contains("TLSv1.3") && page.contains("Client certificate"), "{page}");
}

#[tokio::test]
async fn only_balancers_are_believed_and_they_must_name_their_client() {
    const NAMED: &[u8] = b"PROXY TCP4 192.0.2.7 10.0.0.1 1 80\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n";
    let (others, _) = behind("10.0.0.0/8", AN_HOUR).await;
    let mut forger = others.connect().await;
    forger.write_all(NAMED).await.unwrap();
    let head = in_time(read_head(&mut forger)).await;
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");

    let (proxy, [baseline, _]) = behind("127.0.0.1", AN_HOUR).await;
    let mut balancer = proxy.connect().await;
    balancer.write_all(NAMED).await.unwrap();
    assert!(in_time(read_head(&mut balancer)).await.starts_with("HTTP/1.1 200"));
    assert_eq!(baseline.seen()[0].headers["x-forwarded-for"], "192.0.2.7");
    let mut silent = proxy.connect().await;
    silent.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert_eq!(in_time(read_head(&mut silent)).await, "");
    let metrics = client_at("127.0.0.2").get(proxy.url("/metrics")).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let refused = ["reason=\"proxy_protocol\""];
    assert_eq!(crate::support::sum(&metrics, "mirror_refused_total", &refused), 1.0);
}

#[tokio::test]
async fn a_balancer_that_does_not_get_to_the_end_of_its_header_is_closed_in_time() {
    let (proxy, _) = behind("127.0.0.1", Duration::from_millis(100)).await;
    for start in [b"".as_slice(), b"PROXY TCP4 192.", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"] {
        let mut slow = proxy.connect().await;
        slow.write_all(start).await.unwrap();
        assert_eq!(in_time(read_head(&mut slow)).await, "");
    }
}

#[tokio::test]
async fn the_health_check_speaks_for_itself_where_balancers_are_awaited() {
    for balancers in ["127.0.0.1", "10.0.0.0/8"] {
        let (proxy, _) = behind(balancers, AN_HOUR).await;
        let addr = proxy.app.traffic.to_string();
        let settings = [("LISTEN_ADDR", addr.as_str()), ("PROXY_PROTOCOL_FROM", balancers)];
        let mut check = crate::process::command(&settings);
        let check = tokio::task::spawn_blocking(move || check.arg("--healthcheck").output());
        let output = check.await.unwrap().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
