// Groups in which the broker assigns (KIP-848), as franz-go lives in them.
//
// Each step prints one line: its name, pass or fail, and a detail, with tabs between them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	partitions = 6
	patience   = 60 * time.Second
)

type teller struct {
	bootstrap string
	prefix    string
	admin     *kadm.Client
}

func main() {
	bootstrap := flag.String("bootstrap", "", "HOST:PORT")
	prefix := flag.String("prefix", "", "what the names of topics and groups begin with")
	flag.Parse()
	client, err := kgo.NewClient(kgo.SeedBrokers(*bootstrap))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer client.Close()
	t := &teller{*bootstrap, *prefix + "-franz", kadm.NewClient(client)}
	t.step("share", t.share)
	t.step("resume", t.resume)
	t.step("regex", t.regex)
	t.step("static", t.static)
	t.step("upgrade", t.upgrade)
	t.step("admin", t.administration)
}

func (t *teller) step(name string, play func() (string, error)) {
	begun := time.Now()
	detail, err := play()
	outcome := "pass"
	if err != nil {
		outcome, detail = "fail", strings.NewReplacer("\n", " ", "\t", " ").Replace(err.Error())
		fmt.Fprintf(os.Stderr, "%s: %s\n", name, detail)
	}
	fmt.Printf("%s\t%s\t%s (%.1f s)\n", name, outcome, detail, time.Since(begun).Seconds())
}

// Two members share, and each comes into what the other leaves.
func (t *teller) share() (string, error) {
	topic, group := t.name("share"), t.name("share")
	if err := t.create(topic); err != nil {
		return "", err
	}
	a, err := t.member(group, kgo.ConsumeTopics(topic))
	if err != nil {
		return "", err
	}
	defer a.close()
	if err := wait("a has all", func() bool { return a.assigned() == partitions }); err != nil {
		return "", err
	}
	b, err := t.member(group, kgo.ConsumeTopics(topic))
	if err != nil {
		return "", err
	}
	defer b.close()
	if err := wait("both have half", func() bool { return a.assigned() == 3 && b.assigned() == 3 }); err != nil {
		return "", err
	}
	if err := t.write(topic, 60); err != nil {
		return "", err
	}
	if err := wait("all is read", func() bool { return a.read()+b.read() == 60 }); err != nil {
		return "", err
	}
	b.close()
	return "1, 2 and 1 members", wait("a has all again", func() bool { return a.assigned() == partitions })
}

// The next member goes on where the last one has committed.
func (t *teller) resume() (string, error) {
	topic, group := t.name("resume"), t.name("resume")
	if err := t.create(topic); err != nil {
		return "", err
	}
	if err := t.write(topic, 30); err != nil {
		return "", err
	}
	a, err := t.member(group, kgo.ConsumeTopics(topic))
	if err != nil {
		return "", err
	}
	defer a.close()
	if err := wait("all is read", func() bool { return a.read() == 30 }); err != nil {
		return "", err
	}
	if err := a.client.CommitUncommittedOffsets(context.Background()); err != nil {
		return "", err
	}
	a.close()
	if err := t.write(topic, 12); err != nil {
		return "", err
	}
	b, err := t.member(group, kgo.ConsumeTopics(topic))
	if err != nil {
		return "", err
	}
	defer b.close()
	if err := wait("the rest is read", func() bool { return b.read() >= 12 }); err != nil {
		return "", err
	}
	if b.read() != 12 {
		return "", fmt.Errorf("read %d of 12", b.read())
	}
	return "12 after 30", nil
}

// Topics that match, those that come later too.
func (t *teller) regex() (string, error) {
	group := t.name("regex")
	if err := t.create(t.name("regex-1")); err != nil {
		return "", err
	}
	a, err := t.member(group, kgo.ConsumeRegex(), kgo.ConsumeTopics("^"+t.name("regex-[12]")+"$"))
	if err != nil {
		return "", err
	}
	defer a.close()
	if err := wait("the first topic is there", func() bool { return a.assigned() == partitions }); err != nil {
		return "", err
	}
	for _, later := range []string{"regex-3", "regex-2"} {
		if err := t.create(t.name(later)); err != nil {
			return "", err
		}
	}
	if err := wait("the second topic is there", func() bool { return a.assigned() == 2*partitions }); err != nil {
		return "", err
	}
	return "two topics of three", nil
}

// A static member that restarts finds what it had.
func (t *teller) static() (string, error) {
	topic, group := t.name("static"), t.name("static")
	if err := t.create(topic); err != nil {
		return "", err
	}
	b, err := t.member(group, kgo.ConsumeTopics(topic))
	if err != nil {
		return "", err
	}
	defer b.close()
	join := func() (*member, error) {
		return t.member(group, kgo.ConsumeTopics(topic), kgo.InstanceID("one"))
	}
	a, err := join()
	if err != nil {
		return "", err
	}
	defer a.close()
	if err := wait("both have half", func() bool { return a.assigned() == 3 && b.assigned() == 3 }); err != nil {
		return "", err
	}
	before := a.list()
	a.close()
	again, err := join()
	if err != nil {
		return "", err
	}
	defer again.close()
	if err := wait("it is back", func() bool { return again.assigned() == 3 }); err != nil {
		return "", err
	}
	if again.list() != before {
		return "", fmt.Errorf("it had %s and has %s", before, again.list())
	}
	return "back with the same partitions", nil
}

