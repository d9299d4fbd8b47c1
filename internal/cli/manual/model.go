package manual

import (
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// Describer is a command that knows more of its flags than their definitions
// say: the values that a flag may have (one that ends with = goes on), and the
// variable of the environment that stands for it. Both may be empty.
type Describer interface {
	Describe(flag string) (values []string, variable string)
}

// program is the command line as the generators want it.
type program struct {
	name     string
	flags    []flag
	commands []command
}

// command is one command.
type command struct {
	name, help, detail string
	flags              []flag
	args               []argument
}

// flag is one flag, with its name as it is typed.
type flag struct {
	name, help, variable string
	short                string // with its dash, empty for none
	// placeholder is the name of the value, empty for a flag without one.
	placeholder string
	// optional tells that the value may be left out, and is given after = only.
	optional bool
	// fallback is the value that is used where the flag is not given.
	fallback string
	values   []string
	file     bool
}

// text is the help, with the default where it does not say it.
func (f flag) text() string {
	if f.fallback == "" || strings.Contains(f.help, "Default") {
		return f.help
	}
	return f.help + " Default " + f.fallback + "."
}

// argument is a positional argument.
type argument struct {
	name, help       string
	optional, repeat bool
	values           []string
}

// String returns the argument as a synopsis has it.
func (a argument) String() string {
	text := "<" + a.name + ">"
	if a.repeat {
		text += " ..."
	}
	if a.optional {
		text = "[" + text + "]"
	}
	return text
}

// takesValue tells whether the next word is the flag's value.
func (f flag) takesValue() bool { return f.placeholder != "" && !f.optional }

// names are the spellings of the flag.
func (f flag) names() []string {
	if f.short == "" {
		return []string{f.name}
	}
	return []string{f.short, f.name}
}

// read makes the model of what is not hidden.
func read(app *kong.Application) program {
	p := program{name: app.Name, flags: flags(app.Node)}
	for _, child := range app.Children {
		if child.Hidden {
			continue
		}
		c := command{name: child.Name, help: child.Help, detail: child.Detail, flags: flags(child)}
		c.flags = append(c.flags, p.flags...)
		for _, a := range child.Positional {
			c.args = append(c.args, argument{a.Name, a.Help, !a.Required, a.IsCumulative(), choices(a)})
		}
		p.commands = append(p.commands, c)
	}
	return p
}

func flags(node *kong.Node) []flag {
	var all []flag
	for _, f := range node.Flags {
		if f.Hidden {
			continue
		}
		one := flag{name: "--" + f.Name, help: f.Help}
		if f.Short != 0 {
			one.short = "-" + string(f.Short)
		}
		if !f.IsBool() || f.PlaceHolder != "" {
			one.placeholder = placeholder(f)
			one.optional = f.IsBool()
			one.file = one.placeholder == "FILE"
			one.values = choices(f.Value)
			one.fallback = f.Default
		}
		if d, ok := describer(node); ok {
			values, variable := d.Describe(f.Name)
			one.variable = variable
			if len(values) > 0 {
				one.values = values
			}
		}
		all = append(all, one)
	}
	return all
}

func placeholder(f *kong.Flag) string {
	if f.PlaceHolder != "" {
		return f.PlaceHolder
	}
	return strings.ToUpper(f.Name)
}

func describer(node *kong.Node) (Describer, bool) {
	if !node.Target.IsValid() || !node.Target.CanAddr() {
		return nil, false
	}
	d, ok := reflect.TypeAssert[Describer](node.Target.Addr())
	return d, ok
}

// choices are the values of an enumeration.
func choices(v *kong.Value) []string {
	if v.Enum == "" {
		return nil
	}
	all := v.EnumSlice()
	return slices.DeleteFunc(all, func(s string) bool { return s == "" })
}
