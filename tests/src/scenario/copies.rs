//! Rows of copy reasons: links and devices that make the kernel copy, and faults that do not.

use super::row::{Row, Setup};
use super::table::{
    FILE_SEGMENTED, HEALTHY_CARD, K64, LINEARISED, LOCAL_DELIVERY, SEGMENTED, VMXNET3, row, told_copied,
};
use crate::bpf::Xdp;
use crate::expect::{Amount, Expect, ZERO_COPY};
use crate::fixture::Link;
use crate::fixture::links::{Tun, Upper};
use crate::truth::SendPath::{MsgZerocopy, Sendfile, Splice};

/// Told or not, depending on how often a packet is a single segment.
const fn copied(reason: &'static str) -> Expect {
    Expect { told: Amount::Any, silent: Amount::Any, ..told_copied(reason) }
}

/// File pages are copied, and nobody is told.
const fn file_copied(reason: &'static str) -> Expect {
    Expect { told: Amount::Any, silent: Amount::All, ..told_copied(reason) }
}

/// The rows.
#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    row("bridged_msg_zerocopy",    Link::Bridged, MsgZerocopy, (32, K64), &[],                        LOCAL_DELIVERY),
    row("bridged_sendfile",        Link::Bridged, Sendfile, (32, K64),  &[],                          ZERO_COPY),
    row("macvlan_msg_zerocopy",    Link::OnVeth(Upper::Macvlan), MsgZerocopy, (32, K64), &[],         LOCAL_DELIVERY),
    row("macvlan_sendfile",        Link::OnVeth(Upper::Macvlan), Sendfile, (32, K64), &[],            ZERO_COPY),
    row("ipvlan_msg_zerocopy",     Link::OnVeth(Upper::Ipvlan), MsgZerocopy, (32, K64), &[],          LOCAL_DELIVERY),
    row("vlan_msg_zerocopy",       Link::OnVeth(Upper::Vlan), MsgZerocopy, (32, K64), &[],            LOCAL_DELIVERY),
    row("bond_msg_zerocopy",       Link::OnVeth(Upper::Bond), MsgZerocopy, (32, K64), &[],            LOCAL_DELIVERY),
    row("vxlan_msg_zerocopy",      Link::OnVeth(Upper::Vxlan), MsgZerocopy, (32, K64), &[],           LOCAL_DELIVERY),
    row("vxlan_sendfile",          Link::OnVeth(Upper::Vxlan), Sendfile, (32, K64), &[],              ZERO_COPY),
    row("tun_msg_zerocopy",        Link::Tun(Tun::Plain), MsgZerocopy, (16, K64), &[],                copied("tun_tap")),
    row("tun_sendfile",            Link::Tun(Tun::Plain), Sendfile, (16, K64), &[],                   file_copied("tun_tap")),
    row("tap_msg_zerocopy",        Link::Tun(Tun::Tap), MsgZerocopy, (16, K64), &[],                  copied("tun_tap")),
    row("tap_offloads_msg_zerocopy", Link::Tun(Tun::TapOffloads), MsgZerocopy, (16, K64), &[],        told_copied("tun_tap")),
    row("tap_offloads_sendfile",   Link::Tun(Tun::TapOffloads), Sendfile, (16, K64), &[],             ZERO_COPY),

    row("veth_sg_off_late",        Link::Veth, MsgZerocopy, (32, K64),  &[Setup::OffloadLate("sg off")], SEGMENTED),
    row("veth_tso_off",            Link::Veth, MsgZerocopy, (16, K64),  &[Setup::Offload("tso off")],  LOCAL_DELIVERY),
    row("veth_gso_off",            Link::Veth, MsgZerocopy, (16, K64),  &[Setup::Offload("gso off tso off")], LOCAL_DELIVERY),
    row("veth_tx_off_late",        Link::Veth, MsgZerocopy, (16, K64),  &[Setup::OffloadLate("tx off")], told_copied("no_tx_checksum")),
    row("veth_tx_off_small",       Link::Veth, MsgZerocopy, (8, 1000),  &[Setup::Offload("tx off"), Setup::Pause("10")], told_copied("no_tx_checksum")),
    row("veth_tx_off_sendfile",    Link::Veth, Sendfile,    (16, K64),  &[Setup::Offload("tx off")],   file_copied("no_tx_checksum")),
    row("veth_sg_off_splice",      Link::Veth, Splice,      (16, K64),  &[Setup::Offload("sg off")],   FILE_SEGMENTED),
    row("veth_sg_off_sendfile_small", Link::Veth, Sendfile, (8, 1000),  &[Setup::Offload("sg off"), Setup::Pause("10")], Expect { silent: Amount::All, ..LINEARISED }),

    row("veth_delay",              Link::Veth, MsgZerocopy, (16, K64),  &[Setup::Tc("qdisc add dev DEV root netem delay 5ms")], LOCAL_DELIVERY),
    row("veth_duplicate",          Link::Veth, MsgZerocopy, (16, K64),  &[Setup::Tc("qdisc add dev DEV root netem duplicate 30%")], LOCAL_DELIVERY),
    row("veth_loss",               Link::Veth, MsgZerocopy, (16, K64),  &[Setup::Tc("qdisc add dev DEV root netem loss 2%")], LOCAL_DELIVERY),
    row("veth_loss_sg_off",        Link::Veth, MsgZerocopy, (16, K64),  &[Setup::Offload("sg off"), Setup::Tc("qdisc add dev DEV root netem loss 2%")], SEGMENTED),
    row("veth_tc_pull",            Link::Veth, MsgZerocopy, (16, K64),  &[Setup::TcPull(None)],        told_copied("tc_bpf_pull")),
    row("veth_tc_pull_sendfile",   Link::Veth, Sendfile,    (16, K64),  &[Setup::TcPull(None)],        file_copied("tc_bpf_pull")),
    row("vmxnet3_tc_pull_headers", VMXNET3,    MsgZerocopy, (16, K64),  &[Setup::TcPull(Some(200))],   Expect { copied: Amount::Below(2), silent: Amount::Below(2), reason: Some("tc_bpf_pull"), ..HEALTHY_CARD }),
    row("veth_esp",                Link::Veth, MsgZerocopy, (16, K64),  &[Setup::Esp],                 told_copied("xfrm")),
    row("veth_esp_sendfile",       Link::Veth, Sendfile,    (16, K64),  &[Setup::Esp],                 file_copied("xfrm")),
    row("veth_xdp_native",         Link::Veth, MsgZerocopy, (16, K64),  &[Setup::Xdp(Xdp::Native)],    Expect { told: Amount::None, silent: Amount::All, ..told_copied("xdp_veth") }),
    row("veth_xdp_generic",        Link::Veth, MsgZerocopy, (16, K64),  &[Setup::Xdp(Xdp::Generic)],   told_copied("xdp_generic")),
    row("vxlan_on_vmxnet3",        Link::OnCable(Upper::Vxlan, "vmxnet3"), MsgZerocopy, (16, K64), &[], copied("driver_limit")),
];
