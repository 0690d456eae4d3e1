//! A job on an HDFS with Kerberos, whose transfers are encrypted: master and workers have a keytab.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use hearth_test_hdfs::Shape;
use hearth_tests::data::UserActions;
use hearth_tests::{Cluster, ClusterOptions, JobFile, read_parquet_dir};

use crate::common::{MAIN_QUERY, small_answer};

struct Secure {
    hdfs: hearth_test_hdfs::Cluster,
}

impl Secure {
    /// An HDFS with user actions, and a directory for everybody.
    fn start() -> Result<Self> {
        let hdfs = hearth_test_hdfs::Cluster::start(Shape::Secure)?;
        hdfs.run(&["fs", "-mkdir", "-p", "/data"])?;
        hdfs.run(&["fs", "-chmod", "777", "/data"])?;
        hdfs.run(&["fs", "-put", &UserActions::SMALL.directory()?.to_string_lossy(), "/data/actions"])?;
        Ok(Self { hdfs })
    }

    fn at(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("{}{path}", self.hdfs.url()))
    }

    fn job(&self) -> JobFile {
        let job = JobFile::new("user-actions", MAIN_QUERY).csv("actions", &self.at("/data/actions"));
        job.output(&self.at("/data/out"), &[]).setting("split_bytes = \"1MiB\"")
    }

    /// A cluster of Hearth with these lines in the configuration files, and no ticket.
    fn cluster(&self, config: &str) -> ClusterOptions {
        let conf_dir = self.hdfs.conf_dir();
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let environment = [
            ("HADOOP_CONF_DIR", text(&conf_dir)),
            ("KRB5_CONFIG", text(&conf_dir.join("krb5.conf"))),
            ("KRB5CCNAME", text(&conf_dir.join("no-ticket"))),
        ];
        ClusterOptions {
            environment: environment.map(|(name, value)| (name.to_owned(), value)).to_vec(),
            master_config: config.to_owned(),
            worker_configs: vec![config.to_owned()],
            ..ClusterOptions::default()
        }
    }
}

#[test]
fn a_keytab_is_enough_and_nothing_is_not() -> Result<()> {
    let secure = Secure::start()?;
    Cluster::run(secure.cluster(""), |cluster| {
        let refused = cluster.submit(&secure.job(), &[])?;
        ensure!(refused.code != 0, "a job without a ticket was done");
        refused.says(&["not allowed", "check the Kerberos ticket", "`principal` and `keytab`"]).map(drop)
    })?;
    let keytab = secure.hdfs.conf_dir().join("hearth.keytab");
    let config = format!("[hdfs]\nprincipal = \"hearth@HEARTH.TEST\"\nkeytab = \"{}\"\n", keytab.display());
    Cluster::run(secure.cluster(&config), |cluster| {
        cluster.run_job(&secure.job())?;
        let copy = tempfile::tempdir()?;
        secure.hdfs.run(&["fs", "-get", "/data/out", &copy.path().to_string_lossy()])?;
        read_parquet_dir(&copy.path().join("out"))?.check_equal(small_answer()?)?;
        let listed = secure.hdfs.run(&["fs", "-ls", "/data"])?;
        ensure!(listed.contains(" hearth ") && listed.contains("/data/out"), "the output is the user's: {listed}");
        Ok(())
    })
}
