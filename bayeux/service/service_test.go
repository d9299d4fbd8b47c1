package service_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/bayeux/service"
)

type order struct {
	Item  string  `json:"item"`
	Count int8    `json:"count"`
	Price float64 `json:"price"`
	Tags  []struct {
		Name *string `json:"name"`
	} `json:"tags"`
	Odd map[string]bool `json:"o:d"`
}

// Data comes as a value of the type; what does not fit is refused with the
// field, and does not reach the handler ([R-MSG-14]).
func TestListen(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		var got []string
		_, err := service.Listen(r.srv, "/orders/{shop}", func(ctx context.Context, from bayeux.Session, in order) error {
			got = append(got, fmt.Sprintf("%s %t %s %d %v", bayeux.Param(ctx, "shop"), from != nil, in.Item, in.Count, in.Price))
			if in.Item == "none" {
				return bayeux.Drop
			}
			return nil
		})
		require.NoError(t, err)
		u := r.hello()
		for data, want := range map[string]string{
			`{"item":"tea","count":2,"price":1.5,"more":{"x":[1]}}`: "fits: unknown fields are ignored",
			`{"ITEM":"tea","count":1,"count":2,"price":1.5}`:        "fits: as encoding/json reads",
			`{"item":1}`:             "400:item:data_invalid",
			`{"count":"2"}`:          "400:count:data_invalid",
			`{"count":200}`:          "400:count:data_invalid",
			`{"count":1.5}`:          "400:count:data_invalid",
			`{"price":1e999}`:        "400:price:data_invalid",
			`{"tags":{}}`:            "400:tags:data_invalid",
			`{"tags":[{"name":{}}]}`: "400:tags.name:data_invalid",
			`{"o:d":{"a":1}}`:        "400::data_invalid", // no such args on the wire
			`[1]`:                    "400::data_invalid",
			`"x"`:                    "400::data_invalid",
			strings.Repeat(`[`, 60) + strings.Repeat(`]`, 60): "400::data_invalid",
			`{"item":"none"}`: "404::message_deleted",
		} {
			reply := u.send("/orders/7", data)
			if strings.HasPrefix(want, "fits") {
				same(t, `[{"channel":"/orders/7","id":"7","successful":true}]`, reply)
				require.Equal(t, []string{"7 true tea 2 1.5"}, got)
			} else {
				same(t, `[{"channel":"/orders/7","id":"7","successful":false,"error":"`+want+`"}]`, reply)
				require.Equal(t, want == "404::message_deleted", len(got) == 1, data)
			}
			got = nil
		}
		for _, nothing := range []string{"null", `{}`} {
			u.send("/orders/7", nothing)
			require.Equal(t, []string{"7 true  0 0"}, got)
			got = nil
		}
		require.NoError(t, r.srv.Publish(t.Context(), "/orders/9", order{Item: "tea"}))
		require.Equal(t, []string{"9 false tea 0 0"}, got)
		require.Empty(t, r.log.Take())
	})
}

// A handler that fails does not stop its message; one that panics does.
func TestListenFails(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		remove, err := service.Listen(r.srv, "/service/it", func(_ context.Context, _ bayeux.Session, in string) error {
			switch in {
			case "fail":
				return errors.New("oops")
			case "refuse":
				return bayeux.Deny("no")
			default:
				panic("a secret")
			}
		})
		require.NoError(t, err)
		u := r.hello()
		same(t, `[`+fine+`]`, u.send("/service/it", `"fail"`))
		require.Contains(t, r.log.Take(), "oops")
		same(t, `[{"channel":"/service/it","id":"7","successful":false,"error":"403:no:message_deleted"}]`, u.send("/service/it", `"refuse"`))
		same(t, `[{"channel":"/service/it","id":"7","successful":false,"error":"404::message_deleted"}]`, u.send("/service/it", `""`))
		require.NotContains(t, r.log.Take(), "a secret")
		remove()
		same(t, `[`+fine+`]`, u.send("/service/it", `5`))
		_, err = service.Listen(r.srv, "no slash", func(context.Context, bayeux.Session, int) error { return nil })
		require.Error(t, err)
		_, err = service.Listen(r.srv, "/service/it", func(context.Context, bayeux.Session, chan int) error { return nil })
		require.NoError(t, err)
		same(t, `[{"channel":"/service/it","id":"7","successful":false,"error":"400::data_invalid"}]`, u.send("/service/it", `5`))
	})
}

