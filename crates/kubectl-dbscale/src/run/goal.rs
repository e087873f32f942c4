//! What an operation is followed to.

use dbscale_core::status::Phase;

/// Where following ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Its end, and a good one.
    Done,
    /// This phase.
    Phase(Phase),
}

impl Goal {
    /// Whether there is nothing to wait for any more: it is reached, or never will be.
    #[must_use]
    pub fn is_settled(self, phase: Phase) -> bool {
        phase.is_finished() || self.is_reached(phase)
    }

    /// Whether it is reached. A phase on the way counts as reached where the operation has come further: looks are half a
    /// second apart, and phases may pass between two.
    #[must_use]
    pub fn is_reached(self, phase: Phase) -> bool {
        match self {
            Self::Done => phase == Phase::Successful,
            Self::Phase(wanted) if wanted.is_finished() => phase == wanted,
            Self::Phase(wanted) => way(phase) >= way(wanted),
        }
    }
}

/// How far a phase is on the way to a good end; one that ended otherwise is not on it.
fn way(phase: Phase) -> Option<u8> {
    match phase {
        Phase::Pending => Some(0),
        Phase::WaitingForApproval => Some(1),
        Phase::Approved => Some(2),
        Phase::Progressing => Some(3),
        Phase::Successful => Some(4),
        Phase::Failed | Phase::Skipped | Phase::Denied => None,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::running(Goal::Done, Phase::Progressing, false, false)]
    #[case::done(Goal::Done, Phase::Successful, true, true)]
    #[case::failed(Goal::Done, Phase::Failed, true, false)]
    #[case::begun(Goal::Phase(Phase::Progressing), Phase::Progressing, true, true)]
    #[case::not_begun(Goal::Phase(Phase::Progressing), Phase::Approved, false, false)]
    #[case::passed_by(Goal::Phase(Phase::Progressing), Phase::Successful, true, true)]
    #[case::begun_and_failed(Goal::Phase(Phase::Progressing), Phase::Failed, true, false)]
    #[case::a_failure_is_wanted(Goal::Phase(Phase::Failed), Phase::Failed, true, true)]
    #[case::a_failure_is_wanted_in_vain(Goal::Phase(Phase::Failed), Phase::Successful, true, false)]
    fn goals(#[case] goal: Goal, #[case] phase: Phase, #[case] settled: bool, #[case] reached: bool) {
        assert_eq!((goal.is_settled(phase), goal.is_reached(phase)), (settled, reached));
    }
}
