package router_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/router"
	"github.com/halleypush/halley/channels"
)

// session is what subscribes in tests.
type session struct{ id int }

// model is the router told plainly: a map of channels and a channels.Tree.
type model struct {
	nodes map[channels.Name]*modelNode
	tree  channels.Tree[*session]
}

type modelNode struct {
	attrs   router.Attrs
	members map[*session]bool
	pins    int
	sweeps  int
}

// use returns the channel, created if missing, as one in use.
func (m *model) use(n channels.Name) (nd *modelNode, created bool) {
	nd = m.nodes[n]
	if nd == nil {
		nd, created = &modelNode{members: make(map[*session]bool)}, true
		m.nodes[n] = nd
	}
	nd.sweeps = 0
	return nd, created
}

func (m *model) sweep() (removed []channels.Name) { // [R-SB-13]
	for n, nd := range m.nodes {
		if nd.attrs.Persistent || nd.pins > 0 || len(nd.members) > 0 {
			nd.sweeps = 0
			continue
		}
		nd.sweeps++
		if nd.sweeps == 3 {
			removed = append(removed, n)
			delete(m.nodes, n)
		}
	}
	return removed
}

// checkCollect compares what a message to n does.
func (m *model) checkCollect(t *testing.T, r *router.Router[session], n channels.Name) {
	t.Helper()
	mark := router.Receiver[session]{S: &session{id: -1}}
	got, how := r.Collect(n, []router.Receiver[session]{mark})
	require.Equal(t, mark, got[0], "what dst had before stays")
	got = got[1:]
	require.Equal(t, len(got) > 0, r.Heard(n))
	if !n.IsBroadcast() {
		require.Empty(t, got)
		require.Zero(t, how)
		return
	}
	if nd := m.nodes[n]; nd != nil {
		nd.sweeps = 0
	}
	matching := append(n.Wilds(), n) // [R-PB-10], outermost first
	var who []*session
	outermost := 0
	for _, receiver := range got {
		who = append(who, receiver.S)
		noEcho, first := true, -1
		for i, ch := range matching {
			if nd := m.nodes[ch]; nd != nil && nd.members[receiver.S] {
				noEcho = noEcho && nd.attrs.NoEcho
				if first < 0 {
					first = i
				}
			}
		}
		require.Equal(t, noEcho, receiver.NoEcho, "[R-PB-11]")
		require.GreaterOrEqual(t, first, outermost, "[R-PB-10]")
		outermost = first
	}
	require.ElementsMatch(t, slices.Collect(m.tree.Match(n)), who, "[R-PB-9] %q", n)
	m.checkLazy(t, matching, how)
	slow := bayeux.SlowUnset // the narrowest that has one
	for _, ch := range matching {
		if nd := m.nodes[ch]; nd != nil && nd.attrs.SlowConsumer != bayeux.SlowUnset {
			slow = nd.attrs.SlowConsumer
		}
	}
	require.Equal(t, slow, how.SlowConsumer)
}

func (m *model) checkLazy(t *testing.T, matching []channels.Name, how router.Delivery) { // [R-DL-6]
	t.Helper()
	const transport = 5 * time.Second
	var waits []time.Duration
	for _, ch := range matching {
		if nd := m.nodes[ch]; nd != nil && nd.attrs.Lazy {
			wait := nd.attrs.LazyTimeout
			if wait == 0 {
				wait = transport
			}
			waits = append(waits, wait)
		}
	}
	require.Equal(t, len(waits) > 0, how.Lazy)
	if len(waits) > 0 {
		require.Equal(t, slices.Min(waits), how.Timeout(transport))
	} else {
		require.Zero(t, how.Timeout(transport))
	}
}

// checkAll compares everything that can be asked for.
func (m *model) checkAll(t *testing.T, r *router.Router[session], names []channels.Name) {
	t.Helper()
	count, subscriptions := r.Stats()
	require.Len(t, m.nodes, count)
	require.Equal(t, count, r.Len())
	require.Equal(t, m.tree.Len(), subscriptions)
	var wildcards int32
	for _, n := range names {
		nd := m.nodes[n]
		attrs, known := r.Attrs(n)
		require.Equal(t, nd != nil, known, "%q", n)
		require.Equal(t, known, r.Exists(n))
		if known {
			require.Equal(t, nd.attrs, attrs)
			require.Len(t, nd.members, r.Subscribers(n))
			if n.IsWild() {
				wildcards++
			}
		} else {
			require.Zero(t, r.Subscribers(n))
		}
	}
	require.Equal(t, wildcards, r.Wildcards())
	seen := make(map[channels.Name]bool)
	r.Range(func(n channels.Name, attrs router.Attrs, subscribers int) bool {
		require.False(t, seen[n])
		seen[n] = true
		require.Contains(t, m.nodes, n)
		require.Equal(t, m.nodes[n].attrs, attrs)
		require.Len(t, m.nodes[n].members, subscribers)
		return true
	})
	require.Len(t, m.nodes, len(seen))
}

