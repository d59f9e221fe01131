package cri

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	// answerLimit is how long a call that only asks may take.
	answerLimit = 5 * time.Second
	// largestAnswer covers machines with very many containers.
	largestAnswer = 16 << 20
)

// Client speaks to a runtime over its unix socket.
type Client struct {
	socket  string // with its scheme
	limit   time.Duration
	conn    *grpc.ClientConn
	dialed  atomic.Pointer[error] // of the last dial, nil if it went well
	runtime runtimeapi.RuntimeServiceClient
	images  runtimeapi.ImageServiceClient
}

var _ Runtime = (*Client)(nil)

// Dial makes a client for the runtime behind socket, which is an absolute
// path or a unix:// address. It connects with the first call and again
// whenever the connection broke, so what is wrong with the socket is told by
// the calls. The caller closes.
func Dial(socket string) *Client {
	path := strings.TrimPrefix(socket, scheme)
	c := &Client{socket: socket, limit: answerLimit}
	if filepath.IsAbs(path) {
		c.socket = scheme + path
	}
	dial := func(ctx context.Context, _ string) (conn net.Conn, err error) {
		defer func() { c.dialed.Store(&err) }()
		if !filepath.IsAbs(path) {
			return nil, &fs.PathError{Op: "dial", Path: socket, Err: fs.ErrNotExist}
		}
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
	conn, err := grpc.NewClient("passthrough:///cri",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(dial),
		grpc.WithAuthority("localhost"),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: 2 * answerLimit,
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(largestAnswer)),
	)
	if err != nil {
		// Nothing above depends on the input, so only a mistake in these
		// lines can get here.
		panic(err)
	}
	c.conn = conn
	c.runtime, c.images = runtimeapi.NewRuntimeServiceClient(conn), runtimeapi.NewImageServiceClient(conn)
	return c
}

// Close ends the connection and with it every call under way.
func (c *Client) Close() {
	_ = c.conn.Close() // says only that it was closed before
}

// Version tells which runtime answers.
func (c *Client) Version(ctx context.Context) (Version, error) {
	r, err := ask(ctx, c, c.runtime.Version, &runtimeapi.VersionRequest{})
	if err != nil {
		return Version{}, err
	}
	return Version{Name: r.GetRuntimeName(), Version: r.GetRuntimeVersion(), API: r.GetRuntimeApiVersion()}, nil
}

// Status tells whether the runtime can run containers.
func (c *Client) Status(ctx context.Context) (Status, error) {
	r, err := ask(ctx, c, c.runtime.Status, &runtimeapi.StatusRequest{})
	if err != nil {
		return Status{}, err
	}
	var s Status
	for _, cond := range r.GetStatus().GetConditions() {
		one := Condition{Met: cond.GetStatus(), Reason: cond.GetReason(), Message: cond.GetMessage()}
		switch cond.GetType() {
		case runtimeapi.RuntimeReady:
			s.Runtime = one
		case runtimeapi.NetworkReady:
			s.Network = one
		}
	}
	config, err := ask(ctx, c, c.runtime.RuntimeConfig, &runtimeapi.RuntimeConfigRequest{})
	if status.Code(err) == codes.Unimplemented {
		return s, nil
	}
	if err != nil {
		return Status{}, err
	}
	// The message says nothing about Linux when the field is absent, and
	// then its zero value would read "systemd".
	if linux := config.GetLinux(); linux != nil {
		s.CgroupDriver = strings.ToLower(linux.GetCgroupDriver().String())
	}
	return s, nil
}

// ImageExists says whether the image is on the machine.
func (c *Client) ImageExists(ctx context.Context, image string) (bool, error) {
	r, err := ask(ctx, c, c.images.ImageStatus, &runtimeapi.ImageStatusRequest{Image: &runtimeapi.ImageSpec{Image: image}})
	if err != nil {
		return false, err
	}
	return r.GetImage() != nil, nil
}

// PullImage returns when the image is on the machine.
func (c *Client) PullImage(ctx context.Context, image string) error {
	_, err := c.images.PullImage(ctx, &runtimeapi.PullImageRequest{Image: &runtimeapi.ImageSpec{Image: image}})
	if err != nil {
		return c.explain(ctx, err)
	}
	return nil
}

