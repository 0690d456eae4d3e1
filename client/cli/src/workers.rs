//! `hearth workers`: the workers the master knows.

use hearth_common::{ByteSize, WorkerStatus};
use serde_json::json;

use crate::args::WorkersArgs;
use crate::columns::lay_out;
use crate::exit::{CliError, Exit};
use crate::figures::moment;
use crate::place::MasterPlace;
use crate::terminal::{note, say, say_json};

pub(crate) async fn run(master: &MasterPlace, args: &WorkersArgs) -> Result<Exit, CliError> {
    let workers = master.connect().await?.workers().await?;
    if args.json {
        say_json(&json!({ "workers": workers }))?;
    } else if workers.is_empty() {
        note("no workers; start one with `hearth worker --master hearth://HOST:7077`");
    } else {
        let rows: Vec<_> = workers.iter().map(row).collect();
        say(&lay_out(["WORKER", "HOST", "STATE", "SLOTS", "MEMORY", "DISK FREE", "VERSION", "SINCE"], &rows))?;
        for (worker, why) in workers.iter().filter_map(|worker| Some((worker, worker.excluded.as_ref()?))) {
            note(&format!("worker {} is excluded: {why}", worker.id));
        }
    }
    Ok(Exit::Done)
}

fn row(worker: &WorkerStatus) -> [String; 8] {
    [
        worker.id.to_string(),
        worker.host.clone(),
        worker.state.name().to_owned(),
        format!("{}/{}", worker.slots_used, worker.slots),
        format!("{}/{}", ByteSize(worker.memory_bytes_used), ByteSize(worker.memory_bytes_max)),
        ByteSize(worker.disk_bytes_free).to_string(),
        worker.version.clone(),
        moment(worker.registered_ms),
    ]
}
