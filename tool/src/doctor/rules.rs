//! The rules of prediction: one row per reason, the one that decides first. Each says for which paths it holds, the
//! facts it needs, and what it does to the bytes.

use zcscope_common::{Path, Reason};

use super::document::{Because, Device, Document, Receiver, Route, Tap, Verdict};
use crate::host::device::DeviceKind;
use crate::model::reason;
use crate::units::bytes;

/// Bytes of one send that predictions are made for.
const SEND_BYTES: u64 = 64 << 10;
/// Option memory an outstanding notification needs at least, bytes: `SKB_TRUESIZE(0)` on 64-bit kernels.
const NOTIFICATION_LEAST: u64 = 576;
/// What one holds until it is read, bytes: 768 to 896 as measured on Linux 6.1 to 6.18.
const NOTIFICATION_BYTES: u64 = 900;
/// With room for fewer notifications than this, an ordinary sender will be refused now and then.
const FEW_NOTIFICATIONS: u64 = 16;

/// What a prediction rests on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ground<'a> {
    pub(super) document: &'a Document,
    pub(super) route: &'a Route,
}

/// What a rule does to the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// The kernel does not take them.
    Refuse,
    /// They are copied.
    Copy,
    /// They go as they would; something happens besides.
    Besides,
}

/// What a rule rests on, one sentence, and the device it is about; `None`: it does not hold.
type Held<'a> = Option<(String, Option<&'a Device>)>;

/// One rule.
pub(super) struct Rule {
    pub(super) reason: Reason,
    /// Paths it can hold for.
    pub(super) paths: fn(Path) -> bool,
    /// What it rests on here, one sentence; `None`: it does not hold. The device it is about fills in the fix.
    pub(super) holds: for<'a> fn(Ground<'a>) -> Held<'a>,
    pub(super) effect: Effect,
}

const fn rule(
    reason: Reason,
    paths: fn(Path) -> bool,
    effect: Effect,
    holds: for<'a> fn(Ground<'a>) -> Held<'a>,
) -> Rule {
    Rule { reason, paths, holds, effect }
}

/// All rules; the first that refuses or copies decides, those besides add to it.
pub(super) static RULES: &[Rule] = &[
    rule(Reason::Optmem, is_msg_zerocopy, Effect::Refuse, optmem_is_too_small),
    rule(Reason::Memlock, is_msg_zerocopy, Effect::Refuse, memlock_is_too_small),
    rule(Reason::UringMemlock, is_uring_zc, Effect::Refuse, memlock_is_too_small),
    rule(Reason::TunTap, Path::wants_zerocopy, Effect::Copy, plain_tun),
    rule(Reason::TunTap, Path::has_completion, Effect::Copy, any_tun),
    rule(Reason::NoScatterGather, Path::wants_zerocopy, Effect::Copy, no_scatter_gather),
    rule(Reason::NoTxChecksum, Path::wants_zerocopy, Effect::Copy, no_tx_checksum),
    rule(Reason::Loopback, Path::has_completion, Effect::Copy, loopback),
    rule(Reason::NetnsForward, Path::has_completion, Effect::Copy, forwarded),
    rule(Reason::XdpVeth, Path::wants_zerocopy, Effect::Copy, native_xdp_on_arrival),
    rule(Reason::XdpGeneric, Path::has_completion, Effect::Copy, generic_xdp_on_arrival),
    rule(Reason::PacketTapRx, Path::has_completion, Effect::Copy, tapped_on_arrival),
    rule(Reason::LocalDelivery, Path::has_completion, Effect::Copy, delivered_on_this_host),
    rule(Reason::PacketTap, Path::has_completion, Effect::Besides, tapped_on_the_way_out),
    rule(Reason::DmaBounce, |_| true, Effect::Besides, bounced),
    rule(Reason::Optmem, is_msg_zerocopy, Effect::Besides, optmem_is_small),
];

fn is_msg_zerocopy(path: Path) -> bool {
    path == Path::MsgZerocopy
}

fn is_uring_zc(path: Path) -> bool {
    matches!(path, Path::UringSendZc | Path::UringSendZcFixed | Path::UringSendmsgZc)
}

