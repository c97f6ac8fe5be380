//! Several tokens, each with rights of its own.

use std::sync::Arc;

use proxy::access::Hash;
use proxy::app::{self, Source};
use proxy::config::Config;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::certificates::TempFile;
use crate::eventually;
use crate::report::ask;
use crate::support::{Proxy, client, fixed, status, upstream};

pub(crate) const READ: &str = "reader-s3cret";
pub(crate) const EXAMPLES: &str = "viewer-s3cret";
pub(crate) const CONTROL: &str = "ops-s3cret";

/// As `printf %s TOKEN | sha256sum` has it.
pub(crate) fn hash(token: &str) -> String {
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "printf %s \"$1\" | sha256sum", "sh", token]);
    let said = String::from_utf8(command.output().unwrap().stdout).unwrap();
    let hash = said.split(' ').next().unwrap().to_owned();
    assert!(Hash::parse(&hash).unwrap() == Hash::of(token.as_bytes()));
    hash
}

fn token(name: &str, token: &str, right: &str) -> String {
    let hash = hash(token);
    format!("[[admin.tokens]]\nname = \"{name}\"\nsha256 = \"{hash}\"\nrights = [\"{right}\"]\n")
}

/// One for each right.
pub(crate) fn tokens() -> String {
    token("reader", READ, "read")
        + &*token("viewer", EXAMPLES, "examples")
        + &*token("ops", CONTROL, "control")
}

/// A proxy with these tokens, and with `all` as `CONTROL_TOKEN`, that has stopped mirroring; and its file.
async fn tripped(tokens: &str, all: Option<&str>) -> (Proxy, TempFile) {
    let bad = upstream(|_| async { status(500) }).await;
    let (baseline, candidate) = (fixed("{}").await.addr, bad.addr);
    let text = format!(
        "[listen]\naddress = \"127.0.0.1:0\"\n[baseline]\nurl = \"http://{baseline}\"\n[mirror]\n\
         share = 1\n[guardrail]\nlatency_floor = \"1h\"\nconsecutive = 3\ncooldown = \"1h\"\n\
         [[candidate]]\nname = \"v2\"\nurl = \"http://{candidate}\"\n"
    );
    let file = TempFile::new(&(text.clone() + tokens));
    let (path, all) = (file.path().to_owned(), all.map(str::to_owned));
    let read = move || {
        let env = |name: &str| all.clone().filter(|_| name == "CONTROL_TOKEN").map(Into::into);
        Config::read(Some(path.as_ref()), &env)
    };
    let config = read().unwrap();
    let source = Source { read: Arc::new(read), watched: None };
    let app = app::start_from(config, Handle::current(), None, Some(source)).await.unwrap();
    let proxy = Proxy { app, client: client() };
    eventually!({
        proxy.get("/shop/7").await;
        proxy.status().await["state"] == "tripped"
    });
    (proxy, file)
}

