package machine

import (
	"slices"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/instant"
)

// version is the only one there is; what clients send is not looked at
// ([R-HS-3]).
const version = `"1.0"`

// handshake needs nothing but the channel: version, connection types, advice
// and clientId of the request do not matter ([R-HS-2], [R-HS-4]).
func (s *Session) handshake(now instant.Time, in Input) Effects {
	reply := in.Message.Reply()
	if s.state != Created {
		return Effects{Reply: reply.Fail(bayeux.ErrHandshakeFailed)} // [R-HS-11]
	}
	if in.Refused != nil {
		return Effects{Reply: denied(reply, in.Refused)}
	}
	s.enter(Handshaken)
	s.way = in.Via
	reply.Succeed(true) // [R-HS-1]
	reply.ClientID = s.id
	reply.Fields = slices.Grow(reply.Fields, 3)
	reply.SetField("version", bayeux.Raw(version))
	reply.SetField("minimumVersion", bayeux.Raw(version))
	supported := in.Via.Supported
	if supported == nil {
		supported = bayeux.Raw("[]")
	}
	reply.SetField("supportedConnectionTypes", supported)
	if reply.Advice == nil {
		reply.Advice = s.full().Raw() // [R-HS-7]
		s.advised = s.way             // [R-AD-1]
	}
	s.write(now) // starts when written [R-HS-19]
	return Effects{Reply: reply}
}

// denied refuses a handshake. What policy code has put on the reply stays, by
// the error or directly; else the client is told not to retry ([R-HS-10],
// [R-SP-2]).
func denied(reply *bayeux.Message, refused *bayeux.Error) *bayeux.Message {
	full := *refused
	if full.Code == 0 {
		full.Code = bayeux.ErrHandshakeDenied.Code
	}
	if full.Text == "" {
		full.Text = bayeux.ErrHandshakeDenied.Text
	}
	reply.Fail(&full)
	if reply.Advice == nil {
		reply.Advice = (&bayeux.Advice{Reconnect: bayeux.ReconnectNone}).Raw()
	}
	return reply
}
