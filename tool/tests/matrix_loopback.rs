//! The verb `matrix` as a user runs it, over loopback: the document fits its schema, every form is written.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::process::{Command, Output};

fn zcscope(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_zcscope")).args(args).output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

const SMALL: &[&str] = &[
    "matrix",
    "--paths",
    "copy,msg_zerocopy",
    "--sizes",
    "16K,64K",
    "--repeat",
    "2",
    "--cell-duration",
    "5s",
    "--cell-bytes",
    "1M",
    "--warm-up",
    "0",
    "--seed",
    "3",
    "--no-trace",
];

#[test]
fn every_form_of_a_real_matrix() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (json, csv, markdown) = (path("m.json"), path("m.csv"), path("m.md"));
    let mut args = SMALL.to_vec();
    args.extend(["--json", &json, "--csv", &csv, "--markdown", &markdown]);
    let output = zcscope(&args);
    assert!(output.status.success(), "{}", text(&output));
    let said = text(&output);
    for expected in ["4 cells x 2 runs", "seed 3", "FUNCTIONAL ONLY", "msg_zerocopy (COPIED 100 %)"] {
        assert!(said.contains(expected), "{expected}: {said}");
    }

    let document: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    let schema = include_str!("../../docs/json/zcscope.matrix-1.schema.json");
    let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<_> = validator.iter_errors(&document).map(|e| e.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
    let cells = document["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 4);
    for cell in cells {
        for run in cell["runs"].as_array().unwrap() {
            assert_eq!(run["acked_bytes"], 1 << 20, "{run}");
        }
    }
    let told = cells.iter().find(|cell| cell["path"] == "msg_zerocopy").unwrap();
    assert_eq!((&told["verdict"], &told["verdict_source"]), (&"copied".into(), &"told".into()));

    let csv = std::fs::read_to_string(&csv).unwrap();
    let lines: Vec<&str> = csv.lines().filter(|line| !line.starts_with('#')).collect();
    let columns = lines[0].split(',').count();
    assert_eq!((lines.len(), lines[1].split(',').count()), (5, columns));
    assert!(
        std::fs::read_to_string(&markdown).unwrap().contains("| 64K | 1 | 16 | msg_zerocopy (COPIED 100 %)")
    );
}

#[test]
fn cells_that_fail_are_kept_and_told() {
    // Nothing listens on the discard port of a documentation address of this host's loopback.
    let output = zcscope(&[
        "matrix",
        "--paths",
        "copy",
        "--sizes",
        "64K",
        "--repeat",
        "1",
        "--to",
        "127.0.0.1:9",
        "--no-trace",
    ]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("copy (FAILED)") && said.contains("nothing listens"), "{said}");
}

#[test]
fn wrong_usage_is_told_before_anything_runs() {
    for (args, expected) in [
        (&["matrix", "--sizes", "4M..1K"][..], "sweep"),
        (&["matrix", "--paths", "teleport"], "no such send path"),
        (&["matrix", "--json", "--csv"], "only one form"),
        (&["matrix", "--cable", "eth0"], "two different devices"),
        (&["matrix", "diff", "/nonexistent", "/nonexistent"], "cannot read"),
    ] {
        let output = zcscope(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", text(&output));
        assert!(text(&output).contains(expected), "{args:?}: {}", text(&output));
    }
}
