// Record batches by Kafka's own classes: read into the JSON of the example `recode`, and made from a
// description.

import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.StringJoiner;
import java.util.zip.GZIPOutputStream;
import net.jpountz.xxhash.XXHashFactory;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.compress.Lz4BlockOutputStream;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.DefaultRecordBatch;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.SimpleRecord;
import org.apache.kafka.common.utils.internals.BufferSupplier;
import org.apache.kafka.common.utils.internals.ByteBufferOutputStream;
import org.apache.kafka.common.utils.internals.CloseableIterator;
import org.apache.kafka.common.utils.internals.Crc32C;

class Batches {
    private static final HexFormat HEX = HexFormat.of();
    private static final int HEADER = DefaultRecordBatch.RECORD_BATCH_OVERHEAD;

    static String json(byte[] bytes) {
        StringJoiner batches = new StringJoiner(",", "[", "]");
        for (MutableRecordBatch batch : MemoryRecords.readableRecords(ByteBuffer.wrap(bytes)).batches()) {
            batch.ensureValid();
            batches.add(json(batch));
        }
        return batches.toString();
    }

    private static String json(MutableRecordBatch batch) {
        StringBuilder text = new StringBuilder("{\"magic\":").append(batch.magic());
        if (batch.magic() == 2) {
            text.append(",\"baseOffset\":").append(batch.baseOffset());
            text.append(",\"lastOffset\":").append(batch.lastOffset());
            text.append(",\"leaderEpoch\":").append(batch.partitionLeaderEpoch());
        }
        text.append(",\"compression\":\"").append(batch.compressionType().name).append('"');
        String type = switch (batch.timestampType()) {
            case NO_TIMESTAMP_TYPE -> "none";
            case CREATE_TIME -> "create";
            case LOG_APPEND_TIME -> "append";
        };
        text.append(",\"timestampType\":\"").append(type).append('"');
        if (batch.magic() == 2) {
            text.append(",\"transactional\":").append(batch.isTransactional());
            text.append(",\"control\":").append(batch.isControlBatch());
            text.append(",\"deleteHorizon\":").append(
                batch.deleteHorizonMs().isPresent() ? "" + batch.deleteHorizonMs().getAsLong() : "null");
            text.append(",\"producerId\":").append(batch.producerId());
            text.append(",\"producerEpoch\":").append(batch.producerEpoch());
            text.append(",\"baseSequence\":").append(batch.baseSequence());
            text.append(",\"maxTimestamp\":").append(batch.maxTimestamp());
        }
        StringJoiner records = new StringJoiner(",", ",\"records\":[", "]}");
        if (batch.magic() == 2 && batch.sizeInBytes() == HEADER && batch.countOrNull() == 0) {
            // One of Kafka's two ways to read a batch looks for a compressed stream here, the other not.
            return text.append(records).toString();
        }
        try (CloseableIterator<Record> iterator = batch.streamingIterator(BufferSupplier.NO_CACHING)) {
            while (iterator.hasNext()) {
                records.add(json(iterator.next()));
            }
        }
        return text.append(records).toString();
    }

    private static String json(Record record) {
        StringJoiner headers = new StringJoiner(",", "[", "]");
        for (Header header : record.headers()) {
            byte[] key = header.key().getBytes(StandardCharsets.UTF_8);
            byte[] value = header.value();
            headers.add("[\"" + HEX.formatHex(key) + "\","
                + (value == null ? "null" : "\"" + HEX.formatHex(value) + "\"") + "]");
        }
        return "{\"offset\":" + record.offset() + ",\"timestamp\":" + record.timestamp()
            + ",\"key\":" + json(record.key()) + ",\"value\":" + json(record.value())
            + ",\"headers\":" + headers + "}";
    }

    private static String json(ByteBuffer bytes) {
        if (bytes == null) {
            return "null";
        }
        byte[] copy = new byte[bytes.remaining()];
        bytes.duplicate().get(copy);
        return "\"" + HEX.formatHex(copy) + "\"";
    }

