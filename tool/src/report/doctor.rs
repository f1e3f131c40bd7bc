//! What `doctor` found, for people: 80 columns, most important last, where the eye is when it has printed.

mod facts;
mod predictions;

use crate::doctor::document::Document;
use crate::units::exact;

/// The whole report.
#[must_use]
pub fn render(document: &Document) -> String {
    let mut lines = vec![format!("zcscope doctor: {}, Linux {}", document.host, document.kernel)];
    lines.extend(facts::tracing(&document.tracing));
    lines.extend(facts::host(document));
    for route in &document.routes {
        lines.extend(facts::route(route));
        lines.extend(predictions::sends(route));
        lines.extend(predictions::receives(route));
    }
    if document.routes.is_empty() {
        lines.push(String::new());
        lines.push("No route to look at: name a host (--to) or a device (-i).".into());
    }
    lines.extend(proof(document));
    let mut text = lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n");
    text.push('\n');
    text
}

fn proof(document: &Document) -> Vec<String> {
    let Some(proof) = &document.proof else {
        return vec![String::new(), "Nothing was sent. --prove tries these predictions.".into()];
    };
    let sent = format!("{} B on each path", exact(proof.bytes_per_path));
    let word = match (proof.agrees, proof.tried) {
        (true, 0) => "Nothing could be tried.".to_owned(),
        (true, tried) => format!("PROVEN: all {tried} predictions that were tried came true ({sent})."),
        (false, tried) => {
            format!("DIFFERENT: {} of {tried} predictions came true ({sent}).", proof.as_predicted)
        }
    };
    vec![String::new(), word]
}

/// A heading with an empty line above.
fn heading(text: &str) -> Vec<String> {
    vec![String::new(), text.to_owned()]
}

#[cfg(test)]
mod tests;
