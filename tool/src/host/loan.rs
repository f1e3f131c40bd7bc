//! Borrowed devices on record: a small file, written before anything changes, from which another process gives the
//! devices their settings back when the borrower was killed. The kernel itself returns a device only set down and
//! bare, and to the first network namespace.

use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use std::{env, fs, io, process, thread};

use serde::{Deserialize, Serialize};

use super::netlink::Netlink;
use super::netns::Namespace;
use super::settings::{Settings, hardware, link};

/// How long the kernel may take to give a dead process's devices back (it does so in the background).
const RETURN_WAIT: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(50);

/// What stands in the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    boot: String,
    owner: Owner,
    /// Inode number of the network namespace the devices belong to.
    home: u64,
    devices: Vec<Settings>,
}

/// A process: its number may come again, with its start time it is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Owner {
    pid: u32,
    start: u64,
}

impl Owner {
    fn this() -> io::Result<Owner> {
        Owner::of(process::id()).ok_or_else(|| io::Error::other("/proc does not show this process"))
    }

    fn of(pid: u32) -> Option<Owner> {
        let process = procfs::process::Process::new(pid.cast_signed()).ok()?;
        Some(Owner { pid, start: process.stat().ok()?.starttime })
    }

    fn is_alive(self) -> bool {
        Owner::of(self.pid) == Some(self)
    }
}

/// Devices of this process on record. Dropping it ends the record, unless something could not be restored.
#[derive(Debug)]
pub(super) struct Loan {
    file: PathBuf,
    incomplete: AtomicBool,
}

impl Loan {
    /// Puts devices of the calling thread's network namespace on record.
    ///
    /// # Errors
    /// No directory to write to.
    pub(super) fn record(devices: Vec<Settings>) -> io::Result<Loan> {
        let home = Namespace::current()?.inode()?;
        let record = Record { boot: boot_id(), owner: Owner::this()?, home, devices };
        let directory = directory()?;
        let names: Vec<_> = record.devices.iter().map(|settings| settings.device.as_str()).collect();
        let file = directory.join(format!("cable-{}-{}.json", process::id(), names.join("-")));
        let draft = file.with_extension("new");
        let text = serde_json::to_vec(&record)?;
        fs::write(&draft, text).and_then(|()| fs::rename(&draft, &file)).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!(
                    "cannot write {}, without which a killed run could not be repaired: {error}",
                    file.display()
                ),
            )
        })?;
        Ok(Loan { file, incomplete: AtomicBool::new(false) })
    }

    /// Keeps the record when this process ends, for a later repair.
    pub(super) fn keep(&self) {
        self.incomplete.store(true, Relaxed);
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if !self.incomplete.load(Relaxed) {
            let _ = fs::remove_file(&self.file);
        }
    }
}

/// What a repair found and did, one sentence each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repair {
    /// Restored, or gone for good.
    pub done: Vec<String>,
    /// Left alone: still in use, or of another network namespace.
    pub left: Vec<String>,
    /// Not possible.
    pub failed: Vec<String>,
}

/// Gives devices of the calling thread's network namespace their settings back that a process borrowed and, killed,
/// could not return.
#[must_use]
pub fn repair() -> Repair {
    let mut repair = Repair::default();
    for directory in directories().filter(|directory| is_ours(directory)) {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|extension| extension == "json") {
                repair.one(&entry.path());
            }
        }
    }
    repair
}

impl Repair {
    fn one(&mut self, file: &Path) {
        let record = fs::read(file).ok().and_then(|text| serde_json::from_slice::<Record>(&text).ok());
        let Some(record) = record else {
            self.failed.push(format!("cannot read {}; delete it if no zcscope is running", file.display()));
            return;
        };
        let names = record.devices.iter().map(|s| s.device.as_str()).collect::<Vec<_>>().join(" and ");
        let home = Namespace::current().and_then(|namespace| namespace.inode());
        match () {
            // Nothing of an earlier boot is left to repair.
            () if record.boot != boot_id() => {}
            () if record.owner.is_alive() => {
                self.left.push(format!("process {} still uses {names}", record.owner.pid));
                return;
            }
            () if home.ok() != Some(record.home) => {
                let home = record.home;
                self.left.push(format!(
                    "{names} belong to network namespace net:[{home}]; repair them from there"
                ));
                return;
            }
            () => {
                let deadline = Instant::now() + RETURN_WAIT;
                let outcomes: Vec<_> = record.devices.iter().map(|s| self.device(s, deadline)).collect();
                if outcomes.contains(&false) {
                    return;
                }
            }
        }
        if let Err(error) = fs::remove_file(file) {
            self.failed.push(format!("cannot remove {}: {error}", file.display()));
        }
    }

