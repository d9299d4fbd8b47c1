//go:build interop

package proxies

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// recipes is the folder of what is tested here.
const recipes = "../../../docs/recipes"

// change replaces a text of a recipe.
type change struct{ old, new string }

// fill makes the changes, each of which must find something to change, and writes the result.
func fill(t *testing.T, name, to string, changes []change) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(recipes, name))
	require.NoError(t, err)
	s := string(text)
	for _, c := range changes {
		require.Contains(t, s, c.old, "%s has no such place any more", name)
		s = strings.ReplaceAll(s, c.old, c.new)
	}
	require.NoError(t, os.WriteFile(to, []byte(s), 0o644))
}

// backendChanges put the backends in the places of those of the recipes.
func (g *rig) backendChanges(port string, address func(*backend) string) []change {
	a, b := address(g.a), address(g.b)
	return []change{{"10.0.0.11:" + port, a}, {"10.0.0.12:" + port, b}}
}

func plainOf(b *backend) string { return b.plain }
func tcpOf(b *backend) string   { return b.tcp }

// escaped writes an address as the regular expressions of nginx.conf have it.
func escaped(address string) string { return strings.ReplaceAll(address, ".", `\.`) }

// commonChanges are those of all recipes that end TLS.
func commonChanges() []change {
	return []change{{"push.example.com", "127.0.0.1"}, {"/etc/ssl/halley/", shared.certs + "/"}}
}

func nginxChanges(g *rig, dir string) []change {
	return append(commonChanges(), append(g.backendChanges("8080", plainOf),
		change{`10\.0\.0\.11:8080`, escaped(g.a.plain)}, change{`10\.0\.0\.12:8080`, escaped(g.b.plain)},
		change{"listen 443 ", "listen " + g.address + " "},
		change{"443     \"\"", "0 \"\""}, // the port here is not the usual one, whatever it is
		change{"/run/nginx.pid", dir + "/nginx.pid"}, change{"/var/log/nginx/", dir + "/"},
		change{"worker_processes auto", "worker_processes 2"},
	)...)
}

func nginxStreamChanges(g *rig, dir string) []change {
	return append(g.backendChanges("8443", tcpOf),
		change{"listen 443;", "listen " + g.address + ";"},
		change{"/run/nginx.pid", dir + "/nginx.pid"}, change{"/var/log/nginx/", dir + "/"},
		change{"load_module modules/", "load_module /usr/lib/nginx/modules/"},
	)
}

func haproxyChanges(g *rig, dir string) []change {
	changes := append(commonChanges(), append(g.backendChanges("8080", plainOf), g.backendChanges("8443", tcpOf)...)...)
	for place, admin := range map[string]string{"addr 10.0.0.11 port 9090": g.a.admin, "addr 10.0.0.12 port 9090": g.b.admin} {
		host, port, _ := net.SplitHostPort(admin)
		changes = append(changes, change{place, "addr " + host + " port " + port})
	}
	http, tcp := g.address, g.second
	if g.tcp {
		http, tcp = tcp, http
	}
	return append(changes,
		change{"bind :443 ", "bind " + http + " "}, change{"bind :8443\n", "bind " + tcp + "\n"},
		change{"/run/haproxy/admin.sock", dir + "/admin.sock"},
		// These three need root.
		change{"    user haproxy\n", ""}, change{"    group haproxy\n", ""}, change{"    chroot /var/lib/haproxy\n", ""},
	)
}

func apacheChanges(g *rig, _ string) []change {
	return append(commonChanges(), append(g.backendChanges("8080", plainOf),
		change{"\nListen 443\n", "\nListen " + g.address + "\n"}, change{"<VirtualHost *:443>", "<VirtualHost " + g.address + ">"},
		change{"127.0.0.1:8889", g.second},
	)...)
}

// apacheMain is what Debian's apache2.conf is for: all around the site. The modules are those that the recipe names.
func apacheMain(t *testing.T, dir string) string {
	t.Helper()
	site, err := os.ReadFile(filepath.Join(recipes, "apache.conf"))
	require.NoError(t, err)
	_, names, found := strings.Cut(string(site), "#   a2enmod ")
	require.True(t, found)
	names, _, _ = strings.Cut(names, "\n")
	var s strings.Builder
	loaded := map[string]bool{}
	var load func(name string)
	load = func(name string) {
		if loaded[name] {
			return
		}
		loaded[name] = true
		// Debian's files say which other modules each needs.
		text, err := os.ReadFile("/etc/apache2/mods-available/" + name + ".load")
		require.NoError(t, err, "run `make deps`")
		for line := range strings.Lines(string(text)) {
			if needs, ok := strings.CutPrefix(line, "# Depends:"); ok {
				for other := range strings.FieldsSeq(needs) {
					load(other)
				}
			}
			if strings.HasPrefix(line, "LoadModule") {
				s.WriteString(line)
			}
		}
	}
	for name := range strings.FieldsSeq(names) {
		load(name)
	}
	s.WriteString("ServerRoot " + dir + "\nDefaultRuntimeDir " + dir + "\nPidFile " + dir + "/apache.pid\nServerName 127.0.0.1\n" +
		"TypesConfig /dev/null\nErrorLog " + dir + "/error.log\nUser www-data\nGroup www-data\nInclude " + dir + "/site.conf\n")
	return s.String()
}
