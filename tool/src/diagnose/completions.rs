//! Findings about the time between a send and its end: notifications nobody reads, delayed ACKs, ends not seen.

use zcscope_common::Reason;

use super::{Finding, Severity, steps};
use crate::model::reason::info;
use crate::model::snapshot::PathFigures;
use crate::units::{duration, percent};

/// Unread notifications below this number are the ordinary delay between two reads.
const MIN_BACKLOG: u64 = 64;
/// A program that polls reads within milliseconds: half of the notifications waiting this long is a reader that
/// has other things to do.
const SLOW_READ_NS: u64 = 100_000_000;

/// Notifications queued and not read, or read late.
pub(super) fn slow_reader(path: &PathFigures) -> Option<Finding> {
    let c = path.completions.as_deref()?;
    let unread = c.unread_sends?;
    let backlog = unread >= MIN_BACKLOG && unread.saturating_mul(10) >= c.sends;
    let late = c.read_latency.filter(|wait| wait.p50 >= SLOW_READ_NS);
    if !backlog && late.is_none() {
        return None;
    }
    let name = path.path.name();
    let title = match late {
        Some(wait) if !backlog => {
            format!("{name}: notifications wait {} until the application reads them", duration(wait.p50))
        }
        _ => format!("{name}: {unread} sends have ended and their notifications were not read"),
    };
    let mut evidence = vec![format!("{} sends ended, {} told", c.sends, c.told_sends.unwrap_or(0))];
    evidence.extend(c.read_latency.map(|wait| {
        format!(
            "queued until read: p50 {}, p99 {}, max {}",
            duration(wait.p50),
            duration(wait.p99),
            duration(wait.max)
        )
    }));
    Some(Finding {
        id: Reason::SlowReader.name().into(),
        severity: Severity::Info,
        title,
        evidence,
        fix: steps(info(Reason::SlowReader).fix),
        bytes: 0,
        ..Finding::default()
    })
}

/// Fewer releases than this say nothing about how releases happen.
const MIN_DELAYED: u64 = 10;
/// A tenth of the buffers held 40 ms is worth a look; single ones end every pause of a flow.
const DELAYED_PERCENT: u64 = 10;
/// A path with a round trip near 40 ms has no release that is much faster: then the time is distance, not delay.
const NEAR_NS: u64 = 20_000_000;

/// So many times as many as in the 14 ms before: otherwise releases simply take any time.
const PEAK: u64 = 2;

/// Releases that come in the 40 ms of a delayed ACK, on a path that can do better.
pub(super) fn delayed_ack(path: &PathFigures) -> Option<Finding> {
    let c = path.completions.as_deref()?;
    let (latency, acks) = (c.latency?, c.delayed_acks?);
    let delayed = acks.sends;
    let many = delayed.saturating_mul(100) >= latency.count.saturating_mul(DELAYED_PERCENT);
    let peak = delayed >= acks.before.saturating_mul(PEAK);
    if delayed < MIN_DELAYED || !many || !peak || latency.min >= NEAR_NS {
        return None;
    }
    let share = percent(delayed, latency.count);
    Some(Finding {
        id: Reason::DelayedAck.name().into(),
        severity: Severity::Warning,
        title: format!(
            "{}: {share} of the sends were released after 36 to 50 ms, as a delayed ACK makes them",
            path.path.name()
        ),
        evidence: vec![
            format!("{delayed} of {} releases", latency.count),
            format!(
                "released after: min {}, p50 {}, p99 {}",
                duration(latency.min),
                duration(latency.p50),
                duration(latency.p99)
            ),
        ],
        fix: steps(info(Reason::DelayedAck).fix),
        bytes: 0,
        ..Finding::default()
    })
}

/// Sends given up because their end was not seen.
pub(super) fn lost_ends(path: &PathFigures) -> Option<Finding> {
    let c = path.completions.as_deref().filter(|c| c.lost_ends > 0)?;
    Some(Finding {
        id: "lost_ends".into(),
        severity: Severity::Warning,
        title: format!(
            "{}: the ends of {} sends were not seen: whether they were copied is not known",
            path.path.name(),
            c.lost_ends
        ),
        evidence: vec![format!("{} sends ended, {} lost their end", c.sends, c.lost_ends)],
        fix: vec!["trace less: -p PID, -i DEV, -P PORT or --path PATH".into()],
        bytes: c.lost_end_bytes,
        ..Finding::default()
    })
}
