//! What zcscope can know here, found out by loading and attaching everything, and detaching it again.

use crate::doctor::document::{Fact, LoadedProgram, MapMemory, Refusal, Tracing};
use crate::probe::{Backend, Filter, Options, Probe, Program};

/// Loads and attaches everything, with nothing to trace, and lets go of it.
pub(super) fn try_all(backend: Backend) -> Tracing {
    // Nobody is traced: this process sends nothing.
    let filter = Filter { pids: vec![std::process::id()], ..Filter::default() };
    match Probe::prepare(&Options { filter, backend, ..Options::default() }) {
        Ok(probe) => of(&probe),
        Err(error) => Tracing { why_not: Some(error.to_string()), ..Tracing::default() },
    }
}

/// What a probe that holds can know.
pub(super) fn of(probe: &Probe) -> Tracing {
    let session = probe.session();
    let refused = |fact: &str| {
        let of_fact = probe.refusals().iter().filter(|refusal| refusal.fact == fact);
        of_fact.map(|r| Refusal { backend: r.backend.to_owned(), why: r.why.clone() }).collect()
    };
    let known = session.sources.iter().map(|(fact, source)| Fact {
        fact: fact.clone(),
        source: Some(source.clone()),
        why_not: None,
        refused: refused(fact),
    });
    let missing = session.missing.iter().map(|missing| Fact {
        fact: missing.fact.clone(),
        why_not: Some(missing.why.clone()),
        ..Fact::default()
    });
    let mut maps: Vec<MapMemory> = probe
        .maps()
        .into_iter()
        .map(|map| MapMemory { map: map.name, max_entries: map.max_entries, bytes: map.bytes })
        .collect();
    maps.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.map.cmp(&b.map)));
    Tracing {
        possible: true,
        why_not: None,
        backend: Some(session.backend.clone()),
        facts: known.chain(missing).collect(),
        map_bytes: Some(maps.iter().map(|map| map.bytes).sum()),
        maps,
        programs: probe.programs().into_iter().map(program).collect(),
    }
}

fn program(loaded: Program) -> LoadedProgram {
    LoadedProgram {
        program: loaded.name,
        verified_instructions: loaded.verified.map(u64::from),
        machine_bytes: loaded.machine_bytes.into(),
    }
}
