package serve

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/goccy/go-yaml/ast"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/extensions/permissions"
)

// ruleList are the rules of a file as they stand there.
type ruleList struct {
	source  string
	rules   []permissions.Rule
	options permissions.Options
}

// parseRules reads a file of rules alone: the list, or the key permissions with
// it.
func parseRules(path string, text []byte) (*ruleList, error) {
	r := fileReader{name: filepath.Base(path)}
	err := r.read(text, func(body ast.Node) error {
		if _, list := body.(*ast.SequenceNode); list {
			return r.permissions(body, r.line(body))
		}
		return r.each(body, "permissions", func(key, source string, value ast.Node) error {
			if key != "permissions" {
				return unknown(source, "key", key, []string{"permissions"})
			}
			return r.permissions(value, source)
		})
	})
	if err == nil && r.out.permissions == nil {
		err = usagef(r.name, "no permissions in it: want a list of rules")
	}
	return r.out.permissions, err
}

// permissions reads a list of rules, or a map with the list and what holds for
// all.
func (r *fileReader) permissions(node ast.Node, source string) error {
	if _, twice := r.out.flags["permissions"]; twice || r.out.permissions != nil {
		return usagef(source, "key %q stands twice", "permissions")
	}
	r.out.permissions = &ruleList{source: source}
	if list, ok := node.(*ast.SequenceNode); ok {
		return r.rules(list)
	}
	switch node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
	default:
		return usagef(source, "permissions: want a list of rules")
	}
	return r.each(node, "permissions", func(key, source string, value ast.Node) error {
		switch kebab(key) {
		case "rules":
			list, ok := value.(*ast.SequenceNode)
			if !ok || r.out.permissions.rules != nil {
				return usagef(source, "permissions: want one list of rules")
			}
			return r.rules(list)
		case "token-grants":
			text, _ := scalar(value)
			on, err := parseBool(text)
			if err != nil {
				return usagef(source, "permissions: %q: %v", key, err)
			}
			r.out.permissions.options.IgnoreGrants = !on
			return nil
		}
		return unknown(source, "permissions: key", key, []string{"rules", "token-grants"})
	})
}

func (r *fileReader) rules(list *ast.SequenceNode) error {
	for i, node := range list.Values {
		rule, err := r.rule(i, node)
		if err != nil {
			return err
		}
		r.out.permissions.rules = append(r.out.permissions.rules, rule)
	}
	return nil
}

func (r *fileReader) rule(i int, node ast.Node) (rule permissions.Rule, err error) {
	what := fmt.Sprintf("rule %d", i+1)
	seen := map[string]bool{}
	err = r.each(node, what, func(key, source string, value ast.Node) error {
		name := kebab(key)
		switch {
		case !slices.Contains(ruleKeys(), name):
			return unknown(source, what+": key", key, ruleKeys())
		case seen[name]:
			return usagef(source, "%s: key %q stands twice", what, key)
		}
		if seen[name] = true; seen["allow"] && seen["deny"] {
			return usagef(source, "%s: it allows or denies, not both", what)
		}
		if rule.Source == "" {
			rule.Source = source
		}
		what := fmt.Sprintf("%s: key %q", what, key)
		texts, err := r.texts(value, source, what)
		if err != nil {
			return err
		}
		if (name == "name" || name == "reason") && len(texts) != 1 {
			return usagef(source, "%s: want one value", what)
		}
		setRule(&rule, name, texts)
		return nil
	})
	return rule, err
}

// ruleKeys are the keys of a rule.
func ruleKeys() []string {
	return []string{"allow", "deny", "who", "who-all", "channels", "name", "reason"}
}

func setRule(rule *permissions.Rule, key string, texts []string) {
	switch key {
	case "allow", "deny":
		rule.Deny = key == "deny"
		for _, text := range texts {
			rule.Operations = append(rule.Operations, bayeux.Operation(text))
		}
	case "who":
		rule.Who = texts
	case "who-all":
		rule.WhoAll = texts
	case "channels":
		rule.Channels = texts
	case "name":
		rule.Name = texts[0]
	case "reason":
		rule.Reason = texts[0]
	}
}

// texts reads a value or a list of values.
func (r *fileReader) texts(node ast.Node, source, what string) ([]string, error) {
	if text, ok := scalar(node); ok {
		return []string{text}, nil
	}
	list, ok := node.(*ast.SequenceNode)
	if ok {
		texts, wrong := scalars(list)
		if wrong == nil {
			return texts, nil
		}
		source = r.line(wrong)
	}
	return nil, usagef(source, "%s: want a value or a list of values; in a list in brackets, quote what has braces", what)
}

// compile turns the errors of rules into those of settings.
func (l *ruleList) compile() (*permissions.Rules, error) {
	rules, err := permissions.Compile(l.rules, l.options)
	if err == nil {
		return rules, nil
	}
	all := []error{err}
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		all = several.Unwrap()
	}
	var first *UsageError
	for _, err := range all {
		wrong, ok := err.(*permissions.RuleError) //nolint:errorlint // each is one, as documented
		if !ok {
			return nil, usagef(l.source, "%v", err)
		}
		text := wrong.Title() + ": " + wrong.Reason
		if wrong.Word != "" {
			text += fmt.Sprintf("; the nearest is %q", server.NearestName(wrong.Word, wrong.Known))
		}
		if first == nil {
			first = &UsageError{Source: wrong.Source, Reason: text}
			continue
		}
		first.Reason += "\n" + wrong.Source + ": " + text
	}
	return nil, first
}
