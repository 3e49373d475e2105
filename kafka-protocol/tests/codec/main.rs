//! The codec from outside, through what the example `recode` makes of bytes: against bytes that Kafka
//! has confirmed, against Kafka itself, and against bytes that mean harm.

#[path = "../../examples/recode/answer.rs"]
mod answer;
#[path = "../../examples/recode/batch.rs"]
mod batch;
#[path = "../../examples/recode/filter.rs"]
mod filter;
#[path = "../../examples/recode/hex.rs"]
mod hex;
#[path = "../../examples/recode/message.rs"]
mod message;

mod golden;
mod hostile;
mod oracle;
mod recode;
mod tables;
mod values;
