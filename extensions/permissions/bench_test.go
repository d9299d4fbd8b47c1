package permissions

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/channels"
)

// thousand are 1,000 rules as a large site might have: channels of their own,
// of users, of groups and claims, several for one channel, and denials.
func thousand() []Rule {
	rules := make([]Rule, 0, 1000)
	for i := range 1000 {
		n := strconv.Itoa(i)
		switch i % 5 {
		case 0:
			rules = append(rules, allow(bayeux.OperationSubscribe, "everyone", "/news/"+n+"/**"))
		case 1:
			rules = append(rules, allow(bayeux.OperationSubscribe, "user:u"+n, "/desk", "/desk/*"))
		case 2:
			rules = append(rules, allow(bayeux.OperationSubscribe, "group:g"+n, "/team/"+n, "/shared/**"))
		case 3:
			rules = append(rules, deny(bayeux.OperationSubscribe, "claim:level="+n, "/news/"+n+"/secret"))
		case 4:
			rules = append(rules, allow(bayeux.OperationSubscribe, "authenticated", "/tenant"+n+"/{tenant}/{user}/**"))
		}
	}
	return rules
}

var someone = &bayeux.Subject{
	User: "u996", Groups: []string{"g997", "staff", "g502", "everybody"},
	Claims: map[string]any{"tenant": "acme", "level": "3", "iss": "https://issuer.example"},
}

var checks = []struct {
	name    string
	channel channels.Name
	want    bool
	nobody  bool // what anonymous sessions may
}{
	{"Hit", "/news/995/today", true, true},
	{"Miss", "/news/none/today", false, false},
	{"Wildcard", "/news/995/**", true, true},
	{"WildcardMiss", "/**", false, false},
	{"User", "/desk/3", true, false},
	{"Group", "/shared/1/2/3", true, false},
	{"Claims", "/tenant999/acme/u996/inbox", true, false},
}

// BenchmarkCheck is what a check costs with 1,000 rules: from the cache, without
// it, and for a subject that was never seen.
func BenchmarkCheck(b *testing.B) {
	rules := compile(b, thousand()...)
	ctx := context.Background()
	for _, c := range checks {
		p := channels.Compile(c.channel)
		run := func(name string, policy *Policy, x *bayeux.Subject, want bool) {
			b.Run(name+"/"+c.name, func(b *testing.B) {
				who := as(x)
				require.Equal(b, want, policy.CanSubscribe(ctx, who, p, nil) == nil)
				b.ReportAllocs()
				for b.Loop() {
					_ = policy.CanSubscribe(ctx, who, p, nil)
				}
			})
		}
		run("Cached", New(Config{Rules: rules}), someone, c.want)
		run("Cold", New(Config{Rules: rules, NoCache: true}), someone, c.want)
		run("Anonymous", New(Config{Rules: rules}), nil, c.nobody)
	}
	b.Run("FirstOfSubject", func(b *testing.B) {
		policy, p := New(Config{Rules: rules}), channels.Compile("/news/995/today")
		b.ReportAllocs()
		for b.Loop() {
			s := *someone
			_ = policy.CanSubscribe(ctx, as(&s), p, nil)
		}
	})
	b.Run("Parallel", func(b *testing.B) {
		policy, p := New(Config{Rules: rules}), channels.Compile("/news/995/today")
		b.RunParallel(func(pb *testing.PB) {
			s := *someone
			who := as(&s)
			for pb.Next() {
				_ = policy.CanSubscribe(ctx, who, p, nil)
			}
		})
	})
}

// BenchmarkMemory tells what is kept for a subject, before and after it has used
// 16 channels.
func BenchmarkMemory(b *testing.B) {
	rules := compile(b, thousand()...)
	for _, used := range []int{1, 16} {
		b.Run(fmt.Sprintf("Channels%d", used), func(b *testing.B) {
			const many = 10_000
			for b.Loop() {
				policy := New(Config{Rules: rules})
				sessions := make([]*session, many)
				for i := range sessions {
					s := *someone
					sessions[i] = as(&s)
				}
				before := heap()
				for _, s := range sessions {
					for i := range used {
						_ = policy.CanSubscribe(context.Background(), s, channels.Compile(channels.Name("/news/"+strconv.Itoa(i))), nil)
					}
				}
				b.ReportMetric(float64(heap()-before)/many, "B/subject")
				runtime.KeepAlive(sessions)
				runtime.KeepAlive(policy)
			}
		})
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
