//! Where the master is: at an address, or inside this process (`local[N]`).

use std::num::NonZeroU32;
use std::str::FromStr;

use hearth_client::{Client, MasterList};

use crate::exit::CliError;

/// The value of `--master`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MasterPlace {
    /// Somewhere on the network; several share a state directory.
    Remote(MasterList),
    /// Inside this process.
    Local {
        /// Slots of its worker.
        slots: u32,
    },
}

impl FromStr for MasterPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().strip_prefix("local") {
            Some("") => Ok(Self::Local { slots: 1 }),
            Some("[*]") => Ok(Self::Local { slots: cores() }),
            Some(rest) if rest.starts_with('[') => rest
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
                .and_then(|slots| slots.parse::<NonZeroU32>().ok())
                .filter(|slots| slots.get() <= SLOTS_MAX)
                .map(|slots| Self::Local { slots: slots.get() })
                .ok_or_else(|| format!("write local[N] with N from 1 to {SLOTS_MAX}, or local[*] for every core")),
            Some(_) | None => {
                text.parse().map(Self::Remote).map_err(|error: hearth_client::MasterUrlError| error.to_string())
            }
        }
    }
}

const SLOTS_MAX: u32 = 1024;

/// The master of commands that need one and were given none.
pub(crate) const DEFAULT_MASTER: &str = "hearth://127.0.0.1:7077";

/// Why a client-only binary cannot be its own master.
#[cfg(not(feature = "cluster"))]
pub(crate) fn no_local_master() -> CliError {
    CliError::usage("this hearth is a client only, and has no local master")
        .hint("give --master hearth://HOST:7077, or use the full hearth")
}

/// Cores this process may use.
pub(crate) fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1))
}

impl MasterPlace {
    /// The addresses of masters on the network.
    pub(crate) fn remote(&self) -> Result<&MasterList, CliError> {
        match self {
            Self::Remote(url) => Ok(url),
            Self::Local { .. } => Err(CliError::usage(
                "a local master lives only as long as `hearth submit`; give --master hearth://HOST:7077",
            )),
        }
    }

    /// Connects to a master on the network.
    pub(crate) async fn connect(&self) -> Result<Client, CliError> {
        Ok(Client::connect(self.remote()?).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<u32>) {
        let found = text.parse::<MasterPlace>().ok().and_then(|place| match place {
            MasterPlace::Local { slots } => Some(slots),
            MasterPlace::Remote(_) => None,
        });
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn reads_local_masters() {
        check("local", Some(1));
        check("local[2]", Some(2));
        check("local[*]", Some(cores()));
        check("local[0]", None);
        check("local[-1]", None);
        check("local[99999]", None);
        check("local[2", None);
        check("localhost", None);
    }

    #[test]
    fn a_host_may_begin_with_local() {
        assert_eq!("localhost".parse(), Ok(MasterPlace::Remote("localhost:7077".parse().unwrap())));
        assert!("local[x]".parse::<MasterPlace>().is_err_and(|error| error.contains("local[*]")));
    }
}
