//! Bytes that are no requests.

use crate::conversation::Conversation;

pub(crate) fn damaged(talk: &mut Conversation) {
    // Key, version, correlation id, client id "p".
    let header = |key: i16, version: i16| {
        let mut bytes = Vec::new();
        bytes.extend(key.to_be_bytes());
        bytes.extend(version.to_be_bytes());
        bytes.extend([0, 0, 0, 7, 0, 1, b'p']);
        bytes
    };
    let mut send = |what: &str, body: &[u8]| {
        let mut frame = (body.len() as i32).to_be_bytes().to_vec();
        frame.extend(body);
        talk.send(what, &frame);
    };
    send("a key that nobody knows", &header(999, 0));
    send("a negative key", &header(-1, 0));
    send("a removed api", &header(4, 0));
    send("a controller's api", &header(52, 0));
    send("metadata of the future", &header(3, 99));
    send("produce of the past", &header(0, 0));
    send("fetch of the past", &header(1, 3));
    send("a negative version", &header(3, -1));
    send("only a key", &[0, 3]);
    send(
        "a client id that is longer than the frame",
        &[0, 3, 0, 1, 0, 0, 0, 7, 0, 99, b'p'],
    );
    // Metadata of more topics than bytes. One of -2 topics is refused here and taken for null by Java.
    let mut body = header(3, 1);
    body.extend([0x7f, 0xff, 0xff, 0xff]);
    send("a count of 2^31-1", &body);
    let mut body = header(3, 9);
    body.extend([
        0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
    ]);
    send("a varint of eleven bytes", &body);
    let mut body = header(3, 1);
    body.extend([0, 0, 0, 1, 0, 5, b'a']);
    send("a name that is longer than the frame", &body);
    for size in [-1, i32::MIN, i32::MAX, 0] {
        talk.send(&format!("a frame of {size} bytes"), &size.to_be_bytes());
    }
}
