//! What came of a lap: of one connection, and of the thread that served it, alone or with others.

use std::io;
use std::time::Instant;

use super::cpu;
use super::latency::Waits;
use super::paths::Tally;
use crate::host::cpu::thread_ns;

/// What came of one lap of one stream.
pub(super) struct Lap {
    pub(super) tally: Tally,
    pub(super) local: String,
    pub(super) begin: Instant,
    /// The last byte was accepted.
    pub(super) sent: Instant,
    /// The last byte was acknowledged, and every send ended; or we gave up.
    pub(super) settled: Instant,
    /// Accepted bytes the peer has not acknowledged.
    pub(super) unacked: u64,
    /// Sends that have not ended.
    pub(super) outstanding: u64,
    /// CPU time of its thread in this lap; `None` where the thread served other streams, too.
    pub(super) thread_ns: Option<u64>,
    /// CPU the thread was kept on.
    pub(super) cpu: Option<usize>,
    /// CPU that handled the flow's acknowledgements last.
    pub(super) incoming_cpu: Option<usize>,
    /// Limit of the send queue at the end, bytes as the kernel counts them.
    pub(super) sndbuf: Option<u64>,
    /// All that was asked for was sent.
    pub(super) complete: bool,
    /// How long messages took, in an open loop.
    pub(super) waits: Option<Box<Waits>>,
    pub(super) error: Option<io::Error>,
}

impl Lap {
    /// Nothing done yet, by a stream that sends from `local` and a thread kept on `cpu`.
    pub(super) fn new(local: String, cpu: Option<usize>) -> Self {
        let now = Instant::now();
        Self {
            tally: Tally::default(),
            local,
            begin: now,
            sent: now,
            settled: now,
            unacked: 0,
            outstanding: 0,
            thread_ns: None,
            cpu,
            incoming_cpu: None,
            sndbuf: None,
            complete: false,
            waits: None,
            error: None,
        }
    }

    /// Here it begins.
    pub(super) fn begin_at(&mut self, begin: Instant) {
        (self.begin, self.sent, self.settled) = (begin, begin, begin);
    }
}

/// What a thread used in a lap, for all of its streams together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ThreadUse {
    /// CPU time, ns.
    pub(super) cpu_ns: u64,
    /// Time it could have run but had no CPU, ns; `None` where the kernel does not count it.
    pub(super) run_delay_ns: Option<u64>,
    /// Context switches: the thread waited; it was pushed off its CPU.
    pub(super) switches: (u64, u64),
    /// System calls made for several streams at once.
    pub(super) syscalls: u64,
}

impl ThreadUse {
    /// What the calling thread has used so far.
    pub(super) fn now() -> Self {
        // The file first: reading it takes CPU time, which is none of the lap's.
        let run_delay_ns = cpu::run_delay_ns();
        Self { cpu_ns: thread_ns(), run_delay_ns, switches: cpu::switches(), syscalls: 0 }
    }

    /// What it has used since `before`.
    pub(super) fn since(before: &Self) -> Self {
        // The file last, for the same reason.
        let (cpu_ns, switches) = (thread_ns(), cpu::switches());
        let run_delay_ns = cpu::run_delay_ns().zip(before.run_delay_ns);
        Self {
            cpu_ns: cpu_ns.saturating_sub(before.cpu_ns),
            run_delay_ns: run_delay_ns.map(|(now, before)| now.saturating_sub(before)),
            switches: (switches.0 - before.switches.0, switches.1 - before.switches.1),
            syscalls: 0,
        }
    }
}

/// One lap of one thread.
pub(super) struct ThreadLap {
    /// Of its streams, in their order.
    pub(super) laps: Vec<Lap>,
    pub(super) used: ThreadUse,
}
