//! The view as a whole: screens as text, and what keys do to it.

use std::sync::Arc;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use zcscope_common::{Hist, Path};

use super::columns::About;
use super::group::{Grouping, Listing};
use super::order::{Place, Rows, Sort};
use super::subject::{Figure, Member, Subject};
use crate::model::snapshot::{Completions, Limit, Percentiles, ProcessFigures, Snapshot, SocketFigures};
use crate::model::sparse::SparseHist;
use crate::query::Query;
use crate::tui::app::{App, Intent};
use crate::tui::effect::Effect;
use crate::tui::fixtures;
use crate::tui::shown::Shown;
use crate::tui::theme::Theme;
use crate::tui::views::input::Typed;
use crate::tui::views::{View, draw};

const SIZES: [(u16, u16); 5] = [(80, 24), (120, 40), (200, 60), (40, 12), (20, 5)];

/// Durations around `ns`, `count` of them.
fn durations(ns: u64, count: u64) -> Arc<SparseHist> {
    let mut hist = Hist::default();
    (0..count)
        .for_each(|i| hist.record(ns / 2 + ns * (i % 97) / 97 + if i % 40 == 0 { 40_000_000 } else { 0 }));
    Arc::new(SparseHist::of(&hist))
}

/// [`fixtures::moving`] with what the page of a flow needs: durations per socket, and its processes.
fn moving(tick: u64, more: u64) -> Snapshot {
    let mut snapshot = fixtures::moving(tick, more);
    for socket in &mut snapshot.sockets {
        for figures in &mut Arc::make_mut(socket).paths {
            if let Some(ends) = &mut figures.completions {
                let release = durations(80_000, 400 + tick * 40);
                ends.sends = release.count;
                ends.latency = percentiles(&release);
                ends.release = Some(release);
            }
        }
    }
    snapshot.processes = processes(&snapshot.sockets);
    snapshot
}

fn percentiles(release: &SparseHist) -> Option<Percentiles> {
    let hist = release.widen();
    let at = |per_mille| hist.percentile(per_mille);
    Some(Percentiles {
        count: hist.count,
        min: hist.min()?,
        p50: at(500)?,
        p90: at(900)?,
        p99: at(990)?,
        p999: at(999)?,
        max: hist.max,
    })
}

fn processes(sockets: &[Arc<SocketFigures>]) -> Vec<ProcessFigures> {
    let process = |socket: &SocketFigures| ProcessFigures {
        pid: socket.pid,
        comm: socket.comm.clone(),
        place: socket.place.clone(),
        gauges: socket.gauges.as_deref().copied(),
        memlock_limit: Some(Limit::Bytes(8 << 20)),
        paths: socket.paths.clone(),
    };
    sockets.iter().map(|socket| process(socket)).collect()
}

/// A quarter of a minute of it.
fn shown(more: u64) -> Shown {
    let mut shown = Shown::of(moving(200, more));
    (201..=260).for_each(|tick| shown.advance(moving(tick, more)));
    shown
}

fn app(shown: &Shown, intents: &[Intent]) -> App {
    let mut app = App::new(Theme::colour());
    app.view = View::Flows;
    intents.iter().for_each(|intent| app.handle(*intent, shown));
    app
}

fn write(app: &mut App, shown: &Shown, text: &str) {
    app.handle(Intent::Filter, shown);
    app.states.flows.input.set(text);
    app.handle(Intent::Typed(Typed::Changed), shown);
}

fn screen(app: &App, shown: &Shown, (width, height): (u16, u16)) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test terminal");
    terminal.draw(|frame| draw(frame, app, shown)).expect("a test terminal never fails");
    terminal.backend().to_string()
}

fn at_sizes(name: &str, app: &App, shown: &Shown) {
    for size in SIZES {
        insta::assert_snapshot!(format!("{name}_{}x{}", size.0, size.1), screen(app, shown, size));
    }
}

#[test]
fn flat() {
    let shown = shown(60);
    at_sizes("flat", &app(&shown, &[Intent::Scroll(3)]), &shown);
}

#[test]
fn grouped() {
    let shown = shown(60);
    at_sizes("grouped", &app(&shown, &[Intent::Group, Intent::Group, Intent::Group]), &shown);
}

