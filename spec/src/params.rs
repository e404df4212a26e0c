//! The parameters that all nodes of a cluster share.

use core::fmt;

use crate::types::Duration;

/// Timeouts and switches, the same on every node of a cluster.
///
/// Pre-vote, stickiness and check-quorum can be switched off one by one, to compare with the
/// naive election of thesis §3.4; production refuses anything but [`Params::validate`]d values.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Params {
    /// The minimum election timeout, `E`: how long a server that heard a leader promises neither
    /// to vote nor to campaign, and after how long without its quorum a leader steps down.
    pub election_timeout: Duration,
    /// Each election timeout is drawn from `[E, E + jitter)`.
    pub election_jitter: Duration,
    /// How long after the last request to a peer the next one is due, though nothing is new.
    pub heartbeat_interval: Duration,
    /// Ask for pre-votes before raising the term (thesis §9.6).
    pub pre_vote: bool,
    /// Keep the promise not to vote within `E` of hearing a leader (thesis §4.2.3).
    pub stickiness: bool,
    /// A leader without contact to a quorum for `E` steps down (thesis §6.2).
    pub check_quorum: bool,
    /// How long a leader may answer reads without asking anyone (thesis §6.4.1), if it may.
    pub lease: Option<Lease>,
    /// How many AppendEntries with entries may be unacknowledged per peer. With 0, which is for
    /// models, entries leave with a request that is due anyway, and the next after its answer.
    pub max_in_flight: usize,
    /// How many entries of a leader's log may be not committed; it refuses proposals beyond that.
    pub max_uncommitted: u64,
    /// How many committed entries a server may lack that is to become a voter: with more, the
    /// commits of the joint configuration would wait for it (thesis §4.2.1). 0 is for models.
    pub catch_up_lag: u64,
}

impl Params {
    /// Parameters for timeouts in the unit of the driver's clock, with every protection on.
    #[must_use]
    pub const fn new(election_timeout: Duration, heartbeat_interval: Duration) -> Params {
        Params {
            election_timeout,
            election_jitter: election_timeout,
            heartbeat_interval,
            pre_vote: true,
            stickiness: true,
            check_quorum: true,
            lease: None,
            max_in_flight: 16,
            max_uncommitted: 65_536,
            catch_up_lag: 1_024,
        }
    }

    /// The same, with neither pre-vote nor stickiness nor check-quorum: for comparison only.
    #[must_use]
    pub const fn naive(self) -> Params {
        Params { pre_vote: false, stickiness: false, check_quorum: false, lease: None, ..self }
    }

    /// The same, with the longest lease that clocks of this drift and granularity allow.
    #[must_use]
    pub const fn with_lease(self, drift_ppm: u32, granularity: Duration) -> Params {
        let lease = Lease::longest(self.election_timeout, drift_ppm, granularity);
        Params { lease: Some(lease), ..self }
    }

    /// Checks what production needs of them.
    ///
    /// # Errors
    /// The first parameter that does not fit, with what would.
    pub fn validate(&self) -> Result<(), ParamsError> {
        if self.heartbeat_interval.0 == 0 {
            return Err(ParamsError::ZeroHeartbeat);
        }
        if self.election_timeout.0 < self.heartbeat_interval.0.saturating_mul(2) {
            return Err(ParamsError::ElectionTimeoutTooShort {
                election_timeout: self.election_timeout,
                heartbeat_interval: self.heartbeat_interval,
            });
        }
        if self.election_jitter.0 == 0 {
            return Err(ParamsError::ZeroJitter);
        }
        if self.max_in_flight == 0 {
            return Err(ParamsError::NoWindow);
        }
        if self.max_uncommitted == 0 {
            return Err(ParamsError::NoProposals);
        }
        if self.catch_up_lag == 0 {
            return Err(ParamsError::NoCatchUpLag);
        }
        if !(self.pre_vote && self.stickiness && self.check_quorum) {
            return Err(ParamsError::NaiveElection);
        }
        self.lease.map_or(Ok(()), |lease| self.validate_lease(lease))
    }

    /// Whether no voter's promise can end before the lease does, and the lease outlasts the time
    /// between two heartbeats.
    fn validate_lease(&self, lease: Lease) -> Result<(), ParamsError> {
        let Lease { duration, drift_ppm, granularity } = lease;
        let longest = Lease::longest(self.election_timeout, drift_ppm, granularity).duration;
        let election_timeout = self.election_timeout;
        if duration > longest {
            return Err(ParamsError::LeaseTooLong { lease, election_timeout, longest });
        }
        let heartbeat_interval = self.heartbeat_interval;
        if duration <= heartbeat_interval {
            return Err(ParamsError::LeaseTooShort { lease, heartbeat_interval, longest });
        }
        Ok(())
    }
}

