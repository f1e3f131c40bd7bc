//! Adds up what the threads of a run brought back into its report.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use zcscope_common::Path;

use super::engine::{Plan, Stage};
use super::lap::{Lap, ThreadUse};
use super::latency::Pair;
use super::paths::{Class, Tally};
use super::placement::Placement;
use super::result::{
    Completions, Copied, Cpu, EndedBy, Knobs, LOAD_SCHEMA, Latency, Level, LoadReport, OpenLoop, PerGb,
    Phases, StreamFigures, Switches, WarmUpFigures, gbit_s, s_per_gb,
};
use super::schedule::Schedule;
use super::warmup::WarmUp;
use crate::host::cpu::CpuTime;
use crate::units::bytes;

/// Part of the rate due that must be reached for a level to count as kept.
const KEPT: f64 = 0.99;

/// One lap of all threads.
pub(super) struct Span {
    pub(super) stage: Stage,
    /// Of all streams, in their order.
    pub(super) laps: Vec<Lap>,
    /// What each thread used.
    pub(super) used: Vec<ThreadUse>,
    pub(super) machine: Option<CpuTime>,
    /// Of the rate, at the end of a warm-up that waited for it to end.
    pub(super) drift: Option<f64>,
    /// What an open loop was to send.
    pub(super) schedule: Option<Schedule>,
    pub(super) interrupted: bool,
}

/// What is known without the threads.
pub(super) struct Facts<'a> {
    pub(super) plan: &'a Plan,
    pub(super) target: SocketAddr,
    pub(super) cc: Option<String>,
    pub(super) connect_ns: u64,
}

impl Span {
    /// From the first beginning to the last of what `at` picks, ns.
    fn ns_until(&self, at: impl Fn(&Lap) -> Instant) -> u64 {
        let begin = self.laps.iter().map(|lap| lap.begin).min();
        let end = self.laps.iter().map(at).max();
        begin.zip(end).map_or(0, |(begin, end)| ns(end.saturating_duration_since(begin)))
    }

    /// CPU time of all threads, each once, ns.
    fn thread_ns(&self) -> u64 {
        self.used.iter().map(|used| used.cpu_ns).sum()
    }

    /// Time all threads together could have run but had no CPU, ns; `None` where it is not known of each.
    fn run_delay_ns(&self) -> Option<u64> {
        self.used.iter().map(|used| used.run_delay_ns).sum()
    }

    fn bytes(&self) -> u64 {
        self.laps.iter().map(|lap| lap.tally.bytes).sum()
    }

    /// Messages of `size` bytes acknowledged per second.
    pub(super) fn messages_per_s(&self, size: u64) -> f64 {
        let acked = self.bytes() - self.laps.iter().map(|lap| lap.unacked).sum::<u64>();
        acked as f64 / size.max(1) as f64 * 1e9 / self.ns_until(|lap| lap.settled).max(1) as f64
    }
}

