//! What the verifier walks before it accepts the kernel programs: most of the time of a start. A program that grows
//! shows here as a number, on every kernel, where a time would depend on the machine.

use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use serde::Deserialize;

use crate::process;
use crate::report::Verdict;
use crate::scenario::{Bench, Procedure};

/// Attaching takes a while on emulated processors.
const PATIENCE: Duration = Duration::from_secs(240);

/// All procedures of this kind.
pub(crate) const ALL: &[Procedure] = &[("verified_instructions", verified)];

/// Instructions walked for all programs of a back end together, at most: the most of any kernel here, and a tenth.
const CEILINGS: [(&str, u64); 3] = [("tracepoint", 145_000), ("fentry", 245_000), ("kprobe", 270_000)];
/// And for one program.
const CEILING_OF_ONE: u64 = 40_000;

/// What is used of the report `zcscope.doctor/1`.
#[derive(Debug, Deserialize)]
struct Doctor {
    tracing: Tracing,
}

#[derive(Debug, Deserialize)]
struct Tracing {
    programs: Vec<Program>,
}

#[derive(Debug, Deserialize)]
struct Program {
    program: String,
    verified_instructions: Option<u64>,
}

fn verified(bench: &Bench) -> anyhow::Result<Verdict> {
    let backend = if bench.traces_by_tracepoint() {
        "tracepoint"
    } else {
        bench.backend.map_or("fentry", |backend| backend.name())
    };
    let mut command = Command::new(&bench.zcscope);
    command.args(["doctor", "--json", "--backend", backend]);
    let output = process::start(&mut command)?.finish(PATIENCE)?;
    let doctor: Doctor = serde_json::from_str(&output.stdout)
        .with_context(|| format!("no report: {:?}; {}", output.stdout, output.complaint()))?;
    let counts: Option<Vec<(u64, &str)>> = doctor
        .tracing
        .programs
        .iter()
        .map(|program| Some((program.verified_instructions?, program.program.as_str())))
        .collect();
    let counts = counts.context("the kernel does not say how much it verified")?;
    let all: u64 = counts.iter().map(|(n, _)| n).sum();
    let (most, which) = counts.iter().max().context("no program was loaded")?;
    let ceiling = CEILINGS.iter().find(|(name, _)| *name == backend).map_or(0, |(_, ceiling)| *ceiling);
    if all > ceiling || *most > CEILING_OF_ONE {
        return Ok(Verdict::Failed(vec![format!(
            "{all} instructions were walked, {most} of them for {which}; at most {ceiling} and {CEILING_OF_ONE} are on record"
        )]));
    }
    println!("{all} instructions walked for {} programs, {most} of them for {which}", counts.len());
    Ok(Verdict::Ok)
}
