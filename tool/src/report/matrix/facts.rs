//! Where a matrix was measured, as names and values: what stands above every form of it.

use crate::matrix::result::{DeviceFacts, MatrixReport};
use crate::units::{UNKNOWN, bytes, duration, size};

/// Names and values, in reading order. The same for every form.
#[must_use]
pub fn facts(report: &MatrixReport) -> Vec<(&'static str, String)> {
    let setting = &report.setting;
    let known = |value: &Option<String>| value.clone().unwrap_or_else(|| UNKNOWN.into());
    let share = |value: Option<f64>| value.map_or_else(|| UNKNOWN.into(), |v| format!("{:.1} %", v * 100.0));
    let target = setting.target.as_ref().map(|target| format!(" to {target}")).unwrap_or_default();
    let traced = match (&setting.traced, &setting.not_traced) {
        (Some(backend), _) => {
            format!("{backend}, in a run of its own per zero-copy cell: tracing costs time")
        }
        (None, why) => format!("no: {}", known(why)),
    };
    vec![
        ("command", report.command.join(" ")),
        ("zcscope", report.version.clone()),
        ("host", format!("{}, kernel {}, {} CPUs", setting.host, setting.kernel, setting.cpus)),
        ("link", format!("{}{target}", setting.link)),
        ("device", setting.device.as_ref().map_or_else(|| UNKNOWN.into(), device)),
        ("cc", known(&setting.cc)),
        ("sink", setting.sink.clone().unwrap_or_else(|| "not ours".into())),
        ("traced", traced),
        ("runs", runs(report)),
        ("buffers", buffers(report)),
        ("set", report.knobs.set()),
        ("threads", report.knobs.threads()),
        ("seed", report.seed.to_string()),
        ("steal", share(setting.steal)),
        ("other load", share(setting.other_load)),
    ]
}

fn device(device: &DeviceFacts) -> String {
    let offload = |name: &str, on: Option<bool>| match on {
        Some(true) => format!("{name} on"),
        Some(false) => format!("{name} off"),
        None => format!("{name} {UNKNOWN}"),
    };
    let offloads = [
        offload("sg", device.scatter_gather),
        offload("tx-checksum", device.tx_checksum),
        offload("tso", device.tso),
    ];
    let driver = device.driver.as_ref().map(|driver| format!(" ({driver})")).unwrap_or_default();
    format!("{}{driver}, MTU {}, {}", device.name, device.mtu, offloads.join(", "))
}

fn buffers(report: &MatrixReport) -> String {
    let (size, knobs) = (bytes(report.working_set_bytes), &report.knobs);
    format!(
        "{size} in turn on {} pages, source {}; send queue {}",
        knobs.page,
        knobs.source,
        knobs.send_queue()
    )
}

fn runs(report: &MatrixReport) -> String {
    let limit = report.cell_bytes.map(|bytes| format!(" or {}", size(bytes))).unwrap_or_default();
    let warm_up = match report.warm_up_ns {
        0 => "without warm-up".to_owned(),
        ns => format!("after {} of warm-up", duration(ns)),
    };
    format!(
        "{} round{}, {}{limit} each {warm_up}; {} in all",
        report.repeat,
        if report.repeat == 1 { "" } else { "s" },
        duration(report.cell_duration_ns),
        duration(report.duration_ns)
    )
}
