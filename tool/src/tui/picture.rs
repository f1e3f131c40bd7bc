//! The picture of the Overview in the README, as text and as SVG, drawn from the recording that comes with zcscope.
//! `ZCSCOPE_UPDATE_DOCS=1 cargo test -p zcscope --lib picture` makes both anew.

use std::fmt::Write as _;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

use super::shown::Shown;
use super::theme::Theme;
use super::view_tests::screen;
use super::views::View;
use super::{App, Intent};
use crate::record::Recording;

const DEMO: &[u8] = include_bytes!("../../recordings/demo.zcr");
/// While everything runs.
const MOMENT_NS: u64 = 73_990_000_000;
const SIZE: (u16, u16) = (120, 40);
const BEGIN: &str = "<!-- screen: begin -->\n";
const END: &str = "<!-- screen: end -->";
/// Pixels of a cell.
const CELL: (u16, u16) = (8, 17);

/// The Overview near the end of the recording.
fn overview() -> Buffer {
    let mut recording = Recording::from_bytes("demo", DEMO).expect("the recording is whole");
    let moment = recording.at(MOMENT_NS).expect("it is longer");
    let mut shown = Shown::of(moment);
    shown.timeline = recording.take_timeline();
    let mut app = App::new(Theme::colour());
    app.handle(Intent::Show(View::Overview), &shown);
    screen(&app, &shown, SIZE).buffer().clone()
}

fn text(buffer: &Buffer) -> String {
    let mut out = String::new();
    for y in 0..buffer.area.height {
        let line: String = (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect();
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}

/// A colour on a dark ground, readable by everybody.
const fn colour(color: Color) -> &'static str {
    match color {
        Color::Red | Color::LightRed => "#ff7b72",
        Color::Green | Color::LightGreen => "#7ee787",
        Color::Yellow | Color::LightYellow => "#e3b341",
        Color::Blue | Color::LightBlue => "#79c0ff",
        Color::Magenta | Color::LightMagenta => "#d2a8ff",
        Color::Cyan | Color::LightCyan => "#76e3ea",
        Color::DarkGray => "#8b949e",
        _ => "#e6edf3",
    }
}

fn class(cell: &Cell) -> (&'static str, bool, bool) {
    let has = |modifier| cell.modifier.contains(modifier);
    let dim = has(Modifier::DIM) && cell.fg == Color::Reset;
    (if dim { "#8b949e" } else { colour(cell.fg) }, has(Modifier::BOLD), has(Modifier::REVERSED))
}

fn svg(buffer: &Buffer) -> String {
    let (width, height) = (buffer.area.width * CELL.0 + 16, buffer.area.height * CELL.1 + 16);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" font-size=\"13\" \
         font-family=\"ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#0d1117\"/>\n"
    );
    for y in 0..buffer.area.height {
        let mut x = 0;
        while x < buffer.area.width {
            let style = class(&buffer[(x, y)]);
            let from = x;
            let mut run = String::new();
            while x < buffer.area.width && class(&buffer[(x, y)]) == style {
                run.push_str(buffer[(x, y)].symbol());
                x += 1;
            }
            if !run.trim().is_empty() {
                draw_run(&mut out, &run, (from, x - from, y), style);
            }
        }
    }
    out.push_str("</svg>\n");
    out
}

/// One run of cells of the same style; its length is given, so that every font keeps the columns.
fn draw_run(out: &mut String, run: &str, (x, cells, y): (u16, u16, u16), style: (&str, bool, bool)) {
    let (fill, bold, reversed) = style;
    let (left, top, length) = (8 + x * CELL.0, 8 + y * CELL.1, cells * CELL.0);
    if reversed {
        let _ = writeln!(
            out,
            "<rect x=\"{left}\" y=\"{top}\" width=\"{length}\" height=\"{}\" fill=\"{fill}\"/>",
            CELL.1
        );
    }
    let ink = if reversed { "#0d1117" } else { fill };
    let weight = if bold { " font-weight=\"bold\"" } else { "" };
    let text = run.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let _ = writeln!(
        out,
        "<text x=\"{left}\" y=\"{}\" fill=\"{ink}\"{weight} textLength=\"{length}\" xml:space=\"preserve\">{text}</text>",
        top + 13
    );
}

/// A file below the root of the project is this; or becomes it, when documents are made anew.
fn is(file: &str, wanted: impl Fn(&str) -> String) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let wanted = wanted(&kept);
    if std::env::var_os("ZCSCOPE_UPDATE_DOCS").is_some() {
        std::fs::write(&path, &wanted).expect("the document can be written");
    } else {
        assert!(kept == wanted, "{file} is out of date: run the command of tui/picture.rs");
    }
}

#[test]
fn the_picture_is_what_the_screen_shows() {
    let buffer = overview();
    is("docs/overview.svg", |_| svg(&buffer));
    is("README.md", |readme| {
        let (before, rest) = readme.split_once(BEGIN).expect("a place for the screen");
        let (_, after) = rest.split_once(END).expect("its end");
        format!("{before}{BEGIN}```text\n{}```\n{END}{after}", text(&buffer))
    });
}
