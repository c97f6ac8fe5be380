//! What is masked is shown nowhere, whatever way it takes.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::certificates::TempFile;
use crate::eventually;
use crate::process::{Process, command, start};
use crate::support::{Answer, Seen, in_time, json, status, text, upstream};

/// In each value that is masked.
const SECRET: &str = "5ecret";

const RULES: &str = r#"
[compare]
mask = ["iban", "$..address", "$.list[1]"]
headers = ["content-type", "x-user", "location", "set-cookie"]
mask_headers = ["x-user"]
arrays = [{ path = "$.people", key = "id" }, { path = "$.tags", unordered = true }]

[[route]]
route = "GET /hashed"
mask = ["token", "$.pin", "email"]
mask_headers = ["x-user"]
mask_as = "hash"
"#;

/// The same fields, masked and not, in another shape for each who answers.
fn answer(request: &Seen, who: &str) -> Answer {
    let hidden = format!("{SECRET}-{who}");
    let body = match (request.target.split('?').next().unwrap(), who) {
        ("/shapes", "candidate") => format!(
            r#"{{"price":6,"email":{{"a":["{hidden}"]}},"name":["{hidden}"],"added":{{"phone":"{hidden}"}},
            "list":[1,{{"x":"{hidden}"}},"{who}"],"people":[{{"id":2,"iban":"{hidden}"}}],
            "tags":[{{"name":"{hidden}"}}]}}"#
        ),
        ("/shapes", _) => format!(
            r#"{{"price":5,"email":"{hidden}","phone":"{hidden}","NAME":"{hidden}",
            "address":{{"street":"{hidden}"}},"list":[1,"{hidden}","{who}"],
            "people":[{{"id":1,"iban":"{hidden}"}},{{"id":2,"iban":3}}],
            "tags":[{{"name":"{hidden}"}},{{"cc_last4":"{hidden}","a":1}}]}}"#
        ),
        ("/hashed", _) => format!(
            r#"{{"token":"{hidden}","pin":"{hidden}","email":"{hidden}","deep":[{{"token":"{hidden}"}}]}}"#
        ),
        ("/text", _) => return text(format!("iban={hidden} is no JSON")),
        ("/failing", "candidate") => return status(500),
        _ => format!(r#"{{"email":"{hidden}"}}"#),
    };
    let mut answer = json(&body);
    for (name, value) in [
        ("x-user", hidden.clone()),
        ("set-cookie", format!("session={hidden}")),
        ("location", format!("/{who}?token={hidden}")),
    ] {
        answer.headers_mut().insert(name, value.parse().unwrap());
    }
    answer
}

async fn ask(process: &Process, path: &str, more: &str) -> String {
    let mut client = TcpStream::connect(process.addr()).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{more}\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    in_time(client.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn what_is_masked_is_in_no_report_event_log_line_metric_or_webhook() {
    let by = |who: &'static str| upstream(move |request| async move { answer(&request, who) });
    let (baseline, candidate) = (by("baseline").await, by("candidate").await);
    let secondary = by("secondary").await;
    let posted = Arc::<Mutex<String>>::default();
    let kept = Arc::clone(&posted);
    let hook = upstream(move |request| {
        kept.lock().unwrap().push_str(&String::from_utf8_lossy(&request.body));
        async { status(204) }
    })
    .await;
    let rules = TempFile::new(RULES);
    let (asked, told) = (format!("http://{}", secondary.addr), format!("http://{}", hook.addr));
    let settings = [
        ("MIRROR_CONFIG", rules.path()),
        ("SECONDARY_URL", &asked),
        ("NOISE_FRACTION", "1"),
        ("ABORT_WEBHOOK", &told),
        ("ABORT_MISMATCH_RATE", "0.5"),
        ("LOG_LEVEL", "debug"),
    ];
    let process = start(baseline.addr, candidate.addr, &settings).await;
    let report = async |accept: &str| {
        ask(&process, "/control/report", &format!("accept: {accept}\r\n")).await
    };
    for path in ["/shapes", "/hashed", "/text", "/same"] {
        for _ in 0..3 {
            let got = ask(&process, &format!("{path}?q={SECRET}"), "").await;
            assert!(got.contains(&format!("{SECRET}-baseline")), "the client gets what is its own");
        }
    }
    eventually!(report("application/json").await.contains(r#""pairs":12,"#));
    for _ in 0..5 {
        ask(&process, "/failing", "").await;
    }
    eventually!(process.log().contains("mirroring stopped by the guardrail"));
    eventually!(posted.lock().unwrap().contains("tripped"));

    let url = format!("http://{}", process.addr());
    let release = command(&[]).args(["report", "--url", &url]).output().unwrap();
    let shown = [
        report("application/json").await,
        report("text/plain").await,
        ask(&process, "/control/status", "").await,
        ask(&process, "/control/events", "").await,
        ask(&process, "/metrics", "").await,
        process.log(),
        posted.lock().unwrap().clone(),
        String::from_utf8(release.stdout).unwrap(),
    ];
    for text in &shown {
        assert!(!text.contains(SECRET), "{text}");
    }
    // It was all there to be shown.
    for place in ["$['price']", "$['phone']", "$['pin']", "$['deep'][0]['token']", "header x-user"]
    {
        assert!(shown[0].contains(place), "{place}: {}", shown[0]);
    }
}
