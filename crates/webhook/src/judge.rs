//! Judges a review: the rules over what is asked and what is known. A denial that rests on the cache is confirmed by one live
//! read; where nobody can be asked, the rules that need no lookup hold, and `--lookup-failure` decides about the others.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use dbscale_cluster::cache::{Cache, Seen};
use dbscale_cluster::{ApiFailure, Cluster};
use dbscale_core::facts::{Case, ClassFact, Facts, Known};
use dbscale_core::finding::{Finding, RuleId, Severity};
use dbscale_core::rules::{DIRECT_EDIT, OF_POLICIES, POLICY_DIRECT_EDITS, lookup_failed};
use dbscale_core::status::Operation;
use jiff::Timestamp;

use crate::asked::Asked;
use crate::live::{self, Needs};
use crate::policies;
use crate::review::Review;
use crate::users::Users;

/// How long one live read may take.
const LOOKUP: Duration = Duration::from_secs(2);

const ACTIVE: &str = "operation/active";
const NO_SHRINK: &str = "storage/no-shrink";
const CLASS: &str = "storage-class/not-expandable";

/// What the operator of the webhook decides.
#[derive(Debug, Clone)]
pub struct Options {
    /// How a direct edit of members or resources is taken.
    pub direct_edits: Severity,
    /// How it is taken that a fact cannot be looked up.
    pub lookup_failure: Severity,
    /// How namespaces are held to the rules that do not say it themselves: whether refusals are refusals, or warnings.
    pub enforcement: Severity,
    /// KubeDB's own accounts and dbscale's controller.
    pub operators: Users,
}

/// The judge.
pub struct Judge {
    /// What is known.
    pub cache: Arc<Cache>,
    /// Who can be asked; its timeout must leave room within the API server's own.
    pub cluster: Cluster,
    /// What the operator of the webhook decides.
    pub options: Options,
}

/// What came out.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Whether anything was there to judge.
    pub judged: bool,
    /// The rules by which it would be refused where they are enforced; empty where they are.
    pub spared: Vec<RuleId>,
    /// What the rules say.
    pub findings: Vec<Finding>,
}

impl Verdict {
    /// Whether it refuses.
    #[must_use]
    pub fn refuses(&self) -> bool {
        self.findings.iter().any(Finding::refuses)
    }
}

impl Judge {
    /// Judges a review.
    pub async fn judge(&self, review: &mut Review<'_>) -> Verdict {
        let Some(asked) = Asked::of(review) else { return Verdict::default() };
        let (mut findings, asked) = if asked.update().is_some() {
            (self.update(asked).await, None)
        } else if asked.request().is_some() {
            (self.request(&asked).await, Some(asked))
        } else {
            (asked.judge(&asked.told), None)
        };
        let lenient = || match self.cache.is_lenient(&review.namespace) {
            Some(says) => says,
            None => self.options.enforcement == Severity::Warn,
        };
        let mut spared = Vec::new();
        if refuses(&findings) && lenient() {
            for finding in findings.iter_mut().filter(|finding| finding.refuses()) {
                finding.severity = Severity::Warn;
                spared.push(finding.rule);
            }
        }
        // What is let in with warnings takes its place, too. Nothing is waited for since it was judged.
        if let Some(asked) = &asked
            && let Some(request) = asked.request()
            && !review.dry_run
            && !refuses(&findings)
        {
            self.cache.admit(asked.engine, &asked.namespace, request, Timestamp::now());
        }
        Verdict { judged: true, spared, findings }
    }

    /// An OpsRequest that is to be created.
    async fn request(&self, asked: &Asked) -> Vec<Finding> {
        let policies = !self.cache.policies().is_empty();
        let needs = Needs { database: true, operations: true, classes: asked.grows_volumes(), policies };
        match self.cached(asked, needs) {
            Some(facts) => {
                let findings = asked.judge(&facts);
                self.confirmed(asked, &facts, findings).await
            }
            None => match within(Box::pin(live::read(&self.cluster, &self.cache, asked, needs))).await {
                Ok(read) => {
                    let operations = self.with_admitted(asked, read.operations);
                    let told = asked.told.clone();
                    let mut facts = Facts { database: read.database, operations, classes: read.classes, ..told };
                    if let Some((policies, labels)) = read.policies {
                        policies::fill(&self.cache, asked, &policies, &labels, &mut facts);
                    }
                    asked.judge(&facts)
                }
                Err(failure) => self.unknown(asked, &failure),
            },
        }
    }

