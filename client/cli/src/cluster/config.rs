//! Configuration files of master and worker: TOML, unknown keys refused by name, flags on top.

use std::path::Path;

use hearth_client::nearest;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::exit::CliError;
use crate::terminal::say_bytes;

/// Reads a configuration; the default one without a file.
pub(super) fn load<C: DeserializeOwned + Default>(file: Option<&Path>) -> Result<C, CliError> {
    let Some(file) = file else {
        return Ok(C::default());
    };
    let text = std::fs::read_to_string(file)
        .map_err(|error| CliError::usage(format!("cannot read {}: {error}", file.display())))?;
    toml::from_str(&text).map_err(|error| explain(file, &text, &error))
}

/// The error with its place, and the nearest key where a key is unknown.
fn explain(file: &Path, text: &str, error: &toml::de::Error) -> CliError {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let message = error.message().lines().next().unwrap_or_default();
    let failed = CliError::usage(format!("{}:{line}: {message}", file.display()));
    // serde names the unknown key first and the known ones after it, each between backticks.
    let mut words = message.split('`').skip(1).step_by(2);
    match words.next().filter(|_| message.starts_with("unknown field")).and_then(|odd| nearest(odd, words)) {
        Some(near) => failed.hint(format!("did you mean `{near}`?")),
        None => failed.hint("--dump-config shows every key with its value"),
    }
}

/// Prints a configuration as a file that `load` reads.
pub(super) fn dump(config: &impl Serialize) -> Result<(), CliError> {
    let text =
        toml::to_string(config).map_err(|error| CliError::failed(format!("cannot show the configuration: {error}")))?;
    say_bytes(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use hearth_master::MasterConfig;
    use hearth_worker::WorkerConfig;

    use super::*;

    fn check<C: DeserializeOwned + Serialize + Default + PartialEq + std::fmt::Debug>() {
        let text = toml::to_string(&C::default()).unwrap();
        assert_eq!(toml::from_str::<C>(&text).unwrap(), C::default(), "{text}");
    }

    #[test]
    fn what_is_dumped_is_read() {
        check::<MasterConfig>();
        check::<WorkerConfig>();
    }

    #[test]
    fn unknown_keys_are_told_with_the_nearest() {
        let text = "# a comment\nqueued_job_max = 3\n";
        let error = toml::from_str::<MasterConfig>(text).unwrap_err();
        let told = format!("{:?}", explain(Path::new("m.toml"), text, &error));
        assert!(told.contains("m.toml:2: unknown field `queued_job_max`"), "{told}");
        assert!(told.contains("did you mean `queued_jobs_max`?"), "{told}");
    }
}
