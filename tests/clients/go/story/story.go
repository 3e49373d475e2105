// Package story is the story every client tells (see ../../python/story.py), for clients that speak Go.
//
// It knows no client: an Adapter does what a step asks of it, and the steps check what came of it. Each step prints
// one line: its name, pass, fail or unsupported, and a detail, with tabs between them.
package story

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"
)

const (
	Partitions = 3
	Patience   = 60 * time.Second
)

// Recent, or retention would take the records while they are read.
var baseTime = time.Now().Add(-time.Hour).Truncate(time.Second)

type Header struct {
	Key   string
	Value []byte
}

// A Record as it is sent and as it is read. Nil is null; empty is empty.
type Record struct {
	Partition int32
	Offset    int64
	Key       []byte
	Value     []byte
	Headers   []Header
	Time      time.Time
}

// A Refused is the broker's no, with the name that the client gives to the reason.
type Refused struct{ Reason string }

func (r Refused) Error() string { return r.Reason }

// Unsupported is what the client cannot do, whatever the broker.
type Unsupported struct{ Reason string }

func (u Unsupported) Error() string { return u.Reason }

// A Kind says how a group is shared out: everything is given up and dealt out anew, or only what has to move; and the
// latter by the broker.
type Kind string

const (
	Eager       Kind = "eager"
	Cooperative Kind = "cooperative"
	KIP848      Kind = "kip-848"
)

// An Adapter does for a step what the step asks. Every call ends within a bounded time.
type Adapter interface {
	// Create makes a topic, or returns Refused.
	Create(topic string, partitions int32) error
	// PartitionCount is 0 when there is no such topic.
	PartitionCount(topic string) (int, error)
	// Produce writes with acks from all replicas, and fills in the offsets.
	Produce(topic, codec string, records []Record) error
	// Read reads this many records of all partitions from the beginning, and what comes at once after them.
	Read(topic string, count int) ([]Record, error)
	// Bounds are the first offset, and the one after the last.
	Bounds(topic string, partition int32) (first, last int64, err error)
	// OffsetAt is the first offset at or after a time, or -1.
	OffsetAt(topic string, partition int32, at time.Time) (int64, error)
	// Configs are the values of all configs of a topic, by name.
	Configs(topic string) (map[string]string, error)
	// SetConfigs sets configs of a topic, or returns Refused.
	SetConfigs(topic string, values map[string]string) error
	// ProduceIdempotently is Produce under a client id, in many small batches.
	ProduceIdempotently(topic, clientID string, records []Record) error
	// Member joins a group from the earliest offset, and commits what handle has taken.
	Member(group, topic, name string, kind Kind, handle func([]Record)) (Member, error)
	Groups() ([]string, error)
	DeleteGroup(group string) error
	// DeleteRecords deletes what lies before an offset, by partition.
	DeleteRecords(topic string, offsets map[int32]int64) error
	Delete(topic string) error
	Close()
	Transactor
}

// A Member polls and commits in the background until it is closed.
type Member interface {
	Assigned() []int32
	// GivenUp says how many partitions it had to give up, each time that it had to.
	GivenUp() []int
	// Close leaves the group.
	Close() error
}

type teller struct {
	adapter Adapter
	count   int
	prefix  string
}

// Tell tells the story with the adapter that adapterOf makes.
func Tell(name string, adapterOf func(bootstrap string) (Adapter, error)) {
	bootstrap := flag.String("bootstrap", "", "HOST:PORT")
	count := flag.Int("records", 300, "of each codec")
	prefix := flag.String("prefix", "", "begins the name of each topic and group")
	flag.Parse()
	adapter, err := adapterOf(*bootstrap)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer adapter.Close()
	t := teller{adapter, *count, *prefix + "-" + name}
	step("create", t.create)
	step("refusals", t.refusals)
	step("configs", t.configs)
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		step(codec, func() (string, error) { return "", t.roundTrip(codec) })
	}
	step("offsets", t.offsets)
	step("idempotence", func() (string, error) { return "", t.idempotence("idempotence") })
	step("lost answers", func() (string, error) { return "", t.idempotence("lost-answers") })
	step("group", func() (string, error) { return "", t.group(Eager) })
	step("cooperative", func() (string, error) { return "", t.group(Cooperative) })
	step("kip-848", func() (string, error) { return "", t.group(KIP848) })
	step("resume", t.resume)
	step("transactions", t.transactions)
	step("delete records", t.deleteRecords)
	step("delete groups", t.deleteGroups)
	step("delete", t.delete)
}

