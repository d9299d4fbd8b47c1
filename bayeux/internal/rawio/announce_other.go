//go:build !linux

package rawio

func announce() {} // all calls are ordinary ones
