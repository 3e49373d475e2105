//! What users send and what they hear of it.

pub mod topic_partition;

/// A record to be sent. It borrows its bytes: they are encoded into a batch before the call that takes the
/// record returns, and whoever owns them still has them if that fails.
///
/// Key, value and header values may be absent, which is not the same as empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: Option<i32>,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: &'a [(&'a str, Option<&'a [u8]>)],
    pub(crate) timestamp_ms: Option<i64>,
}

impl<'a> Record<'a> {
    /// A record for a topic, without key and value.
    #[must_use]
    pub fn to(topic: &'a str) -> Self {
        Self {
            topic,
            ..Self::default()
        }
    }

    /// A record with this value, for a [topic handle](crate::producer::TopicProducer).
    #[must_use]
    pub fn of(value: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self::default().value(value)
    }

    /// Sets the key.
    #[must_use]
    pub fn key(mut self, key: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        self.key = Some(key.as_ref());
        self
    }

    /// Sets the value. A record without one is a tombstone on a compacted topic.
    #[must_use]
    pub fn value(mut self, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        self.value = Some(value.as_ref());
        self
    }

    /// Sets the headers: order and repetitions are kept. Each is a key and a value, and a value may be absent:
    ///
    /// ```
    /// # use kafka_client::Record;
    /// let trace = "4711".to_string();
    /// let headers = [("trace", Some(trace.as_bytes())), ("urgent", None)];
    /// let record = Record::to("orders").value("3 apples").headers(&headers);
    /// # let _ = record;
    /// ```
    #[must_use]
    pub fn headers(mut self, headers: &'a [(&'a str, Option<&'a [u8]>)]) -> Self {
        self.headers = headers;
        self
    }

    /// Sends the record to this partition, whatever its key.
    #[must_use]
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Sets the time of the record, in milliseconds since 1970; the default is the time of the call. A negative one
    /// is refused by the send.
    #[must_use]
    pub fn timestamp_ms(mut self, timestamp_ms: i64) -> Self {
        self.timestamp_ms = Some(timestamp_ms);
        self
    }
}

/// Where an acknowledged record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordMetadata {
    /// The partition.
    pub partition: i32,
    /// The offset; -1 if the broker did not say: with acks=0, or when it knew the record from an earlier
    /// attempt too old to remember where it put it.
    pub offset: i64,
    /// The time the broker gave the record, in milliseconds since 1970, on topics that carry the time of the
    /// append; -1 on others, where the record's own time counts.
    pub append_time_ms: i64,
}
