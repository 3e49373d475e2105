//! The codecs by number, name and level; not what they do.

use std::fmt;

/// The codec of a batch's records: bits 0 to 2 of the attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// Records as they are.
    #[default]
    None,
    /// One gzip stream.
    Gzip,
    /// Snappy, xerial framing or one raw block.
    Snappy,
    /// One LZ4 frame.
    Lz4,
    /// One zstd frame; Produce 7 and Fetch 10 are the first versions that may carry it.
    Zstd,
}

impl Compression {
    /// Every codec, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The codec that the attribute bits name; `None` for the three numbers without a codec.
    #[must_use]
    pub const fn from_code(code: i16) -> Option<Self> {
        Some(match code {
            0 => Self::None,
            1 => Self::Gzip,
            2 => Self::Snappy,
            3 => Self::Lz4,
            4 => Self::Zstd,
            _ => return None,
        })
    }

    /// The codec that Kafka calls so; `None` if there is none of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.name() == name)
    }

    /// The number of the codec in the attribute bits.
    #[must_use]
    pub const fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// Kafka's name of the codec, as in `compression.type`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// Whether this build has the codec; each is a feature of the crate that bears its name.
    #[must_use]
    pub const fn is_built(self) -> bool {
        match self {
            Self::None => true,
            Self::Gzip => cfg!(feature = "gzip"),
            Self::Snappy => cfg!(feature = "snappy"),
            Self::Lz4 => cfg!(feature = "lz4"),
            Self::Zstd => cfg!(feature = "zstd"),
        }
    }

    /// The levels that Kafka's properties allow; `None` for the codecs without levels.
    ///
    /// Not every level differs from its neighbours here: lz4 has one, and zstd takes levels below
    /// -7 as -7 and above 4 as 4, unless the feature `zstd-c` brings its C library.
    #[must_use]
    pub const fn levels(self) -> Option<std::ops::RangeInclusive<i32>> {
        match self {
            Self::None | Self::Snappy => None,
            Self::Gzip => Some(1..=9),
            Self::Lz4 => Some(1..=17),
            Self::Zstd => Some(-131_072..=22),
        }
    }

    /// The level that Kafka takes where none is set; `None` for the codecs without levels.
    #[must_use]
    pub const fn default_level(self) -> Option<i32> {
        match self {
            Self::None | Self::Snappy => None,
            Self::Gzip => Some(6),
            Self::Lz4 => Some(9),
            Self::Zstd => Some(3),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the header checksum of an LZ4 frame is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lz4HeaderChecksum {
    /// It is the one of the LZ4 frame format and has to be right.
    Right,
    /// Message sets of magic 0 carry a wrong one as part of their format: it is not looked at.
    Ignored,
}
