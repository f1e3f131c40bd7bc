//! What changed between two matrices, cell by cell, and whether the runs can tell.

use super::plan::Key;
use super::result::{CellReport, MatrixReport, Repetition, Setting};
use super::stats::{self, Estimate, Order};
use super::verdict::Verdict;

/// Change below which nobody minds, unless asked otherwise: 5 %.
pub const DEFAULT_THRESHOLD: f64 = 0.05;

/// The comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Diff {
    /// What is worth knowing before any change is read: other kernel, other device.
    pub notes: Vec<String>,
    /// Cells in both, in the order of the second.
    pub cells: Vec<CellDiff>,
    /// Cells in one only, with which.
    pub alone: Vec<(Key, &'static str)>,
}

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub struct CellDiff {
    /// Which.
    pub key: Key,
    /// The worst of [`CellDiff::figures`] and of the copied part.
    pub judgement: Judgement,
    /// What the copied part says, when it changed what the cell may be called.
    pub copied: Option<String>,
    /// CPU of the machine per GB, throughput.
    pub figures: Vec<FigureDiff>,
}

/// One figure of a cell.
#[derive(Clone, Debug, PartialEq)]
pub struct FigureDiff {
    /// Name in the JSON.
    pub name: &'static str,
    /// Median before and after.
    pub medians: (f64, f64),
    /// Relative change with its interval.
    pub change: Estimate,
    /// What that is.
    pub judgement: Judgement,
}

/// What a change is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// By more than the threshold, and the intervals do not overlap.
    Worse,
    /// The same the other way.
    Better,
    /// Certainly within the threshold.
    Same,
    /// The runs scatter too much to tell.
    NotSeparable,
    /// May not be compared; the text is why.
    Refused(String),
}

impl Judgement {
    /// In words.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Judgement::Worse => "worse",
            Judgement::Better => "better",
            Judgement::Same => "same",
            Judgement::NotSeparable => "not separable",
            Judgement::Refused(_) => "refused",
        }
    }

    /// The more it says, and the worse, the higher.
    const fn rank(&self) -> u8 {
        match self {
            Judgement::Same => 0,
            Judgement::NotSeparable => 1,
            Judgement::Better => 2,
            Judgement::Refused(_) => 3,
            Judgement::Worse => 4,
        }
    }
}

impl Diff {
    /// How many cells have a judgement of this name.
    #[must_use]
    pub fn count(&self, name: &str) -> usize {
        self.cells.iter().filter(|cell| cell.judgement.name() == name).count()
    }

    /// Whether anything could be compared at all.
    #[must_use]
    pub fn compared(&self) -> bool {
        self.cells.iter().any(|cell| !matches!(cell.judgement, Judgement::Refused(_)))
    }
}

/// A figure that is judged.
struct Metric {
    name: &'static str,
    estimate: fn(&CellReport) -> Option<Estimate>,
    value: fn(&Repetition) -> Option<f64>,
    /// How a worse value stands to a better one.
    worse: Order,
}

const METRICS: [Metric; 2] = [
    Metric {
        name: "machine_s_per_gb",
        estimate: |cell| cell.machine_s_per_gb,
        value: |run| run.machine_s_per_gb,
        worse: Order::Above,
    },
    Metric {
        name: "gbit_s",
        estimate: |cell| cell.gbit_s,
        value: |run| Some(run.gbit_s),
        worse: Order::Below,
    },
];

/// Compares `before` with `after`; a change counts from `threshold` (0.05 is 5 %) on.
#[must_use]
pub fn diff(before: &MatrixReport, after: &MatrixReport, threshold: f64) -> Diff {
    let refusal = incomparable(before, after);
    let find = |report: &MatrixReport, key: &Key| report.cells.iter().position(|cell| cell.key == *key);
    let mut cells = Vec::new();
    let mut alone = Vec::new();
    for cell in &after.cells {
        match find(before, &cell.key) {
            Some(index) => cells.push(compare(&before.cells[index], cell, refusal.as_deref(), threshold)),
            None => alone.push((cell.key.clone(), "the second")),
        }
    }
    let gone = before.cells.iter().filter(|cell| find(after, &cell.key).is_none());
    alone.extend(gone.map(|cell| (cell.key.clone(), "the first")));
    Diff { notes: notes(before, after), cells, alone }
}

