// Package migration has no code: its Examples are the Go of docs/MIGRATION.md,
// and its tests keep the two the same.
package migration
