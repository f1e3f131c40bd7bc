//! The verdict: is zero-copy working here, now? One word, one sentence with figures, the reason, the fix. Pure: made of
//! what is shown, drawn by [`draw`] on whatever room there is.

use std::cmp::Reverse;
use std::sync::Arc;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use zcscope_common::{Path, Reason};

use super::{Scene, panel};
use crate::diagnose::{Finding, Severity};
use crate::model::reason::{self, ReasonKind};
use crate::model::sample::CopyKind;
use crate::model::snapshot::Snapshot;
use crate::tui::series::{Moved, Window};
use crate::tui::shown::Shown;
use crate::tui::text;
use crate::tui::theme::Theme;
use crate::tui::totals::Totals;
use crate::units;

/// The answer in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tui) enum Answer {
    /// Nothing has been sent.
    Waiting,
    /// Bytes are sent, and none of them asked for zero-copy.
    NotAsked,
    /// Zero-copy was asked for, and what became of it cannot be seen.
    NotKnown,
    /// Less than 1 % was copied.
    Yes,
    /// A part was copied.
    Partly,
    /// Nine tenths or more were copied.
    No,
}

/// From this share on, copies are worth a word.
const PARTLY_PERCENT: u64 = 1;
/// From this share on, the answer is no.
const NO_PERCENT: u64 = 90;

impl Answer {
    /// Of a share of copied bytes.
    pub(in crate::tui) const fn of(copied: u64, requested: u64) -> Self {
        match (copied.saturating_mul(100), requested) {
            (copied, all) if copied >= all.saturating_mul(NO_PERCENT) => Self::No,
            (copied, all) if copied >= all.saturating_mul(PARTLY_PERCENT) => Self::Partly,
            _ => Self::Yes,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "WAITING",
            Self::NotAsked => "NOT ASKED FOR",
            Self::NotKnown => "NOT KNOWN",
            Self::Yes => "YES",
            Self::Partly => "PARTLY",
            Self::No => "NO",
        }
    }

    const fn style(self, theme: &Theme) -> Style {
        match self {
            Self::Waiting | Self::NotAsked => theme.accent,
            Self::Yes => theme.good,
            Self::Partly | Self::NotKnown => theme.warn,
            Self::No => theme.bad,
        }
    }
}

/// What stands in the first lines of the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::tui) struct Verdict {
    pub(in crate::tui) answer: Answer,
    /// A sentence with figures and the share of each path; empty when that says no more.
    pub(in crate::tui) long: String,
    /// A sentence with figures.
    pub(in crate::tui) sentence: String,
    /// The same for screens that hold only a few words.
    pub(in crate::tui) short: String,
    /// Why, or what else to know; empty when there is nothing to say.
    pub(in crate::tui) why: String,
    /// Steps that mend it.
    pub(in crate::tui) fix: Vec<String>,
}

/// The verdict over the window; over everything when nothing was asked for in it.
pub(in crate::tui) fn verdict(shown: &Shown, window: &Window<'_>) -> Verdict {
    let totals = Totals::of(&shown.snapshot.paths);
    let moved = window.sent().filter(|moved| moved.requested > 0);
    match (totals.bytes, totals.has_ledger) {
        (0, _) => waiting(shown),
        (bytes, false) => not_asked(shown, bytes),
        (_, true) => asked(shown, window, &totals, moved),
    }
}

fn waiting(shown: &Shown) -> Verdict {
    let received: u64 = shown.snapshot.paths.iter().map(|path| path.bytes).sum();
    let sentence = match received {
        0 => "nothing has been sent or received since tracing began".to_owned(),
        bytes => format!("nothing has been sent; {} received (view Receive)", units::bytes(bytes)),
    };
    with_finding(shown, Answer::Waiting, sentence, "nothing sent yet".to_owned())
}

fn not_asked(shown: &Shown, bytes: u64) -> Verdict {
    let bytes = units::bytes(bytes);
    let sentence = format!("{bytes} sent plainly: the kernel copied them inside the call");
    with_finding(shown, Answer::NotAsked, sentence, format!("{bytes} sent plainly"))
}

/// What the sentence is about.
struct Scope {
    requested: u64,
    copied: Option<u64>,
    silent: Option<u64>,
    refused: u64,
    /// What each path asked for, and how much of that was copied.
    paths: Vec<(Path, u64, Option<u64>)>,
    /// In words, with a blank in front.
    when: String,
    recent: bool,
}

