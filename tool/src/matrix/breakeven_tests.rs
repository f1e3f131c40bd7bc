//! Break-even on constructed data: found, none, noise, copied, and every refusal.

use super::super::fixture::{Behaviour, made};
use super::*;

const SIZES: [u64; 5] = [1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10];

/// `copy` costs 1 everywhere, the path what `costs` says; rates are the inverse.
fn cells(costs: [f64; 5], scatter: f64, copied: [f64; 5], runs: u64) -> Vec<CellReport> {
    let behave = |machine: f64, copied| Behaviour { gbit_s: 10.0 / machine, machine, scatter, copied };
    let mut cells = Vec::new();
    for (index, size) in SIZES.into_iter().enumerate() {
        cells.push(made("copy", Class::Copies, size, behave(1.0, 0.0), runs));
        cells.push(made("msg_zerocopy", Class::Told, size, behave(costs[index], copied[index]), runs));
    }
    cells
}

fn outcomes(cells: &[CellReport]) -> (Outcome, Outcome) {
    let mut found = break_even(cells, false, 1);
    assert_eq!(found.len(), 1);
    let found = found.remove(0);
    (found.machine_s_per_gb, found.gbit_s)
}

/// Better from `size` on.
fn at(size: u64, above: Option<u64>, high: Option<u64>) -> Outcome {
    Outcome::At { size, above, high, not_separable_at: vec![], worse_at: vec![] }
}

const FALLING: [f64; 5] = [3.0, 2.0, 0.8, 0.5, 0.3];
const CLEAN: [f64; 5] = [0.0; 5];

#[test]
fn the_smallest_better_size_is_found_with_its_interval() {
    let (cpu, rate) = outcomes(&cells(FALLING, 0.01, CLEAN, 5));
    let at = at(16 << 10, Some(4 << 10), Some(16 << 10));
    assert_eq!(cpu, at);
    assert_eq!(rate, at);
}

#[test]
fn a_size_that_overlaps_is_in_the_interval_and_not_the_answer() {
    let (cpu, _) = outcomes(&cells([3.0, 0.98, 0.8, 0.5, 0.3], 0.02, CLEAN, 5));
    assert_eq!(cpu, at(16 << 10, Some(1 << 10), Some(16 << 10)));
}

#[test]
fn better_from_the_smallest_size_on_may_begin_lower_still() {
    let (cpu, _) = outcomes(&cells([0.5; 5], 0.01, CLEAN, 5));
    assert_eq!(cpu, at(1 << 10, None, Some(1 << 10)));
}

#[test]
fn none_up_to_the_largest_size() {
    let (cpu, rate) = outcomes(&cells([3.0, 3.0, 2.0, 2.0, 1.5], 0.01, CLEAN, 5));
    assert_eq!(cpu, Outcome::None { up_to: 256 << 10 });
    assert_eq!(rate, Outcome::None { up_to: 256 << 10 });
}

#[test]
fn noise_is_not_separable() {
    let (cpu, _) = outcomes(&cells([1.02, 0.99, 1.0, 0.98, 1.01], 0.2, CLEAN, 5));
    assert_eq!(cpu, Outcome::NotSeparable { worse_at: vec![] });
    let (cpu, _) = outcomes(&cells([3.0, 2.0, 1.0, 1.0, 0.99], 0.1, CLEAN, 5));
    assert_eq!(cpu, Outcome::NotSeparable { worse_at: vec![1 << 10, 4 << 10] });
    let (cpu, _) = outcomes(&cells([1.0, 1.0, 1.0, 1.0, 3.0], 0.1, CLEAN, 5));
    assert_eq!(cpu, Outcome::NotSeparable { worse_at: vec![256 << 10] }, "not only below");
}

#[test]
fn worse_again_at_a_larger_size_is_said() {
    let (cpu, _) = outcomes(&cells([3.0, 0.5, 0.5, 1.0, 2.0], 0.01, CLEAN, 5));
    let Outcome::At { size, not_separable_at, worse_at, .. } = cpu else { panic!("{cpu:?}") };
    assert_eq!((size, not_separable_at, worse_at), (4 << 10, vec![64 << 10], vec![256 << 10]));
}

