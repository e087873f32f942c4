//! Where a kubeconfig is looked for, and what is made of several files: as kubectl does it.

use std::ffi::OsString;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use kube::config::{Kubeconfig, KubeconfigError};

use crate::connect::ConnectError;

/// The files that make up a kubeconfig.
#[derive(Debug, PartialEq)]
pub(crate) struct Sources {
    files: Vec<PathBuf>,
    /// Whether a missing file is an error: it is where it was named on the command line.
    must_exist: bool,
}

impl Sources {
    /// The file that was `named`, else those that the `variable` KUBECONFIG lists, else the one at `home`. As for kubectl
    /// a variable that is set to nothing but separators lists no file, and an empty one is not set.
    pub(crate) fn of(named: Option<PathBuf>, variable: Option<OsString>, home: Option<PathBuf>) -> Self {
        if let Some(file) = named {
            return Self { files: vec![file], must_exist: true };
        }
        let files = match variable.filter(|list| !list.is_empty()) {
            Some(list) => std::env::split_paths(&list).filter(|file| !file.as_os_str().is_empty()).collect(),
            None => home.map(|home| home.join(".kube").join("config")).into_iter().collect(),
        };
        Self { files, must_exist: false }
    }

    /// All files as one, of which the first that says something wins; `None` where there is none.
    ///
    /// # Errors
    /// [`ConnectError::Kubeconfig`] where a file cannot be read.
    pub(crate) fn read(&self) -> Result<Option<Kubeconfig>, ConnectError> {
        let mut all: Option<Kubeconfig> = None;
        for file in &self.files {
            let mut next = match Kubeconfig::read_from(file) {
                Ok(next) => next,
                Err(KubeconfigError::ReadConfig(error, _))
                    if error.kind() == ErrorKind::NotFound && !self.must_exist =>
                {
                    continue;
                }
                Err(error) => return Err(broken(file.display(), &error)),
            };
            // `kubectl config unset current-context` leaves an empty text, which says nothing.
            next.current_context = next.current_context.filter(|context| !context.is_empty());
            all = Some(match all {
                Some(all) => all.merge(next).map_err(|error| broken(self, &error))?,
                None => next,
            });
        }
        Ok(all)
    }
}

impl fmt::Display for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::env::join_paths(&self.files) {
            Ok(list) if !list.is_empty() => Path::new(&list).display().fmt(f),
            _ => f.write_str("KUBECONFIG names no file"),
        }
    }
}

/// A kubeconfig that cannot be used.
pub(crate) fn broken(place: impl fmt::Display, error: &KubeconfigError) -> ConnectError {
    ConnectError::Kubeconfig {
        place: format!("the kubeconfig {place}"),
        problem: error.to_string().lines().next().unwrap_or_default().to_owned(),
        remedy: "Name another with --kubeconfig, or see what kubectl says: kubectl config view".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn paths(files: &[&str]) -> Vec<PathBuf> {
        files.iter().map(PathBuf::from).collect()
    }

    #[rstest]
    #[case::named(Some("mine"), Some("a:b"), &["mine"], true)]
    #[case::listed(None, Some("a:b"), &["a", "b"], false)]
    #[case::empty_entries(None, Some(":a::b:"), &["a", "b"], false)]
    #[case::nothing_but_separators(None, Some("::"), &[], false)]
    #[case::empty_is_unset(None, Some(""), &["/home/jane/.kube/config"], false)]
    #[case::at_home(None, None, &["/home/jane/.kube/config"], false)]
    #[cfg(unix)]
    fn sources(
        #[case] named: Option<&str>,
        #[case] variable: Option<&str>,
        #[case] files: &[&str],
        #[case] must_exist: bool,
    ) {
        let home = Some(PathBuf::from("/home/jane"));
        let sources = Sources::of(named.map(PathBuf::from), variable.map(OsString::from), home);
        assert_eq!(sources, Sources { files: paths(files), must_exist });
    }

    /// Two files of which the first has no current context, and a third that is not there.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let file = |context: &str, current: &str| {
            format!(
                r#"{{"contexts": [{{"name": "{context}", "context": {{"cluster": "c", "user": "u"}}}}], "current-context": "{current}"}}"#
            )
        };
        std::fs::write(folder.path().join("one"), file("first", "")).unwrap();
        std::fs::write(folder.path().join("two"), file("second", "second")).unwrap();
        folder
    }

    #[test]
    fn missing_files_of_a_list_are_passed_over() {
        let folder = folder();
        let files = ["none", "one", "two"].map(|name| folder.path().join(name)).to_vec();
        let file = Sources { files, must_exist: false }.read().unwrap().unwrap();
        assert_eq!(file.contexts.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["first", "second"]);
        assert_eq!(file.current_context.as_deref(), Some("second"));
    }

    #[test]
    fn a_list_of_missing_files_is_no_kubeconfig() {
        let folder = folder();
        let files = ["none", "neither"].map(|name| folder.path().join(name)).to_vec();
        assert!(Sources { files, must_exist: false }.read().unwrap().is_none());
    }

    #[test]
    fn a_named_file_that_is_missing_is_an_error_and_so_is_a_broken_one() {
        let folder = folder();
        let none = Sources { files: vec![folder.path().join("none")], must_exist: true };
        assert!(none.read().unwrap_err().to_string().contains(&format!("the kubeconfig {none} cannot be used")));

        let broken = folder.path().join("broken");
        std::fs::write(&broken, "contexts: {").unwrap();
        let list = Sources { files: vec![folder.path().join("one"), broken.clone()], must_exist: false };
        let error = list.read().unwrap_err().to_string();
        assert!(error.starts_with(&format!("the kubeconfig {} cannot be used", broken.display())), "{error}");
    }
}
