//! Predictions for every send path on a route.

use zcscope_common::{Path, Reason};

use super::document::{Prediction, Receiver, Verdict};
use super::rules::{Effect, Ground, RULES, because, stays_here, verdict};

/// Send paths that are predicted, in the order they are shown.
pub const PATHS: &[Path] = &[
    Path::MsgZerocopy,
    Path::Sendfile,
    Path::Splice,
    Path::Vmsplice,
    Path::UringSendZc,
    Path::UringSendZcFixed,
    Path::UringSendmsgZc,
    Path::Ktls,
    Path::Mptcp,
    Path::Devmem,
    Path::Copy,
    Path::UringSend,
];

/// One prediction per send path.
pub(super) fn predictions(ground: &Ground<'_>) -> Vec<Prediction> {
    PATHS.iter().map(|path| prediction(*ground, *path)).collect()
}

/// A prediction of which nothing but the verdict is known.
pub(super) const fn bare(path: Path, verdict: Verdict) -> Prediction {
    Prediction { path, verdict, because: None, why: None, also: Vec::new(), assumed: None, observed: None }
}

fn prediction(ground: Ground<'_>, path: Path) -> Prediction {
    if let Some(why) = ground.document.unavailable.get(path.name()) {
        return Prediction { why: Some(why.clone()), ..bare(path, Verdict::Unavailable) };
    }
    match path {
        Path::Devmem => return devmem(ground, path),
        _ if !path.wants_zerocopy() => return by_design(ground, path),
        _ => {}
    }
    let holding = || RULES.iter().filter_map(|rule| Some((rule.effect, rule.because(ground, path)?)));
    let decisive = holding().find(|(effect, _)| *effect != Effect::Besides);
    let also = holding().filter(|(effect, _)| *effect == Effect::Besides).map(|(_, because)| because);
    let also = match &decisive {
        // What is not taken is neither copied for others nor refused again.
        Some((Effect::Refuse, _)) => Vec::new(),
        // Made linear before taps are served: there is nothing left to copy for them.
        Some((_, first)) if is_linear_before_taps(first.reason) => {
            also.filter(|also| also.reason != Reason::PacketTap).collect()
        }
        _ => also.collect(),
    };
    match decisive {
        Some((effect, because)) => Prediction { because: Some(because), also, ..bare(path, verdict(effect)) },
        None => Prediction {
            why: Some(why_not_copied(ground, path)),
            also,
            assumed: assumption(ground, path),
            ..bare(path, Verdict::ZeroCopy)
        },
    }
}

const fn is_linear_before_taps(reason: Reason) -> bool {
    matches!(reason, Reason::NoScatterGather | Reason::NoTxChecksum)
}

fn by_design(ground: Ground<'_>, path: Path) -> Prediction {
    let copies = bare(path, Verdict::CopiesByDesign);
    match path {
        Path::Ktls => ktls(ground, copies),
        Path::Mptcp => {
            let evidence = "MPTCP ignores MSG_ZEROCOPY".into();
            Prediction { because: Some(because(Reason::Mptcp, evidence, None)), ..copies }
        }
        _ => Prediction { why: Some("the kernel copies what the program hands over".into()), ..copies },
    }
}

fn ktls(ground: Ground<'_>, copies: Prediction) -> Prediction {
    let offload = ground.route.devices.first().filter(|device| device.tls_tx.is_some_and(|tls| tls.on));
    let evidence = match offload {
        Some(device) => format!(
            "encrypted in software unless the connection is offloaded to {}, which can do it",
            device.name
        ),
        None => {
            "no device on the way encrypts TLS, so the kernel writes the ciphertext into new pages".into()
        }
    };
    Prediction { because: Some(because(Reason::Ktls, evidence, offload)), ..copies }
}

/// Device memory is unreadable to the kernel: it is never copied, and goes nowhere but through a card.
fn devmem(ground: Ground<'_>, path: Path) -> Prediction {
    let (verdict, why) = if stays_here(ground.route) {
        (Verdict::Unavailable, "device memory leaves through a network card only, and none is on the way")
    } else {
        (
            Verdict::Unknown,
            "the kernel has the command; whether the driver takes device memory shows only when some is bound",
        )
    };
    Prediction { why: Some(why.into()), ..bare(path, verdict) }
}

fn why_not_copied(ground: Ground<'_>, path: Path) -> String {
    let names: Vec<&str> = ground.route.devices.iter().map(|device| device.name.as_str()).collect();
    match names.as_slice() {
        [] => "nothing on the way copies".into(),
        _ if !path.has_completion() && stays_here(ground.route) => {
            "pages of files and pipes are handed to a local receiver as they are".into()
        }
        [one] => format!("{one} gathers pages and computes checksums"),
        several => format!("{} gather pages and compute checksums", several.join(", ")),
    }
}

/// What is taken for granted.
fn assumption(ground: Ground<'_>, path: Path) -> Option<String> {
    let route = ground.route;
    if path.has_completion() && stays_here(route) && route.receiver != Receiver::SameNamespace {
        return Some(
            "the receiver is on another host; a receiver on this one would get a copy (local_delivery)"
                .into(),
        );
    }
    let silent = route.devices.iter().find(|device| device.scatter_gather.is_none());
    silent.map(|device| format!("{} gathers pages; the kernel does not say", device.name))
}
