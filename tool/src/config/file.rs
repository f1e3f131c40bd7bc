//! Where the file is, and reading it with care: under sudo it belongs to somebody else.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::{Config, ConfigError, parse};

/// Longer files are no configuration.
const LONGEST: u64 = 256 * 1024;

/// What the file says: the one named, or the user's if there is one, or the defaults.
///
/// # Errors
/// The file named cannot be read, or what it says is wrong: one sentence with file and line.
pub fn load(named: Option<&Path>) -> Result<Config, ConfigError> {
    match named {
        Some(path) => read(path, None),
        None => users().map_or_else(|| Ok(Config::default()), |(path, owner)| read_if_there(&path, owner)),
    }
}

/// The user's file is optional: one that is not there, or that is not theirs, is none.
fn read_if_there(path: &Path, owner: Option<u32>) -> Result<Config, ConfigError> {
    let usable = open(path).is_ok_and(|(_, uid)| owner.is_none_or(|owner| uid == owner));
    if usable { read(path, owner) } else { Ok(Config::default()) }
}

fn read(path: &Path, owner: Option<u32>) -> Result<Config, ConfigError> {
    let wrong = |line, message| ConfigError { file: path.to_owned(), line, message };
    let cannot = |error: io::Error| wrong(None, format!("it cannot be read: {error}"));
    let (file, uid) = open(path).map_err(cannot)?;
    if owner.is_some_and(|owner| uid != owner) {
        return Err(wrong(None, "it belongs to somebody else".into()));
    }
    let mut text = String::new();
    file.take(LONGEST + 1).read_to_string(&mut text).map_err(cannot)?;
    if text.len() as u64 > LONGEST {
        return Err(wrong(None, format!("it is longer than {} KiB", LONGEST / 1024)));
    }
    parse(&text).map_err(|(line, message)| wrong(line, message))
}

/// The open file and the user it belongs to. A pipe or device in its place is not waited for.
fn open(path: &Path) -> io::Result<(File, u32)> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    Ok((file, about.uid()))
}

/// The user's file, and under sudo whose it has to be: root must not read for a user what they may not.
fn users() -> Option<(PathBuf, Option<u32>)> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let invoking = variable("SUDO_USER").filter(|_| nix::unistd::geteuid().is_root()).and_then(|name| {
        let user = nix::unistd::User::from_name(name.to_str()?).ok()??;
        (!user.uid.is_root()).then_some(user)
    });
    let owner = invoking.as_ref().map(|user| user.uid.as_raw());
    let home = invoking.map(|user| user.dir).or_else(|| variable("HOME").map(PathBuf::from));
    place(variable("XDG_CONFIG_HOME").map(PathBuf::from), home).map(|path| (path, owner))
}

fn place(config_home: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    // Relative paths are to be ignored (XDG base directories).
    let folder = config_home.filter(|path| path.is_absolute()).or_else(|| Some(home?.join(".config")))?;
    Some(folder.join("zcscope/config.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_follows_the_standard() {
        let place = |config: Option<&str>, home: Option<&str>| {
            place(config.map(PathBuf::from), home.map(PathBuf::from))
        };
        assert_eq!(place(Some("/c"), Some("/h")), Some("/c/zcscope/config.toml".into()));
        assert_eq!(place(Some("c"), Some("/h")), Some("/h/.config/zcscope/config.toml".into()));
        assert_eq!(place(None, Some("/h")), Some("/h/.config/zcscope/config.toml".into()));
        assert_eq!(place(None, None), None);
    }

    #[test]
    fn a_named_file_must_be_there_and_the_users_need_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        assert!(load(Some(&path)).unwrap_err().to_string().contains("cannot be read"));
        assert!(read_if_there(&path, None).is_ok());
        std::fs::write(&path, "tikc = 1\n").unwrap();
        let message = load(Some(&path)).unwrap_err().to_string();
        assert!(message.ends_with("config.toml, line 1: there is no setting `tikc`; did you mean `tick`?"));
        assert!(read_if_there(&path, Some(u32::MAX)).is_ok(), "not theirs: not read");
        assert!(load(Some(folder.path())).is_err());
    }
}
