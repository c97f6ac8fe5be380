//! Measures MirrorLab's proxy beside its peers, on two cores of one machine, and writes the table.
//!
//! The proxy under test has one core; clients and both backends share the second, as one thread.
//! What is counted where, and why the figures can be trusted, is in `bench/README.md`.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use clap::Parser;

use cell::{Plan, Round};
use proxies::{Addresses, Make, PEERS, Proxy};
use report::{Key, Results};
use scenario::{SCENARIOS, Scenario};

mod backend;
mod cell;
mod faults;
mod goals;
mod load;
mod machine;
mod messages;
mod proxies;
mod report;
mod scenario;

/// Measures the proxy beside nginx, haproxy, Envoy and pingora; writes bench/RESULTS.md.
#[derive(Debug, Parser)]
struct Options {
    /// How often each cell is measured; all cells take turns in each round.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each cell flat out, which gives processor time and requests per second.
    #[arg(long, default_value_t = 1.5)]
    seconds: f64,
    /// Seconds of each cell at the fixed rate, which gives the latencies.
    #[arg(long, default_value_t = 2.0)]
    paced_seconds: f64,
    /// Requests per second at the fixed rate.
    #[arg(long, default_value_t = 2000)]
    rate: u32,
    /// Connections of the clients.
    #[arg(long, default_value_t = 32)]
    clients: usize,
    /// Two short rounds: about three minutes for all.
    #[arg(long)]
    quick: bool,
    /// Only these, comma-separated: mirrorlab, nginx, haproxy, envoy, pingora, backend.
    #[arg(long, value_delimiter = ',')]
    proxies: Vec<String>,
    /// Only these, comma-separated: get, get-mirrored, post-mirrored, slow, refusing,
    /// refusing-known, hung.
    #[arg(long, value_delimiter = ',')]
    scenarios: Vec<String>,
    /// Another build of our proxy to measure beside this one; may be given more than once.
    #[arg(long, value_name = "NAME=PATH", value_parser = pair)]
    also: Vec<(String, String)>,
    /// One more setting for our proxy; may be given more than once.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// Measures what is built already.
    #[arg(long)]
    no_build: bool,
    /// Where the table goes. Without it, a quick run or one of a part of the cells is printed only.
    #[arg(long)]
    output: Option<PathBuf>,
    /// The first of four ports.
    #[arg(long, default_value_t = 18_080)]
    port: u16,
    /// Only serves as a backend.
    #[arg(long, hide = true)]
    serve: Option<SocketAddr>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("has no '='")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(why) => {
            tell(&format!("error: {why}"));
            ExitCode::from(2)
        }
    }
}

fn tell(line: &str) {
    // Nobody is left to tell when this fails.
    drop(writeln!(std::io::stderr(), "{line}"));
}

/// Whether every cell could be measured.
fn run(mut options: Options) -> Result<bool, Box<dyn std::error::Error>> {
    machine::raise_file_limit()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if let Some(address) = options.serve {
        return runtime.block_on(serve(address));
    }
    if options.quick {
        (options.rounds, options.seconds, options.paced_seconds) = (2, 1.0, 1.0);
    }
    let root = root()?;
    let work = root.join("target/bench");
    fs::create_dir_all(&work)?;
    if !options.no_build {
        build(&root)?;
    }
    let (proxies, missing) = gather(&options, &root, &work)?;
    let scenarios = wanted(&options)?;
    let plan = plan(&options)?;
    let mut results = Results::new(&plan, options.rounds, proxies, missing, revision(&root));
    let begin = Instant::now();
    runtime.block_on(measure_all(&mut results, &scenarios, &plan, options.rounds, &work));
    results.minutes = begin.elapsed().as_secs_f64() / 60.0;
    fs::write(work.join("rounds.tsv"), results.rounds_table())?;
    let text = results.markdown(&scenarios) + &goals::table(&results, &scenarios);
    let whole = !options.quick && options.proxies.is_empty() && options.scenarios.is_empty();
    let default = whole.then(|| root.join("bench/RESULTS.md"));
    match options.output.or(default) {
        Some(path) => fs::write(path, text)?,
        None => write!(std::io::stdout(), "{text}")?,
    }
    Ok(results.complete())
}

async fn serve(address: SocketAddr) -> Result<bool, Box<dyn std::error::Error>> {
    let manner = backend::Manner::Answer;
    let _backend = backend::Backend::start(address, messages::Role::Baseline, manner).await?;
    std::future::pending::<()>().await;
    Ok(true)
}

/// The folder of the project: that of the sources this was built from.
fn root() -> std::io::Result<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()
}

const PEER: &str = "bench/Cargo.toml";

