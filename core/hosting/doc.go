// Package hosting runs agents on a runtime.Host: a hosted agent has one instance, a program that lasts. It is Bureau's own worker, beside
// which the server's agent loop answers, or a program of the agent's own.
//
// What a caller asks for is stored: a Deployment says whether the agent shall run, and in which generation. What is there is observed. Each
// site, the place whose instances one server reaches, has one Supervisor at a time, by a lease; it compares the two and acts: starts, stops,
// starts again what ended by itself with growing pauses, gives up what keeps ending, and removes what no deployment wants. Instances go on
// without a server, and the next one adopts them. No agent has two: an instance belongs to one site, a site to one supervisor, and a host
// starts one instance per agent, of the generation that it is asked for.
//
// A freeze stops what an agent does and not its worker, which does nothing by itself: files, logs and channels stay. A program of its own,
// which might act by itself, is ended while the agent is frozen and started again afterwards. An archived agent runs nothing.
package hosting
