//! Where the report goes, and the file that says "attached".

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::commands::Failure;

/// Where the report goes.
#[derive(Debug)]
pub(super) enum Destination<'a> {
    Stdout,
    Stderr,
    File(&'a Path),
}

impl<'a> Destination<'a> {
    /// A file when one is named; a traced command keeps stdout.
    pub(super) fn of(file: Option<&'a Path>, command: bool) -> Self {
        match file {
            Some(file) => Destination::File(file),
            None if command => Destination::Stderr,
            None => Destination::Stdout,
        }
    }

    /// Writes the report; a file appears whole or not at all.
    pub(super) fn write(&self, text: &str) -> Result<(), Failure> {
        let (name, written) = match self {
            Destination::Stdout => ("stdout".into(), std::io::stdout().lock().write_all(text.as_bytes())),
            Destination::Stderr => ("stderr".into(), std::io::stderr().lock().write_all(text.as_bytes())),
            Destination::File(path) => (path.display().to_string(), write_file(path, text)),
        };
        written.map_err(|error| Failure::Failed(format!("the report cannot be written to {name}: {error}")))
    }
}

/// Regular files are replaced by renaming. Devices and pipes (`/dev/null`!) are written to, never replaced; of a
/// symbolic link, the target is replaced.
fn write_file(path: &Path, text: &str) -> std::io::Result<()> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if fs::metadata(&target).is_ok_and(|meta| !meta.is_file()) {
        return fs::OpenOptions::new().write(true).open(&target)?.write_all(text.as_bytes());
    }
    let mut temporary = target.clone().into_os_string();
    temporary.push(format!(".{}.tmp", std::process::id()));
    let done = fs::write(&temporary, text).and_then(|()| fs::rename(&temporary, &target));
    if done.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    done
}

/// A file that exists while everything is attached.
#[derive(Debug)]
pub(super) struct ReadyFile(PathBuf);

impl ReadyFile {
    /// Creates it, holding our process id.
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        fs::write(path, format!("{}\n", std::process::id())).map_err(|error| {
            Failure::Failed(format!("the ready file {} cannot be written: {error}", path.display()))
        })?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for ReadyFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_replaced_whole_and_links_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("report"), dir.path().join("link"));
        fs::write(&file, "old and longer").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        Destination::of(Some(&link), false).write("new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "no temporary file stays");
    }

    #[test]
    fn a_device_is_written_not_replaced() {
        Destination::File(Path::new("/dev/null")).write("x").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn what_cannot_be_written_is_said() {
        let error = Destination::File(Path::new("/nowhere/at/all")).write("x").unwrap_err();
        assert_eq!(error.exit_code(), 1);
        assert!(error.to_string().contains("/nowhere/at/all"));
    }
}
