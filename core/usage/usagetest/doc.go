// Package usagetest is the suite that every store of usage rows passes.
package usagetest
