//! The page, in a real browser and with real traffic.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use xtests::browser::{Browser, Tab};
use xtests::stack::{Place, Stack};
use xtests::{Result, client, ensure, eventually};

/// There is no browser on this machine.
#[derive(Debug)]
pub(crate) struct NoBrowser;

impl std::fmt::Display for NoBrowser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("chromium is missing")
    }
}

impl std::error::Error for NoBrowser {}

async fn browser(place: &Place) -> Result<Browser> {
    let Place::Processes(run, _) = place else { return Err("this is for processes".into()) };
    Ok(Browser::start(run).await?.ok_or(NoBrowser)?)
}

/// Where screenshots go.
fn folder() -> Result<PathBuf> {
    let tests = std::env::current_exe()?;
    let target = tests.ancestors().nth(3).ok_or("the tests lie in no folder")?;
    let folder = target.join("page");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

const FILE: &str = r#"
[mirror]
share = 1

[guardrail]
consecutive = 20
latency_floor = "10s"
cooldown = "5m"

[[route]]
name = "search"
share = 1
[route.match]
path = { prefix = "/api/search" }
"#;

/// Requests of all sorts.
async fn traffic(stack: &Stack, rounds: usize) -> Result<()> {
    let url = stack.proxy.url().await?;
    for round in 0..rounds {
        let product = format!("{url}/api/product/p-10{}", round % 10);
        client::text(&stack.client, &product).await?;
        client::text(&stack.client, &format!("{url}/api/search?q=ssd")).await?;
        let order = json!({"productIds": ["p-100", "p-101"], "email": "a@b.example"});
        stack.client.post(format!("{url}/api/checkout")).json(&order).send().await?;
    }
    Ok(())
}

/// One picture for each width and scheme; nothing may stick out of the page.
async fn pictures(tab: &Tab, folder: &Path, name: &str) -> Result<()> {
    for width in [400, 1400, 2000] {
        for dark in [false, true] {
            tab.look(width, dark).await?;
            let wide = tab.eval("document.documentElement.scrollWidth").await;
            ensure!(wide.as_i64().is_some_and(|it| it <= width), "{name} at {width} is {wide}");
            let scheme = if dark { "dark" } else { "light" };
            // Afterwards the browser has another width.
            tab.screenshot(&folder.join(format!("{name}-{width}-{scheme}.png"))).await?;
        }
    }
    tab.look(1400, false).await
}

pub(crate) async fn each_view_shows_real_data(place: &Place) -> Result<()> {
    let browser = browser(place).await?;
    let file = std::env::temp_dir().join(format!("xtests-{}-page.toml", std::process::id()));
    std::fs::write(&file, FILE)?;
    let path = file.to_string_lossy().into_owned();
    let own =
        [("MIRROR_CONFIG", path.as_str()), ("MIRROR_FRACTION", ""), ("ABORT_LATENCY_FLOOR", "")];
    let stack = Stack::start(place, &own).await?;
    let chaos = json!({"mismatchRate": 0.4, "errorRate": 0.01, "latencyMs": 2, "jitterMs": 12});
    stack.set_chaos(&stack.candidate, &chaos).await?;
    traffic(&stack, 150).await?;
    stack.control("disable?route=GET%20/api/product/{id}").await?;
    stack.control("reload").await?;
    eventually!(stack.metric("mirror_outcomes_total", &["outcome=\"mismatched\""]).await? > 50.0);
    let (url, folder) = (stack.proxy.url().await?, folder()?);
    let tab = browser.open(&format!("{url}/control/")).await?;
    tab.shows("#live-status", "Mirroring is on").await?;
    tab.shows("#live-status", "Do not release: ").await?;
    tab.shows("#live-rows", "POST /api/checkout").await?;
    tab.shows("#connection", "Live").await?;
    the_table_follows(&stack, &tab).await?;
    pictures(&tab, &folder, "overview").await?;
    ensure!(tab.count("svg").await > 10);

    tab.go(&format!("{url}/control/route?route=search&candidate=candidate")).await?;
    tab.shows("h1", "search").await?;
    tab.shows(".bounds tbody", "Mismatches, net of noise").await?;
    tab.shows("main", "page.toml:").await?;
    pictures(&tab, &folder, "route").await?;

    tab.go(&format!("{url}/control/differences?text=price")).await?;
    tab.shows(".group", "priceCents").await?;
    tab.click(".group h2 a").await?;
    tab.shows(".group.open .example .value.candidate", "candidate").await?;
    ensure!(tab.count(".group.open mark").await > 0);
    pictures(&tab, &folder, "differences").await?;
    let shown = tab.text(".group.open .request").await;
    ensure!(shown.contains("/api/"), "{shown}");

    trip(&stack).await?;
    tab.go(&format!("{url}/control/timeline")).await?;
    tab.shows(".events", "Guardrail stopped").await?;
    tab.shows(".events", "Route disabled by hand").await?;
    tab.shows(".events", "Settings reloaded").await?;
    pictures(&tab, &folder, "events").await?;
    tab.go(&format!("{url}/control/")).await?;
    tab.shows("#live-status", "It resumes with the first request in").await?;
    pictures(&tab, &folder, "tripped").await?;

    tab.go(&format!("{url}/control/settings")).await?;
    tab.shows("main", "mirror.share").await?;
    tab.shows("main", "page.toml:3").await?;
    pictures(&tab, &folder, "settings").await?;
    std::fs::remove_file(file)?;
    browser.close().await?;
    stack.stop().await
}

/// What happens shows without anybody asking.
async fn the_table_follows(stack: &Stack, tab: &Tab) -> Result<()> {
    let url = stack.proxy.url().await?;
    stack.client.get(format!("{url}/api/nothing/there")).send().await?;
    tab.shows("#live-rows", "GET /api/nothing/there").await
}

async fn trip(stack: &Stack) -> Result<()> {
    stack.set_chaos(&stack.candidate, &json!({"errorRate": 1})).await?;
    traffic(stack, 30).await?;
    eventually!(stack.status().await?["state"] == "tripped");
    Ok(())
}

pub(crate) async fn switches_switch_by_clicking_and_by_keyboard(place: &Place) -> Result<()> {
    let browser = browser(place).await?;
    let stack = Stack::start(place, &[]).await?;
    let url = stack.proxy.url().await?;
    let tab = browser.open(&format!("{url}/control/")).await?;
    tab.shows("#connection", "Live").await?;
    tab.click("#do-disable").await?;
    tab.shows("#live-status", "Mirroring is off").await?;
    tab.shows("#live-status", "disabled by hand").await?;
    ensure!(stack.status().await?["state"] == "held");
    tab.eval("document.querySelector('#do-enable').focus()").await;
    tab.press("Enter").await?;
    tab.shows("#live-status", "Mirroring is on").await?;
    ensure!(stack.status().await?["state"] == "enabled");
    tab.eval("document.querySelector('#share').value = '0.125'").await;
    tab.click("[name=what][value=share]").await?;
    tab.shows("#live-status", "12 % of requests").await?;
    ensure!(stack.status().await?["overrides"][0]["share"] == 0.125);
    // What makes no sense is refused in words.
    tab.eval("document.querySelector('#share-for').value = '48h'").await;
    tab.click("[name=what][value=share]").await?;
    tab.shows("#alert", "24h").await?;
    browser.close().await?;
    stack.stop().await
}

pub(crate) async fn values_wait_for_the_token(place: &Place) -> Result<()> {
    let browser = browser(place).await?;
    let stack = Stack::start(place, &[("CONTROL_TOKEN", "s3cret-of-the-page")]).await?;
    stack.set_chaos(&stack.candidate, &json!({"mismatchRate": 1})).await?;
    traffic(&stack, 5).await?;
    let url = stack.proxy.url().await?;
    let tab = browser.open(&format!("{url}/control/differences?text=price")).await?;
    tab.shows(".group", "priceCents").await?;
    tab.click(".group h2 a").await?;
    tab.shows(".group.open .value", "withheld: needs the token").await?;
    tab.shows("#token-button", "Enter token").await?;
    tab.click("#token-button").await?;
    eventually!(tab.eval("document.querySelector('#token-dialog').open").await == true);
    tab.type_into("#token-input", "s3cret-of-the-page").await?;
    tab.press("Enter").await?;
    eventually!(!tab.text(".group.open .value.baseline").await.contains("withheld"));
    ensure!(tab.count(".group.open mark").await > 0);
    let kept = tab.eval("document.cookie + location.href").await.to_string();
    ensure!(!kept.contains("s3cret"), "{kept}");
    // The tab keeps it.
    tab.go(&format!("{url}/control/settings")).await?;
    tab.shows("main", "mirror.share").await?;
    tab.go(&format!("{url}/control/")).await?;
    tab.shows("#connection", "Live").await?;
    tab.click("#do-disable").await?;
    tab.shows("#live-status", "Mirroring is off").await?;
    // Another one has none, and is asked.
    let other = browser.open(&format!("{url}/control/")).await?;
    other.shows("#connection", "Live").await?;
    other.click("#do-enable").await?;
    eventually!(other.eval("document.querySelector('#token-dialog').open").await == true);
    ensure!(stack.status().await?["state"] == "held");
    browser.close().await?;
    stack.stop().await
}

pub(crate) async fn a_lost_connection_is_shown_and_taken_up_again(place: &Place) -> Result<()> {
    let browser = browser(place).await?;
    let mut stack = Stack::start(place, &[]).await?;
    traffic(&stack, 3).await?;
    let url = stack.proxy.url().await?;
    let tab = browser.open(&format!("{url}/control/")).await?;
    tab.shows("#connection", "Live").await?;
    tab.shows("#live-rows", "POST /api/checkout").await?;
    tab.eval("window.before = true").await;
    stack.proxy.pause().await?;
    stack.proxy.resume().await?;
    stack.proxy.kill().await?;
    tab.shows("#connection", "Connection lost").await?;
    stack.proxy.start_again().await?;
    stack.wait_for(&stack.proxy, "/readyz").await?;
    // It is another process, so that the page is another one.
    tab.shows("#connection", "Live").await?;
    eventually!(tab.eval("window.before === undefined").await == true);
    tab.shows("main", "No request yet").await?;
    traffic(&stack, 1).await?;
    tab.shows("#live-rows", "POST /api/checkout").await?;
    browser.close().await?;
    stack.stop().await
}

/// Answers each request with this JSON.
async fn service(body: String) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    let body: Arc<str> = body.into();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let body = Arc::clone(&body);
            tokio::spawn(async move {
                let (read, mut write) = stream.into_split();
                let mut lines = BufReader::new(read.take(1 << 20)).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    let head = format!(
                        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                        body.len()
                    );
                    if line.is_empty()
                        && write.write_all(format!("{head}{body}").as_bytes()).await.is_err()
                    {
                        return;
                    }
                }
            });
        }
    });
    Ok(format!("http://{addr}"))
}

