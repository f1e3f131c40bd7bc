//! Loads the object and attaches the plan. Which back end feeds a fact must be in `.rodata` before load, yet only
//! attaching shows what works: so the plan is tried, and tried again without what failed, until it holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use aya::maps::{Array, HashMap};
use aya::programs::{Program, ProgramError};
use aya::{Ebpf, EbpfLoader};
use zcscope_common::{Config, Source};

use super::facts::{self, FACTS};
use super::plan::{self, Fact, Hook, Kernel, Kind, Way};
use super::{Backend, Options, Refusal, pipes};
use crate::model::snapshot::Missing;

/// The kernel programs, built by `cargo xtask ebpf`.
pub(super) static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("CARGO_MANIFEST_DIR"), "/bpf/zcscope.bpf.o"));

/// Threads that load programs; more gain little, because a few programs are most of the work.
const MOST_LOADERS: usize = 4;

/// Everything attached.
pub(super) struct Attached {
    pub(super) ebpf: Ebpf,
    pub(super) sources: BTreeMap<String, String>,
    pub(super) missing: Vec<Missing>,
    /// Better ways than the chosen ones, and why they do not hold.
    pub(super) refusals: Vec<Refusal>,
    pub(super) backend: String,
    /// Some fact rests on the kprobe back end, which can skip events.
    pub(super) kprobes: bool,
}

/// Which way each fact takes: index into `Fact::ways`, `None` when it is missing.
type Choice = Vec<Option<usize>>;

/// Why a fact is left out that nobody asked for: it is not missing.
const NOT_ASKED_FOR: &str = "not asked for";

/// What went wrong with a way, by fact and way.
type Failures = BTreeMap<(usize, usize), String>;

/// Attaches all facts the kernel and `backend` allow.
///
/// # Errors
/// The fact `send` cannot be known: one sentence with every reason.
pub(super) fn attach(
    kernel: &Kernel<'_>,
    btf: &aya::Btf,
    config: &Config,
    options: &Options,
) -> Result<Attached, String> {
    let (backend, follow_forks) = (options.backend, options.filter.children);
    let mut failures = known_failures(kernel, backend);
    loop {
        let choice = choose(&failures);
        if choice[0].is_none() {
            return Err(why_no_send(&failures));
        }
        let mut config = *config;
        set_modes(&mut config, &choice);
        let mut ebpf = EbpfLoader::new()
            .btf(Some(btf))
            .override_global("CONFIG", &config, true)
            .load(OBJECT)
            .map_err(|error| format!("the kernel programs cannot be loaded: {}", chain(&error)))?;
        let before = failures.len();
        // Before anything is attached: a socket is judged once, at its first send.
        enter_processes(&mut ebpf, &options.filter.pids)?;
        load_ahead(&mut ebpf, btf, kernel, &choice);
        attach_base(&mut ebpf, btf, follow_forks)?;
        attach_choice(&mut ebpf, btf, kernel, &choice, &mut failures);
        if failures.len() == before {
            let pipes = pipes::teach(&mut ebpf);
            let mut sources = sources(&choice);
            let mut missing: Vec<Missing> = missing(&choice, &failures).into_iter().chain(pipes).collect();
            attach_extra(&mut ebpf, btf, &mut sources, &mut missing);
            return Ok(Attached {
                ebpf,
                sources,
                missing,
                refusals: refusals(&choice, &failures),
                backend: backend_name(&choice),
                kprobes: used_sources(&choice).contains(&Source::Kprobe),
            });
        }
    }
}

/// Failures that need no trial: the forced back end, functions and needs this kernel does not have.
fn known_failures(kernel: &Kernel<'_>, backend: Backend) -> Failures {
    let mut failures = Failures::new();
    for (fact_index, fact) in FACTS.iter().enumerate() {
        for (way_index, way) in fact.ways.iter().enumerate() {
            let failure = if plan::asked_for(fact.name, kernel.paths) {
                known_failure(kernel, backend, way)
            } else {
                Some(NOT_ASKED_FOR.to_owned())
            };
            if let Some(why) = failure {
                failures.insert((fact_index, way_index), why);
            }
        }
    }
    failures
}

