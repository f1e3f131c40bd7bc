//! How the present run stands, in a few lines.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::{State, runs};
use crate::tui::generator::{LoadProgress, LoadRun, LoadState, LoadVerdict};
use crate::tui::text;
use crate::tui::views::Scene;
use crate::units::{bytes, duration, exact, percent};

/// Columns of the bar.
const BAR: usize = 20;

/// The lines, at most as many as are good for a room of this width.
pub(super) fn lines(scene: Scene<'_>, state: &State, width: u16) -> Vec<Line<'static>> {
    let theme = scene.theme;
    let wrapped = |text: &str, style: Style| {
        let lines = text::wrap(text, usize::from(width), 4).into_iter();
        lines.map(|line| Line::styled(line, style)).collect::<Vec<_>>()
    };
    match &state.run {
        LoadState::Idle => {
            let key = scene.app.keys.label("toggle").unwrap_or_else(|| "no key".into());
            wrapped(&format!("nothing runs; {key} starts the load, and stops it"), theme.dim)
        }
        LoadState::Connecting => wrapped("connecting: both ends, and the trace of the run", theme.text),
        LoadState::Failed(why) => wrapped(&format!("failed: {why}"), theme.bad),
        LoadState::Running(now) => running(scene, now),
        LoadState::Done(run) => {
            let style = match run.verdict {
                LoadVerdict::Copied => theme.bad,
                LoadVerdict::ZeroCopied => theme.good,
                _ => theme.text,
            };
            let mut lines = wrapped(&done(scene, run), style);
            lines.extend(notes(run).iter().flat_map(|note| wrapped(note, theme.dim)));
            lines
        }
    }
}

fn ns(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn running(scene: Scene<'_>, now: &LoadProgress) -> Vec<Line<'static>> {
    let (elapsed, limit) = (ns(now.elapsed), ns(now.limit).max(1));
    let full = (elapsed.min(limit) as u128 * BAR as u128 / u128::from(limit)) as usize;
    let symbols = scene.theme.symbols;
    let bar = symbols.full.repeat(full) + &symbols.empty.repeat(BAR - full);
    let what = if now.warm_up { "warming up, not counted:" } else { "measuring:" };
    let rate = u128::from(now.bytes) * 1_000_000_000 / u128::from(elapsed.max(1));
    let rate = scene.rate(u64::try_from(rate).unwrap_or(u64::MAX));
    let told = match now.told {
        None => "copied: told nothing on this path, the kernel's count comes at the end".to_owned(),
        Some(told) if told.ended == 0 => "copied: nothing told yet".to_owned(),
        Some(told) => format!(
            "told copied {} of {} sends   p99 {}",
            percent(told.copied, told.ended),
            exact(told.ended),
            duration(told.p99_ns)
        ),
    };
    vec![
        Line::from(vec![
            Span::styled(format!("{bar} "), scene.theme.accent),
            Span::styled(format!("{what} {} of {}", duration(elapsed), duration(limit)), scene.theme.text),
        ]),
        Line::styled(
            format!("{rate}   {} taken   ENOBUFS {}", bytes(now.bytes), exact(now.enobufs)),
            scene.theme.text,
        ),
        Line::styled(told, scene.theme.text),
    ]
}

fn done(scene: Scene<'_>, run: &LoadRun) -> String {
    let verdict = match (run.verdict, &run.copied) {
        (LoadVerdict::Baseline, _) => "baseline: this path copies by design".to_owned(),
        (LoadVerdict::Unknown, _) | (_, None) => {
            "copied: n/a, neither the kernel nor notifications told".to_owned()
        }
        (verdict, Some(copied)) => {
            format!("{}: {} copied ({})", verdict.words(), runs::copied(run), copied.by)
        }
    };
    let rate = scene.rate((run.gbit_s.max(0.0) * 1e9 / 8.0) as u64);
    let p99 = run.p99_ns.map(|ns| format!(", p99 {}", duration(ns))).unwrap_or_default();
    let enobufs = if run.enobufs > 0 { format!(", ENOBUFS {}", exact(run.enobufs)) } else { String::new() };
    let cut = if run.stopped { "stopped early; " } else { "" };
    format!("{cut}{verdict}; {rate}, {} in {}{p99}{enobufs}", bytes(run.bytes), duration(run.ns))
}

/// What else must be known to read the figures.
fn notes(run: &LoadRun) -> Vec<String> {
    let functional =
        "FUNCTIONAL ONLY: both ends are on this host; no figure here says what a network card would do";
    let functional = run.functional_only.then(|| functional.to_owned());
    let untraced = run.untraced.as_ref().map(|why| format!("the kernel was not watched: {why}"));
    functional.into_iter().chain(untraced).collect()
}
