//! Real servers in front of the proxy and behind it: NGINX and HAProxy, as Debian has them.
//!
//! Where one is missing its tests say so and pass; `PROXY_REQUIRE_SERVERS=1` makes that a failure.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use proxy::config::Config;
use proxy::upstream::{ClientIdentity, HostHeader, Protocol, Target, Trust};

use crate::certificates::{Certificates, certificates, certificates_for};
use crate::eventually;
use crate::support::{Proxy, proxy, refusing};

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
    /// Starts a program with these files in its folder, the first of which configures it; `None`
    /// where there is no such program.
    #[expect(clippy::disallowed_methods, reason = "a test's switch")]
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
                assert!(
                    std::env::var("PROXY_REQUIRE_SERVERS").is_err(),
                    "cannot start {program}: {error}"
                );
                eprintln!("skipped: {program} is missing ({error})");
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
    let addr = refusing().await;
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
    let nowhere = refusing().await;
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
