package cri

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// server offers a Memory over the wire, as a real runtime would, so that the
// client is tested against a real gRPC server.
type server struct {
	runtimeapi.UnimplementedRuntimeServiceServer
	runtimeapi.UnimplementedImageServiceServer
	m   *Memory
	dir string // of the logs
}

func (s *server) Version(ctx context.Context, _ *runtimeapi.VersionRequest) (*runtimeapi.VersionResponse, error) {
	v, err := s.m.Version(ctx)
	return &runtimeapi.VersionResponse{Version: "0.1.0", RuntimeName: v.Name, RuntimeVersion: v.Version, RuntimeApiVersion: v.API}, err
}

func (s *server) Status(ctx context.Context, _ *runtimeapi.StatusRequest) (*runtimeapi.StatusResponse, error) {
	st, err := s.m.Status(ctx)
	condition := func(name string, c Condition) *runtimeapi.RuntimeCondition {
		return &runtimeapi.RuntimeCondition{Type: name, Status: c.Met, Reason: c.Reason, Message: c.Message}
	}
	return &runtimeapi.StatusResponse{Status: &runtimeapi.RuntimeStatus{Conditions: []*runtimeapi.RuntimeCondition{
		condition(runtimeapi.RuntimeReady, st.Runtime), condition(runtimeapi.NetworkReady, st.Network),
	}}}, err
}

func (s *server) RuntimeConfig(ctx context.Context, _ *runtimeapi.RuntimeConfigRequest) (*runtimeapi.RuntimeConfigResponse, error) {
	st, err := s.m.Status(ctx)
	if st.CgroupDriver == "" {
		return nil, status.Error(codes.Unimplemented, "unknown method RuntimeConfig")
	}
	driver := runtimeapi.CgroupDriver(runtimeapi.CgroupDriver_value[strings.ToUpper(st.CgroupDriver)])
	return &runtimeapi.RuntimeConfigResponse{Linux: &runtimeapi.LinuxRuntimeConfiguration{CgroupDriver: driver}}, err
}

func (s *server) ImageStatus(ctx context.Context, r *runtimeapi.ImageStatusRequest) (*runtimeapi.ImageStatusResponse, error) {
	found, err := s.m.ImageExists(ctx, r.GetImage().GetImage())
	if !found {
		return &runtimeapi.ImageStatusResponse{}, err
	}
	return &runtimeapi.ImageStatusResponse{Image: &runtimeapi.Image{Id: r.GetImage().GetImage()}}, nil
}

func (s *server) PullImage(ctx context.Context, r *runtimeapi.PullImageRequest) (*runtimeapi.PullImageResponse, error) {
	if err := s.m.PullImage(ctx, r.GetImage().GetImage()); err != nil {
		return nil, status.Error(codes.NotFound, err.Error())
	}
	return &runtimeapi.PullImageResponse{ImageRef: r.GetImage().GetImage()}, nil
}

func (s *server) ListContainers(ctx context.Context, r *runtimeapi.ListContainersRequest) (*runtimeapi.ListContainersResponse, error) {
	l := r.GetFilter().GetLabelSelector()
	list, err := s.m.Containers(ctx, Filter{Namespace: l[labelNamespace], Pod: l[labelPod], Name: l[labelName]})
	answer := &runtimeapi.ListContainersResponse{}
	for _, c := range list {
		answer.Containers = append(answer.Containers, &runtimeapi.Container{Id: c.ID})
	}
	return answer, err
}

func (s *server) ContainerStatus(ctx context.Context, r *runtimeapi.ContainerStatusRequest) (*runtimeapi.ContainerStatusResponse, error) {
	list, err := s.m.Containers(ctx, Filter{})
	for _, c := range list {
		if c.ID != r.GetContainerId() {
			continue
		}
		return &runtimeapi.ContainerStatusResponse{Status: &runtimeapi.ContainerStatus{
			Id: c.ID, Metadata: &runtimeapi.ContainerMetadata{Name: c.Name, Attempt: uint32(c.Attempt)},
			Image: &runtimeapi.ImageSpec{Image: c.Image}, State: wireStates[c.State],
			ExitCode: int32(c.ExitCode), Reason: c.Reason, Message: c.Message, CreatedAt: c.CreatedAt.UnixNano(),
			Labels:  map[string]string{labelNamespace: c.Namespace, labelPod: c.Pod, labelName: c.Name},
			LogPath: s.log(ctx, c),
		}}, err
	}
	return nil, status.Error(codes.NotFound, "no such container")
}