func step(name string, play func() (string, error)) {
	outcome := "pass"
	detail, err := play()
	var unsupported Unsupported
	if errors.As(err, &unsupported) {
		outcome, detail = "unsupported", unsupported.Reason
	} else if err != nil {
		outcome, detail = "fail", err.Error()
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
	}
	fmt.Printf("%s\t%s\t%s\n", name, outcome, strings.Join(strings.Fields(detail), " "))
}

func (t teller) topic(name string) string { return t.prefix + "-" + name }

func (t teller) create() (string, error) {
	_, err := t.fresh("created")
	return "", err
}

func (t teller) refusals() (string, error) {
	for _, bad := range []struct {
		topic      string
		partitions int32
		reason     string
	}{
		{t.topic("created"), 1, "exists"},
		{"no spaces!", 1, "topic"},
		{t.topic("zero"), 0, "partition"},
	} {
		err := t.adapter.Create(bad.topic, bad.partitions)
		refused, isRefused := err.(Refused)
		if !isRefused || !strings.Contains(strings.ToLower(refused.Reason), bad.reason) {
			return "", fmt.Errorf("%q with %d partitions: %v", bad.topic, bad.partitions, err)
		}
	}
	return "", nil
}

func (t teller) configs() (string, error) {
	topic, err := t.fresh("configs")
	if err != nil {
		return "", err
	}
	expected, err := t.adapter.Configs(topic)
	if err != nil {
		return "", err
	}
	if expected["retention.ms"] != "604800000" || expected["cleanup.policy"] != "delete" {
		return "", fmt.Errorf("at first: %v", expected)
	}
	changes := map[string]string{"retention.ms": "86400000", "cleanup.policy": "compact,delete"}
	if err := t.adapter.SetConfigs(topic, changes); err != nil {
		return "", err
	}
	maps.Copy(expected, changes)
	areExpected := func() bool {
		found, err := t.adapter.Configs(topic)
		return err == nil && maps.Equal(found, expected)
	}
	if err := await("the changed configs", areExpected); err != nil {
		return "", err
	}
	for _, bad := range []string{"retention.ms", "no.such.config"} {
		err := t.adapter.SetConfigs(topic, map[string]string{bad: "soon"})
		if _, isRefused := err.(Refused); !isRefused {
			return "", fmt.Errorf("%s: %v", bad, err)
		}
		if !areExpected() {
			return "", fmt.Errorf("%s was refused, and changed configs", bad)
		}
	}
	return "", nil
}

// Many small batches, several of them on the way at once where the client can: none is doubled or overtaken.
func (t teller) idempotence(name string) error {
	topic, err := t.fresh(name)
	if err != nil {
		return err
	}
	sent := recordsFrom(0, t.count)
	produced := slices.Clone(sent)
	if err := t.adapter.ProduceIdempotently(topic, topic, produced); err != nil {
		return err
	}
	if err := checkAcknowledged(produced, sent); err != nil {
		return err
	}
	reads, err := t.adapter.Read(topic, t.count)
	if err != nil {
		return err
	}
	return checkWhole(reads, sent)
}

func (t teller) roundTrip(codec string) error {
	topic, err := t.fresh(codec)
	if err != nil {
		return err
	}
	sent, err := t.produce(topic, codec, 0)
	if err != nil {
		return err
	}
	reads, err := t.adapter.Read(topic, t.count)
	if err != nil {
		return err
	}
	return checkWhole(reads, sent)
}

