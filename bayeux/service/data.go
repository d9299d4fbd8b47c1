package service

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"

	"github.com/halleypush/halley/bayeux"
)

// DataInvalid is the text of the *bayeux.Error that refuses data which does not
// fit.
const DataInvalid = "data_invalid"

// Strict is a type of data that refuses fields which T does not have.
type Strict[T any] struct{ Value T }

// UnmarshalJSON implements json.Unmarshaler.
func (s *Strict[T]) UnmarshalJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(&s.Value)
}

// Lenient is a type of data that is not refused: where the data does not fit,
// Value is the zero T and Err says why, for handlers that answer in their own
// way. Err may hold parts of the data.
type Lenient[T any] struct {
	Value T
	Err   error
}

// UnmarshalJSON implements json.Unmarshaler.
func (l *Lenient[T]) UnmarshalJSON(data []byte) error {
	var v T
	if l.Err = json.Unmarshal(data, &v); l.Err == nil {
		l.Value = v
	}
	return nil
}

// misfit says why data does not fit a type, in words that hold nothing of the
// data and nothing of the program but the names of fields.
type misfit struct {
	field string // a path, empty where there is none to tell
	want  string
}

func (w *misfit) refusal() *bayeux.Error {
	return &bayeux.Error{Code: 400, Args: w.field, Text: DataInvalid}
}

func (w *misfit) String() string {
	if w.field == "" {
		return "data: " + w.want + " wanted"
	}
	return "data: " + w.want + " wanted in " + w.field
}

func decode[In any](data bayeux.Raw) (in In, wrong *misfit) {
	if len(data) == 0 {
		return in, nil
	}
	err := json.Unmarshal(data, &in)
	if err == nil {
		return in, nil
	}
	var zero In
	return zero, explain(err)
}

func explain(err error) *misfit {
	e, ok := errors.AsType[*json.UnmarshalTypeError](err)
	switch {
	case ok:
		return &misfit{field: plain(e.Field), want: wanted(e)}
	case strings.HasPrefix(err.Error(), "json: unknown field"):
		return &misfit{want: "no unknown field"}
	}
	return &misfit{want: "another value"}
}

// wanted names the kind of JSON that a type takes.
func wanted(e *json.UnmarshalTypeError) string {
	t := e.Type
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil {
		return "another value"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "a boolean"
	case reflect.String:
		return "a string"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number in range"
	case reflect.Float32, reflect.Float64:
		return "a number in range"
	default:
		return "another value"
	}
}

// longestField bounds the path of a field that is told.
const longestField = 128

// plain returns a path of fields if it may stand in an error's args, else "".
func plain(path string) string {
	if len(path) > longestField || strings.ContainsFunc(path, func(r rune) bool {
		return r != '_' && r != '.' && r != '-' && (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z')
	}) {
		return ""
	}
	return path
}
