//! The cells: what each run came to, newest first.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::{Panel, State};
use crate::tui::app::Scroll;
use crate::tui::generator::{LoadRun, LoadVerdict};
use crate::tui::table::{Column, Table, figures, names};
use crate::tui::theme::Theme;
use crate::tui::views::{Scene, panel};
use crate::units::{NOT_APPLICABLE, UNKNOWN, size};

/// Most runs kept.
const MOST: usize = 50;

/// Runs that ended, newest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs {
    list: Vec<LoadRun>,
    pub(super) scroll: Scroll,
}

#[rustfmt::skip]
const COLUMNS: &[Column] = &[
    names("path", 12, 19, 9),
    figures("size", 5, 8),
    figures("streams", 7, 3),
    figures("Gbit/s", 7, 7),
    figures("CPU-s/GB", 8, 6),
    figures("run copied", 10, 8),
    names("by", 6, 6, 4),
    names("verdict", 16, 20, 5),
    names("target", 8, 30, 2),
];

impl Runs {
    /// Takes in a run; the oldest goes when there are too many.
    pub(super) fn add(&mut self, run: LoadRun) {
        self.list.insert(0, run);
        self.list.truncate(MOST);
    }

    /// Whether this is the fastest of its path that may be compared: zero-copied, whole, and off this host.
    fn is_best(&self, run: &LoadRun) -> bool {
        let ranked =
            |run: &LoadRun| run.verdict == LoadVerdict::ZeroCopied && !run.functional_only && !run.stopped;
        let rivals = self.list.iter().filter(|other| ranked(other) && other.path == run.path);
        ranked(run) && rivals.map(|other| other.gbit_s).all(|rate| rate <= run.gbit_s)
    }
}

/// Copied part as text, marked where it was concluded. Never rounded to what it is not: above 0 it is not 0 %.
pub(super) fn copied(run: &LoadRun) -> String {
    let mark = if run.copied.as_ref().is_some_and(|copied| copied.inferred) { "~" } else { "" };
    match (&run.copied, run.verdict) {
        (_, LoadVerdict::Baseline) => NOT_APPLICABLE.into(),
        (None, _) => UNKNOWN.into(),
        (Some(copied), _) if copied.share > 0.0 && copied.share < 0.0005 => format!("{mark}<0.1 %"),
        (Some(copied), _) => format!("{mark}{:.1} %", copied.share * 100.0),
    }
}

fn cell(runs: &Runs, run: &LoadRun, theme: &Theme, column: &str) -> (String, Style) {
    let style = match run.verdict {
        LoadVerdict::Copied => theme.bad,
        LoadVerdict::ZeroCopied => theme.good,
        LoadVerdict::Baseline | LoadVerdict::Unknown => theme.dim,
    };
    let plain = |text: String| (text, theme.text);
    match column {
        "path" => plain(run.path.clone()),
        "size" => plain(size(run.size)),
        "streams" => plain(run.streams.to_string()),
        "Gbit/s" => plain(format!("{:.2}", run.gbit_s)),
        "CPU-s/GB" => plain(run.cpu_s_per_gb.map_or_else(|| UNKNOWN.into(), |s| format!("{s:.3}"))),
        "run copied" => (copied(run), style),
        "by" => (run.copied.as_ref().map_or_else(String::new, |copied| copied.by.clone()), theme.dim),
        "verdict" => {
            let more = match (run.stopped, runs.is_best(run)) {
                (true, _) => ", cut",
                (_, true) => ", best",
                _ => "",
            };
            (format!("{}{more}", run.verdict.words()), style)
        }
        _ => (format!("{}{}", if run.functional_only { "~" } else { "" }, run.target), theme.dim),
    }
}

/// Draws them.
pub(super) fn draw(scene: Scene<'_>, state: &State, area: Rect, buf: &mut Buffer) {
    let runs = &state.runs;
    let visible = usize::from(area.height).saturating_sub(if scene.boxed { 3 } else { 2 });
    let first = runs.scroll.clamp(runs.list.len(), visible);
    let note = panel::position(first, visible, runs.list.len());
    let inner = panel::frame(scene, "Runs", &note, state.focus == Panel::Runs, area, buf);
    scene.app.regions.panel(area, Panel::Runs as usize);
    if runs.list.is_empty() {
        return panel::centred("what each run comes to will stand here", scene.theme.dim, inner, buf);
    }
    let table = Table::new(COLUMNS, inner.width);
    let rows = runs
        .list
        .iter()
        .skip(first)
        .map(|run| table.row(|column, _| cell(runs, run, scene.theme, COLUMNS[column].title)));
    panel::lines(std::iter::once(table.heading(scene.theme.heading)).chain(rows), inner, buf);
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;
    use super::*;

    #[test]
    fn only_whole_zero_copied_runs_that_leave_the_host_are_ranked() {
        let mut runs = Runs::default();
        let other = |gbit_s, change: fn(&mut LoadRun)| {
            let mut run = LoadRun { gbit_s, ..run() };
            change(&mut run);
            run
        };
        runs.add(other(5.0, |_| ()));
        runs.add(other(4.0, |_| ()));
        runs.add(other(9.0, |run| run.verdict = LoadVerdict::Copied));
        runs.add(other(9.0, |run| run.functional_only = true));
        runs.add(other(9.0, |run| run.stopped = true));
        runs.add(other(1.0, |run| run.path = "sendfile".into()));
        let best: Vec<f64> = runs.list.iter().filter(|run| runs.is_best(run)).map(|run| run.gbit_s).collect();
        assert_eq!(best, [1.0, 5.0]);
    }

    #[test]
    fn runs_are_bounded_and_the_newest_stands_first() {
        let mut runs = Runs::default();
        (0..80).for_each(|streams| runs.add(LoadRun { streams, ..run() }));
        assert_eq!((runs.list.len(), runs.list[0].streams), (MOST, 79));
    }
}
