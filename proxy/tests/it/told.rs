//! What report and trips tell: headers that are not compared, examples with their request, rules that
//! were suggested or never applied.

mod examples;
mod headers;
mod ids;
mod person;
mod suggested;

use proxy::config::Config;
use serde_json::Value;

use crate::certificates::TempFile;
use crate::eventually;
use crate::support::Proxy;

async fn report(proxy: &Proxy) -> Value {
    proxy.get("/control/report").await.json().await.unwrap()
}

async fn as_text(proxy: &Proxy) -> String {
    let request = proxy.client.get(proxy.url("/control/report")).header("accept", "text/plain");
    request.send().await.unwrap().text().await.unwrap()
}

/// Sends so many requests and waits until each is a pair in the report.
async fn pairs(proxy: &Proxy, path: &str, count: u64) {
    let before = report(proxy).await["pairs"].as_u64().unwrap();
    for _ in 0..count {
        proxy.get(path).await.bytes().await.unwrap();
    }
    eventually!(report(proxy).await["pairs"].as_u64().unwrap() >= before + count);
}

fn rules(file: &TempFile) -> impl FnOnce(&mut Config) {
    let path = file.path().to_owned();
    move |config| {
        let given = Config::from_env(&|name| (name == "MIRROR_CONFIG").then(|| (&path).into()));
        config.mirror.rules = given.unwrap().mirror.rules;
    }
}
