package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"golang.org/x/term"

	"github.com/hactl/hactl/config"
	"github.com/hactl/hactl/phases"
)

var pinShape = regexp.MustCompile(`^sha256:[0-9a-fA-F]{64}$`)

// passphraseFile reads a passphrase: all of the file but the line break at its
// end.
func passphraseFile(name string, streams Streams) (config.Secret, error) {
	data, err := readInput(name, streams)
	return config.Secret(strings.TrimRight(string(data), "\r\n")), err
}

// terminal is the terminal that a person types at; nil if there is none.
func (s Streams) terminal() *os.File {
	f, ok := s.In.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return f
}

// typePassphrase asks a person, without showing what is typed. It ends with
// ctx, and leaves the terminal as it was.
func typePassphrase(ctx context.Context, streams Streams, prompt string) (config.Secret, error) {
	t := streams.terminal()
	if t == nil {
		return "", &phases.Fault{
			What:  "there is no terminal to ask for a passphrase",
			Fixes: []string{"give it in a file: --passphrase-file FILE (- is standard input)"},
			Exit:  phases.CodeUsage,
		}
	}
	before, err := term.GetState(int(t.Fd()))
	if err != nil {
		return "", fmt.Errorf("ask the terminal: %w", err)
	}
	fmt.Fprint(streams.Err, prompt)
	defer fmt.Fprintln(streams.Err)
	typed := make(chan typedText, 1)
	go func() { // nothing can end it but a line or the end of the process
		data, err := term.ReadPassword(int(t.Fd()))
		typed <- typedText{config.Secret(data), err}
	}()
	select {
	case <-ctx.Done():
		return "", errors.Join(context.Cause(ctx), term.Restore(int(t.Fd()), before))
	case got := <-typed:
		if got.err != nil {
			return "", fmt.Errorf("read the passphrase: %w", got.err)
		}
		return got.secret, nil
	}
}

// typedText is what a person typed.
type typedText struct {
	secret config.Secret
	err    error
}

// newPassphrase asks twice, so that a slip does not lock the archive for
// ever.
func newPassphrase(ctx context.Context, streams Streams) (config.Secret, error) {
	first, err := typePassphrase(ctx, streams, "Passphrase for the archive: ")
	if err != nil {
		return "", err
	}
	second, err := typePassphrase(ctx, streams, "The same again: ")
	if err == nil && first != second {
		err = &phases.Fault{What: "the two passphrases differ", Fixes: []string{"run the same command again"}, Exit: phases.CodeUsage}
	}
	return first, err
}
