//! What `mirrorlab-capture` says became of packets and requests.

use std::collections::BTreeMap;

use xtests::{Result, ensure};

/// What became of packets and requests, as it is told.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    packets: u64,
    pub(crate) fates: BTreeMap<String, u64>,
    /// Holes in what was captured.
    pub(crate) gaps: u64,
    requests: u64,
    pub(crate) exchanges: u64,
    /// Those of which a body was not kept, so that they are not recorded.
    pub(crate) left_out: u64,
    pub(crate) lost: BTreeMap<String, u64>,
}

/// Losses that are of a request; others are of bodies, or of answers alone.
const OF_REQUESTS: [&str; 11] = [
    "gap",
    "malformed",
    "head_too_large",
    "out_of_step",
    "cut_short",
    "no_answer",
    "reset",
    "too_many_pending",
    "no_room",
    "tunnel",
    "http_0_9",
];

impl Sums {
    /// From what it writes to standard error.
    pub(crate) fn read(told: &str) -> Result<Self> {
        let mut sums = Self::default();
        let list = |text: &str| -> Result<BTreeMap<String, u64>> {
            let words = text.trim_matches(['(', ')']).split(", ").filter(|it| !it.is_empty());
            let pairs = words.map(|word| word.split_once(' ').ok_or("no count"));
            pairs
                .map(|pair| {
                    pair.map_or_else(|e| Err(e.into()), |(n, it)| Ok((it.to_owned(), n.parse()?)))
                })
                .collect()
        };
        for line in told.lines() {
            if let Some(rest) = line.strip_prefix("packets: ") {
                let (count, fates) = rest.split_once(' ').ok_or("no fates")?;
                (sums.packets, sums.fates) = (count.parse()?, list(fates)?);
            } else if let Some(rest) = line.strip_prefix("connections: ") {
                let gaps = rest.split([';', ',']).find_map(|part| part.strip_suffix(" gaps"));
                sums.gaps = gaps.ok_or("no gaps")?.trim().parse()?;
            } else if let Some(rest) = line.strip_prefix("requests: ") {
                let numbers: Vec<_> = rest.split(' ').filter_map(|it| it.parse().ok()).collect();
                let [requests, exchanges] = numbers[..] else { return Err(line.into()) };
                (sums.requests, sums.exchanges) = (requests, exchanges);
            } else if let Some(rest) = line.strip_prefix("lost: ") {
                sums.lost = list(rest)?;
            } else if let Some(rest) = line.strip_prefix("left out: ") {
                let (count, _) = rest.split_once(',').ok_or("no reason")?;
                sums.left_out += count.parse::<u64>()?;
            }
        }
        Ok(sums)
    }

    /// Every packet and every request is counted once.
    pub(crate) fn close(&self, packets: usize, exchanges: usize) -> Result<()> {
        let of_requests = self.lost.iter().filter(|(name, _)| OF_REQUESTS.contains(&name.as_str()));
        let lost: u64 = of_requests.map(|(_, count)| count).sum();
        ensure!(self.packets == packets as u64, "of {packets} packets: {self:?}");
        ensure!(self.fates.values().sum::<u64>() == self.packets, "{self:?}");
        let whole = self.exchanges - self.left_out;
        ensure!(whole == exchanges as u64, "{exchanges} came out: {self:?}");
        ensure!(self.requests == self.exchanges + lost, "{self:?}");
        Ok(())
    }

    /// How many were lost for this reason.
    pub(crate) fn lost_of(&self, why: &str) -> u64 {
        self.lost.get(why).copied().unwrap_or_default()
    }
}
