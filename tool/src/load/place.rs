//! A place for a load whose both ends are on this host: a sink in one network namespace, the load in another, and a
//! wire between them that packets really take. A cable between two ports of this host is the real thing; a veth
//! pair shows that everything works, but the kernel copies what it delivers on the same host.

mod sink;

use std::net::IpAddr;
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::sink::SinkChild;
use super::LoadError;
use super::sink::Rules;
use super::sink::result::SinkReport;
use crate::host::device::{Device, DeviceKind};
use crate::host::link::{self, End};
use crate::privilege;
use crate::units::exact;

/// Two ends of a wire, each in a network namespace of its own. Dropping it undoes everything.
#[derive(Debug)]
pub struct Place {
    near: End,
    far: End,
    wire: Wire,
    functional_only: bool,
}

/// What joins the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wire {
    /// Two ports of this host with a cable between them.
    Cable,
    /// A veth pair: functional only.
    Veth,
}

/// Where a load ran, when it made the place itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlaceFigures {
    /// What joined the two ends.
    pub wire: Wire,
    /// The device of the sending side.
    pub near: String,
    /// The device of the receiving side.
    pub far: String,
    /// Whether the kernel copies by design here, so that no rate says anything about zero-copy.
    pub functional_only: bool,
    /// The sink's own report (`zcscope.sink/1`); absent when it did not end well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<SinkReport>,
}

impl Place {
    /// Borrows two ports of this host that a cable joins. First gives back what an earlier run that was killed could
    /// not.
    ///
    /// # Errors
    /// [`LoadError::Usage`] when there is no such device or somebody would miss it; [`LoadError::Failed`] without
    /// the right to make namespaces, or when the devices cannot be moved or have no carrier.
    pub fn cable(ports: [&str; 2]) -> Result<Place, LoadError> {
        privilege::can_make_namespaces().map_err(LoadError::Failed)?;
        Self::of(link::borrow(ports), Wire::Cable)
    }

    /// Makes a veth pair.
    ///
    /// # Errors
    /// No right to make namespaces, no `ip` command, or a kernel without veth.
    pub fn veth() -> Result<Place, LoadError> {
        privilege::can_make_namespaces().map_err(LoadError::Failed)?;
        Self::of(link::veth(), Wire::Veth)
    }

    fn of(ends: std::io::Result<[End; 2]>, wire: Wire) -> Result<Place, LoadError> {
        let [near, far] = ends.map_err(|error| match error.kind() {
            std::io::ErrorKind::InvalidInput => LoadError::Usage(error.to_string()),
            _ => LoadError::failed("cannot set up the two ends", error),
        })?;
        // Also a "cable" may be a veth pair.
        let kind = near.namespace.enter(|| Device::load(&near.device).map(|device| device.kind));
        let functional_only = !matches!(kind, Ok(Ok(kind)) if kind != DeviceKind::Veth);
        Ok(Place { near, far, wire, functional_only })
    }

