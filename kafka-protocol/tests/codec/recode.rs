//! The example `recode`: its lines, its order, its errors, and that it does not wait.

use std::cell::RefCell;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::rc::Rc;

use kafka_protocol::record::{BatchBuilder, BatchOptions, Compression, ProducerStamp, crc32};

use crate::answer::{Form, answer};
use crate::filter::filter;
use crate::hex::hex;

#[test]
fn each_line_gets_one_answer_in_order() {
    let lines = "request\t12\tHeartbeatRequest\t0\t000762696c6c696e670000000900026d65\tmore\tcolumns\n\
                 \n\
                 response\t12\tHeartbeatResponse\t0\t0007\n\
                 data\t-1\tConsumerProtocolAssignment\t0\t00000000ffffffff\n\
                 header\t-1\tRequestHeader\t1\t0001000400000007ffff\n\
                 record\t0\tOffsetCommitKey\t0\t000167000174ffffffff\n\
                 request-frame\t18\tApiVersionsRequest\t3\t0012000300000001ffff0002610262 00\n\
                 request-frame\t18\tApiVersionsRequest\t3\t0012000300000001ffff000261026200\n\
                 response-frame\t18\tApiVersionsResponse\t0\t00000007000000000000\n\
                 batch\t-1\tlabel\tany label\t\n\
                 response\t12\tHeartbeatResponse\t0\t0008";
    let mut output = Vec::new();
    filter(BufReader::new(lines.as_bytes()), &mut output, Form::Bytes).unwrap();
    let output = String::from_utf8(output).unwrap();
    assert!(output.ends_with('\n'));
    let answers: Vec<_> = output.lines().collect();
    assert_eq!(
        answers,
        [
            "000762696c6c696e670000000900026d65",
            "error: fewer than five columns",
            "0007",
            "00000000ffffffff",
            "0001000400000007ffff",
            "000167000174ffffffff",
            "error: hex of an odd length",
            "0012000300000001ffff000261026200",
            "00000007000000000000",
            "[]",
            "0008",
        ]
    );
}

#[test]
fn answers_do_not_wait_for_the_next_line() {
    /// A pipe that gives a line at a time, and at each looks at what was answered until then.
    struct Pipe {
        lines: Vec<&'static str>,
        given: usize,
        answered: Rc<RefCell<Vec<u8>>>,
    }
    impl Read for Pipe {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let answered = self
                .answered
                .borrow()
                .iter()
                .filter(|&&b| b == b'\n')
                .count();
            assert_eq!(answered, self.given);
            let Some(line) = self.lines.get(self.given) else {
                return Ok(0);
            };
            self.given += 1;
            buffer[..line.len()].copy_from_slice(line.as_bytes());
            Ok(line.len())
        }
    }
    struct Shared(Rc<RefCell<Vec<u8>>>);
    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let answered = Rc::new(RefCell::new(Vec::new()));
    let pipe = Pipe {
        lines: vec![
            "response\t12\t\t0\t0007\n",
            "nothing\n",
            "batch\t-1\t\t\t\n",
        ],
        given: 0,
        answered: Rc::clone(&answered),
    };
    let output = BufWriter::new(Shared(Rc::clone(&answered)));
    filter(BufReader::new(pipe), output, Form::Bytes).unwrap();
    assert_eq!(
        *answered.borrow(),
        b"0007\nerror: fewer than five columns\n[]\n"
    );
}

#[test]
fn what_is_no_text_is_an_error_of_its_line() {
    let mut output = Vec::new();
    let input: &[u8] = b"\xff\xfe\nresponse\t12\t\t0\t0007\n";
    filter(BufReader::new(input), &mut output, Form::Bytes).unwrap();
    assert_eq!(output, b"error: not ASCII\n0007\n");
}

#[test]
fn each_error_says_what_and_where() {
    let trailing = format!("response\t12\t\t0\t0007{}", "00".repeat(3));
    for (line, error) in [
        (
            "request\t12\tHeartbeatRequest\t0",
            "fewer than five columns",
        ),
        (
            "request\t12\tHeartbeatRequest\t0\t0",
            "hex of an odd length",
        ),
        ("request\t12\tHeartbeatRequest\t0\t0g", "not hex"),
        (
            "request\tx\tHeartbeatRequest\t0\t00",
            "the key is no 16-bit number: \"x\"",
        ),
        (
            "request\t12\tHeartbeatRequest\t70000\t00",
            "the version is no 16-bit number: \"70000\"",
        ),
        (
            "nonsense\t12\tHeartbeatRequest\t0\t00",
            "unknown kind nonsense",
        ),
        (
            "request\t4711\tHeartbeatRequest\t0\t00",
            "unknown api key 4711",
        ),
        // Kafka had this one, and has it no more.
        (
            "request\t4\tLeaderAndIsrRequest\t0\t00",
            "unknown api key 4",
        ),
        ("response-frame\t-1\t\t0\t00", "unknown api key -1"),
        (
            "data\t-1\tNoSuchThing\t0\t00",
            "unknown message NoSuchThing",
        ),
        (
            "response\t12\t\t9\t0007",
            "HeartbeatResponse v9: no such version at byte 0",
        ),
        (
            "header\t-1\tRequestHeader\t0\t0001000400000007",
            "RequestHeader v0: no such version at byte 0",
        ),
        (
            "request\t12\tHeartbeatRequest\t0\t0007626",
            "hex of an odd length",
        ),
        (
            "request\t12\tHeartbeatRequest\t0\t000762696c",
            "HeartbeatRequest v0, group_id: 7 bytes needed but 3 left at byte 2",
        ),
        (
            "request\t12\tHeartbeatRequest\t0\tffff",
            "HeartbeatRequest v0, group_id: null in a field that is not nullable at byte 0",
        ),
        (&trailing, "3 bytes left over at byte 2"),
    ] {
        let told = answer(line, Form::Bytes).unwrap_err();
        assert!(told.contains(error), "{line}: {told}");
        assert_eq!(answer(line, Form::Pretty).unwrap_err(), told);
    }
}

