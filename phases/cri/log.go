package cri

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// tailBytes is how much of a log's end is read at most: the kubelet lets a
// log grow to 10 MiB, and a person reads a screenful.
const tailBytes = 256 << 10

// tail reads the last lines of the log file of a container.
func tail(ctx context.Context, path string, lines int) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if path == "" {
		return nil, fmt.Errorf("the container has no log: %w", fs.ErrNotExist)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	start := max(0, info.Size()-tailBytes)
	data, err := io.ReadAll(io.NewSectionReader(f, start, tailBytes))
	if err != nil {
		return nil, err
	}
	if start > 0 {
		// The first line is most likely cut.
		_, data, _ = bytes.Cut(data, []byte("\n"))
	}
	return last(ParseLog(data), lines), nil
}

// ParseLog returns the lines of a log in the CRI format, without time and
// stream. Lines that the runtime had cut are put together again; a line in
// another format is returned as it is.
//
// The format is "2016-10-06T00:17:09.669794202Z stdout F text"
// (kubernetes/design-proposals-archive node/kubelet-cri-logging.md), the tag
// P says that the line goes on.
func ParseLog(data []byte) []string {
	var lines []string
	open := map[string]*strings.Builder{} // by stream: the streams interleave
	for raw := range bytes.Lines(data) {
		raw = bytes.TrimRight(raw, "\r\n")
		stream, partial, text, ok := parseLine(string(raw))
		if !ok {
			if len(raw) > 0 {
				lines = append(lines, string(raw))
			}
			continue
		}
		b := open[stream]
		if b == nil {
			b = &strings.Builder{}
			open[stream] = b
		}
		b.WriteString(text)
		if partial {
			continue
		}
		lines = append(lines, b.String())
		delete(open, stream)
	}
	for _, stream := range []string{"stdout", "stderr"} {
		if b := open[stream]; b != nil {
			lines = append(lines, b.String())
		}
	}
	return lines
}

func parseLine(raw string) (stream string, partial bool, text string, ok bool) {
	fields := strings.SplitN(raw, " ", 4)
	if len(fields) < 3 || (fields[1] != "stdout" && fields[1] != "stderr") {
		return "", false, "", false
	}
	tag, _, _ := strings.Cut(fields[2], ":")
	if tag != "P" && tag != "F" {
		return "", false, "", false
	}
	if len(fields) == 4 {
		text = fields[3]
	}
	return fields[1], tag == "P", text, true
}

func last(lines []string, n int) []string {
	return lines[max(0, len(lines)-max(0, n)):]
}