    /// The device of the sending side, in its namespace.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.near.device
    }

    /// The address of the far end, where a sink is reached.
    ///
    /// # Errors
    /// [`LoadError::Usage`] when IPv6 is asked for on a kernel that has none.
    pub fn address(&self, v6: bool) -> Result<IpAddr, LoadError> {
        let none = || LoadError::Usage("this kernel has no IPv6; leave out -6".into());
        if v6 { self.far.v6.map(IpAddr::from).ok_or_else(none) } else { Ok(self.far.v4.into()) }
    }

    /// A command whose child runs at the far end, and is killed when the thread that spawns it ends.
    #[must_use]
    pub fn far_command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        self.far.namespace.command(program)
    }

    /// Starts `zcscope sink` at the far end for one run of `longest` at most.
    ///
    /// # Errors
    /// It does not start, or ended at once; its last words are in the text.
    pub fn start_sink(&self, v6: bool, rules: Rules, longest: Duration) -> Result<SinkChild, LoadError> {
        let did_not = |error: anyhow::Error| {
            LoadError::Failed(format!("the sink at the far end did not start: {error:#}"))
        };
        let program = std::env::current_exe().map_err(|error| did_not(error.into()))?;
        SinkChild::start(self.far_command(program), self.address(v6)?, rules, longest).map_err(did_not)
    }

    /// What joins the two ends.
    #[must_use]
    pub fn wire(&self) -> Wire {
        self.wire
    }

    /// Whether the kernel copies by design here.
    #[must_use]
    pub fn functional_only(&self) -> bool {
        self.functional_only
    }

    /// Runs `load` on a thread in the namespace of the sending side; threads it starts are there, too. In there,
    /// read `/proc/thread-self/net`, not `/proc/net`.
    ///
    /// # Errors
    /// The namespace cannot be entered.
    pub fn enter<T: Send>(&self, load: impl FnOnce() -> T + Send) -> Result<T, LoadError> {
        self.near
            .namespace
            .enter(load)
            .map_err(|error| LoadError::failed("cannot enter the near end's network namespace", error))
    }

    /// Where this was, for a report.
    #[must_use]
    pub fn figures(&self, sink: Option<SinkReport>) -> PlaceFigures {
        PlaceFigures {
            wire: self.wire,
            near: self.near.device.clone(),
            far: self.far.device.clone(),
            functional_only: self.functional_only,
            sink,
        }
    }
}

impl PlaceFigures {
    /// What the sink found wrong, in one sentence; with `verify` also when it checked nothing.
    #[must_use]
    pub fn complaint(&self, verify: bool) -> Option<String> {
        let Some(sink) = &self.sink else {
            return verify.then(|| "the sink ended without a report, so nothing was verified".to_owned());
        };
        let unchecked = verify && sink.figures.mismatches.is_none();
        sink.complaint().or_else(|| unchecked.then(|| "the sink did not verify what it received".into()))
    }

    /// In words, a line for the wire and one for the sink.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { near, far, .. } = self;
        let wire = if self.wire == Wire::Cable { "cable" } else { "veth pair" };
        let mut text = if self.functional_only {
            format!("{wire} {near} to {far}: FUNCTIONAL ONLY, the kernel copies by design on one host")
        } else {
            format!("{wire} {near} to {far}, each in a network namespace of its own")
        };
        if let Some(sink) = &self.sink {
            text.push_str(&format!("\nthe sink ({}) received {} B", sink.mode, exact(sink.bytes)));
            if let Some(right) = sink.figures.verified_bytes {
                text.push_str(&format!(", {} B of them compared and right", exact(right)));
            }
        }
        text
    }
}

/// Two different devices with a comma between.
///
/// # Errors
/// Anything else; the text says how to write it.
pub fn parse_cable(text: &str) -> Result<(String, String), String> {
    match text.split_once(',') {
        Some((a, b)) if !a.is_empty() && !b.is_empty() && a != b && !b.contains(',') => {
            Ok((a.to_owned(), b.to_owned()))
        }
        _ => Err("write two different devices with a comma between, for example eth1,eth2".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cable_is_two_different_devices() {
        assert_eq!(parse_cable("eth1,eth2"), Ok(("eth1".into(), "eth2".into())));
        for wrong in ["eth1", "eth1,", ",eth1", "eth1,eth1", "a,b,c"] {
            assert!(parse_cable(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_veth_pair_is_never_sold_as_more() {
        let mut figures = PlaceFigures {
            wire: Wire::Veth,
            near: "zc0".into(),
            far: "zc1".into(),
            functional_only: true,
            sink: None,
        };
        assert!(figures.text().contains("FUNCTIONAL ONLY"));
        assert_eq!(serde_json::to_value(&figures).unwrap()["wire"], "veth");
        (figures.wire, figures.functional_only) = (Wire::Cable, false);
        assert!(!figures.text().contains("FUNCTIONAL"));
    }

    #[test]
    fn packets_take_the_wire() {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: making a network namespace needs root");
            return;
        }
        let place = Place::veth().unwrap();
        let checked = place
            .enter(|| crate::load::target::check(place.device(), (place.address(false).unwrap(), 9).into()))
            .unwrap();
        assert!(checked.is_ok(), "{checked:?}");
    }
}
