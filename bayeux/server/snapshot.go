package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/instant"
	"github.com/halleypush/halley/bayeux/internal/machine"
	"github.com/halleypush/halley/bayeux/internal/queue"
)

// Snapshot is a session without its carrier, so that another server can go on
// with it (DESIGN 4.8). It marshals to JSON; deadlines are remaining times.
type Snapshot struct {
	ID          string                     `json:"id"`
	Transport   string                     `json:"transport"`
	Home        string                     `json:"home"`
	Browser     string                     `json:"browser,omitempty"`
	User        string                     `json:"user,omitempty"`
	Subject     *bayeux.Subject            `json:"subject,omitempty"`
	ConnectOnly bool                       `json:"connectOnly,omitempty"`
	NoEcho      bool                       `json:"noEcho,omitempty"`
	Slow        bayeux.SlowConsumer        `json:"slow,omitempty"`
	Bounds      *queue.Limits              `json:"bounds,omitempty"`
	Machine     machine.Snapshot           `json:"machine"`
	Queue       queue.Snapshot             `json:"queue"`
	Attributes  map[string]json.RawMessage `json:"attributes,omitempty"`
	Extensions  map[string]bayeux.Raw      `json:"extensions,omitempty"`
}

// Snapshot copies the state of a session, which goes on. Attributes that do
// not marshal to JSON are an error that names them.
func (srv *Server) Snapshot(id string) (*Snapshot, error) {
	s := srv.registry.get(id)
	if s == nil {
		return nil, fmt.Errorf("snapshot of %q: %w", id, ErrNoSession)
	}
	if s.isLocal() {
		return nil, fmt.Errorf("snapshot of %q: %w", id, ErrLocal)
	}
	out := &Snapshot{ID: s.id(), Home: s.made.name, Browser: s.browser}
	for name, value := range s.Attributes().All() {
		raw, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("snapshot of %q: attribute %q: %w", id, name, err)
		}
		if out.Attributes == nil {
			out.Attributes = make(map[string]json.RawMessage)
		}
		out.Attributes[name] = raw
	}
	for _, e := range s.extensions() {
		x, ok := e.(bayeux.Snapshotter)
		if !ok {
			continue
		}
		state, err := x.Snapshot()
		if err != nil {
			return nil, fmt.Errorf("snapshot of %q: extension %q: %w", id, x.Key(), err)
		}
		if out.Extensions == nil {
			out.Extensions = make(map[string]bayeux.Raw)
		}
		out.Extensions[x.Key()] = state
	}
	now := srv.moment()
	s.mu.Lock()
	defer s.mu.Unlock()
	out.Subject = s.subject
	out.Transport, out.User, out.ConnectOnly, out.NoEcho = s.used.name, s.user, s.connectOnly, s.noEcho
	out.Slow = s.slow.own
	if s.slow.bounds {
		l := s.queue.Limits()
		out.Bounds = &l
	}
	out.Machine, out.Queue = s.machine.Snapshot(now), s.queue.Snapshot(now)
	return out, nil
}

// Restore brings a session back to life. Its client goes on with its next
// connect; attributes come back as json.RawMessage.
func (srv *Server) Restore(from *Snapshot) error {
	st := srv.settings[from.Home]
	if st == nil || srv.settings[from.Transport] == nil || from.Home == TransportLocal {
		return fmt.Errorf("restore %q: transport %q or %q is unknown", from.ID, from.Home, from.Transport)
	}
	if !bayeux.ValidID(from.ID) {
		return fmt.Errorf("restore: %q is no session id", from.ID)
	}
	if !from.Machine.State.Alive() {
		return fmt.Errorf("restore %q: the session has ended", from.ID)
	}
	s := srv.sessionOf(from.ID, from.Browser, st)
	s.used, s.user, s.subject = srv.settings[from.Transport], from.User, from.Subject
	s.connectOnly, s.noEcho = from.ConnectOnly, from.NoEcho
	now := srv.moment()
	state := from.Machine
	if state.ID != "" {
		state.ID = from.ID // the one that counts
	}
	m, err := machine.Restore(now, state)
	if err != nil {
		return fmt.Errorf("restore %q: %w", from.ID, err)
	}
	s.machine = *m
	bounds := st.queueLimits()
	s.slow.own, s.slow.bounds = from.Slow, from.Bounds != nil
	if from.Bounds != nil {
		bounds = *from.Bounds
	}
	s.queue = queue.Restore(now, from.Queue, bounds, srv.total)
	for name, raw := range from.Attributes {
		s.Attributes().Set(name, raw)
	}
	for _, e := range s.extensions() {
		if x, ok := e.(bayeux.Snapshotter); ok && from.Extensions[x.Key()] != nil {
			if err := x.Restore(from.Extensions[x.Key()]); err != nil {
				s.queue.Clear()
				return fmt.Errorf("restore %q: extension %q: %w", from.ID, x.Key(), err)
			}
		}
	}
	ctx := context.Background()
	if !srv.begin(ctx, s, s.takeTurn()) {
		s.queue.Clear()
		return fmt.Errorf("restore %q: %w", from.ID, errors.New("the session is already here"))
	}
	tell := func(e machine.Effects) { srv.subscriptionsChanged(ctx, s, e, nil) }
	s.stepWith(nil, tell, func(instant.Time) machine.Effects {
		if s.over { // since it was registered
			return machine.Effects{}
		}
		return machine.Effects{Subscribe: s.machine.Subscriptions()}
	})
	return nil
}
