//! Predictions rule by rule, comparison with what was observed, and the document against its schema.

use serde_json::Value;
use zcscope_common::{Path, Reason};

use super::document::*;
use super::fixture::{OFF, bare, card, device, figures, loopback, proven};
use super::{observe, predict};
use crate::host::device::DeviceKind;
use crate::model::snapshot::Snapshot;

fn eth0() -> Device {
    device("eth0", DeviceKind::Physical)
}

fn predicted(mut document: Document, path: Path) -> Prediction {
    predict(&mut document);
    let route = document.routes.remove(0);
    route.send.into_iter().chain(route.receive).find(|prediction| prediction.path == path).unwrap()
}

/// Verdict and reason of a path over one device, after `change`.
fn fate(path: Path, change: impl FnOnce(&mut Document)) -> (Verdict, Option<Reason>) {
    let mut document = bare(Receiver::Elsewhere, vec![eth0()]);
    change(&mut document);
    let prediction = predicted(document, path);
    (prediction.verdict, prediction.because.map(|because| because.reason))
}

#[test]
fn a_healthy_card_copies_nothing_that_was_asked_not_to_be() {
    for path in [Path::MsgZerocopy, Path::Sendfile, Path::Vmsplice, Path::UringSendZc] {
        assert_eq!(fate(path, |_| ()), (Verdict::ZeroCopy, None), "{}", path.name());
    }
    assert_eq!(fate(Path::Copy, |_| ()), (Verdict::CopiesByDesign, None));
    assert_eq!(fate(Path::Mptcp, |_| ()), (Verdict::CopiesByDesign, Some(Reason::Mptcp)));
    assert_eq!(fate(Path::Ktls, |_| ()), (Verdict::Unavailable, None));
}

#[test]
fn a_device_that_cannot_gather_copies_everything_and_one_without_checksums_too() {
    for path in [Path::MsgZerocopy, Path::Sendfile] {
        let no_sg = fate(path, |d| d.routes[0].devices[0].scatter_gather = OFF);
        assert_eq!(no_sg, (Verdict::Copied, Some(Reason::NoScatterGather)));
        let no_csum = fate(path, |d| d.routes[0].devices[0].tx_checksum = OFF);
        assert_eq!(no_csum, (Verdict::Copied, Some(Reason::NoTxChecksum)));
        let below = fate(path, |d| {
            d.routes[0].devices.insert(0, device("vlan7", DeviceKind::Virtual));
            d.routes[0].devices[1].scatter_gather = OFF;
        });
        assert_eq!(below, (Verdict::Copied, Some(Reason::NoScatterGather)), "the device below decides");
    }
}

#[test]
fn on_one_host_only_paths_that_are_told_of_their_end_are_copied() {
    let veth = |document: &mut Document| {
        document.routes[0].devices = vec![device("va", DeviceKind::Veth)];
        document.routes[0].receiver = Receiver::ThisHost;
    };
    assert_eq!(fate(Path::MsgZerocopy, veth), (Verdict::Copied, Some(Reason::LocalDelivery)));
    assert_eq!(fate(Path::Sendfile, veth), (Verdict::ZeroCopy, None));
    let lo = |document: &mut Document| *document = loopback();
    assert_eq!(fate(Path::UringSendZc, lo), (Verdict::Copied, Some(Reason::Loopback)));
    assert_eq!(
        fate(Path::Devmem, |document| {
            lo(document);
            document.devmem.send = true;
        })
        .0,
        Verdict::Unavailable
    );
    // A cable between two ports of one host is no delivery on this host.
    let cable = |document: &mut Document| document.routes[0].receiver = Receiver::ThisHost;
    assert_eq!(fate(Path::MsgZerocopy, cable), (Verdict::ZeroCopy, None));
}

