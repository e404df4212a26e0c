//! A client's session: commands that are applied exactly once, however often they are sent.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use crate::errors::ProposeError;
use crate::handle::Handle;
use crate::lock::lock;
use crate::machine::Applied;
use crate::sessions::{self, Name, SessionId};

/// A session with the cluster, not with one node: its commands go through whichever
/// [`Handle`] is at hand.
///
/// What is remembered of a session is bounded, and the session whose last command is furthest back
/// in the log makes room for a new one: see [`SessionLimits`](crate::SessionLimits). Its client is
/// then told so by [`ProposeError::SessionExpired`].
///
/// ```no_run
/// # use quorate::{Handle, ProposeError};
/// # async fn pay(handle: &Handle) -> Result<(), ProposeError> {
/// let session = handle.open_session().await?;
/// // Tried again until the outcome is known, and applied once.
/// let applied = session.propose(handle, "pay 5 to alice").await?;
/// # Ok(())
/// # }
/// ```
pub struct Session {
    id: SessionId,
    serials: Mutex<Serials>,
}

/// The numbers of the commands that may still be sent.
struct Serials {
    next: u64,
    open: BTreeSet<u64>,
}

/// A command with its number. However often it is sent, it is applied once; when it is dropped the
/// client waits for it no more, and the cluster may forget its answer.
pub struct Numbered<'s> {
    session: &'s Session,
    serial: u64,
    command: Vec<u8>,
}

/// How long to wait before the second attempt; each later one waits twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
/// No attempt waits longer.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

impl Session {
    pub(crate) fn new(id: SessionId) -> Session {
        Session { id, serials: Mutex::new(Serials { next: 1, open: BTreeSet::new() }) }
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Has a command applied exactly once, and gives what the machine answered. It is sent again for
    /// as long as that can help; put a time limit around it where that is too long. Dropping the
    /// future does not withdraw the command.
    ///
    /// # Errors
    /// Whatever another attempt would not change: see [`ProposeError::is_worth_retrying`].
    pub async fn propose(
        &self,
        handle: &Handle,
        command: impl Into<Vec<u8>>,
    ) -> Result<Applied, ProposeError> {
        let numbered = self.number(command);
        let mut pause = FIRST_PAUSE;
        loop {
            match numbered.send(handle).await {
                Err(error) if error.is_worth_retrying() => tokio::time::sleep(pause).await,
                outcome => return outcome,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Numbers a command, to be sent by whoever decides about the attempts himself.
    pub fn number(&self, command: impl Into<Vec<u8>>) -> Numbered<'_> {
        let mut serials = self.serials();
        let serial = serials.next;
        serials.next += 1;
        serials.open.insert(serial);
        Numbered { session: self, serial, command: command.into() }
    }

    /// Ends the session: the cluster forgets it. Its commands are not applied from then on.
    ///
    /// # Errors
    /// As for [`Handle::propose`]. It may be tried again.
    pub async fn close(&self, handle: &Handle) -> Result<(), ProposeError> {
        handle.submit(sessions::close(self.id)).await.map(drop)
    }

    fn serials(&self) -> MutexGuard<'_, Serials> {
        lock(&self.serials)
    }
}

impl Numbered<'_> {
    /// Sends it once. Whatever comes of that, it may be sent again, through any node.
    ///
    /// # Errors
    /// [`ProposeError`] says what to do next.
    pub async fn send(&self, handle: &Handle) -> Result<Applied, ProposeError> {
        let open_from = self.session.serials().open.first().copied().unwrap_or(self.serial);
        let name = Name { session: self.session.id, serial: self.serial, open_from };
        handle.submit(sessions::named(name, self.command.clone())).await
    }
}

impl Drop for Numbered<'_> {
    fn drop(&mut self) {
        self.session.serials().open.remove(&self.serial);
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for Numbered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = (self.session.id, self.serial);
        f.debug_tuple("Numbered").field(&name).finish()
    }
}