fn known_failure(kernel: &Kernel<'_>, backend: Backend, way: &Way) -> Option<String> {
    if let Some(forced) = backend.source()
        && forced != way.source
    {
        return Some(format!("--backend {} was asked for", plan::source_name(forced)));
    }
    if let Some(need) = way.needs.iter().find(|need| !kernel.meets(**need)) {
        return Some(need.why().to_owned());
    }
    way.hooks.iter().filter(|hook| kernel.wants(hook)).find_map(|hook| kernel.lacks(hook))
}

fn choose(failures: &Failures) -> Choice {
    FACTS
        .iter()
        .enumerate()
        .map(|(fact, plan)| (0..plan.ways.len()).find(|way| !failures.contains_key(&(fact, *way))))
        .collect()
}

/// Tells the kernel programs where each fact comes from.
fn set_modes(config: &mut Config, choice: &Choice) {
    for (fact, chosen) in FACTS.iter().zip(choice) {
        let source = chosen.map_or(Source::None, |way| fact.ways[way].source) as u32;
        match fact.name {
            "send" => config.mode.send = source,
            "completion" => config.mode.completion = source,
            "told" => config.mode.told = source,
            "queue_latency" => config.mode.queue = source,
            "copy" => config.mode.copy = source,
            "refused" => config.mode.refused = source,
            "ktls" => config.mode.ktls = source,
            "sockmap" => config.mode.sockmap = source,
            "mptcp" => config.mode.mptcp = source,
            "uring_completion" => config.mode.uring = source,
            "uring_release" => config.mode.uring_release = source,
            _ => {}
        }
    }
}

/// Puts the processes to trace into their table.
fn enter_processes(ebpf: &mut Ebpf, pids: &[u32]) -> Result<(), String> {
    let map = ebpf.map_mut("PROCS").ok_or("the object has no map PROCS")?;
    let mut processes = HashMap::<_, u32, u8>::try_from(map).map_err(|error| chain(&error))?;
    pids.iter().try_for_each(|pid| processes.insert(pid, 1, 0)).map_err(|error| chain(&error))
}

/// Everything is attached: count from now on.
pub(super) fn activate(ebpf: &mut Ebpf) -> Result<(), String> {
    let map = ebpf.map_mut("ACTIVE").ok_or("the object has no map ACTIVE")?;
    let mut active = Array::<_, u32>::try_from(map).map_err(|error| chain(&error))?;
    active.set(0, 1, 0).map_err(|error| chain(&error))
}

fn attach_base(ebpf: &mut Ebpf, btf: &aya::Btf, follow_forks: bool) -> Result<(), String> {
    let fork = follow_forks.then_some(&facts::FORK);
    for hook in facts::BASE.iter().chain(fork) {
        attach_hook(ebpf, btf, hook).map_err(|why| {
            format!("{why}; BTF tracepoints are the least zcscope needs (root, or CAP_BPF and CAP_PERFMON)")
        })?;
    }
    Ok(())
}

/// Hooks that cost only their own fact where they fail.
fn attach_extra(
    ebpf: &mut Ebpf,
    btf: &aya::Btf,
    sources: &mut BTreeMap<String, String>,
    missing: &mut Vec<Missing>,
) {
    for (fact, hook) in facts::EXTRA {
        match attach_hook(ebpf, btf, hook) {
            Ok(()) => drop(sources.insert((*fact).to_owned(), format!("tracepoint:{}", hook.target))),
            Err(why) => missing.push(Missing { fact: (*fact).to_owned(), why }),
        }
    }
}

