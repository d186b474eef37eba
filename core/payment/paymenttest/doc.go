// Package paymenttest is the suite that payments over rails pass over every store: with a rail that fails at will, and with processes
// that are killed in each transaction and at each call of the rail.
package paymenttest
