//! Linearizable reads by a round of messages (thesis §6.4, rules R1 to R9).
//!
//! ```text
//!   a read comes ──▶ where it may be served: read_index     (rules R1, R2)
//!        │
//!        ├─ at the leader: it joins a round that nobody has been asked in (rule R7)
//!        │      a quorum answers a request of that round ──▶ served when applied (rules R3, R4)
//!        │
//!        └─ at a follower: it asks its leader, again and again, and the next one (rule R8)
//! ```
//!
//! A follower's read needs no round of its own term: whatever leader answers it was asked after the
//! read had come, and knew that it led then.

use alloc::vec::Vec;

use crate::configuration::reached_by_quorum;
use crate::effects::ReadAnswer;
use crate::message::Body;
use crate::node::Forward;
use crate::protocol::Step;
use crate::refusal::Refusal;
use crate::role::{PendingRead, Role};
use crate::rules::{Pledge, Rules};
use crate::types::{Index, NodeId, Token};

impl<R: Rules> Step<'_, R> {
    /// A client asks this server for a read.
    pub(crate) fn read(&mut self, token: Token) {
        let forwarded = self.node.forwards.iter().any(|forward| forward.token == token);
        if forwarded || self.waits(token, None) {
            return self.refuse(Refusal::SameToken(token));
        }
        if self.node.is_leader() {
            self.begin_read(token, None);
        } else {
            self.node.forwards.push(Forward { token, asked: None });
        }
    }

    /// A follower asks for the index of its read. It asks again where no answer comes.
    pub(crate) fn on_read_index(&mut self, from: NodeId, token: Token) {
        if !self.node.is_leader() {
            return self.refuse(Refusal::NotLeader { leader: self.node.leader() });
        }
        if !self.waits(token, Some(from)) {
            self.begin_read(token, Some(from));
        }
    }

    /// A leader, of whatever term, has found where the read may be served.
    pub(crate) fn on_read_index_reply(&mut self, token: Token, index: Index) {
        if index >= Index::LIMIT {
            return self.refuse(Refusal::Malformed);
        }
        let before = self.node.forwards.len();
        self.node.forwards.retain(|forward| forward.token != token);
        if self.node.forwards.len() < before {
            self.effects.reads.push(ReadAnswer { token, outcome: Ok(index) });
        }
    }

    /// Whether a read of this name waits for its round.
    fn waits(&self, token: Token, forwarded_by: Option<NodeId>) -> bool {
        self.node.leadership().is_some_and(|leadership| {
            let same =
                |read: &PendingRead| (read.token, read.forwarded_by) == (token, forwarded_by);
            leadership.reads.iter().any(same)
        })
    }

    fn begin_read(&mut self, token: Token, forwarded_by: Option<NodeId>) {
        let log = &self.node.log;
        // A leader without an entry of its term waits for the one that it will have.
        let first = log.first_of_last_term(self.node.current_term);
        let first = first.unwrap_or(log.last().index.next());
        let rules = self.rules();
        let index = rules.read_index(self.node.commit_index, first);
        let Role::Leader(leadership) = &mut self.node.role else { return };
        let latest = leadership.round;
        let was_asked = latest == 0 || leadership.peers.values().any(|peer| peer.asked == latest);
        let round = rules.round_of_read(latest, was_asked);
        leadership.round = round;
        leadership.reads.push(PendingRead { token, forwarded_by, index, round });
    }

    /// The reads that a server was asked for while it did not lead are its own, now that it does.
    pub(crate) fn take_over_reads(&mut self) {
        for Forward { token, .. } in core::mem::take(&mut self.node.forwards) {
            self.begin_read(token, None);
        }
    }

    /// Answers the reads whose round a quorum of the configuration in force has answered (rule
    /// J12), once the leader has committed an entry of its term (rule R1); one answer confirms every
    /// earlier round, too.
    pub(crate) fn settle_reads(&mut self) {
        let Some(leadership) = self.node.leadership().filter(|l| !l.reads.is_empty()) else {
            return;
        };
        let (me, rules) = (self.node.id, self.rules());
        let heard = |id: NodeId| {
            if id == me {
                return u64::MAX;
            }
            leadership.peers.get(&id).map_or(0, |peer| peer.heard.round)
        };
        let configuration = self.configuration();
        let is_quorum = |has: &dyn Fn(NodeId) -> bool| rules.is_quorum(configuration, has);
        let reached = reached_by_quorum(configuration, heard, is_quorum).unwrap_or(0);
        let commit = self.node.commit_index;
        let Role::Leader(leadership) = &mut self.node.role else { return };
        let all = core::mem::take(&mut leadership.reads).into_iter();
        let (settled, open): (Vec<_>, Vec<_>) = all.partition(|read| {
            rules.may_answer_read(read.index, commit) && rules.confirms_round(read.round, reached)
        });
        leadership.reads = open;
        for PendingRead { token, forwarded_by, index, .. } in settled {
            match forwarded_by {
                Some(follower) => {
                    let body = Body::ReadIndexReply { token, index };
                    self.reply(follower, Pledge::Term, body);
                }
                None => self.effects.reads.push(ReadAnswer { token, outcome: Ok(index) }),
            }
        }
    }

    /// The server leads no more: what waited for its round has failed, and its clients may ask
    /// again. Followers do that by themselves (rule R6).
    pub(crate) fn fail_reads(&mut self) {
        let Role::Leader(leadership) = &mut self.node.role else { return };
        let reads = core::mem::take(&mut leadership.reads);
        if self.protocol.rules.fails_reads() {
            let own = reads.iter().filter(|read| read.forwarded_by.is_none());
            let failed = |read: &PendingRead| (read.token, Err(Refusal::LostLeadership));
            let failed = own.map(failed);
            self.effects.reads.extend(failed.map(|(token, outcome)| ReadAnswer { token, outcome }));
        }
    }
}
