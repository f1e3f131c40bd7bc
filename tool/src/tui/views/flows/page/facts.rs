//! Single facts: who it is, what it holds against its limits, what TCP says of the connection.

use ratatui::text::Line;

use super::ledger::pair;
use super::portrait::Portrait;
use super::{Scene, Section};
use crate::model::snapshot::Limit;
use crate::tui::text;
use crate::units;

/// Cells of a gauge.
const GAUGE: usize = 10;
/// A limit that is nearly reached, in per cent.
const NEARLY: u64 = 80;

/// Who it is and where it runs.
pub(super) fn identity(scene: Scene<'_>, portrait: &Portrait<'_>, width: usize) -> Section {
    let unknown = || units::UNKNOWN.to_owned();
    let place = portrait.place;
    let mut facts: Vec<(&str, String)> = vec![("process", format!("{} [{}]", portrait.comm, portrait.pid))];
    match portrait.socket {
        Some(socket) => {
            let address = |address| text::address(address, usize::MAX);
            facts.extend([
                ("user id", socket.uid.to_string()),
                ("local", address(socket.local)),
                ("remote", address(socket.remote)),
                ("device", socket.dev.clone().unwrap_or_else(unknown)),
                ("state", if socket.alive { "alive" } else { "ended" }.into()),
                ("cookie", socket.cookie.map_or_else(unknown, |cookie| cookie.to_string())),
            ]);
        }
        None => {
            let alive = portrait.sockets.iter().filter(|socket| socket.alive).count();
            let all = portrait.sockets.len();
            facts.push(("sockets", format!("{alive} alive, {} ended", all - alive)));
            facts.push(("devices", portrait.devices().join(" ")));
        }
    }
    let number = place.netns.map_or_else(unknown, |number| number.to_string());
    facts.extend([
        ("netns", place.netns_name.as_deref().map_or(number.clone(), |name| format!("{name} ({number})"))),
        ("cgroup", place.cgroup.as_deref().map_or_else(unknown, str::to_owned)),
        ("container", place.container.as_deref().map_or_else(|| units::NOT_APPLICABLE.into(), str::to_owned)),
    ]);
    let style = scene.theme.text;
    Section {
        title: "Who",
        lines: facts.iter().map(|(name, value)| pair(scene, name, value, style, width)).collect(),
    }
}

/// What it holds for zero-copy, against its limits.
pub(super) fn holds(scene: Scene<'_>, portrait: &Portrait<'_>, width: usize) -> Section {
    let title = "Holds";
    let Some(gauges) = &portrait.gauges else { return Section { title, lines: Vec::new() } };
    let count = |n: Option<u64>| n.map_or_else(|| units::UNKNOWN.into(), units::count);
    let text = scene.theme.text;
    // Of a process the limit is one socket's: the sum over its sockets has none.
    let limit = gauges.optmem_max_bytes.filter(|_| portrait.socket.is_some());
    let mut lines = vec![gauge(scene, "option memory", (gauges.optmem_bytes, limit), width)];
    if let Some(peak) = gauges.optmem_peak_bytes {
        lines.push(pair(scene, " most seen", &units::bytes(peak), text, width));
    }
    let unread = if gauges.unread_notifications > Some(0) { scene.theme.warn } else { text };
    lines.push(pair(scene, "pages in flight", &count(gauges.pages_in_flight), text, width));
    lines.push(pair(scene, "unread notif.", &count(gauges.unread_notifications), unread, width));
    let locked = gauges.locked_pages.map(|pages| pages.saturating_mul(scene.snapshot.session.page_bytes));
    match portrait.memlock {
        Some(Limit::Bytes(limit)) => lines.push(gauge(scene, "locked memory", (locked, Some(limit)), width)),
        Some(Limit::Unlimited) => {
            let value = format!("{}, no limit", units::bytes_or_unknown(locked));
            lines.push(pair(scene, "locked memory", &value, text, width));
        }
        None => lines.push(pair(scene, "locked memory", &units::bytes_or_unknown(locked), text, width)),
    }
    Section { title, lines }
}

/// A bar with what is used of what there is.
fn gauge(
    scene: Scene<'_>,
    label: &str,
    (used, limit): (Option<u64>, Option<u64>),
    width: usize,
) -> Line<'static> {
    let (theme, symbols) = (scene.theme, scene.theme.symbols);
    let (Some(used), Some(limit)) = (used, limit.filter(|limit| *limit > 0)) else {
        return pair(scene, label, &units::bytes_or_unknown(used), theme.text, width);
    };
    let cells = ((u128::from(used) * GAUGE as u128).div_ceil(u128::from(limit)) as usize).min(GAUGE);
    let bar = symbols.full.repeat(cells) + &symbols.empty.repeat(GAUGE - cells);
    let nearly = u128::from(used) * 100 >= u128::from(limit) * u128::from(NEARLY);
    let value =
        format!("{bar} {} of {}{}", units::bytes(used), units::bytes(limit), if nearly { " !" } else { "" });
    pair(scene, label, &value, if nearly { theme.warn } else { theme.text }, width)
}

/// What TCP says of the connection.
pub(super) fn tcp(scene: Scene<'_>, portrait: &Portrait<'_>, width: usize) -> Section {
    let Some(tcp) = portrait.tcp else { return Section { title: "TCP", lines: Vec::new() } };
    let us = |us: u64| units::duration(us.saturating_mul(1_000));
    let mut facts = vec![
        ("congestion ctl.", tcp.congestion_control.clone().unwrap_or_else(|| units::UNKNOWN.into())),
        ("delivery", scene.rate(tcp.delivery_bytes_per_s)),
        ("pacing", tcp.pacing_bytes_per_s.map_or_else(|| "none".into(), |pacing| scene.rate(pacing))),
        ("shortest rtt", us(tcp.min_rtt_us.into())),
        ("sent", format!("{}, again {}", units::bytes(tcp.sent_bytes), units::bytes(tcp.resent_bytes))),
        ("busy", us(tcp.busy_us)),
        (" peer's window", units::percent(tcp.peer_window_us, tcp.busy_us)),
        (" send buffer", units::percent(tcp.send_buffer_us, tcp.busy_us)),
    ];
    if let Some(upper) = &tcp.upper_layer {
        facts.push(("upper layer", upper.clone()));
    }
    let style = scene.theme.text;
    Section {
        title: "TCP",
        lines: facts.iter().map(|(name, value)| pair(scene, name, value, style, width)).collect(),
    }
}