#[test]
fn tree() {
    let shown = shown(10);
    at_sizes("tree", &app(&shown, &[Intent::Group, Intent::Tree, Intent::Scroll(1)]), &shown);
}

#[test]
fn by_path() {
    let shown = shown(10);
    let mut app = app(&shown, &[]);
    app.states.flows.grouping = Grouping::Paths;
    insta::assert_snapshot!("by_path_120x40", screen(&app, &shown, (120, 40)));
}

#[test]
fn filtered_with_an_error() {
    let shown = shown(60);
    let mut app = app(&shown, &[]);
    write(&mut app, &shown, "path:sendfile");
    write(&mut app, &shown, "path:sendfile cpied>1% port:443");
    at_sizes("filter_error", &app, &shown);
    write(&mut app, &shown, "path:sendfile co");
    at_sizes("filter_hints", &app, &shown);
}

#[test]
fn page_of_a_socket() {
    let shown = shown(5);
    let mut app = app(&shown, &[]);
    super::open_socket(&mut app, &shown, 1);
    watch(&mut app, 5);
    at_sizes("page", &app, &shown);
}

/// Hands every moment of [`shown`] to the open page, as the loop does when a page asks for the past.
fn watch(app: &mut App, more: u64) {
    for effect in app.take_effects() {
        if let Effect::Recall { each, .. } = effect {
            (200..260).for_each(|tick| each(app, &moving(tick, more)));
        }
    }
}

#[test]
fn page_of_a_process() {
    let shown = shown(5);
    let mut app = app(&shown, &[Intent::Group, Intent::Open]);
    assert!(app.states.flows.page.is_some());
    watch(&mut app, 5);
    insta::assert_snapshot!("process_page_120x40", screen(&app, &shown, (120, 40)));
}

#[test]
fn unknown_is_never_zero() {
    let blind = Shown::of(fixtures::blind());
    insta::assert_snapshot!("blind_120x40", screen(&app(&blind, &[]), &blind, (120, 40)));
    let page = app(&blind, &[Intent::Open]);
    insta::assert_snapshot!("blind_page_120x40", screen(&page, &blind, (120, 40)));
}

#[test]
fn every_size_is_drawn_without_a_panic() {
    let shown = [shown(20), Shown::of(fixtures::empty()), Shown::of(fixtures::blind())];
    let states: [&[Intent]; 4] = [
        &[Intent::Scroll(9)],
        &[Intent::Group, Intent::Tree, Intent::Scroll(7)],
        &[Intent::Open],
        &[Intent::Filter],
    ];
    for shown in &shown {
        for intents in states {
            let app = app(shown, intents);
            for width in (1..=220).step_by(13) {
                for height in (1..=70).step_by(7) {
                    screen(&app, shown, (width, height));
                }
            }
        }
    }
}

#[test]
fn a_group_shows_the_sums_of_its_members_and_unknown_stays_unknown() {
    let mut sockets = fixtures::many(30).sockets;
    let all: Vec<Member> = (0..30).map(|socket| Member { socket, path: None }).collect();
    let totals = Subject::of(&sockets, &all).totals();
    let sum = |of: fn(&Subject<'_>) -> u64| {
        all.iter().map(|member| of(&Subject::of(&sockets, std::slice::from_ref(member)))).sum::<u64>()
    };
    assert_eq!(totals.bytes, sum(|s| s.totals().bytes));
    assert_eq!(totals.copied, Some(sum(|s| s.totals().copied.expect("known"))));
    let ledger = Arc::make_mut(&mut sockets[7]).paths[0].ledger.as_mut().expect("a ledger");
    ledger.copied_bytes = None;
    let group = Subject::of(&sockets, &all);
    assert_eq!(group.totals().copied, None);
    assert_eq!(group.totals().copied_share(), "n/a");
}

#[test]
fn what_is_sent_and_received_is_never_added_up() {
    let mut sockets = fixtures::many(2).sockets;
    Arc::make_mut(&mut sockets[1]).paths = fixtures::receiving();
    let all = [0, 1].map(|socket| Member { socket, path: None });
    let group = Subject::of(&sockets, &all);
    assert!(group.receives() && group.both_ways());
    assert_eq!(group.bytes(), fixtures::receiving().iter().map(|p| p.bytes).sum::<u64>());
    assert_eq!(group.totals().bytes, group.bytes());
    assert!(group.main_path().is_some_and(|(path, others)| path.receives() && others == 3));
}

