//! What the demo shows: the dashboard, or a report at the end. All calls into model, report and tui stand here.

use std::time::{Duration, Instant};

use anyhow::Context;

use super::ending::{Ended, Ending};
use super::traffic::Traffic;
use crate::commands::screen::ScreenActions;
use crate::commands::tables::Tables;
use crate::commands::{Failure, add_facts};
use crate::host::facts::Watcher;
use crate::model::snapshot::Snapshot;
use crate::probe::Probe;

use crate::{diagnose, model::Model, report, tui};

/// How often the counters are read without a screen.
const TICK: Duration = Duration::from_millis(250);

/// Traffic and what is seen of it.
pub(super) struct Watch {
    // Dropped in this order: the traffic ends before its observer.
    traffic: Traffic,
    probe: Probe,
    model: Model,
    facts: Watcher,
    tables: Tables,
    ending: Ending,
}

impl Watch {
    pub(super) fn new(probe: Probe, traffic: Traffic, ending: Ending) -> Watch {
        let model = Model::new(probe.session());
        Watch { traffic, probe, model, facts: Watcher::start(), tables: Tables::default(), ending }
    }

    /// Shows the dashboard until it is quit, or the demo ends.
    pub(super) fn dashboard(mut self, options: &tui::Options) -> Result<(), Failure> {
        match tui::run(tui::Source::Live(&mut self), &mut ScreenActions::live(), options) {
            Err(error) if !error.is::<Ended>() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Reads until the demo ends, then prints the report to standard output.
    pub(super) fn report(mut self, json: bool) -> Result<(), Failure> {
        while self.ending.check().is_ok() {
            let next = Instant::now() + TICK;
            self.read()?;
            while Instant::now() < next && self.ending.check().is_ok() {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        // Of the connections while there are any.
        let facts = self.facts.read_now(&diagnose::wanted(&self.model.snapshot()));
        // First the end of the traffic, then the last reading: so nothing is in flight, and nothing is left out.
        self.traffic.stop();
        self.read()?;
        let mut snapshot = self.model.snapshot();
        snapshot.host = facts;
        print(&render(&snapshot, json)?).context("cannot write the report").map_err(Failure::from)
    }

    fn read(&mut self) -> anyhow::Result<()> {
        self.traffic.check()?;
        let mut sample = self.probe.read()?;
        self.tables.add(&self.probe, &mut sample);
        self.model.absorb(sample);
        Ok(())
    }
}

impl tui::Feed for Watch {
    fn next(&mut self) -> anyhow::Result<Snapshot> {
        self.ending.check()?;
        self.read()?;
        let mut snapshot = self.model.snapshot();
        add_facts(&mut self.facts, &mut snapshot);
        Ok(snapshot)
    }
}

fn render(snapshot: &Snapshot, json: bool) -> anyhow::Result<String> {
    let findings = diagnose::findings(snapshot);
    if json {
        let document = report::json::document(snapshot, &findings, &[]);
        serde_json::to_string_pretty(&document).context("cannot write the report as JSON")
    } else {
        Ok(report::table::render(snapshot, &findings, &[]))
    }
}

/// `println!` would panic on a closed pipe.
fn print(text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    out.write_all(text.trim_end().as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}
