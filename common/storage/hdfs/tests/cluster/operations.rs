//! Names: making, looking, listing, renaming, removing; what is refused, and how.

use bytes::Bytes;
use hearth_hdfs::{Depth, HdfsUrl, Kind, NewFile, Overwrite, Removed};

use crate::fixture::{check, name_of, pattern};

#[test]
fn directories_are_made_looked_at_and_removed() {
    check("directories", |f| async move {
        let (hdfs, deep) = (&f.hdfs, f.at("a/b/c"));
        assert_eq!(hdfs.entry(&deep).await.unwrap(), None);
        hdfs.make_directories(&deep).await.unwrap();
        hdfs.make_directories(&deep).await.unwrap();
        assert_eq!(hdfs.stat(&deep).await.unwrap().kind, Kind::Directory);
        assert_eq!(name_of(hdfs.make_directory(&deep).await), "exists");
        assert_eq!(name_of(hdfs.make_directory(&f.at("x/y")).await), "missing");
        hdfs.make_directory(&f.at("x")).await.unwrap();
        assert_eq!(name_of(hdfs.remove(&f.at("a"), Depth::One).await), "not_empty");
        assert_eq!(hdfs.remove(&f.at("a"), Depth::All).await.unwrap(), Removed::Done);
        assert_eq!(hdfs.remove(&f.at("a"), Depth::All).await.unwrap(), Removed::WasMissing);
        assert_eq!(hdfs.remove(&f.at("x"), Depth::One).await.unwrap(), Removed::Done);
        assert_eq!(f.names().await, [""; 0]);
    });
}

#[test]
fn files_are_in_the_way_of_directories() {
    check("in_the_way", |f| async move {
        let file = f.write("file", &Bytes::from_static(b"x")).await;
        let below = f.at("file/below");
        assert_eq!(f.hdfs.entry(&below).await.unwrap(), None);
        assert!(["not_directory", "exists"].contains(&name_of(f.hdfs.make_directories(&below).await)));
        assert_eq!(name_of(f.hdfs.make_directories(&file).await), "exists");
        assert_eq!(name_of(f.hdfs.create(&below, NewFile::in_existing_directory()).await.map(drop)), "not_directory");
        assert_eq!(name_of(f.hdfs.create(&f.at("no/x"), NewFile::in_existing_directory()).await.map(drop)), "missing");
        assert_eq!(name_of(f.hdfs.create(&file, NewFile::in_existing_directory()).await.map(drop)), "exists");
        assert_eq!(name_of(f.hdfs.read_small(&f.home, 10).await), "is_directory");
        assert_eq!(f.hdfs.read_small(&f.at("none"), 10).await.unwrap(), None);
        assert_eq!(name_of(f.hdfs.read_small(&file, 0).await), "refused");
    });
}

#[test]
fn renames_never_replace_unless_asked() {
    check("renames", |f| async move {
        let hdfs = &f.hdfs;
        let (one, two) =
            (f.write("one", &Bytes::from_static(b"1")).await, f.write("two", &Bytes::from_static(b"22")).await);
        assert_eq!(name_of(hdfs.rename(&one, &two, Overwrite::Never).await), "exists");
        assert_eq!(name_of(hdfs.rename(&one, &one, Overwrite::Never).await), "exists");
        assert_eq!(name_of(hdfs.rename(&f.at("none"), &f.at("x"), Overwrite::Never).await), "missing");
        let error = hdfs.rename(&one, &f.at("no/x"), Overwrite::Never).await.unwrap_err().to_string();
        assert!(error.contains("rename into") && error.contains("/no: it does not exist"), "{error}");
        hdfs.rename(&one, &two, Overwrite::File).await.unwrap();
        assert_eq!((hdfs.entry(&one).await.unwrap(), f.read(&two).await), (None, Bytes::from_static(b"1")));
        hdfs.make_directories(&f.at("dir/sub")).await.unwrap();
        assert_eq!(name_of(hdfs.rename(&f.at("dir"), &f.at("other"), Overwrite::File).await), "is_directory");
        hdfs.rename(&f.at("dir"), &f.at("other"), Overwrite::Never).await.unwrap();
        assert_eq!(f.names().await, ["other", "other/sub", "two"]);
    });
}

#[test]
fn of_racing_renames_one_wins() {
    check("race", |f| async move {
        let target = f.at("target");
        for number in 0..8 {
            f.write(&format!("part{number}"), &Bytes::from(vec![number])).await;
        }
        let races = (0..8).map(|number| {
            let (hdfs, from, to) = (f.hdfs.clone(), f.at(&format!("part{number}")), target.clone());
            async move { hdfs.rename(&from, &to, Overwrite::Never).await }
        });
        let outcomes = futures::future::join_all(races).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        assert!(outcomes.into_iter().filter(Result::is_err).all(|outcome| name_of(outcome) == "exists"));
        assert_eq!(f.names().await.len(), 8);
    });
}

#[test]
fn odd_names_are_kept_as_they_are() {
    check("odd names", |f| async move {
        let odd =
            ["a b", "100%", "c%20d", "e#f?g=1&h", "ünï-코드", "date=2026-01-15", "{x}[y]*", "back\\slash", "quote'\""];
        for name in odd {
            let content = Bytes::from(name.to_owned());
            let url = f.write(name, &content).await;
            assert_eq!(f.read(&url).await, content);
        }
        let mut expected = odd.map(str::to_owned);
        expected.sort();
        assert_eq!(f.names().await, expected);
        assert_eq!(f.cluster.cat(&format!("{}/c%20d", f.home.path())).unwrap(), b"c%20d");
        assert!(HdfsUrl::parse(&format!("{}/a:b", f.home)).unwrap_err().to_string().contains("no `:` in a name"));
    });
}

#[test]
fn large_directories_are_listed_page_by_page() {
    check("pages", |f| async move {
        let make = (0..1_100).map(|number| {
            let (hdfs, url) = (f.hdfs.clone(), f.at(&format!("many/{number:04}")));
            async move { hdfs.make_directories(&url).await.unwrap() }
        });
        futures::future::join_all(make).await;
        f.write("visible", &pattern(10)).await;
        f.write("_hidden", &pattern(20)).await;
        f.hdfs.make_directories(&f.at(".hidden/below")).await.unwrap();
        assert_eq!(f.names().await.len(), 1_100 + 1 + 2 + 2);
        assert_eq!(f.hdfs.list_all(&f.home, Depth::One, 4).await.unwrap().len(), 4);
        assert_eq!(name_of(f.hdfs.list_all(&f.home, Depth::One, 3).await), "refused");
        assert_eq!(name_of(f.hdfs.list_all(&f.at("none"), Depth::One, 3).await), "missing");
        let mut visible = f.hdfs.list(&f.home, Depth::All).visible();
        let mut count = 0;
        while let Some(entry) = visible.next().await.unwrap() {
            assert!(!entry.path.contains("hidden"), "{entry:?}");
            count += 1;
        }
        assert_eq!(count, 1_100 + 2);
        let summary = f.hdfs.summary(&f.home).await.unwrap();
        assert_eq!((summary.files, summary.bytes, summary.directories), (2, 30, 1_100 + 4));
        let file = f.hdfs.list_all(&f.at("visible"), Depth::One, 3).await.unwrap();
        assert_eq!((file.len(), file[0].bytes, file[0].path.as_str()), (1, 10, f.at("visible").path()));
    });
}
