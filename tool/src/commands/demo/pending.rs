//! Stand-ins for rooms that are being built: `load::units`, `model`, `diagnose`, `report`, `tui`. They have the agreed
//! signatures; each goes away with one changed `use` line (in `demo.rs` and `watch.rs`).

use std::time::Duration;

use crate::model::sample::Sample;
use crate::model::snapshot::{Session, Snapshot};

/// `load::units::parse_duration`.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix('s').unwrap_or(text);
    number
        .parse()
        .map(Duration::from_secs)
        .map_err(|_| format!("{text:?} is not a duration; write for example 10s"))
}

/// `model::Model`.
pub(super) struct Model {
    snapshot: Snapshot,
}

impl Model {
    pub(super) fn new(session: Session) -> Model {
        Model { snapshot: Snapshot { session, ..Snapshot::default() } }
    }

    #[allow(clippy::needless_pass_by_value, reason = "the agreed signature")]
    pub(super) fn absorb(&mut self, sample: Sample) {
        self.snapshot.duration_ns = sample.at_ns;
    }

    pub(super) fn snapshot(&mut self) -> Snapshot {
        self.snapshot.clone()
    }
}

/// `diagnose`.
pub(super) mod diagnose {
    use crate::model::snapshot::Snapshot;

    pub(in super::super) struct Finding;

    pub(in super::super) fn findings(_snapshot: &Snapshot) -> Vec<Finding> {
        Vec::new()
    }
}

/// `report`.
pub(super) mod report {
    pub(crate) mod json {
        use super::super::diagnose::Finding;
        use crate::model::snapshot::Snapshot;

        pub(in super::super::super) fn document(snapshot: &Snapshot, _: &[Finding], _: &[String]) -> u64 {
            snapshot.duration_ns
        }
    }

    pub(crate) mod table {
        use super::super::diagnose::Finding;
        use crate::model::snapshot::Snapshot;

        pub(in super::super::super) fn render(snapshot: &Snapshot, _: &[Finding], _: &[String]) -> String {
            format!("{snapshot:?}")
        }
    }
}

/// `tui`.
pub(super) mod tui {
    use std::time::{Duration, Instant};

    use crate::model::snapshot::Snapshot;

    pub(in super::super) trait Feed {
        fn next(&mut self) -> anyhow::Result<Snapshot>;
    }

    #[derive(Default)]
    pub(in super::super) struct Options {
        pub(in super::super) duration: Option<Duration>,
        pub(in super::super) _more: (),
    }

    pub(in super::super) fn run(feed: &mut dyn Feed, options: &Options) -> anyhow::Result<()> {
        let start = Instant::now();
        while options.duration.is_none_or(|duration| start.elapsed() < duration) {
            println!("{:?}", feed.next()?);
            std::thread::sleep(Duration::from_millis(250));
        }
        Ok(())
    }
}
