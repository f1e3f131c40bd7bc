//! One connection of a sink: a plain thread that receives until the peer closes or the run is stopped.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use socket2::Socket;

use super::check::Checker;
use super::hall::no_room;
use super::modes::{Mode, Tally, Want};
use super::result::{Connection, Figures, FirstMismatch, SendPlace};
use crate::host::cpu::thread_ns;
use crate::load::result::gbit_s;

/// What the connections of one run share.
pub(super) struct Run {
    stop: AtomicBool,
    bytes: AtomicU64,
    max_bytes: u64,
}

impl Run {
    /// A run that takes at most `max_bytes`.
    pub(super) fn new(max_bytes: u64) -> Self {
        Self { stop: AtomicBool::new(false), bytes: AtomicU64::new(0), max_bytes }
    }

    /// Makes every connection end. Whoever waits for bytes is woken by shutting the socket down.
    pub(super) fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    /// Bytes received so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Whether as much has come as may.
    pub(super) fn is_full(&self) -> bool {
        self.bytes() >= self.max_bytes
    }
}

/// How a connection is to be received.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    pub(super) mode: Mode,
    pub(super) verify: bool,
    /// Most bytes of one receive.
    pub(super) buffer: usize,
    /// Bytes per send of the peer, where it told.
    pub(super) send_size: Option<u64>,
}

/// Receives from one connection until it ends or the run is stopped.
pub(super) fn receive(socket: &Socket, peer: String, order: Order, run: &Run) -> Connection {
    let cpu_before = thread_ns();
    let mut tally = Tally::new(order.verify);
    let mut count = Count::default();
    let end = drain(socket, order, run, &mut tally, &mut count);
    let duration_ns = count.span.map_or(0, |(first, last)| ns(last - first));
    Connection {
        peer,
        bytes: count.bytes,
        calls: tally.calls,
        figures: figures(&tally),
        first_mismatch: tally.check().and_then(|check| first_mismatch(check, order.send_size)),
        duration_ns,
        gbit_s: gbit_s(count.bytes, duration_ns),
        thread_ns: thread_ns().saturating_sub(cpu_before),
        end: end.map_or_else(|error| no_room(&error), str::to_owned),
    }
}

/// Bytes, and when the first and the last came.
#[derive(Default)]
struct Count {
    bytes: u64,
    span: Option<(Instant, Instant)>,
}

fn drain(
    socket: &Socket,
    order: Order,
    run: &Run,
    tally: &mut Tally,
    count: &mut Count,
) -> io::Result<&'static str> {
    let mut way = order.mode.open(socket, Want { verify: order.verify, buffer: order.buffer })?;
    loop {
        if run.stop.load(Relaxed) {
            return Ok("stopped");
        }
        match way.receive(socket, tally) {
            Ok(0) if run.stop.load(Relaxed) => return Ok("stopped"),
            Ok(0) => return Ok("closed"),
            Ok(n) => {
                let n = n as u64;
                let now = Instant::now();
                count.span = Some((count.span.map_or(now, |(first, _)| first), now));
                count.bytes += n;
                if run.bytes.fetch_add(n, Relaxed).saturating_add(n) >= run.max_bytes {
                    return Ok("stopped");
                }
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
    }
}

fn figures(tally: &Tally) -> Figures {
    let counts = tally.check().map(Checker::counts);
    Figures {
        verified_bytes: counts.map(|(right, _)| right),
        mismatches: counts.map(|(_, wrong)| wrong),
        ..tally.figures
    }
}

fn first_mismatch(check: &Checker, send_size: Option<u64>) -> Option<FirstMismatch> {
    let mut first = check.first()?.clone();
    first.send = send_size.filter(|size| *size > 0).map(|size| SendPlace {
        index: first.offset / size,
        offset: first.offset % size,
        size,
    });
    Some(first)
}

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
