package main

import (
	"fmt"
	"slices"
	"strings"
)

// table writes outcomes for the document: a section for each scenario, in the order of the list, and a row for each client.
func table(all []outcome) string {
	var b strings.Builder
	for _, sc := range scenarios() {
		some := slices.DeleteFunc(slices.Clone(all), func(o outcome) bool { return o.Scenario != sc.name })
		if len(some) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n### %s: %s\n\n", sc.name, sc.about)
		b.WriteString("| server | client | failed connects | handshakes | lost | doubled | in order | longest hold | first message |\n")
		b.WriteString("|---|---|---|---|---|---|---|---|---|\n")
		for _, o := range some {
			for _, f := range o.Clients {
				b.WriteString(row(o, f))
			}
			if o.Error != "" {
				fmt.Fprintf(&b, "| %s | – | it failed: %s |||||||\n", o.subject(), strings.Join(strings.Fields(o.Error), " "))
			}
		}
		if n := some[0].Scale; n != 1 {
			fmt.Fprintf(&b, "\nAll times were multiplied by %g.\n", n)
		}
	}
	return strings.TrimPrefix(b.String(), "\n")
}

// subject names the server of an outcome.
func (o outcome) subject() string {
	switch {
	case o.Unadapted:
		return "Halley, learning switched off"
	case o.Server == ours:
		return "Halley"
	}
	names := map[string]string{"cometd8": "CometD", "cometd7": "CometD", "cometd-nodejs": "cometd-nodejs-server", "faye": "Faye", "axum": "axum-cometd"}
	return names[o.Server] + " " + o.Version
}

func row(o outcome, f figures) string {
	order, first := "yes", seconds(f.First)
	switch {
	case f.Due == f.Lost:
		order = "–"
	case !f.Ordered:
		order = "no"
	}
	hold := "–"
	if d := f.longest(); d > 0 {
		hold = seconds(d)
	}
	return fmt.Sprintf("| %s | %s | %d | %d | %d of %d | %d | %s | %s | %s |\n", o.subject(), f.Client, f.Failed, f.Handshakes, f.Lost, f.Due, f.Doubled, order, hold, first)
}