    // Magic, codec, level, timestamp type, base offset, log append time, producer id, epoch, sequence,
    // transactional, control, leader epoch, delete horizon, last offset, records. A minus is none.
    static byte[] make(String[] c) throws Exception {
        byte magic = Byte.parseByte(c[1]);
        String style = c[2];
        String codec = style.contains("-") ? "none" : style;
        boolean append = c[4].equals("append");
        TimestampType type = magic == 0 ? TimestampType.NO_TIMESTAMP_TYPE
            : append ? TimestampType.LOG_APPEND_TIME : TimestampType.CREATE_TIME;
        long baseOffset = Long.parseLong(c[5]);
        long appendTime = Long.parseLong(c[6]);
        long producerId = Long.parseLong(c[7]);
        short epoch = Short.parseShort(c[8]);
        int sequence = Integer.parseInt(c[9]);
        boolean transactional = c[10].equals("true");
        boolean control = c[11].equals("true");
        int leaderEpoch = Integer.parseInt(c[12]);
        long horizon = c[13].equals("-") ? -1 : Long.parseLong(c[13]);
        if (c[15].isEmpty()) {
            ByteBuffer header = ByteBuffer.allocate(HEADER);
            DefaultRecordBatch.writeEmptyHeader(header, magic, producerId, epoch, sequence, baseOffset,
                Long.parseLong(c[14]), leaderEpoch, type, appendTime, transactional, control);
            return header.array();
        }
        MemoryRecordsBuilder builder = new MemoryRecordsBuilder(new ByteBufferOutputStream(1024), magic,
            compression(codec, c[3]), type, baseOffset, appendTime, producerId, epoch, sequence,
            transactional, control, leaderEpoch, Integer.MAX_VALUE, horizon);
        for (String record : c[15].split(";")) {
            String[] f = record.split(",", -1);
            long offset = Long.parseLong(f[0]);
            long timestamp = Long.parseLong(f[1]);
            Header[] headers = f[4].isEmpty() ? new Header[0]
                : Arrays.stream(f[4].split("\\|")).map(Batches::header).toArray(Header[]::new);
            if (control) {
                builder.appendControlRecordWithOffset(offset,
                    new SimpleRecord(timestamp, bytes(f[2]), bytes(f[3]), headers));
            } else {
                builder.appendWithOffset(offset, timestamp, bytes(f[2]), bytes(f[3]), headers);
            }
        }
        if (!c[14].equals("-")) {
            builder.overrideLastOffset(Long.parseLong(c[14]));
        }
        ByteBuffer built = builder.build().buffer();
        byte[] bytes = new byte[built.remaining()];
        built.get(bytes);
        return codec.equals(style) ? bytes : restyle(bytes, style);
    }

    static byte[] marker(String[] c) {
        ControlRecordType type = c[1].equals("true") ? ControlRecordType.COMMIT : ControlRecordType.ABORT;
        ByteBuffer built = MemoryRecords.withEndTransactionMarker(Long.parseLong(c[3]),
            Long.parseLong(c[4]), Integer.parseInt(c[5]), Long.parseLong(c[6]), Short.parseShort(c[7]),
            new EndTransactionMarker(type, Integer.parseInt(c[2]))).buffer();
        byte[] bytes = new byte[built.remaining()];
        built.get(bytes);
        return bytes;
    }

    private static Header header(String text) {
        String[] parts = text.split("=", -1);
        return new RecordHeader(new String(HEX.parseHex(parts[0]), StandardCharsets.UTF_8), bytes(parts[1]));
    }

    private static byte[] bytes(String text) {
        return text.equals("-") ? null : HEX.parseHex(text);
    }

    private static Compression compression(String codec, String level) {
        int number = level.equals("-") ? 0 : Integer.parseInt(level);
        return switch (codec) {
            case "gzip" -> level.equals("-") ? Compression.gzip().build() : Compression.gzip().level(number).build();
            case "lz4" -> level.equals("-") ? Compression.lz4().build() : Compression.lz4().level(number).build();
            case "zstd" -> level.equals("-") ? Compression.zstd().build() : Compression.zstd().level(number).build();
            default -> Compression.of(codec).build();
        };
    }

