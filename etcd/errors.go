package etcd

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// known pairs the answers of etcd with our errors.
var known = []struct{ theirs, ours error }{
	{rpctypes.ErrTooManyLearners, ErrTooManyLearners},
	{rpctypes.ErrUnhealthy, ErrNotConnected},
	{rpctypes.ErrMemberNotEnoughStarted, ErrQuorum},
	{rpctypes.ErrMemberLearnerNotReady, ErrNotReady},
	{rpctypes.ErrMemberNotFound, ErrNotFound},
	{rpctypes.ErrNoLeader, ErrNoQuorum},
	{rpctypes.ErrLeaderChanged, ErrNoQuorum}, // while it was asked
	{rpctypes.ErrTimeout, ErrNoQuorum},
	{rpctypes.ErrTimeoutDueToLeaderFail, ErrNoQuorum},
	{rpctypes.ErrTimeoutDueToConnectionLost, ErrNoQuorum},
	{rpctypes.ErrTimeoutWaitAppliedIndex, ErrNoQuorum},
	// A learner knows nothing but its own status, so it does not count.
	{rpctypes.ErrGRPCNotSupportedForLearner, ErrUnreachable},
}

// is says whether err is the answer that etcd calls theirs. It compares the
// text, as etcd's own client does: etcd sends some of them without a code.
func is(err, theirs error) bool {
	return err != nil && rpctypes.ErrorDesc(err) == rpctypes.ErrorDesc(theirs)
}

// translate makes of what a call to one member returned an error that names
// the member. A caller whose own context has ended gets its cause.
func translate(ctx context.Context, m *member, err error) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, errLimit) {
		return cause
	}
	for _, k := range known {
		if is(err, k.theirs) {
			return fmt.Errorf("%w (%s: %s)", k.ours, m.url, rpctypes.ErrorDesc(err))
		}
	}
	text := status.Convert(err).Message()
	switch code := codeOf(err); {
	case ctx.Err() != nil || code == codes.DeadlineExceeded:
		if m.connected() {
			return fmt.Errorf("%w (%s is connected and does not answer in time)", ErrNoQuorum, m.url)
		}
		return fmt.Errorf("%w: %s: no connection in time", ErrUnreachable, m.url)
	case code == codes.Unavailable, code == codes.Canceled:
		return fmt.Errorf("%w: %s: %s", ErrUnreachable, m.url, text)
	}
	return fmt.Errorf("%s: %s", m.url, text)
}

// codeOf is the code of an answer. etcd's client has made some into errors of
// its own, which the package status does not know.
func codeOf(err error) codes.Code {
	var own rpctypes.EtcdError
	if errors.As(err, &own) {
		return own.Code()
	}
	return status.Code(err)
}

// worst picks the error to return when no member gave an answer: the one
// that says most of the cluster.
func worst(errs []error) error {
	var unreachable []error
	for _, err := range errs {
		if errors.Is(err, ErrNoQuorum) {
			return err
		}
		if errors.Is(err, ErrUnreachable) {
			unreachable = append(unreachable, err)
		}
	}
	for _, err := range errs {
		if !errors.Is(err, ErrUnreachable) {
			return err
		}
	}
	return joined(unreachable)
}

// joined is one error for many members, in one line.
func joined(errs []error) error {
	if len(errs) == 0 {
		return ErrUnreachable
	}
	all := errs[0]
	for _, err := range errs[1:] {
		all = fmt.Errorf("%w; %w", all, err)
	}
	return all
}
