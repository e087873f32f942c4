//! Which databases are meant.

use dbscale_core::catalog::{Catalog, Engine};

/// A database, or all of an engine that match.
#[derive(Debug, Clone)]
pub struct Target {
    /// The engine.
    pub engine: &'static Engine,
    /// The database's name; `None`: every one that the selector, the namespace or -A lets in.
    pub name: Option<String>,
}

/// Reads `mongodb/my-db`, `mg/my-db`, `mongodb my-db`, and an engine alone.
///
/// # Errors
/// A sentence that says what is wrong and what to write.
pub fn parse(words: &[String], several: bool) -> Result<Vec<Target>, String> {
    let mut targets = Vec::new();
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        if let Some((engine, name)) = word.split_once('/') {
            if name.is_empty() || name.contains('/') {
                return Err(format!("'{word}' is no target: write ENGINE/NAME, such as mongodb/my-db"));
            }
            targets.push(Target { engine: engine_of(engine)?, name: Some(name.to_owned()) });
            continue;
        }
        let engine = engine_of(word)?;
        match words.next_if(|next| !next.contains('/') && Catalog::builtin().find(next).is_none()) {
            Some(name) => targets.push(Target { engine, name: Some(name.clone()) }),
            None if several => targets.push(Target { engine, name: None }),
            None => {
                return Err(format!(
                    "'{word}' names no database: write {word}/NAME, or add -A or -l to mean every {} that matches",
                    engine.kind
                ));
            }
        }
    }
    Ok(targets)
}

/// The engine of a name or short name.
///
/// # Errors
/// A sentence with the nearest names.
pub fn engine_of(name: &str) -> Result<&'static Engine, String> {
    let catalog = Catalog::builtin();
    catalog.find(name).ok_or_else(|| {
        let mut names: Vec<&str> = catalog.engines().map(|e| e.name.as_str()).collect();
        let near = |a: &&str| strsim::jaro_winkler(a, &name.to_lowercase());
        names.sort_by(|a, b| near(b).total_cmp(&near(a)));
        names.truncate(3);
        format!("there is no engine '{name}'; near: {}. All of them: kubectl dbscale engines", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::slash(&["mongodb/a"], &[("mongodb", Some("a"))])]
    #[case::short_name(&["mg/a", "pg/b"], &[("mongodb", Some("a")), ("postgres", Some("b"))])]
    #[case::two_words(&["mongodb", "a"], &[("mongodb", Some("a"))])]
    #[case::kind_and_plural(&["MongoDB/a", "redises/b"], &[("mongodb", Some("a")), ("redis", Some("b"))])]
    #[case::engines_alone(&["mongodb", "redis"], &[("mongodb", None), ("redis", None)])]
    fn reads(#[case] words: &[&str], #[case] wanted: &[(&str, Option<&str>)]) {
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        let read = parse(&words, true).unwrap();
        let read: Vec<_> = read.iter().map(|t| (t.engine.name.as_str(), t.name.as_deref())).collect();
        assert_eq!(read, wanted);
    }

    #[rstest]
    #[case::unknown_engine(&["mongo/a"], "near: mongodb")]
    #[case::no_name(&["mongodb/"], "write ENGINE/NAME")]
    #[case::engine_alone(&["mongodb"], "add -A or -l")]
    fn refuses(#[case] words: &[&str], #[case] says: &str) {
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        let error = parse(&words, false).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
}
