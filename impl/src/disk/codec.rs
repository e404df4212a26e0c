//! The bytes of what is stored. Every value names its version, its kind and itself, and ends with a
//! checksum of all that. The checksum is seeded with the incarnation of the directory, so a value
//! that another directory wrote is none of ours.

use std::sync::Arc;

use quorate_spec::small::Set;
use quorate_spec::{Configuration, EntryId, HardState, Index, NodeId, Snapshot, Target, Term};
use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::record::{Content, Record};

/// The version of every value that is written here.
const VERSION: u8 = 1;

const NO_OP: u8 = 1;
const COMMAND: u8 = 2;
const CONFIGURATION: u8 = 3;
const HEAD: u8 = 4;
const MANIFEST: u8 = 5;

/// What is wrong with a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub(super) enum Damage {
    /// The bytes are not those that were written, or another directory wrote them.
    #[error("its checksum does not fit")]
    Checksum,
    /// A newer program wrote it, or none at all.
    #[error("it has version {0}, and this program reads version {VERSION}")]
    Version(u8),
    /// The checksum fits, but not the content.
    #[error("its content makes no sense")]
    Content,
}

/// A log entry as it is stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Stored {
    pub(super) record: Record,
    /// The term of the entry before it. The name of an entry stands for all that come before it, so
    /// this chains the log: no entry fits after another one than that after which it was written.
    pub(super) previous: Term,
    /// The configuration, where the entry is one.
    pub(super) configuration: Option<Configuration>,
}

/// What every group of writes leaves beside its entries: all that the log is, but for the entries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Head {
    /// The number of the group, counted from the creation of the directory.
    pub(super) group: u64,
    pub(super) hard_state: HardState,
    /// What the log begins with.
    pub(super) base: Snapshot,
    /// What it ends with.
    pub(super) last: EntryId,
}

/// What is known of a state of the machine that is in a file of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Manifest {
    pub(super) last: EntryId,
    /// The length of the state in bytes.
    pub(super) length: u64,
    /// The checksum of the checksums of its chunks.
    pub(super) checksum: u64,
}

/// Makes and reads values of one directory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Codec {
    /// The incarnation of the directory.
    pub(super) seed: u64,
}

impl Codec {
    /// The value of a record which follows an entry of term `previous`.
    pub(super) fn entry(
        self,
        record: &Record,
        previous: Term,
        configuration: Option<&Configuration>,
    ) -> Vec<u8> {
        let kind = match (&record.content, configuration) {
            (_, Some(_)) => CONFIGURATION,
            (Content::Command(_), None) => COMMAND,
            (Content::NoOp | Content::Configuration, None) => NO_OP,
        };
        self.seal(kind, record.len(), |bytes| {
            put_id(bytes, record.id);
            put(bytes, previous.0);
            match (&record.content, configuration) {
                (_, Some(configuration)) => put_configuration(bytes, configuration),
                (Content::Command(payload), None) => bytes.extend_from_slice(payload),
                (Content::NoOp | Content::Configuration, None) => {}
            }
        })
    }

    /// The record in this value.
    pub(super) fn read_entry(self, value: &[u8]) -> Result<Stored, Damage> {
        let (kind, mut body) = self.open(value)?;
        let (id, previous) = (body.id()?, Term(body.number()?));
        let mut configuration = None;
        let content = match kind {
            NO_OP => Content::NoOp,
            CONFIGURATION => {
                configuration = Some(body.configuration()?);
                Content::Configuration
            }
            COMMAND => Content::Command(Arc::from(std::mem::take(&mut body.0))),
            _ => return Err(Damage::Content),
        };
        body.end()?;
        Ok(Stored { record: Record { id, content }, previous, configuration })
    }

    pub(super) fn head(self, head: &Head) -> Vec<u8> {
        self.seal(HEAD, 0, |bytes| {
            put(bytes, head.group);
            put(bytes, head.hard_state.current_term.0);
            put_option(bytes, head.hard_state.voted_for, |bytes, id| put(bytes, id.0));
            put_id(bytes, head.base.last);
            put_configuration(bytes, &head.base.configuration);
            put_id(bytes, head.last);
        })
    }

    pub(super) fn read_head(self, value: &[u8]) -> Result<Head, Damage> {
        let mut body = self.open_as(HEAD, value)?;
        let group = body.number()?;
        let current_term = Term(body.number()?);
        let voted_for = body.option(|body| body.number().map(NodeId))?;
        let (last, configuration) = (body.id()?, body.configuration()?);
        let head = Head {
            group,
            hard_state: HardState { current_term, voted_for },
            base: Snapshot::new(last, configuration),
            last: body.id()?,
        };
        body.end()?;
        Ok(head)
    }

