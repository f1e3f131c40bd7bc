//! Reads the tables of files sent and of file reads.

use std::os::fd::AsFd;

use anyhow::{Context, Result};
use aya::maps::MapData;
use zcscope_common::{FileEntry, FileKey, Path, ReadEntry, file_flags};

use super::raw::Batch;
use super::samples::text;
use crate::model::sample::{FileReads, FileSample};
use crate::model::snapshot::Session;

/// The two tables, and which of their facts are known.
pub(super) struct Files {
    files: MapData,
    readers: MapData,
    file_batch: Batch<FileKey, FileEntry>,
    reader_batch: Batch<u32, ReadEntry>,
    calls: bool,
    cache_miss: bool,
}

impl Files {
    pub(super) fn new(files: MapData, readers: MapData, session: &Session) -> Files {
        let known = |fact: &str| session.sources.contains_key(fact);
        Files {
            files,
            readers,
            file_batch: Batch::new(),
            reader_batch: Batch::new(),
            calls: known("sendfile_calls"),
            cache_miss: known("cache_miss"),
        }
    }

    /// Files of which something was sent.
    pub(super) fn sent(&mut self) -> Result<Vec<FileSample>> {
        self.file_batch.fill(self.files.fd().as_fd()).context("reading files")?;
        Ok(self.file_batch.iter().filter_map(|(key, entry)| self.sample(key, entry)).collect())
    }

    fn sample(&self, key: &FileKey, entry: &FileEntry) -> Option<FileSample> {
        let path = u8::try_from(key.path).ok().and_then(Path::from_u8)?;
        // Read for a socket that nobody wants, or read and not sent yet.
        if entry.chunks == 0 {
            return None;
        }
        // Only sendfile names its file while it reads it.
        let sendfile = path == Path::Sendfile;
        Some(FileSample {
            pid: key.tgid,
            comm: text(&entry.comm),
            path,
            name: text(&entry.name),
            filesystem: text(&entry.filesystem),
            inode: key.inode,
            calls: (self.calls && sendfile).then_some(entry.calls),
            chunks: entry.chunks,
            bytes: entry.bytes,
            cache_miss_bytes: (self.cache_miss && sendfile).then_some(entry.cache_miss_bytes),
            copy_read_bytes: sendfile.then_some(entry.copy_read_bytes),
            direct: entry.flags & file_flags::DIRECT != 0,
        })
    }

    /// Processes that send plainly and read from files.
    pub(super) fn reads(&mut self) -> Result<Vec<FileReads>> {
        self.reader_batch.fill(self.readers.fd().as_fd()).context("reading file reads")?;
        let readers = self.reader_batch.iter().filter(|(_, entry)| entry.bytes != 0);
        Ok(readers.map(|(pid, e)| FileReads { pid: *pid, comm: text(&e.comm), bytes: e.bytes }).collect())
    }
}
