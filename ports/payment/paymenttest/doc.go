// Package paymenttest holds the suite that every payment rail passes, and a rail that keeps its books in memory and fails on
// demand.
package paymenttest
