package clientcases

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/conformance/clientmode"
	"github.com/halleypush/halley/conformance/suite"
)

// drive is a driver of the plain client, or one that is wrong in some way.
func drive(how string) {
	about := `{"kind":"about","client":"plain","version":"1","cannot":{"websocket":"has none","any":"has one only"}}`
	switch how {
	case "silent":
		return
	case "chatty":
		about = "Hello!"
	}
	fmt.Println(about) //nolint:forbidigo // a driver speaks by its standard output
	var mu sync.Mutex
	stops := map[string]func(){}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var line struct {
			Cmd, Client, URL, Transport       string
			Ack                               bool
			NetworkDelay, Backoff, MaxBackoff int64
		}
		if json.Unmarshal(lines.Bytes(), &line) != nil {
			os.Exit(1)
		}
		switch {
		case how == "lazy":
		case line.Cmd == "stop":
			stops[line.Client]()
		default:
			stops[line.Client], _ = client("").Start(context.Background(), clientmode.Job{
				URL: line.URL, Transport: line.Transport, Ack: line.Ack, NetworkDelay: inMs(line.NetworkDelay),
				Backoff: inMs(line.Backoff), MaxBackoff: inMs(line.MaxBackoff),
			}, func(e clientmode.Event) {
				text, _ := json.Marshal(e)
				mu.Lock()
				defer mu.Unlock()
				if how == "shared" {
					text = []byte(`{"client":"` + line.Client + `",` + string(text[1:]))
				}
				fmt.Printf("%s\n", text) //nolint:forbidigo // a driver speaks by its standard output
			})
		}
	}
}

func inMs(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// TestProgram runs cases on drivers, each started for a case or for all, and on
// those that are wrong.
func TestProgram(t *testing.T) {
	exe, err := os.Executable()
	require.NoError(t, err)
	for _, tt := range []struct {
		how, wrong string
	}{
		{"shared", ""},
		{"single", ""},
		{"silent", "the driver has ended"},
		{"chatty", `the first line of the driver is "Hello!"`},
		{"lazy", "came to no case"},
	} {
		t.Run(tt.how, func(t *testing.T) {
			t.Setenv(asDriver, tt.how)
			p := clientmode.Program{Args: []string{exe}, Shared: tt.how == "shared", Stderr: os.Stderr}
			scale := 1.0
			if tt.how == "lazy" {
				scale = 0.03 // it is waited for in vain
			}
			rep, err := runProgram(t, p, scale)
			if tt.wrong != "" {
				var no *clientmode.StartError
				require.ErrorAs(t, err, &no)
				require.ErrorContains(t, err, tt.wrong)
				return
			}
			require.NoError(t, err)
			require.Equal(t, 8, rep.Summary.Pass, "%+v", rep.Summary)
			require.Equal(t, 7, rep.Summary.Skipped)
			require.True(t, rep.Passed())
			require.Equal(t, suite.ModeClient, rep.Mode)
			for _, res := range rep.Results {
				seen, err := json.Marshal(res.Transcript)
				require.NoError(t, err)
				require.Equal(t, res.Transport == "long-polling", strings.Contains(string(seen), "/meta/handshake"), res.ID)
			}
		})
	}
	_, _, _, err = clientmode.Program{Args: []string{"/nowhere/at/all"}}.Open(t.Context())
	require.ErrorContains(t, err, "no Bayeux client from /nowhere/at/all")
}

func runProgram(t *testing.T, p clientmode.Program, scale float64) (*suite.Report, error) {
	c, about, closed, err := p.Open(t.Context())
	if err != nil {
		return nil, err
	}
	defer closed()
	require.Equal(t, "plain", about.Client)
	return clientmode.Run(t.Context(), Sections(), clientmode.Options{
		Client: c, Only: []string{"BX-C-BA-0[1-4]", "BX-C-BA-10", "BX-C-SE-01", "BX-C-LO-03", "BX-C-LO-17"}, TimeoutScale: scale, Jobs: 4,
	})
}

// TestOptions tells what cannot be run.
func TestOptions(t *testing.T) {
	for _, tt := range []struct {
		o    clientmode.Options
		text string
	}{
		{clientmode.Options{}, "no client"},
		{clientmode.Options{Client: client(""), Transports: []string{"callback-polling"}}, "not for clients"},
		{clientmode.Options{Client: client(""), Only: []string{"BX-C-ZZ-*"}}, "matches no case"},
		{clientmode.Options{Client: client(""), Profile: "none"}, `profile "none" is unknown`},
	} {
		_, err := clientmode.Run(t.Context(), Sections(), tt.o)
		var usage *suite.UsageError
		require.ErrorAs(t, err, &usage)
		require.ErrorContains(t, err, tt.text)
	}
}
