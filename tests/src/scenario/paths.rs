//! Rows of the other send paths: vmsplice, kTLS, MPTCP, fastopen, sockmap, mixed and refused sends, frags.

use super::row::{Row, Setup};
use super::table::{
    FILE_SEGMENTED, HEALTHY_CARD, K4, K64, LOCAL_DELIVERY, LOOPBACK, SEGMENTED, UNSET, VIRTIO, VMXNET3,
    refused, row, told_copied,
};
use crate::expect::{Amount, Expect, Layout, ZERO_COPY};
use crate::fixture::Link::{Lo, Veth};
use crate::truth::SendPath::{Copy, Ktls, KtlsSendfile, Mptcp, MsgZerocopy, Sendfile, Splice, Vmsplice};

/// Pages lent by `splice` and `vmsplice` are never told of, and on a healthy card never copied.
const LENT: Expect = Expect { told: Amount::Any, ..ZERO_COPY };
/// Nothing was accepted, so nothing is told: every call failed.
const NOTHING: Expect = Expect { told: Amount::Any, ..ZERO_COPY };
/// Copied at once for the program of a sockmap, and never told.
const THROUGH_SOCKMAP: Expect = Expect { reason: Some("sockmap"), ..UNSET };
/// A send that opens its connection is copied, and the notification says so.
const FASTOPEN: Expect = Expect { attached: Amount::None, ..told_copied("fastopen") };
/// On this host the receiver copies it once more.
const FASTOPEN_HERE: Expect = Expect { tolerated: &["loopback", "local_delivery"], ..FASTOPEN };
/// More than the SYN holds: the rest is copied as well.
const FASTOPEN_LONG: Expect = Expect { tolerated: &["header_pull"], ..FASTOPEN };
/// 64 single bytes of 64 pages: more frags than a packet has room for.
const SCATTERED: Layout = Layout { pages: (64, 64), frags: (64, 64) };
/// 2 MiB of huge pages: packets of 64 KiB hold one or two frags each, and a page between two packets counts twice.
const HUGE: Layout = Layout { pages: (512, 600), frags: (1, 128) };

const fn note(notes: &'static [&'static str], expect: Expect) -> Expect {
    Expect { notes, ..expect }
}

const fn laid_out(layout: Layout, expect: Expect) -> Expect {
    Expect { layout: Some(layout), ..expect }
}