func (t teller) offsets() (string, error) {
	topic, err := t.fresh("offsets")
	if err != nil {
		return "", err
	}
	sent, err := t.produce(topic, "none", 0)
	if err != nil {
		return "", err
	}
	for partition := int32(0); partition < Partitions; partition++ {
		own := ownOf(sent, partition)
		first, last, err := t.adapter.Bounds(topic, partition)
		if err != nil || first != 0 || last != int64(len(own)) {
			return "", fmt.Errorf("bounds of partition %d: %d to %d, %v", partition, first, last, err)
		}
		half := len(own) / 2
		found, err := t.adapter.OffsetAt(topic, partition, own[half].Time)
		if err != nil || found != int64(half) {
			return "", fmt.Errorf("offset at a time: %d, not %d, %v", found, half, err)
		}
		found, err = t.adapter.OffsetAt(topic, partition, baseTime.Add(30*time.Minute))
		if err != nil || found != -1 {
			return "", fmt.Errorf("offset at a time after all: %d, %v", found, err)
		}
	}
	return "", nil
}

// A log gathers what the members of a group have read, each for itself.
type readLog struct {
	lock  sync.Mutex
	reads map[string][]Record
}

func (l *readLog) handleOf(member string) func([]Record) {
	return func(records []Record) {
		l.lock.Lock()
		defer l.lock.Unlock()
		l.reads[member] = append(l.reads[member], records...)
	}
}

func (l *readLog) all() []Record {
	l.lock.Lock()
	defer l.lock.Unlock()
	var all []Record
	for _, reads := range l.reads {
		all = append(all, reads...)
	}
	return all
}

func (t teller) group(kind Kind) error {
	topic, err := t.fresh(string(kind))
	if err != nil {
		return err
	}
	group := t.topic("members-" + string(kind))
	log := &readLog{reads: map[string][]Record{}}
	var sent []Record
	produceAndAwait := func() error {
		more, err := t.produce(topic, "none", len(sent))
		sent = append(sent, more...)
		if err != nil {
			return err
		}
		return await(fmt.Sprintf("%d records", len(sent)), func() bool { return len(log.all()) >= len(sent) })
	}
	first, err := t.adapter.Member(group, topic, "first", kind, log.handleOf("first"))
	if err != nil {
		return err
	}
	if err = await("all partitions with one", func() bool { return shares([]int{3}, first) }); err != nil {
		return err
	}
	if err = produceAndAwait(); err != nil {
		return err
	}
	second, err := t.adapter.Member(group, topic, "second", kind, log.handleOf("second"))
	if err != nil {
		return err
	}
	if err = await("partitions shared by two", func() bool { return shares([]int{1, 2}, first, second) }); err != nil {
		return err
	}
	if err = produceAndAwait(); err != nil {
		return err
	}
	if err = second.Close(); err != nil {
		return err
	}
	if err = await("all partitions back", func() bool { return shares([]int{3}, first) }); err != nil {
		return err
	}
	if err = produceAndAwait(); err != nil {
		return err
	}
	givenUp := first.GivenUp()
	if err = first.Close(); err != nil {
		return err
	}
	reads := log.all()
	sort.SliceStable(reads, func(i, j int) bool { return reads[i].Offset < reads[j].Offset })
	if len(log.reads["second"]) == 0 {
		return fmt.Errorf("the second member read nothing")
	}
	if kind != Eager && !slices.Equal(givenUp, []int{1}) {
		return fmt.Errorf("the first member gave up %v, not the one for the second", givenUp)
	}
	return checkWhole(reads, sent)
}

func (t teller) resume() (string, error) {
	topic, err := t.fresh("resume")
	if err != nil {
		return "", err
	}
	sent, err := t.produce(topic, "none", 0)
	if err != nil {
		return "", err
	}
	log := &readLog{reads: map[string][]Record{}}
	if err = t.readAsMember(t.topic("resuming"), topic, "one", log, t.count); err != nil {
		return "", err
	}
	first := len(log.all())
	more, err := t.produce(topic, "none", len(sent))
	if err != nil {
		return "", err
	}
	sent = append(sent, more...)
	if err = t.readAsMember(t.topic("resuming"), topic, "two", log, len(sent)); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d + %d", first, len(log.all())-first), checkWhole(log.all(), sent)
}

