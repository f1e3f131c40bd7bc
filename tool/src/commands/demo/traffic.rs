//! The demo's traffic: a sink at one end of the wire, one load per send path at the other. Each run is bounded and
//! started again until the demo ends. One thread owns all children, so they die with it, however it ends.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::host::link::End;
use crate::host::netns::Namespace;
use crate::host::sockets;

/// Path and arguments of every load: moderate sizes, a few sends under way.
pub(super) const LOADS: [(&str, &[&str]); 3] = [
    ("copy", &["--size", "64K"]),
    ("msg_zerocopy", &["--size", "64K", "--depth", "16"]),
    ("sendfile", &["--size", "64K"]),
];
/// Where the sink listens; the namespace is its own.
const PORT: u16 = 5201;
/// How often the children are looked at.
const TICK: Duration = Duration::from_millis(50);
/// How long the sink may take until it listens.
const SINK_WAIT: Duration = Duration::from_secs(5);
/// How long a child may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(2);
/// A child that fails this often in a row will not come right by itself.
const PATIENCE: u32 = 3;

/// How the loads hold back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// The link is slow: send all the time.
    Steady,
    /// The link is as fast as the machine: send a little, then pause.
    Bursts,
}

impl Pace {
    /// Arguments that bound one run of a load.
    fn bound(self) -> &'static [&'static str] {
        match self {
            Pace::Steady => &["--duration", "60s"],
            Pace::Bursts => &["--duration", "10s", "--bytes", "32M"],
        }
    }

    /// Time between two runs.
    fn pause(self) -> Duration {
        Duration::from_millis(if self == Pace::Steady { 200 } else { 1500 })
    }
}

/// The running traffic. Dropping it ends every child.
pub(super) struct Traffic {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    failure: Receiver<String>,
}

impl Traffic {
    /// Starts sink and loads.
    ///
    /// # Errors
    /// This program's own file or a thread is not to be had. What fails later comes out of [`Traffic::check`].
    pub(super) fn start(near: &End, far: &End, pace: Pace) -> io::Result<Traffic> {
        let program = std::env::current_exe()?;
        let address = SocketAddr::new(far.address(), PORT);
        let sink = sink(&program, far.namespace.clone(), address);
        let loads = LOADS.map(|load| self::load(&program, &near.namespace, address, load, pace));
        let (stop, stopped) = channel();
        let (complain, failure) = channel();
        let run = move || {
            if let Err(error) = supervise(sink, loads, &stopped) {
                // Nobody listens any more only when the demo is ending anyway.
                let _ = complain.send(format!("{error:#}"));
            }
        };
        let thread = std::thread::Builder::new().name("traffic".into()).spawn(run)?;
        Ok(Traffic { stop: Some(stop), thread: Some(thread), failure })
    }

    /// Whether the traffic is well.
    ///
    /// # Errors
    /// A child keeps failing; its last words are in the text. Then all traffic has ended.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        match self.failure.try_recv() {
            Ok(why) => bail!(why),
            Err(_) => Ok(()),
        }
    }

    /// Ends the loads, then the sink, and waits until all are gone.
    pub(super) fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has ended the children by the unwinding of their owners.
            let _ = thread.join();
        }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop();
    }
}

fn words(text: &[&str]) -> Vec<String> {
    text.iter().map(|&word| word.to_owned()).collect()
}

fn sink(program: &Path, space: Namespace, address: SocketAddr) -> Job {
    let arguments = words(&["sink", "--listen", &address.to_string(), "--duration", "1h"]);
    Job::new("sink".into(), program, space, arguments, Duration::ZERO)
}

fn load(
    program: &Path,
    space: &Namespace,
    address: SocketAddr,
    (path, shape): (&str, &[&str]),
    pace: Pace,
) -> Job {
    let mut arguments = words(&["load", path, "--to", &address.to_string(), "--no-trace", "--no-pin"]);
    arguments.extend(words(shape));
    arguments.extend(words(pace.bound()));
    Job::new(format!("load {path}"), program, space.clone(), arguments, pace.pause())
}

/// Keeps the children going until `stopped` is disconnected.
fn supervise<const N: usize>(
    mut sink: Job,
    mut loads: [Job; N],
    stopped: &Receiver<()>,
) -> anyhow::Result<()> {
    let go_on = || matches!(stopped.recv_timeout(TICK), Err(RecvTimeoutError::Timeout));
    let mut awaiting = (0, Instant::now());
    let mut ready = false;
    loop {
        sink.tend()?;
        if awaiting.0 != sink.runs {
            awaiting = (sink.runs, Instant::now());
            ready = false;
        }
        // Asked only until it is true: the kernel walks its whole connection table for the answer.
        ready = ready
            || sink.pid().is_some_and(|pid| sockets::listening(pid).is_ok_and(|address| address.is_some()));
        if ready {
            for load in &mut loads {
                load.tend()?;
            }
        } else if awaiting.1.elapsed() > SINK_WAIT {
            bail!("the demo's sink does not listen after {} s", SINK_WAIT.as_secs());
        }
        if !go_on() {
            break;
        }
    }
    // The loads first, all at once: they wait for their last completions, and the sink must still be there.
    loads.iter_mut().for_each(Job::ask_to_end);
    loads.iter_mut().for_each(Job::end);
    sink.ask_to_end();
    sink.end();
    Ok(())
}

/// A child to run again and again.
struct Job {
    name: String,
    program: PathBuf,
    space: Namespace,
    arguments: Vec<String>,
    pause: Duration,
    running: Option<Running>,
    next: Instant,
    runs: u64,
    failures: u32,
}

/// One run of it. Killed when dropped.
struct Running {
    child: Child,
    words: File,
}

