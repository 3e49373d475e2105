//! What groups must know of topics: which there are, and how many partitions they have.

use bytestring::ByteString;
use kafka_protocol::Uuid;

/// The topics at one moment.
pub(crate) trait TopicImage {
    /// A number that is another one whenever topics have come, grown or gone.
    fn version(&self) -> u64;

    /// The id of the topic of this name, and the number of its partitions.
    fn find(&self, name: &str) -> Option<(Uuid, i32)>;

    /// The name of the topic with this id.
    fn name_of(&self, id: Uuid) -> Option<ByteString>;

    /// The names of all topics, in their order.
    fn names(&self) -> Box<dyn Iterator<Item = &ByteString> + '_>;
}