/// The rows.
#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    row("lo_vmsplice",             Lo,      Vmsplice,    (16, K64),  &[],                           ZERO_COPY),
    row("lo_vmsplice_gift",        Lo,      Vmsplice,    (16, K64),  &[Setup::Gift],                ZERO_COPY),
    row("lo_vmsplice_and_splice",  Lo,      Vmsplice,    (16, K64),  &[Setup::And(Splice)],         ZERO_COPY),
    row("lo_vmsplice_and_sendfile", Lo,     Vmsplice,    (8, K64),   &[Setup::And(Sendfile)],       ZERO_COPY),
    row("veth_vmsplice",           Veth,    Vmsplice,    (16, K64),  &[],                           ZERO_COPY),
    row("veth_sg_off_vmsplice",    Veth,    Vmsplice,    (16, K64),  &[Setup::Offload("sg off")],   FILE_SEGMENTED),
    row("vmxnet3_vmsplice",        VMXNET3, Vmsplice,    (16, K64),  &[],                           LENT),
    row("vmxnet3_vmsplice_gift",   VMXNET3, Vmsplice,    (16, K64),  &[Setup::Gift],                LENT),
    row("vmxnet3_splice",          VMXNET3, Splice,      (16, K64),  &[],                           LENT),
    row("virtio_vmsplice",         VIRTIO,  Vmsplice,    (16, K64),  &[],                           FILE_SEGMENTED),
    row("virtio_splice",           VIRTIO,  Splice,      (16, K64),  &[],                           FILE_SEGMENTED),

    row("lo_ktls",                 Lo,      Ktls,        (32, K64),  &[],                           ZERO_COPY),
    row("lo_ktls_small",           Lo,      Ktls,        (50, 1000), &[],                           ZERO_COPY),
    row("lo_ktls_sendfile",        Lo,      KtlsSendfile, (16, K64), &[],                           ZERO_COPY),
    row("lo_ktls_msg_zerocopy",    Lo,      MsgZerocopy, (8, K64),   &[Setup::And(Ktls), Setup::NoRetry], refused("unsupported", NOTHING)),
    row("veth_ktls",               Veth,    Ktls,        (16, K64),  &[],                           ZERO_COPY),
    row("vmxnet3_ktls",            VMXNET3, Ktls,        (16, K64),  &[],                           ZERO_COPY),
    row("vmxnet3_ktls_sendfile",   VMXNET3, KtlsSendfile, (16, K64), &[],                           ZERO_COPY),
    row("virtio_ktls",             VIRTIO,  Ktls,        (16, K64),  &[],                           ZERO_COPY),

    row("lo_mptcp",                Lo,      Mptcp,       (16, K64),  &[],                           ZERO_COPY),
    row("lo_mptcp_asked",          Lo,      Mptcp,       (16, K64),  &[Setup::AskZerocopy],         Expect { reason: Some("mptcp"), ..ZERO_COPY }),
    row("veth_mptcp",              Veth,    Mptcp,       (16, K64),  &[],                           ZERO_COPY),
    row("vmxnet3_mptcp_asked",     VMXNET3, Mptcp,       (16, K64),  &[Setup::AskZerocopy],         Expect { reason: Some("mptcp"), ..ZERO_COPY }),

    row("lo_sockmap_copy",         Lo,      Copy,        (16, 9000), &[Setup::Sockmap],             ZERO_COPY),
    row("lo_sockmap_asked",        Lo,      MsgZerocopy, (16, 9000), &[Setup::Sockmap, Setup::WithoutSoZerocopy], THROUGH_SOCKMAP),
    row("vmxnet3_sockmap_asked",   VMXNET3, MsgZerocopy, (16, 9000), &[Setup::Sockmap, Setup::WithoutSoZerocopy], THROUGH_SOCKMAP),

    row("lo_fastopen",             Lo,      MsgZerocopy, (1, 1000),  &[Setup::Fastopen],            FASTOPEN_HERE),
    row("veth_fastopen",           Veth,    MsgZerocopy, (1, 1000),  &[Setup::Fastopen],            FASTOPEN_HERE),
    row("vmxnet3_fastopen_long",   VMXNET3, MsgZerocopy, (1, 9000),  &[Setup::Fastopen],            FASTOPEN_LONG),
    row("vmxnet3_fastopen",        VMXNET3, MsgZerocopy, (1, 1000),  &[Setup::Fastopen],            FASTOPEN),

    row("lo_bad_buffer",           Lo,      MsgZerocopy, (8, K4),    &[Setup::BadBuffer],           refused("bad_buffer", LOOPBACK)),
    row("vmxnet3_bad_buffer",      VMXNET3, MsgZerocopy, (8, K4),    &[Setup::BadBuffer],           refused("bad_buffer", HEALTHY_CARD)),
    row("lo_bad_buffer_copy",      Lo,      Copy,        (8, K4),    &[Setup::BadBuffer],           ZERO_COPY),
    row("lo_full_socket",          Lo,      MsgZerocopy, (200, K64), &[Setup::Nonblocking],         refused("aborted", LOOPBACK)),
    row("lo_full_socket_copy",     Lo,      Copy,        (200, K64), &[Setup::Nonblocking],         ZERO_COPY),
    row("lo_shut",                 Lo,      MsgZerocopy, (8, K4),    &[Setup::AfterShutdown("5")],  refused("aborted", LOOPBACK)),
    row("lo_shut_copy",            Lo,      Copy,        (8, K4),    &[Setup::AfterShutdown("5")],  ZERO_COPY),

    row("lo_scattered",            Lo,      MsgZerocopy, (8, 64),    &[Setup::Scattered, Setup::Pause("5")], note(&["frag_limit"], laid_out(SCATTERED, LOOPBACK))),
    row("veth_scattered",          Veth,    MsgZerocopy, (8, 64),    &[Setup::Scattered, Setup::Pause("5")], note(&["frag_limit"], laid_out(SCATTERED, LOCAL_DELIVERY))),
    row("lo_huge",                 Lo,      MsgZerocopy, (4, 2 << 20), &[Setup::Huge],              laid_out(HUGE, LOOPBACK)),
    row("vmxnet3_huge",            VMXNET3, MsgZerocopy, (4, 2 << 20), &[Setup::Huge],              laid_out(HUGE, HEALTHY_CARD)),
    row("lo_more_mixed",           Lo,      MsgZerocopy, (32, 500),  &[Setup::And(Copy), Setup::More], note(&["mixed_socket"], LOOPBACK)),
    row("veth_sg_off_more_mixed",  Veth,    MsgZerocopy, (32, 500),  &[Setup::And(Copy), Setup::More, Setup::Offload("sg off")], note(&["mixed_socket"], SEGMENTED)),
    row("veth_tiny_paced",         Veth,    MsgZerocopy, (20, 100),  &[Setup::Pause("5")],          told_copied("local_delivery")),
    row("vmxnet3_tiny_paced",      VMXNET3, MsgZerocopy, (20, 100),  &[Setup::Pause("5")],          Expect { copied: Amount::Any, silent: Amount::Any, ..HEALTHY_CARD }),
    row("vmxnet3_scattered",       VMXNET3, MsgZerocopy, (8, 64),    &[Setup::Scattered, Setup::Pause("5")], Expect { copied: Amount::Any, silent: Amount::Any, ..note(&["frag_limit"], laid_out(SCATTERED, HEALTHY_CARD)) }),
];