    pub(super) fn manifest(self, manifest: &Manifest) -> Vec<u8> {
        self.seal(MANIFEST, 0, |bytes| {
            put_id(bytes, manifest.last);
            put(bytes, manifest.length);
            put(bytes, manifest.checksum);
        })
    }

    pub(super) fn read_manifest(self, value: &[u8]) -> Result<Manifest, Damage> {
        let mut body = self.open_as(MANIFEST, value)?;
        let (last, length) = (body.id()?, body.number()?);
        let manifest = Manifest { last, length, checksum: body.number()? };
        body.end()?;
        Ok(manifest)
    }

    fn seal(self, kind: u8, room: usize, fill: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(room + 40);
        bytes.extend([VERSION, kind]);
        fill(&mut bytes);
        let checksum = xxh3_64_with_seed(&bytes, self.seed);
        put(&mut bytes, checksum);
        bytes
    }

    fn open(self, value: &[u8]) -> Result<(u8, Body<'_>), Damage> {
        let (sealed, checksum) = value.split_last_chunk().ok_or(Damage::Checksum)?;
        if xxh3_64_with_seed(sealed, self.seed) != u64::from_le_bytes(*checksum) {
            return Err(Damage::Checksum);
        }
        match sealed {
            [VERSION, kind, body @ ..] => Ok((*kind, Body(body))),
            [version, ..] => Err(Damage::Version(*version)),
            [] => Err(Damage::Content),
        }
    }

    fn open_as(self, kind: u8, value: &[u8]) -> Result<Body<'_>, Damage> {
        let (found, body) = self.open(value)?;
        if found == kind { Ok(body) } else { Err(Damage::Content) }
    }
}

fn put(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend(number.to_le_bytes());
}

fn put_id(bytes: &mut Vec<u8>, id: EntryId) {
    put(bytes, id.term.0);
    put(bytes, id.index.0);
}

fn put_option<T>(bytes: &mut Vec<u8>, value: Option<T>, fill: impl FnOnce(&mut Vec<u8>, T)) {
    bytes.push(u8::from(value.is_some()));
    if let Some(value) = value {
        fill(bytes, value);
    }
}

fn put_servers(bytes: &mut Vec<u8>, servers: &Set<NodeId>) {
    put(bytes, servers.len() as u64);
    servers.iter().for_each(|id| put(bytes, id.0));
}

fn put_configuration(bytes: &mut Vec<u8>, configuration: &Configuration) {
    let Configuration { voters, outgoing, learners, target } = configuration;
    for servers in [voters, outgoing, learners] {
        put_servers(bytes, servers);
    }
    put_option(bytes, target.as_ref(), |bytes, target| {
        put_servers(bytes, &target.voters);
        put_servers(bytes, &target.learners);
    });
}

/// What is left to read of a value.
struct Body<'a>(&'a [u8]);

impl Body<'_> {
    fn byte(&mut self) -> Result<u8, Damage> {
        let (first, rest) = self.0.split_first().ok_or(Damage::Content)?;
        self.0 = rest;
        Ok(*first)
    }

    fn number(&mut self) -> Result<u64, Damage> {
        let (first, rest) = self.0.split_first_chunk().ok_or(Damage::Content)?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*first))
    }

    fn id(&mut self) -> Result<EntryId, Damage> {
        Ok(EntryId { term: Term(self.number()?), index: Index(self.number()?) })
    }

    fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Damage>,
    ) -> Result<Option<T>, Damage> {
        match self.byte()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(Damage::Content),
        }
    }

    /// Servers, in order and each once: the only way in which they are written.
    fn servers(&mut self) -> Result<Set<NodeId>, Damage> {
        let count = self.number()?;
        let mut servers = Set::new();
        for _ in 0..count {
            let id = NodeId(self.number()?);
            if servers.last().is_some_and(|before| *before >= id) {
                return Err(Damage::Content);
            }
            servers.insert(id);
        }
        Ok(servers)
    }

    fn configuration(&mut self) -> Result<Configuration, Damage> {
        let (voters, outgoing) = (self.servers()?, self.servers()?);
        let learners = self.servers()?;
        let target =
            self.option(|body| Ok(Target { voters: body.servers()?, learners: body.servers()? }))?;
        Ok(Configuration { voters, outgoing, learners, target })
    }

    fn end(&self) -> Result<(), Damage> {
        if self.0.is_empty() { Ok(()) } else { Err(Damage::Content) }
    }
}

