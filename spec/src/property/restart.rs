//! What a crash at this moment would leave of one server, whatever the others do.

use crate::durable::Durable;
use crate::node::Node;
use crate::property::step::{agree_up_to, restart_is_follower};

/// What a crash leaves is a legal beginning: a follower whose log has no gap, which knows what its
/// snapshot covers to be committed, with term and vote as they were written, and with every durable
/// entry that the server knew to be committed (§3.8, rules P4, P8).
#[must_use]
pub fn restart_recovers(
    before: &Node,
    reported: &Durable,
    recovered: &Durable,
    after: &Node,
) -> bool {
    let log = after.log();
    let kept = before.commit_index().min(before.durable_index());
    restart_is_follower(after)
        && after.hard_state() == recovered.hard_state
        && after.current_term() >= reported.hard_state.current_term
        && *log == recovered.log
        && log.is_contiguous()
        && log.last().term <= after.current_term()
        && after.commit_index() == log.base().index
        && log.last().index >= kept
        && agree_up_to(before.log(), log, kept)
}

/// The durable mark is within the log, and the disk has the same entries up to it; what a snapshot
/// covers in memory or on the disk counts as equal, for it was committed (§3.8, rule P5).
#[must_use]
pub fn durable_index_sound(node: &Node, reported: &Durable) -> bool {
    let durable = node.durable_index();
    durable <= node.log().last().index
        && durable <= reported.log.last().index
        && agree_up_to(node.log(), &reported.log, durable)
}