pub(crate) async fn planted_markup_is_inert(place: &Place) -> Result<()> {
    const SCRIPT: &str =
        "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">";
    let browser = browser(place).await?;
    let (long, turned) = ("k".repeat(64 << 10), "\u{202e}\u{1b}[31mturned");
    let body = |value: &str| json!({SCRIPT: value, (long.as_str()): value, turned: format!("{SCRIPT}{value}")});
    let baseline = service(body("one").to_string()).await?;
    let candidate = service(body("two").to_string()).await?;
    let own = [("BASELINE_URL", baseline.as_str()), ("CANDIDATE_URL", candidate.as_str())];
    let stack = Stack::start(place, &own).await?;
    let url = stack.proxy.url().await?;
    let planted = "%3Cscript%3Edocument.title='taken'%3C/script%3E";
    for path in ["/plain", &format!("/{planted}"), &format!("/x?{planted}=1")] {
        client::text(&stack.client, &format!("{url}{path}")).await?;
    }
    eventually!(stack.metric("mirror_outcomes_total", &["outcome=\"mismatched\""]).await? == 3.0);
    let tab = browser.open(&format!("{url}/control/")).await?;
    tab.shows("#connection", "Live").await?;
    tab.shows("#live-rows", "GET /plain").await?;
    is_itself(&tab, "Overview").await?;
    tab.go(&format!("{url}/control/differences")).await?;
    tab.shows(".groups", "<script>").await?;
    is_itself(&tab, "Differences").await?;
    let groups = tab.eval("[...document.querySelectorAll('.group h2 a')].map(it => it.href)").await;
    let groups = groups.as_array().cloned().unwrap_or_default();
    ensure!(groups.len() >= 3, "{groups:?}");
    for group in groups.iter().filter_map(|it| it.as_str()) {
        tab.go(group).await?;
        tab.shows(".group.open .examples", "candidate").await?;
        is_itself(&tab, "Differences").await?;
    }
    let all = tab.text("main").await;
    ensure!(all.contains("\\u{202e}\\u001b[31m") && !all.contains('\u{202e}'), "{all}");
    pictures(&tab, &folder()?, "planted").await?;
    browser.close().await?;
    stack.stop().await
}