/// Tries every hook of the choice; notes the first failure of each way. Tracepoints hardly ever fail, so they come last,
/// and only when all others hold: a choice that must be changed is loaded again as a whole.
fn attach_choice(
    ebpf: &mut Ebpf,
    btf: &aya::Btf,
    kernel: &Kernel<'_>,
    choice: &Choice,
    failures: &mut Failures,
) {
    let before = failures.len();
    let mut attached: BTreeMap<String, Result<(), String>> = BTreeMap::new();
    for tracepoints in [false, true] {
        if failures.len() > before {
            return;
        }
        for (fact_index, (fact, chosen)) in FACTS.iter().zip(choice).enumerate() {
            let Some(way_index) = *chosen else { continue };
            let hooks = fact.ways[way_index].hooks.iter().filter(|hook| kernel.wants(hook));
            for hook in hooks.filter(|hook| (hook.kind == Kind::Tracepoint) == tracepoints) {
                let result =
                    attached.entry(hook.program()).or_insert_with(|| attach_hook(ebpf, btf, hook)).clone();
                if let Err(why) = result {
                    failures.insert((fact_index, way_index), why);
                    break;
                }
            }
        }
    }
}

/// Loads the programs of the choice side by side: checking them is most of a start, and the kernel does it on as many
/// CPUs as it is asked from. What fails here fails again where it is attached, and is noted there.
fn load_ahead(ebpf: &mut Ebpf, btf: &aya::Btf, kernel: &Kernel<'_>, choice: &Choice) {
    let chosen = FACTS.iter().zip(choice).filter_map(|(fact, way)| Some(&fact.ways[(*way)?]));
    let hooks = chosen.flat_map(|way| way.hooks).filter(|hook| kernel.wants(hook)).chain(facts::BASE);
    let targets: BTreeMap<String, &Hook> = hooks.map(|hook| (hook.program(), hook)).collect();
    let mut wanted: Vec<_> = ebpf
        .programs_mut()
        .filter_map(|(name, program)| targets.get(name).map(|hook| (program, hook.target)))
        .collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_LOADERS);
    let next = Mutex::new(wanted.iter_mut());
    let load = || {
        while let Some((program, target)) = next.lock().ok().and_then(|mut next| next.next()) {
            // Only told where it is attached.
            let _ = load(program, target, btf);
        }
    };
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(load))));
}

/// Loads one program.
fn load(program: &mut Program, target: &str, btf: &aya::Btf) -> Result<(), ProgramError> {
    let result = match program {
        Program::FEntry(p) => p.load(target, btf),
        Program::FExit(p) => p.load(target, btf),
        Program::BtfTracePoint(p) => p.load(target, btf),
        Program::KProbe(p) => p.load(),
        _ => Ok(()),
    };
    match result {
        Err(ProgramError::AlreadyLoaded) => Ok(()),
        other => other,
    }
}

/// Loads and attaches one program.
fn attach_hook(ebpf: &mut Ebpf, btf: &aya::Btf, hook: &Hook) -> Result<(), String> {
    let name = hook.program();
    let program = ebpf.program_mut(&name).ok_or_else(|| format!("the object has no program {name}"))?;
    let result = load(program, hook.target, btf).and_then(|()| match program {
        Program::FEntry(p) => p.attach().map(drop),
        Program::FExit(p) => p.attach().map(drop),
        Program::BtfTracePoint(p) => p.attach().map(drop),
        Program::KProbe(p) => p.attach(hook.target, 0).map(drop),
        _ => Err(ProgramError::UnexpectedProgramType),
    });
    result.map_err(|error| {
        let kind = match hook.kind {
            Kind::Fentry => "fentry",
            Kind::Fexit => "fexit",
            Kind::Kprobe => "kprobe",
            Kind::Kretprobe => "kretprobe",
            Kind::Tracepoint => "tracepoint",
        };
        format!("{kind} on {} was refused ({})", hook.target, refusal(&error))
    })
}

