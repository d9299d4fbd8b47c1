module github.com/halleypush/halley/internal/peers/gws

go 1.26.0

// The reader of messages that it shares with the floors.
replace github.com/halleypush/halley => ../../..

require (
	github.com/coder/websocket v1.8.15
	github.com/halleypush/halley v0.0.0
	github.com/lxzan/gws v1.8.9
	github.com/stretchr/testify v1.12.1
)

require (
	github.com/dolthub/maphash v0.1.0 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)
