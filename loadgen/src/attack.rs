//! The load test: goose's users, each of them asking, waiting, asking again.
//!
//! The model is closed: a fixed number of users, each with one request under way at most. goose can
//! make up for requests that a stall kept from being sent, but at a pace that leaves the think time
//! out, many times the real one; here [`crate::stats`] does it, at the users' real pace. goose's HTML
//! report shows the latencies of the requests really sent.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use goose::config::GooseConfiguration;
use goose::goose::{GooseRequest, TransactionFunction};
use goose::metrics::GooseMetrics;
use goose::prelude::{
    GooseAttack, GooseError, GooseMethod, GooseUser, Scenario, Transaction, TransactionResult,
};

use crate::mix::Shot;
use crate::options::Options;
use crate::stats::Stats;

/// Runs the load test to its end; what users see goes to `stats` as it happens.
///
/// # Errors
/// When the load test cannot start, or the report cannot be written.
pub async fn run(options: &Options, stats: Arc<Stats>) -> Result<GooseMetrics, Box<GooseError>> {
    let think_time = options.think_time;
    let scenario = Scenario::new("shop")
        .set_wait_time(think_time, think_time)?
        .register_transaction(Transaction::new(user(stats)).set_name("one request"));
    let attack = GooseAttack::initialize_with_config(configuration(options)?)?;
    Ok(attack.register_scenario(scenario).execute().await?)
}

/// Ends the load test early; [`run`] then returns as it does at the end of its time.
pub fn stop(why: &str) {
    goose::trigger_killswitch(why);
}

fn configuration(options: &Options) -> Result<GooseConfiguration, Box<GooseError>> {
    let mut configuration = GooseConfiguration::parse_args_default(&["-q"])?;
    configuration.host = Some(format!("{}/", options.base_url));
    configuration.users = Some(options.vus);
    // The time counts from when all users are there, and they are all there after a second.
    configuration.increase_rate = Some(options.vus.to_string());
    configuration.run_time = Some(format!("{}s", options.duration.as_secs()));
    // The requests of that first second are requests too.
    configuration.no_reset_metrics = true;
    configuration.no_print_metrics = true;
    configuration.no_telnet = true;
    configuration.report_file = vec![options.report.to_string_lossy().into_owned()];
    Ok(configuration)
}

fn user(stats: Arc<Stats>) -> TransactionFunction {
    Arc::new(move |user| -> Pin<Box<dyn Future<Output = TransactionResult> + Send + '_>> {
        let stats = Arc::clone(&stats);
        Box::pin(async move { ask(user, &stats).await })
    })
}

async fn ask(user: &mut GooseUser, stats: &Stats) -> TransactionResult {
    let shot = Shot::random();
    let (path, body) = (shot.path(), shot.body());
    let method = if body.is_some() { GooseMethod::Post } else { GooseMethod::Get };
    // Relative, so that a path of the base URL stays in front.
    let relative = path.trim_start_matches('/');
    let mut request = user.get_request_builder(&method, relative)?;
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    let name = crate::mix::KINDS[shot.kind()].split(' ').next_back().unwrap_or_default();
    let request = GooseRequest::builder()
        .method(method)
        .path(relative)
        .name(name)
        .set_request_builder(request)
        .build();
    let start = Instant::now();
    let mut answer = user.request(request).await?;
    let problem = match answer.response {
        Err(error) => Some(error.to_string()),
        Ok(response) => {
            let status = response.status();
            // A body that breaks off in the middle is no answer.
            match response.bytes().await {
                Err(error) => Some(error.to_string()),
                Ok(_) if !shot.is_fine(status.as_u16()) => Some(format!("status {status}")),
                Ok(_) => None,
            }
        }
    };
    stats.record(shot.kind(), start.elapsed(), problem.is_none());
    match problem {
        None => user.set_success(&mut answer.request),
        Some(problem) => user.set_failure(&problem, &mut answer.request, None, None),
    }
}
