//go:build interop

package interop

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/service"
)

// callScript has a CometD client for JavaScript call, and tells what comes back, one line for each call.
const callScript = `
import {createRequire} from "node:module";
const [url, major, transport] = process.argv.slice(1);
const require = createRequire(process.cwd() + "/");
let CometD;
if (Number(major) <= 7) {
    require("cnc1").adapt();
    CometD = require("cometd" + major).CometD;
} else {
    (await import("cometd-nodejs-client")).adapt();
    ({CometD} = await import("cometd" + major));
}
const cometd = new CometD();
for (const type of ["websocket", "long-polling", "callback-polling"]) {
    if (type !== transport) {
        cometd.unregisterTransport(type);
    }
}
cometd.configure({url, logLevel: "warn", maxNetworkDelay: 30000});
const tell = (name, m) => process.stdout.write(JSON.stringify({
    name, ok: m.successful === true, data: m.data === undefined ? "absent" : m.data, error: m.error ?? "",
}) + "\n");
const call = (name, target, data, timeout) => new Promise(done => cometd.remoteCall(target, data, timeout, m => { tell(name, m); done(); }));
cometd.handshake(async () => {
    await call("result", "echo", {x: [1, 2.5, "é"]}, 30000);
    await call("slash", "/echo", "text", 30000);
    await call("parameter", "contacts/42", {}, 30000);
    await call("nothing", "nothing", {}, 30000);
    await call("failure", "fail", {}, 30000);
    await call("exception", "exception", {}, 30000);
    await call("error", "error", {}, 30000);
    await call("panic", "panic", {}, 30000);
    await call("misfit", "contacts/42", "no object", 30000);
    await call("refused", "refused", {}, 30000);
    await call("unknown", "unknown", {}, 500);
    await Promise.all([call("late", "late", 1, 30000), call("other", "echo", 2, 30000)]);
    cometd.disconnect(() => process.exit(0));
});
`

// callProgram does the same with CometD's client for Java.
const callProgram = `
import java.util.*;
import java.util.concurrent.*;
import org.cometd.bayeux.Message;
import org.cometd.client.BayeuxClient;
import org.cometd.client.http.jetty.JettyHttpClientTransport;
import org.cometd.client.websocket.jakarta.WebSocketTransport;
import org.cometd.client.transport.ClientTransport;
import org.eclipse.jetty.client.HttpClient;
import org.eclipse.jetty.util.ajax.JSON;

public class Calls {
    static BayeuxClient client;

    static CompletableFuture<Void> start(String name, String target, Object data) {
        CompletableFuture<Void> done = new CompletableFuture<>();
        client.remoteCall(target, data, m -> {
            Map<String, Object> line = new LinkedHashMap<>();
            line.put("name", name);
            line.put("ok", m.isSuccessful());
            line.put("data", m.containsKey("data") ? m.getData() : "absent");
            line.put("error", m.get("error") == null ? "" : m.get("error"));
            synchronized (Calls.class) {
                System.out.println(new JSON().toJSON(line));
            }
            done.complete(null);
        });
        return done;
    }

    static void call(String name, String target, Object data) throws Exception {
        start(name, target, data).get(60, TimeUnit.SECONDS);
    }

    public static void main(String[] args) throws Exception {
        ClientTransport transport;
        HttpClient http = new HttpClient();
        if (args[1].equals("websocket")) {
            transport = new WebSocketTransport(null, null, jakarta.websocket.ContainerProvider.getWebSocketContainer());
        } else {
            http.start();
            transport = new JettyHttpClientTransport(null, http);
        }
        Map<String, Object> options = new HashMap<>();
        client = new BayeuxClient(args[0], transport);
        client.handshake();
        if (!client.waitFor(60000, BayeuxClient.State.CONNECTED)) {
            System.exit(1);
        }
        Map<String, Object> empty = new HashMap<>();
        call("result", "/echo", Map.of("x", List.of(1, 2.5, "\u00e9")));
        call("slash", "echo", "text");
        call("parameter", "/contacts/42", empty);
        call("nothing", "/nothing", empty);
        call("failure", "/fail", empty);
        call("exception", "/exception", empty);
        call("error", "/error", empty);
        call("panic", "/panic", empty);
        call("misfit", "/contacts/42", "no object");
        call("refused", "/refused", empty);
        CompletableFuture.allOf(start("late", "/late", 1), start("other", "/echo", 2)).get(60, TimeUnit.SECONDS);
        client.disconnect(5000);
        System.exit(0);
    }
}
`

