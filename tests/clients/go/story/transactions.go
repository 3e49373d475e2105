package story

import (
	"fmt"
	"time"
)

// A Transactional producer. What goes wrong is returned.
type Transactional interface {
	Begin() error
	// Send writes records, and waits until they are acknowledged.
	Send(topic string, records []Record) error
	End(commit bool) error
	Close()
}

// A Transactor is an adapter of a client that knows transactions.
type Transactor interface {
	// Transactional makes a producer that is ready to begin.
	Transactional(id string, timeout time.Duration) (Transactional, error)
	// ReadCommitted is Read of committed records alone.
	ReadCommitted(topic string, count int) ([]Record, error)
	// PassOn copies the records of a topic to another, each part in a transaction that commits its offsets for a
	// group, too. Every second try is aborted.
	PassOn(id, group, source, target string, count int) error
	// Committed is the offset that a group has committed, or -1.
	Committed(group, topic string, partition int32) (int64, error)
}

func (t teller) transactions() (string, error) {
	for _, part := range []func() error{t.commitsAndAborts, t.passOn, t.fence, t.timeOut} {
		if err := part(); err != nil {
			return "", err
		}
	}
	return "", nil
}

// A reader of committed records sees those of committed transactions alone, each one in order.
func (t teller) commitsAndAborts() error {
	topic, err := t.fresh("transactions")
	if err != nil {
		return err
	}
	producer, err := t.adapter.Transactional(topic, time.Minute)
	if err != nil {
		return err
	}
	defer producer.Close()
	var all, committed []Record
	for round := 0; round < 6; round++ {
		own := recordsFrom(len(all), t.count/6)
		commit := round%2 == 0
		if err := transact(producer, topic, own, commit); err != nil {
			return err
		}
		all = append(all, own...)
		if commit {
			committed = append(committed, own...)
		}
	}
	if err := t.checkCommitted(topic, committed); err != nil {
		return err
	}
	reads, err := t.adapter.Read(topic, len(all))
	if err != nil {
		return err
	}
	return checkInOrder(reads, all)
}

// Consume, write, and commit what was consumed, all in one transaction; some are aborted.
func (t teller) passOn() error {
	source, err := t.fresh("source")
	if err != nil {
		return err
	}
	target, err := t.fresh("target")
	if err != nil {
		return err
	}
	sent, err := t.produce(source, "none", 0)
	if err != nil {
		return err
	}
	group := t.topic("pass-on")
	if err := t.adapter.PassOn(group, group, source, target, t.count); err != nil {
		return err
	}
	for partition := int32(0); partition < Partitions; partition++ {
		offset, err := t.adapter.Committed(group, source, partition)
		if own := len(ownOf(sent, partition)); err != nil || offset != int64(own) {
			return fmt.Errorf("partition %d: committed %d of %d, %v", partition, offset, own, err)
		}
	}
	return t.checkCommitted(target, sent)
}

// A producer of the same id shuts out its predecessor, whose records nobody sees.
func (t teller) fence() error {
	topic, err := t.fresh("fence")
	if err != nil {
		return err
	}
	zombie, err := t.adapter.Transactional(topic, time.Minute)
	if err != nil {
		return err
	}
	defer zombie.Close()
	if err := zombie.Begin(); err != nil {
		return err
	}
	if err := zombie.Send(topic, recordsFrom(0, 10)); err != nil {
		return err
	}
	heir, err := t.adapter.Transactional(topic, time.Minute)
	if err != nil {
		return err
	}
	defer heir.Close()
	kept := recordsFrom(100, 10)
	if err := transact(heir, topic, kept, true); err != nil {
		return err
	}
	err = zombie.Send(topic, recordsFrom(10, 3))
	if err == nil {
		err = zombie.End(true)
	}
	if err == nil {
		return fmt.Errorf("a zombie committed")
	}
	return t.checkCommitted(topic, kept)
}

// A transaction that takes too long is aborted, and what comes behind it is seen.
func (t teller) timeOut() error {
	topic, err := t.fresh("timeout")
	if err != nil {
		return err
	}
	producer, err := t.adapter.Transactional(topic, time.Second)
	if err != nil {
		return err
	}
	defer producer.Close()
	if err := producer.Begin(); err != nil {
		return err
	}
	if err := producer.Send(topic, recordsFrom(0, 10)); err != nil {
		return err
	}
	behind, err := t.produce(topic, "none", 100)
	if err != nil {
		return err
	}
	if err := t.checkCommitted(topic, behind); err != nil {
		return err
	}
	if producer.End(true) == nil {
		return fmt.Errorf("a commit that came too late went well")
	}
	return nil
}

func transact(producer Transactional, topic string, records []Record, commit bool) error {
	if err := producer.Begin(); err != nil {
		return err
	}
	if err := producer.Send(topic, records); err != nil {
		return err
	}
	return producer.End(commit)
}

func recordsFrom(start, count int) []Record {
	var records []Record
	for number := start; number < start+count; number++ {
		records = append(records, recordOf(number))
	}
	return records
}

func (t teller) checkCommitted(topic string, sent []Record) error {
	reads, err := t.adapter.ReadCommitted(topic, len(sent))
	if err != nil {
		return err
	}
	return checkInOrder(reads, sent)
}

// The records came, and no others, in order within each partition; offsets may have holes.
func checkInOrder(reads, sent []Record) error {
	for partition := int32(0); partition < Partitions; partition++ {
		own, came := ownOf(sent, partition), ownOf(reads, partition)
		if len(came) != len(own) {
			return fmt.Errorf("partition %d: %d of %d records", partition, len(came), len(own))
		}
		for i := range own {
			if !isSame(came[i], own[i]) {
				return fmt.Errorf("partition %d, record %d: sent %+v, read %+v", partition, i, own[i], came[i])
			}
		}
	}
	return nil
}
