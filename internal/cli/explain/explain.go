// Package explain is `halley explain-permission`: whether the permissions of a
// configuration allow something, and which rule says so.
package explain

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/extensions/permissions"
	"github.com/halleypush/halley/internal/cli/serve"
)

// ErrRefused says that the permissions refuse. The reason was printed.
var ErrRefused = errors.New("refused")

// maxClaims bounds a file of claims, in bytes.
const maxClaims = 1 << 20

// Command is the command line of `halley explain-permission`.
type Command struct {
	Config      string `placeholder:"FILE" help:"File of halley serve."`
	Permissions string `placeholder:"FILE" help:"File of rules, as that of halley serve --permissions."`

	User        string   `placeholder:"NAME" help:"Who asks."`
	Group       []string `sep:"none" placeholder:"NAME" help:"A group of theirs; repeatable."`
	Claim       []string `sep:"none" placeholder:"NAME=VALUE" help:"A claim of theirs; repeatable, one name twice makes a list. A value may be JSON."`
	TokenClaims string   `placeholder:"FILE" help:"JSON object of claims: those of a token."`
	Anonymous   bool     `help:"Nobody in particular asks."`

	Subscribe string `placeholder:"CHANNEL" help:"May they subscribe to it? A channel or a wildcard."`
	Publish   string `placeholder:"CHANNEL" help:"May they publish to it?"`
	Create    string `placeholder:"CHANNEL" help:"May they create it, where it does not exist?"`
	Handshake bool   `help:"May they come at all?"`

	Verbose bool `short:"v" help:"Tell of each rule why it does not match."`
}

// Help is shown below the flags.
func (Command) Help() string {
	return `Exits with 0 where it is allowed, with 1 where it is refused. Without --config and --permissions the environment names ` +
		`the file, as for halley serve.

Claims count as those of a token do: sub is the user and groups the groups, unless they are given; subscribe, publish and ` +
		`create are what the token itself grants.

  halley explain-permission --config halley.yaml --user anna --group staff --subscribe /news/sport
  halley explain-permission --config halley.yaml --anonymous --publish /chat/1 --verbose`
}

// Env is what the command needs of its surroundings.
type Env struct {
	// Lookup is os.LookupEnv.
	Lookup func(name string) (string, bool)
	Stdout io.Writer
}

// Run answers. ErrRefused says that it is refused, a *serve.UsageError that the
// question or the settings are wrong.
func (c *Command) Run(env Env) error {
	op, channel, err := c.question()
	if err != nil {
		return err
	}
	subject, err := c.subject()
	if err != nil {
		return err
	}
	from := serve.Command{Config: c.Config}
	if c.Permissions != "" {
		from.Permissions = []string{c.Permissions}
	}
	rules, err := from.Rules(env.Lookup)
	switch {
	case err != nil:
		return err
	case rules == nil:
		return wrong("no permissions are given, so the posture decides: name a file with --config or --permissions")
	}
	x, err := rules.Explain(subject, op, channel)
	if err != nil {
		return wrong("%v", err)
	}
	if err := c.print(env.Stdout, x); err != nil {
		return err
	}
	if !x.Allowed {
		return ErrRefused
	}
	return nil
}

func wrong(format string, args ...any) error {
	return &serve.UsageError{Reason: fmt.Sprintf(format, args...)}
}

func (c *Command) print(w io.Writer, x permissions.Explanation) error {
	if c.Verbose {
		table := tabwriter.NewWriter(w, 0, 1, 2, ' ', 0)
		for _, step := range x.Steps {
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", step.Rule, step.Source, step.Says)
		}
		if err := table.Flush(); err != nil {
			return err
		}
	}
	verdict := "refused"
	if x.Allowed {
		verdict = "allowed"
	}
	_, err := fmt.Fprintf(w, "%s: %s\n", verdict, x.Why)
	return err
}

// question is what is asked for.
func (c *Command) question() (op bayeux.Operation, channel string, err error) {
	asked := 0
	for _, q := range []struct {
		op      bayeux.Operation
		channel string
		there   bool
	}{
		{bayeux.OperationSubscribe, c.Subscribe, c.Subscribe != ""},
		{bayeux.OperationPublish, c.Publish, c.Publish != ""},
		{bayeux.OperationCreate, c.Create, c.Create != ""},
		{permissions.OperationHandshake, "", c.Handshake},
	} {
		if q.there {
			op, channel = q.op, q.channel
			asked++
		}
	}
	if asked != 1 {
		return "", "", wrong("want one of --subscribe, --publish, --create and --handshake")
	}
	return op, channel, nil
}

// subject is who asks; nil is anonymous.
func (c *Command) subject() (*bayeux.Subject, error) {
	somebody := c.User != "" || len(c.Group) > 0 || len(c.Claim) > 0 || c.TokenClaims != ""
	switch {
	case c.Anonymous && somebody:
		return nil, wrong("--anonymous has no user, group or claim beside it")
	case c.Anonymous:
		return nil, nil //nolint:nilnil // nobody in particular
	case !somebody:
		return nil, wrong("who asks? want --user, --group, --claim, --token-claims or --anonymous")
	}
	claims, err := c.fileClaims()
	if err != nil {
		return nil, err
	}
	if err := c.addClaims(claims); err != nil {
		return nil, err
	}
	s := &bayeux.Subject{
		User: c.User, Groups: c.Group, Claims: claims,
		Subscribe: texts(claims["subscribe"]), Publish: texts(claims["publish"]), Create: texts(claims["create"]),
	}
	if s.User == "" {
		s.User, _ = claims["sub"].(string)
	}
	if len(s.Groups) == 0 {
		s.Groups = texts(claims["groups"])
	}
	return s, nil
}

// texts are the names of a claim: a text with blanks between them, or a list.
func texts(claim any) []string {
	switch v := claim.(type) {
	case string:
		return strings.Fields(v)
	case []any:
		all := make([]string, 0, len(v))
		for _, one := range v {
			if text, ok := one.(string); ok {
				all = append(all, text)
			}
		}
		return all
	}
	return nil
}

func (c *Command) fileClaims() (map[string]any, error) {
	claims := map[string]any{}
	if c.TokenClaims == "" {
		return claims, nil
	}
	file, err := os.Open(c.TokenClaims)
	if err != nil {
		return nil, wrong("--token-claims: %v", err)
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxClaims+1))
	switch {
	case err != nil:
		return nil, wrong("--token-claims: %v", err)
	case len(text) > maxClaims:
		return nil, wrong("--token-claims: %s: more than %d bytes", c.TokenClaims, maxClaims)
	}
	if err := json.Unmarshal(text, &claims); err != nil || claims == nil {
		return nil, wrong("--token-claims: %s: want a JSON object of claims, not the token itself", c.TokenClaims)
	}
	return claims, nil
}

// addClaims adds those of the command line, which take the place of the file's.
func (c *Command) addClaims(claims map[string]any) error {
	var given []string
	for _, text := range c.Claim {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return wrong("--claim %q: want NAME=VALUE", text)
		}
		var v any = value
		if strings.HasPrefix(value, "[") || strings.HasPrefix(value, "{") {
			if err := json.Unmarshal([]byte(value), &v); err != nil {
				return wrong("--claim %q: the value is not JSON", text)
			}
		}
		if slices.Contains(given, name) {
			list, ok := claims[name].([]any)
			if !ok {
				list = []any{claims[name]}
			}
			v = append(list, v)
		}
		given = append(given, name)
		claims[name] = v
	}
	return nil
}
