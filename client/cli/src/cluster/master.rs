//! `hearth master`: one master until a signal ends it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use hearth_master::{MasterConfig, RunningMaster, StandbyMaster, StartError};

use super::config::{dump, load};
use super::signals::Signals;
use crate::exit::{CliError, Exit};
use crate::log::LogFormat;
use crate::terminal::say;

const EXAMPLES: &str = "\
Examples:
  hearth master --state-dir /var/lib/hearth
  hearth master --rpc 0.0.0.0:7077 --http 0.0.0.0:8080 --state-dir /var/lib/hearth
  hearth master --rpc 0.0.0.0:7077 --http 0.0.0.0:8080 --state-dir /shared/hearth --advertise node2 --standby
  hearth master --state-dir /var/lib/hearth --otlp-endpoint http://127.0.0.1:4318
  hearth master --dump-config > master.toml

When it is ready, one line `hearth master ready rpc=ADDRESS http=ADDRESS` is written to standard output. With --standby
a master whose state directory another one uses writes `hearth master standby ...` first, and is ready when it takes over.
SIGTERM and Ctrl-C stop it; a second signal ends it at once.";

/// How to run a master.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct MasterArgs {
    /// Where workers and clients connect [default: 127.0.0.1:7077]; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS")]
    rpc: Option<SocketAddr>,

    /// Where the pages, /api/v1 and /metrics are [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDRESS")]
    http: Option<SocketAddr>,

    /// Directory for accepted jobs and kept results [default: hearth-state].
    #[arg(long, value_name = "DIRECTORY")]
    state_dir: Option<PathBuf>,

    /// Waits while another master uses the state directory, and takes over when that one dies. Both masters may be started so.
    #[arg(long)]
    standby: bool,

    /// Host under which others reach it, when it is another than that of --rpc; a standby sends them there.
    #[arg(long, value_name = "HOST")]
    advertise: Option<String>,
    /// Where a collector takes traces of ended jobs, as OTLP over HTTP [default: of the configuration file, else
    /// OTEL_EXPORTER_OTLP_ENDPOINT, else none].
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<String>,

    /// Configuration file (TOML), for these and for the limits; flags override it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Prints the configuration and ends.
    #[arg(long)]
    dump_config: bool,

    /// Format of the log on standard error; RUST_LOG chooses what is logged.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
}

/// A wrong setting is the caller's mistake, everything else the machine's.
pub(super) fn not_started(error: StartError) -> CliError {
    match error {
        StartError::Config(error) => CliError::usage(error),
        StartError::Listen(_) | StartError::StateDir(_) | StartError::Store(_) | StartError::Process(_) => {
            CliError::failed(error)
        }
    }
}

pub(crate) async fn run(args: MasterArgs) -> Result<Exit, CliError> {
    let mut config: MasterConfig = load(args.config.as_deref())?;
    config.rpc = args.rpc.unwrap_or(config.rpc);
    config.http = args.http.unwrap_or(config.http);
    config.state_dir = args.state_dir.unwrap_or(config.state_dir);
    config.advertise = args.advertise.or(config.advertise);
    config.standby |= args.standby;
    let of_environment = || std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT").ok().filter(|endpoint| !endpoint.is_empty());
    let endpoint = args.otlp_endpoint.or(config.tracing.otlp_endpoint).or_else(of_environment);
    config.tracing.otlp_endpoint = endpoint;
    if args.dump_config {
        dump(&config)?;
        return Ok(Exit::Done);
    }
    let mut signals = Signals::listen()?;
    let mut master = if config.standby {
        let standby = StandbyMaster::start(config).await.map_err(not_started)?;
        say(&format!("hearth master standby rpc={} http={}", standby.rpc_address(), standby.http_address()))?;
        tokio::select! {
            // It has nothing to end.
            _ = signals.next() => return Ok(Exit::Done),
            master = standby.become_active() => master.map_err(not_started)?,
        }
    } else {
        RunningMaster::start(config).await.map_err(not_started)?
    };
    say(&format!("hearth master ready rpc={} http={}", master.rpc_address(), master.http_address()))?;
    tokio::select! {
        _ = signals.next() => {}
        () = master.wait() => return Err(CliError::failed("the master ended by itself; its log says why")),
    }
    tracing::info!("stopping; another signal ends the process at once");
    tokio::select! {
        exit = signals.next() => Ok(exit),
        () = master.stop() => Ok(Exit::Done),
    }
}
