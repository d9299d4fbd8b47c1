// Package filter changes the data of messages, or refuses it, before others get
// it: markup, scripts, what a regular expression matches, or what a function of
// one's own says of each value.
//
// A Filter sees each string, number, boolean and null of the data, at any depth,
// but no names of members. What it does not change stays byte for byte as it
// came, blanks, order and spelling of numbers included. Filters are given as a
// listener (Listener) or an extension (Extension), and run in their order.
//
// The cost is bounded whatever the data: one walk, without recursion; regular
// expressions take time proportional to the text; and data that would grow beyond
// 16 times its size and 64 KiB is refused.
package filter
