//! The frames of one direction of HTTP/2 (RFC 9113 section 4), in any pieces. What is of no use is passed over,
//! DATA is passed on as it comes, and only what carries headers or ends streams is kept until it is whole.

use packets::stream::Nanos;

use crate::Limits;

const HEAD: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const PUSH_PROMISE: u8 = 5;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const GOAWAY_BYTES: usize = 8;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// Reads the frames of one direction.
#[derive(Debug)]
pub(crate) struct Frames {
    at: At,
    head: Vec<u8>,
    /// When the first byte of the frame was seen.
    begun: Nanos,
    payload: Vec<u8>,
    /// How much of a frame that is kept is not.
    behind: usize,
    /// A block of headers that goes on in the next frame.
    block: Option<Block>,
}

#[derive(Clone, Copy, Debug)]
enum At {
    Head,
    /// In front of the length of DATA's padding, and how much is left with that byte.
    Padding {
        stream: u32,
        left: usize,
        ends: bool,
    },
    Data {
        stream: u32,
        left: usize,
        padding: usize,
        ends: bool,
    },
    /// In a frame that is kept.
    Kept {
        kind: u8,
        flags: u8,
        stream: u32,
        left: usize,
    },
    Passed {
        left: usize,
    },
}

/// A block of headers.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) stream: u32,
    pub(crate) ends: bool,
    /// The stream that it promises.
    pub(crate) promised: bool,
    pub(crate) begun: Nanos,
    pub(crate) bytes: Vec<u8>,
}

/// What a step has found.
#[derive(Debug)]
pub(crate) enum Frame<'a> {
    Nothing,
    Headers(Block),
    Data {
        stream: u32,
        bytes: &'a [u8],
        ends: bool,
    },
    Reset {
        stream: u32,
    },
    /// Streams above this one are not answered.
    GoAway {
        last: u32,
    },
}

impl Frames {
    pub(crate) fn new() -> Self {
        Self {
            at: At::Head,
            head: Vec::with_capacity(HEAD),
            begun: 0,
            payload: Vec::new(),
            behind: 0,
            block: None,
        }
    }

