//! Logging to standard error. Commands for people are quiet; master and worker tell what they do.

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

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
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(place, message, "internal error");
    }));
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
        Command::Status(_) | Command::List(_) | Command::Cancel(_) | Command::Workers(_) | Command::Generate(_) => {
            ("warn", LogFormat::Text)
        }
    }
}
