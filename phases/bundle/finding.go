package bundle

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// State is what a file is judged to be.
type State string

// The states. All but Good, Soon, Elsewhere and Unknown are problems.
const (
	Good      State = "good"
	Soon      State = "ends soon" // valid, but not for long
	Elsewhere State = "elsewhere" // the key of an external CA
	Unknown   State = "unknown"   // nothing that hactl knows of
	Missing   State = "missing"
	Unwanted  State = "unwanted"  // must not be on this node, or not travel
	Misplaced State = "misplaced" // right, but in another place
	Wrong     State = "wrong"     // not what its name says
	Expired   State = "expired"   // or not valid yet
	Exposed   State = "exposed"   // its mode lets others read or change it
)

// Finding is one thing that there is to say of one file.
type Finding struct {
	File  string `json:"file"`
	State State  `json:"state"`
	// Problem says that the file keeps the set from being used.
	Problem bool   `json:"problem"`
	Why     string `json:"why,omitempty"`
	Fix     string `json:"fix,omitempty"`
	// Expires is the end of a certificate that could be read.
	Expires *time.Time `json:"expires,omitempty"`
}

// Findings is all that there is to say of a set of files: at least one
// finding for each file that is there or missing.
type Findings []Finding

// Problems are those findings that keep the set from being used.
func (f Findings) Problems() Findings {
	return slices.DeleteFunc(slices.Clone(f), func(x Finding) bool { return !x.Problem })
}

// Error lists the findings, one a line: "apiserver.crt: unwanted: …".
func (f Findings) Error() string {
	lines := make([]string, 0, len(f))
	for _, x := range f {
		line := fmt.Sprintf("%s: %s", x.File, x.State)
		if x.Why != "" {
			line += ": " + x.Why
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// Fixes are the ways to mend the findings, each once; what is to be removed
// is removed in one go.
func (f Findings) Fixes() []string {
	var list, gone []string
	files := map[string][]string{} // by the words before the command
	for _, x := range f {
		before, names, ok := strings.Cut(x.Fix, removal)
		switch {
		case ok:
			if files[before] == nil {
				gone = append(gone, before)
			}
			files[before] = append(files[before], strings.Fields(names)...)
		case x.Fix != "" && !slices.Contains(list, x.Fix):
			list = append(list, x.Fix)
		}
	}
	for i, before := range gone {
		slices.Sort(files[before])
		gone[i] = before + removal + strings.Join(slices.Compact(files[before]), " ")
	}
	return append(gone, list...)
}

// removal begins the command in a fix that removes files.
const removal = "rm "
