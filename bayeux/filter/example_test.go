package filter_test

import (
	"context"
	"fmt"
	"regexp"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/filter"
	"github.com/halleypush/halley/bayeux/server"
)

// Filters on a pattern: markup is shown as it was typed, an insult deletes the
// message, and whoever listens after them gets what is left.
func ExampleListener() {
	srv, err := server.New(server.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = srv.Shutdown(context.Background()) }()
	_, _ = srv.Listen("/chat/**", filter.Listener(
		filter.Refuse(regexp.MustCompile(`(?i)\bknave\b`)),
		filter.NoMarkup(),
		filter.Replace(regexp.MustCompile(`\d{4}-\d{4}`), "****"),
	))
	_, _ = srv.Listen("/chat/1", func(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
		fmt.Println(string(m.Data))
		return nil
	})
	ctx := context.Background()
	fmt.Println(srv.Publish(ctx, "/chat/1", bayeux.Raw(`{"text":"<b>1234-5678</b>", "size":1.50}`)))
	fmt.Println(srv.Publish(ctx, "/chat/1", "Thou knave!"))
	// Output:
	// {"text":"&lt;b&gt;****&lt;/b&gt;", "size":1.50}
	// <nil>
	// 404::message_deleted
}

// As an extension filters see what clients send before policies do.
func ExampleExtension() {
	scripts, err := filter.Extension("/chat/**", filter.NoScripts())
	if err != nil {
		fmt.Println(err)
		return
	}
	srv, err := server.New(server.Config{Extensions: []bayeux.Extension{scripts}})
	fmt.Println(err)
	_ = srv.Shutdown(context.Background())
	// Output: <nil>
}

// A walk over all values, whatever their kind.
func ExampleFilter() {
	noFractions := filter.Filter(func(value bayeux.Raw) (bayeux.Raw, error) {
		for i, c := range value {
			if c == '.' && value[0] != '"' {
				return value[:i], nil
			}
		}
		return value, nil
	})
	data, err := filter.Apply(bayeux.Raw(`{"price": 9.99, "note": "9.99"}`), noFractions)
	fmt.Println(string(data), err)
	// Output: {"price": 9, "note": "9.99"} <nil>
}