impl Scope {
    fn new(shown: &Shown, window: &Window<'_>, totals: &Totals, moved: Option<Moved>) -> Self {
        let since = shown.since_ns();
        match moved {
            Some(moved) if since.is_none() && !window.is_everything() => Self {
                requested: moved.requested,
                copied: moved.copied,
                silent: moved.silent,
                refused: moved.refused,
                paths: window.asked(),
                when: format!(" in the last {}", window.name()),
                recent: true,
            },
            _ => Self {
                requested: totals.requested,
                copied: totals.copied,
                silent: totals.silent,
                refused: shown.snapshot.paths.iter().flat_map(|path| &path.refused).map(|(_, n)| n).sum(),
                paths: asked_ever(&shown.snapshot),
                when: match shown.timeline.range_ns() {
                    _ if since.is_some() => " since the mark".to_owned(),
                    Some(_) if moved.is_none() => {
                        format!(" earlier (nothing was asked for in the last {})", window.name())
                    }
                    _ => String::new(),
                },
                recent: false,
            },
        }
    }
}

fn asked(shown: &Shown, window: &Window<'_>, totals: &Totals, moved: Option<Moved>) -> Verdict {
    let scope = Scope::new(shown, window, totals, moved);
    let requested = units::bytes(scope.requested);
    let Some(copied) = scope.copied else {
        let sentence = format!("{requested} asked for zero-copy; whether they were copied cannot be seen");
        let why = ["cop", "completion"].iter().find_map(|fact| missing(&shown.snapshot, fact));
        return Verdict {
            answer: Answer::NotKnown,
            long: String::new(),
            sentence,
            short: format!("{requested} asked for, copies n/a"),
            why: why.unwrap_or_default(),
            fix: Vec::new(),
        };
    };
    // A byte can be asked for in one window and copied in the next.
    let all = scope.requested.max(copied);
    let answer = Answer::of(copied, all);
    let share = units::percent(copied, all);
    let what = if copied == 0 { "nothing".to_owned() } else { share.clone() };
    let mut rest = scope.when.clone();
    match scope.silent {
        Some(silent) if silent > 0 && silent >= copied => rest.push_str(", and the application was not told"),
        Some(silent) if silent > 0 => {
            rest.push_str(&format!(", {} without telling the application", units::bytes(silent)));
        }
        _ => {}
    }
    if scope.refused > 0 && refusals_matter(shown) {
        rest.push_str(&format!("; {} calls refused", units::count_short(scope.refused)));
    }
    let head = format!("{what} of the {} that asked for zero-copy was copied", units::bytes(all));
    let by_path = by_path(&scope.paths);
    let long = if by_path.is_empty() { String::new() } else { format!("{head}{by_path}{rest}") };
    let sentence = format!("{head}{rest}");
    let short = format!("{share} of {} copied", units::bytes(all));
    let verdict = match answer {
        Answer::Yes => with_finding(shown, answer, sentence, short),
        _ => with_reason(shown, window, &scope, answer, sentence, short),
    };
    Verdict { long, ..verdict }
}

/// What each send path asked for since tracing began, and how much of that was copied.
fn asked_ever(snapshot: &Snapshot) -> Vec<(Path, u64, Option<u64>)> {
    let send = snapshot.paths.iter().filter(|path| !path.path.receives());
    let asked = send.filter_map(|path| {
        path.ledger.map(|ledger| (path.path, ledger.requested_bytes, ledger.copied_bytes))
    });
    asked.filter(|(_, requested, _)| *requested > 0).collect()
}

/// The share of each path, where paths have different answers; most copied first.
fn by_path(paths: &[(Path, u64, Option<u64>)]) -> String {
    let answer = |(_, requested, copied): &(Path, u64, Option<u64>)| {
        copied.map(|copied| Answer::of(copied, copied.max(*requested)))
    };
    if paths.windows(2).all(|pair| answer(&pair[0]) == answer(&pair[1])) {
        return String::new();
    }
    let mut paths = paths.to_vec();
    paths.sort_by_key(|(path, _, copied)| (Reverse(*copied), *path));
    let share = |(path, requested, copied): &(Path, u64, Option<u64>)| {
        let all = copied.map(|copied| copied.max(*requested));
        format!("{} {}", path.name(), units::percent_or_unknown(*copied, all))
    };
    let named: Vec<String> = paths.iter().take(PATHS_NAMED).map(share).collect();
    let more = if paths.len() > PATHS_NAMED { ", …" } else { "" };
    format!(" ({}{more})", named.join(", "))
}

/// Paths named in the sentence.
const PATHS_NAMED: usize = 3;

/// True when calls are refused for more than a socket that is full for the moment.
pub(super) fn refusals_matter(shown: &Shown) -> bool {
    let refusal = |finding: &Finding| {
        let reason = Reason::from_name(&finding.id);
        finding.id == "enobufs"
            || reason.is_some_and(|reason| reason::info(reason).kind == ReasonKind::Refused)
    };
    shown.findings.iter().any(|finding| finding.severity != Severity::Info && refusal(finding))
}

