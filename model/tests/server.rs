//! One server in the model: times stay with the clock that they belong to.

#![allow(missing_docs)]

use quorate_model::guards::Guards;
use quorate_model::intern::Interned;
use quorate_model::model::SliceModel;
use quorate_model::server::{Delivery, E, Machine, Operation, PRESENT, Server};
use quorate_model::slices;
use quorate_spec::{
    Body, Configuration, Durable, EntryId, Envelope, Instant, Message, NodeId, Term,
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
    let moved = perform(&machine, &server, Operation::PeerClock(PEER, E / 2));
    assert_eq!(held(&moved), (request, Some(Instant(round.0 - E / 2))));
}
