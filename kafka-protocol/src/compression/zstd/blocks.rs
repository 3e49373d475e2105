//! What the headers of frames and blocks tell by themselves: how much can come out, and what decoders
//! let pass although the format forbids it.

/// What is known of all frames of an input before one is decoded.
#[derive(Default)]
pub(super) struct Blocks {
    /// The most that all blocks can hold.
    pub(super) content_max: usize,
    /// Where the first block stands that breaks the format in a way that decoders do not look at, and
    /// what is wrong with it.
    pub(super) fault: Option<(usize, &'static str)>,
    /// Where the first thing stands that is neither frame nor block.
    pub(super) broken_at: Option<usize>,
}

impl Blocks {
    /// Goes over all frames of `input`, up to the first thing that is none; the decoder will stop there
    /// too, and say why.
    pub(super) fn walk(input: &[u8]) -> Self {
        let mut blocks = Self::default();
        let mut rest = input;
        while !rest.is_empty() {
            let behind = match rest.split_first_chunk() {
                Some((magic, frame)) if u32::from_le_bytes(*magic) == MAGIC => {
                    blocks.frame(frame, input.len())
                }
                Some((_, frame)) => skip_skippable(frame),
                None => None,
            };
            match behind {
                Some(behind) => rest = behind,
                None => {
                    let at = input.len() - rest.len();
                    blocks.broken_at.get_or_insert(at);
                    break;
                }
            }
        }
        blocks
    }

    /// The bytes behind a frame whose magic is read, out of `len` bytes in all; `None` if it breaks off.
    fn frame<'a>(&mut self, frame: &'a [u8], len: usize) -> Option<&'a [u8]> {
        let (&descriptor, fields) = frame.split_first()?;
        let single_segment = descriptor & 0x20 != 0;
        let window_len = usize::from(!single_segment);
        let dictionary_len = match descriptor & 0x03 {
            3 => 4,
            len => usize::from(len),
        };
        let content_len = match descriptor >> 6 {
            0 => usize::from(single_segment),
            1 => 2,
            2 => 4,
            _ => 8,
        };
        let window = if single_segment {
            let content = fields.get(dictionary_len..dictionary_len + content_len)?;
            content_size(content)
        } else {
            window_size(*fields.first()?)
        };
        let block_max = BLOCK_MAX.min(usize::try_from(window).unwrap_or(BLOCK_MAX));
        let mut rest = fields.get(window_len + dictionary_len + content_len..)?;
        loop {
            let at = len - rest.len();
            let Some((behind, is_last)) = self.block(rest, at, block_max) else {
                self.broken_at.get_or_insert(at);
                return None;
            };
            rest = behind;
            if is_last {
                break;
            }
        }
        let checksum_len = if descriptor & 0x04 == 0 { 0 } else { 4 };
        rest.get(checksum_len..)
    }

    /// The bytes behind the block that stands at `at`, and whether it is the last of its frame.
    fn block<'a>(
        &mut self,
        block: &'a [u8],
        at: usize,
        block_max: usize,
    ) -> Option<(&'a [u8], bool)> {
        let (&[b0, b1, b2], behind) = block.split_first_chunk()?;
        let header = u32::from_le_bytes([b0, b1, b2, 0]);
        let size = (header >> 3) as usize;
        let kind = header >> 1 & 0x03;
        let (stored, content) = match kind {
            RAW => (size, size),
            REPEATED => (1, size),
            COMPRESSED => (size, block_max),
            _ => return None,
        };
        let (stored, behind) = behind.split_at_checked(stored)?;
        let fault = if size > block_max {
            Some("a block is larger than its window")
        } else if kind == COMPRESSED {
            Literals::read(stored).and_then(|literals| literals.fault(block_max))
        } else {
            None
        };
        if let Some(reason) = fault {
            self.fault.get_or_insert((at, reason));
        }
        self.content_max = self.content_max.saturating_add(content.min(block_max));
        Some((behind, header & LAST != 0))
    }
}

/// The first part of a compressed block: the bytes that are not copied from before.
struct Literals<'a> {
    /// How many there are.
    size: usize,
    /// Whether they are cut in four streams.
    has_four_streams: bool,
    /// What follows in the block: a count of sequences, and these.
    sequences: &'a [u8],
}

impl<'a> Literals<'a> {
    /// Reads the head of the literals; `None` if the block breaks off, which every decoder notices.
    fn read(block: &'a [u8]) -> Option<Self> {
        let form = block.first()? >> 2 & 0x03;
        let is_packed = block.first()? & 0x02 != 0;
        // The bytes of the head, and the bits of each size behind the four or three bits of its form.
        let (head_len, shift, bits) = match (is_packed, form) {
            (false, 0 | 2) => (1, 3, 5),
            (false, 1) => (2, 4, 12),
            (false, _) => (3, 4, 20),
            (true, 0 | 1) => (3, 4, 10),
            (true, 2) => (4, 4, 14),
            (true, _) => (5, 4, 18),
        };
        let (head, behind) = block.split_at_checked(head_len)?;
        let sizes = little_endian(head) >> shift;
        let size = sizes & ((1 << bits) - 1);
        let stored = match block.first()? & 0x03 {
            0 => size,
            1 => 1,
            _ => sizes >> bits,
        };
        Some(Self {
            size: size as usize,
            has_four_streams: is_packed && form != 0,
            sequences: behind.get(stored as usize..)?,
        })
    }

    /// What the format forbids, and decoders let pass.
    fn fault(&self, block_max: usize) -> Option<&'static str> {
        if self.size > block_max {
            return Some("more literals than a block holds");
        }
        if self.has_four_streams && self.size < FOUR_STREAMS_MIN {
            return Some("too few literals for four streams");
        }
        match self.sequences {
            [] => Some("a block without a count of sequences"),
            [0, _, ..] => Some("bytes behind a block without sequences"),
            _ => None,
        }
    }
}

/// The size of the content that a frame tells, in one to eight bytes.
fn content_size(field: &[u8]) -> u64 {
    // Of two bytes the lowest values are of no use, and left out.
    let base = if field.len() == 2 { 256 } else { 0 };
    base + little_endian(field)
}

/// The number in at most eight bytes.
fn little_endian(bytes: &[u8]) -> u64 {
    let bytes = bytes.iter().rev();
    bytes.fold(0, |value, &byte| value << 8 | u64::from(byte))
}

/// The size of the window by its descriptor: a power of two and some eighths of it.
const fn window_size(descriptor: u8) -> u64 {
    let base = 1 << (10 + (descriptor >> 3));
    base + base / 8 * (descriptor & 0x07) as u64
}

/// The bytes behind a frame that decoders skip, or that is none.
fn skip_skippable(frame: &[u8]) -> Option<&[u8]> {
    let (size, content) = frame.split_first_chunk()?;
    content.get(u32::from_le_bytes(*size) as usize..)
}

/// The most that a block holds.
pub(super) const BLOCK_MAX: usize = 128 << 10;
const MAGIC: u32 = 0xfd2f_b528;
/// The bit of a block header that ends the frame, and the types of blocks.
const LAST: u32 = 1;
const RAW: u32 = 0;
const REPEATED: u32 = 1;
const COMPRESSED: u32 = 2;
/// The fewest literals that are cut in four.
const FOUR_STREAMS_MIN: usize = 6;
