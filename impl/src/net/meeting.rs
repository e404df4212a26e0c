//! Whether another node is on the directory that it was met on first: see [`Register`].

use tokio::task::spawn_blocking;

use super::fault::Fault;
use super::greeting::Objection;
use super::identity::Identity;
use super::shared::Shared;
use crate::disk::{Known, Register};

/// Ids whose addresses are not known, of which note is taken as long as there are no more than so many
/// in the register: whoever comes with made-up ids does not fill the disk.
const STRANGERS: usize = 1024;

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
pub(crate) async fn meet(shared: &Shared, peer: &Identity) -> Result<(), Unmet> {
    let (id, directory) = (peer.id, peer.directory);
    let known = match shared.register.judge(id, directory) {
        Known::No if is_one_too_many(shared, peer) => return Err(Objection::Stranger.into()),
        Known::No => {
            let register = shared.register.clone();
            let noted = note(register, move |register| register.meet(id, directory)).await;
            noted.map_err(|why| Unmet {
                objection: Objection::NotNoted,
                fault: Fault::NotNoted(why),
            })?
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

fn is_one_too_many(shared: &Shared, peer: &Identity) -> bool {
    !shared.addresses.knows(peer.id) && shared.register.len() >= STRANGERS
}

/// Writes to the register, where it is on a disk on a thread that may wait for that.
async fn note<T: Send + 'static, E: ToString + Send + 'static>(
    register: Register,
    write: impl FnOnce(&Register) -> Result<T, E> + Send + 'static,
) -> Result<T, String> {
    let written = match register.is_on_disk() {
        true => {
            spawn_blocking(move || write(&register)).await.map_err(|ended| ended.to_string())?
        }
        false => write(&register),
    };
    written.map_err(|error| error.to_string())
}
