//! A real Prometheus over a stack, and all that our dashboards and rules ask it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use reqwest::Client;
use serde_json::Value;
use testcontainers::core::IntoContainerPort;
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage, ImageExt};
use tokio::process::{Child, Command};

use crate::engine::Engine;
use crate::run::Run;
use crate::stack::Stack;
use crate::{PATIENCE, Result, client, eventually};

/// What `observability/prometheus.yml` calls the parts.
const TARGETS: [&str; 3] = ["proxy:8080", "service-v1:4001", "service-v2:4002"];

#[derive(Debug)]
enum Running {
    Container { _container: Box<ContainerAsync<GenericImage>> },
    Process { _child: Box<Child> },
}

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    /// Its base URL.
    pub url: String,
    client: Client,
    // Held for its end: dropping it ends Prometheus.
    _running: Running,
}

/// The top folder of the project.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn observability() -> PathBuf {
    workspace().join("observability")
}

/// The image that `compose.yaml` names.
///
/// # Errors
/// When it names none.
pub fn image() -> Result<(String, String)> {
    let compose = std::fs::read_to_string(workspace().join("compose.yaml"))?;
    let line = compose.lines().find_map(|line| line.trim().strip_prefix("image: prom/"));
    let (name, tag) = line.and_then(|name| name.split_once(':')).ok_or("no Prometheus image")?;
    Ok((format!("prom/{name}"), tag.to_owned()))
}

/// The project's configuration with these targets, scraping every second to be quicker.
fn configuration(targets: [String; 3]) -> Result<String> {
    let mut text = std::fs::read_to_string(observability().join("prometheus.yml"))?;
    for (from, to) in TARGETS.into_iter().zip(targets) {
        if !text.contains(from) {
            return Err(format!("prometheus.yml has no target {from}").into());
        }
        text = text.replace(from, &to);
    }
    Ok(text.replace("interval: 5s", "interval: 1s").replace("timeout: 4s", "timeout: 1s"))
}

fn rule_files() -> Result<Vec<PathBuf>> {
    let files = std::fs::read_dir(observability())?.collect::<std::io::Result<Vec<_>>>()?;
    Ok(files.into_iter().map(|file| file.path()).collect())
}

impl Prometheus {
    /// As a container on the stack's network.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_container(engine: &Engine, stack: &Stack) -> Result<Self> {
        let (name, tag) = image()?;
        let (key, value) = engine.label();
        let inner = |part: &crate::part::Part| part.inner_url().replace("http://", "");
        let targets = [&stack.proxy, &stack.baseline, &stack.candidate].map(inner);
        let mut request = GenericImage::new(name, tag)
            .with_exposed_port(9090.tcp())
            .with_network(stack.network())
            .with_container_name(format!("{}-prometheus", stack.network()))
            .with_label(key, value)
            .with_startup_timeout(PATIENCE);
        for file in rule_files()? {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let text = match name.as_str() {
                "prometheus.yml" => configuration(targets.clone())?,
                _ => std::fs::read_to_string(&file)?,
            };
            request = request.with_copy_to(format!("/etc/prometheus/{name}"), text.into_bytes());
        }
        let making = engine.run().make().await;
        let container = request.start().await?;
        drop(making);
        let port = container.get_host_port_ipv4(9090).await?;
        let url = format!("http://{}:{port}", container.get_host().await?);
        let running = Running::Container { _container: Box::new(container) };
        Self::ready(url, running).await
    }

    /// As a process, of the `prometheus` that is installed.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start_process(run: &Arc<Run>, stack: &Stack) -> Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let folder = run.folder(&format!("{}-prometheus", stack.network()))?;
        let inner = |part: &crate::part::Part| part.inner_url().replace("http://", "");
        let targets = [&stack.proxy, &stack.baseline, &stack.candidate].map(inner);
        for file in rule_files()? {
            std::fs::copy(&file, folder.join(file.file_name().unwrap_or_default()))?;
        }
        std::fs::write(folder.join("prometheus.yml"), configuration(targets)?)?;
        let making = run.make().await;
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        run.note_process(child.id().ok_or("it ended at once")?)?;
        drop(making);
        let running = Running::Process { _child: Box::new(child) };
        Self::ready(format!("http://127.0.0.1:{port}"), running).await
    }

    async fn ready(url: String, running: Running) -> Result<Self> {
        let prometheus = Self { url, client: client::client()?, _running: running };
        let ready = format!("{}/-/ready", prometheus.url);
        eventually!(client::text(&prometheus.client, &ready).await.is_ok());
        Ok(prometheus)
    }

    /// The series that a query gives right now: labels and value.
    ///
    /// # Errors
    /// What Prometheus said about the query.
    pub async fn query(&self, query: &str) -> Result<Vec<(Value, f64)>> {
        let url = format!("{}/api/v1/query", self.url);
        let answer = self.client.post(url).form(&[("query", query)]).send().await?;
        let answer: Value = answer.json().await?;
        if answer["status"] != "success" {
            return Err(format!("{query}: {}", answer["error"]).into());
        }
        let result = &answer["data"]["result"];
        let series = result.as_array().ok_or_else(|| format!("{query}: {answer}"))?;
        let value = |sample: &Value| sample[1].as_str().and_then(|text| text.parse().ok());
        Ok(series
            .iter()
            .filter_map(|series| match series.get("metric") {
                Some(labels) => Some((labels.clone(), value(&series["value"])?)),
                // A scalar is a time and a value.
                None => None,
            })
            .collect())
    }

    /// All rules as Prometheus loaded them.
    ///
    /// # Errors
    /// No answer.
    pub async fn rules(&self) -> Result<Vec<Value>> {
        let rules = client::json(&self.client, &format!("{}/api/v1/rules", self.url)).await?;
        let groups = rules["data"]["groups"].as_array().ok_or("no rule groups")?;
        Ok(groups.iter().filter_map(|group| group["rules"].as_array()).flatten().cloned().collect())
    }
}

