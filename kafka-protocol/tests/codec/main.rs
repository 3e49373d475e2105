//! The codec from outside, through what the example `recode` makes of bytes: against bytes that Kafka
//! has confirmed, against Kafka itself, and against bytes that mean harm. And the example `proxy`.

#[path = "../../examples/recode/answer.rs"]
mod answer;
#[path = "../../examples/recode/batch.rs"]
mod batch;
#[path = "../../examples/recode/filter.rs"]
mod filter;
#[path = "../../examples/recode/hex.rs"]
mod hex;
#[path = "../../examples/proxy/link.rs"]
mod link;
#[path = "../../examples/recode/message.rs"]
mod message;

mod golden;
mod hostile;
mod oracle;
mod proxy;
mod recode;
mod tables;
mod values;
