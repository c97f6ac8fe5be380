//! The records of one direction of TLS (RFC 8446 section 5.1), in any pieces.

/// What a record is at most: its content, and what ciphers may add to it in TLS 1.2.
const MOST: usize = (1 << 14) + 2048;
const HEAD: usize = 5;

/// Reads the records of one direction.
#[derive(Debug, Default)]
pub(crate) struct Records {
    head: Vec<u8>,
    payload: Vec<u8>,
    /// Bytes of the payload that are missing.
    missing: usize,
}

/// What a step has found.
#[derive(Debug)]
pub(crate) enum Record {
    Nothing,
    Whole {
        head: [u8; HEAD],
        payload: Vec<u8>,
    },
    /// One of which bytes are missing, and how long its payload was.
    Damaged {
        kind: u8,
        payload: usize,
    },
    /// What is no record.
    Malformed,
}

impl Records {
    /// Reads on; what is left of the bytes comes first.
    pub(crate) fn step<'a>(&mut self, bytes: &'a [u8]) -> (&'a [u8], Record) {
        if self.head.len() < HEAD {
            let (now, rest) = bytes.split_at(bytes.len().min(HEAD - self.head.len()));
            self.head.extend_from_slice(now);
            if !self.may_begin() {
                return (rest, Record::Malformed);
            }
            let is_empty = self.length() == Some(0);
            return (rest, if is_empty { self.whole() } else { Record::Nothing });
        }
        let left = self.left();
        let (now, rest) = bytes.split_at(bytes.len().min(left));
        self.payload.extend_from_slice(now);
        (rest, if now.len() == left { self.whole() } else { Record::Nothing })
    }

    /// So many bytes are missing; whether they are all of one record, and what that ends.
    pub(crate) fn gap(&mut self, missing: Option<u64>) -> Option<Record> {
        let missing = usize::try_from(missing?).ok()?;
        if self.head.len() < HEAD || missing > self.left() {
            return None;
        }
        self.missing += missing;
        Some(if self.left() == 0 { self.whole() } else { Record::Nothing })
    }

    /// Bytes that it holds.
    pub(crate) fn holds(&self) -> usize {
        self.payload.len()
    }

    fn length(&self) -> Option<usize> {
        let length = self.head.get(3..HEAD)?;
        Some(usize::from(length[0]) << 8 | usize::from(length[1]))
    }

    fn left(&self) -> usize {
        self.length().unwrap_or(0).saturating_sub(self.payload.len() + self.missing)
    }

    fn may_begin(&self) -> bool {
        let kind = self.head.first().is_none_or(|it| (20..=23).contains(it));
        let version = self.head.get(1).is_none_or(|it| *it == 3)
            && self.head.get(2).is_none_or(|it| *it <= 4);
        kind && version && self.length().is_none_or(|it| it <= MOST)
    }

    fn whole(&mut self) -> Record {
        let payload = std::mem::take(&mut self.payload);
        let missing = std::mem::take(&mut self.missing);
        let head = self.head.first_chunk().copied();
        self.head.clear();
        match head {
            Some(head) if missing == 0 => Record::Whole { head, payload },
            Some(head) => Record::Damaged { kind: head[0], payload: payload.len() + missing },
            None => Record::Malformed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_within_a_record_leaves_its_end_known() {
        let mut records = Records::default();
        records.step(b"\x17\x03\x03\x00\x05");
        records.step(b"ab");
        assert!(matches!(records.gap(Some(2)), Some(Record::Nothing)));
        let (rest, record) = records.step(b"e\x17\x03\x03\x00\x00");
        assert!(matches!(record, Record::Damaged { kind: 23, payload: 5 }));
        assert!(matches!(records.step(rest).1, Record::Whole { .. }));
        assert!(records.gap(Some(1)).is_none());
        records.step(b"\x17\x03\x03\x00\x05");
        records.step(b"ab");
        assert!(records.gap(Some(4)).is_none() && records.gap(None).is_none());
    }

    #[test]
    fn what_is_no_record_is_told_by_its_first_bytes() {
        for bytes in [&b"G"[..], b"\x16\x02", b"\x16\x03\x05", b"\x16\x03\x01\xff\xff"] {
            assert!(matches!(Records::default().step(bytes).1, Record::Malformed), "{bytes:x?}");
        }
    }
}