/// The report of a run that led through `spans`. What was measured is in its last laps; a run that ended before them
/// reports the lap it got to.
pub(super) fn report(facts: &Facts<'_>, spans: &[Span]) -> LoadReport {
    let counted = |span: &&Span| matches!(span.stage, Stage::Measure | Stage::Level(_));
    let mut measured: Vec<&Span> = spans.iter().filter(counted).collect();
    let warm_up = spans.iter().find(|span| span.stage == Stage::WarmUp && !measured.is_empty());
    if measured.is_empty() {
        measured.extend(spans.last());
    }
    let plan = facts.plan;
    let laps = || measured.iter().flat_map(|span| &span.laps);
    let used = || measured.iter().flat_map(|span| &span.used);
    let mut tally = laps().fold(Tally::default(), |mut sum, lap| {
        sum.add(&lap.tally);
        sum
    });
    tally.syscalls += used().map(|used| used.syscalls).sum::<u64>();
    let acked_bytes = tally.bytes - laps().map(|lap| lap.unacked).sum::<u64>();
    let send_ns = measured.iter().map(|span| span.ns_until(|lap| lap.sent)).sum();
    let total_ns: u64 = measured.iter().map(|span| span.ns_until(|lap| lap.settled)).sum();
    let error = laps().find_map(|lap| lap.error.as_ref());
    let told = plan.path.class == Class::Told;
    let completions = told.then(|| completions(&tally, &measured, plan));
    LoadReport {
        schema: LOAD_SCHEMA.into(),
        version: env!("CARGO_PKG_VERSION").into(),
        kernel_release: kernel_release(),
        path: plan.path.name.into(),
        target: facts.target.to_string(),
        device: None,
        place: None,
        size: plan.setup.size as u64,
        streams: plan.streams as u64,
        threads: Some(plan.threads() as u64),
        depth: plan.setup.depth as u64,
        cc: facts.cc.clone(),
        so_zerocopy: (plan.path.path == Path::MsgZerocopy).then_some(plan.setup.so_zerocopy),
        knobs: knobs(plan, laps().filter_map(|lap| lap.sndbuf).max()),
        warm_up: warm_up.map(|span| warm_up_figures(span, plan.warm_up)),
        ended_by: ended_by(&measured, error.is_some()),
        error: error.map(|error| sentence(error, facts.target, spans.iter().map(Span::bytes).sum())),
        phases: Phases { connect_ns: facts.connect_ns, send_ns, settle_ns: total_ns - send_ns },
        bytes: tally.bytes,
        acked_bytes,
        gbit_s: gbit_s(acked_bytes, total_ns).unwrap_or(0.0),
        cpu: cpu(&measured, plan, acked_bytes),
        switches: switches(used(), acked_bytes),
        syscalls: (tally.syscalls > 0).then(|| PerGb::of(tally.syscalls, acked_bytes)),
        copied: completions
            .as_ref()
            .filter(|_| plan.setup.so_zerocopy)
            .and_then(|c| Copied::of(None, Some((c.told_copied_bytes, c.bytes)))),
        calls: tally.calls,
        partial_calls: tally.partial,
        errors: errors(&tally, told, error),
        completions,
        open_loop: open_loop(plan, spans),
        per_stream: (0..plan.streams).map(|index| stream_figures(&measured, index)).collect(),
        peer: None,
        kernel: None,
        kernel_missing: None,
    }
}

fn knobs(plan: &Plan, sndbuf: Option<u64>) -> Knobs {
    let setup = &plan.setup;
    Knobs {
        in_flight_bytes: setup.depth as u64 * setup.size as u64,
        sndbuf_bytes: sndbuf,
        sndbuf_asked_bytes: plan.sndbuf.wanted(setup),
        working_set_bytes: setup.buffers() as u64 * setup.size as u64,
        page: setup.pages.name(),
        source: setup.source.name(),
        iovecs: setup.iovecs as u64,
        more: setup.more,
        nodelay: plan.nodelay,
        reap_every: setup.reap_every() as u64,
        pacing_bit_s: plan.pacing_bit_s,
        placement: plan.placement.name().into(),
    }
}

fn warm_up_figures(span: &Span, asked: WarmUp) -> WarmUpFigures {
    WarmUpFigures {
        ns: span.ns_until(|lap| lap.sent),
        bytes: span.bytes(),
        flat: (asked == WarmUp::Auto).then(|| span.drift.is_some_and(super::warmup::is_flat)),
        drift: span.drift,
        left_bytes: span.laps.iter().map(|lap| lap.unacked).sum(),
    }
}

