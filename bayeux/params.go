package bayeux

import (
	"context"

	"github.com/halleypush/halley/channels"
)

type paramsKey struct{}

// params is what a listener's template and the channel of the message are; the
// parameters are looked up when somebody asks.
type params struct {
	template channels.Template
	name     channels.Name
}

// WithParams returns a context whose parameters, as Param returns them, are
// those of the template in the channel's name. Used by what calls listeners.
func WithParams(ctx context.Context, template channels.Template, ch channels.Name) context.Context {
	if !template.Bound() {
		return ctx
	}
	return context.WithValue(ctx, paramsKey{}, params{template, ch})
}

// Param returns a parameter of the channel that a listener, an authorizer or a
// life-cycle listener is called for: of {id} in /room/{id} by the name "id";
// what a wildcard at the end stands for by the name channels.Wild ("*"), "b/c"
// of /a/b/c for /a/**. It is empty where there is none.
func Param(ctx context.Context, name string) string {
	p, _ := ctx.Value(paramsKey{}).(params)
	value, _ := p.template.Param(p.name, name)
	return value
}
