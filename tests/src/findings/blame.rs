//! Nothing else is blamed: what a report must find and may find, derived from what the scenario does.

use std::collections::BTreeSet;

use super::table;
use crate::expect::{Amount, Expect, Refused};
use crate::fixture::Link;
use crate::kernel;
use crate::scenario::row::{Row, Setup};
use crate::stat_json::Stat;
use crate::truth::SendPath;

/// Below this zcscope says nothing of the way and the device, bytes.
const WORTH_TELLING: u64 = 1 << 20;
/// The kernel's own advice: zero-copy pays from about this size on, bytes.
const SMALL_SEND: u32 = 10 << 10;
/// Fewer sends are no habit.
const HABIT: u64 = 100;

/// What is told about copies that the application is not told of.
const SILENCE: [&str; 3] = ["silent_copies", "told_zerocopy_but_copied", "merged_range"];
/// What is told about flags that somebody else's copy set, or hardly one.
const FLAGS: [&str; 3] = ["told_copied_but_not", "told_more_than_copied", "merged_range"];

/// The findings of one scenario.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    must: BTreeSet<&'static str>,
    may: BTreeSet<&'static str>,
}

impl Wanted {
    /// Exactly these must be found.
    pub(crate) fn only(must: &[&'static str]) -> Self {
        Wanted { must: must.iter().copied().collect(), may: BTreeSet::new() }
    }

    /// These may stand beside them.
    pub(crate) fn beside(mut self, may: &[&'static str]) -> Self {
        self.may.extend(may);
        self
    }

    fn require(&mut self, id: &'static str) {
        self.must.insert(id);
    }

    fn allow(&mut self, ids: &[&'static str]) {
        self.may.extend(ids);
    }

    /// Complains of what is blamed without a cause, and of what is not found.
    pub(crate) fn judge(&self, stat: &Stat) -> Vec<String> {
        let mut wrong = Vec::new();
        for finding in &stat.findings {
            let id = finding.id.as_str();
            if !self.must.contains(id) && !self.may.contains(id) {
                wrong.push(format!("{id} is blamed: {} {:?}", finding.title, finding.evidence));
            }
        }
        let found = || stat.findings.iter().map(|finding| finding.id.as_str()).collect::<Vec<_>>();
        for id in self.must.iter().filter(|id| !stat.finds(id)) {
            wrong.push(format!("{id} is no finding, those are {:?}", found()));
        }
        wrong
    }
}

/// What the report of a procedure of this name must and may find.
pub(crate) fn of_procedure(name: &str, stat: &Stat) -> Vec<String> {
    let mut wanted = Wanted::default();
    table::made_by(name).filter(|proof| proof.is_known(stat)).for_each(|proof| wanted.require(proof.id));
    table::made_by(name).for_each(|proof| wanted.allow(&[proof.id]));
    wanted.beside(table::beside(name)).judge(stat)
}

/// What the report of a row must and may find.
pub(crate) fn of_row(row: &Row, expect: &Expect, stat: &Stat) -> Vec<String> {
    let mut wanted = Wanted::default();
    if !stat.misses("copy") {
        copies(row, expect, &mut wanted);
    }
    if let Some(reason) = expect.reason.into_iter().chain(expect.clone_reason).next() {
        wanted.allow(&[reason]);
    }
    wanted.allow(expect.tolerated);
    wanted.allow(expect.notes);
    refusals(row, expect, stat, &mut wanted);
    place(row, expect, &mut wanted);
    habits(row, &mut wanted);
    for proof in table::made_by(row.name) {
        wanted.allow(&[proof.id]);
        if proof.is_known(stat) {
            wanted.require(proof.id);
        }
    }
    wanted.judge(stat)
}

/// True when this much of the bytes makes a finding for sure.
const fn is_much(amount: Amount) -> bool {
    match amount {
        Amount::All | Amount::Some => true,
        Amount::AtLeast(percent) => percent > 1,
        Amount::Any | Amount::None | Amount::Below(_) => false,
    }
}

/// Reasons of copies, and what follows from them.
fn copies(row: &Row, expect: &Expect, wanted: &mut Wanted) {
    let asks = row.path.wants_zerocopy() || row.has(Setup::AskZerocopy);
    if all_is_refused(expect) {
        return;
    }
    for (reason, amount) in [(expect.reason, expect.copied), (expect.clone_reason, expect.clone)] {
        let Some(reason) = reason else { continue };
        // A path that never asks has no ledger, so its amount says nothing.
        if asks && (is_much(amount) || !row.path.wants_zerocopy()) {
            wanted.require(reason);
        }
    }
    match expect.silent {
        Amount::None => {}
        Amount::All => {
            wanted.require("silent_copies");
            wanted.allow(&SILENCE);
        }
        _ => wanted.allow(&SILENCE),
    }
    let taps = matches!(expect.reason, Some("packet_tap_rx")) || expect.clone_reason.is_some();
    if taps || expect.tolerated.contains(&"header_pull") {
        wanted.allow(&FLAGS);
    }
}

/// True when no call is accepted: nothing is sent that could be copied.
fn all_is_refused(expect: &Expect) -> bool {
    matches!(expect.refused, Refused::Must("memlock" | "uring_memlock" | "unsupported"))
}

/// Refused calls: some of these must be found, others are a retry now and then.
fn refusals(row: &Row, expect: &Expect, stat: &Stat, wanted: &mut Wanted) {
    let may_be_few = row.has(Setup::Nonblocking);
    match expect.refused {
        Refused::Must(reason) if !may_be_few && !stat.misses("refused") => wanted.require(reason),
        Refused::Must(reason) => wanted.allow(&[reason]),
        // Default limits are small on old kernels.
        Refused::May(reason) => wanted.allow(&[reason, "optmem_near"]),
    }
    if row.path.is_uring_zerocopy() {
        wanted.allow(&["failed_send", "linked_false_positive"]);
    }
}

/// Where the bytes go: peers on this host, devices without offloads, packet taps.
fn place(row: &Row, expect: &Expect, wanted: &mut Wanted) {
    let a_socket = u64::from(row.calls) * u64::from(row.size);
    let notified = row.path == SendPath::MsgZerocopy || row.path.is_uring_zerocopy();
    if row.link == Link::Lo && notified {
        wanted.allow(&["local_peer"]);
        if a_socket >= WORTH_TELLING && !all_is_refused(expect) {
            wanted.require("local_peer");
        }
    }
    if matches!(row.link, Link::Cable(_)) && kernel::bounces_always() {
        wanted.allow(&["dma_bounce"]);
    }
    let off = |setup: &Setup| matches!(setup, Setup::Offload("sg off" | "tx off") | Setup::OffloadLate(_));
    let poor = row.setup.iter().any(off) || row.link == Link::Cable("virtio_net");
    if poor && row.path.wants_zerocopy() {
        wanted.allow(&["device_features"]);
        if a_socket >= WORTH_TELLING {
            wanted.require("device_features");
        }
    }
    let tapped = row.has(Setup::TapAny) || row.has(Setup::TapDevice);
    if tapped && notified && a_socket >= WORTH_TELLING {
        wanted.require("sniffer");
    }
    if row.path.is_tls() || row.setup.iter().any(|s| matches!(s, Setup::And(path) if path.is_tls())) {
        wanted.allow(&["ktls"]);
    }
}

/// What a sender does all the time.
fn habits(row: &Row, wanted: &mut Wanted) {
    let sends = u64::from(row.calls) * row.connections().parse::<u64>().unwrap_or(1);
    let notified = row.path == SendPath::MsgZerocopy || row.path.is_uring_zerocopy();
    if notified && row.size < SMALL_SEND && sends >= HABIT {
        wanted.require("small_send");
    }
    // Sendfile on Linux 6.1 adds pages to a packet as a plain send adds bytes.
    if row.setup.iter().any(|setup| matches!(setup, Setup::And(SendPath::Copy | SendPath::Sendfile))) {
        wanted.allow(&["mixed_socket"]);
    }
}

/// What the report of a traced sink must and may find.
pub(crate) fn of_sink(
    name: &str,
    (reason, tolerated): (Option<&'static str>, &[&'static str]),
    stat: &Stat,
) -> Vec<String> {
    let mut wanted = Wanted::default();
    if let Some(reason) = reason {
        wanted.allow(&[reason]);
        if !stat.misses("recv_zerocopy") {
            wanted.require(reason);
        }
    }
    table::made_by(name).filter(|proof| proof.is_known(stat)).for_each(|proof| wanted.require(proof.id));
    wanted.beside(tolerated).judge(stat)
}
