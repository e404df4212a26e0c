//! The handshake: 114 bytes from whoever connects, and 114 bytes in answer. From the first release on
//! its form never changes, so that nodes of any two versions can tell each other why they do not talk.
//!
//! ```text
//!  0            8        9       10      11       12        14    22           30         38
//!  "QUORATE\n"  verdict  oldest  newest  purpose  reserved  from  incarnation  directory  to
//!
//!  46      47       110
//!  length  cluster  crc32c
//! ```
//! The incarnation is the process's, and another one after each start. The directory's number is that of
//! the disk, and the same for as long as the id is: see [`Register`](crate::disk::Register). It is zero
//! where there is no directory.

use quorate_spec::NodeId;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::codec::VERSION;
use super::fault::Fault;
use super::identity::{ClusterId, Identity, Incarnation};
use super::wire::WireError;
use crate::disk::DirectoryId;

/// How it begins.
pub(crate) const MAGIC: [u8; 8] = *b"QUORATE\n";
/// Its length in bytes.
pub(crate) const LENGTH: usize = 114;
const CLUSTER: usize = 47;
const CHECKSUM: usize = LENGTH - 4;

/// Why a node does not talk to another one. It is told to the other one, too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Error)]
pub enum Objection {
    /// The two nodes name different clusters.
    #[error("foreign cluster: the two nodes belong to different clusters")]
    ForeignCluster,
    /// The address leads to another node than the one that was meant.
    #[error("wrong node: the address leads to another node than the one that was meant")]
    WrongNode,
    /// Both nodes have the same identity.
    #[error("same node: both have the same id, which is never given twice")]
    SameNode,
    /// There is no version of the protocol that both speak.
    #[error("version: the two nodes have no version of the protocol in common")]
    Version,
    /// The certificate is one of this authority, and of another node.
    #[error("certificate: it is not that of the node that it came with")]
    Certificate,
    /// The connection is not encrypted, and the node takes no other.
    #[error("TLS: this node takes encrypted connections only, and the other one came without")]
    NeedsTls,
    /// The connection is encrypted, and the node is open.
    #[error("TLS: this node is open, and the other one came encrypted")]
    IsOpen,
    /// The node came with another directory than the one that it was met on.
    #[error(
        "other directory: this id was met on another directory, so its disk was emptied or replaced, \
         or another server came under this id first. A server that has forgotten its votes must not \
         vote: remove this id from the cluster by a change of members, and add the server again under a \
         new id, on an empty directory. Only where it never had another directory, take the id out of \
         the register of the node that refuses it, which is stopped meanwhile (`quorate::disk::forget`)"
    )]
    OtherDirectory,
    /// It cannot be noted down that the node was met.
    #[error(
        "not noted: it cannot be written down who was met; look at the disk of the node that says so"
    )]
    NotNoted,
    /// The node's address is not known, and many such were met.
    #[error(
        "stranger: the address of this id is not known, and too many ids without one have come"
    )]
    Stranger,
    /// The node's address is known, and it was not reached there yet.
    #[error(
        "not met yet: this node has an address of that id, and meets it there first; it goes on by \
         itself once it has, so where this lasts look at that address"
    )]
    NotMet,
}

impl Objection {
    pub(crate) const ALL: [Objection; 11] = [
        Objection::ForeignCluster,
        Objection::WrongNode,
        Objection::SameNode,
        Objection::Version,
        Objection::Certificate,
        Objection::NeedsTls,
        Objection::IsOpen,
        Objection::OtherDirectory,
        Objection::NotNoted,
        Objection::Stranger,
        Objection::NotMet,
    ];

    fn code(self) -> u8 {
        self as u8 + 1
    }
}

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Purpose {
    /// Packets.
    Messages,
    /// The states of snapshots, which would hold the packets up.
    Snapshot,
}

/// One side's half of the handshake.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Greeting {
    /// In an answer: why there is no conversation, none if there is.
    pub(crate) verdict: Option<Objection>,
    /// The versions that the sender speaks, from the oldest to the newest.
    pub(crate) versions: (u8, u8),
    pub(crate) purpose: Purpose,
    pub(crate) sender: Identity,
    /// Whom the sender takes the receiver for.
    pub(crate) to: NodeId,
}

impl Greeting {
    pub(crate) fn new(sender: &Identity, to: NodeId, purpose: Purpose) -> Greeting {
        let versions = (VERSION, VERSION);
        Greeting { verdict: None, versions, purpose, sender: sender.clone(), to }
    }

    /// What `me` has against whoever greets so; else the version that both speak.
    pub(crate) fn judge(&self, me: &Identity) -> Result<u8, Objection> {
        if self.sender.cluster != me.cluster {
            return Err(Objection::ForeignCluster);
        }
        if self.to != me.id {
            return Err(Objection::WrongNode);
        }
        if self.sender.id == me.id {
            return Err(Objection::SameNode);
        }
        let (oldest, newest) = self.versions;
        let (oldest, newest) = (oldest.max(VERSION), newest.min(VERSION));
        if oldest <= newest { Ok(newest) } else { Err(Objection::Version) }
    }

