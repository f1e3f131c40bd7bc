//! The verb `sink`: receives and discards what `load` sends.

use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::load::write_out;
use super::{Failure, Outcome};
use crate::load::interrupt::Interrupt;
use crate::load::sink::result::{Connection, SinkReport};
use crate::load::sink::{Bounds, Mode, Sink};
use crate::units::{bit_rate, bytes, duration, parse_duration, parse_size};

/// Arguments of `sink`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Where to listen; [::]:PORT takes IPv4 and IPv6, port 0 picks a free one.
    #[arg(long, value_name = "ADDR:PORT", value_parser = parse_listen)]
    listen: SocketAddr,
    /// How to discard.
    #[arg(long, value_enum, default_value_t)]
    mode: Mode,
    /// End after this time.
    #[arg(long, default_value = "1h", value_parser = parse_duration, value_name = "TIME")]
    duration: Duration,
    /// End when this many bytes have come.
    #[arg(long, value_parser = parse_size, value_name = "SIZE")]
    max_bytes: Option<u64>,
    /// End when the first set of connections has closed.
    #[arg(long)]
    once: bool,
    /// Write the address to this file once connections are accepted.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Report as JSON (schema zcscope.sink/1).
    #[arg(long)]
    json: bool,
}

fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    let wrong =
        || format!("{text:?} is not ADDR:PORT of this host; write for example 10.0.0.2:9000 or [::]:9000");
    text.to_socket_addrs().ok().and_then(|mut found| found.next()).ok_or_else(wrong)
}

/// Runs it.
///
/// # Errors
/// See [`Failure`]: the port is in use, or the ready file cannot be written.
pub fn run(args: Args) -> Outcome {
    let interrupt = Interrupt::new().map_err(anyhow::Error::from)?;
    let sink = Sink::bind(args.listen)?;
    eprintln!(
        "listening on {} ({}), for {} at most",
        sink.local_addr(),
        args.mode.name(),
        duration(u64::try_from(args.duration.as_nanos()).unwrap_or(u64::MAX))
    );
    if let Some(file) = args.ready_file {
        announce(&file, sink.local_addr())?;
    }
    let bounds = Bounds { duration: args.duration, max_bytes: args.max_bytes, once: args.once };
    let report = sink.run(args.mode, bounds, Some(interrupt.as_fd()), |connection| {
        if !args.json {
            // The total comes at the end; a reader that has gone shows then.
            let _ = write_out(&line(connection));
        }
    })?;
    if args.json {
        let json = serde_json::to_string(&report).map_err(anyhow::Error::from)?;
        write_out(&format!("{json}\n"))?;
    } else {
        write_out(&total(&report))?;
    }
    Ok(0)
}

/// Makes `file` appear whole: who sees it can read the address.
fn announce(file: &Path, address: SocketAddr) -> Result<(), Failure> {
    let mut draft = file.as_os_str().to_owned();
    draft.push(".new");
    std::fs::write(&draft, format!("{address}\n"))
        .and_then(|()| std::fs::rename(&draft, file))
        .map_err(|error| Failure::Failed(format!("cannot write the ready file {}: {error}", file.display())))
}

fn line(c: &Connection) -> String {
    let rate = c.gbit_s.map(|g| format!(", {}", bit_rate(g * 1e9))).unwrap_or_default();
    format!(
        "{}: {} ({} B) in {}{rate}, {}\n",
        c.peer,
        bytes(c.bytes),
        c.bytes,
        duration(c.duration_ns),
        c.end
    )
}

fn total(report: &SinkReport) -> String {
    let n = report.connections.len();
    let turned_away = match report.turned_away {
        0 => String::new(),
        away => format!(", {away} turned away"),
    };
    format!(
        "total: {} ({} B) over {n} connection{}{turned_away}, receiving threads' CPU {}\n",
        bytes(report.bytes),
        report.bytes,
        if n == 1 { "" } else { "s" },
        duration(report.thread_ns)
    )
}
