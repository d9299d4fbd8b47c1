package manual

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/alecthomas/kong"

	"github.com/halleypush/halley/internal/cli/version"
)

// Man is the command line of `halley man`.
type Man struct{}

// Help is shown below the flags.
func (Man) Help() string {
	return `Prints the manual page in the format of man.

  halley man | man -l -
  halley man >/usr/local/share/man/man1/halley.1`
}

// ExitCode is an exit code and what it means: of all commands, or of one that
// has its own.
type ExitCode struct {
	Command string // empty for all others
	Code    int
	Meaning string
}

// String returns the code and whose it is.
func (c ExitCode) String() string {
	if c.Command == "" {
		return strconv.Itoa(c.Code)
	}
	return fmt.Sprintf("%d (%s)", c.Code, c.Command)
}

// Facts are what the definitions of the commands do not say.
type Facts struct {
	// About is a sentence on a line of its own, and paragraphs after it.
	About string
	// ExitCodes are all of them.
	ExitCodes []ExitCode
}

// Run writes the page. It has the version of the build, and the day of its
// commit as its date.
func (Man) Run(app *kong.Kong, facts Facts, stdout io.Writer) error {
	_, err := io.WriteString(stdout, man(read(app.Model), facts, version.Read()))
	return err
}

// lineWidth bounds the lines of the source, which some tools complain about.
const lineWidth = 76

// page writes the macros of man(7).
type page struct{ writer }

func man(p program, facts Facts, build version.Build) string {
	var w page
	about, rest, _ := strings.Cut(facts.About, "\n")
	about = strings.TrimSuffix(about, ".")
	w.linef(`.\" Printed by "%s man"; do not edit.`, p.name)
	day := ""
	if !build.Time.IsZero() {
		day = build.Time.UTC().Format("2006-01-02")
	}
	w.linef(`.TH %s 1 "%s" %s %s`, strings.ToUpper(p.name), day, argumentOf(p.name+" "+build.Version), argumentOf("User Commands"))
	w.linef(".ad l")
	w.linef(".SH NAME")
	w.linef(`%s \- %s`, p.name, escape(lowerFirst(about)))
	w.linef(".SH SYNOPSIS")
	for i, c := range p.commands {
		if i > 0 {
			w.linef(".br")
		}
		w.synopsis(p, c)
	}
	w.linef(".SH DESCRIPTION")
	w.prose(rest)
	w.linef(".SH COMMANDS")
	for _, c := range p.commands {
		w.command(p, c)
	}
	w.linef(".SH EXIT STATUS")
	for _, c := range facts.ExitCodes {
		w.linef(".TP")
		w.linef(".B %s", escape(c.String()))
		w.fill(c.Meaning)
	}
	w.linef(".SH SEE ALSO")
	w.fill("https://github.com/halleypush/halley")
	return w.String()
}

func (w *page) synopsis(p program, c command) {
	w.linef(".B %s", escape(p.name+" "+c.name))
	if len(c.flags) > len(p.flags) {
		w.linef(".RI [ flags ]")
	}
	for _, a := range c.args {
		w.linef("%s", escape(a.String()))
	}
}

func (w *page) command(p program, c command) {
	w.linef(".SS %s", escape(p.name+" "+c.name))
	w.fill(c.help)
	for _, a := range c.args {
		w.linef(".TP")
		w.linef(".I %s", escape(a.name))
		w.fill(a.help)
	}
	for _, f := range c.flags {
		w.linef(".TP")
		w.flag(f)
		text := f.text()
		if f.variable != "" {
			text += " Environment: " + f.variable + "."
		}
		w.fill(text)
	}
	if c.detail != "" {
		w.linef(".PP")
		w.prose(c.detail)
	}
}

// flag writes the names of a flag and of its value.
func (w *page) flag(f flag) {
	bold := make([]string, 0, 2)
	for _, name := range f.names() {
		bold = append(bold, `\fB`+escape(name)+`\fR`)
	}
	text := strings.Join(bold, ", ")
	value := `\fI` + escape(f.placeholder) + `\fR`
	switch {
	case f.optional:
		text += "[=" + value + "]"
	case f.placeholder != "":
		text += " " + value
	}
	w.linef("%s", text)
}

// prose writes paragraphs, and lines that are set in as they stand. The macro
// before the first is the caller's.
func (w *page) prose(text string) {
	for i, block := range strings.Split(strings.Trim(text, "\n"), "\n\n") {
		if i > 0 {
			w.linef(".PP")
		}
		if !strings.HasPrefix(block, "  ") {
			w.fill(block)
			continue
		}
		w.linef(".RS 4")
		w.linef(".EX")
		for line := range strings.SplitSeq(block, "\n") {
			w.linef("%s", guarded(escape(strings.TrimPrefix(line, "  "))))
		}
		w.linef(".EE")
		w.linef(".RE")
	}
}

// fill writes words in lines of a bounded width.
func (w *page) fill(text string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		word = unbroken(word)
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > lineWidth {
			w.linef("%s", guarded(line))
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line != "" {
		w.linef("%s", guarded(line))
	}
}

// escape keeps characters as they are typed, so that what is copied from the
// page works.
func escape(text string) string {
	return strings.NewReplacer(
		`\`, `\e`, "-", `\-`, "'", `\(aq`, `"`, `\(dq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`,
	).Replace(text)
}

// unbroken escapes a word, and keeps it from being hyphenated when it looks like
// something that is typed.
func unbroken(word string) string {
	_, first := utf8.DecodeRuneInString(word)
	inner := strings.TrimRight(word, ".,;:")
	if strings.ContainsFunc(inner, func(r rune) bool { return !unicode.IsLetter(r) }) || strings.ContainsFunc(word[first:], unicode.IsUpper) {
		return `\%` + escape(word)
	}
	return escape(word)
}

// guarded keeps the first character of a line from being read as a request.
func guarded(line string) string {
	if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
		return `\&` + line
	}
	return line
}

// argumentOf makes one argument of a macro.
func argumentOf(text string) string { return fmt.Sprintf(`"%s"`, escape(text)) }

func lowerFirst(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToLower(text[:1]) + text[1:]
}
