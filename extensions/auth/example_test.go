package auth_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/extensions/auth"
)

// A server that lets in who has a token, and a user whose sessions are ended.
func Example() {
	secret := bytes.Repeat([]byte("secret"), 8)
	tokens, err := auth.NewJWT(auth.JWTConfig{Keys: []auth.KeySource{auth.StaticKeys{{Public: secret}}}})
	if err != nil {
		panic(err)
	}
	guard, err := auth.New(auth.Config{Methods: []auth.Method{tokens}})
	if err != nil {
		panic(err)
	}
	srv, err := server.New(server.Config{Extensions: []bayeux.Extension{guard}})
	if err != nil {
		panic(err)
	}
	defer func() { _ = srv.Shutdown(context.Background()) }()
	detach, err := guard.Attach(srv)
	if err != nil {
		panic(err)
	}
	defer detach()

	shake := func(token string) {
		answer := httptest.NewRecorder()
		body := fmt.Sprintf(`[{"channel":"/meta/handshake","ext":{"auth":{"token":%q}}}]`, token)
		srv.ServeHTTP(answer, httptest.NewRequest("POST", "/cometd", strings.NewReader(body)))
		fmt.Println(strings.Contains(answer.Body.String(), `"successful":true`), srv.Users())
	}
	shake("rubbish")
	shake(issue(secret, "alice"))
	ended, err := guard.Revoke(context.Background(), auth.Target{User: "alice"})
	fmt.Println(ended, err, srv.Users())
	// Output:
	// false []
	// true [alice]
	// 1 <nil> []
}

// issue makes a token, which is somebody else's work.
func issue(secret []byte, user string) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: secret}, nil)
	if err != nil {
		panic(err)
	}
	now := time.Now().Unix()
	signed, err := signer.Sign(fmt.Appendf(nil, `{"sub":%q,"iat":%d,"exp":%d}`, user, now, now+3600))
	if err != nil {
		panic(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return token
}
