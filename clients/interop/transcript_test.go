//go:build interop

package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A transcript is all messages that clients have sent and received, one a line: "ann > {…}" was sent, "ann < {…}" received.
// It is the same each time, whatever happens by chance:
//
//   - clientIds are the names of their clients; the ids of the messages of a step are A, B, … by the order of sending;
//   - the lines of a step are sorted: what comes with the same response, and in which order, is not compared;
//   - how often a client connects depends on time. Each kind of connect and of reply is there once, at the end, and what
//     comes when the client has begun to disconnect is left out.

// transcript turns what clients have told into lines.
type transcript struct {
	lines    []string
	ids      map[string]string          // by clientId, the name of the client
	connects map[string]map[string]bool // by client, its connects and their replies
	leaving  map[string]bool
}

func newTranscript() *transcript {
	return &transcript{ids: map[string]string{}, connects: map[string]map[string]bool{}, leaving: map[string]bool{}}
}

// step adds what clients have told since the last.
func (r *transcript) step(t *testing.T, title string, told map[string][]event) {
	t.Helper()
	for name, events := range told {
		r.meet(t, name, events)
	}
	var lines []string
	for name, events := range told {
		letters := map[string]string{}
		for _, e := range events {
			if direction := map[string]string{"sent": " > ", "received": " < "}[e.Kind]; direction != "" {
				lines = r.add(t, lines, name, direction, e, letters)
			}
		}
	}
	slices.Sort(lines)
	r.lines = append(append(r.lines, "# "+title), lines...)
}

// meet learns the ids of new sessions.
func (r *transcript) meet(t *testing.T, name string, events []event) {
	t.Helper()
	for _, e := range events {
		if id, _ := fields(t, e)["clientId"].(string); e.Kind == "received" && e.Channel == "/meta/handshake" && id != "" {
			r.ids[id] = name
		}
	}
}

// add adds the line of a message, or keeps it for the end.
func (r *transcript) add(t *testing.T, lines []string, name, direction string, e event, letters map[string]string) []string {
	t.Helper()
	m := fields(t, e)
	if id, there := m["clientId"]; there {
		m["clientId"] = r.nameOf(id)
	}
	if e.Channel == "/meta/connect" {
		if m["id"] != nil {
			m["id"] = "*"
		}
		if r.connects[name] == nil {
			r.connects[name] = map[string]bool{}
		}
		if !r.leaving[name] {
			r.connects[name][name+direction+text(t, m)] = true
		}
		return lines
	}
	r.leaving[name] = r.leaving[name] || e.Channel == "/meta/disconnect"
	if id, there := m["id"]; there {
		m["id"] = letter(letters, fmt.Sprint(id), e.Kind == "sent")
	}
	return append(lines, name+direction+text(t, m))
}

func (r *transcript) nameOf(id any) string {
	if name := r.ids[fmt.Sprint(id)]; name != "" {
		return name
	}
	return "nobody"
}

// letter stands for the id of a message; one that was not sent in this step has none.
func letter(letters map[string]string, id string, sent bool) string {
	if _, known := letters[id]; !known && sent {
		letters[id] = string(rune('A' + len(letters)))
	}
	if letters[id] == "" {
		return "unknown"
	}
	return letters[id]
}

func fields(t *testing.T, e event) map[string]any {
	t.Helper()
	m := map[string]any{}
	if e.Message != nil {
		d := json.NewDecoder(bytes.NewReader(e.Message))
		d.UseNumber()
		require.NoError(t, d.Decode(&m))
	}
	return m
}

// text is JSON with the fields by their names' order.
func text(t *testing.T, m map[string]any) string {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	require.NoError(t, e.Encode(m))
	return strings.TrimSpace(b.String())
}

// String is the whole.
func (r *transcript) String() string {
	lines := append(slices.Clone(r.lines), "# connects")
	var connects []string
	for _, all := range r.connects {
		for line := range all {
			connects = append(connects, line)
		}
	}
	slices.Sort(connects)
	return strings.Join(append(lines, connects...), "\n") + "\n"
}

// difference is where two transcripts differ: lines of a step that only one of them has.
type difference struct {
	step         string
	theirs, ours []string
}

// compare finds the differences of two transcripts of one conversation.
func compare(theirs, ours string) []difference {
	steps, theirsBy := sections(theirs)
	more, oursBy := sections(ours)
	for _, s := range more {
		if !slices.Contains(steps, s) {
			steps = append(steps, s)
		}
	}
	var all []difference
	for _, s := range steps {
		d := difference{s, without(theirsBy[s], oursBy[s]), without(oursBy[s], theirsBy[s])}
		if len(d.theirs)+len(d.ours) > 0 {
			all = append(all, d)
		}
	}
	return all
}

func (d difference) String() string {
	lines := []string{"# " + d.step}
	for _, line := range d.theirs {
		lines = append(lines, "theirs "+line)
	}
	for _, line := range d.ours {
		lines = append(lines, "ours   "+line)
	}
	return strings.Join(lines, "\n")
}

func sections(s string) (steps []string, lines map[string][]string) {
	lines = map[string][]string{}
	for line := range strings.Lines(s) {
		line = strings.TrimSuffix(line, "\n")
		if title, ok := strings.CutPrefix(line, "# "); ok {
			steps = append(steps, title)
		} else {
			last := steps[len(steps)-1]
			lines[last] = append(lines[last], line)
		}
	}
	return steps, lines
}

// without returns the lines that others do not have, as often as they do not.
func without(lines, others []string) (rest []string) {
	others = slices.Clone(others)
	for _, line := range lines {
		if i := slices.Index(others, line); i >= 0 {
			others = slices.Delete(others, i, i+1)
		} else {
			rest = append(rest, line)
		}
	}
	return rest
}
