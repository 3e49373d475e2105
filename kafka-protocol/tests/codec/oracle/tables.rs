//! Error codes and APIs: what Kafka says of them.

use kafka_protocol::{ApiKey, ErrorCode};

use crate::oracle::kafka::Kafka;

/// Compares every error code, and some that do not exist, and every API.
pub(crate) fn compare(kafka: &mut Kafka) {
    let codes: Vec<_> = (-3..=200).map(ErrorCode::from_code).collect();
    let questions: Vec<_> = codes
        .iter()
        .map(|code| format!("error\t{}", code.code()))
        .collect();
    for (code, theirs) in codes.iter().zip(kafka.ask(&questions)) {
        let ours = match code.name() {
            None => "unknown".to_owned(),
            Some(name) => format!(
                "{name} {} {}",
                code.is_retriable(),
                code.invalidates_metadata()
            ),
        };
        assert_eq!(Ok(ours), theirs, "{}", code.code());
    }
    let questions: Vec<_> = ApiKey::ALL
        .iter()
        .map(|key| format!("api\t{}", key.code()))
        .collect();
    for (key, theirs) in ApiKey::ALL.iter().zip(kafka.ask(&questions)) {
        let valid = key.valid_versions();
        let ours = format!(
            "{key} {} {} {} {} {}",
            valid.min,
            valid.max,
            key.advertised_versions().max,
            key.request_header_version(valid.max),
            key.response_header_version(valid.max)
        );
        assert_eq!(Ok(ours), theirs);
    }
    println!(
        "{} errors and {} apis, all equal",
        ErrorCode::ALL.len(),
        ApiKey::ALL.len()
    );
}
