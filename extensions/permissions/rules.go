package permissions

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/channels"
)

// Rules are compiled rules. They are immutable and safe for concurrent use.
type Rules struct {
	options    Options
	rules      []rule
	principals *principals
	slots      []slot
	index      [operations]node
	handshakes []int32 // rules about handshakes
	admitting  bool    // one of them allows
	nobody     *identity
	refusals   [operations]*bayeux.Error // where no rule decided
}

// What decided, where it was no rule: values above those of all rules.
const (
	granted int32 = math.MaxInt32 - 3 + iota // the credentials allow
	welcome                                  // nobody is kept from a handshake
	meta                                     // nobody may use meta channels
	noRule                                   // nothing allows; the largest
)

// ruled tells whether a rule decided.
func ruled(decision int32) bool { return decision < granted }

// Compile checks and compiles rules; without any, nobody may do anything but
// what the credentials grant. The errors are *RuleError, joined where there are
// several.
func Compile(rules []Rule, o Options) (*Rules, error) {
	c := &Rules{options: o, principals: newPrincipals()}
	if len(rules) > MaxRules {
		return nil, &RuleError{Rule: MaxRules, Source: rules[MaxRules].Source, Name: rules[MaxRules].Name, Reason: fmt.Sprintf("more than %d rules", MaxRules)}
	}
	var bad []error
	patterns := 0
	slots := map[slot]param{}
	for i := range rules {
		r, err := c.compile(rules[i], slots)
		if patterns += len(r.patterns); err == nil && patterns > MaxPatterns {
			err = &RuleError{Reason: fmt.Sprintf("more than %d channels in all rules", MaxPatterns)}
		}
		if err != nil {
			err.Rule, err.Source, err.Name = i, rules[i].Source, rules[i].Name
			bad = append(bad, err)
			if patterns > MaxPatterns {
				break
			}
		}
		c.rules = append(c.rules, r)
	}
	if len(bad) > 0 {
		return nil, errors.Join(bad...)
	}
	c.build()
	return c, nil
}

func (c *Rules) compile(from Rule, slots map[slot]param) (rule, *RuleError) {
	r := rule{Rule: from}
	r.Operations, r.Who, r.WhoAll, r.Channels = slices.Clone(from.Operations), slices.Clone(from.Who), slices.Clone(from.WhoAll), slices.Clone(from.Channels)
	for _, op := range r.Operations {
		at, ok := operationOf(op)
		if !ok {
			return r, &RuleError{Reason: fmt.Sprintf("operation %q: want subscribe, publish, create or handshake", op), Word: string(op), Known: operationNames()}
		}
		r.operations[at] = true
	}
	if err := r.check(); err != nil {
		return r, &RuleError{Reason: err.Error()}
	}
	var err *RuleError
	if r.who, err = c.parseWho(r.Who); err != nil {
		return r, err
	}
	if r.all, err = c.parseWho(r.WhoAll); err != nil {
		return r, err
	}
	if len(r.who) > longWho {
		r.wide = make(map[principal]struct{}, len(r.who))
		for _, p := range r.who {
			r.wide[p] = struct{}{}
		}
	}
	for _, text := range r.Channels {
		p, err := parsePattern(text)
		if err != nil {
			return r, &RuleError{Reason: "channel " + err.Error()}
		}
		p.needs = c.number(&p, slots)
		r.patterns = append(r.patterns, p)
	}
	r.refuse()
	return r, nil
}

func operationNames() []string {
	names := make([]string, 0, operations)
	for _, op := range Operations() {
		names = append(names, string(op))
	}
	return names
}

func (c *Rules) parseWho(texts []string) ([]principal, *RuleError) {
	var all []principal
	for _, text := range texts {
		p, err := c.principals.parse(text)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return all, nil
}

// number gives each parameter of a pattern its number.
func (c *Rules) number(p *pattern, slots map[slot]param) []param {
	var needs []param
	for i, s := range p.segments {
		if !s.param {
			continue
		}
		at := slot{s.text, i == 0}
		n, ok := slots[at]
		if !ok {
			n = param(len(c.slots))
			slots[at] = n
			c.slots = append(c.slots, at)
		}
		needs = append(needs, n)
	}
	return needs
}

// build makes the index.
func (c *Rules) build() {
	for i := range c.rules {
		r := &c.rules[i]
		if r.operations[handshake] {
			c.handshakes = append(c.handshakes, int32(i))
			c.admitting = c.admitting || !r.Deny
		}
		for op := range handshake {
			if !r.operations[op] {
				continue
			}
			for j := range r.patterns {
				c.index[op].insert(&r.patterns[j], int32(i), r.Deny)
			}
		}
	}
	for op := range handshake {
		c.index[op].finish(c.rules)
	}
	for op := range operations {
		c.refusals[op] = refusal(op, "")
	}
	c.nobody = c.identify(nil, manySlots)
}

// Len returns the number of rules.
func (c *Rules) Len() int { return len(c.rules) }

// Rule returns a copy of a rule, by its index from 0.
func (c *Rules) Rule(i int) Rule {
	r := c.rules[i].Rule
	r.Operations, r.Who, r.WhoAll, r.Channels = slices.Clone(r.Operations), slices.Clone(r.Who), slices.Clone(r.WhoAll), slices.Clone(r.Channels)
	return r
}

// decide finds what decides, without a cache.
func (c *Rules) decide(id *identity, op operation, name channels.Name) int32 {
	if op == handshake {
		return c.admit(id)
	}
	if name.IsMeta() {
		return meta
	}
	q := query{rules: c.rules, has: id.has, values: id.values, first: noRule}
	q.find(&c.index[op], name)
	if q.first == noRule && id.grants(op, name) {
		return granted
	}
	return q.first
}

// admit decides on a handshake. Rules that only deny leave it to all others;
// where a rule allows it, to those that one allows.
func (c *Rules) admit(id *identity) int32 {
	for _, i := range c.handshakes {
		if c.rules[i].matches(id.has) {
			return i
		}
	}
	if c.admitting {
		return noRule
	}
	return welcome
}

// refuse returns the error of a decision; nil allows.
func (c *Rules) refuse(decision int32, op operation) *bayeux.Error {
	switch decision {
	case granted, welcome:
		return nil
	case noRule, meta:
		return c.refusals[op]
	}
	if r := &c.rules[decision]; r.Deny {
		return r.refusals[op]
	}
	return nil
}