    // The records compressed as clients other than Kafka's own do it.
    private static byte[] restyle(byte[] plain, String style) throws Exception {
        byte[] body = Arrays.copyOfRange(plain, HEADER, plain.length);
        int half = body.length / 2;
        byte[] first = Arrays.copyOfRange(body, 0, half);
        byte[] second = Arrays.copyOfRange(body, half, body.length);
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        switch (style) {
            case "gzip-members" -> {
                gzip(first, 0, out);
                gzip(second, 0, out);
            }
            case "gzip-named" -> gzip(body, 0x08, out);
            case "snappy-raw" -> out.write(org.xerial.snappy.Snappy.compress(body));
            case "snappy-streams" -> {
                for (byte[] part : new byte[][] {first, second}) {
                    try (OutputStream stream = new org.xerial.snappy.SnappyOutputStream(out)) {
                        stream.write(part);
                    }
                }
            }
            case "lz4-checksums" -> lz4(body, 4, true, false, out);
            case "lz4-256k" -> lz4(body, 5, false, false, out);
            case "lz4-4m" -> lz4(body, 7, false, false, out);
            case "lz4-content" -> lz4(body, 6, true, true, out);
            case "lz4-followed" -> {
                lz4(body, 4, false, false, out);
                lz4(first, 4, false, false, out);
            }
            case "lz4-marked" -> {
                ByteArrayOutputStream frame = new ByteArrayOutputStream();
                lz4(body, 4, false, false, frame);
                // The end mark with the bit of a block that is not compressed, and something behind it.
                frame.write(new byte[] {1, 2, 3});
                byte[] bytes = frame.toByteArray();
                bytes[bytes.length - 4] = (byte) 0x80;
                out.write(bytes);
            }
            case "zstd-frames" -> {
                out.write(com.github.luben.zstd.Zstd.compress(first));
                out.write(com.github.luben.zstd.Zstd.compress(second));
            }
            case "zstd-checksum" -> {
                try (var stream = new com.github.luben.zstd.ZstdOutputStream(out)) {
                    stream.setChecksum(true);
                    stream.write(body);
                }
            }
            default -> throw new IllegalArgumentException(style);
        }
        ByteBuffer batch = ByteBuffer.allocate(HEADER + out.size());
        batch.put(plain, 0, HEADER).put(out.toByteArray());
        batch.putInt(8, batch.capacity() - 12);
        int codec = CompressionType.forName(style.substring(0, style.indexOf('-'))).id;
        batch.putShort(21, (short) (batch.getShort(21) | codec));
        batch.putInt(17, (int) Crc32C.compute(batch, 21 - batch.position(), batch.capacity() - 21));
        return batch.array();
    }

    private static void gzip(byte[] body, int flags, OutputStream out) throws Exception {
        ByteArrayOutputStream member = new ByteArrayOutputStream();
        try (GZIPOutputStream stream = new GZIPOutputStream(member)) {
            stream.write(body);
        }
        byte[] bytes = member.toByteArray();
        bytes[3] = (byte) flags;
        out.write(bytes, 0, 10);
        if (flags != 0) {
            out.write("a name\0".getBytes(StandardCharsets.US_ASCII));
        }
        out.write(bytes, 10, bytes.length - 10);
    }

    private static void lz4(byte[] body, int blockSize, boolean checks, boolean content, OutputStream out)
            throws Exception {
        if (!content) {
            try (OutputStream stream = new Lz4BlockOutputStream(out, blockSize, 9, checks, false)) {
                stream.write(body);
            }
            return;
        }
        var hash = XXHashFactory.safeInstance().hash32();
        ByteBuffer frame = ByteBuffer.allocate(64 + 2 * body.length).order(ByteOrder.LITTLE_ENDIAN);
        frame.putInt(0x184d2204);
        frame.put((byte) 0x7c).put((byte) (blockSize << 4)).putLong(body.length);
        frame.put((byte) (hash.hash(frame.array(), 4, 10, 0) >> 8));
        for (int at = 0; at < body.length; at += 1 << 20) {
            int len = Math.min(1 << 20, body.length - at);
            frame.putInt(len | 0x80000000).put(body, at, len);
            frame.putInt(hash.hash(body, at, len, 0));
        }
        frame.putInt(0).putInt(hash.hash(body, 0, body.length, 0));
        out.write(frame.array(), 0, frame.position());
    }
}
