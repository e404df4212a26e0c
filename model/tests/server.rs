//! One server in the model: times stay with the clock that they belong to, and what stops it breaks a
//! claim.

#![allow(missing_docs)]

use quorate_model::clocks::Moved;
use quorate_model::guards::Guards;
use quorate_model::intern::Interned;
use quorate_model::model::SliceModel;
use quorate_model::mutation::Mutation;
use quorate_model::server::{Delivery, E, Machine, Operation, PRESENT, Server};
use quorate_model::slices;
use quorate_spec::property::{Claim, ClaimSet};
use quorate_spec::{
    Body, Configuration, Durable, Entries, EntryId, Envelope, Index, Instant, Message, NodeId, Term,
};

const ME: NodeId = NodeId(0);
const PEER: NodeId = NodeId(1);
/// Nothing is durable yet, and nothing leaves unless it is asked for.
const SLOW: Delivery = Delivery { sync: false, eager: false };

fn perform(machine: &Machine<Guards>, server: &Server, operation: Operation) -> Server {
    (*machine.perform(server, operation, SLOW).server).clone()
}

/// The rounds of pre-votes that wait for the disk: that of a request, and that of a reply.
fn held(server: &Server) -> (Option<Instant>, Option<Instant>) {
    let messages = || server.gate.held().map(|(_, (to, message))| (*to, &message.body));
    let request = messages().find_map(|(to, body)| match body {
        Body::PreVote { round, .. } if to == PEER => Some(*round),
        _ => None,
    });
    let reply = messages().find_map(|(to, body)| match body {
        Body::PreVoteReply { round, .. } if to == PEER => Some(*round),
        _ => None,
    });
    (request, reply)
}

#[test]
fn a_request_that_waits_for_the_disk_keeps_its_senders_time_when_its_receivers_clock_moves() {
    let slice = slices::named("pre-vote-crash").expect("it is in the catalogue");
    let machine = SliceModel::new(slice, Guards::sound()).machine;
    let genesis = Durable::genesis(Configuration::of([ME, PEER, NodeId(2)]));
    let mut server = machine.first(ME, genesis);
    // A later term is not on disk yet: what is said in it waits.
    let message = |body| {
        let message = Message { term: Term(1), body };
        Operation::Receive(Interned::new(Envelope { from: PEER, to: ME, message }))
    };
    let (last, round) = (EntryId::ZERO, Instant(PRESENT.0 - 1));
    server = perform(&machine, &server, message(Body::RequestVote { last }));
    server = perform(&machine, &server, message(Body::PreVote { last, round }));
    server = perform(&machine, &server, Operation::Timeout);
    server = perform(&machine, &server, Operation::Transmit(PEER));
    let (request, reply) = held(&server);
    assert_eq!(reply, Some(round), "{server:?}");
    assert!(request.is_some(), "{server:?}");
    let by = Moved { by: E / 2, new_round: false };
    let moved = perform(&machine, &server, Operation::PeerClock(PEER, by));
    assert_eq!(held(&moved), (request, Some(Instant(round.0 - E / 2))));
}

/// Its driver stops it there; no run of the model goes on from a broken claim either.
#[test]
fn a_leader_that_contradicts_a_commit_breaks_a_claim() {
    let slice = slices::named("replication").expect("it is in the catalogue");
    let heard = |guards| {
        let machine = SliceModel::new(slice, guards).machine;
        let server = machine.first(ME, Durable::genesis(Configuration::of([ME, PEER, NodeId(2)])));
        let (prev, entries) = (EntryId::ZERO, Entries::of_term(Index(0), Term(1), 1));
        let body = Body::AppendEntries { prev, entries, leader_commit: Index(0) };
        let message = Message { term: Term(1), body };
        let envelope = Interned::new(Envelope { from: PEER, to: ME, message });
        machine.perform(&server, Operation::Receive(envelope), SLOW).broken
    };
    assert_eq!(heard(Guards::sound()), ClaimSet::NONE);
    let broken = heard(Guards::broken(Mutation::BaseIsAConflict));
    assert_eq!(broken, ClaimSet::of(&[Claim::LeaderCompleteness]));
}
