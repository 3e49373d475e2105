# The broker as a static program, and nothing else: no shell, no libc, no Java.
#
#   docker build --tag kafka-broker .
#   docker run --rm --publish 9092:9092 kafka-broker
#
# Clients are sent to localhost:9092. Whoever publishes another port, or reaches the container by a name, says so:
#
#   docker run --rm --publish 19092:9092 kafka-broker --advertise localhost:19092
#   docker run --rm --network tests --name kafka kafka-broker --advertise kafka:9092
#
# The data lies in the volume /data and outlives the container if the volume has a name.
FROM rust:1.95-slim AS build
WORKDIR /source
COPY . .
RUN target="$(uname -m)-unknown-linux-musl" \
    && rustup target add "$target" \
    && cargo build --release --locked --target "$target" --package kafka-broker \
    && cp "target/$target/release/kafka-broker" / \
    && mkdir -p /root-of-user/data

FROM scratch
COPY --from=build /kafka-broker /
# The user may write to its data, not to the program.
COPY --from=build --chown=10001:10001 /root-of-user/ /
USER 10001:10001
VOLUME /data
EXPOSE 9092
ENTRYPOINT ["/kafka-broker", "--set", "listeners=PLAINTEXT://0.0.0.0:9092", "--data-dir", "/data"]
