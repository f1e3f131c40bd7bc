//! Rows of io_uring: plain, zero-copy, registered buffers, linked and failing sends.

use std::time::Duration;

use anyhow::{Context, ensure};

use super::row::{Row, Setup};
use super::table::{
    HEALTHY_CARD, K4, K64, LOCAL_DELIVERY, LOOPBACK, ROUTED, SEGMENTED, VIRTIO, VMXNET3, refused, row,
};
use super::{Bench, Procedure};
use crate::expect::{self, Amount, Expect, ZERO_COPY};
use crate::findings::blame;
use crate::fixture::{Fixture, Link};
use crate::kernel::{self, Since};
use crate::misuse::read_report;
use crate::report::Verdict;
use crate::truth::SendPath::{
    UringSend as Send, UringSendZc as Zc, UringSendZcFixed as Fixed, UringSendmsgZc as Msg,
};
use crate::truth::Sent;

/// Without IORING_SEND_ZC_REPORT_USAGE the application is told of the end, and of no copy.
const SILENT: Setup = Setup::Uring(&["--no-report"]);
/// Eight requests handed over at once: they share packets, and notifications.
const BATCH: Setup = Setup::Uring(&["--batch", "8"]);
const TLS: Setup = Setup::Uring(&["--tls", "--no-retry"]);

const fn untold(expect: Expect) -> Expect {
    Expect { told: Amount::None, silent: Amount::All, ..expect }
}

/// Since Linux 6.10 requests can share a packet, and all but the first are called copied, whatever happened.
const LINKED_HOLE: Expect = Expect { told: Amount::Some, ..ZERO_COPY };
/// What waits for the window may share one.
const HOLE: Expect = Expect { told: Amount::Any, ..ZERO_COPY };
const TAPPED_VETH: Expect =
    Expect { clone: Amount::AtLeast(99), clone_reason: Some("packet_tap"), ..LOCAL_DELIVERY };
const TAPPED_HOLE: Expect =
    Expect { told: Amount::Some, clone: Amount::Some, clone_reason: Some("packet_tap"), ..ZERO_COPY };
const TAPPED_CARD: Expect =
    Expect { clone: Amount::AtLeast(50), clone_reason: Some("packet_tap"), ..HEALTHY_CARD };
const SILENT_CARD: Expect = Expect { told: Amount::None, ..HEALTHY_CARD };

