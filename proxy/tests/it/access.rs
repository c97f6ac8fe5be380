//! Who may use the admin endpoints: real requests on real listeners.

use std::net::SocketAddr;

use http::Request;
use proxy::access::Hosts;
use proxy::config::Config;
use proxy::control::Token;
use proxy::listen::proxy_protocol::Networks;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::eventually;
use crate::process;
use crate::report::ask;
use crate::support::{
    Proxy, fixed, http2, http2_body, in_time, proxy, raw, refusing, status, upstream,
};

const SWITCHES: [&str; 3] = ["/control/disable", "/control/enable", "/control/report/reset"];
const VALUES: [&str; 2] = ["/control/events", "/control/report"];
const COUNTS: [&str; 4] = ["/healthz", "/readyz", "/metrics", "/control/status"];

const LOCAL: &str = "host: localhost:8080\r\n";
const FORWARDED: [&str; 3] =
    ["x-forwarded-for: 127.0.0.1\r\n", "forwarded: for=127.0.0.1\r\n", "via: 1.1 x\r\n"];
const PAGES: [&str; 5] = [
    "sec-fetch-site: cross-site\r\n",
    "sec-fetch-site: same-site\r\n",
    "origin: http://evil.example\r\n",
    "origin: http://localhost:3000\r\n",
    "origin: null\r\n",
];

/// What was answered.
struct Answer {
    code: u16,
    text: String,
}

impl Answer {
    fn of(text: &str) -> Self {
        let code = text.get(9..12).and_then(|code| code.parse().ok());
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        Self { code: code.unwrap_or_else(|| panic!("{text}")), text: body.to_owned() }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{}", self.text))
    }

    /// That it is a refusal that tells what to set.
    fn is_refused(&self, setting: &str) -> bool {
        self.code == 403 && self.json()["reason"].as_str().unwrap().contains(setting)
    }

    /// Whether it shows what the clients of [`tripped`] asked for.
    fn shows_values(&self) -> bool {
        self.code == 200 && self.text.contains("/shop/7")
    }
}

