//! Every kind of failure that the server tells.

use bytes::Bytes;
use hearth_hdfs::{Content, Depth, HdfsError, NewFile, Overwrite, Upload};

use crate::fixture::{check, name_of, pattern};

#[test]
fn permissions_are_those_of_the_user() {
    check("permissions", |f| async move {
        let url = f.write("a", &pattern(10)).await;
        let alice = f.with(|settings| settings.user = Some("alice".to_owned()));
        assert_eq!(alice.stat(&url).await.unwrap().owner, f.hdfs.stat(&f.home).await.unwrap().owner);
        let error = alice.make_directories(&f.at("d")).await.unwrap_err();
        assert!(matches!(&error, HdfsError::Denied { message, .. } if message.contains("user=alice")), "{error}");
        assert_eq!(name_of(alice.rename(&url, &f.at("b"), Overwrite::Never).await), "denied");
        assert_eq!(name_of(alice.remove(&url, Depth::One).await), "denied");
        assert_eq!(name_of(alice.set_replication(&url, 1).await), "denied");
        let upload = Upload::new(Content::Bytes(Bytes::new()));
        assert_eq!(name_of(alice.upload(&f.at("c"), &upload).await), "denied");
        f.cluster.run(&["fs", "-chmod", "600", url.path()]).unwrap();
        assert_eq!(name_of(alice.read_small(&url, 100).await), "denied");
        f.cluster.run(&["fs", "-chmod", "777", f.home.path()]).unwrap();
        alice.upload(&f.at("c"), &upload).await.unwrap();
        assert_eq!(f.hdfs.stat(&f.at("c")).await.unwrap().owner, "alice");
    });
}

#[test]
fn quotas_are_named() {
    check("quotas", |f| async move {
        f.cluster.run(&["admin", "-setSpaceQuota", "3m", f.home.path()]).unwrap();
        let upload = Upload::new(Content::Bytes(pattern(4 << 20)));
        let error = f.hdfs.upload(&f.at("a"), &upload).await.unwrap_err();
        assert!(matches!(&error, HdfsError::Quota { message, .. } if message.contains("quota")), "{error}");
        f.cluster.run(&["admin", "-clrSpaceQuota", f.home.path()]).unwrap();
        f.cluster.run(&["admin", "-setQuota", "2", f.home.path()]).unwrap();
        f.hdfs.make_directories(&f.at("one")).await.unwrap();
        assert_eq!(name_of(f.hdfs.make_directories(&f.at("two")).await), "quota");
        f.cluster.run(&["admin", "-clrQuota", f.home.path()]).unwrap();
        f.hdfs.upload(&f.at("a"), &upload).await.unwrap();
        assert_eq!(f.names().await, ["a", "one"]);
    });
}

#[test]
fn a_lease_can_be_lost() {
    check("leases", |f| async move {
        let url = f.at("a");
        let mut writer = f.hdfs.create(&url, NewFile::in_existing_directory()).await.unwrap();
        writer.write(pattern(100)).await.unwrap();
        assert_eq!(name_of(f.hdfs.create(&url, NewFile::in_existing_directory()).await.map(drop)), "exists");
        assert_eq!(name_of(f.with(|_| ()).create(&url, NewFile::in_existing_directory()).await.map(drop)), "exists");
        // Hadoop's shell removes the file and writes another.
        f.cluster.put(url.path(), b"theirs").unwrap();
        assert_eq!(name_of(writer.close().await), "lost_lease");
        let mut writer = f.hdfs.create(&f.at("sub"), NewFile::in_existing_directory()).await.unwrap();
        f.hdfs.remove(&f.at("sub"), Depth::One).await.unwrap();
        let outcome = match writer.write(pattern(3 << 20)).await {
            Ok(()) => writer.close().await.map(drop),
            Err(error) => Err(error),
        };
        assert_eq!(name_of(outcome), "lost_lease");
        assert_eq!(f.read(&url).await, "theirs", "a writer that lost its lease does not remove what is not its own");
    });
}

#[test]
fn a_configuration_that_leads_nowhere_is_named() {
    check("nowhere", |f| async move {
        let url = |text: &str| hearth_hdfs::HdfsUrl::parse(text).unwrap();
        assert_eq!(f.clusters.at(&url("hdfs:///x")).unwrap().authority(), f.hdfs.authority(), "fs.defaultFS");
        let nobody = f.clusters.at(&url("hdfs://127.0.0.1:1/x")).unwrap();
        let error = nobody.stat(&url("hdfs://127.0.0.1:1/x")).await.unwrap_err();
        assert!(error.to_string().contains("hdfs://127.0.0.1:1/x: no active NameNode answers"), "{error}");
    });
}
