package permissions

import (
	"fmt"
	"slices"
	"strings"
)

// Warning is about a rule that never decides, or protects nothing.
type Warning struct {
	// Rule is its index, from 0, Source where it stands.
	Rule   int
	Source string
	// Text says what is odd, with the title of the rule.
	Text string
}

// maxComparisons bounds the work of Warnings: rules beyond are not looked at.
const maxComparisons = 20_000_000

// Warnings finds rules that can never match because earlier ones match all
// that they do, and rules that deny what an earlier one already allows. It looks
// at pairs of rules, so what only several rules together cover is not found.
func (c *Rules) Warnings() []Warning {
	var all []Warning
	work := 0
	for j := range c.rules {
		by := -1
		late := false
		if w := c.shadowed(j, &work); len(w) > 0 {
			by = slices.Max(w)
			late = c.rules[j].Deny && slices.ContainsFunc(w, func(i int) bool { return !c.rules[i].Deny })
		}
		if work > maxComparisons {
			return all
		}
		if by < 0 {
			continue
		}
		r, first := &c.rules[j], title(by, c.rules[by].Name)
		if s := c.rules[by].Source; s != "" {
			first += " at " + s
		}
		text := fmt.Sprintf("%s never decides: %s comes first and matches all that it does", title(j, r.Name), first)
		if late {
			text = fmt.Sprintf("%s denies too late: %s comes first and allows it", title(j, r.Name), first)
		}
		all = append(all, Warning{j, r.Source, text})
	}
	return all
}

// shadowed returns earlier rules that together match all that rule j does; none
// where something is left for it.
func (c *Rules) shadowed(j int, work *int) []int {
	r := &c.rules[j]
	var by []int
	for op := range operations {
		if !r.operations[op] {
			continue
		}
		if op == handshake {
			i := c.earlier(j, op, work, func(*pattern) bool { return true })
			if i < 0 {
				return nil
			}
			by = append(by, i)
			continue
		}
		for k := range r.patterns {
			i := c.earlier(j, op, work, func(p *pattern) bool { return p.covers(&r.patterns[k]) })
			if i < 0 {
				return nil
			}
			by = append(by, i)
		}
	}
	return by
}

// earlier finds a rule before j that is about all of the same sessions, with a
// pattern that covers; -1 for none.
func (c *Rules) earlier(j int, op operation, work *int, covers func(*pattern) bool) int {
	for i := range j {
		r := &c.rules[i]
		*work += 1 + len(r.patterns)
		if *work > maxComparisons {
			return -1
		}
		if !r.operations[op] || !r.includes(&c.rules[j]) {
			continue
		}
		if op == handshake {
			return i
		}
		for k := range r.patterns {
			if covers(&r.patterns[k]) {
				return i
			}
		}
	}
	return -1
}

// includes tells whether the rule is about everybody whom q is about. It may
// miss that, but never errs the other way.
func (r *rule) includes(q *rule) bool {
	for _, p := range r.all {
		only := len(q.who) == 1 && q.who[0] == p
		if p != everyone && !only && !slices.Contains(q.all, p) {
			return false
		}
	}
	if len(r.who) == 0 || slices.Contains(r.who, everyone) ||
		slices.Contains(r.who, authenticated) && slices.Contains(r.who, anonymous) {
		return true
	}
	for _, p := range q.all {
		if slices.Contains(r.who, p) {
			return true
		}
	}
	if len(q.who) == 0 {
		return false
	}
	for i, p := range q.who {
		user := len(q.Who) == len(q.who) && strings.HasPrefix(q.Who[i], "user:")
		known := slices.Contains(r.who, p) || user && slices.Contains(r.who, authenticated)
		if !known {
			return false
		}
	}
	return true
}
