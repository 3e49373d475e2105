//! The storage core: segments of record batches in Kafka's own log directory format.
