//! The verb `sink`: receives and discards what `load` sends, and checks it where asked to.

use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::load::write_out;
use super::{Failure, Outcome};
use crate::load::control::message::Limits;
use crate::load::control::token::Token;
use crate::load::interrupt::Interrupt;
use crate::load::sink::result::{Connection, Figures, LoadSeen, SinkReport};
use crate::load::sink::{Bounds, Event, MAX_CONNECTIONS, Mode, Rules, Sink};
use crate::units::{bit_rate, bytes, counted, duration, exact, parse_duration, parse_size, percent};

/// Strangers at the control port that are told one by one; more are only counted.
const MAX_STRANGERS_TOLD: u64 = 20;

/// Arguments of `sink`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Where to listen; [::]:PORT takes IPv4 and IPv6, port 0 picks a free one.
    #[arg(long, value_name = "ADDR:PORT", value_parser = parse_listen)]
    listen: SocketAddr,
    /// How to receive.
    #[arg(long, value_enum, default_value_t)]
    mode: Mode,
    /// Compare every byte with the pattern that `load --verify` sends; exit code 1 when one is wrong.
    #[arg(long)]
    verify: bool,
    /// Receive the TLS records of the paths ktls and ktls_sendfile: the kernel decrypts, with fixed keys.
    #[arg(long)]
    tls: bool,
    /// End after this time.
    #[arg(long, default_value = "1h", value_parser = parse_duration, value_name = "TIME")]
    duration: Duration,
    /// End when this many bytes have come.
    #[arg(long, value_parser = parse_size, value_name = "SIZE")]
    max_bytes: Option<u64>,
    /// End when the first set of connections has closed; with --control, when the first load has ended.
    #[arg(long)]
    once: bool,
    /// Listen for loads here, too: a load with the same token says how its run is received and gets the figures back.
    /// Nobody else is received then.
    #[arg(long, value_name = "ADDR:PORT", value_parser = parse_listen)]
    control: Option<SocketAddr>,
    /// File with the token, readable by its owner only [default: the variable ZCSCOPE_TOKEN].
    #[arg(long, value_name = "FILE", requires = "control")]
    token_file: Option<PathBuf>,
    /// Longest time of one load.
    #[arg(long, default_value = "15m", value_parser = parse_duration, value_name = "TIME", requires = "control")]
    load_time: Duration,
    /// Most bytes of one load, warm-up included.
    #[arg(long, default_value = "16T", value_parser = parse_size, value_name = "SIZE", requires = "control")]
    load_bytes: u64,
    /// Write the address (with --control: both, one a line) to this file once connections are accepted.
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
/// See [`Failure`]: the port is in use, the token is not safe, the mode is not possible here, the ready file cannot be
/// written, or wrong bytes came.
pub fn run(args: &Args) -> Outcome {
    let interrupt = Interrupt::new().map_err(anyhow::Error::from)?;
    let rules = Rules { mode: args.mode, verify: args.verify, tls: args.tls };
    rules.mode.possible(rules.verify, rules.tls).map_err(Failure::Failed)?;
    let sink = bind(args)?;
    eprintln!("{}", greeting(args, &sink));
    if let Some(file) = &args.ready_file {
        announce(file, &sink)?;
    }
    let bounds = Bounds { duration: args.duration, max_bytes: args.max_bytes, once: args.once };
    let mut strangers = 0;
    let report = sink.serve(rules, bounds, Some(interrupt.as_fd()), |event| match event {
        // The total comes at the end; a reader that has gone shows then.
        Event::Connection(connection) if !args.json => drop(write_out(&line(connection))),
        Event::Load(load) if !args.json => drop(write_out(&load_line(load))),
        Event::Refused { peer, why } => {
            strangers += 1;
            if strangers <= MAX_STRANGERS_TOLD {
                eprintln!("{peer} was not let in at the control port: {why}");
            }
        }
        Event::CannotAccept { why, open } => {
            eprintln!("more connections wait than the {open} that are open, and cannot be taken in: {why}");
        }
        Event::Connection(_) | Event::Load(_) => {}
    })?;
    if args.json {
        let json = serde_json::to_string(&report).map_err(anyhow::Error::from)?;
        write_out(&format!("{json}\n"))?;
    } else {
        write_out(&total(&report))?;
    }
    match report.figures.mismatches {
        Some(wrong) if wrong > 0 => Err(Failure::Failed(format!("{} bytes were wrong", exact(wrong)))),
        _ => Ok(0),
    }
}

