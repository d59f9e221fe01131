package membership

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hactl/hactl/phases"
)

// patience is how long a learner that has started may serve no clients before
// it is started anew. One that is not stuck takes a fifth of that.
const patience = 250 * time.Millisecond

// errSilent says that this node's member serves no clients.
var errSilent = errors.New("it serves no clients yet")

// nudge starts a learner anew that waits for the answer to a request that
// came with its first snapshot (phases/member/DESIGN.md). It does so once.
type nudge struct {
	restart func(context.Context) error // nil: never
	since   time.Time
	done    bool
}

// look takes what the last try to promote the member said.
func (n *nudge) look(ctx context.Context, err error) {
	switch {
	case !errors.Is(err, errSilent):
		n.since = time.Time{}
	case n.since.IsZero():
		n.since = time.Now()
	case time.Since(n.since) >= patience && !n.done && n.restart != nil:
		n.done = true
		phases.Report(ctx, "etcd serves no clients yet: it is started anew, now that it has the data")
		if err := n.restart(ctx); err != nil {
			phases.Report(ctx, "not started anew: "+err.Error()) // it serves them later
		}
	}
}

// Rouse returns when this machine's member, a learner that has started, serves
// clients, or was started anew because it did not. Nothing waits for its vote
// meanwhile, so this may run beside other waits.
func (j *Join) Rouse(ctx context.Context) {
	j.stuck.since = time.Now()
	for !j.stuck.done && j.stuck.restart != nil && ctx.Err() == nil {
		brief, cancel := context.WithTimeout(ctx, patience)
		err := j.cluster.Serves(brief, j.own.ClientURL())
		if err == nil {
			cancel()
			return
		}
		j.stuck.look(ctx, fmt.Errorf("%w: %w", errSilent, err))
		<-brief.Done() // an answer that came at once, such as a refused connection
		cancel()
	}
}
