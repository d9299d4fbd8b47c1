package serve

import (
	"github.com/halleypush/halley/bayeux/server"
)

// Describe returns the values that a flag may have, for completion, and the
// variable of the environment that stands for it. A value that ends with an
// equals sign goes on. Unknown flags have neither.
func (c *Command) Describe(flag string) (values []string, variable string) {
	switch flag {
	case "help", "check-config":
		return nil, ""
	case "print-config":
		return printFormats(), ""
	case "set":
		values = optionPrefixes()
	case "limit":
		values = assigned(names(limitTable("")))
	case "posture":
		values = []string{string(server.PostureCometD), string(server.PostureStrict)}
	case "auth":
		values = assigned(names(authTable()))
	case "extension":
		values = assigned(names(extensionTable()))
	case "cors-credentials", "demo", "park":
		values = []string{"true", "false"}
	case "log-level":
		values = logLevels()
	case "log-format":
		values = logFormats()
	default:
		values = tlsValues(flag)
	}
	return values, envName(flag)
}

// assigned are names with the equals sign that a value follows.
func assigned(names []string) []string {
	for i := range names {
		names[i] += "="
	}
	return names
}

// optionPrefixes are the options as --set takes them, without the prefixes
// that are not needed.
func optionPrefixes() []string {
	table := server.OptionTable()
	names := make([]string, 0, len(table))
	for _, o := range table {
		name := o.Name + "="
		if o.Scope == "ws" {
			name = "ws." + name
		}
		names = append(names, name)
	}
	return names
}

func printFormats() []string { return []string{"text", "json"} }

func logLevels() []string { return []string{"debug", "info", "warn", "error"} }

func logFormats() []string { return []string{"json", "console"} }
