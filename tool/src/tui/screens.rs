//! Whole screens: as text snapshots at several sizes, and drawn at every size without a panic.

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::app::{App, Intent};
use super::clock::Pace;
use super::shown::Shown;
use super::theme::Theme;
use super::views::overview::Panel;
use super::{draw, fixtures};
use crate::model::snapshot::Snapshot;

const SIZES: [(u16, u16); 5] = [(80, 24), (120, 40), (200, 60), (40, 12), (20, 5)];

fn screen(app: &App, snapshot: &Snapshot, width: u16, height: u16) -> TestBackend {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test terminal");
    terminal
        .draw(|frame| draw(frame, app, &Shown::of(snapshot.clone())))
        .expect("a test terminal never fails");
    terminal.backend().clone()
}

fn app(intents: &[Intent]) -> App {
    let mut app = App::new(Theme::colour());
    let shown = Shown::default();
    intents.iter().for_each(|intent| app.handle(*intent, &shown));
    app
}

fn text(app: &App, snapshot: &Snapshot, width: u16, height: u16) -> String {
    screen(app, snapshot, width, height).to_string()
}

#[test]
fn fixtures_at_all_sizes() {
    let fixtures = [
        ("healthy", fixtures::healthy()),
        ("copied", fixtures::copied()),
        ("empty", fixtures::empty()),
        ("many", fixtures::many(1000)),
    ];
    for (name, snapshot) in fixtures {
        for (width, height) in SIZES {
            insta::assert_snapshot!(
                format!("{name}_{width}x{height}"),
                screen(&app(&[]), &snapshot, width, height)
            );
        }
    }
}

#[test]
fn help_at_two_sizes() {
    let app = app(&[Intent::Help]);
    insta::assert_snapshot!("help_120x40", screen(&app, &fixtures::copied(), 120, 40));
    insta::assert_snapshot!("help_40x12", screen(&app, &fixtures::copied(), 40, 12));
}

#[test]
fn unknown_is_never_zero() {
    insta::assert_snapshot!("blind_120x40", screen(&app(&[]), &fixtures::blind(), 120, 40));
}

#[test]
fn every_size_is_drawn_without_a_panic() {
    let snapshots = [fixtures::copied(), fixtures::empty(), fixtures::many(30), fixtures::blind()];
    for snapshot in &snapshots {
        for panel in Panel::ALL {
            for help in [false, true] {
                let mut app = app(&[Intent::Scroll(5), Intent::Freeze]);
                app.states.overview.focus = panel;
                app.help = help;
                for (width, height) in
                    (1..=220).step_by(13).flat_map(|w| (1..=70).step_by(5).map(move |h| (w, h)))
                {
                    let _ = screen(&app, snapshot, width, height);
                }
            }
        }
    }
}

#[test]
fn pause_loss_and_missing_facts_stay_visible_on_the_smallest_screen() {
    let mut frozen = Shown::of(fixtures::copied());
    frozen.clock.pace = Pace::Frozen;
    let mut terminal = Terminal::new(TestBackend::new(20, 5)).expect("a test terminal");
    terminal.draw(|frame| draw(frame, &app(&[]), &frozen)).expect("a test terminal never fails");
    let lines = terminal.backend().to_string();
    let header = lines.lines().next().expect("a header").to_owned();
    assert!(header.contains("FROZEN") && header.contains("LOST"), "{header}");
    let header = text(&app(&[]), &fixtures::copied(), 80, 24).lines().next().expect("a header").to_owned();
    assert!(header.contains("LOST 1,234 events") && header.contains("2 facts missing"), "{header}");
}

#[test]
fn control_characters_do_not_reach_the_screen() {
    let lines = text(&app(&[]), &fixtures::many(60), 200, 60);
    assert!(!lines.contains('\x1b') && lines.contains("evil[31mname"));
}

#[test]
fn the_moving_fixture_stays_true() {
    for tick in [1, 2, 300] {
        let t = super::totals::Totals::of(&fixtures::moving(tick, 5).paths);
        let parts = [t.zerocopied, t.copied, t.in_flight.map(|f| f.bytes)];
        assert_eq!(parts.into_iter().sum::<Option<u64>>(), Some(t.requested));
    }
}

#[test]
fn figures_do_not_jump() {
    // The same heading at the same place, whatever the data.
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        let heading = |snapshot: &Snapshot| {
            let lines = text(&app(&[]), snapshot, width, height);
            lines.lines().find(|l| l.contains("path ") && l.contains("rate")).map(str::to_owned)
        };
        assert_eq!(heading(&fixtures::healthy()), heading(&fixtures::many(40)));
    }
}

/// The whole way from samples: what the model makes of them arrives on the screen under the right words.
#[test]
fn samples_reach_the_screen_through_the_model() {
    use crate::model::Model;
    use crate::model::sample::{Sample, SocketSample};
    use zcscope_common::{FlowCounters, Path};

    let mut model = Model::new(fixtures::healthy().session);
    for second in 0..=4u64 {
        let done = second * 125_000_000;
        let flow = FlowCounters {
            calls: second,
            bytes: done,
            zc_sends: second,
            completed_sends: second,
            completed_bytes: done,
            ..FlowCounters::default()
        };
        let socket = SocketSample {
            id: 1,
            cookie: None,
            pid: 77,
            comm: "sender".into(),
            local: ([10, 0, 0, 1], 5).into(),
            remote: ([10, 0, 0, 2], 6).into(),
            dev: Some("eth0".into()),
            netns: 1,
            cgroup: 0,
            uid: 0,
            gauges: zcscope_common::Gauges::default(),
            flows: vec![(Path::MsgZerocopy, flow)],
        };
        model.absorb(Sample { at_ns: second * 1_000_000_000, sockets: vec![socket], ..Sample::default() });
    }
    let lines = text(&app(&[]), &model.snapshot(), 120, 40);
    let line = |word: &str| lines.lines().find(|l| l.contains(word)).unwrap_or_default().to_owned();
    assert!(line("sender").contains("1.00 Gbit/s"), "{lines}");
    assert!(line("requested").contains("477 MiB  100 %"), "{lines}");
    assert!(line("zero-copied").contains("n/a") || line("zero-copied").contains("477 MiB  100 %"), "{lines}");
}