    /// An update of a database object.
    async fn update(&self, mut asked: Asked) -> Vec<Finding> {
        let caller = asked.told.caller.clone().unwrap_or_default();
        let operator = self.options.operators.contain(&caller);
        if operator && !refuses(&asked.judge(&asked.told)) {
            return Vec::new(); // the usual write of KubeDB's: nothing is looked up, nobody is warned
        }
        if asked.update().is_none_or(|change| change.wishes.is_empty()) {
            return asked.judge(&asked.told);
        }
        let needs = Needs { operations: true, ..Needs::default() };
        let known = self.known_operations(&asked);
        let cached = known.is_some();
        let known = match known {
            Some(operations) => Ok(operations),
            None => within(Box::pin(live::read(&self.cluster, &self.cache, &asked, needs))).await.map(|r| r.operations),
        };
        let operations = match known {
            Ok(operations) => operations,
            Err(failure) => return self.unknown(&asked, &failure),
        };
        let mut left_out = asked.leave_out(&operations);
        let mut operations = operations;
        // What was known may be old: an operation that has just ended may wish what is written here.
        if !left_out && !operator && cached && self.minds_edits(&asked) {
            match within(Box::pin(live::read(&self.cluster, &self.cache, &asked, needs))).await {
                Ok(read) => operations = read.operations,
                Err(failure) => return self.unknown(&asked, &failure),
            }
            left_out = asked.leave_out(&operations);
        }
        if left_out {
            return Vec::new();
        }
        let mut facts = if operator { asked.told.clone() } else { self.around(&asked, active(operations)).await };
        let mut findings = asked.judge(&facts);
        if findings.iter().any(|f| f.refuses() && f.rule.0 == NO_SHRINK) {
            match within(Box::pin(live::claims(&self.cluster, &asked, &mut facts))).await {
                Ok(()) => findings = asked.judge(&facts),
                // Not known to be a way back, so it is none.
                Err(failure) => tracing::warn!(%failure, "claims could not be read"),
            }
        }
        if operator {
            findings.retain(Finding::refuses);
            return findings;
        }
        let mut findings = self.confirmed(&asked, &facts, findings).await;
        let told = findings.iter().any(|f| f.rule == POLICY_DIRECT_EDITS.id);
        let edits = if told { Vec::new() } else { direct_edits(&asked) };
        findings.extend(edits.into_iter().map(|f| Finding { severity: self.options.direct_edits, ..f }));
        findings
    }

    /// Whether it is refused, as far as is known, because the object is changed and not asked for by an OpsRequest.
    fn minds_edits(&self, asked: &Asked) -> bool {
        let mut facts = asked.told.clone();
        policies::known(&self.cache, asked, &mut facts);
        self.options.direct_edits == Severity::Deny && !direct_edits(asked).is_empty()
            || !facts.policies.is_empty() && asked.judge(&facts).iter().any(of_a_policy)
    }

    /// The facts that surround an update: its own, active operations, and storage classes where they matter.
    async fn around(&self, asked: &Asked, operations: Vec<Operation>) -> Facts {
        let mut facts = Facts { operations, ..asked.told.clone() };
        policies::known(&self.cache, asked, &mut facts);
        if asked.grows_volumes() {
            facts.classes = match self.cache.classes() {
                Some(classes) => classes,
                // Those that cannot be read are not known, and refuse nothing.
                None => classes(&within(Box::pin(self.cluster.storage_classes())).await.unwrap_or_default()),
            };
        }
        facts
    }

    /// The active ones of the operations that were read, and those that were let in while they were: from here to the answer
    /// nothing is waited for, so of two requests that come at once one sees the other.
    fn with_admitted(&self, asked: &Asked, mut read: Vec<Seen>) -> Vec<Operation> {
        for seen in self.cache.admitted(asked.engine, &asked.namespace, &asked.database) {
            if read.iter().all(|r| r.operation.name != seen.operation.name) {
                read.push(seen);
            }
        }
        active(read)
    }

    fn known_operations(&self, asked: &Asked) -> Option<Vec<Seen>> {
        self.cache.operations(asked.engine, &asked.namespace, &asked.database, Timestamp::now())
    }

