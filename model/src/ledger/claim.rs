//! One claim's part of the ledger: who decides it and what it constrains, where it was checked and
//! what was seen there, what kills it, and what it says nothing about.

use std::fmt::Write;

use quorate_spec::property::Claim;
use quorate_spec::role::TRANSITIONS;
use quorate_spec::{Kind, Sound};

use super::{Findings, tables};
use crate::action::ACTION_KINDS;
use crate::check::{Checked, Killed, Reach, Verdict};
use crate::coverage::Coverage;
use crate::guards::Guard;
use crate::progress::Benign;
use crate::slice::{Network, Slice};
use crate::witness::Witness;

pub(super) fn section(text: &mut String, claim: Claim, findings: &Findings<'_>) {
    let Findings { checked, killed, deep, .. } = *findings;
    let entry = claim.entry();
    // Writing into a String does not fail.
    let _ = writeln!(text, "\n### {claim}\n\n{} (thesis {})\n", entry.sentence, entry.thesis);
    let _ = writeln!(text, "- Decided by [`{}`]({}).", entry.function, entry.file);
    let constrained = transitions_of(claim).iter();
    let files = constrained.map(|file| format!("[`{file}`](spec/src/{file}.rs)"));
    let _ = writeln!(text, "- Constrains {}.", files.collect::<Vec<_>>().join(", "));
    if !entry.caveat.is_empty() {
        let _ = writeln!(text, "- Caveat: {}", entry.caveat);
    }
    let settling: Vec<&Checked> = checked.iter().filter(|run| run.settles(claim)).collect();
    verdicts(text, claim, &settling);
    if !settling.is_empty() {
        widest(text, &settling);
        seen(text, &settling);
    }
    let larger = deep.results.iter().filter(|found| found.claims.iter().any(|c| c == claim.name()));
    let larger: Vec<String> =
        larger.map(|found| format!("`{}` ({})", found.slice, found.verdict)).collect();
    if !larger.is_empty() {
        let _ = writeln!(text, "- [Larger bounds](#larger-bounds): {}.", larger.join(", "));
    }
    mutants(text, claim, killed);
    if claim == Claim::QuorumIntersection {
        let _ = writeln!(text, "- {}.", crate::enumeration::summary(&Sound).0);
    }
    if claim == Claim::StableLeader {
        let _ = writeln!(text, "- In no slice, but under each pattern of [cut links](#cut-links).");
    }
    let again = again(claim, checked, killed);
    if !again.is_empty() {
        let _ = writeln!(text, "- Again: `cargo run --release -p quorate-model -- check {again}`.");
    }
}

