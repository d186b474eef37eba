// Package inside is the half of the docker host that runs in containers. It is Bureau's own binary, mounted or built into the image, which
// does one of these jobs by the name that it is started as, before anything else of the server is initialised: launching the instance's
// program, relaying connections to it, leading its HTTP proxy to the gateway, and being that gateway (package gateway beside this one).
package inside