// Strict refuses what its type does not have, Lenient nothing, raw data is given as it came, and
// a pointer tells nothing from zero.
func TestKindsOfData(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		type small struct {
			A int `json:"a"`
		}
		var got []string
		_, err := service.Listen(r.srv, "/strict", func(_ context.Context, _ bayeux.Session, in service.Strict[small]) error {
			got = append(got, fmt.Sprint("strict ", in.Value.A))
			return nil
		})
		require.NoError(t, err)
		_, err = service.Listen(r.srv, "/raw", func(_ context.Context, _ bayeux.Session, in bayeux.Raw) error {
			got = append(got, "raw "+string(in))
			return nil
		})
		require.NoError(t, err)
		_, err = service.Listen(r.srv, "/pointer", func(_ context.Context, _ bayeux.Session, in *small) error {
			got = append(got, fmt.Sprint("pointer ", in == nil))
			return nil
		})
		require.NoError(t, err)
		_, err = service.Listen(r.srv, "/lenient", func(_ context.Context, _ bayeux.Session, in service.Lenient[small]) error {
			got = append(got, fmt.Sprint("lenient ", in.Value.A, " ", in.Err != nil))
			return nil
		})
		require.NoError(t, err)
		u := r.hello()
		for data, want := range map[string]string{
			`{"a":1}`: "lenient 1 false", `{"a":"x"}`: "lenient 0 true", `[]`: "lenient 0 true", `null`: "lenient 0 false", `{"b":1}`: "lenient 0 false",
		} {
			u.send("/lenient", data)
			require.Equal(t, []string{want}, got)
			got = nil
		}
		invalid := `[{"channel":"/strict","id":"7","successful":false,"error":"400:%s:data_invalid"}]`
		same(t, fmt.Sprintf(invalid, ""), u.send("/strict", `{"a":1,"b":2}`))
		same(t, fmt.Sprintf(invalid, "a"), u.send("/strict", `{"a":"x"}`))
		u.send("/strict", `{"a":1}`)
		u.send("/raw", `{"n": 1.50}`)
		u.send("/pointer", `null`)
		u.send("/pointer", `{}`)
		require.Equal(t, []string{"strict 1", `raw {"n": 1.50}`, "pointer true", "pointer false"}, got)
	})
}

type result struct {
	Sum int `json:"sum"`
}

// calls answers the calls of "it" as the data says.
func calls(t *testing.T, r *rig) {
	t.Helper()
	_, err := service.RemoteCall(r.srv, "it", func(_ context.Context, _ bayeux.Session, in string) (*result, error) {
		switch in {
		case "result":
			return &result{5}, nil
		case "nothing":
			return nil, nil //nolint:nilnil // what is tested
		case "fail":
			return nil, fmt.Errorf("wrapped: %w", service.Fail(map[string]int{"code": 7}))
		case "fail badly":
			return nil, service.Fail(func() {})
		case "exception":
			return nil, service.Exception("java.lang.IllegalStateException", "boom!", errors.New("the cause"))
		case "reveal":
			return nil, service.Reveal(&bayeux.DecodeError{Text: "so"})
		case "error":
			return nil, errors.New("a secret")
		case "refuse":
			return nil, bayeux.Deny("not_now")
		case "drop":
			return nil, bayeux.Drop
		}
		panic("a secret")
	})
	require.NoError(t, err)
}

