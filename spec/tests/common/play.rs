//! Plays random lives of one server.

use quorate_spec::{Effects, Outgoing};

use super::Server;
use super::script::Move;

/// What a turn has produced.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) effects: Effects,
    pub(crate) request: Option<Outgoing>,
}

impl Outcome {
    pub(crate) fn outgoing(self) -> impl Iterator<Item = Outgoing> {
        self.effects.send.into_iter().chain(self.request)
    }
}

/// Plays one move; the claims about one server are kept in each.
pub(crate) fn play(server: &mut Server, (chosen, draw): (Move, u64)) -> Outcome {
    server.draw = draw;
    match chosen {
        Move::Wait(time) => {
            server.now += time;
            Outcome::default()
        }
        Move::Poll(peer, limit) => {
            Outcome { request: server.poll_up_to(peer.0, limit), ..Outcome::default() }
        }
        Move::Input(input) => Outcome { effects: server.step(input), ..Outcome::default() },
    }
}
