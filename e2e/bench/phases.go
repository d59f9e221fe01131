package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// event is what is needed of hactl's lines of JSON.
type event struct {
	Type, Phase, Kind, Reason string
	Time                      time.Time
	Seconds                   float64
	Result                    struct {
		Join struct{ ControlPlaneCommand, WorkerCommand string }
	}
}

func events(lines []line) (list []event, err error) {
	for _, l := range lines {
		var e event
		if err := json.Unmarshal([]byte(l.Text), &e); err != nil {
			return nil, fmt.Errorf("hactl's output: %w", err)
		}
		list = append(list, e)
	}
	return list, nil
}

// hactlSpans are the phases that did or looked at something, from hactl's own
// events. Phases that only hold others are left out.
func hactlSpans(lines []line, zero time.Time) ([]span, error) {
	list, err := events(lines)
	if err != nil {
		return nil, err
	}
	var spans []span
	for _, e := range list {
		if e.Kind != "finished" && e.Kind != "unchanged" {
			continue
		}
		if slices.ContainsFunc(list, func(other event) bool { return strings.HasPrefix(other.Phase, e.Phase+"/") }) {
			continue
		}
		end := e.Time.Sub(zero).Seconds()
		spans = append(spans, span{Phase: e.Phase, Start: end - e.Seconds, End: end})
	}
	slices.SortStableFunc(spans, func(a, b span) int { return cmp.Compare(a.Start, b.Start) })
	return spans, nil
}

// hactlNotes are what hactl waited for and warned of.
func hactlNotes(lines []line, zero time.Time) ([]note, error) {
	list, err := events(lines)
	var notes []note
	for _, e := range list {
		if e.Reason != "" {
			notes = append(notes, note{At: e.Time.Sub(zero).Seconds(), Phase: e.Phase, Text: e.Reason})
		}
	}
	return notes, err
}

// kubeadmSpans are the phases as kubeadm's output names them, in brackets at
// the beginning of a line. One lasts until the next begins.
func kubeadmSpans(lines []line, zero, ended time.Time) []span {
	var spans []span
	for _, l := range lines {
		name, _, ok := strings.Cut(strings.TrimPrefix(l.Text, "["), "]")
		if !ok || !strings.HasPrefix(l.Text, "[") {
			continue
		}
		at := l.At.Sub(zero).Seconds()
		if n := len(spans); n > 0 {
			if spans[n-1].Phase == name {
				continue
			}
			spans[n-1].End = at
		}
		spans = append(spans, span{Phase: name, Start: at})
	}
	if n := len(spans); n > 0 {
		spans[n-1].End = ended.Sub(zero).Seconds()
	}
	return spans
}

// joinCommands are the commands that init has printed for further nodes.
type joinCommands struct{ controlPlane, worker []string }

// hactlJoins reads them from hactl's result.
func hactlJoins(lines []line) (j joinCommands, err error) {
	list, err := events(lines)
	if err != nil {
		return j, err
	}
	for _, e := range list {
		if e.Type == "result" {
			j.controlPlane = strings.Fields(e.Result.Join.ControlPlaneCommand)
			j.worker = strings.Fields(e.Result.Join.WorkerCommand)
		}
	}
	return j, j.check(hactl)
}

// kubeadmJoins reads them from what kubeadm prints for people, with "\" at the
// end of lines that continue.
func kubeadmJoins(lines []line) (j joinCommands, err error) {
	var text strings.Builder
	for _, l := range lines {
		if before, ok := strings.CutSuffix(strings.TrimSpace(l.Text), "\\"); ok {
			text.WriteString(before + " ")
			continue
		}
		text.WriteString(l.Text + "\n")
	}
	for command := range strings.Lines(text.String()) {
		argv := strings.Fields(command)
		switch {
		case len(argv) < 3 || argv[0] != "kubeadm" || argv[1] != "join":
		case slices.Contains(argv, "--control-plane"):
			j.controlPlane = argv
		default:
			j.worker = argv
		}
	}
	return j, j.check(kubeadm)
}

func (j joinCommands) check(by tool) error {
	if len(j.controlPlane) == 0 || len(j.worker) == 0 {
		return fmt.Errorf("%s init has not printed the commands to join with", by)
	}
	return nil
}

// withoutSecrets is a command as it can be shown.
func withoutSecrets(argv []string) string {
	shown := slices.Clone(argv)
	for i := range shown[1:] {
		switch shown[i] {
		case "--token", "--certificate-key", "--discovery-token-ca-cert-hash":
			shown[i+1] = "…"
		}
	}
	return strings.Join(shown, " ")
}