    /// Reads on; what is left of the bytes comes first. `None` if it is malformed, or too large.
    pub(crate) fn step<'a>(
        &mut self,
        at: Nanos,
        bytes: &'a [u8],
        limits: &Limits,
    ) -> Option<(&'a [u8], Frame<'a>)> {
        match self.at {
            At::Head => {
                if self.head.is_empty() {
                    self.begun = at;
                }
                let (now, rest) = bytes.split_at(bytes.len().min(HEAD - self.head.len()));
                self.head.extend_from_slice(now);
                if self.head.len() < HEAD {
                    return Some((rest, Frame::Nothing));
                }
                Some((rest, self.begin(limits)?))
            }
            At::Padding { stream, left, ends } => {
                let (padding, rest) = bytes.split_first()?;
                let padding = usize::from(*padding);
                let left = (left - 1).checked_sub(padding)?;
                self.at = At::Data { stream, left, padding, ends };
                Some((rest, self.data(&[])))
            }
            At::Data { left, padding, stream, ends } => {
                let (data, rest) = bytes.split_at(bytes.len().min(left));
                let padded = rest.len().min(if data.len() == left { padding } else { 0 });
                self.at =
                    At::Data { stream, left: left - data.len(), padding: padding - padded, ends };
                Some((&rest[padded..], self.data(data)))
            }
            At::Kept { kind, flags, stream, left } => {
                let (now, rest) = bytes.split_at(bytes.len().min(left));
                self.payload.extend_from_slice(now);
                let left = left - now.len();
                self.at = At::Kept { kind, flags, stream, left };
                if left > 0 {
                    return Some((rest, Frame::Nothing));
                }
                Some((rest, self.whole(kind, flags, stream, limits)?))
            }
            At::Passed { left } => {
                let now = bytes.len().min(left);
                self.pass(left - now);
                Some((&bytes[now..], Frame::Nothing))
            }
        }
    }

    /// Bytes of a frame or a block that is not whole.
    pub(crate) fn unfinished(&self) -> usize {
        self.payload.len() + self.block.as_ref().map_or(0, |it| it.bytes.len())
    }

    /// So many bytes are missing: the stream whose DATA they were, with how much of that, or none for what
    /// is passed over; `None` if the place is lost.
    pub(crate) fn gap(&mut self, missing: Option<u64>) -> Option<Option<(u32, u64, bool)>> {
        let missing = usize::try_from(missing?).ok()?;
        match self.at {
            At::Passed { left } if missing <= left => {
                self.pass(left - missing);
                Some(None)
            }
            At::Data { stream, left, padding, ends } if missing <= left + padding => {
                let of_data = missing.min(left);
                let padding = padding - (missing - of_data);
                self.at = At::Data { stream, left: left - of_data, padding, ends };
                let frame = self.data(&[]);
                let is_over = matches!(frame, Frame::Data { ends: true, .. });
                Some(Some((stream, of_data as u64, is_over)))
            }
            _ => None,
        }
    }

    fn pass(&mut self, left: usize) {
        self.at = if left == 0 { At::Head } else { At::Passed { left } };
    }

    /// Some of DATA; the stream ends with the last of it.
    fn data<'a>(&mut self, bytes: &'a [u8]) -> Frame<'a> {
        let At::Data { stream, left, padding, ends } = self.at else { return Frame::Nothing };
        let is_over = left == 0 && padding == 0;
        if is_over {
            self.at = At::Head;
        }
        Frame::Data { stream, bytes, ends: ends && is_over }
    }

    fn begin<'a>(&mut self, limits: &Limits) -> Option<Frame<'a>> {
        let [a, b, c, kind, flags, d, e, f, g] = *self.head.first_chunk()?;
        self.head.clear();
        self.payload.clear();
        let left = u32::from_be_bytes([0, a, b, c]) as usize;
        let stream = u32::from_be_bytes([d, e, f, g]) & 0x7fff_ffff;
        if self.block.as_ref().is_some_and(|block| kind != CONTINUATION || block.stream != stream) {
            return None;
        }
        match kind {
            DATA => {
                let ends = flags & END_STREAM != 0;
                if stream == 0 {
                    return None;
                }
                if flags & PADDED != 0 {
                    self.at = At::Padding { stream, left: left.max(1), ends };
                    return (left > 0).then_some(Frame::Nothing);
                }
                self.at = At::Data { stream, left, padding: 0, ends };
                Some(self.data(&[]))
            }
            HEADERS | PUSH_PROMISE | CONTINUATION | RST_STREAM => {
                let before = self.block.as_ref().map_or(0, |block| block.bytes.len());
                if left > limits.head_bytes.saturating_sub(before) {
                    return None;
                }
                self.at = At::Kept { kind, flags, stream, left };
                if left == 0 {
                    self.whole(kind, flags, stream, limits)
                } else {
                    Some(Frame::Nothing)
                }
            }
            GOAWAY => {
                // What is behind the two numbers is for people.
                self.behind = left.checked_sub(GOAWAY_BYTES)?;
                self.at = At::Kept { kind, flags, stream, left: GOAWAY_BYTES };
                Some(Frame::Nothing)
            }
            _ => {
                self.pass(left);
                Some(Frame::Nothing)
            }
        }
    }

    fn whole<'a>(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        limits: &Limits,
    ) -> Option<Frame<'a>> {
        self.at = At::Head;
        let payload = std::mem::take(&mut self.payload);
        match kind {
            HEADERS => {
                let fragment = unpadded(&payload, flags)?;
                let fragment = fragment.get(if flags & PRIORITY == 0 { 0 } else { 5 }..)?;
                self.block(stream, flags & END_STREAM != 0, false, fragment);
            }
            PUSH_PROMISE => {
                let fragment = unpadded(&payload, flags)?.get(4..)?;
                self.block(stream, false, true, fragment);
            }
            CONTINUATION => self.block.as_mut()?.bytes.extend_from_slice(&payload),
            RST_STREAM => return Some(Frame::Reset { stream }),
            _ => {
                self.pass(self.behind);
                let last = u32::from_be_bytes(*payload.first_chunk()?) & 0x7fff_ffff;
                return Some(Frame::GoAway { last });
            }
        }
        if stream == 0 || self.block.as_ref().is_some_and(|it| it.bytes.len() > limits.head_bytes) {
            return None;
        }
        if flags & END_HEADERS == 0 {
            return Some(Frame::Nothing);
        }
        self.block.take().map(Frame::Headers)
    }

    fn block(&mut self, stream: u32, ends: bool, promised: bool, fragment: &[u8]) {
        let bytes = fragment.to_vec();
        self.block = Some(Block { stream, ends, promised, begun: self.begun, bytes });
    }
}

/// What is left of a frame without its padding (RFC 9113 section 6.1).
fn unpadded(payload: &[u8], flags: u8) -> Option<&[u8]> {
    if flags & PADDED == 0 {
        return Some(payload);
    }
    let (padding, rest) = payload.split_first()?;
    rest.get(..rest.len().checked_sub(usize::from(*padding))?)
}
