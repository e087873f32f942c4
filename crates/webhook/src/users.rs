//! Accounts by name or by the beginning of it: `system:serviceaccount:kubedb:kubedb-*`.

/// A set of accounts.
#[derive(Debug, Clone, Default)]
pub struct Users(Vec<String>);

impl Users {
    /// Reads names; a `*` at the end stands for any rest.
    #[must_use]
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().collect())
    }

    /// Whether `user` is among them.
    #[must_use]
    pub fn contain(&self, user: &str) -> bool {
        self.0.iter().any(|name| match name.strip_suffix('*') {
            Some(beginning) => user.starts_with(beginning),
            None => user == name,
        })
    }
}

#[cfg(test)]
mod tests {
    use dbscale_core::policy::{CONTROLLER_USER, KUBEDB_USERS};
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::by_the_beginning("system:serviceaccount:kubedb:kubedb-ops-manager", true)]
    #[case::of_another_namespace("system:serviceaccount:kubedb2:kubedb-ops-manager", false)]
    #[case::by_name("system:serviceaccount:dbscale-system:dbscale-controller", true)]
    #[case::longer_than_the_name("system:serviceaccount:dbscale-system:dbscale-controller-2", false)]
    #[case::nobody("", false)]
    fn accounts(#[case] user: &str, #[case] among: bool) {
        let names = [KUBEDB_USERS, CONTROLLER_USER].map(str::to_owned);
        assert_eq!(Users::new(names).contain(user), among);
    }
}
