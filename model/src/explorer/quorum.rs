//! The quorum that should have prevented it: for a claim that has become false, who was counted, what
//! a quorum of the configuration would have been, and where the two differ.

use quorate_spec::property::Claim;
use quorate_spec::property::cluster::quorums_intersect;
use quorate_spec::property::membership::may_lead;
use quorate_spec::small::Set;
use quorate_spec::{Configuration, EntryId, Index, Node, NodeId, Rules, Token};
use serde::Serialize;

use super::asked::Asked;
use super::counted::{Commit, Counted, Election};
use super::story::Event;
use super::tally::{capital, committed, list, needs, shown, ticks, won};
use super::view::name;
use super::walk::Lease;
use crate::render::configuration as signs;
use crate::server::PRESENT;
use crate::state::State;

/// Why a claim is false, in this very state.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Explanation {
    /// The claim.
    pub claim: String,
    /// The step at which it became false.
    pub step: usize,
    /// In sentences: who was counted, and which quorum was needed.
    pub sentences: Vec<String>,
    /// What is marked at which server.
    pub marks: Vec<Mark>,
    /// Where the function is that decides the claim, from the root of the repository.
    pub decided_by: String,
}

/// Something about a server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Mark {
    /// The server.
    pub server: String,
    /// What it was counted for.
    pub says: String,
}

/// What a claim is explained by: the step that made it false, and everything counted so far.
pub struct Case<'a, R> {
    /// The number of the step.
    pub step: usize,
    /// The state before it.
    pub before: &'a State,
    /// The state after it.
    pub after: &'a State,
    /// What was counted in each step so far, this one included.
    pub counted: &'a [Counted],
    /// Who may serve reads by a lease in the state after it.
    pub leases: &'a [Lease],
    /// The server that acted in the step, if one did.
    pub actor: Option<NodeId>,
    /// The rules that count, where they are at hand.
    pub rules: Option<&'a R>,
    /// What happened in each step so far, this one included.
    pub events: &'a [&'a [Event]],
    /// The guards that were asked in the step, where that is known.
    pub asked: Option<&'a Asked>,
}

/// Sentences, and marks for servers.
#[derive(Default)]
pub(super) struct Told {
    sentences: Vec<String>,
    marks: Vec<Mark>,
}

impl Told {
    pub(super) fn say(&mut self, sentence: impl Into<String>) {
        self.sentences.push(sentence.into());
    }

    pub(super) fn mark(&mut self, servers: impl IntoIterator<Item = NodeId>, says: &str) {
        let mark = |id| Mark { server: name(id), says: says.to_owned() };
        self.marks.extend(servers.into_iter().map(mark));
    }
}

