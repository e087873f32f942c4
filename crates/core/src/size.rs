//! Size classes: names such as `db.t3.medium` for an amount of CPU and memory.
//!
//! The built-in ones stand in `sizes.yaml`; a person's own file of the same form extends them or gives a name other amounts:
//!
//! ```yaml
//! classes:
//!   - { name: team.small, cpu: 500m, memory: 1Gi }
//! ```
//!
//! A class sizes the container that runs the database: request and limit alike, so that the pod has what the name says and
//! is among the last to be evicted.

use std::sync::LazyLock;

use serde_json::{Map, Value};
use thiserror::Error;

use crate::quantity::{Quantity, QuantityError};

static BUILT_IN: LazyLock<Sizes> = LazyLock::new(|| {
    let value = serde_json::from_str(include_str!(concat!(env!("OUT_DIR"), "/sizes.json")));
    let empty = Sizes { classes: Vec::new() };
    // The text is part of the program and a test reads it, so this fails in a broken build only.
    empty.extended_with(&value.expect("sizes.json is JSON")).expect("sizes.yaml holds size classes")
});

/// How many names an [`UnknownSize`] offers at most.
const OFFERED: usize = 3;

/// How like the asked name an offered one is at least, from 0 to 1 (Jaro-Winkler, which favours a common beginning).
const LIKENESS: f64 = 0.85;

/// A name for an amount of CPU and memory, of the request and the limit alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SizeClass {
    /// Such as `db.t3.medium`.
    pub name: String,
    /// Cores; greater than zero.
    pub cpu: Quantity,
    /// Bytes; greater than zero.
    pub memory: Quantity,
    /// Whether the amounts were compared with their source.
    pub confirmed: bool,
}

/// The size classes that are known, in the order of their files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sizes {
    classes: Vec<SizeClass>,
}

/// A name that is no size class.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no size class \"{name}\"; {}", offer(nearest))]
pub struct UnknownSize {
    /// The name that was asked for.
    pub name: String,
    /// The classes whose names are nearest to it, best first; may be empty.
    pub nearest: Vec<String>,
}

/// What is wrong with a file of size classes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SizesError {
    /// The document does not hold a list `classes`.
    #[error(
        "a file of size classes holds one list, `classes`, of entries such as {{ name: team.small, cpu: 500m, memory: 1Gi }}; {problem}"
    )]
    Form {
        /// What the document has instead.
        problem: String,
    },
    /// An entry has no usable name.
    #[error("size class number {number} has no usable name; give it `name`, of letters, digits, `.`, `-` and `_`")]
    Name {
        /// Its place in the list, from 1.
        number: usize,
    },
    /// A name stands twice in one file.
    #[error("size class {class} stands twice in the file; keep one of the two")]
    Twice {
        /// The class.
        class: String,
    },
    /// A field is missing, unknown or of the wrong kind.
    #[error("size class {class}: {field} {problem}")]
    Field {
        /// The class.
        class: String,
        /// The field.
        field: String,
        /// What is wrong with it and what to write.
        problem: &'static str,
    },
    /// An amount cannot be read.
    #[error("size class {class}: {field} is unreadable")]
    Unreadable {
        /// The class.
        class: String,
        /// The field.
        field: &'static str,
        /// Why.
        #[source]
        source: QuantityError,
    },
    /// An amount is zero or less.
    #[error("size class {class}: {field} is {value}; it must be more than zero")]
    NotPositive {
        /// The class.
        class: String,
        /// The field.
        field: &'static str,
        /// The amount.
        value: Quantity,
    },
}

