//! The `zcscope` binary: parses the command line and runs one verb.

fn main() -> std::process::ExitCode {
    zcscope::cli::run()
}