fn build(root: &Path) -> Result<(), String> {
    let builds = |arguments: &[&str]| {
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--profile", "dist", "--locked"]).args(arguments);
        cargo.current_dir(root).status().is_ok_and(|status| status.success())
    };
    if !builds(&["-p", "proxy"]) {
        return Err("the proxy does not build".to_owned());
    }
    // A peer like the others: without it the rest is measured.
    if !builds(&["--manifest-path", PEER, "-p", "bench-pingora"]) {
        tell("pingora does not build");
    }
    Ok(())
}

fn gather(
    options: &Options,
    root: &Path,
    work: &Path,
) -> std::io::Result<(Vec<Proxy>, Vec<String>)> {
    let ours = root.join("target/dist/mirrorlab-proxy");
    let mut proxies = vec![Proxy::new("mirrorlab", Make::Ours, ours, root)];
    for (name, path) in &options.also {
        let name = format!("mirrorlab {name}");
        proxies.push(Proxy::new(&name, Make::Ours, PathBuf::from(path).canonicalize()?, root));
    }
    let mut missing = Vec::new();
    for (name, make) in PEERS {
        match proxies::find(make, work, root) {
            Some(binary) => proxies.push(Proxy::new(name, make, binary, root)),
            None => missing.push(format!("{name} ({})", proxies::remedy(make))),
        }
    }
    proxies.push(Proxy::new("backend", Make::Backend, std::env::current_exe()?, root));
    let wanted = |proxy: &Proxy| {
        let name = proxy.name.split(' ').next().unwrap_or_default();
        options.proxies.is_empty() || options.proxies.iter().any(|wanted| wanted == name)
    };
    proxies.retain(wanted);
    if proxies.is_empty() {
        return Err(std::io::Error::other("none of these proxies is here"));
    }
    for left_out in &missing {
        tell(&format!("left out, since it is not here: {left_out}"));
    }
    Ok((proxies, missing))
}

fn wanted(options: &Options) -> Result<Vec<&'static Scenario>, String> {
    if options.scenarios.is_empty() {
        return Ok(SCENARIOS.iter().collect());
    }
    let find = |name: &String| {
        let found = SCENARIOS.iter().find(|scenario| scenario.name == name);
        found.ok_or_else(|| format!("no scenario has the name {name}"))
    };
    options.scenarios.iter().map(find).collect()
}

fn plan(options: &Options) -> std::io::Result<Plan> {
    let at = |offset| SocketAddr::from((Ipv4Addr::LOCALHOST, options.port + offset));
    let (proxy_core, load_core) = machine::two_cores()?;
    Ok(Plan {
        addresses: Addresses { proxy: at(0), admin: at(1), baseline: at(2), candidate: at(3) },
        proxy_core,
        load_core,
        clients: options.clients,
        rate: options.rate,
        flat_out: Duration::from_secs_f64(options.seconds),
        at_rate: Duration::from_secs_f64(options.paced_seconds),
        settings: options.set.clone(),
    })
}

/// The commit that was built, and whether the sources are as committed.
fn revision(root: &Path) -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(root).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    match git(&["status", "--porcelain", "--", "proxy", "Cargo.lock", "Cargo.toml"]) {
        Some(changed) if changed.is_empty() => commit,
        _ => format!("{commit} and changes"),
    }
}

async fn measure_all(
    results: &mut Results,
    scenarios: &[&'static Scenario],
    plan: &Plan,
    rounds: usize,
    work: &Path,
) {
    for round in 1..=rounds {
        for scenario in scenarios {
            for proxy in results.proxies.clone() {
                if !proxy.takes(scenario) {
                    continue;
                }
                let measured = cell::measure(&proxy, scenario, plan, work).await;
                tell(&format!("{round} {}", line(scenario, &proxy, &measured)));
                results.add(Key { scenario: scenario.name, proxy: proxy.name }, round, measured);
            }
        }
    }
}

fn line(scenario: &Scenario, proxy: &Proxy, measured: &Result<Round, String>) -> String {
    let name = format!("{:15} {:12}", scenario.name, proxy.name);
    match measured {
        Err(why) => format!("{name} INVALID: {why}"),
        Ok(round) => format!(
            "{name} {:7.1} cpu ms/1000 {:8.0} req/s  p50 {:7.3}  p99 {:8.3} ms  {:5.1} MiB  \
             copied {:>6}  load {:.2}  speed {:.1} ms {:.2}  {}",
            round.cpu,
            round.rate,
            round.p50,
            round.p99,
            round.memory,
            round.copied.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0)),
            round.load,
            round.speed.work,
            round.speed.share,
            report::outcomes(&round.outcomes),
        ),
    }
}
