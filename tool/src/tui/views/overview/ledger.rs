//! The ledger over all zero-copy paths: requested = zero-copied + copied + in flight, in bytes and shares, and what
//! the application was told beside what the kernel did.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use zcscope_common::Reason;

use super::{Scene, panel};
use crate::tui::text::{Align, cut, fit};
use crate::tui::totals::{Sends, Totals};
use crate::tui::views::balance;
use crate::units;

pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let totals = Totals::of(&scene.snapshot.paths);
    let note = if scene.snapshot.lost.total > 0 { "with loss" } else { "" };
    let inner = panel::frame(scene, "Ledger", note, false, area, buf);
    if !totals.has_ledger {
        panel::centred("nothing has asked for zero-copy yet", scene.theme.dim, inner, buf);
        return;
    }
    let width = usize::from(inner.width);
    let label = (width.saturating_sub(17).min(16), scene.theme.text);
    let parts = balance::parts(&totals, scene.theme, "zero-copied");
    let mut lines = vec![balance::bar(&totals, scene.theme, width)];
    lines.extend(parts.iter().map(|part| part.line(totals.requested, label, 7)));
    lines.push(refused_line(scene, width));
    lines.extend(told_lines(scene, &totals, width, inner.height));
    panel::lines(lines, inner, buf);
}

/// The ledger in one or two lines, for screens without room for the panel.
pub(super) fn draw_summary(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let totals = Totals::of(&scene.snapshot.paths);
    let (theme, symbols) = (scene.theme, scene.theme.symbols);
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
        Span::styled(format!(" {} zc{}", symbols.zerocopied, share(totals.zerocopied)), theme.good),
        Span::styled(format!("  {} cp{}", symbols.copied, share(totals.copied)), copied),
    ]);
    let (mark, style) = if totals.silent > Some(0) { ("!", theme.alarm) } else { (" ", theme.text) };
    let rest = Line::from(vec![
        Span::styled(format!("{mark} silent {}", share(totals.silent)), style),
        Span::styled(
            format!("  {} in flight {}", symbols.in_flight, share(totals.in_flight.map(|f| f.bytes))),
            theme.accent,
        ),
    ]);
    let bar = balance::bar(&totals, theme, usize::from(area.width));
    let lines = if area.height < 3 { vec![shares, bar] } else { vec![shares, rest, bar] };
    panel::lines(lines, area, buf);
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
