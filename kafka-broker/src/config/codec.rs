//! The codec that a topic wants its batches in.

use kafka_protocol::compression::Compression;

/// A codec and how hard it is to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Codec {
    /// Which.
    pub(crate) compression: Compression,
    /// As the property of this codec says; `None` is the codec's own default.
    pub(crate) level: Option<i32>,
}

impl Codec {
    /// What `compression.type` asks for; `None` if batches are to stay as producers sent them. `property` tells
    /// the values of other properties.
    pub(crate) fn wanted(name: &str, property: impl Fn(&str) -> String) -> Option<Self> {
        let compression = match name {
            UNCOMPRESSED => Compression::None,
            name => Compression::from_name(name)?,
        };
        let level = compression.levels().and_then(|levels| {
            let level = property(&format!("compression.{name}.level"));
            // Kafka writes the default of gzip as -1.
            level.parse().ok().filter(|level| levels.contains(level))
        });
        Some(Self { compression, level })
    }
}

/// What `compression.type` may be.
pub(crate) const TYPES: &[&str] = &[UNCOMPRESSED, "zstd", "lz4", "snappy", "gzip", "producer"];

const UNCOMPRESSED: &str = "uncompressed";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_names_a_codec_with_the_level_of_its_property() {
        let wanted = |name: &str| {
            Codec::wanted(name, |property| match property {
                "compression.gzip.level" => "-1".to_owned(),
                "compression.lz4.level" => "12".to_owned(),
                "compression.zstd.level" => "-5".to_owned(),
                other => panic!("{other}"),
            })
        };
        let found: Vec<_> = TYPES.iter().map(|name| wanted(name)).collect();
        let codec = |compression, level| Some(Codec { compression, level });
        let expected = [
            codec(Compression::None, None),
            codec(Compression::Zstd, Some(-5)),
            codec(Compression::Lz4, Some(12)),
            codec(Compression::Snappy, None),
            codec(Compression::Gzip, None),
            None,
        ];
        assert_eq!(found, expected);
    }
}
