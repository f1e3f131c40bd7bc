//! Flags that say where a load runs when both ends are on this host, and the repair of what a killed run left.

use super::{Failure, Outcome};
use crate::host::loan::{self, Repair};
use crate::load::LoadError;
use crate::load::place::{Place, SinkChild, parse_cable};
use crate::load::result::LoadReport;

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
    /// Makes the place asked for and starts the sink there with these arguments; `None` when none was asked for.
    ///
    /// # Errors
    /// See [`Place::cable`] and [`Place::start_sink`].
    pub fn open(&self, sink: &[&str]) -> Result<Option<Placed>, LoadError> {
        let place = match &self.cable {
            Some((a, b)) => Place::cable([a, b])?,
            None if self.veth => Place::veth()?,
            None => return Ok(None),
        };
        Ok(Some(Placed { sink: place.start_sink(sink)?, place }))
    }
}

impl Placed {
    /// Ends the sink, gives everything back, and adds the place's figures with the sink's report. Bytes the sink found
    /// wrong, or did not check although they were to be (`verify`), make the run a failure.
    pub fn close_into(self, report: &mut LoadReport, verify: bool) {
        let Placed { sink, place } = self;
        let figures = place.figures(sink.finish());
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
