//! Writes the archive format of an initramfs: cpio, variant "newc", uncompressed.

use std::collections::BTreeSet;
use std::io::{self, Write};

const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const CHARACTER_DEVICE: u32 = 0o020_000;

/// An archive being written. Parent directories are made as needed; a path can be added once.
pub(crate) struct Archive<W: Write> {
    out: W,
    inode: u32,
    known: BTreeSet<String>,
}

impl<W: Write> Archive<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, inode: 0, known: BTreeSet::new() }
    }

    /// Is this path in the archive already?
    pub(crate) fn has(&self, path: &str) -> bool {
        self.known.contains(relative(path))
    }

    /// Adds a directory and its parents.
    pub(crate) fn dir(&mut self, path: &str) -> io::Result<()> {
        let path = relative(path);
        if path.is_empty() || self.known.contains(path) {
            return Ok(());
        }
        self.parents(path)?;
        self.entry(path, DIRECTORY | 0o755, (0, 0), &[])
    }

    /// Adds a file with these permission bits.
    pub(crate) fn file(&mut self, path: &str, mode: u32, content: &[u8]) -> io::Result<()> {
        self.parents(relative(path))?;
        self.entry(relative(path), REGULAR | mode, (0, 0), content)
    }

    /// Adds a character device.
    pub(crate) fn device(&mut self, path: &str, major: u32, minor: u32) -> io::Result<()> {
        self.parents(relative(path))?;
        self.entry(relative(path), CHARACTER_DEVICE | 0o600, (major, minor), &[])
    }

    /// Ends the archive.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.entry("TRAILER!!!", 0, (0, 0), &[])?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn parents(&mut self, path: &str) -> io::Result<()> {
        path.rsplit_once('/').map_or(Ok(()), |(parent, _)| self.dir(parent))
    }

    fn entry(&mut self, name: &str, mode: u32, device: (u32, u32), content: &[u8]) -> io::Result<()> {
        if !self.known.insert(name.to_owned()) {
            return Err(io::Error::other(format!("/{name} is in the archive twice")));
        }
        let size =
            u32::try_from(content.len()).map_err(|_| io::Error::other(format!("/{name} is over 4 GiB")))?;
        let name_size = u32::try_from(name.len() + 1).map_err(io::Error::other)?;
        self.inode += 1;
        // inode mode uid gid nlink mtime size dev(2) rdev(2) name-size check
        let fields = [self.inode, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name_size, 0]
            .map(|v| format!("{v:08x}"));
        let header = format!("070701{}{name}\0", fields.concat());
        self.out.write_all(header.as_bytes())?;
        self.pad(header.len())?;
        self.out.write_all(content)?;
        self.pad(content.len())
    }

    /// Headers and contents start at multiples of four bytes.
    fn pad(&mut self, written: usize) -> io::Result<()> {
        self.out.write_all(&[0; 3][..written.next_multiple_of(4) - written])
    }
}

fn relative(path: &str) -> &str {
    path.trim_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive() -> Vec<u8> {
        let mut archive = Archive::new(Vec::new());
        archive.file("/a/b/hello", 0o755, b"hi").unwrap();
        archive.device("/a/null", 1, 3).unwrap();
        archive.finish().unwrap()
    }

    #[test]
    fn parents_come_first_and_everything_is_aligned() {
        let bytes = archive();
        let text = String::from_utf8_lossy(&bytes);
        let at = |what: &str| text.find(what).unwrap();
        assert!(at("a\0") < at("a/b\0") && at("a/b\0") < at("a/b/hello\0"));
        let headers: Vec<_> = text.match_indices("070701").map(|(at, _)| at).collect();
        assert_eq!(headers.len(), 5);
        assert!(headers.iter().all(|at| at % 4 == 0), "{headers:?}");
        assert_eq!(bytes.len() % 4, 0);
    }

    #[test]
    fn the_same_path_twice_is_refused() {
        let mut archive = Archive::new(Vec::new());
        archive.file("/x", 0o644, b"").unwrap();
        assert!(archive.file("x", 0o644, b"").is_err());
        assert!(archive.has("/x") && !archive.has("/y"));
    }
}