impl Sizes {
    /// The classes of `sizes.yaml`.
    #[must_use]
    pub fn built_in() -> &'static Self {
        &BUILT_IN
    }

    /// These classes and those of a document of the same form, already turned into JSON. A class that both have gets the
    /// document's amounts and keeps its place; new ones come last.
    ///
    /// # Errors
    /// [`SizesError`], which names the class and the field.
    pub fn extended_with(&self, document: &Value) -> Result<Self, SizesError> {
        let form = |problem: &str| SizesError::Form { problem: problem.to_owned() };
        let document = document.as_object().ok_or_else(|| form("this one holds something else"))?;
        if let Some(other) = document.keys().find(|key| *key != "classes") {
            return Err(form(&format!("this one has `{other}`")));
        }
        let entries =
            document.get("classes").and_then(Value::as_array).ok_or_else(|| form("this one has no such list"))?;

        let mut own: Vec<SizeClass> = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            let class = read_class(index + 1, entry)?;
            if own.iter().any(|earlier| earlier.name == class.name) {
                return Err(SizesError::Twice { class: class.name });
            }
            own.push(class);
        }
        Ok(self.with(own))
    }

    /// These classes and more. One whose name is known gets the new amounts and keeps its place; new ones come last.
    #[must_use]
    pub fn with(&self, more: impl IntoIterator<Item = SizeClass>) -> Self {
        let mut classes = self.classes.clone();
        for class in more {
            match classes.iter_mut().find(|known| known.name == class.name) {
                Some(known) => *known = class,
                None => classes.push(class),
            }
        }
        Self { classes }
    }

    /// The class of this exact name.
    ///
    /// # Errors
    /// [`UnknownSize`] with the nearest names.
    pub fn find(&self, name: &str) -> Result<&SizeClass, UnknownSize> {
        let found = self.classes.iter().find(|class| class.name == name);
        found.ok_or_else(|| UnknownSize { name: name.to_owned(), nearest: self.nearest(name) })
    }

    /// The first class with exactly these amounts, however they are spelled: a name for what a database has.
    #[must_use]
    pub fn matching(&self, cpu: Quantity, memory: Quantity) -> Option<&SizeClass> {
        self.classes.iter().find(|class| class.cpu == cpu && class.memory == memory)
    }

    /// All classes, in the order of their files.
    pub fn iter(&self) -> std::slice::Iter<'_, SizeClass> {
        self.classes.iter()
    }

    fn nearest(&self, name: &str) -> Vec<String> {
        let asked = name.to_lowercase();
        // People leave out the prefix that all of AWS's names share.
        let prefixed = format!("db.{}", asked.trim_start_matches("db."));
        let family = |name: &str| name.rsplit_once('.').map(|(family, _)| family.to_owned());
        let likeness = |class: &SizeClass| {
            let class = class.name.to_lowercase();
            let alike = strsim::jaro_winkler(&asked, &class).max(strsim::jaro_winkler(&prefixed, &class));
            // Halfway to a full match: a person who names the family rightly chooses in it.
            if family(&class) == family(&prefixed) { f64::midpoint(alike, 1.0) } else { alike }
        };
        let mut alike: Vec<(f64, &str)> = self.iter().map(|class| (likeness(class), class.name.as_str())).collect();
        alike.retain(|(likeness, _)| *likeness >= LIKENESS);
        alike.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        alike.into_iter().take(OFFERED).map(|(_, name)| name.to_owned()).collect()
    }
}

impl<'a> IntoIterator for &'a Sizes {
    type Item = &'a SizeClass;
    type IntoIter = std::slice::Iter<'a, SizeClass>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

fn read_class(number: usize, entry: &Value) -> Result<SizeClass, SizesError> {
    let usable = |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c));
    let name = entry.get("name").and_then(Value::as_str).filter(usable).ok_or(SizesError::Name { number })?;
    let wrong = |field: &str, problem| SizesError::Field { class: name.to_owned(), field: field.to_owned(), problem };

    let fields: Option<&Map<String, Value>> = entry.as_object();
    let mut names = fields.into_iter().flat_map(Map::keys);
    if let Some(other) = names.find(|field| !["name", "cpu", "memory", "confirmed"].contains(&field.as_str())) {
        return Err(wrong(other, "is not known; a class has name, cpu, memory and, where it is false, confirmed"));
    }
    let amount = |field: &'static str| {
        let value = entry
            .get(field)
            .ok_or_else(|| wrong(field, "is missing; write an amount, such as cpu: 2 or memory: 4Gi"))?;
        let class = || name.to_owned();
        let amount =
            Quantity::from_json(value).map_err(|source| SizesError::Unreadable { class: class(), field, source })?;
        if amount <= Quantity::ZERO {
            return Err(SizesError::NotPositive { class: class(), field, value: amount });
        }
        Ok(amount)
    };
    let confirmed = match entry.get("confirmed") {
        None => true,
        Some(value) => value.as_bool().ok_or_else(|| wrong("confirmed", "must be true or false"))?,
    };
    Ok(SizeClass { name: name.to_owned(), cpu: amount("cpu")?, memory: amount("memory")?, confirmed })
}

