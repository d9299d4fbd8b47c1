package channels

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrParameter says that a template has two parameters of one name.
var ErrParameter = errors.New("channel template has two parameters of one name")

// Wild is the name of the parameter that a wildcard at the end of a template
// is: what it stands for, without a leading slash.
const Wild = "*"

// Template is a Name compiled for server code that listens: in /room/{id} the
// segment {id} is a parameter, which stands for any one segment that is no
// wildcard. On the wire such a name is a literal one ([R-SB-11]); a Pattern is
// for that. The zero Template matches nothing.
type Template struct {
	pattern Pattern
	params  int
}

// ParseTemplate checks and normalises a template as Parse does a name. It
// returns the errors of Parse, or ErrParameter.
func ParseTemplate(s string) (Template, error) {
	n, err := Parse(s)
	if err != nil {
		return Template{}, err
	}
	t := Template{pattern: Compile(n)}
	var seen []string
	for segment := range strings.SplitSeq(string(n[1:]), "/") {
		if !template(segment) {
			continue
		}
		if slices.Contains(seen, segment) {
			return Template{}, fmt.Errorf("%s: %w", segment, ErrParameter)
		}
		seen = append(seen, segment)
		t.params++
	}
	return t, nil
}

// Name returns the name that the template was made of.
func (t Template) Name() Name { return t.pattern.name }

// Bound tells whether the template has a parameter, a wildcard included.
func (t Template) Bound() bool { return t.params > 0 || t.pattern.prefix != "" }

// Params returns the number of parameters, a wildcard not counted.
func (t Template) Params() int { return t.params }

// Matches tells whether the template matches a name, as Pattern.Matches does
// where there are no parameters.
func (t Template) Matches(n Name) bool {
	if t.params == 0 {
		return t.pattern.Matches(n)
	}
	own, rest := string(t.pattern.name), string(n)
	if n == "" || strings.Count(own, "/") != strings.Count(rest, "/") {
		return false
	}
	own, rest = own[1:], rest[1:]
	for more := true; more; {
		var mine, theirs string
		mine, own, more = strings.Cut(own, "/")
		theirs, rest, _ = strings.Cut(rest, "/")
		if mine != theirs && (!template(mine) || theirs == shallow || theirs == deep) {
			return false
		}
	}
	return true
}

// Param returns what a parameter stands for in a name that the template
// matches: of {id} by the name "id", of a wildcard by the name Wild. ok is
// false where the template has no such parameter, or does not match.
func (t Template) Param(n Name, param string) (value string, ok bool) {
	if !t.Matches(n) {
		return "", false
	}
	if param == Wild {
		if t.pattern.prefix == "" {
			return "", false
		}
		return string(n[len(t.pattern.prefix):]), true
	}
	own, rest := string(t.pattern.name[1:]), string(n[1:])
	for more := true; more; {
		var mine, theirs string
		mine, own, more = strings.Cut(own, "/")
		theirs, rest, _ = strings.Cut(rest, "/")
		if template(mine) && mine[1:len(mine)-1] == param {
			return theirs, true
		}
	}
	return "", false
}
