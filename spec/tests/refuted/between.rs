//! Claims between servers, refuted.

use quorate_spec::log::Run;
use quorate_spec::property::cluster::{
    NodeIter, committed_is_durable, leader_undisturbed, log_matching, match_index_sound,
    quorum_intersection, quorum_log,
};
use quorate_spec::property::history::History;
use quorate_spec::property::{Claim, ClaimSet};
use quorate_spec::{Configuration, Entries, Index, Node, NodeId, Sound, Term};

use crate::common::*;
use crate::{Case, LeaderVotes, committed, durable, from, leader, life, log, where_it};

pub(crate) fn logs_match() -> Case {
    let with = |a: &[u64], b: &[u64]| where_it(Claim::LogMatching, log_matching(&log(a), &log(b)));
    Case { near: with(&[1, 3], &[1, 2]), refuted: with(&[1, 3], &[2, 3]) }
}

pub(crate) fn match_index() -> Case {
    let mut leads = leader(1);
    leads.receive(2, 1, accepted(1));
    let follows = Setup { id: 2, term: 1, ..Setup::default() }.start();
    let with = |terms| {
        let disk = durable(1, None, terms);
        where_it(Claim::MatchIndexSound, match_index_sound(&leads.node, &follows.node, &disk))
    };
    Case { near: with(&[1]), refuted: with(&[]) }
}

pub(crate) fn committed_on_disks() -> Case {
    let mut history = History::default();
    history.observe(&committed(entry(1, 1), 1));
    let (has, lacks) = (durable(1, None, &[1]), durable(1, None, &[]));
    let with = |owners: &[u64]| {
        let disk = |id: NodeId| if owners.contains(&id.0) { &has } else { &lacks };
        let nodes: Vec<Node> =
            (1..=3).map(|id| Server::start(id, has.clone(), params(), 0).node).collect();
        let all = || -> NodeIter<'_> { Box::new(nodes.iter()) };
        let holds = committed_is_durable(&Sound, &history, all, disk);
        where_it(Claim::CommittedIsDurable, holds)
    };
    Case { near: with(&[1, 3]), refuted: with(&[1]) }
}

/// Committed in term 1, and in the logs of so many; a server that lacks it could win.
pub(crate) fn committed_in_logs() -> Case {
    let mut history = History::default();
    history.observe(&committed(entry(1, 1), 1));
    let with = |third: &[u64]| {
        let logs: [&[u64]; 3] = [&[1], &[], third];
        let start = |(id, log): (u64, &[u64])| {
            Setup { id, term: 1, log: log.to_vec(), ..Setup::default() }.start().node
        };
        let nodes: Vec<Node> = (1..).zip(logs).map(start).collect();
        let all = || -> NodeIter<'_> { Box::new(nodes.iter()) };
        where_it(Claim::QuorumLog, quorum_log(&Sound, &history, all))
    };
    Case { near: with(&[1]), refuted: with(&[]) }
}

/// Servers n1, n2, … of a cluster of n1 to n3, each with a log that ends with its configuration,
/// in an entry of its term.
fn cluster(logs: &[(u64, Configuration)]) -> ClaimSet {
    let node = |(i, (term, configuration)): (usize, &(u64, Configuration))| {
        let runs = vec![Run { term: Term(*term), last: Index(1) }];
        let configurations = vec![(Index(1), configuration.clone())];
        let mut disk = durable(*term, None, &[]);
        disk.log.append(&Entries { runs, configurations });
        Server::start(i as u64 + 1, disk, params(), 0).node
    };
    let nodes: Vec<Node> = logs.iter().enumerate().map(node).collect();
    let all = || -> NodeIter<'_> { Box::new(nodes.iter()) };
    where_it(Claim::QuorumIntersection, quorum_intersection(&Sound, all))
}

/// n1 is to be alone, n2 and n3 are to go on without it: one has to ask the old majority, too.
pub(crate) fn disjoint_quorums() -> Case {
    let with = |first| cluster(&[(1, first), (1, voters(&[2, 3])), (1, voters(&[2, 3]))]);
    Case { near: with(joint(&[1, 2, 3], &[1])), refuted: with(voters(&[1])) }
}

/// Quorums that do not intersect do no harm while one of them cannot win: n2 is ahead of n1.
pub(crate) fn disjoint_but_not_electable() -> Case {
    let with = |term| cluster(&[(1, voters(&[1, 2])), (term, voters(&[2, 3])), (1, voters(&[3]))]);
    Case { near: with(2), refuted: with(1) }
}

pub(crate) fn non_disruption() -> Case {
    let (server, asks) = (leader(1), [from(3, 2, request_vote(entry(1, 1)))]);
    let after = |(node, broken): (Node, ClaimSet)| {
        broken.union(where_it(Claim::NonDisruption, leader_undisturbed(&node, Term(1))))
    };
    Case {
        near: after(life(Sound, &server, &asks)),
        refuted: after(life(LeaderVotes, &server, &asks)),
    }
}
