package manual

import (
	"fmt"
	"strings"
)

// zsh writes a function for the folder of completions; sourced, it registers
// itself.
func zsh(p program) string {
	var w writer
	w.linef("#compdef %s", p.name)
	w.linef("# Completion of %s for zsh, printed by `%s completion zsh`.", p.name, p.name)
	w.linef("_%s() {", p.name)
	w.linef("%s", `	local context state state_descr line
	typeset -A opt_args
	_arguments -C \`)
	for _, f := range p.flags {
		w.linef("		%s \\", zshFlag(f))
	}
	w.linef("		'1:command:->command' '*::argument:->argument'")
	w.linef("	case $state in")
	w.linef("	command)")
	w.linef("		local -a commands=(")
	for _, c := range p.commands {
		w.linef("			%s", quote(c.name+":"+zshText(sentence(c.help))))
	}
	w.linef("		)")
	w.linef("		_describe command commands ;;")
	w.linef("	argument)")
	w.linef("		case $words[1] in")
	for _, c := range p.commands {
		w.linef("		%s)", c.name)
		w.linef("			_arguments \\")
		for _, f := range c.flags {
			w.linef("				%s \\", zshFlag(f))
		}
		for i, a := range c.args {
			w.linef("				%s \\", zshArgument(i+1, a))
		}
		w.linef("				&& return ;;")
	}
	w.linef("		esac ;;")
	w.linef("	esac")
	w.linef("}")
	w.linef("if [[ $funcstack[1] == _%s ]]; then", p.name)
	w.linef("	_%s \"$@\"", p.name)
	w.linef("else")
	w.linef("	compdef _%s %s", p.name, p.name)
	w.linef("fi")
	return w.String()
}

func zshFlag(f flag) string {
	spec := "[" + zshText(sentence(f.help)) + "]"
	switch {
	case f.optional:
		spec = "=-" + spec + "::" + zshText(f.placeholder) + ":" + zshAction(f.values, f.file)
	case f.placeholder != "":
		spec = "=" + spec + ":" + zshText(f.placeholder) + ":" + zshAction(f.values, f.file)
	}
	if f.short != "" {
		return fmt.Sprintf("'*'{%s,%s}%s", f.short, f.name, quote(spec))
	}
	return quote("*" + f.name + spec)
}

func zshArgument(n int, a argument) string {
	place := fmt.Sprint(n)
	if a.repeat {
		place = "*"
	}
	sep := ":"
	if a.optional {
		sep = "::"
	}
	return quote(place + sep + a.name + ":" + zshAction(a.values, false))
}

// zshAction completes a value; one that ends with an equals sign goes on.
func zshAction(values []string, file bool) string {
	switch {
	case file:
		return "_files"
	case len(values) == 0:
		return ""
	case strings.HasSuffix(values[0], "="):
		return `{compadd -S "" - ` + strings.Join(values, " ") + "}"
	default:
		return "(" + strings.Join(values, " ") + ")"
	}
}

// zshText keeps a text from being read as the syntax of a specification.
func zshText(text string) string {
	return strings.NewReplacer(`\`, `\\`, ":", `\:`, "[", `\[`, "]", `\]`).Replace(text)
}