impl Job {
    fn new(name: String, program: &Path, space: Namespace, arguments: Vec<String>, pause: Duration) -> Job {
        let program = program.to_owned();
        Job {
            name,
            program,
            space,
            arguments,
            pause,
            running: None,
            next: Instant::now(),
            runs: 0,
            failures: 0,
        }
    }

    fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.child.id())
    }

    /// Looks at the child: starts it when it is time, counts how it ended.
    fn tend(&mut self) -> anyhow::Result<()> {
        let Some(running) = &mut self.running else {
            if Instant::now() >= self.next {
                self.running = Some(self.spawn()?);
                self.runs += 1;
            }
            return Ok(());
        };
        let Some(status) = running.child.try_wait()? else { return Ok(()) };
        self.next = Instant::now() + self.pause;
        self.failures = if status.success() { 0 } else { self.failures + 1 };
        if self.failures >= PATIENCE {
            bail!("the demo's `{}` keeps failing ({status}): {}", self.name, running.last_words());
        }
        self.running = None;
        Ok(())
    }

    fn spawn(&self) -> anyhow::Result<Running> {
        let name = &self.name;
        // In memory: a pipe would have to be emptied, and a file would stay.
        let words: File = memfd_create(c"zcscope-demo", MFdFlags::MFD_CLOEXEC)?.into();
        let mut command = self.space.command(&self.program);
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(words.try_clone()?);
        // Ctrl-C on the terminal is for the demo, which then ends its children in order.
        command.process_group(0);
        let child = command.spawn().with_context(|| format!("cannot start the demo's `{name}`"))?;
        Ok(Running { child, words })
    }

    fn ask_to_end(&mut self) {
        if let Some(running) = &mut self.running
            && matches!(running.child.try_wait(), Ok(None))
        {
            // Not reaped, so the pid is still its own.
            let _ = kill(Pid::from_raw(running.child.id().cast_signed()), Signal::SIGINT);
        }
    }

    /// Waits for a child that was asked to end; one that does not is killed.
    fn end(&mut self) {
        let Some(mut running) = self.running.take() else { return };
        let start = Instant::now();
        while start.elapsed() < GRACE && matches!(running.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Running {
    fn last_words(&mut self) -> String {
        let mut text = String::new();
        let read = self.words.rewind().and_then(|()| self.words.read_to_string(&mut text));
        let last = text.lines().rfind(|line| !line.trim().is_empty());
        match (read, last) {
            (Ok(_), Some(line)) => line.trim().to_owned(),
            _ => "it gave no reason".into(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both are harmless for a child that has already been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A job that is no zcscope: `sh -c SCRIPT` in a namespace of its own; `None` without root.
    fn job(script: &str) -> Option<Job> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: making a network namespace needs root");
            return None;
        }
        let space = Namespace::create().unwrap();
        let arguments = words(&["-c", script]);
        Some(Job::new("test".into(), Path::new("/bin/sh"), space, arguments, Duration::ZERO))
    }

    /// Tends a job until it gives up or `enough` says so.
    fn tend_until(job: &mut Job, enough: impl Fn(&Job) -> bool) -> anyhow::Result<()> {
        let start = Instant::now();
        while !enough(job) && start.elapsed() < Duration::from_secs(10) {
            job.tend()?;
            std::thread::sleep(Duration::from_millis(2));
        }
        assert!(enough(job), "nothing happened");
        Ok(())
    }

    fn is_alive(pid: u32) -> bool {
        Path::new(&format!("/proc/{pid}")).exists()
    }

    #[test]
    fn a_run_that_ends_well_is_started_again() {
        let Some(mut job) = job("exit 0") else { return };
        tend_until(&mut job, |job| job.runs >= 5).unwrap();
        assert_eq!(job.failures, 0);
    }

    #[test]
    fn a_job_that_keeps_failing_is_given_up_with_its_last_words() {
        let Some(mut job) = job("echo first >&2; echo 'no such thing' >&2; echo >&2; exit 3") else { return };
        let error = tend_until(&mut job, |_| false).unwrap_err().to_string();
        assert!(error.contains("no such thing") && !error.contains("first"), "{error}");
        assert_eq!(u64::from(PATIENCE), job.runs);
    }

    #[test]
    fn one_failure_is_forgiven() {
        let marker = tempfile::tempdir().unwrap();
        let path = marker.path().join("ran").display().to_string();
        let Some(mut job) = job(&format!("test -e {path} && exit 0; touch {path}; exit 1")) else { return };
        tend_until(&mut job, |job| job.runs >= 4 && job.failures == 0).unwrap();
    }

    #[test]
    fn a_polite_child_ends_at_once_and_a_stubborn_one_is_killed() {
        let ends = |script| {
            let mut job = job(script)?;
            tend_until(&mut job, |job| job.runs == 1).unwrap();
            let pid = job.pid().unwrap();
            std::thread::sleep(Duration::from_millis(100));
            let start = Instant::now();
            job.ask_to_end();
            job.end();
            assert!(!is_alive(pid));
            Some(start.elapsed())
        };
        let Some(polite) = ends("exec sleep 60") else { return };
        assert!(polite < GRACE / 2, "{polite:?}");
        let Some(stubborn) = ends("trap '' INT; while :; do sleep 1; done") else { return };
        assert!(stubborn >= GRACE, "{stubborn:?}");
    }

    #[test]
    fn a_dropped_job_leaves_no_child() {
        let Some(mut job) = job("exec sleep 60") else { return };
        tend_until(&mut job, |job| job.runs == 1).unwrap();
        let pid = job.pid().unwrap();
        assert!(is_alive(pid));
        drop(job);
        assert!(!is_alive(pid));
    }
}
