//! From runs to the document: estimates and verdict of every cell, break-even, and what must be said before any
//! figure is read.

use super::breakeven::break_even;
use super::plan::Key;
use super::result::{CellReport, Class, Copied, MatrixReport, Repetition};
use super::stats::{self, Estimate, MIN_REPETITIONS, WIDE};
use super::verdict::{Source, Verdict, judge};

/// Other load, as a part of all CPU time, from which on it is worth a warning.
const OTHER_LOAD: f64 = 0.10;
/// Stolen part of CPU time from which on it is worth a warning.
const STEAL: f64 = 0.01;
/// What CPU time of the whole machine is read in, s.
const TICK_S: f64 = 0.01;

/// Part of all bytes by which what the application was told of the traced run may differ from what it was told of the
/// others; beyond, something began to copy (or ended) in between.
const TOLD_APART: f64 = 0.5;

/// The cell of these runs, and of one that was traced.
#[must_use]
pub fn cell(
    key: Key,
    class: Class,
    runs: Vec<Repetition>,
    proof: Option<Repetition>,
    seed: u64,
) -> CellReport {
    let good: Vec<&Repetition> = runs.iter().filter(|run| run.error.is_none()).collect();
    let seed = key.seed(seed);
    let over = |figure: fn(&Repetition) -> Option<f64>| {
        let samples: Vec<f64> = good.iter().filter_map(|run| figure(run)).collect();
        Estimate::of(&samples, seed)
    };
    // A sum over a part of the runs would be no figure of the cell.
    let sum = |figure: fn(&Repetition) -> Option<Copied>| {
        good.iter().map(|run| figure(run)).collect::<Option<Vec<_>>>().filter(|all| !all.is_empty()).map(
            |all| {
                all.iter().fold(Copied::default(), |sum, one| Copied {
                    requested_bytes: sum.requested_bytes + one.requested_bytes,
                    copied_bytes: sum.copied_bytes + one.copied_bytes,
                })
            },
        )
    };
    let told = sum(|run| run.told);
    let kernel = proof.as_ref().filter(|proof| speaks_for(proof, told)).and_then(|proof| proof.kernel);
    let mut errors: Vec<String> = runs.iter().chain(&proof).filter_map(|run| run.error.clone()).collect();
    errors.dedup();
    CellReport {
        class,
        verdict: judge(class, good.len(), kernel, told),
        gbit_s: over(|run| Some(run.gbit_s)),
        // Runs of as many ticks look equal, and are not.
        machine_s_per_gb: over(|run| run.machine_s_per_gb).map(|e| e.no_narrower_than(tick_per_gb(&good))),
        thread_s_per_gb: over(|run| run.thread_s_per_gb),
        sink_s_per_gb: over(|run| run.sink_s_per_gb),
        switches_per_gb: over(|run| run.switches_per_gb),
        syscalls_per_gb: over(|run| run.syscalls_per_gb),
        latency_p50_ns: over(|run| run.latency_p50_ns.map(|ns| ns as f64)),
        latency_p99_ns: over(|run| run.latency_p99_ns.map(|ns| ns as f64)),
        latency_p999_ns: over(|run| run.latency_p999_ns.map(|ns| ns as f64)),
        enobufs: runs.iter().filter_map(|run| run.enobufs).reduce(|a, b| a + b),
        told,
        kernel,
        errors,
        proof,
        key,
        runs,
    }
}

/// Whether the others, of which that was `told`, were like the traced run. A flag that was wrong of the traced run says
/// nothing of the others.
fn speaks_for(proof: &Repetition, told: Option<Copied>) -> bool {
    let share = |copied: Option<Copied>| copied.and_then(|copied| copied.share());
    let apart = |one, other| share(one).zip(share(other)).map_or(0.0, |(one, other)| (one - other).abs());
    let wrong = apart(proof.told, proof.kernel) > TOLD_APART;
    proof.error.is_none() && (wrong || apart(proof.told, told) <= TOLD_APART)
}

