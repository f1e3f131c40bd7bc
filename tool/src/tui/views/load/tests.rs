//! The view Load as text, in every state.

use std::time::Duration;

use super::*;
use crate::tui::generator::{
    LoadCopied, LoadProgress, LoadRun, LoadSettings, LoadTarget, LoadTold, LoadVerdict,
};
use crate::tui::view_tests::{draws_everywhere, screen};
use crate::tui::views::View;
use crate::tui::{fixtures, view_tests};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (40, 12)];

pub(super) fn run() -> LoadRun {
    LoadRun {
        path: "msg_zerocopy".into(),
        size: 64 << 10,
        streams: 1,
        target: "10.0.0.2:5201".into(),
        bytes: 30 << 30,
        ns: 10_000_000_000,
        gbit_s: 25.77,
        cpu_s_per_gb: Some(0.112),
        copied: Some(LoadCopied { share: 0.0, by: "kernel".into(), inferred: false }),
        p99_ns: Some(812_000),
        enobufs: 0,
        verdict: LoadVerdict::ZeroCopied,
        functional_only: false,
        stopped: false,
        untraced: None,
    }
}

fn copied_on_veth() -> LoadRun {
    LoadRun {
        target: "veth".into(),
        gbit_s: 31.0,
        copied: Some(LoadCopied { share: 1.0, by: "kernel".into(), inferred: true }),
        verdict: LoadVerdict::Copied,
        functional_only: true,
        ..run()
    }
}

fn baseline() -> LoadRun {
    LoadRun {
        path: "copy".into(),
        cpu_s_per_gb: Some(0.302),
        copied: None,
        p99_ns: None,
        verdict: LoadVerdict::Baseline,
        stopped: true,
        ..run()
    }
}

fn measuring() -> LoadState {
    LoadState::Running(LoadProgress {
        warm_up: false,
        elapsed: Duration::from_millis(3250),
        limit: Duration::from_secs(10),
        bytes: 11 << 30,
        told: Some(LoadTold { ended: 180_224, copied: 180_224, p99_ns: 812_000 }),
        enobufs: 3,
    })
}

fn failed() -> LoadState {
    LoadState::Failed("cannot connect to 10.0.0.2:5201: connection refused; start a sink there".into())
}

/// The view with a generator, after it was told these states, and these intents.
fn app(shown: &Shown, states: &[LoadState], intents: &[Intent]) -> App {
    let mut app = view_tests::app(View::Load, shown, &[]);
    let about = "send(2) with MSG_ZEROCOPY; ends read from the error queue";
    app.states.load.offer(Some(vec![
        LoadPath { name: "copy", about: "send(2): the kernel copies every byte (the baseline)" },
        LoadPath { name: "msg_zerocopy", about },
    ]));
    states.iter().for_each(|state| app.states.load.hear(state.clone()));
    intents.iter().for_each(|intent| app.handle(*intent, shown));
    app
}

fn states() -> [(&'static str, Vec<LoadState>); 5] {
    let done = [baseline(), run(), copied_on_veth()].map(LoadState::Done);
    [
        ("idle", vec![]),
        ("connecting", vec![LoadState::Connecting]),
        ("running", vec![measuring()]),
        ("done", done.into()),
        ("failed", vec![LoadState::Done(run()), failed()]),
    ]
}

#[test]
fn every_state_at_all_sizes() {
    let shown = Shown::of(fixtures::healthy());
    for (name, states) in states() {
        for size in SIZES {
            let screen = screen(&app(&shown, &states, &[]), &shown, size);
            insta::assert_snapshot!(format!("{name}_{}x{}", size.0, size.1), screen);
        }
    }
}

#[test]
fn without_a_generator_it_says_so() {
    let mut shown = Shown::of(fixtures::healthy());
    let text = |shown: &Shown| screen(&view_tests::app(View::Load, shown, &[]), shown, (80, 24)).to_string();
    assert!(text(&shown).contains("nothing can be started from this screen"));
    shown.clock.pace = Pace::Paused;
    assert!(text(&shown).contains("a recording has nothing to start"));
}

#[test]
fn every_size_is_drawn_without_a_panic() {
    let shown = Shown::of(fixtures::healthy());
    for (_, states) in states() {
        draws_everywhere(&app(&shown, &states, &[]), &shown);
        draws_everywhere(&app(&shown, &states, &[Intent::NextPanel, Intent::Scroll(9)]), &shown);
    }
    let writing = app(&shown, &[], &[Intent::Scroll(isize::MAX), Intent::Adjust(-1)]);
    draws_everywhere(&writing, &shown);
}

#[test]
fn the_key_starts_and_stops() {
    let shown = Shown::default();
    let mut started = app(&shown, &[], &[Intent::Scroll(1), Intent::Adjust(1), Intent::Toggle]);
    let effects = started.take_effects();
    let settings = LoadSettings {
        path: "msg_zerocopy",
        size: 128 << 10,
        streams: 1,
        duration: Duration::from_secs(10),
        target: LoadTarget::Veth,
    };
    assert!(matches!(&effects[..], [Effect::StartLoad(asked)] if *asked == settings), "{effects:?}");
    let mut stopped = app(&shown, &[measuring()], &[Intent::Toggle]);
    assert!(matches!(stopped.take_effects()[..], [Effect::StopLoad, Effect::Say(_)]));
}
