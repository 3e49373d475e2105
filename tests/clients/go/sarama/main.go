// sarama, a client written in Go.
package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"local/clients/story"

	"github.com/IBM/sarama"
)

type adapter struct {
	bootstrap []string
	client    sarama.Client
	admin     sarama.ClusterAdmin
}

func main() {
	story.Tell("sarama", func(bootstrap string) (story.Adapter, error) {
		servers := []string{bootstrap}
		client, err := sarama.NewClient(servers, settings())
		if err != nil {
			return nil, err
		}
		admin, err := sarama.NewClusterAdminFromClient(client)
		return &adapter{servers, client, admin}, err
	})
}

func settings() *sarama.Config {
	config := sarama.NewConfig()
	// The newest release that it knows, or it would speak the oldest.
	config.Version = sarama.MaxVersion
	return config
}

func (a *adapter) Create(topic string, partitions int32) error {
	err := a.admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1}, false)
	if err != nil {
		return story.Refused{Reason: err.Error()}
	}
	return nil
}

func (a *adapter) PartitionCount(topic string) (int, error) {
	// All topics: asking for one by name could create it.
	topics, err := a.admin.ListTopics()
	return int(topics[topic].NumPartitions), err
}

var codecs = map[string]sarama.CompressionCodec{
	"none":   sarama.CompressionNone,
	"gzip":   sarama.CompressionGZIP,
	"snappy": sarama.CompressionSnappy,
	"lz4":    sarama.CompressionLZ4,
	"zstd":   sarama.CompressionZSTD,
}

// Sarama writes a nil encoder as null.
func encoder(bytes []byte) sarama.Encoder {
	if bytes == nil {
		return nil
	}
	return sarama.ByteEncoder(bytes)
}

func (a *adapter) Produce(topic, codec string, records []story.Record) error {
	config := settings()
	config.Producer.Compression = codecs[codec]
	return a.write(topic, records, config)
}

func (a *adapter) ProduceIdempotently(topic, clientID string, records []story.Record) error {
	config := settings()
	config.ClientID = clientID
	config.Producer.Flush.MaxMessages = 10
	// It gives up after three attempts, and counts one for every batch that waits when a connection ends.
	config.Producer.Retry.Max = 20
	return a.write(topic, records, config)
}

func (a *adapter) write(topic string, records []story.Record, config *sarama.Config) error {
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Idempotent = true
	config.Net.MaxOpenRequests = 1
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Return.Successes = true
	config.Producer.Return.Errors = true
	producer, err := sarama.NewSyncProducer(a.bootstrap, config)
	if err != nil {
		return err
	}
	defer producer.Close()
	messages := toWrite(topic, records)
	if err := producer.SendMessages(messages); err != nil {
		return err
	}
	for i, message := range messages {
		records[i].Partition, records[i].Offset = message.Partition, message.Offset
	}
	return nil
}

func toWrite(topic string, records []story.Record) []*sarama.ProducerMessage {
	var messages []*sarama.ProducerMessage
	for _, record := range records {
		message := &sarama.ProducerMessage{
			Topic: topic, Partition: record.Partition, Key: encoder(record.Key), Value: encoder(record.Value),
			Timestamp: record.Time,
		}
		for _, header := range record.Headers {
			message.Headers = append(message.Headers, sarama.RecordHeader{Key: []byte(header.Key), Value: header.Value})
		}
		messages = append(messages, message)
	}
	return messages
}

func (a *adapter) Read(topic string, count int) ([]story.Record, error) {
	return a.read(topic, count, sarama.ReadUncommitted)
}

func (a *adapter) ReadCommitted(topic string, count int) ([]story.Record, error) {
	return a.read(topic, count, sarama.ReadCommitted)
}

func (a *adapter) read(topic string, count int, isolation sarama.IsolationLevel) ([]story.Record, error) {
	config := settings()
	config.Consumer.IsolationLevel = isolation
	consumer, err := sarama.NewConsumer(a.bootstrap, config)
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	messages := make(chan *sarama.ConsumerMessage)
	done := make(chan struct{})
	defer close(done)
	for partition := int32(0); partition < story.Partitions; partition++ {
		reader, err := consumer.ConsumePartition(topic, partition, sarama.OffsetOldest)
		if err != nil {
			return nil, err
		}
		defer reader.AsyncClose()
		go func() {
			for message := range reader.Messages() {
				select {
				case messages <- message:
				case <-done:
				}
			}
		}()
	}
	var reads []story.Record
	deadline := time.After(story.Patience)
	for {
		patience := time.After(story.Patience)
		if len(reads) >= count {
			// Nothing may follow.
			patience = time.After(300 * time.Millisecond)
		}
		select {
		case message := <-messages:
			reads = append(reads, recordOf(message))
		case <-patience:
			return reads, nil
		case <-deadline:
			return reads, nil
		}
	}
}