#[test]
fn a_copied_path_has_no_break_even_however_fast_it_is() {
    let found = break_even(&cells([0.1; 5], 0.01, [1.0; 5], 5), false, 1);
    assert_eq!((&found[0].machine_s_per_gb, &found[0].gbit_s), (&Outcome::Copied, &Outcome::Copied));
    assert_eq!(found[0].copied_sizes, SIZES);
}

#[test]
fn copied_sizes_are_left_out() {
    let found = break_even(&cells([0.1, 0.1, 2.0, 0.5, 0.5], 0.01, [1.0, 1.0, 0.0, 0.0, 0.0], 5), false, 1);
    assert_eq!(found[0].copied_sizes, [1 << 10, 4 << 10]);
    assert_eq!(found[0].machine_s_per_gb, at(64 << 10, Some(16 << 10), Some(64 << 10)));
    let found = break_even(&cells([0.1, 0.1, 0.5, 0.5, 0.5], 0.01, [1.0, 1.0, 0.0, 0.0, 0.0], 5), false, 1);
    let above = Some(4 << 10);
    assert_eq!(found[0].machine_s_per_gb, at(16 << 10, above, Some(16 << 10)), "no gain where it is copied");
}

#[test]
fn refusals() {
    let good = cells(FALLING, 0.01, CLEAN, 5);
    let cpu = |cells: &[CellReport]| break_even(cells, false, 1).remove(0).machine_s_per_gb;
    assert_eq!(cpu(&cells(FALLING, 0.01, CLEAN, 4)), Outcome::TooFewRuns { needed: 5 });
    let alone: Vec<_> = good.iter().filter(|cell| cell.key.path != BASELINE).cloned().collect();
    assert_eq!(cpu(&alone), Outcome::NoBaseline);
    let mut unproven = good.clone();
    unproven.iter_mut().for_each(|cell| cell.verdict = Verdict::Unproven);
    assert_eq!(cpu(&unproven), Outcome::Unproven);
    unproven.iter_mut().for_each(|cell| cell.verdict = Verdict::Failed);
    assert_eq!(cpu(&unproven), Outcome::Failed);
}

#[test]
fn on_one_host_it_is_marked() {
    let good = cells(FALLING, 0.01, CLEAN, 5);
    let (here, there) = (break_even(&good, true, 1).remove(0), break_even(&good, false, 1).remove(0));
    assert_eq!((here.functional_only, there.functional_only), (true, false));
    assert_eq!(here.machine_s_per_gb, there.machine_s_per_gb);
}

#[test]
fn what_sends_files_is_compared_with_reading_and_writing_them_too() {
    let mut cells = cells([1.4, 1.3, 1.2, 1.2, 1.2], 0.01, CLEAN, 5);
    cells.iter_mut().filter(|cell| cell.key.path != BASELINE).for_each(|cell| {
        (cell.key.path, cell.class) = ("sendfile".into(), Class::Untold);
    });
    let dear = Behaviour { gbit_s: 5.0, machine: 2.0, scatter: 0.01, copied: 0.0 };
    cells.extend(SIZES.map(|size| made("read_write", Class::Copies, size, dear, 5)));
    let found = break_even(&cells, false, 1);
    let answers: Vec<_> =
        found.iter().map(|found| (found.baseline.as_str(), &found.machine_s_per_gb)).collect();
    let none = Outcome::None { up_to: 256 << 10 };
    assert_eq!(answers, [("copy", &none), ("read_write", &at(1 << 10, None, Some(1 << 10)))]);
    let sent: Vec<_> = cells.iter().filter(|cell| cell.class == Class::Untold).cloned().collect();
    assert_eq!(break_even(&sent, false, 1).len(), 1, "only where it was run");
}