impl Rule {
    /// The reason as it stands in a prediction, if the rule holds.
    pub(super) fn because(&self, ground: Ground<'_>, path: Path) -> Option<Because> {
        if !(self.paths)(path) {
            return None;
        }
        let (evidence, device) = (self.holds)(ground)?;
        Some(because(self.reason, evidence, device))
    }
}

/// A reason with its fix, for this device.
pub(super) fn because(reason: Reason, evidence: String, device: Option<&Device>) -> Because {
    let fix = reason::fix_for(reason, device.map(|device| device.name.as_str()));
    Because { reason, evidence, fix: fix.lines().map(str::to_owned).collect() }
}

/// The verdict of a rule that decides.
pub(super) const fn verdict(effect: Effect) -> Verdict {
    match effect {
        Effect::Refuse => Verdict::Refused,
        Effect::Copy => Verdict::Copied,
        Effect::Besides => Verdict::Unknown,
    }
}

fn optmem(ground: Ground<'_>) -> Option<u64> {
    let setting = ground.document.settings.iter().find(|setting| setting.name == "net.core.optmem_max")?;
    setting.value.parse().ok()
}

fn optmem_is_too_small(ground: Ground<'_>) -> Held<'_> {
    let limit = optmem(ground).filter(|limit| *limit < NOTIFICATION_LEAST)?;
    let evidence = format!(
        "net.core.optmem_max is {limit} B, and the notification of one send needs {NOTIFICATION_LEAST} B"
    );
    Some((evidence, None))
}

fn optmem_is_small(ground: Ground<'_>) -> Held<'_> {
    let limit = optmem(ground).filter(|limit| *limit >= NOTIFICATION_LEAST)?;
    let room = (limit - NOTIFICATION_LEAST) / NOTIFICATION_BYTES + 1;
    let evidence = format!(
        "net.core.optmem_max is {limit} B: room for {room} unread notification(s), then sends fail with ENOBUFS"
    );
    (room < FEW_NOTIFICATIONS).then_some((evidence, None))
}

/// Locked pages of one send: those it covers, and two for its ends (`mm_account_pinned_pages`).
fn memlock_is_too_small(ground: Ground<'_>) -> Held<'_> {
    let process = ground.document.process.as_ref().filter(|process| !process.cap_ipc_lock)?;
    let page = ground.document.machine.page_bytes.max(1);
    let needed = (SEND_BYTES / page + 2) * page;
    let limit = process.memlock_bytes.filter(|limit| *limit < needed)?;
    let (comm, pid) = (&process.comm, process.pid);
    let evidence = format!(
        "{comm} ({pid}) may lock {}, and a send of {} needs {}",
        bytes(limit),
        bytes(SEND_BYTES),
        bytes(needed)
    );
    Some((evidence, None))
}

fn is_off(switch: Option<crate::host::facts::Switch>) -> bool {
    switch.is_some_and(|switch| !switch.on)
}

fn tun(ground: Ground<'_>) -> Option<&Device> {
    ground.route.devices.iter().find(|device| device.kind == DeviceKind::Tun)
}

fn plain_tun(ground: Ground<'_>) -> Held<'_> {
    let device = tun(ground).filter(|device| is_off(device.scatter_gather) || is_off(device.tx_checksum))?;
    Some((format!("{} hands packets to a program that takes linear ones only", device.name), Some(device)))
}

fn any_tun(ground: Ground<'_>) -> Held<'_> {
    tun(ground).map(|device| (format!("{} hands packets to a program", device.name), Some(device)))
}

/// Whether an offload can be switched on, for a sentence.
fn switchable(device: &Device, switch: Option<crate::host::facts::Switch>) -> String {
    let name = device.driver.as_deref().unwrap_or("its driver");
    match switch {
        Some(switch) if switch.changeable => "off, and can be switched on".into(),
        Some(_) => format!("off, and {name} cannot switch it on"),
        None => "off".into(),
    }
}

fn no_scatter_gather(ground: Ground<'_>) -> Held<'_> {
    let device = ground.route.devices.iter().find(|device| is_off(device.scatter_gather))?;
    let evidence =
        format!("scatter-gather of {} is {}", device.name, switchable(device, device.scatter_gather));
    Some((evidence, Some(device)))
}

fn no_tx_checksum(ground: Ground<'_>) -> Held<'_> {
    let device = ground.route.devices.iter().find(|device| is_off(device.tx_checksum))?;
    let evidence = format!("checksumming of {} is {}", device.name, switchable(device, device.tx_checksum));
    Some((evidence, Some(device)))
}

fn loopback(ground: Ground<'_>) -> Held<'_> {
    let device = ground.route.devices.first().filter(|device| device.kind == DeviceKind::Loopback)?;
    Some(("both ends are in this network namespace".into(), Some(device)))
}

fn forwarded(ground: Ground<'_>) -> Held<'_> {
    let holds = ground.route.forwarded && ground.document.machine.copies_forwarded;
    let router = ground.route.devices.iter().find(|device| device.kind == DeviceKind::Veth);
    holds.then(|| ("another network namespace of this host routes the packets, and this kernel (before 6.17) copies them there".into(), router))
}

fn native_xdp_on_arrival(ground: Ground<'_>) -> Held<'_> {
    let device = ground.route.arrival.as_ref().filter(|device| device.xdp.as_deref() == Some("native"))?;
    Some((
        format!(
            "an XDP program on {}, the far end of the veth pair, gets a copy of each packet",
            device.name
        ),
        Some(device),
    ))
}

fn generic_xdp_on_arrival(ground: Ground<'_>) -> Held<'_> {
    let device = ground.route.arrival.as_ref().filter(|device| device.xdp.as_deref() == Some("generic"))?;
    Some((format!("a generic XDP program on {} needs linear packets", device.name), Some(device)))
}

/// Packets stay on this host: nothing on the way is a real device.
pub(super) fn stays_here(route: &Route) -> bool {
    !route.devices.iter().any(|device| matches!(device.kind, DeviceKind::Physical | DeviceKind::Tun))
}

fn delivered_on_this_host(ground: Ground<'_>) -> Held<'_> {
    let route = ground.route;
    let here = matches!(route.receiver, Receiver::ThisHost | Receiver::SameNamespace) && stays_here(route);
    let whose = route.receiver_netns.as_deref().map_or_else(String::new, |name| format!(": that {name}"));
    here.then(|| {
        (format!("the receiver is in another network namespace of this host{whose}"), route.arrival.as_ref())
    })
}

/// The tap that listens on a device.
fn tap_on<'a>(ground: Ground<'a>, device: &Device) -> Option<&'a Tap> {
    let hears = |tap: &&Tap| {
        tap.sees_sent && tap.netns == device.netns && tap.ifindex.is_none_or(|index| index == device.ifindex)
    };
    ground.document.taps.as_ref()?.iter().find(hears)
}

fn holder(tap: &Tap) -> String {
    match tap.holders.as_slice() {
        [] => "a program that cannot be seen".into(),
        holders => holders.join(", "),
    }
}

fn tapped_on_the_way_out(ground: Ground<'_>) -> Held<'_> {
    let (device, tap) =
        ground.route.devices.iter().find_map(|device| Some((device, tap_on(ground, device)?)))?;
    Some((format!("{} listens on {} and gets a copy", holder(tap), device.name), Some(device)))
}

fn tapped_on_arrival(ground: Ground<'_>) -> Held<'_> {
    let device = ground.route.arrival.as_ref()?;
    let tap = tap_on(ground, device)?;
    Some((format!("{} listens on {}, where the packets arrive", holder(tap), device.name), Some(device)))
}

fn bounced(ground: Ground<'_>) -> Held<'_> {
    let device = ground.route.devices.iter().find(|device| device.kind == DeviceKind::Physical)?;
    let machine = &ground.document.machine;
    let why = match &machine.encrypted_by {
        _ if machine.swiotlb_forced => "the kernel was told to bounce all DMA (swiotlb=force)".to_owned(),
        Some(how) => format!("{how} keeps this guest's memory from its devices"),
        None => return None,
    };
    Some((format!("{why}: what {} sends is copied once more on the way to it", device.name), Some(device)))
}
