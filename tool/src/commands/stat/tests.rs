//! Tests of the verb with a tracer that makes its figures up.

use zcscope_common::{FlowCounters, Path};

use super::*;
use crate::model::sample::{Sample, SocketSample};
use crate::model::snapshot::Session;
use crate::report::json::StatDocument;

/// One socket that sent 1,000 bytes with MSG_ZEROCOPY, a tenth of them copied. Its last sends complete with
/// reading number `completes_at`.
#[derive(Default)]
struct Fake {
    reads: u64,
    completes_at: u64,
    fails_at: Option<u64>,
    adopted: Vec<bool>,
}

impl Tracer for &mut Fake {
    fn session(&self) -> Session {
        Session { kernel: "6.18.44".into(), ..Session::default() }
    }

    fn read(&mut self) -> anyhow::Result<Sample> {
        self.reads += 1;
        anyhow::ensure!(Some(self.reads) != self.fails_at, "the map is gone");
        let done = if self.reads >= self.completes_at { 1_000 } else { 400 };
        let counters = FlowCounters {
            calls: 2,
            bytes: 1_000,
            zc_sends: 2,
            completed_sends: if done == 1_000 { 2 } else { 1 },
            completed_bytes: done,
            unit_copied_bytes: 100,
            ..FlowCounters::default()
        };
        let socket = SocketSample {
            id: 1,
            cookie: None,
            pid: 1,
            comm: "x".into(),
            local: "[::1]:1".parse()?,
            remote: "[::1]:2".parse()?,
            dev: None,
            netns: 0,
            cgroup: 0,
            uid: 0,
            gauges: zcscope_common::Gauges::default(),
            flows: vec![(Path::MsgZerocopy, counters)],
        };
        Ok(Sample { at_ns: self.reads * 250_000_000, sockets: vec![socket], ..Sample::default() })
    }

    fn adopt_children(&mut self, on: bool) -> anyhow::Result<()> {
        self.adopted.push(on);
        Ok(())
    }
}

/// Runs `stat --json -o FILE` and returns how it ended and the report.
fn stat(
    fake: &mut Fake,
    command: &[&str],
    change: impl FnOnce(&mut Args),
) -> (Outcome, Option<StatDocument>) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("report.json");
    let mut args = Args {
        json: true,
        output: Some(file.clone()),
        command: command.iter().map(|s| (*s).to_owned()).collect(),
        ..Args::default()
    };
    change(&mut args);
    let outcome = run_with(fake, &args);
    (outcome, std::fs::read_to_string(file).ok().map(|text| serde_json::from_str(&text).unwrap()))
}

fn sh(script: &str) -> [&str; 3] {
    ["sh", "-c", script]
}

#[test]
fn the_status_of_the_command_is_ours() {
    for (script, code) in [("exit 0", 0), ("exit 3", 3), ("kill -KILL $$", 137)] {
        let mut fake = Fake::default();
        let (outcome, report) = stat(&mut fake, &sh(script), |_| {});
        assert_eq!(outcome.unwrap(), code, "{script}");
        assert_eq!(report.unwrap().command, sh(script));
        assert_eq!(fake.adopted, [true, false], "the command, and nothing after it, is adopted");
    }
}

#[test]
fn a_command_that_is_not_there() {
    let (outcome, report) = stat(&mut Fake::default(), &["/no/such/command"], |_| {});
    assert_eq!(outcome.unwrap(), 127);
    assert!(report.is_none());
}

#[test]
fn time_ends_the_trace_and_then_the_command() {
    let start = std::time::Instant::now();
    let short = |args: &mut Args| args.duration = Some(Duration::from_millis(300));
    let (outcome, report) = stat(&mut Fake::default(), &["sleep", "60"], short);
    assert_eq!(outcome.unwrap(), 0, "ended by our own signal");
    assert_eq!(report.unwrap().paths[0].bytes, 1_000);
    assert!(start.elapsed() < Duration::from_secs(20));
    let (outcome, _) =
        stat(&mut Fake::default(), &sh("trap 'exit 9' TERM; while :; do sleep 0.05; done"), short);
    assert_eq!(outcome.unwrap(), 9, "its own answer to the signal");
}

