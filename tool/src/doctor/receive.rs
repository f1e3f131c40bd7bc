//! Predictions for every receive path, for what arrives over a route.

use zcscope_common::{Path, Reason};

use super::document::{Device, Prediction, Verdict};
use super::rules::{Ground, because, stays_here};
use super::send::bare;
use crate::host::device::DeviceKind;

/// Receive paths that are predicted, in the order they are shown.
pub const PATHS: &[Path] =
    &[Path::RecvZerocopy, Path::RecvSplice, Path::UringZcrx, Path::RecvDevmem, Path::Recv, Path::UringRecv];

/// Bytes of headers before the payload: IPv4 and TCP with time stamps.
const HEADERS: u32 = 52;

/// One prediction per receive path.
pub(super) fn predictions(ground: &Ground<'_>) -> Vec<Prediction> {
    PATHS.iter().map(|path| prediction(*ground, *path)).collect()
}

fn prediction(ground: Ground<'_>, path: Path) -> Prediction {
    if let Some(why) = ground.document.unavailable.get(path.name()) {
        return Prediction { why: Some(why.clone()), ..bare(path, Verdict::Unavailable) };
    }
    match path {
        Path::RecvZerocopy => mapped(ground, path),
        Path::RecvSplice => Prediction {
            why: Some("pages of packets move into the pipe; only their linear parts are copied".into()),
            ..bare(path, Verdict::ZeroCopy)
        },
        Path::UringZcrx | Path::RecvDevmem => into_bound_memory(ground, path),
        _ => Prediction {
            why: Some("the kernel copies into the program's buffer".into()),
            ..bare(path, Verdict::CopiesByDesign)
        },
    }
}

/// The device whose packets are received: the real one of the route.
fn card<'a>(ground: Ground<'a>) -> Option<&'a Device> {
    ground.route.devices.iter().find(|device| device.kind == DeviceKind::Physical)
}

fn mapped(ground: Ground<'_>, path: Path) -> Prediction {
    let copied = |reason, evidence: String, device| Prediction {
        because: Some(because(reason, evidence, device)),
        ..bare(path, Verdict::Copied)
    };
    if stays_here(ground.route) {
        let evidence = "what a local sender hands over lies in pages that cannot be mapped".into();
        let assumed = "the sender does not use MSG_ZEROCOPY; what the kernel copied of that can be mapped";
        return Prediction { assumed: Some(assumed.into()), ..copied(Reason::RxMappedPage, evidence, None) };
    }
    let Some(device) = card(ground) else {
        let why = "no network card is on the way, so nothing is known of the pages packets arrive in";
        return Prediction { why: Some(why.into()), ..bare(path, Verdict::Unknown) };
    };
    if device.adapter.header_split == Some(false) {
        let evidence = format!("header split of {} is off", device.name);
        return copied(Reason::RxHeaderSplitMissing, evidence, Some(device));
    }
    if device.adapter.header_split.is_none() {
        let driver = device.driver.as_deref().unwrap_or("the driver");
        let evidence = format!("{driver} ({}) knows no header split", device.name);
        let assumed = "a driver that does not tell of header split has none";
        let mut because = because(Reason::RxHeaderSplitMissing, evidence, None);
        // What the driver does not know cannot be switched on.
        because.fix =
            vec!["a card whose driver has header split (`ethtool -g DEV` lists TCP data split)".into()];
        let because = Some(because);
        return Prediction { because, assumed: Some(assumed.into()), ..bare(path, Verdict::Copied) };
    }
    let page = u32::try_from(ground.document.machine.page_bytes).unwrap_or(0);
    if page > 0 && !device.mtu.saturating_sub(HEADERS).is_multiple_of(page) {
        let evidence = format!(
            "MTU {} of {} leaves no whole pages of payload ({} would, with time stamps)",
            device.mtu,
            device.name,
            page + HEADERS
        );
        return copied(Reason::RxUnaligned, evidence, Some(device));
    }
    let why = format!("{} splits headers off, and payload fills whole pages", device.name);
    Prediction { why: Some(why), ..bare(path, Verdict::ZeroCopy) }
}

fn into_bound_memory(ground: Ground<'_>, path: Path) -> Prediction {
    let Some(device) = card(ground) else {
        let why = "no network card is on the way whose queue could be bound";
        return Prediction { why: Some(why.into()), ..bare(path, Verdict::Unavailable) };
    };
    if device.adapter.header_split.is_none() {
        let driver = device.driver.as_deref().unwrap_or("the driver");
        let why = format!("{driver} ({}) knows no header split, which a bound queue needs", device.name);
        return Prediction { why: Some(why), ..bare(path, Verdict::Unavailable) };
    }
    let why = format!(
        "the kernel has the command and {} can split headers; whether its driver lets a queue be bound shows only when one is",
        device.name
    );
    Prediction { why: Some(why), ..bare(path, Verdict::Unknown) }
}