async fn asked(proxy: &Proxy, method: &str, path: &str, token: Option<&str>) -> (u16, String) {
    let request = proxy.client.request(method.parse().unwrap(), proxy.url(path));
    let request = token.iter().fold(request, |request, token| request.bearer_auth(token));
    let answer = request.body(if method == "PATCH" { r#"{"share": 1}"# } else { "" });
    let answer = answer.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn each_token_may_what_its_rights_say_at_every_endpoint() {
    let (proxy, _file) = tripped(&tokens(), Some("all-s3cret")).await;
    let holders = [
        (Some("all-s3cret"), true, true, true),
        (Some(READ), true, false, false),
        (Some(EXAMPLES), true, true, false),
        (Some(CONTROL), true, false, true),
        (Some("nobody-s"), false, false, false),
        (None, false, false, false),
    ];
    for (token, reads, sees, switches) in holders {
        for path in ["/healthz", "/readyz", "/metrics"] {
            assert_eq!(asked(&proxy, "GET", path, token).await.0, 200, "{path} {token:?}");
        }
        for path in ["/control/status", "/control/events", "/control/report"] {
            let (code, text) = asked(&proxy, "GET", path, token).await;
            assert_eq!((code, text.contains("/shop/7")), (200, sees), "{path} {token:?} {text}");
            let why = if reads { "the right `examples`" } else { "needs the token" };
            assert_eq!(text.contains(why), !sees, "{path} {token:?} {text}");
        }
        for path in ["/control/config", "/control/upstreams"] {
            let code = if reads { 200 } else { 401 };
            assert_eq!(asked(&proxy, "GET", path, token).await.0, code, "{path} {token:?}");
        }
        for (method, path) in [
            ("PATCH", "/control/policy"),
            ("DELETE", "/control/policy"),
            ("POST", "/control/reload"),
            ("POST", "/control/disable?route=GET%20/shop/%7Bid%7D"),
            ("POST", "/control/enable?route=GET%20/shop/%7Bid%7D"),
        ] {
            let (code, text) = asked(&proxy, method, path, token).await;
            let refused = if reads { 403 } else { 401 };
            assert_eq!(code, if switches { 200 } else { refused }, "{path} {token:?} {text}");
            assert!(code != 403 || text.contains("has not the right `control`"), "{text}");
        }
    }
    let request = proxy.client.post(proxy.url("/control/enable")).bearer_auth("nobody-s");
    assert_eq!(request.send().await.unwrap().headers()["www-authenticate"], "Bearer");
}

#[tokio::test]
async fn tokens_come_and_go_with_the_file_and_control_token_with_a_restart() {
    let (proxy, file) = tripped(&tokens(), None).await;
    let before = std::fs::read_to_string(file.path()).unwrap();
    let reload = async |text: &str, token: Option<&str>| -> (u16, Value) {
        std::fs::write(file.path(), text).unwrap();
        let (code, text) = asked(&proxy, "POST", "/control/reload", token).await;
        (code, serde_json::from_str(&text).unwrap())
    };
    // Another secret under the same name.
    let turned = before.replace(&hash(CONTROL), &hash("ops-anew"));
    let (code, taken) = reload(&turned, Some(CONTROL)).await;
    assert_eq!((code, &taken["changedTokens"]), (200, &json!(["ops"])));
    assert_eq!(taken["needsRestart"], json!([]));
    assert_eq!(reload(&turned, Some(CONTROL)).await.0, 401);
    assert_eq!(reload(&turned, Some("ops-anew")).await.0, 200);
    // One that is bad changes nothing.
    let (code, refused) =
        reload(&turned.replace("\"control\"", "\"contrl\""), Some("ops-anew")).await;
    assert_eq!(code, 422, "{refused}");
    assert_eq!(asked(&proxy, "GET", "/control/config", Some(READ)).await.0, 200);
    // None is left: who is near may again.
    let bare = &before[..before.find("[[admin.tokens]]").unwrap()];
    let (code, taken) = reload(bare, Some("ops-anew")).await;
    assert_eq!((code, &taken["changedTokens"]), (200, &json!(["ops", "reader", "viewer"])));
    assert_eq!(asked(&proxy, "POST", "/control/enable", None).await.0, 200);
    // The one that is set by itself holds after a restart alone.
    let with = bare.replace("[baseline]", "[admin]\ntoken = \"all\"\n[baseline]");
    let (code, taken) = reload(&with, None).await;
    assert_eq!((code, &taken["needsRestart"]), (200, &json!(["admin.token"])));
    assert_eq!(asked(&proxy, "POST", "/control/enable", None).await.0, 200);
}

#[tokio::test]
async fn a_report_from_the_command_line_has_a_token() {
    let (proxy, _file) = tripped(&tokens(), Some("all-s3cret")).await;
    let url = proxy.url("");
    let secret = TempFile::new(&format!("{EXAMPLES}\n"));
    let wrong = TempFile::new("nobody-s\n");
    let json = |file: &TempFile| {
        vec!["--format".to_owned(), "json".to_owned(), format!("--token-file={}", file.path())]
    };
    for (settings, file, sees) in [
        (&[][..], None, false),
        (&[("CONTROL_TOKEN", "all-s3cret")], None, true),
        (&[], Some(&secret), true),
        (&[("CONTROL_TOKEN", "nobody-s")], Some(&secret), true),
        (&[("CONTROL_TOKEN", "all-s3cret")], Some(&wrong), false),
    ] {
        let more = file.map(json).unwrap_or_default();
        let more: Vec<_> = more.iter().map(String::as_str).collect();
        let (code, said) = ask(&url, settings, &more).await;
        assert_eq!(code, Some(3), "{said}");
        assert_eq!(said.contains("/shop/7"), sees, "{settings:?} {more:?} {said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
    let (empty, spaced) = (TempFile::new("\n"), TempFile::new("two words\n"));
    for (path, part) in [
        (empty.path(), "is empty"),
        (spaced.path(), "has white space"),
        ("/nowhere", "cannot be read"),
        ("/dev/zero", "is empty"),
    ] {
        let (code, said) = ask(&url, &[], &["--token-file", path]).await;
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("--token-file") && !said.contains("words"), "{said}");
        assert!(path == "/dev/zero" || said.contains(part), "{said}");
    }
}