/// Sends a request of just these lines, behind `before`.
async fn sent(to: SocketAddr, before: &str, line: &str, lines: &str) -> Answer {
    let mut client = TcpStream::connect(to).await.unwrap();
    let request = format!("{before}{line} HTTP/1.1\r\n{lines}connection: close\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    in_time(client.read_to_end(&mut answer)).await.unwrap();
    Answer::of(&String::from_utf8(answer).unwrap())
}

async fn get(proxy: &Proxy, path: &str, lines: &str) -> Answer {
    sent(proxy.app.traffic, "", &format!("GET {path}"), lines).await
}

async fn post(proxy: &Proxy, path: &str, lines: &str) -> Answer {
    sent(proxy.app.traffic, "", &format!("POST {path}"), lines).await
}

/// A proxy that has stopped mirroring, so that all that shows values has some. Where the admin
/// endpoints have a listener of their own, it is the one that is asked.
async fn tripped(configure: impl FnOnce(&mut Config)) -> Proxy {
    let candidate = upstream(|_| async { status(500) }).await;
    let mut proxy = proxy(fixed("{}").await.addr, candidate.addr, |config| {
        config.guardrail.consecutive = 3;
        config.guardrail.cooldown = std::time::Duration::from_secs(3600);
        configure(config);
    })
    .await;
    let traffic = proxy.app.traffic;
    proxy.app.traffic = proxy.app.admin.unwrap_or(traffic);
    eventually!({
        proxy.client.get(format!("http://{traffic}/shop/7")).send().await.unwrap();
        proxy.status().await["state"] == "tripped"
    });
    proxy
}

fn with_token(config: &mut Config) {
    config.control_token = Some(Token::new("s3cret".to_owned()));
}

fn own_listener(config: &mut Config) {
    config.admin = Some(config.listen);
}

fn open(config: &mut Config) {
    config.admin_open = true;
}

/// That these lines show counts, and values only where they may be seen.
async fn shows(proxy: &Proxy, lines: &str, refused: Option<&str>) {
    for path in COUNTS {
        assert_eq!(get(proxy, path, lines).await.code, 200, "{path} {lines}");
    }
    let status = get(proxy, "/control/status", lines).await;
    assert_eq!(status.json()["state"], "tripped", "{lines}");
    assert_eq!(status.shows_values(), refused.is_none(), "{lines}{}", status.text);
    for path in VALUES {
        let answer = get(proxy, path, lines).await;
        match refused {
            None => assert!(answer.shows_values(), "{path} {lines}{}", answer.text),
            Some(setting) => assert!(answer.is_refused(setting), "{path} {lines}{}", answer.text),
        }
    }
}

#[tokio::test]
async fn whoever_is_on_this_machine_sees_values_and_switches() {
    let proxy = tripped(|_| {}).await;
    shows(&proxy, LOCAL, None).await;
    for path in SWITCHES {
        assert_eq!(post(&proxy, path, LOCAL).await.code, 200, "{path}");
    }
}

#[tokio::test]
async fn a_request_that_somebody_forwarded_is_refused_values_and_switches() {
    let proxy = tripped(|_| {}).await;
    for header in FORWARDED {
        let lines = format!("{LOCAL}{header}");
        shows(&proxy, &lines, Some("CONTROL_TOKEN")).await;
        for path in SWITCHES {
            assert!(post(&proxy, path, &lines).await.is_refused("ADMIN_OPEN"), "{path} {header}");
        }
    }
    assert_eq!(proxy.status().await["state"], "tripped");
}

#[tokio::test]
async fn a_wrong_method_is_405_whoever_asks() {
    let proxy = tripped(|_| {}).await;
    let lines = format!("{LOCAL}{}{}", FORWARDED[0], PAGES[0]);
    assert_eq!(get(&proxy, "/control/enable", &lines).await.code, 405);
    assert_eq!(post(&proxy, "/control/report", &lines).await.code, 405);
}

#[tokio::test]
async fn a_page_of_another_origin_switches_nothing_on_either_listener() {
    let given = "authorization: Bearer s3cret\r\n";
    for configure in [|_: &mut Config| {}, with_token, own_listener, open] {
        let proxy = tripped(configure).await;
        for page in PAGES {
            for path in SWITCHES {
                let answer = post(&proxy, path, &format!("{LOCAL}{given}{page}")).await;
                assert!(answer.is_refused("origin"), "{path} {page}{}", answer.text);
            }
        }
        assert_eq!(proxy.status().await["state"], "tripped");
        let own = "origin: http://localhost:8080\r\nsec-fetch-site: same-origin\r\n";
        let answer = post(&proxy, "/control/disable", &format!("{LOCAL}{given}{own}")).await;
        assert_eq!(answer.code, 200, "{}", answer.text);
    }
}

#[tokio::test]
async fn values_are_not_shown_under_a_name_that_nobody_listed_on_either_listener() {
    let rebound = "host: evil.example:8080\r\n";
    for configure in [|_: &mut Config| {}, own_listener, open] {
        let proxy = tripped(|config| {
            configure(config);
            config.admin_hosts = Hosts::parse("mirror.internal").unwrap();
        })
        .await;
        shows(&proxy, rebound, Some("ADMIN_HOSTS")).await;
        for known in ["mirror.internal:8080", "Mirror.Internal.", "127.0.0.1:8080", "[::1]"] {
            shows(&proxy, &format!("host: {known}\r\n"), None).await;
        }
        let line = "GET http://evil.example/control/report";
        let answer = sent(proxy.app.traffic, "", line, LOCAL).await;
        assert!(answer.is_refused("ADMIN_HOSTS"), "the target names it: {}", answer.text);
        let page = format!("{rebound}origin: http://evil.example:8080\r\n");
        let answer = post(&proxy, "/control/disable", &page).await;
        assert!(answer.is_refused("ADMIN_HOSTS"), "{}", answer.text);
        assert_eq!(proxy.status().await["state"], "tripped");
        assert_eq!(post(&proxy, "/control/disable", rebound).await.code, 200, "no page");
    }
}

#[tokio::test]
async fn a_token_lets_in_from_everywhere_and_under_every_name_and_nobody_else() {
    let proxy = tripped(with_token).await;
    let far = format!("host: shop.example\r\n{}", FORWARDED[0]);
    let given = format!("{far}authorization: Bearer s3cret\r\n");
    shows(&proxy, &given, None).await;
    for lines in [LOCAL, &far] {
        for path in SWITCHES {
            assert_eq!(post(&proxy, path, lines).await.code, 401, "{path} {lines}");
        }
        for path in COUNTS.into_iter().chain(VALUES) {
            let answer = get(&proxy, path, lines).await;
            assert_eq!((answer.code, answer.shows_values()), (200, false), "{path} {lines}");
        }
    }
    assert_eq!(post(&proxy, "/control/disable", &given).await.code, 200);
}

#[tokio::test]
async fn a_listener_of_their_own_and_admin_open_let_everyone_in() {
    for configure in [own_listener, open] {
        let proxy = tripped(configure).await;
        for header in FORWARDED {
            let lines = format!("{LOCAL}{header}");
            shows(&proxy, &lines, None).await;
        }
        let lines = format!("{LOCAL}{}", FORWARDED[0]);
        assert_eq!(post(&proxy, "/control/disable", &lines).await.code, 200);
    }
}

#[tokio::test]
async fn a_client_that_the_proxy_protocol_names_is_the_one_who_asks() {
    async fn behind(configure: impl FnOnce(&mut Config)) -> Proxy {
        proxy(fixed("{}").await.addr, refusing(), |config| {
            config.proxy_protocol_from = Networks::parse("127.0.0.1").unwrap();
            configure(config);
        })
        .await
    }
    let (closed, open) = (behind(|_| {}).await, behind(open).await);
    for (named, near) in [
        ("PROXY TCP4 203.0.113.7 10.0.0.1 1 80\r\n", false),
        ("PROXY TCP4 100.64.0.7 10.0.0.1 1 80\r\n", false),
        ("PROXY TCP6 2001:db8::7 ::1 1 80\r\n", false),
        ("PROXY TCP6 ::ffff:203.0.113.7 ::1 1 80\r\n", false),
        ("PROXY TCP4 10.1.2.3 10.0.0.1 1 80\r\n", true),
        ("PROXY TCP6 ::ffff:10.1.2.3 ::1 1 80\r\n", true),
        ("PROXY TCP6 fd00::7 ::1 1 80\r\n", true),
        ("PROXY UNKNOWN\r\n", true),
    ] {
        let ask =
            async |proxy: &Proxy, line: &str| sent(proxy.app.traffic, named, line, LOCAL).await;
        for path in VALUES.map(|path| format!("GET {path}")) {
            assert_eq!(ask(&closed, &path).await.code, if near { 200 } else { 403 }, "{named}");
            assert_eq!(ask(&open, &path).await.code, 200, "{named}");
        }
        for path in SWITCHES.map(|path| format!("POST {path}")) {
            assert_eq!(ask(&closed, &path).await.code, if near { 200 } else { 403 }, "{named}");
            assert_eq!(ask(&open, &path).await.code, 200, "{named}");
        }
        for path in COUNTS.map(|path| format!("GET {path}")) {
            assert_eq!(ask(&closed, &path).await.code, 200, "{named}");
        }
    }
}

#[tokio::test]
async fn the_authority_of_http_2_counts_as_host() {
    for prefix in ["", "/_mirrorlab"] {
        let proxy = proxy(fixed("{}").await.addr, refusing(), |config| {
            config.admin_prefix = prefix.to_owned();
        })
        .await;
        let mut client = http2(proxy.connect().await).await;
        let mut ask = async |method: &str, host: &str, path: &str, more: [&str; 2]| {
            let request = Request::builder().method(method);
            let request = request.uri(format!("http://{host}{prefix}{path}"));
            let request = request.header(more[0], more[1]).body(()).unwrap();
            let (answer, _) = client.send_request(request, true).unwrap();
            let answer = in_time(answer).await.unwrap();
            let code = answer.status().as_u16();
            let text = in_time(http2_body(answer.into_body())).await.unwrap();
            Answer { code, text: String::from_utf8(text).unwrap() }
        };
        let nothing = ["x-other", ""];
        for path in VALUES {
            let refused = ask("GET", "evil.example:8080", path, nothing).await;
            assert!(refused.is_refused("ADMIN_HOSTS"), "{path}");
            assert_eq!(ask("GET", "localhost:8080", path, nothing).await.code, 200, "{path}");
            let host = ["host", "evil.example"];
            assert!(ask("GET", "localhost", path, host).await.is_refused("ADMIN_HOSTS"), "{path}");
        }
        for path in COUNTS {
            assert_eq!(ask("GET", "evil.example", path, nothing).await.code, 200, "{path}");
        }
        for path in SWITCHES {
            let origin = ["origin", "http://evil.example"];
            assert!(ask("POST", "localhost", path, origin).await.is_refused("origin"), "{path}");
            assert!(ask("POST", "evil.example", path, origin).await.is_refused("ADMIN_HOSTS"));
            let own = ["origin", "http://localhost:8080"];
            assert_eq!(ask("POST", "localhost:8080", path, own).await.code, 200, "{path}");
            let forwarded = ["via", "2.0 x"];
            let refused = ask("POST", "localhost", path, forwarded).await;
            assert!(refused.is_refused("CONTROL_TOKEN"), "{path}");
        }
    }
}

#[tokio::test]
async fn a_client_of_ipv4_on_a_listener_of_both_families_is_near() {
    let proxy = proxy(fixed("{}").await.addr, refusing(), |config| {
        config.listen = Config::default().listen;
        config.listen.addr.set_port(0);
    })
    .await;
    let to = SocketAddr::from(([127, 0, 0, 1], proxy.app.traffic.port()));
    assert_eq!(sent(to, "", "POST /control/disable", LOCAL).await.code, 200);
}

#[tokio::test]
async fn who_may_do_what_is_one_log_line_and_a_warning_where_that_is_everyone() {
    for (setting, level, who) in [
        (("ADMIN_HOSTS", "mirror.internal"), "INFO", "loopback and private addresses"),
        (("CONTROL_TOKEN", "s3cret"), "INFO", "whoever sends CONTROL_TOKEN"),
        (("ADMIN_ADDR", "127.0.0.1:0"), "INFO", "everyone who reaches ADMIN_ADDR"),
        (("ADMIN_OPEN", "true"), "WARN", "everyone who reaches LISTEN_ADDR"),
    ] {
        let process = process::start(refusing(), refusing(), &[setting]).await;
        eventually!(process.log().contains("who may switch"));
        let log = process.log();
        let mut lines = log.lines().filter(|line| line.contains("who may switch"));
        let line: Value = serde_json::from_str(lines.next().unwrap()).unwrap();
        assert!(lines.next().is_none(), "{log}");
        assert_eq!(line["level"], level, "{line}");
        assert!(line["fields"]["who"].as_str().unwrap().starts_with(who), "{line}");
        let hosts = line["fields"]["hosts"].as_str().unwrap();
        assert_eq!(hosts.ends_with(", mirror.internal"), setting.0 == "ADMIN_HOSTS", "{line}");
    }
}

#[tokio::test]
async fn a_report_that_is_refused_tells_the_pipeline_what_to_set() {
    let proxy = proxy(fixed("{}").await.addr, refusing(), |config| {
        config.proxy_protocol_from = Networks::parse("127.0.0.1").unwrap();
    })
    .await;
    let to = proxy.app.traffic;
    let balancer = raw(move |mut client| async move {
        let mut proxy = TcpStream::connect(to).await.unwrap();
        proxy.write_all(b"PROXY TCP4 203.0.113.7 10.0.0.1 1 80\r\n").await.unwrap();
        drop(tokio::io::copy_bidirectional(&mut client, &mut proxy).await);
    })
    .await;
    let (code, said) = ask(&format!("http://{balancer}"), &[], &[]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("answered 403") && said.contains("CONTROL_TOKEN"), "{said}");
}
