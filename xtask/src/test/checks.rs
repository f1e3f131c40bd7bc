//! The steps that look at the code: format, lints, spelling, dependencies, the kernel object, unit tests.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::Context;
use super::step::{Log, Outcome, Tally};
use crate::{ebpf, sh, tools};

/// Building everything from nothing on two slow cores stays below this.
const BUILD_LIMIT: Duration = Duration::from_secs(1200);
const SHORT_LIMIT: Duration = Duration::from_secs(120);

pub(crate) fn tools(_: &mut Context, _: &mut Log) -> Result<Outcome> {
    for programs in [tools::TEST, tools::LAB] {
        if let Err(error) = tools::need(programs) {
            return Ok(Outcome::Impossible(format!("{error:#}")));
        }
    }
    Ok(Outcome::passed("everything needed is installed"))
}

pub(crate) fn format(_: &mut Context, log: &mut Log) -> Result<Outcome> {
    log.run(&mut sh::cargo(&["fmt", "--all", "--check"]), SHORT_LIMIT)?;
    log.run(&mut sh::cargo(&["fmt", "--check", "--manifest-path", "tool-ebpf/Cargo.toml"]), SHORT_LIMIT)?;
    Ok(Outcome::passed("workspace and kernel programs"))
}

pub(crate) fn lints(_: &mut Context, log: &mut Log) -> Result<Outcome> {
    let mut clippy =
        sh::cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]);
    log.run(&mut clippy, BUILD_LIMIT)?;
    Ok(Outcome::passed("no warnings"))
}

pub(crate) fn spelling(_: &mut Context, log: &mut Log) -> Result<Outcome> {
    let typos = match tools::typos() {
        Ok(path) => path,
        Err(error) => return Ok(Outcome::Impossible(format!("typos cannot be installed: {error:#}"))),
    };
    log.run(Command::new(typos).arg("--format=brief").current_dir(sh::workspace()), SHORT_LIMIT)?;
    Ok(Outcome::passed("no typos"))
}

pub(crate) fn dependencies(_: &mut Context, log: &mut Log) -> Result<Outcome> {
    let deny = match tools::cargo_deny() {
        Ok(path) => path,
        Err(error) => return Ok(Outcome::Impossible(format!("cargo-deny cannot be installed: {error:#}"))),
    };
    for manifest in ["Cargo.toml", "tool-ebpf/Cargo.toml"] {
        let mut check = Command::new(&deny);
        check.arg("--config").arg(sh::workspace().join("deny.toml")).args([
            "--manifest-path",
            manifest,
            "check",
        ]);
        log.run(check.args(["bans", "licenses", "sources"]).current_dir(sh::workspace()), SHORT_LIMIT)?;
    }
    Ok(Outcome::passed("bans, licenses, sources"))
}

pub(crate) fn object_matches(_: &mut Context, _: &mut Log) -> Result<Outcome> {
    Ok(Outcome::passed(ebpf::check()?))
}

/// After this step everything is built with, and tests, the object made here.
pub(crate) fn object_rebuilt(_: &mut Context, _: &mut Log) -> Result<Outcome> {
    Ok(Outcome::passed(ebpf::build(None)?))
}

pub(crate) fn unit_tests(_: &mut Context, log: &mut Log) -> Result<Outcome> {
    let result = log.run(&mut sh::cargo(&["test", "--workspace", "--quiet", "--no-fail-fast"]), BUILD_LIMIT);
    let tally = unit_tally(&log.text());
    // A crash or a build failure has no count of its own.
    if tally.failed == 0 {
        result?;
    }
    Ok(Outcome::Done(tally.text(), tally))
}

/// Adds up cargo's lines `test result: ok. 9 passed; 0 failed; 1 ignored; ...`.
fn unit_tally(log: &str) -> Tally {
    let mut total = Tally::default();
    for line in log.lines().filter(|line| line.starts_with("test result:")) {
        let number = |word: &str| {
            let before = line.split(word).next().unwrap_or_default().trim_end();
            before.rsplit(' ').next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
        };
        let [passed, failed, skipped] = [" passed", " failed", " ignored"].map(number);
        total.add(Tally { passed, failed, skipped });
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_all_test_programs_are_added() {
        let log = "running 2 tests\ntest result: ok. 10 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n\
                   test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(unit_tally(log), Tally { passed: 13, failed: 2, skipped: 1 });
    }
}