fn cpu(spans: &[&Span], plan: &Plan, acked_bytes: u64) -> Cpu {
    let thread_ns = spans.iter().map(|span| span.thread_ns()).sum();
    let machine: Option<Vec<CpuTime>> = spans.iter().map(|span| span.machine).collect();
    let machine_ns = machine.as_ref().map(|all| all.iter().map(CpuTime::busy_ns).sum());
    Cpu {
        thread_ns,
        thread_s_per_gb: s_per_gb(thread_ns, acked_bytes),
        run_delay_ns: spans.iter().map(|span| span.run_delay_ns()).sum(),
        machine_ns,
        machine_s_per_gb: machine_ns.and_then(|ns| s_per_gb(ns, acked_bytes)),
        steal_ns: machine.map(|all| all.iter().map(|machine| ns(machine.steal)).sum()),
        pinned: plan.placement != Placement::Free,
    }
}

fn switches<'a>(used: impl Iterator<Item = &'a ThreadUse>, acked_bytes: u64) -> Switches {
    let (voluntary, involuntary) =
        used.fold((0, 0), |sum, used| (sum.0 + used.switches.0, sum.1 + used.switches.1));
    Switches { voluntary, involuntary, per_gb: PerGb::of(voluntary + involuntary, acked_bytes).per_gb }
}

fn ended_by(spans: &[&Span], failed: bool) -> EndedBy {
    let by_time = spans.iter().any(|span| span.schedule.is_some());
    match () {
        () if failed => EndedBy::Error,
        () if spans.iter().any(|span| span.interrupted) => EndedBy::Signal,
        () if !by_time && spans.iter().flat_map(|span| &span.laps).all(|lap| lap.complete) => EndedBy::Bytes,
        () => EndedBy::Duration,
    }
}

fn completions(tally: &Tally, spans: &[&Span], plan: &Plan) -> Completions {
    let ends = &tally.ends;
    Completions {
        sends: ends.sends,
        bytes: ends.bytes,
        notifications: ends.notifications,
        told_copied: ends.copied,
        told_copied_bytes: ends.copied_bytes,
        outstanding: spans.last().map_or(0, |span| span.laps.iter().map(|lap| lap.outstanding).sum()),
        unexpected: ends.unexpected,
        reap_every: plan.setup.reap_every() as u64,
        latency_ns: Latency::from(&*ends.latency),
    }
}

/// One connection over all measured laps.
fn stream_figures(spans: &[&Span], index: usize) -> StreamFigures {
    spans.iter().filter_map(|span| span.laps.get(index)).fold(StreamFigures::default(), |sum, lap| {
        StreamFigures {
            local: lap.local.clone(),
            bytes: sum.bytes + lap.tally.bytes,
            acked_bytes: sum.acked_bytes + lap.tally.bytes - lap.unacked,
            calls: sum.calls + lap.tally.calls,
            thread_ns: lap.thread_ns.map(|ns| sum.thread_ns.unwrap_or(0) + ns),
            cpu: lap.cpu.map(|cpu| cpu as u64),
            incoming_cpu: lap.incoming_cpu.map(|cpu| cpu as u64),
        }
    })
}

fn open_loop(plan: &Plan, spans: &[Span]) -> Option<OpenLoop> {
    let level = |span: &Span| {
        let Stage::Level(index) = span.stage else { return None };
        Some(level(plan.levels.get(index)?.to_string(), span))
    };
    let size = plan.setup.size as u64;
    (!plan.levels.is_empty()).then(|| OpenLoop {
        max_per_s: spans.iter().find(|s| s.stage == Stage::Maximum).map(|s| s.messages_per_s(size)),
        levels: spans.iter().filter_map(level).collect(),
    })
}

