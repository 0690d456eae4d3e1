//! Tests of the primitives on a real directory.

use super::*;

fn at(root: &tempfile::TempDir, name: &str) -> Location {
    Location::parse(root.path().to_str().unwrap()).unwrap().join(name)
}

fn put(root: &tempfile::TempDir, name: &str, content: &str) {
    let path = root.path().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

fn get(root: &tempfile::TempDir, name: &str) -> String {
    std::fs::read_to_string(root.path().join(name)).unwrap()
}

#[tokio::test]
async fn a_rename_never_replaces() {
    let root = tempfile::tempdir().unwrap();
    put(&root, "new/a", "new");
    put(&root, "old/a", "old");
    std::fs::create_dir(root.path().join("empty")).unwrap();
    for taken in ["old", "empty"] {
        let error = LocalCommitFs.rename_no_replace(&at(&root, "new"), &at(&root, taken)).await.unwrap_err();
        assert!(matches!(error, StorageError::Exists { .. }), "{error}");
        let error = rename_after_look(&root.path().join("new"), &root.path().join(taken)).unwrap_err();
        assert!(matches!(error, StorageError::Exists { .. }), "{error}");
    }
    assert_eq!(get(&root, "old/a"), "old");
    LocalCommitFs.rename_no_replace(&at(&root, "new"), &at(&root, "free")).await.unwrap();
    assert_eq!(get(&root, "free/a"), "new");
    let error = LocalCommitFs.rename_no_replace(&at(&root, "new"), &at(&root, "other")).await.unwrap_err();
    assert!(matches!(&error, StorageError::Missing { path, .. } if path.ends_with("/new")), "{error}");
}

#[tokio::test]
async fn directories_change_places() {
    let root = tempfile::tempdir().unwrap();
    put(&root, "one/a", "1");
    put(&root, "other/b", "2");
    match LocalCommitFs.exchange(&at(&root, "one"), &at(&root, "other")).await.unwrap() {
        Exchange::Done => {
            assert_eq!(get(&root, "one/b"), "2");
            assert_eq!(get(&root, "other/a"), "1");
        }
        Exchange::Unsupported => assert_eq!(get(&root, "one/a"), "1", "nothing happened"),
    }
    let error = LocalCommitFs.exchange(&at(&root, "one"), &at(&root, "none")).await.unwrap_err();
    assert!(matches!(error, StorageError::Missing { .. }), "{error}");
}

#[tokio::test]
async fn lists_every_file_with_its_size() {
    let root = tempfile::tempdir().unwrap();
    put(&root, "data/part-0", "abc");
    put(&root, "data/k=1/part-1", "");
    put(&root, "data/.hidden", "x");
    let files = LocalCommitFs.list(&at(&root, "data")).await.unwrap();
    let found: Vec<_> = files.iter().map(|file| (file.path.as_str(), file.bytes)).collect();
    assert_eq!(found, [(".hidden", 1), ("k=1/part-1", 0), ("part-0", 3)]);
    assert_eq!(LocalCommitFs.list(&at(&root, "none")).await.unwrap(), []);
}

#[tokio::test]
async fn removing_follows_no_links_and_forgives_absence() {
    let root = tempfile::tempdir().unwrap();
    put(&root, "kept/a", "kept");
    put(&root, "gone/a", "");
    std::os::unix::fs::symlink(root.path().join("kept"), root.path().join("gone/link")).unwrap();
    std::os::unix::fs::symlink(root.path().join("kept"), root.path().join("link")).unwrap();
    for name in ["gone", "gone", "link"] {
        LocalCommitFs.remove_dir_all(&at(&root, name)).await.unwrap();
    }
    assert_eq!(get(&root, "kept/a"), "kept");
    LocalCommitFs.remove_empty_dir(&at(&root, "kept")).await.unwrap();
    assert_eq!(get(&root, "kept/a"), "kept");
    LocalCommitFs.remove_empty_dir(&at(&root, "none")).await.unwrap();
}

#[tokio::test]
async fn says_what_stands_under_a_name() {
    let root = tempfile::tempdir().unwrap();
    put(&root, "directory/file", "");
    std::os::unix::fs::symlink("nowhere", root.path().join("dangling")).unwrap();
    for (name, expected) in [
        ("directory", Some(EntryKind::Directory)),
        ("directory/file", Some(EntryKind::File)),
        ("dangling", Some(EntryKind::File)),
        ("none", None),
    ] {
        assert_eq!(LocalCommitFs.kind(&at(&root, name)).await.unwrap(), expected, "{name}");
    }
}

#[tokio::test]
async fn small_files_have_a_limit() {
    let root = tempfile::tempdir().unwrap();
    let file = at(&root, "_SUCCESS");
    assert_eq!(LocalCommitFs.read_small(&file, 4).await.unwrap(), None);
    LocalCommitFs.write_small(&file, b"longer".to_vec()).await.unwrap();
    LocalCommitFs.write_small(&file, b"four".to_vec()).await.unwrap();
    assert_eq!(LocalCommitFs.read_small(&file, 4).await.unwrap(), Some(b"four".to_vec()));
    assert!(LocalCommitFs.read_small(&file, 3).await.is_err());
}
