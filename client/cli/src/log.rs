//! Logging to standard error. Commands for people are quiet; master and worker tell what they do.
//!
//! What is logged may come from data: every value is escaped before it is written, so that a file's name cannot talk to a terminal.

use std::{fmt, io};

use clap::ValueEnum;
use hearth_common::{printable, printable_json};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

use crate::args::{Cli, Command};

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Starts logging for a command. `RUST_LOG` overrides what is logged.
pub(crate) fn start(cli: &Cli) {
    let (level, format) = wanted(&cli.command);
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let ansi = crate::terminal::is_watched();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(ansi);
    match format {
        LogFormat::Text => {
            log.fmt_fields(debug_fn(|writer, field, value| write_field(writer, field.name(), value)).delimited(" "))
                .init();
        }
        LogFormat::Json => log.json().flatten_event(true).with_writer(|| JsonLines).init(),
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(place, message, "internal error");
    }));
}

/// Standard error for JSON lines, each of them written at once.
struct JsonLines;

impl io::Write for JsonLines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let safe = printable_json(&String::from_utf8_lossy(line)).into_owned();
        io::stderr().lock().write_all(safe.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

/// Writes one value of a line: `name=value`, and the message as it is.
fn write_field(writer: &mut Writer<'_>, name: &str, value: &dyn fmt::Debug) -> fmt::Result {
    let value = format!("{value:?}");
    let value = printable(&value);
    if name == "message" { write!(writer, "{value}") } else { write!(writer, "{name}={value}") }
}

fn wanted(command: &Command) -> (&'static str, LogFormat) {
    match command {
        #[cfg(feature = "cluster")]
        Command::Master(args) => ("info", args.log_format),
        #[cfg(feature = "cluster")]
        Command::Worker(args) => ("info", args.log_format),
        #[cfg(feature = "cluster")]
        Command::Demo(_) => ("warn", LogFormat::Text),
        // A local master's log would only repeat what the job's failure says.
        Command::Submit(_) | Command::Check(_) => ("error", LogFormat::Text),
        // What keeps it waiting, it tells itself.
        #[cfg(feature = "fs")]
        Command::Fs(_) => ("error", LogFormat::Text),
        Command::Status(_)
        | Command::List(_)
        | Command::Cancel(_)
        | Command::Logs(_)
        | Command::Workers(_)
        | Command::Generate(_) => ("warn", LogFormat::Text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: &dyn fmt::Debug, expected: &str) {
        let mut text = String::new();
        write_field(&mut Writer::new(&mut text), name, value).unwrap();
        assert_eq!(text, expected);
    }

    #[test]
    fn values_cannot_talk_to_a_terminal() {
        check("message", &format_args!("job accepted"), "job accepted");
        check("path", &"a\u{1b}[2J", r#"path="a\u{1b}[2J""#);
        // As `%value` is recorded: without quotes, and with nothing escaped.
        check("error", &format_args!("a\u{1b}[2J\r\n\u{9b}b\u{202e}"), r"error=a\u{1b}[2J\r\n\u{9b}b\u{202e}");
    }
}
