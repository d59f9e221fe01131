package etcd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/encoding/prototext"
)

// survey is a report with the connections behind it.
type survey struct {
	report Report
	at     map[uint64]*member  // members that answer, by id
	urls   map[uint64][]string // where they answer
}

// voter is a voting member that answers.
type voter struct {
	*member
	id uint64
}

// voters are those that answer, without one, the leader first, then those
// that lag least.
func (s survey) voters(without uint64) []voter {
	var healthy []MemberHealth
	for _, m := range s.report.Members {
		if m.Err == nil && !m.Learner && m.ID != without {
			healthy = append(healthy, m)
		}
	}
	slices.SortStableFunc(healthy, func(a, b MemberHealth) int {
		if a.Leader != b.Leader {
			if a.Leader {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Lag, b.Lag)
	})
	var voters []voter
	for _, m := range healthy {
		voters = append(voters, voter{s.at[m.ID], m.ID})
	}
	return voters
}

// Health is that of Cluster.
func (c *Client) Health(ctx context.Context) (Report, error) {
	s, err := c.survey(ctx)
	return s.report, err
}

// glance is how long Serves waits for a member.
const glance = 400 * time.Millisecond

// Serves is that of Cluster.
func (c *Client) Serves(ctx context.Context, clientURL string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	inner, cancel := c.bounded(ctx, min(glance, c.limit))
	defer cancel()
	a := c.ask(inner, clientURL)
	switch {
	case a.err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case a.err != nil && !errors.Is(a.err, ErrUnreachable):
		return fmt.Errorf("%w: %w", ErrUnreachable, a.err)
	}
	return a.err
}

// answer is what came back from one client URL.
type answer struct {
	url    string
	member *member
	status *clientv3.StatusResponse // nil if it does not answer
	list   []Member                 // nil if it does not know
	took   time.Duration
	err    error
}

// survey asks every URL that is known and every one that an answer names, all
// under one deadline.
func (c *Client) survey(ctx context.Context) (survey, error) {
	if ctx.Err() != nil {
		return survey{}, context.Cause(ctx)
	}
	inner, cancel := c.bounded(ctx, min(patience, c.limit))
	defer cancel()
	answers := make(chan answer)
	asked := map[string]answer{}
	waiting := 0
	ask := func(urls []string) {
		for _, url := range urls {
			if _, ok := asked[url]; !ok {
				asked[url] = answer{}
				waiting++
				go func() { answers <- c.ask(inner, url) }()
			}
		}
	}
	for ask(c.urls()); waiting > 0; waiting-- {
		a := <-answers
		asked[a.url] = a
		for _, m := range a.list {
			ask(m.ClientURLs)
		}
	}
	if ctx.Err() != nil {
		return survey{}, context.Cause(ctx)
	}
	return c.conclude(asked)
}

// ask asks one member which members there are, and how it is. The list is not
// linearizable, so it comes without quorum too. It comes first, because a
// member that was removed and has not ended yet panics when it is asked for
// its status (etcd 3.7.3, RaftCluster.IsLocalMemberLearner).
func (c *Client) ask(ctx context.Context, url string) answer {
	a := answer{url: url}
	if a.member, a.err = c.at(url); a.err != nil {
		return a
	}
	began := time.Now()
	r, err := a.member.cluster.MemberList(ctx, clientv3.WithSerializable())
	switch {
	case is(err, rpctypes.ErrGRPCNotSupportedForLearner):
	case err != nil:
		a.err = translate(ctx, a.member, err)
		return a
	default:
		a.list = convert(r.Members)
		if _, ok := withID(a.list, r.Header.MemberId); !ok {
			return answer{url: url, err: fmt.Errorf("%w: %s: this member was removed", ErrUnreachable, url)}
		}
	}
	status, err := a.member.maintenance.Status(ctx, url)
	if err != nil {
		return answer{url: url, err: translate(ctx, a.member, err)}
	}
	a.status, a.took = status, time.Since(began)
	return a
}

// conclude makes the survey out of all answers. The list that counts is that
// of the member that has applied most.
func (c *Client) conclude(asked map[string]answer) (survey, error) {
	var best answer
	var errs []error
	for _, a := range asked {
		if a.err != nil {
			errs = append(errs, a.err)
		}
		if a.list != nil && (best.list == nil || a.status.RaftAppliedIndex > best.status.RaftAppliedIndex) {
			best = a
		}
	}
	if best.list == nil {
		slices.SortFunc(errs, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
		return survey{}, joined(errs)
	}
	c.learn(best.list)
	s := survey{report: Report{ClusterID: best.status.Header.ClusterId}, at: map[uint64]*member{}, urls: map[uint64][]string{}}
	for _, a := range asked {
		if a.status != nil {
			id := a.status.Header.MemberId
			s.urls[id] = append(s.urls[id], a.url)
		}
	}
	statuses := ofCluster(asked, s.report.ClusterID)
	top := heights(statuses)
	for _, m := range best.list {
		a, ok := statuses[m.ID]
		if !ok {
			s.report.Members = append(s.report.Members, MemberHealth{Member: m, Err: silent(m, asked)})
			continue
		}
		s.at[m.ID] = a.member
		s.report.Members = append(s.report.Members, healthOf(m, a, top))
	}
	return s, nil
}

// ofCluster returns the quickest answer of each member of the cluster.
func ofCluster(asked map[string]answer, cluster uint64) map[uint64]answer {
	found := map[uint64]answer{}
	for _, a := range asked {
		if a.status == nil || a.status.Header.ClusterId != cluster {
			continue
		}
		id := a.status.Header.MemberId
		if old, ok := found[id]; !ok || a.took < old.took {
			found[id] = a
		}
	}
	return found
}

// silent is why a member of the list did not answer.
func silent(m Member, asked map[string]answer) error {
	if !m.Started() {
		return ErrNotStarted
	}
	var errs []error
	for _, url := range m.ClientURLs {
		a := asked[url]
		if a.err == nil {
			a.err = fmt.Errorf("another etcd member answers at %s", url)
		}
		errs = append(errs, a.err)
	}
	if len(errs) == 0 {
		return fmt.Errorf("%w: it has no client URL", ErrUnreachable)
	}
	return joined(errs)
}

// height is where the cluster is: who leads it and how long its log is.
type height struct {
	leader, term, index uint64
}

// heights finds the leader of the newest term.
func heights(statuses map[uint64]answer) height {
	var top height
	for _, a := range statuses {
		top.term = max(top.term, a.status.RaftTerm)
		top.index = max(top.index, a.status.RaftIndex)
	}
	for id, a := range statuses {
		if a.status.Leader == id && a.status.RaftTerm == top.term {
			top.leader, top.index = id, a.status.RaftIndex
		}
	}
	return top
}

func healthOf(m Member, a answer, top height) MemberHealth {
	s := a.status
	h := MemberHealth{
		Member: m, Version: s.Version, Leader: m.ID == top.leader,
		Term: s.RaftTerm, Applied: s.RaftAppliedIndex,
		Size: s.DbSize, InUse: s.DbSizeInUse,
		Alarms: alarms(m.ID, s.Errors), Latency: a.took,
	}
	if top.index > h.Applied {
		h.Lag = top.index - h.Applied
	}
	return h
}

// alarms reads the member's alarms out of the text that its status has. The
// API call for alarms goes through raft: it writes to the log, and without
// quorum it never ends.
func alarms(id uint64, texts []string) []string {
	var names []string
	for _, text := range texts {
		var a pb.AlarmMember
		if prototext.Unmarshal([]byte(text), &a) == nil && a.MemberID == id {
			names = append(names, a.Alarm.String())
		}
	}
	slices.Sort(names)
	return names
}
