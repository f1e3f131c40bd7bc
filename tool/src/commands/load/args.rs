//! The flags of `load`, and the plan they make.

use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::commands::how_args::{HowArgs, Sends};
use crate::commands::peer_args::PeerArgs;
use crate::commands::place::{PlaceArgs, Placed};
use crate::load::engine::{MAX_DEPTH, MAX_SIZE, MAX_STREAMS, Plan};
use crate::load::knobs::default_depth;
use crate::load::pace::Rate;
use crate::load::paths::{PATHS, PathEntry, Setup};
use crate::load::warmup::WarmUp;
use crate::load::{Family, LoadError, resolve};
use crate::units::{parse_duration, parse_size};

/// Time limit when nothing limits the run.
const DEFAULT_DURATION: Duration = Duration::from_secs(10);
/// Time limit when the bytes do.
const DURATION_WITH_BYTES: Duration = Duration::from_secs(600);
/// Time of one level of `--latency`.
const DURATION_OF_LEVEL: Duration = Duration::from_secs(5);
/// A sink started for this load ends by itself after so long, should nobody end it.
const SINK_LIMIT: Duration = Duration::from_secs(24 * 3600);

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
    /// Report as JSON (schema zcscope.load/1).
    #[arg(long)]
    json: bool,
    /// Use IPv4 only.
    #[arg(short = '4', conflicts_with = "v6")]
    v4: bool,
    /// Use IPv6 only.
    #[arg(short = '6')]
    v6: bool,
    /// Do not trace what the kernel does with these sends.
    #[arg(long)]
    no_trace: bool,

    /// Bytes per send; K, M and G are powers of two.
    #[arg(long, default_value = "64K", value_parser = parse_send_size, value_name = "SIZE", help_heading = "Amount")]
    size: u64,
    /// Longest time to send [default: 10s, with --bytes 10m; with --latency 5s for each level].
    #[arg(long, value_parser = parse_duration, value_name = "TIME", help_heading = "Amount")]
    duration: Option<Duration>,
    /// Send exactly this many bytes over all streams; without a warm-up, unless one is asked for.
    #[arg(long, value_parser = parse_size, value_name = "SIZE", help_heading = "Amount")]
    bytes: Option<u64>,
    /// Connections.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_STREAMS)), help_heading = "Amount")]
    streams: u32,
    /// What to send before anything counts: auto (until the rate is flat, at most 5s), a time, or none
    /// [default: auto, with --bytes none].
    #[arg(long, value_name = "TIME", help_heading = "Amount")]
    warm_up: Option<WarmUp>,

    /// Most sends outstanding per stream, on paths with notifications [default: so many that size x depth is 1M,
    /// between 4 and 256].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_DEPTH)), help_heading = "How")]
    depth: Option<u32>,
    /// How fast, over all streams: 5Gbit (paced by the kernel, SO_MAX_PACING_RATE). With --latency one or more
    /// levels: 10K/s (messages), 5Gbit, or 50% (of the rate measured just before).
    #[arg(long, value_name = "RATE", value_delimiter = ',', help_heading = "How")]
    rate: Vec<Rate>,
    /// Send one message of --size whenever one is due at --rate, and time it from then, whether or not the ones
    /// before it are out: until the kernel took it, and until its end was told.
    #[arg(long, requires = "rate", conflicts_with = "bytes", help_heading = "How")]
    latency: bool,

    #[command(flatten)]
    how: HowArgs,
    #[command(flatten)]
    peer: PeerArgs,
    #[command(flatten)]
    place: PlaceArgs,
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
    if text.contains(',') || text.contains("..") {
        return Err(format!(
            "a load has one size; for several use `zcscope matrix --paths PATH --sizes {text}`"
        ));
    }
    let size = parse_size(text)?;
    if size > MAX_SIZE { Err("a send takes at most 1G".into()) } else { Ok(size) }
}

impl Args {
    pub(super) fn json(&self) -> bool {
        self.json
    }

    pub(super) fn trace(&self) -> bool {
        !self.no_trace
    }

    pub(super) fn repair(&self) -> bool {
        self.repair
    }

    /// Makes both ends, if they are to be on this host, and nothing where the path cannot do what is asked.
    pub(super) fn open_place(&self) -> Result<Option<Placed>, LoadError> {
        if let Some(path) = self.path {
            path.check_poison(self.peer.verify(), self.how.so_zerocopy()).map_err(LoadError::Usage)?;
        }
        let tls = self.path.is_some_and(|entry| entry.path == zcscope_common::Path::Ktls);
        let placed = self.place.open(self.v6, self.peer.rules(tls), SINK_LIMIT)?;
        if placed.is_none() && !self.peer.can_tell_the_sink() {
            return Err(LoadError::Usage(
                "--sink-mode needs a sink that can be told: --control, --cable or --veth; start yours with --mode"
                    .into(),
            ));
        }
        Ok(placed)
    }

