package serve

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/halleypush/halley/bayeux/server"
)

// Settings are the checked settings of a server.
type Settings struct {
	Listen  []Address
	Path    string
	Posture server.Posture
	// PermissionsFile has the rules, unless they stand in the file itself.
	PermissionsFile string
	TLS             TLS
	TrustedProxies  []netip.Prefix
	Extensions      Extensions
	Auth            Auth
	// AdminListen is where the admin listener is; the zero Address for none.
	AdminListen Address
	// CORSOrigins are exact origins, or * alone; none means no CORS.
	CORSOrigins     []string
	CORSCredentials bool
	Demo            bool
	// DoctorToken is what the endpoint of halley doctor asks for; empty for no
	// endpoint. DoctorTokenFile is where it was read, if it was.
	DoctorToken, DoctorTokenFile string
	Park                         bool
	ShutdownTimeout              time.Duration
	LogLevel                     zerolog.Level
	LogFormat                    string
	Options                      server.Options
	Limits                       server.Limits
	Channels                     map[string]server.ChannelOptions

	permitted *permitted // nil: the posture's policy
	// shown are the lines of --print-config.
	shown []shown
	// command is the command line as it was given, the posture apart.
	command string
}

// shown is one setting as it is printed.
type shown struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	Default string `json:"default"`
	Source  string `json:"source"`
}

const sourceDefault = "default"

// Load layers flags over the environment over the file over the defaults, and
// checks the result. The error is a *UsageError that names the source.
func (c *Command) Load(lookup func(string) (string, bool)) (*Settings, error) {
	file, err := c.readFile(lookup)
	if err != nil {
		return nil, err
	}
	s := &Settings{Options: server.Options{}, Extensions: defaultExtensions()}
	for _, f := range flagTable() {
		values, source := c.resolve(f, lookup, file)
		text := f.display(strings.Join(values, ","))
		if err := f.apply(s, values); err != nil {
			return nil, usagef(source, "%s %q: %v", f.name, text, err)
		}
		s.shown = append(s.shown, shown{f.name, text, f.def, source})
	}
	if err := s.loadOptions(c, lookup, file); err != nil {
		return nil, err
	}
	if err := s.loadLimits(c, lookup, file); err != nil {
		return nil, err
	}
	if err := s.loadExtensions(c, lookup, file); err != nil {
		return nil, err
	}
	if err := s.loadChannels(c, lookup, file); err != nil {
		return nil, err
	}
	s.command = s.commandLine(c.Config)
	if err := s.loadAuth(c, lookup, file); err != nil {
		return nil, err
	}
	if err := s.loadPermissions(c, lookup, file); err != nil {
		return nil, err
	}
	s.prepareDemo()
	s.shareOrigins()
	return s, s.validate()
}

func (c *Command) readFile(lookup func(string) (string, bool)) (fileSettings, error) {
	path, source := c.Config, "flag --config"
	if text, ok := lookup(envName("config")); ok && path == "" {
		path, source = text, "env "+envName("config")
	}
	if path == "" {
		return fileSettings{}, nil
	}
	text, err := readAll(path)
	if err != nil {
		return fileSettings{}, usagef(source, "%v", err)
	}
	return parseFile(path, text)
}

// resolve returns the values of a flag and where they come from.
func (c *Command) resolve(f setting, lookup func(string) (string, bool), file fileSettings) (values []string, source string) {
	if values := f.given(c); len(values) > 0 {
		return values, "flag --" + f.name
	}
	if text, ok := lookup(f.env()); ok {
		return []string{text}, "env " + f.env()
	}
	if e, ok := file.flags[f.name]; ok {
		return e.values, e.source
	}
	return []string{f.def}, sourceDefault
}

// pairs merges the layers of a map: the file's, then the environment's (pairs
// separated by semicolons, which no value has), then the flags'.
func pairs(name string, given []string, lookup func(string) (string, bool), file map[string]entry) (map[string]entry, error) {
	all := maps.Clone(file)
	if all == nil {
		all = map[string]entry{}
	}
	if text, ok := lookup(envName(name)); ok {
		for part := range strings.SplitSeq(text, ";") {
			if strings.TrimSpace(part) == "" {
				continue
			}
			if err := addPair(all, part, "env "+envName(name)); err != nil {
				return nil, err
			}
		}
	}
	for _, part := range given {
		if err := addPair(all, part, "flag --"+name); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func addPair(all map[string]entry, text, source string) error {
	name, value, ok := strings.Cut(text, "=")
	name = strings.TrimSpace(name)
	if !ok || name == "" {
		return usagef(source, "%q: want NAME=VALUE", text)
	}
	all[name] = entry{[]string{strings.TrimSpace(value)}, source}
	return nil
}

func (s *Settings) loadOptions(c *Command, lookup func(string) (string, bool), file fileSettings) error {
	given, err := pairs("set", c.Set, lookup, file.options)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		e := given[name]
		if err := server.CheckOption(name, e.values[0]); err != nil {
			return usagef(e.source, "%v", err)
		}
		s.Options[name] = e.values[0]
	}
	for _, info := range server.PostureOptions(s.Posture) {
		s.showOption(info, given)
	}
	return nil
}

// showOption adds a line for an option and one for each prefix it is set with.
// Options of WebSocket alone have no name without prefix.
func (s *Settings) showOption(info server.OptionInfo, given map[string]entry) {
	bare := info.Name
	if info.Scope == "ws" {
		bare = "ws." + bare
	}
	line := shown{"options." + bare, info.Default, info.Default, sourceDefault}
	if e, ok := given[bare]; ok {
		line.Value, line.Source = e.values[0], e.source
	}
	s.shown = append(s.shown, line)
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if name == bare {
			continue
		}
		// Extensions that the table does not name stand next to the one it does.
		const extension = "ws.enableExtension."
		other, ok := server.LookupOption(name)
		if ok && (other.Name == info.Name || other.Name == name && strings.HasPrefix(name, extension) && strings.HasPrefix(bare, extension)) {
			s.shown = append(s.shown, shown{"options." + name, given[name].values[0], info.Default, given[name].source})
		}
	}
}

