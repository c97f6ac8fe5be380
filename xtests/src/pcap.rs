//! Files of packets as libpcap writes them, no more than tests need to carry packets from one place to another.

use std::fs;
use std::path::Path;

use crate::Result;

const HEADER: usize = 24;
const RECORD: usize = 16;
/// Little-endian, with microseconds.
const MAGIC: [u8; 4] = [0xd4, 0xc3, 0xb2, 0xa1];

/// A file's packets, each with its header of sixteen bytes.
#[derive(Clone, Debug)]
pub struct Pcap {
    header: Vec<u8>,
    /// In the order of the file.
    pub packets: Vec<Vec<u8>>,
}

impl Pcap {
    /// Reads one.
    ///
    /// # Errors
    /// It is none, or ends within a packet.
    pub fn read(file: &Path) -> Result<Self> {
        let bytes = fs::read(file)?;
        let (header, mut rest) = bytes.split_at_checked(HEADER).ok_or("no header")?;
        if header[..4] != MAGIC {
            return Err("not little-endian pcap with microseconds".into());
        }
        let mut packets = Vec::new();
        while !rest.is_empty() {
            let length = rest.get(8..12).ok_or("ended within a header")?.try_into()?;
            let length = RECORD + usize::try_from(u32::from_le_bytes(length))?;
            let (packet, behind) = rest.split_at_checked(length).ok_or("ended within a packet")?;
            packets.push(packet.to_vec());
            rest = behind;
        }
        Ok(Self { header: header.to_vec(), packets })
    }

    /// Writes it.
    ///
    /// # Errors
    /// What the disk says.
    pub fn write(&self, file: &Path) -> Result<()> {
        Ok(fs::write(file, [&self.header, &self.packets.concat()].map(Vec::as_slice).concat())?)
    }

    /// The bytes of each packet as they were on the wire.
    pub fn frames(&self) -> impl Iterator<Item = &[u8]> {
        self.packets.iter().map(|packet| &packet[RECORD..])
    }

    /// Takes out all packets that carry these bytes, and says how many they were.
    pub fn take_out(&mut self, bytes: &[u8]) -> usize {
        let all = self.packets.len();
        self.packets.retain(|packet| !packet.windows(bytes.len()).any(|part| part == bytes));
        all - self.packets.len()
    }

    /// Puts packets into another order: none moves by more than `window`.
    pub fn shuffle(&mut self, window: usize) {
        let mut dice = 7;
        self.packets.chunks_mut(window).for_each(|part| shuffle(part, &mut dice));
    }

    /// The same, and none overtakes one of another connection or of the other direction. The packets are of TCP over
    /// IPv4 over Ethernet.
    pub fn shuffle_each_way(&mut self, window: usize) {
        let mut dice = 7;
        let runs = self.packets.chunk_by_mut(|one, other| way(one) == way(other));
        runs.flat_map(|run| run.chunks_mut(window)).for_each(|part| shuffle(part, &mut dice));
    }
}

/// Both addresses and ports.
fn way(packet: &[u8]) -> Option<&[u8]> {
    packet.get(RECORD + 26..RECORD + 38)
}

fn shuffle(part: &mut [Vec<u8>], dice: &mut u64) {
    for at in (1..part.len()).rev() {
        *dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let other = usize::try_from(*dice >> 33).unwrap_or_default() % (at + 1);
        part.swap(at, other);
    }
}
