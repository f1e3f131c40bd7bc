//! The command line: one table of verbs; each verb's arguments stand with its command.

mod examples;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::commands;

/// See, per byte, whether Linux TCP really sends without copying, and why not.
#[derive(Debug, Parser)]
#[command(
    name = "zcscope",
    version,
    about,
    max_term_width = 100,
    args_conflicts_with_subcommands = true,
    after_help = examples::ALL
)]
struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Arguments of `top`, the verb when none is named.
    #[command(flatten)]
    top: commands::top::Args,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Live dashboard (the default).
    #[command(after_help = examples::TOP)]
    Top(commands::top::Args),
    /// Trace for a time, or for the life of one command, and report.
    #[command(after_help = examples::STAT)]
    Stat(commands::stat::Args),
    /// Generate load on one send path.
    #[command(after_help = examples::LOAD)]
    Load(commands::load::Args),
    /// Receive and discard what `load` sends.
    #[command(after_help = examples::SINK)]
    Sink(commands::sink::Args),
    /// Measure send paths against sizes, interleaved, and find where zero-copy begins to pay.
    #[command(after_help = examples::MATRIX)]
    Matrix(commands::matrix::Args),
    /// What zero-copy can do here, path by path, before anything is sent; with --prove, whether that is so.
    #[command(after_help = examples::DOCTOR)]
    Doctor(commands::doctor::Args),
    /// Make live traffic in own network namespaces and watch it.
    #[command(after_help = examples::DEMO)]
    Demo(commands::demo::Args),
    /// Trace into a file that can be replayed.
    #[command(after_help = examples::RECORD)]
    Record(commands::record::Args),
    /// Show a recording in the dashboard; needs no rights.
    #[command(after_help = examples::REPLAY)]
    Replay(commands::replay::Args),
    /// Check that zcscope tells the truth on this kernel, on links of its own.
    #[command(after_help = examples::SELFTEST)]
    Selftest(commands::selftest::Args),
    /// What a reason, finding, path or figure means, and what to do about it.
    #[command(after_help = examples::EXPLAIN)]
    Explain(commands::explain::Args),
}

/// Parses the arguments, runs the verb and returns the exit code of the process:
/// 0 good, 1 failed check, 2 usage, 3 cannot trace here.
#[must_use]
pub fn run() -> ExitCode {
    crate::host::heap::prepare();
    let cli = Cli::parse();
    let outcome = match cli.verb.unwrap_or(Verb::Top(cli.top)) {
        Verb::Top(args) => commands::top::run(args),
        Verb::Stat(args) => commands::stat::run(args),
        Verb::Load(args) => commands::load::run(args),
        Verb::Sink(args) => commands::sink::run(&args),
        Verb::Matrix(args) => commands::matrix::run(args),
        Verb::Doctor(args) => commands::doctor::run(args),
        Verb::Demo(args) => commands::demo::run(args),
        Verb::Record(args) => commands::record::run(args),
        Verb::Replay(args) => commands::replay::run(&args),
        Verb::Selftest(args) => commands::selftest::run(&args),
        Verb::Explain(args) => commands::explain::run(args),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            eprintln!("zcscope: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}