/// One query of a dashboard.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Which panel, variable or annotation.
    pub by: String,
    /// As it stands in the dashboard.
    pub text: String,
    /// With all variables filled in.
    pub query: String,
    /// What the values are, in Grafana's words; empty where there are none.
    pub unit: String,
}

impl Asked {
    fn new(by: String, text: &str, unit: &str) -> Self {
        Self { by, text: text.to_owned(), query: String::new(), unit: unit.to_owned() }
    }
}

/// All queries of all dashboards, with what their text boxes hold at first.
///
/// # Errors
/// When a dashboard is no JSON.
pub fn dashboard_queries() -> Result<Vec<Asked>> {
    dashboard_queries_with(&[])
}

/// All queries of all dashboards, with these names and values written into the text boxes.
///
/// # Errors
/// When a dashboard is no JSON.
pub fn dashboard_queries_with(written: &[(&str, &str)]) -> Result<Vec<Asked>> {
    let mut asked = Vec::new();
    for file in std::fs::read_dir(workspace().join("dashboards"))? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
            let boxes = text_boxes(&dashboard, written);
            let from = asked.len();
            panels(&dashboard["panels"], &mut asked);
            others(&dashboard, &mut asked);
            for one in &mut asked[from..] {
                one.query = filled_in(&one.text, &boxes);
            }
        }
    }
    Ok(asked)
}

fn panels(list: &Value, asked: &mut Vec<Asked>) {
    for panel in list.as_array().into_iter().flatten() {
        panels(&panel["panels"], asked);
        let title = panel["title"].as_str().unwrap_or("without a title");
        let unit = panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap_or_default();
        for target in panel["targets"].as_array().into_iter().flatten() {
            let text = target["expr"].as_str().unwrap_or_default();
            asked.push(Asked::new(format!("panel {title:?}"), text, unit));
        }
    }
}

