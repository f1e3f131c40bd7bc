//! Files that are written under sudo belong to the user who called it.

use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::Path;

/// Creates a file that does not exist yet, and gives it to the user who called sudo, if somebody did. What has this name
/// already is not opened, and no link is followed. A file system that knows no owners keeps what it made.
///
/// # Errors
/// The file exists, or cannot be created.
pub fn create_new(path: &Path) -> io::Result<File> {
    let file = File::create_new(path)?;
    if let Some(caller) = caller() {
        // Whoever owns it, it can be written.
        let _ = give(&file, caller);
    }
    Ok(file)
}

/// User and group of whoever called sudo; `None` when nobody did, or we are not root.
fn caller() -> Option<(u32, u32)> {
    let id = |name| std::env::var(name).ok()?.parse::<u32>().ok();
    nix::unistd::geteuid().is_root().then(|| id("SUDO_UID").zip(id("SUDO_GID"))).flatten()
}

/// By the open file, never by its name, and only a plain file of ours that has no other name.
fn give(file: &File, (user, group): (u32, u32)) -> io::Result<()> {
    let meta = file.metadata()?;
    let ours = meta.uid() == nix::unistd::geteuid().as_raw();
    if meta.is_file() && meta.nlink() == 1 && ours { fchown(file, Some(user), Some(group)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: u32 = 65_534;

    #[test]
    fn only_what_is_new_is_created() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        assert!(create_new(&path).is_ok());
        assert_eq!(create_new(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        let (link, target) = (dir.path().join("link"), dir.path().join("target"));
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert_eq!(create_new(&link).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(!target.exists());
    }

    #[test]
    fn a_file_is_given_away_unless_it_has_another_name() {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: giving files away needs root");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("file"), dir.path().join("other"));
        let file = create_new(&path).unwrap();
        std::fs::hard_link(&path, &other).unwrap();
        give(&file, (NOBODY, NOBODY)).unwrap();
        assert_eq!(file.metadata().unwrap().uid(), 0);
        std::fs::remove_file(&other).unwrap();
        give(&file, (NOBODY, NOBODY)).unwrap();
        let meta = file.metadata().unwrap();
        assert_eq!((meta.uid(), meta.gid()), (NOBODY, NOBODY));
    }
}
