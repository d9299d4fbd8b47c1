// Package certs is transport security for a program that serves: certificates
// that are read again while it runs, certificates of clients, certificates by
// ACME, and listeners on which slow handshakes cannot pile up. docs/TLS.md says
// what an operator sees of it.
package certs
