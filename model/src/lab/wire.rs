//! The network between the servers of a lane. The same message at the same moment takes the same
//! time in every lane, and what the script cuts is cut in all of them.

use quorate_spec::Envelope;

use super::queue::mix;

/// What becomes of a message that is sent.
pub(crate) struct Fate {
    /// When it arrives, if nothing comes between.
    pub(crate) due: u64,
    /// When it is lost, if it is known already that it will be.
    pub(crate) lost: Option<u64>,
}

/// Every directed link.
pub(crate) struct Wire {
    servers: usize,
    seed: u64,
    /// Microseconds that a message takes at least.
    latency: u64,
    links: Vec<Link>,
}

#[derive(Clone, Default)]
struct Link {
    is_cut: bool,
    /// How many of the next messages are lost.
    drops: u32,
    /// When the last message arrives: none overtakes another.
    last: u64,
    /// The messages under way, the oldest first.
    under_way: Vec<usize>,
}

impl Wire {
    pub(crate) fn new(servers: usize, seed: u64, latency: u64) -> Wire {
        Wire { servers, seed, latency, links: vec![Link::default(); servers * servers] }
    }

    fn link(&mut self, from: usize, to: usize) -> &mut Link {
        &mut self.links[from * self.servers + to]
    }

    /// Cuts or heals one direction; gives the messages that are lost by it.
    pub(crate) fn set_cut(&mut self, from: usize, to: usize, cut: bool) -> Vec<usize> {
        let link = self.link(from, to);
        link.is_cut = cut;
        if cut { std::mem::take(&mut link.under_way) } else { Vec::new() }
    }

    /// Loses the oldest message under way, or else the next one.
    pub(crate) fn drop_one(&mut self, from: usize, to: usize) -> Option<usize> {
        let link = self.link(from, to);
        if link.under_way.is_empty() {
            link.drops += 1;
            return None;
        }
        Some(link.under_way.remove(0))
    }

    /// Message number `number` leaves now.
    pub(crate) fn send(&mut self, now: u64, number: usize, envelope: &Envelope) -> Fate {
        let (from, to) = (envelope.from.0, envelope.to.0);
        let takes = self.latency + mix(&[self.seed, from, to, now]) % self.latency.max(1);
        let link = self.link(from as usize, to as usize);
        if link.is_cut || link.drops > 0 {
            link.drops = link.drops.saturating_sub(u32::from(!link.is_cut));
            return Fate { due: now + takes, lost: Some(now + takes / 2) };
        }
        let due = (now + takes).max(link.last + 1);
        link.last = due;
        link.under_way.push(number);
        Fate { due, lost: None }
    }

    /// Message number `number` arrives; false if it was lost on the way.
    pub(crate) fn arrives(&mut self, number: usize, envelope: &Envelope) -> bool {
        let link = self.link(envelope.from.0 as usize, envelope.to.0 as usize);
        let found = link.under_way.iter().position(|other| *other == number);
        found.is_some_and(|position| link.under_way.remove(position) == number)
    }
}
