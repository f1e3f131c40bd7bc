//! Selecting by network namespace and by cgroup: of senders in two places only one is in the report, and its figures
//! are whole. And the names of places: a namespace by its name, a container by its cgroup's path.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Bench, Procedure};
use crate::expect;
use crate::fixture::cgroup::Cgroup;
use crate::fixture::{Fixture, Link, nsname};
use crate::kernel;
use crate::misuse::read_report;
use crate::process::{Running, wait_until};
use crate::report::Verdict;
use crate::scenario::table::{LOCAL_DELIVERY, LOOPBACK};
use crate::stat_json::{Place, Places, Stat};
use crate::truth::Sent;

/// The scenarios.
pub(super) const ALL: &[Procedure] = &[
    ("select_netns_pid", netns_by_pid),
    ("select_netns_name", netns_by_name),
    ("select_cgroups", cgroup),
    ("select_containers", containers),
];

/// The name given to a namespace.
const NAME: &str = "zcscope-tests-front";
/// A container's id, as runtimes make them.
const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn verdict(wrong: Vec<String>) -> anyhow::Result<Verdict> {
    Ok(if wrong.is_empty() { Verdict::Ok } else { Verdict::Failed(wrong) })
}

/// Waits for the end of zcscope's attaching.
fn ready(mut tracer: Running, files: &Path) -> anyhow::Result<Running> {
    let file = files.join("ready");
    if wait_until(Duration::from_secs(30), || file.exists() || !tracer.is_alive()) && file.exists() {
        return Ok(tracer);
    }
    tracer.kill();
    anyhow::bail!("zcscope did not become ready: {}", tracer.finish(Duration::from_secs(5))?.complaint())
}

/// A tracer of this selection, not started yet.
fn tracer(bench: &Bench, files: &Path, args: &[&str]) -> Command {
    let mut command = bench.stat();
    command.args(["--duration", "60s", "--json", "-o"]).arg(files.join("stat.json"));
    command.arg("--ready-file").arg(files.join("ready")).args(args);
    command
}

/// Ends zcscope; its report, and where it says the processes are.
fn end(bench: &Bench, tracer: Running, files: &Path, name: &str) -> anyhow::Result<(Stat, Vec<Place>)> {
    kill(Pid::from_raw(tracer.pid().cast_signed()), Signal::SIGINT)?;
    let output = tracer.finish(Duration::from_secs(30))?;
    ensure!(output.code == 0, "zcscope ended with {}: {}", output.code, output.complaint());
    if let Some(directory) = &bench.keep {
        std::fs::copy(files.join("stat.json"), directory.join(format!("{name}.json")))?;
    }
    let places: Places = serde_json::from_str(&std::fs::read_to_string(files.join("stat.json"))?)?;
    Ok((read_report(files)?, places.processes))
}

/// Sends over this link and, if given, in this cgroup; the sender's own counters.
fn send(bench: &Bench, link: &Fixture, cgroup: Option<&Cgroup>) -> anyhow::Result<Sent> {
    let listen = format!("{}:0", link.address);
    let mut sink = link.sink.start(bench.app("sink").args(["--listen", &listen]))?;
    let to = format!("{}:{}", link.address, sink.first_line(Duration::from_secs(10))?);
    let sender = ["app", "send", "msg_zerocopy", "--calls", "24", "--size", "30000", "--to", &to];
    let mut command = match cgroup {
        Some(cgroup) => cgroup.command(&bench.this),
        None => Command::new(&bench.this),
    };
    let output = link.sender.start(command.args(sender))?.finish(Duration::from_secs(30))?;
    serde_json::from_str(output.stdout.trim())
        .with_context(|| format!("the sender ended badly: {}", output.complaint()))
}

/// The one sender is in the report, with all it did, and nobody else.
fn only(bench: &Bench, sent: &Sent, link: &Fixture, stat: &Stat) -> Vec<String> {
    let reason = if link.device == "lo" { &LOOPBACK } else { &LOCAL_DELIVERY };
    expect::report(reason, std::slice::from_ref(sent), &link.device, stat, bench.backend)
}

/// Two links between two namespaces each.
fn two_links() -> anyhow::Result<(Fixture, Fixture)> {
    Ok((Fixture::build(Link::Veth, false)?, Fixture::build(Link::Veth, false)?))
}