func (s *Settings) loadLimits(c *Command, lookup func(string) (string, bool), file fileSettings) error {
	given, err := pairs("limit", c.Limit, lookup, file.limits)
	if err != nil {
		return err
	}
	return load(s, "limit", "limits.", limitTable(s.Posture), given, &s.Limits)
}

func (s *Settings) loadExtensions(c *Command, lookup func(string) (string, bool), file fileSettings) error {
	given, err := pairs("extension", c.Extension, lookup, file.extensions)
	if err != nil {
		return err
	}
	return load(s, "extension", "extensions.", extensionTable(), given, &s.Extensions)
}

// named is a setting of the map --limit or --extension, or a property of --channel.
type named[T any] struct {
	name, def string
	// help is one line.
	help string
	// apply sets the value; its error says what the value should be.
	apply func(to *T, text string) error
}

// display is a value as it may be shown: what are URLs may hold secrets.
func (n named[T]) display(text string) string {
	if strings.HasSuffix(n.name, "URL") {
		return shownURL(text)
	}
	return text
}

func names[T any](table []named[T]) []string {
	all := make([]string, 0, len(table))
	for _, n := range table {
		all = append(all, n.name)
	}
	return all
}

// load applies what is given to the settings of a table, and adds a line for
// each of them, whose name begins with prefix.
func load[T any](s *Settings, kind, prefix string, table []named[T], given map[string]entry, to *T) error {
	known := names(table)
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.Contains(known, name) {
			return unknown(given[name].source, kind, name, known)
		}
	}
	for _, n := range table {
		line := shown{prefix + n.name, n.def, n.def, sourceDefault}
		if e, ok := given[n.name]; ok {
			line.Value, line.Source = n.display(e.values[0]), e.source
			if err := n.apply(to, e.values[0]); err != nil {
				return usagef(e.source, "%s %s=%q: %v", kind, n.name, line.Value, err)
			}
		}
		s.shown = append(s.shown, line)
	}
	return nil
}

// validate checks what several settings say together.
func (s *Settings) validate() error {
	if err := s.validateTLS(); err != nil {
		return err
	}
	for _, a := range s.Listen {
		if a.Proxy != "" && len(s.TrustedProxies) == 0 {
			return usagef("", "listen %q reads PROXY headers, which needs trusted-proxies: the networks that may send them", a)
		}
	}
	if err := s.validateSockets(); err != nil {
		return err
	}
	if err := s.validateDemo(); err != nil {
		return err
	}
	if err := s.validateCORS(); err != nil {
		return err
	}
	if err := s.validateAuth(); err != nil {
		return err
	}
	if err := s.validateDoctor(); err != nil {
		return err
	}
	if err := s.settlePosture(); err != nil {
		return err
	}
	s.settleHSTS()
	return nil
}

// validateSockets refuses to serve one socket twice.
func (s *Settings) validateSockets() error {
	seen := map[string]bool{}
	for _, a := range append(slices.Clone(s.Listen), s.AdminListen) {
		if a.Socket != "" && seen[a.Socket] {
			return usagef("", "%q is named twice in listen and admin-listen", a)
		}
		seen[a.Socket] = true
	}
	return nil
}

// config makes the library's configuration.
func (s *Settings) config(log zerolog.Logger) server.Config {
	return server.Config{
		Logger:         log,
		Posture:        s.Posture,
		Policy:         s.policy(log),
		Extensions:     s.extensions(log),
		Options:        s.Options,
		Limits:         s.Limits,
		Channels:       s.Channels,
		TrustedProxies: s.TrustedProxies,
		Park:           s.Park,
	}
}

// check does all that can be done without a listener.
func (s *Settings) check(ctx context.Context, env Env) error {
	if err := s.checkTLS(env.Stderr); err != nil {
		return err
	}
	engine, err := env.Build(s.config(zerolog.Nop()))
	if err != nil {
		return &UsageError{Reason: err.Error()}
	}
	ctx, cancel := context.WithTimeout(ctx, s.ShutdownTimeout)
	defer cancel()
	if err := engine.Shutdown(ctx); err != nil {
		return errors.Join(errors.New("check: the engine does not stop"), err)
	}
	s.warnPermissions(env.Stderr)
	_, err = fmt.Fprintln(env.Stdout, "ok")
	return err
}