#[test]
fn a_receiver_that_is_not_known_is_assumed_to_be_elsewhere_and_that_is_said() {
    let mut document = bare(Receiver::Unknown, vec![device("va", DeviceKind::Veth)]);
    let prediction = predicted(document.clone(), Path::MsgZerocopy);
    assert_eq!(prediction.verdict, Verdict::ZeroCopy);
    assert!(prediction.assumed.unwrap().contains("another host"));
    document.routes[0].forwarded = true;
    document.machine.copies_forwarded = true;
    assert_eq!(predicted(document, Path::MsgZerocopy).because.map(|b| b.reason), Some(Reason::NetnsForward));
}

#[test]
fn refusals_come_before_copies() {
    let optmem = |value: &'static str| {
        move |document: &mut Document| {
            document.settings[0].value = value.into();
            document.routes[0].devices[0].scatter_gather = OFF;
        }
    };
    assert_eq!(fate(Path::MsgZerocopy, optmem("500")), (Verdict::Refused, Some(Reason::Optmem)));
    assert_eq!(fate(Path::MsgZerocopy, optmem("1000")), (Verdict::Copied, Some(Reason::NoScatterGather)));
    assert_eq!(fate(Path::Sendfile, optmem("500")), (Verdict::Copied, Some(Reason::NoScatterGather)));
    let memlock = |cap: bool| {
        move |document: &mut Document| {
            let process = document.process.as_mut().unwrap();
            (process.memlock_bytes, process.cap_ipc_lock) = (Some(71 << 10), cap);
        }
    };
    assert_eq!(fate(Path::MsgZerocopy, memlock(false)), (Verdict::Refused, Some(Reason::Memlock)));
    assert_eq!(fate(Path::UringSendZc, memlock(false)), (Verdict::Refused, Some(Reason::UringMemlock)));
    assert_eq!(fate(Path::MsgZerocopy, memlock(true)), (Verdict::ZeroCopy, None));
}

#[test]
fn a_small_optmem_is_told_beside_the_verdict() {
    let mut document = bare(Receiver::Elsewhere, vec![eth0()]);
    document.settings[0].value = "1000".into();
    let also = predicted(document, Path::MsgZerocopy).also;
    assert_eq!(also.iter().map(|also| also.reason).collect::<Vec<_>>(), [Reason::Optmem]);
    assert!(also[0].evidence.contains("room for 1 unread"), "{}", also[0].evidence);
}

#[test]
fn a_tap_costs_a_copy_but_not_the_transmission_and_only_where_it_listens() {
    let mut document = card();
    document.routes[0].devices[0].scatter_gather = device("", DeviceKind::Physical).scatter_gather;
    let prediction = predicted(document.clone(), Path::MsgZerocopy);
    assert_eq!(prediction.verdict, Verdict::ZeroCopy);
    assert!(
        prediction.also[0].reason == Reason::PacketTap && prediction.also[0].evidence.contains("tcpdump (7)")
    );
    assert_eq!(predicted(document.clone(), Path::Sendfile).also, []);
    document.taps.as_mut().unwrap()[0].ifindex = Some(9);
    assert_eq!(predicted(document.clone(), Path::MsgZerocopy).also, []);
    let tap = &mut document.taps.as_mut().unwrap()[0];
    (tap.ifindex, tap.sees_sent) = (None, false);
    assert_eq!(predicted(document, Path::MsgZerocopy).also, []);
}

#[test]
fn tun_devices_copy_what_they_hand_to_a_program() {
    let tun = |document: &mut Document| document.routes[0].devices[0].kind = DeviceKind::Tun;
    assert_eq!(fate(Path::MsgZerocopy, tun), (Verdict::Copied, Some(Reason::TunTap)));
    assert_eq!(fate(Path::Sendfile, tun), (Verdict::ZeroCopy, None));
    let plain = |document: &mut Document| {
        tun(document);
        document.routes[0].devices[0].scatter_gather = OFF;
    };
    assert_eq!(fate(Path::Sendfile, plain), (Verdict::Copied, Some(Reason::TunTap)));
}

