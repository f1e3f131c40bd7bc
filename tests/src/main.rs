//! Whole-system scenarios: zcscope against an independent truth.
//!
//! `run` builds a link (loopback, veth, a cable of two NICs, a black hole), lets the reference application of `app`
//! send over it under `zcscope stat`, and compares what zcscope reports with what the application counted itself.

mod app;
mod bpf;
mod bpftrace;
mod detours;
mod expect;
mod findings;
mod fixture;
mod foreign;
mod generator;
mod guarded;
mod kernel;
mod misuse;
mod process;
mod report;
mod scenario;
mod stat_json;
mod truth;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "zcscope-tests", version, about = "Whole-system scenarios for zcscope")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Be one part of a scenario: sender, sink or packet tap.
    #[command(subcommand)]
    App(app::Role),
    /// List the findings: what makes each, and how its fix is shown to work.
    Findings,
    /// Run the scenarios that this kernel allows.
    Run(scenario::Args),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().verb {
        Verb::App(role) => app::run(&role).map(|()| true),
        Verb::Findings => {
            print!("{}", findings::table::text());
            Ok(true)
        }
        Verb::Run(args) => scenario::run(&args),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("zcscope-tests: {error:#}");
            ExitCode::from(1)
        }
    }
}
