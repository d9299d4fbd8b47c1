package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// proxy is what was seen of a proxy by its recipe: the newest client for JavaScript on each transport.
type proxy struct {
	Proxy   string `json:"proxy"`
	Version string `json:"version"`
	Recipe  string `json:"recipe"`
	Passed  bool   `json:"passed"`
}

// readProxies reads what was seen of proxies; there may be nothing.
func readProxies(folder fs.FS) ([]proxy, error) {
	const name = "proxies/proxies.json"
	text, err := fs.ReadFile(folder, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []proxy
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return all, nil
}

// renderProxies writes the section of the document; it is empty for no proxies.
func renderProxies(all []proxy) string {
	if len(all) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\n## Proxies\n\nTwo servers behind each, run by its recipe ([RECIPES.md](RECIPES.md)); the newest CometD client for JavaScript in\n" +
		"Node: handshake, subscription, messages of 50 kB, held connects, in one session.\n\n" +
		"| proxy | version | recipe | websocket, long-polling, callback-polling |\n|---|---|---|---|\n")
	for _, p := range all {
		fmt.Fprintf(&b, "| %s | %s | [%s](recipes/%s) | %s |\n", p.Proxy, p.Version, p.Recipe, p.Recipe, map[bool]string{true: "✓", false: "✗"}[p.Passed])
	}
	return b.String()
}
