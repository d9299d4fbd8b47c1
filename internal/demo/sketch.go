package demo

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"sync"

	"github.com/halleypush/halley/bayeux"
)

const (
	// scale is the largest coordinate; the pad is scale wide and scale high,
	// whatever its shape on the screen.
	scale = 1000
	// maxPart bounds the numbers of one message, maxStroke those of one
	// stroke, maxSketch those of the pad; two are a point.
	maxPart   = 256
	maxStroke = 4_000
	maxSketch = 24_000
	maxWidth  = 3
)

// stroke is a line of the pad, or a part of one: At is where in the stroke its
// points begin, so that a part that comes twice does no harm.
type stroke struct {
	ID     string `json:"stroke"`
	At     int    `json:"at"`
	Points []int  `json:"points"`
	Ink    int    `json:"ink"`
	Width  int    `json:"width"`
}

// sketch is the pad: its strokes in the order in which they began.
type sketch struct {
	mu      sync.Mutex
	strokes []*stroke
	byID    map[string]*stroke
	size    int
}

func newSketch() *sketch { return &sketch{byID: map[string]*stroke{}} }

// draw adds a part. It reports whether the part fits to what is there.
func (s *sketch) draw(part stroke) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	whole := s.byID[part.ID]
	if whole == nil {
		whole = &stroke{ID: part.ID, Ink: part.Ink, Width: part.Width}
	}
	end := part.At + len(part.Points)
	if part.At > len(whole.Points) || end > maxStroke {
		return false
	}
	if s.byID[part.ID] == nil {
		s.byID[part.ID] = whole
		s.strokes = append(s.strokes, whole)
	}
	s.size -= len(whole.Points)
	whole.Points = append(whole.Points[:part.At:part.At], append(slices.Clone(part.Points), tail(whole.Points, end)...)...)
	s.size += len(whole.Points)
	for s.size > maxSketch { // The oldest fade first.
		oldest := s.strokes[0]
		s.strokes = slices.Delete(s.strokes, 0, 1)
		delete(s.byID, oldest.ID)
		s.size -= len(oldest.Points)
	}
	return true
}

func tail(points []int, from int) []int { return points[min(from, len(points)):] }

func (s *sketch) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.strokes, s.byID, s.size = nil, map[string]*stroke{}, 0
}

// all returns copies of the strokes; the points are never written again.
func (s *sketch) all() []stroke {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]stroke, len(s.strokes))
	for i, one := range s.strokes {
		all[i] = *one
	}
	return all
}

// drawn is what the pages get: who drew a part, or cleared the pad.
type drawn struct {
	*stroke

	Clear bool   `json:"clear,omitempty"`
	By    string `json:"by"`
	Name  string `json:"name"`
}

func (d *demo) onSketch(_ context.Context, from bayeux.Session, m *bayeux.Message) error {
	var part struct {
		stroke

		Clear bool `json:"clear"`
	}
	if json.Unmarshal(m.Data, &part) != nil {
		return refuse("want a part of a stroke")
	}
	who := d.members.of(from)
	if part.Clear {
		d.sketch.clear()
		return rewrite(m, drawn{Clear: true, By: who.ID, Name: who.Name})
	}
	if !part.valid() || !d.sketch.draw(part.stroke) {
		return refuse("want a part of a stroke that fits to what is there")
	}
	return rewrite(m, drawn{stroke: &part.stroke, By: who.ID, Name: who.Name})
}

var strokeID = regexp.MustCompile(`^[A-Za-z0-9]{4,16}$`)

func (s stroke) valid() bool {
	within := func(n int) bool { return n >= 0 && n <= scale }
	return strokeID.MatchString(s.ID) && s.At >= 0 && s.At%2 == 0 &&
		len(s.Points) > 0 && len(s.Points) <= maxPart && len(s.Points)%2 == 0 &&
		!slices.ContainsFunc(s.Points, func(n int) bool { return !within(n) }) &&
		s.Ink >= 0 && s.Ink < hues && s.Width >= 1 && s.Width <= maxWidth
}

// cursor is where somebody's pointer is; Gone when it has left the pad.
type cursor struct {
	X    int    `json:"x"`
	Y    int    `json:"y"`
	Down bool   `json:"down"`
	Gone bool   `json:"gone"`
	By   string `json:"by"`
}

func (d *demo) onCursor(_ context.Context, from bayeux.Session, m *bayeux.Message) error {
	var c cursor
	if json.Unmarshal(m.Data, &c) != nil {
		return refuse("want a position")
	}
	if c.By = d.members.of(from).ID; c.By == "" {
		return refuse("join first")
	}
	c.X, c.Y = min(max(c.X, 0), scale), min(max(c.Y, 0), scale)
	return rewrite(m, c)
}
