//! A leader that can be asked for reads, and its rounds.

use quorate_spec::{Configuration, Effects, Message};

use super::{Server, Setup, voters};

/// A leader of term 1 that has committed its first entry, and whom everyone has just answered.
pub(crate) fn leader_of(configuration: Configuration, voters: &[u64]) -> Server {
    let mut server = Setup { configuration, ..Setup::default() }.lead(voters);
    let peers: Vec<u64> = server.leadership().peers.keys().map(|id| id.0).collect();
    for peer in &peers {
        let request = server.poll(*peer).expect("a request is due").message;
        server.hears_answer(*peer, &request);
    }
    assert_eq!(server.commit(), 1);
    server.now += 1;
    server
}

/// The same of three voters.
pub(crate) fn leader() -> Server {
    leader_of(voters(&[1, 2, 3]), &[2])
}

/// The request that is due to this peer.
pub(crate) fn request(server: &mut Server, peer: u64) -> Message {
    server.poll(peer).expect("a request is due").message
}

/// This peer is asked, and answers.
pub(crate) fn round_trip(server: &mut Server, peer: u64) -> Effects {
    let request = request(server, peer);
    server.hears_answer(peer, &request)
}
