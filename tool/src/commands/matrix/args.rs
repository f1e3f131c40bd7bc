//! The arguments of a measurement.

use std::path::PathBuf;
use std::time::Duration;

use crate::commands::how_args::HowArgs;
use crate::commands::peer_args::PeerArgs;
use crate::commands::place::PlaceArgs;
use crate::load::Family;
use crate::load::engine::{MAX_DEPTH, MAX_SIZE, MAX_STREAMS};
use crate::load::paths::{PATHS, PathEntry};
use crate::matrix::plan::Depth;
use crate::matrix::sizes;
use crate::probe::Backend;
use crate::units::{parse_duration, parse_size};

/// Where to send, which cells, how often, and what to write.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct MeasureArgs {
    /// Send paths, separated by commas, or all. Break-even needs copy among them; sendfile and splice are compared with
    /// read_write, too, when that is among them.
    #[arg(long, default_value = "all", value_parser = parse_paths, value_name = "LIST")]
    pub(super) paths: Paths,
    /// Bytes per send: sizes separated by commas, or a sweep FROM..TO:xN.
    #[arg(long, default_value = "4K..1M:x4", value_parser = parse_sizes, value_name = "LIST")]
    pub(super) sizes: Sizes,
    /// Connections, separated by commas.
    #[arg(long, default_value = "1", value_delimiter = ',', value_name = "LIST", value_parser = clap::value_parser!(u64).range(1..=i64::from(MAX_STREAMS) as u64))]
    pub(super) streams: Vec<u64>,
    /// Most sends outstanding per connection, separated by commas; auto is so many that size x depth is 1M, between
    /// 4 and 256. No path has more than size x depth in flight.
    #[arg(long, default_value = "auto", value_delimiter = ',', value_name = "LIST", value_parser = parse_depth)]
    pub(super) depth: Vec<Depth>,
    /// Where a sink listens. Without it: a sink of its own over loopback, which shows that the paths work and
    /// nothing about a NIC.
    #[arg(long, value_name = "HOST:PORT", conflicts_with_all = ["cable", "veth"])]
    pub(super) to: Option<String>,
    /// Send through this device (SO_BINDTODEVICE), and check by its counters that the traffic did.
    #[arg(short = 'i', long = "interface", value_name = "DEV", requires = "to")]
    pub(super) dev: Option<String>,
    #[command(flatten)]
    pub(super) how: HowArgs,
    #[command(flatten)]
    pub(super) place: PlaceArgs,
    /// How the sink is asked, or, when it is our own, started.
    #[command(flatten)]
    pub(super) peer: PeerArgs,
    /// Rounds; each runs every cell once, in an order of its own. Fewer than 5 give no interval and no verdict.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(super) repeat: u64,
    /// Longest time of one run, or auto: as long as all of them fit into ten minutes.
    #[arg(long, default_value = "auto", value_parser = parse_cell_duration, value_name = "TIME|auto")]
    pub(super) cell_duration: CellDuration,
    /// End a run when it has sent this much, too.
    #[arg(long, value_parser = parse_size, value_name = "SIZE")]
    pub(super) cell_bytes: Option<u64>,
    /// Sending before the figures of each run begin; 0 for none.
    #[arg(long, default_value = "200ms", value_parser = parse_warm_up, value_name = "TIME")]
    pub(super) warm_up: Duration,
    /// Afterwards run sizes between, until break-evens are known more exactly (three times at most).
    #[arg(long)]
    pub(super) refine: bool,
    /// Seed of the order of runs and of the intervals [default: a new one, printed].
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Write the document as JSON (schema zcscope.matrix/1) to FILE, or in place of the table.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    pub(super) json: Option<PathBuf>,
    /// Write a line per cell as CSV to FILE, or in place of the table.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    pub(super) csv: Option<PathBuf>,
    /// Write it as Markdown to FILE, or in place of the table.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    pub(super) markdown: Option<PathBuf>,
    /// Use IPv4 only.
    #[arg(short = '4', conflicts_with = "v6")]
    pub(super) v4: bool,
    /// Use IPv6 only.
    #[arg(short = '6')]
    pub(super) v6: bool,
    /// Do not trace what the kernel does with these sends.
    #[arg(long)]
    pub(super) no_trace: bool,
    /// Force one tracing back end.
    #[arg(long, value_enum, default_value_t, value_name = "BACKEND", conflicts_with = "no_trace")]
    pub(super) backend: Backend,
}

