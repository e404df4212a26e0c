//! What is wrong with bytes that came from outside.

use thiserror::Error;

/// Why bytes are not what a node of this version writes. Whoever sent them is not heard any more;
/// nothing else comes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum WireError {
    /// They do not begin as everything of Quorate begins.
    #[error("these are no bytes of Quorate: does something else use this port?")]
    Magic,
    /// They were written under another version of the protocol than the handshake agreed on.
    #[error("a frame of version {got} came where version {agreed} was agreed on")]
    Version {
        /// The version of the frame.
        got: u8,
        /// The version that the handshake agreed on.
        agreed: u8,
    },
    /// There is no such kind of frame.
    #[error("there is no kind {0} of frames")]
    Kind(u8),
    /// A frame of a known kind came where it has no business.
    #[error("a frame came that has no business here")]
    OutOfTurn,
    /// A frame is longer than this node takes.
    #[error(
        "a frame of {length} bytes came, and the limit is {limit}: raise `max_frame` on every node, or propose shorter commands"
    )]
    TooLong {
        /// The length that it names.
        length: usize,
        /// The most that is taken.
        limit: usize,
    },
    /// The bytes are not those that were sent.
    #[error("the checksum does not fit: the bytes were damaged on their way")]
    Checksum,
    /// The bytes end too early, go on too long, or mean nothing.
    #[error("the bytes do not mean anything")]
    Malformed,
    /// No honest node says this: contents that are not those of the entries named, indices past
    /// every log, terms past every election.
    #[error("a message came that no honest node sends")]
    Implausible,
}
