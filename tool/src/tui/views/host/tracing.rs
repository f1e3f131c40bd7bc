//! What tracing knows on this kernel: per fact the back end and the function that feed it, or why nothing does.

use super::super::Scene;
use super::section::Section;
use crate::diagnose::Severity;

/// Facts that cannot be known here, each with the reason.
pub(super) fn missing(scene: Scene<'_>, width: usize) -> Section {
    let session = &scene.snapshot.session;
    let title = match session.missing.len() {
        0 => "every fact is known here".to_owned(),
        n => format!("facts: {n}; figures that rest on them are n/a"),
    };
    let mut section = Section::new(scene.theme, width, "Not known here", title);
    for missing in &session.missing {
        section.warn(Severity::Info, &missing.fact, &missing.why);
    }
    section
}

/// Facts that are known, and from where.
pub(super) fn known(scene: Scene<'_>, width: usize) -> Section {
    let session = &scene.snapshot.session;
    let title =
        format!("kernel {}, back end {}, facts: {}", session.kernel, session.backend, session.sources.len());
    let mut section = Section::new(scene.theme, width, "Known here", title);
    for (fact, source) in &session.sources {
        // Tracepoints stand beside the functions that copy, not in them.
        let inferred = if fact == "copy" && session.infers(fact) { "  (~ concluded, not seen)" } else { "" };
        section.put(fact, &format!("{}{inferred}", source.replace(',', ", ")));
    }
    section
}
