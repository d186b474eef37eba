// Package secret keeps what agents sign in with: credentials, in vaults.
//
// A secret goes in and never comes out through a face: it is sealed before it is stored, bound to its tenant, table and row, and is
// opened only for the connection that needs it. Value is how it travels in between; it does not print itself. What slips into a text
// nevertheless is taken out by a Redactor.
package secret
