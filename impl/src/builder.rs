//! A node in a few lines: what has to be chosen is asked for, and the rest has a default.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use quorate_spec::{NodeId, Params};

use crate::clock::{Clock, MonotonicClock, span};
use crate::forward::Mail;
use crate::inbox::Inbox;
use crate::limits::{Limits, LimitsError};
use crate::machine::StateMachine;
use crate::net::NetLimits;
use crate::node::{self, Options, Parts, RunningNode, StartError};
use crate::storage::Storage;
use crate::transport::{Packet, Transport};

/// A node's place in the network: its way out, and what arrives.
pub struct Wire {
    /// Its way to the others.
    pub transport: Arc<dyn Transport>,
    /// What arrives from the others.
    pub packets: Inbox<Packet>,
    /// The same for letters. Without it, proposals are taken by the leader only.
    pub mail: Option<Mail>,
}

/// A node that is to start.
///
/// ```
/// # use std::io::{self, Read, Write};
/// # use quorate::{Command, MemoryDisk, Network, Builder, Exchange, Response, StateMachine, Wire};
/// # use quorate_spec::{Configuration, NodeId};
/// # struct Nothing;
/// # impl StateMachine for Nothing {
/// #     fn apply(&mut self, commands: &[Command<'_>]) -> Vec<Response> {
/// #         commands.iter().map(|_| Vec::new()).collect()
/// #     }
/// #     fn snapshot(&self) -> impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static {
/// #         |_: &mut dyn Write| Ok(())
/// #     }
/// #     fn restore(&mut self, _: &mut dyn Read) -> io::Result<()> { Ok(()) }
/// # }
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let (id, network) = (NodeId(1), Network::new(7));
/// let wire = Wire {
///     packets: network.attach(id, 1024),
///     mail: Some(Exchange::new(network.clone()).attach(id, 1024)),
///     transport: std::sync::Arc::new(network),
/// };
/// let disk = MemoryDisk::new(Configuration::of([id]));
/// let node = Builder::new(id).start(disk.open(), wire, Nothing)?;
/// node.handle().campaign().await.ok();
/// node.shutdown().await;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Builder {
    id: NodeId,
    params: Params,
    seed: u64,
    limits: Limits,
    clock: Arc<dyn Clock>,
    network: NetLimits,
}

/// An election timeout that disks and networks of one site keep with ease.
const ELECTION_TIMEOUT: Duration = Duration::from_millis(1_000);
const HEARTBEAT: Duration = Duration::from_millis(100);

impl Builder {
    /// The node with this identity, which is its storage's and nobody else's, ever: with an election
    /// timeout of a second, a heartbeat every tenth of one, no leases, and the system's clock.
    #[must_use]
    pub fn new(id: NodeId) -> Builder {
        Builder {
            id,
            params: Params::new(span(ELECTION_TIMEOUT), span(HEARTBEAT)),
            // Nodes whose elections begin alike collide: no two have the same.
            seed: RandomState::new().build_hasher().finish(),
            limits: Limits::default(),
            clock: Arc::new(MonotonicClock::new()),
            network: NetLimits::default(),
        }
    }

    /// The same with these parameters, which all nodes of the cluster share. For reads that ask nobody
    /// see [`Params::with_lease`].
    #[must_use]
    pub fn params(self, params: Params) -> Builder {
        Builder { params, ..self }
    }

    /// The same with these limits.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Builder {
        Builder { limits, ..self }
    }

    /// The same with these limits of the network, where it is opened with one in the box.
    #[must_use]
    pub fn network(self, network: NetLimits) -> Builder {
        Builder { network, ..self }
    }

    /// The same on another clock.
    #[must_use]
    pub fn clock(self, clock: Arc<dyn Clock>) -> Builder {
        Builder { clock, ..self }
    }

    /// The same with random numbers that can be repeated.
    #[must_use]
    pub fn seed(self, seed: u64) -> Builder {
        Builder { seed, ..self }
    }

    pub(crate) fn id(&self) -> NodeId {
        self.id
    }

    pub(crate) fn transport_limits(&self) -> NetLimits {
        self.network
    }

    /// Whether its limits fit each other and those of its network, which only a node with everything
    /// in the box knows.
    pub(crate) fn validate(&self) -> Result<(), LimitsError> {
        self.limits.validate_with(&self.network)
    }

    /// Starts it on the present tokio runtime, from what the storage recovered.
    ///
    /// # Errors
    /// [`StartError`] says what does not fit, and what would.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start<S: Storage, M: StateMachine>(
        self,
        storage: S,
        wire: Wire,
        machine: M,
    ) -> Result<RunningNode, StartError> {
        let Builder { id, params, seed, limits, clock, network: _ } = self;
        let Wire { transport, packets, mail } = wire;
        let parts = Parts { storage, transport, packets, mail, clock, machine };
        node::start(Options { id, params, seed, limits }, parts)
    }
}
