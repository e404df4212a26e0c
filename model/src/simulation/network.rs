//! Messages under way: one queue a directed link, and which links are cut.

use std::collections::VecDeque;

use quorate_spec::{Envelope, NodeId};

/// How many requests a link takes: more and its sender is not asked for another.
const ROOM: usize = 6;
/// How many messages a link keeps: more and one in the middle is lost, so that the oldest stay.
const CAPACITY: usize = 24;

/// A directed link, by its number: `from * servers + to`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Link(usize);

/// The network of a cluster.
pub(crate) struct Network {
    servers: usize,
    queues: Vec<VecDeque<Envelope>>,
    cut: Vec<bool>,
}

impl Network {
    pub(crate) fn new(servers: usize) -> Network {
        let links = servers * servers;
        Network { servers, queues: vec![VecDeque::new(); links], cut: vec![false; links] }
    }

    /// The link from one server to another.
    pub(crate) fn link(&self, from: usize, to: usize) -> Link {
        Link(from % self.servers * self.servers + to % self.servers)
    }

    /// Its two ends.
    pub(crate) fn ends(&self, link: Link) -> (usize, usize) {
        (link.0 / self.servers, link.0 % self.servers)
    }

    fn between(&self, from: NodeId, to: NodeId) -> Link {
        self.link(from.0 as usize, to.0 as usize)
    }

    /// Puts a message under way; false where another one had to go for it.
    pub(crate) fn send(&mut self, envelope: Envelope) -> bool {
        let link = self.between(envelope.from, envelope.to);
        let queue = &mut self.queues[link.0];
        queue.push_back(envelope);
        let fits = queue.len() <= CAPACITY;
        if !fits {
            queue.remove(CAPACITY / 2);
        }
        fits
    }

    /// How many requests the link has room for.
    pub(crate) fn room(&self, from: NodeId, to: NodeId) -> usize {
        let queue = &self.queues[self.between(from, to).0];
        let requests = queue.iter().filter(|e| e.message.body.kind().is_request()).count();
        ROOM.saturating_sub(requests)
    }

    /// The first link from this one on over which a message can arrive.
    pub(crate) fn delivering(&self, start: Link) -> Option<Link> {
        self.first(start, |link| !self.cut[link.0] && !self.queues[link.0].is_empty())
    }

    /// The first link from this one on that has a message under way, though it be cut.
    pub(crate) fn busy(&self, start: Link) -> Option<Link> {
        self.first(start, |link| !self.queues[link.0].is_empty())
    }

    /// The first link from this one on that is cut.
    pub(crate) fn broken(&self, start: Link) -> Option<Link> {
        self.first(start, |link| self.cut[link.0])
    }

    fn first(&self, start: Link, fits: impl Fn(Link) -> bool) -> Option<Link> {
        let links = self.queues.len();
        (0..links).map(|i| Link((start.0 + i) % links)).find(|link| fits(*link))
    }

    /// Takes the oldest message of the link.
    pub(crate) fn take_oldest(&mut self, link: Link) -> Option<Envelope> {
        self.queues[link.0].pop_front()
    }

    /// Takes any message of the link, and says whether it was not the oldest.
    pub(crate) fn take_any(&mut self, link: Link, position: usize) -> Option<(Envelope, bool)> {
        let queue = &mut self.queues[link.0];
        let position = position.checked_rem(queue.len())?;
        queue.remove(position).map(|envelope| (envelope, position > 0))
    }

    /// Copies any message of the link.
    pub(crate) fn copy_any(&self, link: Link, position: usize) -> Option<Envelope> {
        let queue = &self.queues[link.0];
        queue.get(position.checked_rem(queue.len())?).cloned()
    }

    /// Every link with the number of messages that can arrive over it now.
    pub(crate) fn waiting(&self) -> Vec<(Link, usize)> {
        let open = (0..self.queues.len()).filter(|link| !self.cut[*link]);
        open.map(|link| (Link(link), self.queues[link].len())).collect()
    }

    /// Cuts a link; false where it was cut, or leads nowhere.
    pub(crate) fn cut(&mut self, link: Link) -> bool {
        let (from, to) = self.ends(link);
        let cut = from != to && !self.cut[link.0];
        self.cut[link.0] |= cut;
        cut
    }

    pub(crate) fn heal(&mut self, link: Link) {
        self.cut[link.0] = false;
    }

    /// Heals every link; false where none was cut.
    pub(crate) fn heal_all(&mut self) -> bool {
        let cut = self.cut.contains(&true);
        self.cut.fill(false);
        cut
    }

    /// The links that are cut, by their ends.
    pub(crate) fn cuts(&self) -> impl Iterator<Item = (usize, usize)> {
        let links = (0..self.cut.len()).filter(|link| self.cut[*link]);
        links.map(|link| self.ends(Link(link)))
    }

    /// Every message that is under way.
    pub(crate) fn under_way(&self) -> impl Iterator<Item = &Envelope> {
        self.queues.iter().flatten()
    }
}
