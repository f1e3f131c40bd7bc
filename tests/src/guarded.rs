//! Kernels that guard the machine's init: not even root may look at that process, and no kernel program runs while one
//! of its threads is on a CPU, not even for what an interrupt does on top of it. The kernel counts these omissions
//! nowhere, so no eBPF tool can know what it missed. Its own trace events are not held back: they tell that packets
//! were handled in such a moment, and when.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::mount::{MsFlags, mount, umount};
use nix::time::{ClockId, clock_gettime};

const TRACEFS: &str = "/sys/kernel/tracing";
const KIND: &str = "tracefs";
const INSTANCES: &str = "/sys/kernel/tracing/instances";
const NAME: &str = "zcscope-tests-";
/// What happens to every packet on its way out and in.
const EVENTS: [&str; 2] = ["net/net_dev_queue", "net/netif_receive_skb"];

/// Notes the packets that were handled on top of init's threads.
#[derive(Debug)]
pub(crate) struct Witness {
    instance: PathBuf,
    /// Holds it; unmounted last.
    _tracefs: Option<Tracefs>,
}

/// The kernel's file system of events, which not every machine has mounted.
#[derive(Debug)]
struct Tracefs;

impl Tracefs {
    /// Mounts it until dropped, if it is not there.
    fn need() -> Option<Tracefs> {
        let there = Path::new(INSTANCES).is_dir();
        let mounted =
            !there && mount(Some(KIND), TRACEFS, Some(KIND), MsFlags::empty(), None::<&str>).is_ok();
        mounted.then_some(Tracefs)
    }
}

impl Drop for Tracefs {
    fn drop(&mut self) {
        // Another run may use it by now; then it stays.
        let _ = umount(TRACEFS);
    }
}

impl Witness {
    /// Begins to watch; `None` where init is not guarded, or the kernel's trace events cannot be had.
    pub(crate) fn begin() -> Option<Witness> {
        if !init_is_guarded() {
            return None;
        }
        let tracefs = Tracefs::need();
        remove_stale();
        let instance = Path::new(INSTANCES).join(format!("{NAME}{}", std::process::id()));
        std::fs::create_dir(&instance).ok()?;
        let witness = Witness { instance, _tracefs: tracefs };
        witness.set_up().ok()?;
        Some(witness)
    }

    fn set_up(&self) -> io::Result<()> {
        let write = |file: &str, text: &str| std::fs::write(self.instance.join(file), text);
        write("trace_clock", "mono")?;
        for thread in std::fs::read_dir("/proc/1/task")? {
            let append = std::fs::OpenOptions::new().append(true).open(self.instance.join("set_event_pid"));
            io::Write::write_all(&mut append?, thread?.file_name().as_encoded_bytes())?;
        }
        EVENTS.iter().try_for_each(|event| write(&format!("events/{event}/enable"), "1"))
    }

    /// Packets handled on top of init since this time of the monotonic clock.
    pub(crate) fn packets_since(&self, begin: Duration) -> usize {
        let trace = std::fs::read_to_string(self.instance.join("trace")).unwrap_or_default();
        trace.lines().filter_map(time_of).filter(|at| *at >= begin).count()
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        remove(&self.instance);
    }
}

/// Whether this is such a kernel.
pub(crate) fn init_is_guarded() -> bool {
    let guarded = |error: io::Error| error.kind() == ErrorKind::PermissionDenied;
    nix::unistd::geteuid().is_root() && std::fs::read_link("/proc/1/exe").is_err_and(guarded)
}

/// The monotonic clock.
pub(crate) fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from)
}

/// Those of runs that were killed.
fn remove_stale() {
    for entry in std::fs::read_dir(INSTANCES).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(NAME));
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            remove(&entry.path());
        }
    }
}

fn remove(instance: &Path) {
    let _ = std::fs::write(instance.join("events/enable"), "0");
    let _ = std::fs::remove_dir(instance);
}

/// `  NAME-PID  [CPU] FLAGS SECONDS.MICROSECONDS: EVENT: ...`; the name may hold anything.
fn time_of(line: &str) -> Option<Duration> {
    if line.starts_with('#') {
        return None;
    }
    let behind_cpu = line.split_once("] ")?.1;
    let seconds = behind_cpu.split_ascii_whitespace().nth(1)?.strip_suffix(':')?;
    Duration::try_from_secs_f64(seconds.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_trace_has_a_time() {
        let line =
            " tokio-rt-worker-74      [001] b.s1. 84865.257053: net_dev_queue: dev=va skbaddr=00 len=66";
        assert_eq!(time_of(line), Some(Duration::from_micros(84_865_257_053)));
        assert_eq!(time_of("# tracer: nop"), None);
        assert_eq!(time_of(""), None);
    }

    #[test]
    fn nothing_is_left_behind() {
        let Some(witness) = Witness::begin() else { return };
        let instance = witness.instance.clone();
        assert!(instance.is_dir());
        assert_eq!(witness.packets_since(now() + Duration::from_secs(3_600)), 0);
        drop(witness);
        assert!(!instance.exists());
    }
}
