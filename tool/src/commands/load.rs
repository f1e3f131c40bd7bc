//! The verb `load`: generates bounded load on one send path and reports what the application was told, beside what
//! the kernel did.

use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use super::place::{self, PlaceArgs, Placed};
use super::{Failure, Outcome};
use crate::load::engine::{self, MAX_DEPTH, MAX_SIZE, MAX_STREAMS, Plan, Progress};
use crate::load::interrupt::Interrupt;
use crate::load::paths::{PATHS, PathEntry, Setup};
use crate::load::result::Completions;
use crate::load::sink::Mode;

use crate::load::{Family, LoadError, resolve, text};
use crate::model::Model;
use crate::model::snapshot::Snapshot;
use crate::probe::{Filter, Options, Probe};
use crate::report::beside::{self, KernelDoc, Told};
use crate::units::{bit_rate, exact, parse_duration, parse_size, percent};

/// Time limit when nothing limits the run.
const DEFAULT_DURATION: Duration = Duration::from_secs(10);
/// Time limit when the bytes do.
const DURATION_WITH_BYTES: Duration = Duration::from_secs(600);

/// Time the kernel's last events get to be counted after the sockets have closed, and how often that is looked at.
const DRAIN: Duration = Duration::from_secs(1);
const DRAIN_TICK: Duration = Duration::from_millis(20);

/// Arguments of `load`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// How to send.
    #[arg(value_name = "PATH", value_parser = path_parser(), required_unless_present = "repair")]
    path: Option<&'static PathEntry>,
    /// Where the sink listens.
    #[arg(long, value_name = "HOST:PORT", required_unless_present_any = ["cable", "veth", "repair"])]
    to: Option<String>,
    /// Send through this device (SO_BINDTODEVICE), and check by its counters that the traffic did.
    #[arg(short = 'i', long = "interface", value_name = "DEV")]
    dev: Option<String>,
    /// Bytes per send; K, M and G are powers of two.
    #[arg(long, default_value = "64K", value_parser = parse_send_size, value_name = "SIZE")]
    size: u64,
    /// Longest time to send [default: 10s, with --bytes 10m].
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    duration: Option<Duration>,
    /// Send exactly this many bytes over all streams.
    #[arg(long, value_parser = parse_size, value_name = "SIZE")]
    bytes: Option<u64>,
    /// Connections, one thread each.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_STREAMS)))]
    streams: u32,
    /// Buffers per stream; with msg_zerocopy also the most sends outstanding.
    #[arg(long, default_value_t = 16, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_DEPTH)))]
    depth: u32,
    /// Congestion control [default: the system's].
    #[arg(long, value_name = "NAME")]
    cc: Option<String>,
    /// Report as JSON (schema zcscope.load/1).
    #[arg(long)]
    json: bool,
    /// Use IPv4 only.
    #[arg(short = '4', conflicts_with = "v6")]
    v4: bool,
    /// Use IPv6 only.
    #[arg(short = '6')]
    v6: bool,
    /// Leave SO_ZEROCOPY unset: the kernel then ignores MSG_ZEROCOPY and copies.
    #[arg(long)]
    no_so_zerocopy: bool,
    /// Let the scheduler move the sending threads between CPUs.
    #[arg(long)]
    no_pin: bool,
    /// Do not trace what the kernel does with these sends.
    #[arg(long)]
    no_trace: bool,
    #[command(flatten)]
    place: PlaceArgs,
    /// How the sink of --cable or --veth discards.
    #[arg(long, value_enum, default_value_t, help_heading = "Both ends on this host")]
    sink_mode: Mode,
    /// Send nothing: give ports of this host the settings back that a killed run with --cable could not return.
    #[arg(long, exclusive = true, help_heading = "Both ends on this host")]
    repair: bool,
}

/// The table of paths as clap knows it: names, one line of help each, and a list for a name that is not there.
fn path_parser() -> impl TypedValueParser<Value = &'static PathEntry> {
    let names = PATHS.iter().map(|entry| PossibleValue::new(entry.name).help(entry.about));
    PossibleValuesParser::new(names).try_map(|name| PathEntry::from_name(&name))
}

fn parse_send_size(text: &str) -> Result<u64, String> {
    let size = parse_size(text)?;
    if size > MAX_SIZE { Err("a send takes at most 1G".into()) } else { Ok(size) }
}

impl Args {
    /// The plan, with both ends in `placed` when there is one.
    fn plan(self, placed: Option<&Placed>) -> Result<Plan, LoadError> {
        let family = match (self.v4, self.v6) {
            (true, _) => Family::V4,
            (_, true) => Family::V6,
            _ => Family::Any,
        };
        let default_duration = if self.bytes.is_some() { DURATION_WITH_BYTES } else { DEFAULT_DURATION };
        Ok(Plan {
            path: self.path.ok_or_else(|| LoadError::Usage("name a send path".into()))?,
            targets: match placed {
                Some(Placed { place, .. }) => vec![place.target()],
                None => resolve(self.to.as_deref().unwrap_or_default(), family)?,
            },
            device: placed.map(|placed| placed.place.device().to_owned()).or(self.dev),
            cc: self.cc,
            setup: Setup {
                size: usize::try_from(self.size)
                    .map_err(|_| LoadError::Usage("--size is too large here".into()))?,
                depth: self.depth as usize,
                so_zerocopy: !self.no_so_zerocopy,
                ..Setup::default()
            },
            streams: self.streams as usize,
            duration: self.duration.unwrap_or(default_duration),
            bytes: self.bytes,
            pin: !self.no_pin,
        })
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Usage(text) => Failure::Usage(text),
            LoadError::Failed(text) => Failure::Failed(text),
        }
    }
}

