package service_test

import (
	"context"
	"fmt"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/bayeux/service"
)

// ask makes a remote call as a client does and returns the answer.
func ask(srv *server.Server, target string, data any) (ok bool, answer string) {
	ctx := context.Background()
	got := make(chan *bayeux.Message, 1)
	client, err := srv.NewLocal(ctx, func(_ context.Context, m *bayeux.Message) { got <- m })
	if err != nil {
		return false, err.Error()
	}
	defer client.Close(ctx)
	if err := client.Publish(ctx, "/service/"+target, data); err != nil {
		return false, err.Error()
	}
	m := <-got
	return m.OK(), string(m.Data)
}

// started is a server for an example; stop ends it. The zero Config has no
// errors.
func started() (srv *server.Server, stop func()) {
	srv, _ = server.New(server.Config{})
	return srv, func() { _ = srv.Shutdown(context.Background()) }
}

type sale struct {
	Item  string `json:"item"`
	Count int    `json:"count"`
}

// A listener for data of a Go type. What does not fit is refused, and the sender
// is told which field.
func ExampleListen() {
	srv, stop := started()
	defer stop()
	ctx := context.Background()

	_, _ = service.Listen(srv, "/sales/{shop}", func(ctx context.Context, _ bayeux.Session, in sale) error {
		fmt.Println(in.Count, in.Item, "in shop", bayeux.Param(ctx, "shop"))
		return nil
	})
	fmt.Println(srv.Publish(ctx, "/sales/7", sale{"tea", 2}))
	fmt.Println(srv.Publish(ctx, "/sales/7", bayeux.Raw(`{"item":"tea","count":"two","note":"unknown fields do not matter"}`)))
	// Output:
	// 2 tea in shop 7
	// <nil>
	// 400:count:data_invalid
}

// Strict refuses fields that the type does not have.
func ExampleStrict() {
	srv, stop := started()
	defer stop()

	_, _ = service.Listen(srv, "/sales", func(_ context.Context, _ bayeux.Session, in service.Strict[sale]) error {
		fmt.Println(in.Value.Item)
		return nil
	})
	fmt.Println(srv.Publish(context.Background(), "/sales", bayeux.Raw(`{"item":"tea","colour":"green"}`)))
	// Output: 400::data_invalid
}

// Lenient leaves it to the handler what becomes of data that does not fit.
func ExampleLenient() {
	srv, stop := started()
	defer stop()

	_, _ = service.Listen(srv, "/sales", func(_ context.Context, _ bayeux.Session, in service.Lenient[sale]) error {
		if in.Err != nil || in.Value.Item == "" {
			return bayeux.Drop // whatever is wrong
		}
		return nil
	})
	fmt.Println(srv.Publish(context.Background(), "/sales", "one tea"))
	// Output: 404::message_deleted
}

// A remote call takes and returns Go types; clients call remoteCall("sum", …).
func ExampleRemoteCall() {
	srv, stop := started()
	defer stop()

	_, _ = service.RemoteCall(srv, "sum", func(_ context.Context, _ bayeux.Session, in []int) (int, error) {
		sum := 0
		for _, n := range in {
			sum += n
		}
		return sum, nil
	})
	fmt.Println(ask(srv, "sum", []int{1, 2, 3}))
	fmt.Println(ask(srv, "sum", "one and two"))
	// Output:
	// true 6
	// false {"class":"java.lang.IllegalArgumentException","message":"data: an array wanted"}
}

// A target may have parameters.
func ExampleRemoteCall_parameters() {
	srv, stop := started()
	defer stop()

	_, _ = service.RemoteCall(srv, "contacts/{id}", func(ctx context.Context, _ bayeux.Session, _ any) (string, error) {
		return "the contact " + bayeux.Param(ctx, "id"), nil
	})
	fmt.Println(ask(srv, "contacts/42", nil))
	// Output: true "the contact 42"
}

// A failure is an outcome that the caller has to know: data of its own.
func ExampleFail() {
	srv, stop := started()
	defer stop()

	_, _ = service.RemoteCall(srv, "buy", func(_ context.Context, _ bayeux.Session, in sale) (string, error) {
		return "", service.Fail(map[string]any{"soldOut": in.Item})
	})
	fmt.Println(ask(srv, "buy", sale{Item: "tea"}))
	// Output: false {"soldOut":"tea"}
}

// Clients that were written for exceptions of Java get what they look for. Other
// errors say nothing to the caller; Reveal is for those who may know.
func ExampleException() {
	srv, stop := started()
	defer stop()

	_, _ = service.RemoteCall(srv, "buy", func(_ context.Context, from bayeux.Session, in sale) (string, error) {
		err := fmt.Errorf("the database of shop 7 is down")
		switch {
		case in.Count < 0:
			return "", service.Exception("java.lang.IllegalArgumentException", "a negative count", nil)
		case from.User() == "admin":
			return "", service.Reveal(err)
		}
		return "", err // for the log
	})
	fmt.Println(ask(srv, "buy", sale{Count: -1}))
	fmt.Println(ask(srv, "buy", sale{Count: 1}))
	// Output:
	// false {"class":"java.lang.IllegalArgumentException","message":"a negative count"}
	// false {"class":"java.lang.RuntimeException","message":"the call failed"}
}

// An answer may come when the handler has returned.
func ExampleAsyncCall() {
	srv, stop := started()
	defer stop()

	waiting := make(chan *service.Caller[string], 1)
	_, _ = service.AsyncCall(srv, "brew", func(_ context.Context, caller *service.Caller[string], _ any) error {
		waiting <- caller
		return nil
	})
	go func() { _ = (<-waiting).Result(context.Background(), "tea") }()
	fmt.Println(ask(srv, "brew", nil))
	// Output: true "tea"
}
