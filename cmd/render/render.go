// Package render shows what a run does: the same events and results as text
// for people or as JSON for programs. Results go to standard output,
// progress for people to standard error.
package render

import (
	"fmt"
	"io"

	"github.com/hactl/hactl/app"
	"github.com/hactl/hactl/phases"
)

// Renderer shows one run.
type Renderer interface {
	// Title is shown first.
	Title(text string)
	// Event is called for every event, one at a time.
	Event(phases.Event)
	// Ask shows a question to which the answer is then read. Where output
	// is for programs, it shows nothing.
	Ask(question string)
	// Result ends a run that went well.
	Result(r Result) error
	// Error ends a run that failed.
	Error(x app.Explanation)
}

// Result is what a use case returns.
type Result interface {
	// Text writes the result for people.
	Text(w io.Writer) error
}

// Format is the value of flag --output.
type Format string

// The formats.
const (
	Text Format = "text"
	JSON Format = "json"
	YAML Format = "yaml" // the result only; the rest is text
)

// New returns the renderer of a format. Terminal says that err is a terminal
// whose last line may be written over.
func New(format Format, out, err io.Writer, terminal Terminal) (Renderer, error) {
	switch format {
	case Text, "":
		return &text{out: out, err: err, terminal: terminal}, nil
	case JSON:
		return &jsonLines{out: out}, nil
	case YAML:
		return &yamlResult{text: text{out: out, err: err, terminal: terminal}}, nil
	}
	return nil, &phases.Fault{
		What:  fmt.Sprintf("there is no output format %q", format),
		Fixes: []string{"use text, json or yaml"},
		Exit:  phases.CodeUsage,
	}
}

// Terminal tells the width of the terminal in columns, 0 if it is none.
type Terminal func() int