func (t teller) readAsMember(group, topic, name string, log *readLog, total int) error {
	member, err := t.adapter.Member(group, topic, name, Eager, log.handleOf("all"))
	if err != nil {
		return err
	}
	err = await(fmt.Sprintf("%d records", total), func() bool { return len(log.all()) >= total })
	// What comes too much would come at once.
	time.Sleep(300 * time.Millisecond)
	if closing := member.Close(); err == nil {
		err = closing
	}
	return err
}

func (t teller) deleteRecords() (string, error) {
	topic, err := t.fresh("delete-records")
	if err != nil {
		return "", err
	}
	sent, err := t.produce(topic, "none", 0)
	if err != nil {
		return "", err
	}
	size := func(partition int32) int64 { return int64(len(ownOf(sent, partition))) }
	firsts := []int64{size(0) / 2, size(1), 0}
	if err := t.adapter.DeleteRecords(topic, map[int32]int64{0: firsts[0], 1: firsts[1]}); err != nil {
		return "", err
	}
	left := 0
	for partition := int32(0); partition < Partitions; partition++ {
		first, last, err := t.adapter.Bounds(topic, partition)
		if err != nil || first != firsts[partition] || last != size(partition) {
			return "", fmt.Errorf("bounds of partition %d: %d to %d, %v", partition, first, last, err)
		}
		left += int(last - first)
	}
	reads, err := t.adapter.Read(topic, left)
	if err != nil {
		return "", err
	}
	if err := checkWholeFrom(firsts, reads, sent); err != nil {
		return "", err
	}
	if err := t.adapter.DeleteRecords(topic, map[int32]int64{2: size(2) + 1}); err == nil {
		return "", fmt.Errorf("records past the end were deleted")
	}
	return "", nil
}

// A group is deleted when it is empty, and its offsets with it.
func (t teller) deleteGroups() (string, error) {
	topic, err := t.fresh("delete-groups")
	if err != nil {
		return "", err
	}
	sent, err := t.produce(topic, "none", 0)
	if err != nil {
		return "", err
	}
	group := t.topic("deleted")
	isListed := func() bool {
		groups, err := t.adapter.Groups()
		return err == nil && slices.Contains(groups, group)
	}
	log := &readLog{reads: map[string][]Record{}}
	if err := t.readAsMember(group, topic, "all", log, t.count); err != nil {
		return "", err
	}
	if !isListed() {
		return "", fmt.Errorf("the group is not listed")
	}
	member, err := t.adapter.Member(group, topic, "present", Eager, log.handleOf("present"))
	if err != nil {
		return "", err
	}
	err = await("a member", func() bool { return shares([]int{Partitions}, member) })
	if err == nil && t.adapter.DeleteGroup(group) == nil {
		err = fmt.Errorf("a group with a member was deleted")
	}
	if closing := member.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return "", err
	}
	if len(log.reads["present"]) > 0 {
		return "", fmt.Errorf("%d records came once more", len(log.reads["present"]))
	}
	if err := t.adapter.DeleteGroup(group); err != nil {
		return "", err
	}
	if isListed() {
		return "", fmt.Errorf("the group is still listed")
	}
	if err := t.adapter.DeleteGroup(group); err == nil {
		return "", fmt.Errorf("a group was deleted twice")
	}
	again := &readLog{reads: map[string][]Record{}}
	if err := t.readAsMember(group, topic, "again", again, t.count); err != nil {
		return "", err
	}
	return "", checkWhole(again.all(), sent)
}

func (t teller) delete() (string, error) {
	topic := t.topic("created")
	if err := t.adapter.Delete(topic); err != nil {
		return "", err
	}
	return "", await("the topic to be gone", func() bool {
		count, err := t.adapter.PartitionCount(topic)
		return err == nil && count == 0
	})
}

func (t teller) fresh(name string) (string, error) {
	topic := t.topic(name)
	if err := t.adapter.Create(topic, Partitions); err != nil {
		return "", err
	}
	return topic, await("topic "+topic, func() bool {
		count, err := t.adapter.PartitionCount(topic)
		return err == nil && count == Partitions
	})
}

