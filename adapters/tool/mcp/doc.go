// Package mcp offers agents the tools of MCP servers (Model Context Protocol), over streamable HTTP or as programs in the session's
// sandbox that are talked to over standard input and output.
//
// A session has a connection of its own to each server. Remote servers are reached through the guarded HTTP client, with the
// credential that the session's vaults hold for their URL; a 401 refreshes it once. What a server says about its tools is not
// trusted: names, descriptions and schemas are held to limits, and none of them changes what a policy sees.
package mcp
