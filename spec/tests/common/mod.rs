//! What the tests share: the vocabulary, and one server with its disk and its clock.
#![allow(dead_code)] // Each test file uses a part of it.

pub(crate) mod cluster;
pub(crate) mod dice;
pub(crate) mod play;
pub(crate) mod reading;
pub(crate) mod script;
pub(crate) mod server;

use quorate_spec::{
    AppendOutcome, Body, Configuration, Duration, Effects, Entries, EntryId, Index, Input, Instant,
    Limit, Log, NodeId, Params, ReadAnswer, Refusal, Snapshot, Target, Term, Token, WriteId,
};

pub(crate) use server::{Server, Setup};

/// The minimum election timeout of the tests.
pub(crate) const E: u64 = 100;
/// The heartbeat interval of the tests.
pub(crate) const HEARTBEAT: u64 = 10;
/// As many entries as there are.
pub(crate) const ALL: Limit = Limit { entries: u64::MAX };

pub(crate) fn params() -> Params {
    Params::new(Duration(E), Duration(HEARTBEAT))
}

pub(crate) fn n(id: u64) -> NodeId {
    NodeId(id)
}

/// The name of the entry at `index`, of `term`.
pub(crate) fn entry(index: u64, term: u64) -> EntryId {
    EntryId { term: Term(term), index: Index(index) }
}

pub(crate) fn voters(ids: &[u64]) -> Configuration {
    Configuration::of(ids.iter().copied().map(NodeId))
}

/// `C_old,new`.
pub(crate) fn joint(old: &[u64], new: &[u64]) -> Configuration {
    Configuration { outgoing: voters(old).voters, ..voters(new) }
}

/// An operator asks for these voters and learners.
pub(crate) fn ask_for(voters: &[u64], learners: &[u64]) -> Input {
    let ids = |ids: &[u64]| ids.iter().copied().map(NodeId).collect();
    Input::ChangeMembers(Target { voters: ids(voters), learners: ids(learners) })
}

/// Entries of these terms, one each, after `previous`.
pub(crate) fn entries(previous: u64, terms: &[u64]) -> Entries {
    let mut log = Entries::default();
    for (i, term) in terms.iter().enumerate() {
        let one = Entries::of_term(Index(previous + i as u64), Term(*term), 1);
        match log.runs.last_mut() {
            Some(run) if run.term == Term(*term) => run.last = one.runs[0].last,
            Some(_) | None => log.runs.extend(one.runs),
        }
    }
    log
}

/// The terms of a log's entries, one each.
pub(crate) fn terms(log: &Log) -> Vec<u64> {
    log.ids().map(|id| id.term.0).collect()
}

/// A RequestVote of a campaign that no leader asked for.
pub(crate) fn request_vote(last: EntryId) -> Body {
    Body::RequestVote { last, handover: false }
}

/// A RequestVote of a campaign that a TimeoutNow began.
pub(crate) fn request_vote_after_handover(last: EntryId) -> Body {
    Body::RequestVote { last, handover: true }
}

pub(crate) fn vote(granted: bool) -> Body {
    Body::RequestVoteReply { granted }
}

pub(crate) fn pre_vote(last: EntryId, round: u64) -> Body {
    Body::PreVote { last, round: Instant(round) }
}

/// The answer to a pre-vote that was asked in a term, in a round.
pub(crate) fn pre_vote_reply(asked_in: u64, round: u64, granted: bool) -> Body {
    Body::PreVoteReply { asked_in: Term(asked_in), round: Instant(round), granted }
}

pub(crate) fn append(prev: EntryId, terms: &[u64], leader_commit: u64) -> Body {
    let entries = entries(prev.index.0, terms);
    Body::AppendEntries { prev, entries, leader_commit: Index(leader_commit) }
}

pub(crate) fn heartbeat(prev: EntryId, leader_commit: u64) -> Body {
    append(prev, &[], leader_commit)
}

pub(crate) fn accepted(match_index: u64) -> Body {
    Body::AppendEntriesReply(AppendOutcome::Accepted { match_index: Index(match_index) })
}

pub(crate) fn conflict(prev_index: u64, hint: EntryId) -> Body {
    let prev_index = Index(prev_index);
    Body::AppendEntriesReply(AppendOutcome::Conflict { prev_index, hint })
}

pub(crate) fn stale() -> Body {
    Body::AppendEntriesReply(AppendOutcome::Stale)
}

/// An InstallSnapshot that covers everything up to `last`.
pub(crate) fn install(last: EntryId, configuration: Configuration) -> Body {
    Body::InstallSnapshot { snapshot: Snapshot::new(last, configuration) }
}

/// A client asks for a read of this name.
pub(crate) fn read(token: u64) -> Input {
    Input::Read(Token(token))
}

pub(crate) fn read_index(token: u64) -> Body {
    Body::ReadIndex { token: Token(token) }
}

pub(crate) fn read_index_reply(token: u64, index: u64) -> Body {
    Body::ReadIndexReply { token: Token(token), index: Index(index) }
}

/// The reads that these effects answer: the name, and where the read may be served.
pub(crate) fn served(effects: &Effects) -> Vec<(u64, u64)> {
    let index = |read: &ReadAnswer| read.outcome.ok().map(|index| (read.token.0, index.0));
    effects.reads.iter().filter_map(index).collect()
}

/// What the only reply waits for.
pub(crate) fn needs(effects: &Effects) -> WriteId {
    assert_eq!(effects.send.len(), 1, "one reply: {effects:?}");
    effects.send[0].needs
}

/// Whether the step was refused for this reason, among others.
pub(crate) fn refused(effects: &Effects, reason: Refusal) -> bool {
    effects.refused.contains(&reason)
}
