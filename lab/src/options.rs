//! The command line.

use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use crate::beside::Beside;
use crate::part::Part;
use crate::scenario::Scenario;

/// Starts baseline, candidate and proxy, in one process unless told otherwise, and drives light traffic
/// through them.
///
/// Exit codes: 0 when all went as it should, 1 when a scenario's step did not come true in time or
/// something could not start, 2 for bad arguments or settings. The proxy's settings are taken from
/// the environment, but every request is mirrored unless MIRROR_FRACTION says otherwise.
#[derive(Clone, Debug, Parser)]
#[command(name = "mirrorlab-lab", version = version::VERSION)]
pub struct Options {
    /// Play a story and check it.
    #[arg(long, value_enum)]
    pub scenario: Option<Scenario>,
    /// Stop after this time, such as 30s or 10m; by default it runs until Ctrl-C. For twins it is the
    /// time that they are watched, 10m by default; for another story it is a limit.
    #[arg(long, value_parser = humantime::parse_duration)]
    pub duration: Option<Duration>,
    /// Requests per second, above 0 and at most 1000.
    #[arg(long, default_value = "50", value_parser = rate)]
    pub rate: f64,
    /// Send nothing: the traffic is yours.
    #[arg(long, conflicts_with = "scenario")]
    pub no_traffic: bool,
    /// What goes on beside twins: burn:4 (so many busy loops), pause (each service, in a process of
    /// its own, is stopped for 200 ms every ten seconds), run:COMMAND (of the shell, again and
    /// again). May be given more than once.
    #[arg(long, requires = "scenario")]
    pub beside: Vec<Beside>,
    /// Twins with all parts as processes of their own, under the load test's mix of 50 users with a
    /// think time of 100 ms. All that happens is counted and told, and the exit code tells whether
    /// anything stopped, or any look at the report found a fail.
    #[arg(long, requires = "scenario", conflicts_with = "rate")]
    pub processes: bool,
    /// Be a part of the stack instead, for another process of this program.
    #[arg(long, value_enum, hide = true)]
    pub part: Option<Part>,
}

impl Options {
    /// What is read, where it makes sense together.
    ///
    /// # Errors
    /// What does not.
    pub fn checked(self) -> Result<Self, clap::Error> {
        let needs_twins = self.processes || !self.beside.is_empty();
        if needs_twins && self.scenario != Some(Scenario::Twins) {
            let why = "--beside and --processes are for --scenario twins";
            return Err(Self::command().error(ErrorKind::ArgumentConflict, why));
        }
        Ok(self)
    }
}

/// Reads a rate of requests per second.
///
/// # Errors
/// What is allowed.
pub fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if rate > 0.0 && rate <= 1000.0 {
        Ok(rate)
    } else {
        Err("allowed is a number above 0 and at most 1000".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from([&["lab"], arguments].concat())?.checked()
    }

    #[test]
    fn options_are_read() {
        let options =
            parse(&["--scenario", "regression", "--duration", "90s", "--rate", "12.5"]).unwrap();
        assert_eq!(options.scenario, Some(Scenario::Regression));
        assert_eq!((options.duration, options.rate), (Some(Duration::from_secs(90)), 12.5));
        assert!(parse(&["--no-traffic"]).unwrap().no_traffic);
        for (name, scenario) in [
            ("slow-2x", Scenario::Slow2x),
            ("errors-5", Scenario::Errors5),
            ("one-bad-route", Scenario::OneBadRoute),
            ("two-candidates", Scenario::TwoCandidates),
            ("twins", Scenario::Twins),
        ] {
            assert_eq!(parse(&["--scenario", name]).unwrap().scenario, Some(scenario));
        }
    }

    #[test]
    fn what_goes_on_beside_twins_may_be_several_things() {
        let given =
            ["--scenario", "twins", "--processes", "--beside", "burn:2", "--beside", "pause"];
        let options = parse(&given).unwrap();
        assert!(options.processes);
        assert_eq!(options.beside, [Beside::Burn(2), Beside::Pause]);
    }

    #[test]
    fn bad_options_are_usage_errors() {
        for bad in [
            &["--rate", "0"][..],
            &["--rate", "NaN"],
            &["--rate", "1001"],
            &["--duration", "soon"],
            &["--scenario", "none"],
            &["--no-traffic", "--scenario", "regression"],
            &["--what"],
            &["--beside", "pause"],
            &["--beside", "pause", "--scenario", "regression"],
            &["--beside", "sleep", "--scenario", "twins"],
            &["--processes"],
            &["--processes", "--scenario", "slow-2x"],
            &["--processes", "--scenario", "twins", "--rate", "10"],
        ] {
            assert_eq!(parse(bad).unwrap_err().exit_code(), 2, "{bad:?}");
        }
    }
}
