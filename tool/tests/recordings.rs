//! The verbs that read recordings, as a user without rights runs them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// Exit code, standard output, standard error.
fn zcscope(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_zcscope")).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings/demo.zcr")
}

fn report(file: &Path, arguments: &[&str]) -> (i32, String, String) {
    zcscope(&[&["stat", "--from", file.to_str().unwrap()], arguments].concat())
}

#[test]
fn reports_any_moment_in_every_form() {
    let (code, json, said) = report(&demo(), &["--json"]);
    assert_eq!((code, said.as_str()), (0, ""));
    let end: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(end["schema"], "zcscope.stat/1");
    let (code, json, _) = report(&demo(), &["--json", "--at", "20s"]);
    let early: serde_json::Value = serde_json::from_str(&json).unwrap();
    let at = |report: &serde_json::Value| report["duration_ns"].as_u64().unwrap();
    assert!(
        code == 0 && at(&early) <= 20_000_000_000 && at(&early) > 15_000_000_000 && at(&early) < at(&end)
    );
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("report.txt");
    let (code, out, _) = report(&demo(), &["-o", file.to_str().unwrap()]);
    assert!(code == 0 && out.is_empty() && std::fs::read_to_string(&file).unwrap().contains("sendfile"));
    let (code, _, said) = report(&demo(), &["--fail-if", "silent>0"]);
    assert!(code == 1 && said.contains("silent"), "{said}");
}

#[test]
fn a_cut_recording_is_reported_up_to_the_cut() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("cut.zcr");
    let bytes = std::fs::read(demo()).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let (code, out, said) = report(&file, &[]);
    assert!(code == 0 && !out.is_empty(), "{said}");
    assert!(said.contains("cut.zcr: the file was cut in a block"), "{said}");
}

#[test]
fn what_cannot_be_read_is_one_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let (other, missing) = (dir.path().join("x.json"), dir.path().join("none.zcr"));
    std::fs::write(&other, "{}").unwrap();
    for (file, expected) in [(&other, "is no recording of zcscope"), (&missing, "No such file")] {
        for verb in [["stat", "--from"].as_slice(), &["replay"]] {
            let (code, out, said) = zcscope(&[verb, &[file.to_str().unwrap()]].concat());
            assert!(code == 1 && out.is_empty() && said.contains(expected), "{code} {said}");
            assert_eq!(said.lines().count(), 1, "{said}");
        }
    }
    let (code, _, said) = report(&demo(), &["--at", "1ms"]);
    assert!(code == 2 && said.contains("choose a later --at"), "{said}");
}

#[test]
fn wrong_usage_is_told() {
    for filter in [["-p", "1"], ["--duration", "1s"], ["--record", "x.zcr"], ["--backend", "kprobe"]] {
        assert_eq!(report(&demo(), &filter).0, 2, "{filter:?}");
    }
    assert_eq!(zcscope(&["stat", "--at", "1s"]).0, 2);
    let (code, _, said) = zcscope(&["replay", demo().to_str().unwrap()]);
    assert!(code == 2 && said.contains("zcscope stat --from"), "{said}");
    assert_eq!(zcscope(&["demo", "--replay", "--headless"]).0, 2);
    let (code, _, said) = zcscope(&["record", "--max-size", "1M"]);
    assert!(code == 2 && said.contains("4M is the least"), "{said}");
}
