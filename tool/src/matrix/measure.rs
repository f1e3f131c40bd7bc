//! One run of the generator as one repetition of a cell.

use super::result::{Copied, Repetition};
use crate::load::result::{LoadReport, s_per_gb};
use crate::load::sink::result::SinkReport;

/// The place of a run in the matrix.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    /// Round, from 0.
    pub round: u64,
    /// Place within the round, from 0.
    pub place: u64,
}

/// A run that could not even start.
#[must_use]
pub fn failed(at: Place, error: String) -> Repetition {
    Repetition { round: at.round, place: at.place, error: Some(error), ..Repetition::default() }
}

/// The figures of one run. `sink` is the report of a sink that had only this run, `kernel` what was seen of it, or why
/// that is not whole; `None` when nothing was traced.
#[must_use]
pub fn repetition(
    at: Place,
    load: &LoadReport,
    sink: Option<&SinkReport>,
    kernel: Option<Result<Copied, String>>,
) -> Repetition {
    let (kernel, kernel_missing) = match kernel {
        Some(Ok(copied)) => (Some(copied), None),
        Some(Err(why)) => (None, Some(why)),
        None => (None, None),
    };
    let peer = load.peer.as_ref();
    let receiver = sink
        .map(|sink| (sink.bytes, sink.thread_ns))
        .or_else(|| peer.map(|peer| (peer.bytes, peer.thread_ns)));
    let completions = load.completions.as_ref();
    let latency = completions.and_then(|ends| ends.latency_ns.figures);
    Repetition {
        round: at.round,
        place: at.place,
        error: load
            .error
            .clone()
            .or_else(|| nothing(load))
            .or_else(|| elsewhere(load))
            .or_else(|| disagreement(load, receiver.map(|receiver| receiver.0)))
            .or_else(|| sink.and_then(SinkReport::complaint)),
        acked_bytes: load.acked_bytes,
        duration_ns: load.phases.send_ns + load.phases.settle_ns,
        gbit_s: load.gbit_s,
        machine_s_per_gb: load.cpu.machine_s_per_gb,
        thread_s_per_gb: load.cpu.thread_s_per_gb,
        // Per byte the sink received: it may have been warmed up with more than was measured.
        sink_s_per_gb: receiver.and_then(|(bytes, thread_ns)| s_per_gb(thread_ns, bytes)),
        switches_per_gb: load.switches.per_gb,
        syscalls_per_gb: load.syscalls.and_then(|calls| calls.per_gb),
        latency_p50_ns: latency.map(|l| l.p50),
        latency_p99_ns: latency.map(|l| l.p99),
        latency_p999_ns: latency.map(|l| l.p999),
        // Without SO_ZEROCOPY nobody was told anything.
        told: completions
            .filter(|_| load.so_zerocopy != Some(false))
            .map(|c| Copied { requested_bytes: c.bytes, copied_bytes: c.told_copied_bytes }),
        kernel,
        kernel_missing,
        enobufs: load.errors.get("ENOBUFS").copied(),
    }
}

/// That the time of the run was over before anything was sent: that is no rate of 0, but no figure.
fn nothing(load: &LoadReport) -> Option<String> {
    let none = load.acked_bytes == 0;
    none.then(|| {
        "nothing was sent in the time of a run (the machine was busy with other things?); raise --cell-duration"
            .into()
    })
}

/// That the traffic took another way than through the device asked for.
fn elsewhere(load: &LoadReport) -> Option<String> {
    let device = load.device.as_ref().filter(|device| !device.verified)?;
    Some(format!("the traffic did not leave through {}: {}", device.name, device.why))
}

/// What load and sink do not agree on.
fn disagreement(load: &LoadReport, received: Option<u64>) -> Option<String> {
    let received = received.filter(|bytes| *bytes < load.acked_bytes)?;
    Some(format!("{} bytes were acknowledged, but the sink received only {}", load.acked_bytes, received))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_sent_nothing_is_no_rate_of_zero() {
        let error = |load: &LoadReport| repetition(Place::default(), load, None, None).error;
        assert!(error(&LoadReport::default()).is_some_and(|why| why.contains("--cell-duration")));
        assert_eq!(error(&LoadReport { acked_bytes: 1, ..LoadReport::default() }), None);
        let broken = LoadReport { error: Some("the sink went away".into()), ..LoadReport::default() };
        assert_eq!(error(&broken).as_deref(), Some("the sink went away"));
    }
}
