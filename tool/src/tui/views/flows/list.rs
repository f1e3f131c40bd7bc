//! The table of flows. Only the visible rows are ordered and formatted.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;

use super::columns::{Columns, Label, Row};
use super::group::{Grouping, Listing};
use super::order::{Place, Rows};
use super::state::State;
use super::subject::Subject;
use super::{Scene, filter, panel, reference};
use crate::tui::table::Table;

/// The number of the panel for clicks.
pub(super) const PANEL: usize = 0;

pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let state = &scene.app.states.flows;
    let (area, bar) = filter::place(scene, area);
    filter::draw(scene, bar, buf);
    if state.input.helps {
        return reference::draw(scene, area, buf);
    }
    let listing = state.listing(scene.shown);
    let rows = state.rows(scene.shown, &listing);
    let row = state.row(&rows);
    let borders = if scene.boxed { 2 } else { u16::from(area.height >= 2) };
    let visible = usize::from(area.height.saturating_sub(borders + 1));
    let first = state.first(row, rows.len(), visible);
    let note = format!("{}{}", panel::position(first, visible, rows.len()), order(scene, state));
    let inner = panel::frame(scene, &title(scene, state, &listing), &note, false, area, buf);
    if rows.len() == 0 {
        panel::centred(nothing(scene, state), scene.theme.dim, inner, buf);
    } else {
        table(scene, &rows, (first, visible, row), inner, buf);
    }
}

fn nothing(scene: Scene<'_>, state: &State) -> &'static str {
    match (scene.snapshot.sockets.is_empty(), state.query.is_empty()) {
        (true, _) => "no socket has sent or received anything yet",
        (false, false) => "no socket passes the filter; Esc clears it",
        (false, true) => "nothing to group",
    }
}

/// What is listed, and the filter it passed.
fn title(scene: Scene<'_>, state: &State, listing: &Listing) -> String {
    let mut title = state.grouping.title().to_owned();
    if !state.query.is_empty() {
        let all = scene.snapshot.sockets.len();
        let dot = scene.theme.symbols.separator;
        title += &format!(" {dot} {} {dot} {} of {all} sockets", state.query.text(), listing.sockets);
    }
    title
}

fn order(scene: Scene<'_>, state: &State) -> String {
    let symbols = scene.theme.symbols;
    let way = if state.sort.descends() { symbols.descending } else { symbols.ascending };
    format!(" {} by {} {way}", symbols.separator, state.columns().title(state.sort.by))
}

fn table(
    scene: Scene<'_>,
    rows: &Rows<'_>,
    (first, visible, cursor): (usize, usize, usize),
    area: Rect,
    buf: &mut Buffer,
) {
    let state = &scene.app.states.flows;
    let columns = state.columns();
    // A column of its own for the cursor's mark, so that nothing moves.
    let [mark, body] = [Rect { width: 1, ..area }, Rect { x: area.x + 1, width: area.width - 1, ..area }];
    let table = Table::new(columns.table, body.width);
    let heading = heading(scene, &table, columns, state);
    scene.headings(&table, body);
    buf.set_line(body.x, body.y, &heading, body.width);
    for (n, place) in rows.window(first, visible).into_iter().enumerate() {
        let y = body.y + 1 + n as u16;
        let line = line(scene, rows, columns, &table, place);
        buf.set_line(body.x, y, &line, body.width);
        if first + n == cursor {
            buf.set_string(mark.x, y, scene.theme.symbols.selected, scene.theme.accent);
            buf.set_style(Rect { y, height: 1, ..area }, scene.theme.selected);
        }
    }
    let below = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    scene.rows(below, PANEL, first, rows.len());
}

/// The sorted column carries a mark, and stands out.
fn heading(scene: Scene<'_>, table: &Table, columns: &Columns, state: &State) -> Line<'static> {
    let (theme, symbols) = (scene.theme, scene.theme.symbols);
    let mark = if state.sort.descends() { symbols.descending } else { symbols.ascending };
    table.row(|i, _| {
        let title = columns.table[i].title;
        if columns.about[i] == state.sort.by {
            (format!("{title}{mark}"), theme.title.add_modifier(Modifier::UNDERLINED))
        } else {
            (title.into(), theme.heading)
        }
    })
}

fn line(scene: Scene<'_>, rows: &Rows<'_>, columns: &Columns, table: &Table, place: Place) -> Line<'static> {
    let row = row(scene, rows, place);
    table.row(|i, width| columns.about[i].cell(scene, &row, width))
}

fn row<'a>(scene: Scene<'a>, rows: &Rows<'a>, place: Place) -> Row<'a> {
    let subject = rows.subject(place);
    Row {
        totals: subject.totals(),
        label: label(scene, rows, &subject, place),
        group: matches!(place, Place::Group(_)),
        style: style(scene, &subject, place),
        subject,
    }
}

/// Groups stand out; what has ended steps back.
fn style(scene: Scene<'_>, subject: &Subject<'_>, place: Place) -> Style {
    match (subject.alive(), place) {
        (false, _) => scene.theme.dim,
        (true, Place::Group(_)) => scene.theme.title,
        (true, Place::Member(..)) => scene.theme.text,
    }
}

/// A group with its fold, or a socket below it with what its group does not say.
fn label(scene: Scene<'_>, rows: &Rows<'_>, subject: &Subject<'_>, place: Place) -> Label {
    let symbols = scene.theme.symbols;
    let state = &scene.app.states.flows;
    match place {
        Place::Group(at) => {
            let group = rows.group(at);
            let fold = if state.is_open(&group.key) { symbols.expanded } else { symbols.collapsed };
            Label { name: format!("{fold} {}", group.label(&scene.snapshot.sockets)), remote: None }
        }
        Place::Member(.., last) => {
            let branch = if last { symbols.last_branch } else { symbols.branch };
            let socket = subject.first();
            let who = socket.map_or_else(String::new, |socket| match state.grouping {
                Grouping::Processes => format!(":{} {} ", socket.local.port(), symbols.right),
                _ => format!("{} [{}] ", socket.comm, socket.pid),
            });
            Label { name: format!("{branch} {who}"), remote: socket.map(|socket| socket.remote) }
        }
    }
}

/// The row of the cursor as text: each column with its heading.
pub(super) fn row_text(scene: Scene<'_>) -> Option<String> {
    let state = &scene.app.states.flows;
    let listing = state.listing(scene.shown);
    let rows = state.rows(scene.shown, &listing);
    let place = *rows.window(state.row(&rows), 1).first()?;
    let row = row(scene, &rows, place);
    let columns = state.columns();
    let cells = columns.table.iter().zip(columns.about).map(|(column, about)| {
        let (text, _) = about.cell(scene, &row, usize::from(column.max));
        format!("{}: {}", column.title, text.trim())
    });
    Some(cells.collect::<Vec<_>>().join(", "))
}
