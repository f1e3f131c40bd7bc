//! The verb `demo`: live traffic over three send paths between two network namespaces of its own, and the dashboard
//! (or a report) on exactly this traffic. Nothing stays behind, however it ends.

mod ending;
mod replay;
mod traffic;
mod watch;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use super::screen_args::ScreenArgs;
use super::{Failure, Outcome};
use crate::host::link::{self, End};
use crate::privilege;
use crate::probe::{Backend, Filter, Options, Probe};
use crate::tui;
use crate::units::parse_duration;
use ending::Ending;
use traffic::{Pace, Traffic};
use watch::Watch;

/// All three paths together: enough to see, little enough that two cores stay mostly idle.
const MEGABIT_S: u32 = 1200;

/// Arguments of `demo`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Use these two devices, joined by a cable, instead of a veth pair. They are moved into own network
    /// namespaces and given back with all their settings.
    #[arg(long, value_name = "IF1,IF2", value_parser = crate::load::place::parse_cable)]
    link: Option<(String, String)>,
    /// Show a recording that comes with zcscope instead: no traffic, no tracing, no rights needed.
    #[arg(long, conflicts_with_all = ["link", "headless", "duration", "json", "backend", "btf"])]
    replay: bool,
    /// No screen: print a report at the end.
    #[arg(long)]
    headless: bool,
    /// End by itself after this time.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    duration: Option<Duration>,
    /// Print the report as JSON.
    #[arg(long, requires = "headless")]
    json: bool,
    /// Force one tracing back end.
    #[arg(long, value_enum, default_value_t, value_name = "BACKEND")]
    backend: Backend,
    /// Read kernel types from this file instead of /sys/kernel/btf/vmlinux.
    #[arg(long, value_name = "FILE")]
    btf: Option<PathBuf>,
    #[command(flatten)]
    screen: ScreenArgs,
}

/// Runs it.
///
/// # Errors
/// See [`Failure`].
pub fn run(args: Args) -> Outcome {
    let Args { link, replay, headless, duration, json, backend, btf, screen } = args;
    // Told before anything is set up.
    let screen = screen.options()?;
    if !headless && !std::io::stdout().is_terminal() {
        return Err(Failure::Usage(
            "the dashboard needs a terminal; for a report use `zcscope demo --headless --duration 10s`"
                .into(),
        ));
    }
    if replay {
        return replay::run(&screen).map(|()| 0);
    }
    privilege::can_trace().map_err(Failure::CannotTrace)?;
    privilege::can_make_namespaces().map_err(Failure::Failed)?;
    // Before the first child, so that no signal finds us without a plan.
    let mut ending = Ending::new().map_err(|error| failed("cannot watch for signals", &error))?;

    let filter = Filter { children: true, ..Filter::default() };
    let options = Options { backend, btf, filter, kernel_stats: false };
    let mut probe = Probe::start(&options).map_err(|error| Failure::CannotTrace(error.to_string()))?;

    let (ends, pace) = wire(link.as_ref())?;
    // Only from here: the `ip` and `tc` commands are not traffic.
    probe.adopt_children(true)?;
    let [near, far] = &ends;
    let traffic =
        Traffic::start(near, far, pace).map_err(|error| failed("cannot start the traffic", &error))?;
    ending.start_clock(duration);
    let watch = Watch::new(probe, traffic, ending);
    if headless { watch.report(json) } else { watch.dashboard(&tui::Options { duration, ..screen }) }?;
    // The ends go last: a borrowed device is given back when nobody uses it any more.
    drop(ends);
    Ok(0)
}

/// The two ends, and how the loads have to hold back.
fn wire(devices: Option<&(String, String)>) -> Result<([End; 2], Pace), Failure> {
    let ends = match devices {
        None => link::veth(),
        Some((a, b)) => link::borrow([a, b]),
    };
    let ends = ends.map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidInput => Failure::Usage(error.to_string()),
        _ => failed("cannot set up the link", &error),
    })?;
    let flows = u32::try_from(traffic::LOADS.len()).unwrap_or(1);
    let pace = match ends[0].limit_rate(MEGABIT_S, flows) {
        Ok(()) => Pace::Steady,
        Err(_) => Pace::Bursts,
    };
    Ok((ends, pace))
}

fn failed(what: &str, error: &std::io::Error) -> Failure {
    Failure::Failed(format!("{what}: {error}"))
}
