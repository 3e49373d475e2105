package main

import (
	"time"

	"local/clients/story"

	"github.com/IBM/sarama"
)

type transactional struct{ producer sarama.SyncProducer }

func (a *adapter) Transactional(id string, timeout time.Duration) (story.Transactional, error) {
	config := settings()
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Idempotent = true
	config.Net.MaxOpenRequests = 1
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Return.Successes = true
	config.Producer.Return.Errors = true
	config.Producer.Transaction.ID = id
	config.Producer.Transaction.Timeout = timeout
	producer, err := sarama.NewSyncProducer(a.bootstrap, config)
	if err != nil {
		return nil, err
	}
	return transactional{producer}, nil
}

func (t transactional) Begin() error { return t.producer.BeginTxn() }

func (t transactional) Send(topic string, records []story.Record) error {
	return t.producer.SendMessages(toWrite(topic, records))
}

func (t transactional) End(commit bool) error {
	if commit {
		return t.producer.CommitTxn()
	}
	return t.producer.AbortTxn()
}

func (t transactional) Close() { t.producer.Close() }

func (a *adapter) PassOn(id, group, source, target string, count int) error {
	made, err := a.Transactional(id, time.Minute)
	if err != nil {
		return err
	}
	defer made.Close()
	records, err := a.ReadCommitted(source, count)
	if err != nil {
		return err
	}
	for round := 0; len(records) > 0; round++ {
		part := records[:min(20, len(records))]
		if err := made.Begin(); err != nil {
			return err
		}
		if err := made.Send(target, part); err != nil {
			return err
		}
		last := map[int32]int64{}
		for _, record := range part {
			last[record.Partition] = record.Offset + 1
		}
		offsets := map[string][]*sarama.PartitionOffsetMetadata{}
		for partition, offset := range last {
			one := &sarama.PartitionOffsetMetadata{Partition: partition, Offset: offset}
			offsets[source] = append(offsets[source], one)
		}
		if err := made.(transactional).producer.AddOffsetsToTxn(offsets, group); err != nil {
			return err
		}
		commit := round%2 == 0
		if err := made.End(commit); err != nil {
			return err
		}
		if commit {
			records = records[len(part):]
		}
	}
	return nil
}

func (a *adapter) Committed(group, topic string, partition int32) (int64, error) {
	found, err := a.admin.ListConsumerGroupOffsets(group, map[string][]int32{topic: {partition}})
	if err != nil {
		return -1, err
	}
	return found.GetBlock(topic, partition).Offset, nil
}