// What a caller gets for each outcome, ahead of the reply to its message, and
// what is logged ([R-SV-1], [R-SV-2], [R-SV-3]).
func TestRemoteCall(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		calls(t, r)
		u := r.hello()
		answer := func(ok bool, data string) string {
			return fmt.Sprintf(`[{"channel":"/service/it","id":"7","successful":%t,"data":%s},%s]`, ok, data, fine)
		}
		refusal := `[{"channel":"/service/it","id":"7","successful":false,"error":"%s"}]`
		hidden := answer(false, `{"class":"java.lang.RuntimeException","message":"the call failed"}`)
		for _, c := range []struct{ in, want, log string }{
			{`"result"`, answer(true, `{"sum":5}`), ""},
			{`"nothing"`, answer(true, `null`), ""},
			{`"fail"`, answer(false, `{"code":7}`), ""},
			{`"fail badly"`, hidden, "unsupported type"},
			{`"exception"`, answer(false, `{"class":"java.lang.IllegalStateException","message":"boom!"}`), "the cause"},
			{`"reveal"`, answer(false, `{"class":"java.lang.RuntimeException","message":"*bayeux.DecodeError: bayeux: kind 0: so at byte 0"}`), "so at byte"},
			{`"error"`, hidden, "a secret"},
			{`"panic"`, hidden, "service_test.go"},
			{`"refuse"`, fmt.Sprintf(refusal, "403:not_now:message_deleted"), ""},
			{`"drop"`, fmt.Sprintf(refusal, "404::message_deleted"), ""},
			{`7`, answer(false, `{"class":"java.lang.IllegalArgumentException","message":"data: a string wanted"}`), ""},
		} {
			same(t, c.want, u.send("/service/it", c.in))
			log := r.log.Take()
			require.Equal(t, c.log == "", log == "", "%s: %s", c.in, log)
			require.Contains(t, log, c.log)
			if c.in == `"panic"` {
				require.NotContains(t, log, "a secret")
			}
		}
		// An unknown target is acknowledged, and that is all.
		same(t, `[{"channel":"/service/other","id":"7","successful":true}]`, u.send("/service/other", `1`))
	})
}

// A result keeps its place among other messages and reaches its caller alone;
// a call without an id is answered without one.
func TestRemoteCallDelivery(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		calls(t, r)
		u, other := r.hello(), r.hello()
		reply := r.Post(u.cookie, strings.ReplaceAll(
			`[{"channel":"/service/it","clientId":"$","id":"1","data":"result"},{"channel":"/service/it","clientId":"$","data":"result"}]`, "$", u.id))
		same(t, `[{"channel":"/service/it","id":"1","successful":true,"data":{"sum":5}},{"channel":"/service/it","successful":true,"data":{"sum":5}},
			{"channel":"/service/it","id":"1","successful":true},{"channel":"/service/it","successful":true}]`, reply.Messages)
		require.Empty(t, other.connect())

		s := r.Dial(nil)
		s.Send(`[{"channel":"/meta/handshake"}]`)
		u.id, _ = s.Next(time.Second).Messages[0]["clientId"].(string)
		s.Send(u.body("/service/it", `"result"`))
		same(t, `[{"channel":"/service/it","id":"7","successful":true,"data":{"sum":5}}]`, s.Next(time.Second).Messages)
		same(t, `[`+fine+`]`, s.Next(time.Second).Messages)
		s.Cut()
	})
}

// A target may have parameters, and a slash in front; it is no wildcard.
func TestTargets(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		answer := func(ctx context.Context, _ bayeux.Session, _ struct{}) (string, error) {
			return bayeux.Param(ctx, "id"), nil
		}
		remove, err := service.RemoteCall(r.srv, "/contacts/{id}/name", answer)
		require.NoError(t, err)
		u := r.hello()
		same(t, `[{"channel":"/service/contacts/42/name","id":"7","successful":true,"data":"42"},{"channel":"/service/contacts/42/name","id":"7","successful":true}]`,
			u.send("/service/contacts/42/name", "{}"))
		remove()
		require.Len(t, u.send("/service/contacts/42/name", "{}"), 1)
		for _, bad := range []string{"", "a/*", "**", "a//b", "a?"} {
			_, err := service.RemoteCall(r.srv, bad, answer)
			require.ErrorContains(t, err, "remote call", bad)
		}
	})
}

