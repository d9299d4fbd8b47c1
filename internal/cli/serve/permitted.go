package serve

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/halleypush/halley/extensions/permissions"
)

// permitted are the permissions of a server, and how to read them again.
type permitted struct {
	rules  *permissions.Rules
	policy *permissions.Policy // once the server is made
	reread func() (*permissions.Rules, error)
}

// Refusals in the log: this many in that time, all of them at level debug.
const (
	refusalBurst  = 10
	refusalPeriod = 10 * time.Second
)

// Rules returns the permissions that the command line, the environment or the
// file give, compiled; nil where there are none. Nothing else of the settings is
// looked at. The error is a *UsageError.
func (c *Command) Rules(lookup func(string) (string, bool)) (rules *permissions.Rules, err error) {
	file, err := c.readFile(lookup)
	if err != nil {
		return nil, err
	}
	rules, _, err = c.rules(lookup, file)
	return rules, err
}

// rules also returns the line of the settings.
func (c *Command) rules(lookup func(string) (string, bool), file fileSettings) (rules *permissions.Rules, line shown, err error) {
	f := permissionsFlag()
	values, source := c.resolve(f, lookup, file)
	list, path := file.permissions, last(values)
	switch {
	case source == sourceDefault && list == nil:
		return nil, shown{}, nil
	case source == sourceDefault:
		source = list.source
	default:
		if list, err = readRules(path, source); err != nil {
			return nil, shown{}, err
		}
	}
	rules, err = list.compile()
	if err != nil {
		return nil, shown{}, err
	}
	text := fmt.Sprintf("%d rules", rules.Len())
	if path != "" {
		text = path + ": " + text
	}
	return rules, shown{f.name, text, f.def, source}, nil
}

// readRules reads a file of rules. An empty name is an error: it must not mean
// that everything is allowed.
func readRules(path, source string) (*ruleList, error) {
	if path == "" {
		return nil, usagef(source, "permissions: want the name of a file")
	}
	text, err := readAll(path)
	if err != nil {
		return nil, usagef(source, "permissions %q: %v", path, err)
	}
	return parseRules(path, text)
}

func permissionsFlag() (found setting) {
	for _, f := range flagTable() {
		if f.name == "permissions" {
			found = f
		}
	}
	return found
}

func (s *Settings) loadPermissions(c *Command, lookup func(string) (string, bool), file fileSettings) error {
	rules, line, err := c.rules(lookup, file)
	if err != nil || rules == nil {
		return err
	}
	for i := range s.shown {
		if s.shown[i].Name == line.Name {
			s.shown[i] = line
		}
	}
	for i := range rules.Len() {
		r := rules.Rule(i)
		name := fmt.Sprintf("permissions.%d", i+1)
		s.shown = append(s.shown, shown{name, inWords(r), "", r.Source})
	}
	s.permitted = &permitted{rules: rules, reread: func() (*permissions.Rules, error) {
		again, err := c.Rules(lookup)
		if err == nil && again == nil {
			err = usagef(line.Source, "the permissions are gone; to serve without any, start anew")
		}
		return again, err
	}}
	return nil
}

// inWords is a rule as --print-config shows it.
func inWords(r permissions.Rule) string {
	var b strings.Builder
	verb := "allow "
	if r.Deny {
		verb = "deny "
	}
	b.WriteString(verb)
	for i, op := range r.Operations {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(op))
	}
	if len(r.Channels) > 0 {
		b.WriteString(" on " + strings.Join(r.Channels, ", "))
	}
	b.WriteString(" to " + strings.Join(r.Who, " or "))
	if len(r.Who) > 0 && len(r.WhoAll) > 0 {
		b.WriteString(", and ")
	}
	b.WriteString(strings.Join(r.WhoAll, " and "))
	if r.Name != "" {
		b.WriteString(" (" + r.Name + ")")
	}
	return b.String()
}

// open makes the policy.
func (p *permitted) open(log zerolog.Logger) *permissions.Policy {
	p.policy = permissions.New(permissions.Config{Rules: p.rules, Refused: logRefusals(log)})
	return p.policy
}

func logRefusals(log zerolog.Logger) func(context.Context, permissions.Refusal) {
	some := log.Sample(&zerolog.BurstSampler{Burst: refusalBurst, Period: refusalPeriod})
	return func(_ context.Context, r permissions.Refusal) {
		e := log.Debug()
		if !e.Enabled() {
			e = some.Info()
		}
		e.Str("session", r.Session.ID()).Str("user", r.Session.User()).Str("operation", string(r.Operation)).Str("channel", string(r.Channel))
		if r.Rule == "" {
			e.Str("rule", "none allows it")
		} else {
			e.Str("rule", r.Rule).Str("source", r.Source)
		}
		e.Msg("refused by the permissions")
	}
}

// warnPermissions prints what is odd about the rules.
func (s *Settings) warnPermissions(w io.Writer) {
	if s.permitted == nil || w == nil {
		return
	}
	for _, odd := range s.permitted.rules.Warnings() {
		_, _ = fmt.Fprintf(w, "%s: warning: %s\n", odd.Source, odd.Text)
	}
}

func logRules(log zerolog.Logger, rules *permissions.Rules) {
	for _, odd := range rules.Warnings() {
		log.Warn().Str("source", odd.Source).Msg(odd.Text)
	}
}

// keepPermissions tells what is odd about them, and has SIGHUP read them anew.
func (d *daemon) keepPermissions(ctx context.Context) {
	p := d.settings.permitted
	if p == nil {
		return
	}
	logRules(d.log, p.rules)
	d.reload.add("permissions", func() error { return d.renew(ctx, p) })
}

// renew reads the permissions again and ends subscriptions that they no longer
// allow. Those that are wrong change nothing.
func (d *daemon) renew(ctx context.Context, p *permitted) error {
	rules, err := p.reread()
	if err != nil {
		return err
	}
	logRules(d.log, rules)
	p.policy.Replace(rules)
	ended := 0
	if r, ok := d.engine.(interface{ Review(ctx context.Context) int }); ok {
		ended = r.Review(ctx)
	}
	d.log.Info().Int("rules", rules.Len()).Int("subscriptions_ended", ended).Msg("other permissions are in force")
	return nil
}
