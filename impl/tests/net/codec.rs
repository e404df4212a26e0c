//! Packets as bytes: what goes in comes out, and of anything else comes an error and no panic.

use std::sync::Arc;

use quickcheck::{Arbitrary, Gen, QuickCheck};
use quorate::net::WireError;
use quorate::net::codec::{decode, encode};
use quorate::{Content, Packet, Record};
use quorate_spec::log::Run;
use quorate_spec::message::Stamp;
use quorate_spec::{
    AppendOutcome, Body, Configuration, Durable, Duration, Effects, Entries, EntryId, Envelope,
    Index, Input, Instant, Limit, Message, Moment, NodeId, Params, Protocol, Snapshot, Sound, Term,
    Token,
};

const LIMIT: usize = 1 << 20;

/// A packet that an honest node could send.
#[derive(Clone, Debug)]
struct Honest(Packet);

/// A message with numbers of all kinds, most of them impossible, and contents that may not fit.
#[derive(Clone, Debug)]
struct Hostile(Packet);

impl Arbitrary for Honest {
    fn arbitrary(g: &mut Gen) -> Honest {
        let number = |g: &mut Gen| u64::from(u16::arbitrary(g));
        let term = 1 + number(g);
        let mut dice = Dice { g, numbers: &|g| u64::from(u16::arbitrary(g)) };
        let prev = EntryId { term: Term(dice.draw() % term), index: Index(dice.draw()) };
        let entries = dice.entries(prev, term);
        let mut packet = dice.packet(prev, entries);
        let envelope = &mut packet.envelope;
        envelope.message.term = Term(term);
        match &mut envelope.message.body {
            Body::PreVote { last, .. } | Body::RequestVote { last, .. } => *last = prev,
            Body::AppendEntriesReply(AppendOutcome::Conflict { hint, .. }) => *hint = prev,
            // The state of a snapshot travels apart.
            Body::InstallSnapshot { .. } => envelope.message.body = Body::TimeoutNow,
            _ => {}
        }
        let named: Vec<EntryId> = match &packet.envelope.message.body {
            Body::AppendEntries { prev, entries, .. } => entries.ids(prev.index).collect(),
            _ => Vec::new(),
        };
        packet.records = named.into_iter().map(|id| record(g, id)).collect();
        Honest(packet)
    }
}

impl Arbitrary for Hostile {
    fn arbitrary(g: &mut Gen) -> Hostile {
        let odd = |g: &mut Gen| {
            let near = [0, 1, 2, 3, u64::MAX / 2 - 1, u64::MAX / 2, u64::MAX - 1, u64::MAX];
            *g.choose(&near).expect("there are some")
        };
        let mut dice = Dice { g, numbers: &odd };
        let prev = dice.entry();
        let runs = (0..dice.draw() % 4).map(|_| dice.run()).collect();
        let configurations =
            (0..dice.draw() % 3).map(|_| (Index(dice.draw()), dice.configuration())).collect();
        let mut packet = dice.packet(prev, Entries { runs, configurations });
        let ids: Vec<EntryId> = (0..dice.draw() % 3).map(|_| dice.entry()).collect();
        packet.records = ids.into_iter().map(|id| record(g, id)).collect();
        Hostile(packet)
    }
}

fn record(g: &mut Gen, id: EntryId) -> Record {
    let content = match u8::arbitrary(g) % 4 {
        0 => Content::NoOp,
        1 => Content::Configuration,
        _ => Content::Command(Arc::from(Vec::<u8>::arbitrary(g))),
    };
    Record { id, content }
}

/// Draws messages from numbers of some kind.
struct Dice<'a> {
    g: &'a mut Gen,
    numbers: &'a dyn Fn(&mut Gen) -> u64,
}

