//! Black-box tests, each of them against containers and against plain processes.
//!
//! Where no container engine answers, the container tests show as ignored, with the reason;
//! `XTESTS_REQUIRE_DOCKER=1` makes that a failure. `XTESTS_REQUIRE_OBSERVABILITY=1` does the same
//! for the tests that need Prometheus, Python and its httpx, NGINX or Envoy, and `XTESTS_REQUIRE_BROWSER=1`
//! for those that need Chromium. `XTESTS_REQUIRE_PACKETS=1` is for those that need root, or a tool for packets.
#![allow(clippy::disallowed_methods, reason = "tests read their switches from the environment")]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tokio::runtime::Runtime;
use xtests::binaries::Binaries;
use xtests::engine::Engine;
use xtests::run::{Dead, Run};
use xtests::stack::Place;
use xtests::tools::Lacking;
use xtests::{PATIENCE, Result};

mod captures;
mod clients;
mod faults;
mod formats;
mod guardrail;
mod mirroring;
mod observability;
mod packets;
mod page;
mod policies;
mod recordings;
mod relay;
mod replays;
mod session;
mod sums;

type Scenario = fn(Place) -> Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// Makes a scenario of an async function.
macro_rules! scenario {
    ($module:ident::$name:ident) => {
        (
            concat!(stringify!($module), "::", stringify!($name)),
            (|place| Box::pin(async move { $module::$name(&place).await })) as Scenario,
        )
    };
}

/// Scenarios for both places.
const BOTH: [(&str, Scenario); 13] = [
    scenario!(clients::what_httpx_posts_over_http_2_is_mirrored),
    scenario!(mirroring::clients_see_only_the_baseline),
    scenario!(mirroring::the_candidate_gets_the_share_marked_and_whole),
    scenario!(guardrail::a_bad_candidate_stops_mirroring_and_clients_do_not_notice),
    scenario!(guardrail::the_first_request_after_the_cooldown_resumes_mirroring),
    scenario!(guardrail::a_manual_disable_stays_until_a_manual_enable),
    scenario!(faults::a_candidate_that_is_killed_costs_no_client_anything),
    scenario!(faults::a_candidate_that_hangs_costs_no_client_anything),
    scenario!(faults::a_candidate_that_restarts_costs_no_client_anything),
    scenario!(faults::a_restarted_baseline_is_502_while_it_is_gone_and_well_again),
    scenario!(faults::sigterm_under_load_fails_no_accepted_request),
    scenario!(observability::every_dashboard_and_rule_query_has_data),
    scenario!(observability::a_renamed_metric_would_be_noticed),
];

/// Scenarios that take a network of one's own.
const CONTAINERS: [(&str, Scenario); 1] =
    [scenario!(faults::a_candidate_that_is_cut_off_costs_no_client_anything)];

/// Scenarios with a settings file, which a process reads where it lies, or with a browser, which reaches
/// processes.
const PROCESSES: [(&str, Scenario); 35] = [
    scenario!(policies::shares_of_routes_bodies_health_and_sums),
    scenario!(observability::every_query_has_data_of_two_candidates),
    scenario!(relay::behind_nginx_pairs_come_out_right_and_its_clients_see_nothing),
    scenario!(relay::behind_envoy_pairs_come_out_right_and_its_clients_see_nothing),
    scenario!(page::each_view_shows_real_data),
    scenario!(page::switches_switch_by_clicking_and_by_keyboard),
    scenario!(page::values_wait_for_the_token),
    scenario!(page::a_lost_connection_is_shown_and_taken_up_again),
    scenario!(page::planted_markup_is_inert),
    scenario!(page::both_answers_stand_beside_each_other),
    scenario!(page::a_suggested_rule_is_applied_by_clicking_and_settles_its_group),
    scenario!(formats::one_session_is_the_same_by_proxy_packets_gor_and_har),
    scenario!(formats::what_a_browser_exports_is_what_the_proxy_and_tcpdump_saw),
    scenario!(packets::what_tcpdump_captured_is_what_the_service_was_asked_byte_for_byte),
    scenario!(packets::what_dumpcap_captured_is_what_the_service_was_asked_byte_for_byte),
    scenario!(packets::what_is_sent_to_a_candidate_is_what_the_service_was_asked),
    scenario!(packets::what_the_kernel_lost_and_sent_again_comes_out_once_and_whole),
    scenario!(packets::what_tshark_reads_is_what_is_converted),
    scenario!(packets::where_packets_are_missing_nothing_wrong_comes_out_and_sums_close),
    scenario!(packets::where_known_packets_are_missing_exactly_their_exchanges_are),
    scenario!(packets::where_packets_are_cut_nothing_wrong_comes_out_and_it_is_told),
    scenario!(packets::packets_out_of_order_are_put_in_order_again),
    scenario!(captures::a_planted_difference_is_found_on_an_interface_without_touching_the_service),
    scenario!(captures::a_bad_candidate_of_a_capture_is_stopped),
    scenario!(captures::what_is_encrypted_is_read_with_the_keys_that_clients_log_meanwhile),
    scenario!(replays::a_run_that_was_interrupted_goes_on_and_leaves_nothing_out),
    scenario!(recordings::a_recording_proxy_that_is_killed_loses_the_last_second_at_most),
    scenario!(recordings::a_full_disk_loses_recordings_and_no_client_sees_anything),
    scenario!(recordings::a_quota_takes_the_oldest_away),
    scenario!(replays::exit_codes_say_what_was_required),
    scenario!(replays::what_came_over_one_connection_keeps_its_order),
    scenario!(replays::due_times_do_not_wait_for_a_slow_candidate),
    scenario!(captures::without_the_right_to_listen_it_says_what_is_missing),
    scenario!(captures::a_mirror_of_the_kernels_own_feeds_a_candidate),
    scenario!(captures::what_tcpreplay_plays_onto_an_interface_is_recorded_whole),
];

