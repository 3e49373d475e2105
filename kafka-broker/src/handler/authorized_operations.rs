//! What a client may do, as answers tell it on request (KIP-430): each bit stands for an operation of Kafka's
//! access control by its number. There is none here, so everybody may do all that there is to do.

/// Read, write, create, delete, alter, describe, describe and alter the configuration.
pub(crate) const OF_TOPIC: i32 = bits(&[3, 4, 5, 6, 7, 8, 10, 11]);

/// Read, delete, describe, describe and alter the configuration.
pub(crate) const OF_GROUP: i32 = bits(&[3, 6, 8, 10, 11]);

/// Create, alter, describe, act for the cluster, describe and alter the configuration, write idempotently.
pub(crate) const OF_CLUSTER: i32 = bits(&[5, 7, 8, 9, 10, 11, 12]);

const fn bits(operations: &[u32]) -> i32 {
    let (mut sum, mut rest) = (0, operations);
    while let [first, others @ ..] = rest {
        sum |= 1 << *first;
        rest = others;
    }
    sum
}