    /// What to do, with both ends in `placed` when there is one.
    pub(super) fn plan(self, placed: Option<&Placed>) -> Result<Plan, LoadError> {
        let family = match (self.v4, self.v6) {
            (true, _) => Family::V4,
            (_, true) => Family::V6,
            _ => Family::Any,
        };
        let (levels, pacing_bit_s) = self.rates()?;
        let default_duration = match (self.latency, self.bytes) {
            (true, _) => DURATION_OF_LEVEL,
            (false, Some(_)) => DURATION_WITH_BYTES,
            (false, None) => DEFAULT_DURATION,
        };
        let default_warm_up = if self.bytes.is_some() { WarmUp::None } else { WarmUp::Auto };
        let streams = u64::from(self.streams);
        let depth = self.depth.unwrap_or(default_depth(self.size)).into();
        let how = self.how.plan(Sends { size: self.size, depth, streams })?;
        Ok(Plan {
            targets: match placed {
                Some(placed) => vec![placed.target()],
                None => resolve(self.to.as_deref().unwrap_or_default(), family)?,
            },
            setup: Setup { verify: self.peer.verify(), ..how.setup },
            path: self.path.ok_or_else(|| LoadError::Usage("name a send path".into()))?,
            device: placed.map(|placed| placed.place.device().to_owned()).or(self.dev),
            duration: self.duration.unwrap_or(default_duration),
            bytes: self.bytes,
            nodelay: how.nodelay || self.latency,
            pacing_bit_s,
            warm_up: self.warm_up.unwrap_or(default_warm_up),
            levels,
            peer: self.peer.target(family)?,
            ..how
        })
    }

    /// Levels of an open loop, or else what the kernel is to pace to.
    fn rates(&self) -> Result<(Vec<Rate>, Option<u64>), LoadError> {
        if self.latency {
            return Ok((self.rate.clone(), None));
        }
        match self.rate[..] {
            [] => Ok((Vec::new(), None)),
            [Rate::Bits(bits)] => Ok((Vec::new(), Some(bits))),
            _ => Err(LoadError::Usage(
                "--rate takes one rate in bits (5Gbit) here; messages per second, shares and several levels belong \
                 to --latency"
                    .into(),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::knobs::SendBuffer;
    use crate::load::placement::Placement;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        load: Args,
    }

    fn plan(flags: &str) -> Result<Plan, String> {
        let words = ["load", "copy", "--to", "127.0.0.1:9"].into_iter().chain(flags.split_whitespace());
        let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
        line.load.plan(None).map_err(|error| error.to_string())
    }

    #[test]
    fn careful_defaults() {
        let plan = plan("").unwrap();
        assert_eq!((plan.setup.size, plan.setup.depth, plan.setup.working_set), (64 << 10, 16, 16 << 20));
        assert_eq!((plan.sndbuf, plan.warm_up), (SendBuffer::InFlight, WarmUp::Auto));
        assert_eq!(plan.placement, Placement::Spread);
        assert!(!plan.nodelay && plan.levels.is_empty() && plan.pacing_bit_s.is_none());
    }

    #[test]
    fn exact_bytes_are_not_warmed_up_unless_asked() {
        assert_eq!(plan("--bytes 1G").unwrap().warm_up, WarmUp::None);
        assert_eq!(plan("--bytes 1G --warm-up auto").unwrap().warm_up, WarmUp::Auto);
    }

    #[test]
    fn a_thread_for_every_stream_unless_told_otherwise() {
        let threads = |flags: &str| plan(flags).map(|plan| (plan.streams, plan.threads()));
        assert_eq!(threads("--streams 8"), Ok((8, 8)));
        assert_eq!(threads("--streams 8 --threads 2"), Ok((8, 2)));
        assert!(threads("--threads 0").is_err());
    }

    #[test]
    fn what_cannot_be_caught_is_refused_before_anything_is_made() {
        let open = |path: &str| {
            let words = ["load", path, "--to", "127.0.0.1:9", "--verify", "--reuse-early"];
            Line::try_parse_from(words).unwrap().load.open_place().map(drop)
        };
        assert!(open("copy").is_err_and(|error| error.to_string().contains("breaks no rule on copy")));
        assert!(open("msg_zerocopy").is_ok());
    }

    #[test]
    fn rates_pace_or_make_levels() {
        assert_eq!(plan("--rate 5Gbit").unwrap().pacing_bit_s, Some(5_000_000_000));
        assert!(plan("--rate 10K/s").unwrap_err().contains("--latency"));
        let levels = plan("--latency --rate 10K/s,50%").unwrap();
        assert_eq!(levels.levels, [Rate::Messages(10_000), Rate::OfMaximum(50)]);
        assert!(levels.nodelay && levels.duration == DURATION_OF_LEVEL);
        assert!(plan("--latency").is_err(), "levels are needed");
        assert!(plan("--latency --rate 5/s --bytes 1M").is_err());
    }

    #[test]
    fn several_sizes_are_a_matrix() {
        for sizes in ["1K..4M:x2", "4K,64K"] {
            let error = plan(&format!("--size {sizes}")).unwrap_err();
            assert!(error.contains(&format!("zcscope matrix --paths PATH --sizes {sizes}")), "{error}");
        }
    }
}
