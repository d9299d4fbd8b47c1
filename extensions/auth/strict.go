package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Bounds of the nesting of JSON: in tokens and answers, and in ext, which has
// more in it than tokens and was bounded by the server.
const (
	maxDepth    = 16
	maxExtDepth = 64
)

// parseObject reads one JSON object. A name that comes twice anywhere in it is
// an error: two readers could each see another value.
func parseObject(raw []byte, depth int) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	t, err := d.Token()
	if err != nil {
		return nil, errors.New("no JSON")
	}
	if t != json.Delim('{') {
		return nil, errors.New("no JSON object")
	}
	out, err := members(d, depth-1)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	return out, nil
}

func members(d *json.Decoder, depth int) (map[string]any, error) {
	out := map[string]any{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, errors.New("not JSON")
		}
		name, _ := t.(string)
		if _, twice := out[name]; twice {
			return nil, fmt.Errorf("the name %.64q comes twice", name)
		}
		if out[name], err = value(d, depth); err != nil {
			return nil, err
		}
	}
	return out, closing(d)
}

func elements(d *json.Decoder, depth int) ([]any, error) {
	out := []any{}
	for d.More() {
		v, err := value(d, depth)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, closing(d)
}

func closing(d *json.Decoder) error {
	if _, err := d.Token(); err != nil {
		return errors.New("not JSON")
	}
	return nil
}

func value(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, errors.New("not JSON")
	}
	delim, nested := t.(json.Delim)
	if !nested {
		return t, nil
	}
	if depth <= 0 {
		return nil, errors.New("nested too deep")
	}
	if delim == '{' {
		return members(d, depth-1)
	}
	return elements(d, depth-1)
}
