//! The whole-system scenarios, on this kernel and in guests. A scenario may be skipped where the kernel or the machine
//! cannot do it, but one that no kernel of a run could do is reported: it would otherwise stay untested for ever.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::Context;
use super::step::{Log, Outcome, Tally};
use crate::lab::{self, Guest, Nic};
use crate::sh;

/// One run of all scenarios, on slow emulated processors.
const LIMIT: Duration = Duration::from_secs(1500);

/// Scenarios side by side on this kernel: much of a row's time is waiting. Not in guests, whose one processor is busy
/// anyway: while one zcscope attaches to a function, the kernel may not call the fentry programs of another one there.
const JOBS: &str = "3";

/// Names of scenarios, by whether they ran anywhere.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    ran: BTreeSet<String>,
    skipped: BTreeSet<String>,
}

pub(crate) fn native(context: &mut Context, log: &mut Log) -> Result<Outcome> {
    build(log)?;
    let program = sh::workspace().join("target/debug/zcscope-tests");
    let mut command = sh::as_root(program);
    if !sh::is_root() && !sudo_works() {
        return Ok(Outcome::Impossible("this needs root, and sudo asks for a password".into()));
    }
    let result = log.run(command.args(words(context, "tracepoint")), LIMIT);
    judge(context, log, result)
}

/// The guest kernels, and their halves of the table: emulated processors are slow.
const KERNELS: [(&str, &str); 2] = [("6.1", "1/2"), ("6.12", "2/2")];

/// Runs the scenarios in all guest kernels side by side: the core in each, of the rest a half.
pub(crate) fn guests(context: &mut Context, log: &mut Log, backend: &str, more: &[&str]) -> Result<Outcome> {
    build(log)?;
    for (kernel, _) in KERNELS {
        if let Err(error) = lab::prepare(kernel) {
            return Ok(Outcome::Impossible(format!("{error:#}")));
        }
    }
    let mut command = vec!["zcscope-tests".to_owned()];
    command.extend(words(context, backend));
    command.extend(more.iter().map(|word| (*word).to_owned()));
    let runs = std::thread::scope(|scope| {
        let command = &command;
        let run = |(kernel, share): (&'static str, &'static str)| {
            let mut command = command.clone();
            // Who names a scenario wants it on every kernel.
            if context.scenario.is_empty() {
                command.extend(["--share".to_owned(), share.to_owned()]);
            }
            (kernel, scope.spawn(move || guest(kernel, backend, &command)))
        };
        let threads = KERNELS.map(run);
        threads.map(|(kernel, thread)| (kernel, thread.join()))
    });
    let mut total = Tally::default();
    let mut details = Vec::new();
    for (kernel, run) in runs {
        let Ok((guest_log, result)) = run else { bail!("the run of guest {kernel} broke off") };
        log.write(guest_log.text().as_bytes());
        match judge(context, &guest_log, result).with_context(|| format!("guest {kernel}"))? {
            Outcome::Done(detail, tally) => {
                details.push(format!("{kernel}: {detail}"));
                total.add(tally);
            }
            impossible @ Outcome::Impossible(_) => return Ok(impossible),
        }
    }
    Ok(Outcome::Done(details.join("; "), total))
}

/// What needs times that do not depend on what this machine does besides.
const BY_INSTRUCTIONS: &str = "matrix_break_even_instructions";

/// Runs that in a guest of its own.
pub(crate) fn by_instructions(context: &mut Context, log: &mut Log) -> Result<Outcome> {
    if !BY_INSTRUCTIONS.contains(context.scenario.as_str()) {
        return Ok(Outcome::Done("nothing of that name".into(), Tally::default()));
    }
    build(log)?;
    if let Err(error) = lab::prepare("6.12") {
        return Ok(Outcome::Impossible(format!("{error:#}")));
    }
    let mut guest = Guest::new("6.12").with_programs();
    guest.cables = vec![Nic::Vmxnet3];
    guest.count_instructions();
    let command =
        ["zcscope-tests", "run", "--backend", "fentry", "--only", BY_INSTRUCTIONS].map(str::to_owned);
    let result = status(guest.run(&command, log));
    judge(context, log, result)
}

