//! The scenes: what each asks, in which lanes, and what happens in all of them.

/// A scene as it is told.
#[derive(PartialEq, Eq, Debug)]
pub struct Scene {
    /// Its name in addresses.
    pub id: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What it asks.
    pub question: &'static str,
    /// What one has to know first, in plain words.
    pub lead: &'static str,
    /// What to look at.
    pub watch: &'static str,
    pub(crate) lanes: &'static [Told],
    pub(crate) servers: u64,
    pub(crate) voters: u64,
    pub(crate) seed: u64,
    pub(crate) end: u64,
    pub(crate) writes: u64,
    pub(crate) reads: u64,
    pub(crate) script: &'static str,
}

/// A lane as the scene tells it.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Told {
    pub(crate) switches: &'static str,
    pub(crate) title: &'static str,
    pub(crate) about: &'static str,
}

/// All scenes, the one for newcomers first.
pub static SCENES: [Scene; 5] = [PRE_VOTE, ONE_WAY, PHANTOM, STORM, OWN];

const PRE_VOTE: Scene = Scene {
    id: "pre-vote",
    title: "Pre-Vote",
    question: "A server loses its network for two seconds. Why should anyone else notice?",
    lead: "Three servers keep the same data. One leads: it takes every write and tells the others, \
           again and again, that it is there. Whoever hears no leader for a while calls an election, \
           and each election has a number, its term. A higher term always wins, even over a leader \
           that works. When n0 steps down, nobody takes writes until another is elected.",
    watch: "Watch the term of n2 while it is alone, and the leader n0 when n2 comes back.",
    lanes: &[
        Told {
            switches: "0",
            title: "Naive election",
            about: "Naive, that is unprotected: whoever hears no leader raises its term at once.",
        },
        Told {
            switches: "p",
            title: "With Pre-Vote",
            about: "Whoever hears no leader asks first whether it could win, and raises nothing \
                    until a majority says yes.",
        },
    ],
    servers: 3,
    voters: 3,
    seed: 89,
    end: 4_000,
    writes: 100,
    reads: 0,
    script: "500.isolate.2_2500.heal",
};

const ONE_WAY: Scene = Scene {
    id: "one-way",
    title: "One-way links",
    question: "What if messages get through in one direction only?",
    lead: "A link can break in one direction. First the leader n0 cannot hear n2, then n2 cannot hear \
           the leader. At last the leader hears nobody, though everybody still hears it: so nobody \
           else calls an election, and nothing can be committed, for that takes answers.",
    watch: "Watch the commits after the third break: a write is committed once a majority has it, \
            and only then is the client told so. Check-quorum means: a leader that hears no \
            majority for an election timeout steps down by itself.",
    lanes: &[
        Told {
            switches: "ps",
            title: "Check-quorum off",
            about: "A leader leads until it hears of a higher term.",
        },
        Told {
            switches: "psq",
            title: "Check-quorum on",
            about: "A leader that hears no majority steps down.",
        },
    ],
    servers: 3,
    voters: 3,
    seed: 8,
    end: 4_600,
    writes: 100,
    reads: 0,
    script: "400.cut.2.0_1100.heal.2.0_1400.cut.0.2_2300.heal.0.2_2700.deafen.0",
};

const PHANTOM: Scene = Scene {
    id: "phantom",
    title: "Phantom leader",
    question: "May a leader answer reads from memory, because it was the leader a moment ago?",
    lead: "To ask the others before every read is slow. With a lease a leader answers by itself for \
           some time after they last answered it. Now the clock of n0 goes slow and that of n1 fast, and \
           n0 loses its network. The others elect a new leader and go on writing; for n0 hardly any \
           time has passed.",
    watch: "A client reads at n0 all the time. Watch which value it gets once the new leader has \
            committed later ones.",
    lanes: &[
        Told {
            switches: "psqn",
            title: "Naive lease",
            about: "The lease is as long as the election timeout, and trusts the clock.",
        },
        Told {
            switches: "psqb",
            title: "Bounded lease",
            about: "The lease is shorter, by as much as the clocks may be off (here up to half or \
                    one and a half times the true speed).",
        },
        Told {
            switches: "psq",
            title: "Read-Index",
            about: "No lease: a majority is asked for every read.",
        },
    ],
    servers: 3,
    voters: 3,
    seed: 12,
    end: 2_600,
    writes: 80,
    reads: 40,
    script: "300.rate.0.50_300.rate.1.150_800.isolate.0_2000.heal",
};

const STORM: Scene = Scene {
    id: "storm",
    title: "Membership storm",
    question: "How can a cluster of three become one of five without two majorities?",
    lead: "A decision needs a majority: two of three servers, or three of five. While the members \
           change, some go by three and some by five. Here n3 and n4, which have copied everything, \
           are to become voters; at that moment the network splits.",
    watch: "Watch who counts for whose majority. Two majorities that share no server can decide \
            against each other.",
    lanes: &[
        Told {
            switches: "psq-ChangesInOneStep",
            title: "In one step",
            about: "The five take the place of the three at once.",
        },
        Told {
            switches: "psq",
            title: "Joint consensus",
            about: "In between, every decision needs a majority of the three and one of the five.",
        },
    ],
    servers: 5,
    voters: 3,
    seed: 6,
    end: 3_600,
    writes: 100,
    reads: 0,
    script: "500.members.0.1.2.3.4_501.split.1.2_2000.heal_2600.members.0.1.2.3.4",
};

const OWN: Scene = Scene {
    id: "own",
    title: "Your own",
    question: "What would you like to break?",
    lead: "Five servers, a client that writes and a client that reads. Nothing happens by itself: \
           choose a server or a link below and cut it, crash it, or set its clock. Both lanes get \
           the same. The address in your browser is the whole experiment: copy it, and it is the \
           same for whoever opens it.",
    watch: "Each action is done at the moment that you look at. Go back and do another, and the \
            future is a new one.",
    lanes: &[
        Told {
            switches: "0",
            title: "Naive election",
            about: "Raft without Pre-Vote, the promise not to vote, and check-quorum.",
        },
        Told { switches: "psqb", title: "All protections", about: "As production runs it." },
    ],
    servers: 5,
    voters: 5,
    seed: 4,
    end: 6_000,
    writes: 100,
    reads: 200,
    script: "",
};
