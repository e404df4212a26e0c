//! The lab: clusters that a person drives in a browser, side by side under the same faults.
//!
//! ```text
//!   address ──▶ Setup ──▶ a World for each Lane ──▶ spec's Protocol, one server at a time
//!   (scene, seed, script)      │  events in simulated time
//!                              └──▶ Record: states, messages, notes, claims ──▶ JSON ──▶ model/ui/lab
//! ```
//!
//! Nothing is kept between two requests: an address says all, and the same address gives the same
//! bytes. Whatever a person does is one more event of the script, and the run is computed anew.
//!
//! | file | subject |
//! |---|---|
//! | `scene`, `setup`, `address` | the scenes; what a run is made of; that as text |
//! | `script`, `lane` | what happens when; under which rules |
//! | `world`, `host`, `wire`, `queue` | a cluster in simulated time; one server; the network; what is due |
//! | `deeds` | what each event of the script does |
//! | `work`, `client` | what clients do; what they know and wait for |
//! | `record`, `view`, `words` | what a page shows; a server as it sees it; what happens in plain words |
//! | `verdict` | what a scene comes to, in one sentence |
//! | `run`, `web` | all lanes of a run; the pages and runs over HTTP |

mod address;
mod client;
mod deeds;
mod host;
mod lane;
mod queue;
mod record;
mod run;
mod scene;
mod script;
mod setup;
mod verdict;
mod view;
mod web;
mod wire;
mod words;
mod work;
mod world;

pub use address::AddressError;
pub use lane::Lane;
pub use record::{Counts, Happened, LaneRecord, Note, Tone};
pub use run::{Run, run};
pub use scene::SCENES;
pub use script::{Deed, Event};
pub use setup::Setup;
pub use web::{Bound, bind};