var wireStates = map[State]runtimeapi.ContainerState{
	Created: runtimeapi.ContainerState_CONTAINER_CREATED,
	Running: runtimeapi.ContainerState_CONTAINER_RUNNING,
	Exited:  runtimeapi.ContainerState_CONTAINER_EXITED,
	Unknown: runtimeapi.ContainerState_CONTAINER_UNKNOWN,
}

func (s *server) ListPodSandbox(ctx context.Context, _ *runtimeapi.ListPodSandboxRequest) (*runtimeapi.ListPodSandboxResponse, error) {
	list, err := s.m.Sandboxes(ctx)
	// One that the kubelet did not make.
	answer := &runtimeapi.ListPodSandboxResponse{Items: []*runtimeapi.PodSandbox{{Id: "foreign"}}}
	for _, b := range list {
		state := runtimeapi.PodSandboxState_SANDBOX_NOTREADY
		if b.Ready {
			state = runtimeapi.PodSandboxState_SANDBOX_READY
		}
		answer.Items = append(answer.Items, &runtimeapi.PodSandbox{
			Id: b.ID, State: state, CreatedAt: b.CreatedAt.UnixNano(),
			Labels: map[string]string{labelNamespace: b.Namespace, labelPod: b.Pod},
		})
	}
	return answer, err
}

func (s *server) StopPodSandbox(ctx context.Context, r *runtimeapi.StopPodSandboxRequest) (*runtimeapi.StopPodSandboxResponse, error) {
	return &runtimeapi.StopPodSandboxResponse{}, s.m.StopSandbox(ctx, r.GetPodSandboxId())
}

func (s *server) StopContainer(ctx context.Context, r *runtimeapi.StopContainerRequest) (*runtimeapi.StopContainerResponse, error) {
	if r.GetContainerId() == "none" {
		return nil, status.Error(codes.NotFound, "no such container")
	}
	return &runtimeapi.StopContainerResponse{}, s.m.StopContainer(ctx, r.GetContainerId())
}

func (s *server) RemovePodSandbox(ctx context.Context, r *runtimeapi.RemovePodSandboxRequest) (*runtimeapi.RemovePodSandboxResponse, error) {
	if err := s.m.RemoveSandbox(ctx, r.GetPodSandboxId()); err != nil {
		return nil, err
	}
	if r.GetPodSandboxId() == "none" {
		return nil, status.Error(codes.NotFound, "no such sandbox")
	}
	return &runtimeapi.RemovePodSandboxResponse{}, nil
}

// log writes the container's log as a runtime would.
func (s *server) log(ctx context.Context, c Container) string {
	lines, err := s.m.Logs(ctx, c, 1000)
	if err != nil {
		return ""
	}
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "2026-11-21T03:00:00.000000001Z stderr F %s\n", l)
	}
	path := filepath.Join(s.dir, c.ID+".log")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		return ""
	}
	return path
}

func (s *server) GetContainerEvents(_ *runtimeapi.GetEventsRequest, stream grpc.ServerStreamingServer[runtimeapi.ContainerEventResponse]) error {
	for range s.m.Events(stream.Context()) {
		if err := stream.Send(&runtimeapi.ContainerEventResponse{}); err != nil {
			return err
		}
	}
	return status.Error(codes.Unimplemented, "no events")
}

// serve offers m on a new socket until the test ends.
func serve(t *testing.T, register func(*grpc.Server)) (socket string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "cri") // t.TempDir may be too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket = filepath.Join(dir, "cri.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	register(g)
	go g.Serve(l)
	t.Cleanup(g.Stop)
	return socket
}

// over registers the two services of a Memory.
func over(t *testing.T, m *Memory) func(*grpc.Server) {
	s := &server{m: m, dir: t.TempDir()}
	return func(g *grpc.Server) {
		runtimeapi.RegisterRuntimeServiceServer(g, s)
		runtimeapi.RegisterImageServiceServer(g, s)
	}
}

// dial makes a client that is closed when the test ends.
func dial(t *testing.T, socket string) *Client {
	t.Helper()
	c := Dial(socket)
	t.Cleanup(func() { c.Close() })
	return c
}