impl Dice<'_> {
    fn draw(&mut self) -> u64 {
        (self.numbers)(self.g)
    }

    fn entry(&mut self) -> EntryId {
        EntryId { term: Term(self.draw()), index: Index(self.draw()) }
    }

    fn run(&mut self) -> Run {
        Run { term: Term(self.draw()), last: Index(self.draw()) }
    }

    fn configuration(&mut self) -> Configuration {
        let mut some = |most: u64| (0..self.draw() % most).map(|_| NodeId(self.draw())).collect();
        Configuration { voters: some(4), outgoing: some(3), learners: some(3), target: None }
    }

    /// Entries that can follow `prev` in a log of a leader of `term`.
    fn entries(&mut self, prev: EntryId, term: u64) -> Entries {
        let mut entries = Entries::default();
        let mut last = prev;
        while last.term.0 < term && entries.runs.len() < 3 {
            last.term = Term(last.term.0 + 1 + self.draw() % (term - last.term.0));
            last.index = Index(last.index.0 + 1 + self.draw() % 5);
            entries.runs.push(Run { term: last.term, last: last.index });
        }
        if !entries.is_empty() {
            let configuration = Configuration::of([NodeId(self.draw())]);
            entries.configurations.push((last.index, configuration));
        }
        entries
    }

    fn packet(&mut self, prev: EntryId, entries: Entries) -> Packet {
        let (at, index, token) = (Instant(self.draw()), Index(self.draw()), Token(self.draw()));
        let (flag, last) = (self.draw().is_multiple_of(2), self.entry());
        let snapshot = Snapshot::new(last, self.configuration());
        let conflict = AppendOutcome::Conflict { prev_index: index, hint: last };
        let bodies = [
            Body::PreVote { last, round: at },
            Body::PreVoteReply { asked_in: Term(self.draw()), round: at, granted: flag },
            Body::RequestVote { last, handover: flag },
            Body::RequestVoteReply { granted: flag },
            Body::AppendEntries { prev, entries: entries.clone(), leader_commit: index },
            Body::AppendEntries { prev, entries, leader_commit: index },
            Body::AppendEntriesReply(AppendOutcome::Accepted { match_index: index }),
            Body::AppendEntriesReply(conflict),
            Body::AppendEntriesReply(AppendOutcome::Stale),
            Body::InstallSnapshot { snapshot },
            Body::TimeoutNow,
            Body::ReadIndex { token },
            Body::ReadIndexReply { token, index },
        ];
        let body = self.g.choose(&bodies).expect("there are some").clone();
        let stamp = Stamp { round: self.draw(), sent: flag.then_some(at) };
        let message = Message { term: Term(self.draw()), stamp, body };
        let envelope = Envelope { from: NodeId(2), to: NodeId(1), message };
        Packet { envelope, records: Vec::new(), state: None }
    }
}

fn bytes_of(packet: &Packet) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(packet, LIMIT, &mut bytes).expect("it is short");
    bytes
}

#[test]
fn every_packet_comes_out_as_it_went_in() {
    fn law(Honest(packet): Honest) -> bool {
        decode(&bytes_of(&packet), LIMIT) == Ok(packet)
    }
    QuickCheck::new().tests(3_000).quickcheck(law as fn(Honest) -> bool);
}