#[test]
fn legal_bytes_come_out_as_kafka_writes_them() {
    // A bool of 2 is true; a tagged field with its default is not written.
    let metadata = |bool: &str, tags: &str| format!("request\t3\t\t12\t01{bool}00{tags}");
    assert_eq!(
        answer(&metadata("02", "00"), Form::Bytes).unwrap(),
        "01010000"
    );
    // Wait, least and most bytes, isolation level, session and its epoch, three empty lists or texts.
    let fields = "000001f4000000010000000a000000000700000008010101";
    let fetch = |tags: &str| format!("request\t1\t\t15\t{fields}{tags}");
    let plain = format!("{fields}00");
    assert_eq!(answer(&fetch("00"), Form::Bytes).unwrap(), plain);
    assert_eq!(answer(&fetch("01000100"), Form::Bytes).unwrap(), plain);
    // Tagged null where null is the default; then an unknown field, which is kept in its place.
    let unknown = answer(&fetch("0200010009020102"), Form::Bytes).unwrap();
    assert_eq!(unknown, format!("{fields}0109020102"));
}

#[test]
fn tags_twice_or_out_of_order_are_errors() {
    // Of a response that has nothing but an error code before its tagged fields.
    let heartbeat = |tags: &str| {
        let line = format!("response\t12\t\t4\t000000000000{tags}");
        answer(&line, Form::Bytes)
    };
    assert!(heartbeat("0205000600").is_ok());
    for tags in ["0205000500", "0206000500", "03050006000600", "0105ff"] {
        assert!(heartbeat(tags).is_err(), "{tags}");
    }
}

#[test]
fn batches_come_out_as_json() {
    let options = BatchOptions::new()
        .base_offset(5)
        .leader_epoch(3)
        .log_append_time(1_770_000_000_123);
    let mut builder = BatchBuilder::new(Vec::new(), options);
    builder.append(7, None, Some(b""), []).unwrap();
    let mut bytes = builder.seal(ProducerStamp::NONE);
    let first = r#"{"magic":2,"baseOffset":5,"lastOffset":5,"leaderEpoch":3,"compression":"none","timestampType":"append","transactional":false,"control":false,"deleteHorizon":null,"producerId":-1,"producerEpoch":-1,"baseSequence":-1,"maxTimestamp":1770000000123,"records":[{"offset":5,"timestamp":1770000000123,"key":null,"value":"","headers":[]}]}"#;
    let second = r#"{"magic":1,"compression":"none","timestampType":"create","records":[{"offset":6,"timestamp":17,"key":"00","value":"01","headers":[]}]}"#;
    let third = r#"{"magic":0,"compression":"none","timestampType":"none","records":[{"offset":7,"timestamp":-1,"key":null,"value":"02","headers":[]}]}"#;
    bytes.extend(legacy(6, 1, Some(17), Some(&[0]), &[1]));
    bytes.extend(legacy(7, 0, None, None, &[2]));
    let json = |bytes: &[u8]| answer(&format!("batch\t-1\tx\ty\t{}", hex(bytes)), Form::Bytes);
    assert_eq!(json(&bytes).unwrap(), format!("[{first},{second},{third}]"));
    // What is cut off at the end is left out.
    assert_eq!(
        json(&bytes[..bytes.len() - 1]).unwrap(),
        format!("[{first},{second}]")
    );
    assert_eq!(json(&bytes[..40]).unwrap(), "[]");
    for at in 17..68 {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert!(json(&damaged).unwrap_err().contains("checksum"), "{at}");
    }
}

