// Package conformance tests any Bayeux server over the wire, as its clients
// see it. It knows nothing of the server but its address.
//
//	report, err := conformance.Run(ctx, conformance.Options{URL: "http://localhost:8080/cometd"})
//
// In a Go test of a server, conformtest.Test makes a subtest of each case.
// Package suite holds the frame, package cases the cases, package report the
// ways to write a report, package wire what is below the protocol.
package conformance

import (
	"context"

	"github.com/halleypush/halley/conformance/cases"
	"github.com/halleypush/halley/conformance/suite"
)

// What a caller needs of package suite.
type (
	// Options says what to run against which server; only URL is needed.
	Options = suite.Options
	// Report is what a run found.
	Report = suite.Report
	// Result is what became of a case on a transport.
	Result = suite.Result
	// Fixture declares what a server was set up with.
	Fixture = suite.Fixture
	// Section is a group of cases.
	Section = suite.Section
	// UnreachableError says that there is no Bayeux server to test.
	UnreachableError = suite.UnreachableError
	// UsageError says that the options make no sense.
	UsageError = suite.UsageError
)

// All returns all cases, in the order of the report.
func All() []Section { return cases.Sections() }

// Run runs the cases that the options choose. What the server does wrong is in
// the report; errors are an *UnreachableError, a *UsageError, or the end of ctx.
func Run(ctx context.Context, opts Options) (*Report, error) { return suite.Run(ctx, All(), opts) }
