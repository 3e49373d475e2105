// The story every client tells (see ../python/story.py), told by kafkajs, a client written in JavaScript.
//
// Each step prints one line: its name, pass, fail or unsupported, and a detail, with tabs between them.
'use strict';

const { CompressionCodecs, CompressionTypes, ConfigResourceTypes, Kafka, logLevel } = require('kafkajs');

CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy');

const PARTITIONS = 3;
const PATIENCE_MS = 60_000;
// Recent, or retention would take the records while they are read.
const BASE_TIME_MS = Math.floor(Date.now() / 1000) * 1000 - 3_600_000;
const CODECS = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
};

class Unsupported extends Error {}

const options = Object.fromEntries(
  process.argv.slice(2).flatMap((word, i, all) => (i % 2 ? [] : [[word.slice(2), all[i + 1]]])),
);
const count = Number(options.records ?? 300);
const prefix = `${options.prefix}-kafkajs`;
const kafka = new Kafka({ brokers: [options.bootstrap], logLevel: logLevel.NOTHING });
const admin = kafka.admin();

async function tell() {
  await admin.connect();
  await step('create', () => fresh('created').then(() => ''));
  await step('refusals', refusals);
  await step('configs', configs);
  for (const codec of ['none', 'gzip', 'snappy', 'lz4', 'zstd']) {
    await step(codec, () => roundTrip(codec));
  }
  await step('idempotence', () => idempotence('idempotence'));
  await step('lost answers', () => idempotence('lost-answers'));
  await step('offsets', offsets);
  await step('group', group);
  await step('cooperative', () => {
    throw new Unsupported('it has eager assigners alone');
  });
  await step('kip-848', () => {
    throw new Unsupported('it has classic groups alone');
  });
  await step('resume', resume);
  await step('transactions', transactions);
  await step('delete records', deleteRecords);
  await step('delete groups', deleteGroups);
  await step('delete', remove);
  await admin.disconnect();
}

async function step(name, play) {
  let outcome = 'pass';
  let detail;
  try {
    detail = (await play()) ?? '';
  } catch (error) {
    outcome = error instanceof Unsupported ? 'unsupported' : 'fail';
    detail = outcome === 'fail' ? `${error.name}: ${error.message}` : error.message;
    if (outcome === 'fail') console.error(error);
  }
  console.log([name, outcome, detail.replaceAll(/\s+/g, ' ')].join('\t'));
}

async function refusals() {
  for (const [topic, partitions, reason] of [
    [`${prefix}-created`, 1, /exists/i],
    ['no spaces!', 1, /topic/i],
    [`${prefix}-zero`, 0, /partition/i],
  ]) {
    let refusal;
    try {
      if (!(await create(topic, partitions))) refusal = 'Topic exists';
    } catch (error) {
      refusal = `${error.message} ${(error.errors ?? []).map((one) => one.message)}`;
    }
    check(refusal !== undefined, `'${topic}' with ${partitions} partitions was created`);
    check(reason.test(refusal), `'${topic}' with ${partitions} partitions: ${refusal}`);
  }
}

async function configs() {
  const topic = await fresh('configs');
  const before = await configsOf(topic);
  check(before['retention.ms'] === '604800000', `at first: ${before['retention.ms']}`);
  check(before['cleanup.policy'] === 'delete', `at first: ${before['cleanup.policy']}`);
  const changes = { 'retention.ms': '86400000', 'cleanup.policy': 'compact,delete' };
  await setConfigs(topic, changes);
  const expected = JSON.stringify({ ...before, ...changes });
  const areExpected = async () => JSON.stringify(await configsOf(topic)) === expected;
  await waitFor('the changed configs', areExpected);
  for (const bad of ['retention.ms', 'no.such.config']) {
    const isRefused = await fails(() => setConfigs(topic, { [bad]: 'soon' }));
    check(isRefused, `${bad} was accepted`);
    check(await areExpected(), `${bad} was refused, and changed configs`);
  }
}

async function configsOf(topic) {
  const { resources } = await admin.describeConfigs({
    resources: [{ type: ConfigResourceTypes.TOPIC, name: topic }],
    includeSynonyms: false,
  });
  const entries = resources[0].configEntries;
  return Object.fromEntries(entries.map(({ configName, configValue }) => [configName, configValue]));
}

function setConfigs(topic, values) {
  const configEntries = Object.entries(values).map(([name, value]) => ({ name, value }));
  return admin.alterConfigs({
    resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries }],
  });
}

