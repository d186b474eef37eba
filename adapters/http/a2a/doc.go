// Package a2a is where agents speak the Agent2Agent protocol: below /a2a/{agent}, in the bindings JSON-RPC and HTTP+JSON, in the versions 1.0
// and 0.3 at once.
//
// The official SDK reads requests and writes answers; everything in between is core/a2a. Nothing is kept in this process: what the SDK
// offers for that, executors, task stores and queues, is not used.
//
// The version of a JSON-RPC call is what the header A2A-Version says, and otherwise how the method is spelled: message/send is 0.3, SendMessage
// 1.0. In HTTP+JSON the paths of 0.3 begin with /v1.
package a2a
