package permissions_test

import (
	"context"
	"fmt"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/extensions/permissions"
)

// The extension that finds out whom a session acts for, such as extensions/auth,
// is among those of the server.
func ExampleNew() {
	if err := serve([]bayeux.Extension{trusting{}}); err != nil {
		fmt.Println(err)
	}
	// Output: refused: no rule allows it
}

func serve(extensions []bayeux.Extension) error {
	rules, err := permissions.Compile([]permissions.Rule{{
		Operations: []bayeux.Operation{bayeux.OperationSubscribe},
		Who:        []string{"authenticated"},
		Channels:   []string{"/user/{user}/**"},
	}}, permissions.Options{})
	if err != nil {
		return err
	}
	policy := permissions.New(permissions.Config{Rules: rules})
	srv, err := server.New(server.Config{Policy: policy, Extensions: extensions})
	if err != nil {
		return err
	}
	x, err := policy.Rules().Explain(&bayeux.Subject{User: "anna"}, bayeux.OperationSubscribe, "/user/bob/inbox")
	if err == nil && !x.Allowed {
		fmt.Println("refused:", x.Why)
	}
	return srv.Shutdown(context.Background())
}