/** Many small batches: none is doubled or overtaken. */
async function idempotence(name) {
  const topic = await fresh(name);
  const sent = records(count, 0);
  const client = new Kafka({
    brokers: [options.bootstrap],
    clientId: topic,
    logLevel: logLevel.NOTHING,
  });
  const producer = client.producer({ idempotent: true, allowAutoTopicCreation: false });
  await producer.connect();
  for (let start = 0; start < count; start += 20) {
    await producer.send({ topic, acks: -1, messages: sent.slice(start, start + 20) });
  }
  await producer.disconnect();
  checkWhole(await readAsMember(topic, topic, count), sent);
}

async function roundTrip(codec) {
  if (!(codec in CODECS)) throw new Unsupported('its codec is compiled for the machine');
  const topic = await fresh(codec);
  const sent = records(count, 0);
  await produce(topic, codec, sent);
  checkWhole(await readAsMember(`${prefix}-${codec}`, topic, count), sent);
}

/** Reads so many records as the one member of a group, and what comes at once after them. */
async function readAsMember(groupId, topic, wanted) {
  const reader = await member(groupId, topic);
  try {
    await waitFor(`${wanted} records`, () => reader.reads.length >= wanted);
    // Nothing may follow.
    await sleep(300);
  } finally {
    await reader.close();
  }
  return reader.reads;
}

async function offsets() {
  const topic = await fresh('offsets');
  const sent = records(count, 0);
  await produce(topic, 'none', sent);
  const bounds = await admin.fetchTopicOffsets(topic);
  for (const { partition, low, high } of bounds) {
    const own = sent.filter((record) => record.partition === partition);
    check(low === '0' && high === `${own.length}`, `bounds of ${partition}: ${low} to ${high}`);
    const half = Math.floor(own.length / 2);
    const found = await admin.fetchTopicOffsetsByTimestamp(topic, own[half].timestamp);
    const offset = found.find((one) => one.partition === partition).offset;
    check(offset === `${half}`, `offset at a time: ${offset}, not ${half}`);
  }
  return 'the client turns a time after all into the end';
}

async function group() {
  const topic = await fresh('group');
  const name = `${prefix}-group`;
  const sent = [];
  const members = [];
  const total = () => members.reduce((sum, one) => sum + one.reads.length, 0);
  const shares = (...sizes) => {
    const found = members.filter((one) => !one.isClosed).map((one) => one.share);
    const whole = new Set(found.flat()).size === PARTITIONS;
    return whole && String(found.map((share) => share.length).sort()) === String(sizes);
  };
  const produceAndAwait = async () => {
    const more = records(count, sent.length);
    sent.push(...more);
    await produce(topic, 'none', more);
    await waitFor(`${sent.length} records`, () => total() >= sent.length);
  };
  try {
    members.push(await member(name, topic));
    await waitFor('all partitions with one member', () => shares(3));
    await produceAndAwait();
    members.push(await member(name, topic));
    await waitFor('the partitions shared by two', () => shares(1, 2));
    await produceAndAwait();
    await members[1].close();
    await waitFor('all partitions back with one', () => shares(3));
    await produceAndAwait();
  } finally {
    for (const one of members) await one.close();
  }
  const reads = members.flatMap((one) => one.reads).sort((a, b) => a.offset - b.offset);
  checkWhole(reads, sent);
  check(members[1].reads.length > 0, 'the second member read nothing');
}

async function resume() {
  const topic = await fresh('resume');
  const sent = records(count, 0);
  await produce(topic, 'none', sent);
  const first = await member(`${prefix}-resume`, topic);
  await waitFor(`${count} records`, () => first.reads.length >= count);
  await first.close();
  const more = records(count, count);
  await produce(topic, 'none', more);
  const second = await member(`${prefix}-resume`, topic);
  await waitFor(`${count} more`, () => second.reads.length >= count);
  await sleep(300);
  await second.close();
  checkWhole([...first.reads, ...second.reads], [...sent, ...more]);
  return `${first.reads.length} + ${second.reads.length}`;
}

async function transactions() {
  await commitsAndAborts();
  await passOn();
  await fence();
}

/** A reader of committed records, as this client's are by default, sees committed ones alone. */
async function commitsAndAborts() {
  const topic = await fresh('transactions');
  const producer = await transactional(topic);
  const [all, committed] = [[], []];
  for (let round = 0; round < 6; round += 1) {
    const own = records(Math.floor(count / 6), all.length);
    all.push(...own);
    const transaction = await producer.transaction();
    await transaction.send({ topic, acks: -1, messages: own });
    if (round % 2 === 0) {
      await transaction.commit();
      committed.push(...own);
    } else {
      await transaction.abort();
    }
  }
  await producer.disconnect();
  await checkCommitted(topic, committed);
}