fn bind(args: &Args) -> Result<Sink, Failure> {
    let Some(control) = args.control else { return Ok(Sink::bind(args.listen)?) };
    let token = Token::find(args.token_file.as_deref())?;
    let limits = Limits { duration: args.load_time, bytes: args.load_bytes, streams: MAX_CONNECTIONS as u64 };
    Ok(Sink::bind(args.listen)?.with_control(control, token, limits)?)
}

fn greeting(args: &Args, sink: &Sink) -> String {
    let how = format!(
        "{}{}{}",
        args.mode.name(),
        if args.verify { ", every byte checked" } else { "" },
        if args.tls { ", TLS" } else { "" }
    );
    let loads = sink.control_addr().map(|control| format!(", loads ask on {control}")).unwrap_or_default();
    let longest = duration(u64::try_from(args.duration.as_nanos()).unwrap_or(u64::MAX));
    format!("listening on {} ({how}){loads}, for {longest} at most", sink.local_addr())
}

/// Makes `file` appear whole: who sees it can read the addresses.
fn announce(file: &Path, sink: &Sink) -> Result<(), Failure> {
    let mut draft = file.as_os_str().to_owned();
    draft.push(".new");
    let control = sink.control_addr().map(|address| format!("{address}\n")).unwrap_or_default();
    std::fs::write(&draft, format!("{}\n{control}", sink.local_addr()))
        .and_then(|()| std::fs::rename(&draft, file))
        .map_err(|error| Failure::Failed(format!("cannot write the ready file {}: {error}", file.display())))
}

fn line(c: &Connection) -> String {
    if c.bytes == 0 {
        return format!("{}: nothing came, {}\n", c.peer, c.end);
    }
    let rate = c.gbit_s.map(|g| format!(", {}", bit_rate(g * 1e9))).unwrap_or_default();
    let wrong = c.first_mismatch.as_ref().map(|first| format!("  WRONG {first}\n")).unwrap_or_default();
    format!(
        "{}: {} ({} B) in {}{rate}{}, {}\n{wrong}",
        c.peer,
        bytes(c.bytes),
        c.bytes,
        duration(c.duration_ns),
        figures(&c.figures, c.bytes),
        c.end
    )
}

/// What only some ways to receive know, each with a comma before it.
fn figures(f: &Figures, all: u64) -> String {
    let mut text = String::new();
    if let Some(mapped) = f.mapped_bytes {
        text += &format!(", {} of it mapped", percent(mapped, all));
    }
    if let Some(n) = f.out_of_buffers.filter(|n| *n > 0) {
        text += &format!(", out of buffers {} times", exact(n));
    }
    match (f.verified_bytes, f.mismatches) {
        (Some(_), Some(wrong)) if wrong > 0 => text += &format!(", {} bytes WRONG", exact(wrong)),
        (Some(right), _) => text += &format!(", {} B verified", exact(right)),
        _ => {}
    }
    text
}

fn load_line(load: &LoadSeen) -> String {
    let tls = if load.tls { ", TLS" } else { "" };
    format!(
        "load from {}: {}{tls}, {}, {} ({} B){}, {}\n",
        load.peer,
        load.mode,
        counted(load.connections, "connection"),
        bytes(load.bytes),
        load.bytes,
        figures(&load.figures, load.bytes),
        load.end
    )
}

fn total(report: &SinkReport) -> String {
    let n = report.connections.len() as u64 + report.connections_omitted;
    let mut rest = match report.turned_away {
        0 => String::new(),
        away => format!(", {away} turned away"),
    };
    if report.refused_controls > 0 {
        rest += &format!(", {} not let in at the control port", report.refused_controls);
    }
    format!(
        "total: {} ({} B) over {}{rest}{}, receiving threads' CPU {}\n",
        bytes(report.bytes),
        report.bytes,
        counted(n, "connection"),
        figures(&report.figures, report.bytes),
        duration(report.thread_ns)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_on_which_nothing_came_has_no_rate() {
        let mut connection = Connection {
            peer: "10.0.0.1:4000".into(),
            bytes: 0,
            calls: 0,
            figures: Figures { verified_bytes: Some(0), mismatches: Some(0), ..Figures::default() },
            first_mismatch: None,
            duration_ns: 0,
            gbit_s: None,
            thread_ns: 0,
            end: "closed".into(),
        };
        assert_eq!(line(&connection), "10.0.0.1:4000: nothing came, closed\n");
        (connection.bytes, connection.duration_ns) = (2048, 1_000);
        let text = line(&connection);
        assert!(text.starts_with("10.0.0.1:4000: 2.00 KiB (2048 B) in 1.00 µs"), "{text}");
    }
}
