//! Sends whose notification was wrong: what the application read against what happened.

use zcscope_common::{Disagreement, FlowCounters, LatencyKind, SendEntry, Source};

use crate::{
    config::conf,
    maps::record_duration,
    mem::{add, unknown},
};

/// Sends whose notification was wrong, by the kinds of [`Disagreement`] the error queue knows.
#[repr(C)]
pub(super) struct Wrong {
    merged: u64,
    told_zerocopy: u64,
    told_copied: u64,
}

impl Wrong {
    #[inline(always)]
    pub(super) fn new() -> Self {
        let zero = unknown(0);
        Wrong { merged: zero, told_zerocopy: zero, told_copied: zero }
    }

    #[inline(always)]
    pub(super) fn count(&mut self, wrong: Option<Disagreement>) {
        match wrong {
            Some(Disagreement::MergedRange) => self.merged += 1,
            Some(Disagreement::ToldZerocopyButCopied) => self.told_zerocopy += 1,
            Some(Disagreement::ToldCopiedButNot) => self.told_copied += 1,
            _ => {}
        }
    }

    #[inline(always)]
    pub(super) fn book(&self, flow: &mut FlowCounters) {
        // Constants, not an index: nothing for the verifier to bound.
        if self.merged != 0 {
            add(&mut flow.disagreements[Disagreement::MergedRange as usize], self.merged);
        }
        if self.told_zerocopy != 0 {
            add(&mut flow.disagreements[Disagreement::ToldZerocopyButCopied as usize], self.told_zerocopy);
        }
        if self.told_copied != 0 {
            add(&mut flow.disagreements[Disagreement::ToldCopiedButNot as usize], self.told_copied);
        }
    }
}

/// Records how long the application took to read of a send that is over; what was wrong with what it read.
#[inline(always)]
pub(super) fn compared(send: &SendEntry) -> Option<Disagreement> {
    let path = send.path as u32;
    record_duration(LatencyKind::AppRead, path, send.read_ns.saturating_sub(send.start_ns));
    // To tracepoints a release and its notification are one event.
    let at_once = conf!(mode.completion) == Source::Tracepoint as u32;
    let queued = if at_once { send.done_ns } else { send.queued_ns };
    if queued != 0 {
        record_duration(LatencyKind::Read, path, send.read_ns.saturating_sub(queued));
    }
    if conf!(mode.copy) == Source::None as u32 { None } else { SendEntry::disagreement(send.outcome) }
}
