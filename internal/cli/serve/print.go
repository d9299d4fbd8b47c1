package serve

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
)

// print writes each setting with its value, default and source.
func (s *Settings) print(w io.Writer, format string) error {
	if format == "json" {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(s.shown)
	}
	table := tabwriter.NewWriter(w, 0, 1, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "SETTING\tVALUE\tDEFAULT\tSOURCE")
	for _, line := range s.shown {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", line.Name, cell(line.Value), cell(line.Default), line.Source)
	}
	return table.Flush()
}

// cell shows an empty text as a dash and quotes what would break the table.
func cell(text string) string {
	if text == "" {
		return "-"
	}
	if strings.ContainsAny(text, "\t\r\n\v\f") {
		return strconv.Quote(text)
	}
	return text
}
