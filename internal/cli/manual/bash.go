package manual

import "strings"

// bash writes a script that needs no other: not the package bash-completion,
// and no more than bash 3.2, which has no compopt.
func bash(p program) string {
	var w writer
	w.linef("# Completion of %s for bash, printed by `%s completion bash`.", p.name, p.name)
	w.linef("_%s() {", p.name)
	w.linef("%s", `	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= equal= words= i
	# Bash splits words at the equals sign.
	if [[ $cur == = ]]; then
		equal=1 cur=
	elif [[ $prev == = ]]; then
		equal=1 prev=${COMP_WORDS[COMP_CWORD-2]}
	fi
	for ((i = 1; i < COMP_CWORD; i++)); do
		if [[ ${COMP_WORDS[i]} != -* ]]; then
			command=${COMP_WORDS[i]}
			break
		fi
	done
	COMPREPLY=()`)
	w.linef("	case $command:$prev:$equal in")
	for _, c := range p.commands {
		bashValues(&w, c)
	}
	w.linef("	*:1) return ;;")
	w.linef("	esac")
	w.linef("	if [[ -z $words ]]; then")
	w.linef("		case $command in")
	names := make([]string, 0, len(p.commands))
	for _, c := range p.commands {
		names = append(names, c.name)
	}
	w.linef("		'') words=%s ;;", quote(strings.Join(append(names, spellings(p.flags)...), " ")))
	for _, c := range p.commands {
		words := spellings(c.flags)
		for _, a := range c.args {
			words = append(a.values, words...)
		}
		w.linef("		%s) words=%s ;;", c.name, quote(strings.Join(words, " ")))
	}
	w.linef("%s", `		esac
	fi
	while IFS= read -r i; do
		COMPREPLY+=("$i")
	done < <(compgen -W "$words" -- "$cur")
	if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]]; then
		compopt -o nospace 2>/dev/null
	fi
}`)
	w.linef("complete -F _%s %s", p.name, p.name)
	return w.String()
}

// bashValues writes what may follow the flags of a command: a flag whose value
// is optional has it after the equals sign only.
func bashValues(w *writer, c command) {
	for _, f := range c.flags {
		if f.placeholder == "" {
			continue
		}
		equal := "*"
		if f.optional {
			equal = "1"
		}
		patterns := make([]string, 0, 2)
		for _, name := range f.names() {
			patterns = append(patterns, c.name+":"+name+":"+equal)
		}
		pattern := strings.Join(patterns, " | ")
		switch {
		case f.file:
			w.linef("	%s)", pattern)
			w.linef("		while IFS= read -r i; do COMPREPLY+=(\"$i\"); done < <(compgen -f -- \"$cur\")")
			w.linef("		compopt -o filenames 2>/dev/null")
			w.linef("		return ;;")
		case len(f.values) > 0:
			w.linef("	%s) words=%s ;;", pattern, quote(strings.Join(f.values, " ")))
		default:
			w.linef("	%s) return ;;", pattern)
		}
	}
}

// spellings are the words for flags.
func spellings(all []flag) []string {
	var words []string
	for _, f := range all {
		words = append(words, f.names()...)
	}
	return words
}