fn others(dashboard: &Value, asked: &mut Vec<Asked>) {
    for annotation in dashboard["annotations"]["list"].as_array().into_iter().flatten() {
        if let Some(query) = annotation["expr"].as_str() {
            let by = format!("annotation {}", annotation["name"]);
            asked.push(Asked::new(by, query, ""));
        }
    }
    for variable in dashboard["templating"]["list"].as_array().into_iter().flatten() {
        let query = variable["query"]["query"].as_str().or(variable["query"].as_str());
        // label_values(metric, label): the metric must be there with the label.
        let inner = query.and_then(|query| query.strip_prefix("label_values("));
        if let Some((metric, label)) =
            inner.and_then(|inner| inner.trim_end_matches(')').rsplit_once(','))
        {
            let query = format!("count by ({}) ({metric})", label.trim());
            asked.push(Asked::new(format!("variable {}", variable["name"]), &query, ""));
        }
    }
}

/// The variables that are typed in: names, and what is written into them or they hold at first.
fn text_boxes(dashboard: &Value, written: &[(&str, &str)]) -> Vec<(String, String)> {
    let list = dashboard["templating"]["list"].as_array().into_iter().flatten();
    list.filter(|variable| variable["type"] == "textbox")
        .filter_map(|variable| {
            let name = variable["name"].as_str()?;
            let written = written.iter().find(|(written, _)| *written == name);
            let value = written.map_or(variable["query"].as_str(), |(_, value)| Some(value))?;
            Some((name.to_owned(), value.to_owned()))
        })
        .collect()
}

/// A query as Grafana would send it, over a short while.
fn filled_in(query: &str, boxes: &[(String, String)]) -> String {
    let query = [("$__rate_interval", "15s"), ("$__interval", "5s"), ("$__range", "1m")]
        .into_iter()
        .chain([("${route:regex}", ".*"), ("$route", ".*"), ("${route}", ".*")])
        .fold(query.to_owned(), |query, (name, value)| query.replace(name, value));
    boxes.iter().fold(query, |query, (name, value)| {
        query.replace(&format!("${{{name}:raw}}"), value).replace(&format!("${name}"), value)
    })
}

/// The selectors of a query (`metric` or `metric{…}`): what must be there for an answer at all, also
/// where the whole query is empty on purpose, as an alert's is while all is well.
pub fn selectors(query: &str) -> BTreeSet<String> {
    const WORDS: [&str; 15] = [
        "and",
        "or",
        "unless",
        "by",
        "without",
        "on",
        "ignoring",
        "group_left",
        "group_right",
        "bool",
        "offset",
        "inf",
        "nan",
        "Inf",
        "NaN",
    ];
    let mut found = BTreeSet::new();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut rest = query;
    while let Some(start) = rest.find(|c: char| is_name(c) || c == '"' || c == '[') {
        rest = &rest[start..];
        if rest.starts_with(['"', '[']) {
            let end = if rest.starts_with('"') { '"' } else { ']' };
            rest = rest[1..].split_once(end).map_or("", |(_, rest)| rest);
            continue;
        }
        let end = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let next = after.trim_start();
        rest = after;
        let is_label_list = ["by", "without", "on", "ignoring", "group_left", "group_right"];
        if is_label_list.contains(&name) && next.starts_with('(') {
            rest = next.split_once(')').map_or("", |(_, rest)| rest);
        } else if name.starts_with(|c: char| c.is_ascii_digit())
            || WORDS.contains(&name)
            || next.starts_with('(')
            // An aggregation such as `sum by (route) (…)`.
            || next.starts_with("by ")
            || next.starts_with("without ")
        {
        } else if next.starts_with('{') {
            let (labels, after) = next.split_once('}').unwrap_or((next, ""));
            found.insert(format!("{name}{labels}}}"));
            rest = after;
        } else {
            found.insert(name.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_metrics_with_their_labels_and_nothing_else() {
        let query = "sum by (route) (rate(a_total{x=\"1\",y=~\"b|c\"}[5m])) / on (route) \
            group_left (z) (b:rate5m > 0.15) unless histogram_quantile(0.99, \
            sum(rate(c_bucket[1m])) by (le, route)) > bool 1e3 and up == 0 or vector(0)";
        let expected = ["a_total{x=\"1\",y=~\"b|c\"}", "b:rate5m", "c_bucket", "up"];
        assert!(selectors(query).iter().eq(expected), "{:?}", selectors(query));
    }
}