fn offer(nearest: &[String]) -> String {
    const LIST: &str = "`kubectl dbscale sizes` lists them all";
    match nearest {
        [] => LIST.to_owned(),
        [one] => format!("did you mean {one}? {LIST}"),
        [first @ .., last] => format!("did you mean {} or {last}? {LIST}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::original_example("db.t3.medium", "2", "4Gi", true)]
    #[case::smallest("db.t3.micro", "2", "1Gi", true)]
    #[case::arm_burstable("db.t4g.2xlarge", "8", "32Gi", true)]
    #[case::m5("db.m5.24xlarge", "96", "384Gi", true)]
    #[case::m6i("db.m6i.32xlarge", "128", "512Gi", true)]
    #[case::m6g("db.m6g.12xlarge", "48", "192Gi", true)]
    #[case::r5("db.r5.large", "2", "16Gi", true)]
    #[case::r6i("db.r6i.32xlarge", "128", "1Ti", true)]
    #[case::r6g("db.r6g.16xlarge", "64", "512Gi", true)]
    #[case::not_confirmed_m("db.m7g.large", "2", "8Gi", false)]
    #[case::not_confirmed_r("db.r7g.16xlarge", "64", "512Gi", false)]
    fn built_in_classes(#[case] name: &str, #[case] cpu: &str, #[case] memory: &str, #[case] confirmed: bool) {
        let expected =
            SizeClass { name: name.to_owned(), cpu: cpu.parse().unwrap(), memory: memory.parse().unwrap(), confirmed };
        assert_eq!(Sizes::built_in().find(name), Ok(&expected));
    }

    #[test]
    fn every_family_is_whole() {
        let mut families: Vec<(String, usize)> = Vec::new();
        for class in Sizes::built_in() {
            let family = class.name.rsplit_once('.').map_or("", |(family, _)| family);
            match families.last_mut() {
                Some((last, count)) if last == family => *count += 1,
                _ => families.push((family.to_owned(), 1)),
            }
        }
        let expected = [
            ("db.t3", 6),
            ("db.t4g", 6),
            ("db.m5", 8),
            ("db.m6i", 9),
            ("db.m6g", 7),
            ("db.r5", 8),
            ("db.r6i", 9),
            ("db.r6g", 7),
            ("db.m7g", 7),
            ("db.r7g", 7),
        ];
        assert_eq!(families, expected.map(|(family, count)| (family.to_owned(), count)));
    }

    #[rstest]
    #[case::no_prefix("t3.medium", "db.t3.medium")]
    #[case::letters_swapped("db.t3.meduim", "db.t3.medium")]
    #[case::capitals("DB.M6G.LARGE", "db.m6g.large")]
    #[case::another_generation("db.t5.medium", "db.t3.medium")]
    #[case::family_alone("db.r6i", "db.r6i.large")]
    #[case::not_in_the_family("db.m5.medium", "db.m5.large")]
    fn an_unknown_name_answers_with_near_ones(#[case] asked: &str, #[case] nearest: &str) {
        let unknown = Sizes::built_in().find(asked).unwrap_err();
        assert!(unknown.nearest.iter().any(|name| name == nearest), "{unknown}");
    }

    #[test]
    fn unknown_names_say_what_to_do() {
        let sizes = Sizes::built_in();
        assert_eq!(
            sizes.find("db.t3.meduim").unwrap_err().to_string().split("? ").last(),
            Some("`kubectl dbscale sizes` lists them all")
        );
        assert_eq!(
            sizes.find("huge").unwrap_err().to_string(),
            "there is no size class \"huge\"; `kubectl dbscale sizes` lists them all"
        );
    }

    #[rstest]
    #[case::burstable_comes_first("2", "8Gi", Some("db.t3.large"))]
    #[case::spelling("2000m", "4096Mi", Some("db.t3.medium"))]
    #[case::none("2", "4G", None)]
    fn amounts_have_a_name(#[case] cpu: &str, #[case] memory: &str, #[case] name: Option<&str>) {
        let class = Sizes::built_in().matching(cpu.parse().unwrap(), memory.parse().unwrap());
        assert_eq!(class.map(|class| class.name.as_str()), name);
    }

    #[test]
    fn a_file_extends_and_overrides() {
        let own = json!({"classes": [
            {"name": "team.small", "cpu": "500m", "memory": "1Gi"},
            {"name": "db.t3.micro", "cpu": 1, "memory": "1Gi", "confirmed": false},
        ]});
        let sizes = Sizes::built_in().extended_with(&own).unwrap();
        assert_eq!(sizes.iter().len(), Sizes::built_in().iter().len() + 1);
        assert_eq!(sizes.iter().next_back().map(|class| class.name.as_str()), Some("team.small"));
        let micro = sizes.iter().next().unwrap();
        assert_eq!((micro.name.as_str(), micro.cpu.to_string().as_str(), micro.confirmed), ("db.t3.micro", "1", false));
    }

    #[rstest]
    #[case::a_list(json!([]), "a file of size classes holds one list, `classes`, of entries such as { name: team.small, cpu: 500m, memory: 1Gi }; this one holds something else")]
    #[case::another_key(json!({"sizes": []}), "a file of size classes holds one list, `classes`, of entries such as { name: team.small, cpu: 500m, memory: 1Gi }; this one has `sizes`")]
    #[case::no_list(json!({"classes": {}}), "a file of size classes holds one list, `classes`, of entries such as { name: team.small, cpu: 500m, memory: 1Gi }; this one has no such list")]
    #[case::no_name(json!({"classes": [{"cpu": 1}]}), "size class number 1 has no usable name; give it `name`, of letters, digits, `.`, `-` and `_`")]
    #[case::twice(json!({"classes": [{"name": "a", "cpu": 1, "memory": 1}, {"name": "a", "cpu": 1, "memory": 1}]}), "size class a stands twice in the file; keep one of the two")]
    #[case::no_memory(json!({"classes": [{"name": "a", "cpu": 1}]}), "size class a: memory is missing; write an amount, such as cpu: 2 or memory: 4Gi")]
    #[case::unknown_field(json!({"classes": [{"name": "a", "cpus": 1}]}), "size class a: cpus is not known; a class has name, cpu, memory and, where it is false, confirmed")]
    #[case::zero(json!({"classes": [{"name": "a", "cpu": "0m", "memory": "1Gi"}]}), "size class a: cpu is 0; it must be more than zero")]
    #[case::below_zero(json!({"classes": [{"name": "a", "cpu": 1, "memory": "-1Gi"}]}), "size class a: memory is -1Gi; it must be more than zero")]
    #[case::unreadable(json!({"classes": [{"name": "a", "cpu": 1, "memory": "4GB"}]}), "size class a: memory is unreadable")]
    #[case::not_a_boolean(json!({"classes": [{"name": "a", "cpu": 1, "memory": 1, "confirmed": "no"}]}), "size class a: confirmed must be true or false")]
    fn a_wrong_file_is_told_what_is_wrong(#[case] document: Value, #[case] message: &str) {
        let refused = Sizes::built_in().extended_with(&document);
        assert_eq!(refused.map_err(|error| error.to_string()), Err(message.to_owned()));
    }
}