pub(crate) async fn a_suggested_rule_is_applied_by_clicking_and_settles_its_group(
    place: &Place,
) -> Result<()> {
    let browser = browser(place).await?;
    let order = |id: u64| json!({"id": id, "sku": format!("sku-{id}"), "on": true});
    let orders: Vec<_> = (1..=5).map(order).collect();
    let turned: Vec<_> = orders.iter().rev().cloned().collect();
    let at = ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000+00:00"];
    let baseline = json!({"orders": orders, "total": 7, "at": at[0], "owner": "Example Trading"});
    let candidate = json!({"orders": turned, "total": 8, "at": at[1], "holder": "Example Trading"});
    let baseline = service(baseline.to_string()).await?;
    let candidate = service(candidate.to_string()).await?;
    let own = [("BASELINE_URL", baseline.as_str()), ("CANDIDATE_URL", candidate.as_str())];
    let stack = Stack::start(place, &own).await?;
    let url = stack.proxy.url().await?;
    let asked = async |times: f64| -> Result<()> {
        let before = stack.metric("mirror_outcomes_total", &["outcome=\"mismatched\""]).await?;
        for _ in 0..6 {
            let request = stack.client.get(format!("{url}/orders?page=2"));
            request.header("x-request-id", "r-17").send().await?;
        }
        eventually!(
            stack.metric("mirror_outcomes_total", &["outcome=\"mismatched\""]).await?
                >= before + times
        );
        Ok(())
    };
    asked(6.0).await?;
    let tab = browser.open(&format!("{url}/control/differences?kind=order")).await?;
    tab.shows(".group .explanation", "matched by `id`").await?;
    tab.click(".group h2 a").await?;
    tab.shows(".suggestion pre", "key = \"id\"").await?;
    tab.shows(".suggestion .leaves", "4 fields in 6 pairs would become 3 fields in 6 pairs")
        .await?;
    tab.shows(".group.open .asked", "r-17").await?;
    tab.click(".group.open .again summary").await?;
    tab.shows(".group.open .curl", "curl -sS -i \"$UPSTREAM\"'/orders?page=2'").await?;
    pictures(&tab, &folder()?, "suggestion").await?;
    tab.click(".suggestion .apply").await?;
    tab.shows(".applied", "key = \"id\"").await?;
    asked(6.0).await?;
    tab.go(&format!("{url}/control/differences")).await?;
    tab.shows(".groups", "total").await?;
    let fields = tab.text(".groups").await;
    ensure!(!fields.contains("orders'") && fields.contains("renamed"), "{fields}");
    pictures(&tab, &folder()?, "applied").await?;
    tab.click(".applied .withdraw").await?;
    eventually!(tab.count(".applied").await == 0);
    tab.go(&format!("{url}/control/timeline")).await?;
    tab.shows(".events", "Rules applied by hand").await?;
    tab.shows(".events", "Rules withdrawn").await?;
    browser.close().await?;
    stack.stop().await
}

