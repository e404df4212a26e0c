//! What clients do in a lane: they write to whoever leads, and read where they are told to.

use quorate_spec::property::reads::{lease_exclusive, lease_read_is_linearizable};
use quorate_spec::property::{Claim, ClaimSet};
use quorate_spec::{Index, Input};

use super::record::{ReadRecord, Tone};
use super::view::decides;
use super::world::World;

impl World<'_> {
    /// A client gives a command to every server that leads: there are clients beside each of them.
    pub(crate) fn write(&mut self) {
        let leaders = self.leaders();
        if leaders.is_empty() {
            self.recorder.record.refused.push(self.recorder.time(self.now));
            if self.leaderless.is_none() {
                self.leaderless = Some(self.now);
                self.say(None, Tone::Bad, "Nobody leads: clients cannot write.");
            }
        }
        for id in leaders {
            self.note_blocked(id);
            self.operate(id, Input::Propose { count: 1 });
        }
    }

    /// A leader that takes writes, but cannot commit them: told once, until that changes.
    fn note_blocked(&mut self, id: usize) {
        let blocked = !decides(&self.protocol, &self.hosts[id], self.now);
        let told = std::mem::replace(&mut self.hosts[id].blocked, blocked);
        if blocked && !told {
            let text = format!("n{id} leads, but no majority answers it: clients' writes wait.");
            self.say(Some(id), Tone::Bad, &text);
        }
    }

    pub(crate) fn commits_again(&mut self, id: usize) {
        let blocked = std::mem::take(&mut self.hosts[id].blocked);
        if self.leaderless.take().is_some() || blocked {
            self.say(None, Tone::Good, "Writes are committed again.");
        }
    }

    /// A client asks a server for a read: of its lease, where it holds one, or else of a majority.
    pub(crate) fn read(&mut self, id: usize) {
        let newest = self.clients.newest(&self.history.committed);
        let (at, server) = (self.recorder.time(self.now), id as u64);
        let read = ReadRecord { at, server, answered: None, value: None, newest, stale: false };
        let number = self.recorder.record.reads.len();
        self.recorder.record.reads.push(read);
        let host = &self.hosts[id];
        if !host.is_up() {
            return;
        }
        let view = self.protocol.read_view(&host.server.node);
        let served = view.lease_read(host.clock.now(self.now));
        match served {
            Ok(index) => {
                let mut broken = ClaimSet::NONE;
                let linearizable = lease_read_is_linearizable(&self.history, index);
                broken.require(Claim::LinearizableRead, linearizable);
                let led = self.history.leaders.keys().copied();
                broken.require(Claim::LeaseExclusive, lease_exclusive(&host.server.node, led));
                self.hosts[id].lease_over = false;
                self.recorder.broke(self.now, broken);
                self.answer(number, id, Some(index));
            }
            Err(_) => {
                let leads = host.leads();
                self.note_waiting(id);
                let told = std::mem::replace(&mut self.hosts[id].lease_over, true);
                if self.protocol.params.lease.is_some() && leads && !told {
                    let text = format!(
                        "The lease of n{id} is over. It asks a majority before it answers."
                    );
                    self.say(Some(id), Tone::Good, &text);
                }
                let token = self.clients.asked(number);
                self.operate(id, Input::Read(token));
            }
        }
    }

    /// A leader that is asked for reads and cannot know whether it still leads says nothing.
    fn note_waiting(&mut self, id: usize) {
        let (now, server) = (self.recorder.time(self.now), id as u64);
        let waits = |read: &ReadRecord| {
            read.server == server
                && read.answered.is_none()
                && (100_000..200_000).contains(&(now - read.at))
        };
        if self.hosts[id].leads() && self.recorder.record.reads.iter().any(waits) {
            let text = format!(
                "n{id} has asked a majority whether it still leads, and hears nothing: its reads wait."
            );
            self.say(Some(id), Tone::Good, &text);
        }
    }

    /// A read is answered by the state after this entry, or has failed.
    pub(crate) fn answer(&mut self, number: usize, id: usize, index: Option<Index>) {
        let value = index.map(|index| self.clients.value(&self.hosts[id].server.node, index));
        let answered = Some(self.recorder.time(self.now));
        let read = &mut self.recorder.record.reads[number];
        let stale = value.is_some_and(|value| value < read.newest);
        let newest = read.newest;
        *read = ReadRecord { answered, value, stale, ..read.clone() };
        match value {
            Some(value) if stale => {
                let text = format!(
                    "n{id} answers a read with {value}, but {newest} is committed: too old."
                );
                self.say(Some(id), Tone::Bad, &text);
            }
            None => self.say(
                Some(id),
                Tone::Good,
                &format!("n{id} leads no more, and gives no answer."),
            ),
            Some(_) => {}
        }
    }
}
