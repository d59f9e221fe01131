// Command timeline draws which tool spent its time on what: one line for each
// node, one bar for each phase, as SVG. It is a module of its own so that the
// library that draws is no requirement of hactl's.
//
//	timeline DATA.json PICTURE.svg
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
)

// timeline is what e2e/bench writes. All times are in seconds.
type timeline struct {
	Title  string
	Panels []panel
}

// panel is one cluster, ready at a moment that gets a mark.
type panel struct {
	Title string
	Ready float64
	Rows  []row
}

// row is what one node did, from the start of the command to its end.
type row struct {
	Node       string
	Start, End float64
	Bars       []bar
}

// bar is one phase. Its kind gives it the color.
type bar struct {
	Name, Kind string
	Start, End float64
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: timeline DATA.json PICTURE.svg")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "timeline:", err)
		os.Exit(1)
	}
}

func run(data, picture string) error {
	text, err := os.ReadFile(data)
	if err != nil {
		return err
	}
	var t timeline
	if err := json.Unmarshal(text, &t); err != nil {
		return fmt.Errorf("%s: %w", data, err)
	}
	svg, err := drawn(t)
	if err != nil {
		return err
	}
	// Machines without this font have one of the same widths.
	svg = bytes.ReplaceAll(svg, []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;"))
	return os.WriteFile(picture, svg, 0o644)
}