/// One clock tick of CPU time, spread over what a run of these sends, s/GB.
fn tick_per_gb(runs: &[&Repetition]) -> f64 {
    let bytes: Vec<f64> = runs.iter().map(|run| run.acked_bytes as f64).collect();
    stats::median(&bytes).filter(|bytes| *bytes > 0.0).map_or(0.0, |bytes| TICK_S / (bytes / 1e9))
}

/// Fills in what follows from the cells.
pub fn conclude(report: &mut MatrixReport) {
    report.break_even = break_even(&report.cells, report.setting.functional_only.is_some(), report.seed);
}

impl MatrixReport {
    /// What must be said before any figure is read, most important first.
    #[must_use]
    pub fn banners(&self) -> Vec<String> {
        let setting = &self.setting;
        let mut banners = Vec::new();
        if let Some(why) = &setting.functional_only {
            banners.push(format!(
                "FUNCTIONAL ONLY: {why}; what is found holds for traffic that stays on this host"
            ));
        }
        if let Some(why) = &self.partial {
            banners.push(format!("PARTIAL: {why}"));
        }
        banners.extend(self.surely_copied());
        banners.extend(self.confidence());
        if let Some(other) = setting.other_load.filter(|share| *share > OTHER_LOAD) {
            banners.push(format!(
                "OTHER LOAD: {:.0} % of all CPU time was busy before the first run; CPU figures hold it, too",
                other * 100.0
            ));
        }
        if let Some(steal) = setting.steal.filter(|share| *share > STEAL) {
            banners.push(format!(
                "STEAL: the hypervisor took {:.1} % of the CPU time of the runs",
                steal * 100.0
            ));
        }
        banners
    }

    /// The banner on cells that could not be but copied.
    fn surely_copied(&self) -> Option<String> {
        let set = Verdict::Copied { verdict_source: Source::Setting };
        let cell = self.cells.iter().find(|cell| cell.verdict == set)?;
        Some(format!(
            "COPIED AS ASKED: without SO_ZEROCOPY the kernel ignores MSG_ZEROCOPY, so {} copied every byte",
            cell.key.path
        ))
    }

