//! Images, archives and the like, known by the bytes that they begin with.

/// How far the mark of an archive of tar is from its beginning.
const TAR_AT: usize = 257;

/// What begins so, and how far from the beginning. The more special ones first.
const SIGNATURES: [(&str, usize, &[u8]); 24] = [
    ("PNG", 0, b"\x89PNG\r\n\x1a\n"),
    ("JPEG", 0, b"\xff\xd8\xff"),
    ("GIF", 0, b"GIF87a"),
    ("GIF", 0, b"GIF89a"),
    ("WebP", 8, b"WEBPVP8"),
    ("WAV", 8, b"WAVEfmt "),
    ("AVIF", 4, b"ftypavif"),
    ("HEIC", 4, b"ftypheic"),
    ("MP4", 4, b"ftyp"),
    ("TIFF", 0, b"II*\0"),
    ("TIFF", 0, b"MM\0*"),
    ("icon", 0, b"\0\0\x01\0"),
    ("PDF", 0, b"%PDF-"),
    ("ZIP", 0, b"PK\x03\x04"),
    ("ZIP", 0, b"PK\x05\x06"),
    ("gzip", 0, b"\x1f\x8b\x08"),
    ("zstd", 0, b"\x28\xb5\x2f\xfd"),
    ("bzip2", 0, b"BZh"),
    ("xz", 0, b"\xfd7zXZ\0"),
    ("7z", 0, b"7z\xbc\xaf\x27\x1c"),
    ("tar", TAR_AT, b"ustar"),
    ("WOFF", 0, b"wOFF"),
    ("WOFF2", 0, b"wOF2"),
    ("WebAssembly", 0, b"\0asm"),
];

/// What a body is, if it begins like one of these.
pub(super) fn of(bytes: &[u8]) -> Option<&'static str> {
    let begins =
        |at: usize, sign: &[u8]| bytes.get(at..).is_some_and(|rest| rest.starts_with(sign));
    SIGNATURES.iter().find(|(_, at, sign)| begins(*at, sign)).map(|(name, ..)| *name)
}

/// Width and height in pixels, of images that say so at their beginning.
fn pixels(name: &str, bytes: &[u8]) -> Option<(u32, u32)> {
    match name {
        "PNG" if bytes.get(12..16) == Some(b"IHDR") => {
            let number = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
            Some((number(16)?, number(20)?))
        }
        "GIF" => {
            let number = |at: usize| bytes.get(at..at + 2)?.try_into().ok().map(u16::from_le_bytes);
            Some((number(6)?.into(), number(8)?.into()))
        }
        _ => None,
    }
}

/// What it is and how large: `PNG, 640x480, 12,345 bytes`.
pub(super) fn described(name: &str, bytes: &[u8]) -> String {
    let size = grouped(bytes.len());
    match pixels(name, bytes) {
        Some((width, height)) => format!("{name}, {width}x{height}, {size} bytes"),
        None => format!("{name}, {size} bytes"),
    }
}

/// A number with its thousands apart.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_beginning_and_described_by_their_size() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\x80\0\0\x01\xe0";
        assert_eq!(described(of(png).unwrap(), png), "PNG, 640x480, 24 bytes");
        let gif = b"GIF89a\x40\x01\xf0\0";
        assert_eq!(described(of(gif).unwrap(), gif), "GIF, 320x240, 10 bytes");
        assert_eq!(described("JPEG", &[0; 12_345]), "JPEG, 12,345 bytes");
        assert_eq!(grouped(1_000_000), "1,000,000");
        let tar = [&[b'a'; TAR_AT][..], b"ustar"].concat();
        assert_eq!(of(&tar), Some("tar"));
        assert_eq!(of(b"RIFF\0\0\0\0WEBPVP8 "), Some("WebP"));
        for bytes in [&b""[..], b"\x89PNG", b"GIF", b"plain text", b"<html>"] {
            assert_eq!(of(bytes), None, "{bytes:?}");
        }
        assert_eq!(described("PNG", b"\x89PNG"), "PNG, 4 bytes");
    }
}
