//! Record batches: their records as JSON or for reading, and a batch built again from its records.

use std::borrow::Cow;
use std::fmt::Write as _;

use bytes::Bytes;
use kafka_protocol::compression::{Compressor, DECOMPRESSED_MAX, Decompressor};
use kafka_protocol::record::{
    AnyBatch, Batch, BatchBuilder, BatchHeader, BatchOptions, Batches, Compression, DecodedBatch,
    ProducerStamp, RecordRef, TimestampType,
};

use crate::hex::hex;

/// All whole batches as JSON.
pub(crate) fn json(bytes: Bytes) -> Result<String, String> {
    let mut batches = Vec::new();
    for batch in Batches::new(bytes) {
        let batch = batch.map_err(|error| error.to_string())?;
        batches.push(batch_json(&batch)?);
    }
    Ok(format!("[{}]", batches.join(",")))
}

/// All whole batches, for reading; what can be read before a fault stands before it.
pub(crate) fn pretty(bytes: Bytes) -> String {
    let mut text = String::new();
    if let Err(error) = describe(bytes, &mut text) {
        let _ = writeln!(text, "error: {error}");
    }
    text.trim_end().to_owned()
}

fn describe(bytes: Bytes, text: &mut String) -> Result<(), String> {
    let mut batches = Batches::new(bytes);
    for batch in batches.by_ref() {
        let batch = batch.map_err(|error| error.to_string())?;
        let _ = match &batch {
            AnyBatch::Current(batch) => writeln!(text, "{:#?}", batch.header()),
            batch => writeln!(text, "entry of magic {}", batch.magic()),
        };
        let decoded = decode(&batch)?;
        for record in decoded.records() {
            let record = record.map_err(|error| error.to_string())?;
            let headers: Vec<_> = record
                .headers
                .map(|header| (header.key(), header.value.map(readable)))
                .collect();
            let _ = writeln!(
                text,
                "offset {}, timestamp {}, key {:?}, value {:?}, headers {headers:?}",
                record.offset,
                record.timestamp,
                record.key.map(readable),
                record.value.map(readable),
            );
        }
    }
    if let Some(incomplete) = batches.incomplete() {
        let _ = writeln!(text, "{} bytes of another batch", incomplete.available);
    }
    Ok(())
}

/// The hex of a batch built anew from the records of this one.
pub(crate) fn rebuild(bytes: Bytes) -> Result<String, String> {
    let batch = Batch::decode(bytes).map_err(|error| error.to_string())?;
    let decoded = decode(&AnyBatch::Current(batch.clone()))?;
    let header = batch.header();
    let options = BatchOptions::new()
        .base_offset(header.base_offset)
        .leader_epoch(header.partition_leader_epoch)
        .attributes(header.attributes)
        .base_timestamp(header.base_timestamp)
        .max_timestamp(header.max_timestamp)
        .last_offset_delta(header.last_offset_delta);
    let mut builder = BatchBuilder::new(Vec::new(), options);
    for record in decoded.records() {
        let record = record.map_err(|error| error.to_string())?;
        append(&mut builder, header, &record)?;
    }
    let stamp = ProducerStamp {
        producer_id: header.producer_id,
        producer_epoch: header.producer_epoch,
        base_sequence: header.base_sequence,
    };
    let compression = batch.compression().map_err(|error| error.to_string())?;
    // No records, no stream: a codec would write an empty one.
    if compression == Compression::None || builder.is_empty() {
        return Ok(hex(&builder.seal(stamp)));
    }
    let mut output = Vec::new();
    Compressor::new(compression)
        .and_then(|mut compressor| builder.seal_compressed(stamp, &mut compressor, &mut output))
        .map_err(|error| error.to_string())?;
    Ok(hex(&output))
}

fn append(
    builder: &mut BatchBuilder,
    header: &BatchHeader,
    record: &RecordRef<'_>,
) -> Result<(), String> {
    let offset_delta = i32::try_from(record.offset - header.base_offset)
        .map_err(|_| "offset outside the batch".to_owned())?;
    let headers: Vec<(Cow<'_, str>, _)> = record
        .headers
        .map(|header| (header.key(), header.value))
        .collect();
    let headers = headers.iter().map(|(key, value)| (&**key, *value));
    builder
        .append_at(
            offset_delta,
            record.timestamp,
            record.key,
            record.value,
            headers,
        )
        .map(|_| ())
        .map_err(|error| error.to_string())
}

fn decode(batch: &AnyBatch) -> Result<DecodedBatch, String> {
    batch.verify_crc().map_err(|error| error.to_string())?;
    batch
        .decompress(&mut Decompressor::new(), &mut Vec::new(), DECOMPRESSED_MAX)
        .map_err(|error| error.to_string())
}

fn batch_json(batch: &AnyBatch) -> Result<String, String> {
    let decoded = decode(batch)?;
    let compression = batch.compression().map_err(|error| error.to_string())?;
    let mut text = format!(r#"{{"magic":{},"#, batch.magic());
    let timestamp_type = match batch {
        AnyBatch::Current(batch) => Some(batch.header().attributes.timestamp_type()),
        AnyBatch::Legacy(entry) => entry.timestamp_type(),
        _ => return Err("a batch of a magic that is too new".to_owned()),
    };
    let timestamp_type = match timestamp_type {
        None => "none",
        Some(TimestampType::LogAppendTime) => "append",
        Some(_) => "create",
    };
    if let AnyBatch::Current(batch) = batch {
        let header = batch.header();
        let attributes = header.attributes;
        let _ = write!(
            text,
            r#""baseOffset":{},"lastOffset":{},"leaderEpoch":{},"compression":"{compression}","timestampType":"{timestamp_type}","transactional":{},"control":{},"deleteHorizon":{},"producerId":{},"producerEpoch":{},"baseSequence":{},"maxTimestamp":{},"#,
            header.base_offset,
            header.last_offset(),
            header.partition_leader_epoch,
            attributes.is_transactional(),
            attributes.is_control(),
            if attributes.has_delete_horizon() {
                header.base_timestamp.to_string()
            } else {
                "null".to_owned()
            },
            header.producer_id,
            header.producer_epoch,
            header.base_sequence,
            header.max_timestamp,
        );
    } else {
        let _ = write!(
            text,
            r#""compression":"{compression}","timestampType":"{timestamp_type}","#
        );
    }
    let records = decoded
        .records()
        .map(|record| record.map(|record| record_json(&record)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    let _ = write!(text, r#""records":[{}]}}"#, records.join(","));
    Ok(text)
}

fn record_json(record: &RecordRef<'_>) -> String {
    let headers: Vec<_> = record
        .headers
        .map(|header| {
            let key = hex(header.key().as_bytes());
            format!(r#"["{key}",{}]"#, bytes_json(header.value))
        })
        .collect();
    format!(
        r#"{{"offset":{},"timestamp":{},"key":{},"value":{},"headers":[{}]}}"#,
        record.offset,
        record.timestamp,
        bytes_json(record.key),
        bytes_json(record.value),
        headers.join(",")
    )
}

fn bytes_json(bytes: Option<&[u8]>) -> String {
    bytes.map_or_else(|| "null".to_owned(), |bytes| format!(r#""{}""#, hex(bytes)))
}

/// Text where it is text, with escapes for the rest.
fn readable(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