#[cfg(test)]
mod tests {
    use quickcheck::{Arbitrary, Gen, TestResult, quickcheck};

    use super::*;

    const CODEC: Codec = Codec { seed: 7 };

    fn servers(g: &mut Gen) -> Set<NodeId> {
        Vec::<u64>::arbitrary(g).into_iter().map(NodeId).collect()
    }

    fn id(g: &mut Gen) -> EntryId {
        EntryId { term: Term(u64::arbitrary(g)), index: Index(u64::arbitrary(g)) }
    }

    fn configuration(g: &mut Gen) -> Configuration {
        let target =
            bool::arbitrary(g).then(|| Target { voters: servers(g), learners: servers(g) });
        Configuration { voters: servers(g), outgoing: servers(g), learners: servers(g), target }
    }

    impl Arbitrary for Stored {
        fn arbitrary(g: &mut Gen) -> Stored {
            let (content, configuration) = match u8::arbitrary(g) % 3 {
                0 => (Content::NoOp, None),
                1 => (Content::Configuration, Some(configuration(g))),
                _ => (Content::Command(Vec::<u8>::arbitrary(g).into()), None),
            };
            let record = Record { id: id(g), content };
            Stored { record, previous: Term(u64::arbitrary(g)), configuration }
        }
    }

    impl Arbitrary for Head {
        fn arbitrary(g: &mut Gen) -> Head {
            let voted_for = Option::<u64>::arbitrary(g).map(NodeId);
            let current_term = Term(u64::arbitrary(g));
            let base = Snapshot::new(id(g), configuration(g));
            let hard_state = HardState { current_term, voted_for };
            Head { group: u64::arbitrary(g), hard_state, base, last: id(g) }
        }
    }

    fn entry(Stored { record, previous, configuration }: &Stored) -> Vec<u8> {
        CODEC.entry(record, *previous, configuration.as_ref())
    }

    quickcheck! {
        fn an_entry_comes_back(stored: Stored) -> bool {
            CODEC.read_entry(&entry(&stored)) == Ok(stored)
        }

        fn a_head_comes_back(head: Head) -> bool {
            CODEC.read_head(&CODEC.head(&head)) == Ok(head)
        }

        fn a_manifest_comes_back(term: u64, index: u64, length: u64, checksum: u64) -> bool {
            let last = EntryId { term: Term(term), index: Index(index) };
            let manifest = Manifest { last, length, checksum };
            CODEC.read_manifest(&CODEC.manifest(&manifest)) == Ok(manifest)
        }

        fn a_flipped_bit_is_seen(stored: Stored, at: usize, bit: u8) -> bool {
            let mut value = entry(&stored);
            let at = at % value.len();
            value[at] ^= 1 << (bit % 8);
            CODEC.read_entry(&value).is_err()
        }

        fn a_shorter_value_is_none(stored: Stored, at: usize) -> bool {
            let value = entry(&stored);
            CODEC.read_entry(&value[..at % value.len()]).is_err()
        }

        fn another_directory_reads_none(stored: Stored, seed: u64) -> TestResult {
            if seed == CODEC.seed {
                return TestResult::discard();
            }
            let foreign = Codec { seed }.read_entry(&entry(&stored));
            TestResult::from_bool(foreign == Err(Damage::Checksum))
        }

        // The checksum is right, so the hostile bytes reach the decoders.
        fn hostile_bytes_are_an_error_or_a_value_that_is_written_the_same(body: Vec<u8>) -> bool {
            let hostile = |kind: u8| CODEC.seal(kind, 0, |bytes| bytes.extend(&body));
            [NO_OP, COMMAND, CONFIGURATION].into_iter().all(|kind| {
                let value = hostile(kind);
                CODEC.read_entry(&value).is_ok_and(|stored| entry(&stored) != value).eq(&false)
            }) && CODEC.read_head(&hostile(HEAD)).is_ok_and(|head| {
                CODEC.head(&head) != hostile(HEAD)
            }).eq(&false)
        }
    }

    #[test]
    fn a_newer_version_is_told_from_damage() {
        let mut sealed = vec![VERSION + 1, NO_OP];
        let checksum = xxh3_64_with_seed(&sealed, CODEC.seed);
        put(&mut sealed, checksum);
        assert_eq!(CODEC.read_entry(&sealed), Err(Damage::Version(VERSION + 1)));
    }
}
