//! What is personal or secret is in nothing that is kept or shown, whoever may see copies of it.

use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{CARD, MAIL, SECRET, everywhere, lists, policy};
use crate::audit::Folder;
use crate::eventually;
use crate::process::{Process, command, started};
use crate::support::{
    Answer, Seen, http2, http2_body, in_time, json as answer, status, text, upstream,
};

async fn ask(process: &Process, bytes: &[u8]) -> String {
    let mut client = TcpStream::connect(process.addr()).await.unwrap();
    client.write_all(bytes).await.unwrap();
    let mut told = Vec::new();
    in_time(client.read_to_end(&mut told)).await.unwrap();
    String::from_utf8_lossy(&told).into_owned()
}

async fn get(process: &Process, path: &str, more: &str) -> String {
    let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{more}\r\n");
    ask(process, head.as_bytes()).await
}

/// Secrets in every place that an answer has, another one for each who answers.
fn answered(request: &Seen, who: &str) -> Answer {
    let (secret, mail) = (format!("{SECRET}-{who}"), format!("{who}.{MAIL}"));
    let long = "x".repeat(60);
    let body = json!({
        "nick": secret,
        "id": format!("{who}-id.{MAIL}"),
        "list": [0, {"name of it": secret, format!("{SECRET}-key"): who}],
        "deep": {"a": [{"er": {"x": secret}}]},
        "text": format!("{long} {mail}"),
        "cut": format!("{long}{long}{who}{long} {mail} {long}"),
        "num": if who == "baseline" { 4111111111111111_u64 } else { 5555555555554444 },
        format!("{MAIL}-{long}"): {"a": who},
        format!("{long}-{MAIL}"): {"a": who},
        "raw": json!({"nick": secret, "deep": {"er": secret}}).to_string(),
        "url": format!("https://x.example/?q={secret}"),
        "password": secret,
        "only": if who == "baseline" { json!(mail) } else { json!({MAIL: 1}) },
        who: mail,
    });
    let target = &request.target;
    let mut answer = match target.split('?').next().unwrap() {
        "/failing" if who != "baseline" => return status(500),
        "/text" => text(format!("password={secret} {mail}")),
        "/in-a-string" => answer(&json!({"in": body.to_string()}).to_string()),
        _ => answer(&body.to_string()),
    };
    for (name, value) in [
        ("x-user", secret.clone()),
        ("x-note", format!("see {long}{mail}")),
        ("set-cookie", format!("sid={secret}")),
        ("location", format!("/u/{mail}/{CARD}?q={secret}&{MAIL}={who}#{mail}")),
        ("authorization", secret.clone()),
        ("x-api-key", secret),
    ] {
        answer.headers_mut().insert(name, value.parse().unwrap());
    }
    answer
}

/// Its frames are logged by a library.
async fn over_http2(process: &Process) {
    let mut client = http2(TcpStream::connect(process.addr()).await.unwrap()).await;
    let target = format!("http://{}/json?q={SECRET}&to={MAIL}", process.addr());
    let request =
        http::Request::get(target).header("x-user", SECRET).header("cookie", "sid=5ecret");
    let (answered, _) = client.send_request(request.body(()).unwrap(), true).unwrap();
    let body = http2_body(in_time(answered).await.unwrap().into_body());
    assert!(String::from_utf8(in_time(body).await.unwrap()).unwrap().contains(SECRET));
}

const COMPARED: &str = "[compare]\nbuiltin = false\nheaders = [\"content-type\", \"location\", \"x-user\", \"x-note\", \
    \"set-cookie\", \"authorization\", \"x-api-key\"]\njson_strings = [\"$.in\"]\n";

