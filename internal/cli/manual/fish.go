package manual

import "strings"

// fish writes one line for each command, flag and value.
func fish(p program) string {
	var w writer
	w.linef("# Completion of %s for fish, printed by `%s completion fish`.", p.name, p.name)
	w.linef("complete -c %s -f", p.name)
	for _, f := range p.flags {
		w.linef("complete -c %s%s", p.name, fishFlag(f))
	}
	for _, c := range p.commands {
		w.linef("complete -c %s -n __fish_use_subcommand -a %s -d %s", p.name, c.name, fishQuote(sentence(c.help)))
	}
	for _, c := range p.commands {
		when := "-n '__fish_seen_subcommand_from " + c.name + "'"
		for _, a := range c.args {
			if len(a.values) > 0 {
				w.linef("complete -c %s %s -a %s", p.name, when, fishQuote(strings.Join(a.values, " ")))
			}
		}
		for _, f := range c.flags[:len(c.flags)-len(p.flags)] { // Those of the program stand above.
			w.linef("complete -c %s %s%s", p.name, when, fishFlag(f))
		}
	}
	return w.String()
}

func fishFlag(f flag) string {
	text := " -l " + strings.TrimPrefix(f.name, "--")
	if f.short != "" {
		text += " -s " + strings.TrimPrefix(f.short, "-")
	}
	switch {
	case f.file:
		text += " -r -F"
	case f.takesValue():
		text += " -x"
	}
	if len(f.values) > 0 {
		text += " -a " + fishQuote(strings.Join(f.values, " "))
	}
	return text + " -d " + fishQuote(sentence(f.help))
}

func fishQuote(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(text) + "'"
}
