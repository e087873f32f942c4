//! Which operation of a database runs next. Pure.
//!
//! One runs at a time. A newer request of the same type skips one that has not started. No order is promised between types;
//! here it is the order of arrival.

use dbscale_core::status::Phase;

use super::faults::Faults;

/// An OpsRequest, as far as the queue looks at it.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its name.
    pub name: String,
    /// `spec.type`.
    pub ops_type: String,
    /// `status.phase`.
    pub phase: Phase,
    /// `status.phase` is empty: nobody has looked at it.
    pub untouched: bool,
    /// `metadata.creationTimestamp`, then the order in which it was first seen: a timestamp counts whole seconds.
    pub age: (String, u64),
    /// `spec.apply` is `Always`: it does not wait for the database to be Ready.
    pub always: bool,
    /// What goes wrong with it.
    pub faults: Faults,
}

/// What to do with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It gets the phase Skipped; the text says why.
    Skip(String, String),
    /// It gets the phase WaitingForApproval.
    AskApproval(String),
    /// It gets the phase Pending: it was seen and has to wait.
    Queue(String),
    /// It gets the phase Progressing.
    Start(String),
    /// It is at work.
    Continue(String),
}

/// What to do with the requests of one database, at most one decision a request. `ready`: the database is.
pub fn next(requests: &[Request], ready: bool) -> Vec<Decision> {
    let mut open: Vec<&Request> = requests.iter().filter(|r| r.phase.is_active()).collect();
    open.sort_by_key(|r| &r.age);
    let mut decisions = Vec::new();
    let mut running = open.iter().find(|r| r.phase == Phase::Progressing).map(|r| r.name.as_str());
    if let Some(name) = running {
        decisions.push(Decision::Continue(name.to_owned()));
    }
    for request in open.iter().filter(|r| r.phase != Phase::Progressing) {
        let name = request.name.clone();
        let newer = requests.iter().find(|r| r.ops_type == request.ops_type && r.age > request.age);
        if let Some(newer) = newer {
            let why = format!("a newer {} request {} exists for this database", request.ops_type, newer.name);
            decisions.push(Decision::Skip(name, why));
        } else if request.faults.skip {
            decisions.push(Decision::Skip(name, "its annotation asks for it".to_owned()));
        } else if request.faults.wait_for_approval && request.phase == Phase::Pending {
            decisions.push(Decision::AskApproval(name));
        } else if running.is_none() && may_start(request, ready) {
            decisions.push(Decision::Start(name));
            running = Some(&request.name);
        } else if request.untouched && !request.faults.never_start {
            decisions.push(Decision::Queue(name));
        }
    }
    decisions
}

fn may_start(request: &Request, ready: bool) -> bool {
    let free = matches!(request.phase, Phase::Pending | Phase::Approved);
    free && !request.faults.never_start && (ready || request.always)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn request(name: &str, ops_type: &str, phase: Phase, second: u8) -> Request {
        Request {
            name: name.to_owned(),
            ops_type: ops_type.to_owned(),
            phase,
            untouched: phase == Phase::Pending,
            age: (format!("2026-01-01T00:00:{second:02}Z"), 0),
            always: false,
            faults: Faults::default(),
        }
    }

    fn told(requests: &[Request], ready: bool) -> String {
        let mut decisions: Vec<String> = next(requests, ready)
            .into_iter()
            .map(|d| match d {
                Decision::Skip(name, _) => format!("skip {name}"),
                Decision::AskApproval(name) => format!("ask {name}"),
                Decision::Queue(name) => format!("queue {name}"),
                Decision::Start(name) => format!("start {name}"),
                Decision::Continue(name) => format!("continue {name}"),
            })
            .collect();
        decisions.sort();
        decisions.join(", ")
    }

    #[rstest]
    #[case::alone(&[("a", "V", Phase::Pending, 1)], "start a")]
    #[case::oldest_first(&[("b", "H", Phase::Pending, 2), ("a", "V", Phase::Pending, 1)], "queue b, start a")]
    #[case::one_at_a_time(&[("a", "V", Phase::Progressing, 1), ("b", "H", Phase::Pending, 2)], "continue a, queue b")]
    #[case::newer_of_the_type(&[("a", "V", Phase::Pending, 1), ("b", "V", Phase::Pending, 2)], "skip a, start b")]
    #[case::newer_behind_a_run(
        &[("r", "X", Phase::Progressing, 0), ("a", "V", Phase::Pending, 1), ("b", "V", Phase::Pending, 2)],
        "continue r, queue b, skip a")]
    #[case::newer_and_done(&[("a", "V", Phase::Pending, 1), ("b", "V", Phase::Failed, 2)], "skip a")]
    #[case::a_started_one_is_not_skipped(
        &[("a", "V", Phase::Progressing, 1), ("b", "V", Phase::Pending, 2)], "continue a, queue b")]
    #[case::two_at_work_by_hand(
        &[("a", "V", Phase::Progressing, 1), ("b", "H", Phase::Progressing, 2)], "continue a")]
    #[case::waiting_for_a_person(
        &[("a", "V", Phase::WaitingForApproval, 1), ("b", "H", Phase::Pending, 2)], "start b")]
    #[case::approved(&[("a", "V", Phase::Approved, 1)], "start a")]
    #[case::ended(&[("a", "V", Phase::Denied, 1), ("b", "H", Phase::Skipped, 2)], "")]
    fn one_operation_at_a_time(#[case] requests: &[(&str, &str, Phase, u8)], #[case] wanted: &str) {
        let requests: Vec<Request> = requests.iter().map(|(n, t, p, s)| request(n, t, *p, *s)).collect();
        assert_eq!(told(&requests, true), wanted);
    }

    #[test]
    fn within_one_second_the_order_of_arrival_decides() {
        let mut first = request("z", "V", Phase::Pending, 1);
        let mut second = request("a", "V", Phase::Pending, 1);
        (first.age.1, second.age.1) = (1, 2);
        assert_eq!(told(&[second, first], true), "skip z, start a");
    }

    #[test]
    fn a_database_that_is_not_ready_holds_up_all_but_always() {
        let mut requests = [request("a", "V", Phase::Pending, 1), request("b", "H", Phase::Pending, 2)];
        assert_eq!(told(&requests, false), "queue a, queue b");
        requests[1].always = true;
        assert_eq!(told(&requests, false), "queue a, start b");
    }

    #[rstest]
    #[case::never(Faults { never_start: true, ..Faults::default() }, "")]
    #[case::approval(Faults { wait_for_approval: true, ..Faults::default() }, "ask a")]
    #[case::skip(Faults { skip: true, ..Faults::default() }, "skip a")]
    fn annotated(#[case] faults: Faults, #[case] wanted: &str) {
        let request = Request { faults, ..request("a", "V", Phase::Pending, 1) };
        assert_eq!(told(&[request], true), wanted);
    }
}
