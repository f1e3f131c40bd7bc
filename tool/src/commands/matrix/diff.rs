//! `matrix diff`: two documents in, what changed out.

use std::path::{Path, PathBuf};

use super::output::screen;
use crate::commands::load::write_out;
use crate::commands::{Failure, Outcome};
use crate::matrix::diff::{Diff, diff};
use crate::matrix::result::{MATRIX_SCHEMA, MatrixReport};
use crate::report::matrix;

/// Arguments of `matrix diff`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct DiffArgs {
    /// The result before, as `zcscope matrix --json FILE` wrote it.
    #[arg(value_name = "A.json")]
    before: PathBuf,
    /// The result after.
    #[arg(value_name = "B.json")]
    after: PathBuf,
    /// Change from which on it counts.
    #[arg(long, default_value = "5%", value_parser = parse_percent, value_name = "PERCENT")]
    threshold: f64,
}

fn parse_percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim();
    let value = number.parse::<f64>().ok().filter(|value| (0.0..=1000.0).contains(value));
    value
        .map(|value| value / 100.0)
        .ok_or_else(|| format!("{text:?} is not a percentage; write for example 5%"))
}

/// Compares. Exit code 1 when something got worse, 0 otherwise.
///
/// # Errors
/// [`Failure::Usage`] (exit code 2): a file that is no matrix, or two that have nothing comparable.
pub(super) fn run(args: &DiffArgs) -> Outcome {
    let (before, after) = (read(&args.before)?, read(&args.after)?);
    let diff = diff(&before, &after, args.threshold);
    write_out(&matrix::diff::render(&diff, args.threshold, screen()))?;
    verdict(&diff)
}

fn verdict(diff: &Diff) -> Outcome {
    if !diff.compared() {
        return Err(Failure::Usage("the two results have no cell that may be compared".into()));
    }
    Ok(u8::from(diff.count("worse") > 0))
}

fn read(file: &Path) -> Result<MatrixReport, Failure> {
    let shown = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::Usage(format!("cannot read {shown}: {error}")))?;
    let report: MatrixReport = serde_json::from_str(&text).map_err(|error| {
        Failure::Usage(format!("{shown} is no result of `zcscope matrix --json` ({error})"))
    })?;
    if report.schema == MATRIX_SCHEMA {
        return Ok(report);
    }
    Err(Failure::Usage(format!("{shown} has schema {:?}, not {MATRIX_SCHEMA:?}", report.schema)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages() {
        assert_eq!(parse_percent("5%"), Ok(0.05));
        assert_eq!(parse_percent("2.5"), Ok(0.025));
        for wrong in ["", "%", "-1%", "five", "nan"] {
            assert!(parse_percent(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn unreadable_files_are_wrong_usage() {
        let error = read(Path::new("/nonexistent/a.json")).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "{}").unwrap();
        assert!(read(file.path()).unwrap_err().to_string().contains("no result"), "not a matrix");
    }

    #[test]
    fn exit_codes() {
        use crate::matrix::fixture::{cable, copying};
        let code = |a: &MatrixReport, b: &MatrixReport| verdict(&diff(a, b, 0.05));
        assert_eq!(code(&cable(), &cable()).unwrap(), 0);
        assert_eq!(code(&cable(), &copying()).unwrap(), 1);
        let mut other = cable();
        other.setting.cc = Some("bbr".into());
        assert_eq!(code(&cable(), &other).unwrap_err().exit_code(), 2);
    }
}