/** Consume, write, and commit what was consumed, all in one transaction; some are aborted. */
async function passOn() {
  const [source, target] = [await fresh('source'), await fresh('target')];
  const sent = records(count, 0);
  await produce(source, 'none', sent);
  const producer = await transactional(source);
  const consumerGroupId = `${prefix}-pass-on`;
  const reads = await readAsMember(`${prefix}-pass-on-reader`, source, count);
  let round = 0;
  for (let left = reads; left.length > 0; round += 1) {
    const part = left.slice(0, 20);
    const last = new Map(part.map((one) => [one.partition, one.offset + 1]));
    const partitions = [...last].map(([partition, offset]) => ({ partition, offset: `${offset}` }));
    const transaction = await producer.transaction();
    await transaction.send({ topic: target, acks: -1, messages: part });
    await transaction.sendOffsets({ consumerGroupId, topics: [{ topic: source, partitions }] });
    if (round % 2 === 0) {
      await transaction.commit();
      left = left.slice(part.length);
    } else {
      await transaction.abort();
    }
  }
  await producer.disconnect();
  const [{ partitions }] = await admin.fetchOffsets({ groupId: consumerGroupId, topics: [source] });
  for (const { partition, offset } of partitions) {
    const own = sent.filter((one) => one.partition === partition);
    check(offset === `${own.length}`, `partition ${partition}: ${offset} of ${own.length}`);
  }
  await checkCommitted(target, sent);
}

/** A producer of the same id shuts out its predecessor, whose records nobody sees. */
async function fence() {
  const topic = await fresh('fence');
  const zombie = await transactional(topic);
  const lost = await zombie.transaction();
  await lost.send({ topic, acks: -1, messages: records(10, 0) });
  const heir = await transactional(topic);
  const kept = records(10, 100);
  const transaction = await heir.transaction();
  await transaction.send({ topic, acks: -1, messages: kept });
  await transaction.commit();
  const isFenced = await fails(async () => {
    await lost.send({ topic, acks: -1, messages: records(3, 10) });
    await lost.commit();
  });
  check(isFenced, 'a zombie committed');
  await heir.disconnect();
  await zombie.disconnect();
  await checkCommitted(topic, kept);
}

async function transactional(transactionalId) {
  const producer = kafka.producer({
    transactionalId,
    idempotent: true,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
  });
  await producer.connect();
  return producer;
}

/** The records came, and no others, in order within each partition; offsets may have holes. */
async function checkCommitted(topic, sent) {
  const reads = await readAsMember(`${topic}-committed`, topic, sent.length);
  const next = Array.from({ length: PARTITIONS }, () => 0);
  checkWhole(reads.map((one) => ({ ...one, offset: next[one.partition]++ })), sent);
}

async function deleteRecords() {
  const topic = await fresh('delete-records');
  const sent = records(count, 0);
  await produce(topic, 'none', sent);
  const sizes = [0, 1, 2].map((one) => sent.filter(({ partition }) => partition === one).length);
  const firsts = [Math.floor(sizes[0] / 2), sizes[1], 0];
  const deleteBefore = (offsets) =>
    admin.deleteTopicRecords({
      topic,
      partitions: offsets.map(([partition, offset]) => ({ partition, offset: `${offset}` })),
    });
  await deleteBefore([[0, firsts[0]], [1, firsts[1]]]);
  for (const { partition, low, high } of await admin.fetchTopicOffsets(topic)) {
    const isRight = low === `${firsts[partition]}` && high === `${sizes[partition]}`;
    check(isRight, `bounds of ${partition}: ${low} to ${high}`);
  }
  const left = sizes[0] + sizes[2] - firsts[0];
  checkWhole(await readAsMember(`${prefix}-delete-records`, topic, left), sent, firsts);
  check(await fails(() => deleteBefore([[2, sizes[2] + 1]])), 'records past the end were deleted');
}

/** A group is deleted when it is empty, and its offsets with it. */
async function deleteGroups() {
  const topic = await fresh('delete-groups');
  const groupId = `${prefix}-delete-groups`;
  const sent = records(count, 0);
  await produce(topic, 'none', sent);
  await readAsMember(groupId, topic, count);
  const isListed = async () =>
    (await admin.listGroups()).groups.some((listed) => listed.groupId === groupId);
  check(await isListed(), 'the group is not listed');
  const present = await member(groupId, topic);
  try {
    await waitFor('a member', () => present.share.length === PARTITIONS);
    const isRefused = await fails(() => admin.deleteGroups([groupId]));
    check(isRefused, 'a group with a member was deleted');
  } finally {
    await present.close();
  }
  check(present.reads.length === 0, `${present.reads.length} records came once more`);
  await admin.deleteGroups([groupId]);
  check(!(await isListed()), 'the group is still listed');
  check(await fails(() => admin.deleteGroups([groupId])), 'a group was deleted twice');
  checkWhole(await readAsMember(groupId, topic, count), sent);
}