#[test]
fn receiving_needs_header_split_and_whole_pages() {
    let with = |split: Option<bool>, mtu: u32| {
        move |document: &mut Document| {
            let device = &mut document.routes[0].devices[0];
            (device.adapter.header_split, device.mtu) = (split, mtu);
        }
    };
    let copied = |reason| (Verdict::Copied, Some(reason));
    assert_eq!(fate(Path::RecvZerocopy, with(None, 4148)), copied(Reason::RxHeaderSplitMissing));
    assert_eq!(fate(Path::RecvZerocopy, with(Some(false), 4148)), copied(Reason::RxHeaderSplitMissing));
    assert_eq!(fate(Path::RecvZerocopy, with(Some(true), 1500)), copied(Reason::RxUnaligned));
    assert_eq!(fate(Path::RecvZerocopy, with(Some(true), 4148)), (Verdict::ZeroCopy, None));
    assert_eq!(fate(Path::UringZcrx, with(None, 1500)).0, Verdict::Unavailable);
    assert_eq!(fate(Path::UringZcrx, with(Some(true), 1500)).0, Verdict::Unknown);
}

fn compared(prediction: &Prediction, snapshot: &Snapshot) -> Observed {
    let mut prediction = prediction.clone();
    observe::compare(&mut prediction, snapshot, None);
    prediction.observed.unwrap()
}

#[test]
fn an_observation_agrees_in_verdict_and_reason_or_says_where_not() {
    let prediction = predicted(card(), Path::MsgZerocopy);
    let seen = |copied, reason, clone| {
        let paths = vec![figures(Path::MsgZerocopy, copied, reason, clone)];
        compared(&prediction, &Snapshot { paths, ..Snapshot::default() })
    };
    let all = 256 << 10;
    assert_eq!(seen(all, Reason::NoScatterGather, false).agrees, Some(true));
    let other = seen(all, Reason::Loopback, false);
    assert!(other.agrees == Some(false) && other.note.unwrap().contains("loopback, not no_scatter_gather"));
    assert_eq!(seen(0, Reason::Loopback, false).verdict, Verdict::ZeroCopy);
    assert_eq!(seen(all / 2, Reason::NoScatterGather, false).verdict, Verdict::PartlyCopied);
    assert_eq!(seen(1000, Reason::HeaderPull, false).verdict, Verdict::ZeroCopy, "a few header bytes");
    assert_eq!(seen(all, Reason::PacketTap, true).verdict, Verdict::ZeroCopy, "the wire got no copy");
}

#[test]
fn loss_proves_nothing_and_silence_is_a_difference() {
    let prediction = predicted(card(), Path::MsgZerocopy);
    let mut snapshot = Snapshot::default();
    assert_eq!(compared(&prediction, &snapshot).agrees, Some(false));
    snapshot.lost.total = 1;
    assert_eq!(compared(&prediction, &snapshot).agrees, None);
}

#[test]
fn a_proof_counts_what_could_be_compared() {
    let proof = proven().proof.unwrap();
    assert_eq!((proof.agrees, proof.tried, proof.as_predicted), (false, 2, 1));
}

const SCHEMA_TEXT: &str = include_str!("../../../docs/json/zcscope.doctor-1.schema.json");

/// A schema in which every object with properties has no others: what is produced must be documented.
fn closed(mut schema: Value) -> Value {
    match &mut schema {
        Value::Object(map) => {
            if map.contains_key("properties") {
                map.insert("additionalProperties".into(), false.into());
            }
            map.values_mut().for_each(|value| *value = closed(value.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| *value = closed(value.take())),
        _ => {}
    }
    schema
}

#[test]
fn documents_fit_the_schema_and_can_be_read_back() {
    let schema = closed(serde_json::from_str(SCHEMA_TEXT).unwrap());
    assert!(jsonschema::meta::is_valid(&schema));
    let validator = jsonschema::validator_for(&schema).unwrap();
    for document in [card(), loopback(), proven()] {
        let value = serde_json::to_value(&document).unwrap();
        let errors: Vec<String> =
            validator.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert_eq!(errors, Vec::<String>::new());
        assert_eq!(serde_json::from_value::<Document>(value).unwrap(), document);
    }
    let mut wrong = serde_json::to_value(card()).unwrap();
    wrong["surprise"] = 1.into();
    assert_eq!(validator.iter_errors(&wrong).count(), 1);
}