/// What the kernel answered: the innermost cause; with `ZCSCOPE_VERIFIER_LOG` set, everything it said.
fn refusal(error: &ProgramError) -> String {
    if std::env::var_os("ZCSCOPE_VERIFIER_LOG").is_some() {
        return chain(error);
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    chain(cause)
}

/// An error with its causes, without a verifier log of a thousand lines.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    if std::env::var_os("ZCSCOPE_VERIFIER_LOG").is_some() {
        return text;
    }
    let line = text.lines().next().unwrap_or_default();
    let line = line.split(". Verifier output").next().unwrap_or_default();
    line.chars().take(200).collect()
}

fn sources(choice: &Choice) -> BTreeMap<String, String> {
    let chosen = FACTS.iter().zip(choice).filter_map(|(fact, way)| Some((fact, &fact.ways[(*way)?])));
    chosen
        .map(|(fact, way)| {
            // The hook's own kind: functions of modules take kprobes whatever the back end.
            let source = way.hooks.first().map_or(way.source, |hook| hook.kind.source());
            let target = way.hooks.first().map_or("sk_omem_alloc", |hook| hook.target);
            (fact.name.to_owned(), format!("{}:{target}", plan::source_name(source)))
        })
        .collect()
}

fn missing(choice: &Choice, failures: &Failures) -> Vec<Missing> {
    FACTS
        .iter()
        .enumerate()
        .filter(|(index, _)| choice[*index].is_none())
        .filter(|(index, _)| failures.get(&(*index, 0)).is_none_or(|why| why != NOT_ASKED_FOR))
        .map(|(index, fact)| Missing { fact: fact.name.to_owned(), why: why_missing(index, fact, failures) })
        .collect()
}

/// The ways before the chosen one of every fact that is known.
fn refusals(choice: &Choice, failures: &Failures) -> Vec<Refusal> {
    let known = FACTS.iter().enumerate().filter_map(|(index, fact)| Some((index, fact, choice[index]?)));
    let better = known.flat_map(|(index, fact, chosen)| {
        (0..chosen).filter_map(move |way| {
            let why = failures.get(&(index, way)).filter(|why| !why.starts_with("--backend"))?;
            let backend = plan::source_name(fact.ways[way].source);
            Some(Refusal { fact: fact.name, backend, why: why.clone() })
        })
    });
    better.collect()
}

fn why_missing(index: usize, fact: &Fact, failures: &Failures) -> String {
    let mut reasons: Vec<String> = Vec::new();
    for way_index in 0..fact.ways.len() {
        if let Some(why) = failures.get(&(index, way_index))
            && !why.starts_with("--backend")
            && !reasons.contains(why)
        {
            reasons.push(why.clone());
        }
    }
    if !fact.tracepoint_cannot.is_empty() {
        reasons.push(fact.tracepoint_cannot.to_owned());
    }
    reasons.join("; ")
}

fn why_no_send(failures: &Failures) -> String {
    let whys: BTreeSet<&str> =
        failures.iter().filter(|((fact, _), _)| *fact == 0).map(|(_, why)| why.as_str()).collect();
    format!("nothing can watch TCP sends on this kernel: {}", whys.into_iter().collect::<Vec<_>>().join("; "))
}

/// The back ends at work. What needs nothing but tracepoints on every back end says nothing about which one it is.
fn used_sources(choice: &Choice) -> BTreeSet<Source> {
    let chosen = FACTS.iter().zip(choice).filter_map(|(fact, way)| Some(&fact.ways[(*way)?]));
    let own = |way: &&Way| {
        let source = way.source;
        let mut kinds = way.hooks.iter().map(|hook| hook.kind.source());
        way.hooks.is_empty() || source == Source::Tracepoint || kinds.any(|kind| kind != Source::Tracepoint)
    };
    chosen.filter(own).map(|way| way.source).collect()
}

fn backend_name(choice: &Choice) -> String {
    match used_sources(choice).iter().collect::<Vec<_>>().as_slice() {
        [one] => plan::source_name(**one).to_owned(),
        _ => "mixed".to_owned(),
    }
}
