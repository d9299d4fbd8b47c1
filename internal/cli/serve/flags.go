package serve

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/halleypush/halley/bayeux/server"
)

// setting is one flag in all its forms: command line, environment and file.
type setting struct {
	name string
	def  string
	// sep splits the text of the environment and of a scalar in the file into
	// several values; empty for flags with one value.
	sep string
	// given returns the values of the command line.
	given func(*Command) []string
	// apply sets the values; its error says what the values should be.
	apply func(*Settings, []string) error
}

// env is the flag's name in the environment.
func (f setting) env() string { return envName(f.name) }

func envName(flagName string) string {
	return "HALLEY_" + strings.ToUpper(strings.ReplaceAll(flagName, "-", "_"))
}

// flagTable lists the flags with one value or a list of them, in the order of
// --print-config. The maps --set, --limit, --extension,
// --channel and --auth are apart.
func flagTable() []setting {
	return slices.Concat([]setting{
		{"listen", "localhost:8080", ",", func(c *Command) []string { return c.Listen }, applyListen},
		{"path", "/cometd", "", func(c *Command) []string { return c.Path }, applyPath},
		{"posture", "", "", func(c *Command) []string { return c.Posture }, applyPosture},
		{"permissions", "", "", func(c *Command) []string { return c.Permissions }, applyText(func(s *Settings) *string { return &s.PermissionsFile })},
	}, tlsTable(), []setting{
		{"trusted-proxies", "", ",", func(c *Command) []string { return c.TrustedProxies }, applyProxies},
		{"admin-listen", "", "", func(c *Command) []string { return c.AdminListen }, applyAdmin},
		{"cors-origins", "", ",", func(c *Command) []string { return c.CORSOrigins }, applyOrigins},
		{"cors-credentials", "true", "", func(c *Command) []string { return c.CORSCredentials }, applyBool(func(s *Settings) *bool { return &s.CORSCredentials })},
		{"demo", "false", "", func(c *Command) []string { return c.Demo.values() }, applyBool(func(s *Settings) *bool { return &s.Demo })},
		{"doctor-token", "", "", func(c *Command) []string { return c.DoctorToken }, applyDoctorToken},
		{"doctor-token-file", "", "", func(c *Command) []string { return c.DoctorTokenFile }, applyText(func(s *Settings) *string { return &s.DoctorTokenFile })},
		{"park", "true", "", func(c *Command) []string { return c.Park }, applyBool(func(s *Settings) *bool { return &s.Park })},
		{"shutdown-timeout", "10s", "", func(c *Command) []string { return c.ShutdownTimeout }, applyShutdown},
		{"log-level", "info", "", func(c *Command) []string { return c.LogLevel }, applyLogLevel},
		{"log-format", "json", "", func(c *Command) []string { return c.LogFormat }, applyLogFormat},
	})
}

// flagNames are the keys that a file may have.
func flagNames() []string {
	table := flagTable()
	names := make([]string, 0, len(table)+5)
	names = append(names, "options", "limits", "extensions", "channels", "auth")
	for _, f := range table {
		names = append(names, f.name)
	}
	return names
}

// last is the value of a flag that has one; a flag given twice means the last.
func last(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

// list splits values at commas and drops blanks.
func list(values []string) []string {
	var all []string
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			if part = strings.TrimSpace(part); part != "" {
				all = append(all, part)
			}
		}
	}
	return all
}

func applyText(field func(*Settings) *string) func(*Settings, []string) error {
	return func(s *Settings, values []string) error {
		*field(s) = last(values)
		return nil
	}
}

func applyListen(s *Settings, values []string) error {
	s.Listen = nil
	for _, v := range list(values) {
		a, err := parseAddress(v)
		if err != nil {
			return err
		}
		s.Listen = append(s.Listen, a)
	}
	if len(s.Listen) == 0 {
		return errors.New("want at least one address such as localhost:8080")
	}
	return nil
}

func applyPath(s *Settings, values []string) error {
	p := last(values)
	if !strings.HasPrefix(p, "/") || strings.ContainsAny(p, "?#% \t\r\n") {
		return errors.New("want a path such as /cometd")
	}
	s.Path = "/" + strings.Trim(p, "/")
	return nil
}

func applyPosture(s *Settings, values []string) error {
	s.Posture = server.Posture(last(values))
	if s.Posture == "" {
		return nil
	}
	return oneOf(last(values), string(server.PostureCometD), string(server.PostureStrict))
}

func applyProxies(s *Settings, values []string) error {
	s.TrustedProxies = nil
	for _, v := range list(values) {
		prefix, err := server.ParseNetwork(v)
		if err != nil {
			return fmt.Errorf("%q: want networks such as 10.0.0.0/8 or addresses", v)
		}
		s.TrustedProxies = append(s.TrustedProxies, prefix)
	}
	return nil
}

func applyAdmin(s *Settings, values []string) error {
	s.AdminListen = Address{}
	text := last(values)
	if text == "" || text == "off" {
		return nil
	}
	address, err := adminAddress(text)
	s.AdminListen = address
	return err
}

func applyBool(field func(*Settings) *bool) func(*Settings, []string) error {
	return func(s *Settings, values []string) error {
		on, err := strconv.ParseBool(last(values))
		if err != nil {
			return errors.New("want true or false")
		}
		*field(s) = on
		return nil
	}
}

func applyShutdown(s *Settings, values []string) error {
	d, err := time.ParseDuration(last(values))
	if err != nil || d <= 0 {
		return errors.New("want a duration such as 10s")
	}
	s.ShutdownTimeout = d
	return nil
}

func applyLogLevel(s *Settings, values []string) error {
	if err := oneOf(last(values), logLevels()...); err != nil {
		return err
	}
	level, err := zerolog.ParseLevel(last(values))
	s.LogLevel = level
	return err
}

func applyLogFormat(s *Settings, values []string) error {
	s.LogFormat = last(values)
	return oneOf(s.LogFormat, logFormats()...)
}
