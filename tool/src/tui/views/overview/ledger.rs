//! The ledger over all zero-copy paths: requested = zero-copied + copied + in flight, in bytes and shares, and what
//! the application was told beside what the kernel did.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use zcscope_common::Reason;

use super::{Scene, panel};
use crate::tui::text::{Align, cut, fit};
use crate::tui::theme::Theme;
use crate::tui::totals::{Sends, Totals};
use crate::units;

/// Fill of each part of the bar, so that it reads without colour.
const ZEROCOPIED: &str = "█";
const COPIED: &str = "▒";
const IN_FLIGHT: &str = "░";

pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let totals = Totals::of(&scene.snapshot.paths);
    let note = if scene.snapshot.lost.total > 0 { "with loss" } else { "" };
    let inner = panel::frame(scene, "Ledger", note, false, area, buf);
    if !totals.has_ledger {
        panel::centred("nothing has asked for zero-copy yet", scene.theme.dim, inner, buf);
        return;
    }
    let width = usize::from(inner.width);
    let mut lines = vec![bar(&totals, scene.theme, width)];
    lines.extend(entries(&totals, scene.theme).map(|entry| entry.line(&totals, scene.theme, width)));
    lines.push(refused_line(scene, width));
    lines.extend(told_lines(scene, &totals, width, inner.height));
    panel::lines(lines, inner, buf);
}

/// The ledger in one or two lines, for screens without room for the panel.
pub(super) fn draw_summary(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let totals = Totals::of(&scene.snapshot.paths);
    let theme = scene.theme;
    let rate = scene.rate(totals.bytes_per_s);
    if !totals.has_ledger {
        let (text, _) = cut(&format!("{rate}  no zero-copy yet"), usize::from(area.width));
        buf.set_string(area.x, area.y, text, theme.dim);
        return;
    }
    let share = |part| fit(&units::percent_or_unknown(part, Some(totals.requested)), 6, Align::Right);
    let copied = theme.copied(totals.copied, totals.requested).unwrap_or(theme.text);
    let shares = Line::from(vec![
        Span::styled(fit(&rate, 11, Align::Right), theme.text),
        Span::styled(format!(" {ZEROCOPIED} zc{}", share(totals.zerocopied)), theme.good),
        Span::styled(format!("  {COPIED} cp{}", share(totals.copied)), copied),
    ]);
    let (mark, style) = if totals.silent > Some(0) { ("!", theme.alarm) } else { (" ", theme.text) };
    let rest = Line::from(vec![
        Span::styled(format!("{mark} silent {}", share(totals.silent)), style),
        Span::styled(
            format!("  {IN_FLIGHT} in flight {}", share(totals.in_flight.map(|f| f.bytes))),
            theme.accent,
        ),
    ]);
    let bar = bar(&totals, theme, usize::from(area.width));
    let lines = if area.height < 3 { vec![shares, bar] } else { vec![shares, rest, bar] };
    panel::lines(lines, area, buf);
}

fn silent_style(totals: &Totals, theme: &Theme) -> Style {
    if totals.silent > Some(0) { theme.alarm } else { theme.text }
}

/// One line of the ledger.
struct Entry {
    glyph: &'static str,
    label: &'static str,
    bytes: Option<u64>,
    style: Style,
}

impl Entry {
    fn line(&self, totals: &Totals, theme: &Theme, width: usize) -> Line<'static> {
        let share = units::percent_or_unknown(self.bytes, Some(totals.requested));
        // glyph 2, bytes 8, blank 1, share 6
        let label = width.saturating_sub(17).min(16);
        Line::from(vec![
            Span::styled(fit(self.glyph, 2, Align::Left), self.style),
            Span::styled(fit(self.label, label, Align::Left), theme.text),
            Span::styled(fit(&units::bytes_or_unknown(self.bytes), 8, Align::Right), self.style),
            Span::raw(" "),
            Span::styled(fit(&share, 6, Align::Right), self.style),
        ])
    }
}

fn entries(totals: &Totals, theme: &Theme) -> impl Iterator<Item = Entry> {
    let in_flight = totals.in_flight.map(|f| f.bytes);
    let silent = totals.silent > Some(0);
    let entry = |glyph, label, bytes, style| Entry { glyph, label, bytes, style };
    [
        entry("", "requested", Some(totals.requested), theme.text),
        entry(ZEROCOPIED, "zero-copied", totals.zerocopied, theme.good),
        entry(
            COPIED,
            "copied",
            totals.copied,
            theme.copied(totals.copied, totals.requested).unwrap_or(theme.text),
        ),
        entry(if silent { "!" } else { "" }, " of it silent", totals.silent, silent_style(totals, theme)),
        entry(IN_FLIGHT, "in flight", in_flight, theme.accent),
        entry(
            "",
            "clone copied",
            totals.clone_copied,
            if totals.clone_copied > Some(0) { theme.warn } else { theme.text },
        ),
    ]
    .into_iter()
}

