//! The table of scenarios. Amounts are measured behaviour of Linux 6.1, 6.12 and 6.18.

use super::row::{Row, Setup};
use crate::expect::{Amount, Expect, Refused, ZERO_COPY};
use crate::fixture::Link;
use crate::truth::SendPath::{self, Copy, MsgZerocopy, Sendfile, Splice};

/// Cards with scatter-gather, checksums and segmentation: true zero-copy.
pub(super) const VMXNET3: Link = Link::Cable("vmxnet3");
/// Cards on a hub without any of them: every byte is copied while segmenting.
pub(super) const VIRTIO: Link = Link::Cable("virtio_net");

/// Every byte is copied for one reason and the application is told.
pub(super) const fn told_copied(reason: &'static str) -> Expect {
    Expect { told: Amount::All, copied: Amount::All, reason: Some(reason), ..ZERO_COPY }
}

pub(super) const LOOPBACK: Expect = told_copied("loopback");
pub(super) const LOCAL_DELIVERY: Expect = told_copied("local_delivery");
/// Copied once: before Linux 6.17 where the router receives, since then at the final receiver.
pub(super) const ROUTED: Expect =
    Expect { reason: None, tolerated: &["netns_forward", "local_delivery"], ..LOCAL_DELIVERY };
/// The notification knows of the last, small packet of a send at most: how often there is one depends on timing.
pub(super) const SEGMENTED: Expect = Expect {
    told: Amount::Any,
    copied: Amount::All,
    silent: Amount::Any,
    reason: Some("no_scatter_gather"),
    ..ZERO_COPY
};
/// One packet per send: the notification tells the truth.
pub(super) const LINEARISED: Expect = told_copied("no_scatter_gather");
/// No notification exists for file pages: nobody is ever told.
pub(super) const FILE_SEGMENTED: Expect = Expect { told: Amount::Any, silent: Amount::All, ..SEGMENTED };
/// A driver pulls headers now and then.
pub(super) const HEALTHY_CARD: Expect = Expect {
    told: Amount::Any,
    copied: Amount::Below(1),
    silent: Amount::Below(1),
    tolerated: &["header_pull"],
    ..ZERO_COPY
};
/// A tap copies what really goes out without a copy.
const TAPPED_CARD: Expect =
    Expect { clone: Amount::AtLeast(50), clone_reason: Some("packet_tap"), ..HEALTHY_CARD };
/// The same where only the first window ever goes out.
const TAPPED_HOLE: Expect =
    Expect { told: Amount::Some, clone: Amount::Some, clone_reason: Some("packet_tap"), ..ZERO_COPY };
const TAPPED_VETH: Expect =
    Expect { clone: Amount::AtLeast(99), clone_reason: Some("packet_tap"), ..LOCAL_DELIVERY };
const RX_TAPPED_HOLE: Expect =
    Expect { told: Amount::Some, copied: Amount::Some, reason: Some("packet_tap_rx"), ..ZERO_COPY };
/// Accepted as if zero-copy, copied at once, no notification ever.
pub(super) const UNSET: Expect = Expect {
    copied: Amount::All,
    silent: Amount::Any,
    attached: Amount::None,
    reason: Some("so_zerocopy_unset"),
    ..ZERO_COPY
};
pub(super) const fn refused(reason: &'static str, expect: Expect) -> Expect {
    Expect { refused: Refused::Must(reason), ..expect }
}

pub(super) const K4: u32 = 4096;
pub(super) const K64: u32 = 65536;

pub(super) const fn row(
    name: &'static str,
    link: Link,
    path: SendPath,
    (calls, size): (u32, u32),
    setup: &'static [Setup],
    expect: Expect,
) -> Row {
    Row { name, link, path, calls, size, setup, expect }
}

/// What every back end must show on every kernel; the other rows vary these.
pub(crate) const CORE: &[&str] = &[
    "lo_copy",
    "lo_msg_zerocopy",
    "lo_msg_zerocopy_ipv6",
    "lo_sendfile",
    "lo_so_zerocopy_unset",
    "lo_optmem",
    "lo_memlock",
    "veth_copy",
    "veth_msg_zerocopy",
    "veth_sendfile",
    "vmxnet3_copy",
    "vmxnet3_msg_zerocopy",
    "vmxnet3_sendfile",
    "vmxnet3_tap",
    "virtio_copy",
    "virtio_msg_zerocopy",
    "virtio_sendfile",
    "lo_vmsplice",
    "lo_ktls",
    "uring_lo_zc",
    "recv_lo",
    "recv_map_lo_msg_zerocopy",
    "ends_closed_at_once",
    "copy_beside_return_probe",
    "copy_beside_function_graph",
];

