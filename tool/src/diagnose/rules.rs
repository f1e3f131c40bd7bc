//! The table of rules: one row per finding. A rule's id is a [`Reason`] or stands in [`super::words`]; what it means
//! is said there, its thresholds stand with their reasons beside its condition.

use zcscope_common::{Path, Reason};

use super::{
    About, Finding, bounces, completions, copies, cost, files, flow, limits, network, receive, told,
};
use crate::model::snapshot::{PathFigures, Snapshot};

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Stable id.
    pub id: &'static str,
    /// The condition; one that can find several ids leaves the choice to the rule.
    check: Check,
    /// A second source of evidence for the same finding.
    also: Option<Check>,
    /// Ids of findings that follow from this one. Without circles.
    pub explains: &'static [&'static str],
}

/// A condition.
#[derive(Clone, Copy, Debug)]
enum Check {
    /// Of everything.
    One(fn(&Snapshot) -> Option<Finding>),
    /// Of everything, with any number of answers.
    Many(fn(&Snapshot) -> Vec<Finding>),
    /// Of each path.
    Path(fn(&PathFigures) -> Option<Finding>),
    /// Of each path, with any number of answers.
    PathMany(fn(&PathFigures) -> Vec<Finding>),
    /// Of each path beside all others.
    PathIn(fn(&Snapshot, &PathFigures) -> Option<Finding>),
    /// Of copies for this reason on the send paths.
    Copies(Reason),
    /// Of calls refused for this reason.
    Refused(Reason),
    /// Of bytes that were not mapped for this reason.
    NotMapped(Reason),
}

const fn rule(id: &'static str, check: Check, explains: &'static [&'static str]) -> Rule {
    Rule { id, check, also: None, explains }
}

const fn copied(reason: Reason, explains: &'static [&'static str]) -> Rule {
    rule(reason.name(), Check::Copies(reason), explains)
}

/// A refused request of io_uring is notified of as if it had been copied.
const fn refused(reason: Reason) -> Rule {
    rule(reason.name(), Check::Refused(reason), &["failed_send"])
}

const fn not_mapped(reason: Reason) -> Rule {
    rule(reason.name(), Check::NotMapped(reason), NOTHING)
}

/// What follows when bytes are copied and the kernel does not say so, or only of some packets.
pub(super) const SILENT: &[&str] = &["silent_copies", "told_zerocopy_but_copied", "merged_range"];
/// What follows when the flag is set for hardly a copy, or for somebody else's, and not for every send.
const FLAGGED: &[&str] = &["told_copied_but_not", "told_more_than_copied", "merged_range"];
/// Every rule about what the application is told, but for silence, finds its id here.
const TOLD: Check = Check::PathMany(told::disagreements);
const NOTHING: &[&str] = &[];