/// Calls refused, with the reason of most.
fn refused_line(scene: Scene<'_>, width: usize) -> Line<'static> {
    let theme = scene.theme;
    let refused = scene.snapshot.paths.iter().flat_map(|path| &path.refused);
    let enobufs: u64 = scene.snapshot.paths.iter().filter_map(|path| path.errors.get("ENOBUFS")).sum();
    let limits = refused.clone().filter(|(reason, _)| matches!(reason, Reason::Optmem | Reason::Memlock));
    // Where the two limits cannot be told apart, the error is all there is.
    let unnamed = enobufs.saturating_sub(limits.map(|(_, n)| n).sum());
    let calls = unnamed + refused.clone().map(|(_, n)| n).sum::<u64>();
    let what = match refused.max_by_key(|(_, n)| *n) {
        Some((reason, n)) if *n >= unnamed => reason.name(),
        _ if unnamed > 0 => "ENOBUFS",
        _ => "calls",
    };
    let matters = super::verdict::refusals_matter(scene.shown);
    let (mark, style) = if matters { ("!", theme.warn) } else { ("", theme.text) };
    let label = width.saturating_sub(17).min(16);
    Line::from(vec![
        Span::styled(fit(mark, 2, Align::Left), style),
        Span::styled(fit("refused", label, Align::Left), theme.text),
        Span::styled(fit(&units::count_short(calls), 8, Align::Right), style),
        Span::styled(format!(" {}", cut(what, width.saturating_sub(label + 11)).0), theme.dim),
    ])
}

/// The pages pinned, and what the application was told beside what the kernel flagged, in sends.
fn told_lines(scene: Scene<'_>, totals: &Totals, width: usize, height: u16) -> Vec<Line<'static>> {
    let theme = scene.theme;
    let count = |n: Option<u64>| n.map_or_else(|| units::UNKNOWN.into(), units::count_short);
    let wrong = totals.told_wrongly > 0;
    let (mark, style) = if wrong { ("≠", theme.warn) } else { (" ", theme.text) };
    if height < 10 {
        let (told, kernel) = (short(totals.told), short(totals.kernel));
        let long = format!("{mark} told copied {told}, kernel {kernel}");
        let fits = long.chars().count() <= width;
        let both = if fits { long } else { format!("{mark} flagged {kernel}, told {told}") };
        return vec![Line::styled(cut(&both, width).0, style)];
    }
    let line = |label: &str, text: &str, unit: &'static str, style: Style| {
        let label_width = width.min(17);
        Line::from(vec![
            Span::styled(fit(label, label_width, Align::Left), theme.text),
            Span::styled(fit(text, 16.min(width - label_width), Align::Right), style),
            Span::styled(if width >= 39 { unit } else { "" }, theme.dim),
        ])
    };
    let of = |sends: Option<Sends>| match sends {
        Some(Sends { all, copied }) => {
            format!("{} of {}", units::count_short(copied), units::count_short(all))
        }
        None => units::UNKNOWN.into(),
    };
    let mut lines = vec![
        line("  told copied", &of(totals.told), " sends", theme.text),
        line("  kernel copied", &of(totals.kernel), " sends", theme.text),
    ];
    if height >= 11 {
        let label = format!("{mark} told wrongly");
        lines.push(line(&label, &told_wrongly(totals), " sends", style));
    }
    if height >= 12 {
        let pages = totals.in_flight.and_then(|open| open.pages);
        lines.insert(0, line("  pinned", &count(pages), " pages", theme.text));
    }
    lines
}

/// At least so many where some path does not know; marked where it is concluded.
fn told_wrongly(totals: &Totals) -> String {
    let inferred = if totals.wrongly_inferred { "~" } else { "" };
    match (totals.told_wrongly, totals.all_told) {
        (n, true) => format!("{inferred}{}", units::count_short(n)),
        (0, false) => units::UNKNOWN.into(),
        (n, false) => format!("≥ {inferred}{}", units::count_short(n)),
    }
}

fn short(sends: Option<Sends>) -> String {
    sends.map_or_else(|| units::UNKNOWN.into(), |s| units::count_short(s.copied))
}

/// The proportional bar. Whatever is not nothing gets at least one cell.
fn bar(totals: &Totals, theme: &Theme, width: usize) -> Line<'static> {
    let (Some(zerocopied), Some(copied), Some(in_flight)) =
        (totals.zerocopied, totals.copied, totals.in_flight)
    else {
        return Line::styled(fit("? parts of the ledger are not known here", width, Align::Left), theme.warn);
    };
    let parts = [zerocopied, copied, in_flight.bytes];
    let cells = cells(parts, width);
    let styles = [(ZEROCOPIED, theme.good), (COPIED, theme.bad), (IN_FLIGHT, theme.accent)];
    let spans = cells.iter().zip(styles).map(|(n, (glyph, style))| Span::styled(glyph.repeat(*n), style));
    Line::from(spans.collect::<Vec<_>>())
}

/// Shares `width` cells among the parts; the largest part gives what rounding and the smallest parts need.
fn cells(parts: [u64; 3], width: usize) -> [usize; 3] {
    let total: u128 = parts.iter().map(|p| u128::from(*p)).sum();
    if total == 0 || width < parts.len() {
        return [0; 3];
    }
    let mut cells = parts.map(|p| match (u128::from(p) * width as u128 / total) as usize {
        0 if p > 0 => 1,
        n => n,
    });
    let largest = (0..parts.len()).max_by_key(|&i| parts[i]).unwrap_or(0);
    let others: usize = cells.iter().enumerate().filter(|&(i, _)| i != largest).map(|(_, n)| n).sum();
    cells[largest] = width.saturating_sub(others);
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_full_and_hides_nothing() {
        assert_eq!(cells([50, 50, 0], 10), [5, 5, 0]);
        assert_eq!(cells([1_000_000, 1, 1], 10), [8, 1, 1]);
        assert_eq!(cells([0, 7, 0], 10), [0, 10, 0]);
        assert_eq!(cells([0, 0, 0], 10), [0, 0, 0]);
        assert_eq!(cells([u64::MAX, u64::MAX, 1], 11).iter().sum::<usize>(), 11);
    }
}
