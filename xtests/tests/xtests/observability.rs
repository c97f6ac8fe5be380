//! A real Prometheus over the stack: every query of every dashboard, alert and rule has an answer.

use std::process::Command;
use std::time::Duration;

use serde_json::json;
use xtests::client::{self, Traffic};
use xtests::prometheus::{
    Asked, Prometheus, dashboard_queries, dashboard_queries_with, image, selectors, workspace,
};
use xtests::stack::{Place, Stack};
use xtests::{PATIENCE, Result, ensure, eventually};

use crate::Missing;

type Check = fn() -> Result<()>;

/// Checks of the files alone.
pub(crate) const FILES: [(&str, Check); 5] = [
    ("prometheus_takes_configuration_and_rules", promtool_check),
    ("alerts_fire_when_they_should_and_only_then", promtool_test),
    ("grafana_knows_all_that_the_dashboards_say", dashboards_check),
    ("data_source_and_dashboards_are_where_the_stack_looks", provisioning_check),
    ("only_the_demos_panel_and_alerts_name_the_demos_jobs_and_metrics", demo_apart),
];

async fn start_prometheus(place: &Place, stack: &Stack) -> Result<Prometheus> {
    match place {
        Place::Containers(engine) => {
            let (name, tag) = image()?;
            if !engine.has_image(&format!("{name}:{tag}")).await {
                return Err(Missing(format!("the image {name}:{tag}")).into());
            }
            Prometheus::start_container(engine, stack).await
        }
        Place::Processes(run, _) => {
            if Command::new("prometheus").arg("--version").output().is_err() {
                return Err(Missing("prometheus".to_owned()).into());
            }
            Prometheus::start_process(run, stack).await
        }
    }
}

