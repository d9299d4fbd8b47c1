//go:build interop

package browser

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	halley "github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/extensions/ack"
	"github.com/halleypush/halley/extensions/timesync"
)

// reloadCell is a page that is reloaded while messages are on their way.
type reloadCell struct {
	Major     int    `json:"major"` // of the CometD client for JavaScript.
	Transport string `json:"transport"`
	Ack       bool   `json:"ack"`
	Channel   string `json:"channel"`
}

// reloadCells are the oldest and the newest client, or all where the environment asks for it.
func reloadCells(full bool) []reloadCell {
	var all []reloadCell
	for _, major := range []int{3, 4, 5, 7, 8, 9} {
		for _, transport := range []string{"long-polling", "websocket"} {
			for _, ack := range []bool{true, false} {
				if full || major == 9 || major == 3 && ack {
					all = append(all, reloadCell{major, transport, ack, fmt.Sprintf("/reload/%d/%s/%t", major, transport, ack)})
				}
			}
		}
	}
	return all
}

// site has the pages, the published clients and a server that they talk to, and publishes numbers.
type site struct {
	srv *halley.Server
	web *httptest.Server

	mu   sync.Mutex
	ends map[string]func() int
}

func startSite(t *testing.T) *site {
	t.Helper()
	srv, err := halley.New(halley.Config{
		Extensions: []bayeux.Extension{ack.New(), timesync.New(timesync.Config{})},
		Options:    halley.Options{"timeout": "4000", "maxInterval": "60000"},
	})
	require.NoError(t, err)
	s := &site{srv: srv, ends: map[string]func() int{}}
	mux := http.NewServeMux()
	mux.Handle("/cometd", srv)
	mux.Handle("/cometd/", srv)
	mux.Handle("/page/", http.StripPrefix("/page/", http.FileServer(http.Dir("."))))
	mux.Handle("/js/", http.StripPrefix("/js/", http.FileServer(http.Dir("../js/node_modules"))))
	mux.HandleFunc("/begin", s.begin)
	mux.HandleFunc("/end", s.end)
	s.web = httptest.NewServer(mux)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, srv.Shutdown(ctx))
		s.web.Close()
	})
	return s
}

// begin publishes the numbers from 1, one every few milliseconds.
func (s *site) begin(w http.ResponseWriter, r *http.Request) {
	channel := r.URL.Query().Get("channel")
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	last := make(chan int, 1)
	go func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		n := 0
		for {
			select {
			case <-tick.C:
				n++
				_ = s.srv.Publish(ctx, channel, n)
			case <-ctx.Done():
				last <- n
				return
			}
		}
	}()
	s.mu.Lock()
	s.ends[channel] = func() int {
		cancel()
		return <-last
	}
	s.mu.Unlock()
	_, _ = w.Write([]byte("null"))
}

// end stops that and tells the last number.
func (s *site) end(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	stop := s.ends[r.URL.Query().Get("channel")]
	delete(s.ends, r.URL.Query().Get("channel"))
	s.mu.Unlock()
	_, _ = fmt.Fprint(w, stop())
}

// stopAll is for pages that failed before their end.
func (s *site) stopAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, stop := range s.ends {
		stop()
	}
}

// reloads is what was seen of a cell.
type reloads struct {
	Pages  []reloadPage `json:"pages"`
	Last   int          `json:"last"`
	Errors []string     `json:"errors"`
}

// reloadPage is one of the pages that a session had: its clientId, whether its handshake was replayed by the client, and
// the numbers that it got.
type reloadPage struct {
	ClientID string `json:"clientId"`
	Replayed bool   `json:"replayed"`
	Got      []int  `json:"got"`
}

