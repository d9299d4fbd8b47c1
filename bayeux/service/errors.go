package service

import (
	"errors"
	"fmt"
)

// Classes that the answers to calls have where no handler has chosen one. They
// are names of Java, for CometD's client for Java looks the class up and fails
// the whole response if there is none.
const (
	// ClassError is that of an error whose text is not for clients.
	ClassError = "java.lang.RuntimeException"
	// ClassData is that of data which does not fit.
	ClassData = "java.lang.IllegalArgumentException"
)

// messageError stands for the text of an error that is not for clients.
const messageError = "the call failed"

// ErrAnswered says that a call has been answered before.
var ErrAnswered = errors.New("the call has been answered")

// failureError is the error of Fail.
type failureError struct{ data any }

// Error implements error.
func (e *failureError) Error() string { return "the call failed as it may" }

// Fail returns an error that answers a call with failure data of its own
// choice, such as {"code":7}: the outcome is a regular one and is not logged.
// data is bayeux.Raw, or anything that encoding/json marshals.
func Fail(data any) error { return &failureError{data} }

// exceptionError is the error of Exception and Reveal.
type exceptionError struct {
	class, message string
	cause          error
}

// Error implements error.
func (e *exceptionError) Error() string {
	if e.cause == nil {
		return e.class + ": " + e.message
	}
	return e.class + ": " + e.message + ": " + e.cause.Error()
}

// Unwrap returns the cause.
func (e *exceptionError) Unwrap() error { return e.cause }

// Exception returns an error that answers a call with {"class":…,"message":…}
// as given ([R-SV-2]). Where CometD's client for Java is among the callers the
// class has to be one that it can load, such as
// "java.lang.IllegalStateException". The cause, which may be nil, is for the log.
func Exception(class, message string, cause error) error {
	return &exceptionError{class, message, cause}
}

// Reveal returns an error that answers a call with all that err says: the
// message is its Go type and its text, the class is ClassError. It is for
// callers who may know. Nil stays nil.
func Reveal(err error) error {
	if err == nil {
		return nil
	}
	return &exceptionError{class: ClassError, message: fmt.Sprintf("%T: %v", err, err), cause: err}
}
