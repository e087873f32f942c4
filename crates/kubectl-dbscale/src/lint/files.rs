//! The files that a command line names: each one read, within bounds.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// The most bytes of a file: some 40,000 OpsRequests, or 1,000 databases as the API server returns them.
pub const MAX_BYTES: u64 = 32 * 1024 * 1024;

/// The names of a folder's files that count.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// Takes what was found, and says whether to go on.
type Take<'t> = dyn FnMut(Result<Source, Unreadable>) -> ControlFlow<()> + 't;

/// A file that was read.
#[derive(Debug)]
pub struct Source {
    /// The name, as given or as the given folder joined with it; `-` for standard input.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// A file or folder that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {reason}")]
pub struct Unreadable {
    /// The name.
    pub name: String,
    /// Why, and what to do.
    pub reason: String,
}

/// Reads what a command line names: `-`, a file of any name, or a folder's `.yaml`, `.yml` and `.json` files in the order
/// of their names; the folders below it too where `recursive`.
///
/// As kubectl does, links to files are followed and links to folders are not, so that no loop is walked. Names that begin
/// with a dot are left out. Where `found` breaks off, nothing more is read.
pub fn each(path: &Path, recursive: bool, found: &mut Take<'_>) -> ControlFlow<()> {
    if path == OsStr::new("-") {
        return found(bounded("-".to_owned(), io::stdin().lock()));
    }
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => {
            let mut count = 0;
            folder(path, recursive, &mut |one| {
                count += 1;
                found(one)
            })?;
            if count == 0 {
                let deeper = if recursive { "" } else { "; -R looks into the folders below it, too" };
                found(Err(unreadable(path, format!("the folder has no .yaml, .yml or .json file{deeper}"))))?;
            }
            ControlFlow::Continue(())
        }
        Ok(_) => found(read(path)),
        Err(error) => found(Err(unreadable(path, reason(&error)))),
    }
}

/// Reads one file, or standard input.
///
/// # Errors
/// [`Unreadable`].
pub fn one(path: &Path) -> Result<Source, Unreadable> {
    if path == OsStr::new("-") { bounded("-".to_owned(), io::stdin().lock()) } else { read(path) }
}

fn folder(path: &Path, recursive: bool, found: &mut Take<'_>) -> ControlFlow<()> {
    let mut entries: Vec<PathBuf> = match fs::read_dir(path).and_then(|all| all.map(|e| Ok(e?.path())).collect()) {
        Ok(entries) => entries,
        Err(error) => return found(Err(unreadable(path, reason(&error)))),
    };
    entries.sort();
    for entry in entries.into_iter().filter(|e| !is_hidden(e)) {
        let is_folder = fs::symlink_metadata(&entry).is_ok_and(|meta| meta.is_dir());
        if is_folder && recursive {
            folder(&entry, recursive, found)?;
        } else if !is_folder && counts(&entry) {
            match fs::metadata(&entry) {
                // A pipe among the files would keep us waiting for ever.
                Ok(meta) if meta.is_file() => found(read(&entry))?,
                Ok(_) => {}
                Err(error) => found(Err(unreadable(&entry, reason(&error))))?,
            }
        }
    }
    ControlFlow::Continue(())
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn counts(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str);
    extension.is_some_and(|e| EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(e)))
}

fn read(path: &Path) -> Result<Source, Unreadable> {
    let file = File::open(path).map_err(|error| unreadable(path, reason(&error)))?;
    bounded(path.display().to_string(), file)
}

fn bounded(name: String, from: impl Read) -> Result<Source, Unreadable> {
    let mut bytes = Vec::new();
    // One byte more than allowed, to tell the largest that is read from a larger one.
    match from.take(MAX_BYTES + 1).read_to_end(&mut bytes) {
        Ok(read) if read as u64 > MAX_BYTES => {
            let reason = format!("it has more than the {} MiB that are read; split it", MAX_BYTES / 1024 / 1024);
            Err(Unreadable { name, reason })
        }
        Ok(_) => Ok(Source { name, bytes }),
        Err(error) => Err(Unreadable { name, reason: reason(&error) }),
    }
}

fn unreadable(path: &Path, reason: String) -> Unreadable {
    Unreadable { name: path.display().to_string(), reason }
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file or folder".to_owned(),
        _ => format!("it cannot be read: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &Path, recursive: bool) -> Vec<String> {
        let mut all = Vec::new();
        let walked = each(path, recursive, &mut |one| {
            all.push(match one {
                Ok(source) => source.name.replace(&path.display().to_string(), "."),
                Err(error) => error.reason,
            });
            ControlFlow::Continue(())
        });
        assert!(walked.is_continue());
        all
    }

    #[test]
    fn whoever_has_enough_gets_no_more() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("below")).unwrap();
        for name in ["below/a.yaml", "below/b.yaml", "c.yaml"] {
            fs::write(dir.path().join(name), "a: 1").unwrap();
        }
        let mut count = 0;
        let walked = each(dir.path(), true, &mut |_| {
            count += 1;
            ControlFlow::Break(())
        });
        assert_eq!((walked, count), (ControlFlow::Break(()), 1));
    }

    #[test]
    fn a_folder_by_names_and_deeper_only_when_asked() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("below")).unwrap();
        fs::create_dir(dir.path().join("z.yaml")).unwrap();
        for name in ["b.yml", "a.yaml", "c.JSON", "d.txt", "noextension", ".hidden.yaml", "below/e.yaml"] {
            fs::write(dir.path().join(name), "a: 1").unwrap();
        }
        assert_eq!(names(dir.path(), false), ["./a.yaml", "./b.yml", "./c.JSON"]);
        assert_eq!(names(dir.path(), true), ["./a.yaml", "./b.yml", "./below/e.yaml", "./c.JSON"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_to_files_are_followed_and_links_to_folders_are_not() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.yaml"), "a: 1").unwrap();
        symlink(dir.path(), dir.path().join("loop")).unwrap();
        symlink(dir.path().join("a.yaml"), dir.path().join("b.yaml")).unwrap();
        symlink(dir.path().join("gone"), dir.path().join("c.yaml")).unwrap();
        assert_eq!(names(dir.path(), true), ["./a.yaml", "./b.yaml", "there is no such file or folder"]);
        // The folder that is named may be a link.
        assert_eq!(names(&dir.path().join("loop"), false).len(), 3);
    }

    #[test]
    fn what_cannot_be_read_says_so() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(names(&dir.path().join("x"), false), ["there is no such file or folder"]);
        let wanted = "the folder has no .yaml, .yml or .json file; -R looks into the folders below it, too";
        assert_eq!(names(dir.path(), false), [wanted]);
        assert_eq!(one(dir.path()).unwrap_err().reason.split(':').next(), Some("it cannot be read"));
    }

    #[test]
    fn a_file_of_any_size_takes_no_more_than_the_bound() {
        let endless = io::repeat(b'a');
        let error = bounded("big.yaml".to_owned(), endless).unwrap_err();
        assert_eq!(error.to_string(), "big.yaml: it has more than the 32 MiB that are read; split it");
    }
}