/// Bytes are copied: the reason of most of them, and its fix.
fn with_reason(
    shown: &Shown,
    window: &Window<'_>,
    scope: &Scope,
    answer: Answer,
    sentence: String,
    short: String,
) -> Verdict {
    let recent = if scope.recent { window.wire_copies() } else { Vec::new() };
    let kinds = if recent.is_empty() { wire_copies(&shown.snapshot) } else { recent };
    let all: u64 = kinds.iter().map(|(_, bytes)| bytes).sum();
    let Some((kind, _)) = kinds.first() else {
        let why = missing(&shown.snapshot, "copy_site").or_else(|| missing(&shown.snapshot, "copy"));
        let why = why.map_or_else(String::new, |why| format!("the reason cannot be seen here: {why}"));
        return Verdict { answer, long: String::new(), sentence, short, why, fix: Vec::new() };
    };
    let of_reason = kinds.iter().filter(|(other, _)| other.reason == kind.reason);
    let share = units::percent(of_reason.map(|(_, bytes)| bytes).sum(), all);
    let mark = if kind.inferred { "~" } else { "" };
    let on = kind.dev.as_ref().map_or_else(String::new, |dev| format!(" on {dev}"));
    let name = kind.reason.name();
    let why = format!("{mark}{name}{on} ({share}): {}", reason::info(kind.reason).meaning);
    let finding = shown.findings.iter().find(|finding| finding.id == name);
    let general = || reason::fix_for(kind.reason, kind.dev.as_deref()).lines().map(str::to_owned).collect();
    Verdict {
        answer,
        long: String::new(),
        sentence,
        short,
        why,
        fix: finding.map_or_else(general, |found| found.fix.clone()),
    }
}

/// Nothing is wrong with the bytes: the most severe finding, if there is one that matters.
fn with_finding(shown: &Shown, answer: Answer, sentence: String, short: String) -> Verdict {
    let matters = |finding: &&Finding| finding.severity != Severity::Info && finding.id != "lost";
    let top = shown.findings.iter().find(matters);
    Verdict {
        answer,
        long: String::new(),
        sentence,
        short,
        why: top.map_or_else(String::new, |finding| format!("but {}", finding.title)),
        fix: top.map_or_else(Vec::new, |finding| finding.fix.clone()),
    }
}

/// Wire copies of all send paths per kind, most bytes first.
fn wire_copies(snapshot: &Snapshot) -> Vec<(Arc<CopyKind>, u64)> {
    let send = snapshot.paths.iter().filter(|path| !path.path.receives());
    let wire = send.flat_map(|path| &path.copies).filter(|copy| !copy.kind.clone);
    let mut kinds: Vec<(Arc<CopyKind>, u64)> = wire.map(|copy| (copy.kind.clone(), copy.bytes)).collect();
    kinds.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    kinds
}

fn missing(snapshot: &Snapshot, fact: &str) -> Option<String> {
    let missing = snapshot.session.missing.iter().find(|missing| missing.fact.starts_with(fact));
    missing.map(|missing| missing.why.clone())
}

pub(super) fn draw(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let verdict = verdict(scene.shown, &super::window(scene));
    let inner = if scene.boxed && area.height >= 4 {
        panel::frame(scene, super::View::Overview.entry().question, "", false, area, buf)
    } else {
        area
    };
    panel::lines(lines(&verdict, scene.theme, inner), inner, buf);
}