fn is_set(name: &str) -> bool {
    std::env::var(name).is_ok_and(|value| value == "1")
}

/// What all tests share.
struct World {
    runtime: Runtime,
    run: Arc<Run>,
    binaries: Binaries,
    engine: Result<Engine>,
}

fn main() {
    let arguments = Arguments::from_args();
    let world = if arguments.list { None } else { Some(Arc::new(world())) };
    let conclusion = libtest_mimic::run(&arguments, trials(world.as_ref()));
    if let Some(world) = &world {
        world.clear_up();
    }
    conclusion.exit();
}

fn world() -> World {
    let runtime = Runtime::new().expect("threads can be started");
    let run = Arc::new(Run::begin().expect("the temporary folder can be written"));
    let binaries = Binaries::build().unwrap_or_else(|error| panic!("cargo build: {error}"));
    let engine = runtime.block_on(Engine::find(Arc::clone(&run), &binaries));
    if engine.is_err() {
        Dead::find().into_iter().for_each(Dead::bury);
    }
    let world = World { runtime, run, binaries, engine };
    world.clear_up_when_interrupted();
    world
}

impl World {
    fn clear_up(&self) {
        clear_up(&self.runtime, &self.run, self.engine.as_ref().ok());
    }

    fn clear_up_when_interrupted(&self) {
        let (run, engine) = (Arc::clone(&self.run), self.engine.as_ref().ok().cloned());
        self.runtime.spawn(async move {
            use tokio::signal::unix::{SignalKind, signal};
            let (Ok(mut interrupt), Ok(mut terminate)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                return;
            };
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            // A container that is just starting is waited for, or it would stay.
            let closed = tokio::time::timeout(PATIENCE, run.close()).await;
            if let Some(engine) = engine {
                drop(engine.remove_own().await);
            }
            run.end();
            drop(closed);
            std::process::exit(130);
        });
    }
}

fn clear_up(runtime: &Runtime, run: &Run, engine: Option<&Engine>) {
    if let Some(engine) = engine
        && let Err(error) = runtime.block_on(engine.remove_own())
    {
        eprintln!("cannot clear up: {error}");
    }
    run.end();
}

fn trials(world: Option<&Arc<World>>) -> Vec<Trial> {
    let in_processes = BOTH.into_iter().chain(PROCESSES).map(|(name, scenario)| {
        let world = world.cloned();
        Trial::ignorable_test(format!("process::{name}"), move || {
            let world = world.expect("tests run only when they are not listed");
            let place = Place::Processes(Arc::clone(&world.run), world.binaries.clone());
            finish(world.runtime.block_on(scenario(place)))
        })
    });
    let in_containers = BOTH.into_iter().chain(CONTAINERS).map(|(name, scenario)| {
        let world = world.cloned();
        Trial::ignorable_test(format!("container::{name}"), move || {
            let world = world.expect("tests run only when they are not listed");
            match &world.engine {
                Ok(engine) => {
                    finish(world.runtime.block_on(scenario(Place::Containers(engine.clone()))))
                }
                Err(error) if is_set("XTESTS_REQUIRE_DOCKER") => Err(error.to_string().into()),
                Err(error) => Ok(Completion::ignored_with(error)),
            }
        })
    });
    let of_files = observability::FILES.into_iter().map(|(name, check)| {
        Trial::ignorable_test(format!("files::{name}"), move || finish(check()))
    });
    in_processes.chain(in_containers).chain(of_files).collect()
}

/// A test that lacks a program is ignored with the reason, unless it must not be.
fn finish(result: Result<()>) -> std::result::Result<Completion, Failed> {
    match result {
        Ok(()) => Ok(Completion::Completed),
        Err(error) if error.is::<Missing>() && !is_set("XTESTS_REQUIRE_OBSERVABILITY") => {
            Ok(Completion::ignored_with(error))
        }
        Err(error) if error.is::<Lacking>() && !is_set("XTESTS_REQUIRE_PACKETS") => {
            Ok(Completion::ignored_with(error))
        }
        Err(error) if error.is::<page::NoBrowser>() && !is_set("XTESTS_REQUIRE_BROWSER") => {
            Ok(Completion::ignored_with(error))
        }
        Err(error) => Err(error.to_string().into()),
    }
}

/// A program or image that a test needs and this machine has not.
#[derive(Debug)]
struct Missing(String);

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is missing", self.0)
    }
}

impl std::error::Error for Missing {}
