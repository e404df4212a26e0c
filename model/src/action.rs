//! What can happen in a state, and how to say it in a sentence.

use std::fmt;

use quorate_spec::{Envelope, Index, NodeId};

use crate::intern::Interned;
use crate::render::message;
use crate::slice::Members;

/// What becomes of the messages that leave a server in an operation, one digit of base 3 each,
/// the first in the lowest place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Fates(pub u16);

/// What becomes of one of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It arrives at once.
    Arrives,
    /// It never arrives.
    Lost,
    /// It is parked, and arrives later or never.
    Parked,
}

impl Fates {
    /// In an asynchronous network everything is simply under way.
    pub const ON_THEIR_WAY: Fates = Fates(0);

    /// The fate of the message at this position.
    #[must_use]
    pub fn of(self, position: usize) -> Fate {
        let place = u32::try_from(position).ok().and_then(|p| 3u16.checked_pow(p));
        let digit = place.map_or(0, |place| self.0 / place % 3);
        match digit {
            0 => Fate::Arrives,
            1 => Fate::Lost,
            _ => Fate::Parked,
        }
    }

    /// All fates of so many messages.
    pub fn all(messages: usize) -> impl Iterator<Item = Fates> {
        (0..3u16.pow(messages as u32)).map(Fates)
    }

    /// How many of so many messages are parked.
    #[must_use]
    pub fn parked(self, messages: usize) -> usize {
        (0..messages).filter(|i| self.of(*i) == Fate::Parked).count()
    }
}

/// What a generated request carries.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum What {
    /// As many entries as there are, up to the slice's limit.
    Entries,
    /// None, though there may be some.
    Heartbeat,
}

/// One step of a slice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Action {
    /// An election timeout passes at this server: it campaigns, or steps down from leading.
    Timeout(NodeId, Fates),
    /// The leader looks whether a quorum is in contact, and no time passes.
    Tick(NodeId, Fates),
    /// The server's promise ends; in a timed slice, every timer of it that may end by now.
    Lapse(NodeId),
    /// The server's clock advances by a tick.
    Advance(NodeId),
    /// A tick passes everywhere.
    AdvanceAll,
    /// An operator asks the server to campaign.
    Campaign(NodeId, Fates),
    /// A client's command reaches the server, which leads.
    Propose(NodeId, Fates),
    /// A client asks the server for a read.
    Read(NodeId, Fates),
    /// An operator asks the first server, which leads, to hand its leadership over to the second.
    Transfer(NodeId, NodeId, Fates),
    /// An operator asks the server, which leads, for these members.
    ChangeMembers(NodeId, Members, Fates),
    /// The server loses its disk for good.
    Wipe(NodeId),
    /// The server's disk reports its first pending writes durable.
    Report(NodeId, u8, Fates),
    /// The server crashes with so many of its pending writes on disk, and restarts.
    Crash(NodeId, u8),
    /// The server's snapshot up to this entry is complete.
    TakeSnapshot(NodeId, Index),
    /// The first server has stopped moving a snapshot to the second.
    StopMoving(NodeId, NodeId),
    /// A message that was under way arrives.
    Deliver(Interned<Envelope>, Fates),
    /// A request is generated and arrives.
    Exchange(NodeId, NodeId, What, Fates),
    /// A request is generated and parked.
    Park(NodeId, NodeId, What),
    /// Every cut link heals.
    Heal,
    /// The links of the slice are cut.
    Break,
}

/// The kinds of actions, for coverage.
pub const ACTION_KINDS: [&str; 20] = [
    "Timeout",
    "Lapse",
    "Campaign",
    "Propose",
    "Report",
    "Crash",
    "Deliver",
    "Exchange",
    "Park",
    "Heal",
    "Break",
    "Tick",
    "TakeSnapshot",
    "StopMoving",
    "ChangeMembers",
    "Wipe",
    "Read",
    "Transfer",
    "Advance",
    "AdvanceAll",
];

