package conform

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/halleypush/halley/conformance"
	"github.com/halleypush/halley/conformance/clientcases"
	"github.com/halleypush/halley/conformance/clientmode"
	"github.com/halleypush/halley/conformance/suite"
)

// fits finds options that do not go together: those of a server for a client,
// and the other way round.
func (c *Command) fits() error {
	if !c.Client {
		if len(c.Args) > 0 || c.Shared || c.Host != "" {
			return errors.New("a driver's arguments, --shared and --host are for --client")
		}
		return nil
	}
	for name, used := range map[string]bool{
		"fixture": c.Fixture != "", "header": len(c.Header) > 0, "cookie": len(c.Cookie) > 0, "handshake-ext": c.HandshakeExt != "",
		"channel-prefix": c.ChannelPrefix != "", "insecure": c.Insecure, "append-type": c.AppendType, "seed": c.Seed != 0,
	} {
		if used {
			return fmt.Errorf("--%s is for servers, not for --client", name)
		}
	}
	return nil
}

// client runs the cases of the client mode.
func (c *Command) client(ctx context.Context, env Env, shown func(suite.Progress)) (*conformance.Report, error) {
	if c.URL == "" {
		return nil, &ExitError{ExitUsage, errors.New("which client? give the command line of its driver after --, or --list")}
	}
	known, err := c.known()
	if err != nil {
		return nil, &ExitError{ExitUsage, err}
	}
	opts := clientmode.Options{
		Name: c.Name, Host: c.Host, Transports: c.Transport, Only: c.Only, Sections: c.Section, Profile: c.Profile, Strict: c.Strict,
		Known: known, Jobs: c.Jobs, TimeoutScale: c.TimeoutScale, Progress: shown,
	}
	if err := opts.Check(clientcases.Sections()); err != nil {
		return nil, err
	}
	driver := clientmode.Program{Args: append([]string{c.URL}, c.Args...), Shared: c.Shared, Stderr: env.Stderr}
	client, about, closed, err := driver.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer closed()
	opts.Client = client
	if opts.Name == "" {
		opts.Name = strings.TrimSpace(about.Client + " " + about.Version)
	}
	return clientmode.Run(ctx, clientcases.Sections(), opts)
}