    /// The banner on intervals too wide to decide much.
    fn confidence(&self) -> Option<String> {
        let rated = || self.cells.iter().filter(|cell| cell.verdict != Verdict::Failed);
        let wide = |estimate: Option<Estimate>| estimate.is_some_and(|e| e.is_wide());
        let cells = rated().filter(|cell| wide(cell.gbit_s) || wide(cell.machine_s_per_gb)).count();
        if cells == 0 {
            return None;
        }
        let why = if self.repeat < MIN_REPETITIONS as u64 {
            format!("fewer than {MIN_REPETITIONS} runs have no interval; raise --repeat")
        } else {
            format!("intervals wider than ±{:.0} %; raise --repeat or --cell-duration", WIDE * 100.0)
        };
        Some(format!("CONFIDENCE NOT REACHED in {cells} of {} cells: {why}", rated().count()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    fn runs(n: u64) -> Vec<Repetition> {
        (0..n)
            .map(|round| Repetition { round, gbit_s: 10.0, enobufs: Some(1), ..Repetition::default() })
            .collect()
    }

    fn key() -> Key {
        Key::sibling("msg_zerocopy", 65_536, (1, Some(16)))
    }

    #[test]
    fn failed_runs_are_kept_and_counted_in_no_estimate() {
        let mut runs = runs(6);
        runs[2].error = Some("gone".into());
        runs[2].gbit_s = 1000.0;
        runs[3].error = Some("gone".into());
        let cell = cell(key(), Class::Told, runs, None, 1);
        assert_eq!((cell.runs.len(), cell.errors.len(), cell.enobufs), (6, 1, Some(6)));
        let rate = cell.gbit_s.unwrap();
        assert_eq!((rate.n, rate.median, rate.low), (4, 10.0, None));
        assert_eq!(cell.verdict, Verdict::Unproven);
        assert_eq!(super::cell(key(), Class::Told, Vec::new(), None, 1).verdict, Verdict::Failed);
    }

    #[test]
    fn the_kernel_speaks_in_the_traced_run_and_its_times_count_nowhere() {
        let copied = Copied { requested_bytes: 100, copied_bytes: 0 };
        let proof = Repetition { gbit_s: 1.0, kernel: Some(copied), ..Repetition::default() };
        let whole = cell(key(), Class::Untold, runs(5), Some(proof.clone()), 1);
        assert_eq!((whole.kernel, whole.is_zero_copy()), (Some(copied), true));
        assert_eq!(whole.gbit_s.unwrap().interval(), Some((10.0, 10.0)));
        let failed = Repetition { error: Some("gone".into()), ..proof };
        let part = cell(key(), Class::Untold, runs(5), Some(failed), 1);
        assert_eq!((part.kernel, part.verdict, part.errors.len()), (None, Verdict::Unproven, 1));
    }

    #[test]
    fn a_traced_run_says_nothing_of_others_that_were_told_something_else() {
        let told = |copied_bytes| Some(Copied { requested_bytes: 100, copied_bytes });
        let verdict = |proof: (u64, u64), copied| {
            let runs = runs(5).into_iter().map(|run| Repetition { told: told(copied), ..run }).collect();
            let proof = Repetition { kernel: told(proof.0), told: told(proof.1), ..Repetition::default() };
            cell(key(), Class::Told, runs, Some(proof), 1).verdict
        };
        let (by_kernel, by_told) = (Source::Kernel, Source::Told);
        let zero_copy = Verdict::ZeroCopy { verdict_source: by_kernel };
        assert_eq!(verdict((0, 0), 40), zero_copy, "a few clones were copied");
        let copied = |verdict_source| Verdict::Copied { verdict_source };
        assert_eq!(verdict((0, 0), 100), copied(by_told), "a tap was opened in between");
        assert_eq!(verdict((100, 20), 90), copied(by_kernel), "a flag that was wrong is no witness");
    }

    #[test]
    fn machine_time_is_known_to_a_tick_and_no_better() {
        let mut runs = runs(5);
        for run in &mut runs {
            (run.acked_bytes, run.machine_s_per_gb) = (10_000_000, Some(24.0));
        }
        let machine = cell(key(), Class::Told, runs, None, 1).machine_s_per_gb.unwrap();
        // 10 ms over 10 MB are 1 s/GB.
        assert_eq!((machine.median, machine.interval()), (24.0, Some((23.0, 25.0))));
    }

    #[test]
    fn banners_come_with_their_causes() {
        let quiet = fixture::cable();
        assert_eq!(quiet.banners(), Vec::<String>::new());
        let mut loud = quiet.clone();
        loud.setting.functional_only = Some("both ends are on this host".into());
        loud.partial = Some("ended by a signal".into());
        loud.setting.other_load = Some(0.5);
        loud.setting.steal = Some(0.05);
        let banners = loud.banners();
        let begins = ["FUNCTIONAL ONLY", "PARTIAL", "OTHER LOAD: 50 %", "STEAL: the hypervisor took 5.0 %"];
        assert_eq!(banners.len(), 4, "{banners:?}");
        assert!(banners.iter().zip(begins).all(|(banner, begin)| banner.starts_with(begin)), "{banners:?}");
    }

    #[test]
    fn cells_that_could_not_be_but_copied_are_told_and_not_ranked() {
        let mut report = fixture::cable();
        let of = |cell: CellReport| if cell.key.path == "msg_zerocopy" { cell.surely_copied() } else { cell };
        report.cells = std::mem::take(&mut report.cells).into_iter().map(of).collect();
        conclude(&mut report);
        let banners = report.banners();
        assert!(
            banners[0].starts_with("COPIED AS ASKED") && banners[0].contains("so msg_zerocopy"),
            "{banners:?}"
        );
        let found = report.break_even.iter().find(|found| found.path == "msg_zerocopy").unwrap();
        assert_eq!(found.machine_s_per_gb, super::super::breakeven::Outcome::Copied);
    }

    #[test]
    fn wide_or_missing_intervals_are_said() {
        let mut report = fixture::cable();
        let rate = report.cells[0].gbit_s.as_mut().unwrap();
        rate.high = Some(rate.median * 1.5);
        let banners = report.banners();
        assert!(banners[0].contains("in 1 of") && banners[0].contains("±10 %"), "{banners:?}");
        report.repeat = 3;
        assert!(report.banners()[0].contains("raise --repeat"));
    }
}