// A call may be answered later, once, from anywhere.
func TestAsyncCall(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		var callers []*service.Caller[int]
		_, err := service.AsyncCall(r.srv, "it", func(ctx context.Context, caller *service.Caller[int], in int) error {
			callers = append(callers, caller)
			if in == 1 {
				return errors.New("at once")
			}
			return nil
		})
		require.NoError(t, err)
		u := r.hello()
		same(t, `[`+fine+`]`, u.send("/service/it", "0"))
		require.Equal(t, u.id, callers[0].Session().ID())
		ctx := t.Context()
		var all sync.WaitGroup
		var mu sync.Mutex
		answered := 0
		for range 8 {
			all.Go(func() {
				if err := callers[0].Result(ctx, 5); err != nil {
					assert.ErrorIs(t, err, service.ErrAnswered)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				answered++
			})
		}
		all.Wait()
		require.Equal(t, 1, answered)
		require.ErrorIs(t, callers[0].Fail(ctx, errors.New("late")), service.ErrAnswered)
		same(t, `[{"channel":"/service/it","id":"7","successful":true,"data":5}]`, u.connect())

		require.Len(t, u.send("/service/it", "1"), 2)
		require.ErrorIs(t, callers[1].Result(ctx, 1), service.ErrAnswered)
		require.Contains(t, r.log.Take(), "at once")

		u.send("/service/it", "0")
		require.NoError(t, callers[2].Fail(ctx, bayeux.Deny("x"))) // too late to refuse
		same(t, `[{"channel":"/service/it","id":"7","successful":false,"data":{"class":"java.lang.RuntimeException","message":"the call failed"}}]`, u.connect())

		u.send("/service/it", "0")
		require.NoError(t, r.srv.Remove(u.id))
		require.ErrorIs(t, callers[3].Result(ctx, 1), server.ErrNoSession)
	})
}

// A handler that blocks keeps its own client waiting and nobody else; its
// context ends in time, and with the call.
func TestHandlersHarmNobody(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		stop := make(chan struct{})
		var kept context.Context
		handle := func(ctx context.Context, in string) {
			switch in {
			case "blocks":
				<-stop
			case "waits":
				<-ctx.Done()
			case "keeps":
				kept = ctx
			}
		}
		_, err := service.Listen(r.srv, "/heard", func(ctx context.Context, _ bayeux.Session, in string) error {
			handle(ctx, in)
			return nil
		})
		require.NoError(t, err)
		_, err = service.RemoteCall(r.srv, "it", func(ctx context.Context, _ bayeux.Session, in string) (string, error) {
			handle(ctx, in)
			return in, ctx.Err()
		})
		require.NoError(t, err)
		for _, channel := range []string{"/heard", "/service/it"} {
			sick, well := r.hello(), r.hello()
			start := time.Now()
			blocked := sick.later(channel, `"blocks"`)
			synctest.Wait()
			for range 3 {
				require.NotEmpty(t, well.send(channel, `"fine"`))
				require.NotEmpty(t, sick.send(channel, `"fine"`), "other requests of its own go on")
			}
			require.Zero(t, time.Since(start))
			stop <- struct{}{}
			require.NotEmpty(t, (<-blocked).Messages)

			well.send(channel, `"waits"`)
			require.Equal(t, 2*time.Second, time.Since(start))
			well.send(channel, `"keeps"`)
			require.ErrorIs(t, kept.Err(), context.Canceled)
			<-kept.Done()
		}
	})
}

// Local sessions call as others do.
func TestLocalCalls(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		calls(t, r)
		got := make(chan string, 1)
		l, err := r.srv.NewLocal(t.Context(), func(_ context.Context, m *bayeux.Message) {
			got <- fmt.Sprintf("%s %t %s", m.Channel, m.OK(), m.Data)
		})
		require.NoError(t, err)
		require.NoError(t, l.Publish(t.Context(), "/service/it", "result"))
		require.Equal(t, `/service/it true {"sum":5}`, <-got)
		l.Close(t.Context())
	})
}