/// All rules.
pub static RULES: &[Rule] = &[
    // Facts of the host, which explain what the traffic shows.
    rule(
        "device_features",
        Check::Many(network::device_features),
        &["no_scatter_gather", "no_tx_checksum", "route_no_sg"],
    ),
    rule("sniffer", Check::One(network::sniffer), &["packet_tap", "packet_tap_rx"]),
    rule("local_peer", Check::One(network::local_peer), &["loopback", "local_delivery"]),
    rule("wrong_node", Check::One(network::wrong_node), NOTHING),
    // Copied after being accepted.
    copied(Reason::Loopback, SILENT),
    copied(Reason::LocalDelivery, SILENT),
    copied(Reason::NetnsForward, SILENT),
    copied(Reason::TunTap, SILENT),
    copied(Reason::PacketTap, FLAGGED),
    copied(Reason::PacketTapRx, FLAGGED),
    copied(Reason::NoScatterGather, SILENT),
    copied(Reason::NoTxChecksum, SILENT),
    copied(Reason::DriverLimit, SILENT),
    copied(Reason::Xfrm, SILENT),
    copied(Reason::XdpVeth, SILENT),
    copied(Reason::XdpGeneric, SILENT),
    copied(Reason::TcBpfPull, SILENT),
    Rule { also: Some(Check::One(bounces::dma_bounce)), ..copied(Reason::DmaBounce, NOTHING) },
    copied(Reason::ZerocopyMerge, NOTHING),
    copied(Reason::HeaderPull, FLAGGED),
    copied(Reason::UnknownCaller, SILENT),
    // Copied from the start.
    copied(Reason::SoZerocopyUnset, SILENT),
    copied(Reason::RouteNoSg, SILENT),
    copied(Reason::Fastopen, SILENT),
    copied(Reason::Repair, SILENT),
    copied(Reason::Sockmap, &["silent_copies", "told_zerocopy_but_copied", "unsupported"]),
    copied(Reason::Mptcp, SILENT),
    Rule { also: Some(Check::One(flow::ktls)), ..copied(Reason::Ktls, &["silent_copies", "unsupported"]) },
    Rule { also: Some(Check::One(files::splice_copy_read)), ..copied(Reason::SpliceCopyRead, SILENT) },
    // Refused.
    refused(Reason::Optmem),
    refused(Reason::Memlock),
    refused(Reason::UringMemlock),
    refused(Reason::Unsupported),
    refused(Reason::Invalid),
    refused(Reason::BadBuffer),
    refused(Reason::Aborted),
    refused(Reason::DevmemBinding),
    rule("enobufs", Check::One(limits::enobufs), NOTHING),
    rule("optmem_near", Check::One(limits::optmem_near), NOTHING),
    rule("memlock_near", Check::One(limits::memlock_near), NOTHING),
    // What the application is told.
    rule("silent_copies", Check::PathIn(copies::silent), &["told_zerocopy_but_copied"]),
    rule("told_zerocopy_but_copied", TOLD, NOTHING),
    rule("told_copied_but_not", Check::PathMany(told::more_than_few), NOTHING),
    rule("merged_range", Check::PathMany(told::more_than_few), NOTHING),
    rule("failed_send", TOLD, NOTHING),
    rule("linked_false_positive", TOLD, NOTHING),
    rule("told_disagrees", TOLD, NOTHING),
    rule("told_more_than_copied", Check::Path(told::told_more_than_copied), NOTHING),
    // Time.
    rule("slow_reader", Check::Path(completions::slow_reader), &["optmem", "enobufs", "optmem_near"]),
    rule("depth_small", Check::PathIn(flow::depth_small), &["delayed_ack"]),
    rule("delayed_ack", Check::Path(completions::delayed_ack), NOTHING),
    rule("swept_retransmit", Check::One(flow::resent), &["memlock", "memlock_near"]),
    rule("pacing", Check::One(flow::pacing), NOTHING),
    // Cost.
    rule("small_send", Check::PathIn(cost::small_send), NOTHING),
    rule("frag_limit", Check::Path(cost::frag_limit), NOTHING),
    rule("mixed_socket", Check::Path(cost::mixed_socket), NOTHING),
    rule("splice_small", Check::PathIn(flow::splice_small), NOTHING),
    // Files.
    rule("sendfile_possible", Check::One(files::sendfile_possible), NOTHING),
    rule("page_cache_miss", Check::One(files::page_cache_miss), NOTHING),
    // Receiving.
    not_mapped(Reason::RxUnaligned),
    not_mapped(Reason::RxHeaderSplitMissing),
    not_mapped(Reason::RxMappedPage),
    not_mapped(Reason::RxSmallQueue),
    not_mapped(Reason::ZcrxCopyFallback),
    not_mapped(Reason::RxMapFull),
    // What zcscope itself missed.
    rule("lost", Check::One(lost), &["lost_ends"]),
    rule("lost_ends", Check::Path(completions::lost_ends), NOTHING),
];

/// The rule with this id.
#[must_use]
pub fn rule_of(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id == id)
}

impl Rule {
    /// What this rule finds: one finding, or one per path or device.
    pub(super) fn apply(&self, snapshot: &Snapshot) -> Vec<Finding> {
        let mut found = self.check.apply(snapshot);
        for more in self.also.into_iter().flat_map(|also| also.apply(snapshot)) {
            match found.first_mut() {
                Some(same) => same.evidence.extend(more.evidence),
                None => found.push(more),
            }
        }
        found.retain(|finding| finding.id == self.id);
        found
    }
}

impl Check {
    fn apply(self, snapshot: &Snapshot) -> Vec<Finding> {
        let each = |check: &dyn Fn(&PathFigures) -> Vec<Finding>| {
            let of = |path: &PathFigures| check(path).into_iter().map(|found| on(found, path.path)).collect();
            snapshot.paths.iter().flat_map(|path| -> Vec<Finding> { of(path) }).collect()
        };
        match self {
            Check::One(check) => check(snapshot).into_iter().collect(),
            Check::Many(check) => check(snapshot),
            Check::Path(check) => each(&|path| check(path).into_iter().collect()),
            Check::PathMany(check) => each(&check),
            Check::PathIn(check) => each(&|path| check(snapshot, path).into_iter().collect()),
            Check::Copies(reason) => copies::of_reason(snapshot, reason).into_iter().collect(),
            Check::Refused(reason) => limits::refused(snapshot, reason).into_iter().collect(),
            Check::NotMapped(reason) => receive::not_mapped(snapshot, reason),
        }
    }
}

fn on(finding: Finding, path: Path) -> Finding {
    Finding { about: About { paths: vec![path], ..finding.about }, ..finding }
}

fn lost(snapshot: &Snapshot) -> Option<Finding> {
    let evidence = || snapshot.lost.by_cause.iter().map(|(cause, n)| format!("{cause}: {n}")).collect();
    (snapshot.lost.total > 0).then(|| Finding {
        id: "lost".into(),
        severity: super::Severity::Warning,
        title: format!("{} events could not be counted where they belong", snapshot.lost.total),
        evidence: evidence(),
        fix: vec!["trace less: -p PID, -i DEV, -P PORT or --path PATH".into()],
        ..Finding::default()
    })
}
