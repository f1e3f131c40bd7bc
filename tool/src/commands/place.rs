//! Flags that say where a load runs when both ends are on this host, and the repair of what a killed run left.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Failure, Outcome};
use crate::host::loan::{self, Repair};
use crate::load::LoadError;
use crate::load::place::{Place, SinkChild, parse_cable};
use crate::load::result::LoadReport;
use crate::load::sink::Rules;

/// Flags of the place.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct PlaceArgs {
    /// Both ends on this host: two of its ports, joined by a cable, each in a network namespace of its own. The sink
    /// starts by itself; the ports get all their settings back, also after a kill (see --repair).
    #[arg(long, value_name = "IF1,IF2", value_parser = parse_cable, conflicts_with_all = ["to", "veth", "dev", "control"], help_heading = "Both ends on this host")]
    cable: Option<(String, String)>,
    /// Both ends on this host, over a veth pair: functional only, the kernel copies by design there.
    #[arg(long, conflicts_with_all = ["to", "dev", "control"], help_heading = "Both ends on this host")]
    veth: bool,
}

/// A place with its sink. The sink goes first: a port goes back when nobody uses it any more.
#[derive(Debug)]
pub struct Placed {
    sink: SinkChild,
    /// The two ends.
    pub place: Place,
}

impl PlaceArgs {
    /// As with `--veth`.
    #[must_use]
    pub const fn of_veth() -> Self {
        Self { cable: None, veth: true }
    }

    /// Makes the place asked for and starts the sink there for a run of `longest` at most; `None` when none was asked
    /// for.
    ///
    /// # Errors
    /// See [`Place::cable`] and [`Place::start_sink`].
    pub fn open(&self, v6: bool, rules: Rules, longest: Duration) -> Result<Option<Placed>, LoadError> {
        let Some(place) = self.make()? else { return Ok(None) };
        Ok(Some(Placed { sink: place.start_sink(v6, rules, longest)?, place }))
    }

    /// Makes the place asked for; `None` when none was.
    ///
    /// # Errors
    /// See [`Place::cable`].
    pub fn make(&self) -> Result<Option<Place>, LoadError> {
        match &self.cable {
            Some((a, b)) => Place::cable([a, b]).map(Some),
            None if self.veth => Place::veth().map(Some),
            None => Ok(None),
        }
    }
}

impl Placed {
    /// Where its sink listens.
    #[must_use]
    pub fn target(&self) -> SocketAddr {
        self.sink.address
    }

    /// Ends the sink, gives everything back, and adds the place's figures with the sink's report. Bytes the sink found
    /// wrong, or did not check although they were to be (`verify`), make the run a failure.
    pub fn close_into(self, report: &mut LoadReport, verify: bool) {
        let Placed { sink, place } = self;
        let sink = sink.finish(report.error.is_some());
        let figures = place.figures(sink.ok());
        if let Some(complaint) = figures.complaint(verify).filter(|_| report.error.is_none()) {
            report.error = Some(complaint);
        }
        report.place = Some(figures);
    }
}

/// The verb form `load --repair`: gives ports back their settings after a run that was killed.
///
/// # Errors
/// Something could not be restored.
pub fn repair() -> Outcome {
    let Repair { done, left, failed } = loan::repair();
    for line in done.iter().chain(&left) {
        println!("{line}");
    }
    if done.is_empty() && left.is_empty() && failed.is_empty() {
        println!("nothing to repair");
    }
    match failed.is_empty() {
        true => Ok(0),
        false => Err(Failure::Failed(failed.join("; "))),
    }
}
