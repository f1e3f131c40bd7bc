//! The verdict of made-up states.

use ratatui::layout::Rect;
use zcscope_common::Path;

use super::scope::by_path;
use super::*;
use crate::tui::theme::Theme;
use crate::tui::{fixtures, text};

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