// Members of both protocols share.
func (t *teller) upgrade() (string, error) {
	topic, group := t.name("upgrade"), t.name("upgrade")
	if err := t.create(topic); err != nil {
		return "", err
	}
	a, err := t.classicMember(group, kgo.ConsumeTopics(topic), kgo.HeartbeatInterval(300*time.Millisecond))
	if err != nil {
		return "", err
	}
	defer a.close()
	if err := wait("a has all", func() bool { return a.assigned() == partitions }); err != nil {
		return "", err
	}
	b, err := t.member(group, kgo.ConsumeTopics(topic))
	if err != nil {
		return "", err
	}
	defer b.close()
	if err := wait("both have half", func() bool { return a.assigned() == 3 && b.assigned() == 3 }); err != nil {
		return "", err
	}
	b.close()
	if err := wait("a has all again", func() bool { return a.assigned() == partitions }); err != nil {
		return "", err
	}
	return "classic, mixed, classic", nil
}

func (t *teller) administration() (string, error) {
	topic, group := t.name("admin"), t.name("admin")
	if err := t.create(topic); err != nil {
		return "", err
	}
	a, err := t.member(group, kgo.ConsumeTopics(topic))
	if err != nil {
		return "", err
	}
	defer a.close()
	if err := wait("a has all", func() bool { return a.assigned() == partitions }); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	listed, err := t.admin.ListGroups(ctx)
	if err != nil {
		return "", err
	}
	if state := listed[group].State; state != "Stable" {
		return "", fmt.Errorf("the group is %q", state)
	}
	if _, err := t.admin.DeleteGroup(ctx, group); !errors.Is(err, kerr.NonEmptyGroup) {
		return "", fmt.Errorf("deletion of a group with members: %v", err)
	}
	a.close()
	if _, err := t.admin.DeleteGroup(ctx, group); err != nil {
		return "", err
	}
	return "listed, deleted", nil
}

// ------------------------------------------------------------------------------------------------

// A client in a group, with what it has been assigned and how much it has read.
type member struct {
	client *kgo.Client
	ended  sync.Once
	done   chan struct{}

	lock  sync.Mutex
	parts map[string]bool
	count int
}

func (t *teller) member(group string, options ...kgo.Opt) (*member, error) {
	return t.classicMember(group, append(options, kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer()))...)
}

func (t *teller) classicMember(group string, options ...kgo.Opt) (*member, error) {
	m := &member{done: make(chan struct{}), parts: map[string]bool{}}
	all := append([]kgo.Opt{
		kgo.SeedBrokers(t.bootstrap),
		kgo.ConsumerGroup(group),
		kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.MetadataMinAge(50 * time.Millisecond),
		kgo.MetadataMaxAge(time.Second),
		kgo.OnPartitionsAssigned(m.note(true)),
		kgo.OnPartitionsRevoked(m.note(false)),
		kgo.OnPartitionsLost(m.note(false)),
	}, options...)
	client, err := kgo.NewClient(all...)
	if err != nil {
		return nil, err
	}
	m.client = client
	go m.poll()
	return m, nil
}

func (m *member) note(assigned bool) func(context.Context, *kgo.Client, map[string][]int32) {
	return func(_ context.Context, _ *kgo.Client, topics map[string][]int32) {
		m.lock.Lock()
		defer m.lock.Unlock()
		for topic, indexes := range topics {
			for _, index := range indexes {
				key := fmt.Sprintf("%s-%d", topic, index)
				if assigned {
					m.parts[key] = true
				} else {
					delete(m.parts, key)
				}
			}
		}
	}
}

func (m *member) poll() {
	defer close(m.done)
	for {
		fetches := m.client.PollFetches(context.Background())
		if fetches.IsClientClosed() {
			return
		}
		m.lock.Lock()
		m.count += fetches.NumRecords()
		m.lock.Unlock()
	}
}

func (m *member) assigned() int {
	m.lock.Lock()
	defer m.lock.Unlock()
	return len(m.parts)
}

func (m *member) read() int {
	m.lock.Lock()
	defer m.lock.Unlock()
	return m.count
}

func (m *member) list() string {
	m.lock.Lock()
	defer m.lock.Unlock()
	names := make([]string, 0, len(m.parts))
	for name := range m.parts {
		names = append(names, name)
	}
	sort.Strings(names)
	return strings.Join(names, " ")
}

func (m *member) close() {
	m.ended.Do(func() {
		m.client.Close()
		<-m.done
	})
}

func (t *teller) name(what string) string {
	return t.prefix + "-" + what
}

func (t *teller) create(topic string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := t.admin.CreateTopic(ctx, partitions, 1, nil, topic)
	return err
}

func (t *teller) write(topic string, count int) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(t.bootstrap), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return err
	}
	defer client.Close()
	records := make([]*kgo.Record, count)
	for i := range records {
		records[i] = &kgo.Record{Topic: topic, Partition: int32(i % partitions), Value: []byte("value")}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return client.ProduceSync(ctx, records...).FirstErr()
}

func wait(what string, condition func() bool) error {
	end := time.Now().Add(patience)
	for !condition() {
		if time.Now().After(end) {
			return fmt.Errorf("waited in vain: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}
