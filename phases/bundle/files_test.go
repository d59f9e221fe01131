package bundle

import (
	"errors"
	"strings"
	"testing"

	"github.com/hactl/hactl/phases"
	"github.com/hactl/hactl/phases/host"
)

func TestReadLimits(t *testing.T) {
	m := host.NewMemory()
	if err := m.WriteFile(t.Context(), "/d/big.crt", make([]byte, maxFile+1), 0o644); err != nil {
		t.Fatal(err)
	}
	files, err := Read(t.Context(), m, "/d")
	if err != nil || files["big.crt"].Unread == "" || files["big.crt"].Data != nil {
		t.Errorf("a file that is too large: %+v, %v", files["big.crt"].Unread, err)
	}
	deep := "/e" + strings.Repeat("/d", maxDepth+2)
	if err := m.WriteFile(t.Context(), deep, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var fault *phases.Fault
	if _, err := Read(t.Context(), m, "/e"); !errors.As(err, &fault) || fault.Exit != phases.CodeUsage {
		t.Errorf("a deep tree: %v", err)
	}
}
