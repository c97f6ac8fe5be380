//! The blocks of pcapng, and what of them is a frame.

use pcap_parser::pcapng::Block;
use pcap_parser::traits::PcapNGPacketBlock;

use super::error::FileError;
use crate::frame::Link;
use crate::stream::Nanos;

const SECOND: Nanos = 1_000_000_000;
/// More interfaces than a capture has.
const INTERFACES: usize = 65_536;

#[derive(Clone, Copy)]
/// What an interface says of the packets captured there.
pub(super) struct Interface {
    pub(super) link: Link,
    /// As the option `if_tsresol` has it: a negative power of 10, or of 2 with the highest bit set.
    pub(super) resolution: u8,
    /// In seconds.
    pub(super) offset: i64,
}

/// A block, as far as its frame goes: where that is, from the beginning of the block.
pub(super) struct Found {
    pub(super) at: Option<Nanos>,
    pub(super) link: Link,
    pub(super) start: usize,
    pub(super) len: usize,
    pub(super) original: usize,
}

/// What was read.
pub(super) enum Step {
    Frame(Found),
    Other,
}

/// What is known of a block by its beginning.
pub(super) enum Peek {
    /// There is too little of it.
    Short,
    /// It is none.
    Malformed,
    /// It is of so many bytes, and of no use here.
    Skip(usize),
    /// It is of so many bytes.
    Read(usize),
}

/// Looks at the beginning of a block of pcapng, and notes the byte order where a section begins. Only
/// what is of use is given to the parser: it is strict, and fails with what nobody asked for.
pub(super) fn peek(data: &[u8], big_endian: &mut bool) -> Peek {
    const SECTION: u32 = 0x0A0D_0D0A;
    const USED: [u32; 4] = [SECTION, 1, 3, 6];
    let Some((kind, rest)) = data.split_first_chunk::<4>() else { return Peek::Short };
    let Some((length, rest)) = rest.split_first_chunk::<4>() else { return Peek::Short };
    let Some((order, _)) = rest.split_first_chunk::<4>() else { return Peek::Short };
    if u32::from_be_bytes(*kind) == SECTION {
        *big_endian = match order {
            [0x1A, 0x2B, 0x3C, 0x4D] => true,
            [0x4D, 0x3C, 0x2B, 0x1A] => false,
            _ => return Peek::Malformed,
        };
    }
    let number = if *big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
    let (kind, length) = (number(*kind), number(*length) as usize);
    match length {
        0..12 => Peek::Malformed,
        _ if !length.is_multiple_of(4) => Peek::Malformed,
        _ if USED.contains(&kind) => Peek::Read(length),
        _ => Peek::Skip(length),
    }
}

/// A block of pcapng (draft-ietf-opsawg-pcapng section 4). A packet block without an interface is a
/// frame of unknown kind, so that it is counted.
pub(super) fn next_block(
    block: &Block<'_>,
    interfaces: &mut Vec<Interface>,
) -> Result<Step, FileError> {
    const ENHANCED: usize = 28;
    const SIMPLE: usize = 12;
    match block {
        Block::SectionHeader(_) => interfaces.clear(),
        Block::InterfaceDescription(block) => {
            if interfaces.len() >= INTERFACES {
                return Err(FileError::Malformed);
            }
            interfaces.push(Interface {
                link: Link::of((block.linktype.0 & 0xFFFF) as u16),
                resolution: block.if_tsresol,
                offset: block.if_tsoffset,
            });
        }
        Block::EnhancedPacket(block) => {
            let interface = interfaces.get(block.if_id as usize);
            let units = u64::from(block.ts_high) << 32 | u64::from(block.ts_low);
            return Ok(Step::Frame(Found {
                at: interface.map(|interface| interface.time(units)),
                link: interface.map_or(Link::Unknown(u16::MAX), |interface| interface.link),
                start: ENHANCED,
                len: block.packet_data().len(),
                original: block.origlen as usize,
            }));
        }
        Block::SimplePacket(block) => {
            return Ok(Step::Frame(Found {
                at: None,
                link: interfaces.first().map_or(Link::Unknown(u16::MAX), |first| first.link),
                start: SIMPLE,
                len: block.data.len().min(block.origlen as usize),
                original: block.origlen as usize,
            }));
        }
        _ => {}
    }
    Ok(Step::Other)
}

impl Interface {
    /// So many units, without the offset.
    pub(super) fn nanos(self, units: u64) -> Nanos {
        let nanos = u128::from(units) * u128::from(SECOND);
        let power = u32::from(self.resolution & 0x7F);
        let nanos = if self.resolution & 0x80 != 0 {
            nanos >> power
        } else {
            10_u128.checked_pow(power).map_or(0, |per_second| nanos / per_second)
        };
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }

    /// When a packet was seen, in units of its interface.
    fn time(self, units: u64) -> Nanos {
        let offset = self.offset.saturating_mul(SECOND.cast_signed());
        self.nanos(units).saturating_add_signed(offset)
    }
}
