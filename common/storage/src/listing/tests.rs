//! Listing over real directories.

use super::*;

fn list_all(paths: &[String], compression: InputCompression) -> Result<Vec<InputFile>, StorageError> {
    let mut found = Found::default();
    for path in paths {
        found = list_local(path, &Location::parse(path)?, found)?;
    }
    files_of(found, compression)
}

struct Tree {
    directory: tempfile::TempDir,
}

impl Tree {
    fn new(files: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for file in files {
            let path = directory.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "a\n1\n").unwrap();
        }
        Self { directory }
    }

    fn list(&self, paths: &[&str]) -> Result<Vec<String>, String> {
        let root = self.directory.path().display().to_string();
        let paths: Vec<String> = paths.iter().map(|path| format!("{root}/{path}")).collect();
        let listing = list_all(&paths, InputCompression::Auto);
        let prefix = format!("{root}/");
        listing
            .map(|files| files.iter().map(|file| file.url["file://".len() + prefix.len()..].to_owned()).collect())
            .map_err(|error| error.to_string().replace(&prefix, ""))
    }

    fn check(&self, paths: &[&str], expected: &[&str]) {
        assert_eq!(self.list(paths), Ok(expected.iter().map(|name| (*name).to_owned()).collect()), "{paths:?}");
    }

    fn check_error(&self, paths: &[&str], expected: &str) {
        assert_eq!(self.list(paths), Err(expected.to_owned()), "{paths:?}");
    }
}

#[test]
fn finds_files_directories_and_globs() {
    let tree = Tree::new(&["b.csv", "a.csv", "d/x.csv", "d/date=1/y.csv", "d/_k=2/z.csv", "[odd].csv"]);
    tree.check(&["a.csv"], &["a.csv"]);
    tree.check(&["?.csv"], &["a.csv", "b.csv"]);
    tree.check(&["b.csv", "a.csv"], &["a.csv", "b.csv"]);
    tree.check(&["d"], &["d/_k=2/z.csv", "d/date=1/y.csv", "d/x.csv"]);
    tree.check(&["d/date=*/*.csv"], &["d/date=1/y.csv"]);
    tree.check(&["*"], &["[odd].csv", "a.csv", "b.csv", "d/_k=2/z.csv", "d/date=1/y.csv", "d/x.csv"]);
    tree.check(&["[[]odd].csv"], &["[odd].csv"]);
    tree.check(&["[odd].csv"], &["[odd].csv"]);
}

#[test]
fn skips_hidden_names() {
    let tree = Tree::new(&["d/a.csv", "d/.a.csv.crc", "d/_SUCCESS", "d/_temporary/0/part", "d/.hidden/x"]);
    tree.check(&["d"], &["d/a.csv"]);
    tree.check(&["d/*"], &["d/a.csv"]);
    tree.check(&["d/_SUCCESS"], &["d/_SUCCESS"]);
    tree.check(&["d/_S*"], &["d/_SUCCESS"]);
}

#[test]
fn an_input_without_files_is_an_error() {
    let tree = Tree::new(&["actions.csv", "d/_hidden", "other.csv"]);
    tree.check_error(&["action.csv"], "no file found at action.csv; there is `actions.csv`");
    tree.check_error(&["nothing-like-it"], "no file found at nothing-like-it");
    tree.check_error(&["*.tsv"], "no file found at *.tsv");
    tree.check_error(
        &["d"],
        "cannot read d: the directory has no files (names that begin with `.` or `_` are skipped)",
    );
    tree.check_error(&["actions.csv", "missing/*.csv"], "no file found at missing/*.csv");
}

#[test]
fn no_file_is_read_twice() {
    let tree = Tree::new(&["d/a.csv"]);
    let found = tree.list(&["d", "d/*.csv"]).unwrap_err();
    assert!(found.starts_with("cannot read d/a.csv: both `"), "{found}");
    assert!(found.ends_with("match it; its records would be read twice"), "{found}");
}

#[test]
fn extensions_tell_the_compression() {
    let tree = Tree::new(&["a.csv.gz", "b.csv.ZST", "c.bz2", "d.csv"]);
    let path = [tree.directory.path().display().to_string()];
    let found = |asked| list_all(&path, asked).unwrap().iter().map(|file| file.compression).collect::<Vec<_>>();
    let (none, gzip) = (FileCompression::None, FileCompression::Gzip);
    assert_eq!(found(InputCompression::Auto), [gzip, FileCompression::Zstd, FileCompression::Bzip2, none]);
    assert_eq!(found(InputCompression::None), [none; 4]);
    assert_eq!(found(InputCompression::Gzip), [gzip; 4]);
}

#[test]
fn what_cannot_be_decoded_is_refused() {
    let tree = Tree::new(&["a.csv.xz", "b.csv.LZ4", "empty.csv"]);
    let refused = |extension: &str| {
        format!(
            "`.{extension}` files cannot be read; decompress the file, or compress it with gzip, bzip2 or zstd; if it is plain, \
             set compression = \"none\""
        )
    };
    tree.check_error(&["a.csv.xz"], &format!("cannot read a.csv.xz: {}", refused("xz")));
    tree.check_error(&["b.*"], &format!("cannot read b.csv.LZ4: {}", refused("lz4")));
    let path = tree.directory.path().join("a.csv.xz").display().to_string();
    assert!(list_all(&[path], InputCompression::None).is_ok());
    let empty = tree.directory.path().join("empty.csv.gz");
    fs::rename(tree.directory.path().join("empty.csv"), &empty).unwrap();
    fs::write(&empty, "").unwrap();
    let truncated = "cannot read empty.csv.gz: it is truncated: a gzip file is never empty; write it again";
    tree.check_error(&["empty.csv.gz"], truncated);
}

#[test]
fn size_and_time_agree_with_the_store() {
    let tree = Tree::new(&["a.csv"]);
    let path = tree.directory.path().join("a.csv").display().to_string();
    let file = list_all(&[path], InputCompression::Auto).unwrap().remove(0);
    let object = Location::parse(&file.url).unwrap().object_path().unwrap();
    let store = object_store::local::LocalFileSystem::new();
    let head = object_store::ObjectStoreExt::head(&store, &object);
    let meta = futures::executor::block_on(head).unwrap();
    assert_eq!((file.bytes, file.modified_ms), (meta.size, meta.last_modified.timestamp_millis()));
}
