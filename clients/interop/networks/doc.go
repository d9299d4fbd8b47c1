// Command networks measures what stock, published clients go through behind networks that break push (`make
// networks-clients`; Linux):
//
//	go run ./clients/interop/networks [-servers halley,cometd8,cometd-nodejs,faye] [-scenarios cut,cap] [-scale 0.1]
//
// Each client comes from a source address of its own, 127.0.1.x, through the hostile proxy, which does to that address what
// the scenario says; a direct client beside it has an address without rules. What a client tells (js/networks.mjs, a page of
// browser/pages, the driver in Java) becomes figures: connects that failed, handshakes, messages that were lost, came twice
// or out of order, how long its polls were held as it saw it, and when its first message came. With -done the figures of
// that server are judged by the bounds of docs/NETWORKS.md, and the exit status is 1 where one is missed. With -unadapted
// Halley learns nothing: it must then suffer from the same schedule, or the schedule proves nothing.
//
// -scale shrinks all times of a scenario, those of the server and of the clients included, for trials; what stands in the
// document was measured without it.
package main
