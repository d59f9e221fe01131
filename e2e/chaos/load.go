package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	// space is the namespace of the load.
	space = "chaos"
	// pace is the time between two writes, and between two reads.
	pace = 100 * time.Millisecond
	// leastRate is how many writes, and how many reads, the cluster has to
	// answer each second on average, or the run was no test.
	leastRate = 3.0
)

// load writes into the cluster and reads from it all the time, through the
// load balancer, and remembers each write that was acknowledged. Each write
// makes an object of its own: one that is missing later was lost.
type load struct {
	client   *client
	endpoint string
	began    time.Time
	stop     context.CancelFunc
	running  sync.WaitGroup

	mu      sync.Mutex
	written []int // the numbers of the acknowledged writes
	reads   int
	last    time.Time     // of the last acknowledged write
	gap     time.Duration // the longest time between two since the call of since
	missing []error       // reads that did not find what had been acknowledged
	mistake string        // why the last write that failed did
}

// startLoad makes the namespace and begins. The caller ends the load.
func startLoad(ctx context.Context, c *client, endpoint string) (*load, error) {
	l := &load{client: c, endpoint: endpoint}
	body := fmt.Appendf(nil, `{"metadata":{"name":%q}}`, space)
	err := until(ctx, 20*time.Second, "the load balancer leads to the API", func(ctx context.Context) error {
		_, err := c.ask(ctx, http.MethodPost, endpoint, "/api/v1/namespaces", body)
		var answer *answerError
		if errors.As(err, &answer) && answer.code == http.StatusConflict {
			return nil
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	ctx, l.stop = context.WithCancel(ctx)
	l.began = time.Now()
	l.last = l.began
	l.running.Go(func() { l.every(ctx, l.write()) })
	l.running.Go(func() { l.every(ctx, l.read) })
	return l, nil
}

// every calls do at the pace, or as soon as the call before has ended.
func (l *load) every(ctx context.Context, do func(context.Context)) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			do(ctx)
		}
	}
}

func objects() string { return "/api/v1/namespaces/" + space + "/configmaps" }

// objectName is the name of the object that a write makes.
func objectName(number int) string { return fmt.Sprintf("w%06d", number) }

// write makes one object after the other. Whether one that was not
// acknowledged is there nobody knows, and so its number is not used again.
func (l *load) write() func(context.Context) {
	number := 0
	return func(ctx context.Context) {
		number++
		body := fmt.Appendf(nil, `{"metadata":{"name":%q},"data":{"n":"%d"}}`, objectName(number), number)
		_, err := l.client.ask(ctx, http.MethodPost, l.endpoint, objects(), body)
		if ctx.Err() == nil {
			l.acknowledged(number, err, time.Now())
		}
	}
}

func (l *load) acknowledged(number int, err error, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.mistake = err.Error()
		return
	}
	l.written = append(l.written, number)
	l.gap = max(l.gap, now.Sub(l.last))
	l.last = now
}

// read looks for the last write that was acknowledged before. An answer that
// does not have it is as bad as a lost write; no answer is only no answer.
func (l *load) read(ctx context.Context) {
	l.mu.Lock()
	written := l.written
	l.mu.Unlock()
	if len(written) == 0 {
		return
	}
	name := objectName(written[len(written)-1])
	_, err := l.client.ask(ctx, http.MethodGet, l.endpoint, objects()+"/"+name, nil)
	var answer *answerError
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.reads++
	case errors.As(err, &answer) && answer.code == http.StatusNotFound:
		l.missing = append(l.missing, fmt.Errorf("a read did not find %s, which was acknowledged before: %w", name, err))
	}
}

// since starts a new measurement of the longest gap.
func (l *load) since(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gap, l.last = 0, now
}

// longest is the longest time without an acknowledged write since the last
// call of since, and the reads that went wrong.
func (l *load) longest(now time.Time) (time.Duration, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := errors.Join(l.missing...)
	l.missing = nil
	return max(l.gap, now.Sub(l.last)), err
}

// all are the numbers of the writes that have been acknowledged until now.
func (l *load) all() []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.written[:len(l.written):len(l.written)]
}

// works waits until the cluster has acknowledged one more write.
func (l *load) works(ctx context.Context, limit time.Duration) error {
	before := len(l.all())
	return until(ctx, limit, "writes through the load balancer", func(context.Context) error {
		if len(l.all()) > before {
			return nil
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		return fmt.Errorf("the last was not acknowledged: %s", l.mistake)
	})
}

// end stops the load. It is an error if it was not enough to be one.
func (l *load) end() error {
	l.stop()
	l.running.Wait()
	took := time.Since(l.began)
	l.mu.Lock()
	defer l.mu.Unlock()
	return enough(len(l.written), l.reads, took)
}

// enough judges the rates.
func enough(writes, reads int, took time.Duration) error {
	least := int(leastRate * took.Seconds())
	if writes < least || reads < least {
		return fmt.Errorf("only %d writes and %d reads were answered in %.0f s: want %d of each, so this was no test", writes, reads, took.Seconds(), least)
	}
	return nil
}