#[test]
fn no_bytes_make_the_decoder_panic_and_what_it_takes_is_what_it_would_write() {
    // Random bytes hardly get past the checksum: it is put right, so that they reach the decoder.
    fn law(Hostile(packet): Hostile, damage: Vec<(usize, u8)>, cut: usize) -> bool {
        let mut bytes = bytes_of(&packet);
        for (at, byte) in damage.into_iter().take(3) {
            let at = 12 + at % (bytes.len() - 11);
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        bytes.truncate(bytes.len() - cut % 4);
        decoded_is_faithful(&mend(bytes))
    }
    QuickCheck::new().tests(20_000).quickcheck(law as fn(Hostile, Vec<(usize, u8)>, usize) -> bool);
    fn noise(bytes: Vec<u8>) -> bool {
        let mut head = vec![b'Q', b'f', 1, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        head.extend(u32::try_from(bytes.len()).expect("it is short").to_le_bytes());
        decoded_is_faithful(&mend([&head[..], &bytes].concat())) && decode(&bytes, LIMIT).is_err()
    }
    QuickCheck::new().tests(20_000).quickcheck(noise as fn(Vec<u8>) -> bool);
}

/// Puts length and checksum right.
fn mend(mut bytes: Vec<u8>) -> Vec<u8> {
    let length = u32::try_from(bytes.len() - 12).expect("it is short");
    bytes[4..8].copy_from_slice(&length.to_le_bytes());
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&bytes[..8]), &bytes[12..]);
    bytes[8..12].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

fn decoded_is_faithful(bytes: &[u8]) -> bool {
    match decode(bytes, LIMIT) {
        Ok(packet) => packet.is_complete() && decode(&bytes_of(&packet), LIMIT) == Ok(packet),
        Err(_) => true,
    }
}

#[test]
fn what_no_honest_node_says_is_refused() {
    let term = Term(3);
    let prev = EntryId { term, index: Index(5) };
    let packet = |term: Term, body: Body, records: Vec<Record>| {
        let envelope =
            Envelope { from: NodeId(2), to: NodeId(1), message: Message::new(term, body) };
        decode(&bytes_of(&Packet { envelope, records, state: None }), LIMIT).map(drop)
    };
    let append = |entries: Entries, records| {
        packet(term, Body::AppendEntries { prev, entries, leader_commit: Index(1) }, records)
    };
    let record = |term: Term, index: u64| Record {
        id: EntryId { term, index: Index(index) },
        content: Content::NoOp,
    };
    let one = Entries::of_term(prev.index, term, 1);
    assert_eq!(append(one.clone(), vec![record(term, 6)]), Ok(()));
    let refused = Err(WireError::Implausible);
    assert_eq!(append(one.clone(), vec![]), refused, "contents are missing");
    assert_eq!(append(one.clone(), vec![record(term, 7)]), refused, "of another index");
    assert_eq!(append(one.clone(), vec![record(Term(2), 6)]), refused, "of another term");
    assert_eq!(append(Entries::default(), vec![record(term, 6)]), refused, "of no entry");
    let endless = Entries::of_term(prev.index, term, u64::MAX / 4);
    assert_eq!(append(endless, vec![record(term, 6)]), refused, "more entries than contents");
    let later = Entries::of_term(prev.index, Term(4), 1);
    assert_eq!(
        append(later, vec![record(Term(4), 6)]),
        refused,
        "of a later term than the leader's"
    );
    let unsorted =
        Entries { configurations: vec![(Index(9), Configuration::of([NodeId(1)]))], ..one.clone() };
    assert_eq!(append(unsorted, vec![record(term, 6)]), refused, "a configuration of no entry");
    let nobody = Entries { configurations: vec![(Index(6), Configuration::default())], ..one };
    assert_eq!(append(nobody, vec![record(term, 6)]), refused, "a cluster without voters");
    assert_eq!(packet(Term(u64::MAX), Body::TimeoutNow, vec![]), refused, "past every term");
    let past = AppendOutcome::Accepted { match_index: Index(u64::MAX) };
    assert_eq!(packet(term, Body::AppendEntriesReply(past), vec![]), refused, "past every log");
    let snapshot = Snapshot::new(prev, Configuration::of([NodeId(1)]));
    let install = Body::InstallSnapshot { snapshot };
    assert_eq!(packet(term, install, vec![]), refused, "a snapshot without its state");
}

#[test]
fn a_frame_that_goes_on_too_long_or_is_longer_than_the_limit_is_refused() {
    let message = Message::new(Term(1), Body::TimeoutNow);
    let envelope = Envelope { from: NodeId(2), to: NodeId(1), message };
    let packet = Packet { envelope, records: Vec::new(), state: None };
    let bytes = bytes_of(&packet);
    assert_eq!(decode(&bytes, bytes.len() - 12), Ok(packet.clone()));
    let (length, limit) = (bytes.len() - 12, bytes.len() - 13);
    assert_eq!(decode(&bytes, limit), Err(WireError::TooLong { length, limit }));
    assert_eq!(encode(&packet, limit, &mut Vec::new()), Err(WireError::TooLong { length, limit }));
    assert_eq!(decode(&mend([&bytes[..], &[0]].concat()), LIMIT), Err(WireError::Malformed));
}

/// Whatever the decoder lets through, and what it does not, too: the node is none the worse.
#[test]
fn no_message_makes_a_node_panic() {
    let params = Params::new(Duration(100), Duration(10));
    let protocol = Protocol { rules: Sound, params };
    let (mut taken, mut refused) = (0, 0);
    for life in 0..200 {
        let mut g = Gen::new(30);
        let durable = Durable::genesis(Configuration::of((1..=3).map(NodeId)));
        let moment = |now| Moment { now: Instant(now), draw: now };
        let mut node = protocol.start(NodeId(1), durable, moment(life));
        let mut effects = Effects::default();
        for step in 1..60 {
            let packet = match step % 3 {
                0 => Honest::arbitrary(&mut g).0,
                _ => Hostile::arbitrary(&mut g).0,
            };
            match decode(&bytes_of(&packet), LIMIT) {
                Ok(_) => taken += 1,
                Err(_) => refused += 1,
            }
            let now = life + 40 * step;
            protocol.step(&mut node, moment(now), Input::Receive(packet.envelope), &mut effects);
            if effects.fatal.is_some() {
                // The driver stops the node here.
                break;
            }
            protocol.step(&mut node, moment(now), Input::Tick, &mut effects);
            for peer in protocol.recipients(&node) {
                let room = Limit { entries: 9 };
                let _ = protocol.poll_transmit(&mut node, peer, Instant(now), room);
            }
            let _ = protocol.next_deadline(&node);
        }
    }
    assert!(taken > 100 && refused > 100, "both were tried: {taken} taken, {refused} refused");
}