func (t teller) produce(topic, codec string, start int) ([]Record, error) {
	sent := recordsFrom(start, t.count)
	produced := slices.Clone(sent)
	if err := t.adapter.Produce(topic, codec, produced); err != nil {
		return nil, err
	}
	return produced, checkAcknowledged(produced, sent)
}

// Each record went where it was sent, and offsets count up in each partition.
func checkAcknowledged(produced, sent []Record) error {
	next := map[int32]int64{}
	for number, record := range produced {
		if record.Partition != sent[number].Partition {
			return fmt.Errorf("a record went to partition %d", record.Partition)
		}
		expected, isKnown := next[record.Partition]
		if isKnown && record.Offset != expected {
			return fmt.Errorf("partition %d gave %d, not %d", record.Partition, record.Offset, expected)
		}
		next[record.Partition] = record.Offset + 1
	}
	return nil
}

// The record of a number: keys, values and headers in all their shapes, null and empty.
func recordOf(number int) Record {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	keys := [][]byte{fmt.Appendf(nil, "key-%d", number), nil, {}, []byte("schlüssel")}
	values := [][]byte{fmt.Appendf(nil, "value-%s", strings.Repeat("x", number%200)), {}, nil, every}
	headers := [][]Header{
		nil,
		{{"number", fmt.Append(nil, number)}},
		{{"twice", []byte("1")}, {"twice", []byte("2")}, {"leer", []byte{}}},
		{{"null", nil}},
	}
	value := fmt.Appendf(nil, "value-%d", number)
	if number%2 == 1 {
		value = values[number/12%4]
	}
	return Record{
		Partition: int32(number % Partitions),
		Key:       keys[number/3%4],
		Value:     value,
		Headers:   headers[number/6%4],
		Time:      baseTime.Add(time.Duration(number) * time.Millisecond),
	}
}

func ownOf(records []Record, partition int32) []Record {
	var own []Record
	for _, record := range records {
		if record.Partition == partition {
			own = append(own, record)
		}
	}
	return own
}

func shares(sizes []int, members ...Member) bool {
	var found []int
	all := map[int32]bool{}
	for _, member := range members {
		share := member.Assigned()
		found = append(found, len(share))
		for _, partition := range share {
			all[partition] = true
		}
	}
	sort.Ints(found)
	return len(all) == Partitions && fmt.Sprint(found) == fmt.Sprint(sizes)
}

func checkWhole(reads, sent []Record) error {
	return checkWholeFrom(make([]int64, Partitions), reads, sent)
}

// Each record, from the first offsets on, came exactly once, with all its parts, and in order within its partition.
func checkWholeFrom(firsts []int64, reads, sent []Record) error {
	for partition := int32(0); partition < Partitions; partition++ {
		own, came := ownOf(sent, partition)[firsts[partition]:], ownOf(reads, partition)
		if len(came) != len(own) {
			return fmt.Errorf("partition %d: %d of %d records", partition, len(came), len(own))
		}
		for i := range own {
			if came[i].Offset != firsts[partition]+int64(i) || !isSame(came[i], own[i]) {
				return fmt.Errorf("partition %d, record %d: sent %+v, read %+v", partition, i, own[i], came[i])
			}
		}
	}
	return nil
}

func isSame(one, other Record) bool {
	if len(one.Headers) != len(other.Headers) {
		return false
	}
	for i, header := range one.Headers {
		if header.Key != other.Headers[i].Key || !isSameBytes(header.Value, other.Headers[i].Value) {
			return false
		}
	}
	return isSameBytes(one.Key, other.Key) && isSameBytes(one.Value, other.Value) && one.Time.Equal(other.Time)
}

// Null and empty are different.
func isSameBytes(one, other []byte) bool {
	return (one == nil) == (other == nil) && bytes.Equal(one, other)
}

func await(what string, holds func() bool) error {
	for deadline := time.Now().Add(Patience); !holds(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("waited %v for %s", Patience, what)
		}
	}
	return nil
}