impl Action {
    /// The position of its kind in [`ACTION_KINDS`].
    #[must_use]
    pub fn kind(&self) -> usize {
        match self {
            Action::Timeout(..) => 0,
            Action::Lapse(_) => 1,
            Action::Campaign(..) => 2,
            Action::Propose(..) => 3,
            Action::Report(..) => 4,
            Action::Crash(..) => 5,
            Action::Deliver(..) => 6,
            Action::Exchange(..) => 7,
            Action::Park(..) => 8,
            Action::Heal => 9,
            Action::Break => 10,
            Action::Tick(..) => 11,
            Action::TakeSnapshot(..) => 12,
            Action::StopMoving(..) => 13,
            Action::ChangeMembers(..) => 14,
            Action::Wipe(_) => 15,
            Action::Read(..) => 16,
            Action::Transfer(..) => 17,
            Action::Advance(_) => 18,
            Action::AdvanceAll => 19,
        }
    }

    /// The fates of what leaves a server in this action.
    #[must_use]
    pub fn fates(&self) -> Fates {
        match self {
            Action::Timeout(_, fates)
            | Action::Campaign(_, fates)
            | Action::Tick(_, fates)
            | Action::Propose(_, fates)
            | Action::Read(_, fates)
            | Action::Transfer(_, _, fates)
            | Action::ChangeMembers(_, _, fates)
            | Action::Report(_, _, fates)
            | Action::Deliver(_, fates)
            | Action::Exchange(_, _, _, fates) => *fates,
            Action::Lapse(_)
            | Action::Advance(_)
            | Action::AdvanceAll
            | Action::Crash(..)
            | Action::Wipe(_)
            | Action::TakeSnapshot(..)
            | Action::StopMoving(..)
            | Action::Park(..)
            | Action::Heal
            | Action::Break => Fates::ON_THEIR_WAY,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Timeout(id, _) => write!(f, "n{id}'s election timeout passes"),
            Action::Tick(id, _) => write!(f, "n{id} looks whether a quorum is in contact"),
            Action::Lapse(id) => write!(f, "n{id}'s promise ends"),
            Action::Advance(id) => write!(f, "n{id}'s clock advances"),
            Action::AdvanceAll => f.write_str("a tick passes"),
            Action::Campaign(id, _) => write!(f, "an operator asks n{id} to campaign"),
            Action::Propose(id, _) => write!(f, "a client proposes a command to n{id}"),
            Action::ChangeMembers(id, to, _) => {
                write!(f, "an operator asks n{id} for the members {to}")
            }
            Action::Read(id, _) => write!(f, "a client asks n{id} for a read"),
            Action::Transfer(id, to, _) => {
                write!(f, "an operator asks n{id} to hand its leadership over to n{to}")
            }
            Action::Wipe(id) => write!(f, "n{id}'s disk is lost"),
            Action::Report(id, writes, _) => {
                write!(f, "n{id}'s disk reports {} durable", plural(*writes, "write"))
            }
            Action::Crash(id, 0) => {
                write!(f, "n{id} crashes, loses what was not durable, and restarts")
            }
            Action::Crash(id, kept) => {
                write!(
                    f,
                    "n{id} crashes with {} on disk, and restarts",
                    plural(*kept, "more write")
                )
            }
            Action::TakeSnapshot(id, index) => {
                write!(f, "n{id}'s snapshot up to entry {index} is complete")
            }
            Action::StopMoving(from, to) => write!(f, "n{from} stops moving its snapshot to n{to}"),
            Action::Deliver(envelope, _) => {
                write!(
                    f,
                    "n{} receives from n{}: {}",
                    envelope.to,
                    envelope.from,
                    message(envelope)
                )
            }
            Action::Exchange(from, to, ..) => write!(f, "n{from} sends its request to n{to}"),
            Action::Park(from, to, _) => write!(f, "n{from}'s request to n{to} is delayed"),
            Action::Heal => f.write_str("the network heals"),
            Action::Break => f.write_str("links are cut for good"),
        }
    }
}

fn plural(n: u8, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