#[test]
fn streams_and_depths_are_groups_of_their_own() {
    let mut both = cells(FALLING, 0.01, CLEAN, 5);
    let mut four = cells([3.0, 3.0, 2.0, 2.0, 1.5], 0.01, CLEAN, 5);
    four.iter_mut().for_each(|cell| cell.key.streams = 4);
    both.extend(four);
    let found = break_even(&both, false, 1);
    assert_eq!(found.len(), 2);
    assert!(matches!(found[0].machine_s_per_gb, Outcome::At { .. }));
    assert_eq!(found[1].machine_s_per_gb, Outcome::None { up_to: 256 << 10 });
}

#[test]
fn refinement_halves_the_gap_in_the_exponent_and_ends() {
    let mut found = break_even(&cells(FALLING, 0.01, CLEAN, 5), false, 1).remove(0);
    let all = cells(FALLING, 0.01, CLEAN, 5);
    assert_eq!(refine(&all, &found), Some(8 << 10));
    let next = |below, size, found: &mut BreakEven| {
        let cells: Vec<_> =
            all.iter().filter(|cell| [below, size].contains(&cell.key.size)).cloned().collect();
        found.machine_s_per_gb = at(size, Some(below), Some(size));
        refine(&cells, found)
    };
    assert_eq!(next(16 << 10, 64 << 10, &mut found), Some(32 << 10));
    assert_eq!(next(1 << 10, 4 << 10, &mut found), Some(2 << 10), "no page is between");
    found.machine_s_per_gb = at(1 << 10, None, None);
    assert_eq!(refine(&all, &found), None, "nothing smaller was run");
    found.machine_s_per_gb = Outcome::None { up_to: 1 };
    assert_eq!(refine(&all, &found), None);
}

#[test]
fn the_answer_survives_a_round_trip_and_comes_back_from_the_seed() {
    let cells = cells([3.0, 0.98, 0.8, 0.5, 0.3], 0.02, CLEAN, 5);
    let found = break_even(&cells, false, 9);
    assert_eq!(found, break_even(&cells, false, 9));
    let json = serde_json::to_string(&found).unwrap();
    assert_eq!(serde_json::from_str::<Vec<BreakEven>>(&json).unwrap(), found);
}

/// What `--refine` does, with costs in the place of runs: both paths cost the same at 13.3 KiB.
#[test]
fn refinement_closes_in_on_the_size_where_the_costs_cross() {
    let cell = |key: &Key| {
        let kib = key.size as f64 / 1024.0;
        let (class, machine) = match key.path.as_str() {
            BASELINE => (Class::Copies, 0.20 + 0.4 / kib),
            _ => (Class::Told, 0.08 + 2.0 / kib),
        };
        made(
            &key.path,
            class,
            key.size,
            Behaviour { gbit_s: 2.0 / machine, machine, scatter: 0.001, copied: 0.0 },
            5,
        )
    };
    let group = (1, Some(16));
    let start = [4 << 10, 64 << 10].into_iter();
    let mut cells: Vec<CellReport> = start
        .flat_map(|size| [BASELINE, "msg_zerocopy"].map(|path| cell(&Key::sibling(path, size, group))))
        .collect();
    let mut steps = 0;
    loop {
        let wanted = refinements(&cells, 1);
        if wanted.is_empty() {
            break;
        }
        assert_eq!(wanted.len(), 2, "the path and its baseline: {wanted:?}");
        assert!(
            wanted.iter().all(|key| cells.iter().all(|cell| cell.key != *key)),
            "run already: {wanted:?}"
        );
        cells.extend(wanted.iter().map(cell));
        steps += 1;
        assert!(steps < 8, "it does not end");
    }
    let (cpu, _) = outcomes(&cells);
    let Outcome::At { size, .. } = cpu else { panic!("{cpu:?}") };
    let crossing = 13.33 * 1024.0;
    assert!(size as f64 > crossing && (size as f64) < crossing * 1.15, "{size}");
}
