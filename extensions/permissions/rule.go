package permissions

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/halleypush/halley/bayeux"
)

// OperationHandshake is the fourth operation that a rule can be about.
const OperationHandshake bayeux.Operation = "handshake"

// Bounds of rules. A rule beyond them is refused by Compile.
const (
	MaxRules    = 10_000
	MaxPatterns = 100_000 // channels of all rules
	MaxSegments = 32      // of a channel
	MaxText     = 1_000   // bytes of each text
)

// Rule says who may, or may not, do what where.
type Rule struct {
	// Name is for logs and explanations; may be empty.
	Name string
	// Source is where the rule stands, such as halley.yaml:12; may be empty.
	Source string
	// Deny refuses what matches; else the rule allows it.
	Deny bool
	// Operations are what the rule is about: at least one of
	// bayeux.OperationSubscribe, OperationPublish, OperationCreate, and
	// OperationHandshake, which stands alone.
	//
	// A channel that does not exist is created by whoever may subscribe or
	// publish to it, unless a rule denies OperationCreate.
	Operations []bayeux.Operation
	// Who is whom it is about, any of them: user:NAME, group:NAME,
	// claim:NAME=VALUE, anonymous, authenticated, everyone. WhoAll are things
	// that must all be so. At least one of the two is given.
	//
	// A claim that is a list has each of its values. A name with dots is also
	// the path to a claim in a claim: realm.role.
	Who, WhoAll []string
	// Channels are names and wildcards, at least one, none for
	// OperationHandshake. A segment {NAME} stands for a claim of the session,
	// {user} for its user. A claim that is not exactly one plain segment, a text
	// or a whole number, makes the channel match nothing.
	Channels []string
	// Reason is told to clients that are refused, instead of
	// denied_by_security_policy; only with Deny.
	Reason string
}

// Options are what holds for all rules.
type Options struct {
	// IgnoreGrants makes the rules the only word: what the credentials
	// themselves grant (Subscribe, Publish of bayeux.Subject) does not count.
	IgnoreGrants bool
}

// RuleError says what is wrong with a rule.
type RuleError struct {
	// Rule is its index, from 0.
	Rule int
	// Source and Name are those of the rule.
	Source, Name string
	// Reason names the field, what is wrong, and the mend.
	Reason string
	// Word is a word that is none of Known, for a suggestion. Empty if it is
	// not that.
	Word  string
	Known []string
}

// Error returns the place, the rule and the reason.
func (e *RuleError) Error() string {
	text := e.Title() + ": " + e.Reason
	if e.Source != "" {
		text = e.Source + ": " + text
	}
	return text
}

// Title returns "rule 3 (readers)".
func (e *RuleError) Title() string { return title(e.Rule, e.Name) }

func title(index int, name string) string {
	text := fmt.Sprintf("rule %d", index+1)
	if name != "" {
		text += " (" + name + ")"
	}
	return text
}

// Operations are those that a rule can be about.
func Operations() []bayeux.Operation {
	return []bayeux.Operation{bayeux.OperationSubscribe, bayeux.OperationPublish, bayeux.OperationCreate, OperationHandshake}
}

// operation is an index of Operations.
type operation uint8

const (
	subscribe operation = iota
	publish
	create
	handshake
	operations
)

func operationOf(op bayeux.Operation) (operation, bool) {
	all := Operations()
	for i := range operations {
		if all[i] == op {
			return i, true
		}
	}
	return 0, false
}

// rule is a compiled rule.
type rule struct {
	Rule

	operations [operations]bool
	who, all   []principal
	wide       map[principal]struct{} // who, where it is long
	patterns   []pattern
	refusals   [operations]*bayeux.Error // where it denies
}

// longWho is from where on a list of principals has a set beside it.
const longWho = 8

// check looks at what is not compiled.
func (r *Rule) check() error {
	switch {
	case len(r.Operations) == 0:
		return errors.New("nothing to allow or deny: want subscribe, publish, create or handshake")
	case len(r.Who) == 0 && len(r.WhoAll) == 0:
		return errors.New("who is missing: want everyone, authenticated, anonymous, user:NAME, group:NAME or claim:NAME=VALUE")
	case len(r.Name) > MaxText || len(r.Reason) > MaxText:
		return fmt.Errorf("name and reason are at most %d bytes long", MaxText)
	case strings.ContainsFunc(r.Name, unicode.IsControl):
		return errors.New("name has a control character")
	case r.Reason != "" && !r.Deny:
		return errors.New("reason is for rules that deny")
	case strings.ContainsFunc(r.Reason, func(c rune) bool { return c == ':' || unicode.IsControl(c) }):
		return errors.New("reason has a colon or a control character")
	}
	if !slices.Contains(r.Operations, OperationHandshake) {
		if len(r.Channels) == 0 {
			return errors.New("channels are missing: want channels and wildcards such as /news/**")
		}
		return nil
	}
	if len(r.Operations) > 1 || len(r.Channels) > 0 {
		return errors.New("handshake stands alone, without other operations and channels")
	}
	return nil
}

// refuse makes what clients are told.
func (r *rule) refuse() {
	for op := range operations {
		r.refusals[op] = refusal(op, r.Reason)
	}
}

// refusal is the error of an operation. That of create has no text: the server
// names what was asked for.
func refusal(op operation, reason string) *bayeux.Error {
	if reason == "" && op == handshake {
		return bayeux.ErrHandshakeDenied
	}
	if reason == "" {
		reason = bayeux.ReasonSecurityPolicy
	}
	e := bayeux.Deny(reason)
	switch op {
	case subscribe:
		e.Text = bayeux.DeniedSubscribe
	case publish:
		e.Text = bayeux.DeniedPublish
	default:
	}
	return e
}