    pub(crate) fn encode(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8] = self.verdict.map_or(0, Objection::code);
        (bytes[9], bytes[10]) = self.versions;
        bytes[11] = self.purpose as u8;
        bytes[14..22].copy_from_slice(&self.sender.id.0.to_le_bytes());
        bytes[22..30].copy_from_slice(&self.sender.incarnation.0.to_le_bytes());
        let directory = self.sender.directory.map_or(0, |DirectoryId(number)| number.get());
        bytes[30..38].copy_from_slice(&directory.to_le_bytes());
        bytes[38..46].copy_from_slice(&self.to.0.to_le_bytes());
        let cluster = self.sender.cluster.as_str().as_bytes();
        bytes[46] = u8::try_from(cluster.len()).expect("it has at most 63");
        bytes[CLUSTER..CLUSTER + cluster.len()].copy_from_slice(cluster);
        let checksum = crc32c::crc32c(&bytes[..CHECKSUM]);
        bytes[CHECKSUM..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; LENGTH]) -> Result<Greeting, WireError> {
        if !bytes.starts_with(&MAGIC) {
            return Err(WireError::Magic);
        }
        let number = |at: usize| {
            let bytes = bytes[at..].first_chunk().expect("every field is inside");
            u64::from_le_bytes(*bytes)
        };
        let checksum = bytes.last_chunk().expect("it is longer");
        if crc32c::crc32c(&bytes[..CHECKSUM]) != u32::from_le_bytes(*checksum) {
            return Err(WireError::Checksum);
        }
        let verdict = match bytes[8] {
            0 => None,
            code => Some(
                Objection::ALL
                    .into_iter()
                    .find(|objection| objection.code() == code)
                    .ok_or(WireError::Malformed)?,
            ),
        };
        let purpose = match bytes[11] {
            0 => Purpose::Messages,
            1 => Purpose::Snapshot,
            _ => return Err(WireError::Malformed),
        };
        let length = usize::from(bytes[46]);
        let name = bytes[CLUSTER..CHECKSUM].get(..length).ok_or(WireError::Malformed)?;
        let name = std::str::from_utf8(name).map_err(|_| WireError::Malformed)?;
        let cluster = ClusterId::new(name).map_err(|_| WireError::Malformed)?;
        let (id, incarnation) = (NodeId(number(14)), Incarnation(number(22)));
        let sender = Identity { cluster, id, incarnation, directory: DirectoryId::new(number(30)) };
        let versions = (bytes[9], bytes[10]);
        Ok(Greeting { verdict, versions, purpose, sender, to: NodeId(number(38)) })
    }

    pub(crate) async fn write(&self, to: &mut (impl AsyncWrite + Unpin)) -> Result<(), Fault> {
        to.write_all(&self.encode()).await.map_err(Fault::of_io)?;
        to.flush().await.map_err(Fault::of_io)
    }

    pub(crate) async fn read(from: &mut (impl AsyncRead + Unpin)) -> Result<Greeting, Fault> {
        let mut bytes = [0; LENGTH];
        from.read_exact(&mut bytes).await.map_err(Fault::of_io)?;
        Ok(Greeting::decode(&bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(cluster: &str, id: u64) -> Identity {
        let cluster = ClusterId::new(cluster).expect("it is a label");
        let directory = DirectoryId::new(88);
        Identity { cluster, id: NodeId(id), incarnation: Incarnation(77), directory }
    }

    #[test]
    fn a_greeting_comes_out_as_it_went_in() {
        let longest = "x".repeat(63);
        for verdict in Objection::ALL.map(Some).into_iter().chain([None]) {
            for purpose in [Purpose::Messages, Purpose::Snapshot] {
                for directory in [None, DirectoryId::new(u64::MAX)] {
                    let sender = Identity { directory, ..identity(&longest, u64::MAX) };
                    let said = Greeting::new(&sender, NodeId(2), purpose);
                    let greeting = Greeting { verdict, ..said };
                    assert_eq!(Greeting::decode(&greeting.encode()), Ok(greeting));
                }
            }
        }
    }

    #[test]
    fn no_bit_of_a_greeting_can_flip_unnoticed() {
        let whole = Greeting::new(&identity("a", 1), NodeId(2), Purpose::Messages).encode();
        for bit in 0..8 * LENGTH {
            let mut damaged = whole;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Greeting::decode(&damaged).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn each_mismatch_has_its_name() {
        let me = identity("a", 2);
        let hello = Greeting::new(&identity("a", 1), NodeId(2), Purpose::Messages);
        assert_eq!(hello.judge(&me), Ok(VERSION));
        assert_eq!(hello.judge(&identity("b", 2)), Err(Objection::ForeignCluster));
        assert_eq!(hello.judge(&identity("a", 3)), Err(Objection::WrongNode));
        let mine = Greeting { sender: me.clone(), ..hello.clone() };
        assert_eq!(mine.judge(&me), Err(Objection::SameNode));
        let later = Greeting { versions: (VERSION + 1, VERSION + 4), ..hello.clone() };
        assert_eq!(later.judge(&me), Err(Objection::Version));
        let both = Greeting { versions: (0, VERSION + 4), ..hello };
        assert_eq!(both.judge(&me), Ok(VERSION));
    }
}
