//go:build !linux && !darwin

package serve

// raiseDescriptors does nothing where there is no such limit.
func raiseDescriptors() uint64 { return 0 }
