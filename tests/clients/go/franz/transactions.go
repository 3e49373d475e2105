package main

import (
	"context"
	"time"

	"local/clients/story"

	"github.com/twmb/franz-go/pkg/kgo"
)

type transactional struct{ client *kgo.Client }

func (f *franz) Transactional(id string, timeout time.Duration) (story.Transactional, error) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(f.bootstrap),
		kgo.TransactionalID(id),
		kgo.TransactionTimeout(timeout),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
	)
	if err != nil {
		return nil, err
	}
	ctx, cancel := limited()
	defer cancel()
	// Elsewhere it is done with the first transaction; a zombie is one only if it was done before.
	_, _, err = client.ProducerID(ctx)
	return transactional{client}, err
}

func (t transactional) Begin() error { return t.client.BeginTransaction() }

func (t transactional) Send(topic string, records []story.Record) error {
	ctx, cancel := limited()
	defer cancel()
	return t.client.ProduceSync(ctx, toWrite(topic, records)...).FirstErr()
}

func (t transactional) End(commit bool) error {
	ctx, cancel := limited()
	defer cancel()
	return t.client.EndTransaction(ctx, kgo.TransactionEndTry(commit))
}

func (t transactional) Close() { t.client.Close() }

func (f *franz) PassOn(id, group, source, target string, count int) error {
	session, err := kgo.NewGroupTransactSession(
		kgo.SeedBrokers(f.bootstrap),
		kgo.TransactionalID(id),
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(source),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.RequireStableFetchOffsets(),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
	)
	if err != nil {
		return err
	}
	defer session.Close()
	ctx, cancel := limited()
	defer cancel()
	for round, passed := 0, 0; passed < count && ctx.Err() == nil; round++ {
		fetches := session.PollRecords(ctx, 20)
		if err := fetches.Err(); err != nil {
			return err
		}
		if err := session.Begin(); err != nil {
			return err
		}
		records := recordsOf(fetches)
		failed := kgo.AbortingFirstErrPromise(session.Client())
		for _, one := range toWrite(target, records) {
			session.Produce(ctx, one, failed.Promise())
		}
		isGood := failed.Err() == nil && round%2 == 0
		committed, err := session.End(ctx, kgo.TransactionEndTry(isGood))
		if err != nil {
			return err
		}
		if committed {
			passed += len(records)
		}
	}
	return ctx.Err()
}

func (f *franz) Committed(group, topic string, partition int32) (int64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), story.Patience)
	defer cancel()
	offsets, err := f.admin.FetchOffsets(ctx, group)
	if err != nil {
		return -1, err
	}
	found, isThere := offsets.Lookup(topic, partition)
	if !isThere {
		return -1, nil
	}
	return found.At, found.Err
}