/// The files of `spec/src` whose code the claim constrains: where it would be broken.
#[must_use]
pub fn transitions_of(claim: Claim) -> &'static [&'static str] {
    match claim {
        Claim::ElectionSafety | Claim::VoteOncePerTerm | Claim::VoteSound => {
            &["transition/election", "transition/request_vote", "transition/term"]
        }
        Claim::VoteDurability | Claim::MessageTermPersisted => {
            &["gate", "protocol", "transition/request_vote", "transition/transmit"]
        }
        Claim::TermMonotonic | Claim::VoteStable => {
            &["transition/term", "transition/election", "protocol"]
        }
        Claim::RestartIsFollower | Claim::RestartRecovers => {
            &["protocol", "durable", "transition/durability"]
        }
        Claim::StateTransitions => &["protocol", "role", "transition/election", "transition/term"],
        Claim::PreVoteSound | Claim::PreVoteSilent => {
            &["transition/pre_vote", "transition/election"]
        }
        Claim::LeaderIsVoter => &["transition/election", "transition/membership"],
        Claim::PromiseKept => &["transition/term", "transition/append_entries", "protocol"],
        Claim::EntryIdentity | Claim::LeaderAppendOnly => {
            &["transition/replication", "transition/election", "log"]
        }
        Claim::LogMatching | Claim::TruncateOnlyOnConflict | Claim::CommittedPrefixStable => {
            &["transition/append_entries", "transition/snapshot", "log"]
        }
        Claim::LeaderCompleteness | Claim::StateMachineSafety => &[
            "transition/request_vote",
            "transition/replication",
            "transition/append_entries",
            "transition/snapshot",
        ],
        Claim::CommitBound | Claim::CommitMonotonic => {
            &["transition/append_entries", "transition/replication", "transition/snapshot"]
        }
        Claim::CommitRule => &["transition/replication"],
        Claim::MatchIndexSound | Claim::MatchIndexMonotonic => {
            &["transition/replication", "transition/append_entries"]
        }
        Claim::CheckQuorumSoundness => &["transition/replication", "transition/election"],
        Claim::AckDurability => &["gate", "transition/append_entries", "transition/durability"],
        Claim::CommittedIsDurable | Claim::QuorumLog | Claim::DurableIndexSound => {
            &["transition/replication", "transition/durability", "durable"]
        }
        Claim::SnapshotCommitted | Claim::SnapshotMonotonic | Claim::SnapshotProgress => {
            &["transition/snapshot", "transition/transmit", "log"]
        }
        Claim::LogContiguous => &["log", "transition/append_entries", "transition/snapshot"],
        Claim::JointQuorum | Claim::QuorumIntersection => {
            &["configuration", "transition/election", "transition/replication"]
        }
        Claim::OneConfigInFlight | Claim::ReconfigCompletes => {
            &["transition/membership", "configuration"]
        }
        Claim::ConfigFollowsLog => &["transition/membership", "log"],
        Claim::NonDisruption | Claim::StableLeader => {
            &["transition/term", "transition/pre_vote", "transition/request_vote"]
        }
        Claim::ElectionProgress | Claim::NoDeadlock => &[
            "transition/election",
            "transition/pre_vote",
            "transition/term",
            "transition/transmit",
        ],
        Claim::CommitProgress | Claim::ReplicationProgress => {
            &["transition/transmit", "transition/replication", "transition/append_entries"]
        }
        Claim::LinearizableRead | Claim::ConfirmationSound | Claim::ReadProgress => {
            &["transition/read", "transition/replication", "read_view"]
        }
        Claim::LeaseExclusive => &["protocol", "read_view", "transition/transfer", "params"],
        Claim::PublishedInTime => &["protocol", "read_view"],
        Claim::TransferProgress => &["transition/transfer", "transition/transmit"],
    }
}

/// The slices that settle a claim, a line for each verdict.
fn verdicts(text: &mut String, claim: Claim, settling: &[&Checked]) {
    let mut lines: [(&str, Vec<String>); 3] =
        [("EXHAUSTED", vec![]), ("BOUNDED", vec![]), ("VIOLATED, as declared,", vec![])];
    for run in settling {
        let name = run.slice.name;
        match run.verdict_on(claim) {
            Verdict::Exhausted => lines[0].1.push(format!("`{name}`")),
            Verdict::Bounded(depth) => lines[1].1.push(format!("`{name}` up to {}", steps(depth))),
            Verdict::Violated(_) => {
                let length = run.violation(claim).map_or(0, |violation| violation.steps);
                lines[2].1.push(format!("`{name}` after {}", steps(length)));
            }
            Verdict::Incomplete => {}
        }
    }
    for (verdict, names) in lines.iter().filter(|(_, names)| !names.is_empty()) {
        let (count, names) = (names.len(), names.join(", "));
        let _ = writeln!(text, "- {verdict} in {count} of the [slices](#slices): {names}.");
    }
}

/// Whether a slice has something.
type Feature = fn(&Slice) -> bool;

