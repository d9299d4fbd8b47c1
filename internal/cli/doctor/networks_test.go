//go:build networks

package doctor

import "testing"

// TestNetworksNameEachLimit is the whole table, at the times that paths take.
func TestNetworksNameEachLimit(t *testing.T) { namesEach(t, limits()) }

// TestNetworksCleanTwenty finds nothing in 20 runs where nothing is.
func TestNetworksCleanTwenty(t *testing.T) {
	ways := make([]way, 20)
	for i := range ways {
		ways[i] = limits()[0]
		ways[i].plain = nil
	}
	namesEach(t, ways)
}
