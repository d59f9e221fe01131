package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/hactl/hactl/e2e/nodes"
)

// commandLimit is the longest that a run of hactl may take, whatever happens
// to it: its own limits are below.
const commandLimit = 6 * time.Minute

// killed is the exit code of what SIGKILL has ended.
const killed = 128 + 9

// running is a run of hactl on a node.
type running struct {
	name        string // such as "join"
	node        string
	command     *exec.Cmd
	out, errors bytes.Buffer
	began       time.Time
	ended       time.Time // set when done is closed
	done        chan struct{}
	stop        context.CancelFunc
}

// outcome is how a run has ended.
type outcome struct {
	name, node string
	code       int
	result     json.RawMessage // what it returned; nil after a failure
	failure    *failure        // nil if it has told none
	stderr     string
	took       time.Duration
	ended      time.Time
}

// failure is the last line of a run with -o json that has failed.
type failure struct {
	What, Why string
	Code      int
	Fix       []string
}

// start begins a run of hactl with -o json.
func (c *cluster) start(ctx context.Context, n *nodes.Node, args ...string) (*running, error) {
	return c.startAs(ctx, n, []string{"hactl"}, args...)
}

// startAs is start for another build of hactl.
func (c *cluster) startAs(ctx context.Context, n *nodes.Node, program []string, args ...string) (*running, error) {
	ctx, stop := context.WithTimeout(ctx, commandLimit)
	command, err := n.Command(ctx, slices.Concat(program, args, []string{"-o", "json"})...)
	if err != nil {
		stop()
		return nil, err
	}
	r := &running{name: args[0], node: n.Name(), command: command, began: time.Now(), done: make(chan struct{}), stop: stop}
	command.Stdout, command.Stderr = &r.out, &r.errors
	command.WaitDelay = 5 * time.Second
	if err := command.Start(); err != nil {
		stop()
		return nil, err
	}
	go func() {
		// How it has ended is in the exit code.
		_ = command.Wait()
		r.ended = time.Now()
		close(r.done)
	}()
	return r, nil
}

// moment waits until some part of the usual time has gone by, and says
// whether the run goes on.
func (r *running) moment(ctx context.Context, usual time.Duration, part float64) bool {
	select {
	case <-r.done:
		return false
	case <-ctx.Done():
		return false
	case <-time.After(time.Until(r.began.Add(time.Duration(part * float64(usual))))):
		return true
	}
}

// wait waits until the run has ended, and notes how.
func (c *cluster) wait(r *running) outcome {
	<-r.done
	r.stop()
	o := parse(r.out.Bytes())
	o.name, o.node, o.stderr = r.name, r.node, r.errors.String()
	o.code, o.took, o.ended = r.command.ProcessState.ExitCode(), r.ended.Sub(r.began), r.ended
	e := entry{What: "hactl " + r.name, Node: r.node, Code: &o.code, Seconds: seconds(o.took)}
	if o.failure != nil {
		e.Text = o.words()
	}
	c.log.note(e)
	return o
}

// parse finds the result or the failure among the lines of a run.
func parse(lines []byte) (o outcome) {
	for line := range bytes.Lines(lines) {
		var l struct {
			Type   string
			Result json.RawMessage
			failure
		}
		if json.Unmarshal(line, &l) != nil {
			continue // a run that was killed may end in the middle of a line
		}
		switch l.Type {
		case "result":
			o.result = l.Result
		case "error":
			o.failure = &l.failure
		}
	}
	return o
}

// run runs hactl to its end.
func (c *cluster) run(ctx context.Context, n *nodes.Node, args ...string) (outcome, error) {
	r, err := c.start(ctx, n, args...)
	if err != nil {
		return outcome{}, err
	}
	return c.wait(r), nil
}

// must is run for what has to end well.
func (c *cluster) must(ctx context.Context, n *nodes.Node, args ...string) (outcome, error) {
	o, err := c.run(ctx, n, args...)
	if err == nil {
		err = o.well()
	}
	return o, err
}

// well is an error unless the run has ended well.
func (o outcome) well() error {
	if o.code == 0 {
		return nil
	}
	return fmt.Errorf("%s: hactl %s ended with exit code %d after %.1f s: %s", o.node, o.name, o.code, o.took.Seconds(), o.words())
}

// words is what the run said when it failed.
func (o outcome) words() string {
	if o.failure != nil {
		return fmt.Sprintf("%s (%s); fix: %s", o.failure.What, o.failure.Why, strings.Join(o.failure.Fix, "; "))
	}
	lines := strings.Split(strings.TrimSpace(o.stderr), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}

// told is an error unless the run has ended well, or with words that help:
// one of hactl's exit codes, what is wrong, and how to mend it.
func (o outcome) told() error {
	if o.code == 0 {
		return nil
	}
	switch {
	case !slices.Contains([]int{1, 3, 4, 5}, o.code):
		return fmt.Errorf("a fault ends a run with 1, 3, 4 or 5: %w", o.well())
	case o.failure == nil || o.failure.What == "" || len(o.failure.Fix) == 0:
		return fmt.Errorf("it does not say what is wrong and how to mend it: %w", o.well())
	case o.failure.Code != o.code:
		return fmt.Errorf("it says that it ends with exit code %d: %w", o.failure.Code, o.well())
	}
	return nil
}

// says is an error unless the run has failed with this code, and with words
// about all of these.
func (o outcome) says(code int, about ...string) error {
	if o.code != code {
		return fmt.Errorf("want exit code %d with words about %q, but %s", code, about, o)
	}
	for _, word := range about {
		if !strings.Contains(strings.ToLower(o.words()), strings.ToLower(word)) {
			return fmt.Errorf("want words about %q: %w", word, o.well())
		}
	}
	return o.told()
}

// String says how the run has ended.
func (o outcome) String() string {
	if err := o.well(); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%s: hactl %s ended well", o.node, o.name)
}

func seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }
