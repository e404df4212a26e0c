//! What each event of the script does to a lane.

use quorate_spec::property::history::Event as Remembered;
use quorate_spec::{Input, Moment, Target};

use super::host::Down;
use super::queue::mix;
use super::record::Tone;
use super::script::{Deed, node};
use super::world::World;

impl World<'_> {
    pub(crate) fn perform_deed(&mut self, deed: &Deed) {
        let servers = self.hosts.len();
        for (from, to) in (0..servers).flat_map(|from| (0..servers).map(move |to| (from, to))) {
            if let Some(cut) = deed.cuts(from, to).filter(|_| from != to) {
                self.set_cut(from, to, cut);
            }
        }
        match deed {
            Deed::Isolate(_)
            | Deed::Cut(..)
            | Deed::Split(_)
            | Deed::Deafen(_)
            | Deed::HealAll
            | Deed::Heal(..) => {}
            Deed::Crash(id) => self.crash(*id),
            Deed::Restart(id) => self.restart(*id),
            Deed::Drop(from, to) => {
                if let Some(number) = self.wire.drop_one(*from, *to) {
                    self.lose(number);
                }
            }
            Deed::Rate(id, rate) => {
                self.hosts[*id].clock.set_rate(self.now, *rate);
                self.settle(*id);
            }
            Deed::Propose => self.write(),
            Deed::Read(id) => self.read(*id),
            Deed::Members(ids) => {
                let voters = ids.iter().map(|id| node(*id)).collect();
                let target = Target { voters, learners: Default::default() };
                self.ask_leaders(&Input::ChangeMembers(target));
            }
            Deed::Transfer(to) => self.ask_leaders(&Input::TransferLeadership(node(*to))),
            Deed::Campaign(id) => self.operate(*id, Input::Campaign),
        }
    }

    fn ask_leaders(&mut self, input: &Input) {
        let leaders = self.leaders();
        if leaders.is_empty() {
            self.say(None, Tone::Event, "Nobody leads: nobody can be asked.");
        }
        leaders.into_iter().for_each(|id| self.operate(id, input.clone()));
    }

    fn set_cut(&mut self, from: usize, to: usize, cut: bool) {
        for number in self.wire.set_cut(from, to, cut) {
            self.lose(number);
        }
    }

    fn crash(&mut self, id: usize) {
        let host = &mut self.hosts[id];
        if host.is_up() {
            (host.down, host.life) = (Some(Down::Crashed), host.life + 1);
            self.recorder.leads_no_more(self.now, id as u64, None);
            self.show(id);
        }
    }

    /// It starts from what was on its disk when it crashed: what the disk had not reported is lost.
    fn restart(&mut self, id: usize) {
        let (now, host) = (self.now, &mut self.hosts[id]);
        if host.down != Some(Down::Crashed) {
            return;
        }
        let draw = mix(&[self.setup.seed, id as u64, now]);
        let moment = Moment { now: host.clock.now(now), draw };
        let broken = host.server.crash(&self.protocol, 0, moment);
        (host.down, host.disk_free) = (None, now);
        self.recorder.broke(now, broken);
        self.history.observe(&Remembered::Restarted(node(id)));
        self.settle(id);
    }
}