#[test]
fn the_last_sends_get_time_to_complete() {
    let mut fake = Fake { completes_at: 5, ..Fake::default() };
    let (_, report) = stat(&mut fake, &["true"], |_| {});
    assert_eq!(fake.reads, 6, "five until nothing is open, and the last one with how full the maps are");
    let path = &report.unwrap().paths[0];
    assert_eq!(path.in_flight.unwrap().sends, 0);
    assert_eq!(path.zerocopied_bytes, Some(900));

    let mut never = Fake { completes_at: u64::MAX, ..Fake::default() };
    let start = std::time::Instant::now();
    let (outcome, report) = stat(&mut never, &["true"], |_| {});
    assert_eq!(outcome.unwrap(), 0);
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!(report.unwrap().paths[0].in_flight.unwrap().bytes, 600);
}

#[test]
fn without_a_command_time_ends_it_and_checks_decide() {
    let with = |checks: &[&str]| {
        let checks = checks.iter().map(|c| fail_if::parse(c).unwrap()).collect();
        let (outcome, report) = stat(&mut Fake::default(), &[], |args| {
            args.duration = Some(Duration::from_millis(20));
            args.fail_if = checks;
        });
        assert!(report.is_some(), "the report comes whatever the verdict");
        outcome.unwrap()
    };
    assert_eq!(with(&[]), 0);
    assert_eq!(with(&["copied>20%", "lost>0"]), 0);
    assert_eq!(with(&["copied>20%", "copied>1%"]), 1);
    assert_eq!(with(&["reason:optmem", "finding:lost"]), 0);
}

#[test]
fn a_check_that_cannot_be_judged_is_exit_code_three_unless_another_one_failed() {
    let with = |checks: &[&str]| {
        let checks = checks.iter().map(|c| fail_if::parse(c).unwrap()).collect();
        let (outcome, _) = stat(&mut Fake::default(), &[], |args| {
            args.duration = Some(Duration::from_millis(20));
            args.fail_if = checks;
        });
        outcome.unwrap_or_else(|failure| failure.exit_code())
    };
    // The source tells no times.
    assert_eq!(with(&["p99>5ms"]), 3);
    assert_eq!(with(&["p99>5ms", "copied>1%"]), 1);
}

#[test]
fn a_check_does_not_hide_the_status_of_the_command() {
    let check = |args: &mut Args| args.fail_if = vec![fail_if::parse("copied>1%").unwrap()];
    assert_eq!(stat(&mut Fake::default(), &["true"], check).0.unwrap(), 1);
    assert_eq!(stat(&mut Fake::default(), &sh("exit 7"), check).0.unwrap(), 7);
}

#[test]
fn a_tracer_that_breaks_is_exit_code_three_and_leaves_no_command_behind() {
    let mut fake = Fake { fails_at: Some(1), ..Fake::default() };
    let start = std::time::Instant::now();
    let (outcome, report) = stat(&mut fake, &["sleep", "60"], |_| {});
    let failure = outcome.unwrap_err();
    assert_eq!(failure.exit_code(), 3);
    assert_eq!(failure.to_string(), "cannot trace here: the map is gone");
    assert!(report.is_none());
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn the_ready_file_is_there_while_tracing_and_gone_after() {
    let dir = tempfile::tempdir().unwrap();
    let ready = dir.path().join("ready");
    let script = format!("test -s {}", ready.display());
    let (outcome, _) = stat(&mut Fake::default(), &sh(&script), |args| args.ready_file = Some(ready.clone()));
    assert_eq!(outcome.unwrap(), 0, "there when the command starts");
    assert!(!ready.exists());
}