/// The rows of links and of plain, `MSG_ZEROCOPY` and `sendfile` sends, simple ones first.
#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    row("lo_copy",                 Link::Lo,   Copy,        (64, K64),  &[],                           ZERO_COPY),
    row("lo_copy_ipv6",            Link::Lo,   Copy,        (64, 1000), &[Setup::Ipv6],                ZERO_COPY),
    row("lo_msg_zerocopy",         Link::Lo,   MsgZerocopy, (64, K64),  &[],                           LOOPBACK),
    row("lo_msg_zerocopy_odd",     Link::Lo,   MsgZerocopy, (97, 7777), &[],                           LOOPBACK),
    row("lo_msg_zerocopy_paced",   Link::Lo,   MsgZerocopy, (8, 100),   &[Setup::Pause("5")],          LOOPBACK),
    row("lo_msg_zerocopy_1m",      Link::Lo,   MsgZerocopy, (8, 1 << 20), &[],                         LOOPBACK),
    row("lo_msg_zerocopy_ipv6",    Link::Lo,   MsgZerocopy, (64, K64),  &[Setup::Ipv6],                LOOPBACK),
    row("lo_copy_many",            Link::Lo,   Copy,        (20000, 1000), &[],                        ZERO_COPY),
    row("lo_msg_zerocopy_many",    Link::Lo,   MsgZerocopy, (20000, 1000), &[],                        LOOPBACK),
    row("lo_msg_zerocopy_sockets", Link::Lo,   MsgZerocopy, (3, 9000),  &[Setup::Connections("100")],  LOOPBACK),
    row("lo_sendfile_sockets",     Link::Lo,   Sendfile,    (3, 9000),  &[Setup::Connections("100")],  ZERO_COPY),
    row("lo_msg_zerocopy_child",   Link::Lo,   MsgZerocopy, (16, K64),  &[Setup::ViaShell],            LOOPBACK),
    row("lo_msg_zerocopy_bystander", Link::Lo, MsgZerocopy, (64, K64),  &[Setup::Bystander],           LOOPBACK),
    row("lo_mixed_copy",           Link::Lo,   MsgZerocopy, (32, 9000), &[Setup::And(Copy)],           LOOPBACK),
    row("lo_mixed_sendfile",       Link::Lo,   MsgZerocopy, (32, 9000), &[Setup::And(Sendfile)],       LOOPBACK),
    row("veth_sg_off_mixed",       Link::Veth, MsgZerocopy, (32, 9000), &[Setup::And(Copy), Setup::Offload("sg off")], SEGMENTED),
    row("lo_so_zerocopy_unset",    Link::Lo,   MsgZerocopy, (16, K64),  &[Setup::WithoutSoZerocopy],   UNSET),
    row("lo_optmem",               Link::Lo,   MsgZerocopy, (8, K4),    &[Setup::Optmem("1000")],      refused("optmem", LOOPBACK)),
    row("lo_memlock",              Link::Lo,   MsgZerocopy, (4, K64),   &[Setup::Memlock("32768")],    refused("memlock", LOOPBACK)),
    row("lo_sendfile",             Link::Lo,   Sendfile,    (64, K64),  &[],                           ZERO_COPY),
    row("lo_sendfile_ipv6",        Link::Lo,   Sendfile,    (16, K64),  &[Setup::Ipv6],                ZERO_COPY),
    row("lo_splice",               Link::Lo,   Splice,      (16, K64),  &[],                           ZERO_COPY),

    row("veth_copy",               Link::Veth, Copy,        (64, K64),  &[],                           ZERO_COPY),
    row("veth_msg_zerocopy",       Link::Veth, MsgZerocopy, (64, K64),  &[],                           LOCAL_DELIVERY),
    row("veth_msg_zerocopy_ipv6",  Link::Veth, MsgZerocopy, (64, K64),  &[Setup::Ipv6],                LOCAL_DELIVERY),
    row("veth_sendfile",           Link::Veth, Sendfile,    (64, K64),  &[],                           ZERO_COPY),
    row("veth_splice",             Link::Veth, Splice,      (16, K64),  &[],                           ZERO_COPY),
    row("veth_sendfile_tap",       Link::Veth, Sendfile,    (16, K64),  &[Setup::TapDevice],           ZERO_COPY),
    row("veth_msg_zerocopy_tap",   Link::Veth, MsgZerocopy, (16, K64),  &[Setup::TapDevice],           TAPPED_VETH),
    row("veth_msg_zerocopy_tap_incoming", Link::Veth, MsgZerocopy, (16, K64), &[Setup::TapIncomingOnly], LOCAL_DELIVERY),
    row("veth_sg_off_copy",        Link::Veth, Copy,        (16, K64),  &[Setup::Offload("sg off")],   ZERO_COPY),
    row("veth_sg_off_msg_zerocopy", Link::Veth, MsgZerocopy, (64, K64), &[Setup::Offload("sg off")],   SEGMENTED),
    row("veth_sg_off_small",       Link::Veth, MsgZerocopy, (8, 1000),  &[Setup::Offload("sg off"), Setup::Pause("10")], LINEARISED),
    row("veth_sg_off_sendfile",    Link::Veth, Sendfile,    (64, K64),  &[Setup::Offload("sg off")],   FILE_SEGMENTED),
    row("veth_tx_off_msg_zerocopy", Link::Veth, MsgZerocopy, (16, K64), &[Setup::Offload("tx off")],   told_copied("no_tx_checksum")),

    row("routed_msg_zerocopy",     Link::Routed, MsgZerocopy, (32, K64), &[],                          ROUTED),
    row("routed_sendfile",         Link::Routed, Sendfile, (32, K64),   &[],                           ZERO_COPY),

    row("hole_msg_zerocopy",       Link::Veth, MsgZerocopy, (5, 16384), &[Setup::BlackHole],           ZERO_COPY),
    row("hole_msg_zerocopy_ipv6",  Link::Veth, MsgZerocopy, (5, 16384), &[Setup::BlackHole, Setup::Ipv6], ZERO_COPY),
    row("hole_sendfile",           Link::Veth, Sendfile,    (5, 16384), &[Setup::BlackHole],           ZERO_COPY),
    row("hole_tap",                Link::Veth, MsgZerocopy, (5, 16384), &[Setup::BlackHole, Setup::TapDevice], TAPPED_HOLE),
    row("hole_tap_any",            Link::Veth, MsgZerocopy, (5, 16384), &[Setup::BlackHole, Setup::TapAny], TAPPED_HOLE),
    row("hole_tap_incoming",       Link::Veth, MsgZerocopy, (5, 16384), &[Setup::BlackHole, Setup::TapIncomingOnly], ZERO_COPY),
    row("hole_tap_at_sink",        Link::Veth, MsgZerocopy, (5, 16384), &[Setup::BlackHole, Setup::TapAtSink], RX_TAPPED_HOLE),

    row("vmxnet3_copy",            VMXNET3,    Copy,        (64, K64),  &[],                           ZERO_COPY),
    row("vmxnet3_msg_zerocopy",    VMXNET3,    MsgZerocopy, (100, K64), &[],                           HEALTHY_CARD),
    row("vmxnet3_msg_zerocopy_ipv6", VMXNET3,  MsgZerocopy, (8, K64),  &[Setup::Ipv6],                HEALTHY_CARD),
    row("vmxnet3_sendfile",        VMXNET3,    Sendfile,    (64, K64),  &[],                           HEALTHY_CARD),
    row("vmxnet3_tap",             VMXNET3,    MsgZerocopy, (32, K64),  &[Setup::TapDevice],           TAPPED_CARD),
    row("vmxnet3_tap_incoming",    VMXNET3,    MsgZerocopy, (32, K64),  &[Setup::TapIncomingOnly],     HEALTHY_CARD),
    row("vmxnet3_sendfile_tap",    VMXNET3,    Sendfile,    (32, K64),  &[Setup::TapDevice],           HEALTHY_CARD),

    row("virtio_copy",             VIRTIO,     Copy,        (64, K64),  &[],                           ZERO_COPY),
    row("virtio_msg_zerocopy",     VIRTIO,     MsgZerocopy, (64, K64),  &[],                           SEGMENTED),
    row("virtio_msg_zerocopy_ipv6", VIRTIO,    MsgZerocopy, (32, K64),  &[Setup::Ipv6],                SEGMENTED),
    row("virtio_small",            VIRTIO,     MsgZerocopy, (8, 1000),  &[Setup::Pause("10")],         LINEARISED),
    row("virtio_sendfile",         VIRTIO,     Sendfile,    (64, K64),  &[],                           FILE_SEGMENTED),
];