// TestReload reloads real pages while messages come: the session and its subscription stay, and with acknowledgements
// nothing is lost.
func TestReload(t *testing.T) {
	full, times := os.Getenv("HALLEY_INTEROP") == "full", 2
	if full {
		times = 5
	}
	s := startSite(t)
	defer s.stopAll()
	cells := reloadCells(full)
	all := runReloads(t, s, cells, times)
	for i, c := range cells {
		t.Run(fmt.Sprintf("cometd %d %s, ack %t", c.Major, c.Transport, c.Ack), func(t *testing.T) {
			seen := all[i]
			require.Empty(t, seen.Errors)
			require.Len(t, seen.Pages, times+1)
			for i, p := range seen.Pages {
				require.NotEmpty(t, p.ClientID)
				require.Equal(t, seen.Pages[0].ClientID, p.ClientID, "page %d", i)
				require.Equal(t, i > 0, p.Replayed, "page %d", i)
			}
			lost, err := seen.check()
			require.NoError(t, err)
			if c.Ack {
				require.Empty(t, lost)
			}
			t.Logf("%d messages, %d lost between pages", seen.Last, len(lost))
		})
	}
}

// runReloads has all cells played in one browser.
func runReloads(t *testing.T, s *site, cells []reloadCell, times int) []reloads {
	t.Helper()
	program, err := exec.LookPath("chromium")
	require.NoError(t, err, "make deps installs it")
	arg, err := json.Marshal(map[string]any{"chromium": program, "site": s.web.URL, "reloads": times, "cells": cells})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 5*patience)
	defer cancel()
	proc := exec.CommandContext(ctx, "node", "reload.mjs", string(arg))
	var said bytes.Buffer
	proc.Stderr = &said
	proc.WaitDelay = time.Second
	out, err := proc.Output()
	require.NoError(t, err, "%s", &said)
	var all []reloads
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var r reloads
		require.NoError(t, json.Unmarshal(lines.Bytes(), &r))
		all = append(all, r)
	}
	require.Len(t, all, len(cells))
	return all
}

// check returns the numbers that no page got. On one page the numbers come without a gap and not twice, and a page
// begins at most with those that the one before may not have acknowledged.
func (r reloads) check() (lost []int, err error) {
	next := 1
	for i, p := range r.Pages {
		if len(p.Got) == 0 {
			return nil, fmt.Errorf("page %d got nothing", i)
		}
		for k, n := range p.Got {
			if n != p.Got[0]+k {
				return nil, fmt.Errorf("page %d got %d in the place of %d", i, n, p.Got[0]+k)
			}
		}
		for ; next < p.Got[0]; next++ {
			lost = append(lost, next)
		}
		next = p.Got[len(p.Got)-1] + 1
	}
	if next != r.Last+1 {
		return nil, fmt.Errorf("the last of %d is %d", r.Last, next-1)
	}
	return lost, nil
}

func TestReloadCheck(t *testing.T) {
	pages := func(got ...[]int) []reloadPage {
		var all []reloadPage
		for _, g := range got {
			all = append(all, reloadPage{Got: g})
		}
		return all
	}
	for _, c := range []struct {
		pages []reloadPage
		lost  []int
		fine  bool
	}{
		{pages([]int{1, 2}, []int{3, 4, 5}), nil, true},
		{pages([]int{1, 2}, []int{2, 3, 4, 5}), nil, true},
		{pages([]int{1, 2}, []int{4, 5}), []int{3}, true},
		{pages([]int{2, 3}, []int{4, 5}), []int{1}, true},
		{pages([]int{1, 3}, []int{4, 5}), nil, false},
		{pages([]int{1, 2}, []int{3, 4, 4, 5}), nil, false},
		{pages([]int{1, 2}, []int{3, 4}), nil, false},
		{pages([]int{1, 2, 3, 4, 5}, nil), nil, false},
	} {
		lost, err := reloads{Pages: c.pages, Last: 5}.check()
		require.Equal(t, c.fine, err == nil, "%v: %v", c.pages, err)
		if c.fine {
			require.Equal(t, c.lost, lost, "%v", c.pages)
		}
	}
}