    /// All that is needed, out of the cache; `None` where a part of it is not known there.
    fn cached(&self, asked: &Asked, needs: Needs) -> Option<Facts> {
        let database = self.cache.database(asked.engine, &asked.namespace, &asked.database);
        if matches!(database, Known::Unknown) {
            return None;
        }
        let operations = active(self.known_operations(asked)?);
        let classes = if needs.classes { self.cache.classes()? } else { asked.told.classes.clone() };
        let mut facts = Facts { database, operations, classes, ..asked.told.clone() };
        policies::known(&self.cache, asked, &mut facts);
        Some(facts)
    }

    /// The findings, each denial that rests on a cached fact confirmed by one live read.
    async fn confirmed(&self, asked: &Asked, facts: &Facts, findings: Vec<Finding>) -> Vec<Finding> {
        if !refuses(&findings) {
            return findings;
        }
        let certain = asked.judge(&Facts { claims: facts.claims.clone(), ..asked.told.clone() });
        let doubtful: Vec<RuleId> =
            findings.iter().filter(|f| f.refuses() && !certain.contains(f)).map(|f| f.rule).collect();
        if doubtful.is_empty() {
            return findings;
        }
        let about = |id: &str| doubtful.iter().any(|rule| rule.0 == id);
        let needs = Needs {
            database: asked.request().is_some(),
            operations: about(ACTIVE),
            classes: about(CLASS),
            policies: doubtful.iter().any(|rule| rule.0.starts_with(OF_POLICIES)),
        };
        match within(Box::pin(live::read(&self.cluster, &self.cache, asked, needs))).await {
            Ok(read) => {
                let mut now = facts.clone();
                if needs.database {
                    now.database = read.database;
                }
                if needs.operations {
                    now.operations = self.with_admitted(asked, read.operations);
                }
                if needs.classes {
                    now.classes = read.classes;
                }
                match read.policies {
                    Some((policies, labels)) => policies::fill(&self.cache, asked, &policies, &labels, &mut now),
                    // Others may have been let in meanwhile: they are counted again.
                    None => policies::known(&self.cache, asked, &mut now),
                }
                asked.judge(&now)
            }
            Err(failure) if self.options.lookup_failure == Severity::Deny => {
                tracing::warn!(%failure, "a denial could not be confirmed; it stands");
                findings
            }
            Err(failure) => {
                let softened =
                    |f: Finding| if doubtful.contains(&f.rule) { Finding { severity: Severity::Warn, ..f } } else { f };
                let mut findings: Vec<Finding> = findings.into_iter().map(softened).collect();
                findings.push(self.lookup_failed(&failure));
                findings
            }
        }
    }

    /// What the rules say that need no lookup, and that nothing could be looked up.
    fn unknown(&self, asked: &Asked, failure: &ApiFailure) -> Vec<Finding> {
        let mut findings = asked.judge(&asked.told);
        findings.push(self.lookup_failed(failure));
        findings
    }

    fn lookup_failed(&self, failure: &ApiFailure) -> Finding {
        lookup_failed(self.options.lookup_failure, &failure.message)
    }
}

/// Gives up on a live read in time to answer: the API server waits for five seconds, and two reads may follow each other.
///
/// The read is boxed by the caller: it is rare, and its future would make that of every review ten times as large.
async fn within<T>(read: Pin<Box<impl Future<Output = Result<T, ApiFailure>>>>) -> Result<T, ApiFailure> {
    let late = |_| ApiFailure::unreachable("GET", format!("no answer from the API server within {LOOKUP:?}"));
    tokio::time::timeout(LOOKUP, read).await.map_err(late).flatten()
}

/// Whether a scaling policy refuses.
fn of_a_policy(finding: &Finding) -> bool {
    finding.refuses() && finding.rule.0.starts_with(OF_POLICIES)
}

/// What `database/direct-edit` finds in an update.
fn direct_edits(asked: &Asked) -> Vec<Finding> {
    asked.update().map_or_else(Vec::new, |change| (DIRECT_EDIT.check)(&Case { change, facts: &asked.told }))
}

fn classes(objects: &[serde_json::Value]) -> BTreeMap<String, ClassFact> {
    objects.iter().filter_map(ClassFact::of).collect()
}

fn refuses(findings: &[Finding]) -> bool {
    findings.iter().any(Finding::refuses)
}

/// The operations that are still active.
fn active(operations: Vec<Seen>) -> Vec<Operation> {
    operations.into_iter().map(|seen| seen.operation).filter(dbscale_core::status::Operation::is_active).collect()
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