// instruction is one step of a program: three bytes.
type instruction struct {
	op   byte
	name channels.Name
	arg  byte
}

func modelNames() []channels.Name {
	return []channels.Name{
		"/a", "/b", "/a/b", "/a/c", "/a/b/c", "/a*", "/*", "/**", "/a/*", "/a/**", "/a/b/*", "/a/b/**", // [R-SB-10]
		"/a/{v}", "/a/{v}/b", // [R-SB-11]
		"/meta", "/service", "/META/x", "/meta/x", "/service/x", "/service/*", "/service/**", // [R-MSG-13]
	}
}

func attrsOf(arg byte) router.Attrs {
	return router.Attrs{
		Persistent:  arg&1 != 0,
		Lazy:        arg&2 != 0,
		NoEcho:      arg&4 != 0,
		LazyTimeout: time.Duration(arg>>3&3) * 4 * time.Second,

		SlowConsumer: bayeux.SlowConsumer(arg >> 5 % byte(bayeux.SlowPolicies)),
	}
}

func (m *model) step(t *testing.T, r *router.Router[session], people []session, in instruction) {
	t.Helper()
	set := func(a *router.Attrs) { *a = attrsOf(in.arg) }
	// A crowd of neighbours at once gets beyond the limits of short lists.
	first := int(in.arg) % len(people)
	crowd := people[first:min(len(people), first+1+int(in.arg>>6)*router.ScanLimit)]
	switch in.op % 9 {
	case 0:
		nd, created := m.use(in.name)
		if created {
			set(&nd.attrs)
		}
		require.Equal(t, created, r.Ensure(in.name, set))
	case 1:
		_, created := m.use(in.name)
		require.Equal(t, created, r.Ensure(in.name, nil))
	case 2, 3:
		nd, _ := m.use(in.name)
		for i := range crowd {
			nd.members[&crowd[i]] = true
			require.Equal(t, m.tree.Add(in.name, &crowd[i]), r.Add(in.name, &crowd[i]))
		}
	case 4:
		for i := range crowd {
			if nd := m.nodes[in.name]; nd != nil {
				delete(nd.members, &crowd[i])
			}
			require.Equal(t, m.tree.Remove(in.name, &crowd[i]), r.Remove(in.name, &crowd[i]))
		}
	case 5:
		nd, _ := m.use(in.name)
		set(&nd.attrs)
		_ = r.Update(in.name, set)
	case 6:
		if in.arg&1 == 0 {
			nd, _ := m.use(in.name)
			nd.pins++
			_ = r.Pin(in.name)
		} else {
			if nd := m.nodes[in.name]; nd != nil {
				nd.pins = max(0, nd.pins-1)
			}
			r.Unpin(in.name)
		}
	case 7:
		require.ElementsMatch(t, m.sweep(), r.Sweep())
	case 8:
		m.checkCollect(t, r, in.name)
	}
}

// FuzzRouter runs programs on a Router and on the model.
func FuzzRouter(f *testing.F) {
	f.Add([]byte{2, 0, 1, 2, 7, 1, 2, 9, 2, 8, 0, 0, 4, 0, 1, 7, 0, 0, 7, 0, 0, 7, 0, 0})
	f.Add([]byte{5, 7, 2, 5, 0, 14, 2, 7, 200, 2, 0, 200, 8, 0, 0, 2, 9, 3, 8, 2, 0, 8, 8, 0})
	f.Add([]byte{6, 3, 0, 7, 0, 0, 7, 0, 0, 7, 0, 0, 6, 3, 1, 7, 0, 0, 7, 0, 0, 1, 3, 0, 7, 0, 0})
	f.Add([]byte{2, 2, 255, 2, 9, 230, 2, 7, 220, 8, 2, 0, 4, 2, 255, 4, 9, 255, 8, 2, 0})
	f.Add([]byte{2, 18, 1, 2, 7, 1, 2, 20, 1, 8, 18, 0, 2, 14, 1, 8, 14, 0, 8, 17, 0})
	names := modelNames()
	f.Fuzz(func(t *testing.T, program []byte) {
		r := router.New[session]()
		m := &model{nodes: make(map[channels.Name]*modelNode)}
		people := make([]session, 4*router.ScanLimit)
		program = program[:min(len(program), 300)]
		for ; len(program) >= 3; program = program[3:] {
			m.step(t, r, people, instruction{program[0], names[int(program[1])%len(names)], program[2]})
		}
		m.checkAll(t, r, names)
		for _, n := range names {
			m.checkCollect(t, r, n)
		}
	})
}
