//! What a cell may be called. The kernel's own truth decides; where it is not known, what the application was told;
//! where neither is, nothing is claimed.

use serde::{Deserialize, Serialize};

use super::result::{CellReport, Class, Copied};
use crate::units::percent;

/// Copied part above which a run is no zero-copy run.
pub const COPIED_LIMIT: f64 = 0.01;

/// Who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Copies seen in the kernel.
    Kernel,
    /// What the kernel told the application.
    Told,
    /// How it was set: without `SO_ZEROCOPY` the kernel ignores `MSG_ZEROCOPY`, copies, and tells nothing.
    Setting,
}

/// What a cell may be called.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Copies by design.
    Baseline,
    /// At most [`COPIED_LIMIT`] of the bytes were copied.
    ZeroCopy {
        /// Who says so.
        verdict_source: Source,
    },
    /// More than that was copied: not zero-copy, whatever the path is called.
    Copied {
        /// Who says so.
        verdict_source: Source,
    },
    /// Nobody knows whether it was copied.
    Unproven,
    /// No run succeeded.
    Failed,
}

/// Judges a cell by its sums over `good` runs.
#[must_use]
pub fn judge(class: Class, good: usize, kernel: Option<Copied>, told: Option<Copied>) -> Verdict {
    let share = |copied: Option<Copied>| copied.and_then(|copied| copied.share());
    let by = |verdict_source, share: f64| match share > COPIED_LIMIT {
        true => Verdict::Copied { verdict_source },
        false => Verdict::ZeroCopy { verdict_source },
    };
    match (class, share(kernel), share(told)) {
        _ if good == 0 => Verdict::Failed,
        (Class::Copies, ..) => Verdict::Baseline,
        (_, Some(share), _) => by(Source::Kernel, share),
        (_, None, Some(share)) => by(Source::Told, share),
        (_, None, None) => Verdict::Unproven,
    }
}

impl CellReport {
    /// Copied part by the source of the verdict, 0 to 1.
    #[must_use]
    pub fn copied_share(&self) -> Option<f64> {
        self.deciding().and_then(|copied| copied.share())
    }

    fn deciding(&self) -> Option<Copied> {
        match self.verdict {
            Verdict::ZeroCopy { verdict_source } | Verdict::Copied { verdict_source } => match verdict_source
            {
                Source::Kernel => self.kernel,
                Source::Told => self.told,
                Source::Setting => self.all_copied(),
            },
            _ => None,
        }
    }

    /// Every byte of the runs that did not fail.
    fn all_copied(&self) -> Option<Copied> {
        let good = self.runs.iter().filter(|run| run.error.is_none());
        let bytes = good.map(|run| run.acked_bytes).sum();
        Some(Copied { requested_bytes: bytes, copied_bytes: bytes })
    }

    /// The cell, if it was set so that the kernel could not but copy.
    #[must_use]
    pub fn surely_copied(mut self) -> Self {
        if self.verdict != Verdict::Failed {
            self.verdict = Verdict::Copied { verdict_source: Source::Setting };
        }
        self
    }

    /// Whether it may stand in a ranking of zero-copy paths.
    #[must_use]
    pub const fn is_zero_copy(&self) -> bool {
        matches!(self.verdict, Verdict::ZeroCopy { .. })
    }

    /// The path with what it may be called: `msg_zerocopy (COPIED 100 %)`.
    #[must_use]
    pub fn name(&self) -> String {
        let path = &self.key.path;
        let share =
            || self.deciding().map(|c| percent(c.copied_bytes, c.requested_bytes)).unwrap_or_default();
        match self.verdict {
            Verdict::Baseline => path.clone(),
            Verdict::ZeroCopy { verdict_source: Source::Kernel } => format!("{path} (copied {})", share()),
            Verdict::ZeroCopy { .. } => format!("{path} (told {})", share()),
            Verdict::Copied { .. } => format!("{path} (COPIED {})", share()),
            Verdict::Unproven => format!("{path} (copied n/a)"),
            Verdict::Failed => format!("{path} (FAILED)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn of(copied_bytes: u64) -> Option<Copied> {
        Some(Copied { requested_bytes: 1000, copied_bytes })
    }

    #[test]
    fn the_kernel_decides_and_then_what_was_told() {
        use Source::{Kernel, Told};
        let zero_copy = |verdict_source| Verdict::ZeroCopy { verdict_source };
        let copied = |verdict_source| Verdict::Copied { verdict_source };
        let told = |kernel, told| judge(Class::Told, 5, kernel, told);
        assert_eq!(told(of(0), of(0)), zero_copy(Kernel));
        assert_eq!(told(of(10), None), zero_copy(Kernel));
        assert_eq!(told(of(11), of(0)), copied(Kernel), "a silent copy");
        assert_eq!(told(of(0), of(1000)), zero_copy(Kernel), "a clone was copied, the bytes sent were not");
        assert_eq!(told(None, of(0)), zero_copy(Told));
        assert_eq!(told(None, of(1000)), copied(Told));
        assert_eq!(told(None, None), Verdict::Unproven);
        assert_eq!(judge(Class::Untold, 5, None, None), Verdict::Unproven);
        assert_eq!(judge(Class::Untold, 5, of(1000), None), copied(Kernel));
    }

    #[test]
    fn a_cell_that_could_not_but_copy_is_copied_whatever_else_is_known() {
        use super::super::fixture;
        let cells = fixture::cable().cells;
        let cell = cells.iter().find(|cell| cell.is_zero_copy()).unwrap().clone().surely_copied();
        assert_eq!(cell.verdict, Verdict::Copied { verdict_source: Source::Setting });
        assert_eq!((cell.copied_share(), cell.is_zero_copy()), (Some(1.0), false));
        assert!(cell.name().ends_with("(COPIED 100 %)"), "{}", cell.name());
        let failed = CellReport { verdict: Verdict::Failed, ..cell }.surely_copied();
        assert_eq!(failed.verdict, Verdict::Failed);
    }

    #[test]
    fn a_baseline_is_none_of_it_and_a_cell_without_a_run_has_failed() {
        assert_eq!(judge(Class::Copies, 1, None, None), Verdict::Baseline);
        assert_eq!(judge(Class::Copies, 0, None, None), Verdict::Failed);
        assert_eq!(judge(Class::Told, 0, of(0), of(0)), Verdict::Failed);
        let nothing = Some(Copied::default());
        assert_eq!(judge(Class::Told, 1, nothing, nothing), Verdict::Unproven, "no byte proves nothing");
    }
}
