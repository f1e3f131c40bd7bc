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
    fits_its_schema(&document);
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

/// A document against its schema.
fn fits_its_schema(document: &serde_json::Value) {
    let schema = include_str!("../../docs/json/zcscope.matrix-1.schema.json");
    let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<_> = validator.iter_errors(document).map(|e| e.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
}

/// The first CPU this process may use.
fn a_cpu() -> String {
    let set = nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(0)).unwrap();
    (0..nix::sched::CpuSet::count()).find(|cpu| set.is_set(*cpu).unwrap()).unwrap().to_string()
}

#[test]
fn what_was_set_is_told_in_every_form_and_keeps_results_apart() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (json, csv, markdown, usual) = (path("m.json"), path("m.csv"), path("m.md"), path("usual.json"));
    let cpu = a_cpu();
    let mut args = SMALL.to_vec();
    args.extend(["--streams", "2", "--page", "thp", "--threads", "1", "--cpu", &cpu, "--iovecs", "2"]);
    args.extend(["--nodelay", "--more", "--reap-every", "2", "--sndbuf", "1M", "--working-set", "4M"]);
    args.extend(["--json", &json, "--csv", &csv, "--markdown", &markdown]);
    let output = zcscope(&args);
    assert!(output.status.success(), "{}", text(&output));

    let document: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    fits_its_schema(&document);
    let cpus: Vec<u64> = vec![cpu.parse().unwrap()];
    let expected = serde_json::json!({
        "sndbuf": "bytes", "sndbuf_asked_bytes": 1 << 20, "page": "thp", "source": "memfd", "iovecs": 2,
        "reap_every": 2, "more": true, "nodelay": true, "so_zerocopy": true, "threads": 1,
        "placement": "cpus", "cpus": cpus,
    });
    assert_eq!(document["knobs"], expected);
    assert_eq!(document["working_set_bytes"], 4 << 20);
    for run in document["cells"].as_array().unwrap().iter().flat_map(|cell| cell["runs"].as_array().unwrap())
    {
        assert_eq!(
            (&run["error"], &run["acked_bytes"]),
            (&serde_json::Value::Null, &(1 << 20).into()),
            "{run}"
        );
    }
    let file = |name: &str| std::fs::read_to_string(name).unwrap();
    for told in [text(&output), file(&csv), file(&markdown)] {
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        for words in [
            "4.00 MiB in turn on thp pages, source memfd; send queue at most 1.00 MiB",
            "2 iovecs, MSG_MORE on, TCP_NODELAY on, SO_ZEROCOPY on, ends of sends read every 2 sends",
            &format!("1, on CPUs {cpu} in turn"),
        ] {
            assert!(told.contains(words), "{words}: {told}");
        }
    }

    let mut args = SMALL.to_vec();
    args.extend(["--streams", "2", "--working-set", "4M", "--json", &usual]);
    assert!(zcscope(&args).status.success());
    let output = zcscope(&["matrix", "diff", &usual, &json]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("other send queue: at most size x depth before"), "{}", text(&output));
}

#[test]
fn without_so_zerocopy_a_cell_is_copied_and_not_ranked() {
    let dir = tempfile::tempdir().unwrap();
    let [json, csv] = ["m.json", "m.csv"].map(|name| dir.path().join(name).display().to_string());
    let mut args =
        SMALL.iter().map(|arg| arg.replace("16K,64K", "64K").replace("copy,msg", "msg")).collect::<Vec<_>>();
    args.extend(["--no-so-zerocopy", "--json", &json, "--csv", &csv].map(str::to_owned));
    let output = zcscope(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    for expected in ["1 cell x 2 runs", "msg_zerocopy (COPIED 100 %)", "COPIED AS ASKED: without SO_ZEROCOPY"]
    {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let document: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    fits_its_schema(&document);
    let cell = &document["cells"][0];
    assert_eq!((&cell["verdict"], &cell["verdict_source"]), (&"copied".into(), &"setting".into()));
    assert_eq!(
        (&cell["told"], &cell["runs"][0]["told"]),
        (&serde_json::Value::Null, &serde_json::Value::Null)
    );
    assert!(std::fs::read_to_string(&csv).unwrap().contains(",copied,setting,"));
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
        (
            &["matrix", "--threads", "2", "--streams", "4,1"],
            "--threads 2 with --streams 1: every thread needs",
        ),
        (&["matrix", "--threads", "1", "--streams", "2", "--same-core"], "need a thread for every stream"),
        (&["matrix", "--cpu", "1023"], "not one this process may use"),
        (&["matrix", "--cpu", "0", "--no-pin"], "cannot be used with"),
        (&["matrix", "--source", "/no/such/place"], "neither memfd nor a directory"),
        (
            &["matrix", "--paths", "msg_zerocopy,sendfile", "--veth", "--verify", "--reuse-early"],
            "breaks no rule on sendfile",
        ),
        (&["matrix", "--rate", "5Gbit"], "unexpected argument"),
        (&["matrix", "diff", "/nonexistent", "/nonexistent"], "cannot read"),
    ] {
        let output = zcscope(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", text(&output));
        assert!(text(&output).contains(expected), "{args:?}: {}", text(&output));
    }
}
