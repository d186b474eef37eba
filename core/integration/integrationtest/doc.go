// Package integrationtest is the suite that every store of integrations passes.
package integrationtest
