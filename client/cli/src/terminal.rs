//! Writing to standard output (what was asked for) and standard error (everything else).

use std::io::{IsTerminal, Write};

use hearth_common::{printable_json, printable_lines};
use serde::Serialize;

use crate::exit::CliError;

/// Writes lines to standard output. What a terminal would obey is escaped: it may come from data.
pub(crate) fn say(lines: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", printable_lines(lines))?;
    Ok(out.flush()?)
}

/// Writes bytes to standard output as they are.
pub(crate) fn say_bytes(bytes: &[u8]) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes)?;
    Ok(out.flush()?)
}

/// Writes one JSON document to standard output.
pub(crate) fn say_json(document: &impl Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(document)
        .map_err(|error| CliError::failed(format!("cannot write JSON: {error}")))?;
    say_json_text(&text)
}

/// Writes a JSON document that is text already.
pub(crate) fn say_json_text(text: &str) -> Result<(), CliError> {
    say_bytes(format!("{}\n", printable_json(text)).as_bytes())
}

/// Writes the lines of a table that comes in pieces, escaped like everything for people.
#[derive(Debug, Default)]
pub(crate) struct TableLines {
    /// The line whose end has not come yet.
    begun: Vec<u8>,
}

impl TableLines {
    pub(crate) fn say(&mut self, piece: &[u8]) -> Result<(), CliError> {
        self.begun.extend_from_slice(piece);
        let Some(end) = self.begun.iter().rposition(|byte| *byte == b'\n') else { return Ok(()) };
        let rest = self.begun.split_off(end + 1);
        let whole = std::mem::replace(&mut self.begun, rest);
        say_bytes(printable_lines(&String::from_utf8_lossy(&whole)).as_bytes())
    }

    pub(crate) fn end(self) -> Result<(), CliError> {
        say_bytes(printable_lines(&String::from_utf8_lossy(&self.begun)).as_bytes())
    }
}

/// Writes lines to standard error, escaped in the same way. Nobody is left to tell when that fails.
pub(crate) fn note(lines: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", printable_lines(lines));
}

/// Somebody looks at standard error.
pub(crate) fn is_watched() -> bool {
    std::io::stderr().is_terminal()
}
