//! What zcscope itself missed, what it costs, and how full its tables are.

use super::super::Scene;
use super::section::Section;
use crate::diagnose::Severity;
use crate::model::sample::MapSample;
use crate::units::{UNKNOWN, bytes, count, duration, exact, percent};

/// From this fill on a table may soon lose something, percent.
const NEARLY_FULL: u64 = 80;
/// Programs shown: those that take most.
const MOST_PROGRAMS: usize = 6;
/// Cells of a bar.
const BAR: usize = 12;

/// Loss by cause.
pub(super) fn loss(scene: Scene<'_>, width: usize) -> Section {
    let lost = &scene.snapshot.lost;
    let title = if lost.total == 0 { "nothing was lost" } else { "figures may be too low by these events" };
    let mut section = Section::new(scene.theme, width, "Loss", title.into());
    for (cause, n) in &lost.by_cause {
        section.warn(Severity::Warning, cause, &format!("{} events", exact(*n)));
    }
    for path in &scene.snapshot.paths {
        let ends = path.completions.as_deref().map_or(0, |ends| ends.lost_ends);
        if ends > 0 {
            let text = format!("{} sends whose end was not seen", exact(ends));
            section.warn(Severity::Warning, path.path.name(), &text);
        }
    }
    section
}

/// CPU and memory of this process.
pub(super) fn cost(scene: Scene<'_>, width: usize) -> Section {
    let title = "this process; the kernel programs run in the senders' time";
    let mut section = Section::new(scene.theme, width, "Own cost", title.into());
    match &scene.snapshot.host.own_cost {
        None => section.dim(UNKNOWN, "read a few seconds after the first connection has sent"),
        Some(own) => {
            match own.cpu_permille {
                Some(share) => section.put("CPU", &format!("{} of one CPU, of late", percent(share, 1_000))),
                None => section.dim("CPU", UNKNOWN),
            }
            section.put("memory", &own.rss_bytes.map_or_else(|| UNKNOWN.to_owned(), bytes));
        }
    }
    section.put("reads every", &duration(scene.snapshot.interval_ns));
    programs(&mut section, scene);
    section
}

/// What the kernel programs take of every call.
fn programs(section: &mut Section, scene: Scene<'_>) {
    let Some(costs) = &scene.snapshot.programs else {
        return section.dim("programs", "not measured; the option --kernel-stats has the kernel do it");
    };
    match scene.snapshot.program_ns_per_call() {
        Some(ns) => {
            let text = format!("{} per send or receive call, with what measuring them costs", duration(ns));
            section.put("programs", &text);
        }
        None if costs.filtered => {
            section.dim("programs", "per call n/a: they run for calls that the filter leaves out, too");
        }
        None => section.dim("programs", "no call yet"),
    }
    for program in costs.programs.iter().take(MOST_PROGRAMS) {
        let per_run = duration(program.run_ns.checked_div(program.runs).unwrap_or(0));
        section.dim(&program.name, &format!("{per_run} in each of {} runs", count(program.runs)));
    }
}

/// The kernel's tables of zcscope.
pub(super) fn tables(scene: Scene<'_>, width: usize) -> Section {
    let maps = &scene.snapshot.maps;
    let all: u64 = maps.iter().map(|map| map.bytes).sum();
    let title = if maps.is_empty() { String::new() } else { format!("kernel memory {}", bytes(all)) };
    let mut section = Section::new(scene.theme, width, "Tables", title);
    if maps.is_empty() {
        section.dim(UNKNOWN, "not counted yet");
    }
    let counted = maps.iter().filter_map(|map| Some((map, map.entries?)));
    for (map, entries) in counted {
        table(&mut section, scene, map, entries);
    }
    let fixed: Vec<&str> =
        maps.iter().filter(|map| map.entries.is_none()).map(|map| map.name.as_str()).collect();
    if !fixed.is_empty() {
        section.dim("of fixed size", &fixed.join(", "));
    }
    section
}

fn table(section: &mut Section, scene: Scene<'_>, map: &MapSample, entries: u64) {
    let symbols = scene.theme.symbols;
    let full = (entries.min(map.max_entries) * BAR as u64).div_ceil(map.max_entries.max(1)) as usize;
    let bar = symbols.full.repeat(full) + &symbols.empty.repeat(BAR - full);
    let share = percent(entries, map.max_entries);
    let text = format!("{bar} {share} of {} entries, {}", count(map.max_entries), bytes(map.bytes));
    if entries.saturating_mul(100) >= map.max_entries.saturating_mul(NEARLY_FULL) {
        section.warn(Severity::Warning, &map.name, &text);
    } else {
        section.put(&map.name, &text);
    }
}
