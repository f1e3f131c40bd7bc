//! Network namespaces that vanish by themselves: they have no name, and live only as long as a descriptor or a
//! process holds them. Nothing stays behind, not even after `kill -9`.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::{fs, io, process, thread};

use nix::sched::{CloneFlags, setns, unshare};

use super::spawn;

/// The namespace of the calling thread. Not `/proc/self`: that is the main thread's.
const OWN: &str = "/proc/thread-self/ns/net";

/// A network namespace, held open. The last holder gone, the kernel removes it with all its virtual devices and
/// gives physical ones back to the first namespace.
#[derive(Clone, Debug)]
pub struct Namespace {
    fd: Arc<OwnedFd>,
}

impl Namespace {
    /// Makes an empty one: only a loopback device, which is down.
    ///
    /// # Errors
    /// `EPERM` without CAP_SYS_ADMIN; `ENOSPC` when the limit of namespaces is reached.
    pub fn create() -> io::Result<Namespace> {
        // On a thread of its own: unshare moves the calling thread, and there is no way to stay.
        on_own_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            Namespace::current()
        })?
    }

    /// The namespace of the calling thread.
    ///
    /// # Errors
    /// `/proc` is not mounted.
    pub fn current() -> io::Result<Namespace> {
        Ok(Namespace { fd: Arc::new(File::open(OWN)?.into()) })
    }

    /// The namespace of a process.
    ///
    /// # Errors
    /// The process is gone, or belongs to someone else.
    pub fn of_process(pid: u32) -> io::Result<Namespace> {
        Ok(Namespace { fd: Arc::new(File::open(format!("/proc/{pid}/ns/net"))?.into()) })
    }

    /// The namespace a file stands for, such as one of `ip netns`.
    ///
    /// # Errors
    /// There is no such file.
    pub fn open(path: &Path) -> io::Result<Namespace> {
        Ok(Namespace { fd: Arc::new(File::open(path)?.into()) })
    }

    /// Its inode number, which is how the kernel identifies it.
    ///
    /// # Errors
    /// The descriptor cannot be asked (never seen).
    pub fn inode(&self) -> io::Result<u64> {
        Ok(nix::sys::stat::fstat(&*self.fd)?.st_ino)
    }

    /// A path to it that other processes can open as long as this process holds it.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", process::id(), self.fd.as_raw_fd()).into()
    }

    /// Its descriptor's number, for a netlink message; valid as long as this lives.
    pub(super) fn raw_fd(&self) -> std::os::fd::RawFd {
        self.fd.as_raw_fd()
    }

    /// A command whose child runs inside, and is killed when the thread that spawns it ends. Spawn it from a thread
    /// that lives as long as the child shall.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        spawn::inside(&mut command, Arc::clone(&self.fd));
        command
    }

    /// Runs `f` on a fresh thread inside and returns its result. Sockets made there stay inside wherever they are
    /// used later. In there, read `/proc/thread-self/net`, not `/proc/net`.
    ///
    /// # Errors
    /// `EPERM` without CAP_SYS_ADMIN.
    pub fn enter<T: Send>(&self, f: impl FnOnce() -> T + Send) -> io::Result<T> {
        on_own_thread(|| {
            setns(&*self.fd, CloneFlags::CLONE_NEWNET)?;
            Ok(f())
        })?
    }
}

/// Where `ip netns` keeps names.
pub(super) const NAMED: &str = "/run/netns";

/// Inode number of the namespace of this name (`ip netns`), or of the process with this id.
///
/// # Errors
/// One sentence: there is no such namespace.
pub fn find(name: &str) -> Result<u32, String> {
    let inode = |path: PathBuf| fs::metadata(path).ok().and_then(|meta| u32::try_from(meta.ino()).ok());
    if let Some(found) =
        Some(name).filter(|name| !name.contains('/')).and_then(|n| inode(Path::new(NAMED).join(n)))
    {
        return Ok(found);
    }
    if name.parse::<u32>().is_ok() {
        return inode(format!("/proc/{name}/ns/net").into())
            .ok_or_else(|| format!("there is no process {name}, so it has no network namespace"));
    }
    Err(format!("there is no network namespace {name:?}; `ip netns` lists them, or give a process id"))
}

