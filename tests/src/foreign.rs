//! Programs we did not write: iperf3 and Python, compared with their own byte counts.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use serde_json::Value;

use crate::findings::blame;
use crate::fixture::netns::Netns;
use crate::kernel;
use crate::process::{Output, wait_until};
use crate::report::Verdict;
use crate::scenario::{Bench, Procedure};
use crate::stat_json::{Socket, Stat};
use crate::truth::Received;

/// iperf3 opens every connection, control and data, by sending this many bytes with `write`.
const IPERF_COOKIE: u64 = 37;
/// What iperf3 may say on its control connection: parameters, states and results as JSON.
const IPERF_CONTROL: std::ops::Range<u64> = (IPERF_COOKIE + 100)..20_000;
/// Port of the iperf3 server, and how the kernel writes it in its table of sockets.
const IPERF_PORT: &str = "5201";
const IPERF_LISTENING: &str = ":1451 ";

/// All procedures of this kind.
pub(crate) const ALL: &[Procedure] = &[
    ("foreign_iperf3", |bench| iperf3(bench, &[], "copy")),
    ("foreign_iperf3_sendfile", |bench| iperf3(bench, &["-Z"], "sendfile")),
    ("foreign_iperf3_parallel", |bench| iperf3(bench, &["-P", "3"], "copy")),
    ("foreign_python_sendfile", python_sendfile),
];

fn iperf3(bench: &Bench, more: &[&str], path: &str) -> anyhow::Result<Verdict> {
    if !kernel::has_program("iperf3") {
        return Ok(Verdict::Skipped("iperf3 is not installed".into()));
    }
    let netns = Netns::new()?;
    let _server = netns.start(Command::new("iperf3").args(["-s", "-1", "-p", IPERF_PORT]))?;
    let answers =
        || netns.command("cat", &["/proc/thread-self/net/tcp6"]).is_ok_and(|t| t.contains(IPERF_LISTENING));
    if !wait_until(Duration::from_secs(10), answers) {
        bail!("the iperf3 server does not listen");
    }
    let mut words = vec!["iperf3", "-c", "127.0.0.1", "-p", IPERF_PORT, "-n", "32M", "-l", "64K", "-J"];
    words.extend(more);
    let (output, stat) = traced(bench, &netns, &words)?;
    let told: Value = serde_json::from_str(&output.stdout).context("iperf3 printed no JSON")?;
    let mut wrong = check_iperf3(&told, &stat, path)?;
    wrong.extend(lost(&stat));
    wrong.extend(blame::of_procedure("foreign_iperf3", &stat));
    Ok(if wrong.is_empty() { Verdict::Ok } else { Verdict::Failed(wrong) })
}

/// Every data connection has its cookie and its stream; the control connection has the cookie and some JSON.
fn check_iperf3(told: &Value, stat: &Stat, path: &str) -> anyhow::Result<Vec<String>> {
    let mut wrong = Vec::new();
    let connected = told["start"]["connected"].as_array().context("iperf3 lists no connections")?;
    let streams = told["end"]["streams"].as_array().context("iperf3 lists no streams")?;
    let mut data = Vec::new();
    for (connection, stream) in connected.iter().zip(streams) {
        let port = connection["local_port"].as_u64().context("no local port")?;
        let bytes = stream["sender"]["bytes"].as_u64().context("no bytes of the sender")?;
        let local = format!(":{port}");
        let Some(socket) = stat.sockets.iter().find(|s| s.local.ends_with(&local)) else {
            wrong.push(format!("the data connection of port {port} is not in the report"));
            continue;
        };
        data.push(socket.local.clone());
        let expected = if path == "copy" {
            vec![("copy", bytes + IPERF_COOKIE)]
        } else {
            vec![("copy", IPERF_COOKIE), (path, bytes)]
        };
        for (path, expected) in expected {
            let seen = bytes_of(socket, path);
            if seen != expected {
                wrong.push(format!("port {port}: {seen} bytes by {path}, iperf3 says {expected}"));
            }
        }
    }
    let control: Vec<_> = stat.sockets.iter().filter(|s| !data.contains(&s.local)).collect();
    match control.as_slice() {
        [socket] if IPERF_CONTROL.contains(&bytes_of(socket, "copy")) => {}
        other => wrong.push(format!(
            "besides the data connections there should be one for control: {:?}",
            other.iter().map(|s| (&s.local, bytes_of(s, "copy"))).collect::<Vec<_>>()
        )),
    }
    Ok(wrong)
}

