package etcd

import (
	"errors"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestTranslate has the answers in both shapes: as etcd sends them, and as its
// client makes them into errors of its own.
func TestTranslate(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		err          error
		want         error // nil: none of ours
		transient    bool
	}{
		{"LeaderChanged", "an election ended the question, so asking again helps", rpctypes.ErrLeaderChanged, ErrNoQuorum, true},
		{"LeaderChangedAsSent", "the same before the client has seen it", rpctypes.ErrGRPCLeaderChanged, ErrNoQuorum, true},
		{"NoLeader", "an election is on", rpctypes.ErrNoLeader, ErrNoQuorum, true},
		{"Stopped", "the member is about to end, another one may answer", rpctypes.ErrStopped, ErrUnreachable, true},
		{"StoppedAsSent", "the same before the client has seen it", rpctypes.ErrGRPCStopped, ErrUnreachable, true},
		{"Connection", "there is none", status.Error(codes.Unavailable, "connection refused"), ErrUnreachable, true},
		{"NotReady", "the caller waits for that himself", rpctypes.ErrMemberLearnerNotReady, ErrNotReady, false},
		{"Denied", "asking again does not help", rpctypes.ErrPermissionDenied, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := translate(t.Context(), &member{url: "https://10.0.0.1:2379"}, c.err)
			if got == nil || c.want != nil && !errors.Is(got, c.want) || Transient(got) != c.transient {
				t.Errorf("%s: got %v", c.reason, got)
			}
		})
	}
}
