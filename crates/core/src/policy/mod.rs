//! `ValidatingAdmissionPolicy` objects, made of the catalog and the rules: what CEL can say of them holds in the API server
//! itself, also while no webhook answers. docs/policies.md tells what they hold and what they cannot say.

mod cel;
mod database;
mod live;
mod object;
mod request;
mod scaling;
mod shape;

use serde_json::Value;

use crate::catalog::Engine;
pub use object::ENFORCEMENT;

/// KubeDB's own accounts; the `*` at the end stands for any rest. The default of the webhook's `--kubedb-users`.
pub const KUBEDB_USERS: &str = "system:serviceaccount:kubedb:kubedb-*";
/// The account of dbscale's controller. The default of the webhook's `--controller-user`.
pub const CONTROLLER_USER: &str = "system:serviceaccount:dbscale-system:dbscale-controller";

/// Accounts whose writes of a database no policy judges, as they must never hang.
const OPERATORS: [&str; 2] = [KUBEDB_USERS, CONTROLLER_USER];

/// The policies and bindings that stand beside the webhook, for one engine. Where its kinds are not installed they do nothing.
#[must_use]
pub fn beside_webhook(engine: &Engine) -> Vec<Value> {
    [database::policy(engine), request::policy(engine)].iter().flat_map(object::Policy::objects).collect()
}

/// The policies and bindings of a cluster without the webhook, for one engine: beside those for databases all that CEL can say
/// of an OpsRequest, and of its sizes against the live database. Only for engines that are installed.
#[must_use]
pub fn without_webhook(engine: &Engine) -> Vec<Value> {
    let policies = [Some(database::policy(engine)), Some(shape::policy(engine)), live::policy(engine)];
    policies.iter().flatten().flat_map(object::Policy::objects).collect()
}

/// The policies and bindings that hold ScalingPolicies, for one engine, as far as CEL can say them. Where the definition of
/// ScalingPolicies is not installed they do nothing.
#[must_use]
pub fn of_scaling(engine: &Engine) -> Vec<Value> {
    scaling::policies(engine).iter().flat_map(object::Policy::objects).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::Catalog;
    use crate::rules;

    /// All policies of an engine, beside the webhook and without it.
    fn policies(engine: &Engine) -> impl Iterator<Item = Value> {
        let all = beside_webhook(engine).into_iter().chain(without_webhook(engine)).chain(of_scaling(engine));
        all.filter(|o| o["kind"] == "ValidatingAdmissionPolicy")
    }

    fn list<'v>(policy: &'v Value, field: &str) -> &'v [Value] {
        policy["spec"][field].as_array().map(Vec::as_slice).unwrap_or_default()
    }

    #[test]
    fn every_message_begins_with_the_id_of_a_rule() {
        for policy in Catalog::builtin().engines().flat_map(policies) {
            for validation in list(&policy, "validations") {
                let text = validation["message"].as_str().unwrap();
                let id = text.strip_prefix('[').unwrap().split_once(']').unwrap().0;
                assert!(rules::find(id).is_some(), "{text}");
                let says = validation["messageExpression"].as_str().unwrap();
                assert!(says.starts_with(&format!("'[{id}] ' + ")), "{says}");
            }
        }
    }

    /// What is compared has passed the pattern, in the same expression or in the variable that it is taken from.
    #[test]
    fn no_amount_is_computed_before_its_form_is_known() {
        for policy in Catalog::builtin().engines().flat_map(policies) {
            for entry in list(&policy, "variables").iter().chain(list(&policy, "validations")) {
                let text = entry["expression"].as_str().unwrap();
                let computed = text.match_indices("quantity(").find(|(at, _)| !text[at + 9..].starts_with('\''));
                if let Some((at, _)) = computed {
                    let known = text[..at].contains(".matches('^") || text[..at].contains("variables.wished");
                    assert!(known, "{}: {text}", policy["metadata"]["name"]);
                }
            }
        }
    }

    /// As the webhook answers: 403 where a policy of the administrator's refuses, else 422.
    #[test]
    fn what_a_scaling_policy_refuses_is_forbidden() {
        for policy in Catalog::builtin().engines().flat_map(policies) {
            for validation in list(&policy, "validations") {
                let is_policy = validation["message"].as_str().unwrap().starts_with("[policy/");
                let reason = if is_policy { "Forbidden" } else { "Invalid" };
                assert_eq!(validation["reason"], reason, "{}", policy["metadata"]["name"]);
            }
        }
    }

    #[test]
    fn nobody_is_held_up_where_scaling_policies_are_not_installed() {
        for policy in Catalog::builtin().engines().flat_map(policies) {
            let scaling = policy["spec"]["paramKind"]["kind"] == "ScalingPolicy";
            let failure = if scaling { "Ignore" } else { "Fail" };
            assert_eq!(policy["spec"]["failurePolicy"], failure, "{}", policy["metadata"]["name"]);
        }
    }

    #[test]
    fn each_policy_refuses_by_default_and_warns_where_a_namespace_asks_for_it() {
        for engine in Catalog::builtin().engines() {
            let objects = beside_webhook(engine);
            let actions: Vec<&Value> = objects.iter().map(|o| &o["spec"]["validationActions"]).collect();
            let (deny, warn) = (json!(["Deny", "Audit"]), json!(["Warn", "Audit"]));
            assert_eq!(actions, [&Value::Null, &deny, &warn, &Value::Null, &deny, &warn], "{}", engine.name);
        }
    }
}
