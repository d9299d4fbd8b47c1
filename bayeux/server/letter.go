package server

import (
	"context"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/queue"
	"github.com/halleypush/halley/bayeux/internal/transport"
)

// letter is encoded replies on their way, and what is to be done when they have
// left. It is used again after that, so that an acknowledgement leaves nothing
// behind.
type letter struct {
	srv    *Server
	text   []byte     // all replies
	parts  [][]byte   // each of them
	groups [][][]byte // by what they answer

	// What their end is good for.
	sess   *session
	lease  queue.Lease // while leased is true
	leased bool
	clocks []*session // whose expiry clocks start
	user   bool       // an exchange of sess ends
	trip   trip       // that of its connect
	done   func(sent int, replied bool)
}

const (
	letterText  = 16 << 10 // the most that a letter keeps for the next one
	letterParts = 64
)

// letter returns an empty one. end must be called, by out.Done.
func (srv *Server) letter() *letter {
	if l, ok := srv.letters.Get().(*letter); ok {
		return l
	}
	l := &letter{srv: srv}
	l.done = l.end // bound once
	return l
}

// takeLocked leases what may leave with the letter; see session.leaseLocked. The
// session's lock is held.
func (l *letter) takeLocked(s *session, limit int, reply bool) {
	l.sess, l.leased = s, s.leaseLocked(&l.lease, limit, reply)
}

// add runs the outgoing extensions on replies, at the time they leave, and
// encodes them as one group. A reply that an extension drops is left out
// ([R-MSG-3], [R-OUT-3]).
func (l *letter) add(ctx context.Context, s *session, replies []*bayeux.Message) {
	first := len(l.parts)
	for _, r := range replies {
		if l.srv.leaves(ctx, s, r, true) {
			from := len(l.text)
			l.text = bayeux.AppendMessage(l.text, r)
			l.parts = append(l.parts, l.text[from:len(l.text):len(l.text)])
		}
	}
	if end := len(l.parts); end > first {
		l.groups = append(l.groups, l.parts[first:end:end])
	}
}

// into makes out the output of the letter. One with nothing to write, because
// extensions dropped the replies, is done now: nobody will say so.
func (l *letter) into(out *transport.Output) {
	out.Replies, out.Done = l.groups, l.done
	if out.Empty() {
		l.end(0, false)
		out.Replies, out.Done = nil, noDone
	}
}

// end is the Done of the output.
func (l *letter) end(sent int, _ bool) {
	s, clock := l.sess, false
	if l.leased && l.trip.from.IsValid() {
		s.wrote(l.trip, &l.lease, sent)
	}
	for _, c := range l.clocks {
		if c == s && (l.leased || l.user) {
			clock = true // with the end of the lease
		} else {
			c.written()
		}
	}
	switch {
	case l.leased:
		s.finish(&l.lease, sent, clock, l.user)
	case l.user:
		s.finish(nil, 0, clock, true)
	}
	l.free()
}

func (l *letter) free() {
	clear(l.parts)
	clear(l.groups)
	clear(l.clocks)
	l.text, l.parts, l.groups, l.clocks = l.text[:0], l.parts[:0], l.groups[:0], l.clocks[:0]
	l.sess, l.leased, l.user, l.trip = nil, false, false, trip{}
	l.lease.Reset()
	if cap(l.text) > letterText || cap(l.parts) > letterParts {
		l.text, l.parts, l.groups = nil, nil, nil
	}
	l.srv.letters.Put(l)
}

// noDone is the Done of an output that nothing has to be done for.
func noDone(int, bool) {}
