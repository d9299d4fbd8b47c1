// Package permissions is a bayeux.Policy made of rules: who may, or may not, do
// what on which channels. Operators write them in a file; see
// docs/PERMISSIONS.md.
//
//	rules, err := permissions.Compile([]permissions.Rule{
//		{Operations: []bayeux.Operation{bayeux.OperationSubscribe}, Who: []string{"everyone"}, Channels: []string{"/news/**"}},
//		{Operations: []bayeux.Operation{bayeux.OperationPublish}, Who: []string{"group:editors"}, Channels: []string{"/news/*"}},
//	}, permissions.Options{})
//	policy := permissions.New(permissions.Config{Rules: rules})
//
// The rules are asked in order, and the first that matches decides; then what
// the credentials themselves grant (bayeux.Subject); else the answer is no.
//
// A rule that allows matches what it covers: /a/** allows to subscribe to /a/*,
// but /a/* does not allow /a/**. A rule that denies matches what it overlaps:
// one on /a/secret refuses /a/* too, which would hear it. So no wildcard gets
// around a rule.
//
//	rule.go      rules and their errors
//	who.go       whom a rule is about
//	pattern.go   where it holds
//	index.go     finds the first rule that matches
//	identity.go  what is known of a subject, and its verdicts
//	policy.go    the policy
//	explain.go   why a verdict is as it is
//	warn.go      rules that never decide
package permissions
