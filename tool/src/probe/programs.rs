//! What the kernel says of our programs: how much it verified, and, while its statistics are on, what they cost.

use std::time::Duration;

use aya::Ebpf;

use crate::model::sample::ProgramSample;

/// One loaded program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its name in the object.
    pub name: String,
    /// Instructions the verifier walked before it accepted the program (Linux 5.16 and later): what a start costs.
    pub verified: Option<u32>,
    /// Bytes of machine code.
    pub machine_bytes: u32,
    /// Runs while the kernel's statistics were on.
    pub runs: u64,
    /// Their time, that of taking it (some 25 ns a run) included.
    pub run_time: Duration,
}

/// Every loaded program, in the order of their names.
pub(super) fn programs(ebpf: &Ebpf) -> Vec<Program> {
    let loaded = ebpf.programs().filter_map(|(name, program)| {
        // A program this kernel does not need was never loaded, and has no information.
        let info = program.info().ok()?;
        Some(Program {
            name: name.to_owned(),
            verified: info.verified_instruction_count(),
            machine_bytes: info.size_jitted(),
            runs: info.run_count(),
            run_time: info.run_time(),
        })
    });
    let mut loaded: Vec<Program> = loaded.collect();
    loaded.sort_by(|a, b| a.name.cmp(&b.name));
    loaded
}

/// What every loaded program took so far, while the kernel's statistics are on.
pub(super) fn costs(ebpf: &Ebpf) -> Vec<ProgramSample> {
    let cost = |program: Program| {
        let run_ns = u64::try_from(program.run_time.as_nanos()).unwrap_or(u64::MAX);
        ProgramSample { name: program.name, runs: program.runs, run_ns }
    };
    programs(ebpf).into_iter().map(cost).collect()
}

/// The same since then; of those that ran.
pub(super) fn since(then: &[ProgramSample], ebpf: &Ebpf) -> Vec<ProgramSample> {
    let mut costs = costs(ebpf);
    // The same programs in the same order: none comes or goes while tracing.
    for (now, before) in costs.iter_mut().zip(then) {
        now.runs = now.runs.saturating_sub(before.runs);
        now.run_ns = now.run_ns.saturating_sub(before.run_ns);
    }
    costs.retain(|program| program.runs > 0);
    costs
}
