package clientcases

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/halleypush/halley/conformance/clientmode"
)

// flaw is something that a client does wrong.
type flaw string

// plain is a client of long-polling, as small as can be, with one flaw or none.
type plain struct {
	job  clientmode.Job
	tell func(clientmode.Event)
	has  flaw
	http *http.Client

	mu       sync.Mutex
	n        int
	id       string
	subs     []string
	heard    int // how often each message is delivered, for a flaw
	wait     time.Duration
	hold     time.Duration
	pause    time.Duration
	failures int
	ack      any
	acks     bool
}

var errOver = errors.New("the client is to stay away")

// client returns a client with a flaw, for the runner.
func client(f flaw) clientmode.Client {
	return clientmode.Client{Start: func(ctx context.Context, job clientmode.Job, tell func(clientmode.Event)) (func(), error) {
		jar, err := cookiejar.New(nil)
		if err != nil {
			return nil, err
		}
		via := &http.Transport{}
		p := &plain{job: job, tell: tell, has: f, http: &http.Client{Transport: via, Jar: jar}, heard: 1, hold: time.Minute, subs: []string{clientmode.Control, clientmode.Data}}
		if f == "no cookies" {
			p.http.Jar = nil
		}
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		var work sync.WaitGroup
		work.Go(func() { p.run(ctx, &work) })
		return func() {
			cancel()
			work.Wait()
			via.CloseIdleConnections()
		}, nil
	}}
}

// run shakes hands and connects until it is over.
func (p *plain) run(ctx context.Context, work *sync.WaitGroup) {
	for ctx.Err() == nil {
		err := p.session(ctx, work)
		if errors.Is(err, errOver) || p.has == "gives up at a failure" {
			break
		}
		p.backoff(ctx)
	}
	p.tell(clientmode.Event{Kind: clientmode.EventEnd})
}

func (p *plain) backoff(ctx context.Context) {
	p.failures++
	if p.has == "no pause after a failure" {
		return
	}
	rest(ctx, min(time.Duration(p.failures)*p.job.Backoff, p.job.MaxBackoff)+p.pause)
}

func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// session is a handshake, the subscriptions and connects, until another
// handshake is needed.
func (p *plain) session(ctx context.Context, work *sync.WaitGroup) error {
	hello := M{"channel": clientmode.Handshake, "version": "1.0", "supportedConnectionTypes": []string{"long-polling"}}
	if p.job.Ack {
		hello["ext"] = M{"ack": true}
	}
	if p.has == "no version" {
		delete(hello, "version")
	}
	reply, err := p.send(ctx, work, p.job.NetworkDelay, hello)
	if err != nil || reply["successful"] != true {
		if p.advised(reply) == "none" && p.has != "asks again after none" {
			return errOver
		}
		return fmt.Errorf("handshake: %v %w", reply["error"], err)
	}
	p.advised(reply)
	types, _ := reply["supportedConnectionTypes"].([]any)
	if !slices.Contains(types, any("long-polling")) {
		return errOver
	}
	p.mu.Lock()
	if p.id == "" || p.has != "keeps its clientId" {
		p.id, _ = reply["clientId"].(string)
	}
	again := p.has != "subscribes once" || p.n < 3
	if p.has == "delivers twice after a new session" && p.n > 3 {
		p.heard++
	}
	p.acks, p.ack = ext(reply) == true, nil
	names := slices.Clone(p.subs)
	p.mu.Unlock()
	for _, name := range names {
		if again {
			p.subscribe(ctx, work, clientmode.Subscribe, name)
		}
	}
	return p.connects(ctx, work)
}

func ext(m M) any {
	e, _ := m["ext"].(map[string]any)
	return e["ack"]
}

func (p *plain) subscribe(ctx context.Context, work *sync.WaitGroup, channel, name string) {
	reply, err := p.send(ctx, work, p.job.NetworkDelay, p.ours(M{"channel": channel, "subscription": name}))
	p.tell(clientmode.Event{Kind: clientmode.EventSubscribed, Channel: name, OK: err == nil && reply["successful"] == true})
}

func (p *plain) ours(m M) M {
	p.mu.Lock()
	defer p.mu.Unlock()
	m["clientId"] = p.id
	return m
}

// connects polls until another handshake is needed.
func (p *plain) connects(ctx context.Context, work *sync.WaitGroup) error {
	for fresh := true; ; {
		m := p.ours(M{"channel": clientmode.Connect, "connectionType": "long-polling"})
		if p.has == "no connectionType" {
			delete(m, "connectionType")
		}
		if fresh {
			m["advice"] = M{"timeout": 0}
		}
		if p.acks && p.ack != nil && p.has != "acknowledges nothing" {
			m["ext"] = M{"ack": p.ack}
		}
		limit := p.hold + p.job.NetworkDelay
		if p.has == "waits too short" {
			limit = p.job.NetworkDelay
		}
		if p.has == "two connects" && !fresh {
			second := maps.Clone(m)
			work.Go(func() { _, _ = p.send(ctx, work, limit, second) })
		}
		reply, err := p.send(ctx, work, limit, m)
		switch {
		case ctx.Err() != nil:
			return errOver
		case err != nil:
			p.tell(clientmode.Event{Kind: clientmode.EventDown})
			fresh = true
			if p.has == "gives up at a failure" {
				return err
			}
			p.backoff(ctx)
			continue
		}
		if reply["successful"] == true {
			p.failures, fresh = 0, false
		}
		if n := ext(reply); n != nil {
			p.ack = n
		}
		if again, err := p.obey(ctx, reply); !again {
			return err
		}
	}
}

