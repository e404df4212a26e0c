//! Slices, counterexamples, the actor model and recorded runs in Stateright's Explorer, with a
//! page of this project's own.
//!
//! ```text
//!  SliceWalk  ActorWalk  TraceWalk     what there is to walk through: trait Walk
//!       └─────────┼─────────┘
//!              Explored                a stateright::Model of plain states; Debug is JSON
//!                 │
//!       Stateright's serve()           /.states/0/3/2…: action indices, as links have them
//!                 │
//!               front                  a connection of its own for each request
//!                 │
//!        model/ui, embedded            evaluates nothing: every claim's truth comes from here
//! ```

mod actors;
mod address;
mod asked;
mod counted;
mod diagram;
mod explored;
mod export;
mod fields;
mod front;
mod link;
mod page;
mod quorum;
mod refused;
mod scenario;
mod shown;
mod slice;
mod source;
mod story;
mod tally;
mod trace;
mod view;
mod walk;

use std::io;
use std::net::SocketAddr;
use std::thread;

use stateright::Model;

pub use actors::{ActorAction, ActorWalk};
pub use address::{AddressError, choose, url};
pub use asked::Asked;
pub use counted::{Commit, Counted, Election};
pub use diagram::svg;
pub use explored::{Choice, Explored, drawing};
pub use export::export;
pub use fields::{Changed, StepView};
pub use link::{follow, hash};
pub use quorum::{Case, Explanation, Mark};
pub use refused::{RefusedView, Trial};
pub use scenario::{Replayed, Scenario, ScenarioError};
pub use shown::Shown;
pub use slice::{Counterexample, SliceWalk};
pub use source::{Change, Place, Refuser, Source, find};
pub use story::{Event, Told};
pub use trace::TraceWalk;
pub use view::{CommittedView, EntryView, MessageView, NodeView, PeerView, StateView, state};
pub use walk::{Broken, Header, Lease, Verdict, Walk, shortest};

/// The link to the state after these actions.
///
/// # Panics
/// If an action is not possible where it stands.
#[must_use]
pub fn link<W: Walk>(walk: &W, at: SocketAddr, actions: &[W::Action]) -> String {
    let hash = hash(walk, &walk.header(), actions).expect("the path is one of the model");
    format!("{}{hash}", url(at))
}

/// Why nothing is served, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// There is no place for the page.
    #[error("cannot unpack the page: {0}; is TMPDIR writable?")]
    Page(#[from] io::Error),
    /// Somebody took the address since [`choose`] tried it.
    #[error(transparent)]
    Address(#[from] AddressError),
}

/// Serves the Explorer until the process ends. The working directory changes: read files before.
///
/// # Errors
/// If the page cannot be unpacked, or nobody can listen on the address any more.
pub fn serve<W: Walk>(walk: W, at: SocketAddr) -> Result<(), ServeError> {
    let front = address::listen(at)?;
    let inner = choose("127.0.0.1:0", false)?;
    page::unpack()?;
    thread::spawn(move || front::relay(&front, inner));
    Explored::new(walk).checker().serve(inner);
    Ok(())
}

/// Removes the unpacked page: nothing can be served any more.
pub fn clean_up() {
    page::remove();
}

/// Removes the unpacked page when the process is told to end, by Ctrl-C or a signal.
pub fn clean_up_at_the_end() {
    page::remove_at_the_end();
}