/// As much as fits: the sentence first, then the first step of the fix, then why, then the other steps.
pub(in crate::tui) fn lines(verdict: &Verdict, theme: &Theme, area: Rect) -> Vec<Line<'static>> {
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    let word = format!(" {} ", verdict.answer.word());
    let indent = 2.min(width / 20);
    let room = |text: &str, lines: usize| text::wrap(text, width.saturating_sub(indent), lines);
    let style = verdict.answer.style(theme).add_modifier(Modifier::BOLD | Modifier::REVERSED);
    // The word takes part of the first line: wrapped with a stand-in of its width. Later lines are set in.
    let lead = "\u{2588}".repeat(text::width(&word));
    let wrap = |text: &str| text::wrap(&format!("{lead} {text}"), width.saturating_sub(indent), usize::MAX);
    let reserved = usize::from(!verdict.why.is_empty()) + usize::from(!verdict.fix.is_empty());
    let fits = |text: &&String| !text.is_empty() && wrap(text).len() + reserved <= height;
    let wide = || Some(&verdict.sentence).filter(|text| width >= 60 && wrap(text).len() <= height);
    let text = [&verdict.long, &verdict.sentence].into_iter().find(fits).or_else(wide);
    let pad = " ".repeat(indent);
    let styled =
        |line: String, style: Style| Line::from(vec![Span::raw(pad.clone()), Span::styled(line, style)]);
    let mut out = Vec::new();
    for line in wrap(text.unwrap_or(&verdict.short)).into_iter().take(height) {
        out.push(match line.strip_prefix(&lead) {
            Some(rest) => Line::from(vec![
                Span::styled(word.clone(), style),
                Span::styled(rest.to_owned(), theme.title),
            ]),
            None => styled(line, theme.title),
        });
    }
    let mut left = height.saturating_sub(out.len());
    let fixes = usize::from(!verdict.fix.is_empty() && left > 0);
    if !verdict.why.is_empty() && left > fixes {
        let why = room(&verdict.why, left - fixes);
        left -= why.len();
        out.extend(why.into_iter().map(|line| styled(line, theme.text)));
    }
    for step in &verdict.fix {
        let step = room(&format!("fix: {step}"), left);
        let step = &step[..step.len().min(left)];
        left -= step.len();
        out.extend(step.iter().map(|line| styled(line.clone(), theme.accent)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixtures;

    const MINUTE: u64 = 60_000_000_000;

    fn of(shown: &Shown) -> Verdict {
        verdict(shown, &Window::new(shown, MINUTE))
    }

    #[test]
    fn each_state_has_its_answer() {
        let answer = |snapshot| of(&Shown::of(snapshot)).answer;
        assert_eq!(answer(fixtures::healthy()), Answer::Yes);
        assert_eq!(answer(fixtures::copied()), Answer::Partly);
        assert_eq!(answer(fixtures::empty()), Answer::Waiting);
        assert_eq!(answer(fixtures::blind()), Answer::NotKnown);
        let mut plain = fixtures::healthy();
        plain.paths.retain(|path| path.ledger.is_none());
        assert_eq!(answer(plain), Answer::NotAsked);
    }

    #[test]
    fn shares_decide_the_word() {
        assert_eq!(Answer::of(0, 100), Answer::Yes);
        assert_eq!(Answer::of(999, 100_000), Answer::Yes);
        assert_eq!(Answer::of(1, 100), Answer::Partly);
        assert_eq!(Answer::of(89, 100), Answer::Partly);
        assert_eq!(Answer::of(90, 100), Answer::No);
    }

    #[test]
    fn paths_are_named_where_they_differ() {
        let same = [(Path::Sendfile, 100, Some(0)), (Path::MsgZerocopy, 100, Some(0))];
        assert_eq!(by_path(&same), "");
        let differ = [(Path::MsgZerocopy, 100, Some(100)), (Path::Sendfile, 100, Some(0))];
        assert_eq!(by_path(&differ), " (msg_zerocopy 100 %, sendfile 0 %)");
        assert_eq!(by_path(&differ[..1]), "");
    }

    #[test]
    fn the_reason_of_most_bytes_and_its_fix_are_named() {
        let verdict = of(&Shown::of(fixtures::copied()));
        assert!(verdict.sentence.contains("65.1 % of the 9.21 GiB"), "{verdict:?}");
        assert!(verdict.why.starts_with("no_scatter_gather on eth0 (83.3 %)"), "{verdict:?}");
        assert_eq!(verdict.fix, ["ethtool -K eth0 sg on tso on"]);
    }

    /// After the fix the answer changes, though most bytes since the begin were copied.
    #[test]
    fn the_window_decides_and_not_the_past() {
        let mut shown = Shown::of(fixtures::copied());
        let mut later = fixtures::copied();
        later.duration_ns += 10_000_000_000;
        for ledger in later.paths.iter_mut().filter_map(|path| path.ledger.as_mut()) {
            ledger.requested_bytes += 1 << 30;
            ledger.zerocopied_bytes = ledger.zerocopied_bytes.map(|bytes| bytes + (1 << 30));
        }
        shown.advance(later);
        let verdict = of(&shown);
        assert_eq!(verdict.answer, Answer::Yes);
        assert!(verdict.sentence.contains("nothing of the"), "{verdict:?}");
        assert!(verdict.sentence.contains("in the last 60 s"), "{verdict:?}");
    }

    #[test]
    fn an_idle_window_says_so_and_tells_of_the_past() {
        let mut shown = Shown::of(fixtures::copied());
        let mut later = fixtures::copied();
        later.duration_ns += 10_000_000_000;
        shown.advance(later);
        let verdict = of(&shown);
        assert_eq!(verdict.answer, Answer::Partly);
        assert!(verdict.sentence.contains("nothing was asked for in the last 60 s"), "{verdict:?}");
    }

    #[test]
    fn the_smallest_screen_holds_answer_and_fix() {
        let verdict = of(&Shown::of(fixtures::copied()));
        let lines = lines(&verdict, &Theme::mono(), Rect::new(0, 0, 20, 4));
        let text: Vec<String> = lines.iter().map(ToString::to_string).collect();
        assert!(
            text.len() <= 4 && text[0].contains("PARTLY") && text.iter().any(|l| l.contains("fix:")),
            "{text:?}"
        );
        assert!(text.iter().all(|line| text::width(line) <= 20), "{text:?}");
    }
}
