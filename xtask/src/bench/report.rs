//! What every benchmark hands out: JSON, tables for a terminal, and the same tables between two markers of
//! docs/benchmarks.md.

use std::fs;

use anyhow::{Context, Result};
use serde::Serialize;

use super::arena::Common;
use super::machine::Machine;
use super::sheet::Sheet;
use crate::sh;

const FILE: &str = "docs/benchmarks.md";

/// One finished benchmark.
#[derive(Debug, Serialize)]
pub(super) struct Report<'a, T> {
    pub(super) schema: String,
    pub(super) machine: &'a Machine,
    /// The command that repeats it.
    pub(super) command: &'a str,
    #[serde(flatten)]
    pub(super) result: &'a T,
}

/// Prints the result, as wanted, and puts its tables into the document.
pub(super) fn publish<T: Serialize>(
    common: &Common,
    name: &str,
    machine: &Machine,
    command: &str,
    result: &T,
    sheets: &[Sheet],
) -> Result<()> {
    if common.json {
        let schema = format!("zcscope.{}/1", name.split_whitespace().next().unwrap_or_default());
        let report = Report { schema, machine, command, result };
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        let tables: Vec<String> = sheets.iter().map(Sheet::text).collect();
        print!("{}\n\n{}", machine.text(), tables.join("\n"));
    }
    if common.write {
        write(name, &section(machine, command, sheets))?;
    }
    Ok(())
}

fn section(machine: &Machine, command: &str, sheets: &[Sheet]) -> String {
    let tables: Vec<String> = sheets.iter().map(Sheet::markdown).collect();
    format!("\n{}\n\n```\n{command}\n```\n\n{}\n", machine.text(), tables.join("\n"))
}

/// Replaces the section of the document.
fn write(name: &str, section: &str) -> Result<()> {
    let path = sh::workspace().join(FILE);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {FILE}"))?;
    let [begin, end] = markers(name);
    let text = replace(&text, section, &begin, &end)
        .with_context(|| format!("{FILE} lacks the markers {begin:?} and {end:?}"))?;
    fs::write(&path, text).with_context(|| format!("cannot write {FILE}"))
}

fn markers(name: &str) -> [String; 2] {
    ["begin", "end"].map(|word| format!("<!-- bench {name}: {word} -->\n"))
}

/// `section` between the markers of `text`.
fn replace(text: &str, section: &str, begin: &str, end: &str) -> Option<String> {
    let (before, rest) = text.split_once(begin)?;
    let (_, after) = rest.split_once(end)?;
    Some(format!("{before}{begin}{section}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_is_replaced_and_nothing_else() {
        let [begin, end] = markers("peers");
        let text = format!("a\n{begin}old\n{end}b\n");
        assert_eq!(replace(&text, "new\n", &begin, &end).unwrap(), format!("a\n{begin}new\n{end}b\n"));
        assert_eq!(replace("a", "new", &begin, &end), None);
    }

    #[test]
    fn the_document_has_a_place_for_every_benchmark() {
        let text = fs::read_to_string(sh::workspace().join(FILE)).unwrap();
        let guests = ["overhead 6.12 fentry", "overhead 6.12 kprobe"];
        for name in super::super::TASKS.iter().chain(&guests) {
            let [begin, end] = markers(name);
            assert!(replace(&text, "", &begin, &end).is_some(), "no place for {name}");
        }
    }
}