/// Why no cell of the two may be compared: they do not measure the same thing.
fn incomparable(before: &MatrixReport, after: &MatrixReport) -> Option<String> {
    let (a, b) = (&before.setting, &after.setting);
    let known = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".into());
    let limit = |bytes: Option<u64>| bytes.map_or_else(|| "no limit".into(), |bytes| bytes.to_string());
    let mut must_match = vec![
        ("link", a.link.clone(), b.link.clone()),
        ("sink mode", known(&a.sink), known(&b.sink)),
        ("congestion control", known(&a.cc), known(&b.cc)),
        ("tracing", known(&a.traced), known(&b.traced)),
        ("CPUs", a.cpus.to_string(), b.cpus.to_string()),
        ("bytes per run", limit(before.cell_bytes), limit(after.cell_bytes)),
        ("working set", before.working_set_bytes.to_string(), after.working_set_bytes.to_string()),
    ];
    let knobs = before.knobs.settings().into_iter().zip(after.knobs.settings());
    must_match.extend(knobs.map(|((what, a), (_, b))| (what, a, b)));
    let other = must_match.into_iter().find(|(_, a, b)| a != b)?;
    Some(format!("other {}: {} before, {} after", other.0, other.1, other.2))
}

fn notes(before: &MatrixReport, after: &MatrixReport) -> Vec<String> {
    let (a, b) = (&before.setting, &after.setting);
    let device = |setting: &Setting| match &setting.device {
        Some(d) => format!("{} ({}), MTU {}", d.name, d.driver.as_deref().unwrap_or("no driver"), d.mtu),
        None => "unknown".into(),
    };
    let mut notes = Vec::new();
    let mut differs = |what: &str, a: String, b: String| {
        if a != b {
            notes.push(format!("other {what}: {a} before, {b} after"));
        }
    };
    differs("host", a.host.clone(), b.host.clone());
    differs("kernel", a.kernel.clone(), b.kernel.clone());
    differs("zcscope", before.version.clone(), after.version.clone());
    differs("device", device(a), device(b));
    if a.functional_only.is_some() && b.functional_only.is_some() {
        notes.push("FUNCTIONAL ONLY: both ends were on one host; changes say nothing about a NIC".into());
    }
    for (report, which) in [(before, "first"), (after, "second")] {
        notes.extend(report.partial.as_ref().map(|why| format!("the {which} is partial: {why}")));
    }
    notes
}

fn compare(before: &CellReport, after: &CellReport, refusal: Option<&str>, threshold: f64) -> CellDiff {
    let key = after.key.clone();
    let refused = |why: &str| CellDiff {
        key: key.clone(),
        judgement: Judgement::Refused(why.to_owned()),
        copied: None,
        figures: Vec::new(),
    };
    if let Some(why) = refusal {
        return refused(why);
    }
    match (before.verdict, after.verdict) {
        (Verdict::Failed, _) => return refused("it failed before"),
        (_, Verdict::Failed) => {
            let judgement = Judgement::Worse;
            return CellDiff { judgement, copied: Some("it fails now".into()), ..refused("") };
        }
        _ => {}
    }
    let figures: Vec<_> =
        METRICS.iter().filter_map(|metric| figure(before, after, metric, threshold)).collect();
    let (copied_judgement, copied) = copied(before, after);
    let all = figures.iter().map(|figure| figure.judgement.clone()).chain(copied_judgement);
    let judgement = all.max_by_key(Judgement::rank).unwrap_or(Judgement::NotSeparable);
    CellDiff { key, judgement, copied, figures }
}

/// A cell that began or ceased to be copied has changed, whatever its speed.
fn copied(before: &CellReport, after: &CellReport) -> (Option<Judgement>, Option<String>) {
    let judgement = match (before.verdict, after.verdict) {
        (Verdict::Copied { .. }, Verdict::ZeroCopy { .. }) => Judgement::Better,
        (Verdict::ZeroCopy { .. }, Verdict::Copied { .. }) => Judgement::Worse,
        _ => return (None, None),
    };
    let share = |cell: &CellReport| format!("{:.1} %", cell.copied_share().unwrap_or(0.0) * 100.0);
    (Some(judgement), Some(format!("copied {} before, {} after", share(before), share(after))))
}