/// The rows.
#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    row("uring_lo_send",              Link::Lo,   Send,  (64, K64),  &[],                  ZERO_COPY),
    row("uring_lo_zc",                Link::Lo,   Zc,    (64, K64),  &[],                  LOOPBACK),
    row("uring_lo_fixed",             Link::Lo,   Fixed, (64, K64),  &[],                  LOOPBACK),
    row("uring_lo_sendmsg",           Link::Lo,   Msg,   (64, K64),  &[],                  LOOPBACK),
    row("uring_lo_zc_odd",            Link::Lo,   Zc,    (97, 7777), &[],                  LOOPBACK),
    row("uring_lo_zc_1m",             Link::Lo,   Zc,    (8, 1 << 20), &[],                LOOPBACK),
    row("uring_lo_zc_many",           Link::Lo,   Zc,    (5000, 1000), &[],                LOOPBACK),
    row("uring_lo_zc_ipv6",           Link::Lo,   Zc,    (32, K64),  &[Setup::Ipv6],       LOOPBACK),
    row("uring_lo_zc_silent",         Link::Lo,   Zc,    (32, K64),  &[SILENT],            untold(LOOPBACK)),
    row("uring_lo_fixed_silent",      Link::Lo,   Fixed, (32, K64),  &[SILENT],            untold(LOOPBACK)),
    row("uring_lo_zc_batch",          Link::Lo,   Zc,    (64, K4),   &[BATCH],             LOOPBACK),
    row("uring_lo_fixed_batch",       Link::Lo,   Fixed, (64, 9000), &[BATCH],             LOOPBACK),
    row("uring_lo_zc_batch_64k",      Link::Lo,   Zc,    (64, K64),  &[BATCH],             LOOPBACK),
    row("uring_lo_zc_sockets",        Link::Lo,   Zc,    (3, 9000),  &[Setup::Connections("50")], LOOPBACK),
    row("uring_lo_zc_sqpoll",         Link::Lo,   Zc,    (32, K64),  &[Setup::Uring(&["--sqpoll"])], LOOPBACK),
    row("uring_lo_zc_workers",        Link::Lo,   Zc,    (32, K64),  &[Setup::Uring(&["--workers"])], LOOPBACK),
    row("uring_lo_send_workers",      Link::Lo,   Send,  (32, K64),  &[Setup::Uring(&["--workers"])], ZERO_COPY),
    row("uring_lo_zc_defer",          Link::Lo,   Zc,    (32, K64),  &[Setup::Uring(&["--defer"])], LOOPBACK),
    row("uring_lo_memlock",           Link::Lo,   Zc,    (4, K64),   &[Setup::Memlock("49152")], refused("uring_memlock", LOOPBACK)),
    row("uring_lo_tls",               Link::Lo,   Zc,    (4, K4),    &[TLS],               refused("unsupported", LOOPBACK)),
    row("uring_lo_tls_sendmsg",       Link::Lo,   Msg,   (4, K4),    &[TLS],               refused("unsupported", LOOPBACK)),

    row("uring_veth_zc",              Link::Veth, Zc,    (64, K64),  &[],                  LOCAL_DELIVERY),
    row("uring_veth_fixed",           Link::Veth, Fixed, (64, K64),  &[],                  LOCAL_DELIVERY),
    row("uring_veth_sendmsg",         Link::Veth, Msg,   (64, K64),  &[],                  LOCAL_DELIVERY),
    row("uring_veth_zc_tap",          Link::Veth, Zc,    (16, K64),  &[Setup::TapDevice],  TAPPED_VETH),
    row("uring_veth_sg_off_zc",       Link::Veth, Zc,    (64, K64),  &[Setup::Offload("sg off")], SEGMENTED),
    row("uring_veth_sg_off_fixed",    Link::Veth, Fixed, (64, K64),  &[Setup::Offload("sg off")], SEGMENTED),
    row("uring_veth_sg_off_silent",   Link::Veth, Zc,    (64, K64),  &[Setup::Offload("sg off"), SILENT], untold(SEGMENTED)),
    row("uring_veth_sg_off_batch",    Link::Veth, Zc,    (64, K4),   &[Setup::Offload("sg off"), BATCH], SEGMENTED),

    row("uring_routed_zc",            Link::Routed, Zc,  (32, K64),  &[],                  ROUTED),
    row("uring_routed_silent",        Link::Routed, Zc,  (32, K64),  &[SILENT],            untold(ROUTED)),

    row("uring_hole_zc",              Link::Veth, Zc,    (5, 16384), &[Setup::BlackHole],  HOLE),
    row("uring_hole_fixed",           Link::Veth, Fixed, (5, 16384), &[Setup::BlackHole],  HOLE),
    row("uring_hole_sendmsg",         Link::Veth, Msg,   (5, 16384), &[Setup::BlackHole],  HOLE),
    row("uring_hole_silent",          Link::Veth, Zc,    (5, 16384), &[Setup::BlackHole, SILENT], ZERO_COPY),
    row("uring_hole_batch",           Link::Veth, Zc,    (8, 1000),  &[Setup::BlackHole, BATCH], LINKED_HOLE),
    row("uring_hole_tap",             Link::Veth, Zc,    (5, 16384), &[Setup::BlackHole, Setup::TapDevice], TAPPED_HOLE),

    row("uring_vmxnet3_zc",           VMXNET3,    Zc,    (64, K64),  &[],                  HEALTHY_CARD),
    row("uring_vmxnet3_fixed",        VMXNET3,    Fixed, (64, K64),  &[],                  HEALTHY_CARD),
    row("uring_vmxnet3_sendmsg",      VMXNET3,    Msg,   (32, K64),  &[],                  HEALTHY_CARD),
    row("uring_vmxnet3_silent",       VMXNET3,    Zc,    (32, K64),  &[SILENT],            SILENT_CARD),
    row("uring_vmxnet3_batch",        VMXNET3,    Zc,    (64, K4),   &[BATCH],             HEALTHY_CARD),
    row("uring_vmxnet3_tap",          VMXNET3,    Zc,    (32, K64),  &[Setup::TapDevice],  TAPPED_CARD),
    row("uring_virtio_zc",            VIRTIO,     Zc,    (64, K64),  &[],                  SEGMENTED),
    row("uring_virtio_fixed",         VIRTIO,     Fixed, (64, K64),  &[],                  SEGMENTED),
    row("uring_virtio_sendmsg",       VIRTIO,     Msg,   (32, K64),  &[],                  SEGMENTED),
];

/// What is no row.
pub(super) const ALL: &[Procedure] = &[("uring_lo_bundles", bundles)];

/// Requests that take many buffers each: plain sends, to the byte.
fn bundles(bench: &Bench) -> anyhow::Result<Verdict> {
    if !kernel::has(Since::SendBundles) {
        return Ok(Verdict::Skipped("before Linux 6.10 io_uring sends no bundles".into()));
    }
    let (link, files) = (Fixture::build(Link::Lo, false)?, tempfile::tempdir()?);
    let mut sink = link.sink.start(bench.app("sink").args(["--listen", "127.0.0.1:0"]))?;
    let to = format!("127.0.0.1:{}", sink.first_line(Duration::from_secs(10))?);
    let mut command = bench.stat();
    command.args(["--json", "-o"]).arg(files.path().join("stat.json")).arg("--").arg(&bench.this);
    command.args(["app", "bundle", "--to", &to, "--calls", "20", "--buffers", "16", "--size", "5000"]);
    let output = link.sender.start(&mut command)?.finish(Duration::from_secs(60))?;
    ensure!(output.code == 0, "exit code {}: {}", output.code, output.complaint());
    let sent: Sent = serde_json::from_str(output.stdout.trim()).context("the sender printed no counters")?;
    let stat = read_report(files.path())?;
    let mut wrong = expect::report(&ZERO_COPY, &[sent], "lo", &stat, bench.backend);
    wrong.extend(blame::of_procedure("uring_lo_bundles", &stat));
    Ok(if wrong.is_empty() { Verdict::Ok } else { Verdict::Failed(wrong) })
}
