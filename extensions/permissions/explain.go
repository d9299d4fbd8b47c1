package permissions

import (
	"fmt"
	"strings"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/channels"
)

// Explanation is why something is allowed or refused.
type Explanation struct {
	Allowed bool
	// Rule is the index of the rule that decided, from 0; -1: none did.
	Rule int
	// Why is a sentence about what decided.
	Why string
	// Steps are the rules about the operation up to the one that decided, each
	// with the reason why it did not or did.
	Steps []Step
}

// Step is what one rule said.
type Step struct {
	// Rule is a title such as "rule 3 (readers)", Source where it stands.
	Rule, Source string
	// Says is "allows", "denies", or why it does not match.
	Says string
}

// Explain tells what the rules say of a subject; nil is anonymous. It compares
// rule by rule, and so is slower than a Policy and comes to the same. For
// bayeux.OperationCreate it tells what rules say of the creation itself, and
// where none does, whether the subject may subscribe or publish. The name
// is ignored for OperationHandshake. The error says that the name is no channel
// or the operation none.
func (c *Rules) Explain(s *bayeux.Subject, op bayeux.Operation, name string) (Explanation, error) {
	at, ok := operationOf(op)
	if !ok {
		return Explanation{}, fmt.Errorf("operation %q: want subscribe, publish, create or handshake", op)
	}
	if at == handshake {
		return c.explain(s, at, ""), nil
	}
	n, err := channels.Parse(name)
	if err != nil {
		return Explanation{}, fmt.Errorf("channel %q: %w", name, err)
	}
	x := c.explain(s, at, n)
	if at != create || x.Rule >= 0 || n.IsMeta() {
		return x, nil
	}
	for _, other := range []operation{subscribe, publish} {
		y := c.explain(s, other, n)
		if x.Allowed = y.Allowed; y.Allowed {
			x.Why = fmt.Sprintf("no rule denies the creation, and who may %s may create: %s", Operations()[other], y.Why)
			return x, nil
		}
	}
	x.Why = "who may neither subscribe nor publish may not create"
	return x, nil
}

func (c *Rules) explain(s *bayeux.Subject, op operation, name channels.Name) Explanation {
	x := Explanation{Rule: -1}
	if name.IsMeta() {
		x.Why = "meta channels are the protocol's, whatever the rules say"
		return x
	}
	id := c.identify(s, 0)
	for i := range c.rules {
		r := &c.rules[i]
		if !r.operations[op] {
			continue
		}
		step := Step{Rule: title(i, r.Name), Source: r.Source}
		if step.Says = r.misses(s, id, op, name); step.Says != "" {
			x.Steps = append(x.Steps, step)
			continue
		}
		x.Rule, x.Allowed, step.Says = i, !r.Deny, "allows"
		if r.Deny {
			step.Says = "denies"
		}
		x.Steps = append(x.Steps, step)
		x.Why = step.Rule + " " + step.Says + " it"
		if r.Source != "" {
			x.Why += " (" + r.Source + ")"
		}
		return x
	}
	switch {
	case op == handshake && !c.admitting:
		x.Allowed, x.Why = true, "no rule keeps anybody from a handshake"
	case op != handshake && id.grants(op, name):
		x.Allowed, x.Why = true, "the credentials themselves grant it"
	default:
		x.Why = "no rule allows it"
	}
	return x
}

// misses tells why a rule does not match; empty where it does.
func (r *rule) misses(s *bayeux.Subject, id *identity, op operation, name channels.Name) string {
	if !r.matches(id.has) {
		return "is for " + r.whom()
	}
	if op == handshake {
		return ""
	}
	asked := channels.Compile(name)
	var why []string
	for i := range r.patterns {
		p := &r.patterns[i]
		own, ok := p.fill(s)
		switch {
		case !ok:
			why = append(why, p.text+" has no value here: "+p.lacking(s)+" is not one plain segment")
		case r.Deny && overlaps(own, asked), !r.Deny && own.Matches(name):
			return ""
		case r.Deny:
			why = append(why, "no overlap with "+shown(p, own))
		case overlaps(own, asked):
			why = append(why, shown(p, own)+" does not cover all of "+string(name))
		default:
			why = append(why, "not covered by "+shown(p, own))
		}
	}
	return strings.Join(why, ", ")
}

// shown is a pattern as written, with what it is for the subject.
func shown(p *pattern, own channels.Pattern) string {
	if len(p.needs) == 0 {
		return p.text
	}
	return p.text + " = " + string(own.Name())
}

// lacking names the parameters without a value.
func (p *pattern) lacking(s *bayeux.Subject) string {
	var names []string
	for i, seg := range p.segments {
		if !seg.param {
			continue
		}
		if _, ok := (slot{seg.text, i == 0}).value(s); !ok {
			names = append(names, "{"+seg.text+"}")
		}
	}
	return strings.Join(names, ", ")
}

// whom is whom the rule is about, in words.
func (r *rule) whom() string {
	text := strings.Join(r.Who, " or ")
	if len(r.WhoAll) > 0 {
		if text != "" {
			text += ", and "
		}
		text += strings.Join(r.WhoAll, " and ")
	}
	return text
}