fn figure(before: &CellReport, after: &CellReport, metric: &Metric, threshold: f64) -> Option<FigureDiff> {
    let samples = |cell: &CellReport| -> Vec<f64> {
        cell.runs.iter().filter(|run| run.error.is_none()).filter_map(metric.value).collect()
    };
    let (a, b) = ((metric.estimate)(before)?, (metric.estimate)(after)?);
    let change = stats::change(&samples(before), &samples(after), after.key.seed(1))?;
    let order = stats::compare(&b, &a);
    let within = change.interval().is_some_and(|(low, high)| low >= -threshold && high <= threshold);
    let judgement = match order {
        _ if within => Judgement::Same,
        Order::NotSeparable => Judgement::NotSeparable,
        _ if change.median.abs() < threshold => Judgement::NotSeparable,
        order if order == metric.worse => Judgement::Worse,
        _ => Judgement::Better,
    };
    Some(FigureDiff { name: metric.name, medians: (a.median, b.median), change, judgement })
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{self, Behaviour, made, report};
    use super::super::result::Class;
    use super::*;

    fn one(machine: f64, scatter: f64, copied: f64) -> MatrixReport {
        let b = Behaviour { gbit_s: 10.0 / machine, machine, scatter, copied };
        report(vec![made("msg_zerocopy", Class::Told, 65_536, b, 5)])
    }

    fn judged(before: &MatrixReport, after: &MatrixReport) -> Judgement {
        diff(before, after, DEFAULT_THRESHOLD).cells[0].judgement.clone()
    }

    #[test]
    fn verdicts() {
        let base = one(1.0, 0.005, 0.0);
        assert_eq!(judged(&base, &one(1.2, 0.005, 0.0)), Judgement::Worse);
        assert_eq!(judged(&base, &one(0.8, 0.005, 0.0)), Judgement::Better);
        assert_eq!(judged(&base, &one(1.01, 0.005, 0.0)), Judgement::Same);
        assert_eq!(judged(&base, &one(1.04, 0.005, 0.0)), Judgement::NotSeparable, "straddles 5 %");
        assert_eq!(judged(&one(1.0, 0.1, 0.0), &one(1.2, 0.1, 0.0)), Judgement::NotSeparable, "overlap");
        assert_eq!(judged(&base, &base), Judgement::Same);
    }

    #[test]
    fn a_change_has_its_interval() {
        let diff = diff(&one(1.0, 0.01, 0.0), &one(1.5, 0.01, 0.0), DEFAULT_THRESHOLD);
        let cpu = &diff.cells[0].figures[0];
        let (low, high) = cpu.change.interval().unwrap();
        assert_eq!(cpu.name, "machine_s_per_gb");
        assert!((cpu.change.median - 0.5).abs() < 1e-9 && low < 0.5 && high > 0.5 && low > 0.4, "{cpu:?}");
        assert_eq!(diff.count("worse"), 1);
    }

    #[test]
    fn a_cell_that_is_copied_now_is_worse_however_fast() {
        let diff = diff(&one(1.0, 0.01, 0.0), &one(0.5, 0.01, 1.0), DEFAULT_THRESHOLD);
        assert_eq!(diff.cells[0].judgement, Judgement::Worse);
        assert_eq!(diff.cells[0].copied.as_deref(), Some("copied 0.0 % before, 100.0 % after"));
        assert_eq!(judged(&one(1.0, 0.01, 1.0), &one(1.0, 0.01, 0.0)), Judgement::Better);
    }

    #[test]
    fn what_is_not_the_same_thing_is_refused_and_another_kernel_is_said() {
        let base = one(1.0, 0.01, 0.0);
        let mut other = base.clone();
        other.setting.sink = Some("trunc".into());
        let refused = diff(&base, &other, DEFAULT_THRESHOLD);
        assert!(!refused.compared());
        let Judgement::Refused(why) = &refused.cells[0].judgement else { panic!("{refused:?}") };
        assert_eq!(why, "other sink mode: recv before, trunc after");
        let mut knobs = base.clone();
        knobs.knobs.page = "thp".into();
        let Judgement::Refused(why) = judged(&base, &knobs) else { panic!("compared") };
        assert_eq!(why, "other pages: 4k before, thp after");
        let mut kernel = base.clone();
        kernel.setting.kernel = "6.18.0".into();
        let compared = diff(&base, &kernel, DEFAULT_THRESHOLD);
        assert!(compared.compared());
        assert_eq!(compared.notes, ["other kernel: 6.12.0 before, 6.18.0 after"]);
    }

    #[test]
    fn cells_in_one_only_and_failures() {
        let whole = fixture::cable();
        let mut part = whole.clone();
        let gone = part.cells.remove(0);
        assert_eq!(diff(&whole, &part, DEFAULT_THRESHOLD).alone, [(gone.key.clone(), "the first")]);
        assert_eq!(diff(&part, &whole, DEFAULT_THRESHOLD).alone, [(gone.key, "the second")]);
        let mut failed = whole.clone();
        failed.cells[0].verdict = Verdict::Failed;
        assert_eq!(judged(&whole, &failed), Judgement::Worse);
        assert!(matches!(judged(&failed, &whole), Judgement::Refused(_)));
    }

    #[test]
    fn few_runs_are_not_separable() {
        let few = |machine| {
            let b = Behaviour { gbit_s: 1.0, machine, scatter: 0.0, copied: 0.0 };
            report(vec![made("msg_zerocopy", Class::Told, 65_536, b, 3)])
        };
        assert_eq!(judged(&few(1.0), &few(3.0)), Judgement::NotSeparable);
    }
}