pub(crate) async fn both_answers_stand_beside_each_other(place: &Place) -> Result<()> {
    let browser = browser(place).await?;
    let body = |price: u64, token: &str, more: &str| {
        let items: Vec<_> =
            (1..=12).map(|id| json!({"id": id, "sku": format!("sku-{id}")})).collect();
        json!({"items": items, "note": format!("delivered to the door, {more}"), "price": price,
            "session": {"password": token}, "token": "one", "total": 7})
    };
    let (ours, mut theirs) = (body(6900, "one", "today"), body(6950, "two", "tomorrow"));
    theirs["items"][5]["gift"] = json!(true);
    let (baseline, candidate) =
        (service(ours.to_string()).await?, service(theirs.to_string()).await?);
    let own = [("BASELINE_URL", baseline.as_str()), ("CANDIDATE_URL", candidate.as_str())];
    let stack = Stack::start(place, &own).await?;
    let url = stack.proxy.url().await?;
    client::text(&stack.client, &format!("{url}/orders")).await?;
    eventually!(stack.metric("mirror_outcomes_total", &["outcome=\"mismatched\""]).await? == 1.0);
    let tab = browser.open(&format!("{url}/control/differences?text=price")).await?;
    tab.shows(".group", "price").await?;
    tab.click(".group h2 a").await?;
    tab.shows(".answer-heads .baseline", "status 200").await?;
    let shown = tab.text(".answer").await;
    for part in ["\"price\": 6900", "\"price\": 6950", "\"gift\": true", "masked, not equal"] {
        ensure!(shown.contains(part), "{part}: {shown}");
    }
    ensure!(!shown.contains("***") && tab.count(".answer .differs mark").await > 0, "{shown}");
    tab.shows(".answer .fold summary", "equal lines").await?;
    pictures(&tab, &folder()?, "answers").await?;
    let is_seen = "document.querySelector('.answer .fold td.baseline').checkVisibility()";
    ensure!(tab.eval(is_seen).await == false);
    tab.click(".answer .fold summary").await?;
    eventually!(tab.eval(is_seen).await == true);
    pictures(&tab, &folder()?, "unfolded").await?;
    browser.close().await?;
    stack.stop().await
}

/// Nothing that was planted has run, or is an element, or is wider than the page.
async fn is_itself(tab: &Tab, title: &str) -> Result<()> {
    let shown = tab.eval("document.title").await.to_string();
    ensure!(shown.contains(title), "{shown}");
    ensure!(tab.count("main script, main img, main [onerror]").await == 0);
    let sticks_out = "document.documentElement.scrollWidth > innerWidth";
    ensure!(tab.eval(sticks_out).await == false, "{} sticks out", tab.url().await?);
    Ok(())
}
