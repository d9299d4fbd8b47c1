package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"runtime/debug"
	"strings"
	"time"
)

// object is a JSON object of a bill of materials, whose parts we pass on as
// they are unless we mend them.
type object = map[string]any

// bill is the bill of materials of a program, in CycloneDX: what
// cyclonedx-gomod reads from the program, with the CometD client of the demo
// page, and without what is of this machine or moment.
func (r *release) bill(ctx context.Context, path string, info *debug.BuildInfo) ([]byte, error) {
	// It looks for licences in the module cache; nothing is asked for.
	text, err := r.with("GOPROXY=off").output(ctx, r.materials, "bin", "-json", "-std", "-licenses", "-noserial", "-notimestamp", "-output-version", "1.6", path)
	if err != nil {
		return nil, err
	}
	var b object
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		return nil, fmt.Errorf("bill of materials: %w", err)
	}
	client, err := r.clientComponent()
	if err != nil {
		return nil, err
	}
	program, err := os.ReadFile(path) //nolint:gosec // built a moment ago
	if err != nil {
		return nil, err
	}
	if err := mend(b, sha256.Sum256(program), r.at, client); err != nil {
		return nil, fmt.Errorf("bill of materials: %w", err)
	}
	if err := verify(b, info); err != nil {
		return nil, fmt.Errorf("bill of materials: %w", err)
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err = e.Encode(b)
	return out.Bytes(), err
}

// lock is what we need of package-lock.json.
type lock struct {
	Packages map[string]struct{ Version, Integrity, License string }
}

func (r *release) readLock() (version, integrity, license string, err error) {
	f, err := r.file("", "internal/demo/package-lock.json")
	if err != nil {
		return "", "", "", err
	}
	var l lock
	if err := json.Unmarshal(f.text, &l); err != nil {
		return "", "", "", err
	}
	p := l.Packages["node_modules/cometd"]
	if p.Version == "" || p.License == "" {
		return "", "", "", errors.New("package-lock.json has no cometd")
	}
	return p.Version, p.Integrity, p.License, nil
}

func (r *release) clientVersion() (string, error) {
	version, _, _, err := r.readLock()
	return version, err
}

// clientComponent describes the CometD client that the demo page runs on.
func (r *release) clientComponent() (object, error) {
	version, integrity, license, err := r.readLock()
	if err != nil {
		return nil, err
	}
	sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(integrity, "sha512-"))
	if err != nil || len(sum) != 64 {
		return nil, fmt.Errorf("integrity of cometd: %q is no SHA-512", integrity)
	}
	ref := "pkg:npm/cometd@" + version
	return object{
		"bom-ref": ref, "type": "library", "name": "cometd", "version": version, "scope": "required", "purl": ref,
		"description": "the client of the demo page, embedded",
		"hashes":      []any{object{"alg": "SHA-512", "content": hex.EncodeToString(sum)}},
		"licenses":    licensed(license),
	}, nil
}

// mend takes out what is of this machine, adds the client, and says who made
// the bill when. The serial number is made of the program's checksum.
func mend(b object, sum [sha256.Size]byte, at time.Time, client object) error {
	meta, ok := b["metadata"].(object)
	if !ok {
		return errors.New("no metadata")
	}
	main, ok := meta["component"].(object)
	if !ok {
		return errors.New("no component of its own")
	}
	tools, ok := meta["tools"].([]any)
	if !ok || len(tools) == 0 {
		return errors.New("no tools")
	}
	for t := range objects(tools) {
		delete(t, "hashes") // those of the tool as it was built here
	}
	id := sum[:16]
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80 // version 8: made of what we like
	b["serialNumber"] = fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
	meta["timestamp"] = at.UTC().Format(time.RFC3339)
	main["licenses"] = licensed("Apache-2.0")

	components, _ := b["components"].([]any)
	for c := range objects(components) {
		if c["name"] == "std" {
			c["licenses"] = licensed("BSD-3-Clause") // it is no module, so the tool does not look
		}
	}
	b["components"] = append(components, client)
	dependencies, _ := b["dependencies"].([]any)
	for d := range objects(dependencies) {
		if d["ref"] == main["bom-ref"] {
			on, _ := d["dependsOn"].([]any)
			d["dependsOn"] = append(on, client["bom-ref"])
		}
	}
	b["dependencies"] = append(dependencies, object{"ref": client["bom-ref"]})
	return nil
}

func licensed(id string) []any { return []any{object{"license": object{"id": id}}} }

// objects yields those elements that are objects.
func objects(all []any) iter.Seq[object] {
	return func(yield func(object) bool) {
		for _, one := range all {
			if o, ok := one.(object); ok && !yield(o) {
				return
			}
		}
	}
}

// verify checks that a bill has each module of the program, Go's own library
// and the client once, each with a licence, and that its references lead
// somewhere.
func verify(b object, info *debug.BuildInfo) error {
	want := map[string]bool{"std@" + info.GoVersion: true}
	for _, m := range info.Deps {
		want[m.Path+"@"+m.Version] = true
	}
	refs := map[any]bool{}
	if meta, ok := b["metadata"].(object); ok {
		if main, ok := meta["component"].(object); ok {
			refs[main["bom-ref"]] = true
		}
	}
	components, _ := b["components"].([]any)
	for _, c := range components {
		c, ok := c.(object)
		if !ok {
			return errors.New("a component is no object")
		}
		name := fmt.Sprintf("%v@%v", c["name"], c["version"])
		if refs[c["bom-ref"]] {
			return fmt.Errorf("%s stands twice", name)
		}
		refs[c["bom-ref"]] = true
		if c["licenses"] == nil && c["evidence"] == nil {
			return fmt.Errorf("%s has no licence", name)
		}
		if !want[name] && c["name"] != "cometd" {
			return fmt.Errorf("%s is not linked", name)
		}
		delete(want, name)
	}
	for name := range want {
		return fmt.Errorf("%s is missing", name)
	}
	return verifyReferences(b, refs)
}

func verifyReferences(b object, refs map[any]bool) error {
	dependencies, _ := b["dependencies"].([]any)
	seen := map[any]bool{}
	for _, d := range dependencies {
		d, ok := d.(object)
		if !ok {
			return errors.New("a dependency is no object")
		}
		on, _ := d["dependsOn"].([]any)
		for _, ref := range append(on, d["ref"]) {
			if !refs[ref] {
				return fmt.Errorf("%v is depended on and not there", ref)
			}
		}
		seen[d["ref"]] = true
	}
	if len(seen) != len(refs) {
		return fmt.Errorf("%d of %d components have their dependencies", len(seen), len(refs))
	}
	return nil
}
