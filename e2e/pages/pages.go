// Package pages reads the pages of docs/, so that the end-to-end tests can run
// what they show. It owns the meaning of a fenced block:
//
//	```console TestExternal       commands, "HOST# command", with what they print
//	```yaml TestExternal cp-1:cluster.yaml       a file on a host, below /root
//
// The words behind the language name the tests that run the block; browsers do
// not show them.
package pages

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Block is one fenced block of a page.
type Block struct {
	// Section is the last heading above the block, Line that of its fence.
	Section  string
	Line     int
	Language string
	// Tests run the block.
	Tests []string
	// Hosts and File say where a block goes that is a file.
	Hosts []string
	File  string
	Text  string
}

// Command is one command of a block with the language console.
type Command struct {
	Hosts []string
	Text  string // for a shell
	// Code is the exit code that the page tells in a comment, else 0.
	Code int
	// Output are the lines that the page shows; "…" stands for anything.
	Output []string
}

var (
	heading  = regexp.MustCompile(`^#+ +(.*)$`)
	target   = regexp.MustCompile(`^([a-z0-9,-]+):(\S+)$`)
	prompt   = regexp.MustCompile(`^([a-z0-9-]+(?:,[a-z0-9-]+)*)# (.*)$`)
	exitCode = regexp.MustCompile(` # exit code (\d+)`)
)

// Parse finds the fenced blocks of a page. A block that does not end, and a
// word behind the language that is no test and no file, are errors.
func Parse(page string) ([]Block, error) {
	var list []Block
	var open *Block
	section, number := "", 0
	for line := range strings.Lines(page) {
		number++
		line = strings.TrimRight(line, "\n")
		switch info, fence := strings.CutPrefix(line, "```"); {
		case open != nil && fence:
			list, open = append(list, *open), nil
		case open != nil:
			open.Text += line + "\n"
		case fence:
			b, err := begin(info)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", number, err)
			}
			b.Section, b.Line = section, number
			open = &b
		case heading.MatchString(line):
			section = heading.FindStringSubmatch(line)[1]
		}
	}
	if open != nil {
		return nil, fmt.Errorf("line %d: the block does not end", open.Line)
	}
	return list, nil
}

// begin reads the words behind a fence.
func begin(info string) (Block, error) {
	var b Block
	words := strings.Fields(info)
	if len(words) == 0 {
		return b, nil
	}
	b.Language = words[0]
	for _, word := range words[1:] {
		at := target.FindStringSubmatch(word)
		switch {
		case strings.HasPrefix(word, "Test"):
			b.Tests = append(b.Tests, word)
		case at != nil:
			b.Hosts, b.File = strings.Split(at[1], ","), at[2]
		default:
			return b, fmt.Errorf("%q is neither a test nor HOST:FILE", word)
		}
	}
	return b, nil
}

// Run says whether a test runs the block.
func (b Block) Run(test string) bool { return slices.Contains(b.Tests, test) }

// Commands reads a block with the language console. It begins with a prompt.
func (b Block) Commands() ([]Command, error) {
	var list []Command
	lines := strings.Split(strings.TrimSpace(b.Text), "\n")
	for i := 0; i < len(lines); i++ {
		at := prompt.FindStringSubmatch(lines[i])
		if at == nil {
			if len(list) == 0 {
				return nil, fmt.Errorf("line %d: the block does not begin with a prompt such as cp-1#", b.Line)
			}
			if line := strings.TrimSpace(lines[i]); line != "" {
				list[len(list)-1].Output = append(list[len(list)-1].Output, line)
			}
			continue
		}
		c := Command{Hosts: strings.Split(at[1], ","), Text: at[2]}
		for strings.HasSuffix(lines[i], `\`) && i+1 < len(lines) {
			i++
			c.Text += "\n" + lines[i]
		}
		if code := exitCode.FindStringSubmatch(c.Text); code != nil {
			c.Code, _ = strconv.Atoi(code[1]) // digits only
		}
		list = append(list, c)
	}
	return list, nil
}

// Missing returns the first line of the output that the page shows and that
// was not printed, in this order; "" if there is none.
func (c Command) Missing(printed string) string {
	lines := strings.Split(printed, "\n")
	for _, want := range c.Output {
		if want == "…" { // any number of lines
			continue
		}
		parts := strings.Split(want, "…")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		pattern := regexp.MustCompile("^" + strings.Join(parts, ".*") + "$")
		i := slices.IndexFunc(lines, func(line string) bool { return pattern.MatchString(strings.TrimSpace(line)) })
		if i < 0 {
			return want
		}
		lines = lines[i+1:]
	}
	return ""
}
