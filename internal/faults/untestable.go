package faults

// Untestable returns the rules of WIRE 1 to 9a that no fault of this package
// breaks, with the reasons.
func Untestable() map[string]string {
	const code = "only code in the server can cause what it speaks of, nothing that a client sends"
	const option = "it says what an option does that is off; a server with the option and a fault looks like one without it"
	return map[string]string{
		"R-HS-8":  "the values are defaults of options, and a server under test is started with short ones",
		"R-HS-11": code,
		"R-CN-17": code,
		"R-CN-23": option,
		"R-CN-24": "the server stops, which its clients cannot ask for",
		"R-CN-26": "the proxy is net/http, which answers pipelined requests in their order",
		"R-AD-4":  code,
		"R-AD-7":  "it is a rule for clients",
		"R-MC-3":  option,
		"R-EX-6":  code,
		"R-EX-7":  "memory is freed, which cannot be seen from outside",
		"R-PB-10": "the order over the receivers is free, and each of them sees one message only",
		"R-PB-13": "how often a message is encoded cannot be seen from outside",
		"R-DL-6":  "which channels are lazy is set in the server, by names that a fault does not know",
		"R-DL-7":  "CometD's quirk, which a server need not have",
		"R-DL-8":  option,
		"R-OUT-3": code,
		"R-JP-7":  option,
		"R-WS-26": "the server stops, which its clients cannot ask for",
	}
}
