//go:build linux

package front

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestStuck: handlers that wait for each other are all called, whatever waited
// before.
func TestStuck(t *testing.T) {
	const n, rounds = 100, 2
	var all [rounds]sync.WaitGroup
	for i := range all {
		all[i].Add(n)
	}
	r := newRig(t, func(s *http.Server) {
		s.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			round := &all[len(r.URL.Path)-len("/b/")]
			round.Done()
			round.Wait()
		})
	})
	for i := range rounds {
		var clients []*client
		for range n {
			c := r.dial()
			c.send(post("/b/"+strings.Repeat("x", i), ""))
			clients = append(clients, c)
		}
		for _, c := range clients {
			c.answer(200)
		}
	}
}

// TestLeave: handlers that say that they wait are not counted, and count again.
func TestLeave(t *testing.T) {
	const n = 100
	var waiting sync.WaitGroup
	waiting.Add(n)
	goOn := make(chan struct{})
	r := newRig(t, func(s *http.Server) {
		s.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			ours, _ := w.(*Response)
			ours.Leave()
			waiting.Done()
			<-goOn
			ours.Rejoin()
			_, _ = io.WriteString(w, "x")
		})
	})
	atRest := func() bool {
		p := r.s.pool
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.active == 0 && len(p.idle) <= p.most
	}
	var clients []*client
	for range n {
		c := r.dial()
		c.send(post("/b/wait", ""))
		clients = append(clients, c)
	}
	waiting.Wait()
	r.eventually(atRest, "nobody is at work")
	close(goOn)
	for _, c := range clients {
		_, got := c.answer(200)
		require.Equal(t, "x", got)
	}
	r.eventually(atRest, "those who were away have come back, and gone")
}
