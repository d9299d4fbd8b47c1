// Package pubsub is `halley sub` and `halley pub`: a subscriber that prints
// what is published, and a publisher of JSON lines. Sub and Pub are the command
// lines; the surroundings come as an Env, so that nothing here touches the
// process itself.
package pubsub
