//! `demo --replay`: the recording that comes with zcscope, for those who may not trace.

use std::time::Duration;

use crate::commands::{Failure, replay};
use crate::record::Recording;
use crate::tui;

/// Made by `cargo xtask recording`: a guest kernel, four loads, two network cards and loopback.
const DEMO: &[u8] = include_bytes!("../../../recordings/demo.zcr");

/// Where it begins to play: all loads have begun by then. What was before can be gone back to.
const BEGIN: Duration = Duration::from_secs(30);

/// Shows it.
///
/// # Errors
/// Those of the terminal.
pub(super) fn run(options: &tui::Options) -> Result<(), Failure> {
    let recording = Recording::from_bytes("the recording of the demo", DEMO)?;
    replay::show(recording, "demo", BEGIN, 1.0, options)
}

#[cfg(test)]
mod tests {
    use zcscope_common::{Path, Reason};

    use super::*;
    use crate::diagnose::{Severity, findings};
    use crate::report::{json, table};

    /// It was written by an older version: if this one cannot read it, recordings of users are lost as well.
    #[test]
    fn the_recording_is_whole_and_has_something_to_show() {
        assert!(DEMO.len() < 200 << 10, "{}", DEMO.len());
        let mut recording = Recording::from_bytes("demo", DEMO).unwrap();
        let times = recording.times_ns().to_vec();
        for at in times {
            assert_eq!(recording.at(at).unwrap().duration_ns, at);
        }
        assert_eq!(recording.notes(), Vec::<String>::new());
        let begin = recording.at(u64::try_from(BEGIN.as_nanos()).unwrap()).unwrap();
        assert!(begin.paths.len() >= 4 && !findings(&begin).is_empty(), "a newcomer sees it at work at once");
        let last = recording.at(u64::MAX).unwrap();
        let uses = |path: Path| last.paths.iter().any(|of| of.path == path && of.bytes > 0);
        assert!([Path::Copy, Path::MsgZerocopy, Path::Sendfile, Path::UringSendZc].into_iter().all(uses));
        let reasons: Vec<Reason> =
            last.paths.iter().flat_map(|path| &path.copies).map(|c| c.kind.reason).collect();
        assert!(
            reasons.contains(&Reason::Loopback) && reasons.contains(&Reason::NoScatterGather),
            "{reasons:?}"
        );
        let findings = findings(&last);
        assert!(findings.iter().any(|finding| finding.severity == Severity::Critical));
        assert!(table::render(&last, &findings, &[]).contains("sendfile"));
        let document = serde_json::to_string(&json::document(&last, &findings, &[])).unwrap();
        assert!(document.contains("silent_copied_bytes"));
    }
}
