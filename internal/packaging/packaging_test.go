package packaging

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/cli"
)

// halley runs the program here and returns what it prints.
func halley(t *testing.T, env map[string]string, args ...string) string {
	t.Helper()
	var out, complaints strings.Builder
	code := cli.Program{
		Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &complaints,
		Lookup: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
	}.Run(t.Context())
	require.Zero(t, code, complaints.String())
	return out.String()
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(text)
}

// unit returns the settings of a unit by "Section.Key", all values of a key.
func unit(t *testing.T, name string) map[string][]string {
	t.Helper()
	all, section := map[string][]string{}, ""
	for line := range strings.Lines(read(t, name)) {
		line = strings.TrimSpace(line)
		switch key, value, ok := strings.Cut(line, "="); {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			section = strings.Trim(line, "[]")
		default:
			require.True(t, ok, line)
			all[section+"."+key] = append(all[section+"."+key], value)
		}
	}
	return all
}

// TestSettings checks halley.yaml, and that each of its comments is a setting
// that would be taken.
func TestSettings(t *testing.T) {
	require.Equal(t, "ok\n", halley(t, nil, "serve", "--check-config", "--config", "halley.yaml"))
	all := regexp.MustCompile(`(?m)^#([a-z]|  )`).ReplaceAllString(read(t, "halley.yaml"), "$1")
	path := t.TempDir() + "/halley.yaml"
	require.NoError(t, os.WriteFile(path, []byte(all), 0o600))
	require.Equal(t, "ok\n", halley(t, nil, "serve", "--check-config", "--config", path))
	require.NotEqual(t, read(t, "halley.yaml"), all)
}

// TestUnits checks what the units, the settings and the program must agree on.
func TestUnits(t *testing.T) {
	service := unit(t, "halley.service")
	require.Equal(t, []string{"notify"}, service["Service.Type"])
	require.Equal(t, []string{"/usr/local/bin/halley serve --config /etc/halley/halley.yaml"}, service["Service.ExecStart"])
	require.Equal(t, []string{"halley.socket halley-admin.socket"}, service["Service.Sockets"])
	require.Equal(t, service["Service.Sockets"], service["Unit.Requires"])
	require.Equal(t, []string{"2"}, service["Service.RestartPreventExitStatus"], "the exit code of wrong settings")
	require.Equal(t, []string{"/bin/kill -HUP $MAINPID"}, service["Service.ExecReload"])

	stop, err := time.ParseDuration(service["Service.TimeoutStopSec"][0])
	require.NoError(t, err)
	defaults := halley(t, nil, "serve", "--print-config")
	grace := regexp.MustCompile(`(?m)^shutdown-timeout +(\S+)`).FindStringSubmatch(defaults)
	require.Len(t, grace, 2)
	own, err := time.ParseDuration(grace[1])
	require.NoError(t, err)
	require.Greater(t, stop, own, "systemd must not cut what the program ends in good order")

	settings := halley(t, nil, "serve", "--print-config", "--config", "halley.yaml")
	for name, flag := range map[string]string{"halley.socket": "listen", "halley-admin.socket": "admin-listen"} {
		socket := unit(t, name)
		require.Equal(t, []string{"halley.service"}, socket["Socket.Service"])
		require.Len(t, socket["Socket.FileDescriptorName"], 1)
		require.Regexp(t, `(?m)^`+flag+` +fd:`+socket["Socket.FileDescriptorName"][0]+` `, settings)
		require.Regexp(t, `^127\.0\.0\.1:\d+$`, socket["Socket.ListenStream"][0], "for this machine only, until the operator says otherwise")
	}
}

// image is what a container file says.
type image struct {
	env                      map[string]string
	user                     string
	copies                   []string
	command, health, exposed []string
}

func container(t *testing.T) image {
	t.Helper()
	text := strings.ReplaceAll(read(t, "Containerfile"), "\\\n", " ")
	i := image{env: map[string]string{}}
	list := func(text string) []string {
		var all []string
		for _, m := range regexp.MustCompile(`"([^"]*)"`).FindAllStringSubmatch(text, -1) {
			all = append(all, m[1])
		}
		return all
	}
	for line := range strings.Lines(text) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "FROM":
			require.Equal(t, "scratch", rest)
		case "COPY":
			f := strings.Fields(rest)
			i.copies = append(i.copies, f[:len(f)-1]...)
		case "ENV":
			for pair := range strings.FieldsSeq(rest) {
				name, value, _ := strings.Cut(pair, "=")
				i.env[name] = value
			}
		case "USER":
			i.user = rest
		case "EXPOSE":
			i.exposed = strings.Fields(rest)
		case "HEALTHCHECK":
			i.health = list(rest)
		case "ENTRYPOINT":
			i.command = append(list(rest), i.command...)
		case "CMD":
			i.command = append(i.command, list(rest)...)
		case "", "#", "LABEL":
		default:
			require.True(t, strings.HasPrefix(word, "#"), line)
		}
	}
	return i
}

// TestContainer checks what the container file and the program must agree on.
func TestContainer(t *testing.T) {
	i := container(t)
	require.Equal(t, []string{"/halley", "serve"}, i.command)
	require.Equal(t, "65532:65532", i.user)
	require.Equal(t, []string{"LICENSE", "NOTICE", "halley.cdx.json", "halley"}, i.copies)
	require.Equal(t, ":"+i.exposed[0], i.env["HALLEY_LISTEN"])
	require.Equal(t, []string{"/halley", "health"}, i.health)
	require.Contains(t, halley(t, nil, "health", "--help"), "http://"+i.env["HALLEY_ADMIN_LISTEN"]+"/readyz", "the default of the health check")

	var complaints strings.Builder
	code := cli.Program{
		Args: []string{"serve", "--check-config"}, Stdout: &complaints, Stderr: &complaints,
		Lookup: func(name string) (string, bool) { v, ok := i.env[name]; return v, ok },
	}.Run(t.Context())
	require.Equal(t, 2, code, "without a posture it does not start")
	require.Contains(t, complaints.String(), "no posture says what strangers may do")
	for _, p := range []string{"cometd", "strict"} {
		i.env["HALLEY_POSTURE"] = p
		require.Equal(t, "ok\n", halley(t, i.env, "serve", "--check-config"))
	}
}
