//! Claims about changes of the members, refuted.

use quorate_spec::property::step::broken_by_restart;
use quorate_spec::{
    Body, Configuration, Entries, Index, Input, NodeId, Refusal, RoleName, Rules, Sound, Target,
    Term,
};

use crate::common::*;
use crate::{Case, broken_rules, durable, follower, from, life, with_and_without};

broken_rules! {
    NewHalfDecides: is_quorum(c: &Configuration, has: &dyn Fn(NodeId) -> bool) -> bool
        = c.leave().is_quorum(has);
    AppendsAtOnce: follows_configuration(_at: Index, _commit: Index) -> Result<(), Refusal> = Ok(());
    AppendsUnheard: has_committed_in_term(_c: Option<Term>, _now: Term) -> Result<(), Refusal>
        = Ok(());
    ChangesInOneStep: enter_joint(_c: &Configuration, to: &Target) -> Configuration
        = Configuration { voters: to.voters.clone(), ..Configuration::default() };
    LeavesToOldVoters: leave_joint(c: &Configuration) -> Configuration
        = Configuration { voters: c.outgoing.clone(), ..Configuration::default() };
    KeepsConfigurations: truncates_configuration(_at: Index, _keep: Index) -> bool = false;
}

/// Of n1, n2, n3 on the way to n1 and n4.
fn in_between() -> Setup {
    Setup { configuration: joint(&[1, 2, 3], &[1, 4]), ..Setup::default() }
}

/// n1 and n4 are a majority of the new voters, and n1 alone none of the old ones.
pub(crate) fn committed_by_one_half() -> Case {
    with_and_without(NewHalfDecides, &in_between().lead(&[2, 4]), &[from(4, 1, accepted(1))])
}

pub(crate) fn elected_by_one_half() -> Case {
    let mut server = in_between().start();
    server.be_candidate(&[2, 4]);
    server.sync();
    with_and_without(NewHalfDecides, &server, &[from(4, 1, vote(true))])
}

/// A second change before the first is committed; a first one before the leader has committed
/// anything; the new voters at once; the old voters again.
pub(crate) fn one_config_in_flight() -> Vec<Case> {
    let fresh = Setup::default().lead(&[2]);
    let committed = from(2, 1, accepted(1));
    let (one, two) = (ask_for(&[1, 2, 3], &[4]), ask_for(&[1, 2, 3], &[5]));
    let fewer = ask_for(&[1, 2], &[]);
    let written = Input::Persisted(fresh.node.last_write().next());
    let joint_is_committed = [committed.clone(), fewer.clone(), written, from(2, 1, accepted(2))];
    vec![
        with_and_without(AppendsAtOnce, &fresh, &[committed.clone(), one.clone(), two]),
        with_and_without(AppendsUnheard, &fresh, &[one]),
        with_and_without(ChangesInOneStep, &fresh, &[committed, fewer]),
        with_and_without(LeavesToOldVoters, &fresh, &joint_is_committed),
    ]
}

/// Bugs E7, E10: the entry is replaced, and its configuration stays.
pub(crate) fn config_outlives_its_entry() -> Case {
    let (prev, leader_commit) = (entry(1, 1), Index(0));
    let entries = Entries::of_configuration(Index(1), Term(1), voters(&[1, 2]));
    let brings = from(2, 1, Body::AppendEntries { prev, entries, leader_commit });
    let replaces = from(3, 2, append(prev, &[2], 0));
    with_and_without(KeepsConfigurations, &follower(1, &[1]), &[brings, replaces])
}

/// Bug E7: the disk has a configuration that the server does not go by.
pub(crate) fn config_lost_at_restart() -> Case {
    let before = follower(1, &[1]);
    let without = durable(1, None, &[1, 1]);
    let mut with = durable(1, None, &[1]);
    with.log.append(&Entries::of_configuration(Index(1), Term(1), voters(&[1, 2])));
    let restarts = |disk: &quorate_spec::Durable| {
        let after = Server::start(1, disk.clone(), params(), 2 * E);
        broken_by_restart(&before.node, &before.disk, &with, &after.node)
    };
    Case { near: restarts(&with), refuted: restarts(&without) }
}

/// What is near all of these breaks nothing, and each step of it is taken.
#[test]
fn a_whole_change_breaks_no_claim() {
    let server = Setup::default().lead(&[2]);
    let asked = [from(2, 1, accepted(1)), ask_for(&[2, 3], &[1])];
    let answers = [2, 3].map(|index| [from(2, 1, accepted(index)), from(3, 1, accepted(index))]);
    let inputs: Vec<Input> = asked.into_iter().chain(answers.into_iter().flatten()).collect();
    let (node, broken) = life(Sound, &server, &inputs);
    assert!(broken.is_empty(), "{broken:?}");
    assert_eq!((node.commit_index(), node.role().name()), (Index(3), RoleName::Follower));
}
