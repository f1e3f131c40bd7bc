//! Saving a snapshot: the report as text and as JSON, in two new files that belong to the user who asked.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::diagnose::Finding;
use crate::host::owner;
use crate::model::snapshot::Snapshot;
use crate::report::{json, table};

/// Names tried in one second.
const TRIES: u32 = 100;

/// Saves into the working directory, under the present time: `zcscope-20260131-235959.txt` and `.json`.
///
/// # Errors
/// A file cannot be written; one sentence.
pub(super) fn save(snapshot: &Snapshot, findings: &[Finding]) -> anyhow::Result<(PathBuf, PathBuf)> {
    let stem = stem_of_now();
    let [text, json] = save_as(Path::new("."), &stem, snapshot, findings)?;
    Ok((tidy(&text), tidy(&json)))
}

/// `zcscope-YYYYMMDD-HHMMSS`, local time.
pub(super) fn stem_of_now() -> String {
    jiff::Zoned::now().strftime("zcscope-%Y%m%d-%H%M%S").to_string()
}

/// Without the leading `./`.
fn tidy(path: &Path) -> PathBuf {
    path.strip_prefix(".").unwrap_or(path).to_owned()
}

fn save_as(
    dir: &Path,
    stem: &str,
    snapshot: &Snapshot,
    findings: &[Finding],
) -> anyhow::Result<[PathBuf; 2]> {
    let text = table::render(snapshot, findings, &[]);
    let mut json = serde_json::to_string_pretty(&json::document(snapshot, findings, &[]))
        .context("the report cannot be written as JSON")?;
    json.push('\n');
    let (files, paths) = create(dir, stem)?;
    for ((mut file, path), content) in files.into_iter().zip(&paths).zip([text, json]) {
        file.write_all(content.as_bytes())
            .with_context(|| format!("{} cannot be written", tidy(path).display()))?;
    }
    Ok(paths)
}

/// Two new files of one name; nothing that exists is touched.
fn create(dir: &Path, stem: &str) -> anyhow::Result<([File; 2], [PathBuf; 2])> {
    for n in 1..=TRIES {
        let number = if n == 1 { String::new() } else { format!("-{n}") };
        let path = |extension| dir.join(format!("{stem}{number}.{extension}"));
        let paths = [path("txt"), path("json")];
        if paths.iter().any(|path| path.symlink_metadata().is_ok()) {
            continue;
        }
        let new = |path: &PathBuf| {
            owner::create_new(path).with_context(|| format!("{} cannot be written", tidy(path).display()))
        };
        return Ok(([new(&paths[0])?, new(&paths[1])?], paths));
    }
    anyhow::bail!("nothing was saved: there are {TRIES} files of this second already")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_saved_and_nothing_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let snapshot = Snapshot { duration_ns: 5_000_000_000, ..Snapshot::default() };
        let [text, json] = save_as(dir.path(), "now", &snapshot, &[]).unwrap();
        assert_eq!((text, json), (dir.path().join("now.txt"), dir.path().join("now.json")));
        std::fs::write(dir.path().join("now-2.json"), "mine").unwrap();
        let [text, json] = save_as(dir.path(), "now", &snapshot, &[]).unwrap();
        assert_eq!(text, dir.path().join("now-3.txt"));
        let saved: serde_json::Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
        assert_eq!(saved["schema"], "zcscope.stat/1");
        assert_eq!(saved["duration_ns"], 5_000_000_000_u64);
        assert_eq!(std::fs::read_to_string(dir.path().join("now-2.json")).unwrap(), "mine");
    }

    #[test]
    fn what_cannot_be_saved_is_said() {
        let error = save_as(Path::new("/nowhere"), "now", &Snapshot::default(), &[]).unwrap_err();
        assert!(
            format!("{error:#}").starts_with("/nowhere/now.txt cannot be written: No such file"),
            "{error:#}"
        );
    }

    #[test]
    fn the_name_is_a_time() {
        let stem = stem_of_now();
        assert_eq!(stem.len(), "zcscope-20260131-235959".len());
        assert!(stem.strip_prefix("zcscope-20").unwrap().chars().all(|c| c.is_ascii_digit() || c == '-'));
    }
}
