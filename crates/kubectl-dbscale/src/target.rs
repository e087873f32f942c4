//! Which databases are meant.

use dbscale_core::catalog::{Catalog, DATABASE_GROUP, Engine, OPS_GROUP};

/// A database, or all of an engine that match.
#[derive(Debug, Clone)]
pub struct Target {
    /// The engine.
    pub engine: &'static Engine,
    /// The database's name; `None`: every one that the selector, the namespace or -A lets in.
    pub name: Option<String>,
}

/// A database whose operations are meant, or one of its OpsRequests.
#[derive(Debug, Clone)]
pub enum Named {
    /// A database, or all of an engine that match.
    Database(Target),
    /// An OpsRequest.
    Request {
        /// The engine whose kind was named; `None` where only a name was given.
        engine: Option<&'static Engine>,
        /// Its name.
        name: String,
    },
}

/// Reads targets as [`parse`] does, and OpsRequests beside them: `my-db-scale-1763937600`,
/// `mongodbopsrequest/my-db-scale-1763937600`, and as `-o name` prints them.
///
/// # Errors
/// A sentence that says what is wrong and what to write.
pub fn parse_named(words: &[String], selected: Option<&str>) -> Result<Vec<Named>, String> {
    let is_engine = |word: &str| !word.contains('/') && engine_of(word).is_ok();
    let (mut targets, mut requests) = (Vec::new(), Vec::new());
    let mut after_engine = false;
    for word in words {
        let ops_kind = word.split_once('/').and_then(|(kind, name)| Some((ops_engine(kind)?, name)));
        if let Some((engine, name)) = ops_kind {
            requests.push(Named::Request { engine: Some(engine), name: checked(name, word)? });
            after_engine = false;
        } else if after_engine && !word.contains('/') || word.contains('/') || is_engine(word) {
            after_engine = !word.contains('/');
            targets.push(word.clone());
        } else {
            requests.push(Named::Request { engine: None, name: checked(word, word)? });
        }
    }
    let databases = parse(&targets, selected)?.into_iter().map(Named::Database);
    Ok(databases.chain(requests).collect())
}

/// The engine of a kind of OpsRequests, with or without its group: `mongodbopsrequest.ops.kubedb.com`, `mgops`.
fn ops_engine(kind: &str) -> Option<&'static Engine> {
    let plain = kind.strip_suffix(OPS_GROUP).and_then(|rest| rest.strip_suffix('.')).unwrap_or(kind);
    Catalog::builtin().of_ops_name(plain)
}

/// Reads `mongodb/my-db`, `mg/my-db`, `mongodb my-db other-db`, and an engine alone. A database that is named twice counts
/// once. `selected` is the flag that chooses databases without naming them: `-A`, `-l`.
///
/// # Errors
/// A sentence that says what is wrong and what to write.
pub fn parse(words: &[String], selected: Option<&str>) -> Result<Vec<Target>, String> {
    let mut targets: Vec<Target> = Vec::new();
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        if let Some((engine, name)) = word.split_once('/') {
            targets.push(named(engine_of(engine)?, name, word)?);
            continue;
        }
        let engine = engine_of(word)?;
        // With a flag that selects, words are engines; else the first is the engine of the names that follow it.
        if selected.is_some() && words.peek().is_none_or(|next| Catalog::builtin().find(next).is_some()) {
            targets.push(Target { engine, name: None });
            continue;
        }
        let before = targets.len();
        while let Some(name) = words.next_if(|next| !next.contains('/')) {
            targets.push(named(engine, name, name)?);
        }
        if targets.len() == before {
            return Err(format!(
                "'{word}' names no database: write {word}/NAME, or add -A or -l to mean every {} that matches",
                engine.kind
            ));
        }
    }
    if let (Some(flag), Some(target)) = (selected, targets.iter().find(|t| t.name.is_some())) {
        let name = target.name.as_deref().unwrap_or_default();
        return Err(format!("'{name}' is given by name, and {flag} chooses too: leave out one of the two"));
    }
    let mut once: Vec<Target> = Vec::new();
    for target in targets {
        if !once.iter().any(|t| t.engine.name == target.engine.name && t.name == target.name) {
            once.push(target);
        }
    }
    Ok(once)
}

/// Reads one database that is named.
///
/// # Errors
/// As [`parse`], or that it is not one.
pub fn one(words: &[String]) -> Result<Target, String> {
    match parse(words, None)?.as_slice() {
        [only] => Ok(only.clone()),
        several => Err(format!("name one database; these are {}", several.len())),
    }
}

fn named(engine: &'static Engine, name: &str, word: &str) -> Result<Target, String> {
    Ok(Target { engine, name: Some(checked(name, word)?) })
}