impl MeasureArgs {
    /// The address family asked for.
    pub(super) const fn family(&self) -> Family {
        match (self.v4, self.v6) {
            (true, _) => Family::V4,
            (_, true) => Family::V6,
            _ => Family::Any,
        }
    }
}

/// The paths asked for, in table order.
#[derive(Clone, Debug)]
pub(super) struct Paths(pub(super) Vec<&'static PathEntry>);

/// The sizes asked for, ascending.
#[derive(Clone, Debug)]
pub(super) struct Sizes(pub(super) Vec<u64>);

/// How long a run lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CellDuration {
    /// As long as there is time for.
    Auto,
    /// This long.
    Fixed(Duration),
}

fn parse_paths(text: &str) -> Result<Paths, String> {
    if text == "all" {
        return Ok(Paths(PATHS.iter().collect()));
    }
    let named = text.split(',').map(PathEntry::from_name).collect::<Result<Vec<_>, _>>();
    let named = named.map_err(|error| format!("{error}, or all"))?;
    Ok(Paths(PATHS.iter().filter(|entry| named.iter().any(|other| other.name == entry.name)).collect()))
}

fn parse_depth(text: &str) -> Result<Depth, String> {
    let most = u64::from(MAX_DEPTH);
    match text.parse() {
        Ok(depth) if (1..=most).contains(&depth) => Ok(Depth::Fixed(depth)),
        _ if text == "auto" => Ok(Depth::BySize),
        _ => Err(format!("{text:?} is no depth; write a number from 1 to {most}, or auto")),
    }
}

fn parse_sizes(text: &str) -> Result<Sizes, String> {
    let sizes = sizes::parse_sizes(text)?;
    match sizes.last() {
        Some(largest) if *largest > MAX_SIZE => Err("a send takes at most 1G".into()),
        _ => Ok(Sizes(sizes)),
    }
}

fn parse_cell_duration(text: &str) -> Result<CellDuration, String> {
    match text {
        "auto" => Ok(CellDuration::Auto),
        _ => parse_duration(text).map(CellDuration::Fixed).map_err(|error| format!("{error}, or auto")),
    }
}

fn parse_warm_up(text: &str) -> Result<Duration, String> {
    match text {
        "0" | "0s" | "none" => Ok(Duration::ZERO),
        _ => parse_duration(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_come_in_table_order_and_once() {
        let names = |text: &str| parse_paths(text).unwrap().0.iter().map(|p| p.name).collect::<Vec<_>>();
        assert_eq!(names("msg_zerocopy,copy,msg_zerocopy").len(), 2);
        assert_eq!(names("all").len(), PATHS.len());
        let error = parse_paths("copy,teleport").unwrap_err();
        assert!(error.contains("msg_zerocopy") && error.ends_with("or all"), "{error}");
    }

    #[test]
    fn times() {
        assert_eq!(parse_cell_duration("auto"), Ok(CellDuration::Auto));
        assert_eq!(parse_cell_duration("2s"), Ok(CellDuration::Fixed(Duration::from_secs(2))));
        assert!(parse_cell_duration("soon").unwrap_err().contains("auto"));
        assert_eq!(parse_warm_up("0"), Ok(Duration::ZERO));
        assert!(parse_sizes("2G").is_err());
        assert_eq!((parse_depth("auto"), parse_depth("4")), (Ok(Depth::BySize), Ok(Depth::Fixed(4))));
        assert!(parse_depth("0").is_err() && parse_depth("9999").is_err());
    }
}
