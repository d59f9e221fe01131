package kube

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
)

// server speaks the wire protocol of the API server in front of a Memory, so
// that the suite can test Client: its paths, parameters, bodies and errors.
type server struct {
	*httptest.Server
	memory *Memory
	conns  atomic.Int32
	caught atomic.Int32 // requests that were not HTTP/2
}

func newServer(t *testing.T) *server {
	s := &server{memory: NewMemory()}
	s.Server = httptest.NewUnstartedServer(s)
	s.EnableHTTP2 = true
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.conns.Add(1)
		}
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	t.Cleanup(s.CloseClientConnections)
	return s
}

func (s *server) config(context.Context) (*rest.Config, error) {
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	return &rest.Config{Host: s.URL, TLSClientConfig: rest.TLSClientConfig{CAData: ca}}, nil
}

// ServeHTTP answers with the object, the list, changes, or a Status.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor != 2 {
		s.caught.Add(1)
	}
	k, namespace, name, ok := parsePath(r.URL.Path)
	var answer any
	var err error
	switch {
	case !ok:
		answer, err = s.memory.Raw(r.Context(), r.URL.Path)
	case r.URL.Query().Get("watch") == "true":
		err = s.watch(w, r, k, namespace)
	case name == "":
		list, _ := reflect.New(k.list.Elem()).Interface().(runtime.Object)
		answer, err = list, s.memory.List(r.Context(), list, namespace, r.URL.Query().Get("labelSelector"))
	default:
		answer, err = s.object(r, k, namespace, name)
	}
	var status apierrors.APIStatus
	switch body, isRaw := answer.([]byte); {
	case errors.As(err, &status):
		w.Header().Set("Content-Type", runtime.ContentTypeJSON)
		w.WriteHeader(int(status.Status().Code))
		body := status.Status()
		body.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
		_ = json.NewEncoder(w).Encode(body)
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	case isRaw:
		_, _ = w.Write(body)
	case answer != nil:
		_ = json.NewEncoder(w).Encode(answer)
	}
}

func (s *server) object(r *http.Request, k kind, namespace, name string) (Object, error) {
	obj := k.fresh()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if len(body) > 0 {
		if err := json.Unmarshal(body, obj); err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
	}
	obj.SetName(name)
	obj.SetNamespace(namespace)
	query := r.URL.Query()
	switch r.Method {
	case http.MethodGet:
		return obj, s.memory.Get(r.Context(), obj)
	case http.MethodDelete:
		return obj, s.memory.Delete(r.Context(), obj)
	case http.MethodPut:
		return obj, s.memory.Update(r.Context(), obj)
	case http.MethodPatch:
		if r.Header.Get("Content-Type") != "application/apply-patch+yaml" ||
			query.Get("fieldManager") != "hactl" || query.Get("force") != "true" {
			return nil, apierrors.NewBadRequest("not a forced apply of hactl")
		}
		for _, field := range []string{`"status"`, `"creationTimestamp"`, `"managedFields"`, `"resourceVersion"`, "null"} {
			if strings.Contains(string(body), field) {
				return nil, apierrors.NewBadRequest("the patch sets " + field)
			}
		}
		return obj, s.memory.Put(r.Context(), obj)
	}
	return nil, apierrors.NewMethodNotSupported(k.groupResource(), r.Method)
}

func (s *server) watch(w http.ResponseWriter, r *http.Request, k kind, namespace string) error {
	obj := k.fresh()
	obj.SetNamespace(namespace)
	obj.SetName(strings.TrimPrefix(r.URL.Query().Get("fieldSelector"), "metadata.name="))
	changes, err := s.memory.Watch(r.Context(), obj)
	if err != nil {
		return err
	}
	out := http.NewResponseController(w)
	for {
		if err := out.Flush(); err != nil {
			return nil
		}
		if _, open := <-changes; !open {
			return nil
		}
		_, _ = io.WriteString(w, `{"type":"MODIFIED","object":{}}`+"\n")
	}
}

// parsePath finds the kind by the paths of the API conventions, on its own:
// it does not use what it tests.
func parsePath(path string) (k kind, namespace, name string, ok bool) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	var group, version string
	switch {
	case len(parts) >= 3 && parts[0] == "api":
		version, parts = parts[1], parts[2:]
	case len(parts) >= 4 && parts[0] == "apis":
		group, version, parts = parts[1], parts[2], parts[3:]
	default:
		return kind{}, "", "", false
	}
	if len(parts) >= 3 && parts[0] == "namespaces" {
		namespace, parts = parts[1], parts[2:]
	}
	if len(parts) == 2 {
		name = parts[1]
	}
	for _, k := range table() {
		if k.Group == group && k.Version == version && k.resource == parts[0] {
			return k, namespace, name, true
		}
	}
	return kind{}, "", "", false
}
