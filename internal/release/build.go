package main

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// clientFolder is where the demo page has the published CometD client, and
// client the file that make makes.
const (
	clientFolder = "internal/demo/assets/vendor/cometd"
	client       = clientFolder + "/cometd.js"
)

// target is a platform.
type target struct{ os, arch string }

// String returns the name that files have.
func (t target) String() string { return t.os + "_" + t.arch }

// program is the name of the program.
func (t target) program() string {
	if t.os == "windows" {
		return "halley.exe"
	}
	return "halley"
}

func targets() []target {
	return []target{
		{"linux", "amd64"},
		{"linux", "arm64"},
		{"darwin", "amd64"},
		{"darwin", "arm64"},
		{"windows", "amd64"},
		{"windows", "arm64"},
	}
}

// release is a release on its way.
type release struct {
	shell
	out string // dist
	bin string // what is built, before it is packed
	// at is the time of the commit, which all files have.
	at time.Time
	// version is that of the module.
	version string
	// common are the files of every archive.
	common []file
	// materials is the program that reads the materials of a binary.
	materials string
}

// build makes the release of the last commit of the repository in source.
func build(ctx context.Context, source string, in surroundings, out string) (*release, error) {
	if in.umask != 0 {
		defer setUmask(setUmask(in.umask))
	}
	out, err := filepath.Abs(out)
	if err != nil {
		return nil, err
	}
	r := &release{shell: newShell(in), out: out, bin: in.dir + ".bin"}
	err = errors.Join(os.RemoveAll(out), os.MkdirAll(out, 0o755), os.MkdirAll(r.bin, 0o755)) //nolint:gosec // for all to read
	if err != nil {
		return nil, err
	}
	if err := r.checkout(ctx, source); err != nil {
		return nil, err
	}
	if err := r.prepare(ctx); err != nil {
		return nil, err
	}
	for _, t := range targets() {
		if err := r.target(ctx, t); err != nil {
			return nil, fmt.Errorf("%s: %w", t, err)
		}
	}
	return r, writeSums(out)
}

// checkout clones the source, tags included, and gets the CometD client of the
// demo page.
func (r *release) checkout(ctx context.Context, source string) error {
	above := shell{filepath.Dir(r.dir), r.env}
	if err := os.MkdirAll(above.dir, 0o755); err != nil { //nolint:gosec // for all to read
		return err
	}
	if err := above.run(ctx, "git", "clone", "--quiet", source, r.dir); err != nil {
		return err
	}
	stamp, err := r.output(ctx, "git", "log", "-1", "--format=%ct")
	if err != nil {
		return err
	}
	stamp = strings.TrimSpace(stamp)
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return fmt.Errorf("time of the commit: %w", err)
	}
	r.at = time.Unix(seconds, 0).UTC()
	r.shell = r.with("SOURCE_DATE_EPOCH=" + stamp)
	return r.run(ctx, "make", client)
}

// prepare builds the program of this platform, which writes the manual page
// and the completions, and the one that reads the materials.
func (r *release) prepare(ctx context.Context) error {
	own := filepath.Join(r.bin, "own"+filepath.Ext(target{os: runtime.GOOS}.program()))
	if err := r.compile(ctx, target{runtime.GOOS, runtime.GOARCH}, own); err != nil {
		return err
	}
	info, err := buildinfo.ReadFile(own)
	if err != nil {
		return err
	}
	r.version = info.Main.Version
	if r.version == "" || r.version == "(devel)" || strings.Contains(r.version, "+") {
		return fmt.Errorf("the version %q names no commit", r.version)
	}
	r.materials = filepath.Join(r.bin, "materials"+filepath.Ext(own))
	err = r.run(ctx, "go", "build", "-modfile=internal/tools/go.mod", "-o", r.materials, "github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod")
	if err != nil {
		return err
	}
	return r.gather(ctx, own)
}

// gather collects the files that all archives have.
func (r *release) gather(ctx context.Context, own string) error {
	for name, args := range map[string][]string{
		"man/halley.1":            {"man"},
		"completions/halley.bash": {"completion", "bash"},
		"completions/_halley":     {"completion", "zsh"},
		"completions/halley.fish": {"completion", "fish"},
	} {
		text, err := r.output(ctx, own, args...)
		if err != nil {
			return err
		}
		r.common = append(r.common, file{name: name, text: []byte(text)})
	}
	for _, name := range []string{
		"LICENSE", "README.md", "CHANGELOG.md", "SECURITY.md", "docs/OPERATIONS.md", "docs/COMPATIBILITY.md", "docs/demo.png",
	} {
		f, err := r.file(name, name)
		if err != nil {
			return err
		}
		r.common = append(r.common, f)
	}
	return nil
}

// file reads a file of the source.
func (r *release) file(name, source string) (file, error) {
	text, err := os.ReadFile(filepath.Join(r.dir, filepath.FromSlash(source)))
	return file{name: name, text: text}, err
}

// compile builds the program without anything of the machine, the folder or the
// moment in it.
func (r *release) compile(ctx context.Context, t target, path string) error {
	return r.with("GOOS="+t.os, "GOARCH="+t.arch).run(ctx,
		"go", "build", "-trimpath", "-buildvcs=true", "-ldflags=-s -w -buildid=", "-o", path, "./cmd/halley")
}

// target builds and packs the program of one platform.
func (r *release) target(ctx context.Context, t target) error {
	path := filepath.Join(r.bin, t.String(), t.program())
	if err := r.compile(ctx, t, path); err != nil {
		return err
	}
	program, err := os.ReadFile(path) //nolint:gosec // built a moment ago
	if err != nil {
		return err
	}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return err
	}
	if info.Main.Version != r.version {
		return fmt.Errorf("the version is %q, that of the first program %q", info.Main.Version, r.version)
	}
	notice, err := r.notices(ctx, info)
	if err != nil {
		return err
	}
	bill, err := r.bill(ctx, path, info)
	if err != nil {
		return err
	}
	files := append([]file{
		{name: t.program(), text: program, executable: true}, {name: "NOTICE", text: notice}, {name: "halley.cdx.json", text: bill},
	}, r.common...)
	if t.os == "linux" {
		for _, name := range []string{"Containerfile", "halley.service", "halley.socket", "halley-admin.socket", "halley.yaml"} {
			place := "systemd/" + name
			if name == "Containerfile" {
				place = name
			}
			f, err := r.file(place, "internal/packaging/"+name)
			if err != nil {
				return err
			}
			files = append(files, f)
		}
	}
	name := "halley_" + r.version + "_" + t.String()
	if err := os.WriteFile(filepath.Join(r.out, name+".cdx.json"), bill, 0o644); err != nil { //nolint:gosec // for all to read
		return err
	}
	return pack(r.out, name, t.os == "windows", files, r.at)
}