// answer services the calls of both.
func answer(t *testing.T, srv service.Server) {
	t.Helper()
	add := func(_ func(), err error) { require.NoError(t, err) }
	failing := func(target string, err func() error) {
		add(service.RemoteCall(srv, target, func(context.Context, bayeux.Session, any) (any, error) { return nil, err() }))
	}
	add(service.RemoteCall(srv, "echo", func(_ context.Context, _ bayeux.Session, in bayeux.Raw) (bayeux.Raw, error) { return in, nil }))
	add(service.RemoteCall(srv, "contacts/{id}", func(ctx context.Context, _ bayeux.Session, _ struct{}) (string, error) {
		return "contact " + bayeux.Param(ctx, "id"), nil
	}))
	failing("nothing", func() error { return nil })
	failing("fail", func() error { return service.Fail(map[string]int{"code": 7}) })
	failing("exception", func() error {
		return service.Exception("java.lang.IllegalStateException", "boom!", nil)
	})
	failing("error", func() error { return errors.New("a secret") })
	failing("panic", func() error { panic("a secret") })
	failing("refused", func() error { return &bayeux.Error{Code: 403, Args: "closed", Text: "publish_denied"} })
	add(service.AsyncCall(srv, "late", func(ctx context.Context, caller *service.Caller[string], _ int) error {
		ctx = context.WithoutCancel(ctx) // The handler's own ends with it.
		go func() { _ = caller.Result(ctx, "late") }()
		return nil
	}))
}

// callOutcome is what a client was told of a call.
type callOutcome struct {
	Name  string          `json:"name"`
	OK    bool            `json:"ok"`
	Data  json.RawMessage `json:"data"`
	Error string          `json:"error"`
}

// TestRemoteCalls has published clients make remote calls of every outcome ([R-SV-1], [R-SV-2], [R-SV-3]).
func TestRemoteCalls(t *testing.T) {
	touchSources(t)
	java := filepath.Join(t.TempDir(), "Calls.java")
	require.NoError(t, os.WriteFile(java, []byte(callProgram), 0o600))
	hidden := `{"class":"java.lang.RuntimeException","message":"the call failed"}`
	want := map[string]callOutcome{
		"result":    {OK: true, Data: json.RawMessage(`{"x":[1,2.5,"é"]}`)},
		"slash":     {OK: true, Data: json.RawMessage(`"text"`)},
		"parameter": {OK: true, Data: json.RawMessage(`"contact 42"`)},
		"nothing":   {OK: true, Data: json.RawMessage(`null`)},
		"failure":   {Data: json.RawMessage(`{"code":7}`)},
		"exception": {Data: json.RawMessage(`{"class":"java.lang.IllegalStateException","message":"boom!"}`)},
		"error":     {Data: json.RawMessage(hidden)},
		"panic":     {Data: json.RawMessage(hidden)},
		"misfit":    {Data: json.RawMessage(`{"class":"java.lang.IllegalArgumentException","message":"data: an object wanted"}`)},
		"refused":   {Data: json.RawMessage(`"absent"`), Error: "403:closed:publish_denied"},
		"unknown":   {Data: json.RawMessage(`"absent"`), Error: "406::timeout"},
		"late":      {OK: true, Data: json.RawMessage(`"late"`)},
		"other":     {OK: true, Data: json.RawMessage(`2`)},
	}
	for _, transport := range []string{"long-polling", "websocket"} {
		for _, major := range []string{"3", "9", "java"} {
			t.Run(major+" "+transport, func(t *testing.T) {
				t.Parallel()
				n, addr := startNode(t, "127.0.0.1:0", nil)
				answer(t, n.srv)
				url := "http://" + addr + "/cometd"
				args, dir, calls := []string{"node", "--input-type=module", "-e", callScript, url, major, transport}, "js", len(want)
				if major == "java" {
					if transport == "websocket" {
						url = "ws://" + addr + "/cometd"
					}
					args, dir = []string{"java", "-Xshare:auto", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", "cometd8/target/lib/*", java, url, transport}, "java"
					calls-- // of an unknown target: this client waits longer than a test should
				}
				got := run(t, dir, args)
				require.Len(t, got, calls)
				for name, o := range got {
					w := want[name]
					require.Equal(t, w.OK, o.OK, name)
					require.JSONEq(t, string(w.Data), string(o.Data), name)
					require.Equal(t, w.Error, o.Error, name)
				}
			})
		}
	}
}

// run runs a client and returns what it tells.
func run(t *testing.T, dir string, args []string) map[string]callOutcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 6*patience) // Java compiles the program first.
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	var out, words bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &words
	err := cmd.Run()
	require.NoError(t, err, "%s\n%s", out.String(), words.String())
	got := map[string]callOutcome{}
	for lines := bufio.NewScanner(&out); lines.Scan(); {
		var o callOutcome
		require.NoError(t, json.Unmarshal(lines.Bytes(), &o), "%q", lines.Text())
		got[o.Name] = o
	}
	return got
}
