package etcd_test

import (
	"fmt"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// reaction is how long after a member has begun to serve clients Health may
// still say that it does not answer.
const reaction = 250 * time.Millisecond

// TestLateClients shows why a new member answers so late, and that it is not
// because of the Client. Once the leader has applied 100 entries, its log
// begins after the first one, and a new member needs a snapshot. The leader
// makes it with the next entry that it applies; if that is the one by which
// the new member announces its name, the member gets the announcement with
// the snapshot, does not see that it was made, and serves no client before it
// has waited for its limit, 5 s and two election timeouts, and tried again
// (etcd 3.7.3, EtcdServer.publishV3, applyAll and compactRaftLog).
func TestLateClients(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1, nil)
	fill(t, l.client("m1"), 150)
	client := l.dial(l.client("m1"))
	l.add(client, "m2")
	began := time.Now()
	m2 := l.launch(l.joining(client, "m2"))
	l.until("m2 is listed with its name", func() bool {
		list, err := client.Members(t.Context())
		check(t, err)
		return len(list) == 2 && list[0].Started() && list[1].Started()
	})
	listed := time.Since(began)
	serves := make(chan time.Time, 1)
	go func() {
		<-m2.Server.ReadyNotify()
		serves <- time.Now()
	}()
	l.until("m2 answers", func() bool { return l.health(client, "m2").Err == nil })
	answered := time.Now()
	served := <-serves
	t.Logf("listed after %s, served clients after %s, answered %s later", listed, served.Sub(began), answered.Sub(served))
	if late := answered.Sub(served); late > reaction {
		t.Errorf("the member answers %s after it has begun to serve, want at most %s", late, reaction)
	}
}

// fill makes so many entries in the log.
func fill(t *testing.T, endpoint string, entries int) {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}})
	check(t, err)
	defer func() { check(t, c.Close()) }()
	for i := range entries {
		_, err := c.Put(t.Context(), fmt.Sprint(i), "")
		check(t, err)
	}
}
