//! What can happen to a cluster, as plain data.

use std::fmt;

/// One step of a run. The numbers are taken modulo what is possible in the state, starting from
/// what they name and going on to the next that is possible: every step means something in every
/// state, and the same in most states that differ a little.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Step {
    /// What happens.
    pub verb: Verb,
    /// To which server.
    pub who: u8,
    /// How much, or with which other server.
    pub size: u16,
    /// What is random in it: the drawn election timeouts, the position in a queue.
    pub draw: u16,
}

/// The verbs in rows: name, weight in a random run, word in a trace, what happens.
macro_rules! verbs {
    ($($name:ident $weight:literal $word:literal $about:literal;)*) => {
        /// The kinds of steps.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Verb { $(#[doc = $about] $name),* }

        impl Verb {
            /// All of them.
            pub const ALL: &'static [Verb] = &[$(Verb::$name),*];

            /// Its word in a trace.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Verb::$name => $word),* }
            }

            /// How often it is drawn, relative to the others.
            #[must_use]
            pub fn weight(self) -> u32 {
                match self { $(Verb::$name => $weight),* }
            }
        }
    };
}

verbs! {
    Deliver 240 "deliver" "The oldest message of a link arrives.";
    Hear 120 "hear" "Everything under way to a server arrives.";
    Overtake 60 "overtake" "Any message of a link arrives.";
    Duplicate 25 "duplicate" "Any message of a link arrives, and stays under way.";
    Drop 30 "drop" "Any message of a link is lost.";
    Report 90 "report" "A disk reports its first pending writes durable.";
    Elapse 60 "elapse" "Time passes on the clock of one server.";
    ElapseAll 70 "elapse-all" "Time passes on every clock.";
    Timeout 40 "timeout" "Every deadline of one server passes.";
    Propose 50 "propose" "A client proposes commands to a leader, or to anyone where none leads.";
    Campaign 12 "campaign" "An operator asks a server to campaign.";
    Crash 12 "crash" "A server crashes with a part of its pending writes on disk, and restarts.";
    TakeSnapshot 30 "take-snapshot" "A server takes a snapshot of what it has committed, or asks for one entry more.";
    StopMoving 20 "stop-moving" "A leader has stopped moving a snapshot to another server.";
    Cut 8 "cut" "One direction of a link is cut.";
    Isolate 6 "isolate" "A server's links are cut: those from it, those to it, or all.";
    Partition 5 "partition" "Links between two groups of servers are cut.";
    Heal 10 "heal" "One direction of a link heals.";
    HealAll 16 "heal-all" "Every link heals.";
    Calm 24 "calm" "Network and disks are quick for a while.";
    ChangeMembers 30 "change-members" "An operator asks a leader, or anyone where none leads, for other members.";
    Read 40 "read" "A client asks a server for a read.";
    Transfer 10 "transfer" "An operator asks a leader, or anyone where none leads, to hand over to another server.";
    Drift 10 "drift" "A clock goes slower or faster from here on, within its bound.";
    Pause 12 "pause" "A server does nothing for a while, in which the others are quick.";
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Step { verb, who, size, draw } = self;
        write!(f, "{} {who} {size} {draw}", verb.word())
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
