//! The view Load: what can this path do? The settings of the next run, how the present one stands, and what each came
//! to.

mod choice;
mod runs;
mod status;
#[cfg(test)]
mod tests;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use choice::{Choice, Row};
use runs::Runs;

use super::input::Input;
use super::{Scene, panel};
use crate::tui::app::{App, Intent};
use crate::tui::clock::Pace;
use crate::tui::effect::Effect;
use crate::tui::generator::{LoadPath, LoadState};
use crate::tui::selection::marked;
use crate::tui::shown::Shown;
use crate::tui::text::{Align, fit};

/// What the arrows move in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Panel {
    #[default]
    Settings,
    Runs,
}

/// What the view remembers.
#[derive(Clone, Debug, Default)]
pub(in crate::tui) struct State {
    /// `None` where nothing can be started.
    choice: Option<Choice>,
    run: LoadState,
    runs: Runs,
    focus: Panel,
}

impl State {
    /// What the generator offers; `None` when there is none.
    pub(in crate::tui) fn offer(&mut self, paths: Option<Vec<LoadPath>>) {
        self.choice = paths.and_then(Choice::of);
    }

    /// How the run stands now.
    pub(in crate::tui) fn hear(&mut self, state: LoadState) {
        if let LoadState::Done(run) = &state {
            self.runs.add(run.clone());
        }
        self.run = state;
    }
}

/// Lines of the panel that tells how the run stands.
const STATUS: u16 = 4;
/// Widths of a setting's name and value.
const NAME: usize = 8;
const VALUE: usize = 21;

pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let state = &scene.app.states.load;
    let Some(choice) = &state.choice else {
        return panel::centred(nothing(scene.shown), scene.theme.dim, area, buf);
    };
    let frame = if scene.boxed { 2 } else { 1 };
    if area.height < Row::ALL.len() as u16 + STATUS + 2 * frame {
        return draw_small(scene, choice, area, buf);
    }
    let heights = [Row::ALL.len() as u16 + frame, STATUS + frame, 0];
    let [settings, run, runs] = Layout::vertical([
        Constraint::Length(heights[0]),
        Constraint::Length(heights[1]),
        Constraint::Fill(1),
    ])
    .areas(area);
    let focused = state.focus == Panel::Settings;
    let inner = panel::frame(scene, "Next run", "bounded: 60 s, 1 TiB", focused, settings, buf);
    draw_settings(scene, choice, inner, buf);
    let inner = panel::frame(scene, "Run", "", false, run, buf);
    panel::lines(status::lines(scene, state, inner.width), inner, buf);
    if runs.height > 2 {
        runs::draw(scene, state, runs, buf);
    }
}

/// How the run stands, below the settings; where there is room for little, the selected setting alone, and runs only
/// while they have the focus.
fn draw_small(scene: Scene<'_>, choice: &Choice, area: Rect, buf: &mut Buffer) {
    let state = &scene.app.states.load;
    if state.focus == Panel::Runs {
        return runs::draw(scene, state, area, buf);
    }
    let settings = area.height.saturating_sub(3).clamp(1, Row::ALL.len() as u16);
    let [top, bottom] = Layout::vertical([Constraint::Length(settings), Constraint::Fill(1)]).areas(area);
    draw_settings(scene, choice, top, buf);
    panel::lines(status::lines(scene, state, bottom.width), bottom, buf);
}

/// The settings, one line each, the selected one always in sight.
fn draw_settings(scene: Scene<'_>, choice: &Choice, area: Rect, buf: &mut Buffer) {
    let visible = usize::from(area.height);
    let selected = choice.selected() as usize;
    let first = (selected + 1).saturating_sub(visible);
    let rows = Row::ALL.iter().skip(first);
    panel::lines(rows.map(|row| setting(scene, choice, *row)), area, buf);
    scene.rows(area, Panel::Settings as usize, first, Row::ALL.len());
    let line = Rect { y: area.y + (Row::Target as usize).saturating_sub(first) as u16, height: 1, ..area };
    if choice.is_written() && choice.host.is_open() && line.intersection(area) == line {
        buf.set_stringn(line.x, line.y, " ".repeat(line.width.into()), line.width.into(), scene.theme.text);
        choice.host.draw("> target   ", scene.theme, line, buf);
    }
}

fn setting(scene: Scene<'_>, choice: &Choice, row: Row) -> Line<'static> {
    let (value, meaning) = choice.value(row);
    let theme = scene.theme;
    let arrows = (theme.symbols.left, theme.symbols.right);
    let line = Line::from(vec![
        Span::styled(fit(row.name(), NAME, Align::Left), theme.heading),
        Span::styled(format!(" {} ", arrows.0), theme.dim),
        Span::styled(fit(&value, VALUE, Align::Left), theme.text),
        Span::styled(format!(" {} {meaning}", arrows.1), theme.dim),
    ]);
    marked(theme, choice.selected() == row, line)
}

/// Why nothing can be started.
fn nothing(shown: &Shown) -> &'static str {
    match shown.clock.pace {
        Pace::Playing | Pace::Paused => "a recording has nothing to start; `zcscope top` starts loads here",
        _ => "nothing can be started from this screen; `zcscope top` starts loads here",
    }
}

pub(super) fn handle(app: &mut App, shown: &Shown, intent: Intent) -> bool {
    let state = &mut app.states.load;
    let Some(choice) = &mut state.choice else {
        let asked = intent == Intent::Toggle;
        if asked {
            app.say(nothing(shown));
        }
        return asked;
    };
    let settings = state.focus == Panel::Settings;
    match intent {
        Intent::Toggle => toggle(app),
        Intent::Adjust(by) if settings => choice.adjust(by),
        Intent::Scroll(rows) if settings => choice.select_by(rows),
        Intent::Scroll(rows) => state.runs.scroll.by(rows),
        Intent::Wheel { panel, rows } if panel == Panel::Runs as usize => state.runs.scroll.by(rows),
        Intent::Wheel { rows, .. } => choice.select_by(rows),
        Intent::NextPanel | Intent::PreviousPanel => {
            state.focus = if settings { Panel::Runs } else { Panel::Settings };
        }
        Intent::Pick { row, .. } => {
            state.focus = Panel::Settings;
            choice.select_by(isize::MIN);
            choice.select_by(row as isize);
        }
        Intent::Typed(_) => {}
        _ => return false,
    }
    true
}

/// Starts a run with what is chosen, or ends the one under way.
fn toggle(app: &mut App) {
    let state = &mut app.states.load;
    if state.run.is_active() {
        app.ask(Effect::StopLoad);
        return app.say("asked the load to end");
    }
    match state.choice.as_mut().map(Choice::settings) {
        Some(Ok(settings)) => app.ask(Effect::StartLoad(settings)),
        Some(Err(why)) => app.say(&why),
        None => {}
    }
}

/// The line of a target that is written.
pub(super) fn input(app: &mut App) -> Option<&mut Input> {
    app.states.load.choice.as_mut().map(|choice| &mut choice.host)
}

/// What `?` offers: the columns of the runs.
pub(super) fn topics(_app: &App, _shown: &Shown) -> Vec<String> {
    ["run copied", "verdict", "Gbit/s", "CPU-s/GB", "size", "streams", "target", "ENOBUFS", "p99"]
        .map(str::to_owned)
        .into()
}
