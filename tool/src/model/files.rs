//! Files sent and read: the rows with most bytes, in bounded number, kept when their process is gone.

use std::collections::HashMap;
use std::sync::Arc;

use zcscope_common::Path;

use super::known::Known;
use super::sample::{FileReads, FileSample};

/// Files kept; beyond, those with fewest bytes go.
const MAX_FILES: usize = 4_096;
/// Processes kept that read files.
const MAX_READERS: usize = 1_000;

/// What tells one row from another.
type Key = (u32, Path, u64, String, String);

/// Everything about files.
#[derive(Clone, Debug, Default)]
pub(super) struct Files {
    sent: HashMap<Key, Arc<FileSample>>,
    read: HashMap<u32, FileReads>,
}

impl Files {
    /// Takes cumulative rows in. Rows never shrink: a process number that is used again adds nothing until its
    /// source has counted more.
    pub(super) fn absorb(&mut self, sent: Vec<FileSample>, read: Vec<FileReads>) {
        for row in sent {
            let key = (row.pid, row.path, row.inode, row.filesystem.clone(), row.name.clone());
            if self.sent.get(&key).is_none_or(|old| row.bytes >= old.bytes && **old != row) {
                self.sent.insert(key, Arc::new(row));
            }
        }
        for row in read {
            if self.read.get(&row.pid).is_none_or(|old| row.bytes > old.bytes) {
                self.read.insert(row.pid, row);
            }
        }
        keep_largest(&mut self.sent, MAX_FILES, |row| row.bytes);
        keep_largest(&mut self.read, MAX_READERS, |row| row.bytes);
    }

    /// Files sent, most bytes first; `None` when they cannot be seen.
    pub(super) fn sent(&self, known: &Known) -> Option<Vec<Arc<FileSample>>> {
        if !known.files {
            return None;
        }
        let mut rows: Vec<_> = self.sent.values().map(|row| shown(row, known)).collect();
        rows.sort_by(|a, b| (b.bytes, a.pid, a.path, &a.name).cmp(&(a.bytes, b.pid, b.path, &b.name)));
        Some(rows)
    }

    /// Bytes of files read by processes that send plainly, most first; `None` when they cannot be seen.
    pub(super) fn read(&self, known: &Known) -> Option<Vec<FileReads>> {
        if !known.file_reads {
            return None;
        }
        let mut rows: Vec<_> = self.read.values().cloned().collect();
        rows.sort_by_key(|row| (std::cmp::Reverse(row.bytes), row.pid));
        Some(rows)
    }
}

/// The row without what rests on a missing fact.
fn shown(row: &Arc<FileSample>, known: &Known) -> Arc<FileSample> {
    let hidden = (!known.page_cache && row.cache_miss_bytes.is_some())
        || (!known.copy_read && row.copy_read_bytes.is_some());
    if !hidden {
        return Arc::clone(row);
    }
    Arc::new(FileSample {
        cache_miss_bytes: row.cache_miss_bytes.filter(|_| known.page_cache),
        copy_read_bytes: row.copy_read_bytes.filter(|_| known.copy_read),
        ..FileSample::clone(row)
    })
}

/// Lets the smallest rows go when there are more than `limit`: a tenth more than needed, so that this is rare.
fn keep_largest<K: Clone + Eq + std::hash::Hash, V>(
    rows: &mut HashMap<K, V>,
    limit: usize,
    bytes: impl Fn(&V) -> u64,
) {
    if rows.len() <= limit {
        return;
    }
    let mut by_size: Vec<(u64, K)> = rows.iter().map(|(key, row)| (bytes(row), key.clone())).collect();
    by_size.sort_by_key(|(bytes, _)| *bytes);
    let surplus = rows.len() - limit + limit / 10;
    for (_, key) in by_size.into_iter().take(surplus) {
        rows.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::super::snapshot::{Missing, Session};
    use super::*;

    fn file(inode: u64, bytes: u64) -> FileSample {
        FileSample {
            pid: 7,
            comm: "nginx".into(),
            path: Path::Sendfile,
            name: "movie.mkv".into(),
            filesystem: "ext4".into(),
            inode,
            calls: Some(1),
            chunks: 2,
            bytes,
            cache_miss_bytes: Some(bytes / 2),
            copy_read_bytes: Some(0),
            direct: false,
        }
    }

    fn reads(pid: u32, bytes: u64) -> FileReads {
        FileReads { pid, comm: "cat".into(), bytes }
    }

    #[test]
    fn rows_grow_stay_and_are_bounded() {
        let (mut files, known) = (Files::default(), Known::of(&Session::default()));
        files.absorb(vec![file(1, 10), file(2, 30)], vec![reads(7, 5)]);
        files.absorb(vec![file(1, 50)], vec![]);
        let bytes: Vec<_> = files.sent(&known).unwrap().iter().map(|f| (f.inode, f.bytes)).collect();
        assert_eq!(bytes, [(1, 50), (2, 30)]);
        assert_eq!(files.read(&known).unwrap(), [reads(7, 5)]);
        files.absorb(
            (0..9_000).map(|i| file(i, i + 1)).collect(),
            (0..3_000).map(|i| reads(i, i.into())).collect(),
        );
        let rows = files.sent(&known).unwrap();
        assert!(rows.len() <= MAX_FILES && rows[0].bytes == 9_000);
        assert!(files.read(&known).unwrap().len() <= MAX_READERS);
    }

    #[test]
    fn what_cannot_be_seen_is_not_there() {
        let mut files = Files::default();
        files.absorb(vec![file(1, 10)], vec![reads(7, 5)]);
        let without = |fact: &str| {
            let missing = vec![Missing { fact: fact.into(), why: String::new() }];
            Known::of(&Session { missing, ..Session::default() })
        };
        assert_eq!(files.sent(&without("files")), None);
        assert_eq!(files.read(&without("file_reads")), None);
        let row = files.sent(&without("page_cache")).unwrap().remove(0);
        assert_eq!((row.cache_miss_bytes, row.copy_read_bytes), (None, Some(0)));
    }
}
