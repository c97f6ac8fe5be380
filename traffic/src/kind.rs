//! Which format a recording has: by its first bytes, and only where they leave it open by its name.

use std::io::Read;

use crate::limits::Limits;

/// Bytes of a recording that are enough to tell.
pub const ENOUGH: usize = 4096;

/// The format of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The product's own: [`line`](crate::line).
    Line,
    /// Of GoReplay: [`gor`](crate::gor).
    Gor,
    /// [`har`](crate::har).
    Har,
    /// Packets, in the format of libpcap.
    Pcap,
    /// Packets, in the newer format.
    Pcapng,
}

/// How its bytes are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    Plain,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// The format of what begins with these bytes, [`ENOUGH`] of them or all, and has this name, which may be
/// empty. `None` if it is none that is known.
pub fn of(begin: &[u8], name: &str) -> Option<(Format, Packing)> {
    let packing = packing(begin);
    let format = match packing {
        Packing::Plain => format(begin),
        Packing::Gzip => format(&unpacked(flate2::bufread::MultiGzDecoder::new(begin))),
        Packing::Zstd => format(&unzstd(begin)),
    };
    // The first block of zstd may be longer than this; and nothing else that is read is packed so.
    let zstd = (packing == Packing::Zstd).then_some(Format::Line);
    format.or_else(|| named(name)).or(zstd).map(|format| (format, packing))
}

/// By the magic number alone.
pub fn packing(begin: &[u8]) -> Packing {
    match begin {
        [0x1f, 0x8b, ..] => Packing::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Packing::Zstd,
        // A frame that is to be skipped may stand in front (RFC 8878, 3.1.2).
        [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Packing::Zstd,
        _ => Packing::Plain,
    }
}

/// As much as is there of the first bytes.
fn unpacked(source: impl Read) -> Vec<u8> {
    let mut begin = Vec::new();
    // What is cut off ends with an error, and what came before it is there.
    source.take(ENOUGH as u64).read_to_end(&mut begin).unwrap_or_default();
    begin
}

fn unzstd(begin: &[u8]) -> Vec<u8> {
    let Ok(mut decoder) = zstd::stream::read::Decoder::with_buffer(begin) else {
        return Vec::new();
    };
    let bounded = decoder.window_log_max(Limits::default().window_log);
    bounded.map(|()| unpacked(decoder)).unwrap_or_default()
}

fn format(begin: &[u8]) -> Option<Format> {
    let magic: Option<&[u8; 4]> = begin.first_chunk();
    match magic {
        // In either order of bytes, with times in microseconds or nanoseconds.
        Some([0xa1, 0xb2, 0xc3, 0xd4] | [0xd4, 0xc3, 0xb2, 0xa1]) => return Some(Format::Pcap),
        Some([0xa1, 0xb2, 0x3c, 0x4d] | [0x4d, 0x3c, 0xb2, 0xa1]) => return Some(Format::Pcap),
        Some([0x0a, 0x0d, 0x0d, 0x0a]) => return Some(Format::Pcapng),
        _ => {}
    }
    let text = begin.strip_prefix(b"\xef\xbb\xbf").unwrap_or(begin).trim_ascii_start();
    if text.starts_with(b"{") {
        // An entry of the product's own, too, may have a `log` somewhere; but not as a first key.
        let rest = text[1..].trim_ascii_start();
        let key = rest.strip_prefix(b"\"log\"").map(<[u8]>::trim_ascii_start);
        let har = key.is_some_and(|rest| rest.starts_with(b":"));
        return Some(if har { Format::Har } else { Format::Line });
    }
    is_gor(text).then_some(Format::Gor)
}

/// `1 ID TIME`.
fn is_gor(text: &[u8]) -> bool {
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut fields = line.trim_ascii_end().split(|byte| *byte == b' ');
    let kind = fields.next().is_some_and(|it| matches!(it, b"1" | b"2" | b"3"));
    let id = fields.next().is_some_and(|it| !it.is_empty());
    let time = fields.next().is_some_and(|it| !it.is_empty() && it.iter().all(u8::is_ascii_digit));
    kind && id && time
}

fn named(name: &str) -> Option<Format> {
    let name = name.to_ascii_lowercase();
    let packings = [".part", ".gz", ".zst"];
    let name = packings.iter().fold(&*name, |name, end| name.strip_suffix(end).unwrap_or(name));
    match name.rsplit_once('.')?.1 {
        "jsonl" | "ndjson" => Some(Format::Line),
        "gor" => Some(Format::Gor),
        "har" => Some(Format::Har),
        "pcap" | "cap" => Some(Format::Pcap),
        "pcapng" => Some(Format::Pcapng),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::made;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text).unwrap();
        gzip.finish().unwrap()
    }

    #[test]
    fn the_first_bytes_say_the_format_packed_or_not() {
        let mut line = Vec::new();
        crate::line::write(&made::plain(1), &mut line);
        let cases: [(&[u8], Format); 10] = [
            (&line, Format::Line),
            (b"{\"log\" : {\"version\":\"1.2\"", Format::Har),
            (b"\xef\xbb\xbf\n{\n  \"log\": {", Format::Har),
            (b"{\"logged\": 1}", Format::Line),
            (b"1 abc 123 0\nGET /", Format::Gor),
            (b"2 abc 123\nHTTP/1.1", Format::Gor),
            (b"\xd4\xc3\xb2\xa1\x02", Format::Pcap),
            (b"\xa1\xb2\x3c\x4d\x02", Format::Pcap),
            (b"\x0a\x0d\x0d\x0a\x1c\0\0\0", Format::Pcapng),
            (b"\x4d\x3c\xb2\xa1", Format::Pcap),
        ];
        for (begin, format) in cases {
            assert_eq!(of(begin, "x.txt"), Some((format, Packing::Plain)));
            assert_eq!(of(&gzip(begin), ""), Some((format, Packing::Gzip)));
            let zstd = zstd::encode_all(begin, 3).unwrap();
            assert_eq!(of(&zstd, ""), Some((format, Packing::Zstd)));
        }
    }

    #[test]
    fn a_beginning_that_is_cut_off_in_the_packing_is_enough() {
        let mut text = Vec::new();
        (0..9000).for_each(|at| crate::line::write(&made::plain(at), &mut text));
        let packed = gzip(&text);
        assert_eq!(of(&packed[..ENOUGH], ""), Some((Format::Line, Packing::Gzip)));
        let packed = zstd::encode_all(&text[..], 3).unwrap();
        assert_eq!(of(&packed[..ENOUGH], ""), Some((Format::Line, Packing::Zstd)));
    }

    #[test]
    fn the_content_goes_before_the_name_and_the_name_before_nothing() {
        assert_eq!(of(b"1 abc 123 0\n", "x.har"), Some((Format::Gor, Packing::Plain)));
        assert_eq!(of(b"", "a/b.GOR.gz"), Some((Format::Gor, Packing::Plain)));
        assert_eq!(of(b"", "1-a-2.jsonl.zst.part"), Some((Format::Line, Packing::Plain)));
        assert_eq!(of(b"hello", "x.txt"), None);
        assert_eq!(of(b"4 abc 123\n", ""), None);
        assert_eq!(of(b"", ""), None);
    }
}
