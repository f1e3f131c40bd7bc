//! The command line.

/// Parses the arguments and runs the verb; returns the exit code of the process.
#[must_use]
pub fn run() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
