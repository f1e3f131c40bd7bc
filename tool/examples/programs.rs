//! Lists the kernel programs one start loads here: what the verifier walked, and their machine code.

use std::time::Instant;

use zcscope::probe::{Options, Probe};

fn main() -> anyhow::Result<()> {
    let begin = Instant::now();
    let probe = Probe::start(&Options::default())?;
    let took = begin.elapsed();
    let mut programs = probe.programs();
    programs.sort_by_key(|program| std::cmp::Reverse(program.verified));
    for program in &programs {
        println!(
            "{:>8} verified {:>7} bytes  {}",
            program.verified.unwrap_or(0),
            program.machine_bytes,
            program.name
        );
    }
    let verified: u64 = programs.iter().filter_map(|program| program.verified).map(u64::from).sum();
    println!("{verified:>8} in {} programs, ready after {took:?}", programs.len());
    Ok(())
}