/// Runs it.
///
/// # Errors
/// See [`Failure`]: wrong arguments, no sink, or a connection that broke (the report is still printed).
pub fn run(args: Args) -> Outcome {
    if args.repair {
        return place::repair();
    }
    let (json, no_trace) = (args.json, args.no_trace);
    // First: a signal must not find devices borrowed and nobody to give them back.
    let interrupt = Interrupt::new().map_err(anyhow::Error::from)?;
    let placed = args.place.open(&["--mode", args.sink_mode.name()])?;
    let plan = args.plan(placed.as_ref())?;
    let probe = start_probe(no_trace);
    let load = || engine::run(&plan, Some(interrupt.as_fd()), progress_lines());
    let mut report = match &placed {
        Some(placed) => placed.place.enter(load)??,
        None => load()?,
    };
    report.place = placed.map(Placed::close);
    let kernel = match probe.and_then(kernel_view) {
        Ok(snapshot) => Some(snapshot),
        Err(why) => {
            report.kernel_missing = Some(why);
            None
        }
    };
    let text = if json {
        if let Some(snapshot) = &kernel {
            let document = KernelDoc::of(snapshot);
            report.kernel = Some(serde_json::to_value(document).map_err(anyhow::Error::from)?);
        }
        serde_json::to_string(&report).map_err(anyhow::Error::from)? + "\n"
    } else {
        let told = report.completions.as_ref().map(told);
        text::render(&report, &kernel.map(|snapshot| beside::render(&snapshot, told)).unwrap_or_default())
    };
    write_out(&text)?;
    match report.error {
        Some(error) => Err(Failure::Failed(error)),
        None => Ok(0),
    }
}

const fn told(completions: &Completions) -> Told {
    Told {
        sends: completions.sends,
        bytes: completions.bytes,
        copied: completions.told_copied,
        copied_bytes: completions.told_copied_bytes,
    }
}

/// Traces exactly this process, or says why not.
fn start_probe(no_trace: bool) -> Result<Probe, String> {
    if no_trace {
        return Err("switched off with --no-trace".into());
    }
    let filter = Filter { pids: vec![std::process::id()], ..Filter::default() };
    Probe::start(&Options { filter, ..Options::default() }).map_err(|error| error.to_string())
}

/// What the kernel did with the sends of this process; all of them have ended, or are given a moment to.
fn kernel_view(mut probe: Probe) -> Result<Snapshot, String> {
    let mut model = Model::new(probe.session());
    let patience = Instant::now() + DRAIN;
    loop {
        model.absorb(probe.read().map_err(|error| format!("{error:#}"))?);
        let snapshot = model.snapshot();
        let open = snapshot.paths.iter().filter_map(|path| path.in_flight).any(|open| open.sends > 0);
        let settled = !open && snapshot.sockets.iter().all(|socket| !socket.alive);
        if settled || Instant::now() >= patience {
            return Ok(snapshot);
        }
        std::thread::sleep(DRAIN_TICK);
    }
}

/// One plain line a second, when somebody watches.
fn progress_lines() -> impl FnMut(&Progress) {
    let watched = std::io::stderr().is_terminal();
    let mut before = Progress::default();
    move |now: &Progress| {
        if watched {
            eprintln!("{}", progress_line(&before, now));
        }
        before = *now;
    }
}

fn progress_line(before: &Progress, now: &Progress) -> String {
    let span = (now.elapsed - before.elapsed).as_nanos().max(1) as f64;
    let gbit_s = (now.bytes - before.bytes) as f64 * 8.0 / span;
    let mut line = format!("{:4.0} s  {:>11}", now.elapsed.as_secs_f64(), bit_rate(gbit_s * 1e9));
    if now.ended > 0 {
        let (ended, copied) = (now.ended - before.ended, now.copied - before.copied);
        line.push_str(&format!("  told copied {:>6} of {} sends", percent(copied, ended), exact(ended)));
    }
    if now.enobufs > before.enobufs {
        line.push_str(&format!("  ENOBUFS {}", exact(now.enobufs - before.enobufs)));
    }
    line
}

/// Writes to stdout; a reader that has gone is no failure.
pub(super) fn write_out(text: &str) -> Result<(), Failure> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::Failed(format!("cannot write the report: {error}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_progress_line_shows_the_last_second_only() {
        let at = |s, bytes, ended, copied| Progress {
            elapsed: Duration::from_secs(s),
            bytes,
            ended,
            copied,
            enobufs: 0,
        };
        let line = progress_line(&at(1, 1_000_000_000, 100, 100), &at(2, 2_250_000_000, 200, 125));
        assert_eq!(line, "   2 s  10.0 Gbit/s  told copied 25.0 % of 100 sends");
    }
}