#[test]
fn percentiles_of_a_group_are_of_all_its_releases_or_unknown() {
    let ends = |release: Option<Arc<SparseHist>>, sends| {
        let latency = release.as_deref().and_then(percentiles);
        Some(Box::new(Completions { sends, release, latency, ..Completions::default() }))
    };
    let mut sockets = fixtures::many(3).sockets;
    let set = |sockets: &mut Vec<Arc<SocketFigures>>, at: usize, ends| {
        Arc::make_mut(&mut sockets[at]).paths[0].completions = ends;
    };
    set(&mut sockets, 0, ends(Some(durations(50_000, 1_000)), 1_000));
    set(&mut sockets, 1, ends(Some(durations(9_000_000, 10)), 10));
    set(&mut sockets, 2, ends(None, 0));
    let all = [0, 1, 2].map(|socket| Member { socket, path: None });
    let held = |sockets: &[Arc<SocketFigures>], members: &[Member]| Subject::of(sockets, members).held_p99();
    let both = held(&sockets, &all).known().expect("known");
    let slow = held(&sockets, &all[1..2]).known().expect("known");
    let fast = held(&sockets, &all[..1]).known().expect("known");
    assert!(fast <= both && both <= slow.max(fast), "{fast} {both} {slow}");
    // One socket whose durations found no room makes that of the group unknown.
    set(&mut sockets, 2, ends(None, 5));
    assert_eq!(held(&sockets, &all), Figure::Unknown);
    let plain = [Member { socket: 0, path: Some(Path::Copy) }];
    assert_eq!(held(&sockets, &plain), Figure::NotApplicable);
}

#[test]
fn every_window_equals_the_whole_list_in_order() {
    let sockets = fixtures::many(120).sockets;
    for grouping in Grouping::ALL {
        let listing = Listing::build(&sockets, &Query::default(), grouping);
        for (by, reverse) in [
            (About::Rate, false),
            (About::Copied, false),
            (About::Copied, true),
            (About::Remote, false),
            (About::Name, true),
            (About::Held, false),
            (About::Group, false),
        ] {
            let sort = Sort { by, reverse };
            let rows = Rows::new(&sockets, &listing, sort, |_| true);
            let all = rows.window(0, usize::MAX);
            assert_eq!(all.len(), rows.len());
            for (first, count) in [(0, 10), (3, 40), (rows.len() - 1, 5), (rows.len(), 5), (50, 0)] {
                let window: Vec<Place> = all.iter().copied().skip(first).take(count).collect();
                assert_eq!(rows.window(first, count), window, "{grouping:?} {sort:?} {first}+{count}");
            }
            for (row, place) in all.iter().enumerate() {
                assert_eq!(rows.row_of(&rows.id_of(*place)), Some(row), "{grouping:?} {sort:?}");
            }
        }
    }
}

#[test]
fn rows_are_in_the_order_of_their_column_and_unknown_comes_last() {
    let mut sockets = fixtures::many(50).sockets;
    let ledger = Arc::make_mut(&mut sockets[0]).paths[0].ledger.as_mut().expect("a ledger");
    ledger.copied_bytes = None;
    let listing = Listing::build(&sockets, &Query::default(), Grouping::Sockets);
    for reverse in [false, true] {
        let rows = Rows::new(&sockets, &listing, Sort { by: About::CopiedBytes, reverse }, |_| true);
        let copied: Vec<Option<u64>> =
            rows.window(0, 50).iter().map(|place| rows.subject(*place).totals().copied).collect();
        let known: Vec<u64> = copied[..49].iter().map(|c| c.expect("known")).collect();
        assert_eq!(copied[49], None);
        assert!(known.is_sorted_by(|a, b| if reverse { a <= b } else { a >= b }));
    }
}

#[test]
fn groups_hold_every_socket_that_passes_once() {
    let sockets = fixtures::many(90).sockets;
    let query = Query::parse("dev:lo").expect("a filter");
    for grouping in Grouping::ALL.into_iter().filter(|g| *g != Grouping::Paths) {
        let listing = Listing::build(&sockets, &query, grouping);
        let mut members: Vec<u32> =
            listing.groups.iter().flat_map(|g| &g.members).map(|m| m.socket).collect();
        members.sort_unstable();
        let wanted: Vec<u32> = (0..90).filter(|i| i % 5 != 0).collect();
        assert_eq!((members, listing.sockets), (wanted, 72));
    }
}

