//! The findings made live: link, fault, sender, what must and may be found, and how it is mended.

use super::table;
use crate::bpf::Xdp;
use crate::fixture::Link;
use crate::fixture::links::Tun;
use crate::scenario::Bench;
use crate::stat_json::Stat;

/// What is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `ethtool -K` on the sender's device.
    Offload(&'static str),
    /// A setting of the sender's namespace.
    Sysctl(&'static str, &'static str),
    /// A packet tap on the sender's device.
    Tap,
    /// An XDP program at the sink's device.
    Xdp(Xdp),
    /// A traffic control program that pulls whole packets.
    TcPull,
    /// So many percent of the packets are lost.
    Loss(u32),
    /// The machine's congestion control paces; there is nothing to do but to look.
    PacedByDefault,
    /// The sender lives with a limit of locked memory, which only some may raise.
    Memlock,
    /// A file of so many bytes to send.
    File(usize),
}

/// How it is mended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fix {
    /// By the commands this finding prints, run as they stand there while the traffic goes on.
    Printed(&'static str),
    /// By another sender.
    Sender(&'static [&'static str]),
    /// By another receiver.
    Sink(&'static [&'static str]),
    /// By a setting of the sender's namespace.
    Setting(&'static str, &'static str),
    /// By taking the fault away.
    Undo,
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Live {
    pub(crate) name: &'static str,
    pub(super) link: Link,
    pub(super) faults: &'static [Fault],
    /// Words of the sender.
    pub(super) sender: &'static [&'static str],
    /// Words of the sink.
    pub(super) sink: &'static [&'static str],
    /// What must be found, where it can be known.
    must: &'static [&'static str],
    /// What may stand beside it.
    pub(super) may: &'static [&'static str],
    pub(super) fix: Fix,
    /// What may be found after the fix.
    pub(super) after: &'static [&'static str],
    /// Words of the finding that the screen must show.
    pub(super) on_screen: Option<&'static str>,
    /// The reason that `doctor` foretells for `MSG_ZEROCOPY`, until it is mended.
    pub(super) doctor: Option<&'static str>,
}

const fn row(
    name: &'static str,
    link: Link,
    sender: &'static [&'static str],
    must: &'static [&'static str],
    fix: Fix,
) -> Live {
    Live {
        name,
        link,
        faults: &[],
        sender,
        sink: &[],
        must,
        may: &[],
        fix,
        after: &[],
        on_screen: None,
        doctor: None,
    }
}

impl Live {
    const fn with(self, faults: &'static [Fault]) -> Self {
        Live { faults, ..self }
    }

    const fn to(self, sink: &'static [&'static str]) -> Self {
        Live { sink, ..self }
    }

    const fn may(self, may: &'static [&'static str]) -> Self {
        Live { may, ..self }
    }

    const fn after(self, after: &'static [&'static str]) -> Self {
        Live { after, ..self }
    }

    const fn screen(self, words: &'static str) -> Self {
        Live { on_screen: Some(words), ..self }
    }

    const fn doctor(self, reason: &'static str) -> Self {
        Live { doctor: Some(reason), ..self }
    }

    /// What must be found by a report that knows so much.
    pub(super) fn must_here(&self, stat: &Stat) -> Vec<&'static str> {
        let known = |id: &&&'static str| table::proof_of(id).is_none_or(|proof| proof.is_known(stat));
        self.must.iter().filter(known).copied().collect()
    }

    /// What it proves.
    #[cfg(test)]
    pub(crate) const fn proves(&self) -> &'static [&'static str] {
        self.must
    }

    /// Limits that older kernels have once for the whole machine.
    pub(crate) fn needs_all(&self) -> bool {
        self.faults.iter().any(|fault| matches!(fault, Fault::Sysctl("net/core/optmem_max", _)))
    }

    /// Why this back end cannot see it at all.
    pub(super) fn unseen(&self, bench: &Bench) -> Option<String> {
        let deep = ["finding_lossy", "finding_optmem_near", "finding_memlock_near"].contains(&self.name);
        (deep && bench.traces_by_tracepoint()).then(|| "tracepoints do not see it".into())
    }
}

