// Package httpx is what the HTTP faces share: the way of a request from the socket to a core service and back.
//
// A Face is one API: its routes, its OpenAPI document and its error envelope. Register adds an operation to it. Around every
// operation, in this order:
//
//	request-id, recovery from panics, metrics, debug log
//	routing: an unknown route is a 404 and a wrong method a 405 in the face's envelope
//	authentication: x-api-key or Authorization: Bearer, unless the route stands in Config.Public
//	rate limit of the key (or of the address), with its headers
//	permission of the operation
//	query: NUL bytes, repeated or empty values that the schema forbids
//	body: size, UTF-8, syntax with position, depth, duplicate keys
//	Idempotency-Key of a POST
//	huma: decoding into the input type, validation against its schema
//	the handler, which decodes, calls a core service, and encodes
//
// Errors are *fault.Error values from core; Envelope says how a face writes them. huma's own errors come out of the same place, as
// fault.Invalid with the path of every fault and never with a value that the caller sent.
package httpx
