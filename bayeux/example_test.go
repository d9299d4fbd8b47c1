package bayeux_test

import (
	"context"
	"fmt"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/channels"
)

// speaker is a session of a user, as policies see it.
type speaker struct {
	bayeux.Session
	user string
}

func (s speaker) User() string { return s.user }

// quiet lets nobody publish at night.
type quiet struct {
	bayeux.DefaultPolicy
	night bool
}

func (q quiet) CanPublish(context.Context, bayeux.Session, channels.Name, *bayeux.Message) error {
	if q.night {
		return bayeux.Deny("it_is_night")
	}
	return nil
}

// admins lets administrators do everything.
type admins struct{ bayeux.DefaultPolicy }

func (admins) CanPublish(_ context.Context, s bayeux.Session, _ channels.Name, _ *bayeux.Message) error {
	if s.User() != "admin" {
		return bayeux.Deny("not_an_admin")
	}
	return nil
}

// All of several policies have to allow; the first that refuses gives the
// reason.
func ExampleAllOf() {
	policy := bayeux.AllOf(quiet{night: true}, admins{})
	fmt.Println(policy.CanPublish(context.Background(), speaker{user: "ann"}, "/news", &bayeux.Message{}))
	// Output: 403:it_is_night:
}

// One of several policies has to allow.
func ExampleAnyOf() {
	policy := bayeux.AnyOf(admins{}, quiet{night: true})
	for _, user := range []string{"admin", "ann"} {
		fmt.Println(policy.CanPublish(context.Background(), speaker{user: user}, "/news", &bayeux.Message{}))
	}
	// Output:
	// <nil>
	// 403:it_is_night:
}

// Authorizers decide channel by channel: where there are some one has to grant,
// and none may refuse. Parameters of templates reach them.
func ExampleAuthorizers() {
	policy := bayeux.NewAuthorizers(bayeux.DefaultPolicy{})
	_, _ = policy.Add("/home/**", func(context.Context, bayeux.Operation, channels.Name, bayeux.Session, *bayeux.Message) bayeux.Verdict {
		return bayeux.Ignore() // unless somebody grants, nobody may do anything here
	})
	_, _ = policy.Add("/home/{user}", func(ctx context.Context, op bayeux.Operation, _ channels.Name, s bayeux.Session, _ *bayeux.Message) bayeux.Verdict {
		switch {
		case bayeux.Param(ctx, "user") == s.User():
			return bayeux.Grant()
		case op == bayeux.OperationPublish:
			return bayeux.Refuse("not_your_home")
		}
		return bayeux.Ignore()
	})
	ctx, ann, m := context.Background(), speaker{user: "ann"}, &bayeux.Message{}
	fmt.Println(policy.CanPublish(ctx, ann, "/home/ann", m))
	fmt.Println(policy.CanPublish(ctx, ann, "/home/bob", m))
	fmt.Println(policy.CanSubscribe(ctx, ann, channels.Compile("/home/bob"), m))
	fmt.Println(policy.CanPublish(ctx, ann, "/elsewhere", m))
	// Output:
	// <nil>
	// 403:not_your_home:
	// 403:denied_by_not_granting:
	// <nil>
}