/// 64 KiB every few milliseconds, for as long as it is needed.
const ZEROCOPY: &[&str] = &["send", "msg_zerocopy", "--calls", "9999999", "--size", "65536", "--pause", "4"];
const SENDFILE: &[&str] = &["send", "sendfile", "--calls", "9999999", "--size", "65536", "--pause", "4"];
const COPY: &[&str] = &["send", "copy", "--calls", "9999999", "--size", "65536", "--pause", "4"];
const HERE: &[&str] = &["loopback", "local_peer"];
const SILENCE: &[&str] = &["silent_copies", "told_zerocopy_but_copied", "merged_range"];

/// The rows.
#[rustfmt::skip]
pub(crate) const ROWS: &[Live] = &[
    row("finding_sg_off", Link::Veth, ZEROCOPY, &["device_features", "no_scatter_gather"], Fix::Printed("device_features"))
        .with(&[Fault::Offload("sg off")]).may(SILENCE).after(&["local_delivery"])
        .screen("scatter-gather off").doctor("no_scatter_gather"),
    row("finding_tx_off", Link::Veth, SENDFILE, &["device_features", "no_tx_checksum", "silent_copies"], Fix::Printed("no_tx_checksum"))
        .with(&[Fault::Offload("tx off")]).doctor("no_tx_checksum"),
    row("finding_tap", Link::Veth, ZEROCOPY, &["sniffer", "packet_tap", "local_delivery"], Fix::Printed("sniffer"))
        .with(&[Fault::Tap]).after(&["local_delivery"])
        .screen("captures packets"),
    row("finding_loopback", Link::Lo, ZEROCOPY, HERE, Fix::Sender(COPY))
        .screen("is on this host").doctor("loopback"),
    row("finding_local_delivery", Link::Veth, ZEROCOPY, &["local_delivery"], Fix::Sender(SENDFILE)),
    row("finding_tun", Link::Tun(Tun::Plain), ZEROCOPY, &["tun_tap"], Fix::Sender(COPY)).may(SILENCE),
    row("finding_xdp", Link::Veth, ZEROCOPY, &["xdp_generic"], Fix::Undo)
        .with(&[Fault::Xdp(Xdp::Generic)]).after(&["local_delivery"]),
    row("finding_tc_pull", Link::Veth, ZEROCOPY, &["tc_bpf_pull", "unknown_caller"], Fix::Undo)
        .with(&[Fault::TcPull]).after(&["local_delivery"]),

    row("finding_so_zerocopy_unset", Link::Lo,
        &["send", "msg_zerocopy", "--without-so-zerocopy", "--calls", "9999999", "--size", "65536", "--pause", "4"],
        &["so_zerocopy_unset", "silent_copies"], Fix::Sender(ZEROCOPY))
        .may(&["local_peer"]).after(HERE).screen("MSG_ZEROCOPY without SO_ZEROCOPY"),
    row("finding_sockmap", Link::Lo,
        &["send", "msg_zerocopy", "--sockmap", "--without-so-zerocopy", "--calls", "9999999", "--size", "9000", "--pause", "4"],
        &["sockmap", "silent_copies"], Fix::Sender(SENDFILE)).may(&["local_peer"]),
    row("finding_splice_copy", Link::Lo, &["file", "sendfile", "--direct", "--rounds", "9999999", "--pause", "20"],
        &["splice_copy_read", "silent_copies"], Fix::Sender(&["file", "sendfile", "--rounds", "9999999", "--pause", "20"]))
        .with(&[Fault::File(1 << 20)]),

    row("finding_optmem", Link::Lo,
        &["send", "msg_zerocopy", "--no-retry", "--calls", "9999999", "--size", "16384", "--pause", "4"],
        &["optmem"], Fix::Printed("optmem"))
        .with(&[Fault::Sysctl("net/core/optmem_max", "1000")])
        .may(&["loopback", "local_peer", "slow_reader"]).after(&["loopback", "local_peer", "slow_reader", "optmem_near"])
        .screen("option memory"),
    row("finding_memlock", Link::Lo,
        &["send", "msg_zerocopy", "--no-retry", "--memlock", "32768", "--calls", "9999999", "--size", "65536", "--pause", "4"],
        &["memlock"], Fix::Printed("memlock")).with(&[Fault::Memlock])
        .after(&["loopback", "local_peer", "slow_reader"]),
    row("finding_uring_memlock", Link::Lo,
        &["send", "uring_send_zc", "--no-retry", "--memlock", "49152", "--calls", "9999999", "--size", "65536", "--pause", "4"],
        &["uring_memlock", "failed_send"], Fix::Printed("uring_memlock"))
        .with(&[Fault::Memlock]).after(HERE),
    row("finding_bad_buffer", Link::Lo,
        &["send", "msg_zerocopy", "--bad-buffer", "--calls", "9999999", "--size", "65536", "--pause", "4"],
        &["bad_buffer", "loopback", "local_peer"], Fix::Sender(ZEROCOPY)).after(HERE),

    row("finding_optmem_near", Link::Lo, &["paced", "--calls", "9999999", "--sizes", "20000"],
        &["optmem_near", "loopback", "local_peer"], Fix::Printed("optmem_near"))
        .with(&[Fault::Sysctl("net/core/optmem_max", "900")]).may(&["depth_small"])
        .after(&["loopback", "local_peer", "depth_small"]),
    // An acknowledgement that comes late leaves the pages pinned when the call ends.
    row("finding_memlock_near", Link::Lo,
        &["send", "msg_zerocopy", "--memlock", "32768", "--calls", "9999999", "--size", "24000", "--pause", "60"],
        &["memlock_near", "loopback"], Fix::Printed("memlock_near")).to(&["--mode", "recv_delayed"])
        .with(&[Fault::Memlock]).may(&["delayed_ack", "local_peer"]).after(&["loopback", "local_peer", "delayed_ack"]),

    row("finding_slow_reader", Link::Lo,
        &["send", "msg_zerocopy", "--read-late", "10000", "--calls", "9999999", "--size", "20000", "--pause", "4"],
        &["slow_reader", "loopback", "local_peer"], Fix::Sender(ZEROCOPY)).may(&["optmem_near"]).after(HERE),
    row("finding_depth_small", Link::Lo, &["paced", "--calls", "9999999", "--sizes", "20000"],
        &["depth_small", "delayed_ack", "loopback"], Fix::Sender(ZEROCOPY)).to(&["--mode", "recv_delayed"])
        .may(&["local_peer"]).after(HERE),
    row("finding_delayed_ack", Link::Lo, &["paced", "--calls", "9999999", "--sizes", "20000"],
        &["depth_small", "delayed_ack", "loopback"], Fix::Sink(&[])).to(&["--mode", "recv_delayed"])
        .may(&["local_peer"]).after(HERE),
    row("finding_pacing", Link::Veth, &["send", "msg_zerocopy", "--pace", "20000000", "--calls", "9999999", "--size", "65536"],
        &["pacing", "local_delivery"], Fix::Setting("net/ipv4/tcp_congestion_control", "reno"))
        .with(&[Fault::PacedByDefault]).after(&["local_delivery"]),
    row("finding_small_send", Link::Lo,
        &["send", "msg_zerocopy", "--calls", "9999999", "--size", "1000", "--pause", "1"],
        &["small_send", "loopback"], Fix::Sender(ZEROCOPY)).may(&["local_peer"]).after(HERE),
    row("finding_splice_small", Link::Lo,
        &["send", "splice", "--calls", "9999999", "--size", "4000"],
        &["splice_small"], Fix::Sender(&["send", "splice", "--calls", "9999999", "--size", "65536", "--pause", "4"])).may(&["pacing"]),
    row("finding_cache_miss", Link::Lo, &["file", "sendfile", "--cold", "--rounds", "9999999", "--pause", "20"],
        &["page_cache_miss"], Fix::Sender(&["file", "sendfile", "--rounds", "9999999", "--pause", "20"]))
        .with(&[Fault::File(1 << 20)]),
    // A sender that never waits may fill its option memory, of which Linux 6.1 gives 20 KiB.
    row("finding_lossy", Link::Veth,
        &["send", "msg_zerocopy", "--calls", "9999999", "--size", "65536"],
        &["swept_retransmit"], Fix::Undo)
        .with(&[Fault::Loss(5)]).may(&["local_delivery", "frag_limit", "optmem", "optmem_near"])
        .after(&["local_delivery", "optmem", "optmem_near"]),
];
