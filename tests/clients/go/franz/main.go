// franz-go, a client written in Go.
package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"local/clients/story"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

type franz struct {
	bootstrap string
	client    *kgo.Client
	admin     *kadm.Client
}

func main() {
	story.Tell("franz", func(bootstrap string) (story.Adapter, error) {
		// Or it would not ask again for 5 s what topics there are.
		client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.MetadataMinAge(50*time.Millisecond))
		if err != nil {
			return nil, err
		}
		return &franz{bootstrap, client, kadm.NewClient(client)}, nil
	})
}

func limited() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), story.Patience)
}

func (f *franz) Create(topic string, partitions int32) error {
	ctx, cancel := limited()
	defer cancel()
	_, err := f.admin.CreateTopic(ctx, partitions, 1, nil, topic)
	if err != nil {
		return story.Refused{Reason: err.Error()}
	}
	return nil
}

func (f *franz) PartitionCount(topic string) (int, error) {
	ctx, cancel := limited()
	defer cancel()
	// All topics: asking for one by name could create it.
	topics, err := f.admin.ListTopics(ctx)
	if err != nil {
		return 0, err
	}
	return len(topics[topic].Partitions), nil
}

var codecs = map[string]kgo.CompressionCodec{
	"none":   kgo.NoCompression(),
	"gzip":   kgo.GzipCompression(),
	"snappy": kgo.SnappyCompression(),
	"lz4":    kgo.Lz4Compression(),
	"zstd":   kgo.ZstdCompression(),
}

func (f *franz) Produce(topic, codec string, records []story.Record) error {
	return f.write(topic, records, kgo.ProducerBatchCompression(codecs[codec]), kgo.ProducerLinger(20*time.Millisecond))
}

func (f *franz) ProduceIdempotently(topic, clientID string, records []story.Record) error {
	return f.write(topic, records, kgo.ClientID(clientID), kgo.ProducerBatchMaxBytes(600))
}

func (f *franz) write(topic string, records []story.Record, more ...kgo.Opt) error {
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(f.bootstrap),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
	}, more...)...)
	if err != nil {
		return err
	}
	defer client.Close()
	written := toWrite(topic, records)
	ctx, cancel := limited()
	defer cancel()
	if err := client.ProduceSync(ctx, written...).FirstErr(); err != nil {
		return err
	}
	for i, one := range written {
		records[i].Partition, records[i].Offset = one.Partition, one.Offset
	}
	return nil
}

func toWrite(topic string, records []story.Record) []*kgo.Record {
	var written []*kgo.Record
	for _, record := range records {
		one := &kgo.Record{
			Topic: topic, Partition: record.Partition, Key: record.Key, Value: record.Value, Timestamp: record.Time,
		}
		for _, header := range record.Headers {
			one.Headers = append(one.Headers, kgo.RecordHeader{Key: header.Key, Value: header.Value})
		}
		written = append(written, one)
	}
	return written
}

func (f *franz) Read(topic string, count int) ([]story.Record, error) {
	return f.read(topic, count, kgo.ReadUncommitted())
}

func (f *franz) ReadCommitted(topic string, count int) ([]story.Record, error) {
	return f.read(topic, count, kgo.ReadCommitted())
}

func (f *franz) read(topic string, count int, isolation kgo.IsolationLevel) ([]story.Record, error) {
	from := map[int32]kgo.Offset{}
	for partition := int32(0); partition < story.Partitions; partition++ {
		from[partition] = kgo.NewOffset().AtStart()
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(f.bootstrap),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}),
		kgo.FetchIsolationLevel(isolation),
	)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ctx, cancel := limited()
	defer cancel()
	var reads []story.Record
	for len(reads) < count && ctx.Err() == nil {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return reads, err
		}
		reads = append(reads, recordsOf(fetches)...)
	}
	shortly, stop := context.WithTimeout(ctx, 300*time.Millisecond)
	defer stop()
	return append(reads, recordsOf(client.PollFetches(shortly))...), nil
}

func recordsOf(fetches kgo.Fetches) []story.Record {
	var records []story.Record
	fetches.EachRecord(func(one *kgo.Record) {
		record := story.Record{
			Partition: one.Partition, Offset: one.Offset, Key: one.Key, Value: one.Value, Time: one.Timestamp,
		}
		for _, header := range one.Headers {
			record.Headers = append(record.Headers, story.Header{Key: header.Key, Value: header.Value})
		}
		records = append(records, record)
	})
	return records
}

func (f *franz) Bounds(topic string, partition int32) (int64, int64, error) {
	ctx, cancel := limited()
	defer cancel()
	first, err := f.admin.ListStartOffsets(ctx, topic)
	if err != nil {
		return 0, 0, err
	}
	last, err := f.admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return 0, 0, err
	}
	start, _ := first.Lookup(topic, partition)
	end, _ := last.Lookup(topic, partition)
	return start.Offset, end.Offset, nil
}

