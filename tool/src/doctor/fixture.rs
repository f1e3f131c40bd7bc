//! Documents for tests: a card, loopback, and a proof.

use zcscope_common::{Path, Reason};

use super::document::*;
use super::{observe, predict};
use crate::host::adapter::{Adapter, Binding};
use crate::host::device::DeviceKind;
use crate::host::facts::Switch;
use crate::host::process::ProcessLimits;
use crate::host::sysctl::Setting;
use crate::host::uring::Uring;
use crate::model::sample::CopyKind;
use crate::model::snapshot::{CopyFigures, Ledger, PathFigures, Snapshot};

const ON: Option<Switch> = Some(Switch { on: true, wanted: true, changeable: true });
pub(crate) const OFF: Option<Switch> = Some(Switch { on: false, wanted: false, changeable: true });

/// A device that can do everything.
pub(crate) fn device(name: &str, kind: DeviceKind) -> Device {
    Device {
        name: name.into(),
        ifindex: 2,
        netns: 4_026_531_840,
        kind,
        driver: Some(if kind == DeviceKind::Physical { "mlx5_core" } else { "veth" }.into()),
        mtu: 1500,
        running: true,
        scatter_gather: ON,
        tx_checksum: ON,
        tso: ON,
        tls_tx: None,
        adapter: Adapter::default(),
        xdp: None,
    }
}

/// A host with one route over these devices, without predictions.
pub(crate) fn bare(receiver: Receiver, devices: Vec<Device>) -> Document {
    let setting =
        |name: &str, value: &str| Setting { name: name.into(), value: value.into(), about: String::new() };
    let route = Route {
        name: "to 10.0.0.2 through eth0".into(),
        to: Some("10.0.0.2".into()),
        receiver,
        devices,
        ..Route::default()
    };
    Document {
        schema: SCHEMA.into(),
        version: "0.1.0".into(),
        host: "box".into(),
        kernel: "6.18.0".into(),
        tracing: Tracing {
            possible: true,
            backend: Some("tracepoint".into()),
            facts: vec![
                Fact {
                    fact: "send".into(),
                    source: Some("tracepoint:sock_send_length".into()),
                    refused: vec![Refusal {
                        backend: "fentry".into(),
                        why: "fentry on tcp_sendmsg_locked was refused (EPERM)".into(),
                    }],
                    ..Fact::default()
                },
                Fact {
                    fact: "copy_site".into(),
                    why_not: Some(
                        "fentry on skb_copy_ubufs was refused (EPERM); no tracepoint stands in the functions that copy"
                            .into(),
                    ),
                    ..Fact::default()
                },
            ],
            map_bytes: Some(16 << 20),
            maps: vec![MapMemory { map: "SOCKS".into(), max_entries: 8192, bytes: 4 << 20 }],
            ..Tracing::default()
        },
        machine: Machine { page_bytes: 4096, ..Machine::default() },
        process: Some(ProcessLimits {
            pid: 42,
            comm: "server".into(),
            memlock_bytes: Some(8 << 20),
            open_files: Some(1024),
            cap_ipc_lock: false,
        }),
        settings: vec![setting("net.core.optmem_max", "131072"), setting("net.ipv4.tcp_congestion_control", "cubic")],
        unavailable: [("ktls".to_owned(), "the kernel has no TLS sockets now".to_owned())].into(),
        io_uring: Uring { why_not: None, requests: vec!["send".into(), "send_zc".into()], bundles: true },
        tls: false,
        devmem: Binding { receive: true, send: false },
        taps: Some(Vec::new()),
        routes: vec![route],
        proof: None,
    }
}

/// Both ends in one namespace.
pub(crate) fn loopback() -> Document {
    let mut document = bare(Receiver::SameNamespace, vec![device("lo", DeviceKind::Loopback)]);
    document.routes[0].name = "to 127.0.0.1, this host itself".into();
    predict(&mut document);
    document
}

/// A card without scatter-gather, with a tap in the way.
pub(crate) fn card() -> Document {
    let mut eth0 = device("eth0", DeviceKind::Physical);
    eth0.scatter_gather = OFF;
    eth0.adapter = Adapter { combined_queues: Some(8), header_split: Some(false), ..Adapter::default() };
    let mut document = bare(Receiver::Elsewhere, vec![eth0]);
    document.routes[0].gateway = Some("10.0.0.254".into());
    document.taps = Some(vec![Tap {
        netns: 4_026_531_840,
        ifindex: Some(2),
        sees_sent: true,
        holders: vec!["tcpdump (7)".into()],
        ..Tap::default()
    }]);
    predict(&mut document);
    document
}

/// Figures of a path of which `copied` of 256 KiB were copied.
pub(crate) fn figures(path: Path, copied: u64, reason: Reason, clone: bool) -> PathFigures {
    let kind = CopyKind {
        reason,
        site: "skb_copy_ubufs".into(),
        caller: None,
        dev: Some("eth0".into()),
        clone,
        told: true,
        inferred: true,
    };
    let bytes = 256 << 10;
    let wire = if clone { 0 } else { copied };
    PathFigures {
        calls: 4,
        bytes,
        ledger: Some(Ledger {
            requested_bytes: bytes,
            zerocopied_bytes: Some(bytes - wire),
            copied_bytes: Some(wire),
            clone_copied_bytes: Some(copied - wire),
            silent_copied_bytes: Some(0),
        }),
        copies: vec![CopyFigures {
            kind: kind.into(),
            count: 4,
            bytes: copied,
            bytes_per_s: 0,
            first_ns: 0,
            last_ns: 0,
        }]
        .into_iter()
        .filter(|copies| copies.bytes > 0)
        .collect(),
        ..PathFigures::nothing(path)
    }
}

/// Loopback, where sendfile was not what was predicted.
pub(crate) fn proven() -> Document {
    let mut document = loopback();
    let paths = vec![
        figures(Path::MsgZerocopy, 256 << 10, Reason::Loopback, false),
        figures(Path::Sendfile, 128 << 10, Reason::UnknownCaller, false),
    ];
    let snapshot = Snapshot { paths, ..Snapshot::default() };
    for prediction in document.routes[0].send.iter_mut().take(2) {
        observe::compare(prediction, &snapshot, None);
    }
    document.proof = Some(observe::proof(&document.routes, 256 << 10));
    document
}
