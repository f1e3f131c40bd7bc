//! The recording that a key of the live screen begins and ends: a new file in the working directory.

use std::path::{Path, PathBuf};

use super::record::told;
use crate::model::snapshot::Snapshot;
use crate::record::{Options, Recorder};
use crate::units::{bytes, clock};

/// One that runs, or none.
#[derive(Default)]
pub(super) struct LiveRecording {
    running: Option<Running>,
    now_ns: u64,
}

struct Running {
    recorder: Recorder,
    file: PathBuf,
    began_ns: u64,
    /// The newest snapshot: the last frame, if the end comes now.
    newest: Option<Snapshot>,
}

impl LiveRecording {
    /// Begins a recording in `dir`, called `stem`, or ends the one that runs, and says which.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn toggle(&mut self, dir: &Path, stem: &str) -> anyhow::Result<String> {
        match self.running.take() {
            Some(running) => {
                let summary = running.recorder.finish(running.newest.as_ref())?;
                Ok(told(&summary, &running.file.display().to_string()))
            }
            None => {
                let file = free_name(dir, stem);
                let recorder = Recorder::create(&file, self.now_ns, &Options::default())?;
                let text = format!("recording into {}", file.display());
                self.running = Some(Running { recorder, file, began_ns: self.now_ns, newest: None });
                Ok(text)
            }
        }
    }

    /// Takes in every snapshot of the live source.
    pub(super) fn observe(&mut self, snapshot: &Snapshot) {
        self.now_ns = snapshot.duration_ns;
        if let Some(running) = &mut self.running {
            running.recorder.offer(snapshot);
            running.newest = Some(snapshot.clone());
        }
    }

    /// What runs, for the header: `01:05 1.20 MiB`.
    pub(super) fn words(&self) -> Option<String> {
        let running = self.running.as_ref()?;
        if running.recorder.has_failed() {
            return Some("FAILED".into());
        }
        let time = clock(self.now_ns.saturating_sub(running.began_ns));
        Some(format!("{time} {}", bytes(running.recorder.written())))
    }
}

impl Drop for LiveRecording {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            let file = running.file.display().to_string();
            match running.recorder.finish(running.newest.as_ref()) {
                Ok(summary) => eprintln!("zcscope: {}", told(&summary, &file)),
                Err(error) => eprintln!("zcscope: {error}"),
            }
        }
    }
}

/// `stem.zcr`, or the first `stem-N.zcr` that does not exist.
fn free_name(dir: &Path, stem: &str) -> PathBuf {
    let path = |number: String| {
        let name = format!("{stem}{number}.zcr");
        if dir == Path::new(".") { name.into() } else { dir.join(name) }
    };
    let names = std::iter::once(String::new()).chain((2..=u32::MAX).map(|n| format!("-{n}")));
    let free = names.map(path).find(|path| path.symlink_metadata().is_err());
    free.unwrap_or_else(|| path(String::new()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Recording;

    fn at(second: u64) -> Snapshot {
        Snapshot { duration_ns: second * 1_000_000_000, ..Snapshot::default() }
    }

    #[test]
    fn begins_in_the_middle_and_ends_with_the_newest() {
        let dir = tempfile::tempdir().unwrap();
        let mut live = LiveRecording::default();
        live.observe(&at(100));
        assert!(live.words().is_none());
        assert!(live.toggle(dir.path(), "now").unwrap().starts_with("recording into "));
        (101..104).for_each(|second| live.observe(&at(second)));
        assert!(live.words().unwrap().starts_with("00:03 "));
        live.observe(&Snapshot { duration_ns: 103_250_000_000, ..Snapshot::default() });
        assert!(live.toggle(dir.path(), "now").unwrap().contains("frames of 2.25 s"));
        assert!(live.words().is_none());
        let recording = Recording::open(&dir.path().join("now.zcr")).unwrap();
        assert_eq!(recording.range_ns(), Some((101_000_000_000, 103_250_000_000)));
        // Another one of the same second.
        live.toggle(dir.path(), "now").unwrap();
        live.observe(&at(105));
        drop(live);
        let recording = Recording::open(&dir.path().join("now-2.zcr")).unwrap();
        assert_eq!(recording.range_ns(), Some((105_000_000_000, 105_000_000_000)));
    }

    #[test]
    fn where_nothing_can_be_written_nothing_begins() {
        let mut live = LiveRecording::default();
        let error = live.toggle(Path::new("/nowhere"), "now").unwrap_err().to_string();
        assert!(error.starts_with("the recording /nowhere/now.zcr cannot be written"), "{error}");
        assert!(live.words().is_none());
    }
}
