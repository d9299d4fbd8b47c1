package permissions

import (
	"strings"

	"github.com/halleypush/halley/channels"
)

// node is one segment of the tree of channels that the rules of an operation
// name. A walk along a channel meets each list that can match it, and each list
// knows its first rule; so the number of rules has little say in the cost.
type node struct {
	next   map[string]*node
	params []edge

	// What ends here, wildcards below included: of rules that allow, and of
	// those that deny.
	exact, shallow, deep [2]list
	// Rules that deny something which /here/* hears, or /here/**.
	children, below list
}

// edge leads on where a parameter's value is the segment.
type edge struct {
	param param
	to    *node
}

// Indices of a pair of lists.
const (
	allows = iota
	denies
)

// ref is a rule's pattern in a list.
type ref struct {
	rule  int32
	needs []param // parameters that must have a value
}

// list has refs in the order of their rules.
type list struct {
	refs []ref
	by   map[principal][]ref // the same by whom they are about; of long lists only
}

// longList is from where on a list is split.
const longList = 8

func (l *list) add(r ref) { l.refs = append(l.refs, r) }

// finish splits long lists.
func (l *list) finish(rules []rule) {
	if len(l.refs) <= longList {
		return
	}
	l.by = map[principal][]ref{}
	for _, ref := range l.refs {
		for _, p := range rules[ref.rule].keys() {
			l.by[p] = append(l.by[p], ref)
		}
	}
}

// keys are principals of which a session must have one for the rule to match:
// one with a name of those that must all be so, which few have, or else any.
func (r *rule) keys() []principal {
	for i, p := range r.all {
		if p >= named || len(r.who) == 0 && i == len(r.all)-1 {
			return r.all[i : i+1]
		}
	}
	return r.who
}

// insert adds a pattern of a rule.
func (n *node) insert(p *pattern, index int32, deny bool) {
	r := ref{index, p.needs}
	side := allows
	if deny {
		side = denies
		if p.wild != "" || len(p.segments) > 0 {
			n.below.add(r)
		}
	}
	at, params := n, 0
	for i, s := range p.segments {
		parent := at
		if s.param {
			at = at.edge(p.needs[params])
			params++
		} else {
			at = at.child(s.text)
		}
		last := i == len(p.segments)-1
		switch {
		case !deny:
		case !last || p.wild != "":
			at.below.add(r)
		default:
			parent.children.add(r)
		}
	}
	switch p.wild {
	case deep:
		at.deep[side].add(r)
	case shallow:
		at.shallow[side].add(r)
	default:
		at.exact[side].add(r)
	}
	if deny && p.wild != "" {
		at.children.add(r)
	}
}

func (n *node) child(text string) *node {
	next := n.next[text]
	if next == nil {
		if n.next == nil {
			n.next = map[string]*node{}
		}
		next = new(node)
		n.next[text] = next
	}
	return next
}

func (n *node) edge(p param) *node {
	for _, e := range n.params {
		if e.param == p {
			return e.to
		}
	}
	e := edge{p, new(node)}
	n.params = append(n.params, e)
	return e.to
}

func (n *node) finish(rules []rule) {
	for side := range 2 {
		n.exact[side].finish(rules)
		n.shallow[side].finish(rules)
		n.deep[side].finish(rules)
	}
	n.children.finish(rules)
	n.below.finish(rules)
	for _, next := range n.next {
		next.finish(rules)
	}
	for _, e := range n.params {
		e.to.finish(rules)
	}
}

// query looks for the first rule that matches.
type query struct {
	rules  []rule
	has    []principal
	values []string
	first  int32 // the best so far; noRule for none
}

// find walks along the channel or wildcard.
func (q *query) find(n *node, name channels.Name) { q.walk(n, string(name[1:])) }

func (q *query) walk(n *node, path string) {
	segment, rest, more := strings.Cut(path, "/")
	if !more && (segment == shallow || segment == deep) {
		q.wild(n, segment)
		return
	}
	q.both(&n.deep)
	if !more {
		q.both(&n.shallow)
	}
	if next := n.next[segment]; next != nil {
		q.descend(next, rest, more)
	}
	for _, e := range n.params {
		if v := q.values[e.param]; v == segment && v != "" {
			q.descend(e.to, rest, more)
		}
	}
}

func (q *query) descend(n *node, rest string, more bool) {
	if more {
		q.walk(n, rest)
		return
	}
	q.both(&n.exact)
}

// wild is the end of a walk along a wildcard: an allowing rule must cover it, a
// denying one matches what overlaps it.
func (q *query) wild(n *node, segment string) {
	q.take(&n.deep[allows])
	if segment == deep {
		q.take(&n.below)
		return
	}
	q.take(&n.shallow[allows])
	q.take(&n.children)
}

func (q *query) both(pair *[2]list) {
	q.take(&pair[allows])
	q.take(&pair[denies])
}

// take looks for a better rule in a list.
func (q *query) take(l *list) {
	if l.by == nil {
		q.scan(l.refs)
		return
	}
	for _, p := range q.has {
		q.scan(l.by[p])
	}
}

func (q *query) scan(refs []ref) {
	for i := range refs {
		r := &refs[i]
		if r.rule >= q.first {
			return
		}
		if q.filled(r.needs) && q.rules[r.rule].matches(q.has) {
			q.first = r.rule
			return
		}
	}
}

func (q *query) filled(needs []param) bool {
	for _, p := range needs {
		if q.values[p] == "" {
			return false
		}
	}
	return true
}
