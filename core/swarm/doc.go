// Package swarm is groups of agents: what a group's agents share is knowledge and policies, and they can be stopped together.
//
// An agent is in at most one swarm. Whoever changes who belongs to a swarm, or its standing, locks the swarm first and the agents after
// it, in the order of their ids; acts lock their agents only, since an agent's row repeats the standing of its swarm. So a swarm that is
// frozen costs an act nothing, and no act of a member starts once the freeze has committed, at whatever moment the member came.
package swarm
