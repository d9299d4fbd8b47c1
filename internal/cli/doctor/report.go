package doctor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/halleypush/halley/internal/doctor"
)

// write writes the reports.
func (c *Command) write(r *doctor.Report, stdout io.Writer) error {
	if c.JSON == "-" {
		return writeJSON(stdout, r)
	}
	if err := writeText(stdout, r, c.Thorough); err != nil || c.JSON == "" {
		return err
	}
	f, err := os.Create(c.JSON)
	if err != nil {
		return err
	}
	if err := errors.Join(writeJSON(f, r), f.Close()); err != nil {
		return fmt.Errorf("%s: %w", c.JSON, err)
	}
	return nil
}

func writeJSON(w io.Writer, r *doctor.Report) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}

// writeText writes the report for people.
func writeText(w io.Writer, r *doctor.Report, thorough bool) error {
	var b strings.Builder
	how := "with the server's help"
	if r.Mode == doctor.ModeBayeux {
		how = "by plain Bayeux"
	}
	fmt.Fprintf(&b, "%s, examined for %.0f s %s\n\n", r.URL, r.Took, how)
	table := tabwriter.NewWriter(&b, 0, 1, 2, ' ', 0)
	for _, f := range facts(r.Observations) {
		_, _ = fmt.Fprintf(table, "  %s\t%s\n", f[0], visible(f[1])) // to memory
	}
	_ = table.Flush()
	switch len(r.Findings) {
	case 0:
		b.WriteString("\nNothing was found that would keep push from working.\n")
	case 1:
		b.WriteString("\n1 finding:\n")
	default:
		fmt.Fprintf(&b, "\n%d findings:\n", len(r.Findings))
	}
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "\n%s: %s\n  %s\n", f.Severity, f.ID, f.What)
		for _, m := range f.Remedies {
			_, _ = fmt.Fprintf(table, "    %s\t%s\n", m.For, m.Set)
		}
		_ = table.Flush()
	}
	if len(r.Untested) > 0 {
		b.WriteString("\nNot tested:\n")
		for _, u := range r.Untested {
			fmt.Fprintf(&b, "  - %s\n", visible(u))
		}
		if !thorough {
			b.WriteString("--thorough takes five minutes and goes further.\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// facts are what was learned on the way.
func facts(o doctor.Observations) [][2]string {
	proto := o.Proto + " here"
	if o.ServerProto != "" {
		proto += ", " + o.ServerProto + " at the server"
	}
	kept := ""
	if o.Mode == doctor.ModeProbe {
		kept = ", each on a connection of its own"
		if o.KeptAlive {
			kept = ", connections are kept"
		}
	}
	all := [][2]string{{"HTTP", proto}, {"round trip", fmt.Sprintf("%.1f ms%s", float64(o.RoundTrip)*1000, kept)}}
	add := func(name, text string) {
		if text != "" {
			all = append(all, [2]string{name, text})
		}
	}
	add("server", o.Server)
	if len(o.Via) > 0 {
		add("answers by", strings.Join(o.Via, ", "))
	}
	if o.Echo != nil {
		add("we seem to be", o.Echo.Peer)
		for _, name := range slices.Sorted(maps.Keys(o.Echo.Headers)) {
			if name != "Connection" && name != "Accept-Encoding" {
				add(name, strings.Join(o.Echo.Headers[name], ", "))
			}
		}
	}
	if o.Clock != nil {
		add("server's clock", fmt.Sprintf("%+.1f s, give or take %.1f", o.Clock.Offset, o.Clock.Error))
	}
	if o.Advised > 0 {
		add("polls are held", fmt.Sprintf("%g s", o.Advised))
	}
	return all
}

// visible keeps what servers say from doing anything to a terminal.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, text)
}
