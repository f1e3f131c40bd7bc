//! `cargo xtask`: everything a developer of zcscope runs. This file is the table of tasks; each task has a file.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod demo;
mod ebpf;
mod lab;
mod recording;
mod sh;
mod test;
mod tools;

/// Developer tasks of zcscope.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Build the kernel programs into tool/bpf, or check them.
    Ebpf(ebpf::Args),
    /// Build zcscope and run its demonstration, here or in a guest kernel.
    Demo(demo::Args),
    /// Compare a command's speed without and with tracing.
    Bench(bench::Args),
    /// Run all checks and tests.
    Test(test::Args),
    /// Make the recording that `zcscope demo --replay` shows.
    Recording(recording::Args),
    /// Run a command inside a guest kernel under qemu.
    Lab(lab::Args),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Ebpf(args) => ebpf::run(args),
        Task::Bench(args) => bench::run(&args),
        Task::Demo(args) => demo::run(&args),
        Task::Test(args) => test::run(&args),
        Task::Recording(args) => recording::run(&args),
        Task::Lab(args) => lab::run(&args),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}