fn netns_by_pid(bench: &Bench) -> anyhow::Result<Verdict> {
    let ((ours, other), files) = (two_links()?, tempfile::tempdir()?);
    // Somebody has to live there for the namespace to be named by a process.
    let inside = ours.sender.start(bench.app("sink").args(["--listen", "127.0.0.1:0"]))?;
    let command = &mut tracer(bench, files.path(), &["--netns", &inside.pid().to_string()]);
    // It runs elsewhere: not its own place counts but the one it was told.
    let running = ready(other.sender.start(command)?, files.path())?;
    let (_, sent) = (send(bench, &other, None)?, send(bench, &ours, None)?);
    let (stat, _) = end(bench, running, files.path(), "select_netns_pid")?;
    verdict(only(bench, &sent, &ours, &stat))
}

fn netns_by_name(bench: &Bench) -> anyhow::Result<Verdict> {
    let ((ours, other), files) = (two_links()?, tempfile::tempdir()?);
    let mut command = tracer(bench, files.path(), &["--netns", NAME]);
    let running = ready(nsname::start(&mut command, NAME, &ours.sender)?, files.path())?;
    let (_, sent) = (send(bench, &other, None)?, send(bench, &ours, None)?);
    let (stat, places) = end(bench, running, files.path(), "select_netns_name")?;
    let mut wrong = only(bench, &sent, &ours, &stat);
    let named = places.iter().map(|place| place.netns_name.as_deref()).collect::<Vec<_>>();
    if named != [Some(NAME)] {
        wrong.push(format!("the namespace is called {named:?}"));
    }
    verdict(wrong)
}

fn cgroup(bench: &Bench) -> anyhow::Result<Verdict> {
    if !kernel::has_cgroups() {
        return Ok(Verdict::Skipped("no cgroup2 hierarchy is mounted".into()));
    }
    let (link, files) = (Fixture::build(Link::Lo, false)?, tempfile::tempdir()?);
    let (ours, other) = (Cgroup::new("ours/inner")?, Cgroup::new("other")?);
    // The parent is named: what is below belongs to it.
    let parent = ours.path.strip_suffix("/inner").unwrap_or(&ours.path);
    let running =
        ready(link.sender.start(&mut tracer(bench, files.path(), &["--cgroup", parent]))?, files.path())?;
    let (_, sent) = (send(bench, &link, Some(&other))?, send(bench, &link, Some(&ours))?);
    let (stat, places) = end(bench, running, files.path(), "select_cgroups")?;
    let mut wrong = only(bench, &sent, &link, &stat);
    let named = places.first().and_then(|place| place.cgroup.as_deref());
    if named != Some(&ours.path) {
        wrong.push(format!("the cgroup is called {named:?}, not {}", ours.path));
    }
    verdict(wrong)
}

/// Cgroups as container runtimes make them, and what zcscope must call the container.
fn runtimes() -> [(String, &'static str); 4] {
    let pod = "01234567-89ab-cdef-0123-456789abcdef";
    let slice = pod.replace('-', "_");
    [
        (format!("docker-{ID}.scope"), "docker:0123456789ab"),
        (format!("libpod-{ID}.scope/container"), "podman:0123456789ab"),
        (format!("kubepods-pod{slice}.slice/cri-containerd-{ID}.scope"), "containerd:0123456789ab"),
        (format!("pod{pod}/{ID}"), "cri:0123456789ab"),
    ]
}

fn containers(bench: &Bench) -> anyhow::Result<Verdict> {
    if !kernel::has_cgroups() {
        return Ok(Verdict::Skipped("no cgroup2 hierarchy is mounted".into()));
    }
    let (link, files) = (Fixture::build(Link::Lo, false)?, tempfile::tempdir()?);
    let inside = link.sender.start(bench.app("sink").args(["--listen", "127.0.0.1:0"]))?;
    let command = &mut tracer(bench, files.path(), &["--netns", &inside.pid().to_string()]);
    let running = ready(link.sender.start(command)?, files.path())?;
    let mut senders = Vec::new();
    for (path, container) in runtimes() {
        let cgroup = Cgroup::new(&path)?;
        senders.push((send(bench, &link, Some(&cgroup))?, container, cgroup));
    }
    let (stat, places) = end(bench, running, files.path(), "select_containers")?;
    let mut wrong = Vec::new();
    for (sent, container, cgroup) in &senders {
        let Some(place) = places.iter().find(|place| place.pid == sent.pid) else {
            wrong.push(format!("the sender of {container} is not in the report"));
            continue;
        };
        let bytes = stat.of_process(sent.pid, "msg_zerocopy").map_or(0, |figures| figures.bytes);
        let (named, path) = (place.container.as_deref(), place.cgroup.as_deref());
        if (named, path, bytes) != (Some(*container), Some(&cgroup.path), sent.bytes) {
            wrong
                .push(format!("{container} with {} bytes is {named:?} in {path:?} with {bytes}", sent.bytes));
        }
    }
    verdict(wrong)
}