fn bytes_of(socket: &Socket, path: &str) -> u64 {
    socket.paths.iter().filter(|f| f.path == path).map(|f| f.bytes).sum()
}

fn lost(stat: &Stat) -> Option<String> {
    (stat.lost.total > 0).then(|| format!("{} events were lost: {:?}", stat.lost.total, stat.lost.by_cause))
}

/// Runs a command under `zcscope stat`.
fn traced(bench: &Bench, netns: &Netns, words: &[&str]) -> anyhow::Result<(Output, Stat)> {
    let files = tempfile::tempdir()?;
    let report = files.path().join("stat.json");
    let mut command = bench.stat();
    command.args(["--json", "-o"]).arg(&report).arg("--").args(words);
    let output = netns.start(&mut command)?.finish(Duration::from_secs(60))?;
    if output.code != 0 {
        bail!("exit code {}: {}", output.code, output.complaint());
    }
    let text = std::fs::read_to_string(&report).context("zcscope wrote no report")?;
    let stat = serde_json::from_str(&text).context("the report is not of the schema")?;
    Ok((output, stat))
}

/// A file server in a few lines: a header by `sendall`, the file by `os.sendfile`.
const PYTHON: &str = r"
import os, socket, sys, tempfile
size, head = 3_000_001, b'HTTP/1.0 200 OK\r\n\r\n'
s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
s.sendall(head)
f = tempfile.TemporaryFile()
f.write(os.urandom(size)); f.flush()
done = 0
while done < size:
    done += os.sendfile(s.fileno(), f.fileno(), done, size - done)
s.shutdown(socket.SHUT_WR)
s.recv(1)
print(os.getpid(), len(head), done)
";

fn python_sendfile(bench: &Bench) -> anyhow::Result<Verdict> {
    if !kernel::has_program("python3") {
        return Ok(Verdict::Skipped("python3 is not installed".into()));
    }
    let netns = Netns::new()?;
    let mut sink = netns.start(bench.app("sink").args(["--listen", "127.0.0.1:0"]))?;
    let port = sink.first_line(Duration::from_secs(10))?;
    let (output, stat) = traced(bench, &netns, &["python3", "-c", PYTHON, &port])?;
    let numbers: Vec<u64> = output.stdout.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    let &[pid, head, body] = numbers.as_slice() else {
        return Err(anyhow!("python printed {:?}; {}", output.stdout, output.complaint()));
    };
    let received = sink.finish(Duration::from_secs(10))?.stdout;
    let received: Received = serde_json::from_str(received.lines().last().unwrap_or_default())?;
    let mut wrong: Vec<String> = lost(&stat).into_iter().collect();
    wrong.extend(blame::of_procedure("foreign_python_sendfile", &stat));
    let pid = u32::try_from(pid)?;
    for (path, expected) in [("copy", head), ("sendfile", body)] {
        let seen = stat.of_process(pid, path).map(|f| (f.bytes, f.copied_bytes.unwrap_or(0)));
        if seen != Some((expected, 0)) {
            wrong.push(format!("{path}: (bytes, copied) {seen:?}, python says ({expected}, 0)"));
        }
    }
    if received.bytes != head + body {
        wrong.push(format!("the sink has {} bytes of {}", received.bytes, head + body));
    }
    Ok(if wrong.is_empty() { Verdict::Ok } else { Verdict::Failed(wrong) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::stat_json::PathFigures;

    fn socket(local: &str, path: &str, bytes: u64) -> Socket {
        let figures = PathFigures { path: path.into(), bytes, ..PathFigures::default() };
        Socket { local: local.into(), paths: vec![figures], ..Socket::default() }
    }

    #[test]
    fn iperf3_is_compared_to_the_byte_and_its_control_connection_explained() {
        let told = json!({"start": {"connected": [{"local_port": 40002}]},
            "end": {"streams": [{"sender": {"bytes": 1000}}]}});
        let wrong = |control, data| {
            let sockets =
                vec![socket("127.0.0.1:40001", "copy", control), socket("127.0.0.1:40002", "copy", data)];
            check_iperf3(&told, &Stat { sockets, ..Stat::default() }, "copy").unwrap()
        };
        assert_eq!(wrong(700, 1037), Vec::<String>::new());
        assert_eq!(wrong(700, 1036).len(), 1);
        assert_eq!(wrong(37, 1037).len(), 1);
        assert_eq!(check_iperf3(&told, &Stat::default(), "copy").unwrap().len(), 2);
    }
}