/// Names of the namespaces that have one, by inode number.
#[must_use]
pub fn names() -> Vec<(u32, String)> {
    let entries = fs::read_dir(NAMED).into_iter().flatten().flatten();
    let named = entries.filter_map(|entry| {
        let inode = fs::metadata(entry.path()).ok()?.ino();
        Some((u32::try_from(inode).ok()?, entry.file_name().to_string_lossy().into_owned()))
    });
    named.collect()
}

/// Runs `f` on a thread that ends with it; a panic of `f` goes on in the caller. The thread keeps the caller's name, under
/// which the kernel, and so every report, knows who sends on it.
fn on_own_thread<T: Send>(f: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().spawn_scoped(scope, f)?;
        thread.join().map_or_else(|panic| std::panic::resume_unwind(panic), Ok)
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::time::{Duration, Instant};

    use super::*;

    /// Says why a test does nothing.
    fn no_root() -> bool {
        let skip = !nix::unistd::geteuid().is_root();
        if skip {
            eprintln!("skipped: making a network namespace needs root");
        }
        skip
    }

    fn devices() -> Vec<String> {
        let text = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
        text.lines().skip(2).filter_map(|line| Some(line.trim().split_once(':')?.0.to_owned())).collect()
    }

    #[test]
    fn a_new_one_is_another_and_has_only_loopback() {
        if no_root() {
            return;
        }
        let own = Namespace::current().unwrap().inode().unwrap();
        let (a, b) = (Namespace::create().unwrap(), Namespace::create().unwrap());
        let inodes = [own, a.inode().unwrap(), b.inode().unwrap()];
        assert!(inodes[0] != inodes[1] && inodes[1] != inodes[2] && inodes[0] != inodes[2], "{inodes:?}");
        let inside = a.enter(|| (Namespace::current().unwrap().inode().unwrap(), devices())).unwrap();
        assert_eq!(inside.0, a.inode().unwrap());
        assert!(inside.1.contains(&"lo".to_owned()));
        assert_eq!(Namespace::current().unwrap().inode().unwrap(), own, "the caller stays where it was");
    }

    #[test]
    fn a_process_names_its_namespace() {
        let own = Namespace::current().unwrap().inode().unwrap();
        assert_eq!(find(&process::id().to_string()).map(u64::from), Ok(own));
        assert!(find("nosuch-namespace").unwrap_err().contains("nosuch-namespace"));
        assert!(find("4194305").unwrap_err().contains("process 4194305"));
        assert!(find("../self/ns/net").is_err());
    }

    #[test]
    fn a_command_runs_inside() {
        if no_root() {
            return;
        }
        let space = Namespace::create().unwrap();
        let output = space.command("readlink").arg("/proc/self/ns/net").output().unwrap();
        let expected = format!("net:[{}]", space.inode().unwrap());
        assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), expected);
    }

    #[test]
    fn the_path_leads_to_it() {
        use std::os::unix::fs::MetadataExt;
        if no_root() {
            return;
        }
        let space = Namespace::create().unwrap();
        assert_eq!(std::fs::metadata(space.path()).unwrap().ino(), space.inode().unwrap());
    }

    #[test]
    fn a_child_dies_with_the_thread_that_started_it() {
        if no_root() {
            return;
        }
        let space = Namespace::create().unwrap();
        let command = space.command("sleep");
        let mut child = thread::spawn(move || {
            let mut command = command;
            command.arg("60").spawn().unwrap()
        })
        .join()
        .unwrap();
        let start = Instant::now();
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(9));
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn a_panic_inside_reaches_the_caller() {
        if no_root() {
            return;
        }
        let space = Namespace::create().unwrap();
        let caught =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| space.enter(|| panic!("as planned"))));
        assert!(caught.is_err());
    }
}
