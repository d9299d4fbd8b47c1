package scale

// ShowFile is where `make scale` writes its result.
const ShowFile = "bin/bench/scale.json"

// ShowMost is how many times the memory of a session may be among many processes
// what it is in one alone.
const ShowMost = 1.2

// Show is what real sessions cost that are too many for one process: several
// processes of the server, each with a client process, for one may have 20,000
// descriptors where this is developed.
type Show struct {
	System string `json:"system"`
	// Servers is how many processes of the server there were, Sessions how many
	// sessions they had together.
	Servers  int `json:"servers"`
	Sessions int `json:"sessions"`
	// Subscriptions of all sessions together.
	Subscriptions int `json:"subscriptions"`
	// MakeSeconds until the last session was there.
	MakeSeconds float64 `json:"makeSeconds"`
	// Resident bytes of all servers over what they had before the first connection,
	// for each session, ten seconds after the last one and without a forced
	// collection. Single is the same for one process with its share of the sessions
	// and no others beside it.
	Resident float64 `json:"resident"`
	Single   float64 `json:"single"`
	// Largest is Resident of the server that has most for each session.
	Largest float64 `json:"largest"`
	// Delivered is how many messages arrived of the Expected ones, those of one
	// publish to each session, in ToAllSeconds.
	Delivered    int     `json:"delivered"`
	Expected     int     `json:"expected"`
	ToAllSeconds float64 `json:"toAllSeconds"`
}
