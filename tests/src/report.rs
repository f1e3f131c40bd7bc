//! What a run prints: one line per scenario and a sum.

use std::time::Duration;

/// How a scenario ended.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Everything as expected.
    Ok,
    /// Sentences of complaint.
    Failed(Vec<String>),
    /// Not possible here, and why.
    Skipped(String),
}

/// Counts verdicts.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    passed: u32,
    failed: u32,
    skipped: u32,
}

impl Tally {
    /// Prints and counts one verdict.
    pub(crate) fn add(&mut self, name: &str, verdict: &Verdict, took: Duration) {
        match verdict {
            Verdict::Ok => {
                self.passed += 1;
                println!("ok {name} ({:.1} s)", took.as_secs_f64());
            }
            Verdict::Failed(complaints) => {
                self.failed += 1;
                println!("FAIL {name}: {}", complaints.join("; "));
            }
            Verdict::Skipped(why) => {
                self.skipped += 1;
                println!("skip {name}: {why}");
            }
        }
    }

    /// Prints the sum; true when nothing failed and something was run.
    pub(crate) fn close(&self) -> bool {
        println!("scenarios: {} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped);
        self.failed == 0 && self.passed > 0
    }
}