/// The report in its other formats, and the page with every group open.
async fn for_people(process: &Process) -> Vec<String> {
    let mut paths: Vec<_> = ["markdown", "junit", "html"]
        .map(|format| format!("/control/report?format={format}"))
        .into_iter()
        .chain(["/control/", "/control/timeline", "/control/settings"].map(str::to_owned))
        .collect();
    let mut copies = 0;
    for candidate in ["blind", "trusted"] {
        let list = format!("/control/differences?noise=1&candidate={candidate}");
        let groups = get(process, &list, "").await;
        let ids = groups.split("open=").skip(1).map(|rest| &rest[..17]);
        paths.extend(ids.map(|id| format!("{list}&open={id}")));
        for route in ["GET /json", "GET /failing", "POST /form", "other"] {
            let route = route.replace(' ', "%20");
            paths.push(format!("/control/route?candidate={candidate}&route={route}"));
        }
    }
    let mut shown = Vec::new();
    for path in paths {
        let text = get(process, &path, "").await;
        copies += text.matches("The last copy</h2><span").count();
        shown.push(text);
    }
    assert!(shown.iter().any(|it| it.contains("Both answers")) && copies > 1, "{copies} copies");
    shown
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "a list of all that is shown")]
async fn no_secret_is_in_any_report_event_log_line_metric_status_setting_or_webhook() {
    let by = |who: &'static str| upstream(move |request| async move { answered(&request, who) });
    let (baseline, blind, trusted, secondary) =
        (by("baseline").await, by("blind").await, by("trusted").await, by("secondary").await);
    let posted = Arc::<Mutex<String>>::default();
    let kept = Arc::clone(&posted);
    let hook = upstream(move |request| {
        kept.lock().unwrap().push_str(&String::from_utf8_lossy(&request.body));
        async { status(204) }
    })
    .await;
    let folder = Folder::new();
    let policy = policy(&folder, &lists(), "hash", true);
    let settings = format!(
        "[listen]\naddress = \"127.0.0.1:0\"\n[log]\nformat = \"json\"\nlevel = \"trace\"\n\
         [baseline]\nurl = \"http://{}\"\n[secondary]\nurl = \"http://{}\"\nshare = 1\n\
         [mirror]\nshare = 1\n[guardrail]\nmismatch_rate = 0.5\nlatency_floor = \"1h\"\nwebhook = \"http://{}\"\n\
         [[candidate]]\nname = \"blind\"\nurl = \"http://{}\"\n\
         [[candidate]]\nname = \"trusted\"\nurl = \"http://{}\"\ntrust = \"prod\"\n\
         [audit]\npath = {:?}\n{COMPARED}{policy}\
         [[identity]]\nname = \"ids\"\nlearn = [\"json:$.id\"]\nreplace = [\"query:id\"]\n\
         [[route]]\nname = \"keys\"\nmatch.header = {{ name = \"x-api-key\", exact = \"{SECRET}\" }}\n",
        baseline.addr,
        secondary.addr,
        hook.addr,
        blind.addr,
        trusted.addr,
        folder.path("audit.jsonl")
    );
    std::fs::write(folder.path("m.toml"), settings).unwrap();
    let process = started(&mut command(&[("MIRROR_CONFIG", &folder.path("m.toml"))])).await;
    let report = async |accept: &str| {
        get(&process, "/control/report", &format!("accept: {accept}\r\n")).await
    };
    let targets = [
        "/json",
        "/text",
        "/named?5ecret@example.com=1",
        "/in-a-string",
        "/u/5ecret%40example.com/192.0.2.7?to=5ecret%40example.com&q=5ecret",
    ];
    for target in targets {
        for _ in 0..3 {
            let got = get(&process, target, "").await;
            assert!(got.contains(&format!("{SECRET}-baseline")), "the client gets what is its own");
        }
    }
    for planted in everywhere() {
        ask(&process, &planted.bytes()).await;
    }
    over_http2(&process).await;
    let pairs = 3 * targets.len() + everywhere().len() + 1;
    eventually!(
        report("application/json").await.matches(&format!(r#""pairs":{pairs},"#)).count() >= 2
    );
    for _ in 0..5 {
        get(&process, &format!("/failing?q={SECRET}"), &format!("x-user: {SECRET}\r\n")).await;
    }
    eventually!(process.log().contains("mirroring stopped by the guardrail"));
    eventually!(posted.lock().unwrap().contains("tripped"));
    let url = format!("http://{}", process.addr());
    let release = command(&[]).args(["report", "--url", &url]).output().unwrap();
    let mut shown = vec![
        report("application/json").await,
        report("text/plain").await,
        get(&process, "/control/status", "").await,
        get(&process, "/control/events", "").await,
        get(&process, "/control/config", "").await,
        get(&process, "/control/upstreams", "").await,
        get(&process, "/control/policy", "").await,
        get(&process, "/control/identities", "").await,
        get(&process, "/control/report?candidate=trusted", "accept: text/plain\r\n").await,
        get(&process, "/metrics", "").await,
        process.log(),
        posted.lock().unwrap().clone(),
        String::from_utf8(release.stdout).unwrap(),
        std::fs::read_to_string(folder.path("audit.jsonl")).unwrap(),
    ];
    shown.extend(for_people(&process).await);
    for text in &shown {
        for secret in [SECRET, CARD, "5555555555554444", "example.com", "192.0.2.7"] {
            let at = text.find(secret);
            let around = |at: usize| {
                &text[text.floor_char_boundary(at.saturating_sub(200))
                    ..text.ceil_char_boundary(at + 100)]
            };
            assert_eq!(at.map(around), None);
        }
    }
    // It was all there to be shown.
    for place in [
        "$['nick']",
        "$['list'][1]",
        "$['deep']['a'][0]['er']",
        "$['text']",
        "$['cut']",
        "$['num']",
        "$['password']",
        "header x-user",
        "header x-note",
        "header location",
        "header authorization",
        "header x-api-key",
    ] {
        assert!(shown[0].contains(place), "{place}: {}", shown[0]);
    }
}