func (f *franz) OffsetAt(topic string, partition int32, at time.Time) (int64, error) {
	ctx, cancel := limited()
	defer cancel()
	// kadm answers with the end where no record is so late; its timestamp is then -1.
	offsets, err := f.admin.ListOffsetsAfterMilli(ctx, at.UnixMilli(), topic)
	if err != nil {
		return 0, err
	}
	found, _ := offsets.Lookup(topic, partition)
	if found.Err != nil {
		return 0, found.Err
	}
	if found.Timestamp == -1 {
		return -1, nil
	}
	return found.Offset, nil
}

type member struct {
	client  *kgo.Client
	done    chan struct{}
	stop    context.CancelFunc
	lock    sync.Mutex
	share   map[int32]bool
	givenUp []int
	err     error
}

var kinds = map[story.Kind][]kgo.Opt{
	story.Eager:       {kgo.Balancers(kgo.RangeBalancer())},
	story.Cooperative: {kgo.Balancers(kgo.CooperativeStickyBalancer())},
	// It stands for the broker's own assignor of that kind.
	story.KIP848: {kgo.Balancers(kgo.StickyBalancer()), kgo.ServerSideBalancer()},
}

func (f *franz) Member(group, topic, name string, kind story.Kind, handle func([]story.Record)) (story.Member, error) {
	m := &member{done: make(chan struct{}), share: map[int32]bool{}}
	gone := func(_ context.Context, _ *kgo.Client, lost map[string][]int32) { m.change(lost[topic], false) }
	client, err := kgo.NewClient(append(kinds[kind],
		kgo.SeedBrokers(f.bootstrap),
		kgo.ClientID(name),
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.SessionTimeout(10*time.Second),
		kgo.HeartbeatInterval(500*time.Millisecond),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, got map[string][]int32) {
			m.change(got[topic], true)
		}),
		kgo.OnPartitionsRevoked(gone),
		kgo.OnPartitionsLost(gone),
	)...)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	m.client, m.stop = client, stop
	go m.run(ctx, handle)
	return m, nil
}

func (m *member) run(ctx context.Context, handle func([]story.Record)) {
	defer close(m.done)
	for ctx.Err() == nil {
		fetches := m.client.PollFetches(ctx)
		records := recordsOf(fetches)
		if len(records) > 0 {
			if err := m.client.CommitUncommittedOffsets(context.Background()); err != nil {
				m.err = err
				return
			}
			handle(records)
		}
		m.client.AllowRebalance()
	}
}

func (m *member) change(partitions []int32, isOurs bool) {
	m.lock.Lock()
	defer m.lock.Unlock()
	if !isOurs && len(partitions) > 0 {
		m.givenUp = append(m.givenUp, len(partitions))
	}
	for _, partition := range partitions {
		if isOurs {
			m.share[partition] = true
		} else {
			delete(m.share, partition)
		}
	}
}

func (m *member) Assigned() []int32 {
	m.lock.Lock()
	defer m.lock.Unlock()
	var share []int32
	for partition := range m.share {
		share = append(share, partition)
	}
	return share
}

func (m *member) GivenUp() []int {
	m.lock.Lock()
	defer m.lock.Unlock()
	return slices.Clone(m.givenUp)
}

func (m *member) Close() error {
	m.stop()
	<-m.done
	m.client.CloseAllowingRebalance()
	return m.err
}

func (f *franz) Configs(topic string) (map[string]string, error) {
	ctx, cancel := limited()
	defer cancel()
	described, err := f.admin.DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return nil, err
	}
	found, err := described.On(topic, nil)
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for _, config := range found.Configs {
		values[config.Key] = config.MaybeValue()
	}
	return values, found.Err
}

func (f *franz) SetConfigs(topic string, values map[string]string) error {
	ctx, cancel := limited()
	defer cancel()
	var changes []kadm.AlterConfig
	for name, value := range values {
		changes = append(changes, kadm.AlterConfig{Op: kadm.SetConfig, Name: name, Value: &value})
	}
	altered, err := f.admin.AlterTopicConfigs(ctx, changes, topic)
	if err != nil {
		return err
	}
	answer, err := altered.On(topic, nil)
	if err == nil && answer.Err != nil {
		return story.Refused{Reason: answer.Err.Error()}
	}
	return err
}

func (f *franz) Groups() ([]string, error) {
	ctx, cancel := limited()
	defer cancel()
	listed, err := f.admin.ListGroups(ctx)
	return listed.Groups(), err
}

func (f *franz) DeleteGroup(group string) error {
	ctx, cancel := limited()
	defer cancel()
	_, err := f.admin.DeleteGroup(ctx, group)
	return err
}

func (f *franz) DeleteRecords(topic string, offsets map[int32]int64) error {
	ctx, cancel := limited()
	defer cancel()
	wanted := kadm.Offsets{}
	for partition, offset := range offsets {
		wanted.Add(kadm.Offset{Topic: topic, Partition: partition, At: offset})
	}
	deleted, err := f.admin.DeleteRecords(ctx, wanted)
	if err != nil {
		return err
	}
	return deleted.Error()
}

func (f *franz) Delete(topic string) error {
	ctx, cancel := limited()
	defer cancel()
	_, err := f.admin.DeleteTopic(ctx, topic)
	return err
}

func (f *franz) Close() { f.client.Close() }
