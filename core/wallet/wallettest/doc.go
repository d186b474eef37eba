// Package wallettest is the suite that every store of wallets passes, and the random exercise behind its fuzz target.
package wallettest
