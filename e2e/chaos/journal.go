package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// entry is one line of the log of a run.
type entry struct {
	Time    time.Time `json:"time"`
	Fault   int       `json:"fault,omitempty"` // the number of the fault during which it happened
	What    string    `json:"what"`
	Node    string    `json:"node,omitempty"`
	Text    string    `json:"text,omitempty"`
	Code    *int      `json:"code,omitempty"` // the exit code of a command
	Seconds float64   `json:"seconds,omitempty"`
	Plan    *fault    `json:"plan,omitempty"`
	Result  *result   `json:"result,omitempty"`
}

// journal writes what happens in a run to a file, one JSON object a line. It
// can be used by several goroutines. It holds no secrets: commands are noted
// without their arguments.
type journal struct {
	mu    sync.Mutex
	out   io.WriteCloser
	now   func() time.Time
	fault int
	err   error
}

// openJournal makes the file anew. The caller closes the journal.
func openJournal(name string) (*journal, error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return nil, err
	}
	file, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	return &journal{out: file, now: time.Now}, nil
}

// begin notes a fault. What follows belongs to it.
func (j *journal) begin(f fault) {
	j.mu.Lock()
	j.fault = f.Number
	j.mu.Unlock()
	j.note(entry{What: "fault", Node: f.Node, Text: f.String(), Plan: &f})
}

// note writes an entry with the time and the number of the fault.
func (j *journal) note(e entry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e.Time, e.Fault = j.now().UTC(), j.fault
	line, err := json.Marshal(e)
	if err == nil {
		_, err = j.out.Write(append(line, '\n'))
	}
	j.err = errors.Join(j.err, err)
}

// say notes that something happened to a node.
func (j *journal) say(node, what, text string) {
	j.note(entry{Node: node, What: what, Text: text})
}

// close returns also the errors of the writes before.
func (j *journal) close() error { return errors.Join(j.err, j.out.Close()) }