/// The widest bounds of these slices, each by itself, and what none of them has.
fn widest(text: &mut String, settling: &[&Checked]) {
    let slices = || settling.iter().map(|run| &run.slice);
    let most = |of: fn(&Slice) -> u64| slices().map(of).max().unwrap_or(0);
    let parked = |slice: &Slice| match slice.network {
        Network::Pull { parked } => parked as u64,
        Network::Async => 0,
    };
    let mut bounds = vec![
        format!("{} servers", most(|slice| slice.servers as u64)),
        format!("{} terms", most(|slice| slice.max_term)),
    ];
    let counts: [(&str, u64); 6] = [
        ("crashes", most(|slice| slice.crashes.into())),
        ("commands", most(|slice| slice.commands.into())),
        ("changes of the members", most(|slice| slice.changes.len() as u64)),
        ("snapshots", most(|slice| slice.snapshots.into())),
        ("reads", most(|slice| slice.reads.into())),
        ("transfers", most(|slice| slice.transfers.into())),
    ];
    bounds.extend(counts.iter().filter(|(_, n)| *n > 0).map(|(what, n)| format!("{n} {what}")));
    let late = slices().map(parked).max().unwrap_or(0);
    bounds.push(format!("PULL-{late}"));
    let features: [(&str, Feature); 4] = [
        ("ASYNC", |slice| slice.network == Network::Async),
        ("pre-vote", |slice| slice.election.pre_vote),
        ("leases and clocks", |slice| slice.lease.is_some()),
        ("links that are cut", |slice| !slice.cuts.is_empty()),
    ];
    let has = |feature: Feature| slices().any(feature);
    bounds.extend(features.iter().filter(|(_, f)| has(*f)).map(|(name, _)| (*name).to_owned()));
    let whole = || settling.iter().filter(|run| run.reach == Reach::All);
    let states: u64 = whole().map(|run| run.unique).sum();
    let collisions: f64 = whole().map(|run| run.collision_estimate()).sum();
    let _ = writeln!(
        text,
        "- Their widest bounds, each in some of them: {}. {states} unique states, {collisions:.0e} \
         collisions expected.",
        bounds.join(", ")
    );
    let absent = counts.iter().filter(|(_, n)| *n == 0).map(|(what, _)| *what);
    let absent = absent.chain(features.iter().filter(|(_, f)| !has(*f)).map(|(name, _)| *name));
    let absent: Vec<&str> = absent.collect();
    if !absent.is_empty() {
        let _ = writeln!(text, "- NOT checked together with: {}.", absent.join(", "));
    }
}

/// What was seen happening in these slices, and what was not.
fn seen(text: &mut String, settling: &[&Checked]) {
    let seen = Coverage::default();
    settling.iter().for_each(|run| seen.absorb(&run.coverage));
    let kinds: Vec<String> = seen.kinds().iter().map(|kind| format!("{kind:?}")).collect();
    let witnesses: Vec<String> = seen.witnesses().iter().map(|w| format!("{w:?}")).collect();
    let actions: Vec<String> = seen.actions().iter().map(|kind| (*kind).to_owned()).collect();
    let parts = [
        part("kinds of actions", &ACTION_KINDS.map(str::to_owned), &actions),
        part("kinds of messages", &Kind::ALL.map(|kind| format!("{kind:?}")), &kinds),
        format!("{} of {} changes of role", seen.transitions().len(), TRANSITIONS.len()),
        part("witnesses", &Witness::ALL.map(|witness| format!("{witness:?}")), &witnesses),
    ];
    let _ = writeln!(text, "- Seen there: {}.", parts.join("; "));
    let (mut both, mut constant, mut one, mut none) = (0, 0, Vec::new(), Vec::new());
    for guard in Guard::ALL {
        match seen.guard(*guard) {
            (true, true) => both += 1,
            (true, false) if guard.grants_always().is_some() => constant += 1,
            (false, true) if guard.refuses_always().is_some() => constant += 1,
            (true, false) => one.push(format!("`{}` never refused", guard.name())),
            (false, true) => one.push(format!("`{}` never granted", guard.name())),
            (false, false) => none.push(format!("`{}`", guard.name())),
        }
    }
    let mut line = format!(
        "- Guards there: {both} of {} seen both ways, {constant} constant by rule",
        Guard::ALL.len()
    );
    for (what, guards) in [("one way", one), ("not asked", none)] {
        if !guards.is_empty() {
            let _ = write!(line, "; {what}: {}", guards.join(", "));
        }
    }
    let _ = writeln!(text, "{line}.");
}