/// Refuses what can be no name before it becomes part of an address.
fn checked(name: &str, word: &str) -> Result<String, String> {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let inner = |c: char| letter(c) || c == '-' || c == '.';
    if name.len() > 253 || !name.starts_with(letter) || !name.ends_with(letter) || !name.chars().all(inner) {
        return Err(format!(
            "'{word}' is no target: write ENGINE/NAME, such as mongodb/my-db; a name has small letters, digits, - and ."
        ));
    }
    Ok(name.to_owned())
}

/// The engine of a name or short name, with or without its group as kubectl prints it (`mongodb.kubedb.com`).
///
/// # Errors
/// A sentence with the nearest names.
pub fn engine_of(name: &str) -> Result<&'static Engine, String> {
    let catalog = Catalog::builtin();
    let plain = name.strip_suffix(DATABASE_GROUP).and_then(|rest| rest.strip_suffix('.')).unwrap_or(name);
    catalog.find(plain).ok_or_else(|| {
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
    #[case::several_names(&["mongodb", "a", "b"], &[("mongodb", Some("a")), ("mongodb", Some("b"))])]
    #[case::a_database_called_as_its_engine(&["redis", "redis"], &[("redis", Some("redis"))])]
    #[case::as_kubectl_prints_it(&["mongodb.kubedb.com/a"], &[("mongodb", Some("a"))])]
    #[case::twice_counts_once(&["mongodb/a", "mg/a"], &[("mongodb", Some("a"))])]
    fn names(#[case] words: &[&str], #[case] wanted: &[(&str, Option<&str>)]) {
        assert_eq!(read(words, None).unwrap(), owned(wanted));
    }

    #[rstest]
    #[case::one(&["mongodb"], &[("mongodb", None)])]
    #[case::two(&["mongodb", "redis"], &[("mongodb", None), ("redis", None)])]
    fn engines_alone(#[case] words: &[&str], #[case] wanted: &[(&str, Option<&str>)]) {
        assert_eq!(read(words, Some("-A")).unwrap(), owned(wanted));
    }

    #[rstest]
    #[case::unknown_engine(&["mongo/a"], None, "there is no engine 'mongo'; near: mongodb")]
    #[case::another_group(&["mongodb.example.com/a"], None, "there is no engine 'mongodb.example.com'")]
    #[case::no_name(&["mongodb/"], None, "'mongodb/' is no target: write ENGINE/NAME")]
    #[case::two_slashes(&["mongodb/a/b"], None, "'mongodb/a/b' is no target")]
    #[case::capitals(&["mongodb", "My_DB"], None, "'My_DB' is no target")]
    #[case::an_address(&["mongodb/..", "mongodb/a?x"], None, "'mongodb/..' is no target")]
    #[case::engine_alone(&["mongodb"], None, "'mongodb' names no database: write mongodb/NAME, or add -A or -l")]
    #[case::name_and_selector(&["mongodb/a"], Some("-l"), "'a' is given by name, and -l chooses too")]
    #[case::name_and_all(&["mongodb", "a"], Some("-A"), "'a' is given by name, and -A chooses too")]
    fn refuses(#[case] words: &[&str], #[case] selected: Option<&str>, #[case] says: &str) {
        let error = read(words, selected).unwrap_err();
        assert!(error.starts_with(says), "{error}");
    }

    #[rstest]
    #[case::request(&["my-db-scale-1"], &["? my-db-scale-1"])]
    #[case::as_o_name_prints_it(&["mongodbopsrequest.ops.kubedb.com/a"], &["mongodb? a"])]
    #[case::short_name(&["mgops/a"], &["mongodb? a"])]
    #[case::database(&["mongodb/a"], &["mongodb a"])]
    #[case::two_words(&["mongodb", "a"], &["mongodb a"])]
    #[case::mixed(&["one", "mongodb/a", "two"], &["mongodb a", "? one", "? two"])]
    fn databases_and_requests(#[case] words: &[&str], #[case] wanted: &[&str]) {
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        let told = |named: Named| match named {
            Named::Database(t) => format!("{} {}", t.engine.name, t.name.unwrap_or_default()),
            Named::Request { engine, name } => format!("{}? {name}", engine.map_or("", |e| e.name.as_str())),
        };
        let read: Vec<String> = parse_named(&words, None).unwrap().into_iter().map(told).collect();
        assert_eq!(read, wanted);
    }

    fn read(words: &[&str], selected: Option<&str>) -> Result<Vec<(String, Option<String>)>, String> {
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        let targets = parse(&words, selected)?;
        Ok(targets.into_iter().map(|t| (t.engine.name.clone(), t.name)).collect())
    }

    fn owned(wanted: &[(&str, Option<&str>)]) -> Vec<(String, Option<String>)> {
        wanted.iter().map(|(engine, name)| ((*engine).to_owned(), name.map(str::to_owned))).collect()
    }
}