// Containers lists the containers that the filter matches.
func (c *Client) Containers(ctx context.Context, f Filter) ([]Container, error) {
	r, err := ask(ctx, c, c.runtime.ListContainers, &runtimeapi.ListContainersRequest{
		Filter: &runtimeapi.ContainerFilter{LabelSelector: f.labels()},
	})
	if err != nil {
		return nil, err
	}
	var list []Container
	for _, each := range r.GetContainers() {
		r, err := ask(ctx, c, c.runtime.ContainerStatus, &runtimeapi.ContainerStatusRequest{ContainerId: each.GetId()})
		if status.Code(err) == codes.NotFound {
			continue // removed since it was listed
		}
		if err != nil {
			return nil, err
		}
		list = append(list, container(r.GetStatus()))
	}
	order(list)
	return list, nil
}

func container(s *runtimeapi.ContainerStatus) Container {
	states := map[runtimeapi.ContainerState]State{
		runtimeapi.ContainerState_CONTAINER_CREATED: Created,
		runtimeapi.ContainerState_CONTAINER_RUNNING: Running,
		runtimeapi.ContainerState_CONTAINER_EXITED:  Exited,
	}
	labels := s.GetLabels()
	return Container{
		ID:        s.GetId(),
		Namespace: labels[labelNamespace], Pod: labels[labelPod], Name: s.GetMetadata().GetName(),
		Image:    s.GetImage().GetImage(),
		State:    cmp.Or(states[s.GetState()], Unknown),
		Attempt:  int(s.GetMetadata().GetAttempt()),
		ExitCode: int(s.GetExitCode()),
		Reason:   s.GetReason(), Message: s.GetMessage(),
		CreatedAt: moment(s.GetCreatedAt()), StartedAt: moment(s.GetStartedAt()), FinishedAt: moment(s.GetFinishedAt()),
		LogPath: s.GetLogPath(),
	}
}

func moment(nanoseconds int64) time.Time {
	if nanoseconds <= 0 {
		return time.Time{}
	}
	return time.Unix(0, nanoseconds).UTC()
}

// order puts the containers as Runtime.Containers promises.
func order(list []Container) {
	slices.SortFunc(list, func(a, b Container) int {
		return cmp.Or(
			cmp.Compare(a.Namespace, b.Namespace),
			cmp.Compare(a.Pod, b.Pod),
			cmp.Compare(a.Name, b.Name),
			b.CreatedAt.Compare(a.CreatedAt),
			cmp.Compare(b.Attempt, a.Attempt),
			cmp.Compare(a.ID, b.ID),
		)
	})
}

// Logs returns the last lines of the container's log file.
func (c *Client) Logs(ctx context.Context, of Container, lines int) ([]string, error) {
	found, err := tail(ctx, of.LogPath, lines)
	if err != nil {
		return nil, fmt.Errorf("log of container %s: %w", of.Name, err)
	}
	return found, nil
}

// Events sends after containers changed.
func (c *Client) Events(ctx context.Context) <-chan struct{} {
	out := make(chan struct{}, 1)
	go func() {
		defer close(out)
		stream, err := c.runtime.GetContainerEvents(ctx, &runtimeapi.GetEventsRequest{})
		for err == nil {
			if _, err = stream.Recv(); err == nil {
				select {
				case out <- struct{}{}:
				default: // one is waiting already and will do for both
				}
			}
		}
	}()
	return out
}

// ask makes a call that only asks, under the client's limit.
func ask[Q, R any](ctx context.Context, c *Client, call func(context.Context, Q, ...grpc.CallOption) (R, error), q Q) (R, error) {
	limited, cancel := context.WithTimeout(ctx, c.limit)
	defer cancel()
	r, err := call(limited, q)
	if err != nil {
		return r, c.explain(ctx, err)
	}
	return r, nil
}

// explain gives the cause of ctx's end if that was it, and else says what is
// wrong with the runtime.
func (c *Client) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("container runtime %s: %w", c.socket, context.Cause(ctx))
	}
	var dialed error
	if p := c.dialed.Load(); p != nil {
		dialed = *p
	}
	return explain(c.socket, err, dialed)
}