impl<R: Rules> Case<'_, R> {
    /// Why the claim is false.
    #[must_use]
    pub fn explain(&self, claim: Claim) -> Explanation {
        let mut told = Told::default();
        let known = match claim {
            Claim::ElectionSafety | Claim::EntryIdentity => self.two_leaders(&mut told),
            Claim::VoteOncePerTerm => self.two_votes(&mut told),
            Claim::JointQuorum => self.no_quorum(&mut told),
            Claim::QuorumIntersection => self.disjoint(&mut told),
            Claim::LeaderCompleteness => self.incomplete(&mut told),
            Claim::StateMachineSafety | Claim::CommittedPrefixStable => self.two_entries(&mut told),
            Claim::CommittedIsDurable => self.not_held(&mut told, true),
            Claim::QuorumLog => self.not_held(&mut told, false),
            Claim::LinearizableRead => self.stale_read(&mut told),
            Claim::LeaseExclusive => self.two_holders(&mut told),
            _ => None,
        };
        if known.is_none() {
            told = self.compared(claim);
        }
        let (entry, Told { sentences, marks }) = (claim.entry(), told);
        Explanation {
            claim: claim.name().to_owned(),
            step: self.step,
            sentences,
            marks,
            decided_by: format!("{}: {}", entry.file, entry.function),
        }
    }

    fn elections(&self) -> impl Iterator<Item = &Election> {
        self.counted.iter().flat_map(|counted| &counted.elections)
    }

    fn commits(&self) -> impl Iterator<Item = &Commit> {
        self.counted.iter().flat_map(|counted| &counted.commits)
    }

    /// Two leaders of one term: their votes, and the servers that are in both.
    fn two_leaders(&self, told: &mut Told) -> Option<()> {
        let latest = self.elections().last()?;
        let other =
            self.elections().find(|it| it.term == latest.term && it.leader != latest.leader);
        let both = [other?, latest];
        for election in both {
            told.say(won(election));
            let says = format!("counted for n{} in term {}", election.leader, election.term);
            told.mark(election.voters(), &says);
            let (configuration, voters) = (&election.configuration, election.voters());
            if !configuration.is_quorum(|id| voters.contains(&id)) {
                told.say(format!("That is no quorum: it takes {}.", needs(configuration)));
            }
        }
        let [a, b] = both.map(Election::voters);
        let shared: Set<NodeId> = a.intersection(&b).copied().collect();
        let same = both[0].configuration == both[1].configuration;
        if shared.is_empty() {
            told.say(if same {
                "No server is in both: two majorities of one configuration always share one, so at \
                 least one of these was none."
            } else {
                "No server is in both: the two went by different configurations. On the way from one \
                 to the other, majorities of both would have shared a server with either."
            });
        } else {
            told.mark(shared.iter().copied(), "in both");
            let votes = if shared.len() == 1 { "its vote was" } else { "their votes were" };
            let term = latest.term;
            told.say(format!(
                "{} is what should have prevented it: two majorities always share a server, which \
                 gives one vote a term. But {votes} counted twice in term {term}.",
                list(&shared),
            ));
        }
        Some(())
    }

    /// An election or a commit in this very step that no quorum stands behind.
    fn no_quorum(&self, told: &mut Told) -> Option<()> {
        let here = self.counted.last()?;
        let elections = here.elections.iter().map(|it| (won(it), it.voters(), &it.configuration));
        let commits =
            here.commits.iter().map(|it| (committed(it), it.holders.clone(), &it.configuration));
        let (sentence, counted, configuration) = elections
            .chain(commits)
            .find(|(_, counted, it)| !it.is_quorum(|id| counted.contains(&id)))?;
        told.say(sentence);
        told.say(format!(
            "That is no quorum of {}: {}.",
            signs(configuration),
            needs(configuration)
        ));
        told.mark(counted.iter().copied(), "counted");
        let voters: Set<NodeId> = configuration.all_voters().collect();
        told.mark(voters.difference(&counted).copied(), "a voter, not counted");
        told.mark(counted.difference(&voters).copied(), "no voter");
        Some(())
    }

    /// Two servers that could win now, by quorums that share nobody.
    fn disjoint(&self, told: &mut Told) -> Option<()> {
        let rules = self.rules?;
        let electable = self.electable();
        let pairs = electable.iter().flat_map(|a| electable.iter().map(move |b| (*a, *b)));
        let apart = |(a, b): &(&Node, &Node)| {
            !quorums_intersect(rules, a.log().configuration(), b.log().configuration())
        };
        let (a, b) = pairs.into_iter().find(apart)?;
        let ids: Vec<NodeId> = self.after.servers.iter().map(|it| it.node.id()).collect();
        let chosen = (0u32..1 << ids.len()).find_map(|subset| {
            let split = |inside: bool| -> Set<NodeId> {
                let is_in = |(i, _): &(usize, &NodeId)| (subset & (1 << i) != 0) == inside;
                ids.iter().enumerate().filter(is_in).map(|(_, id)| *id).collect()
            };
            let (of_a, of_b) = (split(true), split(false));
            let quorum = |configuration: &Configuration, set: &Set<NodeId>| {
                rules.is_quorum(configuration, &|id| set.contains(&id))
            };
            let fits =
                quorum(a.log().configuration(), &of_a) && quorum(b.log().configuration(), &of_b);
            fits.then_some((of_a, of_b))
        });
        let (of_a, of_b) = chosen?;
        for (node, set) in [(a, &of_a), (b, &of_b)] {
            let configuration = node.log().configuration();
            let voters = configuration.all_voters().filter(|id| set.contains(id)).collect();
            told.say(format!(
                "n{} could win now by its configuration {}, with {}.",
                node.id(),
                signs(configuration),
                list(&voters)
            ));
            told.mark(voters, &format!("enough for n{}", node.id()));
        }
        told.say(
            "The two sets share no server, so nobody would be asked twice. Any two configurations \
             that may be in force at once must have quorums that intersect.",
        );
        Some(())
    }

    /// The servers that could win an election in the state after the step: all, where the rules are
    /// not at hand.
    fn electable(&self) -> Vec<&Node> {
        let nodes = || self.after.servers.iter().map(|server| &server.node);
        let could_win = |node: &&Node| {
            let last = node.log().last();
            let behind =
                |id: NodeId| nodes().any(|other| other.id() == id && other.log().last() <= last);
            let configuration = node.log().configuration();
            let wins = |rules: &R| may_lead(node) && rules.is_quorum(configuration, &behind);
            self.rules.is_none_or(wins)
        };
        nodes().filter(could_win).collect()
    }

    /// A leader that lacks what was committed: who held it, and who voted.
    fn incomplete(&self, told: &mut Told) -> Option<()> {
        let election = self.counted.last()?.elections.last()?;
        let log = self.before.server(election.leader).node.log().clone();
        let earlier = self.before.history.committed.iter();
        let mut earlier = earlier.filter(|(_, (_, committed_in))| *committed_in < election.term);
        let (index, (term, _)) = earlier
            .find(|(index, (term, _))| !log.covers(EntryId { term: *term, index: **index }))?;
        let entry = EntryId { term: *term, index: *index };
        let holders = self.holders(entry, false);
        told.say(won(election));
        if let Some(commit) = self.commit_of(entry.index) {
            told.say(committed(commit));
        }
        told.say(format!("n{}'s log lacks {}.", election.leader, shown(entry)));
        told.mark(election.voters(), &format!("voted for n{}", election.leader));
        told.mark(holders.iter().copied(), &format!("has {}", shown(entry)));
        let shared = election.voters().intersection(&holders).copied().collect::<Set<_>>();
        if shared.is_empty() {
            told.say(format!(
                "{} {} it, and nobody of them voted: a majority of the voters should hold whatever \
                 is committed, and every majority that elects shares a server with it.",
                list(&holders),
                if holders.len() == 1 { "has" } else { "have" },
            ));
        } else {
            told.mark(shared.iter().copied(), "in both");
            self.should_have_refused(told, election, &shared, entry);
        }
        Some(())
    }

    /// Whether a voter that has the entry had to refuse, or the entry was no committed one yet.
    fn should_have_refused(
        &self,
        told: &mut Told,
        election: &Election,
        shared: &Set<NodeId>,
        entry: EntryId,
    ) {
        let last = |id: NodeId| self.before.server(id).node.log().last();
        let candidate = last(election.leader);
        let ahead: Set<NodeId> =
            shared.iter().copied().filter(|id| last(*id) > candidate).collect();
        if ahead.is_empty() {
            told.say(format!(
                "{} voted though it has the entry, and rightly: the candidate's log ends with {}, of \
                 a later term. So the entry was not safe when it was taken for committed: copies of \
                 an entry of an earlier term prove nothing until one of the leader's own term is on \
                 a majority (thesis §3.6.2).",
                list(shared),
                shown(candidate)
            ));
        } else {
            told.say(format!(
                "{} should have refused: the candidate's log ends with {}, and theirs reach {}.",
                list(&ahead),
                shown(candidate),
                shown(entry)
            ));
        }
    }

    /// Two entries that were taken for committed at one index.
    fn two_entries(&self, told: &mut Told) -> Option<()> {
        let known = |id: NodeId| {
            let node = &self.after.server(id).node;
            node.log().known(Index(1), node.commit_index()).collect::<Vec<_>>()
        };
        let ids: Vec<NodeId> = self.after.servers.iter().map(|server| server.node.id()).collect();
        let clash = self.after.history.committed.iter().find_map(|(index, (term, _))| {
            let first = EntryId { term: *term, index: *index };
            let other = ids.iter().flat_map(|id| known(*id));
            let other = other.into_iter().find(|id| id.index == *index && id.term != *term)?;
            Some((first, other))
        });
        let (first, other) = clash?;
        for entry in [first, other] {
            let who: Set<NodeId> =
                ids.iter().copied().filter(|id| known(*id).contains(&entry)).collect();
            let who_says = if who.is_empty() { "nobody any more".to_owned() } else { list(&who) };
            told.say(format!(
                "{} is committed, as far as {who_says} knows.",
                capital(&shown(entry))
            ));
            told.mark(who, &format!("commits {}", shown(entry)));
        }
        let mut commits = self.commits().filter(|it| it.first <= first.index);
        if let Some(commit) = commits.find(|it| it.last.index >= first.index) {
            told.say(committed(commit));
        }
        told.say(
            "An entry is committed once a majority holds it; from then on no server may take another \
             one at its index for committed.",
        );
        Some(())
    }

    /// A committed entry that too few servers hold.
    fn not_held(&self, told: &mut Told, on_disk: bool) -> Option<()> {
        let electable = self.electable();
        let clash = self.after.history.committed.iter().find_map(|(index, (term, _))| {
            let entry = EntryId { term: *term, index: *index };
            let holders = self.holders(entry, on_disk);
            let majority = |half: &Set<NodeId>| {
                2 * half.iter().filter(|id| holders.contains(id)).count() > half.len()
            };
            let held = |it: &Configuration| majority(&it.voters) || majority(&it.outgoing);
            let configuration = electable.iter().map(|node| node.log().configuration());
            let configuration = configuration.into_iter().find(|it| !held(it))?.clone();
            Some((entry, holders, configuration))
        });
        let (entry, holders, configuration) = clash?;
        if let Some(commit) = self.commit_of(entry.index) {
            told.say(committed(commit));
            let claimed = commit.holders.difference(&holders).copied();
            told.mark(claimed, "counted, and does not have it");
        }
        let place = if on_disk { "on the disks" } else { "in the logs" };
        let who = if holders.is_empty() { "nobody".to_owned() } else { list(&holders) };
        told.say(format!("{} is {place} of {who} alone.", shown(entry)));
        told.say(format!(
            "A quorum of {} would be: {}.",
            signs(&configuration),
            needs(&configuration)
        ));
        let has = if on_disk { "on its disk" } else { "in its log" };
        told.mark(holders, &format!("has {} {has}", shown(entry)));
        Some(())
    }

    /// Whoever serves reads before what is committed.
    fn stale_read(&self, told: &mut Told) -> Option<()> {
        let last = self.after.history.last_committed();
        let behind = self.leases.iter().find(|lease| lease.index < last);
        if let Some(lease) = behind {
            told.say(format!(
                "n{} would serve reads at entry {} by its lease, though entry {last} is committed.",
                lease.holder, lease.index
            ));
            told.mark([lease.holder], &format!("serves reads at {}", lease.index));
            self.promises(told, lease.holder);
        } else if let Some(((server, token), known)) = self.answered() {
            told.say(format!(
                "n{server} answers its read {token} elsewhere than it may: when it was asked, entry \
                 {known} was committed, and by now entry {last} is."
            ));
            told.mark([server], "answers the read");
        } else {
            let asked = self.actor?;
            told.say(format!(
                "n{asked} is asked for a read and answers it in this very step: it knows entry {} to \
                 be committed, and entry {last} is.",
                self.after.server(asked).node.commit_index()
            ));
            told.mark([asked], "answers the read");
        }
        if let Some(commit) = self.commit_of(last) {
            told.say(committed(commit));
            told.mark(commit.holders.iter().copied(), &format!("counted for entry {last}"));
        }
        Some(())
    }

    /// A read that waited before the step and does not any more, with what was committed when it was
    /// asked.
    fn answered(&self) -> Option<((NodeId, Token), Index)> {
        let waits = |read| self.after.history.reads.contains_key(read);
        let mut asked = self.before.history.reads.iter();
        asked.find(|(read, _)| !waits(*read)).map(|(read, known)| (*read, *known))
    }

    /// Who holds a lease while another server leads a later term, and who promised what.
    fn two_holders(&self, told: &mut Told) -> Option<()> {
        let term_of = |id: NodeId| self.after.server(id).node.current_term();
        let latest = self.after.history.leaders.last_key_value()?.0;
        let lease = self.leases.iter().find(|lease| term_of(lease.holder) < *latest)?;
        told.say(format!(
            "n{} holds a lease of term {} and may serve reads at entry {}.",
            lease.holder,
            term_of(lease.holder),
            lease.index
        ));
        told.mark([lease.holder], "holds a lease");
        self.promises(told, lease.holder);
        if let Some(election) = self.elections().filter(|it| it.term == *latest).last() {
            told.say(won(election));
            let says = format!("voted for n{} in term {latest}", election.leader);
            told.mark(election.voters(), &says);
        }
        told.say(
            "A lease rests on promises of a quorum not to vote: it has to end before the first of \
             them can, on any of their clocks.",
        );
        Some(())
    }

    /// Upon whose promises the lease of this server rests, and what is left of them.
    fn promises(&self, told: &mut Told, holder: NodeId) {
        let server = self.after.server(holder);
        let Some(leadership) = server.node.leadership() else { return };
        for (id, peer) in &leadership.peers {
            let Some(sent) = peer.heard.sent else { continue };
            let left = self.after.server(*id).node.promised_until().0.saturating_sub(PRESENT.0);
            let ago = PRESENT.0.saturating_sub(sent.0);
            let mut promise = match left {
                0 => "its promise is over by its own clock".to_owned(),
                left => format!("it is under a promise for {} by its own clock", ticks(left)),
            };
            let term = self.after.server(*id).node.current_term();
            if term > server.node.current_term() {
                promise.push_str(&format!(", and in term {term} by now"));
            }
            told.say(format!(
                "The lease counts from a request that n{holder} sent {} ago by its own clock and \
                 n{id} answered; {promise}.",
                ticks(ago)
            ));
        }
    }

    /// What any other claim compares.
    fn compared(&self, claim: Claim) -> Told {
        let mut told = Told::default();
        let changed: Set<NodeId> = self
            .before
            .servers
            .iter()
            .zip(&self.after.servers)
            .filter(|(was, is)| was.node != is.node || was.disk != is.disk)
            .map(|(was, _)| was.node.id())
            .collect();
        let entry = claim.entry();
        told.say(format!("{} (thesis {})", entry.sentence, entry.thesis));
        let (step, what) = (self.step, list(&changed));
        told.say(match changed.len() {
            0 => format!("It became false in step {step}, which changed no server."),
            _ => {
                format!("It became false in step {step}, by what changed at {what} or left there.")
            }
        });
        self.guards_asked(&mut told);
        told.mark(changed, "changed in the step");
        told
    }

    fn commit_of(&self, index: Index) -> Option<&Commit> {
        self.commits().find(|it| it.first <= index && index <= it.last.index)
    }

    fn holders(&self, entry: EntryId, on_disk: bool) -> Set<NodeId> {
        let has = |server: &crate::server::Server| match on_disk {
            true => server.disk.reported.log.covers(entry),
            false => server.node.log().covers(entry),
        };
        self.after.servers.iter().filter(|it| has(it)).map(|it| it.node.id()).collect()
    }
}
