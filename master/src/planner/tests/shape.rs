//! What stages come out: how many, how their tasks come about, and what they are called.

use hearth_common::{ByteSize, Compression, JobSettings, OutputFormat, OutputMode, OutputSpec};
use hearth_scheduler::{FinalOutput, TaskLayout};

use super::data::{Tables, Variant, plan};
use crate::planner::Content;

const fn fixed(tasks: u32) -> TaskLayout {
    TaskLayout::Fixed { tasks }
}

const fn merged(partitions: u32) -> TaskLayout {
    TaskLayout::Merged { partitions }
}

/// Label, tasks and whether it is determinate, of every stage.
async fn check(query: &str, variant: &Variant, expected: &[(&str, TaskLayout, bool)]) {
    let tables = Tables::new();
    let planned = plan(tables.job(query, variant, None), variant).await.unwrap();
    let found: Vec<_> = planned
        .stages
        .iter()
        .zip(planned.graph.stages())
        .map(|(stage, spec)| (stage.label.as_str(), spec.tasks, spec.determinate))
        .collect();
    assert_eq!(found, expected, "{query}");
    assert_eq!(planned.graph.final_output(), FinalOutput::Result);
}

#[tokio::test]
async fn stages_of_common_queries() {
    let whole_files = |mut variant: Variant| {
        variant.settings.split_bytes = Some(ByteSize(8192));
        variant
    };
    let broadcast = whole_files(Variant::new("broadcast", 4, 1));
    let shuffled = whole_files(Variant::new("shuffled", 4, 1).without_broadcast());
    check(
        "SELECT email, action, count(*) FROM actions GROUP BY email, action",
        &broadcast,
        &[
            ("scan actions, partial aggregate", fixed(3), true),
            ("final aggregate", merged(4), true),
            ("keep result", fixed(1), true),
        ],
    )
    .await;
    check(
        "SELECT a.id, u.age FROM actions a JOIN users u ON a.email = u.email",
        &broadcast,
        &[
            ("scan users", fixed(1), true),
            ("scan actions, broadcast join", fixed(3), true),
            ("keep result", fixed(1), true),
        ],
    )
    .await;
    check(
        "SELECT a.id, u.age FROM actions a JOIN users u ON a.email = u.email",
        &shuffled,
        &[
            ("scan users", fixed(1), true),
            ("scan actions", fixed(3), true),
            ("hash join", merged(4), true),
            ("keep result", fixed(1), true),
        ],
    )
    .await;
    check(
        "SELECT id FROM actions ORDER BY at, id LIMIT 3",
        &broadcast,
        &[("scan actions, top rows", fixed(3), false), ("merge, keep result", fixed(1), false)],
    )
    .await;
    check("SELECT random()", &broadcast, &[("values, keep result", fixed(1), false)]).await;
}

#[tokio::test]
async fn an_output_is_written_by_every_task_of_the_last_stage() {
    let tables = Tables::new();
    let variant = Variant::new("output", 4, 1);
    let output = OutputSpec {
        path: "/tmp/out".to_owned(),
        format: OutputFormat::Parquet,
        mode: OutputMode::Error,
        partition_by: vec!["action".to_owned()],
        compression: Compression::Zstd,
        file_bytes_max: ByteSize::mib(512),
    };
    let query = "SELECT email, action, count(*) AS n FROM actions GROUP BY email, action";
    let planned = plan(tables.job(query, &variant, Some(output)), &variant).await.unwrap();
    assert_eq!(planned.graph.final_output(), FinalOutput::Files);
    assert_eq!(planned.graph.stages().last().unwrap().tasks, merged(4));
    assert_eq!(planned.stages.last().unwrap().label, "final aggregate, write output");
}

#[tokio::test]
async fn a_job_plans_the_same_way_twice() {
    let tables = Tables::new();
    let variant = Variant::new("again", 4, 1);
    let query = "SELECT country, count(*) FROM actions JOIN users USING (email) GROUP BY country";
    let one = plan(tables.job(query, &variant, None), &variant).await.unwrap();
    let other = plan(tables.job(query, &variant, None), &variant).await.unwrap();
    let checksums =
        |job: &crate::planner::PlannedJob| job.stages.iter().map(|stage| stage.program_xxh3).collect::<Vec<_>>();
    assert_eq!(checksums(&one), checksums(&other));
    assert_eq!(one.graph, other.graph);
}

#[tokio::test]
async fn the_content_of_a_stage_is_that_of_its_tasks() {
    let tables = Tables::new();
    for variant in [Variant::new("broadcast", 4, 1), Variant::new("shuffled", 4, 1).without_broadcast()] {
        let query =
            "SELECT a.id, u.age FROM actions a JOIN users u ON a.email = u.email UNION ALL SELECT k, k + 1 FROM few";
        let planned = plan(tables.job(query, &variant, None), &variant).await.unwrap();
        let (mut all, mut found) = (Content::default(), Content::default());
        for (stage, spec) in planned.stages.iter().zip(planned.graph.stages()) {
            all = all.plus(stage.content());
            let tasks = match spec.tasks {
                TaskLayout::Fixed { tasks } => tasks,
                TaskLayout::Merged { partitions } => partitions,
            };
            found = (0..tasks).map(|task| stage.content_of(task)).fold(found, Content::plus);
        }
        assert_eq!(found, all, "{}", variant.name);
        assert!(all.splits > 3 && all.bytes > 1000 && all.compressed == 0, "{all:?}");
    }
}

#[tokio::test]
async fn a_task_can_name_its_input_splits() {
    let tables = Tables::new();
    let mut variant = Variant::new("names", 4, 1);
    variant.settings = JobSettings { shuffle_partitions: Some(4), ..JobSettings::default() };
    let planned = plan(tables.job("SELECT id FROM actions", &variant, None), &variant).await.unwrap();
    let text = planned.stages[0].describe_inputs(0);
    assert!(text.contains("actions/0.parquet (bytes 0 to "), "{text}");
    assert_eq!(
        planned.stages.last().unwrap().describe_inputs(0),
        if planned.stages.len() == 1 { text } else { String::new() }
    );
}
