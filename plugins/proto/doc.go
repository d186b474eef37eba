// Package proto holds the wire protocol between the server and its plugins: the .proto files under skill and rule, one folder
// per major version, and the Go code generated from them. Authors in Go use plugins/sdk instead; authors in another language
// serve these services as a hashicorp/go-plugin over gRPC, with the handshake of plugins/wire.
//
// `go generate ./plugins/proto` writes the generated code again; a test fails when it does not match the .proto files.
package proto

//go:generate go run github.com/bufbuild/buf/cmd/buf@v1.75.0 generate
