//! Whether another node is on the directory that it was met on first: see [`Register`].
//!
//! A node whose address is known is met there: by whoever dials it. So it is no matter of who comes
//! first, from anywhere. Both sides of a pair dial; where the one that is dialled has not met the other
//! yet it says so, and who it is: with that the dialling one has met it. So each attempt leads on,
//! whichever comes first, and none waits for the other's.
//!
//! [`Register`]: crate::disk::Register

use std::sync::Arc;

use quorate_spec::NodeId;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::fault::Fault;
use super::greeting::Objection;
use super::identity::Identity;
use super::shared::Shared;
use crate::disk::{DirectoryId, Known};

/// So many ids whose addresses are not known are noted down: whoever comes with made-up ones does not
/// fill the disk.
const STRANGERS: usize = 1024;

/// Who has opened the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// This node, to the address that it has of the other one.
    Out,
    /// The other one, from wherever it is.
    In,
}

/// Why a node is not met: what it is told, and what this one notes.
#[derive(Debug)]
pub(crate) struct Unmet {
    pub(crate) objection: Objection,
    pub(crate) fault: Fault,
}

impl From<Objection> for Unmet {
    fn from(objection: Objection) -> Unmet {
        Unmet { objection, fault: Fault::TurnedAway(objection) }
    }
}

/// Meets the node, which has proven its id: where it is for the first time, its directory is noted down
/// durably. Before that nothing is handed to it, and nothing of what it says to anyone here.
pub(crate) async fn meet(shared: &Shared, peer: &Identity, way: Way) -> Result<(), Unmet> {
    let (id, directory) = (peer.id, peer.directory);
    let knows = |id| shared.addresses.knows(id);
    let known = match shared.register.judge(id, directory) {
        Known::No if way == Way::In && knows(id) => return Err(Objection::NotMet.into()),
        Known::No if !knows(id) && shared.register.count(|id| !knows(id)) >= STRANGERS => {
            return Err(Objection::Stranger.into());
        }
        Known::No => {
            let unmet = |why| Unmet { objection: Objection::NotNoted, fault: Fault::NotNoted(why) };
            note(shared, id, directory).await.map_err(unmet)?
        }
        known => known,
    };
    match known {
        Known::No => {
            let directory = directory.map(tracing::field::display);
            tracing::info!(node = %shared.me.id, peer = %id, directory, "met for the first time");
            Ok(())
        }
        Known::Same => Ok(()),
        Known::Other => Err(Objection::OtherDirectory.into()),
    }
}

/// Takes note of the node, where the register is on a disk on a thread that may wait for that: on one,
/// however many come while the disk stands still.
async fn note(
    shared: &Shared,
    id: NodeId,
    directory: Option<DirectoryId>,
) -> Result<Known, String> {
    let register = shared.register.clone();
    if !register.is_on_disk() {
        return register.meet(id, directory).map_err(|error| error.to_string());
    }
    // Less than a handshake may take, so that both sides hear the reason.
    let turn = Arc::clone(&shared.noting).acquire_owned();
    let turn = timeout(shared.limits.handshake_patience / 2, turn).await;
    let turn = turn.map_err(|_| "the disk has not taken an earlier note yet".to_owned())?;
    let written = spawn_blocking(move || {
        let _turn = turn;
        register.meet(id, directory)
    });
    let written = written.await.map_err(|ended| ended.to_string())?;
    written.map_err(|error| error.to_string())
}