/// A leader's lease: for so long after it made the last requests that a quorum has answered, it
/// answers reads without asking anyone. Safe where, in any stretch of time, no clock of the cluster
/// counts more than `1 + drift` and less than `1 - drift` of it: then
/// `(lease + granularity) * (1 + drift)` must not exceed `(E - granularity) * (1 - drift)`, or a voter's
/// promise could end before the lease (thesis §6.4.1, rules L8 to L12). A late reading shortens the
/// promise, and a late one at the leader lengthens the lease. The offsets of the clocks do not matter.
/// Time in which a machine is suspended has to be counted by its clock.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Lease {
    /// How long it lasts, on the leader's clock, from the moment of the request on.
    pub duration: Duration,
    /// By how much the rate of a clock may be off, in parts per million.
    pub drift_ppm: u32,
    /// By how much a reading of a clock may be late: its tick, 0 for one that has none.
    pub granularity: Duration,
}

impl Lease {
    /// The longest lease that is safe with this election timeout.
    #[must_use]
    pub const fn longest(
        election_timeout: Duration,
        drift_ppm: u32,
        granularity: Duration,
    ) -> Lease {
        const MILLION: u128 = 1_000_000;
        let promised = election_timeout.0.saturating_sub(granularity.0) as u128;
        let drift = drift_ppm as u128;
        // Not more than the election timeout, so it fits.
        let held = promised * MILLION.saturating_sub(drift) / (MILLION + drift);
        let duration = Duration((held as u64).saturating_sub(granularity.0));
        Lease { duration, drift_ppm, granularity }
    }
}

/// Why parameters are refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ParamsError {
    /// The heartbeat interval is zero.
    ZeroHeartbeat,
    /// The jitter is zero, so that split votes would repeat for ever.
    ZeroJitter,
    /// Fewer than two heartbeats fit into an election timeout.
    ElectionTimeoutTooShort {
        /// The election timeout that was given.
        election_timeout: Duration,
        /// The heartbeat interval that was given.
        heartbeat_interval: Duration,
    },
    /// No AppendEntries may be in flight.
    NoWindow,
    /// No proposal would ever be taken.
    NoProposals,
    /// Under load no new server would ever have caught up.
    NoCatchUpLag,
    /// Pre-vote, stickiness or check-quorum is off: that is for comparison, not for production.
    NaiveElection,
    /// The lease could outlast the promise of a voter whose clock is fast.
    LeaseTooLong {
        /// The lease that was given.
        lease: Lease,
        /// The election timeout that was given.
        election_timeout: Duration,
        /// The longest lease that goes with it.
        longest: Duration,
    },
    /// The lease would end between two heartbeats.
    LeaseTooShort {
        /// The lease that was given.
        lease: Lease,
        /// The heartbeat interval that was given.
        heartbeat_interval: Duration,
        /// The longest lease that goes with the election timeout.
        longest: Duration,
    },
}

impl fmt::Display for ParamsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ParamsError::ZeroHeartbeat => f.write_str("the heartbeat interval is 0: set one"),
            ParamsError::ZeroJitter => {
                f.write_str("the election jitter is 0: set it to about the election timeout")
            }
            ParamsError::ElectionTimeoutTooShort { election_timeout, heartbeat_interval } => {
                write!(
                    f,
                    "an election timeout of {election_timeout} is shorter than two heartbeat \
                 intervals of {heartbeat_interval}: raise it or send heartbeats more often"
                )
            }
            ParamsError::NoWindow => {
                f.write_str("max_in_flight is 0: entries would wait for heartbeats; set 1 or more")
            }
            ParamsError::NoProposals => {
                f.write_str("max_uncommitted is 0: no proposal would be taken; set 1 or more")
            }
            ParamsError::NoCatchUpLag => f.write_str(
                "catch_up_lag is 0: under load no new voter would ever catch up; set 1 or more",
            ),
            ParamsError::NaiveElection => f.write_str(
                "pre-vote, stickiness and check-quorum have to be on outside comparisons",
            ),
            ParamsError::LeaseTooLong { lease, election_timeout, longest } => {
                let Lease { duration, drift_ppm, granularity } = lease;
                write!(
                    f,
                    "a lease of {duration} is longer than {longest}, which is what an election \
                     timeout of {election_timeout} and a granularity of {granularity} allow with \
                     clocks that drift by {drift_ppm} ppm: shorten it or raise the election timeout"
                )
            }
            ParamsError::LeaseTooShort { lease, heartbeat_interval, longest } => write!(
                f,
                "a lease of {} ends within a heartbeat interval of {heartbeat_interval}: send \
                 heartbeats more often, or raise it up to {longest}",
                lease.duration
            ),
        }
    }
}

impl core::error::Error for ParamsError {}