func recordOf(message *sarama.ConsumerMessage) story.Record {
	record := story.Record{
		Partition: message.Partition, Offset: message.Offset, Key: message.Key, Value: message.Value,
		Time: message.Timestamp,
	}
	for _, header := range message.Headers {
		record.Headers = append(record.Headers, story.Header{Key: string(header.Key), Value: header.Value})
	}
	return record
}

func (a *adapter) Bounds(topic string, partition int32) (int64, int64, error) {
	first, err := a.client.GetOffset(topic, partition, sarama.OffsetOldest)
	if err != nil {
		return 0, 0, err
	}
	last, err := a.client.GetOffset(topic, partition, sarama.OffsetNewest)
	return first, last, err
}

func (a *adapter) OffsetAt(topic string, partition int32, at time.Time) (int64, error) {
	return a.client.GetOffset(topic, partition, at.UnixMilli())
}

type member struct {
	group  sarama.ConsumerGroup
	handle func([]story.Record)
	stop   context.CancelFunc
	done   chan struct{}
	lock   sync.Mutex
	share  []int32
	// What it had to give up while its session went on.
	givenUp []int
	err     error
}

var strategies = map[story.Kind]func() sarama.BalanceStrategy{
	story.Eager:       sarama.NewBalanceStrategyRange,
	story.Cooperative: sarama.NewBalanceStrategyCooperativeSticky,
}

func (a *adapter) Member(group, topic, name string, kind story.Kind, handle func([]story.Record)) (story.Member, error) {
	if strategies[kind] == nil {
		return nil, story.Unsupported{Reason: "it can describe such groups, and not be in one"}
	}
	config := settings()
	config.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategies[kind]()}
	config.ClientID = name
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.Group.Session.Timeout = 10 * time.Second
	config.Consumer.Group.Heartbeat.Interval = 500 * time.Millisecond
	joined, err := sarama.NewConsumerGroup(a.bootstrap, group, config)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	m := &member{group: joined, handle: handle, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(m.done)
		for ctx.Err() == nil {
			if err := joined.Consume(ctx, []string{topic}, m); err != nil && ctx.Err() == nil {
				m.err = fmt.Errorf("%s: %w", name, err)
				return
			}
		}
	}()
	return m, nil
}

func (m *member) Setup(sarama.ConsumerGroupSession) error { return nil }

func (m *member) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	m.change(func() { m.share = append(m.share, claim.Partition()) })
	defer m.change(func() {
		m.share = slices.DeleteFunc(slices.Clone(m.share), func(one int32) bool { return one == claim.Partition() })
		if session.Context().Err() == nil {
			m.givenUp = append(m.givenUp, 1)
		}
	})
	var batch []story.Record
	for {
		select {
		case message, isOpen := <-claim.Messages():
			if !isOpen {
				return nil
			}
			session.MarkMessage(message, "")
			batch = append(batch, recordOf(message))
			// One commit for all that is at hand.
			if len(claim.Messages()) == 0 {
				session.Commit()
				m.handle(batch)
				batch = nil
			}
		case <-session.Context().Done():
			return nil
		}
	}
}

func (m *member) change(change func()) {
	m.lock.Lock()
	defer m.lock.Unlock()
	change()
}

func (m *member) Assigned() []int32 {
	m.lock.Lock()
	defer m.lock.Unlock()
	return slices.Clone(m.share)
}

func (m *member) GivenUp() []int {
	m.lock.Lock()
	defer m.lock.Unlock()
	return slices.Clone(m.givenUp)
}

func (m *member) Close() error {
	m.stop()
	<-m.done
	if err := m.group.Close(); err != nil {
		return err
	}
	return m.err
}

func (a *adapter) Configs(topic string) (map[string]string, error) {
	entries, err := a.admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: topic})
	values := map[string]string{}
	for _, entry := range entries {
		values[entry.Name] = entry.Value
	}
	return values, err
}

func (a *adapter) SetConfigs(topic string, values map[string]string) error {
	entries := map[string]sarama.IncrementalAlterConfigsEntry{}
	for name, value := range values {
		entries[name] = sarama.IncrementalAlterConfigsEntry{
			Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value,
		}
	}
	if err := a.admin.IncrementalAlterConfig(sarama.TopicResource, topic, entries, false); err != nil {
		return story.Refused{Reason: err.Error()}
	}
	return nil
}

func (a *adapter) Groups() ([]string, error) {
	groups, err := a.admin.ListConsumerGroups()
	return slices.Collect(maps.Keys(groups)), err
}

func (a *adapter) DeleteGroup(group string) error { return a.admin.DeleteConsumerGroup(group) }

func (a *adapter) DeleteRecords(topic string, offsets map[int32]int64) error {
	return a.admin.DeleteRecords(topic, offsets)
}

func (a *adapter) Delete(topic string) error { return a.admin.DeleteTopic(topic) }

func (a *adapter) Close() { a.admin.Close() }
