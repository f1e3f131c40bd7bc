//! `cargo xtask test`: the one test command, for a developer and for CI. A table of steps from cheap to dear; each is
//! announced, timed and judged. What a developer's machine cannot do is skipped with the reason; in CI (`CI=true`)
//! that is a failure.

use std::time::Instant;

use anyhow::Result;

mod checks;
mod scenarios;
mod step;

use step::{Log, Outcome, Tally};

/// Arguments of `test`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Only steps whose name contains this.
    #[arg(long, default_value = "", value_name = "SUBSTR")]
    only: String,
    /// Only scenarios whose name contains this.
    #[arg(long, default_value = "", value_name = "SUBSTR")]
    scenario: String,
    /// Leave out the guest kernels.
    #[arg(long)]
    quick: bool,
    /// List the steps and end.
    #[arg(long)]
    list: bool,
}

/// What a step works with.
pub(crate) struct Context {
    /// Nothing may be skipped.
    ci: bool,
    /// Only scenarios whose name contains this.
    scenario: String,
    /// Scenarios that ran at least once, or never did.
    coverage: scenarios::Coverage,
}

type Run = fn(&mut Context, &mut Log) -> Result<Outcome>;

/// When a step is part of a run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    Ci,
    NotQuick,
}

/// Every step: its name, when it runs, what it does.
const STEPS: &[(&str, When, Run)] = &[
    ("tools", When::Always, checks::tools),
    ("format", When::Always, checks::format),
    ("kernel object matches its sources", When::Always, checks::object_matches),
    ("kernel object rebuilt", When::Ci, checks::object_rebuilt),
    ("lints", When::Always, checks::lints),
    ("spelling", When::Always, checks::spelling),
    ("dependencies", When::Always, checks::dependencies),
    ("unit tests", When::Always, checks::unit_tests),
    ("scenarios: this kernel, tracepoint", When::Always, scenarios::native),
    (
        "scenarios: guests 6.1 and 6.12, fentry: the core, and half of the rest each",
        When::NotQuick,
        |context, log| scenarios::guests(context, log, "fentry", &[]),
    ),
    ("scenarios: guests 6.1 and 6.12, kprobe, the core", When::NotQuick, |context, log| {
        scenarios::guests(context, log, "kprobe", &["--core"])
    }),
    (
        "scenarios: guest 6.12 whose clock counts instructions, fentry",
        When::NotQuick,
        scenarios::by_instructions,
    ),
    ("scenarios: none left out everywhere", When::NotQuick, scenarios::all_ran),
];

/// The task `test`: 0 when nothing failed, else 1.
pub(crate) fn run(args: &Args) -> Result<u8> {
    let ci = std::env::var("CI").is_ok_and(|value| value == "true" || value == "1");
    let mut context =
        Context { ci, scenario: args.scenario.clone(), coverage: scenarios::Coverage::default() };
    let due = |when: When| match when {
        When::Always => true,
        When::Ci => ci,
        When::NotQuick => !args.quick,
    };
    let steps = STEPS.iter().filter(|(name, when, _)| due(*when) && name.contains(args.only.as_str()));
    if args.list {
        steps.for_each(|(name, _, _)| println!("{name}"));
        return Ok(0);
    }
    let start = Instant::now();
    let mut total = Tally::default();
    let mut bad = Vec::new();
    for (name, _, run) in steps {
        let tally = step(name, *run, &mut context);
        if tally.failed > 0 {
            bad.push(*name);
        }
        total.add(tally);
    }
    close(total, &bad, start)
}

/// Runs one step and prints its verdict.
fn step(name: &str, run: Run, context: &mut Context) -> Tally {
    println!("==> {name}");
    let start = Instant::now();
    let mut log = Log::new(name);
    let outcome = run(context, &mut log);
    let seconds = start.elapsed().as_secs_f64();
    match outcome {
        Ok(Outcome::Done(detail, tally)) if tally.failed == 0 => {
            println!("    ok, {detail} ({seconds:.1} s)");
            tally
        }
        Ok(Outcome::Done(detail, tally)) => {
            log.show();
            println!("    FAILED, {detail} ({seconds:.1} s)");
            tally
        }
        Ok(Outcome::Impossible(why)) if context.ci => {
            println!("    FAILED, in CI nothing is skipped: {why} ({seconds:.1} s)");
            Tally::FAILED
        }
        Ok(Outcome::Impossible(why)) => {
            println!("    skipped: {why} ({seconds:.1} s)");
            Tally::SKIPPED
        }
        Err(error) => {
            log.show();
            println!("    FAILED: {error:#} ({seconds:.1} s)");
            Tally::FAILED
        }
    }
}

/// The last lines; the very last one is read by machines.
fn close(total: Tally, bad: &[&str], start: Instant) -> Result<u8> {
    println!("==> all steps done in {:.0} s", start.elapsed().as_secs_f64());
    for name in bad {
        println!("    failed: {name}");
    }
    println!("{} passed, {} failed, {} skipped", total.passed, total.failed, total.skipped);
    Ok(u8::from(total.failed > 0 || total.passed == 0))
}