// obey goes by a connect's reply; again says to connect.
func (p *plain) obey(ctx context.Context, reply M) (again bool, err error) {
	reconnect := p.advised(reply)
	if e, _ := reply["error"].(string); reconnect == "" && strings.HasPrefix(e, "402") {
		reconnect = "handshake"
	}
	switch {
	case p.mine() == "":
		return false, errOver // it has left
	case reconnect == "none" && p.has != "ignores none":
		return false, errOver
	case reconnect == "handshake" && p.has == "gives up at 402":
		return false, errOver
	case reconnect == "handshake" && p.has != "ignores handshake":
		rest(ctx, p.wait)
		return false, errors.New("another session is needed")
	case reply["successful"] != true:
		p.backoff(ctx)
		return true, nil
	}
	rest(ctx, p.wait)
	return true, nil
}

func (p *plain) mine() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.id
}

// advised learns the advice of a reply and returns what it says of reconnect.
func (p *plain) advised(m M) string {
	a, _ := m["advice"].(map[string]any)
	interval, ok := a["interval"].(float64)
	switch {
	case p.has == "ignores the interval":
	case ok:
		p.wait = time.Duration(interval) * time.Millisecond
	case p.has == "forgets the interval":
		p.wait = 0
	}
	if hold, ok := a["timeout"].(float64); ok {
		p.hold = time.Duration(hold) * time.Millisecond
	}
	reconnect, _ := a["reconnect"].(string)
	return reconnect
}

// send sends a message, takes all that comes with the answer, and returns its
// reply.
func (p *plain) send(ctx context.Context, work *sync.WaitGroup, within time.Duration, m M) (M, error) {
	p.mu.Lock()
	p.n++
	id := strconv.Itoa(p.n)
	if p.has == "one id for all" {
		id = "1"
	}
	p.mu.Unlock()
	m["id"] = id
	body, err := json.Marshal([]M{m})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.job.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := p.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d: %w", resp.StatusCode, err)
	}
	var all []M
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, err
	}
	return p.take(ctx, work, id, m, all)
}

// take takes the messages of a body and finds the reply among them.
func (p *plain) take(ctx context.Context, work *sync.WaitGroup, id string, asked M, all []M) (reply M, err error) {
	if p.has == "takes messages in reverse" {
		slices.Reverse(all)
	}
	for _, m := range all {
		if _, answers := m["successful"]; answers {
			if m["id"] == id && m["channel"] == asked["channel"] {
				reply = m
				if p.has == "reads no further than the reply" {
					break
				}
			}
			continue
		}
		if m["channel"] == clientmode.Control {
			command, _ := m["data"].(map[string]any)
			life := context.WithoutCancel(ctx)
			work.Go(func() { p.do(life, work, command) })
			continue
		}
		channel, _ := m["channel"].(string)
		if !slices.Contains(p.subs, channel) {
			continue
		}
		data, err := json.Marshal(m["data"])
		for range p.heard {
			p.tell(clientmode.Event{Kind: clientmode.EventMessage, Channel: channel, Data: data, OK: err == nil})
		}
	}
	if reply == nil {
		return nil, errors.New("no reply")
	}
	return reply, nil
}

// do carries out a command.
func (p *plain) do(ctx context.Context, work *sync.WaitGroup, command map[string]any) {
	channel, _ := command["channel"].(string)
	switch command["do"] {
	case "publish":
		m := p.ours(M{"channel": channel, "data": command["data"]})
		if p.has == "publishes without its clientId" {
			delete(m, "clientId")
		}
		reply, err := p.send(ctx, work, p.job.NetworkDelay, m)
		ok := err == nil && reply["successful"] == true || p.has == "calls every publish a success"
		data, _ := json.Marshal(command["data"])
		p.tell(clientmode.Event{Kind: clientmode.EventPublished, Channel: channel, Data: data, OK: ok})
	case "subscribe":
		p.mu.Lock()
		p.subs = append(p.subs, channel)
		p.mu.Unlock()
		p.subscribe(ctx, work, clientmode.Subscribe, channel)
	case "unsubscribe":
		p.mu.Lock()
		if p.has != "renews what was given up" {
			p.subs = slices.DeleteFunc(slices.Clone(p.subs), func(s string) bool { return s == channel })
		}
		p.mu.Unlock()
		p.subscribe(ctx, work, clientmode.Unsubscribe, channel)
	case "disconnect":
		if p.has != "leaves without a word" {
			m := p.ours(M{"channel": clientmode.Disconnect})
			p.mu.Lock()
			p.id = ""
			p.mu.Unlock()
			_, _ = p.send(ctx, work, p.job.NetworkDelay, m)
		}
	}
}