fn level(asked: String, span: &Span) -> Level {
    let waits = || span.laps.iter().filter_map(|lap| lap.waits.as_deref());
    let (mut accepted, mut ended) = (Pair::default(), Pair::default());
    for waits in waits() {
        accepted.merge(&waits.to_accepted);
        ended.merge(&waits.to_end);
    }
    let begin = span.laps.iter().map(|lap| lap.begin).min();
    let last = waits().filter_map(|waits| waits.last_accepted).max();
    let seconds = begin.zip(last).map_or(0.0, |(begin, last)| (last - begin).as_secs_f64());
    let (sent, offered) = (waits().map(|waits| waits.accepted).sum(), span.schedule.map_or(0, |s| s.total()));
    let sent_per_s = if seconds > 0.0 { sent as f64 / seconds } else { 0.0 };
    let rate_per_s = span.schedule.map_or(0.0, |schedule| schedule.rate());
    let notified = ended.raw.count > 0;
    Level {
        asked,
        rate_per_s,
        offered,
        sent,
        sent_per_s,
        kept: sent == offered && sent_per_s >= KEPT * rate_per_s,
        accepted_ns: Latency::from(&accepted.corrected),
        accepted_raw_ns: Latency::from(&accepted.raw),
        ended_ns: notified.then(|| Latency::from(&ended.corrected)),
        ended_raw_ns: notified.then(|| Latency::from(&ended.raw)),
        thread_ns: span.thread_ns(),
    }
}

/// Failed calls by errno name.
fn errors(tally: &Tally, told: bool, fatal: Option<&io::Error>) -> BTreeMap<String, u64> {
    let fatal = fatal.and_then(io::Error::raw_os_error).map(nix::errno::Errno::from_raw);
    let mut errors = BTreeMap::new();
    if told || tally.enobufs > 0 {
        errors.insert("ENOBUFS".into(), tally.enobufs);
    }
    if tally.eagain > 0 {
        errors.insert("EAGAIN".into(), tally.eagain);
    }
    if tally.enomem > 0 {
        errors.insert("ENOMEM".into(), tally.enomem);
    }
    if let Some(errno) = fatal {
        *errors.entry(format!("{errno:?}")).or_insert(0) += 1;
    }
    errors
}

/// Why a run failed on the way, or at its beginning; `sent` is all that was sent before, warm-up included.
fn sentence(error: &io::Error, target: SocketAddr, sent: u64) -> String {
    let nothing = sent == 0;
    let sent = bytes(sent);
    match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset, _) => format!(
            "the sink at {target} closed the connection after {sent} were sent; look there for the reason"
        ),
        (io::ErrorKind::TimedOut, _) => format!(
            "{target} stopped acknowledging after {sent} were sent: the peer, the device or the network between is \
             gone; check `ip link` and the peer"
        ),
        (_, Some(libc::ENETDOWN | libc::ENETUNREACH | libc::EHOSTUNREACH | libc::ENODEV)) => format!(
            "there is no way to {target} any more after {sent} were sent ({error}); check `ip link` and `ip route get \
             {}`",
            target.ip()
        ),
        (_, Some(libc::EMFILE | libc::ENFILE)) => format!(
            "out of open descriptors while setting up the path ({error}); raise the limit (ulimit -n) or lower --streams"
        ),
        _ if nothing => format!("nothing was sent to {target}: {error}"),
        _ => format!("sending to {target} failed after {sent}: {error}"),
    }
}

fn kernel_release() -> String {
    nix::sys::utsname::uname().map(|u| u.release().to_string_lossy().into_owned()).unwrap_or_default()
}

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_lose_the_peer_is_one_sentence_with_what_to_do() {
        let target = "10.0.0.2:9000".parse().unwrap();
        for (errno, words) in [
            (libc::ECONNRESET, "closed the connection"),
            (libc::EPIPE, "closed the connection"),
            (libc::ETIMEDOUT, "stopped acknowledging"),
            (libc::EHOSTUNREACH, "no way to 10.0.0.2:9000"),
            (libc::EMFILE, "ulimit -n"),
        ] {
            let text = sentence(&io::Error::from_raw_os_error(errno), target, 1 << 20);
            assert!(text.contains(words), "{text}");
        }
        let other = |sent| sentence(&io::Error::other("no ring"), target, sent);
        assert_eq!(other(0), "nothing was sent to 10.0.0.2:9000: no ring");
        assert_eq!(other(1 << 20), "sending to 10.0.0.2:9000 failed after 1.00 MiB: no ring");
    }
}