/// Runs the scenarios in one guest, with a cable of each kind.
fn guest(kernel: &str, backend: &str, command: &[String]) -> (Log, Result<()>) {
    let mut log = Log::new(&format!("guest {kernel} {backend}"));
    let mut guest = Guest::new(kernel).with_programs();
    guest.cables = vec![Nic::Vmxnet3, Nic::Virtio];
    guest.timeout = LIMIT;
    // The witness is large, and one kernel is enough.
    if (kernel, backend) == ("6.12", "fentry")
        && let Some(bpftrace) = sh::find("bpftrace")
    {
        guest.files.push((bpftrace, "/usr/bin/bpftrace".to_owned()));
        guest.memory_mib = 2048;
    }
    // One guest whose cards reach no page by themselves: everything else must be the same there.
    if (kernel, backend) == ("6.12", "kprobe") {
        guest.parameters.push("swiotlb=force".to_owned());
    }
    let result = status(guest.run(command, &mut log));
    (log, result)
}

fn status(run: Result<u8>) -> Result<()> {
    match run? {
        0 => Ok(()),
        status => bail!("zcscope-tests ended with status {status}"),
    }
}

/// Looks at all runs before it.
pub(crate) fn all_ran(context: &mut Context, log: &mut Log) -> Result<Outcome> {
    let Coverage { ran, skipped } = &context.coverage;
    let never: Vec<_> = skipped.difference(ran).cloned().collect();
    if never.is_empty() {
        return Ok(Outcome::passed(format!("{} scenarios ran on at least one kernel", ran.len())));
    }
    let sentence = format!("no kernel of this run could do: {}", never.join(" "));
    if context.ci {
        bail!(sentence);
    }
    log.write(sentence.as_bytes());
    Ok(Outcome::Impossible(sentence))
}

fn build(log: &mut Log) -> Result<()> {
    let mut build = sh::cargo(&["build", "--quiet", "-p", "zcscope", "-p", "zcscope-tests"]);
    log.run(&mut build, Duration::from_secs(1200))
}

fn words(context: &Context, backend: &str) -> Vec<String> {
    let jobs = if backend == "tracepoint" { JOBS } else { "1" };
    ["run", "--backend", backend, "--jobs", jobs, "--only", &context.scenario].map(str::to_owned).to_vec()
}

fn sudo_works() -> bool {
    sh::output(Command::new("sudo").args(["-n", "true"])).is_ok()
}

/// The verdicts of a run are its lines; the exit status must agree with them.
fn judge(context: &mut Context, log: &Log, result: Result<()>) -> Result<Outcome> {
    let tally = read(&log.text(), &mut context.coverage);
    if tally.failed == 0 {
        result?;
    }
    if tally == Tally::default() {
        bail!(
            "no scenario ran{}",
            if context.scenario.is_empty() { "" } else { "; does one have that name?" }
        );
    }
    // What this kernel cannot do is another one's: `all_ran` sees to it that nothing is left out everywhere.
    let elsewhere = tally.skipped;
    let counted = Tally { skipped: 0, ..tally };
    let detail = if elsewhere == 0 { String::new() } else { format!(", {elsewhere} are for other kernels") };
    Ok(Outcome::Done(counted.text() + &detail, counted))
}

/// Counts the lines `ok NAME`, `FAIL NAME: why`, `skip NAME: why`, and remembers the names.
fn read(text: &str, coverage: &mut Coverage) -> Tally {
    let mut tally = Tally::default();
    for line in text.lines() {
        let Some((verdict, rest)) = line.split_once(' ') else { continue };
        let name = rest.split([':', ' ']).next().unwrap_or_default().to_owned();
        match verdict {
            "ok" => {
                tally.passed += 1;
                coverage.ran.insert(name);
            }
            "FAIL" => {
                tally.failed += 1;
                coverage.ran.insert(name);
            }
            "skip" => {
                tally.skipped += 1;
                coverage.skipped.insert(name);
            }
            _ => {}
        }
    }
    tally
}

impl lab::Sink for Log {
    fn stdout(&mut self, bytes: &[u8]) {
        self.write(bytes);
    }

    fn stderr(&mut self, bytes: &[u8]) {
        self.write(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_counted_and_names_remembered() {
        let text = "ok lo_copy (1.2 s)\nFAIL veth: 3 bytes by copy, the application says 4\nskip nic: no cable\n\
                    scenarios: 1 passed, 1 failed, 1 skipped\n";
        let mut coverage = Coverage::default();
        assert_eq!(read(text, &mut coverage), Tally { passed: 1, failed: 1, skipped: 1 });
        assert_eq!(coverage.ran.into_iter().collect::<Vec<_>>(), ["lo_copy", "veth"]);
        assert_eq!(coverage.skipped.into_iter().collect::<Vec<_>>(), ["nic"]);
    }
}
