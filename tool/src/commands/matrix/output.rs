//! Writes a matrix in the forms asked for: the table on stdout, or the form that was asked for in its place, and files.

use std::io::IsTerminal;
use std::path::Path;

use super::args::MeasureArgs;
use crate::commands::Failure;
use crate::commands::load::write_out;
use crate::matrix::result::MatrixReport;
use crate::report::matrix::{Screen, csv, markdown, table};

/// The screen stdout is.
pub(super) fn screen() -> Screen {
    let terminal = std::io::stdout().is_terminal();
    let size = if terminal { crossterm::terminal::size().ok() } else { None };
    // What is piped is read somewhere else: 120 columns fit most places.
    let columns = size.map_or(120, |(columns, _)| usize::from(columns)).max(80);
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(variable).unwrap_or_default();
    let locale = locale.to_ascii_lowercase();
    let unicode = locale.contains("utf-8") || locale.contains("utf8");
    Screen { columns, unicode, colour: terminal && variable("NO_COLOR").is_none() }
}

/// Refuses a request for two forms on one stdout.
///
/// # Errors
/// [`Failure::Usage`].
pub(super) fn check(args: &MeasureArgs) -> Result<(), Failure> {
    let forms = [&args.json, &args.csv, &args.markdown];
    let on_stdout = forms.into_iter().flatten().filter(|file| is_stdout(file)).count();
    match on_stdout {
        0 | 1 => Ok(()),
        _ => Err(Failure::Usage("only one form fits on stdout; name files for the others".into())),
    }
}

/// Writes everything. A file that cannot be written does not keep the others from being.
///
/// # Errors
/// What could not be written.
pub(super) fn write(report: &MatrixReport, args: &MeasureArgs) -> Result<(), Failure> {
    let json = serde_json::to_string(report).map_err(anyhow::Error::from)? + "\n";
    let forms =
        [(&args.json, json), (&args.csv, csv::render(report)), (&args.markdown, markdown::render(report))];
    let mut trouble = Vec::new();
    let mut table_wanted = true;
    for (file, text) in forms {
        let Some(file) = file else { continue };
        if is_stdout(file) {
            table_wanted = false;
            write_out(&text)?;
        } else if let Err(error) = std::fs::write(file, text) {
            trouble.push(format!("cannot write {}: {error}", file.display()));
        }
    }
    if table_wanted {
        write_out(&table::render(report, screen()))?;
    }
    if trouble.is_empty() { Ok(()) } else { Err(Failure::Failed(trouble.join("; "))) }
}

fn is_stdout(file: &Path) -> bool {
    file.as_os_str() == "-"
}