#[test]
fn headers_and_every_attribute_come_out_as_json() {
    let mut builder = BatchBuilder::new(
        Vec::new(),
        BatchOptions::new()
            .base_timestamp(1000)
            .last_offset_delta(9)
            .attributes(
                kafka_protocol::record::Attributes::default()
                    .with_control()
                    .with_delete_horizon()
                    .with_transactional(),
            ),
    );
    let headers = [("k1", Some([0, 255].as_slice())), ("k2", None)];
    builder
        .append_at(4, 990, Some(b"k"), None, headers)
        .unwrap();
    let stamp = ProducerStamp {
        producer_id: 1,
        producer_epoch: 2,
        base_sequence: 3,
    };
    let line = format!("batch\t-1\t\t\t{}", hex(&builder.seal(stamp)));
    assert_eq!(
        answer(&line, Form::Bytes).unwrap(),
        r#"[{"magic":2,"baseOffset":0,"lastOffset":9,"leaderEpoch":-1,"compression":"none","timestampType":"create","transactional":true,"control":true,"deleteHorizon":1000,"producerId":1,"producerEpoch":2,"baseSequence":3,"maxTimestamp":990,"records":[{"offset":4,"timestamp":990,"key":"6b","value":null,"headers":[["6b31","00ff"],["6b32",null]]}]}]"#
    );
    let pretty = answer(&line, Form::Pretty).unwrap();
    let record = r#"offset 4, timestamp 990, key Some("k"), value None, headers [("k1", Some("\\x00\\xff")), ("k2", None)]"#;
    assert!(pretty.contains(record), "{pretty}");

    // Of a damaged batch too, what stands before the damage.
    let whole = line.rsplit('\t').next().unwrap();
    let damaged = format!("{line}{}00", &whole[..whole.len() - 2]);
    let pretty = answer(&damaged, Form::Pretty).unwrap();
    assert!(pretty.contains(record), "{pretty}");
    assert_eq!(pretty.matches("BatchHeader {").count(), 2, "{pretty}");
    let last = pretty.lines().last().unwrap();
    assert!(last.starts_with("error: checksum"), "{pretty}");
    assert!(answer(&damaged, Form::Bytes).is_err());
}

#[test]
fn a_batch_is_built_again_from_its_records() {
    let options = BatchOptions::new()
        .base_offset(77)
        .leader_epoch(5)
        .transactional();
    let mut builder = BatchBuilder::new(Vec::new(), options);
    for n in 0..200_i64 {
        let byte = [n as u8];
        let headers = [("h", Some(byte.as_slice())), ("", None)];
        builder
            .append(
                1_760_000_000_000 + n * n % 50,
                None,
                Some(&[7; 30]),
                headers,
            )
            .unwrap();
    }
    let stamp = ProducerStamp {
        producer_id: 9,
        producer_epoch: 1,
        base_sequence: i32::MAX,
    };
    let rebuild = |bytes: &[u8]| answer(&format!("rebatch\t-1\t\t\t{}", hex(bytes)), Form::Bytes);
    let json = |hex: &str| answer(&format!("batch\t-1\t\t\t{hex}"), Form::Bytes).unwrap();
    for compression in Compression::ALL {
        let mut output = Vec::new();
        let mut compressor = kafka_protocol::compression::Compressor::new(compression).unwrap();
        builder
            .seal_compressed(stamp, &mut compressor, &mut output)
            .unwrap();
        let again = rebuild(&output).unwrap();
        assert_eq!(json(&again), json(&hex(&output)));
        assert_eq!(again, hex(&output), "{compression}");
        // Two at once, a cut one, a damaged one, an older one.
        assert!(rebuild(&output.repeat(2)).is_err());
        assert!(rebuild(&output[..output.len() - 1]).is_err());
        let mut damaged = output.clone();
        damaged[70] ^= 1;
        assert!(rebuild(&damaged).is_err());
    }
    assert!(rebuild(&legacy(6, 1, Some(17), None, &[1])).is_err());
    let empty = BatchBuilder::new(
        Vec::new(),
        BatchOptions::new().last_offset_delta(3).max_timestamp(99),
    )
    .seal(stamp);
    assert_eq!(rebuild(&empty).unwrap(), hex(&empty));
}

#[test]
fn messages_can_be_read_by_people() {
    let line = "request-frame\t12\tHeartbeatRequest\t0\t\
                000c00000000000700026d65000762696c6c696e6700000009000161";
    let text = answer(line, Form::Pretty).unwrap();
    assert!(
        text.starts_with("RequestHeader {\n    request_api_key: 12,"),
        "{text}"
    );
    assert!(
        text.contains("HeartbeatRequest {\n    group_id: \"billing\","),
        "{text}"
    );
    assert!(text.ends_with('}'));
}

/// An entry of a message set of old.
fn legacy(
    offset: i64,
    magic: u8,
    timestamp: Option<i64>,
    key: Option<&[u8]>,
    value: &[u8],
) -> Vec<u8> {
    let mut message = vec![magic, 0];
    message.extend(
        timestamp
            .iter()
            .flat_map(|timestamp| timestamp.to_be_bytes()),
    );
    message.extend(key.map_or(-1, |key| key.len() as i32).to_be_bytes());
    message.extend(key.unwrap_or_default());
    message.extend((value.len() as i32).to_be_bytes());
    message.extend(value);
    let mut entry = offset.to_be_bytes().to_vec();
    entry.extend((message.len() as i32 + 4).to_be_bytes());
    entry.extend(crc32(&message).to_be_bytes());
    entry.extend(message);
    entry
}
