//! The verb `explain`: what an id means, or all ids there are.

use std::io::Write as _;

use super::{Failure, Outcome};
use crate::explain;

/// Arguments of `explain`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A reason, finding, path, JSON key or column; without it, all of them are listed.
    #[arg(value_name = "ID")]
    ids: Vec<String>,
}

/// Runs it.
///
/// # Errors
/// [`Failure::Usage`] when there is no such id.
#[allow(clippy::needless_pass_by_value, reason = "every verb takes its arguments the same way")]
pub fn run(args: Args) -> Outcome {
    let texts: Result<Vec<String>, Failure> = args.ids.iter().map(|id| one(id)).collect();
    let text = match texts? {
        texts if texts.is_empty() => explain::list(),
        texts => texts.join("\n"),
    };
    // A reader that has seen enough (`| head`) is no failure.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    Ok(0)
}

/// Everything the id stands for.
fn one(id: &str) -> Result<String, Failure> {
    let topics = explain::find(id);
    if topics.is_empty() {
        return Err(Failure::Usage(unknown(id)));
    }
    let texts: Vec<String> = topics.iter().map(explain::text).collect();
    Ok(texts.join("\n"))
}

fn unknown(id: &str) -> String {
    let near: Vec<String> = explain::nearest(id).iter().map(|name| format!("`{name}`")).collect();
    match near.as_slice() {
        [] => format!("nothing is called {id:?}; `zcscope explain` lists all ids"),
        near => format!(
            "nothing is called {id:?}; did you mean {}? `zcscope explain` lists all ids",
            near.join(" or ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_id_can_stand_for_several_things() {
        let text = one("ktls").unwrap();
        assert!(
            text.contains("ktls (reason: copied from the start)") && text.contains("ktls (path)"),
            "{text}"
        );
        assert!(one("held p99").unwrap().starts_with("latency_ns (figure)"));
    }

    #[test]
    fn an_unknown_id_names_its_neighbours() {
        let error = one("no_scater_gather").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("did you mean `no_scatter_gather`"), "{error}");
        assert_eq!(
            one("xyzzyx").unwrap_err().to_string(),
            "nothing is called \"xyzzyx\"; `zcscope explain` lists all ids"
        );
    }
}