    /// Restores one device; false when it should be tried again.
    fn device(&mut self, settings: &Settings, deadline: Instant) -> bool {
        let name = &settings.device;
        if !returns(settings, deadline) {
            self.done.push(format!(
                "{name} is not in this network namespace any more (the kernel deletes virtual devices with the \
                 namespace they were lent to); nothing to restore"
            ));
            return true;
        }
        let refused = settings.restore();
        let complete = refused.is_empty();
        if complete {
            self.done.push(format!("{name} has its settings back"));
        }
        self.failed.extend(refused);
        complete
    }
}

/// Waits until the device is here.
fn returns(settings: &Settings, deadline: Instant) -> bool {
    loop {
        let here = Netlink::open().and_then(|mut netlink| link(&mut netlink, &settings.device));
        if here.is_ok_and(|link| hardware(&link) == settings.hardware) {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(PAUSE);
    }
}

/// Where records may be: gone after a boot, as the moved devices are.
fn directories() -> impl Iterator<Item = PathBuf> {
    let user = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    [Some(PathBuf::from("/run")), user].into_iter().flatten().map(|base| base.join("zcscope"))
}

/// The first of them that can be made and is this user's own: what stands in a record is done with root's rights.
fn directory() -> io::Result<PathBuf> {
    let mut refusal = None;
    for directory in directories() {
        match fs::DirBuilder::new().mode(0o700).recursive(true).create(&directory) {
            Ok(()) if is_ours(&directory) => return Ok(directory),
            Ok(()) => {}
            Err(error) => refusal = Some(error),
        }
    }
    let why = refusal.map_or_else(|| "it belongs to somebody else".to_owned(), |error| error.to_string());
    Err(io::Error::other(format!(
        "cannot keep a record of the borrowed devices in /run/zcscope ({why}); set XDG_RUNTIME_DIR"
    )))
}

fn is_ours(directory: &Path) -> bool {
    // Not through a link: that could lead to somebody else's files.
    fs::symlink_metadata(directory).is_ok_and(|meta| {
        meta.is_dir() && meta.uid() == nix::unistd::geteuid().as_raw() && meta.mode() & 0o022 == 0
    })
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_one_with_another_start_is_not() {
        let this = Owner::this().unwrap();
        assert!(this.is_alive());
        assert!(!Owner { start: this.start + 1, ..this }.is_alive());
        assert!(!Owner { pid: 4_194_305, start: 1 }.is_alive());
    }

    #[test]
    fn a_file_that_is_no_record_is_named_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("cable-1.json");
        fs::write(&file, "{}").unwrap();
        let mut repair = Repair::default();
        repair.one(&file);
        assert!(repair.failed[0].contains("cable-1.json"), "{repair:?}");
        assert!(file.exists());
    }

    #[test]
    fn records_of_an_earlier_boot_go_and_those_of_the_living_stay() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("cable-1.json");
        let mut record =
            Record { boot: "earlier".into(), owner: Owner { pid: 1, start: 0 }, home: 1, devices: vec![] };
        let run = |record: &Record| {
            fs::write(&file, serde_json::to_vec(record).unwrap()).unwrap();
            let mut repair = Repair::default();
            repair.one(&file);
            (repair, file.exists())
        };
        assert_eq!(run(&record), (Repair::default(), false));
        record.boot = boot_id();
        let (elsewhere, kept) = run(&record);
        assert!(kept && elsewhere.left[0].contains("net:[1]"), "{elsewhere:?}");
        record.owner = Owner::this().unwrap();
        let (alive, kept) = run(&record);
        assert!(kept && alive.left[0].contains("still uses"), "{alive:?}");
    }

    #[test]
    fn a_directory_others_may_write_to_is_not_ours() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        assert!(is_ours(directory.path()));
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(!is_ours(directory.path()));
        assert!(!is_ours(&directory.path().join("nosuch")));
    }
}