/// How many of them were seen, and which were not.
fn part(what: &str, all: &[String], seen: &[String]) -> String {
    let missing: Vec<&str> =
        all.iter().filter(|name| !seen.contains(name)).map(String::as_str).collect();
    if missing.is_empty() {
        return format!("all {} {what}", all.len());
    }
    format!("{} of {} {what} (not {})", seen.len(), all.len(), missing.join(", "))
}

fn mutants(text: &mut String, claim: Claim, killed: &[Killed]) {
    let killers: Vec<String> = tables::mutants_of(killed, claim)
        .map(|run| {
            let length = run.trace.as_ref().map_or(0, |trace| trace.steps.len());
            format!("`{}` in {}", run.mutation.name(), steps(length))
        })
        .collect();
    let others: Vec<String> = tables::others_of(killed, claim)
        .map(|run| format!("`{}`, which {} kills", run.mutation.name(), run.mutation.killer()))
        .collect();
    let by_runs = Benign::CLAIMS.contains(claim) || claim == Claim::StableLeader;
    let told = match (killers.is_empty(), others.is_empty(), by_runs) {
        (false, _, _) => killers.join(", "),
        (true, false, _) => {
            format!("none of its own; false as well at the end of {}", others.join(", "))
        }
        (true, true, true) if claim == Claim::StableLeader => {
            "none in a slice; [`model/tests/links.rs`](model/tests/links.rs) breaks rules under cut \
             links, and finds it false"
                .to_owned()
        }
        (true, true, true) => "none".to_owned(),
        (true, true, false) => "none of its own; a hand-made case in \
                          [`spec/tests/refuted/main.rs`](spec/tests/refuted/main.rs) refutes it"
            .to_owned(),
    };
    let _ = writeln!(text, "- Mutants killed: {told}.");
    let mut shows = tables::mutants_of(killed, claim).chain(tables::others_of(killed, claim));
    if let Some(run) = shows.next() {
        let name = run.mutation.name();
        let _ = writeln!(
            text,
            "- See one: `cargo run --release -p quorate-model -- explore --mutant {name}`."
        );
    }
}

pub(super) fn steps(n: usize) -> String {
    if n == 1 { "1 step".to_owned() } else { format!("{n} steps") }
}

/// The slices to run again for a claim: those in which its mutants die, so that they can show it
/// false, or others that make it false as well; else the smallest one of three servers or more.
fn again(claim: Claim, checked: &[Checked], killed: &[Killed]) -> String {
    let settling = || checked.iter().filter(|run| run.settles(claim));
    let here = |mutants: Vec<&Killed>| -> Vec<&str> {
        let dies = |name: &str| mutants.iter().any(|it| it.slice.is_some_and(|s| s.name == name));
        settling().map(|run| run.slice.name).filter(|name| dies(name)).collect()
    };
    let own = here(tables::mutants_of(killed, claim).collect());
    let names = if own.is_empty() { here(tables::others_of(killed, claim).collect()) } else { own };
    if !names.is_empty() {
        return names.join(" ");
    }
    if claim == Claim::StableLeader {
        return "links".to_owned();
    }
    let exhausted = settling().filter(|run| run.verdict_on(claim) == Verdict::Exhausted);
    let smallest = exhausted.filter(|run| run.slice.servers >= 3).min_by_key(|run| run.unique);
    smallest.map_or(String::new(), |run| run.slice.name.to_owned())
}
