package render

import (
	"encoding/json"
	"io"
	"time"

	"github.com/hactl/hactl/app"
	"github.com/hactl/hactl/phases"
)

// jsonLines writes one JSON object a line: {"type":"event",…} for each
// event, then {"type":"result",…} or {"type":"error",…}.
type jsonLines struct{ out io.Writer }

type eventLine struct {
	Type    string    `json:"type"`
	Time    time.Time `json:"time"`
	Phase   string    `json:"phase"`
	Kind    string    `json:"kind"`
	Seconds float64   `json:"seconds"` // since the phase started
	Reason  string    `json:"reason,omitempty"`
	Error   string    `json:"error,omitempty"`
}

func (*jsonLines) Title(string) {}

func (*jsonLines) Ask(string) {}

func (j *jsonLines) Event(e phases.Event) {
	line := eventLine{Type: "event", Time: e.At.UTC(), Phase: e.Phase, Kind: string(e.Kind), Seconds: e.Elapsed.Seconds(), Reason: e.Reason}
	if e.Err != nil {
		line.Error = e.Err.Error()
	}
	_ = j.write(line)
}

func (j *jsonLines) Result(r Result) error {
	return j.write(struct {
		Type   string `json:"type"`
		Result Result `json:"result"`
	}{"result", r})
}

func (j *jsonLines) Error(x app.Explanation) {
	_ = j.write(struct {
		Type string `json:"type"`
		app.Explanation
	}{"error", x})
}

func (j *jsonLines) write(v any) error {
	e := json.NewEncoder(j.out)
	e.SetEscapeHTML(false) // commands hold "&&" and "<token>"
	return e.Encode(v)
}
