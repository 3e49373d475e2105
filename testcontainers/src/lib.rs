//! Starts real Apache Kafka for tests.