#[test]
fn the_cursor_stays_with_its_flow_and_at_the_top_with_the_top() {
    let (first, later) = (Shown::of(moving(10, 40)), Shown::of(moving(33, 40)));
    let mut app = app(&first, &[]);
    let top = |app: &App, shown: &Shown| app.states.flows.current(shown);
    assert_eq!(app.states.flows.row(&rows(&app, &later)), 0);
    app.handle(Intent::Scroll(7), &first);
    let picked = top(&app, &first);
    assert_eq!(top(&app, &later), picked);
    app.handle(Intent::Scroll(isize::MIN), &later);
    assert_eq!(app.states.flows.row(&rows(&app, &first)), 0);
    // Who is filtered away leaves the cursor in place.
    app.handle(Intent::Scroll(isize::MAX), &later);
    write(&mut app, &later, "dev:eth0");
    assert!(top(&app, &later).is_some());

    fn rows<'a>(app: &App, shown: &'a Shown) -> Rows<'a> {
        // Leaked: a test.
        let listing: &'a Listing = Box::leak(Box::new((*app.states.flows.listing(shown)).clone()));
        app.states.flows.rows(shown, listing)
    }
}

#[test]
fn groups_fold_and_unfold() {
    let shown = Shown::of(moving(10, 40));
    let mut app = app(&shown, &[Intent::Group, Intent::Group]);
    let len = |app: &App| {
        let listing = app.states.flows.listing(&shown);
        app.states.flows.rows(&shown, &listing).len()
    };
    let closed = len(&app);
    app.handle(Intent::Open, &shown);
    let open = len(&app);
    assert!(open > closed);
    app.handle(Intent::Adjust(-1), &shown);
    assert_eq!(len(&app), closed);
    app.handle(Intent::Adjust(1), &shown);
    app.handle(Intent::Scroll(1), &shown);
    // From a member, back to its group and shut.
    app.handle(Intent::Adjust(-1), &shown);
    assert_eq!((len(&app), app.view), (closed, View::Flows));
    app.handle(Intent::Tree, &shown);
    assert!(len(&app) > open);
    app.handle(Intent::Tree, &shown);
    assert_eq!(len(&app), closed);
}

#[test]
fn escape_closes_one_thing_at_a_time() {
    let shown = Shown::of(moving(10, 10));
    let mut app = app(&shown, &[]);
    write(&mut app, &shown, "dev:eth0");
    app.handle(Intent::Typed(Typed::Accepted), &shown);
    app.handle(Intent::Open, &shown);
    let open = |app: &App| (app.states.flows.page.is_some(), !app.states.flows.query.is_empty());
    assert_eq!(open(&app), (true, true));
    app.handle(Intent::Close, &shown);
    assert_eq!(open(&app), (false, true));
    app.handle(Intent::Close, &shown);
    assert_eq!(open(&app), (false, false));
}

#[test]
fn a_wrong_filter_leaves_the_last_good_one() {
    let shown = Shown::of(moving(10, 10));
    let mut app = app(&shown, &[]);
    write(&mut app, &shown, "dev:eth0");
    write(&mut app, &shown, "dev:eth0 rate>");
    assert_eq!(app.states.flows.query.text(), "dev:eth0");
    assert!(app.states.flows.error.is_some());
    app.handle(Intent::Typed(Typed::Accepted), &shown);
    assert_eq!(app.states.flows.input.text(), "dev:eth0");
    app.states.flows.input.set("path:sendf");
    app.handle(Intent::Typed(Typed::Complete), &shown);
    assert_eq!(app.states.flows.query.text(), "path:sendfile");
}

#[test]
fn a_row_is_copied_with_its_headings() {
    let shown = Shown::of(fixtures::copied());
    let mut app = app(&shown, &[Intent::CopyRow]);
    let effects = app.take_effects();
    let [Effect::Copy { text, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(text.contains("name: feedd, local: 10.9.0.1:41822, remote: 10.9.0.2:9999"), "{text}");
}