async function remove() {
  const topic = `${prefix}-created`;
  await admin.deleteTopics({ topics: [topic], timeout: 20_000 });
  await waitFor('the topic to be gone', async () => !(await admin.listTopics()).includes(topic));
}

async function fresh(name) {
  const topic = `${prefix}-${name}`;
  check(await create(topic, PARTITIONS), `${topic} exists`);
  await waitFor(`topic ${topic}`, async () => {
    if (!(await admin.listTopics()).includes(topic)) return false;
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    return topics[0].partitions.length === PARTITIONS;
  });
  return topic;
}

function create(topic, numPartitions) {
  return admin.createTopics({
    topics: [{ topic, numPartitions, replicationFactor: 1 }],
    timeout: 20_000,
    waitForLeaders: false,
  });
}

async function produce(topic, codec, items) {
  const producer = kafka.producer({ allowAutoTopicCreation: false });
  await producer.connect();
  const done = await producer.send({ topic, acks: -1, compression: CODECS[codec], messages: items });
  check(done.length === PARTITIONS, `${done.length} partitions acknowledged`);
  await producer.disconnect();
}

/** A member of a group that commits what it has taken, batch by batch. */
async function member(groupId, topic) {
  const consumer = kafka.consumer({
    groupId,
    sessionTimeout: 10_000,
    heartbeatInterval: 500,
    rebalanceTimeout: 10_000,
    maxWaitTimeInMs: 200,
    allowAutoTopicCreation: false,
  });
  const self = {
    reads: [],
    share: [],
    isClosed: false,
    async close() {
      if (self.isClosed) return;
      self.isClosed = true;
      await consumer.disconnect();
    },
  };
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    self.share = payload.memberAssignment[topic] ?? [];
  });
  consumer.on(consumer.events.REBALANCING, () => {
    self.share = [];
  });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: true,
    eachBatch: async ({ batch }) => {
      const offset = String(Number(batch.lastOffset()) + 1);
      await consumer.commitOffsets([{ topic, partition: batch.partition, offset }]);
      for (const message of batch.messages) {
        self.reads.push({ ...message, partition: batch.partition, offset: Number(message.offset) });
      }
    },
  });
  return self;
}

/** The record of a number: keys, values and headers in all their shapes, null and empty. */
function record(number) {
  const every = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  const keys = [Buffer.from(`key-${number}`), null, Buffer.alloc(0), Buffer.from('schlüssel')];
  const values = [Buffer.from('value-' + 'x'.repeat(number % 200)), Buffer.alloc(0), null, every];
  const headers = [{}, { number: `${number}` }, { twice: ['1', '2'], leer: '' }, { more: 'größe' }];
  return {
    partition: number % PARTITIONS,
    key: keys[Math.floor(number / 3) % 4],
    value: number % 2 ? values[Math.floor(number / 12) % 4] : Buffer.from(`value-${number}`),
    headers: headers[Math.floor(number / 6) % 4],
    timestamp: String(BASE_TIME_MS + number),
  };
}

function records(howMany, start) {
  return Array.from({ length: howMany }, (_, i) => record(start + i));
}

async function fails(attempt) {
  try {
    await attempt();
  } catch (error) {
    return true;
  }
  return false;
}

function check(holds, message) {
  if (!holds) throw new Error(message);
}

/** Each record, from the first offsets on, came once, with all its parts, in order in its partition. */
function checkWhole(reads, sent, firsts = [0, 0, 0]) {
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    const first = firsts[partition];
    const own = sent.filter((one) => one.partition === partition).slice(first);
    const came = reads.filter((one) => one.partition === partition);
    check(came.length === own.length, `partition ${partition}: ${came.length} of ${own.length}`);
    own.forEach((expected, i) => {
      const read = came[i];
      const isSame =
        read.offset === first + i &&
        read.timestamp === expected.timestamp &&
        asText(read.key) === asText(expected.key) &&
        asText(read.value) === asText(expected.value) &&
        headersAsText(read.headers) === headersAsText(expected.headers);
      check(isSame, `sent ${JSON.stringify(expected)}, read ${JSON.stringify(read)}`);
    });
  }
}

function asText(bytes) {
  return bytes === null ? 'null' : `"${Buffer.from(bytes).toString('hex')}"`;
}

function headersAsText(headers) {
  return Object.entries(headers)
    .map(([name, value]) => `${name}:${[value].flat().map(asText)}`)
    .join();
}

async function waitFor(what, holds) {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await holds())) {
    check(Date.now() < deadline, `waited ${PATIENCE_MS / 1000} s for ${what}`);
    await sleep(100);
  }
}

function sleep(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

tell().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