/// A stack on which everything has happened that a dashboard can show.
async fn eventful(
    place: &Place,
    more: &[(&'static str, &str)],
) -> Result<(Stack, Traffic, Prometheus)> {
    let settings = [("ABORT_CONSECUTIVE", "100000"), ("NOISE_FRACTION", "1")];
    let stack = Stack::start(place, &[&settings, more].concat()).await?;
    let prometheus = start_prometheus(place, &stack).await?;
    let chaos = json!({"errorRate": 0.2, "mismatchRate": 0.3, "latencyMs": 5});
    stack.set_chaos(&stack.candidate, &chaos).await?;
    stack.set_chaos(&stack.baseline, &json!({"errorRate": 0.1})).await?;
    let traffic = Traffic::start(&stack.proxy.url().await?, 2, Duration::from_millis(20), true)?;
    Ok((stack, traffic, prometheus))
}

pub(crate) async fn every_dashboard_and_rule_query_has_data(place: &Place) -> Result<()> {
    let (stack, traffic, prometheus) = eventful(place, &[]).await?;
    all_queries_have_data(&stack, &prometheus).await?;
    traffic.stop().await?;
    drop(prometheus);
    stack.stop().await
}

/// The same with two candidates, each of which must be in the answers that tell them apart.
pub(crate) async fn every_query_has_data_of_two_candidates(place: &Place) -> Result<()> {
    let file = std::env::temp_dir().join(format!("xtests-{}-two.toml", std::process::id()));
    let first = "[[candidate]]\nname = \"candidate\"\nurl = \"http://127.0.0.1:1\"\n";
    std::fs::write(&file, first)?;
    let path = file.to_string_lossy().into_owned();
    let (stack, traffic, prometheus) = eventful(place, &[("MIRROR_CONFIG", &path)]).await?;
    let second = stack.baseline.inner_url();
    std::fs::write(&file, format!("{first}[[candidate]]\nname = \"v3\"\nurl = \"{second}\"\n"))?;
    stack.control("reload").await?;
    all_queries_have_data(&stack, &prometheus).await?;
    let asked = dashboard_queries()?;
    let told_apart: Vec<_> = asked.iter().filter(|one| one.query.contains("candidate)")).collect();
    ensure!(told_apart.len() >= 20, "{} queries", told_apart.len());
    for one in told_apart {
        let of_both = async || -> Result<bool> {
            let found = prometheus.query(&one.query).await?;
            let has =
                |name: &str| found.iter().any(|(series, _)| series.to_string().contains(name));
            Ok(has("\"v3\""))
        };
        eventually!(of_both().await?);
    }
    traffic.stop().await?;
    drop(prometheus);
    std::fs::remove_file(file)?;
    stack.stop().await
}

async fn all_queries_have_data(stack: &Stack, prometheus: &Prometheus) -> Result<()> {
    let asked = dashboard_queries()?;
    ensure!(asked.len() >= 20, "{} queries", asked.len());
    for one in &asked {
        plausible_in_time(stack, prometheus, one).await?;
    }
    own_services_give_data(prometheus).await?;
    let rules = prometheus.rules().await?;
    ensure!(rules.len() >= 7, "{} rules", rules.len());
    for rule in &rules {
        let (name, query) = (&rule["name"], rule["query"].as_str().unwrap_or_default());
        for selector in selectors(query) {
            has_data_in_time(prometheus, &selector)
                .await
                .map_err(|why| format!("{name}: {why}"))?;
        }
    }
    eventually!(prometheus.rules().await?.iter().all(|rule| rule["health"] == "ok"));
    judged_in_time(prometheus).await?;
    for target in ["baseline", "candidate"] {
        let query = format!("sum(rate(mirror_requests_total{{target=\"{target}\"}}[15s]))");
        let rate = prometheus.query(&query).await?;
        ensure!(rate.iter().any(|(_, rate)| *rate > 1.0), "{target}: {rate:?}");
    }
    let text =
        client::text(&stack.client, &format!("{}/metrics", stack.proxy.url().await?)).await?;
    check_metrics(&text)
}

/// Who has other jobs, another counter and another label of the status types them in. Those of the
/// proxy stand for such services here.
async fn own_services_give_data(prometheus: &Prometheus) -> Result<()> {
    let own = [
        ("baseline_job", "prox.*"),
        ("candidate_job", "proxy"),
        ("requests_metric", "mirror_requests_total"),
        ("status_label", "target"),
        ("requests_filter", ""),
    ];
    let asked = dashboard_queries_with(&own)?;
    let of_services = asked.iter().filter(|one| one.text.contains("_job"));
    let mut count = 0;
    for one in of_services {
        ensure!(!one.query.contains("service-v"), "{one:?}");
        count += 1;
        has_data_in_time(prometheus, &one.query).await.map_err(|why| format!("{one:?}: {why}"))?;
    }
    ensure!(count >= 3, "{count} queries take the job of a service");
    Ok(())
}

/// The check above would not be worth much if it passed on names that nobody exports.
pub(crate) async fn a_renamed_metric_would_be_noticed(place: &Place) -> Result<()> {
    let (stack, traffic, prometheus) = eventful(place, &[]).await?;
    has_data_in_time(&prometheus, "mirror_requests_total").await?;
    for selector in ["mirror_requests_renamed_total", "mirror_requests_total{target=\"renamed\"}"] {
        ensure!(prometheus.query(selector).await?.is_empty());
    }
    let known = dashboard_queries()?.into_iter().map(|asked| asked.query).collect::<String>();
    for name in [
        "mirror_enabled",
        "mirror_aborts_total",
        "mirror_route_enabled",
        "mirror_route_aborts_total",
        "mirror_latency_seconds_bucket",
        "mirror_overall_verdict",
        "mirror_verdict",
        "mirror_overall_evidence",
        "mirror_evidence",
        "mirror_field_differences_total",
        "mirror_noise_pairs_total",
        "mirror_would_abort_total",
        "mirror_config_reloads_total",
        "mirror_log_lines_dropped_total",
    ] {
        ensure!(known.contains(name), "no panel asks for {name}");
    }
    traffic.stop().await?;
    drop(prometheus);
    stack.stop().await
}

/// What panels show of a candidate as bad as this one. The series are there from the start, with 0,
/// which the other checks take for an answer.
async fn judged_in_time(prometheus: &Prometheus) -> Result<()> {
    for query in [
        "max(mirror_overall_verdict{verdict=\"fail\"})",
        "max(mirror_verdict{verdict=\"fail\"})",
        "max(mirror_overall_evidence)",
        "max(mirror_evidence)",
        "sum(mirror_field_differences_total{risk=\"high\",kind=\"status\"})",
        "sum(mirror_field_differences_total{risk=\"medium\",kind=\"value\"})",
        "sum(mirror_noise_pairs_total{result=\"differed\"})",
    ] {
        positive_in_time(prometheus, query).await?;
    }
    Ok(())
}

async fn positive_in_time(prometheus: &Prometheus, query: &str) -> Result<()> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let series = prometheus.query(query).await?;
        if series.iter().any(|(_, value)| *value > 0.0) {
            return Ok(());
        }
        ensure!(tokio::time::Instant::now() < deadline, "{query} stays at {series:?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn has_data_in_time(prometheus: &Prometheus, selector: &str) -> Result<()> {
    eventually!(!prometheus.query(selector).await?.is_empty());
    Ok(())
}

/// Waits for data whose values can be what their unit says. A wrong query never gets there.
async fn plausible_in_time(stack: &Stack, prometheus: &Prometheus, asked: &Asked) -> Result<()> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let series =
            prometheus.query(&asked.query).await.map_err(|why| format!("{asked:?}: {why}"))?;
        let values: Vec<_> = series.iter().map(|(_, value)| *value).collect();
        let there = selectors_have_data(prometheus, &asked.query).await?;
        if there
            && !values.is_empty()
            && values.iter().all(|value| is_plausible(&asked.unit, *value))
        {
            return Ok(());
        }
        if tokio::time::Instant::now() > deadline {
            return Err(format!("{asked:?} gives {values:?}, all selectors there: {there}").into());
        }
        // Some panels show that something happened within the last seconds.
        stack.control("disable").await?;
        stack.control("enable").await?;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn selectors_have_data(prometheus: &Prometheus, query: &str) -> Result<bool> {
    for selector in selectors(query) {
        if prometheus.query(&selector).await?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_plausible(unit: &str, value: f64) -> bool {
    let range = match unit {
        "percentunit" => 0.0..=1.0,
        "s" => 0.0..=3600.0,
        "reqps" | "ops" => 0.0..=100_000.0,
        "bytes" | "decbytes" => 0.0..=1e12,
        _ => 0.0..=1e15,
    };
    range.contains(&value)
}

fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let Ok(output) = command.current_dir(workspace()).output() else {
        return Err(Missing(name).into());
    };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    match output.status.code() {
        Some(0) => Ok(()),
        // How `dashboards/check.py` says that it lacks a package.
        Some(3) if name == "python3" => Err(Missing(text.trim().to_owned()).into()),
        code => Err(format!("{command:?}: {code:?}\n{text}").into()),
    }
}

fn promtool_check() -> Result<()> {
    run(Command::new("promtool").args(["check", "config", "observability/prometheus.yml"]))?;
    run(Command::new("promtool").args(["check", "rules", "observability/rules.yml"]))?;
    run(Command::new("promtool").args(["check", "rules", "observability/alerts.yml"]))?;
    run(Command::new("promtool").args(["check", "rules", "observability/alerts-demo.yml"]))
}

fn promtool_test() -> Result<()> {
    for tests in ["alerts.test.yml", "candidates.test.yml"] {
        run(Command::new("promtool")
            .args(["test", "rules"])
            .arg(format!("observability/{tests}")))?;
    }
    Ok(())
}

fn check_metrics(text: &str) -> Result<()> {
    use std::io::Write;
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn();
    let mut promtool = promtool.map_err(|_| Missing("promtool".to_owned()))?;
    promtool.stdin.take().ok_or("no standard input")?.write_all(text.as_bytes())?;
    let output = promtool.wait_with_output()?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    ensure!(output.status.success() && said.is_empty(), "promtool check metrics: {said}");
    Ok(())
}

/// What stands on the demo's names says nothing, or nothing true, of other services.
fn demo_apart() -> Result<()> {
    const DEMO: [&str; 5] =
        ["service-v1", "service-v2", "http_server_requests", "/actuator", "job=\"proxy\""];
    const PANEL: &str = "panel \"Error rate, baseline and candidate\"";
    let demo = |text: &str| DEMO.into_iter().find(|name| text.contains(name));
    let asked = dashboard_queries()?;
    ensure!(asked.iter().any(|one| one.by == PANEL && demo(&one.text).is_some()));
    for one in asked.iter().filter(|one| one.by != PANEL) {
        ensure!(demo(&one.text).is_none(), "{} names the demo: {}", one.by, one.text);
    }
    for file in ["rules.yml", "alerts.yml"] {
        let text = std::fs::read_to_string(workspace().join("observability").join(file))?;
        ensure!(demo(&text).is_none(), "{file} names the demo: {:?}", demo(&text));
    }
    Ok(())
}

fn dashboards_check() -> Result<()> {
    let folder = std::fs::read_dir(workspace().join("dashboards"))?;
    let files = folder.collect::<std::io::Result<Vec<_>>>()?.into_iter().map(|file| file.path());
    let files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    ensure!(!files.is_empty());
    run(Command::new("python3").arg("dashboards/check.py").args(files))
}

/// The paths in the provisioning files are those that `compose.yaml` mounts.
fn provisioning_check() -> Result<()> {
    let read = |path: &str| std::fs::read_to_string(workspace().join(path));
    let (compose, provider) =
        (read("compose.yaml")?, read("grafana/provisioning/dashboards/mirrorlab.yml")?);
    let source = read("grafana/provisioning/datasources/prometheus.yml")?;
    ensure!(provider.contains("path: /var/lib/grafana/dashboards"));
    ensure!(compose.contains("./dashboards:/var/lib/grafana/dashboards:ro"));
    ensure!(provider.contains("folder: MirrorLab"));
    ensure!(source.contains("uid: prometheus") && source.contains("url: http://prometheus:9090"));
    ensure!(compose.contains("./observability:/etc/prometheus:ro"));
    Ok(())
}
