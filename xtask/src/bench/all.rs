//! `cargo xtask bench all`: every benchmark, each a process and a network namespace of its own.

use std::process::Stdio;

use anyhow::{Context, Result};
use serde_json::{Map, Value};

use super::TASKS;
use super::arena::{Common, dependent};

/// The task. A benchmark that fails does not keep the others from running; the exit status tells.
pub(super) fn run(common: &Common) -> Result<u8> {
    let zcscope = common.built()?;
    let (mut code, mut reports) = (0, Map::new());
    for task in TASKS {
        eprintln!("bench {task}");
        let mut command = dependent(std::env::current_exe()?);
        command.args(["bench", task, "--zcscope"]).arg(&zcscope).args(common.passed_on());
        if common.json {
            command.stdout(Stdio::piped());
        }
        let output = command.spawn()?.wait_with_output().with_context(|| format!("bench {task}"))?;
        if !output.status.success() {
            eprintln!("bench {task} failed ({})", output.status);
            code = 1;
        } else if common.json {
            reports.insert(task.to_owned(), serde_json::from_slice(&output.stdout)?);
        } else {
            println!();
        }
    }
    if common.json {
        println!("{}", serde_json::to_string_pretty(&Value::Object(reports))?);
    }
    Ok(code)
}
